//! Stage 3: a [`LayerPlan`](crate::plan::LayerPlan) becomes a [`Layer`]: tar, compressed, in the store.
//!
//! Blocking and CPU-bound: callers run it on a thread of its own. Start reading at [`pack()`]; the
//! bytes are decided in `header.rs` and `tar.rs` (tar) and in `compress.rs`, `deflate.rs`
//! and `probe.rs` (gzip),
//! which know no files.

mod compress;
mod deflate;
mod error;
mod header;
mod pack;
mod probe;
mod tar;

pub use compress::GzipWriter;
pub use error::{LayerError, PathProblem};
pub use pack::{Packing, check, content_bytes, diff_id, pack};
pub use tar::{TarWriter, check_entries};

use crate::oci::{Descriptor, Digest};
use crate::plan::Origin;

/// Names everything that decides a layer's bytes beside its entries: the rules of our tar and gzip
/// writers, the compressor and its level. A layer of another version is not reused, since building
/// it again would give another digest.
pub const WRITER_VERSION: &str = "tar1-gzip2-zlib_rs0.6.8-level2";

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
