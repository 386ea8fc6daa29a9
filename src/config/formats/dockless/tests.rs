use std::collections::BTreeMap;

use super::*;
use crate::config::format::testing::read;
use crate::config::{
    ConfigSource, Health, Position, PublishSettings, RunSettings, SecretSettings, TagSpec, Template,
};

const WHOLE: &str = r#"
requires: ">=0.1"
name: research-agent
base: python:3.12-slim
platforms: [linux/amd64]
layers:
  - kind: files
    copy:
      - {src: data, dest: /srv/data, exclude: ["**/*.tmp"]}
      - {src: src, dest: /app, mode: "0644", dir_mode: "0755", owner: "0:0"}
  - kind: template
    template: entrypoint.sh
    dest: /app/entrypoint.sh
  - {kind: builtin, name: ca-certificates, add: [corp.pem]}
user: "65532"
workdir: /app
env: {LOG_LEVEL: info}
entrypoint: [python, -m, agent]
ports: [8080]
health: {path: /health, port: 8080}
labels: {com.example.team: search}
image: [ghcr.io/acme/research-agent]
tags: ["{{ git.sha7 }}", {tag: latest, when: default_branch}]
x-anything: ignored
"#;

fn source() -> ConfigSource {
    ConfigSource { file: "dockless.yaml".into(), format: "dockless", directory: "/project".into() }
}

