//! Options of the commands about an environment.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::network::{NetworkOptions, parse_duration};
use crate::pipeline::{EnvironmentRequest, ProjectRequest};

/// Which environment.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where it runs")]
pub(super) struct EnvironmentOptions {
    /// The environment of the config; without it, the only one
    #[arg(short, long, value_name = "NAME", env = "DOCKLESS_ENVIRONMENT")]
    pub(super) environment: Option<String>,
}

/// How long commands wait that change what runs there.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where it runs")]
pub(super) struct WaitOptions {
    /// How long a target may take until it is well, 45 minutes when absent: `10m`, `1h`. After that the platform
    /// goes on by itself
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_duration,
        env = "DOCKLESS_WAIT_TIMEOUT"
    )]
    pub(super) wait_timeout: Option<Duration>,
}

/// An environment of a project that nothing is built for, to look at.
#[derive(Debug, Args)]
pub(super) struct LookOptions {
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

/// An environment of a project that nothing is built for, to change what runs there.
#[derive(Debug, Args)]
pub(super) struct ChangeOptions {
    #[command(flatten)]
    look: LookOptions,
    #[command(flatten)]
    wait: WaitOptions,
}

impl LookOptions {
    /// The request.
    pub(super) fn request(self) -> EnvironmentRequest {
        EnvironmentRequest {
            project: ProjectRequest {
                path: self.path,
                file: self.file,
                network: self.network.request(),
                ..ProjectRequest::default()
            },
            environment: self.environment.environment,
            wait_limit: None,
        }
    }
}

impl ChangeOptions {
    /// The request.
    pub(super) fn request(self, is_dry_run: bool) -> EnvironmentRequest {
        let mut request = self.look.request();
        request.project.is_dry_run = is_dry_run;
        request.wait_limit = self.wait.wait_timeout;
        request
    }
}
