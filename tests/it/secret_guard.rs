//! Nothing that looks like a credential gets into an image unless the config allows it. What looks like one
//! here is put together, so that no file of ours does.

use serde_json::Value;

use crate::support::cli::{Outcome, Sandbox};
use crate::support::fault_proxy::FaultProxy;
use crate::support::registry::Registry;

const CONFIG: &str =
    "name: p\nbase: builtin:static\nlayers: [{kind: files, copy: [{src: src, dest: /app}]}]\n";

const WHAT: &str = "this looks like credentials, and whoever can pull the image could read it:";

/// The part of a token that nobody may see.
const SECRET: &str = "h4Zt9qLw2Xc7Vb1Nm8Kj";

fn token() -> String {
    ["gl", "pat-", SECRET].concat()
}

fn pem(label: &str) -> String {
    let dashes = "-".repeat(5);
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    format!("{dashes}BEGIN {label}{dashes}\n{line}\n{dashes}END {label}{dashes}\n")
}

/// A project with four files that look like credentials, in one way or another.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("p/dockless.yaml", CONFIG);
    sandbox.write("p/src/main.py", "print('hello')\n");
    sandbox.write("p/src/.env", "A=b\n");
    sandbox.write("p/src/tls.pem", pem("CERTIFICATE") + &pem("RSA PRIVATE KEY"));
    sandbox.write("p/src/ca.pem", pem("CERTIFICATE"));
    sandbox.write("p/src/settings.py", format!("import os\nTOKEN = '{}'\n", token()));
    sandbox.write("p/src/home/.aws/config", "");
    sandbox.write("p/src/home/.aws/sso/cache", "");
    sandbox
}

/// What `project` is refused with.
const REFUSAL: [&str; 4] = [
    "`src/.env`: a file of variables, by its name",
    "`src/home/.aws/`: a folder of credentials, by its name",
    "`src/settings.py`, line 2: a GitLab token",
    "`src/tls.pem`: a key, by its name, and not a public one",
];

/// The error of a command, without what happened before it.
#[track_caller]
fn error(outcome: &Outcome) -> Vec<&str> {
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
    assert!(!outcome.stderr.contains(SECRET), "{outcome:#?}");
    let lines: Vec<&str> = outcome.stderr.lines().map(str::trim).collect();
    let start = lines.iter().position(|line| line.starts_with("error: ")).unwrap();
    lines[start..].to_vec()
}

