//! Nothing is done twice: what was packed on this machine, and what stands in the registry, is found
//! again, and nobody could tell from the digest.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use dockless::layer::writer_version;
use dockless::oci::Digest;
use dockless::plan::LayerCompression;
use serde_json::Value;

use crate::support::cli::{Outcome, Sandbox, TWO_LAYERS};
use crate::support::fault_proxy::{FaultProxy, status};
use crate::support::image::run;
use crate::support::registry::Registry;

/// Two layers of two files each, a registry, and two machines.
struct Story {
    sandbox: Sandbox,
    registry: Registry,
}

/// How each layer came about: `packed`, `unchanged`, or `taken over`.
type Origins = Vec<(&'static str, &'static str)>;

impl Story {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("p/dockless.yaml", TWO_LAYERS);
        for file in ["one/a", "one/b", "two/a", "two/b"] {
            sandbox.write(&format!("p/{file}"), file);
        }
        let story = Self { sandbox, registry: Registry::start() };
        story.age();
        story
    }

    /// Makes every file old enough to be remembered, as after a cup of coffee.
    fn age(&self) {
        for folder in ["one", "two"] {
            for entry in fs::read_dir(self.sandbox.work().join("p").join(folder)).unwrap() {
                let file = File::options().write(true).open(entry.unwrap().path()).unwrap();
                file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
            }
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.registry.host())
    }

    /// Runs a command on a machine that has seen nothing yet.
    fn fresh(&self, words: &[&str]) -> Outcome {
        let cache = tempfile::tempdir().unwrap();
        Outcome::of(self.sandbox.command(words).env("DOCKLESS_CACHE_DIR", cache.path()))
    }

    /// The digest of a build that knows and asks nothing.
    fn clean_digest(&self) -> String {
        let outcome = self.fresh(&["build", "p", "--no-cache"]);
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        outcome.stdout.trim().to_owned()
    }

    /// A request of the registry's own interface; what it answers.
    fn curl(&self, arguments: &[&str], path: &str) -> Vec<u8> {
        let url = format!("http://{}/v2/{path}", self.registry.host());
        let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
        let output =
            Command::new("curl").args(["-sSf", "-H", accept]).args(arguments).arg(url).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    fn manifest(&self, repository: &str, tag: &str) -> Value {
        let bytes = self.curl(&[], &format!("{repository}/manifests/{tag}"));
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Puts a manifest as somebody else would.
    fn put_manifest(&self, repository: &str, tag: &str, manifest: &Value) {
        let file = self.sandbox.write("manifest.json", manifest.to_string());
        let data = format!("@{}", file.display());
        let content_type = "Content-Type: application/vnd.oci.image.manifest.v1+json";
        let arguments = ["-X", "PUT", "-H", content_type, "--data-binary", &data];
        self.curl(&arguments, &format!("{repository}/manifests/{tag}"));
    }
}

/// What a run did about each layer of the project.
#[track_caller]
fn origins(outcome: &Outcome) -> Origins {
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let line = |name: &'static str| {
        let subject = format!("files {name} → /srv/{name}");
        let line = outcome.stderr.lines().find(|line| line.contains(&subject));
        let line = line.unwrap_or_else(|| panic!("{outcome:#?}"));
        let origins = ["taken over", "unchanged", "packed"];
        (name, *origins.iter().find(|origin| line.contains(**origin)).unwrap())
    };
    vec![line("one"), line("two")]
}

const PACKED: &str = "packed";
const UNCHANGED: &str = "unchanged";
const TAKEN_OVER: &str = "taken over";

