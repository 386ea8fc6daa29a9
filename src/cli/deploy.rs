//! `dockless deploy`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::Edge;
use super::environment::{EnvironmentOptions, WaitOptions};
use super::network::NetworkOptions;
use super::options::{CredentialOptions, ProjectOptions, RecordOptions, TagOptions};
use crate::error::Result;
use crate::pipeline::{self, DeployRequest, ImageChoice};

/// Build and push the image of an agent, and deploy it by its digest to the targets of an environment
///
/// Ends only when every target runs exactly this digest and says that it is well, or tells why not. Prints the
/// URL of each. An image that runs already with the same settings is not deployed again: nothing is written.
#[derive(Debug, Args)]
pub(super) struct Deploy {
    /// The project: a folder or a config file
    #[arg(default_value = ".", value_name = "PATH", env = "DOCKLESS_PATH")]
    path: PathBuf,
    #[command(flatten)]
    environment: EnvironmentOptions,
    #[command(flatten)]
    wait: WaitOptions,
    #[command(flatten)]
    image: DeployedImageOptions,
    #[command(flatten)]
    project: ProjectOptions,
    /// Push here instead of to the config's repositories: a repository or a full reference; repeat
    /// it or separate by commas
    #[arg(
        long,
        value_name = "REPOSITORY",
        value_delimiter = ',',
        env = "DOCKLESS_TO",
        help_heading = "Where it goes"
    )]
    to: Vec<String>,
    #[command(flatten)]
    tags: TagOptions,
    #[command(flatten)]
    credentials: CredentialOptions,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    records: RecordOptions,
}

/// Which image is deployed, and what happens when it is not well.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where it runs")]
struct DeployedImageOptions {
    /// Deploy this image, which is in a registry, and build nothing: `NAME@sha256:…`. A tag is resolved
    /// once, and its digest is deployed
    #[arg(long, value_name = "REFERENCE", env = "DOCKLESS_IMAGE", conflicts_with = "image_from")]
    image: Option<String>,
    /// Deploy the digest that another environment runs, and build nothing
    #[arg(long, value_name = "NAME", env = "DOCKLESS_IMAGE_FROM")]
    image_from: Option<String>,
    /// Bring back what ran before when the image is deployed and not well
    #[arg(long, env = "DOCKLESS_ROLLBACK_ON_FAILURE", value_parser = FalseyValueParser::new())]
    rollback_on_failure: bool,
    /// Believe the platform alone, and do not ask the service itself whether it is well
    #[arg(long, env = "DOCKLESS_NO_PROBE", value_parser = FalseyValueParser::new())]
    no_probe: bool,
}

impl Deploy {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let image = match (self.image.image, self.image.image_from) {
            (Some(image), _) => ImageChoice::Named(image),
            (None, Some(environment)) => ImageChoice::From(environment),
            (None, None) => ImageChoice::Built,
        };
        let request = DeployRequest {
            project: self.project.request(self.path, self.network.request()),
            environment: self.environment.environment,
            image,
            to: self.to,
            credentials: self
                .credentials
                .read("dockless deploy --username NAME --password-stdin")?,
            records: self.records.files(),
            existing_tag: self.tags.existing(),
            wait_limit: self.wait.wait_timeout,
            has_rollback: self.image.rollback_on_failure,
            is_unprobed: self.image.no_probe,
        };
        let report = pipeline::deploy(&request, &edge.context)?;
        edge.output.result(&report.document(), report.text().lines())?;
        report.into_result()
    }
}
