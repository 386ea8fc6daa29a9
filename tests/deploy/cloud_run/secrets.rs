//! Secrets of Cloud Run: values that Secret Manager keeps, and who may read them.

use serde_json::{Value, json};

use super::{SECRET, SERVICE, World};
use crate::fake::Fault;
use crate::fakes::cloud_run::{Secret, error};
use crate::support::cli::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn values_of_secrets_are_kept_by_secret_manager_and_only_written_when_they_change() {
    let world = World::new(
        "    service_account: runner@acme-staging.iam.gserviceaccount.com\n    create_roles: true\n    \
         secrets: {API_KEY: {env: API_KEY}, OTHER: {secret_manager: \"shared:3\"}}\n",
    )
    .await;
    let policy = accessors(&["runner"]);
    let versions = vec!["Mw==".into(); 3];
    let shared = Secret { labels: json!({}), versions, policy, ..Secret::default() };
    world
        .fake
        .with(|fake| fake.secrets.insert("projects/acme-staging/secrets/shared".into(), shared));
    let deploy = |value: &str| {
        let outcome = Outcome::of(world.command(&["deploy", "-v"]).env("API_KEY", value));
        assert_eq!((outcome.code, world.fake.wrong()), (0, Vec::new()), "{outcome:#?}");
        assert!(
            !outcome.stderr.contains("canary") && !outcome.stderr.contains("Y2FuYXJ5"),
            "{outcome:#?}"
        );
        let who = "Google Cloud: we are whoever the token in CLOUDSDK_AUTH_ACCESS_TOKEN is for";
        assert!(outcome.stderr.contains(who), "{outcome:#?}");
    };
    let secret = || world.fake.with(|fake| fake.secrets[SECRET].clone());
    let env = || world.written().pointer("/template/containers/0/env").cloned();
    let reference = |secret: &str, version: &str| json!({"secretKeyRef": {"secret": secret, "version": version}});
    deploy("canary-1");
    assert_eq!(
        secret(),
        Secret {
            labels: json!({
                "managed-by": "dockless", "dockless-project": "agent", "dockless-environment": "staging",
            }),
            versions: vec!["Y2FuYXJ5LTE=".into()],
            policy: accessors(&["runner"]),
            policy_changes: 1,
            ..Secret::default()
        }
    );
    assert_eq!(
        env(),
        Some(json!([
            {"name": "API_KEY", "valueSource": reference("agent-europe-west1-API_KEY", "1")},
            {"name": "OTHER", "valueSource": reference("shared", "3")},
        ]))
    );
    let before = world.fake.writes().len();
    deploy("canary-1");
    assert_eq!(world.writes_since(before), [""; 0]);

    deploy("canary-2");
    assert_eq!(secret().versions, ["Y2FuYXJ5LTE=", "Y2FuYXJ5LTI="]);
    assert_eq!(
        env().unwrap()[0],
        json!({"name": "API_KEY", "valueSource": reference("agent-europe-west1-API_KEY", "2")})
    );

    world.succeed(&["destroy", "--yes"]);
    let left = world
        .fake
        .with(|fake| (fake.services.len(), fake.secrets.keys().cloned().collect::<Vec<_>>()));
    assert_eq!(left, (0, vec!["projects/acme-staging/secrets/shared".to_owned()]));
}

