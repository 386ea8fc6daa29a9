//! Deploying to Azure Container Apps: the binary against a fake that is held to the vendor's model.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::anywhere::Anywhere;
use crate::fake::{Fault, Response, Running};
use crate::fakes::container_apps::{ContainerApps, Ending, GROUP, error};
use crate::support::cli::{Outcome, Sandbox};

const HOST: &str = "acme.azurecr.io";
const IDENTITY: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/\
                        providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller";

/// A project with an environment, a registry under the name of one of Azure's, a logged-in `az`, and Azure.
struct World {
    sandbox: Sandbox,
    registry: Anywhere,
    fake: Running<ContainerApps>,
}

impl World {
    /// `more` are further lines of the environment.
    async fn new(more: &str) -> Self {
        let world = Self {
            sandbox: Sandbox::new(),
            registry: Anywhere::start(&[HOST]).await,
            fake: Running::start(ContainerApps::new()).await,
        };
        let url = world.fake.url();
        world.fake.with(|fake| fake.url = url);
        let claims = URL_SAFE_NO_PAD.encode(r#"{"upn":"bob@acme.com","oid":"o-1"}"#);
        let az = format!(
            "#!/bin/sh\necho '{{\"accessToken\": \"canary.{claims}.s\", \"expires_on\": 4102444800, \
             \"tokenType\": \"Bearer\"}}'\n"
        );
        let az = world.sandbox.write("bin/az", az);
        std::fs::set_permissions(az, std::fs::Permissions::from_mode(0o755)).unwrap();
        world.configure(more);
        world.sandbox.write("agent.py", "print('one')\n");
        world
    }

    fn configure(&self, more: &str) {
        let text = format!(
            "name: agent\nbase: builtin:static\nlayers: [{{kind: files, copy: [{{src: agent.py, dest: /srv/agent.py}}]}}]\n\
             image: [{HOST}/agents/agent]\nenvironments:\n  staging:\n    target: container-apps\n    \
             subscription_id: 00000000-0000-0000-0000-000000000001\n    resource_group: agents\n    \
             environment_name: production\n    name: agent\n{more}"
        );
        self.sandbox.write("dockless.yaml", text);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        let path = std::env::var("PATH").unwrap();
        let bin = self.sandbox.work().join("bin");
        self.registry.lead(&mut command);
        command
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
            .env("DOCKLESS_AZURE_RESOURCE_MANAGER_URL", self.fake.url())
            .env("DOCKLESS_AZURE_CONTAINER_APPS_LOGS_URL", self.fake.url())
            .env("OPENAI_API_KEY", "canary-key-1")
            .env("GREETING", "canary-greeting")
            .env("PULL_PASSWORD", "canary-password");
        command
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        self.checked(&mut self.command(arguments))
    }

    fn checked(&self, command: &mut Command) -> Outcome {
        let outcome = Outcome::of(command);
        let shown = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!shown.contains("canary"), "{outcome:#?}");
        assert_eq!(self.fake.wrong(), [""; 0], "{outcome:#?}");
        outcome
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        outcome
    }

    /// What is written in the app now.
    fn written(&self) -> Value {
        self.fake.with(|fake| fake.app().written.clone())
    }

    /// The image that the app should run.
    fn image(&self) -> String {
        let image = self.written()["properties"]["template"]["containers"][0]["image"].clone();
        image.as_str().unwrap().to_owned()
    }

    fn revisions(&self) -> usize {
        self.fake.with(|fake| fake.app().revisions.len())
    }

    /// The methods of all requests that change anything, with the last part of their paths.
    fn writes(&self) -> Vec<String> {
        let writes = self.fake.writes().into_iter();
        let writes = writes
            .filter(|write| !write.ends_with("/listSecrets") && !write.ends_with("/getAuthtoken"));
        writes
            .map(|write| {
                let (method, path) = write.split_once(' ').unwrap();
                format!("{method} {}", path.rsplit('/').next().unwrap())
            })
            .collect()
    }

    fn spoil_put(&self, fault: Fault) {
        self.spoil("PUT", "", fault);
    }

