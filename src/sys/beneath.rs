//! Opens files below a folder without ever following a symbolic link (L21).

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens `relative` (parts joined by `/`, no `.` or `..`) below `root` for reading.
///
/// On Unix every step is opened relative to the one before and with `O_NOFOLLOW`, so that a link
/// that is swapped in during the walk is refused, never followed; `O_NONBLOCK` keeps a FIFO from
/// hanging us. Elsewhere the path is checked for links before it is opened.
///
/// Linux walks the whole path in one call where it knows how to.
#[cfg(unix)]
pub fn open(root: &Path, relative: &str) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};

    let parts = parts(relative)?;
    let root = openat(CWD, root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if parts.is_empty() {
        return Ok(File::from(root));
    }
    #[cfg(target_os = "linux")]
    if let Some(opened) = open_at_once(&root, &parts.join("/")) {
        return opened;
    }
    open_by_steps(root, &parts)
}

/// `None` where the kernel, or a filter in front of it, does not know the call (before Linux 5.6).
#[cfg(target_os = "linux")]
fn open_at_once(root: &std::os::fd::OwnedFd, relative: &str) -> Option<io::Result<File>> {
    use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;

    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(root, relative, flags, Mode::empty(), resolve) {
        Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => None,
        opened => Some(opened.map(File::from).map_err(io::Error::from)),
    }
}

#[cfg(unix)]
fn open_by_steps(root: std::os::fd::OwnedFd, parts: &[&str]) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, openat};

    let step = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let mut opened = root;
    for (number, part) in parts.iter().enumerate() {
        let is_last = number + 1 == parts.len();
        let flags = step | if is_last { OFlags::NONBLOCK } else { OFlags::DIRECTORY };
        opened = openat(&opened, *part, flags, Mode::empty())?;
    }
    Ok(File::from(opened))
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

        for path in ["real/file", "real//file"] {
            let mut text = String::new();
            open(root.path(), path).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "x");
        }
        for path in ["folder/file", "real/link", "../x", "/etc/passwd", "real/../real/file"] {
            assert!(open(root.path(), path).is_err(), "{path}");
        }
    }

    #[test]
    fn steps_lead_where_one_call_leads() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::fs::write(root.path().join("a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink("a", root.path().join("link")).unwrap();
        std::os::unix::fs::symlink("b/file", root.path().join("a/link")).unwrap();
        for (path, is_there) in [
            ("a/b/file", true),
            ("a/b", true),
            ("a/gone", false),
            ("a/b/file/x", false),
            ("link/b/file", false),
            ("a/link", false),
        ] {
            let root = File::open(root.path()).unwrap();
            let steps = open_by_steps(root.into(), &parts(path).unwrap());
            assert_eq!(steps.is_ok(), is_there, "{path}");
        }
        for path in ["a/b/file", "a/b", "a/gone", "a/b/file/x", "link/b/file", "a/link", ""] {
            assert_eq!(open(root.path(), path).is_ok(), matches!(path, "a/b/file" | "a/b" | ""));
        }
    }
}
