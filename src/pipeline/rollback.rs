//! `dockless rollback` and `dockless destroy`: the way back, and the end.

mod report;
mod way_back;

use futures_util::future::join_all;

use super::clouds::{self, Clouds};
use super::environment::{self, Values};
use super::failures::Failures;
use super::{Context, EnvironmentRequest, project, runtime};
use crate::deploy::{
    self, DeployError, DeployPlan, Entry, NotDeployed, Observed, Outcome, Service, State,
    StateFile, Target,
};
use crate::error::{Attempting as _, Error, Result};
use crate::event::Action;
pub use report::ChangeReport;
use report::{ServiceChange, Stage};
use way_back::WayBack;

/// What a command does with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Back,
    Off,
}

/// A change of everything that an environment has.
struct Change<'a> {
    way: Way,
    environment: &'a str,
    clouds: &'a Clouds,
    state: &'a StateFile,
    context: &'a Context,
}

/// Brings back what every target of an environment served before.
///
/// # Errors
/// There is nothing to go back to. What did not get there stands in the report.
pub fn rollback(request: &EnvironmentRequest, context: &Context) -> Result<ChangeReport> {
    change(request, Way::Back, context)
}

/// Removes what was deployed to an environment, and nothing that is not ours.
///
/// # Errors
/// It is not ours. What cannot be removed stands in the report.
pub fn destroy(request: &EnvironmentRequest, context: &Context) -> Result<ChangeReport> {
    change(request, Way::Off, context)
}

fn change(request: &EnvironmentRequest, way: Way, context: &Context) -> Result<ChangeReport> {
    let project = project::load_to_pin(&request.project, context)?;
    let name = request.environment.as_deref();
    let chosen = environment::choose(&project, name, Values::Optional, context)?;
    let state = StateFile::of(&project.config.source.directory, context.clock.clone());
    let clouds = Clouds::new(context, &request.project.network, request.wait_limit);
    let environment = chosen.name.as_str();
    let change = Change { way, environment, clouds: &clouds, state: &state, context };
    runtime::run(context, request.project.network.timeout, async {
        let services = change.plans(&chosen.targets).await?;
        let mut report = ChangeReport::new(environment, services);
        if request.project.is_dry_run {
            return Ok(report);
        }
        for (place, target) in chosen.targets.iter().enumerate() {
            let result = change.carry_out(target.as_ref()).await;
            // Once something was changed, nobody can say that nothing was.
            let result = result.map_err(|error| if place > 0 { error.late() } else { error });
            report.add(place, result);
            if report.has_failed() {
                break;
            }
        }
        Ok(report)
    })
}