#[test]
fn a_fresh_machine_takes_over_what_stands_in_the_registry() {
    let story = Story::new();
    let to = story.at("a/b");
    let first = story.sandbox.run(["push", "p", "--to", &to, "-t", "v1"]);
    assert_eq!(origins(&first), [("one", PACKED), ("two", PACKED)]);

    let again = story.fresh(&["push", "p", "--to", &to, "-t", "v1"]);
    assert_eq!(origins(&again), [("one", TAKEN_OVER), ("two", TAKEN_OVER)]);
    assert_eq!(again.stdout, first.stdout);
    assert!(
        again.stderr.contains(&format!("layers of `{to}:v1` are taken over where they fit")),
        "{again:#?}"
    );

    story.sandbox.write("p/two/a", "changed");
    let changed = story.fresh(&["push", "p", "--to", &to, "-t", "v1"]);
    assert_eq!(origins(&changed), [("one", TAKEN_OVER), ("two", PACKED)]);
    // The embedded base is a layer, too.
    assert!(changed.stderr.contains("\nlayers: 1 packed, 2 taken over\n"), "{changed:#?}");
    let digest = changed.stdout.trim().rsplit_once('@').unwrap().1.to_owned();
    assert_eq!(digest, story.clean_digest());
    // Somebody else gets what was pushed.
    let layout = format!("oci:{}", story.sandbox.work().join("copy").display());
    let from = format!("docker://{to}:v1");
    let copy = ["copy", "--src-tls-verify=false", "--quiet", &from, &layout];
    run("skopeo", &copy, &story.sandbox.work());
}

#[test]
fn without_the_cache_everything_is_packed() {
    let story = Story::new();
    let push = ["push", "p", "--to", &story.at("a/b"), "-t", "v1"];
    let first = story.sandbox.run(push);
    let again = story.sandbox.run(push.into_iter().chain(["--no-cache"]));
    assert_eq!(origins(&again), [("one", PACKED), ("two", PACKED)]);
    assert_eq!(again.stdout, first.stdout);
}

