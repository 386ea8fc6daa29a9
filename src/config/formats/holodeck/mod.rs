//! HoloDeck's `agent.yaml`, with or without a `deployment:` section.
//!
//! Gives the image that `holodeck deploy build` gives, without needing a variable of the
//! environment: what is only known at run time is not baked but listed. Only `deployment:` is
//! checked for unknown and duplicate keys; of the rest, which is HoloDeck's business, what no agent
//! starts with or without is told.

mod deployment;
mod files;
mod graders;
mod left_out;
mod members;
mod project_config;
mod requirements;
mod target;
mod variables;

use std::collections::BTreeSet;

use self::deployment::DEPLOYMENT;
use crate::config::health::probe_path;
use crate::config::near_names;
use crate::config::publish::{check_repository, env_prefix, literal_tag, template};
use crate::config::schema::{self, Shape};
use crate::config::validate::{check_env_name, shown};
use crate::config::{
    Base, Config, ConfigFormat, Health, HealthCheck, Node, ParseContext, ParsedFile, Position,
    Problems, ProjectFile, ProjectFiles, PublishSettings, RunSettings, Setting, TagSpec, Template,
    Value,
};
use crate::oci::Platform;

/// The format `holodeck`.
#[derive(Debug)]
pub(super) struct HoloDeck;

/// The base of agents that name none.
const DEFAULT_BASE: &str = "ghcr.io/justinbarias/holodeck-base:latest";

/// The port an agent listens on when its file says nothing.
const DEFAULT_PORT: u16 = 8080;

/// What `holodeck serve` speaks.
const PROTOCOLS: [&str; 2] = ["rest", "ag-ui"];

/// Where the agent lives in the image.
const APP: &str = "/app";

