//! `dockless.lock`: what the images were that a project stands on, so that a build need not ask for it.
//!
//! The file is committed with the project. Documents stand in it as they were received, and count only
//! when their bytes give the digest beside them; the checksum finds whatever else was changed by hand, or
//! put together by a merge that knew no better.

mod error;
mod pretty;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use error::LockError;

use super::RootExcerpt;
use crate::oci::{
    Digest, Document, ImageConfig, Index, Manifest, MediaType, Platform, Reference, canonical_json,
};
use pretty::pretty;

/// The name of the file, in the project's folder.
pub const LOCK_FILE: &str = "dockless.lock";

/// The most that is read: an image takes some ten kilobytes per platform.
pub const MAX_LOCK_BYTES: u64 = 32 * 1024 * 1024;

/// The version that is read and written.
const VERSION: u64 = 1;

/// The images that are locked, by their [`locked_name`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lock {
    /// What each of them was.
    pub images: BTreeMap<Reference, LockedImage>,
}

/// What an image was when it was locked.
#[derive(Debug, Clone, PartialEq)]
pub struct LockedImage {
    /// What its name pointed at: an index, or the only manifest.
    pub digest: Digest,
    /// The type of that.
    pub media_type: MediaType,
    /// The index that it is, then those inside it that platforms were found in; none for an only manifest.
    pub indexes: Vec<Document<Index>>,
    /// The image of each platform that a project is built for.
    pub platforms: BTreeMap<Platform, LockedPlatform>,
}

/// The image of one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct LockedPlatform {
    /// Its manifest.
    pub manifest: Document<Manifest>,
    /// Its config.
    pub config: Document<ImageConfig>,
    /// What a plan asked of its file system; `None` when none did.
    pub facts: Option<RootExcerpt>,
}

