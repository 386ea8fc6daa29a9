//! `--existing-tag`: what happens to a tag that points at another image already.

use crate::support::cli::{Outcome, Sandbox};
use crate::support::fault_proxy::{FaultProxy, refusal, saying};
use crate::support::registry::Registry;

/// A registry in which `a/b:v1` is there, and a project that has changed since.
struct Story {
    sandbox: Sandbox,
    registry: Registry,
    /// The reference of the first image.
    first: String,
}

impl Story {
    fn new() -> Self {
        let (sandbox, registry) = (Sandbox::new(), Registry::start());
        let config = "name: p\nbase: builtin:static\nlayers: [{kind: files, copy: [{src: a, dest: /srv/a}]}]\n";
        sandbox.write("p/dockless.yaml", config);
        sandbox.write("p/a", "a");
        let to = format!("{}/a/b", registry.host());
        let first = sandbox.succeed(["push", "p", "--to", &to, "-t", "v1"]);
        sandbox.write("p/a", "changed");
        Self { sandbox, registry, first }
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.registry.host())
    }

    fn push(&self, rest: &[&str]) -> Outcome {
        let mut words = vec!["push", "p"];
        words.extend(rest);
        self.sandbox.run(words)
    }

    fn digest_of_first(&self) -> &str {
        self.first.split_once('@').unwrap().1
    }

    /// The digest that a tag points at.
    fn tag(&self, path: &str, tag: &str) -> Option<String> {
        let url = format!("http://{}/v2/{path}/manifests/{tag}", self.registry.host());
        let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
        let output =
            std::process::Command::new("curl").args(["-sf", "-H", accept, &url]).output().unwrap();
        let is_there = output.status.success();
        is_there.then(|| dockless::oci::Digest::of(&output.stdout).to_string())
    }
}

