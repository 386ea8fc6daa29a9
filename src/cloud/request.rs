//! One request to a cloud, as data: exactly what will be sent, without its secrets.

use std::fmt;

use serde_json::{Value, json};

use super::service::{Service, Wire};
use crate::registry::Secret;

/// What stands for a secret where a request is shown.
const HIDDEN: &str = "(hidden)";

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Does something, or creates.
    Post,
    /// Creates or replaces.
    Put,
    /// Changes.
    Patch,
    /// Deletes.
    Delete,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// This path at the service's endpoint, encoded already.
    Path(String),
    /// A whole URL that the service itself has given, such as that of a running operation.
    Url(String),
}

/// Whom a request speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Authority {
    /// Whoever runs us, by the cloud's own chain of credentials.
    #[default]
    Caller,
    /// Whoever has this token, which the service gave for the purpose.
    Bearer(Secret),
}

/// One request to a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The service.
    pub service: &'static Service,
    /// The vendor's name of the operation: `CreateService`.
    pub operation: &'static str,
    /// Where the service is: an AWS region, a Google location; empty for services that are everywhere.
    pub region: String,
    /// The method.
    pub method: Method,
    /// Where it goes.
    pub location: Location,
    /// The query, in order, not encoded.
    pub query: Vec<(String, String)>,
    /// The body; for a form its fields, nested as the model has them. A secret in it is only a mark.
    pub body: Option<Value>,
    /// Whom it speaks for.
    pub authority: Authority,
    /// Whether it changes nothing, so that it may be sent again whatever became of it.
    pub is_read: bool,
    /// What goes into the body when it is sent, by JSON pointer (RFC 6901).
    secrets: Vec<(String, Secret)>,
}

impl Method {
    /// As it is written in a request.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl Request {
    /// An operation of a service whose wire is JSON or a form: the body is all of its input.
    pub fn call(
        service: &'static Service,
        region: &str,
        operation: &'static str,
        body: Value,
    ) -> Self {
        let request = Self::rest(service, region, operation, Method::Post, "/");
        request.with_body(body)
    }

    /// An operation of a service whose wire is REST.
    pub fn rest(
        service: &'static Service,
        region: &str,
        operation: &'static str,
        method: Method,
        path: impl Into<String>,
    ) -> Self {
        Self {
            service,
            operation,
            region: region.to_owned(),
            method,
            location: Location::Path(path.into()),
            query: Vec::new(),
            body: None,
            authority: Authority::Caller,
            is_read: method == Method::Get,
            secrets: Vec::new(),
        }
    }

    /// The same, known to change nothing.
    pub fn that_reads(self) -> Self {
        Self { is_read: true, ..self }
    }

    /// The same with this body.
    pub fn with_body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The same with one more pair in the query.
    pub fn with_query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// The same for whoever has a token.
    pub fn for_bearer(mut self, token: Secret) -> Self {
        self.authority = Authority::Bearer(token);
        self
    }

    /// The same with a secret in its body, in place of what the pointer names there (RFC 6901): shown
    /// and compared without it, sent with it.
    ///
    /// # Panics
    /// The body has nothing there.
    pub fn with_secret(mut self, pointer: &str, secret: Secret) -> Self {
        let place = self.body.as_mut().and_then(|body| body.pointer_mut(pointer));
        *place.expect("a secret has its place in the body") = HIDDEN.into();
        self.secrets.push((pointer.to_owned(), secret));
        self
    }

    /// The secrets, which must not be repeated by anybody.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.secrets.iter().map(|(_, secret)| secret)
    }

    /// The body as it is sent: with its secrets.
    pub fn exposed_body(&self) -> Option<Value> {
        let mut body = self.body.clone()?;
        for (pointer, secret) in &self.secrets {
            if let Some(place) = body.pointer_mut(pointer) {
                *place = secret.expose().into();
            }
        }
        Some(body)
    }

    /// The same with every text changed: whole texts in the body, and the path as one text of which a
    /// part may change. The second argument tells which.
    pub fn map_texts(&self, change: impl Fn(&str, bool) -> String) -> Self {
        fn visit(value: &mut Value, change: &dyn Fn(&str, bool) -> String) {
            match value {
                Value::String(text) => *text = change(text, true),
                Value::Array(items) => items.iter_mut().for_each(|item| visit(item, change)),
                Value::Object(members) => {
                    members.values_mut().for_each(|member| visit(member, change));
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        let mut changed = self.clone();
        if let Location::Path(path) = &mut changed.location {
            *path = change(path, false);
        }
        for (_, value) in &mut changed.query {
            *value = change(value, true);
        }
        if let Some(body) = &mut changed.body {
            visit(body, &change);
        }
        changed
    }

    /// The request as one JSON document, without secrets.
    pub fn document(&self) -> Value {
        let mut document = json!({
            "service": self.service.name,
            "operation": self.operation,
            "method": self.method.name(),
            "path": self.path_and_query(),
        });
        if !self.region.is_empty() {
            document["region"] = self.region.clone().into();
        }
        if let Some(body) = &self.body {
            document["body"] = body.clone();
        }
        document
    }

    /// `apprunner:CreateService`, or `PATCH /v2/…` where the path says more.
    pub fn title(&self) -> String {
        match self.service.wire {
            Wire::AwsJson { .. } | Wire::AwsQuery { .. } => {
                format!("{}:{}", self.service.name, self.operation)
            }
            Wire::Rest | Wire::Text => format!("{} {}", self.method.name(), self.path_and_query()),
        }
    }

    fn path_and_query(&self) -> String {
        let (Location::Path(path) | Location::Url(path)) = &self.location;
        let pairs = self.query.iter().map(|(name, value)| format!("{name}={value}"));
        let query = pairs.collect::<Vec<_>>().join("&");
        if query.is_empty() { path.clone() } else { format!("{path}?{query}") }
    }
}

impl fmt::Display for Request {
    /// For people: what is done and the body.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.title())?;
        if let Some(body) = &self.body {
            write!(formatter, "\n{body:#}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::service::{APP_RUNNER, LAMBDA};
    use super::*;

    #[test]
    fn a_secret_is_sent_and_never_shown() {
        let body = json!({"Environment": {"Variables": {"A": "1", "KEY": ""}}});
        let request = Request::call(&APP_RUNNER, "eu-west-1", "CreateService", body)
            .with_secret("/Environment/Variables/KEY", Secret::new("canary"));
        assert_eq!(
            request.document(),
            json!({
                "service": "apprunner", "operation": "CreateService", "region": "eu-west-1",
                "method": "POST", "path": "/",
                "body": {"Environment": {"Variables": {"A": "1", "KEY": "(hidden)"}}},
            })
        );
        assert!(!format!("{request:?} {request}").contains("canary"));
        assert_eq!(
            request.exposed_body(),
            Some(json!({"Environment": {"Variables": {"A": "1", "KEY": "canary"}}}))
        );
    }

    #[test]
    fn a_title_says_what_is_done() {
        let call = Request::call(&APP_RUNNER, "r", "ListServices", json!({}));
        assert_eq!(call.title(), "apprunner:ListServices");
        let rest = Request::rest(&LAMBDA, "r", "GetFunction", Method::Get, "/f/a")
            .with_query("Qualifier", "live");
        assert_eq!(rest.title(), "GET /f/a?Qualifier=live");
    }
}
