//! `dockless deploy`: config → image → published → deployment.
//!
//! Everything that can be wrong on the user's side (values, settings, credentials, whose service it is) is
//! found before anything is built; each target says what it would change before the first is touched.

mod images;
mod report;

pub(super) use images::fetch;
pub use report::{DeployReport, PlannedDeployment};

use std::time::Duration;

use futures_util::future::join_all;

use super::clouds::{self, Clouds};
use super::environment::{self, Chosen, Values};
use super::failures::Failures;
use super::{Context, Credentials, ProjectRequest, RecordFiles, project, runtime};
use crate::deploy::{
    self, DeployError, DeployPlan, Deployment, Image, Observed, Outcome, Service, Session, State,
    StateFile, Target,
};
use crate::error::{Attempting as _, Error, Result};
use crate::oci::Digest;
use crate::publish::ExistingTag;

/// `dockless deploy`.
#[derive(Debug, Clone, Default)]
pub struct DeployRequest {
    /// The project.
    pub project: ProjectRequest,
    /// The environment; the only one when none is named.
    pub environment: Option<String>,
    /// What is deployed.
    pub image: ImageChoice,
    /// Repositories and full references to push to, instead of the config's; empty keeps them.
    pub to: Vec<String>,
    /// Credentials for the one host that is pushed to.
    pub credentials: Option<Credentials>,
    /// What to write for later steps.
    pub records: RecordFiles,
    /// What happens to tags that point at another image already.
    pub existing_tag: ExistingTag,
    /// How long a target may take until it is well.
    pub wait_limit: Option<Duration>,
    /// Whether to bring back what ran before when the image is not well.
    pub has_rollback: bool,
    /// Whether to believe the platform alone, and not to ask the service itself.
    pub is_unprobed: bool,
}

/// Which image is deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ImageChoice {
    /// The project's, built and pushed now.
    #[default]
    Built,
    /// This one, which is in a registry: `name@sha256:…`; a tag is resolved once.
    Named(String),
    /// The one that another environment runs.
    From(String),
}

/// A target, what is there, and the way to what should be.
struct Prepared<'a> {
    target: &'a dyn Target,
    session: Session,
    observed: Observed,
}

/// How it ended at a target.
struct Ended {
    deployment: Deployment,
    /// The service, when what ran before is back.
    back: Option<Service>,
    /// Whether something ran well before that is not back.
    has_way_back: bool,
}

/// Builds, pushes and deploys; or only deploys, where an image is named.
///
/// # Errors
/// Every problem of the user's (kind usage) is found before anything is written outside the cache. How
/// deployments ended that took place is in the report.
pub fn deploy(request: &DeployRequest, context: &Context) -> Result<DeployReport> {
    let project = project::load(&request.project, context)?;
    let chosen =
        environment::choose(&project, request.environment.as_deref(), Values::Needed, context)?;
    let source = match &request.image {
        ImageChoice::From(name) => {
            Some(environment::choose(&project, Some(name), Values::Optional, context)?)
        }
        _ => None,
    };
    if let ImageChoice::Named(text) = &request.image {
        images::read_name(text, context)?;
    }
    if request.image != ImageChoice::Built
        && !(request.to.is_empty() && request.project.tags.is_empty())
    {
        context.events.warn(
            "unused-options",
            "nothing is built and pushed, so where to (`--to`, `--tag`) does not matter".to_owned(),
            None,
        );
    }
    let state = StateFile::of(&project.config.source.directory, context.clock.clone());
    let clouds = Clouds::new(context, &request.project.network, request.wait_limit);
    let clouds = if request.is_unprobed { clouds.without_probe() } else { clouds };
    runtime::run(context, request.project.network.timeout, async {
        // What the user has to change shows before anything is built and pushed: the image is guessed.
        let guessed = match request.image {
            ImageChoice::Built => Some(images::guessed(request, &project, context)?),
            ImageChoice::Named(_) | ImageChoice::From(_) => None,
        };
        let prepared = prepare(&chosen, guessed.as_deref(), &clouds, &state).await?;
        let has_pushed = request.image == ImageChoice::Built && !request.project.is_dry_run;
        let late = |error: Error| if has_pushed { error.late() } else { error };
        let images = match &source {
            Some(source) => {
                let publish = &project.config.publish;
                images::of_environment(source, &clouds, request, publish, context).await?
            }
            None => images::images(request, project, context).await?,
        };
        let mut fitting = Vec::new();
        for Prepared { target, session, observed } in prepared {
            let image = images::fitting(target, &images).map_err(late)?;
            let plan = plan(target, &image, &observed).map_err(late)?;
            fitting.push((target, session, image, plan));
        }
        if request.project.is_dry_run {
            let planned = fitting.into_iter().map(|(target, _, image, plan)| {
                Ok(PlannedDeployment {
                    target: target.kind().name,
                    subject: target.subject(),
                    image: target.check(&image)?,
                    plan,
                })
            });
            return Ok(DeployReport::planned(chosen.name.clone(), planned.collect::<Result<_>>()?));
        }
        let mut report = DeployReport::new(chosen.name.clone());
        for (target, session, image, _) in fitting {
            if report.has_failed() {
                let subject = target.subject();
                context.events.note(format!("{subject}: not touched"));
                report.untouched.push((target.kind().name, subject));
                continue;
            }
            let is_first = report.deployments.is_empty();
            let result = one(target, &image, &session, request)
                .await
                .map_err(|error| if is_first { late(error) } else { error.late() });
            if let Ok(Ended { deployment, back, .. }) = &result {
                let state = clouds::service_state(&state, &chosen.name, target);
                clouds::remember(&state, deployment, back.as_ref(), context);
            }
            report.add(target, &image, result);
        }
        Ok(report)
    })
}

