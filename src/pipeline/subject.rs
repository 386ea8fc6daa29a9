//! An image that is looked at, wherever it is: in a registry or in a layout.

mod parts;
mod record;

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;
use std::str::FromStr;

use bytes::Bytes;

use super::image_name::{self, NotAnImage};
use crate::config::Base;
use crate::error::{Classified, Error, ErrorKind, Result};
use crate::oci::{Descriptor, Digest, InvalidDocument, MediaType, Reference, Repository};
use crate::registry::{BlobLookup, Client, FetchedManifest};
use crate::store::layout::{Layout, LayoutError};
use crate::sys::{BlockingReader, blocking};

pub(super) use parts::{Content, Found, Parts};
pub(super) use record::is_config;

/// What is looked at, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Registry(Reference),
    Layout { path: String, selector: Option<String> },
}

/// The text names no image.
#[derive(Debug, thiserror::Error)]
enum InvalidTarget {
    #[error("this names no image")]
    Reference { source: NotAnImage },
    #[error("`{}` is no image in an OCI layout", text.escape_debug())]
    Layout { text: String },
}

impl Classified for InvalidTarget {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::Reference { source: source @ NotAnImage::Scheme { .. } } => {
                return source.hints();
            }
            Self::Reference { .. } => {
                "write `HOST/REPOSITORY:TAG`, `HOST/REPOSITORY@sha256:…` or `oci:DIR`".into()
            }
            Self::Layout { .. } => "write `oci:DIR`, `oci:DIR:NAME` or `oci:DIR@sha256:…`".into(),
        }]
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if !text.starts_with("oci:") {
            let reference =
                image_name::read(text).map_err(|source| InvalidTarget::Reference { source })?;
            return Ok(Self::Registry(reference));
        }
        // Layouts are written everywhere as for a base.
        match text.parse() {
            Ok(Base::Layout { path, selector }) => Ok(Self::Layout { path, selector }),
            _ => Err(InvalidTarget::Layout { text: text.to_owned() }.into()),
        }
    }
}

impl Target {
    /// The registry, where it is in one.
    pub(super) fn hosts(&self) -> BTreeSet<String> {
        match self {
            Self::Registry(reference) => [reference.repository.registry().to_owned()].into(),
            Self::Layout { .. } => BTreeSet::new(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(formatter),
            Self::Layout { path, selector: None } => write!(formatter, "oci:{path}"),
            Self::Layout { path, selector: Some(name) } if name.parse::<Digest>().is_ok() => {
                write!(formatter, "oci:{path}@{name}")
            }
            Self::Layout { path, selector: Some(name) } => write!(formatter, "oci:{path}:{name}"),
        }
    }
}

/// The image, once its manifest or index is here. By now only digests are asked for: a tag that moves
/// meanwhile changes nothing.
#[derive(Debug)]
pub(super) struct Subject {
    /// As the user wrote it.
    pub(super) name: String,
    /// The manifest or index.
    pub(super) top: FetchedManifest,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Registry { client: Client, repository: Repository },
    Layout(Layout),
}

impl Subject {
    /// Fetches the manifest or index.
    pub(super) async fn fetch(target: &Target, client: &Client) -> Result<Self> {
        let name = target.to_string();
        match target {
            Target::Registry(reference) => {
                let top = client.fetch_manifest(reference).await?;
                let repository = reference.repository.clone();
                let place = Place::Registry { client: client.clone(), repository };
                Ok(Self { name, top, place })
            }
            Target::Layout { path, selector } => {
                let (path, selector) = (path.clone(), selector.clone());
                let (layout, top) = blocking(move || {
                    let layout = Layout::load(path.as_ref())?;
                    let descriptor = layout.select(selector.as_deref())?;
                    let bytes = layout.document(descriptor)?;
                    let media_type = descriptor.media_type.clone();
                    let top = FetchedManifest { bytes, media_type, digest: descriptor.digest };
                    Ok::<_, Error>((layout, top))
                })
                .await?;
                Ok(Self { name, top, place: Place::Layout(layout) })
            }
        }
    }

    /// The same place at a digest, as it is written everywhere.
    pub(super) fn at_digest(&self, digest: Digest) -> String {
        match &self.place {
            Place::Registry { repository, .. } => repository.at_digest(digest).to_string(),
            Place::Layout(layout) => format!("oci:{}@{digest}", layout.path().display()),
        }
    }

