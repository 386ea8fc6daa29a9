//! Deploying to Cloud Run: the binary against a fake with revisions, secrets and logs.

mod access;
mod answers;
mod credentials;
mod logs;
mod parallel;
mod refusals;
mod revisions;
mod secrets;
mod versions;

use std::process::Command;

use serde_json::{Value, json};

use crate::anywhere::Anywhere;
use crate::fake::Running;
use crate::fakes::cloud_run::{CloudRun, TOKEN};
use crate::support::cli::{Outcome, Sandbox};

const HOST: &str = "europe-west1-docker.pkg.dev";
/// Where tokens come from, in stories that fetch any.
const TOKENS: &str = "tokens.acme.test";
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
            registry: Anywhere::start(&[HOST, TOKENS]).await,
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
    assert_eq!(masks, ["annotations,template", "annotations,labels,template"]);
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
