//! The operations of the matrix, done by the library as the commands do them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dockless::config::Base;
use dockless::error::Result;
use dockless::event::Events;
use dockless::gather::Pins;
use dockless::gather::base::{BaseContext, resolve};
use dockless::image::{Assembly, Image};
use dockless::layer::Layer;
use dockless::oci::{Document, Manifest, MediaType, Platform};
use dockless::plan::Origin;
use dockless::publish::PublishContext;
use dockless::publish::destinations::parse;
use dockless::registry::{Client, ClientOptions, Settings, StallLimits};
use dockless::store::Store;
use dockless::sys::ManualClock;

use super::super::support::image::{
    assembly, file, folder, image, layer, publish_context, repository, with_origin,
};
use super::row::Operation;

/// The tag that is pushed and pulled.
pub(super) const TAG: &str = "v1";
/// Bytes that do not compress: big enough that a reset can hit their middle.
const LAYER_BYTES: usize = 3 * 1024 * 1024;

/// What is pushed and pulled.
#[derive(Debug)]
pub(super) struct Images {
    pub(super) store: Store,
    /// One platform, one layer.
    pub(super) single: Assembly,
    /// Two platforms; one layer of three is shared.
    pub(super) index: Assembly,
}

/// One run of an operation.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) images: &'a Images,
    pub(super) operation: Operation,
    /// Whom the client calls.
    pub(super) host: &'a str,
    /// The repository; `NAME-base` has what is mounted.
    pub(super) name: &'a str,
    pub(super) client: Client,
    /// Where a pull writes its layout.
    pub(super) folder: &'a Path,
}

impl Images {
    pub(super) fn new() -> Self {
        let store = Store::temporary().unwrap();
        let noise = noise();
        let large = || {
            let mut layer = layer(&store, "large", &[folder("app"), file("app/noise", &noise)]);
            layer.name = "large".into();
            layer
        };
        let small = |name: &str| layer(&store, name, &[file("platform", name)]);
        let (amd64, arm64) = (Platform::linux_amd64(), Platform::new("linux", "arm64", None));
        let single = assembly(vec![image(&amd64, vec![large()])]);
        let index = assembly(vec![
            image(&amd64, vec![large(), small("amd64")]),
            image(&arm64, vec![large(), small("arm64")]),
        ]);
        Self { store, single, index }
    }

    /// What is attached: a manifest about the single image, without content of its own.
    pub(super) fn referrer(&self) -> Document<Manifest> {
        let image = &self.single.images[0];
        let mut manifest = Manifest::new(image.config.descriptor.clone(), Vec::new());
        manifest.subject = Some(image.manifest.descriptor.clone());
        manifest.other.insert("artifactType".into(), "application/vnd.test".into());
        Document::write(manifest, MediaType::OciManifest)
    }

    /// What an operation is about.
    pub(super) fn of(&self, operation: Operation) -> &Assembly {
        if operation == Operation::Index { &self.index } else { &self.single }
    }
}

impl Run<'_> {
    /// Does it.
    pub(super) async fn perform(&self) -> Result<()> {
        let what = self.images.of(self.operation);
        match self.operation {
            Operation::Push | Operation::Index => self.publish(what).await,
            Operation::Mount => {
                let base = repository(self.host, &format!("{}-base", self.name));
                let near = Origin::Registry(base);
                self.publish(&with_origin(what.clone(), &near)).await
            }
            Operation::Pull => self.pull().await,
            Operation::Attach => {
                let repository = repository(self.host, self.name);
                self.client.attach(&repository, &self.images.referrer()).await
            }
        }
    }

    async fn publish(&self, what: &Assembly) -> Result<()> {
        publish(&format!("{}/{}", self.host, self.name), what, &self.context()).await
    }

    /// Looks the base up, as every build does, and writes it into a layout with all its layers.
    async fn pull(&self) -> Result<()> {
        let base = repository(self.host, self.name).at_tag(TAG);
        let context = BaseContext {
            role: "base",
            client: &self.client,
            project: self.folder,
            pins: &Pins::default(),
            events: &Events::none(),
            builtin: |_, _| None,
        };
        let platform = Platform::linux_amd64();
        let bases =
            resolve(&Base::Registry(base), std::slice::from_ref(&platform), context).await?;
        let base = &bases[&platform];
        let layers = base.layers.iter().map(|layer| Layer {
            name: "base".into(),
            created_by: "base".into(),
            descriptor: layer.descriptor.clone(),
            diff_id: layer.diff_id,
            origin: layer.origin.clone(),
        });
        let image = Image {
            platform,
            config: base.config.clone(),
            manifest: base.manifest.clone().expect("it comes from a registry"),
            layers: layers.collect(),
        };
        let what = assembly(vec![image]);
        publish(&format!("oci:{}", self.folder.display()), &what, &self.context()).await
    }

    fn context(&self) -> PublishContext {
        publish_context(&self.images.store, &self.client, &Events::none())
    }
}

/// Brings an image to a destination, as `push` does.
pub(super) async fn publish(to: &str, what: &Assembly, context: &PublishContext) -> Result<()> {
    let session = parse(to).unwrap().open(context, &[TAG.to_owned()]).await?;
    for layer in what.images.iter().flat_map(|image| &image.layers) {
        session.add_layer(layer).await?;
    }
    session.check(what).await?;
    session.finish(what).await?;
    Ok(())
}

/// A client without credentials whose waits take no time.
pub(super) fn client(is_impatient: bool) -> (Client, Arc<ManualClock>) {
    // Sun, 06 Nov 1994 08:49:37 GMT
    let clock = Arc::new(ManualClock::at(784_111_777));
    let stall = StallLimits {
        silence: Duration::from_millis(300),
        window: Duration::from_millis(600),
        bytes_per_second: 1024,
        answer: Duration::from_millis(1500),
    };
    let stall = if is_impatient { stall } else { StallLimits::default() };
    let settings = Settings { stall, ..Settings::default() };
    let client = Client::new(ClientOptions {
        settings,
        keychains: Vec::new(),
        events: Events::none(),
        clock: clock.clone(),
        cleanup: tokio_util::task::TaskTracker::new(),
    });
    (client, clock)
}

/// The same text every time, without a pattern that a compressor would find.
fn noise() -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + u8::try_from(state % 94).unwrap())
    };
    (0..LAYER_BYTES).map(|_| next()).collect()
}
