//! What the config can be, for editors and for the docs: generated from the tables that check it.

use serde_json::Value;

use crate::config;
use crate::plan::layer_kinds::LAYER_KINDS;

/// The JSON Schema of `dockless.yaml`.
pub fn schema() -> Value {
    let shapes: Vec<_> = LAYER_KINDS.iter().map(|kind| (kind.name, kind.shape)).collect();
    config::json_schema(&shapes)
}

/// The config reference, in Markdown.
pub fn config_reference() -> String {
    config::reference_markdown(&layer_docs())
}

fn layer_docs() -> Vec<config::LayerDocs> {
    LAYER_KINDS
        .iter()
        .map(|kind| config::LayerDocs {
            name: kind.name,
            summary: kind.summary,
            example: kind.example,
            shape: kind.shape,
        })
        .collect()
}
