//! Services and their revisions, and the operations that change them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{CloudRun, error, not_found};
use crate::fake::{Call, Response};

const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
/// As what services run that name no account.
const DEFAULT_ACCOUNT: &str = "7-compute@developer.gserviceaccount.com";

/// A service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Service {
    /// What was written.
    pub(crate) written: Map<String, Value>,
    /// Its revisions, the oldest first.
    pub(crate) revisions: Vec<Value>,
    /// The short name of the newest one that became ready.
    ready: String,
    pub(crate) generation: u64,
    etag: u64,
    /// How many looks are left until the last change is done.
    pub(super) left: u32,
    is_deleted: bool,
    /// What IAM says of it.
    pub(crate) policy: Value,
    /// Why it is not well.
    problem: Option<(String, String)>,
}

/// What was begun.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    /// A change of this service.
    Of(String),
    /// Something that came to nothing, and why.
    Failed(String),
}

impl CloudRun {
    pub(super) fn create(&mut self, parent: &str, call: &Call) -> Response {
        let id = call.query("serviceId").unwrap_or_default().to_owned();
        let name = format!("{parent}/{id}");
        if id.is_empty() || id.len() > 49 {
            return error(
                400,
                "INVALID_ARGUMENT",
                "service_id: expected a name of less than 50 characters",
            );
        }
        if self.services.contains_key(&name) {
            return error(409, "ALREADY_EXISTS", &format!("Resource '{id}' already exists."));
        }
        let body = call.json();
        if let Some(refused) = self.refuse(&body) {
            return refused;
        }
        if let Some(reason) = self.comes_to_nothing.take() {
            return self.begin(parent.trim_end_matches("/services"), Operation::Failed(reason));
        }
        let written = body.as_object().cloned().unwrap_or_default();
        self.services.insert(name.clone(), Service { written, ..Service::default() });
        self.change(&name, true);
        self.begin(parent.trim_end_matches("/services"), Operation::Of(name))
    }

    fn patch(&mut self, name: &str, call: &Call) -> Response {
        let body = call.json();
        let Some(service) = self.services.get(name) else { return not_found(name) };
        if body["etag"].as_str().is_some_and(|etag| etag != format!("\"{}\"", service.etag)) {
            let message = format!("Conflict for resource '{name}': version mismatch");
            return error(409, "ABORTED", &message);
        }
        if let Some(refused) = self.refuse(&body) {
            return refused;
        }
        let parent = name.split("/services/").next().unwrap();
        if let Some(reason) = self.comes_to_nothing.take() {
            return self.begin(parent, Operation::Failed(reason));
        }
        let mask: BTreeSet<_> = call.query("updateMask").unwrap_or("template").split(',').collect();
        let service = self.services.get_mut(name).unwrap();
        let before = service.written.get("template").cloned();
        for part in mask {
            match body.get(part) {
                Some(value) => service.written.insert(part.to_owned(), value.clone()),
                None => service.written.remove(part),
            };
        }
        let is_new = before.as_ref() != service.written.get("template")
            || call.query("forceNewRevision") == Some("true");
        self.change(name, is_new);
        self.begin(parent, Operation::Of(name.to_owned()))
    }

    /// What another run does for the same environment: it deploys this image, and creates the service for it where
    /// there is none.
    pub(crate) fn deploy_beside(&mut self, name: &str, image: &str) {
        let service = self.services.entry(name.to_owned()).or_default();
        let mut container = json!({"ports": [{"containerPort": 8080}], "resources": {}});
        let there = service.written.get("template").map(|template| &template["containers"][0]);
        if let Some(there) = there {
            container = there.clone();
        }
        container["image"] = image.into();
        let digest = image.rsplit_once(':').unwrap().1;
        let written = json!({
            "annotations": {"dockless-image-digest": digest},
            "ingress": "INGRESS_TRAFFIC_ALL",
            "labels": {
                "managed-by": "dockless",
                "dockless-project": "agent",
                "dockless-environment": "staging",
            },
            "template": {"containers": [container]},
            "traffic": [{"type": LATEST, "percent": 100}],
        });
        service.written = written.as_object().cloned().unwrap();
        self.change(name, true);
    }

    fn begin(&mut self, parent: &str, operation: Operation) -> Response {
        self.operation = Some(operation);
        Response::json(200, &json!({"name": format!("{parent}/operations/7"), "done": false}))
    }

    pub(super) fn get_operation(&mut self, name: &str) -> Response {
        let Some(operation) = self.operation.clone() else { return not_found(name) };
        let failed = |message: &str| {
            Response::json(
                200,
                &json!({"name": name, "done": true, "error": {"code": 9, "message": message}}),
            )
        };
        match operation {
            Operation::Failed(reason) => failed(&reason),
            Operation::Of(service) => {
                let Some(there) = self.services.get(&service) else {
                    return Response::json(200, &json!({"name": name, "done": true}));
                };
                if there.left > 0 {
                    return Response::json(200, &json!({"name": name, "done": false}));
                }
                self.settle(&service);
                match &self.services[&service].problem {
                    Some((_, text)) => failed(text),
                    None => Response::json(200, &json!({"name": name, "done": true})),
                }
            }
        }
    }