impl ConfigFormat for HoloDeck {
    fn name(&self) -> &'static str {
        "holodeck"
    }

    fn summary(&self) -> &'static str {
        "a HoloDeck agent: `name`, `model` and `instructions`"
    }

    fn notes(&self) -> &'static str {
        "A HoloDeck agent needs no `deployment` section and no variable of the environment. The files \
         it names go to the same paths below `/app`, read-only: the instructions, the `file` of \
         function tools, the `source` of `vectorstore` and `hierarchical_document` tools (a file, a \
         folder or a pattern, whatever its name looks like; an address with `://` is left alone), \
         and `test_cases_file`. Symbolic links are followed, hidden files are files, `.dockerignore` \
         does not apply, and a path must lie below the agent's folder. `agent.yaml` itself, whatever \
         its name, lies on top. Modes are the same on every machine: `0444` (`0555` when executable), \
         folders `0555`, `agent.yaml` `0644`. The base is `ghcr.io/justinbarias/holodeck-base:latest` \
         unless `--base` names another, and the container runs as its user `holodeck`.\n\n\
         HoloDeck's own image lacks what some agents need to start or to answer; here it is included: \
         the `prompt_file` of sub-agents, `response_format` when it is a path, and the Python of code \
         graders, of the agent and of its test cases (of `graders.accuracy:check` the folder \
         `graders`, without `__pycache__`; of `graders:check` the same or `graders.py`). Left out as \
         HoloDeck does, with a warning: the `env_file` of MCP tools, paths in their `args` (`./…`), \
         `CLAUDE.md` and `.claude/` where `setting_sources` reads them, and the entries of \
         `config.yaml` that the `database` of a tool names. Left out silently: the `file` of prompt tools, \
         which HoloDeck does not run, the `files` of test cases, and Python that a function tool \
         imports. A `dockless.yaml` with `agent: agent.yaml` and a layer of kind `files` adds what is \
         needed.\n\n\
         HoloDeck's `config.yml` or `config.yaml` beside the agent completes `deployment`, member by \
         member, as `holodeck deploy build` has it; the one in the home folder does not, since an \
         image must not depend on who builds it. The file itself is not in the image, as in \
         HoloDeck's: other sections of it are a warning.\n\n\
         An image whose MCP tools run `node`, `npx`, `yarn` or `pnpm` must have Node.js, as HoloDeck's \
         has: in the base, or from a layer of a `dockless.yaml` with `agent: agent.yaml`. A warning \
         tells of other programs of tools (`uvx`, `docker`) that are nowhere, and of Python \
         distributions that HoloDeck would install: for `database.provider` (a `database` that is a \
         name in HoloDeck's `config.yaml` is not judged), a `source` with `s3://` or `az://`, and the \
         provider `anthropic`. Nothing is judged on an embedded base, which runs no agent.\n\n\
         Every `${NAME}` in the file and in the one of its test cases must be given to the container, \
         since HoloDeck replaces it when the agent starts; the image never holds its value. Values in \
         `environment` are taken as they stand, `$NAME` without braces too. The label \
         `org.opencontainers.image.version` is the tag that `tag_strategy` says, whatever `-t` names. \
         An agent must have `name`, `model` and `instructions`, as HoloDeck demands. An unknown key at \
         the top is a warning, in `deployment` an error; only there keys that stand twice are looked \
         for."
    }

    fn file_names(&self) -> &'static [&'static str] {
        &["agent.yaml", "agent.yml"]
    }

    fn recognises(&self, root: &Node) -> bool {
        let is_agent = ["model", "instructions"].iter().any(|name| root.get(name).is_some());
        is_agent && root.get("base").is_none() && root.get("layers").is_none()
    }

    fn shape(&self) -> &'static Shape {
        &DEPLOYMENT
    }

    fn reads(&self, root: &Node, known: &ProjectFiles) -> Vec<String> {
        let mut asked: Vec<_> = project_config::NAMES.map(str::to_owned).into();
        let cases = graders::test_cases_file(root);
        asked.extend(cases.clone());
        let cases = cases.and_then(|path| known.get(&path)?.as_ref());
        // Most test cases have no grader: then one reading of the file is enough.
        let cases = cases.filter(|file| file.text.contains("grader"));
        let mut problems = Problems::new();
        let cases =
            cases.and_then(|file| ParsedFile::parse(&file.text, &file.label, &mut problems));
        let cases = cases.as_ref().map(|cases| &cases.root);
        let modules = graders::modules(root, cases, &mut problems);
        asked.extend(modules.iter().flat_map(graders::Module::reads));
        asked
    }

    fn parse(
        &self,
        file: &ParsedFile,
        context: &ParseContext,
        problems: &mut Problems,
    ) -> Option<Config> {
        let root = &file.root;
        if !matches!(root.value, Value::Mapping(_)) {
            let message = format!("an agent is a mapping, not {}", root.kind());
            problems.report_with_hint(&root.position, message, "write `name: …` and so on");
            return None;
        }
        file.report_duplicates(|section| section == "deployment", problems);
        let project_config = project_config::read(context, problems);
        let deployment = project_config::deployment(root, project_config.as_ref());
        let deployment = &deployment.unwrap_or_else(|| Node::mapping([], &root.position));
        schema::check(deployment, &DEPLOYMENT, problems);
        let test_cases = test_cases_file(root, context, problems);
        let (run, unresolved) = run_settings(deployment, problems);
        let mut config = Config::empty(context.source.clone());
        config.name = name(root, problems);
        members::check(root, problems);
        config.unknown_keys = members::unknown(root);
        config.base = DEFAULT_BASE.parse::<Base>().expect("the default base is a reference");
        let platform = deployment.get("platform").and_then(|node| node.parse::<Platform>(problems));
        if let Some(platform) = platform {
            config.platforms = vec![platform];
        }
        let cases = test_cases.and_then(|file| read_test_cases(file, problems));
        (config.layers, config.files) = files::layers(root, cases.as_ref(), context, problems);
        config.left_out = left_out::left_out(root, &config.layers, context);
        config.left_out.extend(project_config::left_out(project_config.as_ref()));
        let texts = [Some(&*file.text), test_cases.map(|file| file.text.as_str())];
        config.required_at_run_time = required(texts.into_iter().flatten(), &run, unresolved);
        config.run = run;
        config.requirements = requirements::requirements(root);
        if let Some(environment) = deployment.get("environment") {
            config.secrets.note(Setting::Variable, environment);
        }
        // The environment is judged as the variables that it becomes.
        config.secrets.note_agent(root, "deployment");
        config.labels.insert("com.holodeck.managed".into(), "true".into());
        config.environments = target::environment(deployment).into_iter().collect();
        if let Some(registry) = deployment.get("registry") {
            config.publish = publish_settings(registry, problems);
            config.version = config.publish.tags.first().cloned();
        }
        Some(config)
    }
}

