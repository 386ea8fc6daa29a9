//! The environment that a command is for: chosen, its values resolved, its targets read.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use super::project::Project;
use crate::config::near_names::hint_for;
use crate::config::schema;
use crate::config::{
    Config, EnvironmentSpec, Position, Problems, PullSpec, SecretSpec, TargetSpec, environment_keys,
};
use crate::deploy::targets::{self, TARGETS};
use crate::deploy::{
    DEFAULT_ENVIRONMENT, Places, Pull, SecretValue, Target, TargetInput, TargetKind, Variable,
    Workload,
};
use crate::error::{Classified, ErrorKind, Result};
use crate::registry::Secret;
use crate::sys::Environment;

/// The port of a container that says nothing of it.
const DEFAULT_PORT: u16 = 8080;
/// What is asked when the config says nothing of health.
const DEFAULT_HEALTH_PATH: &str = "/health";
/// Variables in which CI systems give a job a password that ends with it.
const SHORT_LIVED: [&str; 5] =
    ["GITHUB_TOKEN", "GH_TOKEN", "CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD", "SYSTEM_ACCESSTOKEN"];
/// How such passwords begin.
const SHORT_LIVED_PREFIXES: [&str; 3] = ["ghs_", "glcbt-", "eyJ"];

/// An environment that a command is for.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Its name.
    pub(super) name: String,
    /// Its targets, in the order of the config.
    pub(super) targets: Vec<Box<dyn Target>>,
    /// Variables that were not set; only where values may be missing.
    pub(super) unset: BTreeSet<String>,
}

/// What the values of variables are needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// They are sent: each must be there.
    Needed,
    /// They are compared at most: what is missing is noted.
    Optional,
}

/// No environment can be told from the command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum NotChosen {
    #[error("the config names no environment to deploy to")]
    None { format: &'static str },
    #[error("the config has {} environments, and none was chosen", names.len())]
    Several { names: Vec<String> },
    #[error("the config has no environment `{}`", name.escape_debug())]
    Unknown { name: String, names: Vec<String> },
}

impl Classified for NotChosen {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::None { format: "holodeck" } => vec![
                "add `deployment: {target: {provider: …}}` to the agent, or a `dockless.yaml` with `environments`".to_owned(),
            ],
            Self::None { .. } => {
                let kinds: Vec<_> = TARGETS.iter().map(|kind| format!("`{}`", kind.name)).collect();
                vec![format!(
                    "add `environments: {{production: {{target: …}}}}`; targets are {}",
                    kinds.join(", ")
                )]
            }
            Self::Several { names } => vec![format!("choose one with `-e`: {}", list(names))],
            Self::Unknown { name, names } => {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                vec![hint_for(name, &names)]
            }
        }
    }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Finds the environment of this name; the only one where none is named.
fn find<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a EnvironmentSpec, NotChosen> {
    let names = || config.environments.iter().map(|spec| spec.name.clone()).collect();
    match (name, &config.environments[..]) {
        (_, []) => Err(NotChosen::None { format: config.source.format }),
        (Some(name), all) => all
            .iter()
            .find(|spec| spec.name == name)
            .ok_or_else(|| NotChosen::Unknown { name: name.to_owned(), names: names() }),
        (None, [only]) => Ok(only),
        (None, _) => Err(NotChosen::Several { names: names() }),
    }
}

