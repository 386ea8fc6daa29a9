//! `dockless schema`.

use clap::Args;

use super::{Edge, output};
use crate::error::Result;
use crate::pipeline;

/// Print the JSON Schema of `dockless.yaml`, for editors
#[derive(Debug, Args)]
pub(super) struct Schema {}

impl Schema {
    #[expect(clippy::unused_self, reason = "every command has the same form")]
    pub(super) fn run(self, _edge: &Edge) -> Result<()> {
        output::document(&pipeline::schema())
    }
}