#[test]
fn an_earlier_image_is_looked_for_under_latest_and_where_the_parents_of_head_stand() {
    let story = Story::new();
    let to = story.at("a/b");
    let project = story.sandbox.work().join("p");
    let git = |arguments: &[&str]| {
        let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
        run("git", &[&who, arguments].concat(), &project)
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=one"]);
    let parent = git(&["rev-parse", "HEAD"]);
    let first = story.sandbox.run(["push", "p", "--to", &to, "-t", "git_sha,latest"]);
    assert_eq!(origins(&first), [("one", PACKED), ("two", PACKED)]);
    git(&["commit", "--quiet", "--allow-empty", "--message=two"]);

    // What CI has: the last commit and nothing else, in a folder of another name.
    let url = format!("file://{}", project.display());
    let clone = ["clone", "--quiet", "--depth=1", &url, "clone"];
    run("git", &clone, &story.sandbox.work());
    let push = |tags: &str| story.fresh(&["push", "clone", "--to", &to, "-t", tags]);
    let said = |outcome: &Outcome, tag: &str| {
        assert_eq!(origins(outcome), [("one", TAKEN_OVER), ("two", TAKEN_OVER)]);
        let note = format!("layers of `{to}:{tag}` are taken over where they fit");
        assert!(outcome.stderr.contains(&note), "{outcome:#?}");
    };
    said(&push("git_sha"), &parent[..7]);
    said(&push("v2"), "latest");
}

/// A registry that hands out other bytes under the digest of a layer.
#[test]
fn a_layer_that_was_damaged_in_the_registry_is_packed_here() {
    let story = Story::new();
    let to = story.at("a/b");
    story.sandbox.succeed(["push", "p", "--to", &to, "-t", "v1"]);
    let manifest = story.manifest("a/b", "v1");
    let digest = manifest["layers"][2]["digest"].as_str().unwrap();
    story.registry.damage_blob(digest.strip_prefix("sha256:").unwrap());
    let reference = format!("{to}:v1");
    let built = story.fresh(&["build", "p", "-o", "oci:out:v1", "--cache-from", &reference]);
    assert_eq!(built.code, 0, "{built:#?}");
    assert!(built.stderr.contains("is gone or damaged, all are packed again"), "{built:#?}");
    assert_eq!(built.stdout.trim(), story.clean_digest());
    // A pipe has seen a part of it by then.
    let cache = tempfile::tempdir().unwrap();
    let words = ["build", "p", "-o", "-", "--cache-from", &reference];
    let piped =
        story.sandbox.command(words).env("DOCKLESS_CACHE_DIR", cache.path()).output().unwrap();
    assert_eq!(piped.status.code(), Some(3), "{piped:?}");
}

/// A registry that has no time for questions about earlier images, though it takes the new one.
#[tokio::test(flavor = "multi_thread")]
async fn what_saves_work_is_not_waited_for() {
    let story = Story::new();
    let proxy = FaultProxy::start(&story.registry.host()).await;
    let to = format!("{}/a/b", proxy.server().host());
    story.sandbox.succeed(["push", "p", "--to", &to, "-t", "v1"]);
    let push = |tag: &str, rest: &[&str]| {
        story.fresh(&[&["push", "p", "--to", &to, "-t", tag][..], rest].concat())
    };
    let (packed, taken_over) =
        ([("one", PACKED), ("two", PACKED)], [("one", TAKEN_OVER), ("two", TAKEN_OVER)]);
    // A moment is waited for.
    proxy.on("GET", "/manifests/", [status(503, None)]);
    assert_eq!(origins(&push("v1", &[])), taken_over);
    for code in [429, 503] {
        let later = || [status(code, Some(("Retry-After", "3600")))];
        proxy.on("GET", "/manifests/", later());
        let pushed = push("v1", &[]);
        assert_eq!(origins(&pushed), packed);
        let said = |image: &str, what: &str| {
            let note = format!("nothing is taken over from `{image}`: {what}");
            assert!(pushed.stderr.contains(&note), "{note}: {pushed:#?}");
        };
        said(&format!("{to}:v1"), "cannot fetch the manifest");

        proxy.on("HEAD", "/manifests/latest", later());
        let pushed = push(&format!("new-{code}"), &[]);
        assert_eq!(origins(&pushed), packed);
        let note = format!("nothing is taken over from `{to}:latest`: cannot push to");
        assert!(pushed.stderr.contains(&note), "{pushed:#?}");

        proxy.on("HEAD", "/manifests/main", later());
        let named = format!("{to}:main,{to}:v1");
        let pushed = push(&format!("newer-{code}"), &["--cache-from", &named]);
        assert_eq!(origins(&pushed), packed);
        for (tag, reason) in [("main", "cannot look up `main`"), ("v1", "has not answered before")]
        {
            let start = format!("warning: nothing is taken over from `{to}:{tag}`: ");
            let mut lines = pushed.stderr.lines().filter(|line| line.starts_with(&start));
            assert!(lines.any(|line| line.contains(reason)), "{tag}: {pushed:#?}");
        }
    }
    assert!(proxy.is_exhausted());
    // The answers about single layers come to nothing with the first: it depends on the threads how many are
    // still asked for.
    proxy.on("HEAD", "/blobs/", vec![status(503, Some(("Retry-After", "3600"))); 3]);
    let pushed = push("v1", &[]);
    assert_eq!(origins(&pushed), packed);
    let note = format!("nothing is taken over from `{to}:v1`: ");
    assert_eq!(pushed.stderr.matches(&note).count(), 1, "{pushed:#?}");
}

#[test]
fn another_image_can_be_named() {
    let story = Story::new();
    let (named, to) = (story.at("cache/p"), story.at("a/b"));
    story.sandbox.succeed(["push", "p", "--to", &named, "-t", "main"]);
    let reference = format!("{named}:main");
    let missing = story.at("nobody/x:1");
    let cache_from = format!("{missing},{reference}");
    let pushed =
        story.fresh(&["push", "p", "--to", &to, "-t", "v1", "--cache-from", &cache_from, "-v"]);
    assert_eq!(origins(&pushed), [("one", TAKEN_OVER), ("two", TAKEN_OVER)]);
    for line in [
        format!("nothing is taken over from `{missing}`: it does not exist"),
        format!("layers of `{reference}` are taken over where they fit"),
        format!("mounted from {named}"),
    ] {
        assert!(pushed.stderr.contains(&line), "{line}: {pushed:#?}");
    }
    // What a layout lacks is fetched.
    let built = story.fresh(&["build", "p", "-o", "oci:out:v1", "--cache-from", &reference]);
    assert_eq!(origins(&built), [("one", TAKEN_OVER), ("two", TAKEN_OVER)]);
    let image = format!("{}:v1", story.sandbox.work().join("out").display());
    run("umoci", &["stat", "--image", &image], &story.sandbox.work());

    let wrong = story.fresh(&["build", "p", "--cache-from", "r.io/A b"]);
    assert_eq!(wrong.code, 2, "{wrong:#?}");
    assert!(wrong.stderr.contains("read `--cache-from`"), "{wrong:#?}");
}

#[test]
fn an_image_that_is_none_of_ours_gives_nothing() {
    let story = Story::new();
    let to = story.at("a/b");
    story.sandbox.succeed(["push", "p", "--to", &to, "-t", "v1"]);
    let ours = story.manifest("a/b", "v1");
    let writer = "dev.dockless.writer-version";
    assert_eq!(ours["annotations"][writer], writer_version(LayerCompression::Gzip));
    assert_eq!(ours["annotations"]["dev.dockless.base-layers"], "0");
    let refused = |change: &dyn Fn(&mut Value), reason: &str| {
        let mut manifest = ours.clone();
        change(&mut manifest);
        story.put_manifest("a/b", "v1", &manifest);
        let pushed = story.fresh(&["push", "p", "--to", &to, "-t", "v1", "-v"]);
        assert_eq!(origins(&pushed), [("one", PACKED), ("two", PACKED)], "{reason}");
        let line = format!("nothing is taken over from `{to}:v1`: {reason}");
        assert!(pushed.stderr.contains(&line), "{line}: {pushed:#?}");
    };
    refused(
        &|manifest| manifest["annotations"][writer] = "tar0".into(),
        "its layers were written as `tar0`",
    );
    refused(&|manifest| manifest["annotations"] = serde_json::json!({}), "it was not built by");
    refused(
        &|manifest| drop(manifest["layers"].as_array_mut().unwrap().pop()),
        "its manifest has 2 layers, its config 3 diff_ids",
    );
}

/// An image whose manifest gives a layer another size than its blob has: nobody could pull it.
#[test]
fn a_layer_of_another_size_than_its_image_says_is_packed_here() {
    let story = Story::new();
    let (forged, to) = (story.at("a/b"), story.at("a/c"));
    story.sandbox.succeed(["push", "p", "--to", &forged, "-t", "v1"]);
    let mut manifest = story.manifest("a/b", "v1");
    let [_, layer, _] = &mut manifest["layers"].as_array_mut().unwrap()[..] else { panic!() };
    let (digest, size) = (layer["digest"].clone(), layer["size"].as_u64().unwrap());
    layer["size"] = (size + 1).into();
    let image = format!("{forged}:v1");
    let claim = format!("its manifest says that {} has {}", digest.as_str().unwrap(), size + 1);
    let warning = format!(
        "warning: layer `files one → /srv/one` is packed anew, not taken from `{image}`: {claim} bytes, the registry {size}\n"
    );
    let clean = story.clean_digest();
    for words in [
        &["push", "p", "--to", &forged, "-t", "v1"][..],
        &["push", "p", "--to", &to, "-t", "v1", "--cache-from", &image],
        &["build", "p", "--cache-from", &image],
    ] {
        story.put_manifest("a/b", "v1", &manifest);
        let outcome = story.fresh(words);
        assert_eq!(origins(&outcome), [("one", PACKED), ("two", TAKEN_OVER)]);
        assert!(outcome.stderr.contains(&warning), "{warning}{outcome:#?}");
        assert!(outcome.stdout.trim().ends_with(&clean), "{clean}: {outcome:#?}");
    }
    for to in [forged, to] {
        let layout = format!("oci:{}", story.sandbox.work().join("copy").display());
        let from = format!("docker://{to}@{clean}");
        let copy = ["copy", "--src-tls-verify=false", "--quiet", &from, &layout];
        run("skopeo", &copy, &story.sandbox.work());
    }
}

#[test]
fn a_layer_that_the_registry_has_lost_is_packed_here() {
    let story = Story::new();
    let to = story.at("a/b");
    let first = story.sandbox.succeed(["push", "p", "--to", &to, "-t", "v1"]);
    let manifest = story.manifest("a/b", "v1");
    let layers = manifest["layers"].as_array().unwrap();
    let lost = layers.last().unwrap()["digest"].as_str().unwrap();
    story.curl(&["-X", "DELETE"], &format!("a/b/blobs/{lost}"));
    // The new tag needs the manifest to be put, and its blobs to be there.
    story.sandbox.write("p/one/a", "changed");
    let pushed = story.fresh(&["push", "p", "--to", &to, "-t", "v1"]);
    assert_eq!(pushed.code, 0, "{pushed:#?}");
    let warning = format!(
        "warning: layer `files two → /srv/two` is packed anew, not taken from `{to}:v1`: cannot look for blob"
    );
    assert!(pushed.stderr.contains(&warning), "{pushed:#?}");
    let digest = pushed.stdout.trim().rsplit_once('@').unwrap().1.to_owned();
    assert_eq!(digest, story.clean_digest());
    assert!(!first.ends_with(&digest));
    story.curl(&["--head"], &format!("a/b/blobs/{lost}"));
}

/// A tag whose content was lost is repaired by a push that takes nobody's word.
#[test]
fn without_the_cache_every_blob_is_asked_for() {
    let story = Story::new();
    let push = ["push", "p", "--to", &story.at("a/b"), "-t", "v1"];
    story.sandbox.succeed(push);
    let manifest = story.manifest("a/b", "v1");
    let lost = manifest["layers"][1]["digest"].as_str().unwrap();
    let blob = format!("a/b/blobs/{lost}");
    story.curl(&["-X", "DELETE"], &blob);
    let pushed = story.sandbox.run(push.into_iter().chain(["--no-cache"]));
    assert_eq!(pushed.code, 0, "{pushed:#?}");
    story.curl(&["--head"], &blob);
}

#[test]
fn the_same_machine_packs_what_has_changed() {
    let story = Story::new();
    let path = |file: &str| story.sandbox.work().join("p").join(file);
    let build = || story.sandbox.run(["build", "p"]);
    assert_eq!(origins(&build()), [("one", PACKED), ("two", PACKED)]);
    assert_eq!(origins(&build()), [("one", UNCHANGED), ("two", UNCHANGED)]);
    let rebuilt = |what: &str, expected: Origins| {
        let built = build();
        assert_eq!(origins(&built), expected, "{what}");
        assert_eq!(built.stdout.trim(), story.clean_digest(), "{what}");
    };

    // Touched, and the same all the same.
    File::options().write(true).open(path("one/a")).unwrap().set_modified(UNIX_EPOCH).unwrap();
    rebuilt("touched", vec![("one", UNCHANGED), ("two", UNCHANGED)]);
    // As long, and as old, as it was.
    fs::write(path("two/a"), "Two/a").unwrap();
    story.age();
    rebuilt("other bytes", vec![("one", UNCHANGED), ("two", PACKED)]);
    fs::set_permissions(path("one/a"), fs::Permissions::from_mode(0o755)).unwrap();
    rebuilt("another mode", vec![("one", PACKED), ("two", UNCHANGED)]);
    fs::rename(path("one/a"), path("one/c")).unwrap();
    rebuilt("renamed", vec![("one", PACKED), ("two", UNCHANGED)]);
    fs::rename(path("one/b"), path("one/swap")).unwrap();
    fs::rename(path("one/c"), path("one/b")).unwrap();
    fs::rename(path("one/swap"), path("one/c")).unwrap();
    rebuilt("each in the other's place", vec![("one", PACKED), ("two", UNCHANGED)]);
    // Another file with the same content in its place.
    fs::write(path("two/new"), fs::read(path("two/b")).unwrap()).unwrap();
    fs::rename(path("two/new"), path("two/b")).unwrap();
    rebuilt("replaced", vec![("one", UNCHANGED), ("two", UNCHANGED)]);
    // Twice within one tick of the clock.
    for content in ["first", "other"] {
        fs::write(path("two/a"), content).unwrap();
        rebuilt(content, vec![("one", UNCHANGED), ("two", PACKED)]);
    }
    // What the cache has lost is made again.
    let blobs = story.sandbox.cache().join("blobs");
    fs::remove_dir_all(&blobs).unwrap();
    rebuilt("no blobs", vec![("one", PACKED), ("two", PACKED)]);
}

/// What a plan asks of a base's files is remembered, here and in the image.
#[test]
fn a_base_is_read_once_on_any_machine() {
    let story = Story::new();
    story.sandbox.write(
        "base/dockless.yaml",
        "name: base\nbase: scratch\nlayers:\n\
         - {kind: files, copy: [{src: etc, dest: /etc}], directories: [{path: /srv/one, mode: '0700', owner: '5:6'}]}\n",
    );
    story.sandbox.write("base/etc/passwd", "root:x:0:0");
    let base = format!("{}:1", story.at("base"));
    story.sandbox.succeed(["push", "base", "-t", &base]);

    let to = story.at("a/b");
    let push = ["push", "p", "--base", &base, "--to", &to, "-t", "v1"];
    let inspected = |outcome: &Outcome| {
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        outcome.stderr.matches("inspected").count()
    };
    let digest = |outcome: &Outcome| outcome.stdout.trim().rsplit_once('@').unwrap().1.to_owned();
    let clean = || story.fresh(&["build", "p", "--base", &base, "--no-cache"]).stdout;
    let first = story.sandbox.run(push);
    assert_eq!((inspected(&first), digest(&first)), (1, clean().trim().to_owned()));
    let told = &story.manifest("a/b", "v1")["annotations"]["dev.dockless.base-files"];
    let told: Value = serde_json::from_str(told.as_str().unwrap()).unwrap();
    assert_eq!(told["folders"], serde_json::json!(["", "srv", "srv/one"]));
    assert_eq!(inspected(&story.sandbox.run(push)), 0);
    let again = story.fresh(&push);
    assert_eq!((inspected(&again), digest(&again)), (0, digest(&first)));
    // A file where nobody has looked yet.
    story.sandbox.write(
        "p/dockless.yaml",
        "name: p\nbase: builtin:static\nlayers:\n\
         - {kind: files, copy: [{src: one, dest: /etc/one}]}\n",
    );
    let moved = story.fresh(&push);
    assert_eq!((inspected(&moved), digest(&moved)), (1, clean().trim().to_owned()));
    // Forged for another base, it is worth nothing.
    let mut forged = story.manifest("a/b", "v1");
    let lie = format!(
        r#"{{"base":"{}","folders":["","etc"],"directories":[["etc",511,1,1]],"links":[],"files":[]}}"#,
        Digest::of(b"another base")
    );
    forged["annotations"]["dev.dockless.base-files"] = lie.into();
    story.put_manifest("a/b", "v1", &forged);
    let pushed = story.fresh(&push);
    assert_eq!((inspected(&pushed), digest(&pushed)), (1, clean().trim().to_owned()));
    // What makes no plan is no mistake of the user's; what grows without end is no file system.
    let long = "a/".repeat(2000);
    for members in [
        r#""folders":["","etc"],"directories":[],"links":[],"files":["etc"]"#.to_owned(),
        format!(r#""folders":[""],"directories":[],"links":[["etc","/etc/{long}"]],"files":[]"#),
    ] {
        let base = forged["annotations"]["org.opencontainers.image.base.digest"].as_str().unwrap();
        let lie = format!(r#"{{"base":"{base}",{members}}}"#);
        forged["annotations"]["dev.dockless.base-files"] = lie.into();
        story.put_manifest("a/b", "v1", &forged);
        let pushed = story.fresh(&push);
        assert_eq!((inspected(&pushed), digest(&pushed)), (1, clean().trim().to_owned()));
    }
}

/// Whoever may push to the repository of a cache does not decide where files go elsewhere.
#[test]
fn only_where_an_image_goes_counts_what_is_told_of_its_base() {
    let story = Story::new();
    story.sandbox.write(
        "base/dockless.yaml",
        "name: base\nbase: scratch\nlayers:\n\
         - {kind: files, copy: [], directories: [{path: /srv/one, mode: '0700', owner: '5:6'}]}\n",
    );
    let base = format!("{}:1", story.at("base"));
    story.sandbox.succeed(["push", "base", "-t", &base]);
    let (cache, to, other) = (story.at("cache/p"), story.at("a/b"), story.at("a/c"));
    let push = |to: &str, rest: &[&str]| {
        let words = ["push", "p", "--base", &base, "--to", to, "-t", "v1"];
        let pushed = story.fresh(&[&words, rest].concat());
        assert_eq!(pushed.code, 0, "{pushed:#?}");
        let digest = pushed.stdout.lines().next().unwrap().rsplit_once('@').unwrap().1.to_owned();
        (pushed.stderr.contains("inspected"), digest)
    };
    let (is_inspected, clean) = push(&cache, &[]);
    assert!(is_inspected);

    let mut forged = story.manifest("cache/p", "v1");
    let told = forged["annotations"]["dev.dockless.base-files"].as_str().unwrap();
    let lie = told.replacen(r#"["srv/one",448,5,6]"#, r#"["srv/one",511,9,9]"#, 1);
    assert_ne!(lie, told);
    forged["annotations"]["dev.dockless.base-files"] = lie.into();
    story.put_manifest("cache/p", "v1", &forged);
    let from = format!("{cache}:v1");
    assert_eq!(push(&to, &["--cache-from", &from]), (true, clean.clone()));
    // What stands there tells it, whoever is asked for layers.
    assert_eq!(push(&to, &["--cache-from", &from]), (false, clean.clone()));
    // The same image that is named where it goes, and not found there by a tag.
    let words = ["push", "p", "--base", &base, "--to", &to, "-t", "v2"];
    let named = story.fresh(&[&words[..], &["--cache-from", &format!("{to}:v1")]].concat());
    assert!(named.code == 0 && !named.stderr.contains("inspected"), "{named:#?}");
    // A repository does not speak for another one.
    let both = format!("{to},{other}");
    assert_eq!(push(&both, &[]), (true, clean.clone()));
    assert_eq!(push(&both, &[]), (false, clean));
}

/// Blobs of the right size and with other bytes, as a bad disk leaves them.
#[test]
fn a_layer_that_has_rotted_in_the_cache_is_packed_again() {
    let story = Story::new();
    story.sandbox.succeed(["build", "p"]);
    let damage = || {
        for entry in fs::read_dir(story.sandbox.cache().join("blobs/sha256")).unwrap() {
            let mut bytes = fs::read(entry.as_ref().unwrap().path()).unwrap();
            bytes[20] ^= 1;
            fs::write(entry.unwrap().path(), bytes).unwrap();
        }
    };
    damage();
    let to = story.at("a/b");
    let pushed = story.sandbox.run(["push", "p", "--to", &to, "-t", "v1"]);
    assert_eq!(pushed.code, 0, "{pushed:#?}");
    assert!(pushed.stderr.contains("it is not what it was when it was hashed"), "{pushed:#?}");
    let from = format!("docker://{to}:v1");
    let copy = ["copy", "--src-tls-verify=false", "--quiet", &from, "oci:copy"];
    run("skopeo", &copy, &story.sandbox.work());

    damage();
    let built = story.sandbox.run(["build", "p", "-o", "oci:out:v1"]);
    assert_eq!(origins(&built), [("one", PACKED), ("two", PACKED)]);
    run("skopeo", &["copy", "--quiet", "oci:out:v1", "oci:again"], &story.sandbox.work());
}

/// Reuse never gives a digest that a build from scratch would not give.
#[test]
fn random_edits_give_the_digests_of_clean_builds() {
    let story = Story::new();
    let to = story.at("a/b");
    let mut random = fastrand::Rng::with_seed(4);
    let mut taken_over = 0;
    for round in 0..12 {
        for _ in 0..random.usize(0..3) {
            let folder = ["one", "two"][random.usize(..2)];
            let path = format!("p/{folder}/{}", ["a", "b", "c", "d/e"][random.usize(..4)]);
            let file = story.sandbox.work().join(&path);
            match random.usize(..4) {
                0 if file.exists() && !path.ends_with("/a") => fs::remove_file(file).unwrap(),
                1 if file.exists() => {
                    let mode = [0o644, 0o600, 0o755][random.usize(..3)];
                    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
                }
                _ => drop(story.sandbox.write(&path, ["x", "y", "zz"][random.usize(..3)])),
            }
        }
        let push = ["push", "p", "--to", &to, "-t", &format!("latest,v{round}")];
        let is_fresh = random.bool();
        let pushed = if is_fresh { story.fresh(&push) } else { story.sandbox.run(push) };
        assert_eq!(pushed.code, 0, "{pushed:#?}");
        taken_over += pushed.stderr.matches("taken over from").count();
        let digest = pushed.stdout.trim().rsplit_once('@').unwrap().1.to_owned();
        assert_eq!(digest, story.clean_digest(), "round {round}: {pushed:#?}");
        let bytes = story.curl(&[], &format!("a/b/manifests/v{round}"));
        assert_eq!(Digest::of(&bytes).to_string(), digest);
    }
    assert!(taken_over > 4, "{taken_over}: the story must have something to tell");
}
