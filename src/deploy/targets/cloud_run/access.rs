//! Who may call a service: whoever IAM lets, or everybody.

use serde_json::{Value, json};

use super::CloudRun;
use super::observe::Details;
use crate::cloud::{CLOUD_RUN, CallError, ErrorClass, Method, Request};
use crate::deploy::{DeployPlan, Service, Session, Step, Target as _};
use crate::error::Result;

/// The part of a service that says that callers need no credentials.
pub(super) const OPENING: &str = "invokerIamDisabled";
/// The key that says that we let everybody in.
pub(super) const OPENED_KEY: &str = "dockless-opened";
/// What writes who may call it.
pub(super) const CLOSING: &str = "SetIamPolicy";
/// Everybody, as IAM calls them.
const EVERYBODY: &str = "allUsers";
/// The role that calls a service.
const INVOKER: &str = "roles/run.invoker";

impl CloudRun {
    /// What IAM says of the service; nothing where we may not see that.
    pub(super) async fn look_at_policy(&self, session: &Session) -> Result<Option<Value>> {
        // What stands in a policy under conditions is shown, and kept, from this version on.
        let request = self
            .policy_request("GetIamPolicy", Method::Get, "getIamPolicy")
            .with_query("options.requestedPolicyVersion", "3");
        match session.call(&request).await {
            Ok(answer) => Ok(Some(answer.body).filter(Value::is_object)),
            Err(error) if error.class == ErrorClass::Denied => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Plans that everybody may call it, or that not everybody may; each apart from the rest, because somebody
    /// else may forbid it.
    pub(super) fn plan_access(
        &self,
        there: Option<&Service>,
        details: &Details,
        plan: &mut DeployPlan,
    ) {
        let name = &self.settings.name;
        match (self.settings.public, &details.policy) {
            (Some(true), _) if !details.lets_everybody_in => {
                plan.change("public", there.map(|_| "false"), Some("true"));
                let request = self.patch(&[OPENING]).with_body(json!({OPENING: true}));
                plan.steps.push(Step::new(format!("let everybody call `{name}`"), request));
            }
            (Some(false), Some(policy)) if is_open(policy) => {
                let before = format!("{EVERYBODY} has {INVOKER}");
                plan.change("public", Some(before), Some("false"));
                let request = self.policy_request(CLOSING, Method::Post, "setIamPolicy");
                let request = request.with_body(json!({"policy": without_everybody(policy)}));
                plan.steps.push(Step::new(
                    format!("let only those call `{name}` whom IAM names"),
                    request,
                ));
            }
            (Some(false), None) if there.is_some() => plan.notes.push(format!(
                "whether IAM lets everybody call `{name}` cannot be seen: whoever deploys needs \
                 `run.services.getIamPolicy`, which is in `roles/run.viewer`"
            )),
            _ => {}
        }
    }

    /// Notes among annotations whether it is us who let everybody in, so that this is taken back when the config no
    /// longer says so.
    pub(super) fn note_opening(&self, is_open: bool, annotations: &mut Value) {
        let Some(annotations) = annotations.as_object_mut() else { return };
        if self.settings.public != Some(true) {
            annotations.remove(OPENED_KEY);
        } else if !is_open {
            annotations.insert(OPENED_KEY.to_owned(), "true".into());
        }
    }

    /// Whether everybody is let in who shall not be: by the config, or since we let them in and it no longer says so.
    pub(super) fn is_to_be_closed(&self, raw: &Value) -> bool {
        let is_by_us = raw["annotations"][OPENED_KEY].is_string();
        let is_unwanted = match self.settings.public {
            Some(public) => !public,
            None => is_by_us,
        };
        is_unwanted && raw[OPENING] == Value::Bool(true)
    }

    fn policy_request(&self, operation: &'static str, method: Method, verb: &str) -> Request {
        let path = format!("{}:{verb}", self.path());
        Request::rest(&CLOUD_RUN, &self.settings.region, operation, method, path)
    }

    /// Tells that a service is deployed, and not as open or as closed as it should be.
    pub(super) fn tell_of_access(&self, is_opening: bool, error: &CallError, session: &Session) {
        let subject = self.subject();
        let (code, what, otherwise) = if is_opening {
            (
                "not-public",
                "and not public",
                "ask whoever manages the organisation about `constraints/run.managed.requireInvokerIam`, or leave `public` out",
            )
        } else {
            (
                "still-public",
                "and everybody may still call it",
                "ask whoever may change its policy: `gcloud run services remove-iam-policy-binding NAME --member=allUsers --role=roles/run.invoker`",
            )
        };
        let text = format!("{subject} is deployed, {what}: {error}");
        let hint = error.hints.first().cloned().unwrap_or_else(|| otherwise.to_owned());
        session.events.warn(code, text, Some(hint));
    }
}

/// Whether a policy lets everybody call a service.
pub(super) fn is_open(policy: &Value) -> bool {
    let mut bindings = policy["bindings"].as_array().into_iter().flatten();
    bindings.any(|binding| binding["role"] == INVOKER && members(binding).any(|it| it == EVERYBODY))
}

/// A policy in which not everybody may call; its other bindings and its etag stay.
fn without_everybody(policy: &Value) -> Value {
    let mut policy = policy.clone();
    if let Some(bindings) = policy.get_mut("bindings").and_then(Value::as_array_mut) {
        for binding in bindings.iter_mut().filter(|binding| binding["role"] == INVOKER) {
            if let Some(members) = binding.get_mut("members").and_then(Value::as_array_mut) {
                members.retain(|member| member != EVERYBODY);
            }
        }
        bindings.retain(|binding| members(binding).next().is_some());
    }
    policy
}

fn members(binding: &Value) -> impl Iterator<Item = &Value> {
    binding["members"].as_array().into_iter().flatten()
}
