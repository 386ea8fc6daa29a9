//! `dockless inspect`: an image told from its documents.

use serde_json::{Value, json};

use crate::support::cli::Sandbox;
use crate::support::image::run;
use crate::support::registry::Registry;

const BASE: &str = "name: base\nbase: scratch\nlayers: [{kind: files, copy: [{src: lib, dest: /lib}]}]\n\
    env: {PATH: /bin, DB_PASSWD: canary}\nallow_env: DB_PASSWD\n";

/// On `BASE`, with every setting.
const APP: &str = "name: app\nbase: BASE\nlayers: [{kind: files, copy: [{src: data, dest: /srv}]}]\n\
    user: \"65532\"\nworkdir: /srv\nentrypoint: [/run, --api-key=canary]\ncmd: [serve]\nallow_env: api-key\n\
    env: {MODE: \"a b\"}\nports: [8080]\nvolumes: [/data]\nstop_signal: SIGINT\n\
    health: {test: [CMD, /check], interval: 30s, timeout: 500ms, retries: 3}\n\
    labels: {odd: \"a\\n::error::b\\e[2J\"}\nannotations: {team: agents}\n";

/// The base `base:v1` and the image `app:v1` on it; gives the registry's host and what the pushes said.
fn pushed(sandbox: &Sandbox, registry: &Registry) -> (String, String, String) {
    let host = registry.host();
    sandbox.write("base/dockless.yaml", BASE);
    sandbox.write("base/lib/one", "one\n");
    let base = sandbox.succeed(["push", "base", "--to", &format!("{host}/base:v1")]);
    sandbox.write("app/dockless.yaml", APP.replace("BASE", &format!("{host}/base:v1")));
    sandbox.write("app/data/two", "two\n");
    let app = sandbox.succeed(["push", "app", "--to", &format!("{host}/app:v1")]);
    (host, base, app)
}

fn raw(reference: &str, sandbox: &Sandbox) -> Value {
    let words = ["inspect", "--raw", "--tls-verify=false", &format!("docker://{reference}")];
    serde_json::from_str(&run("skopeo", &words, &sandbox.work())).unwrap()
}

fn short(descriptor: &Value) -> &str {
    &descriptor["digest"].as_str().unwrap()["sha256:".len()..][..12]
}

#[test]
fn an_image_is_shown_as_a_tree_without_what_is_secret() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let (host, base, app) = pushed(&sandbox, &registry);
    let manifest = raw(&app, &sandbox);
    let (layers, digest) = (&manifest["layers"], app.split_once('@').unwrap().1);
    let sizes = [&layers[0], &layers[1]].map(|layer| layer["size"].as_u64().unwrap());
    let base_digest = base.split_once('@').unwrap().1;
    let expected = format!(
        "{host}/app:v1\n  \
         digest: {digest}\n  \
         type: application/vnd.oci.image.manifest.v1+json, SIZE\n\
         platform linux/amd64: 2 layers, {sum} B\n  \
         digest: {digest}\n  \
         base: {host}/base:v1, {base_digest}\n  \
         known of the base's files: {known} B\n  \
         layer 1: {one}, {size_one} B, base: dockless: files lib → /lib\n  \
         layer 2: {two}, {size_two} B: dockless: files data → /srv\n  \
         created: 1970-01-01T00:00:00Z\n  \
         user: 65532\n  \
         working directory: /srv\n  \
         entrypoint: [\"/run\",\"--api-key=(not shown)\"]\n  \
         command: [\"serve\"]\n  \
         ports: 8080/tcp\n  \
         volumes: /data\n  \
         stop signal: SIGINT\n  \
         healthcheck: [\"CMD\",\"/check\"], every 30s, timeout 500ms, 3 retries\n  \
         variable PATH=/bin\n  \
         variable DB_PASSWD=(not shown)\n  \
         variable MODE=a b\n  \
         label odd=a\\n::error::b\\u{{1b}}[2J\n  \
         label org.opencontainers.image.created=1970-01-01T00:00:00Z\n  \
         label org.opencontainers.image.title=app\n  \
         annotation dev.dockless.writer-version={version}\n  \
         annotation team=agents\n",
        known = manifest["annotations"]["dev.dockless.base-files"].as_str().unwrap().len(),
        sum = sizes[0] + sizes[1],
        size_one = sizes[0],
        size_two = sizes[1],
        one = short(&layers[0]),
        two = short(&layers[1]),
        version = manifest["annotations"]["dev.dockless.writer-version"].as_str().unwrap(),
    );
    for quiet in [&[][..], &["-q"]] {
        let reference = format!("{host}/app:v1");
        let outcome = sandbox.run([&["inspect", &reference], quiet].concat());
        let found = outcome.stdout.lines().map(|line| {
            let is_type = line.starts_with("  type: ");
            let line = if is_type { line.split_once(", ").unwrap().0 } else { line };
            format!("{line}{}\n", if is_type { ", SIZE" } else { "" })
        });
        assert_eq!(
            (outcome.code, found.collect::<String>()),
            (0, expected.clone()),
            "{outcome:#?}"
        );
        assert_eq!(outcome.stderr, "");
    }
    // Not one layer is read, nor asked for.
    let outcome = sandbox.run(["inspect", &app, "-vv"]);
    let requests: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("/blobs/")).collect();
    assert_eq!(requests.len(), 1, "{outcome:#?}");
    assert!(requests[0].contains(manifest["config"]["digest"].as_str().unwrap()), "{outcome:#?}");
}

