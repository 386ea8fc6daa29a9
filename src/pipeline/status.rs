//! `dockless status`: what runs in an environment, and how it differs from what the config says.

mod report;

use std::time::Duration;

use futures_util::future::join_all;

use super::check::error_document;
use super::clouds::Clouds;
use super::deploy::fetch;
use super::environment::{self, Chosen, Values};
use super::failures::Failures;
use super::project::Project;
use super::{Context, ProjectRequest, clouds, project, runtime};
use crate::deploy::{Change, Image, Observed, StateFile, Target, drift};
use crate::error::Result;
use crate::oci::Reference;
pub use report::StatusReport;
use report::{Found, ServiceStatus};

/// A command about an environment that is deployed.
#[derive(Debug, Clone, Default)]
pub struct EnvironmentRequest {
    /// The project.
    pub project: ProjectRequest,
    /// The environment; the only one when none is named.
    pub environment: Option<String>,
    /// How long a target may take.
    pub wait_limit: Option<Duration>,
}

/// Asks every target of an environment what runs there, all at the same time.
///
/// # Errors
/// The project cannot be understood, or no target answers. Where some do not, the report says it.
pub fn status(request: &EnvironmentRequest, context: &Context) -> Result<StatusReport> {
    let project = project::load_to_pin(&request.project, context)?;
    let name = request.environment.as_deref();
    let chosen = environment::choose(&project, name, Values::Optional, context)?;
    let state = StateFile::of(&project.config.source.directory, context.clock.clone());
    let clouds = Clouds::new(context, &request.project.network, request.wait_limit);
    runtime::run(context, request.project.network.timeout, async {
        let session = clouds.looking();
        let looks = chosen.targets.iter().map(|target| target.observe(&session));
        let mut failures = Failures::among(chosen.targets.len());
        let mut services = Vec::new();
        for (target, result) in chosen.targets.iter().zip(join_all(looks).await) {
            let subject = target.subject();
            let refusal = result.as_ref().err().map(error_document);
            let observed = failures.keep("look at", &subject, result);
            let found = match (observed, refusal) {
                (Some(observed), _) => {
                    let drift =
                        difference(target.as_ref(), &observed, &chosen, &project, request, context);
                    let drift = drift.await;
                    Found::Service(observed.service.map(|service| (service, drift)))
                }
                (None, refusal) => Found::Nothing(refusal.unwrap_or_default()),
            };
            let history = clouds::service_state(&state, &chosen.name, target.as_ref()).history();
            services.push(ServiceStatus {
                target: target.kind().name,
                subject,
                found,
                history: history.unwrap_or_default(),
            });
        }
        let failure = failures.into_result().err();
        match failure {
            Some(error) if services.iter().all(|one| matches!(one.found, Found::Nothing(_))) => {
                Err(error)
            }
            failure => Ok(StatusReport { environment: chosen.name.clone(), services, failure }),
        }
    })
}

/// What a deployment of the image that runs would change; or why nobody can tell.
async fn difference(
    target: &dyn Target,
    observed: &Observed,
    chosen: &Chosen,
    project: &Project,
    request: &EnvironmentRequest,
    context: &Context,
) -> std::result::Result<Vec<Change>, String> {
    if !chosen.unset.is_empty() {
        let unset: Vec<_> = chosen.unset.iter().map(|name| format!("`{name}`")).collect();
        return Err(format!("the values of {} are not known here", unset.join(", ")));
    }
    let Some(image) = deployed(observed, project, request, context).await? else {
        return Ok(Vec::new());
    };
    drift(target, &image, observed).map_err(|error| error.to_string())
}

/// The image that runs; nothing where nothing is deployed. Which platform it is for is asked of its registry.
async fn deployed(
    observed: &Observed,
    project: &Project,
    request: &EnvironmentRequest,
    context: &Context,
) -> std::result::Result<Option<Image>, String> {
    let Some(service) = &observed.service else { return Ok(None) };
    let image = service.image.as_deref().ok_or("the platform names no image")?;
    let reference = image.parse::<Reference>().ok();
    let reference = reference
        .filter(|reference| reference.digest.is_some())
        .ok_or_else(|| format!("`{image}` was not deployed by its digest"))?;
    let network = &request.project.network;
    let fetched = fetch(&reference, &project.config.publish, None, network, context).await;
    fetched.map(Some).map_err(|error| format!("`{image}` cannot be looked at: {error}"))
}
