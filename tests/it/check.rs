//! `dockless check`: what a push would meet, without a push.

use serde_json::{Value, json};

use crate::support::cli::{Outcome, Sandbox};
use crate::support::fault_proxy::{Fault, FaultProxy, refusal};
use crate::support::registry::{PASSWORD, Registry, USERNAME};

/// A project on this base.
fn project(sandbox: &Sandbox, base: &str) -> String {
    let file = sandbox.write("p/dockless.yaml", format!("name: p\nbase: {base}\n"));
    file.parent().unwrap().to_str().unwrap().to_owned()
}

/// How the variables of a host begin.
fn variables(host: &str) -> String {
    format!("DOCKLESS_REGISTRY_{}", host.replace(['.', ':'], "_"))
}

/// The command with the password for one host in the environment.
fn logged_in(sandbox: &Sandbox, host: &str, password: &str, arguments: &[&str]) -> Outcome {
    let prefix = variables(host);
    let mut command = sandbox.command(arguments);
    command.env(format!("{prefix}_USERNAME"), USERNAME);
    command.env(format!("{prefix}_PASSWORD"), password);
    Outcome::of(&mut command)
}

#[test]
fn what_is_allowed_is_said_with_whose_credentials() {
    let (sandbox, open, closed) =
        (Sandbox::new(), Registry::start(), Registry::start_with_password());
    let (open, closed) = (open.host(), closed.host());
    let base = format!("{open}/team/base:v1");
    let hello = sandbox.project("hello");
    sandbox.succeed(["push", hello.to_str().unwrap(), "--to", &base]);
    let project = project(&sandbox, &base);
    let to = format!("{closed}/acme/agent:v2");
    let outcome = logged_in(&sandbox, &closed, PASSWORD, &["check", &project, "--to", &to]);
    let variable = variables(&closed);
    let mut blocks = [
        format!(
            "{open}: http, allowed on this machine\n  pull team/base:v1: allowed\n    as nobody, without credentials\n"
        ),
        format!(
            "{closed}: http, allowed on this machine\n  push acme/agent: allowed\n    \
             as user `bob` from `{variable}_USERNAME`\n"
        ),
    ];
    blocks.sort();
    assert_eq!((outcome.code, outcome.stdout), (0, blocks.concat()), "{}", outcome.stderr);
}

#[test]
fn one_registry_that_fails_does_not_hide_the_others() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_password());
    let host = registry.host();
    let project = project(&sandbox, "builtin:static");
    // Nothing listens on port 9.
    let places = format!("127.0.0.1:9/gone/app,{host}/acme/agent");
    let arguments = ["check", &project, "--to", &places, "--json"];
    for (password, kind, code) in [(PASSWORD, None, 3), ("canary", Some("usage"), 2)] {
        let outcome = logged_in(&sandbox, &host, password, &arguments);
        assert_eq!(outcome.code, code, "{outcome:#?}");
        assert!(!outcome.stderr.contains("canary") && !outcome.stdout.contains("canary"));
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let checks = document["checks"].as_array().unwrap();
        let mut summary: Vec<_> = checks
            .iter()
            .map(|check| json!([check["repository"], check["is_allowed"], check["error"]["kind"]]))
            .collect();
        summary.sort_by_key(|row| row[1].as_bool() == Some(true) || row[2] != "failed");
        assert_eq!(
            summary,
            [
                json!(["127.0.0.1:9/gone/app", false, "failed"]),
                json!([format!("{host}/acme/agent"), kind.is_none(), kind]),
            ]
        );
        assert!(outcome.stderr.contains("of 2 checks failed"), "{}", outcome.stderr);
    }
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_with_its_cure_and_nothing_is_written() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let proxy = FaultProxy::start(&registry.host()).await;
    let host = proxy.server().host();
    proxy.on("HEAD", "/manifests/", [refusal(403, "DENIED")]);
    proxy.on("POST", "/blobs/uploads/", [refusal(403, "DENIED")]);
    let project = project(&sandbox, "builtin:static");
    let to = format!("{host}/acme/agent");
    let mut command = sandbox.command(["check", &project, "--to", &to]);
    let outcome = tokio::task::spawn_blocking(move || Outcome::of(&mut command)).await.unwrap();
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(outcome.stdout.contains("  push acme/agent: FAILED\n"), "{}", outcome.stdout);
    let tried = format!("    nothing from `{}_PASSWORD`: it is not set\n", variables(&host));
    assert!(outcome.stdout.contains(&tried), "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("    hint: give this identity the right to push to"),
        "{}",
        outcome.stdout
    );
    let requests = proxy.server().requests();
    assert!(!requests.iter().any(|request| request.starts_with("PUT")), "{requests:?}");
}

