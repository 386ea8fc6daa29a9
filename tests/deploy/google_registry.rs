//! Pushing to Artifact Registry: repositories that are made when they are missing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::anywhere::Anywhere;
use crate::fake::{Call, Fake, Fault, Response, Running};
use crate::fakes::cloud_run::{TOKEN, error};
use crate::model::google::Model;
use crate::support::cli::{Outcome, Sandbox};

const HOST: &str = "europe-west1-docker.pkg.dev";
const REPOSITORIES: &str = "/v1/projects/acme/locations/europe-west1/repositories";
const OPERATION: &str = "projects/acme/locations/europe-west1/operations/7";

/// The API of Artifact Registry.
#[derive(Debug)]
struct ArtifactRegistry {
    model: Model,
    /// What repositories were created as.
    repositories: BTreeMap<String, Value>,
    /// One that is being created, and how many looks are left until it is.
    begun: Option<(String, Value, u32)>,
    /// Why an operation comes to nothing.
    failure: Option<Value>,
}

impl Fake for ArtifactRegistry {
    fn validate(&self, call: &Call) -> Vec<String> {
        let mut problems = self.model.check(call);
        if call.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            problems.push("nobody has sent it".to_owned());
        }
        problems
    }

    fn answer(&mut self, call: &Call) -> Response {
        let id = call.query("repositoryId").map(str::to_owned);
        match (call.method.as_str(), call.path.as_str(), id) {
            ("POST", REPOSITORIES, Some(id)) => {
                self.begun = Some((id, call.json(), 1));
                Response::json(200, &json!({"name": OPERATION}))
            }
            ("GET", path, _) if path.ends_with(OPERATION) => self.look_at_operation(),
            ("GET", path, _) => {
                let id = path.rsplit_once('/').unwrap().1;
                match self.repositories.get(id) {
                    Some(repository) => Response::json(200, repository),
                    None => error(404, "NOT_FOUND", "Requested entity was not found."),
                }
            }
            _ => error(400, "INVALID_ARGUMENT", "what?"),
        }
    }

    fn validate_answer(&self, call: &Call, response: &Response) -> Vec<String> {
        self.model.check_answer(call, response)
    }
}

impl ArtifactRegistry {
    fn look_at_operation(&mut self) -> Response {
        if let Some(failure) = &self.failure {
            let answer = json!({"name": OPERATION, "done": true, "error": failure});
            return Response::json(200, &answer);
        }
        match self.begun.take() {
            Some((id, body, 0)) => {
                self.repositories.insert(id, body);
                Response::json(200, &json!({"name": OPERATION, "done": true}))
            }
            Some((id, body, left)) => {
                self.begun = Some((id, body, left - 1));
                Response::json(200, &json!({"name": OPERATION}))
            }
            None => error(404, "NOT_FOUND", "Requested entity was not found."),
        }
    }
}

/// A project that is pushed to Artifact Registry.
struct World {
    sandbox: Sandbox,
    registry: Anywhere,
    api: Running<ArtifactRegistry>,
}

impl World {
    async fn new(config: &str) -> Self {
        let sandbox = Sandbox::new();
        let text = format!(
            "name: p\nbase: builtin:static\ntags: v1\nimage: {HOST}/acme/agents/agent\n{config}"
        );
        sandbox.write("dockless.yaml", text);
        let api = ArtifactRegistry {
            model: Model::load("artifactregistry"),
            repositories: BTreeMap::new(),
            begun: None,
            failure: None,
        };
        Self { sandbox, registry: Anywhere::start(&[HOST]).await, api: Running::start(api).await }
    }

    fn push(&self) -> Outcome {
        let mut command = self.sandbox.command(&["push"]);
        self.registry.lead(&mut command);
        command.env("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN);
        command.env("CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY", self.api.url());
        let outcome = Outcome::of(&mut command);
        assert_eq!(self.api.wrong(), [""; 0], "{outcome:#?}");
        assert!(!outcome.stderr.contains("canary"), "{outcome:#?}");
        outcome
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_created_once_where_the_config_says_so() {
    let world = World::new("create_repository: {immutable_tags: true}\n").await;
    let outcome = world.push();
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let note = format!("created the repository `{HOST}/acme/agents/agent`");
    assert!(outcome.stderr.contains(&note), "{outcome:#?}");
    assert_eq!(
        world.api.with(|api| api.repositories.clone()),
        BTreeMap::from([(
            "agents".to_owned(),
            json!({
                "format": "DOCKER",
                "labels": {"managed-by": "dockless"},
                "dockerConfig": {"immutableTags": true},
            })
        )])
    );
    assert_eq!(world.push().code, 0);
    assert_eq!(world.api.writes(), [format!("POST {REPOSITORIES}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_created_unless_the_config_says_so() {
    let world = World::new("").await;
    assert_eq!(world.push().code, 0);
    assert!(world.api.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_somebody_else_makes_meanwhile_is_as_good() {
    let world = World::new("create_repository: true\n").await;
    let exists = error(409, "ALREADY_EXISTS", "the repository already exists");
    world.api.spoil(&format!("POST {REPOSITORIES}"), Fault::Refuse(exists));
    let outcome = world.push();
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert!(!outcome.stderr.contains("created the repository"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_cannot_be_made_is_told_with_what_allows_it() {
    let world = World::new("create_repository: true\n").await;
    let text = "Permission 'artifactregistry.repositories.create' denied on resource '//artifactregistry.googleapis.com/projects/acme/locations/europe-west1' (or it may not exist).";
    let denied = error(403, "PERMISSION_DENIED", text);
    world.api.spoil(&format!("POST {REPOSITORIES}"), Fault::Refuse(denied));
    let outcome = world.push();
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let hint = "the smallest role with `artifactregistry.repositories.create` is `roles/artifactregistry.admin`: `gcloud projects add-iam-policy-binding acme";
    assert!(outcome.stderr.contains(hint), "{outcome:#?}");

    let failure = json!({"code": 9, "message": "the key is disabled"});
    world.api.with(|api| api.failure = Some(failure));
    let outcome = world.push();
    assert!(outcome.stderr.contains("FAILED_PRECONDITION: the key is disabled"), "{outcome:#?}");
}
