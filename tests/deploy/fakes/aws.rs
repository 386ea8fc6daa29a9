//! An account of AWS: who the caller is, roles, secrets and logs, and beside them one service that a fake of
//! its own plays.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde_json::{Value, json};

use crate::fake::{Call, Fake, Response};
use crate::model::aws::Model;

/// The account of everybody.
pub(crate) const ACCOUNT: &str = "123456789012";
/// The region of everything.
pub(crate) const REGION: &str = "eu-west-1";
/// When everything begins, in seconds since 1970.
pub(crate) const START: i64 = 1_795_222_800;

/// A service beside the account.
pub(crate) trait AwsService: Debug + Send + 'static {
    /// Its name in signatures.
    const NAME: &'static str;

    /// Answers a request that fits the model.
    fn answer(&mut self, account: &mut Account, operation: &str, input: &Value) -> Response;
}

/// An account with a service.
#[derive(Debug)]
pub(crate) struct Aws<S> {
    models: BTreeMap<&'static str, Model>,
    pub(crate) account: Account,
    pub(crate) service: S,
}

/// What all services of an account share.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// How many times a role that is there is not known to services yet.
    pub(crate) role_lag: u32,
    /// Lines of logs: group, milliseconds since 1970, text.
    pub(crate) lines: Vec<(String, i64, String)>,
    /// Whether a list of lines never ends, each page naming the same one as the next.
    pub(crate) repeats_pages: bool,
    count: i64,
}

/// A role.
#[derive(Debug, Clone, Default)]
pub(crate) struct Role {
    pub(crate) trust: String,
    pub(crate) attached: BTreeSet<String>,
    pub(crate) inline: BTreeMap<String, String>,
    pub(crate) tags: Value,
}

/// A secret.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secret {
    /// Its values by the ids of their versions, the newest last.
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) tags: Value,
    pub(crate) is_removed: bool,
}

impl<S: AwsService> Aws<S> {
    /// An account in which nothing is.
    pub(crate) fn new(service: S) -> Self {
        let names = ["sts", "iam", "secretsmanager", "logs", S::NAME];
        let models = names.into_iter().map(|name| (name, Model::load(name))).collect();
        Self { models, account: Account::default(), service }
    }

    fn model(&self, call: &Call) -> Option<(&'static str, &Model)> {
        // `Credential=KEY/DATE/REGION/SERVICE/aws4_request`
        let scope = call.header("authorization")?.split("Credential=").nth(1)?;
        let service = scope.split('/').nth(3)?;
        self.models.get_key_value(service).map(|(name, model)| (*name, model))
    }
}

impl<S: AwsService> Fake for Aws<S> {
    fn validate(&self, call: &Call) -> Vec<String> {
        match self.model(call) {
            Some((_, model)) => model.check(call),
            None => vec![format!("signed for no service that is here: {:?}", call.headers)],
        }
    }

    fn answer(&mut self, call: &Call) -> Response {
        let (name, model) = self.model(call).unwrap();
        let input = model.input(call);
        let (operation, input) = (input.operation.as_str(), &input.members);
        let mut response = match name {
            "sts" | "iam" => self.account.answer_xml(operation, input),
            "secretsmanager" => self.account.answer_secret(operation, input),
            "logs" => self.account.answer_logs(input),
            _ => self.service.answer(&mut self.account, operation, input),
        };
        response.headers.push(("date".to_owned(), self.account.date()));
        response
    }

    fn validate_answer(&self, call: &Call, response: &Response) -> Vec<String> {
        if response.status >= 300 {
            return Vec::new();
        }
        self.model(call).unwrap().1.check_answer(call, response)
    }
}

impl Account {
    /// The next moment, in seconds since 1970.
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
    pub(crate) fn now(&mut self) -> f64 {
        self.count += 1;
        (START + self.count) as f64
    }

    /// Lets time go by.
    pub(crate) fn pass(&mut self, seconds: i64) {
        self.count += seconds;
    }

