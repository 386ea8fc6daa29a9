//! `dockless rollback` and `dockless status` after one another: what was taken back, and what is not as it should be.

use serde_json::{Value, json};

use crate::fake::Fault;
use crate::fakes::cloud_run::error;
use crate::support::cli::Outcome;
use crate::world::{STAGING, World, errors};

/// The image that a command's document names.
fn image(document: &Value) -> String {
    document["deployments"][0]["image"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_is_not_brought_back_by_going_back_once_more() {
    let world = World::new(STAGING).await;
    let one = image(&world.document(&["deploy", "--json"]));
    world.sandbox.write("agent.py", "print('two')\n");
    let two = image(&world.document(&["deploy", "--json"]));
    assert_eq!(world.succeed(&["rollback"]).stdout, format!("{one}\n"));
    let service = &world.state()["environments"]["staging"]["cloud-run agent-staging acme-staging/europe-west1"];
    let history: Vec<_> = service["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["image"].as_str().unwrap(), entry["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(history, [(&*one, "deployed"), (&*two, "deployed"), (&*one, "rolled_back")]);
    assert_eq!(service["history"][2]["from"], json!(two));
    let status = world.succeed(&["status"]).stdout;
    assert!(status.contains(&format!("\n  note     rolled back from {two} at ")), "{status}");
    let status = world.document(&["status", "--json"]);
    assert_eq!(status["services"][0]["rolled_back"]["from"], json!(two));
    // What was taken back can be deployed again.
    let again = world.document(&["deploy", "--json"]);
    assert_eq!((image(&again), &again["deployments"][0]["outcome"]), (two, &json!("deployed")));
    world.succeed(&["rollback"]);
    world.sandbox.write("agent.py", "print('three')\n");
    world.succeed(&["deploy"]);
    assert_eq!(world.succeed(&["rollback"]).stdout, format!("{one}\n"));
    let outcome = world.run(&["rollback"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert_eq!(
        errors(&outcome)[1],
        "  Cloud Run service `agent-staging` in acme-staging/europe-west1: no revision before this one can be served"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_no_only_where_it_is_asked_to_check() {
    let world = World::new(STAGING).await;
    let service = "Cloud Run service `agent-staging` in acme-staging/europe-west1";
    let check = |code: i32, expected: &[&str]| {
        let outcome = world.run(&["status", "--check"]);
        assert_eq!(outcome.code, code, "{outcome:#?}");
        assert_eq!(errors(&outcome), expected);
        assert_eq!(world.run(&["status"]).code, 0);
    };
    let wrong = format!("error: not everything is as the config says: {service}: ");
    check(1, &[&format!("{wrong}not deployed")]);
    world.succeed(&["deploy"]);
    check(0, &[]);
    let config = world.sandbox.work().join("dockless.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("region:", "memory: 1Gi, region:")).unwrap();
    check(1, &[&format!("{wrong}`memory` differ from the config")]);
    std::fs::write(&config, text.replace("region:", "env: {A: \"${NOT_THERE}\"}, region:"))
        .unwrap();
    check(
        2,
        &[&format!(
            "error: whether everything is as the config says cannot be told: {service}: the values of `A` are not \
             known here"
        )],
    );
    std::fs::write(&config, text).unwrap();
    let failure = ("HEALTH_CHECK_CONTAINER_ERROR".into(), "It is not well.".into());
    world.cloud.with(|cloud| cloud.failure = Some(failure));
    world.sandbox.write("agent.py", "print('two')\n");
    assert_eq!(world.run(&["deploy"]).code, 3);
    check(1, &[&format!("{wrong}it is failed")]);
}

const TWO: &str = "  all:\n    targets:\n      \
    - {target: cloud-run, name: one, project_id: acme-staging, region: europe-west1}\n      \
    - {target: cloud-run, name: two, project_id: acme-staging, region: europe-west1}\n";

/// Refuses the next look at a service.
fn refuse(world: &World, name: &str, message: &str) {
    let operation = format!("GET /v2/projects/acme-staging/locations/europe-west1/services/{name}");
    let refusal = error(403, "PERMISSION_DENIED", message);
    world.cloud.spoil(&operation, Fault::Refuse(refusal));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_several_targets_is_told_at_once() {
    let world = World::new(TWO).await;
    for command in [&["deploy"][..], &["status"], &["rollback"], &["destroy", "--yes"]] {
        refuse(&world, "one", "You may not look at one.");
        refuse(&world, "two", "You may not look at two.");
        let outcome = world.run(command);
        let lines = errors(&outcome);
        assert_eq!(lines[0], "error: something is wrong at 2 of 2 targets", "{outcome:#?}");
        for (line, name) in [(lines[1], "one"), (lines[2], "two")] {
            let begin =
                format!("  look at Cloud Run service `{name}` in acme-staging/europe-west1: ");
            assert!(line.starts_with(&begin) && line.contains(name), "{outcome:#?}");
        }
    }
    assert_eq!(world.cloud.writes(), [""; 0]);
    assert_eq!(world.registry.called(), [""; 0]);
    // What is the same everywhere is told once.
    let mut command = world.command(&["deploy"]);
    command.env_remove("CLOUDSDK_AUTH_ACCESS_TOKEN");
    let outcome = Outcome::of(command.env("GOOGLE_APPLICATION_CREDENTIALS", "/not/there"));
    let subjects = ["one", "two"]
        .map(|name| format!("Cloud Run service `{name}` in acme-staging/europe-west1"));
    let lines = errors(&outcome);
    assert_eq!(lines[0], format!("error: look at {}", subjects.join(", ")));
    assert!(lines[1].contains("no credentials for Google Cloud"), "{outcome:#?}");
    assert_eq!(lines.last(), Some(&"hint: log in: `gcloud auth application-default login`"));
    // Those that answer are shown.
    world.succeed(&["deploy"]);
    refuse(&world, "two", "You may not look at two.");
    let outcome = world.run(&["status"]);
    assert!(
        outcome.code != 0
            && outcome.stdout.ends_with(&format!("{}\n  not known: see the error\n", subjects[1])),
        "{outcome:#?}"
    );
    assert!(outcome.stdout.contains("  state    ready\n"), "{outcome:#?}");
    refuse(&world, "two", "You may not look at two.");
    let outcome = world.run(&["status", "--json"]);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(document["services"][0]["error"], Value::Null);
    assert_eq!(document["services"][1]["is_deployed"], Value::Null);
    assert_eq!(document["services"][1]["error"]["exit_code"], json!(outcome.code));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_is_removed_with_the_vendors_command() {
    let world = World::new(STAGING).await;
    world.succeed(&["deploy"]);
    world.cloud.with(|cloud| {
        cloud.service().written["labels"].as_object_mut().unwrap().remove("managed-by");
    });
    let outcome = world.run(&["destroy", "--yes"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert_eq!(
        errors(&outcome),
        [
            "error: remove Cloud Run service `agent-staging` in acme-staging/europe-west1",
            "  Cloud Run service `agent-staging` in acme-staging/europe-west1 is not tagged as one of dockless",
            "hint: deploy to it first, which adopts it, or remove it with the tool that made it",
            "hint: to remove it all the same: `gcloud run services delete agent-staging --project acme-staging --region europe-west1`",
        ]
    );
}