/// A policy by which these accounts of the project read a secret.
fn accessors(accounts: &[&str]) -> Value {
    let member =
        |account: &&str| format!("serviceAccount:{account}@acme-staging.iam.gserviceaccount.com");
    let members: Vec<_> = accounts.iter().map(member).collect();
    json!({"bindings": [{"role": "roles/secretmanager.secretAccessor", "members": members}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_is_let_in_and_what_else_a_policy_says_stays() {
    let lines = |account: &str, creates_roles: bool| {
        format!(
            "    create_roles: {creates_roles}\n    service_account: {account}@acme-staging.iam.gserviceaccount.com\n    \
             secrets: {{API_KEY: {{env: API_KEY}}}}\n"
        )
    };
    let world = World::new(&lines("one", true)).await;
    let deploy = || Outcome::of(world.command(&["deploy"]).env("API_KEY", "canary"));
    assert_eq!(deploy().code, 0);
    let admins = json!({
        "role": "roles/secretmanager.admin",
        "members": ["user:bob@acme.io"],
        "condition": {"expression": "true"},
    });
    world.fake.with(|fake| {
        let secret = fake.secrets.get_mut(SECRET).unwrap();
        secret.policy["version"] = 3.into();
        secret.policy["bindings"].as_array_mut().unwrap().push(admins.clone());
    });
    world.configure(&lines("two", true));
    // Somebody else changes the policy between our look and our write.
    let before = world.fake.writes().len();
    let changed = error(409, "ABORTED", "There were concurrent policy changes.");
    world.fake.spoil(&format!("POST /v1/{SECRET}:setIamPolicy"), Fault::Refuse(changed));
    let outcome = deploy();
    assert_eq!((outcome.code, world.fake.wrong()), (0, Vec::new()), "{outcome:#?}");
    let grant = format!("POST /v1/{SECRET}:setIamPolicy");
    assert_eq!(
        world.writes_since(before),
        [grant.clone(), grant.clone(), format!("PATCH {SERVICE}")]
    );
    let etag = |call: &crate::fake::Call| call.json().pointer("/policy/etag").cloned();
    let grants = world.fake.calls().into_iter().filter(|call| call.operation() == grant);
    assert_eq!(
        grants.map(|call| etag(&call)).collect::<Vec<_>>(),
        [None, Some("BwYB".into()), Some("BwYB".into())]
    );
    let mut expected = accessors(&["one", "two"]);
    expected["version"] = 3.into();
    expected["bindings"].as_array_mut().unwrap().push(admins);
    assert_eq!(world.fake.with(|fake| fake.secrets[SECRET].policy.clone()), expected);

    world.configure(&lines("three", false));
    let outcome = deploy();
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let text = "--member=serviceAccount:three@acme-staging.iam.gserviceaccount.com";
    assert!(outcome.stderr.contains(text), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_takes_secrets_that_the_config_no_longer_names() {
    let world = World::new("    secrets: {API_KEY: {env: API_KEY}, OTHER: {env: API_KEY}}\n").await;
    let outcome = Outcome::of(world.command(&["deploy"]).env("API_KEY", "canary"));
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    world.fake.with(|fake| {
        fake.page = 1;
        // Of another service, and of nobody who says so.
        let labels = fake.secrets[SECRET].labels.clone();
        for (id, labels) in
            [("agent-two-europe-west1-KEY", labels), ("agent-europe-west1-MINE", json!({}))]
        {
            let secret = Secret { labels, ..Secret::default() };
            fake.secrets.insert(format!("projects/acme-staging/secrets/{id}"), secret);
        }
    });
    world.configure("");
    world.succeed(&["deploy"]);
    world.succeed(&["destroy", "--yes"]);
    let left = world.fake.with(|fake| fake.secrets.keys().cloned().collect::<Vec<_>>());
    assert_eq!(
        left,
        ["agent-europe-west1-MINE", "agent-two-europe-west1-KEY"]
            .map(|id| format!("projects/acme-staging/secrets/{id}"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_the_service_may_not_read_says_which_role_is_missing() {
    let world = World::new("    secrets: {API_KEY: {env: API_KEY}}\n").await;
    world.fake.with(|fake| fake.are_secrets_readable = false);
    let outcome = Outcome::of(world.command(&["deploy"]).env("API_KEY", "canary"));
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(outcome.stderr.contains("SECRETS_ACCESS_CHECK_FAILED"), "{outcome:#?}");
    assert!(outcome.stderr.contains("roles/secretmanager.secretAccessor"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_there_is_told_before_anything_is_written() {
    let world = World::new("    secrets: {KEY: {secret_manager: shard-key}}\n").await;
    let labels = json!({"team": "support"});
    let secret = Secret { labels, versions: vec!["Mw==".into()], ..Secret::default() };
    world.fake.with(|fake| {
        fake.secrets.insert("projects/acme-staging/secrets/shared-key".into(), secret);
    });
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let text =
        "the secret `shard-key` in acme-staging is missing\nhint: did you mean `shared-key`?\n";
    assert!(outcome.stderr.ends_with(text), "{outcome:#?}");
    assert_eq!(world.fake.writes(), [""; 0]);
    world.succeed(&["destroy", "--yes"]);
}
