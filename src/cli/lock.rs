//! `dockless lock`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::Edge;
use super::network::NetworkOptions;
use super::options::BaseOptions;
use crate::error::Result;
use crate::pipeline::{self, LockRequest};

/// Write down in `dockless.lock` what the base is, so that builds need not ask
///
/// Commit the file: `build`, `push` and `verify` then take the base as it is locked. They ask its registry nothing, and
/// fetch its layers only where the registry that is pushed to lacks them. The file has, per platform, the base's manifest
/// and config, and what this project asks about the base's files. Prints each image by its digest. What is locked stays as
/// it is and is completed, `--upgrade` alone moves it. With `-f`, `--base` or `--platform`, whatever else is locked stays.
#[derive(Debug, Args)]
pub(super) struct Lock {
    /// The project: a folder or a config file
    #[arg(default_value = ".", value_name = "PATH", env = "DOCKLESS_PATH")]
    path: PathBuf,
    #[command(flatten)]
    base: BaseOptions,
    /// Take what the tags point at now, for the project's platforms and those that are locked
    #[arg(long, env = "DOCKLESS_LOCK_UPGRADE", value_parser = FalseyValueParser::new())]
    upgrade: bool,
    /// Write nothing, and exit with 1 when something is missing or not needed; with `--upgrade`, also when a tag moved
    #[arg(long, env = "DOCKLESS_LOCK_CHECK", value_parser = FalseyValueParser::new())]
    check: bool,
    #[command(flatten)]
    network: NetworkOptions,
}

impl Lock {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let request = LockRequest {
            project: self.base.request(self.path, self.network.request()),
            is_upgrade: self.upgrade,
            is_check: self.check,
        };
        let report = pipeline::lock(&request, &edge.context)?;
        let lines = report.lines();
        edge.output.result(&report.document(), lines.iter().map(String::as_str))?;
        report.into_result()
    }
}
