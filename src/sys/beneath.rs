//! Opens files below a folder without ever following a symbolic link (L21).

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens `relative` (parts joined by `/`, no `.` or `..`) below `root` for reading.
///
/// On Unix every step is opened relative to the one before and with `O_NOFOLLOW`, so that a link
/// that is swapped in during the walk is refused, never followed; `O_NONBLOCK` keeps a FIFO from
/// hanging us. Elsewhere the path is checked for links before it is opened.
#[cfg(unix)]
pub fn open(root: &Path, relative: &str) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};

    let step = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let mut directory = openat(CWD, root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut parts = parts(relative)?.into_iter().peekable();
    while let Some(part) = parts.next() {
        let flags =
            if parts.peek().is_some() { step | OFlags::DIRECTORY } else { step | OFlags::NONBLOCK };
        let opened = openat(&directory, part, flags, Mode::empty())?;
        if parts.peek().is_none() {
            return Ok(File::from(opened));
        }
        directory = opened;
    }
    Ok(File::from(directory))
}

/// See the Unix version.
#[cfg(not(unix))]
pub fn open(root: &Path, relative: &str) -> io::Result<File> {
    let mut path = root.to_path_buf();
    for part in parts(relative)? {
        path.push(part);
        if std::fs::symlink_metadata(&path)?.file_type().is_symlink() {
            return Err(io::Error::other("it is a symbolic link"));
        }
    }
    File::open(path)
}

fn parts(relative: &str) -> io::Result<Vec<&str>> {
    let parts: Vec<_> = relative.split('/').filter(|part| !part.is_empty()).collect();
    if relative.starts_with('/') || parts.iter().any(|part| matches!(*part, "." | "..")) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leaves its folder"));
    }
    Ok(parts)
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn never_follows_a_link_at_any_step() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("real")).unwrap();
        std::fs::write(root.path().join("real/file"), "x").unwrap();
        std::os::unix::fs::symlink("real", root.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("file", root.path().join("real/link")).unwrap();

        let mut text = String::new();
        open(root.path(), "real/file").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
        for path in ["folder/file", "real/link", "../x", "/etc/passwd", "real/../real/file"] {
            assert!(open(root.path(), path).is_err(), "{path}");
        }
    }
}
