//! Where a project can be deployed: `environments:`. The settings of a target belong to its kind.

mod secrets;

use std::collections::BTreeMap;

pub use self::secrets::{PullSpec, SecretSpec};

use self::secrets::{PULL, SECRET};
use super::schema::{self, Field, Kind, Shape};
use super::validate::{check_env_name, shown};
use super::{Key, Node, Position, Problem, Problems, Template, Value};

/// A named place, or several, where an image of the project runs.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentSpec {
    /// Its name: `production`.
    pub name: String,
    /// Where it stands.
    pub position: Position,
    /// Its targets; at least one.
    pub targets: Vec<TargetSpec>,
    /// Variables that the container is given, resolved when it is deployed.
    pub env: BTreeMap<String, Template>,
    /// Variables whose values the platform keeps as secrets.
    pub secrets: BTreeMap<String, SecretSpec>,
    /// How the platform pulls the image.
    pub pull: Option<PullSpec>,
    /// Whether roles that a target needs may be created.
    pub creates_roles: bool,
}

/// One target of an environment; only its kind knows the settings.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetSpec {
    /// Its `target`.
    pub kind: String,
    /// Where the kind stands.
    pub kind_position: Position,
    /// All its members, `target` included, without those that all targets share.
    pub settings: Node,
    /// What is wrong with it, where its own format says where its settings stand.
    pub problem: Option<Problem>,
}

/// What the docs say before the table.
pub(super) const NOTES: &str = "An environment has one target, whose settings stand beside `target`, or \
     several in `targets`. `dockless deploy -e NAME` builds, pushes and deploys by digest; nothing of an \
     environment is ever in the image.\n\n\
     ```yaml\n\
     environments:\n  \
       staging:\n    \
         target: cloud-run\n    \
         project_id: acme-staging\n    \
         region: europe-west1\n    \
         env: {LOG_LEVEL: debug, GREETING: \"${GREETING:-hello}\"}\n    \
         secrets: {OPENAI_API_KEY: {env: OPENAI_API_KEY}}\n\
     ```";

/// What all targets of an environment share.
pub(super) static ENVIRONMENT: Shape = Shape {
    name: "an environment",
    fields: &[
        Field::optional(
            "target",
            Kind::Text,
            "The kind of its only target, whose settings stand beside it.",
        ),
        Field::optional(
            "targets",
            Kind::List(&Kind::Map(&Kind::Any)),
            "Several targets, each a mapping with `target` and its settings. They are deployed one after \
             the other; the first that fails ends it.",
        ),
        Field::optional(
            "env",
            Kind::Map(&Kind::Scalar),
            "Variables of the container. `${VAR}` and `${VAR:-default}` are replaced by the variables of \
             whoever deploys, and such values are never shown.",
        ),
        Field::optional(
            "secrets",
            Kind::Map(&Kind::Shape(&SECRET)),
            "Variables whose values the platform keeps: `NAME: {env: VARIABLE}`, or the name of what it \
             keeps already.",
        ),
        Field::optional("pull", Kind::Shape(&PULL), "How the platform pulls the image."),
        Field::optional(
            "create_roles",
            Kind::Boolean,
            "Whether roles that a target needs are created when they are missing; without it, the error \
             says how to create them.",
        ),
    ],
};

/// The keys that stand beside a target's own in an environment.
pub fn environment_keys() -> impl Iterator<Item = &'static str> {
    ENVIRONMENT.fields.iter().map(|field| field.name)
}

/// Reads `environments:`.
pub(super) fn read(node: &Node, problems: &mut Problems) -> Vec<EnvironmentSpec> {
    let members = node.members().iter().filter(|(key, _)| !key.text.starts_with("x-"));
    let environments = members.filter_map(|(key, value)| {
        check_name(&key.text, &key.position, problems);
        environment(key, value, problems)
    });
    environments.collect()
}

/// A name stands in names and labels of clouds.
fn check_name(name: &str, position: &Position, problems: &mut Problems) {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if !is_first || !name.bytes().all(is_word) || name.len() > 30 || name.ends_with('-') {
        problems.report_with_hint(
            position,
            format!("`{}` is no name for an environment", shown(name)),
            "1 to 30 small letters, digits or `-`, starting with a letter: `staging`",
        );
    }
}

