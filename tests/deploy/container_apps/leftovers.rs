//! What left the config goes back to how it is without: in the plan, and in the app.

use serde_json::{Value, json};

use super::world::{HOST, IDENTITY, World};

const SECRET: &str = "    secrets: {OPENAI_API_KEY: {env: OPENAI_API_KEY}}\n";

fn secrets(world: &World) -> Vec<String> {
    world.fake.with(|fake| fake.app().secrets.keys().cloned().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_left_the_config_goes_when_no_revision_needs_it() {
    let world = World::new(SECRET).await;
    world.succeed(&["deploy"]);
    world.configure("");
    world.succeed(&["deploy"]);
    // The way back needs it.
    assert_eq!(secrets(&world), ["env-openai-api-key"]);
    world.succeed(&["deploy"]);
    assert_eq!(world.writes().len(), 2);
    world.sandbox.write("agent.py", "print('two')\n");
    world.succeed(&["deploy"]);
    assert_eq!((secrets(&world), world.revisions()), (vec![], 3));
    let writes = world.writes().len();
    let plan = world.succeed(&["deploy", "--dry-run"]);
    assert!(plan.stdout.contains("nothing to do"), "{plan:#?}");
    world.succeed(&["deploy"]);
    assert_eq!(world.writes().len(), writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_left_the_config_is_there_for_the_way_back() {
    let world = World::new(SECRET).await;
    world.succeed(&["deploy"]);
    world.configure("");
    world.sandbox.write("agent.py", "print('two')\n");
    world.succeed(&["deploy"]);
    world.succeed(&["rollback"]);
    let env = world.written()["properties"]["template"]["containers"][0]["env"].clone();
    assert_eq!(env, json!([{"name": "OPENAI_API_KEY", "secretRef": "env-openai-api-key"}]));
    assert_eq!(secrets(&world), ["env-openai-api-key"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_azure_keeps_stops_nobody() {
    for is_late in [false, true] {
        let world = World::new(SECRET).await;
        world.succeed(&["deploy"]);
        world.fake.with(|fake| {
            fake.app().is_strict = true;
            fake.app().is_late = is_late;
        });
        world.configure("");
        world.succeed(&["deploy"]);
        world.sandbox.write("agent.py", "print('two')\n");
        let outcome = world.succeed(&["deploy", "--rollback-on-failure", "--json"]);
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(document["deployments"][0]["outcome"], "deployed", "{outcome:#?}");
        let warnings = outcome.stderr.matches("what is left over stays").count();
        assert_eq!(warnings, 1, "{outcome:#?}");
        let hint = "`az containerapp secret remove --name agent --resource-group agents";
        assert!(outcome.stderr.contains(hint), "{outcome:#?}");
        assert_eq!((secrets(&world).len(), world.revisions()), (1, 3));
        // Where only the operation fails, the app gets its secret back.
        let writes = world.writes().len();
        assert_eq!(writes, if is_late { 5 } else { 4 });
        let outcome = world.succeed(&["deploy", "--json"]);
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(document["deployments"][0]["outcome"], "unchanged", "{outcome:#?}");
        let status = world.succeed(&["status", "--json"]);
        let status: Value = serde_json::from_str(&status.stdout).unwrap();
        assert_eq!(status["services"][0]["state"], "ready", "{status:#}");
        assert_eq!(status["services"][0]["drift"], json!([]), "{status:#}");
        assert_eq!(world.writes().len(), writes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_config_goes_back_to_how_it_is_without() {
    let world = World::new("").await;
    let lower = IDENTITY.to_ascii_lowercase();
    let assigned = [
        format!("identity.{lower}: assigned → (none)"),
        format!("registries.{HOST}: {lower} → (none)"),
    ];
    for (more, expected) in [
        ("    cpu: 0.5\n    memory: 1Gi\n".to_owned(), vec!["cpu: 0.5 → 1", "memory: 1Gi → 2Gi"]),
        (
            "    min_replicas: 1\n    max_replicas: 3\n".to_owned(),
            vec!["max_replicas: 3 → 10", "min_replicas: 1 → 0"],
        ),
        ("    ingress_external: true\n".to_owned(), vec!["ingress_external: true → false"]),
        ("    port: 9000\n".to_owned(), vec!["port: 9000 → 8080"]),
        ("    env: {MODE: first}\n".to_owned(), vec!["env.MODE: (hidden) → (none)"]),
        (
            "    pull: {username: bob, password_env: PULL_PASSWORD}\n".to_owned(),
            vec!["registries.acme.azurecr.io: bob → (none)"],
        ),
        (format!("    identity: {IDENTITY}\n"), vec![assigned[0].as_str(), assigned[1].as_str()]),
        ("    identity: system\n".to_owned(), vec!["identity.system: assigned → (none)"]),
        ("    health_check_path: /alive\n".to_owned(), vec!["probes.Liveness: /alive on"]),
    ] {
        world.configure(&more);
        world.succeed(&["deploy"]);
        world.configure("");
        let plan = world.succeed(&["deploy", "--dry-run"]);
        for change in expected {
            assert!(plan.stdout.contains(change), "{change}: {plan:#?}");
        }
        world.succeed(&["deploy"]);
        let plan = world.succeed(&["deploy", "--dry-run"]);
        assert!(plan.stdout.contains("nothing to do"), "{more}: {plan:#?}");
    }
    assert_eq!(secrets(&world), [""; 0]);
    assert_eq!(world.written()["properties"]["configuration"]["registries"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_assigned_stays() {
    let world = World::new(&format!("    identity: {IDENTITY}\n")).await;
    world.succeed(&["deploy"]);
    let other = IDENTITY.replace("puller", "other");
    world.fake.with(|fake| {
        fake.app().written["identity"]["userAssignedIdentities"][&other] = json!({});
    });
    world.configure("");
    world.succeed(&["deploy"]);
    world.succeed(&["deploy"]);
    let identity = world.written()["identity"].clone();
    assert_eq!(identity, json!({"type": "UserAssigned", "userAssignedIdentities": {other: {}}}));
    assert_eq!(world.writes().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_a_rule_of_others_uses_stays() {
    let world = World::new(&format!("    identity: {IDENTITY}\n")).await;
    world.succeed(&["deploy"]);
    world.fake.with(|fake| {
        let queue = json!({"type": "azure-queue", "metadata": {}, "identity": IDENTITY});
        let app = fake.app();
        app.written["properties"]["template"]["scale"]["rules"] =
            json!([{"name": "queue", "custom": queue}]);
        app.revisions[0].template = app.written["properties"]["template"].clone();
    });
    world.configure("");
    world.succeed(&["deploy"]);
    let written = world.written();
    assert_eq!(
        written["identity"],
        json!({"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}})
    );
    assert_eq!(written["properties"]["configuration"]["registries"], json!([]));
    let writes = world.writes().len();
    world.succeed(&["deploy"]);
    assert_eq!(world.writes().len(), writes);
}
