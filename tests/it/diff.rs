//! `dockless diff`: what changed between two images.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::{Value, json};

use crate::support::cli::{Outcome, Sandbox};
use crate::support::image::run;
use crate::support::registry::Registry;

const CONFIG: &str = "name: p\nbase: scratch\nlayers:\n\
    - {kind: files, copy: [{src: lib, dest: /lib}]}\n\
    - {kind: files, copy: [{src: data, dest: /srv}]}\n\
    user: \"0\"\nenv: {MODE: a, DB_PASSWD: canary1, OLD: x}\nlabels: {team: agents}\n\
    allow_env: DB_PASSWD\n";

/// A project whose images are `p:…` in a registry.
struct Story {
    sandbox: Sandbox,
    registry: Registry,
}

impl Story {
    fn new() -> Self {
        let story = Self { sandbox: Sandbox::new(), registry: Registry::start() };
        let sandbox = &story.sandbox;
        sandbox.write("p/dockless.yaml", CONFIG);
        for (path, content) in [
            ("lib/one", "1\n"),
            ("data/old", "old\n"),
            ("data/same", "same\n"),
            ("data/text", "a\n"),
        ] {
            sandbox.write(&format!("p/{path}"), content);
        }
        sandbox.write("p/data/tool", "tool\n");
        symlink("text", sandbox.work().join("p/data/link")).unwrap();
        story
    }

    fn tag(&self, tag: &str) -> String {
        format!("{}/p:{tag}", self.registry.host())
    }

    fn push(&self, tag: &str, rest: &[&str]) -> String {
        self.sandbox.succeed([&["push", "p", "--to", &self.tag(tag)], rest].concat())
    }

    fn diff(&self, before: &str, after: &str, rest: &[&str]) -> Outcome {
        let (before, after) = (self.tag(before), self.tag(after));
        self.sandbox.run([&["diff", &before, &after], rest].concat())
    }

    /// The digest and the size of a layer.
    fn layer(&self, tag: &str, place: usize) -> (String, u64) {
        let reference = format!("docker://{}", self.tag(tag));
        let words = ["inspect", "--raw", "--tls-verify=false", &reference];
        let manifest: Value =
            serde_json::from_str(&run("skopeo", &words, &self.sandbox.work())).unwrap();
        let layer = &manifest["layers"][place];
        (layer["digest"].as_str().unwrap().to_owned(), layer["size"].as_u64().unwrap())
    }