/// Words with their lines and columns.
type Words<'a> = &'a [(&'a str, u32, u32)];

/// Commands by name.
fn commands(
    commands: &[(&'static str, Words<'_>)],
) -> BTreeMap<&'static str, Vec<(String, Position)>> {
    let word = |(text, line, column): &(&str, u32, u32)| {
        let position = Position { file: "dockless.yaml".into(), line: *line, column: *column };
        ((*text).to_owned(), position)
    };
    commands.iter().map(|(name, words)| (*name, words.iter().map(word).collect())).collect()
}

/// Only where values stand.
fn places(places: &[(Setting, &str, u32, u32)]) -> SecretSettings {
    let place = |(setting, name, line, column): &(Setting, &str, u32, u32)| {
        let position = Position { file: "dockless.yaml".into(), line: *line, column: *column };
        ((*setting, (*name).to_owned()), position)
    };
    SecretSettings { places: places.iter().map(place).collect(), ..SecretSettings::default() }
}

fn template(text: &str, line: u32, column: u32) -> Template {
    let position = Position { file: "dockless.yaml".into(), line, column };
    Template { text: text.into(), position }
}

#[test]
fn reads_everything_that_is_written() {
    let (config, problems) = read("dockless", WHOLE, BTreeMap::new());
    assert_eq!(problems, [""; 0]);
    let mut config = config.unwrap();
    let layers: Vec<_> = std::mem::take(&mut config.layers)
        .into_iter()
        .map(|layer| (layer.kind, layer.kind_position.line, layer.settings.in_one_line()))
        .collect();
    assert_eq!(
        layers,
        [
            (
                "files".into(),
                7,
                "{kind: files, copy: [{src: data, dest: /srv/data, exclude: [\"**/*.tmp\"]}, \
                 {src: src, dest: /app, mode: \"0644\", dir_mode: \"0755\", owner: \"0:0\"}]}"
                    .into(),
            ),
            (
                "template".into(),
                11,
                "{kind: template, template: entrypoint.sh, dest: /app/entrypoint.sh}".into(),
            ),
            (
                "builtin".into(),
                14,
                "{kind: builtin, name: ca-certificates, add: [corp.pem]}".to_owned(),
            ),
        ]
    );
    assert_eq!(
        config,
        Config {
            name: "research-agent".into(),
            base: Base::Registry("python:3.12-slim".parse().unwrap()),
            run: RunSettings {
                user: Some("65532".into()),
                workdir: Some("/app".into()),
                env: vec![("LOG_LEVEL".into(), "info".into())],
                entrypoint: Some(vec!["python".into(), "-m".into(), "agent".into()]),
                ports: vec!["8080/tcp".into()],
                health: Some(Health {
                    path: Some("/health".into()),
                    port: Some(8080),
                    check: None
                }),
                ..RunSettings::default()
            },
            labels: BTreeMap::from([("com.example.team".into(), "search".into())]),
            publish: PublishSettings {
                repositories: vec![template("ghcr.io/acme/research-agent", 22, 9)],
                tags: vec![
                    TagSpec { tag: template("{{ git.sha7 }}", 23, 8), when: None },
                    TagSpec {
                        tag: template("latest", 23, 32),
                        when: Some(template("default_branch", 23, 46)),
                    },
                ],
                credentials_env_prefix: None,
                new_repository: None,
            },
            secrets: SecretSettings {
                commands: commands(&[(
                    "entrypoint",
                    &[("python", 18, 14), ("-m", 18, 22), ("agent", 18, 26)],
                )]),
                ..places(&[
                    (Setting::Variable, "LOG_LEVEL", 17, 18),
                    (Setting::Label, "com.example.team", 21, 28),
                ])
            },
            ..Config::empty(source())
        }
    );
}

#[test]
fn reads_the_rarer_settings() {
    let text = "name: x\nbase: oci:out:v1\nplatform: linux/arm64\ncmd: [a, '']\n\
                    entrypoint: []\nvolumes: /data/\nports: [8080, 8080/tcp, 53/udp]\n\
                    stop_signal: 15\nannotations: {a: 1}\nmtime: 86400\nvcs_labels: off\n\
                    credentials_env_prefix: GHCR\nimage: ${HOST}/x\ntags: v1\ncompression: zstd\nuser:\n";
    let (config, problems) = read("dockless", text, BTreeMap::new());
    assert_eq!(problems, [""; 0]);
    assert_eq!(
        config,
        Some(Config {
            name: "x".into(),
            base: Base::Layout { path: "out".into(), selector: Some("v1".into()) },
            platforms: vec![Platform::new("linux", "arm64", None)],
            compression: LayerCompression::Zstd,
            run: RunSettings {
                entrypoint: Some(vec![]),
                cmd: Some(vec!["a".into(), String::new()]),
                ports: vec!["8080/tcp".into(), "53/udp".into()],
                volumes: vec!["/data".into()],
                stop_signal: Some("15".into()),
                ..RunSettings::default()
            },
            annotations: BTreeMap::from([("a".into(), "1".into())]),
            has_vcs_labels: false,
            mtime: 86400,
            publish: PublishSettings {
                repositories: vec![template("${HOST}/x", 13, 8)],
                tags: vec![TagSpec { tag: template("v1", 14, 7), when: None }],
                credentials_env_prefix: Some("GHCR".into()),
                new_repository: None,
            },
            secrets: SecretSettings {
                commands: commands(&[("cmd", &[("a", 4, 7), ("", 4, 10)]), ("entrypoint", &[]),]),
                ..places(&[(Setting::Annotation, "a", 9, 18)])
            },
            ..Config::empty(source())
        })
    );
}

#[test]
fn what_is_left_out_and_allowed_is_read_with_its_places() {
    let text = "name: x\nbase: scratch\nignore: ['**/*.log', data]\nallow_secrets: a\nallow_env: [KEY, 1A]\n";
    let (config, problems) = read("dockless", text, BTreeMap::new());
    assert_eq!(
        problems,
        ["dockless.yaml:5:18: `1A` is no name for a variable; \
              letters, digits, `_`, `.` or `-`, starting with a letter or `_`"]
    );
    let pattern = |text: &str, line, column| {
        (text.to_owned(), Position { file: "dockless.yaml".into(), line, column })
    };
    assert_eq!(
        config.unwrap().secrets,
        SecretSettings {
            ignore: vec![pattern("**/*.log", 3, 10), pattern("data", 3, 22)],
            allow_secrets: vec![pattern("a", 4, 16)],
            allow_env: ["KEY".to_owned(), "1A".to_owned()].into(),
            ..SecretSettings::default()
        }
    );
}

#[test]
fn a_version_that_does_not_fit_is_all_there_is_to_say() {
    for requires in [">=0.1", "0.1", "=0.1.0", ">=0.1, <2", "*"] {
        let text = format!("requires: \"{requires}\"\nname: x\nbase: scratch\n");
        assert_eq!(read("dockless", &text, BTreeMap::new()).1, [""; 0], "{requires}");
    }
    let text = "requires: '>=99'\nunknown: 1\nunknown: 2\nbase: [no]\n";
    let problem = format!(
        "dockless.yaml:1:11: this file requires dockless `>=99`, and this is {}; \
             install a version that fits",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(read("dockless", text, BTreeMap::new()), (None, vec![problem]));
}

#[test]
fn a_release_candidate_counts_as_its_release() {
    let range = ">=0.2".parse().unwrap();
    let versions = ["0.1.9", "0.2.0-rc.1", "0.2.0", "1.0.0"];
    assert_eq!(versions.map(|version| allows(&range, version)), [false, true, true, true]);
}

#[test]
fn adds_to_an_agent() {
    let agent = "name: agent\nmodel: {api_key: '${KEY}'}\ninstructions: {file: a.md}\n\
                     deployment: {environment: {A: '1', B: '${B}'}}\n";
    let (imported, problems) = read("holodeck", agent, BTreeMap::new());
    assert_eq!(problems, [""; 0]);
    let imported = imported.unwrap();
    let text = "agent: agent.yaml\nbase: scratch\nenv: {A: '2', B: x, C: y}\nports: [9000]\n\
                    labels: {team: search}\nlayers: [{kind: files, copy: [x]}]\nuser: app\n\
                    image: ghcr.io/a/b\n";
    let (config, problems) =
        read("dockless", text, BTreeMap::from([("agent.yaml".into(), imported.clone())]));
    assert_eq!(problems, [""; 0]);
    let mut config = config.unwrap();
    let layer = config.layers.pop().unwrap();
    assert_eq!(layer.settings.in_one_line(), "{kind: files, copy: [x]}");
    let agent = std::mem::take(&mut config.secrets.agent);
    let names: Vec<_> = agent.iter().map(|(name, value, _)| (&**name, &**value)).collect();
    assert_eq!(names, [("name", "agent"), ("api_key", "${KEY}"), ("file", "a.md")]);
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let env = [
        ("HOLODECK_PORT", "8080"),
        ("HOLODECK_PROTOCOL", "rest"),
        ("HOLODECK_AGENT_CONFIG", "/app/agent.yaml"),
        ("A", "2"),
        ("B", "x"),
        ("C", "y"),
    ];
    assert_eq!(
        config,
        Config {
            base: Base::Scratch,
            run: RunSettings {
                user: Some("app".into()),
                env: env.into_iter().map(pair).collect(),
                ports: vec!["8080/tcp".into(), "9000/tcp".into()],
                ..imported.run.clone()
            },
            labels: [("com.holodeck.managed", "true"), ("team", "search")]
                .into_iter()
                .map(pair)
                .collect(),
            publish: PublishSettings {
                repositories: vec![template("ghcr.io/a/b", 8, 8)],
                ..PublishSettings::default()
            },
            required_at_run_time: vec!["KEY".into()],
            source: source(),
            secrets: places(&[
                (Setting::Variable, "A", 3, 10),
                (Setting::Variable, "B", 3, 18),
                (Setting::Variable, "C", 3, 24),
                (Setting::Label, "team", 5, 16),
            ]),
            ..imported
        }
    );
}

#[test]
fn an_entrypoint_of_its_own_clears_the_agents_cmd() {
    let (imported, _) = read("holodeck", "name: a\nmodel: x\ninstructions: {}\n", BTreeMap::new());
    let mut imported = imported.unwrap();
    imported.run.cmd = Some(vec!["old".into()]);
    let imports = BTreeMap::from([("a".to_owned(), imported)]);
    let (config, _) = read("dockless", "agent: a\nentrypoint: [new]\n", imports);
    let run = config.unwrap().run;
    assert_eq!((run.entrypoint, run.cmd), (Some(vec!["new".into()]), None));
}

proptest::proptest! {
    #[test]
    fn never_panics_on_a_damaged_file(at in 0..WHOLE.len(), length in 0..20_usize, with in ".{0,8}") {
        let mut text = WHOLE.to_owned();
        text.replace_range(at..(at + length).min(WHOLE.len()), &with);
        let _ = read("dockless", &text, BTreeMap::new());
        let _ = read("holodeck", &text, BTreeMap::new());
    }
}
