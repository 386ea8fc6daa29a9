//! `dockless build`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::options::{CredentialOptions, ProjectOptions, RecordOptions};
use super::{Edge, push};
use crate::error::Result;
use crate::pipeline::{self, BuildRequest, Produced};

/// Build the image of an agent: prints the digest, keeps the blobs in the cache
///
/// With `-o` the image is written to an OCI layout or an archive too, with `--push` to the
/// repositories of the config, with `--load` into the local engine.
#[derive(Debug, Args)]
pub(super) struct Build {
    /// The project: a folder or a config file
    #[arg(default_value = ".", env = "DOCKLESS_PATH")]
    path: PathBuf,
    #[command(flatten)]
    project: ProjectOptions,
    /// Write the image here: `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE`, or `-` for a Docker
    /// archive on stdout; repeat it for several
    #[arg(
        short,
        long,
        value_name = "DESTINATION",
        env = "DOCKLESS_OUTPUT",
        value_delimiter = ',',
        help_heading = "Where it goes"
    )]
    output: Vec<String>,
    /// Hand the image to the local engine (`docker`, `podman` or `nerdctl`)
    #[arg(
        long,
        env = "DOCKLESS_LOAD",
        value_parser = FalseyValueParser::new(),
        help_heading = "Where it goes"
    )]
    load: bool,
    /// Push to the config's repositories too
    #[arg(
        long,
        env = "DOCKLESS_PUSH",
        value_parser = FalseyValueParser::new(),
        help_heading = "Where it goes"
    )]
    push: bool,
    #[command(flatten)]
    credentials: CredentialOptions,
    #[command(flatten)]
    records: RecordOptions,
}

impl Build {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let writes_to_stdout = self.output.iter().any(|output| output == "-");
        let request = BuildRequest {
            project: self.project.request(self.path),
            outputs: self.output,
            has_push: self.push,
            has_load: self.load,
            credentials: self.credentials.read()?,
            records: self.records.files(),
        };
        let produced = pipeline::build(&request, &edge.context)?;
        if writes_to_stdout {
            return Ok(());
        }
        match &produced {
            Produced::Planned(summary) => push::show_plan(summary, edge),
            Produced::Image(image) => {
                let digest = image.descriptor.digest.to_string();
                edge.output.result(&image.document(), [digest.as_str()]);
                if edge.is_terminal && image.published.is_empty() {
                    edge.context.events.note("next: dockless push --to REGISTRY/REPOSITORY -t TAG");
                }
            }
        }
        Ok(())
    }
}
