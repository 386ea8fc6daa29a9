//! What is the same for every target: environments, values, promotion, several targets, a run that is killed.

use serde_json::{Value, json};

use crate::support::cli::Outcome;
use crate::world::{PRODUCTION, STAGING, World, errors};

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_chosen_by_name() {
    let world = World::new(&format!("{STAGING}{PRODUCTION}")).await;
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 2);
    assert_eq!(
        errors(&outcome),
        [
            "error: the config has 2 environments, and none was chosen",
            "hint: choose one with `-e`: `staging`, `production`",
        ]
    );
    let outcome = world.run(&["status", "-e", "stagin"]);
    assert_eq!(outcome.code, 2);
    assert_eq!(
        errors(&outcome),
        ["error: the config has no environment `stagin`", "hint: did you mean `staging`?"]
    );
    assert_eq!(world.cloud.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_another_environment_shows_now() {
    let world = World::new(&format!(
        "{STAGING}  production: {{target: cloud-run, project_id: acme-prod, region: europe-west1, create_role: true}}\n"
    ))
    .await;
    let outcome = world.run(&["deploy", "-e", "staging"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let lines = errors(&outcome);
    assert_eq!(lines.last(), Some(&"    hint: did you mean `create_roles`?"), "{lines:#?}");
    assert!(lines[0].contains("unknown key `create_role` in "), "{lines:#?}");
    assert_eq!(world.cloud.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_gives_ends_it_before_anything_is_built() {
    let world = World::new(
        "  staging:\n    target: cloud-run\n    project_id: acme-staging\n    region: europe-west1\n    \
         env: {A: \"${NOT_THERE}\"}\n    secrets: {KEY: {env: NOT_THERE_EITHER}}\n    \
         pull: {username: bob, password_env: GITHUB_TOKEN}\n",
    )
    .await;
    let outcome = Outcome::of(world.command(&["deploy"]).env("GITHUB_TOKEN", "ghs_canary"));
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    for expected in [
        "the variable `NOT_THERE` is not set",
        "the variable `NOT_THERE_EITHER` is not set",
        "`GITHUB_TOKEN` has a token that ends with the job, and the platform pulls later",
    ] {
        assert!(outcome.stderr.contains(expected), "{outcome:#?}");
    }
    assert!(!outcome.stderr.contains("canary"), "{outcome:#?}");
    assert_eq!(world.cloud.calls().len(), 0);
    assert!(!world.sandbox.work().join(".dockless").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_target_takes_is_not_pushed() {
    let world = World::new(STAGING).await;
    let outcome = world.run(&["deploy", "--to", "ghcr.io/acme/agent"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(outcome.stderr.contains("does not run `ghcr.io/acme/agent`:"), "{outcome:#?}");
    assert_eq!(world.registry.called(), [""; 0]);
    // Somebody else's service ends it as early.
    world.succeed(&["deploy"]);
    world.cloud.with(|cloud| {
        let service = cloud.service();
        service.written["labels"]["dockless-project"] = "another".into();
    });
    let before = world.registry.called().len();
    world.sandbox.write("agent.py", "print('two')\n");
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(outcome.stderr.contains("is of the project `another`"), "{outcome:#?}");
    assert_eq!(world.registry.called().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_holodeck_says_what_it_needs() {
    let world = World::new(STAGING).await;
    std::fs::remove_file(world.sandbox.work().join("dockless.yaml")).unwrap();
    let agent = "name: My Agent\nmodel: {provider: openai, name: gpt-4o, api_key: \"${OPENAI_API_KEY}\"}\n\
        instructions: {inline: Help.}\ndeployment:\n  registry: {url: europe-west1-docker.pkg.dev, repository: acme/agents/agent, tag_strategy: latest}\n  \
        target: {provider: gcp, gcp: {project_id: acme-staging, region: europe-west1}}\n  environment: {LOG: \"x-${LEVEL}\"}\n";
    let path = world.sandbox.write("agent.yaml", agent);
    let deploy = |world: &World| {
        let mut command = world.command(&["deploy", "--base", "builtin:static"]);
        command.env("LEVEL", "debug");
        Outcome::of(&mut command)
    };
    let outcome = deploy(&world);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let needed = "the agent needs the variable `OPENAI_API_KEY`, and the environment `default` does not give it";
    assert!(outcome.stderr.contains(needed), "{outcome:#?}");
    assert_eq!(world.cloud.calls().len(), 0);
    std::fs::write(
        path,
        agent.replace("environment: {", "environment: {OPENAI_API_KEY: \"${KEY}\", "),
    )
    .unwrap();
    let mut command = world.command(&["deploy", "--base", "builtin:static"]);
    let outcome = Outcome::of(command.env("LEVEL", "debug").env("KEY", "canary-1"));
    assert_eq!((outcome.code, world.cloud.wrong()), (0, Vec::new()), "{outcome:#?}");
    assert!(!outcome.stderr.contains("canary"), "{outcome:#?}");
    let services: Vec<_> = world.cloud.with(|cloud| cloud.services.keys().cloned().collect());
    assert_eq!(services, ["projects/acme-staging/locations/europe-west1/services/my-agent"]);
    let written = world.cloud.with(|cloud| Value::Object(cloud.service().written.clone()));
    assert_eq!(
        written.pointer("/template/containers/0/env"),
        Some(&json!([
            {"name": "KEY", "value": "canary-1"},
            {"name": "LEVEL", "value": "debug"},
            {"name": "LOG", "value": "x-debug"},
            {"name": "OPENAI_API_KEY", "value": "canary-1"},
        ]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_every_request_and_writes_nothing() {
    let world = World::new(STAGING).await;
    let plan = world.document(&["deploy", "--dry-run", "--json"]);
    assert_eq!(world.cloud.writes(), [""; 0]);
    assert!(!world.sandbox.work().join(".dockless").exists());
    let planned = world.succeed(&["deploy"]);
    assert_eq!(planned.stdout.lines().count(), 1);
    let sent = world.cloud.calls().into_iter().find(|call| call.method == "POST").unwrap();
    assert_eq!(plan["planned"][0]["steps"][0]["request"]["body"], sent.json());
    let again = world.document(&["deploy", "--dry-run", "--json"]);
    assert_eq!(again["planned"][0]["steps"], json!([]));
    assert_eq!(again["planned"][0]["changes"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_staging_runs_is_promoted_by_its_digest() {
    let world = World::new(&format!("{STAGING}{PRODUCTION}")).await;
    let outcome = world.run(&["deploy", "-e", "production", "--image-from", "staging"]);
    assert_eq!(outcome.code, 2);
    assert_eq!(
        errors(&outcome),
        [
            "error: nothing of environment `staging` is deployed",
            "hint: deploy it first: `dockless deploy -e staging`",
        ]
    );
    let staged = world.document(&["deploy", "-e", "staging", "--json"]);
    // What is built now would be another image.
    world.sandbox.write("agent.py", "print('two')\n");
    let promoted =
        world.document(&["deploy", "-e", "production", "--image-from", "staging", "--json"]);
    assert_eq!(promoted["deployments"][0]["image"], staged["deployments"][0]["image"]);
    assert_eq!(promoted["deployments"][0]["name"], "agent-production");
    assert_eq!(promoted["deployments"][0]["place"], "acme-prod/europe-west1");
    let status = world.document(&["status", "-e", "production", "--json"]);
    assert_eq!(status["services"][0]["image"], staged["deployments"][0]["image"]);
    assert_eq!(status["services"][0]["drift"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_several_targets_that_fails_ends_it() {
    let world = World::new(
        "  all:\n    targets:\n      - {target: cloud-run, name: one, project_id: acme-staging, region: europe-west1}\n      \
         - {target: cloud-run, name: two, project_id: acme-staging, region: europe-west1}\n",
    )
    .await;
    world.cloud.with(|cloud| {
        cloud.failure = Some(("HEALTH_CHECK_CONTAINER_ERROR".into(), "it does not listen".into()));
    });
    let outcome = world.run(&["deploy", "--json"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["deployments"].as_array().map(Vec::len), Some(1), "{report:#}");
    assert_eq!(
        report["untouched"],
        json!([{"target": "cloud-run", "name": "two", "place": "acme-staging/europe-west1"}])
    );
    let services = world.cloud.with(|cloud| cloud.services.len());
    assert_eq!(services, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_before_it_heard_the_answer_is_gone_on_with() {
    let world = World::new(STAGING).await;
    let create = "POST /v2/projects/acme-staging/locations/europe-west1/services";
    world.cloud.kill_in(create, &mut world.command(&["deploy"])).await;
    let record = &world.state()["environments"]["staging"]["cloud-run agent-staging acme-staging/europe-west1"];
    assert_eq!(record["intents"].as_array().map(Vec::len), Some(1), "{record:#}");
    assert_eq!(record["history"], json!([]));
    world.succeed(&["deploy"]);
    let creations = world.cloud.writes().iter().filter(|write| *write == create).count();
    assert_eq!(creations, 1, "it was found, and not created again");
    let state = world.state();
    let record =
        &state["environments"]["staging"]["cloud-run agent-staging acme-staging/europe-west1"];
    assert_eq!(record.get("intents"), None);
    assert_eq!(record["history"][0]["outcome"], "unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_that_nobody_agreed_to() {
    let world = World::new(STAGING).await;
    world.succeed(&["deploy"]);
    let before = world.cloud.writes();
    let outcome = world.run(&["destroy"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(outcome.stderr.contains("nothing was removed: nobody is here to ask"), "{outcome:#?}");
    assert_eq!(world.cloud.writes(), before);
    world.succeed(&["destroy", "--yes"]);
    assert_eq!(world.cloud.with(|cloud| cloud.services.len()), 0);
    assert_eq!(world.state()["environments"]["staging"], json!({}));
    // Once it is gone, there is nothing to do.
    let writes = world.cloud.writes();
    world.succeed(&["destroy", "--yes"]);
    assert_eq!(world.cloud.writes(), writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_who_we_are_and_what_runs() {
    let world = World::new(STAGING).await;
    let report = world.document(&["check", "-e", "staging", "--json"]);
    assert_eq!(report["targets"][0]["found"], "not deployed yet", "{report:#}");
    assert_eq!(report["targets"][0]["cloud"], "Google Cloud");
    assert_eq!(world.cloud.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_log_of_what_is_not_deployed() {
    let world = World::new(STAGING).await;
    for arguments in [&["logs", "-e", "staging"][..], &["logs", "-e", "staging", "--follow"]] {
        let outcome = world.run(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
        assert_eq!(
            errors(&outcome),
            [
                "error: Cloud Run service `agent-staging` in acme-staging/europe-west1: it is not there",
                "hint: deploy it first: `dockless deploy -e staging`",
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_fails_where_the_push_would_have_no_tag() {
    let world = World::new(STAGING).await;
    let mut config = std::fs::read_to_string(world.sandbox.work().join("dockless.yaml")).unwrap();
    config.push_str("tags: ['{{ git.sha7 }}']\n");
    world.sandbox.write("dockless.yaml", config);
    let shown = |arguments: &[&str]| {
        let outcome = world.run(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
        outcome.stderr
    };
    let dry = shown(&["deploy", "--dry-run"]);
    assert!(dry.contains("cannot be a tag here"), "{dry}");
    assert_eq!(dry, shown(&["deploy"]));
    assert_eq!(world.registry.called(), [""; 0]);
    world.succeed(&["deploy", "--dry-run", "-t", "v1"]);
}
