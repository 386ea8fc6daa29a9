//! The second half of the flow: layers are packed and travel while the next is packed, then the
//! image is assembled, checked, and made visible at every destination.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, future, stream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::ahead::Ahead;
use super::layers::Layers;
use super::{Context, Incomplete};
use crate::error::{Attempting as _, Error, Result};
use crate::image::{self, Assembly, Image};
use crate::layer::{self, Layer};
use crate::plan::{LayerPlan, Plan};
use crate::publish::{self, Published, Session};
use crate::registry;
use crate::store::Store;
use crate::sys::blocking;

/// So many layers are made at once: what one waits for the disk, another one computes.
const MOST_LAYERS_AT_ONCE: usize = 8;

/// Layers on their way to one destination at once.
const CONCURRENT_LAYERS: usize = 8;

/// A destination that is open.
#[derive(Debug)]
pub(super) struct OpenDestination {
    pub(super) name: String,
    pub(super) session: Arc<dyn Session>,
    /// Whether it is elsewhere.
    pub(super) is_remote: bool,
    /// Whether it is a pipe, which takes everything once.
    pub(super) is_stream: bool,
    /// Whether it is a step on the way to somewhere else, not a result.
    pub(super) is_step: bool,
}

/// What is made of a plan, and where it goes.
#[derive(Debug)]
pub(super) struct Production<'a> {
    pub(super) plan: &'a Plan,
    pub(super) layers: Arc<Layers>,
    /// Layers that were begun before there was a plan.
    pub(super) ahead: Ahead,
    pub(super) store: &'a Store,
    pub(super) destinations: &'a [OpenDestination],
    pub(super) context: &'a Context,
}

/// Packs, assembles and publishes. A destination that fails does not stop the others.
///
/// # Errors
/// Whatever fails before the image is made; then the failure of the only destination, or an
/// [`Incomplete`].
pub(super) async fn produce(mut production: Production<'_>) -> Result<(Assembly, Vec<Published>)> {
    let ahead = std::mem::take(&mut production.ahead);
    let mut produced = pack_and_publish(&production, ahead).await;
    // What went to a pipe cannot be taken back.
    let is_repeatable = production.destinations.iter().all(|place| !place.is_stream);
    if let Err(error) = &produced
        && is_repeatable
        && is_about_found(error, &production.layers)
    {
        let text = format!(
            "a layer that was made earlier is gone or damaged, all are packed again: {error}"
        );
        production.context.events.warn("earlier-layer-lost", text, None);
        production.layers.pack_all();
        produced = pack_and_publish(&production, Ahead::default()).await;
    }
    production.layers.remember().await;
    abandon_if_failed(produced, production.destinations).await
}

/// Whether a layer that was found, and not packed, may be the reason: a registry does not have it or has
/// something else, or it has rotted here.
fn is_about_found(error: &Error, layers: &Layers) -> bool {
    use registry::Error as Fault;

    if let Some(incomplete) = error.downcast_ref::<Incomplete>() {
        return incomplete.failures().any(|error| is_about_found(error, layers));
    }
    error.find::<Fault>().is_some_and(|error| match error.root() {
        Fault::NotFound { .. } | Fault::ContentMissing { .. } => layers.has_taken_over(),
        Fault::WrongDigest { .. } | Fault::WrongSize { .. } | Fault::Source { .. } => {
            layers.has_found()
        }
        _ => false,
    })
}

async fn pack_and_publish(
    production: &Production<'_>,
    mut ahead: Ahead,
) -> Result<(Assembly, Vec<Published>)> {
    let Production { plan, layers, store, destinations, context, .. } = production;
    ahead.keep(plan);
    let mut transfers = Transfers::new(destinations);
    for image in &plan.images {
        for layer in image::base_layers(&image.base)? {
            transfers.start(&layer);
        }
    }
    let unique = unique_layers(plan);
    let mut made: Vec<(&LayerPlan, Layer)> = Vec::with_capacity(unique.len());
    let making = unique.into_iter().map(|plan| (plan, ahead.take(plan)));
    let making = making.map(async |(plan, begun)| (plan, layers.make(plan, begun).await));
    let mut making = std::pin::pin!(stream::iter(making).buffer_unordered(layers_at_once()));
    while let Some((plan, layer)) = making.next().await {
        let layer = layer?;
        transfers.start(&layer);
        made.push((plan, layer));
        transfers.check()?;
    }
    layers.tell();
    let assembly = assemble(plan, &made)?;
    keep(&assembly, store, context).await;
    check(&assembly, destinations).await?;
    let published = transfers.publish(&assembly, context).await?;
    Ok((assembly, published))
}