#[test]
fn credentials_that_are_missing_are_the_users_turn() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_password());
    let host = registry.host();
    let project = project(&sandbox, &format!("{host}/team/base:v1"));
    let outcome = sandbox.run(["check", &project]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let hint = format!(
        "    hint: log in to `{host}`: `dockless login {host} --username NAME --password-stdin`; or set"
    );
    assert!(outcome.stdout.contains(&hint), "{}", outcome.stdout);
}

#[test]
fn a_project_without_registries_has_nothing_to_check() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox, "scratch");
    assert_eq!(sandbox.succeed(["check", &project]), "there is no registry to check");
}

#[tokio::test]
async fn a_registry_that_stalls_does_not_hide_the_others() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let proxy = FaultProxy::start(&registry.host()).await;
    proxy.on("HEAD", "/manifests/", [Fault::Hang]);
    let (open, stalled) = (registry.host(), proxy.server().host());
    let project = project(&sandbox, "builtin:static");
    let to = format!("{open}/a/b,{stalled}/a/b");
    let mut command =
        sandbox.command(["check", &project, "--to", &to, "--timeout", "1s", "--json"]);
    let outcome = tokio::task::spawn_blocking(move || Outcome::of(&mut command)).await.unwrap();
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let mut summary: Vec<_> = document["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| {
            let error = &check["error"];
            let message = error["message"][0].as_str();
            json!([check["registry"], check["is_allowed"], message, error["is_retryable"]])
        })
        .collect();
    summary.sort_by_key(|row| row[1] == true);
    let told = format!("not done after 1s; not answered yet: push to `{stalled}/a/b`");
    assert_eq!(summary, [json!([stalled, false, told, true]), json!([open, true, null, null])]);
}

#[test]
fn a_registry_is_reached_when_it_has_answered() {
    let (sandbox, closed) = (Sandbox::new(), Registry::start_with_password());
    let host = closed.host();
    let project = project(&sandbox, "builtin:static");
    let outcome = sandbox.run(["check", &project, "--to", "127.0.0.1:9/a"]);
    assert!(outcome.stdout.starts_with("127.0.0.1:9: not reached\n"), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("nothing from"), "{}", outcome.stdout);
    // Nothing listens on port 9: neither a registry nor a proxy to one.
    let to = format!("{host}/a/b,registry.test/a/b");
    let mut command = sandbox.command(["check", &project, "--to", &to, "--json"]);
    command.env("HTTPS_PROXY", "http://127.0.0.1:9");
    let outcome = Outcome::of(&mut command);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let mut ways: Vec<_> = document["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| json!([check["registry"], check["transport"], check["tls"], check["proxy"]]))
        .collect();
    ways.sort_by_key(|way| way[0] == "registry.test");
    assert_eq!(
        ways,
        [
            json!([host, "http, allowed on this machine", false, null]),
            json!(["registry.test", "not reached", null, "127.0.0.1:9"]),
        ],
        "{}",
        outcome.stderr
    );
    assert_eq!((outcome.code, &document["exit_code"]), (2, &json!(2)));
}

#[test]
fn json_parts_the_user_from_where_the_password_is_from() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_password());
    let host = registry.host();
    let project = project(&sandbox, "builtin:static");
    let to = format!("{host}/a/b");
    let arguments = ["check", &project, "--to", &to, "--json"];
    let outcome = logged_in(&sandbox, &host, PASSWORD, &arguments);
    let mut document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    document["checks"][0].as_object_mut().unwrap().remove("tried");
    let variable = variables(&host);
    assert_eq!(
        document,
        json!({
            "checks": [{
                "registry": host,
                "repository": to,
                "right": "push",
                "is_allowed": true,
                "transport": "http, allowed on this machine",
                "tls": false,
                "proxy": null,
                "identity": format!("user `bob` from `{variable}_USERNAME`"),
                "user": "bob",
                "source": format!("{variable}_USERNAME"),
                "error": null,
            }],
            "targets": [],
            "exit_code": 0,
        })
    );
}
