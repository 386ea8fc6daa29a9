//! What nobody may see of an environment: `secrets:` and `pull:`, which name where it is.

use std::collections::BTreeMap;

use crate::config::schema::{Field, Kind, Shape};
use crate::config::validate::{check_env_name, shown};
use crate::config::{Key, Node, Position, Problems, Template, Value, template};

/// Where a secret's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSpec {
    /// In this variable of whoever deploys.
    Environment {
        /// The variable.
        name: String,
        /// Where it is named.
        position: Position,
    },
    /// Kept by the platform under this name.
    Kept {
        /// What keeps it, as the key says it: `secrets_manager`.
        kind: String,
        /// An ARN, a resource name, a URL of a vault.
        reference: String,
        /// Where it is named.
        position: Position,
    },
}

impl SecretSpec {
    /// Where it is named.
    pub fn position(&self) -> &Position {
        let (Self::Environment { position, .. } | Self::Kept { position, .. }) = self;
        position
    }
}

/// How a platform pulls the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullSpec {
    /// With a user name and a password that is in a variable of whoever deploys.
    Password {
        /// The user name.
        username: Template,
        /// The variable that has the password.
        variable: String,
        /// Where it is named.
        position: Position,
    },
    /// With what the platform keeps under this name.
    Kept {
        /// What keeps it, as the key says it: `identity`.
        kind: String,
        /// An ARN of Secrets Manager, a managed identity.
        reference: String,
        /// Where it is named.
        position: Position,
    },
}

impl PullSpec {
    /// Where it is named.
    pub fn position(&self) -> &Position {
        let (Self::Password { position, .. } | Self::Kept { position, .. }) = self;
        position
    }
}

/// One of `secrets`.
pub(super) static SECRET: Shape = Shape {
    name: "a secret",
    fields: &[
        Field::optional("env", Kind::Text, "The variable of whoever deploys that has the value."),
        Field::optional(
            "secrets_manager",
            Kind::Text,
            "The ARN of a secret in AWS Secrets Manager, optionally with `:key::`.",
        ),
        Field::optional(
            "secret_manager",
            Kind::Text,
            "A secret in Google Secret Manager: `NAME`, `NAME:VERSION` or `projects/P/secrets/NAME`.",
        ),
        Field::optional("key_vault", Kind::Text, "The URL of a secret in Azure Key Vault."),
    ],
};

/// `pull`.
pub(super) static PULL: Shape = Shape {
    name: "`pull`",
    fields: &[
        Field::optional("username", Kind::Text, "The user name; with `password_env`."),
        Field::optional(
            "password_env",
            Kind::Text,
            "The variable of whoever deploys that has the password. It must last: the platform pulls \
             again whenever it starts a container.",
        ),
        Field::optional(
            "secrets_manager",
            Kind::Text,
            "The ARN of a secret in AWS Secrets Manager with `username` and `password`.",
        ),
        Field::optional(
            "identity",
            Kind::Text,
            "The managed identity of Azure that may pull: its resource id, or `system`.",
        ),
    ],
};

/// `secrets` without values that stand there themselves, which are reported and shown nowhere.
pub(super) fn without_values(node: Node, problems: &mut Problems) -> Node {
    let Value::Mapping(members) = node.value else { return node };
    let mut is_named = |(key, value): &(Key, Node)| {
        let is_named = matches!(value.value, Value::Mapping(_)) || key.text.starts_with("x-");
        if !is_named {
            let name = shown(&key.text);
            let message = format!(
                "`secrets.{name}` is a mapping that says where the value is, and not the value"
            );
            let hint =
                format!("write `{name}: {{env: VARIABLE}}`: the value itself stands in no file");
            problems.report_secret(&value.position, message, hint);
        }
        is_named
    };
    let members = members.into_iter().filter(|member| is_named(member)).collect();
    Node { value: Value::Mapping(members), position: node.position }
}

/// Reads `secrets:`.
pub(super) fn read(node: &Node, problems: &mut Problems) -> BTreeMap<String, SecretSpec> {
    let mut secrets = BTreeMap::new();
    for (key, value) in node.members() {
        check_env_name(&key.text, &key.position, problems);
        if !matches!(value.value, Value::Mapping(_)) {
            continue;
        }
        let Some((kind, source)) = only_member(value, "a secret", problems) else { continue };
        let Some(text) = source.as_text() else { continue };
        let position = source.position.clone();
        let secret = if kind == "env" {
            check_variable(text, &position, problems);
            SecretSpec::Environment { name: text.to_owned(), position }
        } else {
            SecretSpec::Kept { kind: kind.to_owned(), reference: text.to_owned(), position }
        };
        secrets.insert(key.text.clone(), secret);
    }
    secrets
}

/// Reads `pull:`.
pub(super) fn read_pull(node: &Node, problems: &mut Problems) -> Option<PullSpec> {
    if let (Some(username), Some(variable)) = (node.get("username"), node.get("password_env")) {
        let text = variable.as_text()?;
        check_variable(text, &variable.position, problems);
        let is_other =
            |key: &str| !key.starts_with("x-") && !["username", "password_env"].contains(&key);
        for (key, _) in node.members().iter().filter(|(key, _)| is_other(&key.text)) {
            let message = format!("`{}` stands beside `username`", shown(&key.text));
            problems.report_with_hint(&key.position, message, "keep one of them");
        }
        let username =
            Template { text: username.as_text()?.to_owned(), position: username.position.clone() };
        let (variable, position) = (text.to_owned(), variable.position.clone());
        return username.check(problems).then_some(PullSpec::Password {
            username,
            variable,
            position,
        });
    }
    if node.members().iter().any(|(key, _)| key.text == "password") {
        // The shape has told of it; what it asks for is a name.
        return None;
    }
    let (kind, source) = only_member(node, "`pull`", problems)?;
    if matches!(kind, "username" | "password_env") {
        let other = if kind == "username" { "password_env" } else { "username" };
        let message = format!("`{kind}` stands without `{other}`");
        problems.report_with_hint(&source.position, message, format!("add `{other}: …`"));
        return None;
    }
    let (reference, position) = (source.as_text()?.to_owned(), source.position.clone());
    Some(PullSpec::Kept { kind: kind.to_owned(), reference, position })
}

/// The one member that says where something is.
fn only_member<'a>(
    node: &'a Node,
    what: &str,
    problems: &mut Problems,
) -> Option<(&'a str, &'a Node)> {
    let mut members = node.members().iter().filter(|(key, _)| !key.text.starts_with("x-"));
    match (members.next(), members.next()) {
        (Some((key, value)), None) => Some((&key.text, value)),
        (None, _) => {
            let message = format!("{what} says nothing of where it is");
            problems.report_with_hint(&node.position, message, "write `{env: VARIABLE}`");
            None
        }
        (_, Some((key, _))) => {
            let message = format!("{what} is in one place, and `{}` is another", shown(&key.text));
            problems.report_with_hint(&key.position, message, "keep one of them");
            None
        }
    }
}

fn check_variable(name: &str, position: &Position, problems: &mut Problems) {
    if !template::is_variable_name(name) {
        problems.report_secret(
            position,
            "this is no name of a variable",
            "write the variable's name, not its value: `{env: OPENAI_API_KEY}`",
        );
    }
}