    /// What the service refuses whatever is there.
    fn refuse(&self, body: &Value) -> Option<Response> {
        let image = body.pointer("/template/containers/0/image").and_then(Value::as_str);
        let host = image.and_then(|image| image.split_once('/')).map(|(host, _)| host);
        if let Some(host) = host.filter(|host| {
            !(host.ends_with("docker.pkg.dev") || host.ends_with("gcr.io") || *host == "docker.io")
        }) {
            let text = format!(
                "Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained {host}"
            );
            return Some(error(
                400,
                "INVALID_ARGUMENT",
                &format!("template.containers[0].image: {text}"),
            ));
        }
        let is_label = |value: &Value| {
            let text = value.as_str().unwrap_or_default();
            text.len() <= 63
                && text.chars().all(|it| {
                    it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, '-' | '_')
                })
        };
        let labels = body["labels"].as_object().into_iter().flatten();
        if let Some((key, value)) = labels.into_iter().find(|(_, value)| !is_label(value)) {
            return Some(error(
                400,
                "INVALID_ARGUMENT",
                &format!("labels: {key}={value} is invalid"),
            ));
        }
        if body["invokerIamDisabled"] == true && self.is_public_forbidden {
            let text = "The invoker IAM check cannot be disabled: constraints/run.managed.requireInvokerIam";
            return Some(error(400, "FAILED_PRECONDITION", text));
        }
        None
    }

    /// A change begins, with a new revision or without.
    fn change(&mut self, name: &str, is_new: bool) {
        let time = self.time();
        let short = name.rsplit_once('/').unwrap().1;
        let service = self.services.get_mut(name).unwrap();
        service.generation += 1;
        service.etag += 1;
        service.left = self.looks;
        service.problem = None;
        if is_new {
            let template = service.written["template"].clone();
            let number = service.revisions.len() + 1;
            service.revisions.push(json!({
                "name": format!("{name}/revisions/{short}-{number:05}-abc"),
                "createTime": time,
                "service": name,
                "containers": template["containers"],
                "volumes": template.get("volumes").unwrap_or(&json!([])),
                "conditions": [{"type": "Ready", "state": "CONDITION_RECONCILING"}],
            }));
        }
        if self.looks == 0 {
            self.settle(name);
        }
    }

    /// The change is done: the newest revision is ready, or it is not.
    fn settle(&mut self, name: &str) {
        let newest = self.services[name].revisions.last().unwrap();
        if newest["conditions"][0]["state"] != "CONDITION_RECONCILING" {
            return;
        }
        let problem = self.problem_of_newest(name);
        let pinned = self.pinned_next.take_if(|_| problem.is_none());
        let service = self.services.get_mut(name).unwrap();
        if let Some(revision) = pinned {
            let target = json!({
                "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": revision, "percent": 100,
            });
            service.written.insert("traffic".into(), json!([target]));
            service.etag += 1;
        }
        let newest = service.revisions.last_mut().unwrap();
        match &problem {
            None => {
                newest["conditions"][0] = json!({"type": "Ready", "state": "CONDITION_SUCCEEDED"});
            }
            Some((word, text)) => {
                // Each word belongs to one of the two lists of reasons.
                let member = if word.starts_with("SECRET") { "reason" } else { "revisionReason" };
                newest["conditions"][0] = json!({
                    "type": "Ready", "state": "CONDITION_FAILED", member: word, "message": text,
                });
                newest["logUri"] = "https://console.cloud.google.com/logs/viewer?x".into();
            }
        }
        match problem {
            None => {
                let newest = newest["name"].as_str().unwrap();
                service.ready = newest.rsplit_once('/').unwrap().1.to_owned();
            }
            Some(_) => service.problem = problem,
        }
    }

    fn problem_of_newest(&mut self, name: &str) -> Option<(String, String)> {
        let newest = self.services[name].revisions.last().unwrap();
        let short = newest["name"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
        let project = name.split("/locations/").next().unwrap();
        let account = self.services[name].written["template"]["serviceAccount"].as_str();
        let is_readable = |secret: &str| match account {
            Some(account) => self.secrets.get(secret).is_some_and(|it| it.is_read_by(account)),
            None => self.are_secrets_readable,
        };
        let containers = newest["containers"].as_array().unwrap();
        let variables = containers.iter().filter_map(|one| one["env"].as_array()).flatten();
        for reference in variables.filter_map(|one| one.pointer("/valueSource/secretKeyRef")) {
            let secret = format!("{project}/secrets/{}", reference["secret"].as_str().unwrap());
            let version = reference["version"].as_str().unwrap();
            let is_there = self.secrets.get(&secret).is_some_and(|it| it.has(version));
            if !is_there || !is_readable(&secret) {
                let text = format!(
                    "Revision '{short}' is not ready and cannot serve traffic. Permission denied on secret: {secret}/versions/{version} for Revision service account. The service account used must be granted the 'Secret Manager Secret Accessor' role (roles/secretmanager.secretAccessor) at the secret, project or higher level."
                );
                return Some(("SECRETS_ACCESS_CHECK_FAILED".to_owned(), text));
            }
        }
        self.failure.take().map(|(word, text)| {
            (word, format!("Revision '{short}' is not ready and cannot serve traffic. {text}"))
        })
    }

    fn get(&mut self, name: &str) -> Response {
        let Some(service) = self.services.get_mut(name) else { return not_found(name) };
        if service.left > 0 {
            service.left -= 1;
            return Response::json(200, &service.document(name, true));
        }
        if service.is_deleted {
            self.services.remove(name);
            return not_found(name);
        }
        self.settle(name);
        Response::json(200, &self.services[name].document(name, false))
    }

    pub(super) fn on_service(&mut self, call: &Call, name: &str) -> Response {
        if let Some(name) = name.strip_suffix(":getIamPolicy") {
            let Some(service) = self.services.get(name) else { return not_found(name) };
            let policy = if service.policy.is_null() {
                json!({"etag": "BwY="})
            } else {
                service.policy.clone()
            };
            return Response::json(200, &policy);
        }
        if let Some(name) = name.strip_suffix(":setIamPolicy") {
            if self.denied.contains("run.services.setIamPolicy") {
                let text = format!(
                    "Permission 'run.services.setIamPolicy' denied on resource '{name}' (or resource may not exist)."
                );
                return error(403, "PERMISSION_DENIED", &text);
            }
            let Some(service) = self.services.get_mut(name) else { return not_found(name) };
            service.policy = call.json()["policy"].clone();
            return Response::json(200, &service.policy);
        }
        if let Some(name) = name.strip_suffix("/revisions") {
            let Some(service) = self.services.get(name) else { return not_found(name) };
            return self.page(call, "revisions", &service.revisions);
        }
        match call.method.as_str() {
            "GET" => self.get(name),
            "PATCH" => self.patch(name, call),
            _ => {
                let looks = self.looks;
                let Some(service) = self.services.get_mut(name) else { return not_found(name) };
                (service.is_deleted, service.left) = (true, looks);
                let parent = name.split("/services/").next().unwrap();
                self.begin(parent, Operation::Of(name.to_owned()))
            }
        }
    }
}