    /// What is wrong when a document is not valid: a layout is the user's to make again.
    fn invalid(&self, error: InvalidDocument) -> Error {
        match &self.place {
            Place::Registry { .. } => error.into(),
            Place::Layout(layout) => layout.invalid(error).into(),
        }
    }

    /// Fetches a manifest that the index names.
    pub(super) async fn manifest(&self, entry: &Descriptor) -> Result<(Bytes, MediaType)> {
        match &self.place {
            Place::Registry { client, repository } => {
                let fetched = client.fetch_manifest(&repository.at_digest(entry.digest)).await?;
                Ok((fetched.bytes, fetched.media_type))
            }
            Place::Layout(layout) => Ok((document(layout, entry).await?, entry.media_type.clone())),
        }
    }

    /// Why a blob cannot be pulled; `None` when it is there. In a layout it is read.
    pub(super) async fn lacks_blob(&self, blob: &Descriptor) -> Result<Option<String>> {
        match &self.place {
            Place::Registry { client, repository } => {
                let digest = blob.digest;
                Ok(match client.look_for_blob(repository, blob).await? {
                    BlobLookup::Present => None,
                    BlobLookup::Absent => Some(format!("the registry lacks blob `{digest}`")),
                    BlobLookup::OtherSize(size) => Some(format!(
                        "the registry says that blob `{digest}` has {size} bytes, the image {}",
                        blob.size
                    )),
                })
            }
            Place::Layout(layout) => lacks(layout, blob).await,
        }
    }

    /// As [`Subject::lacks_blob`], for a manifest that the index names.
    pub(super) async fn lacks_manifest(&self, entry: &Descriptor) -> Result<Option<String>> {
        match &self.place {
            Place::Registry { client, repository } => {
                let found = client.resolve(&repository.at_digest(entry.digest)).await?;
                let reason = || format!("the registry lacks manifest `{}`", entry.digest);
                Ok(found.is_none().then(reason))
            }
            Place::Layout(layout) => lacks(layout, entry).await,
        }
    }

    /// Fetches an image config.
    pub(super) async fn config(&self, descriptor: &Descriptor) -> Result<Bytes> {
        match &self.place {
            Place::Registry { client, repository } => {
                client.fetch_blob(repository, descriptor).await
            }
            Place::Layout(layout) => document(layout, descriptor).await,
        }
    }

    /// Opens a layer for a thread that may block.
    pub(super) async fn layer(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        match &self.place {
            Place::Registry { client, repository } => {
                let blob = Box::pin(client.open_blob(repository, descriptor)).await?;
                Ok(Box::new(BlockingReader::spawn(blob)))
            }
            Place::Layout(layout) => {
                let (layout, descriptor) = (layout.clone(), descriptor.clone());
                blocking(move || {
                    layout.verify(&descriptor)?;
                    let file = layout.store().open_blob(&descriptor)?;
                    file.map(|file| Box::new(file) as Box<dyn Read + Send>)
                        .ok_or_else(|| layout.missing(&descriptor).into())
                })
                .await
            }
        }
    }
}

async fn lacks(layout: &Layout, descriptor: &Descriptor) -> Result<Option<String>> {
    let (layout, descriptor) = (layout.clone(), descriptor.clone());
    match blocking(move || layout.verify(&descriptor)).await {
        Ok(()) => Ok(None),
        Err(error) => match error.downcast_ref() {
            Some(lost @ LayoutError::MissingBlob { .. }) => Ok(Some(lost.to_string())),
            _ => Err(error),
        },
    }
}

async fn document(layout: &Layout, descriptor: &Descriptor) -> Result<Bytes> {
    let (layout, descriptor) = (layout.clone(), descriptor.clone());
    blocking(move || layout.document(&descriptor)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_written_as_it_is_read() {
        let digest = format!("oci:out@{}", Digest::of(b""));
        for (text, expected) in [
            ("localhost:5000/a/b:v1", Some("localhost:5000/a/b:v1")),
            ("ghcr.io/a/b", Some("ghcr.io/a/b")),
            ("oci:out", Some("oci:out")),
            ("oci:out:v1", Some("oci:out:v1")),
            (&digest, Some(digest.as_str())),
            ("oci:", None),
            ("https://ghcr.io/a/b", None),
        ] {
            let parsed = text.parse::<Target>().ok().map(|target| target.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        }
    }
}
