//! How a function is reached from outside: a function URL, or an HTTP API.

use serde_json::{Value, json};

use super::found::Found;
use super::plan::tags;
use super::requests::ALIAS;
use super::settings::Entry;
use super::{Lambda, cors};
use crate::cloud::Method;
use crate::deploy::{DeployPlan, Given, Ownership, Step};

/// Lets everybody use the URL.
const URL_STATEMENT: &str = "dockless-url";
/// Lets whoever may use the URL run the function; since October 2025 a URL needs both.
const INVOKE_STATEMENT: &str = "dockless-url-invoke";
/// Lets the API run the function.
pub(super) const API_STATEMENT: &str = "dockless-api";

/// Where a function is reached.
pub(super) struct Reach<'a> {
    pub(super) url: Option<&'a str>,
    pub(super) is_public: bool,
}

impl<'a> Reach<'a> {
    /// Where the alias that was found is reached.
    pub(super) fn of(found: &'a Found) -> Self {
        if let Some(url) = found.apis.first().and_then(|api| api["apiEndpoint"].as_str()) {
            return Self { url: Some(url), is_public: found.statement(API_STATEMENT).is_some() };
        }
        let is_allowed = [URL_STATEMENT, INVOKE_STATEMENT]
            .into_iter()
            .all(|statement| found.statement(statement).is_some());
        Self {
            url: found.url["FunctionUrl"].as_str(),
            is_public: found.url["AuthType"] == "NONE" && is_allowed,
        }
    }
}

impl Lambda {
    pub(super) fn plan_entry(&self, found: &Found, plan: &mut DeployPlan) {
        self.plan_url(found, plan);
        self.plan_latest_url(found, plan);
        let source = self.plan_api(found, plan);
        let mut wanted: Vec<(&str, Value)> = Vec::new();
        if matches!(self.settings.entry, Entry::Url { is_public: true, .. }) {
            wanted.push((
                URL_STATEMENT,
                json!({
                    "Action": "lambda:InvokeFunctionUrl", "Principal": "*",
                    "FunctionUrlAuthType": "NONE",
                }),
            ));
            wanted.push((
                INVOKE_STATEMENT,
                json!({
                    "Action": "lambda:InvokeFunction", "Principal": "*",
                    "InvokedViaFunctionUrl": true,
                }),
            ));
        }
        if let Some(source) = source {
            wanted.push((
                API_STATEMENT,
                json!({
                    "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com",
                    "SourceArn": source,
                }),
            ));
        }
        for statement in [URL_STATEMENT, INVOKE_STATEMENT, API_STATEMENT] {
            let wanted = wanted.iter().find(|(id, _)| *id == statement);
            self.plan_statement(statement, wanted.map(|(_, body)| body), found, plan);
        }
    }

    fn plan_url(&self, found: &Found, plan: &mut DeployPlan) {
        // In the words of the config: `NONE` is who has to prove nothing, and `none` there no URL at all.
        let shown = |auth: &str, mode: &str| {
            let who = if auth == Entry::auth_type(true) { "public" } else { "iam" };
            format!("{who}, {mode}")
        };
        let there = found.url["AuthType"].as_str().map(|auth| {
            shown(auth, found.url["InvokeMode"].as_str().unwrap_or(Entry::invoke_mode(false)))
        });
        let Entry::Url { is_public, is_streaming } = self.settings.entry else {
            if plan.change("url", there, None::<String>) {
                plan.steps.push(self.url_removal());
            }
            return;
        };
        let (auth, mode) = (Entry::auth_type(is_public), Entry::invoke_mode(is_streaming));
        let mut body = json!({"AuthType": auth, "InvokeMode": mode});
        let is_there = there.is_some();
        let is_other = plan.change("url", there, Some(shown(auth, mode)));
        if self.note_origins(&found.url["Cors"], plan) {
            body["Cors"] = cors::of_url(&self.settings.cors_origins);
        } else if !is_other {
            return;
        }
        let requests = self.requests();
        let (title, request) = if is_there {
            ("change the function URL", requests.url("UpdateFunctionUrlConfig", Method::Put))
        } else {
            ("give it a function URL", requests.url("CreateFunctionUrlConfig", Method::Post))
        };
        plan.steps.push(Step::new(title, request.with_body(body)));
    }

