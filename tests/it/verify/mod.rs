//! `dockless verify`: whether an image is what a project builds, and what is different when it is not.

mod indexes;
mod lost;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dockless::layer::writer_version;
use dockless::oci::Digest;
use dockless::plan::LayerCompression;
use serde_json::{Value, json};

use crate::support::cli::{Outcome, Sandbox};
use crate::support::image::{Member, file, folder, run, tar};
use crate::support::registry::Registry;

const CONFIG: &str =
    "name: p\nbase: scratch\nlayers: [{kind: files, copy: [{src: data, dest: /srv}]}]\n";

/// A project of two files whose image is `a/b:v1` in a registry.
struct Story {
    sandbox: Sandbox,
    registry: Registry,
    /// What the push said: the reference by digest.
    pushed: String,
}

impl Story {
    fn new() -> Self {
        let (sandbox, registry) = (Sandbox::new(), Registry::start());
        sandbox.write("p/dockless.yaml", CONFIG);
        sandbox.write("p/data/one", "one\n");
        sandbox.write("p/data/two", "two\n");
        let to = format!("{}/a/b:v1", registry.host());
        let pushed = sandbox.succeed(["push", "p", "--to", &to]);
        Self { sandbox, registry, pushed }
    }

    fn tag(&self, tag: &str) -> String {
        format!("{}/a/b:{tag}", self.registry.host())
    }

    fn verify(&self, tag: &str, rest: &[&str]) -> Outcome {
        let reference = self.tag(tag);
        let mut words = vec!["verify", &reference, "p"];
        words.extend(rest);
        self.sandbox.run(words)
    }

    /// Builds the project into a layout, lets it be changed there, and pushes that.
    fn forge(&self, tag: &str, change: impl FnOnce(&mut Forgery)) {
        let folder = self.sandbox.work().join(tag);
        self.sandbox.succeed(["build", "p", "-o", &format!("oci:{tag}")]);
        let mut forgery = Forgery::open(&folder);
        change(&mut forgery);
        forgery.save();
        self.sandbox.succeed(["push", &format!("oci:{tag}"), "--to", &self.tag(tag)]);
    }
}

/// The image in a layout, changed by somebody who knows how.
struct Forgery {
    folder: PathBuf,
    manifest: Value,
    config: Value,
}

impl Forgery {
    fn open(folder: &Path) -> Self {
        let index: Value =
            serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
        let read = |descriptor: &Value| serde_json::from_slice(&blob(folder, descriptor)).unwrap();
        let manifest: Value = read(&index["manifests"][0]);
        let config = read(&manifest["config"]);
        Self { folder: folder.to_owned(), manifest, config }
    }

    fn layer(&self) -> Vec<u8> {
        blob(&self.folder, &self.manifest["layers"][0])
    }

    /// Puts another blob in the place of the first layer; the config goes on to say what it did.
    fn replace_layer(&mut self, bytes: &[u8]) {
        self.put(bytes, &["layers", "0"]);
    }

    fn put(&mut self, bytes: &[u8], place: &[&str]) {
        let digest = Digest::of(bytes);
        fs::write(self.folder.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        let descriptor = self.manifest.pointer_mut(&format!("/{}", place.join("/"))).unwrap();
        descriptor["digest"] = json!(digest);
        descriptor["size"] = json!(bytes.len());
    }

    fn save(mut self) {
        let config = serde_json::to_vec(&self.config).unwrap();
        self.put(&config, &["config"]);
        let manifest = serde_json::to_vec(&self.manifest).unwrap();
        let digest = Digest::of(&manifest);
        fs::write(self.folder.join("blobs/sha256").join(digest.hex()), &manifest).unwrap();
        let index = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": self.manifest["mediaType"], "digest": digest, "size": manifest.len(),
        }]});
        fs::write(self.folder.join("index.json"), index.to_string()).unwrap();
    }
}

fn blob(folder: &Path, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap();
    fs::read(folder.join("blobs").join(digest.replace(':', "/"))).unwrap()
}

/// What a program makes of bytes.
fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in"), input).unwrap();
    let input = fs::File::open(folder.path().join("in")).unwrap();
    let output = Command::new(program).args(arguments).stdin(input).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    output.stdout
}

