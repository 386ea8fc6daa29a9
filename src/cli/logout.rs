//! `dockless logout`.

use clap::Args;

use super::Edge;
use super::login::parse_registry;
use crate::error::Result;
use crate::pipeline;

/// Log out of a registry: remove its credentials from where docker keeps them
///
/// It is no mistake when there are none.
#[derive(Debug, Args)]
pub(super) struct Logout {
    /// The registry: `HOST` or `HOST:PORT`; `docker.io` is Docker Hub
    #[arg(value_name = "HOST", value_parser = parse_registry)]
    registry: String,
}

impl Logout {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let change = pipeline::logout(&self.registry, &edge.context)?;
        edge.output.result(&change.document(), [change.line().as_str()])
    }
}
