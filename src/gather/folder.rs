//! One open folder: its names, what they are, and opening them without following a link.
//!
//! On Unix everything is asked of the open folder, so that a name swapped for a link in the
//! meantime is noticed and never followed (L17, L21). Elsewhere the path is looked at first.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    /// The name.
    pub(super) text: OsString,
    /// Whether the folder says that it stands for a regular file. Not all file systems say so.
    pub(super) is_file: bool,
}

/// What a name stands for, the link itself when it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// What it is.
    pub(super) kind: LookKind,
    /// Its permission bits (`0o7777`); those of a file are known when it is open.
    pub(super) mode: u32,
}

impl Look {
    /// A file of which only its folder was asked.
    pub(super) const FILE: Self = Self { kind: LookKind::File, mode: 0 };
}

/// What a name can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookKind {
    /// A folder.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// Something that cannot be in an image, with a name for it.
    Special(&'static str),
}

#[cfg(unix)]
pub(super) use unix::{Folder, mode_of};

#[cfg(not(unix))]
pub(super) use portable::{Folder, mode_of};

#[cfg(unix)]
mod unix {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    use std::os::unix::fs::MetadataExt as _;

    use rustix::fs::{
        AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat,
    };

    use super::{File, Look, LookKind, Metadata, Name, OsStr, OsString, Path, io};
    use crate::sys::beneath;

    /// An open folder.
    #[derive(Debug)]
    pub(in super::super) struct Folder(File);

    impl Folder {
        /// Opens a folder below `root`; the empty path is `root` itself.
        pub(in super::super) fn open(root: &Path, relative: &str) -> io::Result<Self> {
            beneath::open(root, relative).map(Self)
        }

        /// The names in it, in no order.
        pub(in super::super) fn names(&self) -> io::Result<Vec<Name>> {
            let mut names = Vec::new();
            // Not `read_from`: it opens the folder anew, which takes the right to search it.
            for entry in Dir::new(self.0.try_clone()?)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if name != b"." && name != b".." {
                    let text = OsStr::from_bytes(name).to_owned();
                    let is_file = entry.file_type() == FileType::RegularFile;
                    names.push(Name { text, is_file });
                }
            }
            Ok(names)
        }

        /// What the folder itself is.
        pub(in super::super) fn look_at_itself(&self) -> io::Result<Look> {
            Ok(look(&fstat(&self.0)?))
        }

        /// What a name in it stands for.
        pub(in super::super) fn look(&self, name: &OsStr) -> io::Result<Look> {
            Ok(look(&statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
        }

        /// The target of a link in it.
        pub(in super::super) fn read_link(&self, name: &OsStr) -> io::Result<OsString> {
            Ok(OsString::from_vec(readlinkat(&self.0, name, Vec::new())?.into_bytes()))
        }

        /// Opens a file in it. A FIFO that was swapped in does not hang us: `O_NONBLOCK`.
        pub(in super::super) fn open_file(&self, name: &OsStr) -> io::Result<File> {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            Ok(File::from(openat(&self.0, name, flags, Mode::empty())?))
        }
    }

    /// The permission bits of an open file.
    pub(in super::super) fn mode_of(metadata: &Metadata) -> u32 {
        metadata.mode() & 0o7777
    }

    fn look(stat: &Stat) -> Look {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => LookKind::Directory,
            FileType::RegularFile => LookKind::File,
            FileType::Symlink => LookKind::Symlink,
            FileType::Fifo => LookKind::Special("FIFO"),
            FileType::Socket => LookKind::Special("socket"),
            FileType::CharacterDevice | FileType::BlockDevice => LookKind::Special("device"),
            FileType::Unknown => LookKind::Special("file of an unknown kind"),
        };
        #[cfg_attr(
            target_os = "linux",
            expect(clippy::useless_conversion, reason = "`mode_t` has 16 bits on macOS")
        )]
        Look { kind, mode: u32::from(stat.st_mode) & 0o7777 }
    }
}

#[cfg(not(unix))]
mod portable {
    use std::fs;
    use std::path::PathBuf;

    use super::{File, Look, LookKind, Metadata, Name, OsStr, OsString, Path, io};

    /// A folder, by its path.
    #[derive(Debug)]
    pub(in super::super) struct Folder(PathBuf);

    impl Folder {
        /// See the Unix version.
        pub(in super::super) fn open(root: &Path, relative: &str) -> io::Result<Self> {
            let mut path = root.to_path_buf();
            for part in relative.split('/').filter(|part| !part.is_empty()) {
                path.push(part);
                if !fs::symlink_metadata(&path)?.is_dir() {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
            }
            Ok(Self(path))
        }

        /// See the Unix version.
        pub(in super::super) fn names(&self) -> io::Result<Vec<Name>> {
            let name = |entry: fs::DirEntry| Name {
                is_file: entry.file_type().is_ok_and(|kind| kind.is_file()),
                text: entry.file_name(),
            };
            fs::read_dir(&self.0)?.map(|entry| Ok(name(entry?))).collect()
        }

        /// See the Unix version.
        pub(in super::super) fn look_at_itself(&self) -> io::Result<Look> {
            Ok(look(&fs::symlink_metadata(&self.0)?))
        }

        /// See the Unix version.
        pub(in super::super) fn look(&self, name: &OsStr) -> io::Result<Look> {
            Ok(look(&fs::symlink_metadata(self.0.join(name))?))
        }

        /// See the Unix version.
        pub(in super::super) fn read_link(&self, name: &OsStr) -> io::Result<OsString> {
            Ok(fs::read_link(self.0.join(name))?.into_os_string())
        }

        /// See the Unix version.
        pub(in super::super) fn open_file(&self, name: &OsStr) -> io::Result<File> {
            let path = self.0.join(name);
            if !fs::symlink_metadata(&path)?.is_file() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            File::open(path)
        }
    }

    /// See the Unix version.
    pub(in super::super) fn mode_of(_metadata: &Metadata) -> u32 {
        0o644
    }

    fn look(metadata: &Metadata) -> Look {
        let (kind, mode) = match metadata.file_type() {
            kind if kind.is_symlink() => (LookKind::Symlink, 0o777),
            kind if kind.is_dir() => (LookKind::Directory, 0o755),
            kind if kind.is_file() => (LookKind::File, 0o644),
            _ => (LookKind::Special("file of an unknown kind"), 0),
        };
        Look { kind, mode }
    }
}
