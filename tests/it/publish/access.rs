//! Whether a registry lets us in, and how it is spoken to.

use serde_json::{Value, json};

use crate::support::cli::{self, Sandbox};
use crate::support::fault_proxy::FaultProxy;
use crate::support::image::run;
use crate::support::registry::Registry;

#[test]
fn credentials_are_asked_for_before_anything_is_packed_or_sent() {
    let (sandbox, open) = (Sandbox::new(), Registry::start());
    let closed = Registry::start_with_password();
    let project = sandbox.project("hello");
    let to = format!("{}/acme/hello,{}/acme/hello", open.host(), closed.host());
    let outcome = sandbox.run(["push", project.to_str().unwrap(), "--to", &to]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
    assert!(!outcome.stderr.contains("packed"), "{}", outcome.stderr);
    let message = format!(
        "cannot push to `{0}/acme/hello`: `{0}` wants credentials and there are none",
        closed.host()
    );
    assert_eq!(outcome.stderr.matches("wants credentials").count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains(&message), "{}", outcome.stderr);
    let hints = outcome.stderr.split_once("hint: ").unwrap().1;
    let cure = format!(
        "log in to `{0}`: `dockless login {0} --username NAME --password-stdin`; or",
        closed.host()
    );
    assert!(hints.starts_with(&cure), "{hints}");
    let catalog = run("curl", &["-sf", &format!("http://{}/v2/_catalog", open.host())], &project);
    assert_eq!(serde_json::from_str::<Value>(&catalog).unwrap(), json!({"repositories": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_named_insecure_is_reached_without_tls() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    // Only this machine is here: as the proxy of the command it stands for the host.
    let proxy = FaultProxy::start(&registry.host()).await;
    let project = sandbox.project("hello");
    let project = project.to_str().unwrap();
    let push = |rest: &[&str], variable: &str| {
        let mut command = sandbox.command(["push", project, "--to", "registry.test/acme/hello"]);
        command.args(rest).env("http_proxy", format!("http://{}", proxy.server().host()));
        if !variable.is_empty() {
            command.env("DOCKLESS_INSECURE_REGISTRY", variable);
        }
        cli::Outcome::of(&mut command)
    };
    let given = push(&["--insecure-registry", "other.test:5000,registry.test"], "");
    assert_eq!(given.code, 0, "{given:#?}");
    assert!(given.stdout.starts_with("registry.test/acme/hello@sha256:"), "{given:#?}");
    let named = push(&[], "registry.test");
    assert_eq!((named.code, named.stdout), (0, given.stdout));
    let wrong = push(&["--insecure-registry", "http://registry.test"], "");
    assert_eq!(wrong.code, 2, "{wrong:#?}");
}
