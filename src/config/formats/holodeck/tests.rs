use std::collections::BTreeMap;

use super::*;
use crate::config::format::testing;
use crate::config::{ConfigSource, Problem};

/// Reads an agent, with what it must have and lacks at its end.
fn read_beside(
    format: &str,
    text: &str,
    imported: BTreeMap<String, Config>,
    files: &[(&str, &str)],
) -> (Option<Config>, Vec<String>) {
    let mut text = text.to_owned();
    for line in ["model: {}", "instructions: {}"] {
        let (name, _) = line.split_once(' ').unwrap();
        if !text.starts_with('-') && !text.contains(&format!("\n{name}")) && !text.starts_with(name)
        {
            text = format!("{}\n{line}\n", text.trim_end());
        }
    }
    testing::read_beside(format, &text, imported, files)
}

fn read(
    format: &str,
    text: &str,
    imported: BTreeMap<String, Config>,
) -> (Option<Config>, Vec<String>) {
    read_beside(format, text, imported, &[])
}

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
    let files: Vec<_> = config.files.iter().map(|position| position.line).collect();
    assert_eq!(files, [4, 7, 10, 11, 17]);
    let items = config.layers.iter().filter_map(|layer| layer.settings.get("copy"));
    let lines: Vec<_> = items.flat_map(Node::items).map(|item| item.position.line).collect();
    assert_eq!(lines, [12, 13, 17, 10, 4, 7, 2]);
}

