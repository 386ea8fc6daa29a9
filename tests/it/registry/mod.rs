//! The distribution client against real registries, with faults on the way.

mod blobs;
mod faults;
mod http2;
mod login;
mod manifests;
mod network;
mod origins;
mod proxies;
mod referrers;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockless::error::Error;
use dockless::event::{Action, Events};
use dockless::oci::{Descriptor, MediaType, Reference, Repository};
use dockless::registry::keychains::Explicit;
use dockless::registry::{
    BlobOutcome, BlobPush, BlobSource, Client, ClientOptions, Error as RegistryError, Keychain,
    ManifestOutcome, Secret, Settings, StallLimits,
};
use dockless::sys::ManualClock;
use tokio::io::AsyncReadExt as _;

use super::support::registry::Registry;

/// Big enough that a reset can hit its middle, small enough to be fast.
const LAYER_BYTES: usize = 3 * 1024 * 1024;

/// An image of one layer, and a client to push it with.
struct Story {
    client: Client,
    clock: Arc<ManualClock>,
    layer: Bytes,
    config: Bytes,
}

impl Story {
    fn new() -> Self {
        Self::with(Settings::default(), Vec::new())
    }

    fn with(settings: Settings, keychains: Vec<Arc<dyn Keychain>>) -> Self {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let clock = Arc::new(ManualClock::at(784_111_777));
        let client = Client::new(ClientOptions {
            settings,
            keychains,
            events: Events::none(),
            clock: clock.clone(),
            cleanup: tokio_util::task::TaskTracker::new(),
        });
        let layer = (0..=250).cycle().take(LAYER_BYTES).collect::<Vec<u8>>().into();
        let config = Bytes::from_static(br#"{"architecture":"amd64","os":"linux"}"#);
        Self { client, clock, layer, config }
    }

    fn logged_in(host: &str, username: &str, password: &str) -> Self {
        Self::with(Settings::default(), vec![explicit(host, username, password)])
    }

    fn layer_descriptor(&self) -> Descriptor {
        Descriptor::of(MediaType::OciLayer, &self.layer)
    }

    fn manifest(&self) -> Bytes {
        let manifest = dockless::oci::Manifest::new(
            Descriptor::of(MediaType::OciConfig, &self.config),
            vec![self.layer_descriptor()],
        );
        dockless::oci::Document::write(manifest, MediaType::OciManifest).bytes
    }

    async fn push_layer(&self, repository: &Repository) -> Result<BlobOutcome, Error> {
        let source = BlobSource::Bytes(self.layer.clone());
        self.push_blob(repository, &self.layer_descriptor(), &source, None).await
    }

    async fn push_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: &BlobSource,
        from: Option<&Repository>,
    ) -> Result<BlobOutcome, Error> {
        let task = Events::none().task(Action::Upload, "blob", Some(descriptor.size));
        let push = BlobPush {
            repository,
            descriptor,
            source,
            mount_from: from,
            spare: None,
            is_hardly_there: false,
        };
        self.client.push_blob(push, &task).await
    }

    async fn put(&self, reference: &Reference) -> Result<ManifestOutcome, Error> {
        let manifest = self.manifest();
        let descriptor = Descriptor::of(MediaType::OciManifest, &manifest);
        self.client.put_manifest(reference, &descriptor, &manifest).await
    }

    /// Pushes layer, config and manifest.
    async fn push(&self, reference: &Reference) -> Result<ManifestOutcome, Error> {
        let repository = &reference.repository;
        self.push_layer(repository).await?;
        let config = Descriptor::of(MediaType::OciConfig, &self.config);
        let source = BlobSource::Bytes(self.config.clone());
        self.push_blob(repository, &config, &source, None).await?;
        self.put(reference).await
    }

    /// Reads everything back, straight from the registry, and compares.
    async fn assert_pushed(&self, registry: &Registry, reference: &Reference) {
        let repository = repository(&registry.host(), reference.repository.path());
        let tag = repository.at_tag(reference.tag.clone().unwrap());
        let fetched = self.client.fetch_manifest(&tag).await.unwrap();
        assert_eq!(fetched.bytes, self.manifest());
        assert_eq!(
            read(&self.client, &repository, &self.layer_descriptor()).await.unwrap(),
            self.layer
        );
        let config = Descriptor::of(MediaType::OciConfig, &self.config);
        assert_eq!(self.client.fetch_blob(&repository, &config).await.unwrap(), self.config);
    }
}

fn explicit(host: &str, username: &str, password: &str) -> Arc<dyn Keychain> {
    Arc::new(Explicit::new(host, username, Secret::new(password)))
}

fn repository(host: &str, path: &str) -> Repository {
    format!("{host}/{path}").parse().unwrap()
}

async fn read(
    client: &Client,
    repository: &Repository,
    descriptor: &Descriptor,
) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    let mut reader = client
        .open_blob(repository, descriptor)
        .await
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    reader.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// A layer that does not vanish in the buffers of a connection on loopback.
fn more_than_buffers_take() -> Bytes {
    vec![7; 16 * 1024 * 1024].into()
}

fn cause(error: &Error) -> &RegistryError {
    error.downcast_ref::<RegistryError>().expect("the client has one kind of error").root()
}

/// Limits so short that a test does not wait, and long enough for a busy machine.
fn impatient() -> Settings {
    let stall = StallLimits {
        silence: Duration::from_millis(400),
        answer: Duration::from_millis(1500),
        ..StallLimits::default()
    };
    Settings { stall, ..Settings::default() }
}
