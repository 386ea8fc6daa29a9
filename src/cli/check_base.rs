//! `dockless check-base`.

use std::path::PathBuf;

use clap::Args;

use super::Edge;
use super::network::NetworkOptions;
use super::options::BaseOptions;
use crate::error::Result;
use crate::pipeline;

/// Tell whether the tag of the base still points at what is pinned
///
/// Compares with `dockless.lock`, or with the digest in the config (`name:tag@sha256:…`), and downloads nothing but
/// manifests. Exits with 0 when the project's platforms have the same images as before, also in another index; with 1
/// when they moved, and says from where to where; with 2 when the base is not pinned, or nothing is.
#[derive(Debug, Args)]
pub(super) struct CheckBase {
    /// The project: a folder or a config file
    #[arg(default_value = ".", value_name = "PATH", env = "DOCKLESS_PATH")]
    path: PathBuf,
    #[command(flatten)]
    base: BaseOptions,
    #[command(flatten)]
    network: NetworkOptions,
}

impl CheckBase {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let request = self.base.request(self.path, self.network.request());
        let report = pipeline::check_base(&request, &edge.context)?;
        let lines = report.lines();
        edge.output.result(&report.document(), lines.iter().map(String::as_str))?;
        report.into_result()
    }
}
