//! `dockless init`.

use std::path::PathBuf;

use clap::Args;

use super::{Edge, next_step};
use crate::error::Result;
use crate::pipeline::{self, InitRequest};

/// Write a first `dockless.yaml` for a folder, with comments on what can be added
///
/// Tells a HoloDeck agent, a Python project and a Node project by their files, and what starts them. Nothing is run,
/// and a config that is there already is left as it is. Prints the path of the new file.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The project's folder
    #[arg(default_value = ".", env = "DOCKLESS_PATH")]
    path: PathBuf,
    /// Print the config instead of writing it
    #[arg(long)]
    stdout: bool,
}

impl Init {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let request = InitRequest { path: self.path, is_dry_run: self.stdout };
        let report = pipeline::init(&request, &edge.context)?;
        let file = report.file.display().to_string();
        let line = if self.stdout { report.text.trim_end() } else { &file };
        edge.output.result(&report.document(), [line])?;
        if !self.stdout {
            for command in next_step::after_init(&request.path) {
                edge.suggest(Some(command));
            }
        }
        Ok(())
    }
}
