//! Deploying to Cloud Run: the binary against a fake with revisions, secrets and logs.

use std::process::Command;

use serde_json::{Value, json};

use crate::anywhere::Anywhere;
use crate::fake::{Fault, Response, Running};
use crate::fakes::cloud_run::{CloudRun, Secret, TOKEN, error};
use crate::support::cli::{Outcome, Sandbox};

const HOST: &str = "europe-west1-docker.pkg.dev";
const PARENT: &str = "projects/acme-staging/locations/europe-west1";
const SERVICE: &str = "/v2/projects/acme-staging/locations/europe-west1/services/agent";
const SERVICES: &str = "/v2/projects/acme-staging/locations/europe-west1/services";
const SECRET: &str = "projects/acme-staging/secrets/agent-europe-west1-API_KEY";

/// A project with an environment, a registry under the name of Google's, and Cloud Run.
struct World {
    sandbox: Sandbox,
    registry: Anywhere,
    fake: Running<CloudRun>,
}

impl World {
    /// `more` are further lines of the environment.
    async fn new(more: &str) -> Self {
        let world = Self {
            sandbox: Sandbox::new(),
            registry: Anywhere::start(&[HOST]).await,
            fake: Running::start(CloudRun::new()).await,
        };
        world.fake.with(|fake| fake.looks = 1);
        world.configure(more);
        world.sandbox.write("agent.py", "print('one')\n");
        world
    }

