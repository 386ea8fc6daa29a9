//! The settings of `target: lambda`.

use serde::Serialize;

use super::cors;
use crate::config::schema::{Field, Kind, Shape};
use crate::config::{Node, Problems, Unit};
use crate::deploy::aws::{read_number, read_region, read_role};
use crate::deploy::{SecretValue, TargetInput, Workload};

/// The settings; names and defaults are those of jvbundler's `deploy.yaml` where it has them.
pub(super) static SHAPE: Shape = Shape {
    name: "the target `lambda`",
    fields: &[
        Field::required("target", Kind::Choice(&["lambda"]), "`lambda`."),
        Field::optional(
            "region",
            Kind::Text,
            "The region, which is that of the repository in ECR: `eu-west-1`. When absent, that of \
             `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile.",
        ),
        Field::optional(
            "name",
            Kind::Text,
            "The function's name: 1 to 64 letters, digits, `-` or `_`. The service's name when absent.",
        ),
        Field::optional(
            "memory",
            Kind::Measure(Unit::Megabytes, 128, 10_240),
            "Memory in MB: 1024 when absent.",
        ),
        Field::optional(
            "timeout",
            Kind::Measure(Unit::Seconds, 1, 900),
            "Seconds for one request: 300 when absent. Behind an API no request takes longer than 30.",
        ),
        Field::optional(
            "ephemeral_storage",
            Kind::Measure(Unit::Megabytes, 512, 10_240),
            "Space in `/tmp`, in MB: 512 when absent. Nothing else can be written to.",
        ),
        Field::optional(
            "architecture",
            Kind::Choice(&["x86_64", "arm64"]),
            "The processor: that of the image when absent. Needed when the image is for both.",
        ),
        Field::optional(
            "role_arn",
            Kind::Text,
            "The role that the function runs as. When absent, a function that is there keeps its role, and \
             a new one gets a role of its own if `create_roles` is set.",
        ),
        Field::optional(
            "url",
            Kind::Choice(&["public", "iam", "none"]),
            "The function URL: `public` for everybody, `iam` for callers that AWS knows and allows, or \
             `none`. `public` when absent, and `none` with `api_gateway`. Where it is not `public`, a public \
             URL that the function has beside the alias is closed.",
        ),
        Field::optional(
            "invoke_mode",
            Kind::Choice(&["BUFFERED", "RESPONSE_STREAM"]),
            "How the function URL answers: `BUFFERED` when absent, or `RESPONSE_STREAM`, piece by piece.",
        ),
        Field::optional(
            "api_gateway",
            Kind::Boolean,
            "Whether an HTTP API of API Gateway stands in front instead of a function URL; `false` when \
             absent. It is public.",
        ),
        Field::optional(
            "cors_origins",
            Kind::OneOrMany(&Kind::Text),
            "Origins whose pages may call it from a browser, with every method and header: \
             `https://acme.example`, or `\"*\"` for all. When absent, browsers are told what the agent itself \
             answers.",
        ),
        Field::optional(
            "concurrency",
            Kind::Integer(1, 100_000),
            "How many requests may run at once, reserved for this function. When absent, what was reserved for \
             it here before is given back, and what others have reserved stays.",
        ),
    ],
};

/// The settings, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Settings {
    pub(super) region: String,
    pub(super) name: String,
    /// In MB.
    pub(super) memory: u32,
    /// In seconds.
    pub(super) timeout: u32,
    /// In MB.
    pub(super) ephemeral_storage: u32,
    pub(super) architecture: Option<Architecture>,
    pub(super) role_arn: Option<String>,
    pub(super) entry: Entry,
    /// Those whose pages may call it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cors_origins: Vec<String>,
    /// Reserved; nothing where it is left alone.
    pub(super) concurrency: Option<i64>,
}

/// A processor that functions run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Architecture {
    X86,
    Arm,
}

/// How a function is reached from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Entry {
    /// Not at all, or by what others have set up.
    None,
    /// By a function URL.
    Url {
        /// Whether everybody may use it.
        is_public: bool,
        /// Whether answers come piece by piece.
        is_streaming: bool,
    },
    /// By an HTTP API.
    Api,
}

/// Regions without function URLs.
const WITHOUT_URLS: [&str; 11] = [
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
];

/// Names and values of variables take no more than this together, in bytes.
const MAX_VARIABLES: usize = 4096;

/// Variables that Lambda sets itself.
const RESERVED: [&str; 19] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

impl Architecture {
    /// As Lambda names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "arm64",
        }
    }

    /// The processor of a platform; nothing for others.
    pub(super) fn of_platform(architecture: &str) -> Option<Self> {
        match architecture {
            "amd64" => Some(Self::X86),
            "arm64" => Some(Self::Arm),
            _ => None,
        }
    }
}