fn files(sandbox: &Sandbox, layout: &str) -> String {
    let image = format!("oci:{layout}");
    let folder = sandbox.work();
    let raw = crate::support::image::run("skopeo", &["inspect", "--raw", &image], &folder);
    let manifest: Value = serde_json::from_str(&raw).unwrap();
    let layer = manifest["layers"].as_array().unwrap().last().unwrap()["digest"].as_str().unwrap();
    let blob = format!("{layout}/blobs/{}", layer.replace(':', "/"));
    crate::support::image::run("tar", &["-tzf", &blob], &folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_like_a_credential_goes_nowhere() {
    let (sandbox, registry) = (project(), Registry::start());
    let proxy = FaultProxy::start(&registry.host()).await;
    let to = format!("{}/a/b:v1", proxy.server().host());
    for words in [
        vec!["build", "p", "-o", "oci:out"],
        vec!["build", "p", "--dry-run"],
        vec!["build", "p", "--no-cache", "--compression", "zstd"],
        vec!["push", "p", "--to", &to],
    ] {
        let outcome = sandbox.run(&words);
        let mut expected = vec!["error: look for secrets", WHAT];
        expected.extend(REFUSAL);
        expected.extend([
            "hint: leave it out: in `.dockerignore`, `exclude`, or in dockless.yaml `ignore: \
             [\"src/.env\", \"src/home/.aws\", \"src/settings.py\", \"src/tls.pem\"]`",
            "hint: or, when it is no secret, allow it in dockless.yaml: `allow_secrets: \
             [\"src/.env\", \"src/home/.aws\", \"src/settings.py\", \"src/tls.pem\"]`",
        ]);
        assert_eq!(error(&outcome), expected, "{words:?}");
    }
    assert!(!sandbox.work().join("out").exists());
    let sent =
        proxy.server().seen().into_iter().filter(|seen| !["GET", "HEAD"].contains(&&*seen.method));
    assert_eq!(sent.count(), 0);
}

#[test]
fn an_image_is_not_verified_against_a_project_with_secrets() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    sandbox.write("p/dockless.yaml", CONFIG);
    sandbox.write("p/src/main.py", "");
    let to = format!("{}/a/b:v1", registry.host());
    sandbox.succeed(["push", "p", "--to", &to]);
    sandbox.write("p/src/.netrc", "");
    let outcome = sandbox.run(["verify", &to, "p"]);
    assert_eq!(error(&outcome)[2], "`src/.netrc`: a file of credentials, by its name");
}

#[test]
fn what_is_left_out_or_allowed_stops_nothing() {
    let sandbox = project();
    let lists = "ignore: [src/home, '**/.env']\nallow_secrets: [src/settings.py, '**/tls.*']\n";
    sandbox.write("p/dockless.yaml", format!("{CONFIG}{lists}"));
    let outcome = sandbox.run(["build", "p", "-o", "oci:out"]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let told: Vec<_> =
        outcome.stderr.lines().filter_map(|line| Some(&line[line.find("allowed by")?..])).collect();
    assert_eq!(
        told,
        [
            "allowed by `allow_secrets`: `src/settings.py`, line 2 (a GitLab token)",
            "allowed by `allow_secrets`: `src/tls.pem` (a key, by its name, and not a public one)",
        ]
    );
    assert_eq!(
        files(&sandbox, "out"),
        "app/\napp/ca.pem\napp/main.py\napp/settings.py\napp/tls.pem\n"
    );
    // All the same, without a word of what was packed before.
    assert_eq!(sandbox.run(["build", "p"]).stdout, outcome.stdout);
}

#[test]
fn what_allows_nothing_is_named() {
    let sandbox = Sandbox::new();
    let lists =
        "allow_secrets: [src/key.pem, '…']\nallow_env: [CACHE_KEY, GONE]\nenv: {CACHE_KEY: v1}\n";
    sandbox.write("p/dockless.yaml", format!("{CONFIG}{lists}"));
    sandbox.write("p/src/key.pem", "");
    let outcome = sandbox.run(["build", "p"]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let warned: Vec<_> = outcome
        .stderr
        .lines()
        .filter_map(|line| line.strip_suffix(" allows nothing"))
        .filter_map(|line| line.strip_prefix("warning: "))
        .collect();
    assert_eq!(warned, ["`…` in `allow_secrets`", "`GONE` in `allow_env`"], "{outcome:#?}");
}

#[test]
fn patterns_that_are_none_are_refused_where_they_stand() {
    let sandbox = project();
    sandbox.write("p/dockless.yaml", format!("{CONFIG}ignore: [a, '[b']\nallow_secrets: '!'\n"));
    let outcome = sandbox.run(["build", "p"]);
    let problems: Vec<_> =
        error(&outcome).into_iter().filter(|line| line.contains("dockless.yaml:")).collect();
    assert_eq!(
        problems,
        [
            "p/dockless.yaml:4:13: `[b` in `ignore` is not a pattern: a `[` is not closed",
            "p/dockless.yaml:5:16: `!` in `allow_secrets` is not a pattern: `!` needs a pattern after it",
        ]
    );
}

/// A name in the image counts as well, and so does what is rendered.
#[test]
fn what_is_made_here_is_looked_at() {
    let sandbox = Sandbox::new();
    let config = "name: p\nbase: builtin:static\nlayers:\n  \
        - {kind: files, copy: [{src: npm, dest: /root/.npmrc}]}\n  \
        - {kind: template, file: run.j2, dest: /run.sh, variables: {token: '@'}}\n";
    sandbox.write("p/dockless.yaml", config.replace('@', &token()));
    sandbox.write("p/npm", "save-exact=true\n");
    sandbox.write("p/run.j2", "#!/bin/sh\n\nexport TOKEN={{ token }}\n");
    let outcome = sandbox.run(["build", "p"]);
    assert_eq!(
        error(&outcome)[2..],
        [
            "`/run.sh`, line 3: a GitLab token",
            "`npm` (in the image `/root/.npmrc`): a file of credentials, by its name",
            "hint: what the config names itself, such as `npm`, it must no longer name (`ignore` is not enough)",
            "hint: take the secret out of the template or its variables: the container is given it when it starts",
            "hint: or, when it is no secret, allow it in dockless.yaml: `allow_secrets: [\"npm\", \"run.sh\"]`",
        ]
    );
    let config = format!("{config}allow_secrets: [npm, run.sh]\n").replace('@', &token());
    sandbox.write("p/dockless.yaml", config);
    sandbox.succeed(["build", "p"]);
}

#[test]
fn an_agent_is_told_what_to_write_beside_it() {
    let sandbox = Sandbox::new();
    let agent = format!(
        "name: a\nmodel: {{provider: openai, api_key: '{}'}}\ninstructions: {{file: i.md}}\n\
         tools:\n  - {{type: vectorstore, source: data}}\n",
        token()
    );
    sandbox.write("a/agent.yaml", &agent);
    sandbox.write("a/i.md", "Be kind.\n");
    sandbox.write("a/data/notes.md", "");
    sandbox.write("a/data/.env", "");
    let build = ["build", "a", "--base", "builtin:static"];
    let outcome = sandbox.run(build);
    assert_eq!(
        error(&outcome)[2..],
        [
            "`agent.yaml`, line 2: a GitLab token",
            "`data/.env`: a file of variables, by its name",
            "hint: in `agent.yaml`, write `${NAME}` in place of the value: the container is given it when it starts",
            "hint: leave it out: in a `dockless.yaml` beside it, write `agent: agent.yaml` and, in the next line, \
             `ignore: [\"data/.env\"]`",
            "hint: or, when it is no secret, allow it: in a `dockless.yaml` beside it, write `agent: agent.yaml` \
             and, in the next line, `allow_secrets: [\"agent.yaml\", \"data/.env\"]`",
        ]
    );
    sandbox.write("a/agent.yaml", agent.replace(&token(), "${KEY}"));
    sandbox.write("a/dockless.yaml", "agent: agent.yaml\nignore: [data/.env]\n");
    sandbox.succeed(build);
}

#[test]
fn commands_of_ours_hold_no_secrets() {
    let sandbox = Sandbox::new();
    let config = "name: p\nbase: builtin:static\nentrypoint: [/a, --api-key, hunter2, --tls-key=/k]\ncmd:\n  \
        - --auth=@@\n  - DB_PASSWORD=${DB_PASSWORD}\nhealth:\n  test: [CMD, /b, '--password=hun ter2']\n";
    let config = config.replace("@@", &token());
    sandbox.write("p/dockless.yaml", &config);
    let outcome = sandbox.run(["build", "p"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
    let shown = [SECRET, "hunter2", "ter2"].map(|text| outcome.stderr.contains(text));
    assert_eq!(shown, [false; 3], "{outcome:#?}");
    let lines = outcome.stderr.lines().map(str::trim);
    let told: Vec<_> = lines.filter(|line| line.contains(" looks like ")).collect();
    let end = "whoever can pull the image could read it";
    assert_eq!(
        told,
        [
            format!(
                "p/dockless.yaml:3:29: `api-key` in `entrypoint` looks like a secret, by its name: {end}"
            ),
            format!("p/dockless.yaml:5:5: a word of `cmd` looks like a GitLab token: {end}"),
            format!(
                "p/dockless.yaml:8:19: `password` in `health.test` looks like a secret, by its name: {end}"
            ),
        ]
    );
    // Allowed, it is in the image, and shown to nobody who looks at it.
    let config = config.replace(&token(), "x") + "allow_env: [api-key, password]\n";
    sandbox.write("p/dockless.yaml", config);
    sandbox.succeed(["build", "p", "-o", "oci:out"]);
    let shown = sandbox.succeed(["inspect", "oci:out"]);
    assert!(!shown.contains("hunter2") && !shown.contains("ter2"), "{shown}");
    assert!(shown.contains("--password=(not shown)"), "{shown}");
}

#[test]
fn variables_and_labels_of_ours_hold_no_secrets() {
    let sandbox = Sandbox::new();
    let config = "name: p\nbase: builtin:static\nenv:\n  OPENAI_API_KEY: abc\n  EMPTY_TOKEN: ''\n  KEY_PATH: /k\n  \
        URL: https://x:@@@h/\n  CACHE_KEY: v1\nlabels: {note: '@@'}\nallow_env: CACHE_KEY\n";
    let config = config.replace("@@", &token());
    sandbox.write("p/dockless.yaml", &config);
    let annotation = format!("a={}", token());
    let outcome = sandbox.run(["build", "p", "--annotation", &annotation]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
    let shown = [SECRET, "abc", "OPENAI_API_KEY: "].map(|text| outcome.stderr.contains(text));
    assert_eq!(shown, [false; 3], "{outcome:#?}");
    let told: Vec<_> = outcome
        .stderr
        .lines()
        .filter(|line| line.contains(" looks like "))
        .map(str::trim)
        .collect();
    let end = "whoever can pull the image could read it";
    assert_eq!(
        told,
        [
            format!("the annotation `a` looks like a GitLab token: {end}"),
            format!(
                "p/dockless.yaml:4:19: the variable `OPENAI_API_KEY` looks like a secret, by its name: {end}"
            ),
            format!("p/dockless.yaml:7:8: the variable `URL` looks like a GitLab token: {end}"),
            format!("p/dockless.yaml:9:16: the label `note` looks like a GitLab token: {end}"),
        ]
    );
}

#[test]
fn an_agents_own_settings_are_looked_at() {
    let sandbox = Sandbox::new();
    let agent = |settings: &str| {
        format!(
            "name: a\ninstructions: {{inline: be kind}}\nmodel:\n  provider: openai\n{settings}"
        )
    };
    let build = |settings: &str| {
        sandbox.write("a/agent.yaml", agent(settings));
        sandbox.run(["build", "a", "--base", "builtin:static"])
    };
    let hint = "write `${NAME}` in its place, and give the container that variable; or, when it is no \
                secret, allow it: in a `dockless.yaml` beside it, `agent: agent.yaml` and `allow_env: ";
    let key = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let outcome = build(&format!("  api_key: {key}\n"));
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let message = "a/agent.yaml:5:12: the agent's `api_key` looks like a secret, by its name: whoever can pull the image could read it";
    assert!(outcome.stderr.contains(message), "{outcome:#?}");
    assert!(outcome.stderr.contains(&format!("{hint}[api_key]`")), "{outcome:#?}");
    assert!(!outcome.stderr.contains(key), "{outcome:#?}");
    let url = ["postgres://admin:", SECRET, "@db/x"].concat();
    let outcome = build(&format!("tools: [{{type: mcp, name: t, connection_string: '{url}'}}]\n"));
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(!outcome.stderr.contains(SECRET), "{outcome:#?}");
    for settings in ["  api_key: ${OPENAI_API_KEY}\n", "  max_tokens: 5\n", "  api_key: your-key\n"]
    {
        let outcome = build(settings);
        assert_eq!(outcome.code, 0, "{outcome:#?}");
    }
}
