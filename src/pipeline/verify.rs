//! `dockless verify`: config → inputs → plan → layers → image, and whether that is the image in a registry.
//!
//! It trusts nothing that was made before, but what is locked: no cache, no layer of an earlier image. Everything is
//! packed into a store that goes with the command. `target.rs` says which image is looked at,
//! `record.rs` what its build record says, `comparison.rs` compares documents, `layers.rs` the layers, `blobs.rs` asks whether they
//! are there, `report.rs` says what came of it.

mod blobs;
mod comparison;
mod hints;
mod layers;
mod record;
mod report;
mod target;

use std::path::PathBuf;

use super::gathering::{Gathering, source_date_epoch};
use super::layers::Layers;
use super::subject::Subject;
use super::{Context, Credentials, ProjectRequest};
use super::{base_files, client, guard, planning, produce, project, runtime};
use crate::error::{Attempting as _, Result};
use crate::store::Store;
use comparison::Comparison;
use record::Record;
pub use report::VerifyReport;

/// `dockless verify`.
#[derive(Debug, Clone, Default)]
pub struct VerifyRequest {
    /// The image: a reference, `oci:DIR`, or the file of a build record.
    pub reference: String,
    /// The build record of an image that is named by its reference.
    pub record: Option<PathBuf>,
    /// The project it should come from.
    pub project: ProjectRequest,
    /// Credentials for the image's registry.
    pub credentials: Option<Credentials>,
}

/// Builds a project from nothing and compares the image with one that exists. Whether they are equal is in
/// the report.
///
/// # Errors
/// The project cannot be built, or the image cannot be fetched.
pub fn verify(request: &VerifyRequest, context: &Context) -> Result<VerifyReport> {
    let Some(record) = record::find(request)? else {
        return verify_image(request, None, context);
    };
    let mut request = request.clone();
    if request.record.is_none() {
        request.reference = record.build.reference(&request.reference)?.to_owned();
    }
    record.build.fill(&mut request.project, source_date_epoch(context)?)?;
    verify_image(&request, Some(&record), context)
}

fn verify_image(
    request: &VerifyRequest,
    record: Option<&Record>,
    context: &Context,
) -> Result<VerifyReport> {
    let target = target::read(&request.reference, &request.project.path)?;
    let project = project::load(&request.project, context)?;
    let config = &project.config;
    let purpose = client::Purpose {
        network: &request.project.network,
        hosts: &target.hosts(),
        credentials: request.credentials.as_ref(),
        publish: Some(&config.publish),
    };
    let client = client::client(context, &purpose)?;
    runtime::run(context, request.project.network.timeout, async {
        let subject = Box::pin(Subject::fetch(&target, &client))
            .await
            .attempting(|| format!("fetch `{target}`"))?;
        record.map_or(Ok(()), |record| record.check(&subject))?;
        let store = Store::temporary()?.with_events(&context.events);
        // As when it was built: a cache inside the project is no part of it, and neither is this store.
        let ours = context.environment.cache_dir().into_iter().chain([store.root().to_owned()]);
        let recorded =
            record.map(|record| record.outputs(&config.source.directory, &context.events));
        let outputs: Vec<PathBuf> = ours.chain(recorded.into_iter().flatten()).collect();
        // Nothing earlier counts: every file is read.
        let tools = (client.clone(), store.clone());
        let pins = project.pins(request.project.is_locked).await?;
        let gathering = Gathering::open(&project, &outputs, true, tools, context).await?;
        let gathering = gathering.with_pins(pins);
        let is_dirty = gathering.vcs().await.is_some_and(|vcs| vcs.is_dirty);
        let bases = async {
            let mut bases = gathering.bases(&project).await?;
            if base_files::recall(&mut bases, &project, &gathering, None).await? {
                base_files::read_unknown(&mut bases, &gathering).await?;
            }
            Ok(bases)
        };
        let (files, bases) = Box::pin(planning::both(gathering.files(&project), bases)).await?;
        let plan = planning::plan(&project, files, bases, &gathering).await?;
        let (plan, _) = guard::check(plan, &project, &gathering).await?;
        let layers = Layers::open(config.compression, &gathering, false, None);
        let assembly = Box::pin(produce::build(&plan, &layers)).await?;
        let comparison = Comparison {
            subject: &subject,
            assembly: &assembly,
            plan: &plan,
            has_chosen_platforms: !request.project.platforms.is_empty(),
            is_dirty,
            store: &store,
            context,
        };
        Box::pin(comparison.run()).await
    })
}
