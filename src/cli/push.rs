//! `dockless push`.

use std::path::PathBuf;

use clap::Args;

use super::network::NetworkOptions;
use super::options::{CredentialOptions, ProjectOptions, RecordOptions, TagOptions};
use super::{Edge, next_step};
use crate::error::Result;
use crate::pipeline::{self, PlanSummary, Produced, PushRequest};

/// Build the image of an agent, or take a layout built earlier, and push it to registries
///
/// Prints one `name@sha256:…` per destination.
#[derive(Debug, Args)]
pub(super) struct Push {
    /// The project (a folder or a config file), or `oci:DIR` to push an image that was built earlier
    #[arg(default_value = ".", value_name = "PATH|oci:DIR", env = "DOCKLESS_PATH")]
    path: String,
    #[command(flatten)]
    project: ProjectOptions,
    /// Push here instead of to the config's repositories: a repository or a full reference; repeat
    /// it or separate by commas. `oci:DIR` works too
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

impl Push {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let request = PushRequest {
            project: self.project.request(PathBuf::from(self.path), self.network.request()),
            to: self.to,
            credentials: self.credentials.read("dockless push --username NAME --password-stdin")?,
            records: self.records.files(),
            existing_tag: self.tags.existing(),
        };
        match pipeline::push(&request, &edge.context)? {
            Produced::Planned(summary) => show_plan(&summary, edge),
            Produced::Image(image) => {
                let references: Vec<_> =
                    image.published.iter().map(|published| published.reference.as_str()).collect();
                let told = edge.output.result(&image.document(), references);
                // Whether or not the result could be told, the image is there.
                request.records.write(&image)?;
                edge.suggest(next_step::after_push(&image));
                told
            }
        }
    }
}

/// Prints what `--dry-run` found.
pub(super) fn show_plan(summary: &PlanSummary, edge: &Edge) -> Result<()> {
    let text = summary.to_string();
    edge.output.result(&summary.document(), text.lines())
}
