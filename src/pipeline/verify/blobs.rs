//! Whether everything that an image names is still there: equal digests say what it is, not that it can
//! be pulled.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};

use super::report::Finding;
use crate::error::{Attempting as _, Error, Result};
use crate::layer::Layer;
use crate::oci::{Descriptor, Digest, Manifest};
use crate::pipeline::subject::Subject;

/// So many are asked for at once; the client sends fewer to one host.
const AT_ONCE: usize = 16;

/// What was asked for, each blob once, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    answers: BTreeMap<Digest, Option<String>>,
    /// Why something could not be asked for.
    pub(super) failure: Option<Error>,
}

impl Blobs {
    /// Asks for the config and the layers of an image.
    pub(super) async fn ask(&mut self, manifest: &Manifest, subject: &Subject) {
        let mut wanted: BTreeMap<Digest, &Descriptor> = BTreeMap::new();
        for descriptor in manifest.layers.iter().chain([&manifest.config]) {
            if !self.answers.contains_key(&descriptor.digest) {
                wanted.insert(descriptor.digest, descriptor);
            }
        }
        let asking = wanted
            .into_iter()
            .map(async |(digest, descriptor)| (digest, subject.lacks_blob(descriptor).await));
        let mut answers = std::pin::pin!(stream::iter(asking).buffer_unordered(AT_ONCE));
        while let Some((digest, answer)) = answers.next().await {
            self.note(digest, answer);
        }
    }

    /// Asks for the manifest that an index names.
    pub(super) async fn ask_for_manifest(&mut self, entry: &Descriptor, subject: &Subject) {
        let answer = subject.lacks_manifest(entry).await;
        self.note(entry.digest, answer);
    }

    fn note(&mut self, digest: Digest, answer: Result<Option<String>>) {
        match answer.attempting(|| format!("look for blob `{digest}`")) {
            Ok(reason) => drop(self.answers.insert(digest, reason)),
            Err(error) => {
                self.failure.get_or_insert(error);
            }
        }
    }

    /// Whether something is wrong with a blob.
    pub(super) fn lacks(&self, digest: &Digest) -> bool {
        self.answers.get(digest).is_some_and(Option::is_some)
    }

    /// What is wrong with the blobs of an image; `own` are the layers that were built.
    pub(super) fn findings(&self, manifest: &Manifest, own: &[Layer]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (place, descriptor) in manifest.layers.iter().enumerate() {
            let name = own.get(place).map(|layer| format!(" \"{}\"", layer.name.escape_debug()));
            let what = format!("layer {}{}", place + 1, name.unwrap_or_default());
            findings.extend(
                self.finding(&what, descriptor)
                    .map(|finding| Finding { layer: Some(place + 1), ..finding }),
            );
        }
        findings.extend(self.finding("the config", &manifest.config));
        findings
    }

    /// What is wrong with a blob or manifest.
    pub(super) fn finding(&self, what: &str, descriptor: &Descriptor) -> Option<Finding> {
        let reason = self.answers.get(&descriptor.digest)?.as_ref()?;
        Some(Finding::lost(what, reason, descriptor.digest))
    }
}