#[test]
fn needs_no_deployment_section() {
    let (config, problems) =
        read("holodeck", "name: a\nmodel: {name: '${MODEL}'}\n", BTreeMap::new());
    assert_eq!(problems, [""; 0]);
    let mut config = Config { layers: vec![], ..config.unwrap() };
    let position = |line, column| Position { file: "agent.yaml".into(), line, column };
    assert_eq!(
        std::mem::take(&mut config.secrets.agent),
        [
            ("name".into(), "a".into(), position(1, 7)),
            ("name".into(), "${MODEL}".into(), position(2, 15)),
        ]
    );
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
fn a_dollar_without_braces_is_a_dollar() {
    let text =
        "name: a\ndeployment: {environment: {PRICE: $5, HOME: '$HOME/x', N: 1.50, L: \"a\\nb\"}}\n";
    let (config, problems) = read("holodeck", text, BTreeMap::new());
    assert_eq!(problems, [""; 0]);
    let config = config.unwrap();
    let env: Vec<_> =
        config.run.env[3..].iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(env, [("PRICE", "$5"), ("HOME", "$HOME/x"), ("N", "1.50"), ("L", "a\nb")]);
    assert_eq!(config.required_at_run_time, [""; 0]);
}

/// The sources and destinations of everything that is copied.
fn copied(config: &Config) -> Vec<String> {
    let items = config.layers.iter().filter_map(|layer| layer.settings.get("copy"));
    let line = |item: &Node| {
        let excluded = item.get("exclude").map(|exclude| format!(" - {}", exclude.in_one_line()));
        let [src, dest] = ["src", "dest"].map(|name| item.get_text(name).unwrap());
        format!("{src} → {dest}{}", excluded.unwrap_or_default())
    };
    items.flat_map(Node::items).map(line).collect()
}

const GRADED: &str = "\
name: a
response_format: schemas/answer.json
evaluations:
  metrics:
    - {type: standard, metric: bleu}
    - {type: code, grader: 'graders.accuracy:check', enabled: false}
    - {type: code, grader: 'graders.speed:check'}
    - {type: code, grader: 'single:check'}
    - {type: code, grader: 'holodeck.graders:check'}
    - {type: geval, grader: 'not.one:check'}
test_cases_file: ./tests/cases.yaml
";

#[test]
fn includes_what_the_agent_needs_to_start_and_to_answer() {
    let cases = "\
test_cases:
  - {input: '${QUESTION}', evaluations: [{grader: 'more.of:it'}]}
  - turns:
      - {input: x, evaluations: [{type: code, grader: 'turned:check'}]}
";
    let (config, problems) = read_beside(
        "holodeck",
        GRADED,
        BTreeMap::new(),
        &[
            ("tests/cases.yaml", cases),
            ("single.py", ""),
            ("turned.py", ""),
            ("turned/__init__.py", ""),
        ],
    );
    assert_eq!(problems, [""; 0]);
    let config = config.unwrap();
    let without_caches = r#" - ["**/__pycache__"]"#;
    assert_eq!(
        copied(&config),
        [
            "tests/cases.yaml → /app/tests/cases.yaml".to_owned(),
            format!("graders → /app/graders{without_caches}"),
            "single.py → /app/single.py".to_owned(),
            format!("more → /app/more{without_caches}"),
            format!("turned → /app/turned{without_caches}"),
            "schemas/answer.json → /app/schemas/answer.json".to_owned(),
            "agent.yaml → /app/agent.yaml".to_owned(),
        ]
    );
    assert_eq!(config.required_at_run_time, ["QUESTION"]);
}

#[test]
fn asks_for_the_files_that_decide_what_is_packed() {
    let root = ParsedFile::parse(GRADED, &"a".into(), &mut Problems::new()).unwrap().root;
    let mut known = ProjectFiles::new();
    let first = [
        "config.yml",
        "config.yaml",
        "tests/cases.yaml",
        "graders/accuracy.py",
        "graders/accuracy/__init__.py",
        "graders/speed.py",
        "graders/speed/__init__.py",
        "single/__init__.py",
        "single.py",
    ];
    assert_eq!(HoloDeck.reads(&root, &known), first);
    let text = "- evaluations: [{grader: 'more:it'}]".to_owned();
    let file = ProjectFile { label: "cases".into(), text };
    known.insert("tests/cases.yaml".into(), Some(file));
    let more = ["more/__init__.py", "more.py"];
    assert_eq!(HoloDeck.reads(&root, &known), [&first[..], &more].concat());
}

#[test]
fn test_cases_have_the_form_that_holodeck_reads() {
    for (agent, cases, problem) in [
        ("test_cases_file: c.yaml", "# none yet\n", None),
        ("test_cases_file: c.yaml", "test_cases: []", None),
        (
            "test_cases_file: c.yaml",
            "x: 1",
            Some("c.yaml:1:1: test cases are a list, not a mapping; write `- {name: …, input: …}`"),
        ),
        (
            "test_cases_file: c.yaml",
            "- [",
            Some(
                "c.yaml:1:3: this is not valid YAML: unclosed bracket '['; look at the brackets, quotes and indentation at and before this place",
            ),
        ),
        (
            "test_cases: []\ntest_cases_file: c.yaml",
            "[]",
            Some("agent.yaml:3:18: `test_cases_file` stands beside `test_cases`; keep one of them"),
        ),
        (
            "test_cases_file: c.yaml",
            "- evaluations: [{grader: graders/a.py}]",
            Some(
                "c.yaml:1:26: `graders/a.py` in `grader` is no `module:function`; write \
                 `graders.accuracy:check` for `check` in `graders/accuracy.py`",
            ),
        ),
    ] {
        let text = format!("name: a\n{agent}\n");
        let (_, problems) = read_beside("holodeck", &text, BTreeMap::new(), &[("c.yaml", cases)]);
        assert_eq!(problems, Vec::from_iter(problem), "{agent} {cases}");
    }
}

#[test]
fn says_what_the_agent_mentions_and_the_image_lacks() {
    let add = "to add it, write a `dockless.yaml` with `agent: agent.yaml` and `layers: [{kind: \
               files, copy: [{src: …, dest: /app/…}]}]`";
    for (text, said) in [
        ("tools: [{type: prompt, file: prompts/x.md}]", vec![]),
        (
            "tools: [{type: mcp, command: npx, args: [-y, ./data/a, ./other], env_file: .env}, \
             {type: vectorstore, source: data}]",
            vec![
                "2:76: `.env` in `env_file` is not in the image; give its variables to the \
                 container, and name them in `env` of the tool"
                    .to_owned(),
                format!("2:56: `./other` in `args` is not in the image; {add}"),
            ],
        ),
        (
            "tools: [{type: vectorstore, source: 's3://a/b', database: mine}]",
            vec![
                "2:59: the database `mine` is described in HoloDeck's `config.yaml`, which is not \
                 in the image: the agent would search in its memory instead; describe it in the \
                 agent: `database: {provider: …}`"
                    .to_owned(),
            ],
        ),
        ("tools: [{type: vectorstore, source: a, database: {provider: qdrant}}]", vec![]),
        ("claude: {setting_sources: [user]}", vec![]),
        (
            "claude: {setting_sources: [user, project]}",
            vec![format!(
                "2:34: `CLAUDE.md` and `.claude/`, which this setting reads, are not in the \
                 image; {add}"
            )],
        ),
    ] {
        let text = format!("name: a\n{text}\n");
        let (config, problems) = read("holodeck", &text, BTreeMap::new());
        assert_eq!(problems, [""; 0]);
        let line = |Problem { position, message, hint }| {
            format!("{}:{}: {message}; {}", position.line, position.column, hint.unwrap())
        };
        let lines: Vec<_> = config.unwrap().left_out.into_iter().map(line).collect();
        assert_eq!(lines, said, "{text}");
    }
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
                new_repository: None,
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
        ("name: a\nclaude: {agents: [x]}", "agent.yaml:2:18: `agents` is a mapping, not a list"),
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
        "name: a\nmodel: x\ninstructions: {file: a.md}",
        &"f".into(),
        &mut Problems::new(),
    )
    .unwrap();
    let mut context = ParseContext {
        source: ConfigSource { file: "f".into(), format: "holodeck", directory: "/p".into() },
        path: Some("agents/support/my.yaml".into()),
        needs_base: true,
        imported: BTreeMap::new(),
        files: BTreeMap::new(),
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

#[test]
fn holodeck_s_config_completes_the_deployment() {
    let agent = "name: a\ndeployment:\n  port: 9000\n  environment: {LOG: debug, OWN: x}\n";
    let config = "\
providers: {openai: {provider: openai}}
deployment:
  port: 1
  protocol: ag-ui
  environment: {REGION: eu, LOG: info, TOKEN: '${TOKEN}'}
";
    let files = [("config.yml", config), ("config.yaml", "deployment: {port: 2}")];
    let (both, problems) = read_beside("holodeck", agent, BTreeMap::new(), &files);
    assert_eq!(problems, [""; 0]);
    let both = both.unwrap();
    let env: Vec<_> =
        both.run.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        env,
        [
            ("HOLODECK_PORT", "9000"),
            ("HOLODECK_PROTOCOL", "ag-ui"),
            ("HOLODECK_AGENT_CONFIG", "/app/agent.yaml"),
            ("REGION", "eu"),
            ("LOG", "debug"),
            ("OWN", "x"),
        ]
    );
    assert_eq!(both.required_at_run_time, ["TOKEN"]);
    let lines: Vec<_> = both
        .left_out
        .iter()
        .map(|problem| format!("{}: {}", problem.position, problem.message))
        .collect();
    assert_eq!(
        lines,
        ["config.yml:1:1: the image lacks this file, and the agent what it says of `providers`"]
    );

    let (alone, _) = read_beside("holodeck", "name: a\nmodel: x\n", BTreeMap::new(), &files[1..]);
    assert_eq!(alone.unwrap().run.ports, ["2/tcp"]);
    let wrong = [("config.yaml", "deployment: {port: 2, port: 3, prt: 1}")];
    let (_, problems) = read_beside("holodeck", "name: a\n", BTreeMap::new(), &wrong);
    assert_eq!(
        problems,
        [
            "config.yaml:1:23: the key `port` stands here twice; the first one is in line 1: remove one \
             of them",
            "config.yaml:1:32: unknown key `prt` in `deployment`; did you mean `port`?",
        ]
    );
}

#[test]
fn what_an_agent_does_not_start_with_is_told() {
    for (text, problems) in [
        (
            "name: a\nmodel: x",
            &[
                "agent.yaml:1:1: the agent has no `instructions`; write `instructions: {file: …}` or `instructions: {inline: …}`",
            ][..],
        ),
        (
            "name: a\ninstructions: {inline: x}",
            &["agent.yaml:1:1: the agent has no `model`; write `model: {provider: …, name: …}`"],
        ),
        (
            "name: a\nmodel: x\ninstructions: {}\ndeployment: {environment: {A: 'x${B'}, protocol: grpc}",
            &[
                "agent.yaml:4:31: `${B` has no `}`; write `${NAME}`: as it is, HoloDeck does not replace it",
                "agent.yaml:4:50: `grpc` is no value of `protocol`; expected one of `rest`, `ag-ui`",
            ],
        ),
    ] {
        let (_, found) = testing::read("holodeck", text, BTreeMap::new());
        assert_eq!(found, problems, "{text}");
    }
}

#[test]
fn unknown_keys_are_told_with_what_was_meant() {
    let (config, problems) = read("holodeck", "name: a\ntoolz: []\nx-team: b\n", BTreeMap::new());
    assert_eq!(problems, [""; 0]);
    let line = |problem: Problem| {
        format!("{}: {}; {}", problem.position, problem.message, problem.hint.unwrap())
    };
    let lines: Vec<_> = config.unwrap().unknown_keys.into_iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "agent.yaml:2:1: HoloDeck knows no key `toolz` in an agent; did you mean `tools`?",
            "agent.yaml:3:1: HoloDeck knows no key `x-team` in an agent; remove it: an agent with an \
             unknown key does not start",
        ]
    );
}