    /// Closes a public URL beside ours, which an adopted function may have: it keeps its name, and takes
    /// callers that AWS knows.
    fn plan_latest_url(&self, found: &Found, plan: &mut DeployPlan) {
        let is_public = matches!(self.settings.entry, Entry::Url { is_public: true, .. });
        if is_public || found.latest_url["AuthType"] != Entry::auth_type(true) {
            return;
        }
        let [before, after] = [true, false].map(Entry::auth_type);
        plan.change("url of `$LATEST`", Some(before), Some(after));
        let request = self.requests().latest_url("UpdateFunctionUrlConfig", Method::Put);
        let request = request.with_body(json!({"AuthType": after}));
        plan.steps.push(Step::new("close the public URL of `$LATEST`", request));
    }

    /// The ARN of what calls through the API, when there should be one.
    fn plan_api(&self, found: &Found, plan: &mut DeployPlan) -> Option<String> {
        let (kept, removed) = match self.settings.entry {
            Entry::Api => found.apis.split_at(found.apis.len().min(1)),
            _ => found.apis.split_at(0),
        };
        for api in removed {
            self.plan_api_removal(api, plan);
        }
        if self.settings.entry != Entry::Api {
            return None;
        }
        let place = found.place(&self.settings.region);
        let source = |id: &str| place.arn("execute-api", &format!("{id}/*/*"));
        if let [api] = kept
            && let Some(id) = api["apiId"].as_str()
        {
            self.plan_origins(api, id, plan);
            return Some(source(id));
        }
        let name = &self.settings.name;
        plan.change("api", None::<String>, Some(name.as_str()));
        let mut body = json!({
            "name": name,
            "protocolType": "HTTP",
            "target": place.arn("lambda", &format!("function:{name}:{ALIAS}")),
            "tags": tags(&Ownership::of(&self.workload)),
        });
        if self.note_origins(&Value::Null, plan) {
            body["corsConfiguration"] = cors::of_api(&self.settings.cors_origins);
        }
        let request = self.requests().create_api(body);
        let step = Step::new(format!("put the API `{name}` in front"), request);
        let step = step.creating(format!("api {name}"));
        plan.steps.push(step.giving_within("source", "/apiId", source(Given::BLANK)));
        Some(Given::mark("source"))
    }

    /// Notes how the origins differ that may call it; says whether they do.
    fn note_origins(&self, there: &Value, plan: &mut DeployPlan) -> bool {
        let wanted = cors::shown(&self.settings.cors_origins);
        plan.change("cors_origins", cors::shown(&cors::allowed(there)), wanted)
    }

    fn plan_origins(&self, api: &Value, id: &str, plan: &mut DeployPlan) {
        if !self.note_origins(&api["corsConfiguration"], plan) {
            return;
        }
        let (requests, origins) = (self.requests(), &self.settings.cors_origins);
        let request = if origins.is_empty() {
            requests.delete_origins(id)
        } else {
            requests.update_api(id, json!({"corsConfiguration": cors::of_api(origins)}))
        };
        plan.steps.push(Step::new("change who may call the API from a browser", request));
    }

    /// Adds a statement of ours to the policy, or takes it away.
    fn plan_statement(
        &self,
        id: &str,
        wanted: Option<&Value>,
        found: &Found,
        plan: &mut DeployPlan,
    ) {
        let there = found.statement(id);
        let source = wanted.and_then(|body| body["SourceArn"].as_str());
        let has_source = |statement: &&Value| {
            source.is_none_or(|source| statement["Condition"].to_string().contains(source))
        };
        if let (Some(_), Some(_)) = (wanted, there.filter(has_source)) {
            return;
        }
        if there.is_some() {
            plan.change(format!("permission `{id}`"), Some("allowed"), None::<String>);
            let request = self.requests().remove_permission(id);
            let step = Step::new(format!("take the permission `{id}` away"), request);
            plan.steps.push(step.or_done_by(&["ResourceNotFoundException"]));
        }
        if let Some(wanted) = wanted {
            plan.change(format!("permission `{id}`"), None::<String>, Some("allowed"));
            let mut body = wanted.clone();
            body["StatementId"] = id.into();
            // A conflict may be one with an update, too: whether the statement is there tells the next look.
            let request = self.requests().add_permission(body);
            plan.steps.push(Step::new(format!("add the permission `{id}`"), request));
        }
    }

    pub(super) fn url_removal(&self) -> Step {
        let request = self.requests().url("DeleteFunctionUrlConfig", Method::Delete);
        let step = Step::new("take the function URL away", request);
        step.or_done_by(&["ResourceNotFoundException"])
    }

    pub(super) fn plan_api_removal(&self, api: &Value, plan: &mut DeployPlan) {
        let Some(id) = api["apiId"].as_str() else { return };
        plan.change("api", Some(id), None::<String>);
        let step = Step::new("delete the API in front", self.requests().delete_api(id));
        plan.steps.push(step.or_done_by(&["NotFoundException"]));
    }
}
