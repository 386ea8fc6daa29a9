//! Stage 5: an [`Assembly`](crate::image::Assembly) goes to registries, layouts and archives.
//!
//! `destination.rs` is the contract, `destinations/` holds the places. What several of them share
//! lies beside: `push.rs` (an image on its way to a repository), `contents.rs` (what an image consists of), `folder.rs` (a layout on disk),
//! `archive.rs` (a layout in a tar), `vouching.rs` and `whereabouts.rs` (what registries are known
//! to have), `standing.rs` (what a tag would move). `source.rs` and `earlier.rs` are the way back: an image that was built before, in a
//! layout or in a registry; `inquiry.rs` asks for the latter, and not for long.

mod archive;
mod contents;
mod destination;
pub mod destinations;
mod earlier;
mod error;
mod folder;
mod inquiry;
mod once;
mod push;
mod source;
mod standing;
mod vouching;
mod whereabouts;

pub use destination::{
    Destination, DestinationKind, ExistingTag, Output, ParsedDestination, PublishContext, Session,
};
pub use earlier::Earlier;
pub use error::{PublishError, StandingTag};
pub use inquiry::{Inquiry, NoAnswer};
pub use source::read_layout;
pub use vouching::keep_documents;
pub use whereabouts::Whereabouts;

use std::collections::BTreeMap;

use crate::oci::{Descriptor, Digest, Platform};

/// An image at its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// `name@digest` for a registry, `oci:DIR@digest` and the like for the others.
    pub reference: String,
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// The tags it has there now.
    pub tags: Vec<String>,
    /// The tags that were to point at it and stayed at another image, and where they stand.
    pub kept: BTreeMap<String, Digest>,
    /// Its platforms.
    pub platforms: Vec<Platform>,
}