#[test]
fn json_has_every_digest_and_no_secret() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let (_, base, app) = pushed(&sandbox, &registry);
    let text = sandbox.succeed(["inspect", &app, "--json"]);
    assert!(!text.contains("canary"), "{text}");
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let manifest = raw(&app, &sandbox);
    let mut image = document["platforms"][0].take();
    let mut config = image["config"].take();
    let layer = |place: usize, is_base: bool, created_by: &str| {
        json!({
            "number": place + 1,
            "digest": manifest["layers"][place]["digest"],
            "diff_id": config["rootfs"]["diff_ids"][place],
            "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
            "size": manifest["layers"][place]["size"],
            "is_base": is_base,
            "created_by": created_by,
            "annotations": {},
        })
    };
    let expected = json!({
        "platform": "linux/amd64",
        "digest": document["digest"],
        "media_type": manifest["mediaType"],
        "size": document["size"],
        "layers_size": manifest["layers"][0]["size"].as_u64().unwrap()
            + manifest["layers"][1]["size"].as_u64().unwrap(),
        "layers": [
            layer(0, true, "dockless: files lib → /lib"),
            layer(1, false, "dockless: files data → /srv"),
        ],
        "base": {
            "name": base.replace(&format!("@{}", base.split_once('@').unwrap().1), ":v1"),
            "digest": base.split_once('@').unwrap().1,
            "layers": 1,
        },
        "required_at_run_time": [],
        "annotations": manifest["annotations"],
        "subject": null,
        "config_digest": manifest["config"]["digest"],
        "config": null,
    });
    assert_eq!(image, expected);
    assert_eq!(
        config["config"]["Env"].take(),
        json!(["PATH=/bin", "DB_PASSWD=(not shown)", "MODE=a b"])
    );
    assert_eq!(document["reference"], app);
    assert_eq!(document["others"], json!([]));
}

