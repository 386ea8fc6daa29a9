//! How runs end that are interrupted, killed, or not alone: nothing broken stays behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dockless::oci::Digest;
use dockless::store::is_temporary_name;
use serde_json::Value;

use super::support::cli::Sandbox;
use super::support::fault_proxy::{Fault, FaultProxy, status};
use super::support::point::Point;
use super::support::registry::Registry;
use super::support::tracer::{CallKind, ON_A_LINE, trace};

/// Whether everything is run, and not only what a commit needs.
fn is_whole() -> bool {
    std::env::var_os("DOCKLESS_FAULTS").is_some()
}

/// A project whose push writes into the cache and sends several blobs.
fn project(sandbox: &Sandbox) {
    sandbox.write("agent/data", vec![b'x'; 300_000]);
    sandbox.write("agent/run", "#!/bin/sh\n");
    sandbox.write(
        "agent/dockless.yaml",
        "name: agent\nbase: builtin:static\nlayers:\n  - {kind: files, copy: [{src: run, dest: /run.sh}]}\n  - {kind: files, copy: [{src: data, dest: /data}]}\n",
    );
}

/// Every blob of the cache has its digest.
#[track_caller]
fn assert_cache_is_sound(cache: &Path) {
    let folder = cache.join("blobs/sha256");
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !is_temporary_name(&name) {
            assert_eq!(Digest::of(&fs::read(&path).unwrap()).hex(), name);
        }
    }
}

/// The digest that skopeo finds under a tag, after it has fetched everything below it.
fn pulled(reference: &str, folder: &Path) -> Option<String> {
    let to = format!("dir:{}", folder.display());
    let from = format!("docker://{reference}");
    let copy = Command::new("skopeo")
        .args(["copy", "-q", "--src-tls-verify=false", &from, &to])
        .output()
        .unwrap();
    if !copy.status.success() {
        let said = String::from_utf8_lossy(&copy.stderr).into_owned();
        assert!(said.contains("manifest unknown"), "the tag is there and cannot be pulled: {said}");
        return None;
    }
    Some(Digest::of(&fs::read(folder.join("manifest.json")).unwrap()).to_string())
}

/// Interrupts a push once this many requests of a kind meet a fault, and sees that each upload that
/// was begun is taken back.
async fn assert_uploads_are_taken_back(point: Point, fault: Fault, requests: usize) {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    project(&sandbox);
    let proxy = FaultProxy::start(&registry.host()).await;
    proxy.at(point, vec![fault; 9]);
    let to = format!("{}/a/b:v1", proxy.server().host());
    let mut child = sandbox
        .command(["push", "agent", "--to", &to])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while proxy.hits() < requests {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let signalled = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
    assert!(signalled.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let uploads = |method: &str| {
        let begin = format!("{method} /v2/a/b/blobs/uploads/");
        proxy.server().requests().into_iter().filter(|line| line.starts_with(&begin)).count()
    };
    assert!(uploads("POST") >= requests);
    assert_eq!(uploads("DELETE"), uploads("POST"), "{:#?}", proxy.server().requests());
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(pulled(&format!("{}/a/b:v1", registry.host()), folder.path()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_push_takes_back_its_uploads() {
    // The base is a layer, and so is each part of the project.
    assert_uploads_are_taken_back(Point::SendBlob, Fault::StallRequest, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_begins_while_a_push_is_interrupted_is_taken_back() {
    let late = Fault::LateAnswer(Duration::from_millis(100));
    assert_uploads_are_taken_back(Point::StartUpload, late, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asks_for_patience_is_still_told_that_a_push_ends() {
    let later = status(429, Some(("Retry-After", "40")));
    assert_uploads_are_taken_back(Point::SendBlob, later, 1).await;
}

/// Kills the process before every call that opens, writes, sends, syncs, renames or removes (every
/// tenth for a commit).
#[test]
fn a_push_that_is_killed_anywhere_leaves_nothing_broken() {
    let registry = Registry::start();
    let push = |repository: &str, kill_at| {
        let sandbox = Sandbox::new();
        project(&sandbox);
        let to = format!("{}/{repository}:v1", registry.host());
        let arguments = ["push", "agent", "--to", &to].map(str::to_owned);
        let traced = trace(&mut sandbox.command_below(&ON_A_LINE, &arguments), kill_at);
        (sandbox, to, arguments, traced)
    };
    let (sandbox, _, arguments, whole) = push("whole", None);
    assert_eq!((whole.code, whole.was_killed), (Some(0), false));
    let expected = sandbox.succeed(arguments);
    let (_, expected) = expected.split_once('@').unwrap();

    let mut kills = BTreeMap::new();
    for (kind, calls) in whole.calls {
        for number in (1..=calls).step_by(if is_whole() { 1 } else { 10 }) {
            let repository = format!("killed/{kind:?}{number}").to_lowercase();
            let (sandbox, to, arguments, traced) = push(&repository, Some((kind, number)));
            assert_cache_is_sound(&sandbox.cache());
            let folder = tempfile::tempdir().unwrap();
            let found = pulled(&to, folder.path());
            // Threads wake each other more or less often: the last calls may not come.
            assert!(traced.was_killed || traced.code == Some(0), "{repository}: {traced:?}");
            assert!(traced.was_killed || found.is_some(), "{repository}: {traced:?}");
            assert!(found.is_none_or(|found| found == expected), "{repository}");
            let again = sandbox.succeed(arguments);
            assert_eq!(again.split_once('@').unwrap().1, expected, "{repository}");
            assert_cache_is_sound(&sandbox.cache());
            *kills.entry(kind).or_insert(0) += u64::from(traced.was_killed);
        }
    }
    eprintln!("killed before so many calls: {kills:?}");
    let kinds: Vec<_> =
        kills.iter().filter(|(_, count)| **count > 0).map(|(kind, _)| *kind).collect();
    let all = [CallKind::Open, CallKind::Write, CallKind::Send, CallKind::Sync, CallKind::Rename];
    assert!(all.iter().all(|kind| kinds.contains(kind)), "{kills:?}");
}

#[test]
fn eight_processes_share_a_cache_and_a_tag() {
    let rounds = if is_whole() { 50 } else { 5 };
    for _ in 0..rounds {
        let (sandbox, registry) = (Sandbox::new(), Registry::start());
        project(&sandbox);
        let to = format!("{}/a/b:v1", registry.host());
        let children: Vec<_> = (0..8)
            .map(|_| {
                let mut command = sandbox.command(["push", "agent", "--to", &to]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let mut digests = BTreeSet::new();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{said}");
            digests.insert(String::from_utf8(output.stdout).unwrap());
        }
        assert_eq!(digests.len(), 1, "{digests:#?}");
        assert_cache_is_sound(&sandbox.cache());
        let folder = tempfile::tempdir().unwrap();
        let found = pulled(&to, folder.path()).unwrap();
        assert!(digests.first().unwrap().trim_end().ends_with(&found), "{digests:#?} {found}");
    }
}

#[test]
fn the_error_of_a_push_that_is_not_done_says_whether_to_try_again() {
    let sandbox = Sandbox::new();
    project(&sandbox);
    let outcome =
        sandbox.run(["push", "agent", "--json", "--to", "127.0.0.1:1/a/b", "--timeout", "1s"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(document["error"]["is_retryable"], true, "{document}");
}
