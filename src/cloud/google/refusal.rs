//! What Google's services say when they refuse: `google.rpc.Status`.

use std::time::Duration;

use serde_json::Value;

use super::super::authorizer::Refusal;
use super::super::{CallError, ErrorClass, Request};
use super::cures;

/// Codes of `google.rpc.Code` by number, and what they mean for us.
const CODES: [(u64, &str, ErrorClass); 16] = [
    (1, "CANCELLED", ErrorClass::Other),
    (2, "UNKNOWN", ErrorClass::Unavailable),
    (3, "INVALID_ARGUMENT", ErrorClass::Invalid),
    (4, "DEADLINE_EXCEEDED", ErrorClass::Unavailable),
    (5, "NOT_FOUND", ErrorClass::NotFound),
    (6, "ALREADY_EXISTS", ErrorClass::Exists),
    (7, "PERMISSION_DENIED", ErrorClass::Denied),
    (8, "RESOURCE_EXHAUSTED", ErrorClass::Throttled),
    (9, "FAILED_PRECONDITION", ErrorClass::Invalid),
    (10, "ABORTED", ErrorClass::Busy),
    (11, "OUT_OF_RANGE", ErrorClass::Invalid),
    (12, "UNIMPLEMENTED", ErrorClass::Invalid),
    (13, "INTERNAL", ErrorClass::Unavailable),
    (14, "UNAVAILABLE", ErrorClass::Unavailable),
    (15, "DATA_LOSS", ErrorClass::Other),
    (16, "UNAUTHENTICATED", ErrorClass::WrongIdentity),
];

/// What is shown at most of a message.
const MAX_SHOWN_CHARACTERS: usize = 2000;

/// What an answer that is no success means.
pub(in crate::cloud) fn classify(refusal: &Refusal<'_>) -> CallError {
    let document = serde_json::from_slice::<Value>(refusal.body).unwrap_or_default();
    let status = document.get("error").filter(|error| error.is_object());
    let mut failure = if let Some(error) = status {
        of_status(refusal.request, error, Some(refusal.status))
    } else {
        let class = class_of_http(refusal.status);
        let message = match &document["error_description"] {
            Value::String(text) => clean(text),
            _ => format!("HTTP {}", refusal.status),
        };
        CallError {
            message,
            ..CallError::new(refusal.request.service, refusal.request.title(), class)
        }
    };
    failure.status = Some(refusal.status);
    let wait = refusal.headers.get("retry-after").and_then(|value| value.to_str().ok());
    let wait = wait.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    failure.retry_after = wait.or(failure.retry_after);
    failure
}

/// What the error of an operation means that this request began (`google.longrunning.Operation`, `error`).
pub fn operation_failure(request: &Request, error: &Value) -> CallError {
    of_status(request, error, None)
}

fn of_status(request: &Request, error: &Value, http: Option<u16>) -> CallError {
    let number = error["code"].as_u64();
    let named = error["status"].as_str();
    let known = CODES.iter().find(|(code, name, _)| match named {
        Some(named) => named == *name,
        None => number == Some(*code),
    });
    let by_http = || http.map_or(ErrorClass::Other, class_of_http);
    let class = known.map_or_else(by_http, |(_, _, class)| *class);
    let mut failure = CallError::new(request.service, request.title(), class);
    named.or(known.map(|(_, name, _)| *name)).unwrap_or_default().clone_into(&mut failure.code);
    failure.message = clean(error["message"].as_str().unwrap_or_default());
    let details = Details(error["details"].as_array().map(Vec::as_slice).unwrap_or_default());
    if let Some(seconds) = details.retry_delay() {
        failure.retry_after = Some(seconds);
    }
    for violation in details.of("BadRequest").flat_map(|detail| items(&detail["fieldViolations"])) {
        let text = |name: &str| clean(violation[name].as_str().unwrap_or_default());
        let (field, description) = (text("field"), text("description"));
        if !failure.message.contains(&description) {
            failure.message = format!("{}; `{field}`: {description}", failure.message);
        }
    }
    refine(&mut failure, &details);
    failure
}

/// Makes more of a class by the details, and adds what to do.
fn refine(failure: &mut CallError, details: &Details<'_>) {
    if failure.class == ErrorClass::Throttled && is_quota(details) {
        failure.class = ErrorClass::Quota;
        for violation in details.of("QuotaFailure").flat_map(|detail| items(&detail["violations"]))
        {
            let text = |name: &str| clean(violation[name].as_str().unwrap_or_default());
            let (subject, description) = (text("subject"), text("description"));
            failure.message = format!("{}; {subject}: {description}", failure.message);
        }
        if let Some(metric) = details.metadata("quota_metric") {
            let limit = details.metadata("quota_limit_value").unwrap_or("?");
            failure.message = format!("{}; `{metric}` is limited to {limit}", failure.message);
        }
    }
    failure.hints = cures::cures(failure, details);
}

