//! Deploying to Lambda as `moto` plays it: roles, functions, aliases and APIs that nobody here wrote.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dockless::cloud::{Api as _, Client, ClientOptions, ECR, Request};
use dockless::deploy::{
    Image, Journal, Manifest, Outcome, Prober, Session, Workload, carry_out, deploy,
};
use dockless::event::Events;
use dockless::oci::{Descriptor, Digest, MediaType, Platform};
use dockless::registry::Settings;
use dockless::sys::{Environment, SystemClock};
use serde_json::json;

use super::{target_for, workload};
use crate::peers::Moto;

const REGION: &str = "eu-west-1";

#[derive(Debug)]
struct Anything;

impl Journal for Anything {
    fn intend(&self, _resource: &str) -> dockless::error::Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Prober for Anything {
    async fn get(&self, _url: &str) -> Result<u16, dockless::deploy::NoAnswer> {
        Ok(200)
    }
}

#[tokio::test]
async fn a_function_with_role_and_api_comes_stays_changes_and_goes() {
    let moto = Moto::start();
    let client = Arc::new(Client::new(ClientOptions {
        settings: Settings::default(),
        environment: Environment::of(moto.variables()),
        events: Events::none(),
        clock: Arc::new(SystemClock),
    }));
    let session = || {
        let limit = Duration::from_mins(1);
        let (clock, anything) = (Arc::new(SystemClock), Arc::new(Anything));
        Session::new(client.clone(), clock, Events::none(), anything.clone(), Some(anything), limit)
    };
    let (one, two) = (push(&client, "one").await, push(&client, "two").await);
    let workload = Workload { creates_roles: true, ..workload() };
    let target = target_for("api_gateway: true\n", &workload);
    for (image, outcome, version) in [
        (&one, Outcome::Deployed, "1"),
        (&one, Outcome::Unchanged, "1"),
        (&two, Outcome::Deployed, "2"),
        (&two, Outcome::Unchanged, "2"),
    ] {
        let deployed = deploy(&*target, image, &session()).await.unwrap();
        let ended = (deployed.outcome, deployed.revision.as_deref(), deployed.reason.as_deref());
        assert_eq!(ended, (outcome, Some(version), None));
        let url = deployed.url.unwrap();
        assert!(url.ends_with(".execute-api.eu-west-1.amazonaws.com"), "{url}");
    }
    let back = |observed: &_| target.plan_rollback(None, observed);
    let (observed, _) = carry_out(&*target, &session(), &back).await.unwrap();
    assert_eq!(observed.service.unwrap().revision.as_deref(), Some("1"));
    // Roles without a policy, and those that still have one, are things that only IAM tells apart.
    let away = |observed: &_| target.plan_destroy(observed);
    let (observed, has_written) =
        carry_out(&*target, &session().removing(true), &away).await.unwrap();
    assert_eq!((observed.service, has_written), (None, true));
    // Once more: the mark of a log outlives the log there.
    let (observed, _) = carry_out(&*target, &session().removing(true), &away).await.unwrap();
    assert_eq!(observed.service, None);
}

/// Puts a manifest into the registry that `moto` plays, and gives the image by the digest that it has there.
async fn push(client: &Client, content: &str) -> Image {
    let call =
        async |operation, body| client.call(&Request::call(&ECR, REGION, operation, body)).await;
    let _ = call("CreateRepository", json!({"repositoryName": "agent"})).await;
    let blob = |media_type: MediaType| {
        let digest = Digest::of(content.as_bytes()).to_string();
        json!({"mediaType": media_type.as_str(), "size": content.len(), "digest": digest})
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::DockerManifest.as_str(),
        "config": blob(MediaType::DockerConfig),
        "layers": [blob(MediaType::DockerLayerGzip)],
    });
    let body = json!({
        "repositoryName": "agent", "imageTag": content, "imageManifest": manifest.to_string(),
    });
    let answer = call("PutImage", body).await.unwrap();
    let digest = answer.text("/image/imageId/imageDigest").unwrap().parse().unwrap();
    let descriptor = Descriptor::new(MediaType::DockerManifest, digest, 1);
    let repository = format!("123456789012.dkr.ecr.{REGION}.amazonaws.com/agent");
    let layers = vec![MediaType::DockerLayerGzip];
    let platform = Platform::linux_amd64();
    let manifest = Manifest { platform, descriptor: descriptor.clone(), layers };
    Image { repository: repository.parse().unwrap(), descriptor, manifests: vec![manifest] }
}
