//! Cloud Run with Secret Manager and Cloud Logging, in one server: services with revisions that come up, or do
//! not, after some questions.

mod entries;
mod secret;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::fake::{Call, Fake, Response};
use crate::model::google::Model;
pub(crate) use secret::Secret;
use service::{Operation, Service};

/// The token that everybody needs.
pub(crate) const TOKEN: &str = "ya29.canary";

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
    /// The permissions that we lack.
    pub(crate) denied: BTreeSet<&'static str>,
    /// Whether the project's default account may read secrets; any other one may read what their policies say.
    pub(crate) are_secrets_readable: bool,
    /// How many revisions or secrets one page has at most.
    pub(crate) page: usize,
    /// Why the next write to a service comes to nothing, although it was answered well.
    pub(crate) comes_to_nothing: Option<String>,
    /// The revision to which somebody sends all traffic as soon as the next one is ready.
    pub(crate) pinned_next: Option<String>,
    /// What was begun last.
    operation: Option<Operation>,
    /// Counts everything that is made.
    count: u64,
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
            denied: BTreeSet::new(),
            are_secrets_readable: true,
            page: 100,
            comes_to_nothing: None,
            pinned_next: None,
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

fn not_found(name: &str) -> Response {
    error(404, "NOT_FOUND", &format!("Resource '{name}' was not found"))
}

/// An error as Google writes it.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Response {
    Response::json(status, &json!({"error": {"code": status, "status": code, "message": message}}))
}
