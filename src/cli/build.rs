//! `dockless build`.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::network::NetworkOptions;
use super::options::{CredentialOptions, ProjectOptions, RecordOptions, TagOptions};
use super::{Edge, next_step, push};
use crate::error::{Classified, ErrorKind, Result};
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
    tags: TagOptions,
    #[command(flatten)]
    credentials: CredentialOptions,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    records: RecordOptions,
}

/// Standard output cannot take an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum StdoutError {
    #[error("an archive on standard output leaves no place for the document of `--json`")]
    Json,
    #[error("an archive is nothing for a terminal")]
    Terminal,
}

impl Classified for StdoutError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::Json => {
                "leave out `--json`, or write the archive to a file with `-o docker-archive:FILE`"
                    .into()
            }
            Self::Terminal => {
                "pipe it on, for instance to `docker load`, or write `-o docker-archive:FILE`"
                    .into()
            }
        }]
    }
}

/// Whether the image itself can go to standard output.
fn check_stdout(is_json: bool, is_terminal: bool) -> Result<(), StdoutError> {
    match (is_json, is_terminal) {
        (true, _) => Err(StdoutError::Json),
        (false, true) => Err(StdoutError::Terminal),
        (false, false) => Ok(()),
    }
}

impl Build {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let has_archive =
            self.output.iter().any(|output| output == "-" || output.ends_with("-archive:-"));
        if has_archive && !self.project.dry_run {
            check_stdout(edge.output.is_json(), std::io::stdout().is_terminal())?;
        }
        let request = BuildRequest {
            project: self.project.request(self.path, self.network.request()),
            outputs: self.output,
            has_push: self.push,
            has_load: self.load,
            credentials: self
                .credentials
                .read("dockless build --push --username NAME --password-stdin")?,
            records: self.records.files(),
            existing_tag: self.tags.existing(),
        };
        let image = match pipeline::build(&request, &edge.context)? {
            Produced::Planned(summary) => return push::show_plan(&summary, edge),
            Produced::Image(image) => image,
        };
        let digest = image.descriptor.digest.to_string();
        let told = if has_archive {
            Ok(())
        } else {
            edge.output.result(&image.document(), [digest.as_str()])
        };
        // Whether or not the result could be told, the image is there: later steps may ask for it.
        request.records.write(&image)?;
        let is_done = request.has_push || request.has_load;
        let next = next_step::after_build(
            &request.project,
            &request.outputs,
            is_done,
            image.has_repositories,
        );
        edge.suggest(next);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_goes_to_a_pipe_alone() {
        for (is_json, is_terminal, expected) in [
            (false, false, Ok(())),
            (true, false, Err(StdoutError::Json)),
            (false, true, Err(StdoutError::Terminal)),
        ] {
            assert_eq!(check_stdout(is_json, is_terminal), expected);
        }
    }
}
