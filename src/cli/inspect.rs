//! `dockless inspect`.

use clap::Args;

use super::Edge;
use super::network::NetworkOptions;
use super::options::{CredentialOptions, SubjectOptions};
use crate::error::Result;
use crate::pipeline::{self, InspectRequest};

/// Show an image: its platforms, their layers and settings, and what is said of them
///
/// Reads manifests and configs, and no layer. What an index lists besides images is named as what it is. The
/// layers of the base are told from those on top where the image says which they are. Values of variables, and of
/// what commands are given, are shown unless the name says that they are secret: whoever can pull the
/// image can read those, too.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The image: a reference with a tag (`latest` without one) or a digest, `oci:DIR`, or the file that
    /// records a build
    #[arg(value_name = "IMAGE")]
    image: String,
    #[command(flatten)]
    subject: SubjectOptions,
    #[command(flatten)]
    credentials: CredentialOptions,
    #[command(flatten)]
    network: NetworkOptions,
}

impl Inspect {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let request = InspectRequest {
            image: self.image,
            platforms: self.subject.platform,
            network: self.network.request(),
            credentials: self
                .credentials
                .read("dockless inspect IMAGE --username NAME --password-stdin")?,
        };
        let report = pipeline::inspect(&request, &edge.context)?;
        let lines = report.lines();
        edge.output.result(&report.document(), lines.iter().map(String::as_str))
    }
}
