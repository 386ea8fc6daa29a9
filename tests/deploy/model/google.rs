//! Checks requests and answers against a discovery document of Google's.

use serde_json::{Map, Value};

use crate::fake::{Call, Response};

/// The model of one API.
#[derive(Debug)]
pub(crate) struct Model {
    document: Value,
}

/// What a value stands for: what we send may not name what only the service says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

impl Model {
    /// The model of an API by its name: `run`, `secretmanager`, `logging`.
    pub(crate) fn load(name: &str) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/google");
        let text = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
        Self { document: serde_json::from_str(&text).unwrap() }
    }

    /// The id of the method that a request calls: `run.projects.locations.services.get`.
    pub(crate) fn method(&self, call: &Call) -> Option<&str> {
        self.find(call).and_then(|method| method["id"].as_str())
    }

    /// What is wrong with a request.
    pub(crate) fn check(&self, call: &Call) -> Vec<String> {
        let Some(method) = self.find(call) else {
            return vec![format!("no method is called by {} {}", call.method, call.path)];
        };
        let mut problems = Vec::new();
        let known = |name: &str| {
            let own = &method["parameters"][name];
            let own = (own["location"] == "query").then_some(own);
            own.or_else(|| self.document["parameters"].get(name))
        };
        for (name, value) in &call.query {
            match known(name) {
                None => problems.push(format!("unknown query parameter `{name}`")),
                Some(parameter) => check_text(parameter, value, name, &mut problems),
            }
        }
        let schema = method["request"]["$ref"].as_str();
        match (schema, call.body.is_empty()) {
            (None, true) => {}
            (None, false) => problems.push("a body, where none is taken".into()),
            (Some(_), true) => problems.push("no body".into()),
            (Some(schema), false) => match serde_json::from_slice::<Value>(&call.body) {
                Ok(body) => self.check_schema(schema, &body, "", Direction::Request, &mut problems),
                Err(error) => problems.push(format!("the body is not JSON: {error}")),
            },
        }
        problems
    }

    /// What is wrong with an answer: a good one has the method's schema, another one is a `google.rpc.Status`.
    pub(crate) fn check_answer(&self, call: &Call, response: &Response) -> Vec<String> {
        let Some(method) = self.find(call) else { return Vec::new() };
        let Ok(body) = serde_json::from_slice::<Value>(&response.body) else {
            return vec!["it is not JSON".into()];
        };
        let mut problems = Vec::new();
        if response.status >= 400 {
            let error = &body["error"];
            if !(error["code"].is_u64()
                && error["message"].is_string()
                && error["status"].is_string())
            {
                problems.push(format!("an error is no such thing: {body}"));
            }
        } else if let Some(schema) = method["response"]["$ref"].as_str() {
            self.check_schema(schema, &body, "", Direction::Answer, &mut problems);
        }
        problems
    }

    fn find(&self, call: &Call) -> Option<&Value> {
        let mut methods = self.document["methods"].as_array()?.iter();
        methods.find(|method| {
            let template = method["flatPath"].as_str().or(method["path"].as_str());
            method["httpMethod"] == call.method && template.is_some_and(|it| fits(it, &call.path))
        })
    }

    fn check_schema(
        &self,
        name: &str,
        value: &Value,
        place: &str,
        direction: Direction,
        problems: &mut Vec<String>,
    ) {
        let schema = &self.document["schemas"][name];
        assert!(schema.is_object(), "the excerpt lacks `{name}`");
        self.check_value(schema, value, place, direction, problems);
    }

    fn check_value(
        &self,
        schema: &Value,
        value: &Value,
        place: &str,
        direction: Direction,
        problems: &mut Vec<String>,
    ) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.check_schema(name, value, place, direction, problems);
        }
        let kind = schema["type"].as_str().unwrap_or("any");
        let mut wrong = |what: &str| problems.push(format!("`{place}` {what}: {value}"));
        match (kind, value) {
            ("string", Value::String(text)) => check_text(schema, text, place, problems),
            ("any", _) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => {}
            ("integer", Value::Number(number)) if number.is_i64() || number.is_u64() => {}
            ("array", Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let place = format!("{place}/{index}");
                    self.check_value(&schema["items"], item, &place, direction, problems);
                }
            }
            ("object", Value::Object(members)) => {
                self.check_members(schema, members, place, direction, problems);
            }
            _ => wrong(&format!("is no {kind}")),
        }
    }

    fn check_members(
        &self,
        schema: &Value,
        members: &Map<String, Value>,
        place: &str,
        direction: Direction,
        problems: &mut Vec<String>,
    ) {
        for (name, value) in members {
            let place = format!("{place}/{name}");
            let property = schema["properties"].get(name);
            match property.or_else(|| schema.get("additionalProperties")) {
                None => problems.push(format!("`{place}` is unknown")),
                Some(property)
                    if property["readOnly"] == true && direction == Direction::Request =>
                {
                    problems.push(format!("`{place}` is for answers only"));
                }
                Some(property) => self.check_value(property, value, &place, direction, problems),
            }
        }
    }
}

