//! Stage 3: a [`LayerPlan`](crate::plan::LayerPlan) becomes a [`Layer`]: tar, compressed, in the store.
//!
//! Blocking and CPU-bound: callers run it on a thread of its own. Start reading at [`pack()`]; the
//! bytes are decided in `header.rs` and `tar.rs` (tar), in `gzip.rs`, `deflate.rs` and `probe.rs` (gzip)
//! and in `zstd.rs`, which know no files.

mod compress;
mod compressors;
mod deflate;
mod error;
mod gzip;
mod header;
mod pack;
mod probe;
mod tar;
mod zstd;

pub use compress::writer_version;
pub use compressors::Compressors;
pub use error::{LayerError, PathProblem};
pub use gzip::GzipWriter;
pub use pack::{Packing, check, content_bytes, diff_id, pack};
pub use tar::{TarWriter, check_entries};
pub use zstd::ZstdWriter;

use crate::oci::{Descriptor, Digest};
use crate::plan::Origin;

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
