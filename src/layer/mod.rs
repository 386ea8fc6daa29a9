//! Stage 3: a [`LayerPlan`] becomes a [`Layer`]: tar, compressed, in the store.
//!
//! Blocking and CPU-bound: callers run it on a thread of its own. Start reading at [`pack()`]; the
//! bytes are decided in `header.rs` and `tar.rs` (tar), in `gzip.rs` and `deflate` (gzip)
//! and in `zstd.rs`, which know no files. What need not be packed is found by `recall.rs` (packed here
//! before: `key.rs`, `file_digests.rs`) and `reuse.rs` (in an image that was pushed before).

mod compress;
mod compressors;
mod deflate;
mod error;
mod file_digests;
mod gzip;
mod header;
mod judge;
mod key;
mod pack;
mod project_file;
mod recall;
mod reuse;
mod stored_file;
mod tar;
#[cfg(test)]
mod testing;
mod zstd;

pub use compress::writer_version;
pub use compressors::Compressors;
pub use error::{LayerError, PathProblem};
pub use file_digests::FileDigests;
pub use gzip::GzipWriter;
pub use judge::{judge, judge_plan};
pub use pack::{Packing, check, content_bytes, diff_id, pack};
pub use recall::{Known, recall};
pub use reuse::{Reusable, Reuse, Unfit};
pub use tar::{TarWriter, check_entries};
pub use zstd::ZstdWriter;

use crate::oci::{Descriptor, Digest};
use crate::plan::{LayerPlan, Origin};

/// The annotation of a manifest that names the [`writer_version`] of the layers that are not the base's.
pub const WRITER_VERSION_ANNOTATION: &str = "dev.dockless.writer-version";

/// The annotation of a manifest that says how many of its layers are the base's.
pub const BASE_LAYERS_ANNOTATION: &str = "dev.dockless.base-layers";

/// A layer whose blob exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// For people.
    pub name: String,
    /// The history entry's `created_by`.
    pub created_by: String,
    /// The blob.
    pub descriptor: Descriptor,
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Where the blob can be fetched.
    pub origin: Origin,
}

impl Layer {
    /// The layer of a plan, whose blob is this.
    pub fn of(plan: &LayerPlan, descriptor: Descriptor, diff_id: Digest, origin: Origin) -> Self {
        let (name, created_by) = (plan.name.clone(), plan.created_by.clone());
        Self { name, created_by, descriptor, diff_id, origin }
    }
}
