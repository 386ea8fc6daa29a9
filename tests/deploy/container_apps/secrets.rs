//! Secrets and passwords of an app: kept, sent back, never shown.

use serde_json::json;

use super::world::{HOST, IDENTITY, World};
use crate::fake::Fault;
use crate::fakes::container_apps::error;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_hidden_stays_hidden_when_it_becomes_plain() {
    let world = World::new("    env: {GREETING: \"${GREETING}\"}\n").await;
    world.succeed(&["deploy"]);
    world.configure("    env: {GREETING: hello}\n");
    for arguments in [["deploy", "--dry-run"].as_slice(), &["status"]] {
        let outcome = world.succeed(arguments);
        let line = outcome.stdout.lines().find(|line| line.contains("env.GREETING"));
        assert!(line.is_some_and(|line| line.contains("(hidden)") && line.contains("hello")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_image_is_pulled_with_a_password_or_an_identity() {
    let world = World::new("    pull: {username: bob, password_env: PULL_PASSWORD}\n").await;
    world.succeed(&["deploy"]);
    let configuration = || world.written()["properties"]["configuration"].clone();
    assert_eq!(
        configuration()["registries"],
        json!([{"server": HOST, "username": "bob", "passwordSecretRef": "pull-acme-azurecr-io"}])
    );
    let secrets = world.fake.with(|fake| fake.app().secrets.clone());
    assert_eq!(
        secrets.into_iter().collect::<Vec<_>>(),
        [("pull-acme-azurecr-io".to_owned(), "canary-password".to_owned())]
    );
    world.configure(&format!("    pull: {{identity: {IDENTITY}}}\n"));
    world.succeed(&["deploy"]);
    assert_eq!(configuration()["registries"], json!([{"server": HOST, "identity": IDENTITY}]));
    assert_eq!(
        world.written()["identity"],
        json!({"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}})
    );
    // The password went away by itself, after the app no longer logged in with it.
    assert_eq!((world.writes().len(), world.fake.with(|fake| fake.app().secrets.len())), (3, 0));
    world.succeed(&["deploy"]);
    assert_eq!(world.writes().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_kept_and_a_new_value_makes_a_new_revision() {
    let world = World::new("    secrets: {OPENAI_API_KEY: {env: OPENAI_API_KEY}}\n").await;
    world.succeed(&["deploy"]);
    let env = world.written()["properties"]["template"]["containers"][0]["env"].clone();
    assert_eq!(env, json!([{"name": "OPENAI_API_KEY", "secretRef": "env-openai-api-key"}]));
    world.succeed(&["deploy"]);
    assert_eq!(world.writes().len(), 1);
    // Somebody else's secret is sent back, since a `PUT` without it would drop it.
    world.fake.with(|fake| {
        let app = fake.app();
        app.secrets.insert("other".to_owned(), "canary-other".to_owned());
        let secrets = app.written["properties"]["configuration"]["secrets"].as_array_mut();
        secrets.unwrap().push(json!({"name": "other"}));
    });
    let mut command = world.command(&["deploy"]);
    let outcome = world.checked(command.env("OPENAI_API_KEY", "canary-key-2"));
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let secrets = world.fake.with(|fake| fake.app().secrets.clone());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        secrets.into_iter().collect::<Vec<_>>(),
        [pair("env-openai-api-key", "canary-key-2"), pair("other", "canary-other")]
    );
    assert_eq!((world.writes().len(), world.revisions()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_secrets_can_look_and_destroy_but_not_deploy() {
    let world = World::new("    secrets: {OPENAI_API_KEY: {env: OPENAI_API_KEY}}\n").await;
    world.succeed(&["deploy"]);
    let deny = || {
        let message = "The client 'bob' does not have authorization to perform action \
                       'Microsoft.App/containerApps/listSecrets/action' over scope '/x'.";
        let denied = error(403, "AuthorizationFailed", message);
        world.spoil("POST", "/listSecrets", Fault::Refuse(denied));
    };
    deny();
    let outcome = world.succeed(&["status"]);
    assert!(outcome.stdout.contains("its secrets may not be read"), "{outcome:#?}");
    deny();
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert_eq!(world.writes(), ["PUT agent"]);
    // What goes away needs no look into it.
    let asked = || {
        let calls = world.fake.calls().into_iter();
        calls.filter(|call| call.path.ends_with("/listSecrets")).count()
    };
    let before = asked();
    world.succeed(&["destroy", "--yes"]);
    assert!(world.fake.with(|fake| fake.app.is_none()));
    assert_eq!(asked(), before);
}