/// Chooses the environment and reads its targets; every problem is reported, with its place.
///
/// # Errors
/// There is no such environment, or it cannot be understood; where values are needed, also when one of them,
/// or a variable that the agent needs, is given by nobody.
pub(super) fn choose(
    project: &Project,
    name: Option<&str>,
    values: Values,
    context: &Context,
) -> Result<Chosen> {
    let config = &project.config;
    let spec = find(config, name)?;
    let mut problems = Problems::new();
    let chosen = read(spec, config, values, &mut problems, context);
    check_twice(&chosen, spec, &mut problems);
    // What is wrong with the others shows now, and not when it is their turn; but nobody who goes back in a hurry
    // is kept from it.
    let others = config.environments.iter().filter(|other| other.name != spec.name);
    let elsewhere = Context { environment: elsewhere(), ..context.clone() };
    for other in others.filter(|_| values == Values::Needed) {
        read(other, config, Values::Optional, &mut problems, &elsewhere);
    }
    if let Err(error) = problems.into_result() {
        return Err(project.locate(error.into()));
    }
    // Another machine may name another place: what is not in the config is said.
    for target in &spec.targets {
        let kind = targets::find(&target.kind);
        let assumed = kind.map(|kind| kind.assumed(&target.settings, &context.environment));
        for text in assumed.into_iter().flatten() {
            context.events.note_once(text);
        }
    }
    Ok(chosen)
}

/// What the surroundings of a deployment to another environment say is not known here; that they say it is
/// supposed.
fn elsewhere() -> Environment {
    Environment::of([
        ("AWS_REGION", "us-east-1"),
        ("AZURE_SUBSCRIPTION_ID", "00000000-0000-0000-0000-000000000000"),
        ("CLOUDSDK_RUN_REGION", "us-central1"),
        ("GOOGLE_CLOUD_PROJECT", "another-project"),
    ])
}

/// Two targets of an environment must not take turns in changing the same service.
fn check_twice(chosen: &Chosen, spec: &EnvironmentSpec, problems: &mut Problems) {
    // Where a target could not be read, nobody knows which belongs to which.
    if chosen.targets.len() != spec.targets.len() {
        return;
    }
    for (place, target) in chosen.targets.iter().enumerate() {
        let subject = target.subject();
        let is_same = |other: &dyn Target| {
            other.kind().name == target.kind().name && other.subject() == subject
        };
        if chosen.targets[..place].iter().any(|other| is_same(other.as_ref())) {
            problems.report_with_hint(
                &spec.targets[place].kind_position,
                format!("{subject} is a target of this environment already"),
                "give one of them another `name`, or remove it",
            );
        }
    }
}

fn read(
    spec: &EnvironmentSpec,
    config: &Config,
    values: Values,
    problems: &mut Problems,
    context: &Context,
) -> Chosen {
    let mut resolving = Resolving { context, values, problems, unset: BTreeSet::new() };
    let workload = resolving.workload(config, spec);
    let unset = resolving.unset;
    let targets = spec.targets.iter();
    let targets = targets
        .filter_map(|target| read_target(target, spec, &workload, problems, &context.environment));
    Chosen { name: spec.name.clone(), targets: targets.collect(), unset }
}

fn read_target(
    target: &TargetSpec,
    spec: &EnvironmentSpec,
    workload: &Workload,
    problems: &mut Problems,
    variables: &Environment,
) -> Option<Box<dyn Target>> {
    if let Some(problem) = &target.problem {
        problems.extend(vec![problem.clone()]);
        return None;
    }
    let Some(kind) = targets::find(&target.kind) else {
        let names: Vec<_> = TARGETS.iter().map(|kind| kind.name).collect();
        problems.report_with_hint(
            &target.kind_position,
            format!("`{}` is no kind of target", target.kind.escape_debug()),
            hint_for(&target.kind, &names),
        );
        return None;
    };
    schema::check_beside(&target.settings, kind.shape, environment_keys(), problems);
    // What the target does not take is told here, and not once more by the target.
    let workload = &taken(workload, spec, kind, problems);
    let (settings, position) = (&target.settings, &target.kind_position);
    let input = TargetInput { settings, position, workload, environment: variables };
    (kind.parse)(&input, problems)
}