    /// Now, as it stands in headers.
    fn date(&self) -> String {
        let now = jiff::Timestamp::from_second(START + self.count).unwrap();
        now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// A number that was never given before, as a UUID.
    pub(crate) fn uuid(&mut self) -> String {
        self.count += 1;
        format!("00000000-0000-4000-8000-{:012}", self.count)
    }

    /// Whether a service can assume a role: it is there, trusts the service, and is known by now.
    pub(crate) fn is_assumable(&mut self, arn: &str, principal: &str) -> bool {
        let name = arn.rsplit('/').next().unwrap();
        let is_trusting = self.roles.get(name).is_some_and(|role| role.trust.contains(principal));
        if is_trusting && self.role_lag > 0 {
            self.role_lag -= 1;
            return false;
        }
        is_trusting
    }

    fn answer_xml(&mut self, operation: &str, input: &Value) -> Response {
        let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        let name = text("RoleName");
        if operation == "GetCallerIdentity" {
            let arn = format!("arn:aws:iam::{ACCOUNT}:user/bob");
            return xml(operation, &json!({"UserId": "U", "Account": ACCOUNT, "Arn": arn}));
        }
        if operation == "CreateRole" {
            if self.roles.contains_key(&name) {
                return xml_error(
                    409,
                    "EntityAlreadyExists",
                    &format!("Role {name} already exists."),
                );
            }
            let trust = text("AssumeRolePolicyDocument");
            let role = Role { trust, tags: input["Tags"].clone(), ..Role::default() };
            let described = describe(&name, &role);
            self.roles.insert(name, role);
            return xml(operation, &json!({"Role": described}));
        }
        let Some(role) = self.roles.get_mut(&name) else {
            return xml_error(404, "NoSuchEntity", &format!("The role {name} cannot be found."));
        };
        let answer = match operation {
            "GetRole" => json!({"Role": describe(&name, role)}),
            "ListAttachedRolePolicies" => {
                let attached = role.attached.iter();
                let attached = attached.map(|arn| json!({"PolicyArn": arn})).collect::<Vec<_>>();
                json!({"AttachedPolicies": attached, "IsTruncated": false})
            }
            "ListRolePolicies" => {
                let names: Vec<_> = role.inline.keys().collect();
                json!({"PolicyNames": names, "IsTruncated": false})
            }
            "AttachRolePolicy" => {
                role.attached.insert(text("PolicyArn"));
                json!({})
            }
            "DetachRolePolicy" => {
                role.attached.remove(&text("PolicyArn"));
                json!({})
            }
            "PutRolePolicy" => {
                role.inline.insert(text("PolicyName"), text("PolicyDocument"));
                json!({})
            }
            "DeleteRolePolicy" => {
                role.inline.remove(&text("PolicyName"));
                json!({})
            }
            "DeleteRole" if role.attached.is_empty() && role.inline.is_empty() => {
                self.roles.remove(&name);
                json!({})
            }
            "DeleteRole" => {
                return xml_error(
                    409,
                    "DeleteConflict",
                    "Cannot delete entity, must detach all policies first.",
                );
            }
            other => panic!("IAM is not asked to {other}"),
        };
        xml(operation, &answer)
    }

    fn answer_secret(&mut self, operation: &str, input: &Value) -> Response {
        let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        if operation == "CreateSecret" {
            let name = text("Name");
            if self.secrets.contains_key(&name) {
                let message =
                    format!("The operation failed because the secret {name} already exists.");
                return Response::aws_error(400, "ResourceExistsException", &message);
            }
            let version = (text("ClientRequestToken"), text("SecretString"));
            let answer = json!({"ARN": secret_arn(&name), "Name": name, "VersionId": version.0});
            let secret =
                Secret { versions: vec![version], tags: input["Tags"].clone(), is_removed: false };
            self.secrets.insert(name, secret);
            return Response::json(200, &answer);
        }
        let id = text("SecretId");
        let name = id.rsplit(":secret:").next().unwrap().trim_end_matches("-AbCdEf").to_owned();
        let Some(secret) = self.secrets.get_mut(&name) else {
            let message = "Secrets Manager can't find the specified secret.";
            return Response::aws_error(400, "ResourceNotFoundException", message);
        };
        if secret.is_removed && !["DescribeSecret", "RestoreSecret"].contains(&operation) {
            let message = "You can't perform this operation on the secret because it was marked for deletion.";
            return Response::aws_error(400, "InvalidRequestException", message);
        }
        let mut answer = json!({"ARN": secret_arn(&name), "Name": name});
        match operation {
            "DescribeSecret" => {
                answer["Tags"] = secret.tags.clone();
                answer["VersionIdsToStages"] = secret.stages();
                if secret.is_removed {
                    answer["DeletedDate"] = START.into();
                }
            }
            "GetSecretValue" => {
                let (version, value) = secret.versions.last().unwrap();
                answer["VersionId"] = version.clone().into();
                answer["SecretString"] = value.clone().into();
            }
            "PutSecretValue" => {
                let version = (text("ClientRequestToken"), text("SecretString"));
                answer["VersionId"] = version.0.clone().into();
                match secret.versions.iter().find(|(id, _)| *id == version.0) {
                    None => secret.versions.push(version),
                    Some(there) if *there == version => {}
                    Some(_) => {
                        let message = "You can't modify an existing version of a secret.";
                        return Response::aws_error(400, "ResourceExistsException", message);
                    }
                }
            }
            "RestoreSecret" => secret.is_removed = false,
            "DeleteSecret" => secret.is_removed = true,
            other => panic!("Secrets Manager is not asked to {other}"),
        }
        Response::json(200, &answer)
    }

    fn answer_logs(&self, input: &Value) -> Response {
        let since = input["startTime"].as_i64().unwrap_or_default();
        let group = input["logGroupName"].as_str().unwrap();
        if !self.lines.iter().any(|(name, ..)| name == group) {
            let message = "The specified log group does not exist.";
            return Response::aws_error(400, "ResourceNotFoundException", message);
        }
        let all = self.lines.iter().enumerate();
        let fitting: Vec<_> = all
            .filter(|(_, (name, at, _))| name == group && *at >= since)
            .map(|(id, (_, at, text))| {
                json!({"eventId": id.to_string(), "timestamp": at, "message": format!("{text}\n")})
            })
            .collect();
        if self.repeats_pages {
            return Response::json(200, &json!({"events": fitting, "nextToken": "same"}));
        }
        // Two to a page.
        let from: usize = input["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let mut answer = json!({"events": fitting[from..fitting.len().min(from + 2)]});
        if from + 2 < fitting.len() {
            answer["nextToken"] = (from + 2).to_string().into();
        }
        Response::json(200, &answer)
    }
}

impl Secret {
    /// Which version is read, and which was before.
    fn stages(&self) -> Value {
        let ids = self.versions.iter().rev().map(|(id, _)| id.clone());
        let stages = ["AWSCURRENT", "AWSPREVIOUS"].map(|stage| json!([stage]));
        ids.zip(stages).collect()
    }
}

/// The ARN of a role.
pub(crate) fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

/// The ARN of a secret.
pub(crate) fn secret_arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf")
}

fn describe(name: &str, role: &Role) -> Value {
    let encoded =
        role.trust.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    json!({
        "Path": "/",
        "RoleName": name,
        "RoleId": "AROA0123456789ABCDEF",
        "Arn": role_arn(name),
        "CreateDate": "2026-11-21T12:00:00Z",
        "AssumeRolePolicyDocument": encoded,
        "Tags": role.tags,
    })
}

fn xml(operation: &str, value: &Value) -> Response {
    let inner = elements(value);
    let body = format!(
        "<{operation}Response><{operation}Result>{inner}</{operation}Result>\
         <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{operation}Response>"
    );
    Response {
        status: 200,
        headers: vec![("content-type".into(), "text/xml".into())],
        body: body.into(),
    }
}

fn xml_error(status: u16, code: &str, message: &str) -> Response {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>1</RequestId></ErrorResponse>"
    );
    Response {
        status,
        headers: vec![("content-type".into(), "text/xml".into())],
        body: body.into(),
    }
}

fn elements(value: &Value) -> String {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("<{name}>{}</{name}>", elements(value)))
            .collect::<Vec<_>>()
            .concat(),
        Value::Array(items) => {
            let items = items.iter().map(|item| format!("<member>{}</member>", elements(item)));
            items.collect::<Vec<_>>().concat()
        }
        Value::String(text) => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
        other => other.to_string(),
    }
}
