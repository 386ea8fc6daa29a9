//! What is locked is not asked for, what is not is told, and nobody could tell from the digest.

mod check_base;
mod damaged;
mod stale;
mod upgrade;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use dockless::event::Events;
use dockless::image::Assembly;
use dockless::oci::Platform;
use dockless::publish::destinations::parse;
use dockless::store::Store;
use serde_json::Value;

use crate::support::cli::{Outcome, Sandbox};
use crate::support::fault_proxy::FaultProxy;
use crate::support::image::{assembly, client, file, folder, image, layer, link, publish_context};
use crate::support::registry::Registry;

const AMD64: &str = "linux/amd64";
const ARM64: &str = "linux/arm64";

/// A project on a base whose registry is watched.
struct Story {
    sandbox: Sandbox,
    bases: Registry,
    proxy: FaultProxy,
    store: Store,
}

impl Story {
    /// The project is built for these platforms, on `base:1`, which has both.
    async fn new(platforms: &[&str]) -> Self {
        let (sandbox, bases) = (Sandbox::new(), Registry::start());
        let proxy = FaultProxy::start(&bases.host()).await;
        let story = Self { sandbox, bases, proxy, store: Store::temporary().unwrap() };
        story.publish("base", "1", &story.image("one")).await;
        story.write_config(&story.base(), platforms, &[("a", "/srv/a")]);
        story.sandbox.write("p/a", "a");
        story
    }

    /// An image for two platforms, with a file of this content. On one of them `/srv` is a folder, on the other
    /// a link.
    fn image(&self, content: &str) -> Assembly {
        self.image_with(content, content)
    }

    fn image_with(&self, of_amd64: &str, of_arm64: &str) -> Assembly {
        let images = [
            (AMD64, [folder("srv"), folder("deep"), file("deep/x", of_amd64)]),
            (ARM64, [folder("data"), link("srv", "data"), file("y", of_arm64)]),
        ];
        let images = images.map(|(platform, members)| {
            let platform: Platform = platform.parse().unwrap();
            image(&platform, vec![layer(&self.store, "base", &members)])
        });
        assembly(images.into())
    }

    async fn publish(&self, repository: &str, tag: &str, image: &Assembly) {
        let context = publish_context(&self.store, &client(&Events::none()), &Events::none());
        let place = format!("{}/{repository}", self.bases.host());
        let session = parse(&place).unwrap().open(&context, &[tag.to_owned()]).await.unwrap();
        session.finish(image).await.unwrap();
    }

    /// The base, by way of the one who watches.
    fn base(&self) -> String {
        self.at("base:1")
    }

    fn at(&self, reference: &str) -> String {
        format!("{}/{reference}", self.proxy.server().host())
    }

    fn write_config(&self, base: &str, platforms: &[&str], files: &[(&str, &str)]) {
        let copies = files.iter().map(|(from, to)| format!("{{src: {from}, dest: {to}}}"));
        let copies = copies.collect::<Vec<_>>().join(", ");
        let platforms = platforms.join(", ");
        let config = format!(
            "name: p\nbase: {base}\nplatforms: [{platforms}]\nlayers: [{{kind: files, copy: [{copies}]}}]\n"
        );
        self.sandbox.write("p/dockless.yaml", config);
    }

    fn lock_file(&self) -> PathBuf {
        self.sandbox.work().join("p/dockless.lock")
    }

    fn lock_text(&self) -> String {
        fs::read_to_string(self.lock_file()).unwrap()
    }

    /// Runs a command on a machine that has seen nothing yet.
    fn run(&self, words: &[&str]) -> Outcome {
        let cache = tempfile::tempdir().unwrap();
        Outcome::of(self.sandbox.command(words).env("DOCKLESS_CACHE_DIR", cache.path()))
    }

    #[track_caller]
    fn succeed(&self, words: &[&str]) -> Outcome {
        let outcome = self.run(words);
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        outcome
    }

    /// Runs a command, and gives what the base's registry was asked meanwhile.
    #[track_caller]
    fn asked(&self, words: &[&str]) -> (Outcome, Vec<String>) {
        let before = self.proxy.server().requests().len();
        let outcome = self.succeed(words);
        (outcome, self.proxy.server().requests().split_off(before))
    }

