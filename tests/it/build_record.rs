//! `--build-record`: one document that says what an image was made of, for people and for later commands.

use std::fs;

use dockless::layer::writer_version;
use dockless::oci::Digest;
use dockless::plan::LayerCompression;
use serde_json::{Value, json};

use crate::support::cli::{Outcome, Sandbox};
use crate::support::registry::Registry;

const CONFIG: &str = "name: p\nbase: scratch\nenv: {A: b, CACHE_KEY: v1}\nallow_env: CACHE_KEY\n\
    allow_secrets: src/.env\nlayers: [{kind: files, copy: [{src: src, dest: /app}]}]\n";

/// A project with exceptions, and a registry that it goes to.
struct Story {
    sandbox: Sandbox,
    to: String,
    _registry: Registry,
}

impl Story {
    fn new() -> Self {
        let (sandbox, registry) = (Sandbox::new(), Registry::start());
        sandbox.write("p/dockless.yaml", CONFIG);
        sandbox.write("p/src/main.py", "print('hello')\n");
        sandbox.write("p/src/.env", "A=b\n");
        let to = format!("{}/a/b", registry.host());
        Self { sandbox, to, _registry: registry }
    }

    /// Pushes with a label, and gives the reference and the record.
    fn push(&self, record: &str) -> (String, String) {
        let record = format!("--build-record={record}");
        let words =
            ["push", "p", "--to", &self.to, "-t", "v1,v2", "--label", "team=search", &record];
        let reference = self.sandbox.succeed(words);
        let path = self.sandbox.work().join(record.split_once('=').unwrap().1);
        (reference, fs::read_to_string(path).unwrap())
    }

    #[track_caller]
    fn refuse(&self, words: &[&str], expected: &[&str]) {
        let outcome = Outcome::of(&mut self.sandbox.command(words));
        assert_eq!(outcome.code, 2, "{outcome:#?}");
        let lines: Vec<_> = outcome.stderr.lines().map(str::trim).collect();
        assert_eq!(lines, expected);
    }
}

