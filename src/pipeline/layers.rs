//! Where the layers of a run come from: this machine's cache, an earlier image, or packing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::OnceCell;

use super::Context;
use super::earlier::EarlierImages;
use super::gathering::Gathering;
use super::made_layers::{LayerOrigin, Origins};
use crate::error::{Attempting as _, Result};
use crate::event::{Action, Task, readable_size};
use crate::layer::{self, FileDigests, Known, Layer, Packing, Reuse};
use crate::oci::{Descriptor, Reference, Repository};
use crate::plan::{LayerCompression, LayerContent, LayerPlan, Origin};
use crate::store::Store;
use crate::sys::blocking;

/// Makes layers, or finds that they exist.
#[derive(Debug)]
pub(super) struct Layers {
    /// What packing needs, on a thread of its own.
    workshop: Arc<Workshop>,
    /// Whether layers are copied out of the store, beside being sent to registries.
    is_copied: bool,
    /// Where layers may be taken over from; `None` when everything is to be made anew.
    earlier: Option<EarlierImages>,
    /// The earlier images' layers, once they were asked for.
    reuse: OnceCell<Reuse>,
    /// How many layers came about in which way.
    tally: Tally,
    /// In which way each of them did.
    origins: Origins,
}

#[derive(Debug, Default)]
struct Tally {
    packed: AtomicUsize,
    unchanged: AtomicUsize,
    taken_over: AtomicUsize,
}

#[derive(Debug)]
struct Workshop {
    project: PathBuf,
    store: Store,
    digests: FileDigests,
    compression: LayerCompression,
    context: Context,
}

impl Layers {
    /// Begins with what is remembered of the project's folder, unless everything is to be made
    /// anew. `is_copied` says whether layers are copied out of the store, beside being sent to registries.
    pub(super) async fn open(
        compression: LayerCompression,
        gathering: &Gathering<'_>,
        is_copied: bool,
        earlier: Option<EarlierImages>,
    ) -> Self {
        let Gathering { context, store, folder, .. } = gathering;
        let (store, context, is_anew) = (store.clone(), (*context).clone(), earlier.is_none());
        let project = folder.directory().to_owned();
        let workshop = blocking(move || {
            let digests = if is_anew {
                FileDigests::none(&project)
            } else {
                FileDigests::load(&store, &project)
            };
            Workshop { project, store, digests, compression, context }
        });
        Self {
            workshop: Arc::new(workshop.await),
            is_copied,
            earlier,
            reuse: OnceCell::new(),
            tally: Tally::default(),
            origins: Origins::default(),
        }
    }

    /// How each layer came about, as far as it is made.
    pub(super) fn origins(&self) -> Origins {
        self.origins.clone()
    }

    /// The layer of a plan.
    pub(super) async fn make(&self, plan: &LayerPlan) -> Result<Layer> {
        let Workshop { context, .. } = self.workshop.as_ref();
        let task = context.events.task(Action::Pack, &plan.name, Some(layer::content_bytes(plan)));
        let (plan, task) = (Arc::new(plan.clone()), Arc::new(task));
        let found = match (&plan.content, &self.earlier) {
            (LayerContent::Pack(_), Some(_)) => self.find(&plan, &task).await?,
            _ => None,
        };
        let is_found = found.is_some();
        let layer = match found {
            Some(layer) => layer,
            None => self.work(&plan, &task, layer::pack).await?,
        };
        let task = Arc::into_inner(task).expect("the work is done").about(&layer.descriptor);
        let size = readable_size(layer.descriptor.size);
        let result = format!("{size}, {}", layer.descriptor.digest);
        let Tally { packed, unchanged, taken_over } = &self.tally;
        let (origin, count) = match &layer.origin {
            Origin::Registry(from) => {
                task.skip(format!("taken over from {from}: {result}"));
                (LayerOrigin::TakenOver(self.reference(from)), taken_over)
            }
            _ if is_found => {
                task.skip(result);
                (LayerOrigin::Unchanged, unchanged)
            }
            _ => {
                task.finish(result);
                (LayerOrigin::Packed, packed)
            }
        };
        self.origins.note(&layer, origin);
        count.fetch_add(1, Ordering::Relaxed);
        Ok(layer)
    }

