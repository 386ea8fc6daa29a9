//! Stage 2: a [`Config`](crate::config::Config) and gathered [`Inputs`] become a [`Plan`]. Pure, all of it.
//!
//! Start reading at [`Plan`]; `layer_kind.rs` is the contract of what can stand in `layers:`,
//! `root.rs` is what our layers must respect of the base's file system, `split.rs` how large layers are cut.

mod answering;
mod attributes;
mod builtin_base;
mod certificates;
mod entry;
mod ground;
mod image_tree;
mod inputs;
mod labels;
mod layer_kind;
pub mod layer_kinds;
mod lock;
pub mod pattern;
mod planner;
mod python;
mod question;
mod recipes;
mod rendering;
mod requirements;
mod root;
mod root_excerpt;
pub mod secrets;
mod split;
mod start;
mod summary;
mod tags;
#[cfg(test)]
mod testing;
mod user_name;

pub use builtin_base::{BUILTIN_BASES, BuiltinBase, PIECES, Piece, builtin_base};
pub use entry::{DiskFile, Draft, Entry, EntryKind, Existing, FileSource, FileStamp, StoredFile};
pub use ground::GroundError;
pub use image_tree::{ImageEntry, ImageNeed, ImageTree};
pub use inputs::{
    BaseImage, BaseLayer, Inputs, Links, Need, Origin, Tree, TreeEntry, TreeEntryKind, TreeNeed,
    VcsFacts, VcsUnknown,
};
pub use labels::REQUIRED_ENV_LABEL;
pub use layer_kind::{LayerKind, LayerSource, PlanError};
pub use lock::{
    LOCK_FILE, Lock, LockError, LockedImage, LockedPlatform, MAX_LOCK_BYTES, locked_name,
};
pub use planner::{MAX_LAYERS, needs, plan, sources, warnings};
pub use question::{Account, MAX_TEXT_BYTES, Python, TEXTS};
pub use recipes::{RECIPES, Recipe};
pub(crate) use rendering::render as render_template;
pub use requirements::requirement_warnings;
pub use root::{FinalLink, RootNode, RootTree};
pub use root_excerpt::{BASE_FILES_ANNOTATION, RootExcerpt};
pub use start::start_warnings;
pub use summary::{EntrySummary, ImageSummary, LayerSummary, PlanSummary};
pub use tags::{tag_warnings, tags};

use std::collections::BTreeMap;

/// What an image says of running a container is what the config says, as is how layers are compressed.
pub use crate::config::{Health, HealthCheck, LayerCompression, RunSettings};
use crate::oci::{Descriptor, Digest, Platform};

/// Everything that will be done, as data: what `--dry-run` prints.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The project's name.
    pub name: String,
    /// How the layers that are packed are compressed.
    pub compression: LayerCompression,
    /// One image per platform, in the user's order.
    pub images: Vec<ImagePlan>,
}

/// The image of one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagePlan {
    /// For which platform.
    pub platform: Platform,
    /// What it stands on.
    pub base: BaseImage,
    /// Our layers, lowest first.
    pub layers: Vec<LayerPlan>,
    /// What the image config says.
    pub settings: ImageSettings,
}

/// What goes into the image config and onto the manifest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImageSettings {
    /// How a container is run.
    pub run: RunSettings,
    /// Every label we set, OCI labels included; they win over the base's.
    pub labels: BTreeMap<String, String>,
    /// Every annotation of the manifest (and of the index, where there is one).
    pub annotations: BTreeMap<String, String>,
    /// RFC 3339, for `created` and our history entries.
    pub created: String,
}

/// One layer of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerPlan {
    /// For people: "files src → /app".
    pub name: String,
    /// The history entry's `created_by`.
    pub created_by: String,
    /// What is in it.
    pub content: LayerContent,
}

/// What a layer is made of.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there are at most 127 of them")]
pub enum LayerContent {
    /// These entries: sorted by path, every parent present, no path twice.
    Pack(Vec<Entry>),
    /// A blob that exists already.
    Existing {
        /// The blob.
        descriptor: Descriptor,
        /// The digest of its uncompressed tar.
        diff_id: Digest,
        /// Where it can be fetched.
        origin: Origin,
    },
}
