//! A layout on disk that an image is added to (image-spec, image-layout.md).
//!
//! Blobs come first, each in whole or not at all; the index is replaced last, by a rename. So a
//! reader sees the image or does not, and several writers may be at work in one folder. Two locks,
//! which go with the process, keep them from each other:
//!
//! * on the folder itself, shared, from the beginning of a session to its end. A folder that was
//!   new and got no index is cleaned up by whoever then has it alone: another session may count on
//!   blobs that it found there.
//! * on `blobs`, exclusive, while the index is replaced.
//!
//! A killed process leaves blobs, temporary files, or an index without `oci-layout`: the next
//! session goes on from there.

mod lock;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use self::lock::{Lock, lock, make_and_share};
use super::PublishError;
use crate::error::Result;
use crate::oci::{Descriptor, Digest, Document, Index, MediaType};
use crate::store::layout::{INDEX_FILE, LAYOUT_FILE, Layout, REF_NAME};
use crate::store::{Store, StoreError, is_temporary_name};
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
    blobs: Mutex<Blobs>,
    /// The lock on the folder, shared; see the module.
    session: Option<File>,
}

/// The blobs of a session.
#[derive(Debug, Default)]
struct Blobs {
    /// What has to be there when the image is listed, with its size.
    needed: BTreeMap<Digest, u64>,
    /// What was not there before.
    written: BTreeSet<Digest>,
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
        let is_finished = names.iter().any(|name| name == LAYOUT_FILE);
        // What a killed process leaves.
        let is_ours = |name: &OsStr| {
            name == "blobs" || name == INDEX_FILE || is_temporary_name(&name.to_string_lossy())
        };
        if !is_finished && !names.iter().all(|name| is_ours(name)) {
            return Err(PublishError::Occupied { path: path.to_owned() });
        }
        match load_index(path) {
            Ok(_) => Ok(()),
            Err(_) if !is_finished => Err(PublishError::Occupied { path: path.to_owned() }),
            Err(error) => Err(error),
        }
    }

    /// Begins to write there.
    ///
    /// # Errors
    ///
    /// Those of [`LayoutFolder::check`], and [`PublishError::Write`].
    pub(super) fn open(path: &Path) -> Result<Self> {
        Self::check(path)?;
        let mut made: Vec<PathBuf> = Vec::new();
        let session = make_and_share(path, &mut made);
        let session = session.map_err(|source| cannot_write(path, source))?;
        // Nobody cleans up any more: what is there now stays.
        Self::check(path)?;
        let store = Store::open_output(path)?;
        Ok(Self { path: path.to_owned(), store, made, blobs: Mutex::default(), session })
    }

    /// Whether a blob is there already; a damaged one is removed.
    pub(super) fn has(&self, descriptor: &Descriptor) -> Result<bool> {
        let is_there = self.store.verify(descriptor)?;
        if is_there {
            self.with_blobs(|blobs| blobs.needed.insert(descriptor.digest, descriptor.size));
        }
        Ok(is_there)
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
        self.with_blobs(|blobs| {
            blobs.written.insert(descriptor.digest);
            blobs.needed.insert(descriptor.digest, descriptor.size);
        });
        Ok(())
    }

    /// Writes a document.
    pub(super) fn add_document(&self, digest: &Digest, bytes: &Bytes) -> Result<()> {
        let is_new = !self.store.blob_path(digest).exists();
        self.with_blobs(|blobs| {
            if is_new {
                blobs.written.insert(*digest);
            }
            blobs.needed.insert(*digest, bytes.len() as u64);
        });
        self.store.put(bytes).map(drop)
    }

    /// Lists an image under these names; whatever had them before loses them. Without any name it
    /// takes the place of whatever has none.
    ///
    /// # Errors
    ///
    /// [`PublishError::Write`]; [`PublishError::ForeignLayout`] when somebody has broken the index
    /// in the meantime, and [`PublishError::MissingBlob`] when somebody has removed a blob.
    pub(super) fn list(&self, image: &Descriptor, names: &[String]) -> Result<(), PublishError> {
        let write = |name: &str, bytes: &[u8]| {
            let path = self.path.join(name);
            atomic_file::write(&path, bytes).map_err(|source| cannot_write(&path, source))
        };
        let lock = lock(&self.path.join("blobs"), Lock::Exclusive);
        let lock = lock.map_err(|source| cannot_write(&self.path, source))?;
        if let Some(digest) = self.missing() {
            let place = format!("`{}`", self.path.display());
            return Err(PublishError::MissingBlob { digest, place });
        }
        if lock.is_some() {
            self.sweep();
        }
        let index = load_index(&self.path)?.unwrap_or_else(|| Index::new(Vec::new()));
        let index = Document::write(add(index, image, names), MediaType::OciIndex);
        // In this order, a crash in between leaves no layout without an index.
        write(INDEX_FILE, &index.bytes)?;
        if self.path.join(LAYOUT_FILE).exists() {
            Ok(())
        } else {
            write(LAYOUT_FILE, LAYOUT_CONTENT)
        }
    }

    /// A blob that this session has counted on, and that is gone.
    fn missing(&self) -> Option<Digest> {
        let needed = self.with_blobs(|blobs| blobs.needed.clone());
        let is_missing = |(digest, size): &(Digest, u64)| {
            !self.store.has(&Descriptor::new(MediaType::parse(""), *digest, *size))
        };
        needed.into_iter().find(is_missing).map(|(digest, _)| digest)
    }

    /// Removes the temporary files of killed processes. To be called with a lock that keeps others
    /// from writing the index: every such file beside it then belongs to nobody.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if is_temporary_name(&entry.file_name().to_string_lossy()) {
                // Whatever stays does no harm, and the next session tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn with_blobs<T>(&self, work: impl FnOnce(&mut Blobs) -> T) -> T {
        work(&mut self.blobs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for LayoutFolder {
    /// Leaves nothing where nothing was, unless somebody else is at work there. Once there is an
    /// index, somebody may count on a blob.
    fn drop(&mut self) {
        let is_alone = self.session.as_ref().is_some_and(|session| session.try_lock().is_ok());
        if !is_alone || self.path.join(INDEX_FILE).exists() {
            return;
        }
        let written = self.with_blobs(|blobs| std::mem::take(&mut blobs.written));
        for digest in &written {
            let _ = fs::remove_file(self.store.blob_path(digest));
        }
        self.sweep();
        // A folder that is not empty stays.
        let blobs = self.path.join("blobs");
        for folder in [&blobs.join("sha256"), &blobs].into_iter().chain(&self.made) {
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }
}

/// The index of a layout, or what a killed process left of one.
fn load_index(path: &Path) -> Result<Option<Index>, PublishError> {
    Layout::load_for_writing(path).map_err(|error| PublishError::ForeignLayout {
        path: path.to_owned(),
        reason: error.to_string(),
    })
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
    fn a_session_that_fails_takes_nothing_from_one_that_goes_on() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        let failing = LayoutFolder::open(&path).unwrap();
        failing.add_blob(&image(b"shared"), &b"shared"[..]).unwrap();
        let other = LayoutFolder::open(&path).unwrap();
        assert!(other.has(&image(b"shared")).unwrap());
        drop(failing);
        other.list(&image(b"shared"), &[]).unwrap();
        drop(other);
        let layout = Layout::load(&path).unwrap();
        layout.verify(&image(b"shared")).unwrap();
    }

    #[test]
    fn the_last_of_several_that_fail_cleans_up() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        let sessions = [(); 3].map(|()| LayoutFolder::open(&path).unwrap());
        let [first, ..] = &sessions;
        fs::write(path.join(".dockless-killed.tmp"), "x").unwrap();
        first.add_document(&Digest::of(b"{}"), &Bytes::from_static(b"{}")).unwrap();
        // The first one made the folder, and goes last.
        sessions.into_iter().rev().for_each(drop);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_image_whose_blob_somebody_removed_is_not_listed() {
        let folder = tempfile::tempdir().unwrap();
        let layout = LayoutFolder::open(folder.path()).unwrap();
        layout.add_blob(&image(b"blob"), &b"blob"[..]).unwrap();
        fs::remove_file(layout.store.blob_path(&Digest::of(b"blob"))).unwrap();
        let error = layout.list(&image(b"image"), &[]).unwrap_err().to_string();
        let place = folder.path().display();
        assert_eq!(
            error,
            format!("blob `{}` is gone from `{place}`, or damaged", Digest::of(b"blob"))
        );
        assert!(!folder.path().join(INDEX_FILE).exists());
    }

    #[test]
    fn goes_on_from_what_a_killed_process_left() {
        let (index, leftover) =
            (Document::write(Index::new(vec![image(b"1")]), MediaType::OciIndex), "x");
        let index = std::str::from_utf8(&index.bytes).unwrap();
        let cases: [(&[(&str, &str)], usize); 5] = [
            (&[], 1),
            (&[(".dockless-a1b2.tmp", leftover)], 1),
            (&[(INDEX_FILE, index)], 2),
            (&[(INDEX_FILE, index), (".dockless-a1b2.tmp", leftover)], 2),
            (&[(INDEX_FILE, index), (LAYOUT_FILE, r#"{"imageLayoutVersion":"1.0.0"}"#)], 2),
        ];
        for (files, count) in cases {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path();
            fs::create_dir_all(path.join("blobs/sha256")).unwrap();
            for (name, content) in files {
                fs::write(path.join(name), content).unwrap();
            }
            LayoutFolder::check(path).unwrap();
            LayoutFolder::open(path).unwrap().list(&image(b"2"), &["v2".into()]).unwrap();
            assert_eq!(listed(path).len(), count, "{files:?}");
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["blobs", INDEX_FILE, LAYOUT_FILE], "{files:?}");
        }
    }

    #[test]
    fn an_index_of_something_else_is_refused() {
        for content in ["{}", r#"{"schemaVersion":2}"#, "<html>"] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(INDEX_FILE), content).unwrap();
            let error = LayoutFolder::open(folder.path()).unwrap_err();
            let error = error.downcast_ref::<PublishError>();
            assert!(matches!(error, Some(PublishError::Occupied { .. })), "{error:?}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn first_writers_at_once_are_all_served() {
        for round in 0..20 {
            let parent = tempfile::tempdir().unwrap();
            let path = parent.path().join("a/out");
            std::thread::scope(|scope| {
                for number in 0..8 {
                    let path = &path;
                    scope.spawn(move || {
                        let layout = LayoutFolder::open(path).unwrap();
                        let content = format!("{}", number % 4);
                        if !layout.has(&image(content.as_bytes())).unwrap() {
                            layout
                                .add_blob(&image(content.as_bytes()), content.as_bytes())
                                .unwrap();
                        }
                        if number >= 4 {
                            layout.list(&image(content.as_bytes()), &[content]).unwrap();
                        }
                    });
                }
            });
            let layout = Layout::load(&path).unwrap();
            assert_eq!(layout.index().manifests.len(), 4, "round {round}");
            for image in &layout.index().manifests {
                layout.verify(image).unwrap();
            }
        }
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
