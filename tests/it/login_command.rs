//! `dockless login` and `dockless logout`: what a registry accepts is kept where docker and skopeo find it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::cli::{Outcome, Sandbox};
use crate::support::registry::{PASSWORD, Registry, USERNAME};

/// Runs the command with something on standard input.
fn run_with_input(mut command: Command, input: &str) -> Outcome {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn login(sandbox: &Sandbox, host: &str, password: &str) -> Outcome {
    let command = sandbox.command(["login", host, "--username", USERNAME, "--password-stdin"]);
    run_with_input(command, password)
}

fn config(sandbox: &Sandbox) -> PathBuf {
    sandbox.home().join(".docker/config.json")
}

/// Puts a credential helper into the sandbox that keeps what it is given in a file, and says so.
fn helper(sandbox: &Sandbox) -> PathBuf {
    let kept = sandbox.work().join("kept");
    let script = format!(
        "#!/bin/sh\nkept='{}'\necho canary >&2\n\
         case $1 in\n\
         store) cat >\"$kept\" ;;\n\
         get) [ -f \"$kept\" ] && cat \"$kept\" || {{ echo 'credentials not found'; exit 1; }} ;;\n\
         erase) rm \"$kept\" ;;\n\
         esac\n",
        kept.display()
    );
    let path = sandbox.write("bin/docker-credential-test", script);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    kept
}

fn with_helper(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(arguments);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", sandbox.work().join("bin").display()));
    command
}

#[test]
fn what_the_registry_accepts_is_kept_for_every_tool() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_password());
    let host = registry.host();
    let outcome = login(&sandbox, &host, &format!("{PASSWORD}\n"));
    let file = config(&sandbox);
    assert_eq!(
        (outcome.code, outcome.stdout),
        (0, format!("logged in to {host} as bob, kept in {}\n", file.display())),
        "{}",
        outcome.stderr
    );
    let text = fs::read_to_string(&file).unwrap();
    let auth = "Ym9iOmNvcnJlY3QgaG9yc2U=";
    assert_eq!(
        text,
        format!(
            "{{\n\t\"auths\": {{\n\t\t\"{host}\": {{\n\t\t\t\"auth\": \"{auth}\"\n\t\t}}\n\t}}\n}}"
        )
    );
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));

    let project = sandbox.project("hello");
    let to = format!("{host}/acme/hello");
    let reference = sandbox.succeed(["push", project.to_str().unwrap(), "--to", &to]);
    let inspected = Command::new("skopeo")
        .args(["inspect", "--tls-verify=false", "--authfile", file.to_str().unwrap()])
        .arg(format!("docker://{reference}"))
        .output()
        .unwrap();
    assert!(inspected.status.success(), "{}", String::from_utf8_lossy(&inspected.stderr));

    let command = ["login", &host, "--username", USERNAME, "--password-stdin"];
    let mut command = sandbox.command(command);
    command.env("DOCKLESS_REGISTRY_USERNAME", "canary").env("DOCKLESS_REGISTRY_PASSWORD", "canary");
    let hidden = run_with_input(command, PASSWORD);
    let first = format!(
        "another source is asked first for `{host}`: user `canary` from `DOCKLESS_REGISTRY_USERNAME`"
    );
    assert!(hidden.code == 0 && hidden.stderr.contains(&first), "{}", hidden.stderr);
    assert!(!outcome.stderr.contains("asked first"), "{}", outcome.stderr);

    let out = sandbox.succeed(["logout", &host]);
    assert_eq!(out, format!("logged out of {host}, removed from {}", file.display()));
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\n\t\"auths\": {}\n}");
    assert_eq!(sandbox.succeed(["logout", &host]), format!("there was no login for {host}"));

    let mut command = sandbox.command(["logout", &host]);
    command.env("DOCKER_AUTH_CONFIG", &text);
    let outcome = Outcome::of(&mut command);
    let still = format!(
        "another source has credentials for `{host}`: user `bob` from `DOCKER_AUTH_CONFIG`"
    );
    assert!(outcome.code == 0 && outcome.stderr.contains(&still), "{}", outcome.stderr);
}

#[test]
fn wrong_credentials_are_not_kept() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_password());
    let host = registry.host();
    let outcome = login(&sandbox, &host, "canary");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{}", outcome.stderr);
    let first = format!("error: cannot log in to `{host}`: `{host}` does not accept user `bob`");
    assert!(outcome.stderr.starts_with(&first), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("canary"));
    assert!(!config(&sandbox).exists());
}

