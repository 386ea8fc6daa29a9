//! What a push costs: every request that a registry sees of the whole command.

use std::collections::BTreeMap;

use dockless::oci::Digest;

use crate::support::cli::{Outcome, Sandbox};
use crate::support::fault_proxy::{FaultProxy, refusal, status};
use crate::support::registry::Registry;

/// A project of one small layer on a base of one layer, a registry, and who watches it.
struct Story {
    sandbox: Sandbox,
    registry: Registry,
    proxy: FaultProxy,
}

impl Story {
    async fn new() -> Self {
        let (sandbox, registry) = (Sandbox::new(), Registry::start());
        let proxy = FaultProxy::start(&registry.host()).await;
        let config = "name: p\nbase: builtin:static\nlayers: [{kind: files, copy: [{src: a, dest: /srv/a}]}]\n";
        sandbox.write("p/dockless.yaml", config);
        sandbox.write("p/a", "a");
        Self { sandbox, registry, proxy }
    }

    /// A repository of the registry, by way of the one who watches.
    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.proxy.server().host())
    }

    fn run(&self, rest: &[&str]) -> Outcome {
        let mut words = vec!["push", "p"];
        words.extend(rest);
        self.sandbox.run(words)
    }

    /// Pushes, and gives how often each kind of request was made: `HEAD manifests`.
    fn push(&self, rest: &[&str]) -> BTreeMap<String, usize> {
        let before = self.proxy.server().requests().len();
        let outcome = self.run(rest);
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        self.counted(before)
    }

    fn counted(&self, before: usize) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for seen in &self.proxy.server().seen()[before..] {
            let kinds = ["blobs/uploads", "blobs", "manifests"];
            let kind = kinds.iter().find(|kind| seen.path.contains(**kind)).unwrap();
            let is_mount = seen.path.contains("mount=");
            let kind = if is_mount { "mount" } else { kind };
            *counts.entry(format!("{} {kind}", seen.method)).or_default() += 1;
        }
        counts
    }

    fn tag(&self, path: &str, tag: &str) -> Option<Digest> {
        let url = format!("http://{}/v2/{path}/manifests/{tag}", self.registry.host());
        let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
        let output =
            std::process::Command::new("curl").args(["-sf", "-H", accept, &url]).output().unwrap();
        output.status.success().then(|| Digest::of(&output.stdout))
    }
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_image_costs_one_look_at_each_tag() {
    let story = Story::new().await;
    let to = story.at("a/b");
    // Three blobs; the upload that proves the right to push is the first one's.
    assert_eq!(
        story.push(&["--to", &to, "-t", "v1,v2"]),
        counts(&[
            // Each tag before and after, and `latest`: it might have layers of this image.
            ("HEAD manifests", 5),
            ("HEAD blobs", 3),
            ("POST blobs/uploads", 3),
            ("PUT blobs/uploads", 3),
            ("PUT manifests", 2),
        ])
    );
    assert_eq!(story.push(&["--to", &to, "-t", "v1,v2"]), counts(&[("HEAD manifests", 2)]));
    // One tag vouches for the content of the other.
    assert_eq!(
        story.push(&["--to", &to, "-t", "v1,v3"]),
        counts(&[("HEAD manifests", 3), ("PUT manifests", 1)])
    );
    // What did not change is not asked for: a layer and the config did.
    story.sandbox.write("p/a", "changed");
    assert_eq!(
        story.push(&["--to", &to, "-t", "v1"]),
        counts(&[
            ("HEAD manifests", 2),
            ("HEAD blobs", 2),
            ("POST blobs/uploads", 2),
            ("PUT blobs/uploads", 2),
            ("PUT manifests", 1),
        ])
    );
    // A machine that knows nothing of the image reads it, and then knows as much as any other.
    std::fs::remove_dir_all(story.sandbox.cache()).unwrap();
    assert_eq!(
        story.push(&["--to", &to, "-t", "v1"]),
        counts(&[
            ("HEAD manifests", 1),
            ("GET manifests", 1),
            ("GET blobs", 1),
            // Whether the layers are as large as the image says.
            ("HEAD blobs", 2),
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_index_costs_one_look_at_its_tag() {
    let story = Story::new().await;
    let to = story.at("a/b");
    let both = ["--to", &to, "-t", "v1", "--platform", "linux/amd64,linux/arm64"];
    story.push(&both);
    assert_eq!(story.push(&both), counts(&[("HEAD manifests", 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_a_tag_vouched_for_and_that_is_gone_is_brought_again() {
    let story = Story::new().await;
    let to = story.at("a/b");
    story.push(&["--to", &to, "-t", "v1"]);
    story.proxy.on("PUT", "/manifests/", [refusal(400, "MANIFEST_BLOB_UNKNOWN")]);
    // The registry said so once: each blob is asked for, then the tag is put.
    assert_eq!(
        story.push(&["--to", &to, "-t", "v1,v2"]),
        counts(&[("HEAD manifests", 4), ("HEAD blobs", 3), ("PUT manifests", 2)])
    );
    assert_eq!(story.tag("a/b", "v2"), story.tag("a/b", "v1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_push_is_proved_before_anything_is_packed() {
    for (answer, code, text) in [
        (refusal(403, "DENIED"), 2, "denies it"),
        (refusal(404, "NAME_UNKNOWN"), 2, "does not have it"),
        (status(405, None), 3, "answered 405"),
    ] {
        let story = Story::new().await;
        let to = story.at("a/b");
        story.proxy.on("POST", "/blobs/uploads/", [answer]);
        let outcome = story.run(&["--to", &to]);
        assert_eq!(outcome.code, code, "{outcome:#?}");
        assert!(outcome.stderr.contains(&format!("cannot push to `{to}`")), "{outcome:#?}");
        assert!(outcome.stderr.contains(text), "{outcome:#?}");
        assert!(!outcome.stderr.contains("packed"), "{outcome:#?}");
        // A repository that is not there has to be made.
        let hint = "hint: check the name; the registry may want `a/b`, or `a` above it, to be created first";
        assert_eq!(outcome.stderr.contains(hint), text == "does not have it", "{outcome:#?}");
        assert_eq!(story.counted(0), counts(&[("HEAD manifests", 1), ("POST blobs/uploads", 1)]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_refusal_is_a_failure_once_something_was_sent() {
    let story = Story::new().await;
    let to = story.at("a/b");
    story.proxy.on("PUT", "/manifests/", [refusal(403, "DENIED")]);
    let outcome = story.run(&["--to", &to]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(outcome.stderr.contains("denies it"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_may_push_and_not_look_pushes() {
    let story = Story::new().await;
    let to = story.at("a/b");
    story.proxy.on("HEAD", "/", vec![refusal(403, "DENIED"); 6]);
    assert_eq!(
        story.push(&["--to", &to, "-t", "v1"]),
        counts(&[
            ("HEAD manifests", 3),
            ("HEAD blobs", 3),
            ("POST blobs/uploads", 3),
            ("PUT blobs/uploads", 3),
            ("PUT manifests", 1),
        ])
    );
    assert!(story.proxy.is_exhausted());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_begun_and_has_vanished_is_begun_again() {
    for gone in [refusal(404, "BLOB_UPLOAD_UNKNOWN"), status(403, None), status(410, None)] {
        let story = Story::new().await;
        let to = story.at("a/b");
        story.proxy.on("PUT", "/blobs/uploads/", [gone]);
        let seen = story.push(&["--to", &to, "-t", "v1"]);
        assert_eq!((seen["POST blobs/uploads"], seen["PUT blobs/uploads"]), (4, 4), "{seen:#?}");
        assert!(story.tag("a/b", "v1").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_begun_is_dropped_when_another_registry_refuses() {
    let (story, closed) = (Story::new().await, Registry::start_with_password());
    let to = format!("{},{}/a/b", story.at("a/b"), closed.host());
    let outcome = story.run(&["--to", &to]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert_eq!(
        story.counted(0),
        counts(&[("HEAD manifests", 1), ("POST blobs/uploads", 1), ("DELETE blobs/uploads", 1)])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_some_destinations_do_not_take_is_sent_to_none_and_all_of_them_are_named() {
    let (story, closed) = (Story::new().await, Registry::start_with_password());
    let (good, bad) = (story.at("a/b"), story.at("bad/b"));
    let closed = format!("{}/a/b", closed.host());
    story.proxy.on("POST", "/bad/b/blobs/uploads/", [refusal(403, "DENIED")]);
    let outcome = story.run(&["--to", &format!("{good},{bad},{closed}"), "-t", "v1", "--json"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let error = &document["error"];
    assert_eq!(error["published"], serde_json::json!([]));
    let failed = error["failed"].as_array().unwrap();
    let told = |failed: &serde_json::Value| {
        let text = |key: &str| failed[key].as_str().unwrap().to_owned();
        (text("destination"), text("kind"), failed["is_retryable"].as_bool().unwrap())
    };
    let usage = |name: &str| (name.to_owned(), "usage".to_owned(), false);
    let failed: Vec<_> = failed.iter().map(told).collect();
    assert_eq!(failed, [usage(&bad), usage(&closed)], "{document:#}");
    let message = error["message"][0].as_str().unwrap();
    let first = "nothing was sent: 2 of 3 destinations do not take it\n";
    assert!(message.starts_with(first), "{message}");
    assert!(outcome.stderr.contains(&format!("`{bad}`: cannot push to `{bad}`")), "{outcome:#?}");
    assert!(outcome.stderr.contains("wants credentials and there are none"), "{outcome:#?}");
    assert!(!outcome.stderr.contains("packed"), "{outcome:#?}");
    assert_eq!(
        story.counted(0),
        counts(&[("HEAD manifests", 4), ("POST blobs/uploads", 2), ("DELETE blobs/uploads", 1)])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_begins_nothing() {
    let story = Story::new().await;
    let to = story.at("a/b");
    let outcome = story.run(&["--to", &to, "--dry-run"]);
    assert_eq!((outcome.code, story.counted(0)), (0, counts(&[])), "{outcome:#?}");
    let host = story.proxy.server().host();
    let said = format!("dry run: whether `{host}` would take the image was not asked");
    assert!(outcome.stderr.contains(&said), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_repositories_of_a_registry_get_each_blob_once() {
    let story = Story::new().await;
    let to = format!("{},{}", story.at("a/one"), story.at("a/two"));
    let mut seen = story.push(&["--to", &to, "-t", "v1"]);
    // Each repository has an upload begun; one of them may need none.
    let begun = seen.remove("POST blobs/uploads").unwrap();
    assert_eq!(begun - seen.remove("DELETE blobs/uploads").unwrap_or(0), 3);
    assert_eq!(
        seen,
        counts(&[
            ("HEAD manifests", 6),
            ("HEAD blobs", 6),
            ("PUT blobs/uploads", 3),
            ("POST mount", 3),
            ("PUT manifests", 2),
        ])
    );
    assert_eq!(story.tag("a/one", "v1"), story.tag("a/two", "v1"));
    // A new one takes them over from one that has the image already.
    let to = format!("{},{}", story.at("a/three"), story.at("a/one"));
    let seen = story.push(&["--to", &to, "-t", "v1"]);
    assert_eq!((seen.get("PUT blobs/uploads"), seen["POST mount"]), (None, 3), "{seen:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_fails_does_not_stop_the_others() {
    let (story, other) = (Story::new().await, Registry::start());
    let (bad, good) = (story.at("a/b"), format!("{}/a/b", other.host()));
    story.proxy.on("PUT", "/blobs/uploads/", [status(413, None), status(413, None)]);
    story.proxy.on("PUT", "/blobs/uploads/", [status(413, None)]);
    let to = format!("{bad},{good}");
    let outcome = story.run(&["--to", &to, "-t", "v1", "--json"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let digest = story.run(&["--to", &good, "-t", "v1"]).stdout;
    let published = serde_json::json!([
        {"reference": digest.trim_end(), "tags": ["v1"]},
    ]);
    assert_eq!(document["error"]["published"], published, "{document:#}");
    let failed = &document["error"]["failed"];
    assert_eq!(failed.as_array().map(Vec::len), Some(1), "{document:#}");
    assert_eq!((&failed[0]["destination"], &failed[0]["exit_code"]), (&bad.into(), &3.into()));
    let message = document["error"]["message"][0].as_str().unwrap();
    assert!(message.starts_with("the image is at 1 of 2 destinations\n"), "{message}");
    let told = format!("`{}` does not have it: ", story.at("a/b"));
    assert!(outcome.stderr.contains(&told), "{outcome:#?}");
    assert!(outcome.stderr.contains("answered 413"), "{outcome:#?}");
    assert!(outcome.stderr.contains(&format!("pushed to {good} as v1")), "{outcome:#?}");
    assert_eq!(story.tag("a/b", "v1"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_everywhere_ends_the_work() {
    let story = Story::new().await;
    let to = format!("{},{}", story.at("a/one"), story.at("a/two"));
    story.proxy.on("PUT", "/blobs/uploads/", vec![status(413, None); 12]);
    let outcome = story.run(&["--to", &to, "-t", "v1", "--json"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(document["error"]["published"], serde_json::json!([]));
    let message = document["error"]["message"][0].as_str().unwrap();
    assert!(message.starts_with("the image is at none of 2 destinations\n"), "{message}");
    let hint = "a proxy before the registry limits the size of a request: raise its limit";
    assert_eq!(document["error"]["hints"], serde_json::json!([hint]));
}
