//! The way back to what ran before.

use serde_json::json;

use super::world::World;
use crate::fakes::container_apps::Ending;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_well_is_taken_back_when_that_is_asked_for() {
    let world = World::new("").await;
    let first = world.succeed(&["deploy", "--json"]);
    let first: serde_json::Value = serde_json::from_str(&first.stdout).unwrap();
    world.sandbox.write("agent.py", "exit(1)\n");
    world.fake.with(|fake| fake.ending = Ending::Crashing);
    let outcome = world.run(&["deploy", "--rollback-on-failure"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let status = world.succeed(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["services"][0]["image"], first["deployments"][0]["image"], "{status:#}");
    assert_eq!(status["services"][0]["state"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_brings_the_whole_revision_before_back() {
    let world = World::new("    env: {MODE: first}\n").await;
    world.succeed(&["deploy"]);
    let image = world.image();
    world.configure("    env: {MODE: second}\n");
    world.sandbox.write("agent.py", "print('two')\n");
    world.succeed(&["deploy"]);
    world.succeed(&["rollback"]);
    assert_eq!((world.image(), world.revisions()), (image, 3));
    let env = world.written()["properties"]["template"]["containers"][0]["env"].clone();
    assert_eq!(env, json!([{"name": "MODE", "value": "first"}]));
    let suffixes = world.fake.with(|fake| {
        let names = fake.app().revisions.iter().map(|revision| revision.name.clone());
        names.collect::<std::collections::BTreeSet<_>>()
    });
    assert_eq!(suffixes.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_never_goes_to_a_revision_that_was_never_ready() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let first = world.image();
    world.sandbox.write("agent.py", "exit(2)\n");
    world.fake.with(|fake| fake.ending = Ending::Crashing);
    assert_eq!(world.run(&["deploy"]).code, 3);
    world.sandbox.write("agent.py", "exit(3)\n");
    world.fake.with(|fake| fake.ending = Ending::Crashing);
    assert_eq!(world.run(&["deploy"]).code, 3);
    world.succeed(&["rollback"]);
    assert_eq!(world.image(), first);
    world.sandbox.write("agent.py", "exit(4)\n");
    world.fake.with(|fake| fake.ending = Ending::Unprovisioned("no such image".to_owned()));
    assert_eq!(world.run(&["deploy"]).code, 3);
    world.sandbox.write("agent.py", "print('five')\n");
    world.succeed(&["deploy"]);
    world.succeed(&["rollback"]);
    assert_eq!(world.image(), first);
}
