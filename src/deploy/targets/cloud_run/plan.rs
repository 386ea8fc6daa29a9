//! What to send, so that what is there becomes what should be.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::CloudRun;
use super::access::{CLOSING, OPENING};
use super::comparison::{There, compare};
use super::observe::{
    DIGEST_KEY, PREVIOUS_KEY, Revision, details, last_part, written_ownership, written_previous,
};
use super::service::{Wanted, check_image, main_container, overlay};
use crate::cloud::{CLOUD_RUN, CallError, ErrorClass, Method, Request};
use crate::deploy::{
    DeployError, DeployPlan, Image, Observed, Ownership, Service, Session, State, Step, Target as _,
};
use crate::error::{Error, Result};

/// Traffic to whatever revision is the latest.
const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
/// Labels that the API keeps for itself: it shows some, and refuses all.
const SYSTEM: [&str; 4] = [
    "run.googleapis.com",
    "cloud.googleapis.com",
    "serving.knative.dev",
    "autoscaling.knative.dev",
];

impl CloudRun {
    /// What makes exactly this image run, with these settings.
    pub(super) fn plan_deployment(&self, image: &Image, observed: &Observed) -> Result<DeployPlan> {
        check_image(image)?;
        let there = observed.service.as_ref();
        if let Some(service) = there {
            service.ownership.check(&self.workload, &self.subject())?;
        }
        let details = details(observed);
        self.check_kept(&details)?;
        let ownership = Ownership::ours(&self.workload, &self.settings_hash(), image);
        let mut plan = DeployPlan::default();
        let versions = self.plan_secrets(there, &details, &ownership, &mut plan)?;
        let wanted = self.wanted(&image.reference(), &versions);
        match there {
            None => self.plan_creation(&wanted, &ownership, &mut plan),
            Some(service) => {
                let is_open = details.lets_everybody_in;
                self.plan_update(service, is_open, &wanted, &ownership, &mut plan);
            }
        }
        self.plan_access(there, &details, &mut plan);
        Ok(plan)
    }

    fn plan_creation(&self, wanted: &Wanted, ownership: &Ownership, plan: &mut DeployPlan) {
        compare(None, wanted, &self.settings.project, plan);
        let mut body = wanted.body.clone();
        body["client"] = "dockless".into();
        body["traffic"] = json!([{"type": LATEST, "percent": 100}]);
        mark(&mut body, ownership);
        self.note_opening(false, &mut body["annotations"]);
        let name = &self.settings.name;
        let path = format!("/v2/{}/services", self.parent());
        let request =
            Request::rest(&CLOUD_RUN, &self.settings.region, "CreateService", Method::Post, path)
                .with_query("serviceId", name)
                .with_body(body);
        let step = Step::new(format!("create the service `{name}`"), with_secrets(request, wanted));
        plan.steps.push(step.creating(format!("service {name}")));
    }

    fn plan_update(
        &self,
        service: &Service,
        is_open: bool,
        wanted: &Wanted,
        ownership: &Ownership,
        plan: &mut DeployPlan,
    ) {
        let raw = &service.raw;
        let there = There { raw, image: service.image.as_deref() };
        let mut parts = compare(Some(there), wanted, &self.settings.project, plan);
        let mut body = json!({});
        let mut last = None;
        let is_again = parts.is_empty() && matches!(service.state, State::Failed(_));
        if is_again {
            plan.change("revision", Some("failed"), Some("made again"));
            parts.insert("template");
        }
        if let Some(traffic) = traffic_to_latest(&raw["traffic"]) {
            plan.change("traffic", Some(pinned(&raw["traffic"])), Some("the latest revision"));
            last = Some(traffic);
        }
        if self.is_to_be_closed(raw) {
            plan.change("public", Some("true"), Some("false"));
            parts.insert(OPENING);
            body[OPENING] = false.into();
        }
        let is_adopted = service.ownership.managed_by != ownership.managed_by;
        if is_adopted {
            plan.change(
                "managed-by",
                service.ownership.managed_by.as_deref(),
                ownership.managed_by.as_deref(),
            );
        }
        if written_ownership(raw) != *ownership {
            parts.extend(["annotations", "labels"]);
            body["labels"] = others(&raw["labels"]);
            body["annotations"] = others(&raw["annotations"]);
            mark(&mut body, ownership);
            self.note_opening(is_open, &mut body["annotations"]);
        }
        // What serves when a revision is made is what was there before it.
        let previous = service.revision.as_deref().filter(|_| parts.contains("template"));
        if let Some(previous) = previous.filter(|name| written_previous(raw) != Some(name)) {
            if parts.insert("annotations") {
                body["annotations"] = others(&raw["annotations"]);
            }
            body["annotations"][PREVIOUS_KEY] = previous.into();
        }
        if !parts.is_empty() {
            if plan.changes.is_empty() {
                plan.change("labels", Some("of an earlier deployment"), Some("of this one"));
            }
            plan.steps.push(self.update(raw, wanted, &parts, body, is_again));
        }
        if let Some(traffic) = last {
            let request = self.patch(&["traffic"]).with_body(json!({"traffic": traffic}));
            plan.steps.push(Step::new("send traffic to the latest revision again", request));
        }
    }

