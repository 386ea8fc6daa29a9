//! What goes when the newest revision runs well: secrets of ours that nothing needs any more.
//!
//! Some say that the platform keeps what any revision refers to, also one that was switched off: it refuses at
//! once, or begins an operation that fails, and the app with it. So what is removed comes with its way back.

use super::ContainerApp;
use super::app::sendable;
use super::described::HIDDEN;
use super::leftovers::{drop_secrets, unused_secrets};
use super::plan::Planner;
use super::requests;
use crate::cloud::{CallError, ErrorClass, Method, RESOURCE_MANAGER};
use crate::deploy::{
    DeployPlan, Image, Observed, Service, Session, State, Step, Target as _, steps,
};
use crate::error::{Error, Result};

impl Planner<'_> {
    /// What removes the secrets of ours that nothing needs; the second step is the way back from the first
    /// ([`way_back`]).
    pub(super) fn tidying(self, image: &Image, observed: &Observed) -> DeployPlan {
        let mut plan = DeployPlan::default();
        let is_fit = |service: &&Service| {
            service.state == State::Ready
                && !service.is_overtaken(image)
                && self.check_secrets(observed).is_ok()
        };
        let Some(service) = observed.service.as_ref().filter(is_fit) else { return plan };
        let there = sendable(&service.raw);
        let unused = unused_secrets(&there, &observed.details["in_use"]);
        if unused.is_empty() {
            return plan;
        }
        for name in &unused {
            plan.change(format!("secrets.{name}"), Some(HIDDEN), None::<String>);
        }
        let mut app = there.clone();
        drop_secrets(&mut app, &unused);
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

impl ContainerApp {
    /// Removes what may go; where that came to nothing and the app is not well for it, the app becomes again
    /// what it was.
    pub(super) async fn tidy(
        &self,
        there: &DeployPlan,
        back: &DeployPlan,
        session: &Session,
    ) -> Result<()> {
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
            let put = requests::put(&self.settings, serde_json::Value::Null).title();
            let mut error = CallError {
                message: reason.clone(),
                hints: vec![self.hint()],
                ..CallError::new(&RESOURCE_MANAGER, put, ErrorClass::Other)
            };
            if let Err(unmended) = self.send(back, session).await {
                error.message += &format!("; and it could not be left as it was: {unmended}");
            }
            return Err(error.into());
        }
        let is_done = service.is_some_and(|service| {
            unused_secrets(&service.raw, &observed.details["in_use"]).is_empty()
        });
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