/// Packs every layer into this store and assembles the image, which goes nowhere.
///
/// # Errors
/// Whatever fails before the image is made.
pub(super) async fn build(plan: &Plan, layers: &Layers) -> Result<Assembly> {
    let mut made = Vec::new();
    for layer_plan in unique_layers(plan) {
        made.push((layer_plan, layers.make(layer_plan, None).await?));
    }
    assemble(plan, &made)
}

/// Makes an assembly that exists already visible at every destination.
///
/// # Errors
/// As [`produce`].
pub(super) async fn copy(
    assembly: &Assembly,
    store: &Store,
    destinations: &[OpenDestination],
    context: &Context,
) -> Result<Vec<Published>> {
    keep(assembly, store, context).await;
    let mut transfers = Transfers::new(destinations);
    for image in &assembly.images {
        for layer in &image.layers {
            transfers.start(layer);
        }
    }
    let published = match check(assembly, destinations).await {
        Ok(()) => transfers.publish(assembly, context).await,
        Err(error) => Err(error),
    };
    abandon_if_failed(published, destinations).await
}

/// Lets every destination take back what it had begun, when the work as a whole failed.
pub(super) async fn abandon_if_failed<T>(
    result: Result<T>,
    destinations: &[OpenDestination],
) -> Result<T> {
    if result.is_err() {
        future::join_all(destinations.iter().map(|destination| destination.session.abandon()))
            .await;
    }
    result
}

/// How many layers are made at once.
pub(super) fn layers_at_once() -> usize {
    Context::threads().clamp(2, MOST_LAYERS_AT_ONCE)
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

fn assemble(plan: &Plan, made: &[(&LayerPlan, Layer)]) -> Result<Assembly> {
    let mut images: Vec<Image> = Vec::with_capacity(plan.images.len());
    for image_plan in &plan.images {
        let layers: Vec<Layer> = image_plan
            .layers
            .iter()
            .filter_map(|wanted| made.iter().find(|(plan, _)| *plan == wanted))
            .map(|(_, layer)| layer.clone())
            .collect();
        images.push(image::assemble(image_plan, &layers, layer::writer_version(plan.compression))?);
    }
    let annotations = plan.images.first().map(|image| image.settings.annotations.clone());
    let assembly = image::index(images, annotations.unwrap_or_default());
    image::validate(&assembly)?;
    Ok(assembly)
}

/// Asks every destination whether the image may go there, before it is visible anywhere.
async fn check(assembly: &Assembly, destinations: &[OpenDestination]) -> Result<()> {
    let mut refused = Vec::new();
    for OpenDestination { name, session, .. } in destinations {
        let answer = session.check(assembly).await;
        if let Err(error) = answer.attempting(|| format!("publish to `{name}`")) {
            refused.push((name.clone(), error));
        }
    }
    Incomplete::unless_all_agree(refused, destinations.len())
}

/// Keeps the image's documents for the next push, which does without them too.
async fn keep(assembly: &Assembly, store: &Store, context: &Context) {
    let (assembly, store) = (assembly.clone(), store.clone());
    if let Err(error) = blocking(move || publish::keep_documents(&assembly, &store)).await {
        context.events.detail(format!("the next push will ask more: {error}"));
    }
}

/// What a person reads last of a destination.
fn closing_line(destination: &OpenDestination, published: &Published) -> String {
    let done = if destination.is_remote { "pushed to" } else { "wrote" };
    let tags = match &published.tags[..] {
        [] => String::new(),
        tags => format!(" as {}", tags.join(", ")),
    };
    let kept = match &published.kept.keys().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => String::new(),
        kept => format!("; kept where they are: {}", kept.join(", ")),
    };
    let digest = published.descriptor.digest.short();
    format!("{done} {}{tags}: sha256:{digest}{kept}", destination.name)
}

