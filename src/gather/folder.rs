//! One open folder: its names, what they are, and opening them without following a link.
//!
//! On Unix everything is asked of the open folder, so that a name swapped for a link in the
//! meantime is noticed and never followed (L17, L21). Elsewhere the path is looked at first.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;

use crate::plan::FileStamp;

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
    /// Its permission bits (`0o7777`); those of a file are in its [`FileLook`].
    pub(super) mode: u32,
}

/// What is told of a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileLook {
    /// What identifies its content.
    pub(super) stamp: FileStamp,
    /// Its permission bits (`0o7777`).
    pub(super) mode: u32,
    /// How much of the disk it takes, where that is known.
    pub(super) disk_bytes: Option<u64>,
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
pub(super) use unix::Folder;

#[cfg(not(unix))]
pub(super) use portable::Folder;

#[cfg(unix)]
mod unix {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    use std::os::unix::fs::MetadataExt as _;

    use rustix::fs::{
        AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat,
    };

    use super::{File, FileLook, FileStamp, Look, LookKind, Name, OsStr, OsString, Path, io};
    use crate::sys::beneath;

    /// The unit in which POSIX says what a file takes.
    const BLOCK_BYTES: u64 = 512;

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

        /// What is told of a file in it; `None` when it is no regular one. The link itself, when it is one.
        pub(in super::super) fn look_at_file(&self, name: &OsStr) -> io::Result<Option<FileLook>> {
            let stat = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let Look { kind, mode } = look(&stat);
            if kind != LookKind::File {
                return Ok(None);
            }
            let nanoseconds =
                |seconds: i64, rest| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
            #[cfg_attr(
                target_os = "linux",
                expect(clippy::useless_conversion, reason = "`dev_t` is signed on macOS")
            )]
            let device = u64::try_from(stat.st_dev).unwrap_or_default();
            let stamp = FileStamp {
                device,
                inode: stat.st_ino,
                size_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
                mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
                ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            };
            let blocks = u64::try_from(stat.st_blocks).unwrap_or_default();
            Ok(Some(FileLook { stamp, mode, disk_bytes: Some(blocks.saturating_mul(BLOCK_BYTES)) }))
        }

        /// Opens a file in it. A FIFO that was swapped in does not hang us: `O_NONBLOCK`.
        pub(in super::super) fn open_file(&self, name: &OsStr) -> io::Result<File> {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            Ok(File::from(openat(&self.0, name, flags, Mode::empty())?))
        }
    }

    impl FileLook {
        /// What an open file is; `None` when it is no regular one.
        pub(in super::super) fn of(file: &File) -> io::Result<Option<Self>> {
            let metadata = file.metadata()?;
            Ok(metadata.is_file().then(|| Self {
                stamp: FileStamp::from(&metadata),
                mode: metadata.mode() & 0o7777,
                disk_bytes: Some(metadata.blocks().saturating_mul(BLOCK_BYTES)),
            }))
        }
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

    use super::{File, FileLook, FileStamp, Look, LookKind, Name, OsStr, OsString, Path, io};

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
        pub(in super::super) fn look_at_file(&self, name: &OsStr) -> io::Result<Option<FileLook>> {
            Ok(FileLook::from_metadata(&fs::symlink_metadata(self.0.join(name))?))
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

    impl FileLook {
        /// See the Unix version.
        pub(in super::super) fn of(file: &File) -> io::Result<Option<Self>> {
            Ok(Self::from_metadata(&file.metadata()?))
        }

        fn from_metadata(metadata: &fs::Metadata) -> Option<Self> {
            let stamp = FileStamp::from(metadata);
            metadata.is_file().then_some(Self { stamp, mode: 0o644, disk_bytes: None })
        }
    }

    fn look(metadata: &fs::Metadata) -> Look {
        let (kind, mode) = match metadata.file_type() {
            kind if kind.is_symlink() => (LookKind::Symlink, 0o777),
            kind if kind.is_dir() => (LookKind::Directory, 0o755),
            kind if kind.is_file() => (LookKind::File, 0o644),
            _ => (LookKind::Special("file of an unknown kind"), 0),
        };
        Look { kind, mode }
    }
}