#[test]
fn what_an_index_lists_is_named_as_what_it_is() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    sandbox.write("p/dockless.yaml", BASE);
    sandbox.write("p/lib/one", "one\n");
    let both = ["--platform", "linux/amd64,linux/arm64"];
    let reference = format!("{}/p:v1", registry.host());
    sandbox.succeed(["push", "p", "--to", &reference, both[0], both[1]]);
    let put = |name: &str, media_type: &str, document: &Value| {
        let data = format!("@{}", sandbox.write("document.json", document.to_string()).display());
        let url = format!("http://{}/v2/p/manifests/{name}", registry.host());
        let header = format!("Content-Type: {media_type}");
        let arguments = ["-sSf", "-X", "PUT", "-H", &header, "--data-binary", &data, &url];
        run("curl", &arguments, &sandbox.work());
    };
    // As BuildKit and cosign leave them.
    let mut index = raw(&reference, &sandbox);
    let amd64 = index["manifests"][0]["digest"].clone();
    let mut attestation = index["manifests"][1].clone();
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    attestation["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": amd64,
    });
    index["manifests"].as_array_mut().unwrap().insert(0, attestation.clone());
    put("v2", index["mediaType"].as_str().unwrap(), &index);
    let mut artifact = raw(&format!("{}/p@{}", registry.host(), amd64.as_str().unwrap()), &sandbox);
    artifact["artifactType"] = json!("application/\u{1b}sbom");
    put("artifact", artifact["mediaType"].as_str().unwrap(), &artifact);

    let shown = |name: &str| {
        let reference = format!("{}/p:{name}", registry.host());
        let text = sandbox.succeed(["inspect", &reference]);
        let tops = text.lines().filter(|line| !line.starts_with(' '));
        tops.skip(1).map(|line| line.split(": ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let of = format!("attestation of {}", amd64.as_str().unwrap());
    // The digest, too, has a colon, but no space behind it.
    assert_eq!(shown("v2"), [of.as_str(), "platform linux/amd64", "platform linux/arm64"]);
    assert_eq!(shown("artifact"), ["artifact of type application/\\u{1b}sbom"]);

    let v2 = format!("{}/p:v2", registry.host());
    let text = sandbox.succeed(["inspect", &v2, "--platform", "linux/arm64", "--json"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    let platforms = document["platforms"].as_array().unwrap();
    assert_eq!((platforms.len(), &platforms[0]["platform"]), (1, &json!("linux/arm64")));
    assert_eq!(document["others"], json!([]));
    let outcome = sandbox.run(["inspect", &v2, "--platform", "linux/s390x"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
    let expected = format!(
        "error: inspect `{v2}`\n  `{v2}` has no image for linux/s390x\nhint: it has images for \
         linux/amd64, linux/arm64\n"
    );
    assert_eq!(outcome.stderr, expected);
}

#[test]
fn images_of_other_tools_are_shown() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    sandbox.write("p/dockless.yaml", BASE);
    sandbox.write("p/lib/one", "one\n");
    sandbox.succeed(["build", "p", "-o", "oci:out"]);
    let to = format!("docker://{}/p:docker", registry.host());
    let words = ["copy", "-q", "--format", "v2s2", "--dest-tls-verify=false", "oci:out", &to];
    run("skopeo", &words, &sandbox.work());
    let reference = format!("{}/p:docker", registry.host());
    let text = sandbox.succeed(["inspect", &reference]);
    let kind = "  type: application/vnd.docker.distribution.manifest.v2+json, ";
    assert!(text.contains(kind) && text.contains(": dockless: files lib → /lib\n"), "{text}");
    // Nobody says here which layers are whose.
    assert!(!text.contains(", base"), "{text}");
}

#[test]
fn an_image_is_named_by_layouts_and_build_records_too() {
    let sandbox = Sandbox::new();
    sandbox.write("p/dockless.yaml", BASE);
    sandbox.write("p/lib/one", "one\n");
    let digest = sandbox.succeed(["build", "p", "-o", "oci:out:v1"]);
    let reference = format!("oci:out@{digest}");
    sandbox.write(
        "build.json",
        json!({"image": {"references": [reference], "digest": digest}, "further": 1}).to_string(),
    );
    for name in ["oci:out", "oci:out:v1", &reference, "build.json"] {
        let text = sandbox.succeed(["inspect", name, "--json"]);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["reference"], reference);
    }
    sandbox.write("empty.json", r#"{"image": {}}"#);
    sandbox.write("other.txt", "hello");
    for (name, message) in [
        (
            "out",
            "error: `out` is an OCI layout, named as if it were in a registry\nhint: write `oci:out`\n",
        ),
        (
            "empty.json",
            "error: the build record `empty.json` names no place where the image is\nhint: name the image \
             itself\n",
        ),
        (
            "other.txt",
            "error: `other.txt` is no build record\n  expected value at line 1 column 1\nhint: name an image \
             (`HOST/REPOSITORY:TAG`, `oci:DIR`), or the record of a build\n",
        ),
    ] {
        let outcome = sandbox.run(["inspect", name]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (2, message), "{outcome:#?}");
    }
}