#[test]
fn an_image_of_the_project_is_verified_without_a_cache() {
    let story = Story::new();
    let other = Sandbox::new();
    other.write("p/dockless.yaml", CONFIG);
    other.write("p/data/two", "two\n");
    other.write("p/data/one", "one\n");
    let digest = story.pushed.split_once('@').unwrap().1;
    let by_digest = format!("{}/a/b@{digest}", story.registry.host());
    for reference in [story.tag("v1"), by_digest.clone()] {
        assert_eq!(other.succeed(["verify", &reference, "p"]), story.pushed);
    }
    assert_eq!(fs::read_dir(other.cache()).unwrap().count(), 0);
    let document: Value =
        serde_json::from_str(&other.succeed(["verify", &by_digest, "p", "--json"])).unwrap();
    assert_eq!(
        document,
        json!({
            "reference": by_digest,
            "digest": digest,
            "built_digest": digest,
            "is_equal": true,
            "verified": [by_digest],
            "differences": [],
            "hints": [],
        })
    );
}

#[test]
fn the_first_file_that_differs_is_named_with_its_field() {
    type Change = fn(&Path);
    let cases: [(Change, &str); 5] = [
        (
            |data| fs::write(data.join("one"), "onE\n").unwrap(),
            "`srv/one` has other content in the image, from byte 2 on",
        ),
        (
            |data| {
                let mode = fs::Permissions::from_mode(0o755);
                fs::set_permissions(data.join("two"), mode).unwrap();
            },
            "`srv/two` has mode 0644 in the image, 0755 built here",
        ),
        (
            |data| fs::rename(data.join("one"), data.join("three")).unwrap(),
            "`srv/one` is only in the image",
        ),
        (
            |data| fs::write(data.join("new"), "").unwrap(),
            "`srv/new` is only in what is built here",
        ),
        (
            |data| fs::write(data.join("two"), "longer\n").unwrap(),
            "`srv/two` has size 4 in the image, 7 built here",
        ),
    ];
    let story = Story::new();
    for (change, expected) in cases {
        let data = story.sandbox.work().join("p/data");
        let kept = story.sandbox.work().join("kept");
        crate::support::cli::copy(&data, &kept);
        change(&data);
        let outcome = story.verify("v1", &[]);
        let expected = format!("layer 1 \"files data → /srv\" differs: {expected}\n");
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, expected.as_str()), "{outcome:#?}");
        assert!(outcome.stderr.contains("is not what this project builds: it is sha256:"));
        fs::remove_dir_all(&data).unwrap();
        fs::rename(kept, data).unwrap();
    }
    assert_eq!(story.verify("v1", &[]).code, 0);
}

#[test]
fn json_tells_layer_file_and_field() {
    let story = Story::new();
    story.sandbox.write("p/data/one", "onE\n");
    let outcome = story.verify("v1", &["--json", "--label", "x=y"]);
    assert_eq!(outcome.code, 1, "{outcome:#?}");
    let mut document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let built = document.as_object_mut().unwrap().remove("built_digest").unwrap();
    assert!(built.as_str().unwrap().starts_with("sha256:"));
    let text = "layer 1 \"files data → /srv\" differs: `srv/one` has other content in the image, from byte 2 on";
    assert_eq!(
        document,
        json!({
            "reference": story.tag("v1"),
            "digest": story.pushed.split_once('@').unwrap().1,
            "is_equal": false,
            "verified": [],
            "differences": [
                {
                    "text": text, "platform": null, "layer": 1, "path": "srv/one", "field": "content",
                    "image": null, "built": null, "lost": null,
                },
                {
                    "text": "label x is not set in the image, \"y\" built here", "platform": null,
                    "layer": null, "path": null, "field": "label x", "image": null, "built": "y",
                    "lost": null,
                },
            ],
            "hints": ["the image has no label x: is it given with `--label` here?"],
        })
    );
}

