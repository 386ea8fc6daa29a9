//! `dockless check`: what a push would meet, without a push.

use serde_json::{Value, json};

use crate::support::cli::{Outcome, Sandbox};
use crate::support::fault_proxy::{FaultProxy, refusal};
use crate::support::registry::{PASSWORD, Registry, USERNAME};

/// A project on this base.
fn project(sandbox: &Sandbox, base: &str) -> String {
    let file = sandbox.write("p/dockless.yaml", format!("name: p\nbase: {base}\n"));
    file.parent().unwrap().to_str().unwrap().to_owned()
}

/// The command with the password for one host in the environment.
fn logged_in(sandbox: &Sandbox, host: &str, password: &str, arguments: &[&str]) -> Outcome {
    let prefix = format!("DOCKLESS_REGISTRY_{}", host.replace(['.', ':'], "_"));
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
    let variable = |host: &str| host.replace(['.', ':'], "_");
    let home = sandbox.home();
    let home = home.display();
    let mut blocks = [
        format!(
            "{open}: http, allowed on this machine\n  pull team/base:v1: allowed\n    as nobody, without credentials\n    \
             nothing from `DOCKLESS_REGISTRY_<HOST>_…`: `DOCKLESS_REGISTRY_{}_PASSWORD` is not set\n    \
             nothing from `{home}/.docker/config.json`: there is no such file\n    \
             nothing from `{home}/.config/containers/auth.json`: there is no such file\n    \
             nothing from CI variables: none are for `{open}`\n",
            variable(&open)
        ),
        format!(
            "{closed}: http, allowed on this machine\n  push acme/agent: allowed\n    \
             as user `bob` from `DOCKLESS_REGISTRY_<HOST>_…`\n"
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
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(outcome.stdout.contains("  push acme/agent: FAILED\n"), "{}", outcome.stdout);
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
    let hint = format!("    hint: log in to `{host}`: `dockless login {host} --username NAME --password-stdin`; or set");
    assert!(outcome.stdout.contains(&hint), "{}", outcome.stdout);
}

#[test]
fn a_project_without_registries_has_nothing_to_check() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox, "scratch");
    assert_eq!(sandbox.succeed(["check", &project]), "there is no registry to check");
}
