//! What a command says of an image that it made, or would make: where its layers come from.

use serde_json::{Value, json};

use crate::support::cli::{Outcome, Sandbox};
use crate::support::image::run;
use crate::support::registry::Registry;

/// A project of two layers on a base of one, and a registry.
struct Story {
    sandbox: Sandbox,
    registry: Registry,
}

impl Story {
    fn new() -> Self {
        let (sandbox, registry) = (Sandbox::new(), Registry::start());
        let layer =
            |name: &str| format!("{{kind: files, copy: [{{src: {name}, dest: /srv/{name}}}]}}");
        sandbox.write(
            "base/dockless.yaml",
            format!("name: b\nbase: scratch\nlayers: [{}]\n", layer("lib")),
        );
        sandbox.write("base/lib/a", "lib");
        let base = format!("{}/base:v1", registry.host());
        sandbox.succeed(["push", "base", "--to", &base]);
        let layers = [layer("one"), layer("two")].join(", ");
        sandbox.write("p/dockless.yaml", format!("name: p\nbase: {base}\nlayers: [{layers}]\n"));
        sandbox.write("p/one/a", "one");
        sandbox.write("p/two/a", "two");
        Self { sandbox, registry }
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.registry.host())
    }

    /// Runs a command on a machine that has seen nothing yet.
    fn fresh(&self, words: &[&str]) -> Outcome {
        let cache = tempfile::tempdir().unwrap();
        let outcome =
            Outcome::of(self.sandbox.command(words).env("DOCKLESS_CACHE_DIR", cache.path()));
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        outcome
    }

    fn manifest(&self, reference: &str) -> Value {
        let reference = format!("docker://{reference}");
        let arguments = ["inspect", "--raw", "--tls-verify=false", &reference];
        serde_json::from_str(&run("skopeo", &arguments, &self.sandbox.work())).unwrap()
    }
}

