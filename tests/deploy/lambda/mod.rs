//! Deploying to Lambda, against a fake that is held to the vendor's model.

mod changes;
mod command;
mod entry;
mod on_moto;
mod ownership;
mod parallel;
mod refusals;
mod roles;
mod trouble;
mod versions;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dockless::cloud::{Client, ClientOptions};
use dockless::config::{ParsedFile, Problems, schema};
use dockless::deploy::{
    Deployment, Image, Journal, Manifest, Outcome, Prober, SecretValue, Session, Target,
    TargetInput, Variable, Workload, deploy, targets,
};
use dockless::event::Events;
use dockless::oci::{Descriptor, Digest, MediaType, Platform};
use dockless::registry::{Secret, Settings};
use dockless::sys::{Environment, ManualClock};

use crate::fake::{Fault, Response, Running};
use crate::fakes::lambda::{ACCOUNT, Aws, REGION};

/// What is written by the first deployment to a role that is there.
const FIRST: [&str; 6] = [
    "CreateFunction",
    "PublishVersion",
    "CreateAlias",
    "CreateFunctionUrlConfig",
    "AddPermission",
    "AddPermission",
];
const ROLE: &str = "role_arn: arn:aws:iam::123456789012:role/agent\n";

/// An account, and what was intended in it.
struct World {
    aws: Running<Aws>,
    clock: Arc<ManualClock>,
    intents: Arc<Intents>,
}

#[derive(Debug, Default)]
struct Intents(Mutex<Vec<String>>);

impl Journal for Intents {
    fn intend(&self, resource: &str) -> dockless::error::Result<()> {
        self.0.lock().unwrap().push(resource.to_owned());
        Ok(())
    }
}

#[derive(Debug)]
struct Well;

#[async_trait]
impl Prober for Well {
    async fn get(&self, _url: &str) -> Result<u16, dockless::deploy::NoAnswer> {
        Ok(200)
    }
}

impl World {
    /// An account with the role `agent`.
    async fn new() -> Self {
        let mut aws = Aws::new();
        aws.add_role("agent");
        let aws = Running::start(aws).await;
        let clock = Arc::new(ManualClock::at(1_795_222_800));
        Self { aws, clock, intents: Arc::default() }
    }

    /// The surroundings of one run.
    fn session(&self) -> Session {
        let environment = Environment::of([
            ("AWS_ENDPOINT_URL", self.aws.url().as_str()),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "canary-key"),
        ]);
        let clock = self.clock.clone();
        let settings = Settings::default();
        let options =
            ClientOptions { settings, environment, events: Events::none(), clock: clock.clone() };
        let client = Arc::new(Client::new(options));
        let limit = Duration::from_mins(10);
        Session::new(
            client,
            clock,
            Events::none(),
            self.intents.clone(),
            Some(Arc::new(Well)),
            limit,
        )
    }

    async fn deploy(&self, target: &dyn Target, image: &Image) -> Deployment {
        deploy(target, image, &self.session()).await.unwrap()
    }

    /// What was written since the last time this was asked.
    fn writes(&self) -> Vec<String> {
        self.aws.with(Aws::take_writes)
    }
}

fn workload() -> Workload {
    Workload {
        project: "agent".to_owned(),
        environment: "production".to_owned(),
        name: "agent".to_owned(),
        port: 8080,
        health_path: "/health".to_owned(),
        env: [("LOG_LEVEL".to_owned(), Variable::Plain("info".to_owned()))].into(),
        secrets: [("API_KEY".to_owned(), SecretValue::Given(Secret::new("canary-secret")))].into(),
        pull: None,
        creates_roles: false,
        places: dockless::deploy::Places::default(),
    }
}

/// A target with these settings beside kind and region.
fn target(settings: &str) -> Box<dyn Target> {
    target_for(settings, &workload())
}

fn target_for(settings: &str, workload: &Workload) -> Box<dyn Target> {
    target_in(REGION, settings, workload)
}

fn target_in(region: &str, settings: &str, workload: &Workload) -> Box<dyn Target> {
    let text = format!("target: lambda\nregion: {region}\n{settings}");
    let mut problems = Problems::new();
    let file = ParsedFile::parse(&text, &"dockless.yaml".into(), &mut problems).unwrap();
    let kind = targets::find("lambda").unwrap();
    schema::check(&file.root, kind.shape, &mut problems);
    let (position, environment) = (&file.root.position, &Environment::default());
    let input = TargetInput { settings: &file.root, position, workload, environment };
    let target = (kind.parse)(&input, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    target.unwrap()
}

/// An image for one processor, with layers of this kind.
fn image_of(content: &str, layer: MediaType) -> Image {
    let descriptor = Descriptor::of(MediaType::OciManifest, content.as_bytes());
    let repository = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/acme/agent");
    let platform = Platform::linux_amd64();
    let manifest = Manifest { platform, descriptor: descriptor.clone(), layers: vec![layer] };
    Image { repository: repository.parse().unwrap(), descriptor, manifests: vec![manifest] }
}

fn image(content: &str) -> Image {
    image_of(content, MediaType::OciLayerGzip)
}

fn digest(content: &str) -> String {
    Digest::of(content.as_bytes()).to_string()
}

/// What IAM answers who may not.
fn denied_by_iam() -> Fault {
    let text = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: arn:u is not authorized to \
                perform: iam:GetRole</Message></Error></ErrorResponse>";
    Fault::Refuse(Response { status: 403, headers: Vec::new(), body: text.into() })
}

fn ended(deployment: &Deployment) -> (Outcome, Option<&str>, Option<&str>) {
    (deployment.outcome, deployment.revision.as_deref(), deployment.reason.as_deref())
}