/// The file of the test cases, which HoloDeck reads when the agent starts.
fn test_cases_file<'a>(
    root: &Node,
    context: &'a ParseContext,
    problems: &mut Problems,
) -> Option<&'a ProjectFile> {
    let named = root.get("test_cases_file")?;
    if root.get("test_cases").is_some() {
        problems.report_with_hint(
            &named.position,
            "`test_cases_file` stands beside `test_cases`",
            "keep one of them",
        );
    }
    context.files.get(&graders::test_cases_file(root)?)?.as_ref()
}

/// What is in that file; it may have comments alone.
fn read_test_cases(file: &ProjectFile, problems: &mut Problems) -> Option<Node> {
    let is_comment = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if file.text.lines().all(is_comment) {
        return None;
    }
    let root = ParsedFile::parse(&file.text, &file.label, problems)?.root;
    let cases = root.get("test_cases").unwrap_or(&root);
    if !matches!(cases.value, Value::Sequence(_) | Value::Null) {
        let message = format!("test cases are a list, not {}", cases.kind());
        problems.report_with_hint(&cases.position, message, "write `- {name: …, input: …}`");
    }
    Some(root)
}

fn name(root: &Node, problems: &mut Problems) -> String {
    let node = root.get("name");
    match node.and_then(Node::as_text) {
        Some(text) if !text.trim().is_empty() && !text.chars().any(char::is_control) => {
            text.to_owned()
        }
        text => {
            let position = node.map_or(&root.position, |node| &node.position);
            let message = match (node, text) {
                (None, _) => "the agent has no `name`".to_owned(),
                (_, Some(text)) => format!("`{}` is no name for an agent", shown(text)),
                (Some(node), None) => format!("`name` is a text, not {}", node.kind()),
            };
            problems.report_with_hint(position, message, "write `name: my-agent`");
            String::new()
        }
    }
}

/// How the agent is run, and the variables whose values are only known then.
fn run_settings(deployment: &Node, problems: &mut Problems) -> (RunSettings, BTreeSet<String>) {
    let port = deployment.get("port").and_then(Node::as_integer);
    let port = port.and_then(|port| port.try_into().ok()).unwrap_or(DEFAULT_PORT);
    let mut run = RunSettings {
        user: Some("holodeck".into()),
        workdir: Some(APP.into()),
        entrypoint: Some(vec![files::ENTRYPOINT.into()]),
        ports: vec![format!("{port}/tcp")],
        health: Some(health(deployment, port, problems)),
        ..RunSettings::default()
    };
    run.set_env("HOLODECK_PORT".into(), port.to_string());
    run.set_env("HOLODECK_PROTOCOL".into(), protocol(deployment, problems));
    run.set_env("HOLODECK_AGENT_CONFIG".into(), files::AGENT.into());
    let mut unresolved = BTreeSet::new();
    for (key, value) in deployment.get("environment").into_iter().flat_map(Node::members) {
        check_env_name(&key.text, &key.position, problems);
        let Some(text) = value.as_text() else { continue };
        if text.contains('\0') {
            let message = format!("`{}` has a NUL character", shown(&key.text));
            problems.report(&value.position, message);
        } else if let Some(start) = variables::unclosed(text) {
            let message = format!("`{}` has no `}}`", shown(start));
            let hint = "write `${NAME}`: as it is, HoloDeck does not replace it";
            problems.report_with_hint(&value.position, message, hint);
        } else if !text.contains("${") {
            run.set_env(key.text.clone(), text.to_owned());
        } else {
            run.env.retain(|(name, _)| *name != key.text);
            unresolved.insert(key.text.clone());
        }
    }
    (run, unresolved)
}

