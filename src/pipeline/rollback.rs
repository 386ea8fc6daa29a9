//! `dockless rollback` and `dockless destroy`: the way back, and the end.

use serde_json::{Value, json};

use super::clouds::{self, Clouds};
use super::environment::{self, Chosen, Values};
use super::{Context, EnvironmentRequest, project, runtime};
use crate::deploy::{self, DeployPlan, NotDeployed, Observed, Outcome, StateFile, Subject, Target};
use crate::error::{Attempting as _, Error, Result};
use crate::event::Action;

/// What was done, or would be, at every target of an environment.
#[derive(Debug)]
pub struct ChangeReport {
    environment: String,
    services: Vec<ServiceChange>,
    is_planned: bool,
}

/// What was done, or would be, at one target.
#[derive(Debug)]
struct ServiceChange {
    target: &'static str,
    subject: Subject,
    plan: DeployPlan,
    /// What runs afterwards.
    image: Option<String>,
}

/// What a command does with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Back,
    Off,
}

/// Brings back what every target of an environment served before.
///
/// # Errors
/// There is nothing to go back to, or it did not get there.
pub fn rollback(request: &EnvironmentRequest, context: &Context) -> Result<ChangeReport> {
    change(request, Way::Back, context)
}

/// Removes what was deployed to an environment, and nothing that is not ours.
///
/// # Errors
/// It is not ours, or it cannot be removed.
pub fn destroy(request: &EnvironmentRequest, context: &Context) -> Result<ChangeReport> {
    change(request, Way::Off, context)
}

fn change(request: &EnvironmentRequest, way: Way, context: &Context) -> Result<ChangeReport> {
    let project = project::load_to_pin(&request.project, context)?;
    let name = request.environment.as_deref();
    let chosen = environment::choose(&project, name, Values::Optional, context)?;
    let state = StateFile::of(&project.config.source.directory, context.clock.clone());
    let clouds = Clouds::new(context, &request.project.network, request.wait_limit);
    let is_planned = request.project.is_dry_run;
    runtime::run(context, request.project.network.timeout, async {
        let mut services = plans(&chosen, way, &clouds, &state).await?;
        if !is_planned {
            for (target, service) in chosen.targets.iter().zip(&mut services) {
                service.image = one(target.as_ref(), way, &chosen.name, &clouds, &state, context)
                    .await
                    .attempting(|| way.attempt(&service.subject))?;
            }
        }
        Ok(ChangeReport { environment: chosen.name.clone(), services, is_planned })
    })
}

/// What would be done everywhere, before anything is touched anywhere.
async fn plans(
    chosen: &Chosen,
    way: Way,
    clouds: &Clouds,
    state: &StateFile,
) -> Result<Vec<ServiceChange>> {
    let mut services = Vec::new();
    for target in &chosen.targets {
        let subject = target.subject();
        let session = clouds.looking().removing(way == Way::Off);
        let observed =
            target.observe(&session).await.attempting(|| format!("look at {subject}"))?;
        let before = before(target.as_ref(), &observed, &chosen.name, state);
        let plan = way
            .plan(target.as_ref(), before.as_deref(), &observed)
            .attempting(|| way.attempt(&subject))?;
        services.push(ServiceChange { target: target.kind().name, subject, plan, image: None });
    }
    Ok(services)
}

async fn one(
    target: &dyn Target,
    way: Way,
    environment: &str,
    clouds: &Clouds,
    state: &StateFile,
    context: &Context,
) -> Result<Option<String>> {
    let session = clouds.session(target, environment, state).removing(way == Way::Off);
    let subject = target.subject();
    let action = if way == Way::Off { Action::Remove } else { Action::RollBack };
    let task = context.events.task(action, subject.to_string(), None);
    let found = target.observe(&session).await?;
    let had_any = found.service.is_some();
    let wanted = before(target, &found, environment, state);
    let plan = |observed: &Observed| way.plan(target, wanted.as_deref(), observed);
    let (observed, _) = deploy::carry_out(target, &session, &plan).await?;
    let service = observed.service;
    match (way, service) {
        (Way::Off, None) => {
            if let Err(error) = clouds::service_state(state, environment, target).forget() {
                context.events.warn("no-history", error.to_string(), None);
            }
            task.finish(if had_any { "removed" } else { "nothing is there" });
            Ok(None)
        }
        (Way::Off, Some(service)) => Err(Error::new(NotDeployed {
            subject,
            outcome: Outcome::Failed,
            reason: Some(format!("it is still there: {}", service.state.name())),
        })),
        (Way::Back, None) => Err(Error::new(NotDeployed {
            subject,
            outcome: Outcome::Failed,
            reason: Some("it is not there".to_owned()),
        })),
        (Way::Back, Some(service)) => {
            if service.state != deploy::State::Ready {
                return Err(Error::new(NotDeployed {
                    subject,
                    outcome: Outcome::DeployedNotHealthy,
                    reason: service.state.reason().map(str::to_owned),
                }));
            }
            task.finish(service.image.clone().unwrap_or_default());
            Ok(service.image)
        }
    }
}

/// The image that was served before the one that is: as the platform says, else by the history here.
fn before(
    target: &dyn Target,
    observed: &Observed,
    environment: &str,
    state: &StateFile,
) -> Option<String> {
    let service = observed.service.as_ref()?;
    if let Some(previous) = &service.previous {
        return Some(previous.image.clone());
    }
    let history = clouds::service_state(state, environment, target).history().ok()?;
    let is_other = |image: &str| service.image.as_deref() != Some(image);
    let good = history.iter().rev().filter(|entry| entry.outcome == Outcome::Deployed.name());
    good.map(|entry| entry.image.clone()).find(|image| is_other(image))
}

/// Whether it is back already: an answer may have been lost.
fn serves(observed: &Observed, image: Option<&str>) -> bool {
    let service = observed.service.as_ref();
    image.is_some() && service.and_then(|service| service.image.as_deref()) == image
}

impl Way {
    fn plan(
        self,
        target: &dyn Target,
        before: Option<&str>,
        observed: &Observed,
    ) -> Result<DeployPlan> {
        match self {
            Self::Back if serves(observed, before) => Ok(DeployPlan::default()),
            Self::Back => target.plan_rollback(before, observed),
            Self::Off if observed.service.is_none() && observed.details.is_null() => {
                Ok(DeployPlan::default())
            }
            Self::Off => target.plan_destroy(observed),
        }
    }

    fn attempt(self, subject: &Subject) -> String {
        match self {
            Self::Back => format!("roll back {subject}"),
            Self::Off => format!("remove {subject}"),
        }
    }
}

impl ChangeReport {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.services.iter().all(|service| service.plan.is_empty())
    }

    /// As one JSON document.
    pub fn document(&self) -> Value {
        let services = self.services.iter().map(|service| {
            let mut document = json!({
                "target": service.target,
                "name": service.subject.name,
                "place": service.subject.place,
            });
            if self.is_planned {
                document["plan"] = service.plan.document();
            } else {
                document["image"] = json!(service.image);
            }
            document
        });
        json!({"environment": self.environment, "services": services.collect::<Vec<_>>()})
    }

    /// For people: what would be done, or what runs now.
    pub fn text(&self) -> String {
        let text = |service: &ServiceChange| {
            if self.is_planned {
                return format!("{}\n{}", service.subject, service.plan);
            }
            service.image.as_ref().map(|image| format!("{image}\n")).unwrap_or_default()
        };
        self.services.iter().map(text).collect()
    }
}
