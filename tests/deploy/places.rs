//! What is wrong with an environment is told with its place in the file.

use dockless::config::{Node, Position};
use dockless::deploy::targets;
use dockless::sys::Environment;

use crate::support::cli::Outcome;
use crate::world::World;

/// The places and problems of an error.
fn problems(outcome: &Outcome) -> Vec<&str> {
    let lines = outcome.stderr.lines().map(|line| line.trim_start_matches("error: ").trim_start());
    lines.filter(|line| line.contains(".yaml:") || line.starts_with("hint: ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_value_points_at_it() {
    let world = World::new(
        "  staging:\n    target: cloud-run\n    project_id: acme-staging\n    \
         env: {PORT: \"80\", A: \"${NOT_THERE}\"}\n    \
         secrets:\n      KEY: {secrets_manager: arn}\n      OTHER: {env: NOT_THERE_EITHER}\n    \
         pull: {secrets_manager: arn}\n",
    )
    .await;
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert_eq!(
        problems(&outcome),
        [
            "dockless.yaml:9:17: the variable `PORT` is set by Cloud Run itself",
            "hint: leave it out (the value of `PORT` is that of the setting `port`)",
            "dockless.yaml:9:26: the variable `NOT_THERE` is not set",
            "hint: set it, or write a default: `${NOT_THERE:-…}`",
            "dockless.yaml:11:30: `cloud-run` takes no secret of `secrets_manager`",
            "hint: write `secret_manager: …`, or give the value: `{env: VARIABLE}`",
            "dockless.yaml:12:20: the variable `NOT_THERE_EITHER` is not set",
            "hint: set it where you deploy",
            "dockless.yaml:13:29: Cloud Run pulls as its own service agent, and takes no `pull`",
            "hint: remove it; a private registry elsewhere is reached through a remote repository of Artifact Registry",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_fits_the_platform_that_keeps_it() {
    for (target, named, expected, hint) in [
        (
            "lambda, region: eu-west-1",
            "secrets: {KEY: {secrets_manager: arn}}",
            "dockless.yaml:6:81: `lambda` takes no secret of `secrets_manager`",
            "hint: give the value: `{env: VARIABLE}`; or pass the reference in `env`, and let the agent read the secret as its role",
        ),
        (
            "ecs-express, region: eu-west-1",
            "secrets: {KEY: {key_vault: arn}}",
            "dockless.yaml:6:80: `ecs-express` takes no secret of `key_vault`",
            "hint: write `secrets_manager: …`, or give the value: `{env: VARIABLE}`",
        ),
        (
            "ecs-express, region: eu-west-1",
            "pull: {identity: system}",
            "dockless.yaml:6:70: `ecs-express` does not pull with `identity`",
            "hint: write `secrets_manager: …`, or `username` and `password_env`",
        ),
    ] {
        let world = World::new(&format!("  staging: {{target: {target}, {named}}}\n")).await;
        assert_eq!(problems(&world.run(&["status"])), [expected, hint]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_holodeck_without_its_section_is_told_with_the_lines_to_add() {
    let world = World::new("  staging: {target: lambda, region: eu-west-1}\n").await;
    std::fs::remove_file(world.sandbox.work().join("dockless.yaml")).unwrap();
    let agent = "name: a\nmodel: {provider: openai, name: gpt-4o}\ninstructions: {inline: Help.}\n\
        deployment:\n  target:\n    provider: azure\n";
    world.sandbox.write("agent.yaml", agent);
    let outcome = world.run(&["status"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert_eq!(
        problems(&outcome),
        [
            "agent.yaml:6:15: `provider: azure` stands without `azure`",
            "hint: add `azure: {subscription_id: 00000000-0000-0000-0000-000000000000, resource_group: my-group, \
             environment_name: my-environment}` beside `provider`",
        ]
    );
    // The image can be built all the same.
    world.succeed(&["build", "--dry-run", "--base", "builtin:static"]);
}

#[test]
fn what_the_surroundings_name_is_told_with_what_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("azureProfile.json");
    std::fs::write(&profile, r#"{"subscriptions": [{"id": "s", "isDefault": true}]}"#).unwrap();
    let environment = Environment::of([
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("CLOUDSDK_CORE_PROJECT", "acme"),
        ("CLOUDSDK_RUN_REGION", "europe-west1"),
        ("AZURE_CONFIG_DIR", folder.path().to_str().unwrap()),
    ]);
    let aws = "region eu-west-1, from `AWS_DEFAULT_REGION`";
    let project = "project acme, from `CLOUDSDK_CORE_PROJECT`";
    let region = "region europe-west1, from `CLOUDSDK_RUN_REGION`";
    let azure = format!("subscription s, from `{}`", profile.display());
    let position = Position::default();
    for (kind, named, expected) in [
        ("lambda", None, &[aws][..]),
        ("app-runner", None, &[aws]),
        ("ecs-express", None, &[aws]),
        ("ecs-express", Some("region"), &[]),
        ("cloud-run", None, &[project, region]),
        ("cloud-run", Some("region"), &[project]),
        ("container-apps", None, &[&azure]),
        ("container-apps", Some("subscription_id"), &[]),
    ] {
        let members = named.map(|name| (name, Node::text("here", &position)));
        let told =
            targets::find(kind).unwrap().assumed(&Node::mapping(members, &position), &environment);
        let expected: Vec<_> = expected.iter().map(|text| format!("{kind}: {text}")).collect();
        assert_eq!(told, expected, "{named:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_targets_are_not_the_same_service() {
    let world = World::new(
        "  staging:\n    targets:\n      - {target: lambda, region: eu-west-1}\n      \
         - {target: lambda, region: eu-central-1}\n      \
         - {target: lambda, region: eu-west-1, memory: 512, env: {A: b}}\n      - {target: lambda, region: eu-west-1}\n",
    )
    .await;
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert_eq!(
        problems(&outcome),
        [
            "dockless.yaml:10:58: `env` stands in a target",
            "hint: write it beside `targets`: it is for all targets of the environment",
        ]
    );
    let text = std::fs::read_to_string(world.sandbox.work().join("dockless.yaml")).unwrap();
    let text = text.replace(", env: {A: b}", "");
    world.sandbox.write("dockless.yaml", text);
    let outcome = world.run(&["deploy"]);
    let already =
        "Lambda function `agent-staging` in eu-west-1 is a target of this environment already";
    let hint = "hint: give one of them another `name`, or remove it";
    assert_eq!(
        problems(&outcome),
        [
            &format!("dockless.yaml:10:18: {already}"),
            hint,
            &format!("dockless.yaml:11:18: {already}"),
            hint
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_surroundings_of_another_environment_say_is_no_mistake_here() {
    let world = World::new(
        "  staging: {target: cloud-run, project_id: acme-staging, region: europe-west1}\n  \
         production: {target: lambda}\n",
    )
    .await;
    world.succeed(&["deploy", "-e", "staging"]);
    let outcome = world.run(&["deploy", "-e", "production"]);
    assert_eq!(
        problems(&outcome),
        [
            "dockless.yaml:7:24: nothing says in which region of AWS",
            "hint: add `region: eu-west-1`, or set `AWS_REGION` or the region of the profile",
        ]
    );
}