impl Entry {
    /// As AWS names who may use a function URL.
    pub(super) fn auth_type(is_public: bool) -> &'static str {
        if is_public { "NONE" } else { "AWS_IAM" }
    }

    /// As AWS names how a function URL answers.
    pub(super) fn invoke_mode(is_streaming: bool) -> &'static str {
        if is_streaming { "RESPONSE_STREAM" } else { "BUFFERED" }
    }
}

/// Reads settings that fit the shape.
pub(super) fn read(input: &TargetInput<'_>, problems: &mut Problems) -> Option<Settings> {
    let node = input.settings;
    check_variables(input, problems);
    if input.workload.pull.is_some() {
        let message = "Lambda pulls from ECR as itself, not with `pull`";
        let hint =
            "remove `pull`, or write `target: ecs-express`, which takes images of any registry";
        problems.report_with_hint(input.place_of_pull(), message, hint);
    }
    let region = read_region(input, problems)?;
    let entry = entry(input, &region, problems);
    Some(Settings {
        entry,
        cors_origins: cors::read(input, entry, problems),
        region,
        name: name(input, problems)?,
        memory: read_number(node, "memory", 1024),
        timeout: read_number(node, "timeout", 300),
        ephemeral_storage: read_number(node, "ephemeral_storage", 512),
        architecture: match node.get_text("architecture") {
            Some("arm64") => Some(Architecture::Arm),
            Some(_) => Some(Architecture::X86),
            None => None,
        },
        role_arn: read_role(node, "role_arn", problems),
        concurrency: node.get("concurrency").and_then(Node::as_integer),
    })
}

fn name(input: &TargetInput<'_>, problems: &mut Problems) -> Option<String> {
    let node = input.settings.get("name");
    let text = node.and_then(Node::as_text).unwrap_or(&input.workload.name);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if text.is_empty() || text.len() > 64 || !text.bytes().all(is_word) {
        let position = node.map_or(input.position, |node| &node.position);
        let message = format!("`{}` is no name for a function", text.escape_debug());
        let hint = "give it a `name` of 1 to 64 letters, digits, `-` or `_`";
        problems.report_with_hint(position, message, hint);
        return None;
    }
    Some(text.to_owned())
}

fn entry(input: &TargetInput<'_>, region: &str, problems: &mut Problems) -> Entry {
    let node = input.settings;
    let has_api = node.get("api_gateway").and_then(Node::as_bool).unwrap_or(false);
    let url = node.get("url");
    let word = url.and_then(Node::as_text);
    let mode = node.get("invoke_mode");
    if has_api && let Some(url) = url.filter(|_| word != Some("none")) {
        let message = "`api_gateway` stands beside a function URL";
        problems.report_with_hint(&url.position, message, "keep one of them");
    }
    if let Some(mode) = mode.filter(|_| has_api || word == Some("none")) {
        let message = "`invoke_mode` belongs to a function URL, and there is none";
        problems.report_with_hint(&mode.position, message, "remove it");
    }
    if has_api {
        return Entry::Api;
    }
    if word == Some("none") {
        return Entry::None;
    }
    if WITHOUT_URLS.contains(&region) {
        let position = node.get("region").map_or(input.position, |node| &node.position);
        let message = format!("the region {region} has no function URLs");
        let hint = "write `api_gateway: true`, or `url: none` when nobody calls it from outside";
        problems.report_with_hint(position, message, hint);
    }
    Entry::Url {
        is_public: word != Some("iam"),
        is_streaming: mode.and_then(Node::as_text) == Some("RESPONSE_STREAM"),
    }
}

/// Lambda would refuse them, or there is no room.
fn check_variables(input: &TargetInput<'_>, problems: &mut Problems) {
    let Workload { env, secrets, .. } = input.workload;
    let mut taken = 0;
    for name in env.keys().chain(secrets.keys()) {
        taken += name.len();
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let starts_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let trouble = if RESERVED.contains(&name.as_str()) {
            "Lambda sets the variable"
        } else if !starts_well || name.len() < 2 || !name.bytes().all(is_word) {
            "Lambda takes no variable"
        } else {
            continue;
        };
        let hint = "a name has two or more letters, digits or `_`, and starts with a letter; those of Lambda \
                    itself are taken";
        problems.report_with_hint(input.place_of(name), format!("{trouble} `{name}`"), hint);
    }
    taken += env.values().map(|value| value.expose().len()).sum::<usize>();
    let given = secrets.values().filter_map(|secret| match secret {
        SecretValue::Given(value) => Some(value.expose().len()),
        SecretValue::Unset | SecretValue::Kept(_) => None,
    });
    taken += given.sum::<usize>();
    if taken > MAX_VARIABLES {
        let message = format!(
            "Lambda has room for {MAX_VARIABLES} bytes of variables, and these take {taken}"
        );
        let hint = "put what is large into a file of the image, or let the agent fetch it";
        problems.report_with_hint(input.position, message, hint);
    }
}
