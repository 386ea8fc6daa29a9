//! `dockless push`: straight to a real registry, read back by skopeo and by another client.

use std::collections::BTreeSet;
use std::process::Command;

use oci_client::secrets::RegistryAuth;
use serde_json::Value;

use crate::support::cli::{Outcome, Sandbox};
use crate::support::registry::{PASSWORD, Registry, USERNAME};

/// What skopeo says of a reference.
fn inspect(reference: &str) -> Value {
    let output = Command::new("skopeo")
        .args(["inspect", "--tls-verify=false", &format!("docker://{reference}")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What `skopeo inspect` counts as the tags of a repository.
fn tags(reference: &str) -> BTreeSet<String> {
    let tags = inspect(reference)["RepoTags"].clone();
    tags.as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
}

/// The words of a command for a project.
fn push<'a>(project: &'a std::path::Path, rest: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["push", project.to_str().unwrap()];
    arguments.extend(rest);
    arguments
}

#[test]
fn stdout_is_the_reference_by_digest_and_every_tag_points_at_it() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let project = sandbox.project("hello");
    let repository = format!("{}/acme/hello", registry.host());
    let digest = sandbox.succeed(["build", project.to_str().unwrap()]);
    let reference = sandbox.succeed(push(&project, &["--to", &repository, "-t", "v1,latest"]));
    assert_eq!(reference, format!("{repository}@{digest}"));
    assert_eq!(inspect(&reference)["Digest"], digest.as_str());
    assert_eq!(tags(&reference), ["latest".to_owned(), "v1".to_owned()].into());
    for tag in ["v1", "latest"] {
        assert_eq!(inspect(&format!("{repository}:{tag}"))["Digest"], digest.as_str());
    }
}

#[test]
fn pushing_again_changes_nothing_and_says_so() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let project = sandbox.project("hello");
    let to = format!("{}/acme/hello", registry.host());
    let first = sandbox.succeed(push(&project, &["--to", &to]));
    let outcome = sandbox.run(push(&project, &["--to", &to]));
    assert_eq!((outcome.code, outcome.stdout.trim_end()), (0, first.as_str()));
    assert!(!outcome.stderr.contains("uploaded"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("unchanged"), "{}", outcome.stderr);
}

#[test]
fn a_registry_without_a_tag_gets_latest_and_a_tag_of_its_own_stands_alone() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let project = sandbox.write("p/dockless.yaml", "name: p\nbase: builtin:static\n");
    let project = project.parent().unwrap();
    let at = |rest: &str| format!("{}/{rest}", registry.host());
    let one = at("a/one");
    let references = sandbox.succeed(push(project, &["--to", &at("a/two:v2"), "--to", &one]));
    let references: Vec<_> = references.lines().collect();
    assert_eq!(references.len(), 2);
    assert_eq!(tags(references[0]), ["v2".to_owned()].into());
    assert_eq!(tags(references[1]), ["latest".to_owned()].into());
}

#[test]
fn a_tag_of_its_own_and_those_of_the_command_line_are_all_set() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let project = sandbox.write("p/dockless.yaml", "name: p\nbase: builtin:static\n");
    let project = project.parent().unwrap();
    let to = format!("{}/a/one:foo", registry.host());
    let outcome = sandbox.run(push(project, &["--to", &to, "-t", "bar"]));
    let reference = outcome.stdout.trim_end();
    assert_eq!(tags(reference), ["bar".to_owned(), "foo".to_owned()].into(), "{outcome:#?}");
    let (repository, digest) = reference.split_once('@').unwrap();
    let last = outcome.stderr.lines().last().unwrap();
    assert_eq!(last, format!("pushed to {repository} as foo, bar: {}", &digest[..19]));
    let other = format!("{}/a/two:foo", registry.host());
    let reference = sandbox.succeed(push(project, &["-t", &other, "-t", "bar"]));
    assert_eq!(tags(&reference), ["bar".to_owned(), "foo".to_owned()].into());
}

