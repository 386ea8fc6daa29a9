//! Which layers two images share, and which of them changed.

use serde_json::{Value, json};

use crate::event::readable_size;
use crate::image::{layer_names, shown, shown_command};
use crate::oci::{Descriptor, Digest};
use crate::pipeline::subject::Found;

/// The layers of two images, lowest first.
#[derive(Debug)]
pub(super) struct Stacks<'a> {
    before: Vec<StackLayer<'a>>,
    after: Vec<StackLayer<'a>>,
}

/// A layer as far as its documents tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StackLayer<'a> {
    /// Its place, counted from 1.
    number: usize,
    pub(super) descriptor: &'a Descriptor,
    /// What it holds: the diff_id, or the digest where the configs do not tell.
    content: Digest,
    /// From the history, without what is secret; else its number.
    name: String,
}

/// A layer that is not the same in both images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LayerChange {
    name: String,
    before: Option<Side>,
    after: Option<Side>,
    /// Whether it is only compressed in another way.
    is_same_content: bool,
}

/// A layer in one of the images.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Side {
    number: usize,
    digest: Digest,
    size_bytes: u64,
}

impl<'a> Stacks<'a> {
    pub(super) fn of(before: &'a Found, after: &'a Found) -> Self {
        // Where only one config tells the diff_ids, there is nothing to compare them with.
        let is_told = [before, after].iter().all(|found| {
            found.config.value.rootfs.diff_ids.len() == found.manifest.value.layers.len()
        });
        Self { before: stack(before, is_told), after: stack(after, is_told) }
    }

    /// How many layers at the bottom hold the same.
    pub(super) fn shared(&self) -> usize {
        let pairs = self.before.iter().zip(&self.after);
        pairs.take_while(|(before, after)| before.content == after.content).count()
    }

    /// The layers above those, where there are any.
    pub(super) fn differing(&self) -> Option<[&[StackLayer<'a>]; 2]> {
        let shared = self.shared();
        let (before, after) = (&self.before[shared..], &self.after[shared..]);
        (!before.is_empty() || !after.is_empty()).then_some([before, after])
    }

    /// The layers that changed or came, in the newer image's order; then those that are gone.
    pub(super) fn changes(&self) -> Vec<LayerChange> {
        let is_in = |layer: &StackLayer<'_>, others: &[StackLayer<'_>]| {
            others.iter().any(|other| other.content == layer.content)
        };
        let mut gone: Vec<_> =
            self.before.iter().filter(|layer| !is_in(layer, &self.after)).collect();
        let mut changes = Vec::new();
        for layer in &self.after {
            let same = self.before.iter().find(|other| other.content == layer.content);
            if let Some(same) = same {
                if same.descriptor.digest != layer.descriptor.digest {
                    changes.push(LayerChange::of(Some(same), Some(layer), &layer.name));
                }
                continue;
            }
            let namesake = gone.iter().position(|old| old.name == layer.name);
            let old = namesake.map(|place| gone.remove(place));
            changes.push(LayerChange::of(old, Some(layer), &layer.name));
        }
        changes.extend(gone.iter().map(|layer| LayerChange::of(Some(layer), None, &layer.name)));
        changes
    }

    /// Whether the same layers stand on each other in another order.
    pub(super) fn is_reordered(&self) -> bool {
        let sorted = |stack: &[StackLayer<'_>]| {
            let mut contents: Vec<_> = stack.iter().map(|layer| layer.content).collect();
            contents.sort();
            contents
        };
        self.differing().is_some_and(|[before, after]| sorted(before) == sorted(after))
    }
}

fn stack(found: &Found, is_told: bool) -> Vec<StackLayer<'_>> {
    let names = layer_names(&found.config.value);
    let diff_ids = &found.config.value.rootfs.diff_ids;
    let layers = found.manifest.value.layers.iter().enumerate();
    let layer = |(place, descriptor)| {
        let descriptor: &Descriptor = descriptor;
        let name = names.get(place).copied().flatten().filter(|_| is_told);
        let diff_id = diff_ids.get(place).copied().filter(|_| is_told);
        StackLayer {
            number: place + 1,
            descriptor,
            content: diff_id.unwrap_or(descriptor.digest),
            name: name.map_or_else(|| format!("number {}", place + 1), shown_command),
        }
    };
    layers.map(layer).collect()
}

impl Side {
    fn document(&self) -> Value {
        json!({"number": self.number, "digest": self.digest, "size": self.size_bytes})
    }
}

impl LayerChange {
    fn of(before: Option<&StackLayer<'_>>, after: Option<&StackLayer<'_>>, name: &str) -> Self {
        let side = |layer: &StackLayer<'_>| {
            let Descriptor { digest, size, .. } = layer.descriptor;
            Side { number: layer.number, digest: *digest, size_bytes: *size }
        };
        Self {
            name: name.to_owned(),
            before: before.map(side),
            after: after.map(side),
            is_same_content: before.map(|layer| layer.content) == after.map(|layer| layer.content),
        }
    }

    pub(super) fn line(&self) -> String {
        let size = |side: &Side| readable_size(side.size_bytes);
        let what = match (&self.before, &self.after) {
            (Some(before), Some(after)) => {
                let how =
                    if self.is_same_content { "is compressed in another way" } else { "changed" };
                format!("{how}, {} → {}", size(before), size(after))
            }
            (None, after) => format!("is new, {}", after.as_ref().map(size).unwrap_or_default()),
            (Some(before), None) => format!("is gone, {}", size(before)),
        };
        let number = self.after.as_ref().or(self.before.as_ref()).map_or(0, |side| side.number);
        format!("layer {number} \"{}\" {what}", shown(&self.name))
    }

    pub(super) fn document(&self) -> Value {
        json!({
            "name": self.name,
            "before": self.before.as_ref().map(Side::document),
            "after": self.after.as_ref().map(Side::document),
            "is_same_content": self.is_same_content,
        })
    }
}