fn environment(key: &Key, node: &Node, problems: &mut Problems) -> Option<EnvironmentSpec> {
    let name = &key.text;
    let Value::Mapping(members) = &node.value else {
        problems.report_with_hint(
            &node.position,
            format!("an environment is a mapping with a `target`, not {}", node.kind()),
            format!("write for instance `{}: {{target: cloud-run, …}}`", shown(name)),
        );
        return None;
    };
    let is_shared =
        |name: &str| name != "target" && ENVIRONMENT.fields.iter().any(|field| field.name == name);
    let (shared, own): (Vec<_>, Vec<_>) =
        members.iter().cloned().partition(|(key, _)| is_shared(&key.text));
    let shared = shared.into_iter().map(|(key, value)| match key.text.as_str() {
        "secrets" => (key, secrets::without_values(value, problems)),
        _ => (key, value),
    });
    let shared = Node { value: Value::Mapping(shared.collect()), position: node.position.clone() };
    schema::check(&shared, &ENVIRONMENT, problems);
    let own = Node { value: Value::Mapping(own), position: node.position.clone() };
    let targets = targets(&shared, &own, problems);
    if targets.is_empty() {
        return None;
    }
    Some(EnvironmentSpec {
        name: name.clone(),
        position: key.position.clone(),
        targets,
        env: shared.get("env").map(|node| env(node, problems)).unwrap_or_default(),
        secrets: shared
            .get("secrets")
            .map(|node| secrets::read(node, problems))
            .unwrap_or_default(),
        pull: shared.get("pull").and_then(|node| secrets::read_pull(node, problems)),
        creates_roles: shared.get("create_roles").and_then(Node::as_bool).unwrap_or(false),
    })
}

fn targets(shared: &Node, own: &Node, problems: &mut Problems) -> Vec<TargetSpec> {
    let Some(several) = shared.get("targets") else {
        return target(own, problems).into_iter().collect();
    };
    for (key, _) in own.members().iter().filter(|(key, _)| !key.text.starts_with("x-")) {
        problems.report_with_hint(
            &key.position,
            format!("`{}` stands beside `targets`", shown(&key.text)),
            "move it into the target that it belongs to",
        );
    }
    if matches!(&several.value, Value::Sequence(items) if items.is_empty()) {
        let hint = "write `- {target: cloud-run, …}` for each";
        problems.report_with_hint(&several.position, "`targets` names no target", hint);
    }
    let items = several.items().iter().filter(|node| matches!(node.value, Value::Mapping(_)));
    items.filter_map(|node| target(&without_shared(node, problems), problems)).collect()
}

/// One of several targets without what belongs to the environment, which is reported.
fn without_shared(node: &Node, problems: &mut Problems) -> Node {
    let is_shared = |key: &str| key != "target" && environment_keys().any(|name| name == key);
    let (shared, own): (Vec<_>, Vec<_>) =
        node.members().iter().cloned().partition(|(key, _)| is_shared(&key.text));
    for (key, _) in shared {
        problems.report_with_hint(
            &key.position,
            format!("`{}` stands in a target", key.text),
            "write it beside `targets`: it is for all targets of the environment",
        );
    }
    Node { value: Value::Mapping(own), position: node.position.clone() }
}

fn target(node: &Node, problems: &mut Problems) -> Option<TargetSpec> {
    let Some(kind) = node.get("target") else {
        problems.report_with_hint(
            &node.position,
            "`target` is missing",
            "add `target: …`, for instance `target: cloud-run`",
        );
        return None;
    };
    let Some(text) = kind.as_text() else {
        problems.report(&kind.position, format!("`target` is a text, not {}", kind.kind()));
        return None;
    };
    Some(TargetSpec {
        kind: text.to_owned(),
        kind_position: kind.position.clone(),
        settings: node.clone(),
        problem: None,
    })
}

