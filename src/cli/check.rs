//! `dockless check`.

use std::path::PathBuf;

use clap::Args;

use super::Edge;
use super::network::NetworkOptions;
use super::options::CredentialOptions;
use crate::error::Result;
use crate::pipeline::{self, CheckRequest, ProjectRequest};

/// Check that the base, and images that files are taken from, can be pulled and that every repository can be
/// pushed to, and write nothing
///
/// Says per registry whether it is reached with TLS, whose credentials are used and where they come
/// from; where something fails, and with `-v`, also why other sources had none. That one may push is proved by an upload that is begun and
/// cancelled. Exits with 2 when something is yours to change, such as credentials, else with 3.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The project: a folder or a config file
    #[arg(default_value = ".", value_name = "PATH", env = "DOCKLESS_PATH")]
    path: PathBuf,
    /// Read this file instead of looking for `dockless.yaml` or `agent.yaml`
    #[arg(short, long, value_name = "FILE", env = "DOCKLESS_FILE", help_heading = "Project")]
    file: Option<PathBuf>,
    /// Check this base instead of the config's
    #[arg(long, value_name = "BASE", env = "DOCKLESS_BASE", help_heading = "Project")]
    base: Option<String>,
    /// As for `push`: a full reference is a place to push to
    #[arg(
        short,
        long,
        value_name = "TAG",
        value_delimiter = ',',
        env = "DOCKLESS_TAG",
        help_heading = "Project"
    )]
    tag: Vec<String>,
    /// Check these instead of the config's repositories; repeat it or separate by commas
    #[arg(
        long,
        value_name = "REPOSITORY",
        value_delimiter = ',',
        env = "DOCKLESS_TO",
        help_heading = "Where it goes"
    )]
    to: Vec<String>,
    /// Look at the targets of this environment, too: who we are there, and what runs
    #[arg(
        short,
        long,
        value_name = "NAME",
        env = "DOCKLESS_ENVIRONMENT",
        help_heading = "Where it runs"
    )]
    environment: Option<String>,
    #[command(flatten)]
    credentials: CredentialOptions,
    #[command(flatten)]
    network: NetworkOptions,
}

impl Check {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let request = CheckRequest {
            project: ProjectRequest {
                path: self.path,
                file: self.file,
                base: self.base,
                tags: self.tag,
                network: self.network.request(),
                ..ProjectRequest::default()
            },
            to: self.to,
            credentials: self
                .credentials
                .read("dockless check --username NAME --password-stdin")?,
            environment: self.environment,
        };
        let report = pipeline::check(&request, &edge.context)?;
        edge.output.result(&report.document(), report.text().lines())?;
        report.into_result()
    }
}
