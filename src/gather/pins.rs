//! What `dockless.lock` says of the images of a run, and what the run needs that it does not say.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::base::BaseError;
use crate::error::{Classified, Error, ErrorKind, Result};
use crate::event::Events;
use crate::oci::{Digest, Platform, Reference};
use crate::plan::{
    LOCK_FILE, Lock, LockError, LockedImage, MAX_LOCK_BYTES, RootExcerpt, locked_name,
};
use crate::registry;

/// What a run does with the lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LockUse {
    /// What is locked is not asked for, what is not is.
    #[default]
    Preferred,
    /// What is not locked is an error.
    Required,
    /// What is locked stays, and is completed: what is not locked is asked for, as it should be.
    Completed,
    /// Every image is asked for; what was known of one that is the same stays known.
    Renewed,
}

/// The images that are pinned, and those that were resolved.
#[derive(Debug, Default)]
pub struct Pins {
    lock: Option<Lock>,
    lock_use: LockUse,
    /// The project's folder, for messages.
    directory: PathBuf,
    has_warned: AtomicBool,
    /// What was resolved in this run.
    resolved: Mutex<BTreeMap<Reference, LockedImage>>,
}

/// Something that is not in the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// An image.
    Image(Reference),
    /// Platforms of one.
    Platforms(Reference, Vec<Platform>),
    /// What the plan asks of the file system of one.
    Facts {
        /// The image, as the user wrote it.
        name: String,
        /// Of which platform.
        platform: Platform,
    },
}

/// A locked run needs what is not locked, or the lock cannot be read.
#[derive(Debug, thiserror::Error)]
enum PinsError {
    #[error("a locked build needs `dockless.lock`, and there is none in `{}`", directory.display())]
    NoLock { directory: PathBuf },
    #[error("{missing}")]
    Stale { missing: Missing },
    #[error("cannot read `{}`", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

impl Classified for PinsError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoLock { .. } => "`dockless lock` writes it; commit it with the project".into(),
            Self::Stale { .. } => "`dockless lock` brings it up to date".into(),
            Self::Unreadable { .. } => "make it a file that can be read, or remove it".into(),
        }]
    }
}

/// Reads the text of the lock in a project's folder, if there is one. Blocking.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn read_lock(directory: &Path) -> Result<Option<String>> {
    let path = directory.join(LOCK_FILE);
    let read = || -> io::Result<String> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path)?;
        file.take(MAX_LOCK_BYTES + 1).read_to_end(&mut bytes)?;
        // What is no text is no lock either.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) if text.len() as u64 > MAX_LOCK_BYTES => {
            Err(LockError::TooLarge { limit_bytes: MAX_LOCK_BYTES }.into())
        }
        Ok(text) => Ok(Some(text)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PinsError::Unreadable { path, source }.into()),
    }
}

impl Pins {
    /// What the lock of a project's folder says. Blocking.
    ///
    /// # Errors
    /// It cannot be read, or is not believed.
    pub fn load(directory: &Path, lock_use: LockUse) -> Result<Self> {
        let text = read_lock(directory)?;
        let lock = text.map(|text| Lock::parse(&text)).transpose()?;
        Ok(Self { lock, lock_use, directory: directory.to_owned(), ..Self::default() })
    }

    /// What this lock says.
    pub fn of(lock: Lock, lock_use: LockUse) -> Self {
        Self { lock: Some(lock), lock_use, ..Self::default() }
    }

    /// What an image is locked at.
    pub(super) fn image(&self, name: &Reference) -> Option<&LockedImage> {
        let lock = self.lock.as_ref().filter(|_| self.lock_use != LockUse::Renewed)?;
        lock.images.get(&locked_name(name))
    }

    /// What is locked of the file system of the image with this manifest.
    pub fn facts(&self, manifest: &Digest) -> Option<&RootExcerpt> {
        self.lock.as_ref()?.facts(manifest)
    }

    /// Has to be told of everything that is needed and not locked, before a registry is asked for it. Warns
    /// once per run, where there is a lock.
    ///
    /// # Errors
    /// Only what is locked counts.
    pub fn miss(&self, missing: Missing, events: &Events) -> Result<()> {
        match (self.lock_use, &self.lock) {
            (LockUse::Completed | LockUse::Renewed, _) | (LockUse::Preferred, None) => {}
            (LockUse::Required, None) => {
                return Err(PinsError::NoLock { directory: self.directory.clone() }.into());
            }
            (LockUse::Required, Some(_)) => return Err(PinsError::Stale { missing }.into()),
            (LockUse::Preferred, Some(_)) if self.has_warned.swap(true, Ordering::Relaxed) => {
                events.detail(missing.to_string());
            }
            (LockUse::Preferred, Some(_)) => {
                let text = format!("{missing}: its registry is asked");
                let hint =
                    "`dockless lock` brings it up to date; `--locked` refuses what is not locked";
                events.warn("stale-lock", text, Some(hint.into()));
            }
        }
        Ok(())
    }

    /// An error about an image that was asked for as it is locked, with the way out where the registry does
    /// not have it, or it has no image for a platform.
    pub fn explain(&self, error: Error, manifest: &Digest) -> Error {
        let images = self.lock.iter().flat_map(|lock| &lock.images);
        let mut images = images.filter(|_| self.lock_use != LockUse::Renewed);
        let is_pinned = images.any(|(name, image)| {
            let digests = image.platforms.values().map(|it| it.manifest.descriptor.digest);
            name.digest.is_none() && digests.chain([image.digest]).any(|it| it == *manifest)
        });
        let is_lost = matches!(
            error.find(),
            Some(registry::Error::NoImage { .. } | registry::Error::NotFound { .. })
        );
        let is_elsewhere = matches!(
            error.find(),
            Some(BaseError::MissingPlatform { .. } | BaseError::OtherPlatform { .. })
        );
        if !is_pinned || !(is_lost || is_elsewhere) {
            return error;
        }
        error.with_hint("`dockless lock --upgrade` takes what the tag points at now")
    }

    /// Notes what an image is, be it that a registry said so or the lock.
    pub(super) fn note(&self, name: &Reference, image: LockedImage) {
        let mut resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        resolved.insert(locked_name(name), image);
    }

    /// The images that the run needed, to be locked; nothing is known of their files.
    pub fn resolved(&self) -> Lock {
        let resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        Lock { images: resolved.clone() }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`dockless.lock` ")?;
        match self {
            Self::Image(name) => write!(formatter, "does not have `{name}`"),
            Self::Platforms(name, platforms) => {
                let platforms: Vec<_> = platforms.iter().map(ToString::to_string).collect();
                write!(formatter, "does not have `{name}` for {}", platforms.join(", "))
            }
            Self::Facts { name, platform } => write!(
                formatter,
                "does not say all that this project asks about the files of `{name}` for {platform}"
            ),
        }
    }
}