    fn configure(&self, more: &str) {
        let text = format!(
            "name: agent\nbase: builtin:static\nlayers: [{{kind: files, copy: [{{src: agent.py, dest: /srv/agent.py}}]}}]\n\
             image: [{HOST}/acme-staging/agents/agent]\nenvironments:\n  staging:\n    target: cloud-run\n    \
             project_id: acme-staging\n    region: europe-west1\n    name: agent\n{more}"
        );
        self.sandbox.write("dockless.yaml", text);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        self.registry.lead(&mut command);
        command.env("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN);
        for service in ["RUN", "SECRETMANAGER", "LOGGING"] {
            command.env(format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}"), self.fake.url());
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let outcome = Outcome::of(&mut self.command(arguments));
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

    /// What is written in the service now.
    fn written(&self) -> Value {
        self.fake.with(|fake| Value::Object(fake.service().written.clone()))
    }

    fn image(&self) -> String {
        let image = self.written().pointer("/template/containers/0/image").cloned();
        image.unwrap().as_str().unwrap().to_owned()
    }

    /// The requests that write, from the one of this number on.
    fn writes_since(&self, before: usize) -> Vec<String> {
        self.fake.writes()[before..].to_vec()
    }

    fn fail_next(&self, text: &str) {
        let failure = ("HEALTH_CHECK_CONTAINER_ERROR".to_owned(), text.to_owned());
        self.fake.with(|fake| fake.failure = Some(failure));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_created_then_left_alone_then_updated() {
    let world =
        World::new("    memory: 1Gi\n    env: {LOG_LEVEL: info, GREETING: \"${GREETING}\"}\n")
            .await;
    let deploy = |greeting: &str| {
        let outcome = Outcome::of(world.command(&["deploy"]).env("GREETING", greeting));
        assert_eq!((outcome.code, world.fake.wrong()), (0, Vec::new()), "{outcome:#?}");
        assert!(!outcome.stderr.contains("canary"), "{outcome:#?}");
        outcome
    };
    let outcome = deploy("canary-1");
    assert_eq!(outcome.stdout, "https://agent-abc-ew.a.run.app\n");
    let mut written = world.written();
    let image = world.image();
    let (name, digest) = image.split_once("@sha256:").unwrap();
    assert_eq!(name, format!("{HOST}/acme-staging/agents/agent"));
    let hash = written["labels"]["dockless-config-hash"].take();
    assert_eq!(hash.as_str().map(str::len), Some(16));
    assert_eq!(
        written,
        json!({
            "annotations": {"dockless-image-digest": digest},
            "client": "dockless",
            "ingress": "INGRESS_TRAFFIC_ALL",
            "labels": {
                "managed-by": "dockless",
                "dockless-project": "agent",
                "dockless-environment": "staging",
                "dockless-config-hash": null,
            },
            "template": {
                "containers": [{
                    "image": image,
                    "ports": [{"containerPort": 8080}],
                    "env": [
                        {"name": "GREETING", "value": "canary-1"},
                        {"name": "LOG_LEVEL", "value": "info"},
                    ],
                    "resources": {
                        "limits": {"cpu": "1", "memory": "1Gi"},
                        "cpuIdle": true,
                        "startupCpuBoost": true,
                    },
                    "startupProbe": {
                        "httpGet": {"path": "/health", "port": 8080},
                        "periodSeconds": 5,
                        "timeoutSeconds": 4,
                        "failureThreshold": 48,
                    },
                }],
                "maxInstanceRequestConcurrency": 80,
                "scaling": {"minInstanceCount": 0, "maxInstanceCount": 100},
                "timeout": "300s",
            },
            "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
        })
    );
    assert_eq!(world.fake.writes(), [format!("POST {SERVICES}")]);

    deploy("canary-1");
    assert_eq!(world.writes_since(1), [""; 0], "nothing is written again");

    deploy("canary-2");
    world.sandbox.write("agent.py", "print('two')\n");
    deploy("canary-2");
    assert_eq!(world.writes_since(1), [format!("PATCH {SERVICE}"), format!("PATCH {SERVICE}")]);
    assert_ne!(world.image(), image);
    let masks: Vec<_> = world
        .fake
        .calls()
        .iter()
        .filter_map(|call| call.query("updateMask").map(str::to_owned))
        .collect();
    assert_eq!(masks, ["template", "annotations,labels,template"]);
}

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
async fn an_answer_that_is_lost_is_looked_up_and_nothing_is_made_twice() {
    let world = World::new("").await;
    world.fake.spoil(&format!("POST {SERVICES}"), Fault::LoseAnswer);
    world.succeed(&["deploy"]);
    assert_eq!(world.fake.writes(), [format!("POST {SERVICES}")]);
    assert_eq!(world.fake.with(|fake| fake.service().revisions.len()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_throttling_and_failed_operations_are_told_apart() {
    let world = World::new("").await;
    let throttled = error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for requests per minute");
    world.fake.spoil(&format!("POST {SERVICES}"), Fault::Refuse(throttled));
    world.succeed(&["deploy"]);

    world.sandbox.write("agent.py", "print('two')\n");
    let conflict = error(409, "ABORTED", "Conflict for resource 'agent'");
    world.fake.spoil(&format!("PATCH {SERVICE}"), Fault::Refuse(conflict));
    world.succeed(&["deploy"]);

    world.sandbox.write("agent.py", "print('three')\n");
    let failed = json!({
        "name": format!("{PARENT}/operations/9"),
        "done": true,
        "error": {"code": 9, "message": "the region is being drained"},
    });
    world.fake.spoil(&format!("PATCH {SERVICE}"), Fault::Refuse(Response::json(200, &failed)));
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(
        outcome.stderr.contains("FAILED_PRECONDITION: the region is being drained"),
        "{outcome:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_comes_to_nothing_later_is_a_failure() {
    let world = World::new("    env: {LOG_LEVEL: info}\n").await;
    world.succeed(&["deploy"]);
    let image = world.image();
    world.configure("    env: {LOG_LEVEL: debug}\n");
    world.fake.with(|fake| fake.comes_to_nothing = Some("the region is being drained".to_owned()));
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(
        outcome.stderr.contains("FAILED_PRECONDITION: the region is being drained"),
        "{outcome:#?}"
    );
    assert_eq!(world.image(), image);
    world.succeed(&["deploy"]);
    let env = world.written().pointer("/template/containers/0/env").cloned();
    assert_eq!(env, Some(json!([{"name": "LOG_LEVEL", "value": "debug"}])));
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
async fn values_of_secrets_are_kept_by_secret_manager_and_only_written_when_they_change() {
    let world = World::new(
        "    service_account: runner@acme-staging.iam.gserviceaccount.com\n    create_roles: true\n    \
         secrets: {API_KEY: {env: API_KEY}, OTHER: {secret_manager: \"shared:3\"}}\n",
    )
    .await;
    let policy = accessors(&["runner"]);
    let shared = Secret { versions: vec![String::new(); 3], policy, ..Secret::default() };
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

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_stays_as_it_is() {
    let world = World::new("    env: {GREETING: \"${GREETING}\"}\n").await;
    let deploy = || Outcome::of(world.command(&["deploy"]).env("GREETING", "canary"));
    assert_eq!(deploy().code, 0);
    let sidecar = json!({"name": "proxy", "image": "docker.io/envoyproxy/envoy:v1"});
    world.fake.with(|fake| {
        let containers = fake.service().written["template"]["containers"].as_array_mut().unwrap();
        containers.insert(0, sidecar.clone());
        for revision in &mut fake.service().revisions {
            revision["containers"].as_array_mut().unwrap().insert(0, sidecar.clone());
        }
    });
    let before = world.fake.writes().len();
    assert_eq!(deploy().code, 0);
    assert_eq!(world.writes_since(before), [""; 0], "nothing of ours differs");
    let old = world.written()["template"]["containers"][1].clone();
    world.sandbox.write("agent.py", "print('two')\n");
    let outcome = deploy();
    assert_eq!((outcome.code, world.fake.wrong()), (0, Vec::new()), "{outcome:#?}");
    let mut containers = world.written()["template"]["containers"].clone();
    assert_ne!(containers[1]["image"].take(), old["image"]);
    let mut expected = json!([sidecar, old]);
    expected[1]["image"] = Value::Null;
    assert_eq!(containers, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_service_is_no_service() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let strange = Response::json(200, &json!({"status": "please log in"}));
    world.fake.spoil(&format!("GET {SERVICE}"), Fault::Refuse(strange));
    let outcome = Outcome::of(&mut world.command(&["status"]));
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let text = format!("the answer to GET {SERVICE} has no `/name`");
    assert!(outcome.stderr.contains(&text), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_logs_that_go_round_in_circles_end() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let page = Response::json(200, &json!({"nextPageToken": "same"}));
    for _ in 0..3 {
        world.fake.spoil("POST /v2/entries:list", Fault::Refuse(page.clone()));
    }
    world.succeed(&["logs"]);
    let asked = world.fake.calls().into_iter().filter(|call| call.path == "/v2/entries:list");
    assert_eq!(asked.count(), 2);
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
async fn a_service_of_another_tool_is_adopted_and_what_it_has_of_its_own_stays() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    world.fake.with(|fake| {
        let service = fake.service();
        service.written.remove("annotations");
        service.written.insert("labels".into(), json!({"team": "support"}));
        let template = &mut service.written["template"];
        template["vpcAccess"] = json!({"egress": "PRIVATE_RANGES_ONLY"});
        template["containers"][0]["resources"]["limits"]["memory"] = "2Gi".into();
        template["containers"][0]["env"] = json!([{"name": "OLD", "value": "canary"}]);
    });
    let plan = world.succeed(&["deploy", "--dry-run"]);
    for line in ["memory", "env.OLD", "managed-by"] {
        assert!(format!("{}{}", plan.stdout, plan.stderr).contains(line), "{line}: {plan:#?}");
    }
    assert!(world.run(&["destroy", "--yes"]).stderr.contains("not tagged as one of dockless"));
    world.succeed(&["deploy"]);
    let written = world.written();
    assert_eq!(written["labels"]["team"], "support");
    assert_eq!(written["labels"]["managed-by"], "dockless");
    assert_eq!(written["template"]["vpcAccess"], json!({"egress": "PRIVATE_RANGES_ONLY"}));
    assert_eq!(written.pointer("/template/containers/0/env"), Some(&json!([])));
    let before = world.fake.writes().len();
    world.succeed(&["deploy"]);
    assert_eq!(world.writes_since(before), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_project_is_left_alone() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    world.fake.with(|fake| fake.service().written["labels"]["dockless-project"] = "other".into());
    let before = world.fake.writes().len();
    for arguments in [&["deploy"][..], &["destroy", "--yes"], &["rollback"]] {
        let outcome = world.run(arguments);
        assert_eq!(outcome.code, 2, "{outcome:#?}");
        let text = "Cloud Run service `agent` in acme-staging/europe-west1 is of the project `other`, environment `staging`";
        assert!(outcome.stderr.contains(text), "{outcome:#?}");
    }
    assert_eq!(world.writes_since(before), [""; 0]);
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_told_with_the_role_that_allows_it() {
    let world = World::new("").await;
    let message = "Permission 'run.services.get' denied on resource 'projects/acme-staging/locations/europe-west1/services/agent' (or resource may not exist).";
    world
        .fake
        .spoil(&format!("GET {SERVICE}"), Fault::Refuse(error(403, "PERMISSION_DENIED", message)));
    let outcome = world.run(&["status"]);
    let text = format!("PERMISSION_DENIED: {message}");
    assert!(outcome.stderr.contains(&text), "{outcome:#?}");
    let hint = "the smallest role with `run.services.get` is `roles/run.developer`: `gcloud projects add-iam-policy-binding acme-staging --member=user:YOU --role=roles/run.developer`";
    assert!(outcome.stderr.contains(hint), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_those_of_the_service_in_order() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let now = jiff::Timestamp::now();
    let entry = |number: i64, payload: Value| {
        let mut entry = json!({"insertId": format!("i{number}"), "timestamp": now.to_string()});
        entry.as_object_mut().unwrap().extend(payload.as_object().unwrap().clone());
        entry
    };
    world.fake.with(|fake| {
        fake.entries = vec![
            entry(1, json!({"textPayload": "listening\n"})),
            entry(2, json!({"jsonPayload": {"message": "hello", "level": 30}})),
            entry(3, json!({"httpRequest": {"requestMethod": "GET", "requestUrl": "https://x/health", "status": 200}})),
        ];
    });
    let outcome = world.succeed(&["logs"]);
    for line in ["listening", "hello", "GET https://x/health 200"] {
        assert!(outcome.stdout.contains(line), "{line}: {outcome:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_every_source_says_why_it_has_none() {
    let world = World::new("").await;
    let outcome = Outcome::of(
        world
            .command(&["status"])
            .env_remove("CLOUDSDK_AUTH_ACCESS_TOKEN")
            .env("NO_GCE_CHECK", "true")
            .env("PATH", ""),
    );
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    for text in [
        "no credentials for Google Cloud: `CLOUDSDK_AUTH_ACCESS_TOKEN` is not set",
        "metadata server: `NO_GCE_CHECK` is set",
        "`gcloud auth print-access-token`: it is not installed",
        "log in: `gcloud auth application-default login`",
    ] {
        assert!(outcome.stderr.contains(text), "{text}: {outcome:#?}");
    }
}