/// The protocol; `holodeck serve` knows two of the three that HoloDeck's schema allows.
fn protocol(deployment: &Node, problems: &mut Problems) -> String {
    let protocol = deployment.get("protocol").and_then(|node| Some((node, node.as_text()?)));
    match protocol {
        Some((node, "both")) => problems.report_with_hint(
            &node.position,
            "an agent with `protocol: both` does not start: `holodeck serve` speaks one protocol",
            "write `rest` or `ag-ui`",
        ),
        Some((node, text)) if !PROTOCOLS.contains(&text) => problems.report_with_hint(
            &node.position,
            format!("`{}` is no value of `protocol`", text.escape_debug()),
            near_names::hint_for(text, &PROTOCOLS),
        ),
        _ => {}
    }
    protocol.map_or("rest", |(_, text)| text).to_owned()
}

/// HoloDeck's health check asks `/health` whatever `health_check_path` says; that is for targets.
fn health(deployment: &Node, port: u16, problems: &mut Problems) -> Health {
    const SECOND_NS: u64 = 1_000_000_000;
    let path = deployment.get("health_check_path").and_then(|node| probe_path(node, problems));
    let line = format!("curl -f http://localhost:{port}/health || exit 1");
    Health {
        path: Some(path.unwrap_or_else(|| "/health".into())),
        port: Some(port),
        check: Some(HealthCheck {
            test: vec!["CMD-SHELL".into(), line],
            interval_ns: Some(30 * SECOND_NS),
            timeout_ns: Some(10 * SECOND_NS),
            start_period_ns: Some(5 * SECOND_NS),
            start_interval_ns: None,
            retries: Some(3),
        }),
    }
}

/// HoloDeck replaces `${NAME}` in the whole text when the agent starts, comments included, and
/// stops when one is not set: so each must be given, unless the image has it.
fn required<'a>(
    texts: impl Iterator<Item = &'a str>,
    run: &RunSettings,
    unresolved: BTreeSet<String>,
) -> Vec<String> {
    let is_baked = |name: &String| run.env.iter().any(|(baked, _)| baked == name);
    let mut required: BTreeSet<String> = texts.flat_map(variables::names).collect();
    required.extend(unresolved);
    required.into_iter().filter(|name| !is_baked(name)).collect()
}

fn publish_settings(registry: &Node, problems: &mut Problems) -> PublishSettings {
    let url = registry.get("url").and_then(template);
    let repository = registry.get("repository").and_then(template);
    let repository = url.zip(repository).map(|(url, repository)| {
        let host = url.text.trim_start_matches("https://").trim_end_matches('/');
        let path = repository.text.trim_start_matches('/');
        Template { text: format!("{host}/{path}"), position: repository.position }
    });
    PublishSettings {
        repositories: repository
            .into_iter()
            .filter(|repository| check_repository(repository, problems))
            .collect(),
        tags: tag(registry, problems).into_iter().collect(),
        credentials_env_prefix: registry
            .get("credentials_env_prefix")
            .and_then(|node| env_prefix(node, problems)),
        new_repository: None,
    }
}

fn tag(registry: &Node, problems: &mut Problems) -> Option<TagSpec> {
    let strategy = registry.get("tag_strategy");
    let text = strategy.and_then(Node::as_text).unwrap_or("git_sha");
    let position: &Position = strategy.map_or(&registry.position, |node| &node.position);
    let tag = if text == "custom" {
        let Some(custom) = registry.get("custom_tag").and_then(template) else {
            problems.report_with_hint(
                position,
                "`tag_strategy: custom` needs a `custom_tag`",
                "add `custom_tag: …`",
            );
            return None;
        };
        if custom.is_literal() && !crate::oci::Reference::is_tag(&custom.text) {
            problems.report_with_hint(
                &custom.position,
                format!("`{}` is no tag", shown(&custom.text)),
                "1 to 128 letters, digits, `_`, `.` or `-`, starting with none of the last two",
            );
            return None;
        }
        custom.check(problems).then(|| literal_tag(custom))?
    } else {
        Template { text: text.to_owned(), position: position.clone() }
    };
    Some(TagSpec { tag, when: None })
}

#[cfg(test)]
mod tests;
