//! What an answer on the wire says, in each of AWS's protocols.

use serde_json::{Map, Value};

use super::shape::{Place, Shape};
use super::{Model, Operation, Protocol, xml};
use crate::fake::Response;

/// What any operation of any service may answer (the "common errors" of AWS's references), by protocol.
const COMMON: [&str; 12] = [
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InternalFailure",
    "InvalidSignatureException",
    "RequestExpired",
    "ServiceUnavailableException",
    "SubscriptionRequiredException",
    "ThrottlingException",
    "UnrecognizedClientException",
    "ValidationException",
    "MissingAuthenticationTokenException",
];
const COMMON_IN_XML: [&str; 9] = [
    "AccessDenied",
    "ExpiredToken",
    "IncompleteSignature",
    "InternalFailure",
    "InvalidClientTokenId",
    "ServiceUnavailable",
    "SignatureDoesNotMatch",
    "Throttling",
    "ValidationError",
];

impl Model {
    /// Says what in an answer the service would never say.
    pub(super) fn check_response(&self, operation: &Operation, response: &Response) -> Vec<String> {
        if response.status < 300 {
            self.check_success(operation, response)
        } else {
            self.check_error(operation, response)
        }
    }

    fn check_success(&self, operation: &Operation, response: &Response) -> Vec<String> {
        let wanted = operation.http.response_code.unwrap_or(200);
        let Some(output) = operation.output.as_ref().map(|output| output.shape.as_str()) else {
            return self.check_nothing(wanted, response);
        };
        let shape = self.shape(output);
        let mut problems = Vec::new();
        let tells_status =
            shape.members.values().any(|member| member.location == Some(Place::StatusCode));
        if response.status != wanted && !tells_status {
            problems.push(format!("the status is {}, not {wanted}", response.status));
        }
        if shape.payload.is_some() {
            return problems;
        }
        let body = match self.metadata.protocol {
            Protocol::Query => xml::result(self, output, &response.body),
            Protocol::Json | Protocol::RestJson => {
                serde_json::from_slice(&response.body).map_err(|error| error.to_string())
            }
        };
        match body {
            Ok(Value::Object(mut members)) => {
                self.add_headers(shape, response, &mut members);
                problems.extend(self.check_value(output, &Value::Object(members), true));
            }
            Ok(other) => problems.push(format!("the body is {other}, no object")),
            Err(error) => problems.push(format!("the body cannot be read: {error}")),
        }
        problems
    }

    fn check_nothing(&self, wanted: u16, response: &Response) -> Vec<String> {
        let mut problems = Vec::new();
        if response.status != wanted {
            problems.push(format!("the status is {}, not {wanted}", response.status));
        }
        let is_nothing = match self.metadata.protocol {
            // It names the request at least.
            Protocol::Query => true,
            Protocol::Json | Protocol::RestJson => matches!(response.body.as_ref(), b"" | b"{}"),
        };
        if !is_nothing {
            problems.push("the answer has a body, but no output".to_owned());
        }
        problems
    }

    fn add_headers(&self, shape: &Shape, response: &Response, members: &mut Map<String, Value>) {
        for (name, member) in &shape.members {
            if member.location == Some(Place::Header) {
                let header = member.location_name.as_deref().expect("a header has a name");
                let found = response.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(header));
                if let Some((_, text)) = found {
                    members.insert(name.clone(), self.scalar(&member.shape, text));
                }
            }
        }
    }

    fn check_error(&self, operation: &Operation, response: &Response) -> Vec<String> {
        let (code, common) = match self.metadata.protocol {
            Protocol::Query => (xml::error_code(&response.body), COMMON_IN_XML.as_slice()),
            Protocol::Json | Protocol::RestJson => (json_error_code(response), COMMON.as_slice()),
        };
        let Some(code) = code else {
            // What stands before a service fails without its words.
            let is_gateway = response.status >= 500;
            let problem = || format!("an error of status {} without a code", response.status);
            return if is_gateway { Vec::new() } else { vec![problem()] };
        };
        if common.contains(&code.as_str()) {
            return Vec::new();
        }
        let Some(error) = operation.errors.iter().find(|error| error.code(self) == code) else {
            let known: Vec<_> = operation.errors.iter().map(|error| error.code(self)).collect();
            return vec![format!(
                "`{code}` is no error of this operation: `{}`",
                known.join("`, `")
            )];
        };
        let shape = self.shape(&error.shape);
        let told = shape.error.as_ref().and_then(|error| error.http_status_code);
        let wanted = told.unwrap_or(if shape.fault { 500 } else { 400 });
        if response.status == wanted {
            return Vec::new();
        }
        vec![format!("`{code}` has the status {}, not {wanted}", response.status)]
    }
}

/// The name of an error: in the header or in the body, with a namespace before or a place behind it.
fn json_error_code(response: &Response) -> Option<String> {
    let header = response.headers.iter().find(|(name, _)| name == "x-amzn-errortype");
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let in_body = || Some(body.get("__type").or_else(|| body.get("code"))?.as_str()?.to_owned());
    let code = header.map(|(_, value)| value.clone()).or_else(in_body)?;
    let code = code.split(':').next().unwrap_or_default();
    Some(code.rsplit('#').next().unwrap_or_default().to_owned())
}
