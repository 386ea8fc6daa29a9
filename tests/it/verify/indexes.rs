//! Images for several platforms.

use std::fs;

use serde_json::{Value, json};

use super::{CONFIG, Story};
use crate::support::cli::Sandbox;
use crate::support::image::run;
use crate::support::registry::Registry;

#[test]
fn an_index_is_verified_as_a_whole_or_by_platform() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    sandbox.write("p/dockless.yaml", CONFIG);
    sandbox.write("p/data/one", "one\n");
    let to = format!("{}/a/b", registry.host());
    let both = ["--platform", "linux/amd64,linux/arm64"];
    let push = |tag: &str| {
        let reference = format!("{to}:{tag}");
        sandbox.succeed(["push", "p", "--to", &reference, both[0], both[1]])
    };
    let good = push("good");
    let verify = |tag: &str, rest: &[&str]| {
        let reference = format!("{to}:{tag}");
        let mut words = vec!["verify", &reference, "p"];
        words.extend(rest);
        sandbox.run(words)
    };
    let outcome = verify("good", &both);
    assert_eq!((outcome.code, outcome.stdout), (0, format!("{good}\n")), "{}", outcome.stderr);

    // An index of the good image for arm64 and another one for amd64.
    let images = |reference: &str| -> Vec<String> {
        let text = run(
            "skopeo",
            &["inspect", "--raw", "--tls-verify=false", &format!("docker://{reference}")],
            &sandbox.work(),
        );
        let index: Value = serde_json::from_str(&text).unwrap();
        let digests = index["manifests"].as_array().unwrap().iter();
        digests.map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
    };
    let good_images = images(&good);
    sandbox.write("p/data/one", "evil\n");
    let evil_images = images(&push("evil"));
    sandbox.write("p/data/one", "one\n");
    let raw = run(
        "skopeo",
        &["inspect", "--raw", "--tls-verify=false", &format!("docker://{to}:evil")],
        &sandbox.work(),
    );
    // Both manifests have one size.
    let mixed = raw.replace(&evil_images[1], &good_images[1]);
    let put = |tag: &str, index: &str| {
        let data = format!("@{}", sandbox.write("index.json", index).display());
        let url = format!("http://{}/v2/a/b/manifests/{tag}", registry.host());
        let header = "Content-Type: application/vnd.oci.image.index.v1+json";
        let arguments = ["-sf", "-X", "PUT", "-H", header, "--data-binary", &data, &url];
        run("curl", &arguments, &sandbox.work());
    };
    put("mixed", &mixed);

    let outcome = verify("mixed", &both);
    let expected = "linux/amd64: layer 1 \"files data → /srv\" differs: `srv/one` has size 5 in the image, 4 built here\n";
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, expected), "{}", outcome.stderr);
    let outcome = verify("mixed", &["--platform", "linux/arm64"]);
    let expected = format!("{to}@{}\n", good_images[1]);
    assert_eq!((outcome.code, outcome.stdout), (0, expected), "{}", outcome.stderr);
    let note = "not verified: the index itself, and linux/amd64";
    assert!(outcome.stderr.contains(note), "{}", outcome.stderr);
    // Nobody knows which of two a runtime takes.
    let mut twice: Value = serde_json::from_str(&raw).unwrap();
    let mut second = twice["manifests"][1].clone();
    second["digest"] = json!(good_images[1]);
    twice["manifests"].as_array_mut().unwrap().insert(1, second);
    put("twice", &twice.to_string());
    let outcome = verify("twice", &["--platform", "linux/arm64"]);
    let expected = "linux/arm64 is in it 2 times\n";
    assert_eq!(outcome.code, 1, "{outcome:#?}");
    assert!(outcome.stdout.starts_with(expected), "{outcome:#?}");
    // Without a choice, an index is not the image of one platform.
    let outcome = verify("good", &[]);
    let expected = "it has what is not built here: linux/arm64\n";
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, expected), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("hint: `--platform linux/amd64` verifies"));
}

/// Runtimes go by the platform of an entry, whatever else is said of it.
#[test]
fn an_index_that_hides_another_image_is_not_the_image() {
    let story = Story::new();
    story.forge("evil", |forgery| forgery.config["config"]["Env"] = json!(["X=1"]));
    let push = |tag: &str, entries: &[(&str, &str, Value)]| {
        let entry = |(folder, platform, annotations): &(&str, &str, Value)| {
            let index = fs::read(story.sandbox.work().join(folder).join("index.json")).unwrap();
            let index: Value = serde_json::from_slice(&index).unwrap();
            let mut entry = index["manifests"][0].clone();
            entry["platform"] = json!({"os": "linux", "architecture": platform});
            entry["annotations"] = annotations.clone();
            entry
        };
        let manifests: Vec<_> = entries.iter().map(entry).collect();
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
        let data = format!("@{}", story.sandbox.write("index.json", index.to_string()).display());
        let url = format!("http://{}/v2/a/b/manifests/{tag}", story.registry.host());
        let header = format!("Content-Type: {media_type}");
        let arguments = ["-sSf", "-X", "PUT", "-H", &header, "--data-binary", &data, &url];
        run("curl", &arguments, &story.sandbox.work());
    };
    story.sandbox.succeed(["build", "p", "-o", "oci:good"]);
    let attestation = json!({"vnd.docker.reference.type": "attestation-manifest"});
    push("hidden", &[("evil", "amd64", attestation), ("good", "amd64", json!({}))]);
    push("alone", &[("good", "amd64", json!({}))]);
    for (tag, rest, expected) in [
        ("hidden", &[][..], "linux/amd64 is in it 2 times"),
        ("hidden", &["--platform", "linux/amd64"], "linux/amd64 is in it 2 times"),
        ("alone", &[], "it is an index, and one image is built here"),
    ] {
        let outcome = story.verify(tag, rest);
        assert_eq!(outcome.code, 1, "{outcome:#?}");
        assert_eq!(outcome.stdout.lines().next(), Some(expected), "{outcome:#?}");
    }
}