fn env(node: &Node, problems: &mut Problems) -> BTreeMap<String, Template> {
    let mut variables = BTreeMap::new();
    for (key, value) in node.members() {
        check_env_name(&key.text, &key.position, problems);
        let Some(text) = value.as_text() else { continue };
        let template = Template { text: text.to_owned(), position: value.position.clone() };
        if template.check(problems) {
            variables.insert(key.text.clone(), template);
        }
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::super::format::testing::read;
    use super::*;

    fn parse(environments: &str) -> (Vec<EnvironmentSpec>, Vec<String>) {
        let text = format!("name: a\nbase: scratch\nenvironments:\n{environments}");
        let (config, problems) = read("dockless", &text, BTreeMap::new());
        (config.map(|config| config.environments).unwrap_or_default(), problems)
    }

    #[test]
    fn an_environment_has_one_target_or_several() {
        let (environments, problems) = parse(
            "  staging: {target: cloud-run, region: r, env: {A: '${B:-c}'}}\n  \
             production:\n    targets: [{target: lambda, memory: 1}, {target: app-runner}]\n    \
             secrets: {K: {env: V}, L: {secrets_manager: arn}}\n    \
             pull: {username: bob, password_env: P}\n    create_roles: true\n",
        );
        assert_eq!(problems, [""; 0]);
        let kinds = |environment: &EnvironmentSpec| -> Vec<_> {
            environment.targets.iter().map(|target| target.kind.clone()).collect()
        };
        let [staging, production] = &environments[..] else { panic!("{environments:?}") };
        assert_eq!((staging.name.as_str(), kinds(staging)), ("staging", vec!["cloud-run".into()]));
        assert_eq!(staging.targets[0].settings.get_text("region"), Some("r"));
        assert_eq!(staging.env["A"].text, "${B:-c}");
        assert!(staging.targets[0].settings.get("env").is_none());
        assert_eq!(kinds(production), ["lambda", "app-runner"]);
        assert!(production.creates_roles && !staging.creates_roles);
        assert!(
            matches!(&production.secrets["K"], SecretSpec::Environment { name, .. } if name == "V")
        );
        assert!(
            matches!(&production.secrets["L"], SecretSpec::Kept { kind, reference, .. } if kind == "secrets_manager" && reference == "arn")
        );
        assert!(
            matches!(&production.pull, Some(PullSpec::Password { variable, .. }) if variable == "P")
        );
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, expected) in [
            (
                "  A: {target: x}",
                "`A` is no name for an environment; 1 to 30 small letters, digits or `-`, starting with a letter: `staging`",
            ),
            (
                "  a: x",
                "an environment is a mapping with a `target`, not a single value; write for instance `a: {target: cloud-run, …}`",
            ),
            (
                "  a: {region: r}",
                "`target` is missing; add `target: …`, for instance `target: cloud-run`",
            ),
            (
                "  a: {targets: []}",
                "`targets` names no target; write `- {target: cloud-run, …}` for each",
            ),
            (
                "  a: {targets: [{target: x}], region: r}",
                "`region` stands beside `targets`; move it into the target that it belongs to",
            ),
            (
                "  a: {target: x, secrets: {K: {env: sk-live-1}}}",
                "this is no name of a variable; write the variable's name, not its value: `{env: OPENAI_API_KEY}`",
            ),
            (
                "  a: {target: x, secrets: {K: correct-horse}}",
                "`secrets.K` is a mapping that says where the value is, and not the value; write `K: {env: VARIABLE}`: the value itself stands in no file",
            ),
            (
                "  a: {target: x, secrets: {K: {}}}",
                "a secret says nothing of where it is; write `{env: VARIABLE}`",
            ),
            (
                "  a: {target: x, secrets: {K: {env: A, key_vault: u}}}",
                "a secret is in one place, and `key_vault` is another; keep one of them",
            ),
            (
                "  a: {target: x, pull: {username: u}}",
                "`username` stands without `password_env`; add `password_env: …`",
            ),
            (
                "  a: {target: x, pull: {username: u, password_env: P, identity: i}}",
                "`identity` stands beside `username`; keep one of them",
            ),
            (
                "  a: {target: x, env: {A: '$B'}}",
                "in `$B` a `$` stands alone; write `${NAME}` for a variable, `$$` for the character",
            ),
        ] {
            let problems = parse(text).1;
            let messages: Vec<_> =
                problems.iter().filter_map(|problem| problem.splitn(4, ':').nth(3)).collect();
            assert_eq!(messages, [format!(" {expected}")], "{text}");
        }
    }
}