    /// The step that writes these parts of a service that is there.
    fn update(
        &self,
        raw: &Value,
        wanted: &Wanted,
        parts: &BTreeSet<&str>,
        mut body: Value,
        is_again: bool,
    ) -> Step {
        if parts.contains("ingress") {
            body["ingress"] = wanted.body["ingress"].clone();
        }
        if parts.contains("template") {
            body["template"] = overlay(&raw["template"], &wanted.body["template"]);
        }
        add_etag(&mut body, raw);
        let mut request = self.patch(&parts.iter().copied().collect::<Vec<_>>());
        if is_again {
            request = request.with_query("forceNewRevision", "true");
        }
        let mut request = request.with_body(body);
        if parts.contains("template") {
            request = with_secrets(request, wanted);
        }
        Step::new(format!("update the service `{}`", self.settings.name), request)
    }

    /// Sends traffic back to the revision before, or to the newest one with this image.
    pub(super) fn plan_return(
        &self,
        image: Option<&str>,
        observed: &Observed,
    ) -> Result<DeployPlan> {
        let deploy = self.workload.command("deploy");
        let nothing = |reason: String, hint: &str| DeployError::Nothing {
            subject: self.subject().to_string(),
            reason,
            hint: hint.to_owned(),
        };
        let Some(service) = &observed.service else {
            return Err(nothing(
                "there is no such service".into(),
                &format!("deploy it first: `{deploy}`"),
            )
            .into());
        };
        service.ownership.check(&self.workload, &self.subject())?;
        let details = details(observed);
        if matches!(service.state, State::Failed(_)) && service.revision.is_some() {
            let reason = "its newest revision failed, and the one before it serves still: there is nothing to undo";
            return Err(nothing(
                reason.into(),
                &format!("to go further back, deploy that image: `{deploy} --image …`"),
            )
            .into());
        }
        let previous = service.previous.as_ref().and_then(|it| it.revision.as_ref());
        let revision = if let Some(image) = image {
            let is_fit = |one: &&Revision| one.is_ready && one.image == image;
            let mut revisions = details.revisions.iter();
            let before = revisions.clone().find(|one| is_fit(one) && Some(&one.name) == previous);
            before.or_else(|| revisions.find(is_fit))
        } else {
            details.revisions.iter().find(|one| Some(&one.name) == previous)
        };
        let Some(revision) = revision else {
            let what = image.map_or_else(
                || "no revision before this one can be served".to_owned(),
                |image| format!("no revision with `{image}` can be served"),
            );
            return Err(nothing(
                what,
                &format!("deploy the image that you want: `{deploy} --image …`"),
            )
            .into());
        };
        let mut plan = DeployPlan::default();
        if service.revision.as_ref() == Some(&revision.name) {
            return Ok(plan);
        }
        if let Err(missing) = self.plan_enabling(revision, &details, &mut plan) {
            let what = format!("the revision `{}` reads {missing}", revision.name);
            let hint = format!("deploy its image with the values of now: `{deploy} --image …`");
            return Err(nothing(what, &hint).into());
        }
        let revision = &revision.name;
        plan.change("revision", service.revision.as_deref(), Some(revision.as_str()));
        let mut body = json!({"traffic": [
            {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": revision, "percent": 100},
        ]});
        if let Some(tagged) = body["traffic"].as_array_mut() {
            tagged.extend(tagged_targets(&service.raw["traffic"]));
        }
        add_etag(&mut body, &service.raw);
        let request = self.patch(&["traffic"]).with_body(body);
        plan.steps.push(Step::new(format!("send traffic to the revision `{revision}`"), request));
        Ok(plan)
    }

    /// Removes the service and the secrets that were made for it.
    pub(super) fn plan_removal(&self, observed: &Observed) -> Result<DeployPlan> {
        let mut plan = DeployPlan::default();
        if let Some(service) = &observed.service {
            service.ownership.check_removal(&self.workload, &self.subject())?;
            let request = Request::rest(
                &CLOUD_RUN,
                &self.settings.region,
                "DeleteService",
                Method::Delete,
                self.path(),
            );
            let step = Step::new(format!("delete the service `{}`", self.settings.name), request);
            plan.steps.push(step.or_done_by(&["NOT_FOUND"]).settling());
        }
        self.plan_secret_removal(observed, &mut plan);
        Ok(plan)
    }

    /// Carries out a last step. What somebody else decides (who may call it) may be forbidden: the service is there
    /// all the same, and the user is told.
    pub(super) async fn carry_out_last(&self, step: &Step, session: &Session) -> Result<()> {
        let kind = LastStep::of(step);
        match session.call(&step.request).await {
            Err(error) if step.is_done_by.contains(&error.code.as_str()) => Ok(()),
            Err(error) if is_forbidden(&error) && kind != Some(LastStep::Traffic) => {
                self.tell_of_access(kind == Some(LastStep::Opening), &error, session);
                Ok(())
            }
            Err(error) => Err(Error::new(error).attempting(step.title.clone())),
            Ok(_) => Ok(()),
        }
    }

    pub(super) fn patch(&self, parts: &[&str]) -> Request {
        let request = Request::rest(
            &CLOUD_RUN,
            &self.settings.region,
            "UpdateService",
            Method::Patch,
            self.path(),
        );
        request.with_query("updateMask", parts.join(","))
    }
}

/// A step after those that make the revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastStep {
    /// Not everybody may call it: that waits for nothing.
    Closing,
    /// Traffic goes to the newest revision.
    Traffic,
    /// Everybody may call it.
    Opening,
}