#[test]
fn other_gzip_bytes_of_the_same_content_are_found() {
    let (story, written) = (Story::new(), writer_version(LayerCompression::Gzip));
    let recompress = |forgery: &mut Forgery, program: &str, level: &str| {
        let tar = filter("gzip", &["-dc"], &forgery.layer());
        forgery.replace_layer(&filter(program, &[level, "-c"], &tar));
    };
    story.forge("gzip", |forgery| recompress(forgery, "gzip", "-9"));
    story.forge("zstd", |forgery| {
        recompress(forgery, "zstd", "-3");
        forgery.manifest["layers"][0]["mediaType"] =
            json!("application/vnd.oci.image.layer.v1.tar+zstd");
    });
    for tag in ["gzip", "zstd"] {
        let outcome = story.verify(tag, &[]);
        let expected = format!(
            "layer 1 \"files data → /srv\" has the same content, compressed in another way than by \
             {written}, which the image names: it was not made by dockless from this content\n"
        );
        assert_eq!((outcome.code, outcome.stdout), (1, expected), "{}", outcome.stderr);
    }
    story.forge("old", |forgery| {
        recompress(forgery, "gzip", "-9");
        forgery.manifest["annotations"]["dev.dockless.writer-version"] = json!("tar0");
    });
    let outcome = story.verify("old", &[]);
    let expected = format!(
        "layer 1 \"files data → /srv\" has the same content, compressed in another way: the image \
         names the writer `tar0`, here it is `{written}`\n\
         writer version is \"tar0\" in the image, \"{written}\" built here\n"
    );
    assert_eq!((outcome.code, outcome.stdout), (1, expected), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("hint: verify it with the version of dockless that built it"));
}

/// What an image says of itself is not what it is: here the config names the diff_ids of a good one.
#[test]
fn a_layer_is_read_whatever_diff_id_it_is_said_to_have() {
    let story = Story::new();
    let gzip = |members: &[Member]| filter("gzip", &["-c"], &tar(members));
    story.forge("evil", |forgery| {
        forgery.replace_layer(&gzip(&[
            folder("srv"),
            file("srv/one", "one\n"),
            file("srv/one.sh", "curl evil\n"),
            file("srv/two", "two\n"),
        ]));
    });
    story.forge("rubbish", |forgery| forgery.replace_layer(b"no tar at all"));
    story.forge("cut", |forgery| {
        let layer = forgery.layer();
        forgery.replace_layer(&layer[..layer.len() / 2]);
    });
    story.forge("claim", |forgery| {
        forgery.config["rootfs"]["diff_ids"][0] = json!(Digest::of(b"another"));
    });
    let cases = [
        ("evil", "differs: `srv/one.sh` is only in the image\n"),
        ("rubbish", "it cannot be read: its tar archive is cut off\n"),
        ("cut", "it cannot be read: it cannot be unpacked: "),
        ("claim", &*format!("is said to have diff_id {}, it has sha256:", Digest::of(b"another"))),
    ];
    for (tag, expected) in cases {
        let outcome = story.verify(tag, &[]);
        assert_eq!(outcome.code, 1, "{outcome:#?}");
        assert!(outcome.stdout.starts_with("layer 1 \"files data → /srv\" "), "{outcome:#?}");
        assert!(outcome.stdout.contains(expected), "{tag}: {outcome:#?}");
    }
}

#[test]
fn what_documents_say_differently_is_named() {
    type Change = fn(&mut Forgery);
    let story = Story::new();
    let cases: [(&str, Change, &str); 6] = [
        (
            "env",
            |forgery| forgery.config["config"]["Env"] = json!(["LD_PRELOAD=/evil.so"]),
            "variable LD_PRELOAD is set in the image, not set built here\n",
        ),
        (
            "history",
            |forgery| forgery.config["history"][0]["created_by"] = json!("something"),
            "the config differs: /history/0/created_by has another value in the image (not shown, \
             since it may be a secret)\n",
        ),
        (
            "annotation",
            |forgery| forgery.manifest["annotations"]["x"] = json!("y"),
            "annotation x is \"y\" in the image, not set built here\n",
        ),
        (
            "described",
            |forgery| forgery.manifest["layers"][0]["annotations"] = json!({"x": "y"}),
            "layer 1 \"files data → /srv\" is the same blob, described in another way: annotations\n",
        ),
        (
            "fewer",
            |forgery| forgery.manifest["layers"] = json!([]),
            "it has 0 layers, 1 are built here\nits config has 1 diff_ids\n",
        ),
        (
            "created",
            |forgery| forgery.config["created"] = json!("2026-01-02T03:04:05Z"),
            "created is \"2026-01-02T03:04:05Z\" in the image, \"1970-01-01T00:00:00Z\" built here\n",
        ),
    ];
    for (tag, change, expected) in cases {
        // A registry need not refuse what pushing a layout does.
        let folder = story.sandbox.work().join(tag);
        story.sandbox.succeed(["build", "p", "-o", &format!("oci:{tag}")]);
        let mut forgery = Forgery::open(&folder);
        change(&mut forgery);
        forgery.save();
        let outcome = story.sandbox.run(["verify", &format!("oci:{tag}"), "p"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, expected), "{outcome:#?}");
        let is_hinted = outcome.stderr.contains("hint: set `SOURCE_DATE_EPOCH=1767323045`");
        assert_eq!(is_hinted, tag == "created", "{outcome:#?}");
    }
}