/// What would have to be done at a target.
fn plan(target: &dyn Target, image: &Image, observed: &Observed) -> Result<DeployPlan> {
    target.plan(image, observed).attempting(|| format!("deploy to {}", target.subject()))
}

/// Asks all targets at once what is there, and plans for the images as they will be, where that is known: who
/// may not even look finds out before anything is built.
async fn prepare<'a>(
    chosen: &'a Chosen,
    guessed: Option<&[Image]>,
    clouds: &Clouds,
    state: &StateFile,
) -> Result<Vec<Prepared<'a>>> {
    let looks = chosen.targets.iter().map(|target| async {
        let session = clouds.session(target.as_ref(), &chosen.name, state);
        let observed = target.observe(&session).await;
        observed.map(|observed| Prepared { target: target.as_ref(), session, observed })
    });
    let mut failures = Failures::among(chosen.targets.len());
    let mut prepared = Vec::new();
    for (target, result) in chosen.targets.iter().zip(join_all(looks).await) {
        prepared.extend(failures.keep("look at", &target.subject(), result));
    }
    for Prepared { target, session, observed } in &prepared {
        let subject = target.subject();
        if let Some(service) = &observed.service {
            let image = service.image.as_deref().unwrap_or("no image that it names");
            session.events.detail(format!("{subject}: {}, runs {image}", service.state.name()));
        }
        if let Some(images) = guessed {
            let plan =
                images::fitting(*target, images).and_then(|image| target.plan(&image, observed));
            failures.keep("deploy to", &subject, plan.map_err(without_digest));
        }
    }
    failures.into_result()?;
    Ok(prepared)
}

/// The same of an image that is not built yet: nobody knows its digest.
fn without_digest(error: Error) -> Error {
    let Some(DeployError::Unfit { target, image, reason, hint }) = error.downcast_ref() else {
        return error;
    };
    let image = image.split('@').next().unwrap_or_default().to_owned();
    let (target, reason, hint) = (target.clone(), reason.clone(), hint.clone());
    DeployError::Unfit { target, image, reason, hint }.into()
}

/// Deploys to one target and, where it is asked for and needed, brings back what ran before.
async fn one(
    target: &dyn Target,
    image: &Image,
    session: &Session,
    request: &DeployRequest,
) -> Result<Ended> {
    // What came to nothing is nothing to go back to: then it is what serves in its place.
    let before = target.observe(session).await?.service.and_then(|service| match service.state {
        State::Ready => service.image,
        _ => service.previous.map(|previous| previous.image),
    });
    let task =
        session.events.task(crate::event::Action::Deploy, target.subject().to_string(), None);
    let mut deployment = deploy::deploy(target, image, session)
        .await
        .attempting(|| format!("deploy to {}", target.subject()))?;
    if deployment.outcome.is_good() {
        if deployment.outcome == Outcome::Unchanged {
            task.skip(report::summary(&deployment));
        } else {
            task.finish(report::summary(&deployment));
        }
        return Ok(Ended { deployment, back: None, has_way_back: false });
    }
    drop(task);
    let mut back = None;
    let is_ours_to_undo = deployment.outcome == Outcome::DeployedNotHealthy;
    if request.has_rollback && is_ours_to_undo {
        // How the deployment ended matters more than why it could not be taken back.
        match roll_back(target, image, before.as_deref(), session).await {
            Ok(service) => back = service,
            Err(error) => {
                let text = format!("{}: what ran before is not back: {error}", target.subject());
                session.events.warn("no-rollback", text, error.hints().into_iter().next());
            }
        }
    }
    deployment.rolled_back_to = back.as_ref().and_then(|service| service.image.clone());
    let has_way_back = before.is_some() && back.is_none();
    Ok(Ended { deployment, back, has_way_back })
}

/// Brings back what ran before, and says whether it is back.
async fn roll_back(
    target: &dyn Target,
    bad: &Image,
    before: Option<&str>,
    session: &Session,
) -> Result<Option<Service>> {
    let subject = target.subject();
    let warn = |text: String| session.events.warn("no-rollback", text, None);
    let digest = |image: &str| image.rsplit_once('@')?.1.parse::<Digest>().ok();
    let Some(before) = before else {
        warn(format!("{subject}: nothing ran well before, so there is nothing to go back to"));
        return Ok(None);
    };
    if digest(before).is_some_and(|digest| bad.has_digest(&digest)) {
        warn(format!("{subject}: only settings changed; deploy the earlier ones to go back"));
        return Ok(None);
    }
    let plan = |observed: &Observed| {
        let is_back = observed.service.as_ref().is_some_and(|service| {
            service.image.as_deref() == Some(before) && service.state == State::Ready
        });
        if is_back {
            Ok(DeployPlan::default())
        } else {
            target.plan_rollback(Some(before), observed)
        }
    };
    let (observed, _) = deploy::carry_out(target, session, &plan)
        .await
        .attempting(|| format!("bring `{before}` back to {subject}"))?;
    let service = observed.service;
    let is_back = service.as_ref().is_some_and(|service| {
        service.state == State::Ready && service.image.as_deref().and_then(digest) == digest(before)
    });
    match service {
        Some(service) if is_back => {
            session.events.note(format!("{subject}: `{before}` is back"));
            Ok(Some(service))
        }
        service => {
            let state = service.map_or("gone", |service| service.state.name());
            warn(format!("{subject}: `{before}` is not back, the service is {state}"));
            Ok(None)
        }
    }
}
