//! `dockless status`.

use clap::Args;

use super::Edge;
use super::environment::ServiceOptions;
use crate::error::Result;
use crate::pipeline;

/// Show what runs in an environment, whether it is well, and how it differs from the config
///
/// Everything is asked of the platform; nothing has to be kept from earlier commands. What differs from what
/// a deployment of the running image would give is listed as drift.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    service: ServiceOptions,
}

impl Status {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let report = pipeline::status(&self.service.request(false), &edge.context)?;
        edge.output.result(&report.document(), report.text().lines())
    }
}