/// The workload as a target takes it: references to secrets that another platform keeps are reported.
fn taken(
    workload: &Workload,
    spec: &EnvironmentSpec,
    kind: &TargetKind,
    problems: &mut Problems,
) -> Workload {
    let mut workload = workload.clone();
    for (name, secret) in &spec.secrets {
        let SecretSpec::Kept { kind: named, position, .. } = secret else { continue };
        if kind.secret_references.contains(&named.as_str()) {
            continue;
        }
        let hint = match kind.secret_references {
            [] => "give the value: `{env: VARIABLE}`; or pass the reference in `env`, and let the agent read \
                   the secret as its role"
                .to_owned(),
            known => format!("write {}, or give the value: `{{env: VARIABLE}}`", keys(known)),
        };
        let message = format!("`{}` takes no secret of `{named}`", kind.name);
        problems.report_with_hint(position, message, hint);
        workload.secrets.insert(name.clone(), SecretValue::Unset);
    }
    // Where a target takes no reference for `pull`, it says itself how it pulls.
    if let Some(PullSpec::Kept { kind: named, position, .. }) = &spec.pull
        && !kind.pull_references.is_empty()
        && !kind.pull_references.contains(&named.as_str())
    {
        let message = format!("`{}` does not pull with `{named}`", kind.name);
        let known = keys(kind.pull_references);
        let hint = format!("write {known}, or `username` and `password_env`");
        problems.report_with_hint(position, message, hint);
        workload.pull = None;
    }
    workload
}

