//! What goes wrong on the way, and what is said of it.

use serde_json::{Value, json};

use super::world::World;
use crate::fake::{Fault, Response};
use crate::fakes::container_apps::{Ending, error, taken};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_whose_container_crashes_is_not_well() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    world.sandbox.write("agent.py", "exit(1)\n");
    world.fake.with(|fake| fake.ending = Ending::Crashing);
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let reason =
        "the container `agent` was restarted 3 times and is Waiting: CrashLoopBackOff, exit code 1";
    assert!(outcome.stderr.contains(reason), "{outcome:#?}");
    assert_eq!(world.writes().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_revision_is_refused_stands_in_its_operation_and_is_told() {
    let world = World::new("").await;
    let message = "Failed to provision revision for container app 'agent'. Error details: Field \
                   'template.containers.agent.image' is invalid with details: unable to pull image using \
                   Managed identity";
    world.fake.with(|fake| fake.ending = Ending::Refused(message.to_owned()));
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(outcome.stderr.contains("unable to pull image using Managed identity"), "{outcome:#?}");
    world.succeed(&["deploy"]);
    assert_eq!((world.writes().len(), world.revisions()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_app_is_not_taken_for_one() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let json = |value: Value| Response::json(200, &value);
    let app = |properties: Value| json(json!({"name": "agent", "properties": properties}));
    for (below, answer, missing) in [
        ("", json(json!("<html>proxy</html>")), "/name"),
        ("", json(json!([])), "/name"),
        ("", json(json!({"properties": {}})), "/name"),
        ("", app(json!({"configuration": "secret"})), "/properties/configuration"),
        ("", app(json!({"template": {"containers": ["a"]}})), "/properties/template/containers"),
        ("/revisions", json(json!("<html>proxy</html>")), "/value"),
        ("/revisions", json(json!([])), "/value"),
        ("/revisions", json(json!({"value": ["agent--1"]})), "/name"),
    ] {
        world.spoil("GET", below, Fault::Refuse(answer));
        let outcome = world.run(&["status"]);
        assert_eq!(outcome.code, 3, "{outcome:#?}");
        assert!(outcome.stderr.contains(&format!("has no `{missing}`")), "{outcome:#?}");
    }
    assert_eq!(world.writes(), ["PUT agent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_up_and_not_repeated() {
    let world = World::new("").await;
    world.spoil_put(Fault::LoseAnswer);
    world.succeed(&["deploy"]);
    assert_eq!((world.writes(), world.revisions()), (vec!["PUT agent".to_owned()], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_busy_or_throttled_is_asked_again() {
    let world = World::new("").await;
    let message = "Cannot modify a container app 'agent' because there is an active operation.";
    world.spoil_put(Fault::Refuse(error(409, "ContainerAppOperationInProgress", message)));
    let mut throttled = error(429, "SubscriptionRequestsThrottled", "Number of requests exceeded.");
    throttled.headers.push(("retry-after".to_owned(), "0".to_owned()));
    world.spoil_put(Fault::Refuse(throttled));
    world.succeed(&["deploy"]);
    assert_eq!((world.writes().len(), world.revisions()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_deployed_again_when_it_is_asked_for_again() {
    let world = World::new("").await;
    let failed = Ending::Unprovisioned("unable to pull image".to_owned());
    world.fake.with(|fake| fake.ending = failed);
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(outcome.stderr.contains("unable to pull image"), "{outcome:#?}");
    world.succeed(&["deploy"]);
    world.succeed(&["deploy"]);
    assert_eq!((world.writes().len(), world.revisions()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_serves_although_its_last_change_failed_is_asked_for_again_as_it_is() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    world.fake.with(|fake| fake.app().has_failed = true);
    let status = world.succeed(&["status", "--json"]);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    let service = &status["services"][0];
    assert_eq!(service["state"], "failed", "{status:#}");
    assert_eq!(service["drift"][0]["what"], "provisioning_state", "{status:#}");
    assert!(status.to_string().contains("runs all the same"), "{status:#}");
    world.succeed(&["deploy"]);
    world.succeed(&["deploy"]);
    assert_eq!((world.writes().len(), world.revisions()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_comes_with_the_command_that_makes_it() {
    let world = World::new("").await;
    world.fake.with(|fake| fake.is_registered = false);
    let outcome = world.run(&["deploy"]);
    assert_ne!(outcome.code, 0, "{outcome:#?}");
    let register = "az provider register --namespace Microsoft.App --wait";
    assert!(outcome.stderr.contains(register), "{outcome:#?}");
    let environments =
        std::collections::BTreeMap::from([("productoin".to_owned(), "x".to_owned())]);
    world.fake.with(|fake| fake.environments = environments);
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let near = "did you mean `environment_name: productoin`?";
    assert!(outcome.stderr.contains(near), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_a_former_revision_had_is_replaced_by_another() {
    let world = World::new("").await;
    // The platform says so at once, or in the operation that it began.
    let refusal = error(400, "ContainerAppInvalidRevisionSuffix", &taken("d0"));
    world.spoil_put(Fault::Refuse(refusal));
    world.fake.with(|fake| fake.ending = Ending::Taken);
    world.succeed(&["deploy"]);
    assert_eq!((world.writes().len(), world.revisions()), (3, 1));
    let suffixes: std::collections::BTreeSet<_> = world
        .fake
        .calls()
        .iter()
        .filter(|call| call.method == "PUT")
        .map(|call| call.json()["properties"]["template"]["revisionSuffix"].to_string())
        .collect();
    assert_eq!(suffixes.len(), 3, "{suffixes:?}");
    world.succeed(&["deploy"]);
    assert_eq!(world.writes().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_overtaken_gives_way() {
    let world = World::new("").await;
    let rival = format!("acme.azurecr.io/agents/agent@sha256:{}", "ab".repeat(32));
    world.fake.with(|fake| fake.rival = Some(rival.clone()));
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let reason = format!("another deployment came after this one: it runs `{rival}` now");
    assert!(outcome.stderr.contains(&reason), "{outcome:#?}");
    assert!(outcome.stderr.contains("let one job at a time deploy"), "{outcome:#?}");
    assert_eq!((world.writes().len(), world.image()), (1, rival));
}
