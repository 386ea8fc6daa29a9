//! `dockless verify`.

use std::path::PathBuf;

use clap::Args;

use super::Edge;
use super::network::NetworkOptions;
use super::options::{CredentialOptions, ImageOptions};
use crate::error::Result;
use crate::pipeline::{self, VerifyRequest};

/// Build a project from nothing, and tell whether that is the image in a registry
///
/// Uses no cache and no layer of an earlier image, and writes nothing. Give it the options that the image was
/// built with. Prints the image by its digest when that is what is built here and the registry still has every
/// blob of it. Otherwise, with exit code 1, what is different: first the layer, the file in it and which field
/// of that, then what the config says, in the image and built here, and which blobs are lost. Layers of the base
/// are compared by their digests; values of variables, and of commands that may hold them, are not shown.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The image: a reference with a tag (`latest` without one) or a digest, `oci:DIR`, or a file that
    /// `--build-record` has written, which says the options of the build, too
    #[arg(value_name = "REFERENCE")]
    reference: String,
    /// The project: a folder or a config file
    #[arg(default_value = ".", env = "DOCKLESS_PATH")]
    path: PathBuf,
    /// The record of the build, for an image that was pushed later, or elsewhere: it says the options of the build
    #[arg(long, value_name = "FILE", env = "DOCKLESS_VERIFY_RECORD")]
    record: Option<PathBuf>,
    #[command(flatten)]
    image: ImageOptions,
    #[command(flatten)]
    credentials: CredentialOptions,
    #[command(flatten)]
    network: NetworkOptions,
}

impl Verify {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let request = VerifyRequest {
            reference: self.reference,
            record: self.record,
            project: self.image.request(self.path, self.network.request()),
            credentials: self
                .credentials
                .read("dockless verify REFERENCE --username NAME --password-stdin")?,
        };
        let report = pipeline::verify(&request, &edge.context)?;
        let lines = report.lines();
        edge.output.result(&report.document(), lines.iter().map(String::as_str))?;
        report.into_result()
    }
}