#[test]
fn a_layout_is_verified_too() {
    let story = Story::new();
    let digest = story.sandbox.succeed(["build", "p", "-o", "oci:out:v1"]);
    let work = story.sandbox.work();
    for reference in ["oci:out", "oci:out:v1"] {
        assert_eq!(story.sandbox.succeed(["verify", reference, "p"]), format!("oci:out@{digest}"));
    }
    // A blob that was damaged in its place.
    let mut forgery = Forgery::open(&work.join("out"));
    let tar = filter("gzip", &["-dc"], &forgery.layer());
    forgery.replace_layer(&filter("gzip", &["-9", "-c"], &tar));
    let path = forgery.manifest["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
    forgery.save();
    fs::write(work.join("out/blobs").join(path), "damaged").unwrap();
    let outcome = story.sandbox.run(["verify", "oci:out", "p"]);
    assert_eq!(outcome.code, 1, "{outcome:#?}");
    let expected = "cannot be pulled: `out` lacks blob `sha256:";
    assert!(outcome.stdout.contains(expected), "{outcome:#?}");
}

/// Its own store is no part of the project.
#[test]
fn temporary_files_may_lie_in_the_project() {
    let story = Story::new();
    let temporary = story.sandbox.work().join("p/data/tmp");
    fs::create_dir(&temporary).unwrap();
    let to = story.tag("v2");
    let digest = story.sandbox.succeed(["push", "p", "--to", &to]);
    let mut command = story.sandbox.command(["verify", &to, "p"]);
    let outcome = Outcome::of(command.env("TMPDIR", &temporary));
    assert_eq!((outcome.code, outcome.stdout.trim()), (0, digest.as_str()), "{outcome:#?}");
}

#[test]
fn a_base_that_moved_is_told_with_the_way_back() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    sandbox.write("base/dockless.yaml", CONFIG);
    sandbox.write("base/data/lib", "1\n");
    let (base, app) =
        (format!("{}/base:v1", registry.host()), format!("{}/app:v1", registry.host()));
    sandbox.succeed(["push", "base", "--to", &base]);
    let config = CONFIG.replace("scratch", &base).replace("/srv", "/app");
    sandbox.write("p/dockless.yaml", config);
    sandbox.write("p/data/one", "one\n");
    let pushed = sandbox.succeed(["push", "p", "--to", &app]);
    sandbox.write("base/data/lib", "2\n");
    sandbox.succeed(["push", "base", "--to", &base]);

    let outcome = sandbox.run(["verify", &app, "p"]);
    assert_eq!(outcome.code, 1, "{outcome:#?}");
    assert!(outcome.stdout.starts_with("layer 1 \"base layer 1\" is sha256:"), "{outcome:#?}");
    assert!(outcome.stdout.contains("\nbase is \"sha256:"), "{outcome:#?}");
    let (_, hint) =
        outcome.stderr.split_once("hint: the base moved: verify with `--base ").unwrap();
    let old_base = hint.split_once('`').unwrap().0;
    assert_eq!(sandbox.succeed(["verify", &app, "p", "--base", old_base]), pushed);
}

