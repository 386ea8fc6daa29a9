//! `--compression`: what of an image depends on it, who reads it, and where it is refused.

use std::fs;
use std::path::Path;
use std::process::Command;

use dockless::oci::Digest;
use serde_json::{Value, json};

use crate::support::cli::Sandbox;
use crate::support::registry::Registry;

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// A project of three megabytes on nothing, with this line in its config.
fn project(sandbox: &Sandbox, line: &str) -> String {
    sandbox.write("p/data/text", "some text\n".repeat(300_000));
    sandbox.write("p/data/more", "more of it\n");
    let config = format!(
        "name: p\nbase: scratch\nlayers: [{{kind: files, copy: [{{src: data, dest: /d}}]}}]\n{line}\n"
    );
    sandbox.write("p/dockless.yaml", config).parent().unwrap().display().to_string()
}

/// What skopeo fetches, checking every digest: the manifest, and the digests of the tars in its
/// layers as another program unpacks them.
fn fetch(sandbox: &Sandbox, reference: &str) -> (Value, Vec<Digest>) {
    let folder = sandbox.work().join("copied");
    let _ = fs::remove_dir_all(&folder);
    let copied = Command::new("skopeo")
        .args(["copy", "-q", "--src-tls-verify=false", &format!("docker://{reference}")])
        .arg(format!("dir:{}", folder.display()))
        .output()
        .unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    let manifest: Value =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    let tars = layers.map(|layer| unpack(&folder, layer)).collect();
    (manifest, tars)
}

fn unpack(folder: &Path, layer: &Value) -> Digest {
    let program = if layer["mediaType"] == ZSTD { "zstd" } else { "gzip" };
    let (_, hex) = layer["digest"].as_str().unwrap().split_once(':').unwrap();
    let blob = fs::File::open(folder.join(hex)).unwrap();
    let output = Command::new(program).args(["-d", "-c"]).stdin(blob).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Digest::of(&output.stdout)
}

#[test]
fn the_same_tar_is_pushed_as_gzip_or_as_zstd() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let project = project(&sandbox, "");
    let to = format!("{}/acme/p", registry.host());
    let push = |compression: &str| {
        let arguments = ["push", &project, "--to", &to, "--compression", compression];
        fetch(&sandbox, &sandbox.succeed(arguments))
    };
    let (gzip, gzip_tars) = push("gzip");
    let (zstd, zstd_tars) = push("zstd");
    assert_eq!(gzip_tars, zstd_tars);
    assert_eq!(gzip["config"], zstd["config"], "diff_ids and history are the same");
    let media_types = |manifest: &Value| manifest["layers"][0]["mediaType"].clone();
    assert_eq!((media_types(&gzip), media_types(&zstd)), (json!(GZIP), json!(ZSTD)));
    let version = |manifest: &Value| manifest["annotations"]["dev.dockless.writer-version"].clone();
    assert_eq!(version(&gzip), "tar1-gzip3");
    assert_eq!(version(&zstd), "tar1-zstd1-zstd1.5.7-level3");
}

#[test]
fn the_command_line_wins_over_the_variable_and_that_over_the_config() {
    let sandbox = Sandbox::new();
    let compression = |line: &str, variable: Option<&str>, flag: &[&str]| {
        let project = project(&sandbox, line);
        let arguments = [&["build", project.as_str(), "--dry-run", "--json"], flag].concat();
        let mut command = sandbox.command(arguments);
        command.envs(variable.map(|value| ("DOCKLESS_COMPRESSION", value)));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        plan["compression"].as_str().unwrap().to_owned()
    };
    assert_eq!(compression("", None, &[]), "gzip");
    assert_eq!(compression("compression: zstd", None, &[]), "zstd");
    assert_eq!(compression("compression: zstd", Some("gzip"), &[]), "gzip");
    assert_eq!(compression("compression: gzip", Some("gzip"), &["--compression", "zstd"]), "zstd");
}

#[test]
fn what_docker_load_reads_takes_no_zstd_and_nothing_is_packed() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox, "compression: zstd");
    for destination in [&["-o", "docker-archive:a.tar"][..], &["-o", "-"], &["--load", "--dry-run"]]
    {
        let outcome = sandbox.run([&["build", project.as_str()], destination].concat());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains(
                "layers in a docker-archive cannot be compressed with zstd: `docker load` before Docker 23 does not read them"
            ) && outcome.stderr.contains("take gzip here (`--compression gzip`)"),
            "{}",
            outcome.stderr
        );
        assert!(!sandbox.cache().join("blobs").exists(), "nothing is packed: {destination:?}");
        assert!(!sandbox.work().join("a.tar").exists());
    }
    let arguments = ["build", &project, "-o", "docker-archive:a.tar", "--compression", "gzip"];
    sandbox.succeed(arguments);
    sandbox.succeed(["build", &project, "-o", "oci:out", "-o", "oci-archive:b.tar"]);

    let outcome = sandbox.run(["push", "oci:out", "--to", "docker-archive:c.tar"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    let outcome = sandbox.run(["push", "oci:out", "--to", "localhost/x", "--compression", "gzip"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("`--compression` cannot change it"), "{}", outcome.stderr);
}