impl Service {
    /// As the API shows it.
    pub(super) fn document(&self, name: &str, is_reconciling: bool) -> Value {
        let mut document = Value::Object(self.written.clone());
        if document["template"]["serviceAccount"].is_null() {
            document["template"]["serviceAccount"] = DEFAULT_ACCOUNT.into();
        }
        let newest = self.revisions.last().unwrap()["name"].clone();
        let short = name.rsplit_once('/').unwrap().1;
        let observed = if is_reconciling { self.generation - 1 } else { self.generation };
        let more = json!({
            "name": name,
            "uid": "b2a1",
            "uri": format!("https://{short}-abc-ew.a.run.app"),
            "etag": format!("\"{}\"", self.etag),
            "generation": self.generation.to_string(),
            "observedGeneration": observed.to_string(),
            "latestCreatedRevision": newest,
            "terminalCondition": self.condition(is_reconciling),
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        document["latestReadyRevision"] = format!("{name}/revisions/{}", self.ready).into();
        if self.ready.is_empty() {
            document.as_object_mut().unwrap().remove("latestReadyRevision");
        } else {
            document["trafficStatuses"] = self.traffic();
        }
        if is_reconciling {
            document["reconciling"] = true.into();
        }
        if self.is_deleted {
            document["deleteTime"] = "2026-11-21T13:00:00Z".into();
        }
        without_zeros(&mut document);
        document
    }

    fn condition(&self, is_reconciling: bool) -> Value {
        if is_reconciling {
            return json!({"type": "Ready", "state": "CONDITION_RECONCILING", "message": "Deploying Revision."});
        }
        // A service whose traffic is sent elsewhere is well, whatever became of its newest revision.
        match self.problem.as_ref().filter(|_| self.follows_latest()) {
            None => json!({"type": "Ready", "state": "CONDITION_SUCCEEDED"}),
            Some((_, text)) => {
                json!({"type": "Ready", "state": "CONDITION_FAILED", "reason": "REVISION_FAILED", "message": text})
            }
        }
    }

    fn follows_latest(&self) -> bool {
        let targets = self.written.get("traffic").and_then(Value::as_array);
        targets.is_none_or(|targets| targets.iter().any(|target| target["type"] == LATEST))
    }

    fn traffic(&self) -> Value {
        let all = json!([{"type": LATEST, "percent": 100}]);
        let targets = self.written.get("traffic").unwrap_or(&all).as_array().unwrap();
        targets
            .iter()
            .map(|target| {
                let mut status = target.clone();
                if status["type"] == LATEST {
                    status["revision"] = self.ready.clone().into();
                }
                status
            })
            .collect()
    }
}

/// What is 0 or false is left out, as in every answer of Google's.
fn without_zeros(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| *member != json!(0) && *member != json!(false));
            members.values_mut().for_each(without_zeros);
        }
        Value::Array(items) => items.iter_mut().for_each(without_zeros),
        _ => {}
    }
}
