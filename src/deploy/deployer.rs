//! From what is there to what should be: plan, carry out, wait, and look whether exactly our digest runs.
//!
//! Whatever is uncertain on the way (an answer that was lost, an operation of somebody else, a conflict) has
//! one cure: look again, and plan again from what is there now.

use std::time::Duration;

use super::steps::{Pace, settled};
use super::{
    Change, DeployError, DeployPlan, Deployment, Image, Observed, Outcome, Probe, Service, Session,
    State, Subject, Target, probe,
};
use crate::cloud::{CallError, ErrorClass};
use crate::error::{Error, Result};

/// How often what is there is looked at again before giving up.
const MAX_ROUNDS: u32 = 6;

/// Where a deployment got, before it is judged.
struct Reached {
    observed: Observed,
    has_written: bool,
}

/// Deploys an image to a target and says how it ended.
///
/// # Errors
/// It did not come to an end: a call failed, or it takes longer than it may.
pub async fn deploy(target: &dyn Target, image: &Image, session: &Session) -> Result<Deployment> {
    let reference = target.check(image)?;
    let is_overtaken =
        |observed: &Observed| observed.service.as_ref().is_some_and(|it| it.is_overtaken(image));
    let looks = Looks::UntilItIsDone { is_overtaken: &is_overtaken };
    let Reached { observed, has_written } =
        reach(target, session, looks, &|observed| target.plan(image, observed)).await?;
    let service = observed.service.as_ref();
    let is_ours =
        |service: &Service| service.digest().is_some_and(|digest| image.has_digest(&digest));
    let (mut outcome, mut reason) = judge(service, service.is_some_and(is_ours), has_written);
    if has_written && let Some(service) = service.filter(|service| service.is_overtaken(image)) {
        outcome = Outcome::Failed;
        let image = service.image.as_deref().unwrap_or_default();
        reason = Some(format!("another deployment put `{image}` there meanwhile"));
    }
    let probe = match service {
        Some(service) if outcome.is_good() => probe::probe(target, service, session).await,
        _ => Probe::NotProbed("the platform does not say that it is well".to_owned()),
    };
    if let Probe::Unhealthy(what) = &probe {
        outcome = Outcome::DeployedNotHealthy;
        reason = Some(what.clone());
    }
    if outcome == Outcome::Deployed {
        tidy(target, &target.plan_tidying(image, &observed), session).await;
    }
    Ok(Deployment {
        target: target.kind().name,
        subject: target.subject(),
        outcome,
        image: reference,
        url: service.and_then(|service| service.url.clone()),
        revision: service.and_then(|service| service.revision.clone()),
        reason,
        probe,
        rolled_back_to: None,
    })
}

/// Removes what is left over of earlier deployments, as far as that can be done.
async fn tidy(target: &dyn Target, plan: &DeployPlan, session: &Session) {
    if plan.is_empty() {
        return;
    }
    if let Err(error) = target.apply(plan, session).await {
        let text = format!("{}: what is left over stays: {error}", target.subject());
        session.events.warn("not-tidied", text, error.hints().into_iter().next());
    }
}

/// Carries out another plan of the target (a way back, a removal) and gives what is there then.
///
/// # Errors
/// As [`deploy()`].
pub async fn carry_out(
    target: &dyn Target,
    session: &Session,
    plan: &(dyn Fn(&Observed) -> Result<DeployPlan> + Sync),
) -> Result<(Observed, bool)> {
    let Reached { observed, has_written } = reach(target, session, Looks::AtOnce, plan).await?;
    Ok((observed, has_written))
}

/// What differs between what is deployed and what the config says, with the image left as it is.
///
/// # Errors
/// The target cannot say.
pub fn drift(target: &dyn Target, image: &Image, observed: &Observed) -> Result<Vec<Change>> {
    Ok(target.plan(image, observed)?.changes)
}

/// When what is there is looked at.
#[derive(Clone, Copy)]
enum Looks<'a> {
    /// When nothing is going on there any more; and once more after the plan, whether anything is left of it.
    UntilItIsDone {
        /// Whether another deployment has put something else there since: it is not fought.
        is_overtaken: &'a (dyn Fn(&Observed) -> bool + Sync),
    },
    /// First as it is: what is going on may be what has to be stopped.
    AtOnce,
}

/// Plans and carries out until a plan was carried out in whole, or there is nothing to do.
async fn reach(
    target: &dyn Target,
    session: &Session,
    looks: Looks<'_>,
    plan: &(dyn Fn(&Observed) -> Result<DeployPlan> + Sync),
) -> Result<Reached> {
    let mut has_written = false;
    let mut is_carried_out = false;
    let mut pace = Pace::new();
    let mut rounds = 0;
    loop {
        let observed = match looks {
            Looks::AtOnce if rounds == 0 => target.observe(session).await,
            _ => settled(session, &|| target.observe(session)).await,
        };
        let observed = observed.map_err(|error| late_if(told(error, target), has_written))?;
        if let Looks::UntilItIsDone { is_overtaken } = looks
            && is_carried_out
            && is_overtaken(&observed)
        {
            return Ok(Reached { observed, has_written });
        }
        let steps = plan(&observed).map_err(|error| late_if(error, has_written))?;
        if steps.is_empty() {
            return Ok(Reached { observed, has_written });
        }
        rounds += 1;
        has_written = true;
        for note in &steps.notes {
            session.events.warn("plan", format!("{}: {note}", target.subject()), None);
        }
        match target.apply(&steps, session).await {
            Ok(()) => {
                let observed = settled(session, &|| target.observe(session)).await;
                let observed = observed.map_err(|error| told(error, target).late())?;
                let is_ready =
                    observed.service.as_ref().is_some_and(|service| service.state == State::Ready);
                if matches!(looks, Looks::AtOnce) || is_carried_out || !is_ready {
                    return Ok(Reached { observed, has_written });
                }
                is_carried_out = true;
            }
            Err(error) if rounds < MAX_ROUNDS && is_worth_another_look(&error) => {
                session.events.detail(format!("looking again: {error}"));
                match wait_of(&error) {
                    Some(wait) => session.clock.sleep(wait.min(session.wait_limit)).await,
                    None => pace.wait(session).await,
                }
            }
            Err(error) => return Err(told(error, target).late()),
        }
    }
}