#[test]
fn another_commit_is_told_with_what_to_check_out() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let project = sandbox.work().join("p");
    sandbox.write("p/dockless.yaml", CONFIG);
    sandbox.write("p/data/one", "one\n");
    let git = |words: &[&str]| {
        let name = ["-c", "user.name=a", "-c", "user.email=a@b"];
        run("git", &[&name[..], words].concat(), &project).trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    let first = git(&["rev-parse", "HEAD"]);
    let app = format!("{}/app:v1", registry.host());
    sandbox.succeed(["push", "p", "--to", &app]);
    git(&["commit", "-qm", "second", "--allow-empty"]);
    let second = git(&["rev-parse", "HEAD"]);
    sandbox.write("p/data/one", "dirty\n");
    let outcome = sandbox.run(["verify", &app, "p"]);
    assert_eq!(outcome.code, 1, "{outcome:#?}");
    for hint in [
        format!(
            "hint: the image says revision {first}, the project is at {second}: check out {first}\n"
        ),
        "hint: tracked files were changed since the last commit: verify a clean checkout\n".into(),
    ] {
        assert!(outcome.stderr.contains(&hint), "{hint}{outcome:#?}");
    }
    git(&["checkout", "-q", "--force", &first]);
    assert_eq!(sandbox.run(["verify", &app, "p"]).code, 0);
}

#[test]
fn what_cannot_be_asked_is_no_answer() {
    let story = Story::new();
    let absent = story.verify("absent", &[]);
    assert_eq!((absent.code, absent.stdout.as_str()), (2, ""), "{absent:#?}");
    assert!(absent.stderr.contains("there is no tag `absent`"), "{absent:#?}");
    // Nothing listens on port 9.
    let away = story.sandbox.run(["verify", "127.0.0.1:9/a/b:v1", "p", "--timeout", "1s"]);
    assert_eq!((away.code, away.stdout.as_str()), (3, ""), "{away:#?}");
    for reference in ["https://ghcr.io/a/b", "oci:", "a/B"] {
        let outcome = story.sandbox.run(["verify", reference, "p"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
        assert!(outcome.stderr.contains("hint: write "), "{outcome:#?}");
    }
}

#[test]
fn a_project_in_the_images_place_is_noticed() {
    let sandbox = Sandbox::new();
    sandbox.write("p/dockless.yaml", CONFIG);
    for (words, hint) in [
        (&["verify", "./p", "r.io/x:1"][..], "write `dockless verify r.io/x:1 ./p`"),
        (&["verify", "p", "x:1"], "write `dockless verify x:1 p`"),
        (&["verify", "p", "oci:out"], "write `dockless verify oci:out p`"),
        (
            &["verify", "p/dockless.yaml"],
            "write `dockless verify HOST/REPOSITORY:TAG p/dockless.yaml`",
        ),
        (&["verify", "."], "write `dockless verify HOST/REPOSITORY:TAG .`"),
        (&["verify", "docker://r.io/x:1", "p"], "write it as `r.io/x:1`"),
        (
            &["verify", "oci-archive:x.tar", "p"],
            "write `HOST/REPOSITORY:TAG`, `HOST/REPOSITORY@sha256:…` or `oci:DIR`",
        ),
    ] {
        let outcome = sandbox.run(words);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
        assert!(outcome.stderr.ends_with(&format!("hint: {hint}\n")), "{words:?} {outcome:#?}");
    }
}

/// No registry is asked about it.
#[test]
fn a_record_that_is_not_there_is_no_image() {
    let sandbox = Sandbox::new();
    sandbox.write("p/dockless.yaml", CONFIG);
    let missing = "name a file that `--build-record` has written, or an image";
    let built = "build it first, and name what comes of it: `oci:DIR` or `HOST/REPOSITORY:TAG`";
    for (words, error, hint) in [
        (&["verify", "nope.json", "p"][..], "there is no file `nope.json`", missing),
        (&["verify", "./nope", "p"], "there is no file `./nope`", missing),
        (&["inspect", "../nope.json"], "there is no file `../nope.json`", missing),
        (&["diff", "nope.json", "r.io/a"], "there is no file `nope.json`", missing),
        (&["inspect", "./p"], "`./p` is a folder, and no image", built),
        (
            &["inspect", "p/dockless.yaml"],
            "`p/dockless.yaml` is a project's config, and no image",
            built,
        ),
    ] {
        let outcome = sandbox.run(words);
        let expected = format!("error: {error}\nhint: {hint}\n");
        assert_eq!((outcome.code, outcome.stderr), (2, expected), "{words:?}");
    }
}
