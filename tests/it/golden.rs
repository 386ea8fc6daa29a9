//! The exact images of some fixtures. A change here means that users get other digests for the same
//! input: it is either a mistake, or it goes into the changelog and raises the writer version.
//!
//! `DOCKLESS_WRITE_GOLDEN=1 cargo test --test it golden` writes the snapshots anew.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::cli::{Sandbox, fixtures};

#[test]
fn golden_hello() {
    check("hello", &[]);
}

#[test]
fn golden_holodeck_for_two_platforms() {
    check(
        "holodeck",
        &["-t", "v1", "--base", "builtin:static", "--platform", "linux/amd64,linux/arm64"],
    );
}

#[test]
fn golden_holodeck_of_three_lines() {
    check_on_holodeck("holodeck-minimal", "linux/amd64", &[]);
}

#[test]
fn golden_holodeck_with_everything() {
    check_on_holodeck("holodeck-complete", "linux/arm64", &[]);
}

#[test]
fn golden_holodeck_with_paths_that_look_like_something_else() {
    check_on_holodeck("holodeck-paths", "linux/amd64", &["-f", "holodeck-paths/librarian.yaml"]);
}

/// Builds an agent on what matters of HoloDeck's base.
#[track_caller]
fn check_on_holodeck(name: &str, platform: &str, arguments: &[&str]) {
    let sandbox = Sandbox::new();
    let base = sandbox.project("holodeck-base");
    sandbox.succeed(["build", base.to_str().unwrap(), "--platform", platform, "-o", "oci:base"]);
    check_in(&sandbox, name, &[&["--base", "oci:base"], arguments].concat());
}

/// Builds a copy of a fixture, outside of any checkout, and compares everything that is in it.
#[track_caller]
fn check(name: &str, arguments: &[&str]) {
    check_in(&Sandbox::new(), name, arguments);
}

#[track_caller]
fn check_in(sandbox: &Sandbox, name: &str, arguments: &[&str]) {
    let project = sandbox.project(name);
    let mut words = vec!["build", project.to_str().unwrap(), "-o", "oci:out"];
    words.extend(arguments);
    let digest = sandbox.succeed(words);
    let mut snapshot = String::new();
    describe(&mut snapshot, &sandbox.work().join("out"), &digest);
    let path = fixtures().join("golden").join(format!("{name}.txt"));
    if std::env::var_os("DOCKLESS_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &snapshot).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == snapshot, "{name} is another image now:\n{snapshot}");
}

/// A document with everything it points at, in full.
fn describe(snapshot: &mut String, layout: &Path, digest: &str) {
    let path = layout.join("blobs").join(digest.replace(':', "/"));
    let document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let text = serde_json::to_string_pretty(&document).unwrap();
    writeln!(snapshot, "== {digest}\n{text}\n").unwrap();
    for manifest in document["manifests"].as_array().into_iter().flatten() {
        describe(snapshot, layout, manifest["digest"].as_str().unwrap());
    }
    if let Some(config) = document["config"]["digest"].as_str() {
        describe(snapshot, layout, config);
    }
    for layer in document["layers"].as_array().into_iter().flatten() {
        let digest = layer["digest"].as_str().unwrap();
        let output = Command::new("tar")
            .args(["--numeric-owner", "--full-time", "--utc", "-tvzf"])
            .arg(layout.join("blobs").join(digest.replace(':', "/")))
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        assert!(output.status.success());
        writeln!(snapshot, "== {digest}\n{}", String::from_utf8(output.stdout).unwrap()).unwrap();
    }
}
