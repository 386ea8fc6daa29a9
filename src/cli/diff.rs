//! `dockless diff`.

use clap::Args;

use super::Edge;
use super::network::NetworkOptions;
use super::options::{CredentialOptions, SubjectOptions};
use crate::error::Result;
use crate::pipeline::{self, DiffRequest};

/// Tell what changed from one image to another: settings, layers and files
///
/// Layers that both stand on are not read; of the others, the files are compared as a container sees them: what
/// they are, content, permissions, owner, where a link leads, but not when they were changed. Prints nothing when
/// the images are the same, otherwise what is different, with exit code 1. Values of variables whose
/// names say that they are secret are not shown.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The older image: a reference with a tag (`latest` without one) or a digest, `oci:DIR`, or the file
    /// that records a build
    #[arg(value_name = "A")]
    before: String,
    /// The newer image
    #[arg(value_name = "B")]
    after: String,
    /// List every file, not only the first of them
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    subject: SubjectOptions,
    #[command(flatten)]
    credentials: CredentialOptions,
    #[command(flatten)]
    network: NetworkOptions,
}

impl Diff {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let request = DiffRequest {
            images: [self.before, self.after],
            platforms: self.subject.platform,
            network: self.network.request(),
            credentials: self
                .credentials
                .read("dockless diff A B --username NAME --password-stdin")?,
        };
        let report = pipeline::diff(&request, &edge.context)?;
        let lines = report.lines(self.all);
        edge.output.result(&report.document(), lines.iter().map(String::as_str))?;
        report.into_result()
    }
}
