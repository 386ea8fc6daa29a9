//! What an image names and its registry has no more.

use serde_json::{Value, json};

use super::CONFIG;
use crate::support::cli::Sandbox;
use crate::support::image::run;
use crate::support::registry::Registry;

/// The registry still has the manifest, so that the tag looks as it always did.
#[test]
fn what_the_registry_lost_is_found_and_pushed_again() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    sandbox.write("base/dockless.yaml", CONFIG);
    sandbox.write("base/data/lib", "1\n");
    let (base, app) =
        (format!("{}/base:v1", registry.host()), format!("{}/a/b:v1", registry.host()));
    let both = ["--platform", "linux/amd64,linux/arm64"];
    sandbox.succeed(["push", "base", "--to", &base, both[0], both[1]]);
    sandbox.write("p/dockless.yaml", CONFIG.replace("scratch", &base).replace("/srv", "/app"));
    sandbox.write("p/data/one", "one\n");
    let push = |rest: &[&str]| sandbox.succeed([&["push", "p", "--to", &app], rest].concat());
    let verify = |rest: &[&str]| sandbox.run([&["verify", &app, "p"], rest].concat());
    let lose = |path: &str| {
        let url = format!("http://{}/v2/a/b/{path}", registry.host());
        run("curl", &["-sSf", "-X", "DELETE", &url], &sandbox.work());
    };
    let document = |digest: &str| -> Value {
        let reference = format!("docker://{}/a/b@{digest}", registry.host());
        let arguments = ["inspect", "--raw", "--tls-verify=false", &reference];
        serde_json::from_str(&run("skopeo", &arguments, &sandbox.work())).unwrap()
    };

    let pushed = push(&[]);
    let outcome = verify(&[]);
    assert_eq!((outcome.code, outcome.stdout), (0, format!("{pushed}\n")), "{}", outcome.stderr);
    let note =
        format!("verified {pushed}: 2 layers, 1 of them the base's; all of it can be pulled\n");
    assert!(outcome.stderr.contains(&note), "{}", outcome.stderr);

    let manifest = document(pushed.split_once('@').unwrap().1);
    let [of_base, own, config] = ["/layers/0", "/layers/1", "/config"]
        .map(|place| manifest.pointer(place).unwrap()["digest"].as_str().unwrap().to_owned());
    for digest in [&of_base, &own, &config] {
        lose(&format!("blobs/{digest}"));
    }
    let outcome = verify(&[]);
    let lost = |what: &str, digest: &str| {
        format!("{what} cannot be pulled: the registry lacks blob `{digest}`\n")
    };
    let expected = [
        lost("layer 1 \"base layer 1\"", &of_base),
        lost("layer 2 \"files data → /app\"", &own),
        lost("the config", &config),
    ]
    .concat();
    assert_eq!((outcome.code, outcome.stdout), (1, expected.clone()), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("hint: push it again with `--no-cache`"), "{}", outcome.stderr);
    let outcome = verify(&["--json"]);
    let answer: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&answer["is_equal"], &answer["verified"]), (&json!(false), &json!([])));
    let second = &answer["differences"][1];
    assert_eq!((&second["layer"], &second["lost"]), (&json!(2), &json!(own)));
    // What is lost is told of another image, too, and once.
    let outcome = verify(&["--label", "x=y"]);
    let other = "its manifest is not the one built here; without its config, nothing tells why\n";
    assert_eq!(
        (outcome.code, outcome.stdout),
        (1, format!("{expected}{other}")),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("is not what this project builds: it is sha256:"));

    assert_eq!(push(&["--no-cache"]), pushed);
    assert_eq!(verify(&[]).code, 0);

    let index = document(push(&both).split_once('@').unwrap().1);
    assert_eq!(verify(&both).code, 0);
    let image = index["manifests"][1]["digest"].as_str().unwrap();
    lose(&format!("manifests/{image}"));
    let outcome = verify(&both);
    let expected = format!(
        "linux/arm64: its manifest cannot be pulled: the registry lacks manifest `{image}`\n"
    );
    assert_eq!((outcome.code, outcome.stdout), (1, expected), "{}", outcome.stderr);
}