    /// The digest of a build that knows of no lock.
    #[track_caller]
    fn unlocked(&self, words: &[&str]) -> String {
        let (lock, away) = (self.lock_file(), self.sandbox.work().join("away"));
        let has_lock = fs::rename(&lock, &away).is_ok();
        let words = [&["build", "p"], words].concat();
        let outcome = self.succeed(&words);
        if has_lock {
            fs::rename(&away, &lock).unwrap();
        }
        outcome.stdout.trim().to_owned()
    }
}

#[track_caller]
fn digest(outcome: &Outcome) -> String {
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let line = outcome.stdout.trim();
    line.rsplit_once('@').map_or(line, |(_, digest)| digest).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_build_asks_the_registry_of_the_base_nothing() {
    let story = Story::new(&[AMD64, ARM64]).await;
    let target = Registry::start();
    let to = format!("{}/a/b", target.host());
    let expected = story.unlocked(&["--platform", "linux/amd64,linux/arm64"]);
    let base = story.image("one").descriptor().digest;
    let locked = story.succeed(&["lock", "p"]);
    assert_eq!(locked.stdout, format!("{}@{base}\n", story.base()));

    let (built, asked) = story.asked(&["build", "p", "--locked", "-o", "oci:out"]);
    assert_eq!(digest(&built), expected);
    // The layout has the base's layers, and nothing else is fetched.
    let kinds: Vec<_> = asked.iter().map(|line| line.split("/sha256").next().unwrap()).collect();
    assert_eq!(kinds, ["GET /v2/base/blobs"; 2]);
    let manifest = "dev.dockless.base-files";
    let has_annotation = |text: &Vec<u8>| String::from_utf8_lossy(text).contains(manifest);
    let blobs = fs::read_dir(story.sandbox.work().join("out/blobs/sha256")).unwrap();
    let blobs = blobs.map(|blob| fs::read(blob.unwrap().path()).unwrap());
    assert_eq!(blobs.filter(has_annotation).count(), 3, "both manifests and the index");

    let (built, asked) = story.asked(&["build", "p", "--locked"]);
    assert_eq!((digest(&built), asked), (expected.clone(), Vec::new()));
    assert!(built.stderr.contains(&format!("base {}: ", story.base())), "{built:#?}");

    // The target gets the base's layers once.
    story.succeed(&["push", "p", "--to", &to, "-t", "v1"]);
    for words in [
        &["push", "p", "--locked", "--to", &to, "-t", "v2"][..],
        &["push", "p", "--locked", "--no-cache", "--to", &to, "-t", "v3"],
        &["verify", &format!("{to}:v1"), "p", "--locked"],
    ] {
        let (outcome, asked) = story.asked(words);
        assert_eq!((digest(&outcome), asked), (expected.clone(), Vec::new()), "{words:?}");
    }

    // What the tag is by now changes nothing, as long as there is a lock.
    story.publish("base", "1", &story.image("two")).await;
    let verify = ["verify", &format!("{to}:v1"), "p"];
    assert_eq!(digest(&story.run(&verify)), expected);
    fs::remove_file(story.lock_file()).unwrap();
    assert_eq!(story.run(&verify).code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_has_the_base_mounts_it() {
    let story = Story::new(&[AMD64]).await;
    story.succeed(&["lock", "p"]);
    let (_, asked) = story.asked(&["push", "p", "--locked", "--to", &story.at("a/b"), "-t", "v1"]);
    let of_base: Vec<_> = asked.iter().filter(|line| line.contains("/v2/base/")).collect();
    assert_eq!(of_base, Vec::<&String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_platform_has_facts_of_its_own() {
    let story = Story::new(&[AMD64, ARM64]).await;
    story.succeed(&["lock", "p"]);
    let lock: Value = serde_json::from_str(&story.lock_text()).unwrap();
    let links = |platform: &str| {
        let image = &lock["images"][story.base()]["platforms"][platform];
        image["facts"]["links"].to_string()
    };
    assert_eq!((links(AMD64), links(ARM64)), ("[]".into(), r#"[["srv","data"]]"#.into()));
    for platform in [AMD64, ARM64] {
        let expected = story.unlocked(&["--platform", platform]);
        let (built, asked) = story.asked(&["build", "p", "--locked", "--platform", platform]);
        assert_eq!((digest(&built), asked), (expected, Vec::new()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_is_no_part_of_the_image() {
    let story = Story::new(&[AMD64]).await;
    story.write_config(&story.base(), &[AMD64], &[(".", "/srv/all")]);
    let expected = story.unlocked(&[]);
    story.succeed(&["lock", "p"]);
    assert_eq!(digest(&story.run(&["build", "p", "--locked"])), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_changed_makes_the_tree_dirty() {
    let story = Story::new(&[AMD64]).await;
    story.succeed(&["lock", "p"]);
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
        let folder = story.sandbox.work().join("p");
        assert!(command.args(who).args(words).current_dir(folder).status().unwrap().success());
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=one"]);
    let warning = "tracked files were changed since the last commit";
    let built = story.succeed(&["build", "p", "--locked"]);
    assert!(!built.stderr.contains(warning), "{built:#?}");
    story.publish("base", "1", &story.image("two")).await;
    let locked = story.succeed(&["lock", "p", "--upgrade"]);
    assert!(!locked.stderr.contains(warning), "{locked:#?}");
    let built = story.succeed(&["build", "p", "--locked"]);
    assert!(built.stderr.contains(warning), "{built:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn locking_twice_gives_the_same_file() {
    let story = Story::new(&[AMD64, ARM64]).await;
    let missing = story.run(&["lock", "p", "--check"]);
    assert_eq!(missing.code, 1, "{missing:#?}");
    assert!(!story.lock_file().exists());
    let base = story.base();
    let first = story.image("one").descriptor().digest;
    let document: Value =
        serde_json::from_str(&story.succeed(&["lock", "p", "--json"]).stdout).unwrap();
    assert_eq!(document["images"][0]["digest"], first.to_string());
    assert_eq!(
        (&document["is_changed"], &document["images"][0]["previous_digest"]),
        (&true.into(), &Value::Null)
    );

    let text = story.lock_text();
    assert!(text.ends_with("}\n"));
    // Another time, from another cache and with other line ends, nothing is written.
    fs::write(story.lock_file(), text.replace('\n', "\r\n")).unwrap();
    let again = story.succeed(&["lock", "p"]);
    assert!(again.stderr.contains("dockless.lock is up to date"), "{again:#?}");
    assert_eq!(story.lock_text(), text.replace('\n', "\r\n"));
    fs::remove_file(story.lock_file()).unwrap();
    story.succeed(&["lock", "p"]);
    assert_eq!(story.lock_text(), text);
    assert_eq!(story.asked(&["lock", "p", "--check"]).1, Vec::<String>::new());
    let (_, asked) = story.asked(&["lock", "p", "--check", "--upgrade"]);
    // What was asked of the same image is known.
    assert_eq!(asked.iter().filter(|line| line.contains("/blobs/")).count(), 2, "{asked:#?}");

    story.publish("base", "1", &story.image("two")).await;
    let second = story.image("two").descriptor().digest;
    story.succeed(&["lock", "p", "--check"]);
    let check = story.run(&["lock", "p", "--check", "--upgrade"]);
    assert_eq!(check.code, 1, "{check:#?}");
    let moved = format!("{base} moved from {first} to {second}\n");
    assert!(check.stderr.contains(&moved), "{check:#?}");
    assert!(check.stderr.contains("hint: `dockless lock --upgrade` writes it"), "{check:#?}");
    assert_eq!(story.lock_text(), text);
    let expected = story.unlocked(&[]);
    assert_ne!(digest(&story.run(&["build", "p", "--locked"])), expected);
    let locked = story.succeed(&["lock", "p", "--upgrade"]);
    assert!(locked.stderr.contains(&moved), "{locked:#?}");
    assert_eq!(digest(&story.run(&["build", "p", "--locked"])), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_line_names_is_added() {
    let story = Story::new(&[AMD64]).await;
    story.publish("other", "1", &story.image("other")).await;
    let other = story.at("other:1");
    story.succeed(&["lock", "p"]);
    let alone = story.lock_text();
    let added = story.succeed(&["lock", "p", "--base", &other]);
    assert_eq!(added.stdout.lines().count(), 2, "{added:#?}");
    story.succeed(&["lock", "p", "--platform", ARM64]);
    for words in [&[][..], &["--base", &other], &["--platform", ARM64]] {
        story.succeed(&[&["build", "p", "--locked"], words].concat());
    }
    let locked = story.succeed(&["lock", "p"]);
    assert!(locked.stderr.contains(&format!("{other} is not needed any more")), "{locked:#?}");
    assert_eq!(story.lock_text(), alone);
}
