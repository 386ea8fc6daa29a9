//! Cloud Run with Secret Manager and Cloud Logging, in one server: services with revisions that come up, or do
//! not, after some questions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::fake::{Call, Fake, Response};
use crate::model::google::Model;

/// The token that everybody needs.
pub(crate) const TOKEN: &str = "ya29.canary";
const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";

/// The state.
#[derive(Debug)]
pub(crate) struct CloudRun {
    run: Model,
    secret_manager: Model,
    logging: Model,
    /// By their whole names.
    pub(crate) services: BTreeMap<String, Service>,
    /// By their whole names.
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// What services printed.
    pub(crate) entries: Vec<Value>,
    /// How many looks at a service find it still being changed.
    pub(crate) looks: u32,
    /// What becomes of the next revision, when it does not become ready: a word and a text.
    pub(crate) failure: Option<(String, String)>,
    /// Whether an organisation forbids services that everybody may call.
    pub(crate) is_public_forbidden: bool,
    /// Whether the project's default account may read secrets; any other one may read what their policies say.
    pub(crate) are_secrets_readable: bool,
    /// How many revisions or secrets one page has at most.
    pub(crate) page: usize,
    /// Why the next write to a service comes to nothing, although it was answered well.
    pub(crate) comes_to_nothing: Option<String>,
    /// What was begun last.
    operation: Option<Operation>,
    /// Counts everything that is made.
    count: u64,
}

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
    left: u32,
    is_deleted: bool,
    /// What IAM says of it.
    pub(crate) policy: Value,
    /// Why it is not well.
    problem: Option<(String, String)>,
}

/// What was begun.
#[derive(Debug, Clone)]
enum Operation {
    /// A change of this service.
    Of(String),
    /// Something that came to nothing, and why.
    Failed(String),
}

/// A secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Secret {
    pub(crate) labels: Value,
    /// What each version has, in base64.
    pub(crate) versions: Vec<String>,
    /// Who may read it.
    pub(crate) policy: Value,
    /// Counts what was done to the policy.
    pub(crate) policy_changes: u8,
}

impl Secret {
    /// The policy's, which nobody may change who has seen another one.
    fn etag(&self) -> String {
        format!("BwY{}", char::from(b'A' + self.policy_changes))
    }

    fn is_read_by(&self, account: &str) -> bool {
        let member = format!("serviceAccount:{account}");
        self.policy["bindings"].as_array().into_iter().flatten().any(|binding| {
            binding["role"] == "roles/secretmanager.secretAccessor"
                && binding["members"].as_array().unwrap().iter().any(|it| *it == member)
        })
    }
}

impl CloudRun {
    /// Nothing is there yet, and changes are seen to be done at the third look.
    pub(crate) fn new() -> Self {
        Self {
            run: Model::load("run"),
            secret_manager: Model::load("secretmanager"),
            logging: Model::load("logging"),
            services: BTreeMap::new(),
            secrets: BTreeMap::new(),
            entries: Vec::new(),
            looks: 2,
            failure: None,
            is_public_forbidden: false,
            are_secrets_readable: true,
            page: 100,
            comes_to_nothing: None,
            operation: None,
            count: 0,
        }
    }

    /// The only service, as it was written.
    pub(crate) fn service(&mut self) -> &mut Service {
        self.services.values_mut().next().unwrap()
    }

    /// Has whatever goes on be done at the next look.
    pub(crate) fn finish(&mut self) {
        self.looks = 0;
        self.services.values_mut().for_each(|service| service.left = 0);
    }

    fn model(&self, call: &Call) -> &Model {
        if call.path.starts_with("/v1/") {
            &self.secret_manager
        } else if call.path.starts_with("/v2/entries") {
            &self.logging
        } else {
            &self.run
        }
    }

    fn time(&mut self) -> String {
        self.count += 1;
        format!("2026-11-21T12:{:02}:{:02}.000000Z", self.count / 60, self.count % 60)
    }

