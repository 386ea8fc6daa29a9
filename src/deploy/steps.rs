//! Carries a plan out: one request after the other, each with what the answers before it told.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use super::{DeployError, DeployPlan, Observed, Session, State, Step};
use crate::cloud::{Answer, CallError, ErrorClass, IAM};
use crate::error::{Error, Result};

/// How long a role that was created in this run may take until everybody knows it.
const ROLE_LIMIT: Duration = Duration::from_mins(2);
/// From the first look to the second; each later wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// No wait between two looks is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Waits between looks: short at first, since much is done soon.
#[derive(Debug)]
pub(super) struct Pace {
    next: Duration,
}

impl Pace {
    /// The first wait is the shortest.
    pub(super) fn new() -> Self {
        Self { next: FIRST_WAIT }
    }

    /// Waits.
    pub(super) async fn wait(&mut self, session: &Session) {
        session.clock.sleep(self.next).await;
        self.next = (self.next * 2).min(LONGEST_WAIT);
    }
}

/// Asks what is there.
pub(super) type Observing<'a> =
    &'a (dyn Fn() -> Pin<Box<dyn Future<Output = Result<Observed>> + Send + 'a>> + Sync);

/// Sends the requests of a plan in order. Where one of them came to nothing, the rest is not sent: what is
/// observed then tells why.
pub(super) async fn run(
    plan: &DeployPlan,
    session: &Session,
    observe: Observing<'_>,
) -> Result<()> {
    let mut known = BTreeMap::new();
    for (place, step) in plan.steps.iter().enumerate() {
        if let Some(resource) = &step.creates {
            session.journal.intend(resource)?;
        }
        session.events.detail(format!("{}: {}", step.title, step.request.title()));
        let attempted = |error: CallError| Error::new(error).attempting(step.title.clone());
        let answer = send(step, &known, session).await.map_err(attempted)?;
        if let Some(resource) = &step.creates {
            session.note_created(resource);
        }
        if step.request.service == &IAM {
            // What a role may do is not known everywhere at once either.
            session.note_created("role");
        }
        for given in &step.gives {
            let found = answer.as_ref().and_then(|answer| answer.body.pointer(given.pointer));
            let text = match found {
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(serde_json::Value::Null) | None => {
                    return Err(Error::new(DeployError::Untold {
                        title: step.request.title(),
                        pointer: given.pointer,
                    })
                    .attempting(step.title.clone()));
                }
                Some(value) => value.to_string(),
            };
            known.insert(given.name.clone(), given.text(text));
        }
        if step.settles && place + 1 < plan.steps.len() {
            let observed = settled(session, observe).await?;
            let state = observed.service.as_ref().map(|service| &service.state);
            if matches!(state, Some(State::Failed(_) | State::RolledBack(_))) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Sends one request; nothing comes back when it was done already.
async fn send(
    step: &Step,
    known: &BTreeMap<String, String>,
    session: &Session,
) -> Result<Option<Answer>, CallError> {
    let request = step.resolved(known);
    let began = session.clock.now();
    let mut pace = Pace::new();
    loop {
        match session.call(&request).await {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) if step.is_done_by.contains(&error.code.as_str()) => return Ok(None),
            Err(error)
                if error.class == ErrorClass::RoleNotReady
                    && session.has_created("role")
                    && session.clock.now().duration_since(began) < ROLE_LIMIT =>
            {
                session.events.detail(format!("{}: the role is not known there yet", step.title));
                pace.wait(session).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Waits until nothing is going on any more.
pub(super) async fn settled(session: &Session, observe: Observing<'_>) -> Result<Observed> {
    let began = session.clock.now();
    let mut pace = Pace::new();
    let mut told = String::new();
    loop {
        let observed = observe().await?;
        let Some(State::Updating(what)) = observed.service.as_ref().map(|service| &service.state)
        else {
            return Ok(observed);
        };
        if *what != told {
            session.events.detail(format!("waiting: {what}"));
            told.clone_from(what);
        }
        if session.clock.now().duration_since(began) >= session.wait_limit {
            let limit = session.wait_limit;
            return Err(DeployError::StillUpdating { what: what.clone(), limit }.into());
        }
        pace.wait(session).await;
    }
}
