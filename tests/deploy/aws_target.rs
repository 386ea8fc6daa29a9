//! What stories about targets of AWS share: a session with an account, an image, a target.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dockless::cloud::{Client, ClientOptions};
use dockless::config::{Node, Position, Problems};
use dockless::deploy::{
    Image, Journal, Manifest, Prober, SecretValue, Session, Target, TargetInput, Workload, targets,
};
use dockless::event::{Event, Events};
use dockless::oci::{Descriptor, Digest, MediaType, Platform, Reference};
use dockless::registry::{Secret, Settings};
use dockless::sys::{Environment, ManualClock};

use crate::fakes::aws::START;

/// A session, and what it remembers.
pub(crate) struct Surroundings {
    pub(crate) session: Session,
    pub(crate) intended: Arc<Intended>,
    _events: Receiver<Event>,
}

/// Everything that was about to be created.
#[derive(Debug, Default)]
pub(crate) struct Intended(Mutex<Vec<String>>);

impl Journal for Intended {
    fn intend(&self, resource: &str) -> dockless::error::Result<()> {
        self.0.lock().unwrap().push(resource.to_owned());
        Ok(())
    }
}

impl Intended {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Finds every service well.
#[derive(Debug)]
struct Well;

#[async_trait]
impl Prober for Well {
    async fn get(&self, _url: &str) -> Result<u16, dockless::deploy::NoAnswer> {
        Ok(200)
    }
}

/// A session with the account that is at a URL.
pub(crate) fn surroundings(url: &str) -> Surroundings {
    surroundings_at(url, START)
}

/// The same, where the clock says this, in seconds since 1970.
pub(crate) fn surroundings_at(url: &str, now: i64) -> Surroundings {
    let environment = Environment::of([
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "canary-key"),
    ]);
    let clock = Arc::new(ManualClock::at(now));
    let (events, receiver) = Events::channel();
    let settings = Settings::default();
    let options =
        ClientOptions { settings, environment, events: events.clone(), clock: clock.clone() };
    let intended = Arc::new(Intended::default());
    let session = Session::new(
        Arc::new(Client::new(options)),
        clock,
        events,
        intended.clone(),
        Some(Arc::new(Well)),
        Duration::from_hours(1),
    );
    Surroundings { session, intended, _events: receiver }
}

/// What runs in all stories.
pub(crate) fn workload() -> Workload {
    Workload {
        project: "agent".to_owned(),
        environment: "production".to_owned(),
        name: "agent".to_owned(),
        port: 8080,
        health_path: "/health".to_owned(),
        env: std::collections::BTreeMap::new(),
        secrets: std::collections::BTreeMap::new(),
        pull: None,
        creates_roles: true,
        places: dockless::deploy::Places::default(),
    }
}

/// What runs, with a secret of the caller.
pub(crate) fn workload_with_secret(value: &str) -> Workload {
    let secret = SecretValue::Given(Secret::new(value));
    Workload { secrets: [("API_KEY".to_owned(), secret)].into(), ..workload() }
}

/// A target of a kind in the account's region, with these settings.
pub(crate) fn target(
    kind: &str,
    workload: &Workload,
    settings: &[(&'static str, &str)],
) -> Result<Box<dyn Target>, Vec<String>> {
    let position = Position::default();
    let fixed = [("target", kind), ("region", "eu-west-1")];
    let members = fixed.iter().chain(settings);
    let members = members.map(|(name, value)| (*name, Node::plain(*value, &position)));
    let settings = Node::mapping(members, &position);
    let kind = targets::find(kind).unwrap();
    let mut problems = Problems::new();
    dockless::config::schema::check(&settings, kind.shape, &mut problems);
    let environment = &Environment::default();
    let input = TargetInput { settings: &settings, position: &position, workload, environment };
    let target = (kind.parse)(&input, &mut problems);
    let problems: Vec<_> = problems.list().into_iter().map(|problem| problem.message).collect();
    if problems.is_empty() { Ok(target.unwrap()) } else { Err(problems) }
}

/// An image for one platform, told from others by its name.
pub(crate) fn image(repository: &str, name: &str, architecture: &str) -> Image {
    let descriptor =
        Descriptor::new(MediaType::OciManifest, Digest::of(name.as_bytes()), name.len() as u64);
    let platform = Platform::new("linux", architecture, None);
    let manifest = Manifest { platform, descriptor: descriptor.clone(), layers: Vec::new() };
    let reference: Reference = repository.parse().unwrap();
    Image { repository: reference.repository, descriptor, manifests: vec![manifest] }
}
