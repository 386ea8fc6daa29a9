//! Content-addressed blobs on disk: the cache, and what an OCI layout holds.
//!
//! Start reading at [`Store`]. Two rules carry the rest:
//!
//! * **A name is a promise.** A blob appears under its digest only when all its bytes are on the
//!   disk: written to a temporary file in the same folder, synced, renamed, the folder synced. So
//!   its size alone says that it is whole, after a crash too, and several processes may share a
//!   store without a lock. What a killed process left is swept a day later.
//! * **A promise can rot.** Size is checked whenever a blob is opened; the digest where the bytes
//!   are used ([`Store::read`], [`Store::verify`], or the receiver of an upload). A damaged blob
//!   is removed with a warning, and whoever needs it makes it again.
//!
//! When a file of the cache was used last stands in its time of modification: `usage.rs` writes it down,
//! `prune.rs` removes what was not used for longest.
//!
//! The sync is not skipped for the cache: a blob is written only when it is new, and to find out
//! whether a blob survived a crash without one, every use would have to hash it.

mod blob_writer;
mod error;
pub mod layout;
mod prune;
mod record;
mod usage;

pub use blob_writer::BlobWriter;
pub use error::StoreError;
pub use prune::{PrunePolicy, Pruned, prune};
pub use usage::{CacheFile, CacheFileKind, Tally, Usage, cache_files};

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tempfile::{NamedTempFile, TempDir};

use crate::error::Result;
use crate::event::Events;
use crate::oci::{Descriptor, Digest, Digester};
use crate::sys::{Clock as _, SystemClock, atomic_file};

/// Temporary files older than this belong to nobody.
const LEFTOVER_AGE: Duration = Duration::from_hours(24);

/// How every temporary file of ours begins, those of [`atomic_file`] too.
const TEMPORARY_PREFIX: &str = ".dockless-";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// Marks the folder of a cache: for us, who remove things in no other, and for programs that make copies
/// of disks (the Cache Directory Tagging Specification).
pub const CACHE_TAG: &str = "CACHEDIR.TAG";

/// What stands in it.
const CACHE_TAG_CONTENT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This is the cache of dockless. What is removed here is made or fetched again.\n";

/// A folder of blobs, `blobs/sha256/<hex>`, and of small records beside them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    access: Access,
    /// Whether the user named this very folder for an image, so that no other would do.
    is_output: bool,
    events: Events,
    /// What this process has written.
    written: Arc<Mutex<BTreeSet<Digest>>>,
}

#[derive(Debug, Clone)]
enum Access {
    /// Ours to write and to clean.
    Full,
    /// As [`Access::Full`], and removed with its last user.
    Temporary(
        #[expect(dead_code, reason = "it is held for what it does when dropped")] Arc<TempDir>,
    ),
    /// Somebody's folder: read, never changed.
    ReadOnly,
}

impl Store {
    /// Opens the store in this folder, making it where it is missing, and sweeps old leftovers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`] when the folder cannot be made or written; a caller that only
    /// wants a cache goes on with [`Store::temporary`].
    pub fn open(root: &Path) -> Result<Self> {
        Self::open_as(root, false)
    }

    /// As [`Store::open`], for the folder of an image that the user wants there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`] when the folder cannot be made or written.
    pub fn open_output(root: &Path) -> Result<Self> {
        Self::open_as(root, true)
    }

    fn open_as(root: &Path, is_output: bool) -> Result<Self> {
        let (root, access, events) = (root.to_owned(), Access::Full, Events::none());
        let written = Arc::default();
        let store = Self { root, access, is_output, events, written };
        store.prepare().map_err(|source| StoreError::Unusable {
            path: store.root.clone(),
            is_output,
            source,
        })?;
        if !is_output && !store.root.join(CACHE_TAG).exists() {
            // Without it nothing is pruned; everything else goes on.
            let tag = store.root.join(CACHE_TAG);
            let _ = atomic_file::write_unsynced(&tag, CACHE_TAG_CONTENT.as_bytes());
        }
        let now = SystemClock.unix_seconds();
        store.sweep(SystemTime::UNIX_EPOCH + Duration::from_secs(now.unsigned_abs()));
        Ok(store)
    }

    /// Makes a store in the system's folder for temporary files; it goes with its last clone.
    pub fn temporary() -> Result<Self> {
        let is_output = false;
        let unusable =
            |source| StoreError::Unusable { path: std::env::temp_dir(), is_output, source };
        let folder = tempfile::Builder::new().prefix("dockless-").tempdir().map_err(unusable)?;
        let root = folder.path().to_owned();
        let access = Access::Temporary(Arc::new(folder));
        let (events, written) = (Events::none(), Arc::default());
        let store = Self { root, access, is_output, events, written };
        store.prepare().map_err(unusable)?;
        Ok(store)
    }

    /// Reads a store that belongs to somebody else, for instance a layout given by the user:
    /// nothing in it is made, swept or removed. Writing to it is an error.
    pub fn read_only(root: &Path) -> Self {
        let (root, access, events) = (root.to_owned(), Access::ReadOnly, Events::none());
        Self { root, access, is_output: false, events, written: Arc::default() }
    }

