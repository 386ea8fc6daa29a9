//! What lies in a cache, and when it was used last.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Access, Store, StoreError, is_temporary_name};
use crate::error::Result;
use crate::sys::{Clock as _, SystemClock};

/// A use is written down at most this often, so that builds write no more than they must.
pub(super) const MARK_EVERY: Duration = Duration::from_mins(10);

/// A file of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub kind: CacheFileKind,
    /// Its size.
    pub size_bytes: u64,
    /// When it was used last, at most ten minutes too early; for temporary files, when it was written.
    pub used: SystemTime,
}

/// What a file of a cache is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheFileKind {
    /// A layer or a document.
    Blob,
    /// A record of this kind.
    Record(String),
    /// Something that is being written, or that a killed process left.
    Temporary,
}

/// How many files, and how many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub files: u64,
    /// Their size.
    pub size_bytes: u64,
}

/// What is in a cache, or what was taken out of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Layers and documents.
    pub blobs: Tally,
    /// Records by their kind.
    pub records: BTreeMap<String, Tally>,
    /// Temporary files.
    pub temporary: Tally,
}

impl Tally {
    fn add(&mut self, size_bytes: u64) {
        self.files += 1;
        self.size_bytes += size_bytes;
    }
}

impl Usage {
    /// Counts files.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a CacheFile>) -> Self {
        let mut usage = Self::default();
        for CacheFile { kind, size_bytes, .. } in files {
            match kind {
                CacheFileKind::Blob => usage.blobs.add(*size_bytes),
                CacheFileKind::Record(kind) => {
                    usage.records.entry(kind.clone()).or_default().add(*size_bytes);
                }
                CacheFileKind::Temporary => usage.temporary.add(*size_bytes),
            }
        }
        usage
    }

    /// Everything.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for tally in self.records.values().chain([&self.blobs, &self.temporary]) {
            total.files += tally.files;
            total.size_bytes += tally.size_bytes;
        }
        total
    }
}

impl Store {
    /// Writes down that a file of the cache is used, in its time of modification. Best effort: at worst it
    /// is removed sooner, and made again.
    pub(super) fn mark_used(&self, path: &Path) {
        // What lies elsewhere is the user's, times included.
        if self.is_output || !matches!(self.access, Access::Full) {
            return;
        }
        let now =
            SystemTime::UNIX_EPOCH + Duration::from_secs(SystemClock.unix_seconds().unsigned_abs());
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| now.duration_since(modified).ok());
        if age.is_some_and(|age| age >= MARK_EVERY) {
            let _ = File::open(path).and_then(|file| file.set_modified(now));
        }
    }
}

/// Lists the files of the cache in this folder; nothing where there is none. Whatever is not called like a
/// file of ours is left out.
///
/// # Errors
///
/// [`StoreError::Read`] when a folder of it cannot be read.
pub fn cache_files(root: &Path) -> Result<Vec<CacheFile>> {
    let mut files = Vec::new();
    // What a link leads to is somebody else's.
    let own = |folder: &Path| !folder.is_symlink();
    let (blobs, records) = (root.join("blobs"), root.join("records"));
    let blobs = Some(blobs.join("sha256")).filter(|folder| own(&blobs) && own(folder));
    for entry in blobs.map_or_else(|| Ok(Vec::new()), |folder| entries(&folder))? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_blob_name(&name) || is_temporary_name(&name) {
            files.extend(cache_file(&entry, &name, CacheFileKind::Blob));
        }
    }
    let kinds = if own(&records) { entries(&records)? } else { Vec::new() };
    for folder in kinds {
        if !folder.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let kind = folder.file_name().to_string_lossy().into_owned();
        for entry in entries(&folder.path())? {
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_blob_name(&name) || is_temporary_name(&name) {
                files.extend(cache_file(&entry, &name, CacheFileKind::Record(kind.clone())));
            }
        }
    }
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let unreadable = |source| StoreError::Read { path: folder.to_owned(), source };
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect::<io::Result<_>>().map_err(unreadable),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(unreadable(error)),
    }
}

/// A regular file; what another process has just removed is not there.
fn cache_file(entry: &DirEntry, name: &str, kind: CacheFileKind) -> Option<CacheFile> {
    let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
    let kind = if is_temporary_name(name) { CacheFileKind::Temporary } else { kind };
    let (size_bytes, used) = (metadata.len(), metadata.modified().ok()?);
    Some(CacheFile { path: entry.path(), kind, size_bytes, used })
}

fn is_blob_name(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Descriptor, Digest, MediaType};

    #[test]
    fn a_use_is_written_down_and_not_all_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let digest = store.put(b"blob").unwrap();
        let key = Digest::of(b"key");
        store.put_record("facts", &key, &"fact");
        let blob = Descriptor::of(MediaType::OciLayer, b"blob");
        let record = folder.path().join("records/facts").join(key.hex());
        let paths = [store.blob_path(&digest), record];
        let modified = |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap();
        let set = |time| {
            for path in &paths {
                File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
            }
        };
        let use_both = |store: &Store| {
            assert!(store.open_blob(&blob).unwrap().is_some());
            assert_eq!(store.record::<String>("facts", &key).as_deref(), Some("fact"));
        };
        let now = SystemTime::now();
        let (long_ago, just_now) = (SystemTime::UNIX_EPOCH, now - Duration::from_mins(5));

        set(just_now);
        use_both(&store);
        assert_eq!(paths.each_ref().map(modified), [just_now; 2]);
        set(long_ago);
        use_both(&Store::read_only(folder.path()));
        use_both(&Store::open_output(folder.path()).unwrap());
        assert_eq!(paths.each_ref().map(modified), [long_ago; 2]);
        use_both(&store);
        assert!(paths.iter().all(|path| modified(path) >= now - Duration::from_secs(2)));
    }

    #[test]
    fn only_files_of_ours_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(cache_files(&folder.path().join("none")).unwrap(), []);
        let store = Store::open(folder.path()).unwrap();
        let blob = store.blob_path(&store.put(b"blob").unwrap());
        let key = "0".repeat(64);
        let (facts, files) = (format!("records/facts-2/{key}"), format!("records/files/{key}"));
        for (path, content) in [
            ("blobs/sha256/notes.txt", "mine"),
            ("blobs/sha256/.dockless-1.tmp", "half"),
            (facts.as_str(), "{}"),
            (files.as_str(), "binary"),
            ("records/photos/a.jpg", "mine"),
            ("records/files/.dockless-2.tmp", ""),
            ("records/stray", "mine"),
            ("else/c", "mine"),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(&blob, folder.path().join("records/files").join("1".repeat(64)))
            .unwrap();
        let tally = |files, size_bytes| Tally { files, size_bytes };
        let usage = Usage::of(&cache_files(folder.path()).unwrap());
        assert_eq!(
            usage,
            Usage {
                blobs: tally(1, 4),
                records: [("facts-2".into(), tally(1, 2)), ("files".into(), tally(1, 6))].into(),
                temporary: tally(2, 4),
            }
        );
        assert_eq!(usage.total(), tally(5, 16));
    }

    #[cfg(unix)]
    #[test]
    fn what_a_link_leads_to_is_left_alone() {
        let (real, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(real.path()).unwrap();
        store.put(b"blob").unwrap();
        store.put_record("facts", &Digest::of(b"key"), &"fact");
        for name in ["blobs", "records"] {
            std::os::unix::fs::symlink(real.path().join(name), cache.path().join(name)).unwrap();
        }
        assert_eq!(cache_files(real.path()).unwrap().len(), 2);
        assert_eq!(cache_files(cache.path()).unwrap(), []);
    }
}