#[test]
fn skopeo_copies_what_was_pushed() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let project = sandbox.project("hello");
    let to = format!("{}/acme/hello", registry.host());
    let reference = sandbox.succeed(push(&project, &["--to", &to]));
    for target in ["dir:copied", "docker-archive:copied.tar:hello:v1"] {
        let output = Command::new("skopeo")
            .args(["copy", "--src-tls-verify=false", &format!("docker://{reference}"), target])
            .current_dir(sandbox.work())
            .output()
            .unwrap();
        assert!(output.status.success(), "{target}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn several_platforms_become_an_index_that_shares_its_layers() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let project = sandbox.project("hello");
    let to = format!("{}/acme/hello", registry.host());
    let reference =
        sandbox.succeed(push(&project, &["--to", &to, "--platform", "linux/amd64,linux/arm64"]));
    let raw = |reference: &str| -> Value {
        let output = Command::new("skopeo")
            .args(["inspect", "--raw", "--tls-verify=false", &format!("docker://{reference}")])
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let index = raw(&reference);
    let manifests = index["manifests"].as_array().unwrap();
    let platforms: Vec<_> = manifests
        .iter()
        .map(|entry| {
            let platform = &entry["platform"];
            format!(
                "{}/{}",
                platform["os"].as_str().unwrap(),
                platform["architecture"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let layers: BTreeSet<String> = manifests
        .iter()
        .map(|entry| {
            raw(&format!("{to}@{}", entry["digest"].as_str().unwrap()))["layers"].to_string()
        })
        .collect();
    assert_eq!(layers.len(), 1, "{layers:#?}");
}

#[test]
fn a_layout_that_was_built_earlier_is_pushed_with_the_same_digest() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let project = sandbox.project("hello");
    let digest = sandbox.succeed(["build", project.to_str().unwrap(), "-o", "oci:out"]);
    let to = format!("{}/acme/hello", registry.host());
    let reference = sandbox.succeed(["push", "oci:out", "--to", &to, "-t", "v1"]);
    assert_eq!(reference, format!("{to}@{digest}"));
    assert_eq!(inspect(&format!("{to}:v1"))["Digest"], digest.as_str());
}

#[test]
fn a_base_in_the_same_registry_is_mounted_and_never_downloaded() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let base = sandbox.project("hello");
    let at = |path: &str| format!("{}/{path}", registry.host());
    let base_to = at("bases/hello:v1");
    sandbox.succeed(push(&base, &["--to", &base_to]));
    let config = format!(
        "name: agent\nbase: {base_to}\nlayers: [{{kind: files, copy: [{{src: a, dest: /srv/a}}]}}]\n"
    );
    let project = sandbox.write("agent/dockless.yaml", config);
    sandbox.write("agent/a", "a");
    let project = project.parent().unwrap();
    let fresh = |cache: &str| {
        let mut command = sandbox.command(push(project, &["--to", &at("agents/a"), "-v"]));
        Outcome::of(command.env("DOCKLESS_CACHE_DIR", sandbox.work().join(cache)))
    };
    let outcome = fresh("cache-1");
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert!(!outcome.stderr.contains("downloaded"), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("mounted").count(), 2, "{}", outcome.stderr);
    assert_eq!(fresh("cache-2").stdout, outcome.stdout);
}

#[test]
fn a_password_from_stdin_or_from_variables_logs_in() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_password());
    let project = sandbox.project("hello");
    let to = format!("{}/acme/hello", registry.host());
    let mut command = sandbox.command(push(&project, &["--to", &to]));
    command.env("DOCKLESS_REGISTRY_USERNAME", USERNAME).env("DOCKLESS_REGISTRY_PASSWORD", PASSWORD);
    let outcome = Outcome::of(&mut command);
    assert_eq!(outcome.code, 0, "{outcome:#?}");

    let file = sandbox.write("password", format!("{PASSWORD}\n"));
    let mut command =
        sandbox.command(push(&project, &["--to", &to, "--username", USERNAME, "--password-stdin"]));
    let again = Outcome::of(command.stdin(std::fs::File::open(file).unwrap()));
    assert_eq!((again.code, &again.stdout), (0, &outcome.stdout), "{again:#?}");
}

#[test]
fn a_wrong_password_is_the_users_turn_and_is_never_printed() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_password());
    let project = sandbox.project("hello");
    let to = format!("{}/acme/hello", registry.host());
    let mut command = sandbox.command(push(&project, &["--to", &to, "-v", "--json"]));
    command.env("DOCKLESS_REGISTRY_USERNAME", USERNAME);
    let outcome = Outcome::of(command.env("DOCKLESS_REGISTRY_PASSWORD", "canary-4711"));
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(outcome.stderr.contains(&registry.host()), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("DOCKLESS_REGISTRY_USERNAME"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("canary-4711") && !outcome.stdout.contains("canary-4711"));
    let basic = "Ym9iOmNhbmFyeS00NzEx";
    assert!(!outcome.stderr.contains(basic) && !outcome.stdout.contains(basic));
}

#[test]
fn credentials_without_a_host_are_refused_for_several() {
    let (sandbox, one, two) = (Sandbox::new(), Registry::start(), Registry::start());
    let project = sandbox.project("hello");
    let to = format!("{}/a/b,{}/a/b", one.host(), two.host());
    let mut command = sandbox.command(push(&project, &["--to", &to]));
    command.env("DOCKLESS_REGISTRY_USERNAME", USERNAME).env("DOCKLESS_REGISTRY_PASSWORD", PASSWORD);
    let outcome = Outcome::of(&mut command);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(outcome.stderr.contains("belong to one registry"), "{}", outcome.stderr);
}

#[test]
fn the_variables_of_the_config_are_for_its_own_registries() {
    let (sandbox, own, other, open) = (
        Sandbox::new(),
        Registry::start_with_password(),
        Registry::start_with_password(),
        Registry::start(),
    );
    let yaml = format!(
        "name: p\nbase: builtin:static\ncredentials_env_prefix: ACME\nimage: [{}/a/b, {}/a/b]\n",
        own.host(),
        open.host()
    );
    let project = sandbox.write("p/dockless.yaml", yaml);
    let run = |rest: &[&str]| {
        let mut command = sandbox.command(push(&project, rest));
        command.env("ACME_USERNAME", USERNAME).env("ACME_PASSWORD", PASSWORD);
        Outcome::of(&mut command)
    };
    let outcome = run(&[]);
    assert_eq!((outcome.code, outcome.stdout.lines().count()), (0, 2), "{outcome:#?}");
    let to = format!("{}/a/b", other.host());
    let outcome = run(&["--to", &to]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(
        outcome.stderr.contains("`ACME_USERNAME`: it is for the repositories of the config only"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_dry_run_sends_nothing() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let project = sandbox.project("hello");
    let to = format!("{}/acme/hello", registry.host());
    let text = sandbox.succeed(push(&project, &["--to", &to, "-t", "v1", "--dry-run"]));
    let line = format!(
        "\nto {to} as v1\nlayers may be taken over from the first that fits: {to}:v1, {to}:latest"
    );
    assert!(text.ends_with(&line), "{text}");
    let output = Command::new("skopeo")
        .args(["list-tags", "--tls-verify=false", &format!("docker://{to}")])
        .output()
        .unwrap();
    assert!(!output.status.success());
}

#[tokio::test]
async fn another_client_pulls_what_was_pushed() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let project = sandbox.project("hello");
    let to = format!("{}/acme/hello:v1", registry.host());
    let reference = sandbox.succeed(push(&project, &["--to", &to]));
    let digest = reference.split_once('@').unwrap().1;
    let client = oci_client::Client::new(oci_client::client::ClientConfig {
        protocol: oci_client::client::ClientProtocol::Http,
        ..Default::default()
    });
    let accepted = vec![oci_client::manifest::IMAGE_LAYER_GZIP_MEDIA_TYPE];
    let image =
        client.pull(&to.parse().unwrap(), &RegistryAuth::Anonymous, accepted).await.unwrap();
    assert_eq!(image.digest.as_deref(), Some(digest));
    assert_eq!(image.layers.len(), 2);
}