fn document(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// Name, origin and place of each layer.
fn origins(document: &Value) -> Value {
    let layers = document["layers"].as_array().unwrap().iter();
    layers.map(|layer| json!([layer["name"], layer["origin"], layer["from"]])).collect()
}

#[test]
fn json_says_where_each_layer_came_from() {
    let story = Story::new();
    let to = story.at("a/b:v1");
    let push = ["push", "p", "--to", &to, "--json"];
    let (base, one, two) = ("base layer 1", "files one → /srv/one", "files two → /srv/two");
    let first = document(&story.fresh(&push));
    assert_eq!(
        origins(&first),
        json!([[base, "base", null], [one, "packed", null], [two, "packed", null]])
    );
    let manifest = story.manifest(&to);
    let size = |place: &str| manifest.pointer(place).unwrap()["size"].as_u64().unwrap();
    let config = story.sandbox.work().join("config.json");
    let reference = format!("docker://{to}");
    let inspect = ["inspect", "--config", "--raw", "--tls-verify=false", &reference];
    std::fs::write(&config, run("skopeo", &inspect, &story.sandbox.work())).unwrap();
    let config: Value = serde_json::from_slice(&std::fs::read(config).unwrap()).unwrap();
    for number in 0..3 {
        let (layer, blob) = (&first["layers"][number], &manifest["layers"][number]);
        assert_eq!((&layer["digest"], &layer["size"]), (&blob["digest"], &blob["size"]));
        assert_eq!(layer["diff_id"], config["rootfs"]["diff_ids"][number]);
        assert_eq!(layer["platforms"], json!(["linux/amd64"]));
    }
    // The base's layer was mounted.
    let sent = size("/layers/1") + size("/layers/2") + size("/config");
    assert_eq!(first["uploaded_bytes"], json!(sent));

    story.sandbox.write("p/two/a", "changed");
    let second = document(&story.fresh(&push));
    assert_eq!(
        origins(&second),
        json!([[base, "base", null], [one, "taken_over", to], [two, "packed", null]])
    );
    story.sandbox.succeed(["build", "p", "-o", "oci:out"]);
    let known = document(&story.sandbox.run(["build", "p", "--json"]));
    assert_eq!(
        (origins(&known), &known["uploaded_bytes"]),
        (
            json!([[base, "base", null], [one, "unchanged", null], [two, "unchanged", null]]),
            &json!(0)
        )
    );
    let layout = document(&story.sandbox.run(["push", "oci:out", "--to", &to, "--json"]));
    assert_eq!(layout["layers"][2]["origin"], "layout");
    let both =
        ["build", "p", "--json", "--base", "scratch", "--platform", "linux/amd64,linux/arm64"];
    let both = document(&story.fresh(&both));
    assert_eq!(both["layers"].as_array().unwrap().len(), 2);
    assert_eq!(both["layers"][0]["platforms"], json!(["linux/amd64", "linux/arm64"]));
}

#[test]
fn why_everything_is_packed_is_told_to_everybody() {
    let story = Story::new();
    let to = story.at("a/b:v1");
    story.fresh(&["push", "p", "--to", &to]);
    let zstd = story.fresh(&["push", "p", "--to", &to, "--compression", "zstd"]);
    let line = format!("nothing is taken over from `{to}`: its layers were written as `");
    assert!(zstd.stderr.contains(&line), "{zstd:#?}");
    // It is no news where another image serves.
    let other = story.at("a/b:v2");
    let reuse = ["push", "p", "--to", &to, "-t", "v2", "--cache-from", &other];
    story.fresh(&["push", "p", "--to", &other]);
    let served = story.fresh(&reuse);
    assert!(!served.stderr.contains("nothing is taken over"), "{served:#?}");
}

#[test]
fn a_dry_run_says_what_would_be_reused_and_which_tags_cannot_be() {
    let story = Story::new();
    let (to, named) = (story.at("a/b"), story.at("c/d"));
    let push = ["push", "p", "--to", &to, "-t", "v1", "--cache-from", &named, "--dry-run"];
    let outcome = story.fresh(&push);
    let places = [format!("{named}:latest"), format!("{to}:v1"), format!("{to}:latest")];
    let line =
        format!("layers may be taken over from the first that fits: {}\n", places.join(", "));
    assert!(outcome.stdout.ends_with(&line), "{outcome:#?}");
    let outcome = story.fresh(&[&push[..], &["--json"]].concat());
    assert_eq!(document(&outcome)["earlier_images"], json!(places));
    let outcome = story.fresh(&[&push[..], &["--no-cache"]].concat());
    assert!(!outcome.stdout.contains("taken over"), "{outcome:#?}");

    let config = "name: p\nbase: scratch\nlayers: [{kind: files, copy: [{src: one, dest: /}]}]\n\
                  tags: [v1, \"{{ git.sha7 }}\"]\n";
    story.sandbox.write("p/dockless.yaml", config);
    let outcome = story.fresh(&["build", "p", "--dry-run"]);
    let note = "a push could not have the tag `{{ git.sha7 }}` here: ";
    assert!(outcome.stderr.contains(note), "{outcome:#?}");
    assert!(!outcome.stderr.contains("tag `v1`"), "{outcome:#?}");
}

#[test]
fn a_hint_is_a_command_that_works_here() {
    let story = Story::new();
    let absent = story.at("base:absent");
    let outcome = story.sandbox.run(["verify", &absent, "p"]);
    let command = format!("skopeo list-tags --tls-verify=false docker://{}", story.at("base"));
    assert!(outcome.stderr.contains(&format!("`{command}`")), "{outcome:#?}");
    let words: Vec<_> = command.split(' ').skip(1).collect();
    assert!(run("skopeo", &words, &story.sandbox.work()).contains("\"v1\""));

    let outcome = story.sandbox.run(["build", "p", "--load", "--compression", "zstd"]);
    let told = "error: hand the image to the local engine as a docker-archive, as `--load` does\n  layers in a docker-archive";
    assert!((outcome.code, outcome.stderr.contains(told)) == (2, true), "{outcome:#?}");
}

#[test]
fn a_user_whom_the_image_does_not_know_is_warned_of() {
    let sandbox = Sandbox::new();
    for (user, is_known) in [("agent", false), ("nonroot", true)] {
        sandbox.write("p/dockless.yaml", format!("name: p\nbase: builtin:static\nuser: {user}\n"));
        let outcome = sandbox.run(["build", "p", "--dry-run"]);
        let warning = "warning: the image does not know the user `agent`: `/etc/passwd` has root, \
                       nobody, nonroot\n  hint: write its number, as in `user: \"65532\"`";
        assert_eq!(outcome.stderr.contains(warning), !is_known, "{outcome:#?}");
    }
}
