//! `dockless init`: a first config that is true of the folder.

use std::fs;

use serde_json::{Value, json};

use crate::support::cli::Sandbox;

/// The config without its comments and blank lines.
fn said(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn every_kind_of_folder_gets_a_config_that_works() {
    type Files<'a> = &'a [(&'a str, &'a str)];
    let rest = "workdir: /app\n";
    let user = "user: \"65532\"";
    let copy = |src: &str, exclude: &str| {
        let exclude = match exclude {
            "" => String::new(),
            names => {
                let lines = names.split(' ').map(|name| format!("\n          - \"/{name}\""));
                format!("\n        exclude:{}", lines.collect::<String>())
            }
        };
        format!(
            "layers:\n  - kind: files\n    copy:\n      - src: {src}\n        dest: /app{exclude}\n"
        )
    };
    let cases: [(&str, Files, String); 11] = [
        (
            "holodeck",
            &[("agent.yaml", "name: a\nmodel: {provider: x}\ninstructions: {inline: y}\n")],
            "agent: \"agent.yaml\"".into(),
        ),
        (
            "python",
            &[("main.py", ""), ("requirements.txt", "x\n"), (".env", "A=1\n"), ("venv/x", "")],
            format!(
                "name: \"p\"\nbase: python:3.12-slim\n{}{rest}entrypoint: [\"python\",\"main.py\"]\n{user}",
                copy(".", "venv .env dockless.yaml")
            ),
        ),
        (
            "python",
            &[
                ("pyproject.toml", "[project]\nrequires-python = \">=3.13\"\n"),
                ("src/my_agent/__init__.py", ""),
                ("src/my_agent/__main__.py", ""),
            ],
            format!(
                "name: \"p\"\nbase: python:3.13-slim\n{}{rest}entrypoint: \
                 [\"python\",\"-m\",\"my_agent\"]\n{user}",
                copy("src", "")
            ),
        ),
        (
            "python",
            &[("pyproject.toml", ""), (".python-version", "3.11.4\n"), ("src/lib/__init__.py", "")],
            format!("name: \"p\"\nbase: python:3.11-slim\n{}{rest}{user}", copy("src", "")),
        ),
        (
            "python",
            &[("only.py", "")],
            format!(
                "name: \"p\"\nbase: python:3.12-slim\n{}{rest}entrypoint: [\"python\",\"only.py\"]\n{user}",
                copy(".", "dockless.yaml")
            ),
        ),
        (
            "node",
            &[
                (
                    "package.json",
                    r#"{"scripts": {"start": "node --enable-source-maps bin/run.js"}, "engines": {"node": "^20"}}"#,
                ),
                ("bin/run.js", ""),
            ],
            format!(
                "name: \"p\"\nbase: node:20-slim\n{}{rest}entrypoint: \
                 [\"node\",\"--enable-source-maps\",\"bin/run.js\"]\n{user}",
                copy(".", "dockless.yaml")
            ),
        ),
        (
            "node",
            // A start that a shell would have to read, and a main file that is yet to be built.
            &[
                (
                    "package.json",
                    r#"{"scripts": {"start": "node a.js && x"}, "main": "dist/a.js"}"#,
                ),
                ("a.js", ""),
            ],
            format!("name: \"p\"\nbase: node:22-slim\n{}{rest}{user}", copy(".", "dockless.yaml")),
        ),
        (
            "node",
            &[("package.json", "no json"), ("index.js", "")],
            format!(
                "name: \"p\"\nbase: node:22-slim\n{}{rest}entrypoint: [\"node\",\"index.js\"]\n{user}",
                copy(".", "dockless.yaml")
            ),
        ),
        (
            "plain",
            &[("data/a", "1")],
            format!("name: \"p\"\nbase: builtin:static\n{}{user}", copy(".", "dockless.yaml")),
        ),
        ("plain", &[], format!("name: \"p\"\nbase: builtin:static\n{user}")),
        (
            "plain",
            &[("a", ""), (".gitlab-ci.yml", "")],
            format!(
                "name: \"p\"\nbase: builtin:static\n{}{user}",
                copy(".", ".gitlab-ci.yml dockless.yaml")
            ),
        ),
    ];
    for (kind, files, expected) in cases {
        let sandbox = Sandbox::new();
        fs::create_dir(sandbox.work().join("p")).unwrap();
        for (path, content) in files {
            sandbox.write(&format!("p/{path}"), content);
        }
        let text = sandbox.succeed(["init", "p", "--stdout"]);
        assert_eq!(said(&text), expected, "{files:?}\n{text}");
        let printed: Value =
            serde_json::from_str(&sandbox.succeed(["init", "p", "--stdout", "--json"])).unwrap();
        let document =
            json!({"file": "p/dockless.yaml", "kind": kind, "text": format!("{text}\n")});
        assert_eq!(printed, document);
        assert_eq!(sandbox.succeed(["init", "p"]), "p/dockless.yaml");
        let written = fs::read_to_string(sandbox.work().join("p/dockless.yaml")).unwrap();
        assert_eq!(written, format!("{text}\n"));
        let words = ["build", "p", "--dry-run", "--base", "builtin:static"];
        let outcome = sandbox.run(words);
        assert_eq!(outcome.code, 0, "{files:?}\n{text}\n{outcome:#?}");
        let is_about_config = |line: &str| line.contains("dockless.yaml:");
        assert!(!outcome.stderr.lines().any(is_about_config), "{files:?}\n{outcome:#?}");
    }
}

#[test]
fn a_config_says_why_and_what_can_be_added() {
    let sandbox = Sandbox::new();
    sandbox.write("my agent/main.py", "");
    sandbox.write("my agent/requirements.txt", "x\n");
    let expected = r#"# A Python project: it has requirements.txt.
name: "my-agent"

# With a digest (python:3.12-slim@sha256:…) it is the same in every build.
base: python:3.12-slim

# Nothing is run while an image is built, so nothing is installed. What requirements.txt names comes as files:
#   pip install --target site-packages -r requirements.txt
# Do that for the version of Python, and on the kind of machine, that the base is of. Then say
#   env: {PYTHONPATH: /app/site-packages}

layers:
  - kind: files
    copy:
      - src: .
        dest: /app
        # What else is not for the image goes here, or into a `.dockerignore`.
        exclude:
          - "/dockless.yaml"

workdir: /app
entrypoint: ["python","main.py"]

# A user without rights, by number: the base need not know it.
user: "65532"

# Values stand in the image for everybody to read; secrets are given to the container.
# env: {LOG_LEVEL: info}
# ports: [8080]
# health: {test: [CMD, PROGRAM], interval: 30s}

# Where `dockless push` pushes to, and under which tags; or say it there: `--to HOST/REPOSITORY -t TAG`.
# image: [HOST/REPOSITORY]
# tags: ["{{ git.sha7 }}", {tag: latest, when: default_branch}]
"#;
    assert_eq!(format!("{}\n", sandbox.succeed(["init", "my agent", "--stdout"])), expected);
    // What is proposed is a config, too.
    let with_all = expected.replace("\n# image: [HOST/REPOSITORY]", "\n# image: [r.io/a/b]");
    let proposed = ["env: {L", "ports", "health", "image", "tags"];
    let with_all = proposed
        .iter()
        .fold(with_all, |text, key| text.replace(&format!("\n# {key}"), &format!("\n{key}")));
    sandbox.write("my agent/dockless.yaml", with_all);
    let outcome =
        sandbox.run(["build", "my agent", "--dry-run", "--base", "builtin:static", "-t", "v1"]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
}

#[test]
fn a_config_that_is_there_is_left_as_it_is() {
    for name in ["dockless.yaml", "dockless.yml"] {
        let sandbox = Sandbox::new();
        let file = sandbox.write(&format!("p/{name}"), "mine");
        let outcome = sandbox.run(["init", "p"]);
        let expected = format!(
            "error: `p/{name}` is there already, and is left as it is\nhint: `dockless init --stdout` prints \
             what would be written\n"
        );
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
        assert_eq!(outcome.stderr, expected);
        assert_eq!(fs::read_to_string(file).unwrap(), "mine");
        assert_eq!(fs::read_dir(sandbox.work().join("p")).unwrap().count(), 1);
    }
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(["init", "absent"]);
    let expected = "error: `absent` is no folder\nhint: name the folder of the project\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (2, expected), "{outcome:#?}");
}

#[test]
fn an_agent_is_told_that_it_needs_no_config() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("holodeck");
    let mut command = sandbox.command(["init"]);
    let outcome = crate::support::cli::Outcome::of(command.current_dir(project));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "dockless.yaml\n"), "{outcome:#?}");
    let expected = "a HoloDeck agent needs no config: this file is for what it cannot say\n";
    assert_eq!(outcome.stderr, expected);
}