fn keys(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}: …`")).collect::<Vec<_>>().join(" or ")
}

/// Turns what the config says into values.
struct Resolving<'a> {
    context: &'a Context,
    values: Values,
    problems: &'a mut Problems,
    unset: BTreeSet<String>,
}

impl Resolving<'_> {
    fn workload(&mut self, config: &Config, spec: &EnvironmentSpec) -> Workload {
        let project = slug(&config.name);
        // Services of the only environment are named like the project.
        let name = if spec.name == DEFAULT_ENVIRONMENT {
            project.clone()
        } else {
            format!("{project}-{}", spec.name)
        };
        let env = self.env(spec);
        let secrets = self.secrets(spec);
        self.check_required(config, spec);
        let health = config.run.health.as_ref();
        let path = health.and_then(|health| health.path.clone());
        Workload {
            project,
            environment: spec.name.clone(),
            name,
            port: port(config),
            health_path: path.unwrap_or_else(|| DEFAULT_HEALTH_PATH.to_owned()),
            env,
            secrets,
            pull: spec.pull.as_ref().and_then(|pull| self.pull(pull)),
            creates_roles: spec.creates_roles,
            places: places(spec),
        }
    }

    fn env(&mut self, spec: &EnvironmentSpec) -> BTreeMap<String, Variable> {
        let mut variables = BTreeMap::new();
        for (name, template) in &spec.env {
            let variable = match template.expand(&self.context.environment) {
                Ok(text) if template.is_literal() => Variable::Plain(text),
                Ok(text) => Variable::Hidden(Secret::new(text)),
                Err(error) => {
                    self.miss(name, &error.position, &error.message, &error.hint);
                    continue;
                }
            };
            variables.insert(name.clone(), variable);
        }
        variables
    }

    fn secrets(&mut self, spec: &EnvironmentSpec) -> BTreeMap<String, SecretValue> {
        let mut secrets = BTreeMap::new();
        for (name, secret) in &spec.secrets {
            if spec.env.contains_key(name) {
                let message = format!("`{name}` stands in `env`, too");
                self.problems.report_with_hint(secret.position(), message, "keep one of them");
            }
            let value = match secret {
                SecretSpec::Kept { reference, .. } => SecretValue::Kept(reference.clone()),
                SecretSpec::Environment { name: variable, position } => {
                    self.variable(variable, position).map_or(SecretValue::Unset, SecretValue::Given)
                }
            };
            secrets.insert(name.clone(), value);
        }
        secrets
    }

    fn pull(&mut self, spec: &PullSpec) -> Option<Pull> {
        match spec {
            PullSpec::Kept { reference, .. } => Some(Pull::Kept(reference.clone())),
            PullSpec::Password { username, variable, position } => {
                let username = match username.expand(&self.context.environment) {
                    Ok(username) => username,
                    Err(error) => {
                        self.miss("pull", &error.position, &error.message, &error.hint);
                        return None;
                    }
                };
                let password = self.variable(variable, position)?;
                self.check_lasting(variable, &password, position);
                Some(Pull::Password { username, password })
            }
        }
    }

    /// A password that ends with the job is of no use to a platform that pulls later.
    fn check_lasting(&mut self, variable: &str, password: &Secret, position: &Position) {
        let begins = |prefix: &&str| password.expose().starts_with(*prefix);
        if SHORT_LIVED.contains(&variable) || SHORT_LIVED_PREFIXES.iter().any(begins) {
            self.problems.report_with_hint(
                position,
                format!("`{variable}` has a token that ends with the job, and the platform pulls later"),
                "give a token that lasts and can only pull: a deploy token, a robot account, a personal token with `read:packages`",
            );
        }
    }

    /// The value of a variable that has to be there.
    fn variable(&mut self, name: &str, position: &Position) -> Option<Secret> {
        let value = self.context.environment.get(name).map(Secret::new);
        if value.is_none() {
            let message = format!("the variable `{name}` is not set");
            self.miss(name, position, &message, "set it where you deploy");
        }
        value
    }

    fn miss(&mut self, name: &str, position: &Position, message: &str, hint: &str) {
        match self.values {
            Values::Needed => self.problems.report_with_hint(position, message, hint),
            Values::Optional => {
                self.unset.insert(name.to_owned());
            }
        }
    }

    /// What the agent needs when it starts must be given by somebody.
    fn check_required(&mut self, config: &Config, spec: &EnvironmentSpec) {
        if self.values == Values::Optional {
            return;
        }
        let is_given =
            |name: &String| spec.env.contains_key(name) || spec.secrets.contains_key(name);
        for name in config.required_at_run_time.iter().filter(|name| !is_given(name)) {
            let hint = if config.source.format == "holodeck" {
                format!("add `{name}: ${{{name}}}` to `environment` in `deployment`")
            } else {
                format!(
                    "add `secrets: {{{name}: {{env: {name}}}}}`, or `env: {{{name}: …}}` if it is no secret"
                )
            };
            self.problems.report_with_hint(
                &spec.position,
                format!("the agent needs the variable `{name}`, and the environment `{}` does not give it", spec.name),
                hint,
            );
        }
    }
}

fn places(spec: &EnvironmentSpec) -> Places {
    let env = spec.env.iter().map(|(name, text)| (name, &text.position));
    let secrets = spec.secrets.iter().map(|(name, secret)| (name, secret.position()));
    Places {
        variables: env
            .chain(secrets)
            .map(|(name, position)| (name.clone(), position.clone()))
            .collect(),
        pull: spec.pull.as_ref().map(|pull| pull.position().clone()),
    }
}

/// The port that the container listens on: the first of its TCP ports.
fn port(config: &Config) -> u16 {
    let of_health = config.run.health.as_ref().and_then(|health| health.port);
    let tcp = config.run.ports.iter().find_map(|port| match port.split_once('/') {
        None | Some((_, "tcp")) => port.split('/').next()?.parse().ok(),
        Some(_) => None,
    });
    tcp.or(of_health).unwrap_or(DEFAULT_PORT)
}

/// A name in the letters that all clouds take: small letters, digits, single dashes between them.
fn slug(name: &str) -> String {
    let letters = name.chars().map(|letter| {
        let letter = letter.to_ascii_lowercase();
        if letter.is_ascii_alphanumeric() { letter } else { '-' }
    });
    let text: String = letters.collect();
    let parts: Vec<_> = text.split('-').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "agent".to_owned() } else { parts.join("-") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_one_that_all_clouds_take() {
        for (name, expected) in
            [("My Agent", "my-agent"), ("a_b..c", "a-b-c"), ("é", "agent"), ("-x-", "x")]
        {
            assert_eq!(slug(name), expected);
        }
    }
}
