//! Options of the commands about an environment.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::network::{NetworkOptions, parse_duration};
use crate::pipeline::{EnvironmentRequest, ProjectRequest};

/// Which environment, where commands wait for what runs there.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where it runs")]
pub(super) struct EnvironmentOptions {
    /// The environment of the config; without it, the only one
    #[arg(short, long, value_name = "NAME", env = "DOCKLESS_ENVIRONMENT")]
    pub(super) environment: Option<String>,
    /// How long a target may take until it is well, 45 minutes when absent: `10m`, `1h`
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_duration,
        env = "DOCKLESS_WAIT_TIMEOUT"
    )]
    pub(super) wait_timeout: Option<Duration>,
}

/// An environment of a project that nothing is built for.
#[derive(Debug, Args)]
pub(super) struct ServiceOptions {
    /// The project: a folder or a config file
    #[arg(default_value = ".", value_name = "PATH", env = "DOCKLESS_PATH")]
    path: PathBuf,
    /// Read this file instead of looking for `dockless.yaml` or `agent.yaml`
    #[arg(short, long, value_name = "FILE", env = "DOCKLESS_FILE", help_heading = "Project")]
    file: Option<PathBuf>,
    #[command(flatten)]
    environment: EnvironmentOptions,
    #[command(flatten)]
    network: NetworkOptions,
}

impl ServiceOptions {
    /// The request.
    pub(super) fn request(self, is_dry_run: bool) -> EnvironmentRequest {
        let EnvironmentOptions { environment, wait_timeout } = self.environment;
        EnvironmentRequest {
            project: ProjectRequest {
                path: self.path,
                file: self.file,
                is_dry_run,
                network: self.network.request(),
                ..ProjectRequest::default()
            },
            environment,
            wait_limit: wait_timeout,
        }
    }
}
