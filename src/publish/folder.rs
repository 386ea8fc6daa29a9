//! A layout on disk that an image is added to (image-spec, image-layout.md).
//!
//! Blobs come first, each in whole or not at all; the index is replaced last, by a rename, under a
//! lock on the folder. So a reader sees the image or does not, and several writers may be at work
//! in one folder. A folder that was new and got no index is cleaned up.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::PublishError;
use crate::error::Result;
use crate::oci::{Descriptor, Digest, Document, Index, MediaType};
use crate::store::layout::{INDEX_FILE, LAYOUT_FILE, Layout, REF_NAME};
use crate::store::{Store, StoreError};
use crate::sys::atomic_file;

/// What every layout says of itself.
pub(super) const LAYOUT_CONTENT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// A layout that is being written.
#[derive(Debug)]
pub(super) struct LayoutFolder {
    path: PathBuf,
    store: Store,
    /// Folders that were not there, the deepest first.
    made: Vec<PathBuf>,
    /// Blobs that were not there.
    written: Mutex<BTreeSet<Digest>>,
}

impl LayoutFolder {
    /// Makes sure that a layout can be written there, without touching anything.
    ///
    /// # Errors
    ///
    /// [`PublishError::Occupied`] for a folder, or a file, that is something else;
    /// [`PublishError::ForeignLayout`] for a layout that cannot be understood.
    pub(super) fn check(path: &Path) -> Result<(), PublishError> {
        let names = match fs::read_dir(path) {
            Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name())).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(PublishError::Occupied { path: path.to_owned() });
            }
            Err(error) => Err(error),
        };
        let names: Vec<_> = names.map_err(|source| cannot_write(path, source))?;
        if names.iter().any(|name| name == LAYOUT_FILE) {
            let foreign = |error: &dyn std::error::Error| PublishError::ForeignLayout {
                path: path.to_owned(),
                reason: error.to_string(),
            };
            return Layout::load(path).map(drop).map_err(|error| foreign(&error));
        }
        // A killed process leaves blobs without an index.
        if names.iter().all(|name| name == "blobs") {
            return Ok(());
        }
        Err(PublishError::Occupied { path: path.to_owned() })
    }

    /// Begins to write there.
    ///
    /// # Errors
    ///
    /// Those of [`LayoutFolder::check`], and [`PublishError::Write`].
    pub(super) fn open(path: &Path) -> Result<Self> {
        Self::check(path)?;
        let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let made = path.ancestors().take_while(is_new).map(Path::to_owned).collect();
        fs::create_dir_all(path).map_err(|source| cannot_write(path, source))?;
        let store = Store::open_output(path)?;
        Ok(Self { path: path.to_owned(), store, made, written: Mutex::default() })
    }

    /// Whether a blob is there already; a damaged one is removed.
    pub(super) fn has(&self, descriptor: &Descriptor) -> Result<bool> {
        self.store.verify(descriptor)
    }

    /// Copies a blob: a link would share its inode, and with it every later change, with the
    /// cache. On its way the copy is hashed, so that what is damaged stays where it is.
    ///
    /// # Errors
    ///
    /// Those of the reader, of the store, and [`StoreError::Mismatch`].
    pub(super) fn add_blob(&self, descriptor: &Descriptor, mut blob: impl Read) -> Result<()> {
        let mut writer = self.store.writer()?;
        let copied = io::copy(&mut blob, &mut writer);
        if let Err(error) = copied {
            let own = |source| cannot_write(&self.path, source).into();
            return Err(StoreError::from_io(error).map_or_else(own, Into::into));
        }
        writer.finish_as(descriptor)?;
        self.note(descriptor.digest);
        Ok(())
    }

    /// Writes a document.
    pub(super) fn add_document(&self, digest: &Digest, bytes: &Bytes) -> Result<()> {
        if !self.store.blob_path(digest).exists() {
            self.note(*digest);
        }
        self.store.put(bytes).map(drop)
    }

    /// Lists an image under these names; whatever had them before loses them. Without any name it
    /// takes the place of whatever has none.
    ///
    /// # Errors
    ///
    /// [`PublishError::Write`], and [`PublishError::ForeignLayout`] when somebody has broken the
    /// index in the meantime.
    pub(super) fn list(&self, image: &Descriptor, names: &[String]) -> Result<(), PublishError> {
        let write = |name: &str, bytes: &[u8]| {
            let path = self.path.join(name);
            atomic_file::write(&path, bytes).map_err(|source| cannot_write(&path, source))
        };
        let _lock = lock(&self.path).map_err(|source| cannot_write(&self.path, source))?;
        let index = if self.path.join(LAYOUT_FILE).exists() {
            let foreign = |error: crate::store::layout::LayoutError| PublishError::ForeignLayout {
                path: self.path.clone(),
                reason: error.to_string(),
            };
            Layout::load(&self.path).map_err(foreign)?.index().clone()
        } else {
            Index::new(Vec::new())
        };
        let index = Document::write(add(index, image, names), MediaType::OciIndex);
        // In this order, a crash in between leaves no layout without an index.
        write(INDEX_FILE, &index.bytes)?;
        if self.path.join(LAYOUT_FILE).exists() {
            Ok(())
        } else {
            write(LAYOUT_FILE, LAYOUT_CONTENT)
        }
    }

    fn note(&self, digest: Digest) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
    }
}