    /// The layer, when it exists in the store or in an earlier image.
    async fn find(&self, plan: &Arc<LayerPlan>, task: &Arc<Task>) -> Result<Option<Layer>> {
        let known = self.work(plan, task, layer::recall).await?;
        if let Some(Known { diff_id, blob: Some(blob) }) = &known
            && self.has_whole(blob).await?
        {
            return Ok(Some(Layer::of(plan, blob.clone(), *diff_id, Origin::Store)));
        }
        let reuse = self.reuse().await;
        if reuse.is_empty() {
            return Ok(None);
        }
        let (diff_id, made_here) = match known {
            Some(Known { diff_id, blob }) => (diff_id, blob),
            None => (self.work(plan, task, layer::diff_id).await?, None),
        };
        let Some((blob, origin)) = reuse.find(&diff_id) else { return Ok(None) };
        // What was made here is what packing gives: another blob is none that may be taken.
        if made_here.is_some_and(|made_here| made_here != *blob) {
            return Ok(None);
        }
        Ok(Some(Layer::of(plan, blob.clone(), diff_id, origin.clone())))
    }

    /// Whether the store has a blob. Where it is going to be copied, it is read now: what is damaged is
    /// packed again before a destination has seen anything of it. A registry may have it already; what is
    /// sent there is read on the way.
    async fn has_whole(&self, blob: &Descriptor) -> Result<bool> {
        let (workshop, blob, is_copied) = (self.workshop.clone(), blob.clone(), self.is_copied);
        blocking(move || {
            let store = &workshop.store;
            if is_copied { store.verify(&blob) } else { Ok(store.open_blob(&blob)?.is_some()) }
        })
        .await
    }

    /// The earlier image in a repository.
    fn reference(&self, repository: &Repository) -> Reference {
        let found = self.earlier.as_ref().and_then(|earlier| earlier.reference(repository));
        let (repository, tag, digest) = (repository.clone(), None, None);
        found.cloned().unwrap_or(Reference { repository, tag, digest })
    }

    async fn reuse(&self) -> &Reuse {
        let find = async || match &self.earlier {
            Some(earlier) => Box::pin(earlier.layers()).await,
            None => Reuse::new(self.workshop.compression),
        };
        self.reuse.get_or_init(find).await
    }

    /// Does something with a plan on a thread that may block.
    async fn work<T: Send + 'static>(
        &self,
        plan: &Arc<LayerPlan>,
        task: &Arc<Task>,
        work: fn(&LayerPlan, &Packing) -> Result<T>,
    ) -> Result<T> {
        let (workshop, plan) = (self.workshop.clone(), plan.clone());
        let task = task.clone();
        blocking(move || {
            task.restart_at(0);
            let Workshop { project, store, digests, compression, context } = workshop.as_ref();
            let packing = Packing {
                project,
                store,
                digests,
                clock: context.clock.as_ref(),
                compression: *compression,
                compressors: &context.compressors,
                events: &context.events,
                task: &task,
                cancel: &context.cancel,
            };
            work(&plan, &packing).attempting(|| format!("pack layer `{}`", plan.name))
        })
        .await
    }

    /// Whether a layer was found and not packed.
    pub(super) fn has_found(&self) -> bool {
        let Tally { unchanged, taken_over, .. } = &self.tally;
        unchanged.load(Ordering::Relaxed) + taken_over.load(Ordering::Relaxed) > 0
    }

    /// Whether a layer was taken over from an earlier image.
    pub(super) fn has_taken_over(&self) -> bool {
        self.tally.taken_over.load(Ordering::Relaxed) > 0
    }

    /// Says how many layers were found, if any were.
    pub(super) fn tell(&self) {
        let Tally { packed, unchanged, taken_over } = &self.tally;
        if self.has_found() {
            let counts = [(packed, "packed"), (unchanged, "unchanged"), (taken_over, "taken over")];
            let counts = counts.map(|(count, how)| (count.load(Ordering::Relaxed), how));
            let counts = counts.iter().filter(|(count, _)| *count > 0);
            let counts: Vec<_> = counts.map(|(count, how)| format!("{count} {how}")).collect();
            self.workshop.context.events.note(format!("layers: {}", counts.join(", ")));
        }
    }

    /// Looks for nothing any more: every layer is packed.
    pub(super) fn pack_all(&mut self) {
        self.tally = Tally::default();
        self.earlier = None;
    }

    /// Writes down what was found out about the files.
    pub(super) async fn remember(&self) {
        let workshop = self.workshop.clone();
        blocking(move || workshop.digests.save(&workshop.store)).await;
    }
}
