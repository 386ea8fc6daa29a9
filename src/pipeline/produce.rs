//! The second half of the flow: layers are packed and travel while the next is packed, then the
//! image is assembled, checked, and made visible at every destination.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Context;
use crate::config::Config;
use crate::error::{Attempting as _, Result};
use crate::event::{Action, readable_size};
use crate::image::{self, Assembly, Image};
use crate::layer::{self, Layer, Packing, WRITER_VERSION};
use crate::plan::{LayerPlan, Plan};
use crate::publish::{Published, Session};
use crate::store::Store;
use crate::sys::blocking;

/// Layers on their way at once, over all destinations.
const CONCURRENT_LAYERS: usize = 8;

/// A destination that is open, and the tags the image gets there.
#[derive(Debug)]
pub(super) struct OpenDestination {
    pub(super) name: String,
    pub(super) session: Arc<dyn Session>,
    pub(super) tags: Vec<String>,
    /// Whether it is elsewhere.
    pub(super) is_remote: bool,
    /// Whether it is a step on the way to somewhere else, not a result.
    pub(super) is_step: bool,
}

/// Packs, assembles and publishes.
pub(super) async fn produce(
    config: &Config,
    plan: &Plan,
    store: &Store,
    destinations: &[OpenDestination],
    context: &Context,
) -> Result<(Assembly, Vec<Published>)> {
    let mut transfers = Transfers::new(destinations);
    for image in &plan.images {
        for layer in image::base_layers(&image.base)? {
            transfers.start(&layer);
        }
    }
    let unique = unique_layers(plan);
    let mut packed: Vec<(&LayerPlan, Layer)> = Vec::with_capacity(unique.len());
    for layer_plan in unique {
        let layer = pack(config, layer_plan, store, context).await?;
        transfers.start(&layer);
        packed.push((layer_plan, layer));
        transfers.check()?;
    }
    let assembly = assemble(plan, &packed)?;
    transfers.finish().await?;
    let published = publish(&assembly, destinations, context).await?;
    Ok((assembly, published))
}

/// Makes an assembly that exists already visible at every destination.
pub(super) async fn copy(
    assembly: &Assembly,
    destinations: &[OpenDestination],
    context: &Context,
) -> Result<Vec<Published>> {
    let mut transfers = Transfers::new(destinations);
    for image in &assembly.images {
        for layer in &image.layers {
            transfers.start(layer);
        }
    }
    transfers.finish().await?;
    publish(assembly, destinations, context).await
}

/// The layers of all platforms, each once: what does not depend on the platform is shared.
fn unique_layers(plan: &Plan) -> Vec<&LayerPlan> {
    let mut unique: Vec<&LayerPlan> = Vec::new();
    for layer in plan.images.iter().flat_map(|image| &image.layers) {
        if !unique.contains(&layer) {
            unique.push(layer);
        }
    }
    unique
}

async fn pack(
    config: &Config,
    plan: &LayerPlan,
    store: &Store,
    context: &Context,
) -> Result<Layer> {
    let (plan, store, context) = (plan.clone(), store.clone(), context.clone());
    let directory = config.source.directory.clone();
    blocking(move || {
        let task = context.events.task(Action::Pack, &plan.name, Some(layer::content_bytes(&plan)));
        let packing = Packing {
            project: &directory,
            store: &store,
            threads: Context::threads(),
            events: &context.events,
            task: &task,
            cancel: &context.cancel,
        };
        let layer =
            layer::pack(&plan, &packing).attempting(|| format!("pack layer `{}`", plan.name))?;
        let size = readable_size(layer.descriptor.size);
        task.about(&layer.descriptor).finish(format!("{size}, {}", layer.descriptor.digest));
        Ok(layer)
    })
    .await
}

fn assemble(plan: &Plan, packed: &[(&LayerPlan, Layer)]) -> Result<Assembly> {
    let mut images: Vec<Image> = Vec::with_capacity(plan.images.len());
    for image_plan in &plan.images {
        let layers: Vec<Layer> = image_plan
            .layers
            .iter()
            .filter_map(|wanted| packed.iter().find(|(plan, _)| *plan == wanted))
            .map(|(_, layer)| layer.clone())
            .collect();
        images.push(image::assemble(image_plan, &layers, WRITER_VERSION)?);
    }
    let annotations = plan.images.first().map(|image| image.settings.annotations.clone());
    let assembly = image::index(images, annotations.unwrap_or_default());
    image::validate(&assembly)?;
    Ok(assembly)
}

async fn publish(
    assembly: &Assembly,
    destinations: &[OpenDestination],
    context: &Context,
) -> Result<Vec<Published>> {
    let mut published = Vec::with_capacity(destinations.len());
    for destination in destinations {
        let result = destination.session.finish(assembly, &destination.tags).await;
        let result = result.attempting(|| format!("publish to `{}`", destination.name))?;
        if !destination.is_step {
            context.events.note(closing_line(destination, &result));
            published.push(result);
        }
    }
    Ok(published)
}

/// What a person reads last of a destination.
fn closing_line(destination: &OpenDestination, published: &Published) -> String {
    let done = if destination.is_remote { "pushed to" } else { "wrote" };
    let tags = match &published.tags[..] {
        [] => String::new(),
        tags => format!(" as {}", tags.join(", ")),
    };
    let digest = published.descriptor.digest.short();
    format!("{done} {}{tags}: sha256:{digest}", destination.name)
}

/// Layers on their way to every open destination.
struct Transfers<'a> {
    destinations: &'a [OpenDestination],
    running: JoinSet<Result<()>>,
    permits: Arc<Semaphore>,
}

impl<'a> Transfers<'a> {
    fn new(destinations: &'a [OpenDestination]) -> Self {
        Self {
            destinations,
            running: JoinSet::new(),
            permits: Arc::new(Semaphore::new(CONCURRENT_LAYERS)),
        }
    }

    /// Sends a layer to every destination.
    fn start(&mut self, layer: &Layer) {
        for destination in self.destinations {
            let (session, layer) = (destination.session.clone(), layer.clone());
            let (name, permits) = (destination.name.clone(), self.permits.clone());
            self.running.spawn(async move {
                let _permit = permits.acquire_owned().await.expect("nobody closes it");
                let sent = session.add_layer(&layer).await;
                sent.attempting(|| format!("bring layer `{}` to `{name}`", layer.name))
            });
        }
    }

    /// Reports a failure that has happened already, so that nothing more is packed in vain.
    fn check(&mut self) -> Result<()> {
        while let Some(ended) = self.running.try_join_next() {
            ended.expect("transfers do not panic")?;
        }
        Ok(())
    }

    /// Waits for everything that is on its way.
    async fn finish(mut self) -> Result<()> {
        while let Some(ended) = self.running.join_next().await {
            ended.expect("transfers do not panic")?;
        }
        Ok(())
    }
}
