//! Two registries, two token servers, and secrets that must be seen by their own server only.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::support::cli::{Outcome, Sandbox};
use super::support::fault_proxy::{Fault, FaultProxy};
use super::support::point::Point;
use super::support::registry::Registry;
use super::support::server::{Seen, Server, reply};
use super::support::tokens::{TokenServer, basic};

const PULL_SECRET: &str = "canary-pull-71c3";
const PUSH_SECRET: &str = "canary-push-4be9";

/// Every file below a folder.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found
}

/// A credential helper that notes how it was called; gives the folder to put on `PATH`.
fn helper() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker-credential-canary");
    let calls = folder.path().join("calls");
    let script = format!(
        "#!/bin/sh\necho \"$0 $*\" >> '{calls}'\nenv >> '{calls}'\ncat > /dev/null\necho '{{\"Username\":\"alice\",\"Secret\":\"{PULL_SECRET}\"}}'\n",
        calls = calls.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn each_secret_is_seen_by_its_own_server_and_nowhere_else() {
    let (sandbox, pulled, pushed) = (Sandbox::new(), Registry::start(), Registry::start());
    sandbox.write("base/data", "of the base");
    sandbox.write(
        "base/dockless.yaml",
        "name: base\nbase: scratch\nlayers:\n  - {kind: files, copy: [{src: data, dest: /base}]}\n",
    );
    sandbox.succeed(["push", "base", "--to", &format!("{}/team/base:v1", pulled.host())]);

    let pull_tokens = TokenServer::start(u32::MAX, Some(basic("alice", PULL_SECRET))).await;
    let push_tokens = TokenServer::start(u32::MAX, Some(basic("bob", PUSH_SECRET))).await;
    let from = FaultProxy::start_gated(&pulled.host(), pull_tokens.gate()).await;
    let to = FaultProxy::start_gated(&pushed.host(), push_tokens.gate()).await;
    // Another origin that both registries send us to, with a blob and with an upload.
    let elsewhere = FaultProxy::start(&pushed.host()).await;
    let storage = FaultProxy::start(&pulled.host()).await;
    to.at(
        Point::StartUpload,
        [Fault::MoveLocation(format!("http://{}", elsewhere.server().host()))],
    );
    let away = Fault::Redirect(307, format!("http://{}", storage.server().host()));
    from.at(Point::GetBlob, vec![away; 9]);

    let helper = helper();
    let config = format!(r#"{{"credHelpers":{{"{}":"canary"}}}}"#, from.server().host());
    fs::create_dir(sandbox.home().join(".docker")).unwrap();
    fs::write(sandbox.home().join(".docker/config.json"), config).unwrap();
    sandbox.write("agent/data", "of the agent");
    let base = format!("{}/team/base:v1", from.server().host());
    sandbox.write(
        "agent/dockless.yaml",
        format!("name: agent\nbase: {base}\nlayers:\n  - {{kind: files, copy: [{{src: data, dest: /agent}}]}}\n"),
    );
    let destination = format!("{}/team/agent:v1", to.server().host());
    let path = format!("{}:{}", helper.path().display(), std::env::var("PATH").unwrap());
    let mut child = sandbox
        .command(["push", "agent", "-v", "--progress", "json", "--to", &destination])
        .args(["--username", "bob", "--password-stdin", "--metadata-file", "metadata.json"])
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(PUSH_SECRET.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");

    // What no place but one may hold: the passwords as they are and as a header, and the tokens.
    let pull = [PULL_SECRET.to_owned(), basic("alice", PULL_SECRET)];
    let push = [PUSH_SECRET.to_owned(), basic("bob", PUSH_SECRET)];
    let passwords: Vec<&str> = pull.iter().chain(&push).map(String::as_str).collect();
    let holds = |seen: &Seen, secrets: &[&str]| secrets.iter().any(|secret| seen.holds(secret));
    let own: [(&TokenServer, &str); 2] = [(&pull_tokens, &pull[1]), (&push_tokens, &push[1])];
    for (server, header) in own {
        let seen = server.server.seen();
        assert!(!seen.is_empty());
        let others: Vec<_> =
            passwords.iter().filter(|secret| **secret != header).copied().collect();
        assert!(seen.iter().all(|seen| seen.holds(header)), "{seen:#?}");
        assert!(!seen.iter().any(|seen| holds(seen, &others)), "{seen:#?}");
    }
    let tokens = [pull_tokens.given_away(), push_tokens.given_away()];
    assert!(tokens.iter().all(|tokens| !tokens.is_empty()));
    for (registry, foreign) in [(&from, &tokens[1]), (&to, &tokens[0])] {
        let foreign = foreign.iter().map(String::as_str);
        let secrets: Vec<_> = passwords.iter().copied().chain(foreign).collect();
        assert!(!registry.server().seen().iter().any(|seen| holds(seen, &secrets)));
    }
    for other in [&elsewhere, &storage] {
        let seen = other.server().seen();
        let tokens: Vec<_> = tokens.iter().flatten().map(String::as_str).collect();
        assert!(!seen.iter().any(|seen| holds(seen, &tokens)), "{seen:#?}");
        assert!(!seen.is_empty(), "nobody was sent there");
        assert!(!seen.iter().any(|seen| seen.headers.contains("authorization:")), "{seen:#?}");
    }
    let bare: Vec<&str> =
        passwords.iter().map(|secret| secret.trim_start_matches("Basic ")).collect();
    let bare: Vec<&str> =
        bare.into_iter().chain(tokens.iter().flatten().map(String::as_str)).collect();
    let is_clean = |text: &str| !bare.iter().any(|secret| text.contains(secret));
    assert!(is_clean(&said), "{said}");
    let calls = fs::read_to_string(helper.path().join("calls")).unwrap();
    assert!(calls.contains("docker-credential-canary get") && is_clean(&calls), "{calls}");

    // The image and every file of the run.
    let copy = Command::new("skopeo")
        .args(["copy", "-q", "--src-tls-verify=false"])
        .arg(format!("docker://{}/team/agent:v1", pushed.host()))
        .arg(format!("dir:{}", sandbox.work().join("copy").display()))
        .status();
    assert!(copy.unwrap().success());
    let root = sandbox.work().parent().unwrap().to_owned();
    let all = files(&root);
    assert!(all.iter().any(|path| path.ends_with("metadata.json")), "{all:#?}");
    for path in all {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        assert!(is_clean(&text), "{}", path.display());
    }
}

/// A server that says aloud whatever it was told, in every place that is shown to somebody.
async fn parrot(password: &'static str) -> Server {
    Server::start("127.0.0.1", move |request| {
        let header = request.headers().get("authorization").cloned();
        Box::pin(async move {
            let Some(header) = header else {
                return Ok(reply(401, &[("WWW-Authenticate", r#"Basic realm="tell me""#)], ""));
            };
            let header = header.to_str().unwrap();
            let body = format!(
                r#"{{"errors":[{{"code":"DENIED","message":"Authorization:{header} is bob:{password}"}}]}}"#
            );
            let warning = format!(r#"299 - "you sent {header}, {password}""#);
            Ok(reply(403, &[("Warning", &warning)], body))
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_repeats_of_our_secrets_is_shown_to_nobody() {
    let (sandbox, parrot) = (Sandbox::new(), parrot(PUSH_SECRET).await);
    sandbox.write("agent/data", "of the agent");
    sandbox.write(
        "agent/dockless.yaml",
        "name: agent\nbase: scratch\nlayers:\n  - {kind: files, copy: [{src: data, dest: /agent}]}\n",
    );
    let to = format!("{}/team/agent", parrot.host());
    let encoded = basic("bob", PUSH_SECRET);
    let encoded = encoded.trim_start_matches("Basic ");
    for (command, shape) in
        [("push", "terminal"), ("push", "json"), ("check", "terminal"), ("check", "json")]
    {
        let mut command = sandbox.command([command, "agent", "-vv", "--to", &to]);
        if shape == "json" {
            command.args(["--json", "--progress", "json"]);
        }
        command.env("DOCKLESS_REGISTRY_USERNAME", "bob");
        command.env("DOCKLESS_REGISTRY_PASSWORD", PUSH_SECRET);
        let outcome = Outcome::of(&mut command);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.code, 2, "{said}");
        assert!(said.contains("DENIED"), "the refusal itself is shown: {said}");
        assert!(!said.contains(PUSH_SECRET) && !said.contains(encoded), "{said}");
    }
    assert!(parrot.seen().iter().any(|seen| seen.holds(encoded)), "it learned nothing");
}
