//! What the config can be, for editors and for the docs: generated from the tables that check it.

use serde_json::Value;

use crate::config::{self, KindDocs};
use crate::deploy::targets::TARGETS;
use crate::plan::layer_kinds::LAYER_KINDS;

/// The JSON Schema of `dockless.yaml`.
pub fn schema() -> Value {
    config::json_schema(&layer_docs(), &target_docs())
}

/// The config reference, in Markdown.
pub fn config_reference() -> String {
    config::reference_markdown(&layer_docs(), &target_docs())
}

fn layer_docs() -> Vec<KindDocs> {
    let docs = LAYER_KINDS.iter().map(|kind| KindDocs {
        name: kind.name,
        summary: kind.summary,
        example: kind.example,
        shape: kind.shape,
    });
    docs.collect()
}

fn target_docs() -> Vec<KindDocs> {
    let docs = TARGETS.iter().map(|kind| KindDocs {
        name: kind.name,
        summary: kind.summary,
        example: kind.example,
        shape: kind.shape,
    });
    docs.collect()
}
