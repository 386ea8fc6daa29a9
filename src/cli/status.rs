//! `dockless status`.

use clap::Args;
use clap::builder::FalseyValueParser;

use super::Edge;
use super::environment::LookOptions;
use crate::error::Result;
use crate::pipeline;

/// Show what runs in an environment, whether it is well, and how it differs from the config
///
/// Everything is asked of the platform; nothing has to be kept from earlier commands. What differs from what
/// a deployment of the running image would give is listed as drift. Exits with 0 when it could tell, whatever
/// it tells; `--check` makes the exit code the answer.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    service: LookOptions,
    /// Exit with 1 unless every target runs, is well, and is as the config says
    #[arg(long, env = "DOCKLESS_STATUS_CHECK", value_parser = FalseyValueParser::new())]
    check: bool,
}

impl Status {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let report = pipeline::status(&self.service.request(), &edge.context)?;
        edge.output.result(&report.document(), report.text().lines())?;
        report.into_result(self.check)
    }
}
