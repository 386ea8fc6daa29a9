//! Compares the layers of an image with those that were built: the list, then what is in the first of ours
//! that differs.
//!
//! What the image's config says of its layers is not believed: a blob with another digest is read,
//! whatever diff_id it is said to have.

use std::fs::File;
use std::io::{self, Read};

use tokio_util::sync::CancellationToken;

use super::blobs::Blobs;
use super::report::Finding;
use crate::archive::{ArchiveError, CompareError, Difference, LayerReader, Limits, difference};
use crate::error::{Classified, ErrorKind, Result};
use crate::event::{Action, Watched};
use crate::image::Image;
use crate::layer::{Layer, WRITER_VERSION_ANNOTATION};
use crate::oci::{Descriptor, ImageConfig, Manifest};
use crate::pipeline::Context;
use crate::pipeline::subject::Subject;
use crate::store::Store;
use crate::sys::blocking;

/// The layers of an image and those that were built.
#[derive(Debug)]
pub(super) struct Layers<'a> {
    pub(super) subject: &'a Subject,
    pub(super) manifest: &'a Manifest,
    /// The image's config, where it can be read.
    pub(super) config: Option<&'a ImageConfig>,
    pub(super) image: &'a Image,
    /// How many of the layers that were built are the base's.
    pub(super) base_count: usize,
    /// Which of the image's blobs are lost.
    pub(super) blobs: &'a Blobs,
    pub(super) store: &'a Store,
    pub(super) context: &'a Context,
}

/// A layer that was built cannot be read again.
#[derive(Debug, thiserror::Error)]
#[error("cannot compare layer `{layer}`")]
struct Unreadable {
    layer: String,
    source: CompareError,
}

impl Classified for Unreadable {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }
}

/// What comes of comparing two layers.
enum Answer {
    Same,
    Different(Difference),
    /// The image's layer cannot be read, and why.
    Unreadable(String),
}