#[test]
fn a_registry_that_cannot_be_reached_changes_nothing() {
    let sandbox = Sandbox::new();
    // Port 9 is for services that discard what they get; nothing listens there.
    let outcome = login(&sandbox, "127.0.0.1:9", "canary");
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    assert!(!config(&sandbox).exists());
}

#[test]
fn an_open_registry_cannot_check_credentials_and_says_so() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let outcome = login(&sandbox, &registry.host(), "canary");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("they could not be checked"), "{}", outcome.stderr);
}

#[test]
fn a_password_comes_from_standard_input_only() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["login", "r.io", "-u", "bob", "-p", "canary"][..],
        &["login", "r.io", "-u", "bob", "--password=canary", "--password-stdin"],
        &["login", "r.io", "-u", "bob"],
        &["login", "r.io", "-u", "bob", "--password-stdin"],
        &["login", "r.io", "--password-stdin"],
        &["login", "r.io"],
    ] {
        let outcome = sandbox.run(arguments);
        assert_eq!(outcome.code, 2, "{outcome:#?}");
        assert!(outcome.stderr.contains("pipe it in: `printf %s"), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("canary"), "{}", outcome.stderr);
    }
}

#[test]
fn a_person_at_a_terminal_is_asked_and_not_overheard() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_password());
    let host = registry.host();
    // `script` (Debian: bsdutils) gives the command a terminal.
    let line = format!("{} login {host}", env!("CARGO_BIN_EXE_dockless"));
    let inner = sandbox.command([""; 0]);
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env_clear()
        .envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is installed (apt install bsdutils)");
    let mut stdout = child.stdout.take().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut shown = Vec::new();
    for (question, answer) in [
        (format!("User name at {host}: "), USERNAME),
        (format!("Password or token of `bob` at {host}: "), PASSWORD),
    ] {
        // What is typed before the question might be shown.
        while !String::from_utf8_lossy(&shown).contains(&question) {
            let mut byte = [0];
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
        stdin.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
    stdout.read_to_end(&mut shown).unwrap();
    let shown = String::from_utf8(shown).unwrap();
    assert!(child.wait().unwrap().success(), "{shown}");
    assert!(shown.contains(&format!("logged in to {host} as bob")), "{shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}

#[test]
fn a_damaged_configuration_is_left_alone() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_password());
    let file = config(&sandbox);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "{\"auths\": canary").unwrap();
    let outcome = login(&sandbox, &registry.host(), PASSWORD);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("is not valid JSON"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("canary"), "{}", outcome.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"auths\": canary");
}

#[test]
fn a_helper_keeps_the_password_when_the_configuration_names_one() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_password());
    let (host, kept) = (registry.host(), helper(&sandbox));
    let file = config(&sandbox);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, r#"{"credsStore": "test", "psFormat": "x"}"#).unwrap();
    let arguments = ["login", &host, "--username", USERNAME, "--password-stdin", "-v"];
    let outcome = run_with_input(with_helper(&sandbox, &arguments), PASSWORD);
    assert_eq!(
        (outcome.code, outcome.stdout),
        (0, format!("logged in to {host} as bob, kept in docker-credential-test\n")),
        "{}",
        outcome.stderr
    );
    assert!(!outcome.stderr.contains("canary") && !outcome.stderr.contains(PASSWORD));
    let entry = format!(r#"{{"Secret":"{PASSWORD}","ServerURL":"{host}","Username":"bob"}}"#);
    assert_eq!(fs::read_to_string(&kept).unwrap(), entry);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!(
            "{{\n\t\"credsStore\": \"test\",\n\t\"psFormat\": \"x\",\n\t\"auths\": {{\n\t\t\"{host}\": {{}}\n\t}}\n}}"
        )
    );

    let project = sandbox.project("hello");
    let to = format!("{host}/acme/hello");
    let push = ["push", project.to_str().unwrap(), "--to", &to];
    let outcome = Outcome::of(&mut with_helper(&sandbox, &push));
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let out = Outcome::of(&mut with_helper(&sandbox, &["logout", &host]));
    assert_eq!(
        (out.code, out.stdout),
        (0, format!("logged out of {host}, removed from docker-credential-test\n"))
    );
    assert!(!kept.exists());
}

#[test]
fn json_says_who_is_logged_in_and_where() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_password());
    let host = registry.host();
    let command = sandbox.command(["login", &host, "-u", USERNAME, "--password-stdin", "--json"]);
    let outcome = run_with_input(command, PASSWORD);
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let kept_in = config(&sandbox).display().to_string();
    assert_eq!(
        document,
        serde_json::json!({"registry": host, "username": "bob", "kept_in": kept_in})
    );
}