    fn create(&mut self, parent: &str, call: &Call) -> Response {
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

    fn begin(&mut self, parent: &str, operation: Operation) -> Response {
        self.operation = Some(operation);
        Response::json(200, &json!({"name": format!("{parent}/operations/7"), "done": false}))
    }

    fn get_operation(&mut self, name: &str) -> Response {
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
        let service = self.services.get_mut(name).unwrap();
        let newest = service.revisions.last_mut().unwrap();
        match &problem {
            None => {
                newest["conditions"][0] = json!({"type": "Ready", "state": "CONDITION_SUCCEEDED"});
            }
            Some((word, text)) => {
                newest["conditions"][0] = json!({
                    "type": "Ready", "state": "CONDITION_FAILED", "revisionReason": word, "message": text,
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
            let versions = self.secrets.get(&secret).map_or(0, |it| it.versions.len());
            let is_there =
                version == "latest" || version.parse::<usize>().is_ok_and(|it| it <= versions);
            if versions == 0 || !is_there || !is_readable(&secret) {
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

    fn on_service(&mut self, call: &Call, name: &str) -> Response {
        if let Some(name) = name.strip_suffix(":getIamPolicy") {
            let Some(service) = self.services.get(name) else { return not_found(name) };
            let policy = if service.policy.is_null() {
                json!({"etag": "BwY="})
            } else {
                service.policy.clone()
            };
            return Response::json(200, &policy);
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

    fn on_secret(&mut self, call: &Call, name: &str) -> Response {
        if let Some(name) = name.strip_suffix("/versions/latest:access") {
            let Some(secret) = self.secrets.get(name) else { return not_found(name) };
            let Some(data) = secret.versions.last() else { return not_found(name) };
            let name = format!("{name}/versions/{}", secret.versions.len());
            return Response::json(200, &json!({"name": name, "payload": {"data": data}}));
        }
        let (name, verb) = name.split_once(':').unwrap_or((name, ""));
        let body = call.json();
        let Some(secret) = self.secrets.get_mut(name) else { return not_found(name) };
        match (call.method.as_str(), verb) {
            ("GET", "getIamPolicy") => {
                let mut policy = json!({"etag": secret.etag()});
                policy
                    .as_object_mut()
                    .unwrap()
                    .extend(secret.policy.as_object().cloned().unwrap_or_default());
                Response::json(200, &policy)
            }
            ("POST", "addVersion") => {
                secret.versions.push(body["payload"]["data"].as_str().unwrap().to_owned());
                let name = format!("{name}/versions/{}", secret.versions.len());
                Response::json(200, &json!({"name": name, "state": "ENABLED"}))
            }
            ("POST", _) => {
                let mut policy = body["policy"].clone();
                let etag = policy.as_object_mut().unwrap().remove("etag");
                if etag.is_some_and(|etag| etag != secret.etag()) {
                    return error(409, "ABORTED", "There were concurrent policy changes.");
                }
                (secret.policy, secret.policy_changes) = (policy, secret.policy_changes + 1);
                Response::json(200, &secret.policy)
            }
            ("DELETE", _) => {
                self.secrets.remove(name);
                Response::json(200, &json!({}))
            }
            _ => Response::json(200, &json!({"name": name, "labels": secret.labels})),
        }
    }

    /// Those whose labels a filter names: `labels.KEY=VALUE AND …`.
    fn list_secrets(&self, parent: &str, call: &Call) -> Response {
        let filter = call.query("filter").unwrap_or_default();
        let is_wanted = |secret: &Secret| {
            filter.split(" AND ").filter(|it| !it.is_empty()).all(|condition| {
                let (key, value) = condition.split_once('=').unwrap();
                secret.labels[key.strip_prefix("labels.").unwrap()] == value
            })
        };
        let secrets =
            self.secrets.iter().filter(|(name, it)| name.starts_with(parent) && is_wanted(it));
        let secrets: Vec<_> =
            secrets.map(|(name, it)| json!({"name": name, "labels": it.labels})).collect();
        self.page(call, "secrets", &secrets)
    }

    /// One page of a list; its token is where the next one begins.
    fn page(&self, call: &Call, name: &str, items: &[Value]) -> Response {
        let from = call.query("pageToken").map_or(0, |token| token.parse().unwrap());
        let size =
            call.query("pageSize").map_or(self.page, |it| self.page.min(it.parse().unwrap()));
        let to = items.len().min(from + size);
        let mut answer = json!({name: items[from..to]});
        if to < items.len() {
            answer["nextPageToken"] = to.to_string().into();
        }
        Response::json(200, &answer)
    }

    fn create_secret(&mut self, parent: &str, call: &Call) -> Response {
        let name = format!("{parent}/{}", call.query("secretId").unwrap_or_default());
        if self.secrets.contains_key(&name) {
            return error(409, "ALREADY_EXISTS", &format!("Secret [{name}] already exists."));
        }
        let labels = call.json()["labels"].clone();
        self.secrets.insert(name.clone(), Secret { labels: labels.clone(), ..Secret::default() });
        Response::json(200, &json!({"name": name, "labels": labels}))
    }

    /// The entries after the moment that a filter names.
    fn list_entries(&self, call: &Call) -> Response {
        let filter = call.json()["filter"].as_str().unwrap_or_default().to_owned();
        let named = |start: &str| {
            let (_, rest) = filter.split_once(start)?;
            rest.split('"').next().map(str::to_owned)
        };
        let (since, after) = (named("timestamp>=\""), named("timestamp>\""));
        let id = named("insertId>\"").unwrap_or_default();
        let is_wanted = |entry: &&Value| {
            let at = entry["timestamp"].as_str().unwrap();
            match (&since, &after) {
                (Some(since), _) => at >= since.as_str(),
                (_, Some(after)) => {
                    (at, entry["insertId"].as_str().unwrap()) > (after.as_str(), id.as_str())
                }
                _ => true,
            }
        };
        let entries: Vec<_> = self.entries.iter().filter(is_wanted).collect();
        Response::json(200, &json!({"entries": entries}))
    }
}

impl Service {
    /// As the API shows it.
    fn document(&self, name: &str, is_reconciling: bool) -> Value {
        let mut document = Value::Object(self.written.clone());
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

impl Fake for CloudRun {
    fn validate(&self, call: &Call) -> Vec<String> {
        let mut problems = self.model(call).check(call);
        if call.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            problems.push("nobody has sent it".to_owned());
        }
        problems
    }

    fn answer(&mut self, call: &Call) -> Response {
        if call.path == "/v2/entries:list" {
            return self.list_entries(call);
        }
        let name = call.path.trim_start_matches("/v1/").trim_start_matches("/v2/").to_owned();
        match (call.method.as_str(), name.rsplit_once('/')) {
            ("POST", Some((_, "services"))) => self.create(&name, call),
            ("GET", Some((_, "services"))) => {
                let names: Vec<_> = self.services.keys().cloned().collect();
                let services: Vec<_> =
                    names.iter().map(|name| self.services[name].document(name, false)).collect();
                Response::json(200, &json!({"services": services}))
            }
            ("GET", Some((_, "secrets"))) => self.list_secrets(&name, call),
            ("POST", Some((_, "secrets"))) => self.create_secret(&name, call),
            (_, Some(_)) if name.contains("/secrets/") => self.on_secret(call, &name),
            (_, Some(_)) if name.contains("/operations/") => self.get_operation(&name),
            _ => self.on_service(call, &name),
        }
    }

    fn validate_answer(&self, call: &Call, response: &Response) -> Vec<String> {
        self.model(call).check_answer(call, response)
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

fn not_found(name: &str) -> Response {
    error(404, "NOT_FOUND", &format!("Resource '{name}' was not found"))
}

/// An error as Google writes it.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Response {
    Response::json(status, &json!({"error": {"code": status, "status": code, "message": message}}))
}
