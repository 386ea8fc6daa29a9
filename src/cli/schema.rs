//! `dockless schema`.

use clap::Args;

use super::Edge;
use crate::error::Result;
use crate::pipeline;

/// Print the JSON Schema of `dockless.yaml`, for editors
#[derive(Debug, Args)]
pub(super) struct Schema {}

impl Schema {
    #[expect(clippy::unnecessary_wraps, reason = "every command has the same form")]
    pub(super) fn run(&self, edge: &Edge) -> Result<()> {
        edge.output.document(&pipeline::schema());
        Ok(())
    }
}