/// The name under which an image is locked: as it is asked for, with the tag that a name without one has.
pub fn locked_name(reference: &Reference) -> Reference {
    match reference {
        Reference { repository, tag: None, digest: None } => repository.at_tag("latest"),
        reference => reference.clone(),
    }
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The digest of `images` as canonical JSON.
    checksum: Digest,
    images: BTreeMap<String, ImageEntry>,
    version: u64,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageEntry {
    digest: Digest,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    indexes: Vec<DocumentEntry>,
    media_type: MediaType,
    platforms: BTreeMap<String, PlatformEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlatformEntry {
    config: DocumentEntry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    facts: Option<Value>,
    manifest: DocumentEntry,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentEntry {
    digest: Digest,
    /// The bytes.
    json: String,
    media_type: MediaType,
}

impl Lock {
    /// Reads the text of a lock.
    ///
    /// # Errors
    /// It is not what [`Lock::to_text`] writes, in content or in meaning.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let is_marker = |line: &str| line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>");
        if let Some(number) = text.lines().position(is_marker) {
            return Err(LockError::Conflict { line: number + 1 });
        }
        match serde_json::from_str(text) {
            Ok(Version { version }) if version > VERSION => {
                return Err(LockError::Newer { version, known: VERSION });
            }
            _ => {}
        }
        let file: File = serde_json::from_str(text).map_err(LockError::Shape)?;
        let checksum = checksum(&file.images);
        let images = file.images.into_iter().map(|(name, entry)| {
            let reference: Reference =
                name.parse().map_err(|error| LockError::changed(format!("{error}")))?;
            if locked_name(&reference).to_string() != name {
                let shown = name.escape_debug();
                return Err(LockError::changed(format!("`{shown}` is not how it names an image")));
            }
            let image = entry.read(&reference)?;
            Ok((reference, image))
        });
        let images = images.collect::<Result<_, LockError>>()?;
        if file.version != VERSION || file.checksum != checksum {
            return Err(LockError::changed("its checksum is that of another content".to_owned()));
        }
        Ok(Self { images })
    }

    /// The text, which ends in a newline: the same for the same lock.
    pub fn to_text(&self) -> String {
        let images = self.images.iter();
        let images = images.map(|(name, image)| (name.to_string(), image.entry())).collect();
        let file = File { checksum: checksum(&images), images, version: VERSION };
        pretty(&serde_json::to_value(file).expect("it is plain data"))
    }

    /// What was asked of the file system of the image with this manifest.
    pub fn facts(&self, manifest: &Digest) -> Option<&RootExcerpt> {
        let mut platforms = self.images.values().flat_map(|image| image.platforms.values());
        platforms.find_map(|platform| {
            platform.facts.as_ref().filter(|_| platform.manifest.descriptor.digest == *manifest)
        })
    }
}

fn checksum(images: &BTreeMap<String, ImageEntry>) -> Digest {
    Digest::of(&canonical_json(images))
}

impl LockedImage {
    fn entry(&self) -> ImageEntry {
        let platforms = self.platforms.iter();
        ImageEntry {
            digest: self.digest,
            indexes: self.indexes.iter().map(DocumentEntry::of).collect(),
            media_type: self.media_type.clone(),
            platforms: platforms
                .map(|(platform, locked)| (platform.to_string(), locked.entry()))
                .collect(),
        }
    }
}

impl LockedPlatform {
    fn entry(&self) -> PlatformEntry {
        let facts = self.facts.as_ref();
        PlatformEntry {
            config: DocumentEntry::of(&self.config),
            facts: facts.map(|facts| serde_json::to_value(facts).expect("it is plain data")),
            manifest: DocumentEntry::of(&self.manifest),
        }
    }
}

impl ImageEntry {
    fn read(self, name: &Reference) -> Result<LockedImage, LockError> {
        let Self { digest, indexes, media_type, platforms } = self;
        if name.digest.is_some_and(|named| named != digest) {
            return Err(LockError::changed(format!("`{name}` is not {digest}")));
        }
        let indexes = indexes.into_iter().map(|entry| {
            let (bytes, media_type) = entry.bytes()?;
            Document::parse_index(bytes, media_type).ok()
        });
        let indexes: Option<Vec<_>> = indexes.collect();
        let indexes = indexes
            .filter(|indexes| is_chain(digest, indexes))
            .ok_or_else(|| LockError::changed(format!("the index of `{name}` is not {digest}")))?;
        let mut read = BTreeMap::new();
        for (platform, entry) in platforms {
            let what = format!("`{name}` for `{}`", platform.escape_debug());
            let parsed = platform.parse::<Platform>().ok();
            let parsed = parsed.filter(|parsed| parsed.to_string() == platform);
            let parsed = parsed
                .ok_or_else(|| LockError::changed(format!("the platform of {what} is none")))?;
            let locked = entry.read(&what)?;
            if !is_of(digest, &indexes, &parsed, &locked.manifest.descriptor.digest) {
                return Err(LockError::changed(format!("{what} is not of the image {digest}")));
            }
            read.insert(parsed, locked);
        }
        Ok(LockedImage { digest, media_type, indexes, platforms: read })
    }
}

/// Whether the first index has this digest and names all others. None is no wrong index.
fn is_chain(digest: Digest, indexes: &[Document<Index>]) -> bool {
    let [root, nested @ ..] = indexes else { return true };
    let is_named = |index: &Document<Index>| {
        root.value.images().any(|entry| entry.digest == index.descriptor.digest)
    };
    root.descriptor.digest == digest && nested.iter().all(is_named)
}

/// Whether a manifest is the image of this digest, or the one for this platform in its index.
fn is_of(
    digest: Digest,
    indexes: &[Document<Index>],
    platform: &Platform,
    manifest: &Digest,
) -> bool {
    let mut entries = indexes.iter().flat_map(|index| index.value.images());
    let is_named = entries.any(|entry| {
        let offered = entry.platform.as_ref();
        entry.digest == *manifest && offered.is_none_or(|offered| platform.is_served_by(offered))
    });
    if indexes.is_empty() { digest == *manifest } else { is_named }
}

impl PlatformEntry {
    fn read(self, what: &str) -> Result<LockedPlatform, LockError> {
        let changed =
            |part: &str| LockError::changed(format!("the {part} of {what} is not what was locked"));
        let (bytes, media_type) = self.manifest.bytes().ok_or_else(|| changed("manifest"))?;
        let manifest = Document::parse_manifest(bytes, media_type)
            .ok()
            .filter(|manifest| manifest.descriptor.media_type.is_manifest())
            .ok_or_else(|| changed("manifest"))?;
        let (bytes, media_type) = self.config.bytes().ok_or_else(|| changed("config"))?;
        let config: Document<ImageConfig> =
            Document::parse(bytes, media_type).map_err(|_| changed("config"))?;
        let named = &manifest.value.config;
        let actual = &config.descriptor;
        if (named.digest, named.size, &named.media_type)
            != (actual.digest, actual.size, &actual.media_type)
        {
            return Err(changed("config"));
        }
        let facts = self.facts.map(|facts| {
            let facts = serde_json::from_value(facts).ok();
            facts
                .filter(RootExcerpt::is_plausible)
                .ok_or_else(|| LockError::changed(format!("the facts about {what} cannot be")))
        });
        Ok(LockedPlatform { manifest, config, facts: facts.transpose()? })
    }
}

impl DocumentEntry {
    fn of<T>(document: &Document<T>) -> Self {
        Self {
            digest: document.descriptor.digest,
            // One that is no text is refused when the lock is read.
            json: String::from_utf8_lossy(&document.bytes).into_owned(),
            media_type: document.descriptor.media_type.clone(),
        }
    }

    /// The bytes, when they are those of the digest.
    fn bytes(self) -> Option<(Bytes, MediaType)> {
        let bytes = Bytes::from(self.json);
        (Digest::of(&bytes) == self.digest).then_some((bytes, self.media_type))
    }
}

#[cfg(test)]
mod tests;