    /// Changes settings, and every kind of thing about files.
    fn change(&self) {
        let config = CONFIG
            .replace("user: \"0\"", "user: \"7\"")
            .replace("MODE: a, DB_PASSWD: canary1, OLD: x", "MODE: b, DB_PASSWD: canary2");
        self.sandbox.write("p/dockless.yaml", config);
        let data = self.sandbox.work().join("p/data");
        fs::remove_file(data.join("old")).unwrap();
        fs::remove_file(data.join("link")).unwrap();
        symlink("tool", data.join("link")).unwrap();
        fs::write(data.join("text"), "aaa\n").unwrap();
        fs::write(data.join("new\u{1b}[2J"), "new\n").unwrap();
        fs::set_permissions(data.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn an_image_is_the_same_as_itself() {
    let story = Story::new();
    let pushed = story.push("v1", &[]);
    story.push("v2", &[]);
    let outcome = story.diff("v1", "v2", &[]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{outcome:#?}");
    let digest = pushed.split_once('@').unwrap().1;
    let outcome = story.diff("v1", "v2", &["--json"]);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let expected = json!({
        "before": {"image": story.tag("v1"), "digest": digest},
        "after": {"image": story.tag("v2"), "digest": digest},
        "is_equal": true,
        "platforms_removed": [],
        "platforms_added": [],
        "platforms": [],
    });
    assert_eq!((outcome.code, document), (0, expected));
}

#[test]
fn settings_layers_and_files_are_told() {
    let story = Story::new();
    story.push("v1", &[]);
    story.change();
    story.push("v2", &[]);
    let outcome = story.diff("v1", "v2", &[]);
    let ((_, before), (_, after)) = (story.layer("v1", 1), story.layer("v2", 1));
    let expected = format!(
        "user: \"0\" → \"7\"\n\
         variable DB_PASSWD changed (not shown)\n\
         variable MODE: \"a\" → \"b\"\n\
         variable OLD: \"x\" → not set\n\
         layer 2 \"dockless: files data → /srv\" changed, {before} B → {after} B\n\
         paths: 1 added, 1 removed, 3 changed; not read: 1 layer below, which both images have: what is added may \
         replace, and what is removed may uncover, what those have there\n\
         ~ /srv/link: target `text` → `tool`\n\
         + /srv/new\\u{{1b}}[2J (4 B)\n\
         - /srv/old (4 B)\n\
         ~ /srv/text: content 2 bytes 87428fc52280 → 4 bytes 17e682f060b5\n\
         ~ /srv/tool: mode 0644 → 0755\n"
    );
    assert_eq!((outcome.code, outcome.stdout), (1, expected), "{}", outcome.stderr);
    let error =
        format!("error: `{}` and `{}` are not the same\n", story.tag("v1"), story.tag("v2"));
    assert!(outcome.stderr.ends_with(&error), "{}", outcome.stderr);
}

#[test]
fn only_layers_that_differ_are_read() {
    let story = Story::new();
    story.push("v1", &[]);
    story.change();
    story.push("v2", &[]);
    let outcome = story.diff("v1", "v2", &["-vv"]);
    let (shared, _) = story.layer("v1", 0);
    assert!(!outcome.stderr.contains(&shared), "{}", outcome.stderr);
    for tag in ["v1", "v2"] {
        assert!(outcome.stderr.contains(&story.layer(tag, 1).0), "{}", outcome.stderr);
    }
    assert!(!outcome.stdout.contains("canary"));
}

#[test]
fn json_tells_both_sides_of_everything() {
    let story = Story::new();
    story.push("v1", &[]);
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(story.sandbox.work().join("p/data/tool"), mode).unwrap();
    story.push("v2", &["--label", "team=others"]);
    let outcome = story.diff("v1", "v2", &["--json"]);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let tool = |mode: &str| {
        json!({
            "type": "file", "mode": mode, "uid": 0, "gid": 0, "size": 5,
            "digest": dockless::oci::Digest::of(b"tool\n"), "target": null,
        })
    };
    let layer = |tag: &str| {
        let (digest, size) = story.layer(tag, 1);
        json!({"number": 2, "digest": digest, "size": size})
    };
    let (before, after) = (&document["before"]["digest"], &document["after"]["digest"]);
    let expected = json!([{
        "platform": "linux/amd64",
        "before": before,
        "after": after,
        "is_equal": false,
        "settings": [{"field": "label team", "before": "agents", "after": "others"}],
        "layers": [{
            "name": "dockless: files data → /srv",
            "before": layer("v1"),
            "after": layer("v2"),
            "is_same_content": false,
        }],
        "shared_layers": 1,
        "is_reordered": false,
        "paths": [{
            "path": "/srv/tool",
            "change": "changed",
            "fields": ["mode"],
            "before": tool("0644"),
            "after": tool("0755"),
            "is_over_shared_layers": false,
        }],
    }]);
    assert_eq!((outcome.code, &document["platforms"]), (1, &expected));
}

#[test]
fn a_long_list_is_cut_unless_all_is_asked_for() {
    let story = Story::new();
    story.push("v1", &[]);
    for number in 10..60 {
        story.sandbox.write(&format!("p/data/n{number}"), "");
    }
    story.push("v2", &[]);
    let few = story.diff("v1", "v2", &[]).stdout;
    assert!(few.ends_with("+ /srv/n49 (0 B)\nand 10 more (`--all` lists them)\n"), "{few}");
    let all = story.diff("v1", "v2", &["--all"]).stdout;
    assert!(all.ends_with("+ /srv/n59 (0 B)\n"), "{all}");
    assert_eq!(all.lines().count(), few.lines().count() + 9);
}

#[test]
fn content_that_is_only_compressed_otherwise_is_not_read() {
    let story = Story::new();
    story.push("v1", &[]);
    story.push("v2", &["--compression", "zstd"]);
    let outcome = story.diff("v1", "v2", &["-vv"]);
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert_eq!(outcome.code, 1, "{outcome:#?}");
    assert!(lines[0].starts_with("writer version: \"tar1-gzip"), "{outcome:#?}");
    let what = "layer 1 \"dockless: files lib → /lib\" is compressed in another way, ";
    assert!(lines[1].starts_with(what), "{outcome:#?}");
    assert_eq!(lines.len(), 3, "{outcome:#?}");
    assert!(!outcome.stderr.contains(&story.layer("v1", 0).0), "{outcome:#?}");
}

#[test]
fn platforms_are_compared_one_by_one() {
    let story = Story::new();
    story.push("both", &["--platform", "linux/amd64,linux/arm64"]);
    story.push("other", &["--platform", "linux/amd64,linux/s390x"]);
    story.push("one", &[]);
    for (before, after, rest, code, expected) in [
        (
            "both",
            "other",
            &[][..],
            1,
            "platform linux/arm64 is gone\nplatform linux/s390x is new\n",
        ),
        ("both", "one", &[], 1, "platform linux/arm64 is gone\n"),
        ("both", "other", &["--platform", "linux/amd64"], 0, ""),
        ("one", "both", &["--platform", "linux/amd64"], 0, ""),
    ] {
        let outcome = story.diff(before, after, rest);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (code, expected), "{outcome:#?}");
    }
    story.sandbox.write("p/data/same", "SAME\n");
    story.push("changed", &["--platform", "linux/amd64,linux/arm64"]);
    let outcome = story.diff("both", "changed", &["--platform", "linux/arm64"]);
    assert!(outcome.stdout.starts_with("platform linux/arm64 changed\n  layer 2 "), "{outcome:#?}");
    let outcome = story.diff("both", "one", &["--platform", "linux/arm64"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
    let message = format!("`{}` has no image for linux/arm64\nhint: ", story.tag("one"));
    assert!(outcome.stderr.contains(&message), "{outcome:#?}");
}

/// What another tool removes is a marker in a layer.
#[test]
fn what_a_layer_takes_away_is_gone() {
    let story = Story::new();
    let work = story.sandbox.work();
    story.sandbox.succeed(["build", "p", "-o", "oci:out:v1"]);
    let umoci = |words: &[&str]| run("umoci", words, &work);
    umoci(&["unpack", "--rootless", "--image", "out:v1", "bundle"]);
    fs::remove_file(work.join("bundle/rootfs/srv/old")).unwrap();
    fs::remove_dir_all(work.join("bundle/rootfs/lib")).unwrap();
    umoci(&["repack", "--image", "out:v2", "bundle"]);
    let outcome = story.sandbox.run(["diff", "oci:out:v1", "oci:out:v2"]);
    let paths: Vec<_> =
        outcome.stdout.lines().skip_while(|line| !line.starts_with("paths")).collect();
    assert_eq!(outcome.code, 1, "{outcome:#?}");
    let gone = ["- /lib (of the layers below)", "- /srv/old (of the layers below)"];
    assert!(gone.iter().all(|line| paths.contains(line)), "{outcome:#?}");
}

#[test]
fn what_is_no_image_or_damaged_is_no_answer() {
    let story = Story::new();
    story.push("v1", &[]);
    story.change();
    story.push("v2", &[]);
    let absent = story.diff("v1", "absent", &[]);
    assert_eq!((absent.code, absent.stdout.as_str()), (2, ""), "{absent:#?}");
    let (digest, _) = story.layer("v2", 1);
    story.registry.damage_blob(digest.strip_prefix("sha256:").unwrap());
    let damaged = story.diff("v1", "v2", &[]);
    assert_eq!((damaged.code, damaged.stdout.as_str()), (3, ""), "{damaged:#?}");
    assert!(damaged.stderr.contains(&digest), "{damaged:#?}");
}