#[test]
fn the_record_says_what_the_image_was_made_of() {
    let story = Story::new();
    let (reference, record) = story.push("record.json");
    let record: Value = serde_json::from_str(&record).unwrap();
    let digest = reference.split_once('@').unwrap().1;
    let (env, main) = (Digest::of(b"A=b\n"), Digest::of(b"print('hello')\n"));
    let inputs = format!("{env} 8 src/.env\n{main} 11 src/main.py\n");
    let exception = |by: &str, subject: &str, looks_like: &str| json!({"by": by, "subject": subject, "lines": [], "looks_like": looks_like});
    // What only the image knows.
    let image = &record["image"];
    let layers = image["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1);
    let layer = json!({
        "name": "files src → /app", "digest": layers[0]["digest"], "diff_id": layers[0]["diff_id"],
        "size": layers[0]["size"], "origin": "packed", "from": null, "platforms": ["linux/amd64"],
    });
    let writer_version = writer_version(LayerCompression::Gzip);
    assert_eq!(
        record,
        json!({
            "kind": "dev.dockless.build-record",
            "version": 1,
            "tool": {"name": "dockless", "version": env!("CARGO_PKG_VERSION"), "writer_version": writer_version},
            "name": "p",
            "config": {
                "format": "dockless",
                "files": [{"name": "dockless.yaml", "digest": Digest::of(CONFIG.as_bytes())}],
            },
            "git": null,
            "options": {
                "base": null, "platforms": [], "compression": null, "labels": {"team": "search"}, "annotations": {},
                "source_date_epoch": null,
            },
            "bases": [{"platform": "linux/amd64", "name": "scratch", "digest": null, "layers": 0}],
            "inputs": {"files": 2, "bytes": 19, "digest": Digest::of(inputs.as_bytes())},
            "image": {
                "digest": digest,
                "media_type": "application/vnd.oci.image.manifest.v1+json",
                "size": image["size"],
                "image_id": image["image_id"],
                "platforms": ["linux/amd64"],
                "references": [reference],
                "layers": [layer],
            },
            "published": [{"reference": reference, "tags": ["v1", "v2"]}],
            "exceptions": [
                exception("allow_env", "CACHE_KEY", "secret-variable"),
                exception("allow_secrets", "src/.env", "environment-file"),
            ],
            "required_at_run_time": [],
            "outputs": [],
        })
    );
}

#[test]
fn what_the_build_wrote_into_the_project_is_no_part_of_it() {
    let story = Story::new();
    story.sandbox.write(
        "p/dockless.yaml",
        "name: p\nbase: scratch\nlayers: [{kind: files, copy: [{src: ., dest: /app}]}]\nallow_secrets: src/.env\n",
    );
    let words = ["--build-record=build.json", "--digest-file=digest", "--iidfile=out/id"];
    let words = ["--metadata-file=metadata.json"].into_iter().chain(words).collect::<Vec<_>>();
    let project = story.sandbox.work().join("p");
    let run = |words: &[&str]| {
        let outcome = Outcome::of(story.sandbox.command(words).current_dir(&project));
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        outcome
    };
    fs::create_dir(project.join("out")).unwrap();
    let build =
        [&["build", "-o", "oci:layout", "-o", "oci-archive:image.tar"][..], &words].concat();
    run(&build);
    let digest = fs::read_to_string(project.join("digest")).unwrap();
    run(&build);
    assert_eq!(fs::read_to_string(project.join("digest")).unwrap(), digest);
    let record = fs::read_to_string(project.join("build.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(
        record["outputs"],
        json!(["build.json", "digest", "image.tar", "layout", "metadata.json", "out/id"])
    );
    let reference = run(&["push", "-q", "oci:layout", "--to", &story.to, "-t", "v1"]).stdout;
    let verified = run(&["verify", reference.trim_end(), "--record", "build.json"]);
    assert_eq!(verified.stdout, reference);
    let told = verified.stderr.lines().filter(|line| line.starts_with("left out, since"));
    assert_eq!(told.count(), 6, "{}", verified.stderr);
    // A record that was moved is no part of the project either.
    let moved = project.join("moved.json");
    fs::rename(project.join("build.json"), &moved).unwrap();
    run(&["verify", reference.trim_end(), "--record", "moved.json"]);
}

#[test]
fn an_image_that_is_pushed_later_is_verified_with_the_record_of_its_build() {
    let story = Story::new();
    let build = ["build", "p", "-o", "oci:out", "--label", "a=b", "--build-record", "r.json"];
    story.sandbox.succeed(build);
    let mut push = story.sandbox.command(["push", "oci:out", "--to", &story.to, "-t", "later"]);
    let outcome = Outcome::of(push.env("DOCKLESS_BUILD_RECORD", "none.json"));
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let warning = "warning: `DOCKLESS_BUILD_RECORD` is not written: the image is built already";
    assert!(outcome.stderr.lines().any(|line| line == warning), "{}", outcome.stderr);
    assert!(!story.sandbox.work().join("none.json").exists());
    let later = format!("{}:later", story.to);
    let reference = outcome.stdout.trim_end();
    let verify = |image: &str| {
        let words = ["verify", image, "p", "--record", "r.json"];
        story.sandbox.run(words)
    };
    assert_eq!(verify(&later).stdout.trim_end(), reference);
    let (other, _) = story.push("other.json");
    let (outcome, other_digest) = (verify(&other), other.split_once('@').unwrap().1);
    let digest = reference.split_once('@').unwrap().1;
    let lines: Vec<_> = outcome.stderr.lines().skip(1).map(str::trim).collect();
    assert_eq!(
        (outcome.code, lines),
        (
            1,
            vec![
                &*format!(
                    "error: `{other}` is {other_digest}, and the build record is of {digest}"
                ),
                "hint: without `--record`, what is different is told file by file",
            ]
        )
    );
    story.refuse(
        &["verify", &later, "p", "--record", "p/dockless.yaml"],
        &[
            "error: read the build record `p/dockless.yaml`",
            "this is no build record: it is no document of the kind `dev.dockless.build-record`",
            "hint: name a file that `--build-record` has written, or the image",
        ],
    );
}

#[test]
fn the_record_names_no_place_of_the_machine() {
    let story = Story::new();
    let work = story.sandbox.work();
    let layout = format!("oci:{}/out", work.display());
    story.sandbox.succeed(["build", "p", "-o", &layout, "--build-record", "first.json"]);
    let project = work.join("p");
    let words = ["build", project.to_str().unwrap(), "--base", &layout, "-o", "oci:second"];
    let outcome = story.sandbox.run(words.into_iter().chain(["--build-record", "record.json"]));
    for name in ["first.json", "record.json"] {
        let Ok(record) = fs::read_to_string(work.join(name)) else { panic!("{outcome:#?}") };
        assert!(!record.contains(work.to_str().unwrap()), "{record}");
    }
    story.refuse(
        &["verify", "first.json", "p"],
        &[
            "error: `first.json` names no registry: the image went to none when it was built",
            "hint: pass the reference: `dockless verify REFERENCE --record first.json`",
        ],
    );
}

#[test]
fn verify_takes_the_record_in_place_of_the_image_and_its_options() {
    let story = Story::new();
    let (reference, _) = story.push("record.json");
    assert_eq!(story.sandbox.succeed(["verify", "record.json", "p"]), reference);
    // Without the label of the record, it is another image.
    assert_eq!(story.sandbox.run(["verify", &reference, "p"]).code, 1);
    let mut command = story.sandbox.command(["verify", "record.json", "p"]);
    let outcome = Outcome::of(command.env("SOURCE_DATE_EPOCH", "7"));
    let lines: Vec<_> = outcome.stderr.lines().map(str::trim).collect();
    assert_eq!(
        (outcome.code, lines),
        (2, vec!["error: the image was built with `SOURCE_DATE_EPOCH` unset", "hint: unset it"])
    );
    story.sandbox.write("other.json", "{\"kind\": \"other\"}");
    story.refuse(
        &["verify", "other.json", "p"],
        &[
            "error: read the build record `other.json`",
            "this is no build record: it is no document of the kind `dev.dockless.build-record`",
            "hint: name a file that `--build-record` has written, or the image",
        ],
    );
}

#[test]
fn the_same_build_elsewhere_gives_the_same_record() {
    let records = [Story::new(), Story::new()].map(|story| {
        let (reference, record) = story.push("record.json");
        record.replace(reference.split_once('/').unwrap().0, "host")
    });
    assert_eq!(records[0], records[1]);
}

#[test]
fn an_image_that_exists_has_no_build_to_record() {
    let story = Story::new();
    story.sandbox.succeed(["build", "p", "-o", "oci:built"]);
    story.refuse(
        &["push", "oci:built", "--to", &story.to, "--build-record", "record.json"],
        &[
            "error: the image is built already: there is no build that `--build-record` could tell of",
            "hint: give it to the `dockless build` that makes the image",
        ],
    );
    assert!(!story.sandbox.work().join("record.json").exists());
}
