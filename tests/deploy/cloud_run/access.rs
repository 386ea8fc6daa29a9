//! Who may call a service of Cloud Run.

use serde_json::{Value, json};

use super::{SERVICE, World};

/// A policy that lets everybody call, and Bob.
fn open_policy() -> Value {
    json!({"etag": "BwYA", "bindings": [
        {"role": "roles/run.admin", "members": ["user:bob@acme.io"]},
        {"role": "roles/run.invoker", "members": ["allUsers", "user:bob@acme.io"]},
    ]})
}

async fn open_world() -> World {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    world.fake.with(|fake| fake.service().policy = open_policy());
    world.configure("    public: false\n");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_shall_not_be_public_is_closed_and_what_else_its_policy_says_stays() {
    let world = open_world().await;
    let status = world.succeed(&["status"]);
    let line = "public: allUsers has roles/run.invoker → false";
    assert!(status.stdout.contains(line), "{status:#?}");
    let before = world.fake.writes().len();
    world.succeed(&["deploy"]);
    let writes = world.writes_since(before);
    assert_eq!(writes, [format!("PATCH {SERVICE}"), format!("POST {SERVICE}:setIamPolicy")]);
    let mut expected = open_policy();
    expected["bindings"][1]["members"] = json!(["user:bob@acme.io"]);
    assert_eq!(world.fake.with(|fake| fake.service().policy.clone()), expected);
    let before = world.fake.writes().len();
    world.succeed(&["deploy"]);
    assert_eq!(world.writes_since(before), [""; 0]);
    assert!(!world.succeed(&["status"]).stdout.contains("drift"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cannot_be_closed_is_deployed_and_the_user_is_told() {
    let world = open_world().await;
    world.fake.with(|fake| fake.denied.insert("run.services.setIamPolicy"));
    let outcome = world.succeed(&["deploy"]);
    let text = "is deployed, and everybody may still call it: ";
    assert!(outcome.stderr.contains(text), "{outcome:#?}");
    assert!(outcome.stderr.contains("--role=roles/run.admin"), "{outcome:#?}");
    assert!(world.succeed(&["status"]).stdout.contains("public: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_may_not_be_public_is_deployed_and_the_user_is_told() {
    let world = World::new("    public: true\n").await;
    world.fake.with(|fake| fake.is_public_forbidden = true);
    let outcome = world.succeed(&["deploy"]);
    assert!(outcome.stderr.contains("is deployed, and not public: "), "{outcome:#?}");
    assert!(outcome.stderr.contains("constraints/run.managed.requireInvokerIam"), "{outcome:#?}");
    assert_eq!(world.written().get("invokerIamDisabled"), None);
}