impl LastStep {
    /// What a step is, if it is one of the last.
    pub(super) fn of(step: &Step) -> Option<Self> {
        let Request { service, operation, body, .. } = &step.request;
        if *operation == CLOSING && *service == &CLOUD_RUN {
            return Some(Self::Closing);
        }
        let body = body.as_ref().and_then(Value::as_object).filter(|body| body.len() == 1)?;
        if body.contains_key("traffic") {
            return Some(Self::Traffic);
        }
        body.contains_key(OPENING).then_some(Self::Opening)
    }
}

/// The plan without its last steps, and those.
pub(super) fn without_last_steps(plan: &DeployPlan) -> (DeployPlan, Vec<Step>) {
    let (last, steps) = plan.steps.iter().cloned().partition(|step| LastStep::of(step).is_some());
    (DeployPlan { steps, ..plan.clone() }, last)
}

/// Whether an organisation forbids it, or whoever asks may not decide it.
fn is_forbidden(error: &CallError) -> bool {
    error.class == ErrorClass::Denied || error.code == "FAILED_PRECONDITION"
}

/// Where traffic goes that does not follow the latest revision.
fn pinned(traffic: &Value) -> String {
    let targets = traffic.as_array().into_iter().flatten();
    let mut with_traffic = targets.filter(|target| target["percent"].as_i64() > Some(0));
    match (with_traffic.next(), with_traffic.next()) {
        (Some(only), None) => {
            format!("pinned to the revision `{}` by a rollback", last_part(&only["revision"]))
        }
        _ => "split by hand".to_owned(),
    }
}

/// Whether traffic goes to revisions that somebody chose.
pub(super) fn is_pinned(traffic: &Value) -> bool {
    let targets = traffic.as_array().into_iter().flatten();
    let mut with_traffic = targets.filter(|target| target["percent"].as_i64() > Some(0));
    with_traffic.any(|target| target["type"] != LATEST)
}

/// The traffic of a service to which all of it shall go to the latest revision; nothing when it does.
fn traffic_to_latest(there: &Value) -> Option<Value> {
    if !is_pinned(there) {
        return None;
    }
    let mut traffic = vec![json!({"type": LATEST, "percent": 100})];
    traffic.extend(tagged_targets(there));
    Some(traffic.into())
}

/// Revisions that have a URL of their own keep it, without traffic.
fn tagged_targets(traffic: &Value) -> Vec<Value> {
    let tagged =
        traffic.as_array().into_iter().flatten().filter(|target| target["tag"].is_string());
    let mut tagged: Vec<_> = tagged.cloned().collect();
    tagged.iter_mut().filter_map(Value::as_object_mut).for_each(|target| {
        target.remove("percent");
    });
    tagged
}

/// So that nobody's change in between is lost.
fn add_etag(body: &mut Value, there: &Value) {
    if let Some(etag) = there["etag"].as_str() {
        body["etag"] = etag.into();
    }
}

/// Labels or annotations that are there, without those of the platform.
fn others(there: &Value) -> Value {
    let is_system = |key: &str| {
        key.split_once('/').is_some_and(|(space, _)| {
            SYSTEM.iter().any(|system| space == *system || space.ends_with(&format!(".{system}")))
        })
    };
    let members = there.as_object().into_iter().flatten().filter(|(key, _)| !is_system(key));
    members.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>().into()
}

/// Writes on a service whose it is.
fn mark(body: &mut Value, ownership: &Ownership) {
    for (key, value) in ownership.tags() {
        let place = if key == DIGEST_KEY { "annotations" } else { "labels" };
        body[place][key] = value.into();
    }
}

/// The request with the values of hidden variables.
fn with_secrets(mut request: Request, wanted: &Wanted) -> Request {
    let template = request.body.as_ref().map_or(&Value::Null, |body| &body["template"]);
    let env = format!("/containers/{}/env", main_container(template));
    let names = template.pointer(&env).and_then(Value::as_array).into_iter().flatten();
    let names: Vec<_> =
        names.map(|variable| variable["name"].as_str().unwrap_or_default().to_owned()).collect();
    for (place, name) in names.iter().enumerate() {
        if let Some(secret) = wanted.hidden.get(name) {
            let pointer = format!("/template{env}/{place}/value");
            request = request.with_secret(&pointer, secret.clone());
        }
    }
    request
}
