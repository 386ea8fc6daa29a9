//! The kinds of layers there are. A new one is one file and its two lines here.

use super::LayerKind;

/// Every kind of layer, in the order of the docs.
pub static LAYER_KINDS: &[&dyn LayerKind] = &[];
