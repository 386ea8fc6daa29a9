//! Answers of Cloud Run that are lost, refusals, or none of its own.

use serde_json::json;

use super::{PARENT, SECRET, SERVICE, SERVICES, World};
use crate::fake::{Fault, Response};
use crate::fakes::cloud_run::error;
use crate::support::cli::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_looked_up_and_nothing_is_made_twice() {
    let world = World::new("").await;
    world.fake.spoil(&format!("POST {SERVICES}"), Fault::LoseAnswer);
    world.succeed(&["deploy"]);
    assert_eq!(world.fake.writes(), [format!("POST {SERVICES}")]);
    assert_eq!(world.fake.with(|fake| fake.service().revisions.len()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_throttling_and_failed_operations_are_told_apart() {
    let world = World::new("").await;
    let throttled = error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for requests per minute");
    world.fake.spoil(&format!("POST {SERVICES}"), Fault::Refuse(throttled));
    world.succeed(&["deploy"]);

    world.sandbox.write("agent.py", "print('two')\n");
    let conflict = error(409, "ABORTED", "Conflict for resource 'agent'");
    world.fake.spoil(&format!("PATCH {SERVICE}"), Fault::Refuse(conflict));
    world.succeed(&["deploy"]);

    world.sandbox.write("agent.py", "print('three')\n");
    let failed = json!({
        "name": format!("{PARENT}/operations/9"),
        "done": true,
        "error": {"code": 9, "message": "the region is being drained"},
    });
    world.fake.spoil(&format!("PATCH {SERVICE}"), Fault::Refuse(Response::json(200, &failed)));
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(
        outcome.stderr.contains("FAILED_PRECONDITION: the region is being drained"),
        "{outcome:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_comes_to_nothing_later_is_a_failure() {
    let world = World::new("    env: {LOG_LEVEL: info}\n").await;
    world.succeed(&["deploy"]);
    let image = world.image();
    world.configure("    env: {LOG_LEVEL: debug}\n");
    world.fake.with(|fake| fake.comes_to_nothing = Some("the region is being drained".to_owned()));
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(
        outcome.stderr.contains("FAILED_PRECONDITION: the region is being drained"),
        "{outcome:#?}"
    );
    assert_eq!(world.image(), image);
    world.succeed(&["deploy"]);
    let env = world.written().pointer("/template/containers/0/env").cloned();
    assert_eq!(env, Some(json!([{"name": "LOG_LEVEL", "value": "debug"}])));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_service_is_no_service() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let strange = Response::json(200, &json!({"status": "please log in"}));
    world.fake.spoil(&format!("GET {SERVICE}"), Fault::Intercept(strange));
    let outcome = Outcome::of(&mut world.command(&["status"]));
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let text = format!("the answer to GET {SERVICE} has no `/name`");
    assert!(outcome.stderr.contains(&text), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_told_with_the_role_that_allows_it() {
    let world = World::new("").await;
    let message = "Permission 'run.services.get' denied on resource 'projects/acme-staging/locations/europe-west1/services/agent' (or resource may not exist).";
    world
        .fake
        .spoil(&format!("GET {SERVICE}"), Fault::Refuse(error(403, "PERMISSION_DENIED", message)));
    let outcome = world.run(&["status"]);
    let text = format!("PERMISSION_DENIED: {message}");
    assert!(outcome.stderr.contains(&text), "{outcome:#?}");
    let hint = "the smallest role with `run.services.get` is `roles/run.developer`: `gcloud projects add-iam-policy-binding acme-staging --member=user:YOU --role=roles/run.developer`";
    assert!(outcome.stderr.contains(hint), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_policy_is_not_written_over() {
    let world = World::new(
        "    service_account: runner@acme-staging.iam.gserviceaccount.com\n    create_roles: true\n    \
         secrets: {API_KEY: {env: API_KEY}}\n    public: false\n",
    )
    .await;
    let deploy = || Outcome::of(world.command(&["deploy"]).env("API_KEY", "canary"));
    assert_eq!(deploy().code, 0);
    let before = world.fake.writes().len();
    for strange in [json!([1]), json!("please log in"), json!(null)] {
        for of in [format!("/v1/{SECRET}"), SERVICE.to_owned()] {
            let strange = Response::json(200, &strange);
            world.fake.spoil(&format!("GET {of}:getIamPolicy"), Fault::Intercept(strange));
        }
        let outcome = deploy();
        assert_eq!((outcome.code, world.fake.wrong()), (0, Vec::new()), "{outcome:#?}");
    }
    assert_eq!((world.writes_since(before), world.fake.stop_spoiling()), (Vec::new(), 0));
}
