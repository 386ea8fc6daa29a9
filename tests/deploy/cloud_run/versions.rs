//! Versions of secrets: which go away after a deployment that is well, and come back with a rollback.

use serde_json::{Value, json};

use super::{SECRET, SERVICE, World};
use crate::fake::Fault;
use crate::fakes::cloud_run::error;
use crate::support::cli::Outcome;

const WITH_SECRET: &str = "    secrets: {API_KEY: {env: API_KEY}}\n";

/// Deploys a program with a value.
#[track_caller]
fn deploy(world: &World, value: &str, program: &str) -> Outcome {
    world.sandbox.write("agent.py", format!("print('{program}')\n"));
    let outcome = Outcome::of(world.command(&["deploy"]).env("API_KEY", value));
    assert_eq!((outcome.code, world.fake.wrong()), (0, Vec::new()), "{outcome:#?}");
    outcome
}

/// The numbers of the versions that are disabled.
fn disabled(world: &World) -> Vec<usize> {
    world.fake.with(|fake| fake.secrets[SECRET].disabled.iter().copied().collect())
}

/// The revision that traffic is pinned to.
fn serving(world: &World) -> Value {
    world.written()["traffic"][0]["revision"].clone()
}

fn change(version: usize, verb: &str) -> String {
    format!("POST /v1/{SECRET}/versions/{version}:{verb}")
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_no_revision_needs_any_more_are_disabled_and_come_back_with_a_rollback() {
    let world = World::new(WITH_SECRET).await;
    deploy(&world, "canary-1", "one");
    deploy(&world, "canary-2", "two");
    assert_eq!(disabled(&world), [0; 0], "a rollback needs the first");
    deploy(&world, "canary-3", "three");
    assert_eq!(disabled(&world), [1]);
    let before = world.fake.writes().len();
    let outcome = deploy(&world, "canary-3", "three");
    assert_eq!(world.writes_since(before), [""; 0], "{outcome:#?}");

    world.succeed(&["rollback"]);
    let before = world.fake.writes().len();
    world.succeed(&["rollback"]);
    assert_eq!(world.writes_since(before), [change(1, "enable"), format!("PATCH {SERVICE}")]);
    assert_eq!((serving(&world), disabled(&world)), ("agent-00001-abc".into(), vec![]));

    // A failure leaves everything as it is.
    deploy(&world, "canary-3", "three");
    world.fake.with(|fake| fake.secrets.get_mut(SECRET).unwrap().disabled.clear());
    world.fail_next("It crashed.");
    let outcome = Outcome::of(world.command(&["deploy"]).env("API_KEY", "canary-4"));
    assert_eq!((outcome.code, disabled(&world)), (3, vec![]), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_left_the_config_is_enabled_again_before_traffic_goes_back_to_it() {
    let world = World::new(WITH_SECRET).await;
    deploy(&world, "canary-1", "one");
    world.configure("");
    deploy(&world, "", "two");
    deploy(&world, "", "three");
    assert_eq!(disabled(&world), [1]);
    world.succeed(&["rollback"]);
    world.succeed(&["rollback"]);
    assert_eq!((serving(&world), disabled(&world)), ("agent-00001-abc".into(), vec![]));
    // What is read by what serves stays.
    world.configure(WITH_SECRET);
    deploy(&world, "canary-1", "four");
    assert_eq!(disabled(&world), [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_back_to_a_revision_whose_secrets_are_destroyed_or_gone() {
    let world = World::new(WITH_SECRET).await;
    deploy(&world, "canary-1", "one");
    world.configure("");
    deploy(&world, "", "two");
    let before = world.fake.writes().len();
    let refused = |text: &str| {
        let outcome = world.run(&["rollback"]);
        assert_eq!(outcome.code, 2, "{outcome:#?}");
        let text = format!("the revision `agent-00001-abc` reads {text}");
        assert!(outcome.stderr.contains(&text), "{outcome:#?}");
        assert_eq!(world.writes_since(before), [""; 0]);
    };
    world.fake.with(|fake| fake.secrets.get_mut(SECRET).unwrap().versions[0].clear());
    refused("version 1 of the secret `agent-europe-west1-API_KEY`, which was destroyed");
    world.fake.with(|fake| fake.secrets.remove(SECRET));
    refused("the secret `agent-europe-west1-API_KEY`, which is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_served_before_a_deployment_is_what_a_rollback_brings_back() {
    let world = World::new(WITH_SECRET).await;
    deploy(&world, "canary-1", "one");
    deploy(&world, "canary-2", "two");
    world.succeed(&["rollback"]);
    deploy(&world, "canary-3", "three");
    assert_eq!(world.written()["annotations"]["dockless-previous-revision"], "agent-00001-abc");
    assert_eq!(disabled(&world), [0; 0]);
    // The platform alone knows it.
    std::fs::remove_dir_all(world.sandbox.work().join(".dockless")).unwrap();
    world.succeed(&["rollback"]);
    assert_eq!(serving(&world), "agent-00001-abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_disabled_or_listed_stops_nobody() {
    let world = World::new(WITH_SECRET).await;
    deploy(&world, "canary-1", "one");
    deploy(&world, "canary-2", "two");
    let refused = error(400, "INVALID_ARGUMENT", "no");
    world.fake.spoil(&change(1, "disable"), Fault::Refuse(refused));
    let outcome = deploy(&world, "canary-3", "three");
    assert_eq!(outcome.stderr.matches("disable version 1 of the secret").count(), 1);
    world.fake.with(|fake| fake.denied.insert("secretmanager.versions.disable"));
    let outcome = deploy(&world, "canary-4", "four");
    let text = "what is left over stays: disable version 1 of the secret";
    assert!(outcome.stderr.contains(text), "{outcome:#?}");
    assert!(outcome.stderr.contains("roles/secretmanager.secretVersionManager"), "{outcome:#?}");
    let before = world.fake.writes().len();
    deploy(&world, "canary-4", "four");
    assert_eq!(world.writes_since(before), [""; 0]);

    // An outage is the same, and takes longer, since reading is tried again.
    for _ in 0..30 {
        for path in ["projects/acme-staging/secrets", SECRET, &format!("{SECRET}/versions")] {
            let down = error(501, "UNIMPLEMENTED", "down");
            world.fake.spoil(&format!("GET /v1/{path}"), Fault::Refuse(down));
        }
    }
    world.succeed(&["status"]);
    world.succeed(&["rollback"]);
    assert_eq!(serving(&world), json!("agent-00003-abc"));
    world.fake.stop_spoiling();
}
