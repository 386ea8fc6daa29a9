//! A fake AWS with Lambda and what stands around it: roles, APIs, logs.
//!
//! - `function.rs`: one function: its image, settings, versions, aliases, URLs and policies
//! - `around.rs`: IAM, STS, API Gateway and CloudWatch Logs
//!
//! Time passes with reads: whatever takes a while takes [`Aws::reads`] of them.

mod around;
mod function;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub(crate) use self::around::Log;
use self::around::Role;
use self::function::Ending;
pub(crate) use self::function::Function;
use crate::fake::{Call, Fake, Response};
use crate::model::aws::{Input, Model};

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "eu-west-1";
/// When everything happened.
const TIME: &str = "2026-11-21T20:00:00.000+0000";

/// The state of the account.
#[derive(Debug)]
pub(crate) struct Aws {
    models: Models,
    pub(crate) functions: BTreeMap<String, Function>,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) apis: Vec<Value>,
    pub(crate) logs: BTreeMap<String, Log>,
    /// How many reads creating, updating and publishing take.
    pub(crate) reads: u32,
    /// For how many tries a role is not known to Lambda.
    pub(crate) unknown_role_tries: u32,
    /// How the next creation or update ends, when it ends badly: code and reason.
    pub(crate) bad_ending: Option<(&'static str, &'static str)>,
    /// How the next version that is published ends, when it ends badly.
    pub(crate) bad_version: Option<(&'static str, &'static str)>,
    /// Digests of images that are indexes.
    pub(crate) indexes: BTreeSet<String>,
    /// The operations that changed something, in order.
    pub(crate) writes: Vec<String>,
    revisions: u64,
}

#[derive(Debug)]
struct Models {
    lambda: Model,
    api_gateway: Model,
    iam: Model,
    sts: Model,
    logs: Model,
}