/// Whether an exhausted resource is a limit that waiting does not lift.
fn is_quota(details: &Details<'_>) -> bool {
    let per_minute = |text: &str| text.contains("per minute") || text.contains("PerMinute");
    if let Some(limit) = details.metadata("quota_limit") {
        return !per_minute(limit);
    }
    let mut violations =
        details.of("QuotaFailure").flat_map(|detail| items(&detail["violations"])).peekable();
    violations.peek().is_some()
        && violations
            .all(|violation| !per_minute(violation["description"].as_str().unwrap_or_default()))
}

/// The details of an error, each with its type.
pub(super) struct Details<'a>(&'a [Value]);

impl<'a> Details<'a> {
    /// Those of a type of `google.rpc`.
    pub(super) fn of(&self, name: &str) -> impl Iterator<Item = &'a Value> {
        let end = format!("google.rpc.{name}");
        self.0
            .iter()
            .filter(move |detail| detail["@type"].as_str().is_some_and(|text| text.ends_with(&end)))
    }

    /// The word of a service for what is wrong.
    pub(super) fn reason(&self) -> &'a str {
        let info = self.of("ErrorInfo").next();
        info.and_then(|info| info["reason"].as_str()).unwrap_or_default()
    }

    /// What a service adds to that word.
    pub(super) fn metadata(&self, name: &str) -> Option<&'a str> {
        self.of("ErrorInfo").next()?["metadata"][name].as_str()
    }

    fn retry_delay(&self) -> Option<Duration> {
        let text = self.of("RetryInfo").next()?["retryDelay"].as_str()?;
        let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

pub(super) fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn class_of_http(status: u16) -> ErrorClass {
    match status {
        400 | 405 | 412 | 413 | 422 => ErrorClass::Invalid,
        401 => ErrorClass::WrongIdentity,
        403 => ErrorClass::Denied,
        404 => ErrorClass::NotFound,
        409 => ErrorClass::Busy,
        429 => ErrorClass::Throttled,
        500..=599 => ErrorClass::Unavailable,
        _ => ErrorClass::Other,
    }
}

/// One line without control characters, not too long.
pub(super) fn clean(text: &str) -> String {
    let words: Vec<_> =
        text.split(|letter: char| letter.is_whitespace() || letter.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_SHOWN_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::super::super::{CLOUD_RUN, Method};
    use super::*;

    fn classified(status: u16, body: &str) -> CallError {
        let path = "/v2/projects/p/locations/r/services/s";
        let request = Request::rest(&CLOUD_RUN, "r", "GetService", Method::Get, path);
        let headers =
            HeaderMap::from_iter([("retry-after".parse().unwrap(), "7".parse().unwrap())]);
        classify(&Refusal { request: &request, status, headers: &headers, body: body.as_bytes() })
    }

    fn status(code: u16, status: &str, message: &str, details: &Value) -> String {
        json!({"error": {"code": code, "status": status, "message": message, "details": details}})
            .to_string()
    }

    #[test]
    fn a_status_has_a_class() {
        let none = json!([]);
        for (http, body, class, says) in [
            (
                400,
                status(400, "INVALID_ARGUMENT", "bad", &none),
                ErrorClass::Invalid,
                "INVALID_ARGUMENT: bad",
            ),
            (
                401,
                status(401, "UNAUTHENTICATED", "who", &none),
                ErrorClass::WrongIdentity,
                "UNAUTHENTICATED: who",
            ),
            (
                403,
                status(403, "PERMISSION_DENIED", "no", &none),
                ErrorClass::Denied,
                "PERMISSION_DENIED: no",
            ),
            (404, status(404, "NOT_FOUND", "what", &none), ErrorClass::NotFound, "NOT_FOUND: what"),
            (
                409,
                status(409, "ALREADY_EXISTS", "it", &none),
                ErrorClass::Exists,
                "ALREADY_EXISTS: it",
            ),
            (409, status(409, "ABORTED", "etag", &none), ErrorClass::Busy, "ABORTED: etag"),
            (
                429,
                status(429, "RESOURCE_EXHAUSTED", "slow", &none),
                ErrorClass::Throttled,
                "RESOURCE_EXHAUSTED: slow",
            ),
            (
                400,
                status(400, "FAILED_PRECONDITION", "policy", &none),
                ErrorClass::Invalid,
                "FAILED_PRECONDITION: policy",
            ),
            (
                503,
                status(503, "UNAVAILABLE", "later", &none),
                ErrorClass::Unavailable,
                "UNAVAILABLE: later",
            ),
            (502, "<html>Bad gateway</html>".into(), ErrorClass::Unavailable, "HTTP 502"),
            (403, "no JSON".into(), ErrorClass::Denied, "HTTP 403"),
        ] {
            let error = classified(http, &body);
            assert_eq!((error.class, error.status), (class, Some(http)), "{body}");
            assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
            assert_eq!(
                error.to_string(),
                format!("GET /v2/projects/p/locations/r/services/s: {says}")
            );
        }
    }

    #[test]
    fn what_is_denied_is_told_with_what_allows_it() {
        let resource = "denied on resource 'projects/acme/locations/r/services/s' (or resource may not exist).";
        for (message, hint) in [
            (
                format!("Permission 'run.services.create' {resource}"),
                "the smallest role with `run.services.create` is `roles/run.developer`: `gcloud projects \
                 add-iam-policy-binding acme --member=user:YOU --role=roles/run.developer` (`serviceAccount:…` for a service account)",
            ),
            (
                format!("Permission 'run.services.setIamPolicy' {resource}"),
                "the smallest role with `run.services.setIamPolicy` is `roles/run.admin`: `gcloud projects \
                 add-iam-policy-binding acme --member=user:YOU --role=roles/run.admin` (`serviceAccount:…` for a service account)",
            ),
            (
                "Permission 'iam.serviceaccounts.actAs' denied on service account 7-compute@developer.gserviceaccount.com (or it may not exist).".into(),
                "whoever deploys a service must be allowed to act as the account that runs it, which no role of Cloud Run says: \
                 `gcloud iam service-accounts add-iam-policy-binding 7-compute@developer.gserviceaccount.com --member=user:YOU --role=roles/iam.serviceAccountUser`",
            ),
            (
                format!("Permission 'compute.things.use' {resource}"),
                "whoever deploys needs a role with `compute.things.use`",
            ),
        ] {
            let error = classified(403, &status(403, "PERMISSION_DENIED", &message, &json!([])));
            assert_eq!(error.hints, [hint], "{message}");
        }
        let unknown = classified(
            403,
            &status(403, "PERMISSION_DENIED", "The caller does not have permission", &json!([])),
        );
        assert_eq!(unknown.hints, [""; 0]);
    }

    #[test]
    fn an_api_that_is_off_is_told_with_the_command_that_enables_it() {
        let details = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "SERVICE_DISABLED",
            "domain": "googleapis.com",
            "metadata": {"service": "run.googleapis.com", "consumer": "projects/1234"},
        }]);
        let message =
            "Cloud Run Admin API has not been used in project 1234 before or it is disabled.";
        let error = classified(403, &status(403, "PERMISSION_DENIED", message, &details));
        assert_eq!(
            error.hints,
            [
                "enable it, and wait a minute: `gcloud services enable run.googleapis.com --project=1234`"
            ]
        );
    }

    #[test]
    fn a_limit_that_waiting_lifts_is_no_quota() {
        let failure = |description: &str| {
            let violation = json!({"subject": "project:1234", "description": description});
            json!([{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}])
        };
        let of = |description| {
            classified(429, &status(429, "RESOURCE_EXHAUSTED", "too many", &failure(description)))
        };
        assert_eq!(of("60 requests per minute").class, ErrorClass::Throttled);
        let quota = of("1000 services in the region");
        assert_eq!(
            (quota.class, quota.message.as_str()),
            (ErrorClass::Quota, "too many; project:1234: 1000 services in the region")
        );
    }

    #[test]
    fn fields_that_are_wrong_are_named() {
        let details = json!([{
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [
                {"field": "template.timeout", "description": "at most 3600s"},
                {"field": "template.containers[0].image", "description": "Expected an image path"},
            ],
        }]);
        let message = "Expected an image path";
        let error = classified(400, &status(400, "INVALID_ARGUMENT", message, &details));
        assert_eq!(error.message, "Expected an image path; `template.timeout`: at most 3600s");
    }

    #[test]
    fn an_operation_fails_by_number() {
        let request = Request::rest(&CLOUD_RUN, "r", "UpdateService", Method::Patch, "/v2/s");
        let error = operation_failure(&request, &json!({"code": 9, "message": "policy\nof  x"}));
        assert_eq!(error.to_string(), "PATCH /v2/s: FAILED_PRECONDITION: policy of x");
        assert_eq!((error.class, error.status), (ErrorClass::Invalid, None));
    }
}