    /// Sends the warnings about damaged blobs (`damaged-blob`) there.
    pub fn with_events(mut self, events: &Events) -> Self {
        self.events = events.clone();
        self
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the store is removed when the process ends.
    pub fn is_temporary(&self) -> bool {
        matches!(self.access, Access::Temporary(_))
    }

    /// Where a blob lies or would lie.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blob_folder().join(digest.hex())
    }

    /// Whether the blob is there with the right size.
    pub fn has(&self, descriptor: &Descriptor) -> bool {
        fs::metadata(self.blob_path(&descriptor.digest))
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == descriptor.size)
    }

    /// Whether this process has written the blob or found it whole: it had no time to rot.
    pub fn has_written(&self, digest: &Digest) -> bool {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    /// Opens a blob whose size is right; `None` when it is not there.
    ///
    /// One of another size is removed, and not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Read`] when it is there and cannot be opened.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<Option<File>> {
        let path = self.blob_path(&descriptor.digest);
        let unreadable = |source| StoreError::Read { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error).into()),
        };
        if file.metadata().map_err(unreadable)?.len() != descriptor.size {
            self.evict(&descriptor.digest, "its size is wrong");
            return Ok(None);
        }
        self.mark_used(&path);
        Ok(Some(file))
    }

    /// Reads a small blob whole and checks its digest; a damaged one is removed and `None`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Read`] when it is there and cannot be read.
    pub fn read(&self, descriptor: &Descriptor) -> Result<Option<Bytes>> {
        let Some(file) = self.open_blob(descriptor)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(descriptor.size.saturating_add(1)).read_to_end(&mut bytes).map_err(|source| {
            StoreError::Read { path: self.blob_path(&descriptor.digest), source }
        })?;
        if Digest::of(&bytes) != descriptor.digest {
            self.evict(&descriptor.digest, "its content is not what its name says");
            return Ok(None);
        }
        Ok(Some(bytes.into()))
    }

    /// Hashes a stored blob; a damaged one is removed and the answer is `false`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Read`] when it is there and cannot be read.
    pub fn verify(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.open_verified(descriptor)?.is_some())
    }

    /// Opens a blob after hashing it, at its beginning; a damaged one is removed and `None`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Read`] when it is there and cannot be read.
    pub fn open_verified(&self, descriptor: &Descriptor) -> Result<Option<File>> {
        let Some(mut file) = self.open_blob(descriptor)? else { return Ok(None) };
        let digest = digest_of(&mut file).and_then(|digest| file.rewind().map(|()| digest));
        let digest = digest.map_err(|source| StoreError::Read {
            path: self.blob_path(&descriptor.digest),
            source,
        })?;
        if digest != descriptor.digest {
            self.evict(&descriptor.digest, "its content is not what its name says");
            return Ok(None);
        }
        Ok(Some(file))
    }

    /// Begins a blob.
    ///
    /// # Errors
    ///
    /// [`StoreError::Write`] when the store cannot be written.
    pub fn writer(&self) -> Result<BlobWriter> {
        BlobWriter::new(self.clone())
    }

    /// Puts bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Write`] when the store cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let mut writer = self.writer()?;
        writer.append(bytes)?;
        Ok(writer.finish()?.0)
    }

    fn blob_folder(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }

    /// Makes the folders, and makes sure that a file can be written there.
    fn prepare(&self) -> io::Result<()> {
        fs::create_dir_all(self.blob_folder())?;
        temporary_file(&self.blob_folder()).map(drop)
    }

    /// Removes temporary files that are too old to belong to a running process.
    ///
    /// Failing to is no failure: another process may be sweeping, and the next one tries again.
    fn sweep(&self, now: SystemTime) {
        let records = fs::read_dir(self.root.join("records")).into_iter().flatten().flatten();
        let folders = std::iter::once(self.blob_folder()).chain(records.map(|entry| entry.path()));
        for entry in folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten() {
            let age = entry.metadata().and_then(|metadata| metadata.modified());
            let age = age.ok().and_then(|modified| now.duration_since(modified).ok());
            let is_temporary = is_temporary_name(&entry.file_name().to_string_lossy());
            if is_temporary && age.is_some_and(|age| age > LEFTOVER_AGE) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Removes a damaged blob, so that it is made again, and says so.
    fn evict(&self, digest: &Digest, reason: &str) {
        let path = self.blob_path(digest);
        let fate = match &self.access {
            Access::ReadOnly => "it is not used",
            // When it cannot be removed it is found damaged again: that wastes time, nothing else.
            Access::Full | Access::Temporary(_) => match fs::remove_file(&path) {
                Ok(()) => "it was removed",
                Err(_) => "it is not used",
            },
        };
        let text = format!("blob `{}` is damaged: {reason}; {fate}", path.display());
        self.events.warn("damaged-blob", text, None);
    }
}

/// Whether a file is called like the temporary files of ours.
pub fn is_temporary_name(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)
}

/// A file that is removed unless it is renamed; with the permissions of any new file.
fn temporary_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX).suffix(TEMPORARY_SUFFIX);
    // Private is the default; but the blobs of a layout are for everybody, less the umask.
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666))
    };
    builder.tempfile_in(folder)
}

fn digest_of(file: &mut File) -> io::Result<Digest> {
    let mut digester = Digester::default();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(digester.finish()),
            Ok(count) => digester.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
