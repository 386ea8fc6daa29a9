//! Locks on folders, and a folder that is made to be locked.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How often a folder that others clean up at the same time is made again.
const MAX_ATTEMPTS: usize = 100;

/// Makes the folder and locks it, shared. `made` gets the folders that were not there.
///
/// Somebody who cleans up may remove the folder between the one and the other: the lock is then on
/// a folder that nobody finds any more.
pub(super) fn make_and_share(path: &Path, made: &mut Vec<PathBuf>) -> io::Result<Option<File>> {
    let mut attempt = 1;
    loop {
        let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let missing: Vec<_> = path.ancestors().take_while(is_new).map(Path::to_owned).collect();
        // Both begin with the folder itself, so the longer one has all of the shorter one.
        if missing.len() > made.len() {
            *made = missing;
        }
        let locked = fs::create_dir_all(path).and_then(|()| lock(path, Lock::Shared));
        let is_gone = match &locked {
            Ok(Some(session)) => !is_at(session, path),
            Ok(None) => false,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_gone || attempt == MAX_ATTEMPTS {
            return locked;
        }
        attempt += 1;
    }
}

/// Who else may have a lock at the same time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lock {
    Shared,
    Exclusive,
}

/// Waits for a lock on a folder. No extra file lies in the layout, and a lock goes with the process.
/// `None` on a file system without locks: of two writers at once the last wins, and what failed is
/// not cleaned up.
#[cfg(unix)]
pub(super) fn lock(folder: &Path, lock: Lock) -> io::Result<Option<File>> {
    let file = File::open(folder)?;
    let locked = match lock {
        Lock::Shared => file.lock_shared(),
        Lock::Exclusive => file.lock(),
    };
    match locked {
        Ok(()) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(error),
    }
}

/// See the Unix version: elsewhere a folder cannot be locked.
#[cfg(not(unix))]
pub(super) fn lock(_folder: &Path, _lock: Lock) -> io::Result<Option<File>> {
    Ok(None)
}

/// Whether the open folder is still the one with this path.
#[cfg(unix)]
fn is_at(folder: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (folder.metadata(), fs::metadata(path)) {
        (Ok(own), Ok(named)) => identity(own) == identity(named),
        _ => false,
    }
}

/// See [`lock`]: elsewhere there is no such folder.
#[cfg(not(unix))]
fn is_at(_folder: &File, _path: &Path) -> bool {
    true
}
