//! `dockless rollback`.

use clap::Args;
use clap::builder::FalseyValueParser;

use super::Edge;
use super::environment::ChangeOptions;
use crate::error::Result;
use crate::pipeline;

/// Bring back the image that ran before in an environment
///
/// What ran before is asked of the platform where it knows, else taken from the history in `.dockless`. What was
/// taken back is not brought back by a second rollback, as far as the history knows. Where
/// the platform can (Lambda, Cloud Run), it is instant: nothing is deployed anew. Prints the image of each
/// target.
#[derive(Debug, Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    service: ChangeOptions,
    /// Print what would be done, and change nothing
    #[arg(long, env = "DOCKLESS_DRY_RUN", value_parser = FalseyValueParser::new())]
    dry_run: bool,
}

impl Rollback {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let report = pipeline::rollback(&self.service.request(self.dry_run), &edge.context)?;
        edge.output.result(&report.document(), report.text().lines())?;
        report.into_result()
    }
}
