//! The kinds of layers there are. A new one is one file and its two lines here.

mod builtin;
mod files;
mod template;

use super::LayerKind;

pub use template::{TEMPLATES, TemplateText};

/// Every kind of layer, in the order of the docs.
pub static LAYER_KINDS: &[&dyn LayerKind] =
    &[&files::Files, &template::Template, &builtin::Builtin];
