//! Revisions of Cloud Run: which of them serves, and the way back to an earlier one.

use serde_json::json;

use super::{SERVICE, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_fails_leaves_the_old_one_serving() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let old = world.image();
    world.sandbox.write("agent.py", "print('two')\n");
    world.fail_next("The container failed to start and listen on the port.");
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let reason = "HEALTH_CHECK_CONTAINER_ERROR: Revision 'agent-00002-abc' is not ready and cannot serve traffic. \
                  The container failed to start and listen on the port. Logs: https://console.cloud.google.com/logs/viewer?x";
    assert!(outcome.stderr.contains(reason), "{outcome:#?}");
    let status = world.run(&["status"]);
    assert!(status.stdout.contains(&old), "the old one serves: {status:#?}");

    let rollback = world.run(&["rollback"]);
    assert!(
        rollback.code != 0 && rollback.stderr.contains("there is nothing to undo"),
        "{rollback:#?}"
    );

    let before = world.fake.writes().len();
    world.succeed(&["deploy"]);
    assert_eq!(
        world.writes_since(before),
        [format!("PATCH {SERVICE}")],
        "the same again makes a new revision"
    );
    assert_ne!(world.image(), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_moves_traffic_and_the_next_deployment_moves_it_again() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let first = world.image();
    world.sandbox.write("agent.py", "print('two')\n");
    world.succeed(&["deploy"]);
    let before = world.fake.writes().len();
    world.succeed(&["rollback"]);
    assert_eq!(world.writes_since(before), [format!("PATCH {SERVICE}")]);
    assert_eq!(
        world.written()["traffic"],
        json!([{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "agent-00001-abc", "percent": 100}])
    );
    let status = world.succeed(&["status"]);
    assert!(status.stdout.contains(&first), "{status:#?}");
    let drift = status.stdout.lines().filter(|line| line.trim_start().starts_with("drift"));
    assert_eq!(
        drift.map(|line| line.trim().trim_start_matches("drift").trim()).collect::<Vec<_>>(),
        ["traffic: pinned to the revision `agent-00001-abc` by a rollback → the latest revision"]
    );

    // The new revision comes up first; only then does traffic follow.
    world.sandbox.write("agent.py", "print('three')\n");
    let before = world.fake.writes().len();
    world.succeed(&["deploy"]);
    assert_eq!(
        world.writes_since(before),
        [format!("PATCH {SERVICE}"), format!("PATCH {SERVICE}")]
    );
    let masks: Vec<_> = world
        .fake
        .calls()
        .iter()
        .filter_map(|call| call.query("updateMask").map(str::to_owned))
        .collect();
    assert_eq!(masks[masks.len() - 2..], ["annotations,labels,template", "traffic"]);

    // A new revision that fails gets none: the one before it, which was rolled back from, would have it.
    world.succeed(&["rollback"]);
    world.sandbox.write("agent.py", "print('four')\n");
    world.fail_next("It crashed.");
    let before = world.fake.writes().len();
    assert_eq!(world.run(&["deploy"]).code, 3);
    assert_eq!(world.writes_since(before), [format!("PATCH {SERVICE}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_revision_that_serves_is_found_on_a_later_page() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let first = world.image();
    world.sandbox.write("agent.py", "print('two')\n");
    world.succeed(&["deploy"]);
    world.succeed(&["rollback"]);
    world.fake.with(|fake| {
        fake.page = 1;
        fake.service().revisions.reverse();
    });
    let status = world.succeed(&["status"]);
    assert!(status.stdout.contains(&first), "{status:#?}");
    // One that is not listed at all has no image, rather than that of the template.
    let second = world.image();
    world.fake.with(|fake| {
        fake.service().revisions.retain(|it| it["name"].as_str().unwrap().ends_with("00002-abc"));
    });
    let status = world.run(&["status"]);
    assert!(!status.stdout.contains(&second), "{status:#?}");
}