/// A text by its format, its values and its pattern.
fn check_text(schema: &Value, text: &str, place: &str, problems: &mut Vec<String>) {
    let is_decimal = |text: &str| text.parse::<i64>().is_ok();
    let kind = schema["type"].as_str().unwrap_or("string");
    let format = schema["format"].as_str().unwrap_or_default();
    let fits = match (kind, format) {
        ("boolean", _) => matches!(text, "true" | "false"),
        ("integer", _) | ("string", "int64") => is_decimal(text),
        (_, "google-duration") => {
            text.strip_suffix('s').is_some_and(|seconds| seconds.parse::<f64>().is_ok())
        }
        (_, "google-datetime") => text.parse::<jiff::Timestamp>().is_ok(),
        (_, "byte") => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(text).is_ok()
        }
        _ => true,
    };
    if !fits {
        problems.push(format!(
            "`{place}` is no {}: \"{text}\"",
            if format.is_empty() { kind } else { format }
        ));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.iter().any(|value| value == text)
    {
        problems.push(format!("`{place}` has no value \"{text}\""));
    }
}

/// Whether a path fits a template: `v2/projects/{projectsId}:wait`.
fn fits(template: &str, path: &str) -> bool {
    let template: Vec<_> = template.trim_start_matches('/').split('/').collect();
    let path: Vec<_> = path.trim_start_matches('/').split('/').collect();
    template.len() == path.len()
        && template.iter().zip(path).all(|(wanted, part)| {
            let Some(end) = wanted.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
                return *wanted == part;
            };
            match end.1 {
                "" => !part.is_empty() && !part.contains(':'),
                verb => part.strip_suffix(verb).is_some_and(|name| !name.is_empty()),
            }
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(method: &str, url: &str, body: &Value) -> Call {
        let url = reqwest::Url::parse("http://fake").unwrap().join(url).unwrap();
        Call {
            method: method.into(),
            path: url.path().into(),
            query: url.query_pairs().into_owned().collect(),
            headers: Vec::new(),
            body: if body.is_null() { String::new() } else { body.to_string() }.into(),
        }
    }

    const SERVICE: &str = "/v2/projects/p/locations/r/services/s";

    #[test]
    fn a_request_is_wrong_in_what_the_model_does_not_allow() {
        let run = Model::load("run");
        for (method, url, body, expected) in [
            ("GET", SERVICE, Value::Null, vec![]),
            (
                "PUT",
                SERVICE,
                Value::Null,
                vec!["no method is called by PUT /v2/projects/p/locations/r/services/s"],
            ),
            (
                "GET",
                "/v2/projects/p/services/s",
                Value::Null,
                vec!["no method is called by GET /v2/projects/p/services/s"],
            ),
            ("GET", SERVICE, json!({}), vec!["a body, where none is taken"]),
            ("PATCH", SERVICE, Value::Null, vec!["no body"]),
            (
                "PATCH",
                "/v2/projects/p/locations/r/services/s?updateMask=template&forceNewRevision=yes&force=1",
                json!({}),
                vec![
                    "`forceNewRevision` is no boolean: \"yes\"",
                    "unknown query parameter `force`",
                ],
            ),
            (
                "PATCH",
                SERVICE,
                json!({
                    "ingress": "ALL",
                    "uri": "https://x",
                    "template": {
                        "timeout": "5m",
                        "scaling": {"minInstanceCount": "0"},
                        "container": [],
                        "containers": [{"resources": {"limits": {"cpu": 1}, "cpuIdle": "true"}}],
                    },
                }),
                vec![
                    "`/ingress` has no value \"ALL\"",
                    "`/template/container` is unknown",
                    "`/template/containers/0/resources/cpuIdle` is no boolean: \"true\"",
                    "`/template/containers/0/resources/limits/cpu` is no string: 1",
                    "`/template/scaling/minInstanceCount` is no integer: \"0\"",
                    "`/template/timeout` is no google-duration: \"5m\"",
                    "`/uri` is for answers only",
                ],
            ),
        ] {
            assert_eq!(run.check(&call(method, url, &body)), expected, "{method} {url} {body}");
        }
    }

    #[test]
    fn methods_are_told_apart_by_their_verbs() {
        let secrets = Model::load("secretmanager");
        for (method, path, expected) in [
            ("GET", "/v1/projects/p/secrets/s", "secretmanager.projects.secrets.get"),
            ("POST", "/v1/projects/p/secrets", "secretmanager.projects.secrets.create"),
            (
                "POST",
                "/v1/projects/p/secrets/s:addVersion",
                "secretmanager.projects.secrets.addVersion",
            ),
            (
                "GET",
                "/v1/projects/p/secrets/s/versions/latest:access",
                "secretmanager.projects.secrets.versions.access",
            ),
        ] {
            assert_eq!(secrets.method(&call(method, path, &Value::Null)), Some(expected));
        }
        let wrong =
            call("POST", "/v1/projects/p/secrets/s:addVersion", &json!({"payload": {"data": "ä"}}));
        assert_eq!(secrets.check(&wrong), ["`/payload/data` is no byte: \"ä\""]);
    }

    #[test]
    fn an_answer_is_wrong_when_the_service_would_never_give_it() {
        let run = Model::load("run");
        let get = call("GET", SERVICE, &Value::Null);
        for (status, body, expected) in [
            (200, json!({"uri": "https://x", "generation": "1"}), vec![]),
            (200, json!({"generation": 1}), vec!["`/generation` is no string: 1"]),
            (404, json!({"error": {"code": 404, "message": "m", "status": "NOT_FOUND"}}), vec![]),
            (404, json!({"message": "m"}), vec!["an error is no such thing: {\"message\":\"m\"}"]),
        ] {
            assert_eq!(run.check_answer(&get, &Response::json(status, &body)), expected);
        }
    }
}