impl Change<'_> {
    /// What would be done everywhere, before anything is touched anywhere.
    async fn plans(&self, targets: &[Box<dyn Target>]) -> Result<Vec<ServiceChange>> {
        let session = self.clouds.looking().removing(self.way == Way::Off);
        let looks = targets.iter().map(|target| target.observe(&session));
        let mut failures = Failures::among(targets.len());
        let mut services = Vec::new();
        for (target, result) in targets.iter().zip(join_all(looks).await) {
            let subject = target.subject();
            let Some(observed) = failures.keep("look at", &subject, result) else { continue };
            if self.way == Way::Off && observed.service.is_none() {
                self.warn_of_other_places(target.as_ref(), targets);
            }
            let way_back = WayBack::find(&observed, &self.history(target.as_ref()));
            let plan = self.way.plan(target.as_ref(), &way_back, &observed);
            if let Some(plan) = failures.keep(self.way.attempt(), &subject, plan) {
                services.push(ServiceChange::planned(target.kind().name, subject, plan));
            }
        }
        failures.into_result()?;
        Ok(services)
    }

    /// Nothing is here, but what the history knows elsewhere may go on running.
    fn warn_of_other_places(&self, target: &dyn Target, targets: &[Box<dyn Target>]) {
        let places = clouds::other_places(self.state, self.environment, target, targets);
        if places.is_empty() {
            return;
        }
        let subject = target.subject();
        let places = places.join("` and `");
        let text = format!(
            "{subject}: nothing is there, but it was deployed to `{places}` from this folder"
        );
        let hint = format!(
            "name that place in the config and run `{}` again",
            target.workload().command("destroy")
        );
        self.context.events.warn("elsewhere", text, Some(hint));
    }

    fn history(&self, target: &dyn Target) -> Vec<Entry> {
        // Without a history, the platform alone is asked.
        clouds::service_state(self.state, self.environment, target).history().unwrap_or_default()
    }

    /// Gives how it ended, and the image that runs afterwards.
    async fn carry_out(&self, target: &dyn Target) -> Result<(Stage, Option<String>)> {
        let session = self.clouds.session(target, self.environment, self.state);
        let session = session.removing(self.way == Way::Off);
        let subject = target.subject();
        let task = self.context.events.task(self.way.action(), subject.to_string(), None);
        let attempt = || format!("{} {subject}", self.way.attempt());
        let found = target.observe(&session).await.attempting(attempt)?;
        let way_back = WayBack::find(&found, &self.history(target));
        let plan = |observed: &Observed| self.way.plan(target, &way_back, observed);
        let (observed, has_written) =
            deploy::carry_out(target, &session, &plan).await.attempting(attempt)?;
        let service = self.judge(target, found.service.as_ref(), observed.service)?;
        let stage = match &service {
            None if found.service.is_none() && !has_written => {
                task.skip("nothing is there");
                Stage::Absent
            }
            None => {
                task.finish("");
                Stage::Removed
            }
            Some(service) => {
                task.finish(service.image.clone().unwrap_or_default());
                Stage::RolledBack
            }
        };
        let state = clouds::service_state(self.state, self.environment, target);
        let recorded = match &service {
            None => state.forget(),
            Some(service) => state.record_rollback(service, way_back.image_of_start()),
        };
        if let Err(error) = recorded {
            clouds::warn_of_history(&self.context.events, &error.into());
        }
        Ok((stage, service.and_then(|service| service.image)))
    }

    /// What is there afterwards, if it is what should be.
    fn judge(
        &self,
        target: &dyn Target,
        before: Option<&Service>,
        service: Option<Service>,
    ) -> Result<Option<Service>> {
        // What was going on was stopped, and what ran before runs on.
        let is_stopped = matches!(before.map(|before| &before.state), Some(State::Updating(_)))
            && matches!(service.as_ref().map(|there| &there.state), Some(State::RolledBack(_)));
        let not_deployed = |outcome, reason: Option<String>| {
            Err(Error::new(NotDeployed::new(target, outcome, reason, false)).late())
        };
        match (self.way, service) {
            (Way::Off, None) => Ok(None),
            (Way::Off, Some(service)) => {
                let reason = format!("it is still there: {}", service.state.name());
                not_deployed(Outcome::Failed, Some(reason))
            }
            (Way::Back, None) => not_deployed(Outcome::Failed, Some("it is not there".to_owned())),
            (Way::Back, Some(service)) if service.state == State::Ready || is_stopped => {
                Ok(Some(service))
            }
            (Way::Back, Some(service)) => {
                let reason = service.state.reason().map(str::to_owned);
                not_deployed(Outcome::DeployedNotHealthy, reason)
            }
        }
    }
}

impl Way {
    fn plan(
        self,
        target: &dyn Target,
        way_back: &WayBack,
        observed: &Observed,
    ) -> Result<DeployPlan> {
        match self {
            Self::Back => way_back.plan(target, observed),
            Self::Off if observed.service.is_none() && observed.details.is_null() => {
                Ok(DeployPlan::default())
            }
            Self::Off => target.plan_destroy(observed).map_err(|error| {
                match error.downcast_ref::<DeployError>() {
                    Some(DeployError::NotOurs { .. }) => {
                        let command = target.kind().removal_command(&target.subject());
                        error.with_hint(format!("to remove it all the same: `{command}`"))
                    }
                    _ => error,
                }
            }),
        }
    }

    fn attempt(self) -> &'static str {
        match self {
            Self::Back => "roll back",
            Self::Off => "remove",
        }
    }

    fn action(self) -> Action {
        match self {
            Self::Back => Action::RollBack,
            Self::Off => Action::Remove,
        }
    }
}