impl Layers<'_> {
    /// What is different, the first thing first.
    ///
    /// # Errors
    /// What was built cannot be read again.
    pub(super) async fn compare(&self) -> Result<Vec<Finding>> {
        let (given, built) = (&self.manifest.layers, &self.image.layers);
        let mut findings = Vec::new();
        let base = self.compare_base();
        // On another base ours are found from above.
        let own_count = built.len() - self.base_count;
        let first = match &base {
            Some(_) => given.len().saturating_sub(own_count),
            None => self.base_count,
        };
        findings.extend(base);
        let mut has_compared = false;
        for (place, (given, own)) in
            (first..).zip(given.iter().skip(first).zip(&built[self.base_count..]))
        {
            if given.digest == own.descriptor.digest {
                findings.extend(self.compare_description(place, given, own));
            } else if has_compared {
                findings.push(finding(place, own, "differs too"));
            } else {
                has_compared = true;
                findings.push(self.compare_content(place, given, own).await?);
            }
        }
        if given.len() != built.len() {
            let (given, built) = (given.len(), built.len());
            findings.push(Finding::new(format!("it has {given} layers, {built} are built here")));
        }
        if let Some(config) = self.config
            && config.rootfs.diff_ids.len() != given.len()
        {
            let count = config.rootfs.diff_ids.len();
            findings.push(Finding::new(format!("its config has {count} diff_ids")));
        }
        Ok(findings)
    }

    /// The first layer of the base that differs. They are not read: the base was not made here.
    fn compare_base(&self) -> Option<Finding> {
        let base = &self.image.layers[..self.base_count];
        let (place, own) = base.iter().enumerate().find(|(place, own)| {
            self.manifest.layers.get(*place).is_none_or(|given| *given != own.descriptor)
        })?;
        let text = match self.manifest.layers.get(place) {
            Some(given) if given.digest != own.descriptor.digest => {
                format!("is {} in the image, {} in the base", given.digest, own.descriptor.digest)
            }
            Some(given) => described(given, &own.descriptor),
            None => "is not in the image".to_owned(),
        };
        Some(finding(place, own, &text))
    }

    /// What is said of a layer whose blob is the same.
    fn compare_description(
        &self,
        place: usize,
        given: &Descriptor,
        own: &Layer,
    ) -> Option<Finding> {
        if *given != own.descriptor {
            return Some(finding(place, own, &described(given, &own.descriptor)));
        }
        let diff_id = self.config?.rootfs.diff_ids.get(place)?;
        (*diff_id != own.diff_id).then(|| {
            let text = format!("is said to have diff_id {diff_id}, it has {}", own.diff_id);
            finding(place, own, &text)
        })
    }

    /// Reads both layers until they part.
    async fn compare_content(
        &self,
        place: usize,
        given: &Descriptor,
        own: &Layer,
    ) -> Result<Finding> {
        let digests = || format!("is {}, {} is built here", given.digest, own.descriptor.digest);
        if self.blobs.lacks(&given.digest) {
            return Ok(finding(place, own, &digests()));
        }
        let Some(ours) = self.open_own(&own.descriptor).await? else {
            return Ok(finding(place, own, &digests()));
        };
        let theirs = match self.subject.layer(given).await {
            Ok(theirs) => theirs,
            Err(error) => {
                return Ok(finding(
                    place,
                    own,
                    &format!("{}; it cannot be read: {error}", digests()),
                ));
            }
        };
        let answer = self.compare_blobs(given, theirs, ours, own).await?;
        Ok(match answer {
            Answer::Same => finding(place, own, &self.recompressed()),
            Answer::Different(member) => {
                finding(place, own, &format!("differs: {member}")).with_member(&member)
            }
            Answer::Unreadable(reason) => {
                finding(place, own, &format!("{}; it cannot be read: {reason}", digests()))
            }
        })
    }

    async fn open_own(&self, descriptor: &Descriptor) -> Result<Option<File>> {
        let (store, descriptor) = (self.store.clone(), descriptor.clone());
        blocking(move || store.open_blob(&descriptor)).await
    }

    async fn compare_blobs(
        &self,
        given: &Descriptor,
        theirs: Box<dyn Read + Send>,
        ours: File,
        own: &Layer,
    ) -> Result<Answer> {
        let (events, size) = (self.context.events.clone(), given.size);
        let (subject, layer) = (given.digest.short(), own.name.clone());
        // The thread outlives this future when that is dropped; it stops at the next bytes.
        let cancel = CancellationToken::new();
        let _cancelled_on_drop = cancel.clone().drop_guard();
        blocking(move || {
            let task = events.task(Action::Inspect, subject, Some(size));
            let theirs = Watched { bytes: theirs, task: &task, cancel };
            // One byte more than is promised: who sends more does not go on for ever.
            let answer = compare(theirs.take(size.saturating_add(1)), ours)
                .map_err(|source| Unreadable { layer, source })?;
            task.finish("");
            Ok(answer)
        })
        .await
    }

    /// Two blobs of one content.
    fn recompressed(&self) -> String {
        let written = &self.image.manifest.value.annotations[WRITER_VERSION_ANNOTATION];
        match self.manifest.annotations.get(WRITER_VERSION_ANNOTATION) {
            Some(version) if version == written => format!(
                "has the same content, compressed in another way than by {version}, which the image \
                 names: it was not made by dockless from this content"
            ),
            version => {
                let version = version.map_or("nothing", String::as_str);
                let version: String = version.chars().take(64).collect();
                format!(
                    "has the same content, compressed in another way: the image names the writer \
                     `{}`, here it is `{written}`",
                    version.escape_debug()
                )
            }
        }
    }
}

/// Compares two blobs; a given one that cannot be read is an answer.
fn compare(theirs: impl Read, ours: File) -> Result<Answer, CompareError> {
    let limits = Limits::GENEROUS;
    let unreadable = |error: io::Error| CompareError::Given(ArchiveError::Io(error));
    let mut theirs = match LayerReader::try_new(theirs, limits).map_err(unreadable) {
        Ok(theirs) => theirs,
        Err(error) => return Ok(Answer::Unreadable(error.to_string())),
    };
    let ours = LayerReader::try_new(ours, limits)
        .map_err(|error| CompareError::Ours(ArchiveError::Io(error)))?;
    match difference(&mut theirs, ours, limits) {
        Ok(None) => Ok(Answer::Same),
        Ok(Some(found)) => Ok(Answer::Different(found)),
        Err(CompareError::Given(error)) => {
            let reason = theirs.failure().map_or_else(|| error.to_string(), ToString::to_string);
            Ok(Answer::Unreadable(reason))
        }
        Err(error @ CompareError::Ours(_)) => Err(error),
    }
}

fn finding(place: usize, own: &Layer, text: &str) -> Finding {
    let number = place + 1;
    let text = format!("layer {number} \"{}\" {text}", own.name.escape_debug());
    Finding { layer: Some(number), ..Finding::new(text) }
}

/// What two descriptors of one blob say differently.
fn described(given: &Descriptor, own: &Descriptor) -> String {
    let fields = [
        ("media type", given.media_type != own.media_type),
        ("size", given.size != own.size),
        ("annotations", given.annotations != own.annotations),
        ("platform", given.platform != own.platform),
        ("further members", given.other != own.other),
    ];
    let fields: Vec<_> =
        fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    format!("is the same blob, described in another way: {}", fields.join(", "))
}
