//! What goes when the newest revision runs well: logins, identities and secrets of ours that nothing needs any more,
//! not even the way back.
//!
//! Some say that the platform keeps what any revision refers to, also one that was switched off: it refuses at
//! once, or begins an operation that fails, and the app with it. So what is removed comes with its way back.

use serde_json::{Value, json};

use super::ContainerApp;
use super::app::{Wanted, sendable};
use super::described::compare;
use super::leftovers::{
    drop_identities, drop_logins, drop_secrets, is_pulled_from, note_identities, unused_secrets,
};
use super::plan::Planner;
use super::requests;
use crate::cloud::{CallError, ErrorClass, Method, RESOURCE_MANAGER};
use crate::deploy::{
    Change, DeployPlan, Image, Observed, Service, Session, State, Step, Target as _, steps,
};
use crate::error::{Error, Result};

impl Planner<'_> {
    /// What removes what is ours and nothing needs; the second step is the way back from the first
    /// ([`way_back`]).
    pub(super) fn tidying(self, image: &Image, observed: &Observed) -> DeployPlan {
        let mut plan = DeployPlan::default();
        let is_fit = |service: &&Service| {
            service.state == State::Ready
                && !service.is_overtaken(image)
                && self.check_secrets(observed).is_ok()
        };
        let Some(service) = observed.service.as_ref().filter(is_fit) else { return plan };
        let reference = image.reference();
        let wanted = Wanted {
            settings: self.settings,
            workload: self.workload,
            image: &reference,
            registry: image.repository.registry(),
        };
        let there = sendable(&service.raw);
        let mut app = there.clone();
        let in_use = &observed.details["in_use"];
        drop_logins(&mut app, |server| {
            !server.eq_ignore_ascii_case(wanted.registry) && !is_pulled_from(server, in_use)
        });
        drop_identities(&mut app, &wanted.identities());
        note_identities(&mut app, Some(&there));
        let unused = unused_secrets(&app, in_use);
        drop_secrets(&mut app, &unused);
        plan.changes = changes(&there, &app);
        if plan.changes.is_empty() {
            return plan;
        }
        let name = &self.settings.name;
        for (title, app) in [
            (format!("remove what nothing needs from `{name}`"), &app),
            (format!("leave `{name}` as it was"), &there),
        ] {
            plan.steps.push(Step::new(title, self.request(app, observed)));
        }
        plan
    }
}

/// What a plan is to do, and the way back from it where it has one: no other plan writes the app twice.
pub(super) fn way_back(plan: &DeployPlan) -> Option<(DeployPlan, DeployPlan)> {
    let is_write = |step: &Step| step.request.method == Method::Put;
    let only = |step: &Step| DeployPlan { steps: vec![step.clone()], ..DeployPlan::default() };
    match plan.steps.as_slice() {
        [there, back] if is_write(there) && is_write(back) => Some((only(there), only(back))),
        _ => None,
    }
}

/// What is different of what is tidied.
fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let tidied = |app: &Value| {
        json!({
            "identity": app["identity"],
            "properties": {"configuration": app["properties"]["configuration"]},
        })
    };
    let mut plan = DeployPlan::default();
    compare(&mut plan, Some(&tidied(before)), &tidied(after), "", &|_| false);
    plan.changes
}

impl ContainerApp {
    /// Removes what may go; where that came to nothing and the app is not well for it, the app becomes again
    /// what it was.
    pub(super) async fn tidy(
        &self,
        there: &DeployPlan,
        back: &DeployPlan,
        session: &Session,
    ) -> Result<()> {
        // A service may have been asked for a while whether it is well: what others did since stays.
        let now = self.observe(session).await?;
        let is_ready = now.service.is_some_and(|service| service.state == State::Ready);
        if !is_ready || now.details["is_overtaken"] == true {
            session.events.detail("something else is going on there: what is left over stays");
            return Ok(());
        }
        let sent = self.send(there, session).await;
        if sent.as_ref().is_err_and(|error| error.find::<CallError>().is_none()) {
            return sent;
        }
        let observed = match steps::settled(session, &|| self.observe(session)).await {
            Ok(observed) => observed,
            Err(error) => return Err(sent.err().unwrap_or(error)),
        };
        let service = observed.service.as_ref();
        if let Some(State::Failed(reason)) = service.map(|service| &service.state) {
            let unmended = match self.send(back, session).await {
                Ok(()) => String::new(),
                Err(error) => format!("; and it could not be left as it was: {error}"),
            };
            let put = requests::put(&self.settings, Value::Null).title();
            let error = CallError {
                message: format!("{reason}{unmended}"),
                hints: vec![self.hint()],
                ..CallError::new(&RESOURCE_MANAGER, put, ErrorClass::Other)
            };
            return Err(error.into());
        }
        let written = there.steps.first().and_then(|step| step.request.body.as_ref());
        let is_done = service
            .zip(written)
            .is_some_and(|(service, written)| changes(&service.raw, written).is_empty());
        match sent {
            Err(_) if is_done => Ok(()),
            Err(error) => Err(match error.find::<CallError>() {
                Some(refused) if refused.class == ErrorClass::Invalid => {
                    Error::new(CallError { hints: vec![self.hint()], ..refused.clone() })
                }
                _ => error,
            }),
            Ok(()) => Ok(()),
        }
    }

    /// What to do about what the platform keeps.
    fn hint(&self) -> String {
        format!(
            "nothing needs it, and it does no harm: once no revision refers to it, `az containerapp secret \
             remove --name {} --resource-group {} --secret-names NAME` removes it",
            self.settings.name, self.settings.resource_group
        )
    }
}