#[test]
fn fail_moves_no_tag_and_says_what_is_different() {
    let story = Story::new();
    // The other destination could take it.
    let to = format!("{},{}", story.at("a/other"), story.at("a/b"));
    let outcome = story.push(&["--to", &to, "-t", "v0,v1", "--existing-tag", "fail"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
    let tag = format!("the tag `{}:v1` exists at {}", story.at("a/b"), story.digest_of_first());
    assert!(outcome.stderr.contains(&tag), "{outcome:#?}");
    assert!(outcome.stderr.contains(": layer \"files a → /srv/a\" changed\n"), "{outcome:#?}");
    for (path, tag) in [("a/b", "v0"), ("a/other", "v0"), ("a/other", "v1")] {
        assert_eq!(story.tag(path, tag), None, "{path}:{tag}");
    }
    assert_eq!(story.tag("a/b", "v1").as_deref(), Some(story.digest_of_first()));
}

#[test]
fn fail_names_every_tag_that_stands() {
    let story = Story::new();
    let (one, two) = (story.at("a/b"), story.at("a/two"));
    story.sandbox.write("p/a", "a");
    let to = format!("{one},{two}");
    assert_eq!(story.push(&["--to", &to, "-t", "v1,v2"]).code, 0);
    story.sandbox.write("p/a", "changed");
    let outcome = story.push(&["--to", &to, "-t", "v0,v1,v2", "--existing-tag", "fail"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let first = "error: nothing was sent: 2 of 2 destinations do not take it\n";
    assert!(outcome.stderr.contains(first), "{outcome:#?}");
    for (repository, tag) in [(&one, "v1"), (&one, "v2"), (&two, "v1"), (&two, "v2")] {
        let said = format!("the tag `{repository}:{tag}` exists at {}", story.digest_of_first());
        assert!(outcome.stderr.contains(&said), "{outcome:#?}");
    }
}

#[test]
fn fail_takes_the_same_image_for_unchanged() {
    let story = Story::new();
    story.sandbox.write("p/a", "a");
    let to = story.at("a/b");
    let outcome = story.push(&["--to", &to, "-t", "v0,v1", "--existing-tag", "fail"]);
    assert_eq!((outcome.code, outcome.stdout.trim_end()), (0, story.first.as_str()));
    assert_eq!(story.tag("a/b", "v0"), story.tag("a/b", "v1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn fail_sends_nothing_to_where_the_tag_stands() {
    let story = Story::new();
    let proxy = FaultProxy::start(&story.registry.host()).await;
    let to = format!("{}/a/b:v1", proxy.server().host());
    let outcome = story.push(&["--to", &to, "--existing-tag", "fail"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let other = format!("{}/a/other", proxy.server().host());
    let outcome = story.push(&["--to", &other, "--to", &to, "--existing-tag", "fail"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let seen = proxy.server().requests();
    assert!(!seen.iter().any(|line| line.starts_with("PUT")), "{seen:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_may_not_be_looked_at_stays() {
    let story = Story::new();
    for option in ["fail", "keep"] {
        for faults in [
            vec![("HEAD", refusal(403, "DENIED"))],
            vec![("HEAD", refusal(405, "UNSUPPORTED")), ("GET", refusal(403, "DENIED"))],
        ] {
            let proxy = FaultProxy::start(&story.registry.host()).await;
            for (method, fault) in faults {
                proxy.on(method, "/manifests/", vec![fault; 3]);
            }
            let to = format!("{}/a/b", proxy.server().host());
            let outcome = story.push(&["--to", &to, "-t", "v1", "--existing-tag", option]);
            assert_eq!(outcome.code, 2, "{outcome:#?}");
            let said = format!("cannot tell whether `{to}:v1` exists");
            assert!(outcome.stderr.contains(&said), "{outcome:#?}");
            assert!(outcome.stderr.contains("denies it"), "{outcome:#?}");
            assert!(outcome.stderr.contains("the right to look at tags"), "{outcome:#?}");
            let seen = proxy.server().requests();
            let is_look = |line: &String| line.starts_with("HEAD") || line.starts_with("GET");
            assert!(seen.iter().all(is_look), "{seen:#?}");
            assert_eq!(story.tag("a/b", "v1").as_deref(), Some(story.digest_of_first()));
        }
    }
}

#[test]
fn keep_leaves_the_tag_and_pushes_by_digest() {
    let story = Story::new();
    let to = story.at("a/b");
    let mut command = story.sandbox.command(["push", "p", "--to", &to, "-t", "v1", "--json"]);
    let outcome = Outcome::of(command.env("DOCKLESS_EXISTING_TAG", "keep"));
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let digest = document["digest"].as_str().unwrap();
    assert_ne!(digest, story.digest_of_first());
    assert_eq!(
        document["published"],
        serde_json::json!([
            {"reference": format!("{to}@{digest}"), "tags": [], "kept": {"v1": story.digest_of_first()}},
        ])
    );
    assert_eq!(story.tag("a/b", "v1").as_deref(), Some(story.digest_of_first()));
    assert_eq!(story.tag("a/b", digest).as_deref(), Some(digest));
    let short = &story.digest_of_first()[..19];
    let said = format!("kept at {short}: layer \"files a → /srv/a\" changed");
    assert!(outcome.stderr.contains(&said), "{outcome:#?}");
    // Its other tags go on.
    let outcome = story.push(&["--to", &to, "-t", "v1,v2", "--existing-tag", "keep"]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert_eq!(story.tag("a/b", "v2").as_deref(), Some(digest));
    let last = outcome.stderr.lines().last().unwrap();
    let expected = format!("pushed to {to} as v2: {}; kept where they are: v1", &digest[..19]);
    assert_eq!(last, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_tag_says_what_would_have_moved() {
    let story = Story::new();
    for refused in [
        refusal(400, "TAG_INVALID"),
        refusal(412, "PRECONDITION"),
        saying(403, "DENIED", "cannot be updated due to immutability settings"),
    ] {
        let proxy = FaultProxy::start(&story.registry.host()).await;
        let to = format!("{}/a/b", proxy.server().host());
        proxy.on("PUT", "/manifests/", [refused.clone()]);
        let outcome = story.push(&["--to", &to, "-t", "v1", "--label", "x=y"]);
        assert_eq!(outcome.code, 3, "{outcome:#?}");
        let moved = format!(
            "move `{to}:v1`: layer \"files a → /srv/a\" changed; config changed: labels (x)\n"
        );
        assert!(outcome.stderr.contains(&moved), "{outcome:#?}");
        assert!(outcome.stderr.contains("the tag is immutable and stays at"), "{outcome:#?}");
        let hint = "hint: `--existing-tag keep` leaves a tag that exists where it is";
        assert!(outcome.stderr.contains(hint), "{outcome:#?}");
        // The registry need not be asked for what is known.
        let outcome = story.push(&["--to", &to, "-t", "v1", "--existing-tag", "keep"]);
        assert_eq!(outcome.code, 0, "{outcome:#?}");
    }
}

#[test]
fn what_moved_is_told_of_each_platform() {
    let story = Story::new();
    let both = ["--to", &story.at("a/b"), "-t", "both", "--platform", "linux/amd64,linux/arm64"];
    assert_eq!(story.push(&both).code, 0);
    story.sandbox.write("p/a", "changed again");
    let mut fail = both.to_vec();
    fail.extend(["--existing-tag", "fail"]);
    let outcome = story.push(&fail);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let changed = "linux/amd64: layer \"files a → /srv/a\" changed; \
                   linux/arm64: layer \"files a → /srv/a\" changed\n";
    assert!(outcome.stderr.contains(changed), "{outcome:#?}");
    let outcome = story.push(&["--to", &story.at("a/b"), "-t", "both", "--existing-tag", "fail"]);
    assert!(outcome.stderr.contains("it is an index, not the image of one platform"));
}