    /// Spoils the next request of this method for what is below the app.
    fn spoil(&self, method: &str, below: &str, fault: Fault) {
        let app = format!("{GROUP}/providers/Microsoft.App/containerApps/agent");
        self.fake.spoil(&format!("{method} {app}{below}"), fault);
    }
}

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
async fn an_app_whose_container_crashes_is_not_well() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    world.sandbox.write("agent.py", "exit(1)\n");
    world.fake.with(|fake| fake.ending = Ending::Crashing);
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let reason =
        "the container `agent` was restarted 3 times and is Waiting: CrashLoopBackOff, exit code 1";
    assert!(outcome.stderr.contains(reason), "{outcome:#?}");
    assert_eq!(world.writes().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_well_is_taken_back_when_that_is_asked_for() {
    let world = World::new("").await;
    let first = world.succeed(&["deploy", "--json"]);
    let first: serde_json::Value = serde_json::from_str(&first.stdout).unwrap();
    world.sandbox.write("agent.py", "exit(1)\n");
    world.fake.with(|fake| fake.ending = Ending::Crashing);
    let outcome = world.run(&["deploy", "--rollback-on-failure"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let status = world.succeed(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["services"][0]["image"], first["deployments"][0]["image"], "{status:#}");
    assert_eq!(status["services"][0]["state"], "ready");
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
async fn why_a_revision_is_refused_stands_in_its_operation_and_is_told() {
    let world = World::new("").await;
    let message = "Failed to provision revision for container app 'agent'. Error details: Field \
                   'template.containers.agent.image' is invalid with details: unable to pull image using \
                   Managed identity";
    world.fake.with(|fake| fake.ending = Ending::Refused(message.to_owned()));
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(outcome.stderr.contains("unable to pull image using Managed identity"), "{outcome:#?}");
    world.succeed(&["deploy"]);
    assert_eq!((world.writes().len(), world.revisions()), (2, 1));
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
    world.succeed(&["deploy"]);
    assert_eq!(world.writes().len(), 2);
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
async fn what_is_no_app_is_not_taken_for_one() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let json = |value: Value| Response::json(200, &value);
    let app = |properties: Value| json(json!({"name": "agent", "properties": properties}));
    for (below, answer, missing) in [
        ("", json(json!("<html>proxy</html>")), "/name"),
        ("", json(json!([])), "/name"),
        ("", json(json!({"properties": {}})), "/name"),
        ("", app(json!({"configuration": "secret"})), "/properties/configuration"),
        ("", app(json!({"template": {"containers": ["a"]}})), "/properties/template/containers"),
        ("/revisions", json(json!("<html>proxy</html>")), "/value"),
        ("/revisions", json(json!([])), "/value"),
        ("/revisions", json(json!({"value": ["agent--1"]})), "/name"),
    ] {
        world.spoil("GET", below, Fault::Refuse(answer));
        let outcome = world.run(&["status"]);
        assert_eq!(outcome.code, 3, "{outcome:#?}");
        assert!(outcome.stderr.contains(&format!("has no `{missing}`")), "{outcome:#?}");
    }
    assert_eq!(world.writes(), ["PUT agent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_up_and_not_repeated() {
    let world = World::new("").await;
    world.spoil_put(Fault::LoseAnswer);
    world.succeed(&["deploy"]);
    assert_eq!((world.writes(), world.revisions()), (vec!["PUT agent".to_owned()], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_busy_or_throttled_is_asked_again() {
    let world = World::new("").await;
    let message = "Cannot modify a container app 'agent' because there is an active operation.";
    world.spoil_put(Fault::Refuse(error(409, "ContainerAppOperationInProgress", message)));
    let mut throttled = error(429, "SubscriptionRequestsThrottled", "Number of requests exceeded.");
    throttled.headers.push(("retry-after".to_owned(), "0".to_owned()));
    world.spoil_put(Fault::Refuse(throttled));
    world.succeed(&["deploy"]);
    assert_eq!((world.writes().len(), world.revisions()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_brings_the_whole_revision_before_back() {
    let world = World::new("    env: {MODE: first}\n").await;
    world.succeed(&["deploy"]);
    let image = world.image();
    world.configure("    env: {MODE: second}\n");
    world.sandbox.write("agent.py", "print('two')\n");
    world.succeed(&["deploy"]);
    world.succeed(&["rollback"]);
    assert_eq!((world.image(), world.revisions()), (image, 3));
    let env = world.written()["properties"]["template"]["containers"][0]["env"].clone();
    assert_eq!(env, json!([{"name": "MODE", "value": "first"}]));
    let suffixes = world.fake.with(|fake| {
        let names = fake.app().revisions.iter().map(|revision| revision.name.clone());
        names.collect::<std::collections::BTreeSet<_>>()
    });
    assert_eq!(suffixes.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_never_goes_to_a_revision_that_was_never_ready() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let first = world.image();
    world.sandbox.write("agent.py", "exit(2)\n");
    world.fake.with(|fake| fake.ending = Ending::Crashing);
    assert_eq!(world.run(&["deploy"]).code, 3);
    world.sandbox.write("agent.py", "exit(3)\n");
    world.fake.with(|fake| fake.ending = Ending::Crashing);
    assert_eq!(world.run(&["deploy"]).code, 3);
    world.succeed(&["rollback"]);
    assert_eq!(world.image(), first);
    world.sandbox.write("agent.py", "exit(4)\n");
    world.fake.with(|fake| fake.ending = Ending::Unprovisioned("no such image".to_owned()));
    assert_eq!(world.run(&["deploy"]).code, 3);
    world.sandbox.write("agent.py", "print('five')\n");
    world.succeed(&["deploy"]);
    world.succeed(&["rollback"]);
    assert_eq!(world.image(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_deployed_again_when_it_is_asked_for_again() {
    let world = World::new("").await;
    let failed = Ending::Unprovisioned("unable to pull image".to_owned());
    world.fake.with(|fake| fake.ending = failed);
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(outcome.stderr.contains("unable to pull image"), "{outcome:#?}");
    world.succeed(&["deploy"]);
    world.succeed(&["deploy"]);
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
    deny();
    world.succeed(&["destroy", "--yes"]);
    assert!(world.fake.with(|fake| fake.app.is_none()));
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
async fn what_is_missing_comes_with_the_command_that_makes_it() {
    let world = World::new("").await;
    world.fake.with(|fake| fake.is_registered = false);
    let outcome = world.run(&["deploy"]);
    assert_ne!(outcome.code, 0, "{outcome:#?}");
    let register = "az provider register --namespace Microsoft.App --wait";
    assert!(outcome.stderr.contains(register), "{outcome:#?}");
    let environments =
        std::collections::BTreeMap::from([("productoin".to_owned(), "x".to_owned())]);
    world.fake.with(|fake| fake.environments = environments);
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let near = "did you mean `environment_name: productoin`?";
    assert!(outcome.stderr.contains(near), "{outcome:#?}");
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
}
