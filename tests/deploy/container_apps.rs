//! Deploying to Azure Container Apps: the binary against a fake that is held to the vendor's model.

mod leftovers;
mod login;
mod refusals;
mod registry;
mod rollback;
mod secrets;
mod trouble;
mod world;

use serde_json::json;

use self::world::{HOST, World};
use crate::fake::Fault;
use crate::fakes::container_apps::{Ending, GROUP, error};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_created_then_left_alone_then_updated() {
    let more =
        "    env: {LOG_LEVEL: info, GREETING: \"${GREETING}\"}\n    cpu: 0.5\n    memory: 1Gi\n";
    let world = World::new(more).await;
    world.succeed(&["deploy"]);
    let (mut written, image) = (world.written(), world.image());
    let (name, digest) = image.split_once("@sha256:").unwrap();
    assert_eq!(name, format!("{HOST}/agents/agent"));
    let suffix = written["properties"]["template"]["revisionSuffix"].take();
    assert_eq!(suffix.as_str().unwrap().split_once('-').unwrap().0, format!("d{}", &digest[..8]));
    let hash = written["tags"]["dockless-config-hash"].take();
    assert_eq!(hash.as_str().map(str::len), Some(16));
    let probe = |kind: &str, delay: u32, period: u32| {
        json!({
            "type": kind,
            "httpGet": {"path": "/health", "port": 8080},
            "initialDelaySeconds": delay,
            "periodSeconds": period,
            "failureThreshold": 3,
            "timeoutSeconds": 5,
        })
    };
    assert_eq!(
        written,
        json!({
            "location": "West Europe",
            "tags": {
                "managed-by": "dockless",
                "dockless-project": "agent",
                "dockless-environment": "staging",
                "dockless-config-hash": null,
                "dockless-image-digest": digest,
            },
            "properties": {
                "environmentId": format!("{GROUP}/providers/Microsoft.App/managedEnvironments/production"),
                "configuration": {
                    "activeRevisionsMode": "Single",
                    "ingress": {
                        "external": false,
                        "targetPort": 8080,
                        "transport": "auto",
                        "allowInsecure": false,
                        "traffic": [{"latestRevision": true, "weight": 100}],
                    },
                },
                "template": {
                    "revisionSuffix": null,
                    "containers": [{
                        "name": "agent",
                        "image": image,
                        "env": [
                            {"name": "GREETING", "value": "canary-greeting"},
                            {"name": "LOG_LEVEL", "value": "info"},
                        ],
                        "resources": {"cpu": 0.5, "memory": "1Gi"},
                        "probes": [probe("Liveness", 10, 30), probe("Readiness", 5, 10)],
                    }],
                    "scale": {"minReplicas": 0, "maxReplicas": 10},
                },
            },
        })
    );
    world.succeed(&["deploy"]);
    assert_eq!(world.writes(), ["PUT agent"]);
    world.sandbox.write("agent.py", "print('two')\n");
    world.succeed(&["deploy"]);
    assert_eq!((world.writes().len(), world.revisions()), (2, 2));
    assert_ne!(world.image(), image);
    world.configure(
        "    cpu: 0.5\n    memory: 1Gi\n    ingress_external: false\n    env: {LOG_LEVEL: debug}\n",
    );
    let plan = world.succeed(&["deploy", "--dry-run"]);
    assert!(plan.stdout.contains("env.LOG_LEVEL"), "{plan:#?}");
    assert_eq!(world.writes().len(), 2);
    world.succeed(&["deploy"]);
    assert_eq!((world.writes().len(), world.revisions()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_scaled_to_zero_is_well() {
    let world = World::new("").await;
    world.fake.with(|fake| fake.ending = Ending::AtZero);
    world.succeed(&["deploy"]);
    world.succeed(&["deploy"]);
    assert_eq!(world.writes(), ["PUT agent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn destroy_removes_the_app_and_nothing_else() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    world.succeed(&["destroy", "--yes"]);
    assert!(world.fake.with(|fake| fake.app.is_none()));
    assert_eq!(world.writes(), ["PUT agent", "DELETE agent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_holodeck_made_is_adopted_with_all_that_it_has() {
    let world = World::new("    cpu: 1.0\n    memory: 2Gi\n").await;
    let environment = format!("{GROUP}/providers/Microsoft.App/managedEnvironments/production");
    let holodeck = json!({
        "location": "West Europe",
        "properties": {
            "managedEnvironmentId": environment,
            "configuration": {"ingress": {
                "external": false,
                "targetPort": 8080,
                "traffic": [{"weight": 100, "latestRevision": true}],
                "customDomains": [{"name": "agent.acme.com", "bindingType": "SniEnabled"}],
            }},
            "template": {
                "containers": [{
                    "name": "agent",
                    "image": "ghcr.io/acme/agent:abc1234",
                    "env": [{"name": "TOKEN", "value": "canary-baked"}],
                    "resources": {"cpu": 1.0, "memory": "2Gi"},
                    "probes": [],
                }],
                "scale": {"minReplicas": 0, "maxReplicas": 10},
            },
        },
    });
    world.fake.with(|fake| fake.adopt("agent", holodeck));
    world.succeed(&["deploy"]);
    let written = world.written();
    assert_eq!(written["properties"]["environmentId"], environment);
    assert_eq!(written["tags"]["managed-by"], "dockless");
    assert_eq!(
        written["properties"]["configuration"]["ingress"]["customDomains"][0]["name"],
        "agent.acme.com"
    );
    assert_eq!(written["properties"]["template"]["containers"][0]["env"], json!([]));
    assert_eq!((world.writes().len(), world.revisions()), (1, 2));
    world.succeed(&["deploy"]);
    assert_eq!(world.writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_the_lines_of_every_replica() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let now = jiff::Timestamp::now();
    let printed = format!("{now} ready\n{now} asked\n");
    world.fake.with(|fake| fake.printed = printed);
    let outcome = world.succeed(&["logs"]);
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert!(
        matches!(lines[..], [one, two] if one.ends_with("ready") && two.ends_with("asked")),
        "{outcome:#?}"
    );
    // A replica that has gone by the time it is asked says nothing, and stops nobody.
    world.fake.spoil("GET /logstream", Fault::Refuse(error(404, "NotFound", "no such replica")));
    world.succeed(&["logs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subscription_may_be_the_one_that_az_has_chosen() {
    let world = World::new("").await;
    let id = "00000000-0000-0000-0000-000000000001";
    let config = std::fs::read_to_string(world.sandbox.work().join("dockless.yaml")).unwrap();
    let config = config.replace(&format!("    subscription_id: {id}\n"), "");
    world.sandbox.write("dockless.yaml", config);
    let run = |folder: &std::path::Path| {
        let mut command = world.command(&["deploy"]);
        world.checked(command.env("AZURE_CONFIG_DIR", folder))
    };
    let nowhere = run(&world.sandbox.work());
    assert_eq!(nowhere.code, 2, "{nowhere:#?}");
    assert!(nowhere.stderr.contains("nothing names the subscription"), "{nowhere:#?}");
    let profile = json!({"subscriptions": [{"id": id, "isDefault": true}]});
    let profile = world.sandbox.write("azure/azureProfile.json", format!("\u{feff}{profile}"));
    let outcome = run(profile.parent().unwrap());
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert_eq!(world.revisions(), 1);
}