/// The error, with what to do about a target that is not done yet.
fn told(error: Error, target: &dyn Target) -> Error {
    let cause = error.find::<DeployError>();
    if !matches!(cause, Some(DeployError::StillUpdating { .. })) {
        return error;
    }
    error.with_hint(format!(
        "`{}` shows the outcome, and the next run goes on from there; `--wait-timeout` waits longer",
        target.workload().command("status")
    ))
}

fn late_if(error: Error, has_written: bool) -> Error {
    if has_written { error.late() } else { error }
}

/// Whether what is there now may differ from what the plan was made for.
fn is_worth_another_look(error: &Error) -> bool {
    error.find::<CallError>().is_some_and(|error| {
        matches!(error.class, ErrorClass::Lost | ErrorClass::Busy | ErrorClass::Exists)
    })
}

fn wait_of(error: &Error) -> Option<Duration> {
    error.find::<CallError>()?.retry_after
}

/// The outcome by what the platform says, before the service itself is asked.
fn judge(service: Option<&Service>, is_ours: bool, has_written: bool) -> (Outcome, Option<String>) {
    let Some(service) = service else {
        return (Outcome::Failed, Some("it is not there".to_owned()));
    };
    let reason = service.state.reason().map(str::to_owned);
    match &service.state {
        State::Ready if is_ours && has_written => (Outcome::Deployed, None),
        State::Ready if is_ours => (Outcome::Unchanged, None),
        State::Ready => {
            let image = service.image.as_deref().unwrap_or("an image that it does not name");
            (Outcome::RolledBackByPlatform, Some(format!("it runs `{image}`")))
        }
        State::RolledBack(_) => (Outcome::RolledBackByPlatform, reason),
        State::Failed(_) | State::Stopped(_) if is_ours => (Outcome::DeployedNotHealthy, reason),
        State::Failed(_) | State::Stopped(_) | State::Updating(_) => (Outcome::Failed, reason),
    }
}

/// A deployment that did not end well, as an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {}{}", outcome.sentence(), reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
pub struct NotDeployed {
    /// What was deployed, and where.
    pub subject: Subject,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in the platform's words.
    pub reason: Option<String>,
    /// What to do.
    hints: Vec<String>,
}

impl NotDeployed {
    /// The error of a target; `has_way_back` says whether what ran before may be brought back.
    pub fn new(
        target: &dyn Target,
        outcome: Outcome,
        reason: Option<String>,
        has_way_back: bool,
    ) -> Self {
        let workload = target.workload();
        let mut hints = Vec::new();
        if !outcome.is_good() {
            hints.push(format!("`{}` shows what it printed", workload.command("logs")));
        }
        if has_way_back && outcome == Outcome::DeployedNotHealthy {
            let command = workload.command("rollback");
            hints.push(format!("`{command}` brings back what ran before"));
        }
        Self { subject: target.subject(), outcome, reason, hints }
    }
}

impl crate::error::Classified for NotDeployed {
    fn kind(&self) -> crate::error::ErrorKind {
        crate::error::ErrorKind::Failed
    }

    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::deploy::Ownership;

    #[test]
    fn the_platform_is_believed_when_it_says_that_something_is_wrong() {
        let service = |state| Service {
            image: Some("r.io/a@sha256:00".into()),
            url: None,
            is_public: true,
            state,
            revision: None,
            previous: None,
            ownership: Ownership::default(),
            raw: Value::Null,
        };
        let runs = "it runs `r.io/a@sha256:00`";
        for (state, is_ours, has_written, expected) in [
            (State::Ready, true, true, (Outcome::Deployed, None)),
            (State::Ready, true, false, (Outcome::Unchanged, None)),
            (State::Ready, false, true, (Outcome::RolledBackByPlatform, Some(runs))),
            (State::RolledBack("x".into()), true, true, (Outcome::RolledBackByPlatform, Some("x"))),
            (State::Failed("x".into()), true, true, (Outcome::DeployedNotHealthy, Some("x"))),
            (State::Failed("x".into()), true, false, (Outcome::DeployedNotHealthy, Some("x"))),
            (State::Failed("x".into()), false, true, (Outcome::Failed, Some("x"))),
            (State::Stopped("x".into()), true, true, (Outcome::DeployedNotHealthy, Some("x"))),
        ] {
            let (outcome, reason) = judge(Some(&service(state.clone())), is_ours, has_written);
            assert_eq!((outcome, reason.as_deref()), expected, "{state:?} {is_ours} {has_written}");
        }
        assert_eq!(judge(None, false, true).0, Outcome::Failed);
    }
}