/// Layers on their way to every open destination.
struct Transfers<'a> {
    destinations: &'a [OpenDestination],
    running: JoinSet<(usize, Result<()>)>,
    permits: Vec<Arc<Semaphore>>,
    /// Whether nothing may be sent before the image is known.
    is_held: bool,
    /// The destinations that failed, by their place in the list.
    failed: BTreeMap<usize, Error>,
}

impl<'a> Transfers<'a> {
    fn new(destinations: &'a [OpenDestination]) -> Self {
        let permits = destinations.iter().map(|_| Arc::new(Semaphore::new(CONCURRENT_LAYERS)));
        Self {
            destinations,
            running: JoinSet::new(),
            permits: permits.collect(),
            is_held: destinations.iter().any(|destination| destination.session.awaits_image()),
            failed: BTreeMap::new(),
        }
    }

    /// Sends a layer to every destination that stands, unless that has to wait for the image.
    fn start(&mut self, layer: &Layer) {
        if self.is_held {
            return;
        }
        for (place, destination) in self.destinations.iter().enumerate() {
            if self.failed.contains_key(&place) {
                continue;
            }
            let (session, layer) = (destination.session.clone(), layer.clone());
            let (name, permits) = (destination.name.clone(), self.permits[place].clone());
            self.running.spawn(async move {
                let _permit = permits.acquire_owned().await.expect("nobody closes it");
                let sent = session.add_layer(&layer).await;
                (place, sent.attempting(|| format!("bring layer `{}` to `{name}`", layer.name)))
            });
        }
    }

    /// Notes what has failed already; when that is every destination, nothing more is packed in vain.
    fn check(&mut self) -> Result<()> {
        while let Some(ended) = self.running.try_join_next() {
            let (place, sent) = ended.expect("transfers do not panic");
            self.note(place, sent);
        }
        let is_over = !self.failed.is_empty() && self.failed.len() == self.destinations.len();
        if is_over { Err(self.error(Vec::new())) } else { Ok(()) }
    }

    /// Waits for everything that is on its way, then makes the image visible wherever it arrived.
    async fn publish(mut self, assembly: &Assembly, context: &Context) -> Result<Vec<Published>> {
        while let Some(ended) = self.running.join_next().await {
            let (place, sent) = ended.expect("transfers do not panic");
            self.note(place, sent);
        }
        let places = self.destinations.iter().enumerate();
        let standing: Vec<_> =
            places.filter(|(place, _)| !self.failed.contains_key(place)).collect();
        let finish = async |(place, destination): (usize, &OpenDestination)| {
            let result = destination.session.finish(assembly).await;
            (place, result.attempting(|| format!("publish to `{}`", destination.name)))
        };
        // Registries do not wait for each other; what is written here keeps its order.
        let (remote, local): (Vec<_>, Vec<_>) =
            standing.into_iter().partition(|(_, destination)| destination.is_remote);
        let mut results = future::join_all(remote.into_iter().map(finish)).await;
        for destination in local {
            results.push(finish(destination).await);
        }
        results.sort_by_key(|(place, _)| *place);
        let mut published = Vec::with_capacity(results.len());
        for (place, result) in results {
            let destination = &self.destinations[place];
            match result {
                Err(error) => self.note(place, Err(error)),
                Ok(_) if destination.is_step => {}
                Ok(result) => {
                    context.events.note(closing_line(destination, &result));
                    published.push(result);
                }
            }
        }
        if self.failed.is_empty() { Ok(published) } else { Err(self.error(published)) }
    }

    /// Keeps the first failure of a destination. By now something may have been sent: no failure
    /// leaves everything outside untouched any more.
    fn note(&mut self, place: usize, result: Result<()>) {
        if let Err(error) = result {
            self.failed.entry(place).or_insert(error.late());
        }
    }

    fn error(&mut self, published: Vec<Published>) -> Error {
        let name = |place: usize| self.destinations[place].name.clone();
        let failed = std::mem::take(&mut self.failed);
        let failed = failed.into_iter().map(|(place, error)| (name(place), error)).collect();
        Incomplete::error(published, failed, self.destinations.len())
    }
}
