//! A place where an image can go: the contract.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{Earlier, PublishError, Published, Whereabouts};
use crate::error::Result;
use crate::event::Events;
use crate::image::Assembly;
use crate::layer::Layer;
use crate::oci::{Platform, Repository};
use crate::plan::LayerCompression;
use crate::registry::Client;
use crate::store::Store;

/// A kind of destination: an entry of [`DESTINATIONS`](super::destinations::DESTINATIONS).
#[derive(Debug)]
pub struct DestinationKind {
    /// The word before the `:`, or what stands for it.
    pub name: &'static str,
    /// How it is written: `oci:DIR[:NAME]`.
    pub syntax: &'static str,
    /// One sentence for the docs.
    pub summary: &'static str,
    /// Whether it is elsewhere, so that `push` goes there and `build` does not.
    pub is_remote: bool,
    /// Reads the text when it is written for this kind.
    pub parse: fn(&str) -> Option<ParsedDestination>,
}

/// A place, or why the text that was meant to name it does not.
pub type ParsedDestination = Result<Box<dyn Destination>, PublishError>;

/// A place that was named.
#[async_trait]
pub trait Destination: fmt::Debug + Send + Sync {
    /// Its kind.
    fn kind(&self) -> &'static DestinationKind;

    /// For people: `oci:out`, `ghcr.io/acme/agent`.
    fn describe(&self) -> String;

    /// Makes sure, before anything is built, that an image of these platforms can go there, with
    /// layers that are compressed so.
    fn check(
        &self,
        _platforms: &[Platform],
        _compression: LayerCompression,
    ) -> Result<(), PublishError> {
        Ok(())
    }

    /// Begins to publish one image under these tags. A destination that was written with a tag or
    /// name of its own goes by that alone. It looks and touches nothing: nobody knows yet whether there
    /// will be an image.
    ///
    /// # Errors
    ///
    /// A [`PublishError`] of the kind usage when it is clear by now that nothing can go there.
    async fn open(&self, context: &PublishContext, tags: &[String]) -> Result<Box<dyn Session>>;
}

/// What happens to a tag that points at another image already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExistingTag {
    /// It moves.
    #[default]
    Move,
    /// It is an error, and no tag moves.
    Fail,
    /// It stays; the image is there by its digest, and under its other tags.
    Keep,
}

/// One image on its way to one destination.
///
/// A session that is dropped before it is finished has published nothing.
#[async_trait]
pub trait Session: fmt::Debug + Send + Sync {
    /// The repository that it goes to, when it goes to one.
    fn repository(&self) -> Option<&Repository> {
        None
    }

    /// Whether the image decides if it may go there at all: then nothing is sent to any destination
    /// before [`Session::check`].
    fn awaits_image(&self) -> bool {
        false
    }

    /// Proves, now that there will be an image, that it may go there. Called once, before any layer.
    ///
    /// # Errors
    ///
    /// What the destination has against it.
    async fn prove(&self) -> Result<()> {
        Ok(())
    }

    /// Brings a layer there, as soon as it exists. Several may be on their way at once, and the
    /// same one may be given twice.
    async fn add_layer(&self, layer: &Layer) -> Result<()>;

    /// Makes sure, now that the image is known, that its tags may point at it. No destination is
    /// finished before all of them agree.
    ///
    /// # Errors
    ///
    /// [`PublishError::TagsExist`].
    async fn check(&self, _assembly: &Assembly) -> Result<()> {
        Ok(())
    }

    /// Brings whatever is missing, and then makes the image visible under its tags, in order.
    async fn finish(&self, assembly: &Assembly) -> Result<Published>;

    /// An image that stands there already and may have layers of the one that is coming: the first of the
    /// tags it will get, then the others of [`PublishContext::earlier_tags`]. `number` counts those that
    /// exist; best effort.
    async fn earlier(&self, _number: usize) -> Option<Earlier> {
        None
    }

    /// Takes back what was begun, best effort and soon: there will be nothing to finish.
    async fn abandon(&self) {}
}

/// What sessions need; cheap to clone.
#[derive(Debug, Clone)]
pub struct PublishContext {
    /// Has the layers that were built here.
    pub store: Store,
    /// Talks to registries: the one that is pushed to, and the one that has the base's layers.
    pub client: Client,
    /// Is told of everything that moves.
    pub events: Events,
    /// What the image is called where a tag alone is not enough (`docker load`): a repository, or
    /// the project's name.
    pub name: String,
    /// Takes an archive that is written to `-`.
    pub stdout: Output,
    /// What the destinations of a run tell each other about blobs.
    pub whereabouts: Whereabouts,
    /// What happens to tags that exist.
    pub existing_tag: ExistingTag,
    /// Whether a tag vouches for the content of what it points at; otherwise each blob is asked for.
    pub takes_tags_word: bool,
    /// Under which further tags an earlier image may stand; `None` when nobody wants to know.
    pub earlier_tags: Option<Vec<String>>,
}

/// A writer that is handed around; locked for each write.
#[derive(Clone)]
pub struct Output(Arc<Mutex<dyn Write + Send>>);

impl Output {
    /// Shares a writer.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Output")
    }
}
