//! What requests to Azure Container Apps must be, by the vendor's schema (JSON Schema draft-04).
//!
//! Mappings are read as closed, so that a misspelt member is found, and `cpu` as a number, which it is.

use serde_json::{Value, json};

use crate::fake::Call;
use crate::support::cli::fixtures;

/// The version of the interface that every request names.
const VERSION: &str = "2026-01-01";

/// The operations: method, and the path below a resource group, where `*` stands for one part.
const OPERATIONS: [(&str, &str); 12] = [
    ("GET", "containerApps/*"),
    ("PUT", "containerApps/*"),
    ("DELETE", "containerApps/*"),
    ("POST", "containerApps/*/start"),
    ("POST", "containerApps/*/listSecrets"),
    ("POST", "containerApps/*/getAuthtoken"),
    ("GET", "containerApps/*/revisions"),
    ("POST", "containerApps/*/revisions/*/activate"),
    ("GET", "containerApps/*/revisions/*/replicas"),
    ("GET", "managedEnvironments"),
    ("GET", "managedEnvironments/*"),
    ("GET", "locations/*/containerappOperationStatuses/*"),
];

/// The schema.
#[derive(Debug)]
pub(crate) struct Model {
    schema: Value,
}

impl Model {
    pub(crate) fn load() -> Self {
        let path = fixtures().join("models/azure/Microsoft.App-2026-01-01.json");
        Self { schema: serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() }
    }

    /// Says what is wrong with a request.
    pub(crate) fn validate(&self, call: &Call) -> Vec<String> {
        let mut problems = Vec::new();
        let (_, below) = call.path.split_once("/providers/Microsoft.App/").unwrap_or_default();
        let is_operation = |(method, path): &&(&str, &str)| {
            let parts = (path.split('/'), below.split('/'));
            call.method == *method
                && parts.0.clone().count() == parts.1.clone().count()
                && parts.0.zip(parts.1).all(|(part, other)| part == "*" || part == other)
        };
        if OPERATIONS.iter().find(is_operation).is_none() {
            problems.push(format!("there is no operation {} {}", call.method, call.path));
        }
        if call.query("api-version") != Some(VERSION) {
            problems.push(format!("`api-version` is {:?}", call.query("api-version")));
        }
        if !call.header("authorization").unwrap_or_default().starts_with("Bearer ") {
            problems.push("there is no token".to_owned());
        }
        match call.method.as_str() {
            "PUT" => problems.extend(self.validate_app(&call.json())),
            _ if !call.body.is_empty() => problems.push("there is a body".to_owned()),
            _ => {}
        }
        problems
    }

    /// Says what is wrong with a container app.
    pub(crate) fn validate_app(&self, app: &Value) -> Vec<String> {
        let mut app = app.clone();
        // A template says what in a request stands in the path.
        for (member, value) in
            [("name", "a"), ("apiVersion", VERSION), ("type", "Microsoft.App/containerApps")]
        {
            app[member] = value.into();
        }
        let mut problems = Vec::new();
        self.check(&app, &self.schema["resourceDefinitions"]["containerApps"], "", &mut problems);
        problems
    }

    fn check(&self, value: &Value, schema: &Value, place: &str, problems: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.schema.pointer(reference.strip_prefix('#').unwrap()).unwrap();
            return self.check(value, target, place, problems);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            // The other choice is an expression of a template.
            let is_own = |choice: &&Value| {
                choice["$ref"].as_str().is_none_or(|target| target.starts_with('#'))
            };
            let own: Vec<_> = choices.iter().filter(is_own).collect();
            let [own] = own[..] else { panic!("{place}: {schema}") };
            return self.check(value, own, place, problems);
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            problems.push(format!("{place} is {value}"));
        }
        let is_right = match schema["type"].as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" if place.ends_with("/resources/cpu") => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            other => panic!("{place}: {other}"),
        };
        if !is_right {
            problems.push(format!("{place} is no {}: {value}", schema["type"].as_str().unwrap()));
            return;
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            if value.get(name.as_str().unwrap()).is_none() {
                problems.push(format!("{place} lacks {name}"));
            }
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            let place = format!("{place}/{name}");
            let known = [&schema["properties"][name], &schema["additionalProperties"]];
            match known.into_iter().find(|schema| schema.is_object()) {
                Some(schema) => self.check(member, schema, &place, problems),
                None => problems.push(format!("{place} is no member")),
            }
        }
        for (number, item) in value.as_array().into_iter().flatten().enumerate() {
            self.check(item, &schema["items"], &format!("{place}/{number}"), problems);
        }
    }
}

#[test]
fn a_wrong_body_is_found() {
    let model = Model::load();
    let app = |properties: Value| json!({"location": "westeurope", "properties": properties});
    for (body, expected) in [
        (app(json!({"environmentId": "/e"})), None),
        (
            app(
                json!({"template": {"containers": [{"resources": {"cpu": 0.5, "memory": "1Gi"}}]}}),
            ),
            None,
        ),
        (json!({"properties": {}}), Some(" lacks \"location\"")),
        (app(json!({"environmentID": "/e"})), Some("/properties/environmentID is no member")),
        (
            app(json!({"configuration": {"activeRevisionsMode": "single"}})),
            Some("/properties/configuration/activeRevisionsMode is \"single\""),
        ),
        (
            app(json!({"configuration": {"ingress": {"targetPort": "8080"}}})),
            Some("/properties/configuration/ingress/targetPort is no integer: \"8080\""),
        ),
        (
            app(json!({"template": {"containers": [{"env": [{"name": "A", "secret": "s"}]}]}})),
            Some("/properties/template/containers/0/env/0/secret is no member"),
        ),
        (
            app(json!({"template": {"containers": [{"probes": [{"httpGet": {"path": "/"}}]}]}})),
            Some("/properties/template/containers/0/probes/0/httpGet lacks \"port\""),
        ),
        (app(json!({"configuration": null})), Some("/properties/configuration is no object: null")),
    ] {
        assert_eq!(model.validate_app(&body), Vec::from_iter(expected), "{body}");
    }
}
