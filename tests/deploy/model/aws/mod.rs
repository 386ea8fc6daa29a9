//! A model of an AWS service: what its requests and answers may be.
//!
//! - `shape.rs`: the shapes of the model, and whether a value has one
//! - `pattern.rs`: the patterns of texts, which are Java's
//! - `request.rs`: what a request on the wire says, in each of AWS's protocols
//! - `answer.rs`, `xml.rs`: the same for answers

mod answer;
mod pattern;
mod request;
mod shape;
#[cfg(test)]
mod tests;
mod xml;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use self::shape::{Check, Shape};
use crate::fake::{Call, Response};

/// The model of one service.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    metadata: Metadata,
    operations: BTreeMap<String, Operation>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    api_version: String,
    protocol: Protocol,
    json_version: Option<String>,
    target_prefix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Protocol {
    Json,
    RestJson,
    Query,
}

#[derive(Debug, Deserialize)]
struct Operation {
    http: Http,
    input: Option<Reference>,
    output: Option<Reference>,
    #[serde(default)]
    errors: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    request_uri: String,
    response_code: Option<u16>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    shape: String,
}

/// A request as its service reads it, whatever the protocol.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Input {
    /// `CreateFunction`.
    pub(crate) operation: String,
    /// All members by their names on the wire (headers by their names in the model), wherever they stood.
    pub(crate) members: Value,
}

impl Model {
    /// Reads the model of a service: `apprunner`.
    pub(crate) fn load(service: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/aws");
        let path = folder.join(format!("{service}.json"));
        let text =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Says what in a request the service would not understand or take.
    pub(crate) fn check(&self, call: &Call) -> Vec<String> {
        match self.read(call) {
            Ok(input) => match &self.operations[&input.operation].input {
                Some(shape) => self.check_value(&shape.shape, &input.members, false),
                None => Vec::new(),
            },
            Err(problems) => problems,
        }
    }

    /// Says what in an answer the service would never say.
    pub(crate) fn check_answer(&self, call: &Call, response: &Response) -> Vec<String> {
        match self.read(call) {
            Ok(input) => self.check_response(&self.operations[&input.operation], response),
            Err(_) => Vec::new(),
        }
    }

    /// The operation and all members of a request that fits the model.
    pub(crate) fn input(&self, call: &Call) -> Input {
        self.read(call).unwrap_or_else(|problems| panic!("{call:?}: {problems:?}"))
    }

    fn shape(&self, name: &str) -> &Shape {
        self.shapes.get(name).unwrap_or_else(|| panic!("the model has no shape `{name}`"))
    }

    fn check_value(&self, shape: &str, value: &Value, is_answer: bool) -> Vec<String> {
        let mut check = Check::new(self, is_answer);
        check.value("", shape, value);
        check.problems
    }
}