/// What goes wrong in an operation: status, code, message.
type Refusal = (u16, &'static str, String);

impl Aws {
    /// An empty account, in which everything is done at once.
    pub(crate) fn new() -> Self {
        let models = Models {
            lambda: Model::load("lambda"),
            api_gateway: Model::load("apigatewayv2"),
            iam: Model::load("iam"),
            sts: Model::load("sts"),
            logs: Model::load("logs"),
        };
        Self {
            models,
            functions: BTreeMap::new(),
            roles: BTreeMap::new(),
            apis: Vec::new(),
            logs: BTreeMap::new(),
            reads: 0,
            unknown_role_tries: 0,
            bad_ending: None,
            bad_version: None,
            indexes: BTreeSet::new(),
            writes: Vec::new(),
            revisions: 0,
        }
    }

    /// The operations that changed something since the last time this was asked.
    pub(crate) fn take_writes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.writes)
    }

    /// What another run does first: the function gets this image.
    pub(crate) fn give_image(&mut self, function: &str, image: &str) {
        let (revision, ending) = (self.next_revision(), Ending { reads: 0, bad: None });
        let function = self.functions.get_mut(function).unwrap();
        function.update_code(&json!({"ImageUri": image}), revision, ending).unwrap();
    }

    /// What another run does until its version serves.
    pub(crate) fn serve_image(&mut self, function: &str, image: &str) {
        self.give_image(function, image);
        let (revision, ending) = (self.next_revision(), Ending { reads: 0, bad: None });
        let there = self.functions.get_mut(function).unwrap();
        let description = image.split_once('@').unwrap().1;
        let version = there.publish(&json!({"Description": description}), ending).unwrap();
        let move_alias = json!({"Name": "live", "FunctionVersion": version["Version"]});
        there.update_alias(function, &move_alias, revision).unwrap();
    }

    fn model(&self, call: &Call) -> &Model {
        let form = String::from_utf8_lossy(&call.body);
        if call.path.starts_with("/v2/") {
            &self.models.api_gateway
        } else if call.header("x-amz-target").is_some() {
            &self.models.logs
        } else if form.contains("Version=2010-05-08") {
            &self.models.iam
        } else if form.contains("Version=2011-06-15") {
            &self.models.sts
        } else {
            &self.models.lambda
        }
    }

    fn next_revision(&mut self) -> Value {
        self.revisions += 1;
        format!("revision-{}", self.revisions).into()
    }

    /// An operation of Lambda.
    fn lambda(&mut self, operation: &str, members: &Value) -> Result<Response, Refusal> {
        let name = match (members["FunctionName"].as_str(), members["Resource"].as_str()) {
            (Some(name), _) => name.to_owned(),
            (None, Some(arn)) => arn.rsplit(':').next().unwrap().to_owned(),
            (None, None) => panic!("{operation} is about no function"),
        };
        if operation == "CreateFunction" {
            return self.create(&name, members);
        }
        let revision = self.next_revision();
        let ending = Ending { reads: self.reads, bad: None };
        let is_index = |uri: &str| self.indexes.iter().any(|digest| uri.ends_with(digest));
        let function = self.functions.get_mut(&name).ok_or_else(|| not_found(&name))?;
        let qualifier = members["Qualifier"].as_str();
        let reply = |status, body: Value| Ok(Response::json(status, &body));
        match operation {
            "GetFunction" => reply(200, function.describe(qualifier)?),
            "GetFunctionConfiguration" => reply(200, function.configuration(qualifier)?),
            "ListVersionsByFunction" => reply(200, function.list_versions()),
            "GetAlias" => {
                let alias = members["Name"].as_str().unwrap();
                reply(200, function.alias(alias)?.document(&name, alias))
            }
            "GetFunctionUrlConfig" => reply(
                200,
                function.urls.get(qualifier.unwrap_or("")).ok_or_else(|| not_found("url"))?.clone(),
            ),
            "GetPolicy" => {
                let statements = function.policies.get(qualifier.unwrap_or(""));
                let statements = statements.filter(|statements| !statements.is_empty());
                let statements = statements.ok_or_else(|| not_found("policy"))?;
                let policy =
                    json!({"Version": "2012-10-17", "Id": "default", "Statement": statements});
                reply(200, json!({"Policy": policy.to_string(), "RevisionId": revision}))
            }
            "UpdateFunctionCode" => {
                let uri = members["ImageUri"].as_str().unwrap();
                if is_index(uri) {
                    return Err(unsupported(uri));
                }
                let ending = Ending { bad: self.bad_ending.take(), ..ending };
                reply(200, function.update_code(members, revision, ending)?)
            }
            "UpdateFunctionConfiguration" => {
                let ending = Ending { bad: self.bad_ending.take(), ..ending };
                reply(200, function.update_configuration(members, revision, ending)?)
            }
            "PublishVersion" => {
                let ending = Ending { bad: self.bad_version.take(), ..ending };
                reply(201, function.publish(members, ending)?)
            }
            "CreateAlias" => reply(201, function.create_alias(&name, members, revision)?),
            "UpdateAlias" => reply(200, function.update_alias(&name, members, revision)?),
            "CreateFunctionUrlConfig" => reply(201, function.create_url(&name, members)?),
            "UpdateFunctionUrlConfig" => reply(200, function.update_url(members)?),
            "DeleteFunctionUrlConfig" => {
                function.urls.remove(qualifier.unwrap_or("")).ok_or_else(|| not_found("url"))?;
                Ok(nothing())
            }
            "AddPermission" => reply(201, function.add_permission(&name, members)?),
            "RemovePermission" => {
                function.remove_permission(members)?;
                Ok(nothing())
            }
            "PutFunctionConcurrency" => {
                function.concurrency = members["ReservedConcurrentExecutions"].as_i64();
                reply(200, json!({"ReservedConcurrentExecutions": function.concurrency}))
            }
            "DeleteFunctionConcurrency" => {
                function.concurrency = None;
                Ok(nothing())
            }
            "UntagResource" => {
                for key in members["tagKeys"].as_array().unwrap() {
                    function.tags.remove(key.as_str().unwrap());
                }
                Ok(nothing())
            }
            "TagResource" => {
                function.tags.extend(members["Tags"].as_object().unwrap().clone());
                Ok(nothing())
            }
            "DeleteFunction" => {
                self.functions.remove(&name);
                Ok(Response::json(204, &json!({})))
            }
            other => panic!("the fake does not know {other}"),
        }
    }

    fn create(&mut self, name: &str, members: &Value) -> Result<Response, Refusal> {
        if self.functions.contains_key(name) {
            let message = format!("Function already exist: {name}");
            return Err((409, "ResourceConflictException", message));
        }
        let role = members["Role"].as_str().unwrap().rsplit('/').next().unwrap();
        if self.unknown_role_tries > 0 || !self.roles.contains_key(role) {
            self.unknown_role_tries = self.unknown_role_tries.saturating_sub(1);
            let message = "The role defined for the function cannot be assumed by Lambda.";
            return Err((400, "InvalidParameterValueException", message.to_owned()));
        }
        let uri = members["Code"]["ImageUri"].as_str().unwrap();
        if self.indexes.iter().any(|digest| uri.ends_with(digest)) {
            return Err(unsupported(uri));
        }
        let ending = Ending { reads: self.reads, bad: self.bad_ending.take() };
        let revision = self.next_revision();
        let function = Function::create(name, members, revision, ending);
        let answer = function.now();
        self.functions.insert(name.to_owned(), function);
        Ok(Response::json(201, &answer))
    }
}

impl Fake for Aws {
    fn validate(&self, call: &Call) -> Vec<String> {
        self.model(call).check(call)
    }

    fn answer(&mut self, call: &Call) -> Response {
        let Input { operation, members } = self.model(call).input(call);
        let is_lambda = std::ptr::eq(self.model(call), &raw const self.models.lambda);
        let is_xml = String::from_utf8_lossy(&call.body).contains("Version=20");
        let answer = if is_lambda {
            self.lambda(&operation, &members)
        } else {
            self.around(&operation, &members)
        };
        let reads = ["Get", "List", "Filter"];
        if answer.is_ok() && !reads.iter().any(|read| operation.starts_with(read)) {
            self.writes.push(operation);
        }
        answer.unwrap_or_else(|(status, code, message)| {
            if is_xml {
                around::xml_error(status, code, &message)
            } else {
                Response::aws_error(status, code, &message)
            }
        })
    }

    fn validate_answer(&self, call: &Call, response: &Response) -> Vec<String> {
        self.model(call).check_answer(call, response)
    }
}

fn nothing() -> Response {
    Response { status: 204, headers: Vec::new(), body: "".into() }
}

fn not_found(what: &str) -> Refusal {
    (404, "ResourceNotFoundException", format!("not found: {what}"))
}

fn unsupported(uri: &str) -> Refusal {
    let message = format!(
        "The image manifest, config or layer media type for the source image {uri} is not supported."
    );
    (400, "InvalidParameterValueException", message)
}
