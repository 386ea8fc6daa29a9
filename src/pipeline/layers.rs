//! Where the layers of a run come from: this machine's cache, an earlier image, or packing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::oneshot;

use super::Context;
use super::earlier::EarlierImages;
use super::gathering::Gathering;
use super::made_layers::{LayerOrigin, Origins};
use crate::error::{Attempting as _, Result};
use crate::event::{Action, Events, Task, readable_size};
use crate::layer::{self, FileDigests, Known, Layer, Packing};
use crate::oci::Descriptor;
use crate::plan::{LayerCompression, LayerContent, LayerPlan, Origin};
use crate::store::Store;
use crate::sys::blocking;

/// A layer that is being made, and how it came about.
pub(super) type Begun = oneshot::Receiver<Result<(Layer, LayerOrigin)>>;

/// Makes layers, or finds that they exist.
#[derive(Debug)]
pub(super) struct Layers {
    /// What packing needs, on a thread of its own.
    workshop: Arc<Workshop>,
    /// Whether layers are copied out of the store, beside being sent to registries.
    is_copied: bool,
    /// Where layers may be taken over from; `None` when everything is to be made anew.
    earlier: Option<Arc<EarlierImages>>,
    /// Whether nothing that exists is looked for.
    is_anew: AtomicBool,
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
    digests: Arc<FileDigests>,
    compression: LayerCompression,
    context: Context,
}

impl Layers {
    /// `is_copied` says whether layers are copied out of the store, beside being sent to registries.
    pub(super) fn open(
        compression: LayerCompression,
        gathering: &Gathering<'_>,
        is_copied: bool,
        earlier: Option<Arc<EarlierImages>>,
    ) -> Self {
        let Gathering { context, store, folder, digests, .. } = gathering;
        let workshop = Workshop {
            project: folder.directory().to_owned(),
            store: store.clone(),
            digests: digests.clone(),
            compression,
            context: (*context).clone(),
        };
        Self {
            workshop: Arc::new(workshop),
            is_copied,
            is_anew: AtomicBool::new(earlier.is_none()),
            earlier,
            tally: Tally::default(),
            origins: Origins::default(),
        }
    }

    /// How each layer came about, as far as it is made.
    pub(super) fn origins(&self) -> Origins {
        self.origins.clone()
    }

    /// The layer of a plan, made now or waited for where it was begun before.
    pub(super) async fn make(&self, plan: &LayerPlan, begun: Option<Begun>) -> Result<Layer> {
        let task = packing(plan, &self.workshop.context.events);
        let (layer, origin) = match begun {
            Some(begun) => begun.await.expect("who makes it does not stop before")?,
            None => self.find_or_pack(&Arc::new(plan.clone()), &task).await?,
        };
        let task = Arc::into_inner(task).expect("the work is done").about(&layer.descriptor);
        let size = readable_size(layer.descriptor.size);
        let result = format!("{size}, {}", layer.descriptor.digest);
        let Tally { packed, unchanged, taken_over } = &self.tally;
        let count = match &origin {
            LayerOrigin::TakenOver(from) => {
                task.skip(format!("taken over from {}: {result}", from.repository));
                taken_over
            }
            LayerOrigin::Unchanged => {
                task.skip(result);
                unchanged
            }
            _ => {
                task.finish(result);
                packed
            }
        };
        self.origins.note(&layer, origin);
        count.fetch_add(1, Ordering::Relaxed);
        Ok(layer)
    }

    /// The layer of a plan that may not be the last word: nobody is told of it, and it does not count,
    /// before it is asked for. The work ends with the future.
    pub(super) async fn prepare(&self, plan: &Arc<LayerPlan>) -> Result<(Layer, LayerOrigin)> {
        let prepared = self.find_or_pack(plan, &packing(plan, &Events::none())).await?;
        let text = format!("layer `{}` is ready before its base was read", plan.name);
        self.workshop.context.events.detail(text);
        Ok(prepared)
    }

    async fn find_or_pack(
        &self,
        plan: &Arc<LayerPlan>,
        task: &Arc<Task>,
    ) -> Result<(Layer, LayerOrigin)> {
        let is_anew = self.is_anew.load(Ordering::Relaxed);
        let found = match (&plan.content, &self.earlier) {
            (LayerContent::Pack(_), Some(earlier)) if !is_anew => {
                self.find(plan, task, earlier).await?
            }
            _ => None,
        };
        match found {
            Some(found) => Ok(found),
            None => Ok((self.work(plan, task, layer::pack).await?, LayerOrigin::Packed)),
        }
    }

    /// The layer, when it exists in the store or in an earlier image.
    async fn find(
        &self,
        plan: &Arc<LayerPlan>,
        task: &Arc<Task>,
        earlier: &EarlierImages,
    ) -> Result<Option<(Layer, LayerOrigin)>> {
        let known = self.work(plan, task, layer::recall).await?;
        if let Some(Known { diff_id, blob: Some(blob) }) = &known
            && self.has_whole(blob).await?
        {
            let layer = Layer::of(plan, blob.clone(), *diff_id, Origin::Store);
            return Ok(Some((layer, LayerOrigin::Unchanged)));
        }
        let reuse = earlier.layers().await;
        if reuse.is_empty() {
            return Ok(None);
        }
        if self.workshop.digests.is_new() {
            // Most layers will be found; reading the files takes longer than the answers.
            earlier.anticipate().await;
        }
        let (diff_id, made_here) = match known {
            Some(Known { diff_id, blob }) => (diff_id, blob),
            None => (self.work(plan, task, layer::diff_id).await?, None),
        };
        let Some(layer) = reuse.find(&diff_id) else { return Ok(None) };
        // What was made here is what packing gives: another blob is none that may be taken.
        if made_here.is_some_and(|made_here| made_here != layer.descriptor)
            || !earlier.is_sound(&plan.name, layer).await
        {
            return Ok(None);
        }
        let origin = LayerOrigin::TakenOver(layer.image.clone());
        Ok(Some((Layer::of(plan, layer.descriptor.clone(), diff_id, layer.origin()), origin)))
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

    /// Does something with a plan on a thread that may block.
    async fn work<T: Send + 'static>(
        &self,
        plan: &Arc<LayerPlan>,
        task: &Arc<Task>,
        work: fn(&LayerPlan, &Packing) -> Result<T>,
    ) -> Result<T> {
        let (workshop, plan) = (self.workshop.clone(), plan.clone());
        let task = task.clone();
        let cancel = self.workshop.context.cancel.child_token();
        let _cancelled_on_drop = cancel.clone().drop_guard();
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
                cancel: &cancel,
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
    pub(super) fn pack_all(&self) {
        let Tally { packed, unchanged, taken_over } = &self.tally;
        for count in [packed, unchanged, taken_over] {
            count.store(0, Ordering::Relaxed);
        }
        self.is_anew.store(true, Ordering::Relaxed);
    }

    /// Writes down what was found out about the files.
    pub(super) async fn remember(&self) {
        let workshop = self.workshop.clone();
        blocking(move || workshop.digests.save(&workshop.store)).await;
    }
}

/// The task of packing a layer.
fn packing(plan: &LayerPlan, events: &Events) -> Arc<Task> {
    Arc::new(events.task(Action::Pack, &plan.name, Some(layer::content_bytes(plan))))
}
