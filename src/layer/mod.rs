//! Stage 3: a [`LayerPlan`](crate::plan::LayerPlan) becomes a [`Layer`]: tar, compressed, in the store.
//!
//! Blocking and CPU-bound: callers run it on a thread of its own.

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
