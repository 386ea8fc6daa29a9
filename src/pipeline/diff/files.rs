//! Reads the layers that differ, each once, and compares the file systems that they make.

use std::collections::BTreeMap;
use std::io::{self, Read};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::layers::{StackLayer, Stacks};
use crate::archive::{ChangeSet, LayerReader, Limits, Members, PathDifference, tree_difference};
use crate::error::{Attempting as _, Classified, Error, ErrorKind, Result};
use crate::event::{Action, Watched};
use crate::oci::{Descriptor, Digest};
use crate::pipeline::Context;
use crate::pipeline::subject::Subject;
use crate::sys::blocking;

/// What is in the layers that were read, by the digests of their blobs.
#[derive(Debug)]
pub(super) struct ReadLayers(BTreeMap<Digest, ChangeSet>);

/// A layer cannot be compared.
#[derive(Debug, thiserror::Error)]
#[error("layer `{layer}` cannot be read: {reason}")]
struct Unreadable {
    layer: Digest,
    reason: String,
}

impl Classified for Unreadable {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }
}

impl ReadLayers {
    /// Reads every layer above those that are shared.
    pub(super) async fn read(
        stacks: &[Stacks<'_>],
        before: &Subject,
        after: &Subject,
        context: &Context,
    ) -> Result<Self> {
        let mut wanted: BTreeMap<Digest, (&Descriptor, &Subject)> = BTreeMap::new();
        for [old, new] in stacks.iter().filter_map(Stacks::differing) {
            for (layers, subject) in [(old, before), (new, after)] {
                let layers = layers.iter().map(|layer| layer.descriptor);
                wanted.extend(layers.map(|layer| (layer.digest, (layer, subject))));
            }
        }
        let reads = wanted.into_iter().map(async |(digest, (descriptor, subject))| {
            let set = change_set(descriptor, subject, context).await;
            let set = set.attempting(|| format!("read `{}`", subject.name))?;
            Ok::<_, Error>((digest, set))
        });
        let reads: Vec<_> = reads.collect();
        // Unpacking a layer keeps a core busy.
        let sets = stream::iter(reads).buffer_unordered(Context::threads());
        Ok(Self(sets.try_collect().await?))
    }

    /// What is different about the files of two images.
    pub(super) fn differences(&self, stacks: &Stacks<'_>) -> Vec<PathDifference> {
        let Some([before, after]) = stacks.differing() else { return Vec::new() };
        let merge = |layers: &[StackLayer<'_>]| {
            let mut merged = ChangeSet::default();
            for set in layers.iter().filter_map(|layer| self.0.get(&layer.descriptor.digest)) {
                merged.apply(set);
            }
            merged
        };
        tree_difference(merge(before), merge(after), stacks.shared() > 0)
    }
}

async fn change_set(
    descriptor: &Descriptor,
    subject: &Subject,
    context: &Context,
) -> Result<ChangeSet> {
    let layer = descriptor.digest;
    if descriptor.is_foreign() {
        return Err(Unreadable { layer, reason: "it lies elsewhere (`urls`)".into() }.into());
    }
    let bytes = subject.layer(descriptor).await?;
    let task = context.events.task(Action::Inspect, layer.short(), Some(descriptor.size));
    // The thread outlives this future when that is dropped; it stops at the next bytes.
    let cancel = CancellationToken::new();
    let _cancelled_on_drop = cancel.clone().drop_guard();
    blocking(move || {
        let set = read(Watched { bytes, task: &task, cancel })
            .map_err(|error| Unreadable { layer, reason: error.to_string() })?;
        task.finish("");
        Ok(set)
    })
    .await
}

/// Reads a layer to the end of its blob, where its source fails when it was not the promised one.
fn read(blob: impl Read) -> io::Result<ChangeSet> {
    let reader = LayerReader::try_verified(blob, Limits::GENEROUS)?;
    let mut members = Members::new(reader, Limits::GENEROUS);
    let set = ChangeSet::read(&mut members);
    match members.into_inner().finish().failure {
        Some(failure) => Err(failure),
        None => set.map_err(io::Error::other),
    }
}