impl Drop for LayoutFolder {
    /// Leaves nothing where nothing was. Once there is an index, somebody may count on a blob.
    fn drop(&mut self) {
        let lock = lock(&self.path);
        if lock.is_err() || self.path.join(INDEX_FILE).exists() {
            return;
        }
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        for digest in written.iter() {
            let _ = fs::remove_file(self.store.blob_path(digest));
        }
        // A folder that is not empty stays: somebody else is at work in it.
        let blobs = self.path.join("blobs");
        for folder in [&blobs.join("sha256"), &blobs].into_iter().chain(&self.made) {
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }
}

/// Puts an image into an index; see [`LayoutFolder::list`].
pub(super) fn add(mut index: Index, image: &Descriptor, names: &[String]) -> Index {
    let is_replaced = |other: &Descriptor| match other.annotations.get(REF_NAME) {
        Some(name) => names.contains(name),
        None => names.is_empty(),
    };
    index.manifests.retain(|other| !is_replaced(other));
    if names.is_empty() {
        index.manifests.push(image.clone());
    }
    for name in names {
        let mut named = image.clone();
        named.annotations.insert(REF_NAME.to_owned(), name.clone());
        index.manifests.push(named);
    }
    index.media_type = Some(MediaType::OciIndex);
    index
}

/// Waits until no other writer changes the index. The lock is on the folder itself, so that no
/// extra file lies in the layout; it goes with the process.
#[cfg(unix)]
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let file = File::open(folder)?;
    match file.lock() {
        Ok(()) => Ok(Some(file)),
        // Some network file systems have no locks: there, of two writers at once the last wins.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(error),
    }
}

/// See the Unix version: elsewhere a folder cannot be locked, and of two writers at once the last
/// wins.
#[cfg(not(unix))]
fn lock(_folder: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

fn cannot_write(path: &Path, source: io::Error) -> PublishError {
    PublishError::Write { place: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(content: &[u8]) -> Descriptor {
        Descriptor::of(MediaType::OciManifest, content)
    }

    /// Digest and name of what a layout lists.
    fn listed(path: &Path) -> Vec<(Digest, Option<String>)> {
        let index = Layout::load(path).unwrap().index().clone();
        let entry = |image: Descriptor| (image.digest, image.annotations.get(REF_NAME).cloned());
        index.manifests.into_iter().map(entry).collect()
    }

    #[test]
    fn an_image_is_added_or_replaced_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let (one, two) = (image(b"1"), image(b"2"));
        let list = |image: &Descriptor, names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            LayoutFolder::open(&path).unwrap().list(image, &names).unwrap();
        };
        let named = |image: &Descriptor, name: &str| (image.digest, Some(name.to_owned()));
        list(&one, &["v1", "latest"]);
        assert_eq!(listed(&path), [named(&one, "v1"), named(&one, "latest")]);
        list(&two, &["v2", "latest"]);
        assert_eq!(listed(&path), [named(&one, "v1"), named(&two, "v2"), named(&two, "latest")]);
        list(&one, &[]);
        list(&two, &[]);
        assert_eq!(listed(&path)[3..], [(two.digest, None)]);
    }

    #[test]
    fn members_of_a_foreign_index_survive() {
        let text = r#"{"schemaVersion":2,"manifests":[],"annotations":{"a":"b"},"x-y":[1]}"#;
        let index = Document::parse_index(Bytes::from_static(text.as_bytes()), MediaType::OciIndex);
        let index =
            Document::write(add(index.unwrap().value, &image(b"1"), &[]), MediaType::OciIndex);
        let expected = format!(
            r#"{{"annotations":{{"a":"b"}},"manifests":[{{"digest":"{}","mediaType":"application/vnd.oci.image.manifest.v1+json","size":1}}],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2,"x-y":[1]}}"#,
            Digest::of(b"1")
        );
        assert_eq!(index.bytes, expected);
    }

    #[test]
    fn a_folder_of_something_else_is_refused_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::write(path.join("notes.txt"), "mine").unwrap();
        let message = format!("`{}` is neither empty nor an OCI layout", path.display());
        assert_eq!(LayoutFolder::open(path).unwrap_err().to_string(), message);
        let file = path.join("notes.txt");
        let message = format!("`{}` is neither empty nor an OCI layout", file.display());
        assert_eq!(LayoutFolder::open(&file).unwrap_err().to_string(), message);
        fs::write(path.join(LAYOUT_FILE), "{}").unwrap();
        let error = LayoutFolder::open(path).unwrap_err().to_string();
        assert!(error.starts_with("cannot add to the layout"), "{error}");
        assert_eq!(fs::read_dir(path).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_that_was_new_leaves_nothing_when_it_is_not_finished() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let layout = LayoutFolder::open(&path).unwrap();
        layout.add_blob(&image(b"blob"), &b"blob"[..]).unwrap();
        layout.add_document(&Digest::of(b"{}"), &Bytes::from_static(b"{}")).unwrap();
        drop(layout);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);

        fs::create_dir(parent.path().join("empty")).unwrap();
        drop(LayoutFolder::open(&parent.path().join("empty")).unwrap());
        assert_eq!(fs::read_dir(parent.path().join("empty")).unwrap().count(), 0);
    }

    #[test]
    fn a_blob_that_is_not_what_it_should_be_is_not_added() {
        let folder = tempfile::tempdir().unwrap();
        let layout = LayoutFolder::open(folder.path()).unwrap();
        let error = layout.add_blob(&image(b"blob"), &b"bl0b"[..]).unwrap_err();
        assert!(error.downcast_ref::<StoreError>().is_some(), "{error}");
        assert!(!layout.has(&image(b"blob")).unwrap());
    }

    #[test]
    fn writers_at_once_lose_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    let content = format!("{number}");
                    let layout = LayoutFolder::open(path).unwrap();
                    layout.add_blob(&image(content.as_bytes()), content.as_bytes()).unwrap();
                    layout.list(&image(content.as_bytes()), &[content]).unwrap();
                });
            }
        });
        let mut names: Vec<_> = listed(&path).into_iter().filter_map(|(_, name)| name).collect();
        names.sort();
        assert_eq!(names, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    }
}
