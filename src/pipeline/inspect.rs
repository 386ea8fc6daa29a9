//! `dockless inspect`: what an image is, from its manifests and configs.
//!
//! `subject/parts.rs` fetches the documents, `report.rs` tells what they say.

mod report;

use super::subject::{Subject, Target};
use super::{Context, Credentials, NetworkRequest, client, runtime};
use crate::error::{Attempting as _, Error, Result};
use crate::oci::Platform;
pub use report::InspectReport;

/// `dockless inspect`.
#[derive(Debug, Clone, Default)]
pub struct InspectRequest {
    /// The image: a reference, `oci:DIR`, or the record of a build.
    pub image: String,
    /// The platforms that are looked at; empty means all.
    pub platforms: Vec<Platform>,
    /// How to reach registries.
    pub network: NetworkRequest,
    /// Credentials for the image's registry.
    pub credentials: Option<Credentials>,
}

/// Reads the documents of an image.
///
/// # Errors
/// The image cannot be fetched, is not valid, or has no image for a platform that was asked for.
pub fn inspect(request: &InspectRequest, context: &Context) -> Result<InspectReport> {
    let target = Target::find(&request.image)?;
    let purpose = client::Purpose {
        network: &request.network,
        hosts: &target.hosts(),
        credentials: request.credentials.as_ref(),
        publish: None,
    };
    let client = client::client(context, &purpose)?;
    runtime::run(context, request.network.timeout, async {
        let reading = async {
            let subject = Subject::fetch(&target, &client).await?;
            let parts = subject.parts(&request.platforms).await?;
            Ok::<_, Error>(InspectReport::new(&subject, parts))
        };
        Box::pin(reading).await.attempting(|| format!("inspect `{target}`"))
    })
}
