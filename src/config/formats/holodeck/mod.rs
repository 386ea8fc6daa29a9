//! HoloDeck's `agent.yaml`, with or without a `deployment:` section.
//!
//! Gives the image that `holodeck deploy build` gives, without needing a variable of the
//! environment: what is only known at run time is not baked but listed. Only `deployment:` is
//! checked for unknown and duplicate keys; the rest of the file is HoloDeck's business.

mod deployment;
mod files;
mod requirements;
mod variables;

use std::collections::BTreeSet;

use self::deployment::DEPLOYMENT;
use crate::config::health::probe_path;
use crate::config::publish::{check_repository, env_prefix, literal_tag, template};
use crate::config::schema::{self, Shape};
use crate::config::validate::{check_env_name, shown};
use crate::config::{
    Base, Config, ConfigFormat, Health, HealthCheck, Node, ParseContext, ParsedFile, Position,
    Problems, PublishSettings, RunSettings, TagSpec, Template, Value,
};
use crate::oci::Platform;

/// The format `holodeck`.
#[derive(Debug)]
pub(super) struct HoloDeck;

/// The base of agents that name none.
const DEFAULT_BASE: &str = "ghcr.io/justinbarias/holodeck-base:latest";

/// The port an agent listens on when its file says nothing.
const DEFAULT_PORT: u16 = 8080;

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
         folder or a pattern; an address with `://` is left alone), `test_cases_file`, and the \
         `prompt_file` of sub-agents. `agent.yaml` itself lies on top. The base is \
         `ghcr.io/justinbarias/holodeck-base:latest` unless `--base` names another, and the container \
         runs as its user `holodeck`.\n\n\
         An image whose MCP tools run `node`, `npx`, `yarn` or `pnpm` must have Node.js, as HoloDeck's \
         has: in the base, or from a layer of a `dockless.yaml` with `agent: agent.yaml`. A warning \
         tells of other programs of tools (`uvx`, `docker`) that are nowhere, and of Python \
         distributions that HoloDeck would install: for `database.provider` (a `database` that is a \
         name in HoloDeck's `config.yaml` is not judged), a `source` with `s3://` or `az://`, and the \
         provider `anthropic`. Nothing is judged on an embedded base, which runs no agent.\n\n\
         Every `${NAME}` in the file must be given to the container, since HoloDeck replaces it when \
         the agent starts; the image never holds its value. Only `deployment` is checked for unknown \
         keys and keys that stand twice."
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
        let nothing = Node::mapping([], &root.position);
        let deployment = root.get("deployment").unwrap_or(&nothing);
        schema::check(deployment, &DEPLOYMENT, problems);
        let (run, unresolved) = run_settings(deployment, problems);
        let mut config = Config::empty(context.source.clone());
        config.name = name(root, problems);
        config.base = DEFAULT_BASE.parse::<Base>().expect("the default base is a reference");
        let platform = deployment.get("platform").and_then(|node| node.parse::<Platform>(problems));
        if let Some(platform) = platform {
            config.platforms = vec![platform];
        }
        config.layers = files::layers(root, context, problems);
        config.required_at_run_time = required(&file.text, &run, unresolved);
        config.run = run;
        config.requirements = requirements::requirements(root);
        config.labels.insert("com.holodeck.managed".into(), "true".into());
        if let Some(registry) = deployment.get("registry") {
            config.publish = publish_settings(registry, problems);
        }
        Some(config)
    }
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
    let protocol = deployment.get("protocol");
    if let Some(both) = protocol.filter(|node| node.as_text() == Some("both")) {
        problems.report_with_hint(
            &both.position,
            "an agent with `protocol: both` does not start: `holodeck serve` speaks one protocol",
            "write `rest` or `ag-ui`",
        );
    }
    protocol.and_then(Node::as_text).unwrap_or("rest").to_owned()
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
fn required(text: &str, run: &RunSettings, unresolved: BTreeSet<String>) -> Vec<String> {
    let is_baked = |name: &String| run.env.iter().any(|(baked, _)| baked == name);
    let mut required: BTreeSet<String> = variables::names(text);
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
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::ConfigSource;
    use crate::config::format::testing::read;

    const AGENT: &str = "\
# needs ${FROM_A_COMMENT}
name: My \"agent\"
model: {provider: anthropic, api_key: '${KEY}'}
instructions: {file: ./instructions/system.md}
claude:
  agents:
    researcher: {prompt_file: prompts/researcher.md}
    writer: {prompt: inline}
tools:
  - {type: function, file: tools/math.py, function: add}
  - {type: function, file: tools/./math.py, function: subtract}
  - {type: vectorstore, source: data}
  - {type: hierarchical_document, source: 'docs/2024/*.md'}
  - {type: vectorstore, source: 's3://bucket/x'}
  - {type: prompt, file: prompts/unused.md}
  - {type: mcp, command: npx}
test_cases_file: tests.yaml
";

    fn layers(config: &Config) -> Vec<String> {
        config.layers.iter().map(|layer| layer.settings.in_one_line()).collect()
    }

    fn position(line: u32, column: u32) -> Position {
        Position { file: "agent.yaml".into(), line, column }
    }

    #[test]
    fn packs_what_the_agent_names_the_most_changing_on_top() {
        let (config, problems) = read("holodeck", AGENT, BTreeMap::new());
        assert_eq!(problems, [""; 0]);
        let read_only = r#"links: "follow", read_only: true, ignore_file: false}"#;
        assert_eq!(layers(&config.unwrap()), [
            r#"{kind: "files", directories: [{path: "/var/holodeck/work", mode: "0755", owner: "holodeck|1000:1000"}]}"#.to_owned(),
            r#"{kind: "template", template: "holodeck-entrypoint.sh", dest: "/app/entrypoint.sh", mode: "0755"}"#.to_owned(),
            format!(
                "{{kind: \"files\", copy: [\
                 {{src: \"data\", dest: \"/app/data\", {read_only}, \
                 {{src: \"docs/2024\", dest: \"/app/docs/2024\", include: [\"*.md\"], {read_only}, \
                 {{src: \"tests.yaml\", dest: \"/app/tests.yaml\", {read_only}]}}"
            ),
            format!(
                "{{kind: \"files\", copy: [\
                 {{src: \"tools/math.py\", dest: \"/app/tools/math.py\", {read_only}]}}"
            ),
            format!(
                "{{kind: \"files\", copy: [\
                 {{src: \"instructions/system.md\", dest: \"/app/instructions/system.md\", {read_only}, \
                 {{src: \"prompts/researcher.md\", dest: \"/app/prompts/researcher.md\", {read_only}, \
                 {{src: \"agent.yaml\", dest: \"/app/agent.yaml\", mode: \"0644\", \
                 links: \"follow\", ignore_file: false}}]}}"
            ),
        ]);
    }

    #[test]
    fn every_item_points_at_the_line_that_asks_for_it() {
        let (config, _) = read("holodeck", AGENT, BTreeMap::new());
        let config = config.unwrap();
        let items = config.layers.iter().filter_map(|layer| layer.settings.get("copy"));
        let lines: Vec<_> = items.flat_map(Node::items).map(|item| item.position.line).collect();
        assert_eq!(lines, [12, 13, 17, 10, 4, 7, 2]);
    }

    #[test]
    fn needs_no_deployment_section() {
        let (config, problems) =
            read("holodeck", "name: a\nmodel: {name: '${MODEL}'}\n", BTreeMap::new());
        assert_eq!(problems, [""; 0]);
        let config = Config { layers: vec![], ..config.unwrap() };
        let source = ConfigSource {
            file: "agent.yaml".into(),
            format: "holodeck",
            directory: "/project".into(),
        };
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let env = [
            ("HOLODECK_PORT", "8080"),
            ("HOLODECK_PROTOCOL", "rest"),
            ("HOLODECK_AGENT_CONFIG", "/app/agent.yaml"),
        ];
        let line = "curl -f http://localhost:8080/health || exit 1";
        assert_eq!(
            config,
            Config {
                name: "a".into(),
                base: Base::Registry("ghcr.io/justinbarias/holodeck-base:latest".parse().unwrap()),
                run: RunSettings {
                    user: Some("holodeck".into()),
                    workdir: Some("/app".into()),
                    env: env.into_iter().map(pair).collect(),
                    entrypoint: Some(vec!["/app/entrypoint.sh".into()]),
                    ports: vec!["8080/tcp".into()],
                    health: Some(Health {
                        path: Some("/health".into()),
                        port: Some(8080),
                        check: Some(HealthCheck {
                            test: vec!["CMD-SHELL".into(), line.into()],
                            interval_ns: Some(30_000_000_000),
                            timeout_ns: Some(10_000_000_000),
                            start_period_ns: Some(5_000_000_000),
                            start_interval_ns: None,
                            retries: Some(3),
                        }),
                    }),
                    ..RunSettings::default()
                },
                labels: BTreeMap::from([pair(("com.holodeck.managed", "true"))]),
                required_at_run_time: vec!["MODEL".into()],
                ..Config::empty(source)
            }
        );
    }

    #[test]
    fn bakes_literal_values_alone() {
        let text = "name: a\nmodel: '${KEY}'\ndeployment:\n  port: 9000\n  environment:\n    \
                    B: say \"hi\"\n    HOLODECK_PROTOCOL: ag-ui\n    URL: ${REMOTE}\n    \
                    KEY: baked\n    DEFAULT: ${X:-1}\n";
        let (config, problems) = read("holodeck", text, BTreeMap::new());
        assert_eq!(problems, [""; 0]);
        let config = config.unwrap();
        let env: Vec<_> =
            config.run.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            env,
            [
                ("HOLODECK_PORT", "9000"),
                ("HOLODECK_PROTOCOL", "ag-ui"),
                ("HOLODECK_AGENT_CONFIG", "/app/agent.yaml"),
                ("B", "say \"hi\""),
                ("KEY", "baked"),
            ]
        );
        assert_eq!(config.required_at_run_time, ["DEFAULT", "REMOTE", "URL"]);
    }

    #[test]
    fn publishes_where_the_registry_says() {
        // What is understood, each with the text at whose place it stands.
        for (registry, repository, tag) in [
            ("{url: ghcr.io, repository: a/b}", ("ghcr.io/a/b", "a/b"), ("git_sha", "{url")),
            (
                "{url: 'https://x.io/', repository: /a, tag_strategy: latest}",
                ("x.io/a", "/a"),
                ("latest", "latest"),
            ),
            (
                "{url: '${HOST}', repository: a/b, tag_strategy: custom, custom_tag: v1}",
                ("${HOST}/a/b", "a/b"),
                ("v1", "v1"),
            ),
            (
                "{url: x.io, repository: a/b, tag_strategy: custom, custom_tag: sha}",
                ("x.io/a/b", "a/b"),
                ("{{ \"sha\" }}", "sha}"),
            ),
        ] {
            let line = format!("  registry: {registry}");
            let text = format!("name: a\nmodel: x\ndeployment:\n{line}\n");
            let (config, problems) = read("holodeck", &text, BTreeMap::new());
            assert_eq!(problems, [""; 0], "{registry}");
            let template = |(text, place): (&str, &str)| {
                let column = u32::try_from(line.find(place).unwrap() + 1).unwrap();
                Template { text: text.into(), position: position(4, column) }
            };
            assert_eq!(
                config.unwrap().publish,
                PublishSettings {
                    repositories: vec![template(repository)],
                    tags: vec![TagSpec { tag: template(tag), when: None }],
                    credentials_env_prefix: None,
                }
            );
        }
    }

    #[test]
    fn the_platform_can_be_chosen() {
        for (platform, chosen, problem) in [
            ("linux/arm64", "linux/arm64", None),
            (
                "linux/arm46",
                "linux/amd64",
                Some(
                    "agent.yaml:2:24: `linux/arm46` is not a platform: expected os/architecture or \
                     os/architecture/variant, such as `linux/amd64` or `linux/arm64`",
                ),
            ),
        ] {
            let text = format!("name: a\ndeployment: {{platform: {platform}}}\n");
            let (config, problems) = read("holodeck", &text, BTreeMap::new());
            assert_eq!(config.unwrap().platforms, [chosen.parse().unwrap()]);
            assert_eq!(problems, Vec::from_iter(problem));
        }
    }

    #[test]
    fn the_rest_of_the_file_is_not_checked() {
        let text = "name: a\nmodel: x\nmodel: y\nanything: {a: 1, a: 2}\nexecution: 3\n";
        assert_eq!(read("holodeck", text, BTreeMap::new()).1, [""; 0]);
    }

    #[test]
    fn what_it_reads_has_the_right_form() {
        for (text, problem) in [
            ("- a", "agent.yaml:1:1: an agent is a mapping, not a list; write `name: …` and so on"),
            ("model: x", "agent.yaml:1:1: the agent has no `name`; write `name: my-agent`"),
            ("name: [a]", "agent.yaml:1:7: `name` is a text, not a list; write `name: my-agent`"),
            ("name: \" \"", "agent.yaml:1:7: ` ` is no name for an agent; write `name: my-agent`"),
            ("name: a\ntools: {a: 1}", "agent.yaml:2:8: `tools` is a list, not a mapping"),
            (
                "name: a\ninstructions: a.md",
                "agent.yaml:2:15: `instructions` is a mapping, not a single value",
            ),
            (
                "name: a\nclaude: {agents: [x]}",
                "agent.yaml:2:18: `agents` is a mapping, not a list",
            ),
            (
                "name: a\ndeployment: yes",
                "agent.yaml:2:13: `deployment` is a mapping, not a single value",
            ),
            (
                "name: a\ndeployment: {registry: {url: x.io}}",
                "agent.yaml:2:24: `repository` is missing in `deployment.registry`; add `repository: …`, a text",
            ),
            (
                "name: a\ninstructions: {file: ''}",
                "agent.yaml:2:22: the path `` in `file` is empty; name a file below the agent's folder",
            ),
        ] {
            assert_eq!(read("holodeck", text, BTreeMap::new()).1, [problem], "{text}");
        }
    }

    #[test]
    fn paths_start_at_the_agents_own_folder() {
        let parsed = ParsedFile::parse(
            "name: a\ninstructions: {file: a.md}",
            &"f".into(),
            &mut Problems::new(),
        )
        .unwrap();
        let mut context = ParseContext {
            source: ConfigSource { file: "f".into(), format: "holodeck", directory: "/p".into() },
            path: Some("agents/support/my.yaml".into()),
            needs_base: true,
            imported: BTreeMap::new(),
        };
        let mut problems = Problems::new();
        let config = HoloDeck.parse(&parsed, &context, &mut problems).unwrap();
        let sources: Vec<_> = config.layers[2]
            .settings
            .get("copy")
            .unwrap()
            .items()
            .iter()
            .map(|item| (item.get_text("src").unwrap(), item.get_text("dest").unwrap()))
            .collect();
        assert_eq!(
            sources,
            [("agents/support/a.md", "/app/a.md"), ("agents/support/my.yaml", "/app/agent.yaml"),]
        );
        context.path = None;
        HoloDeck.parse(&parsed, &context, &mut problems);
        assert_eq!(problems.list()[0].message, "the agent lies outside of the project's folder");
    }
}
