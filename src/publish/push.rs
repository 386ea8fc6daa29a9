//! One image on its way to a repository of a registry.
//!
//! Blobs first, manifests of an index next, the tag last: whoever can see the image can pull it.
//!
//! The first requests ask what the tags are. One that points at an image that is known here says that
//! its content is there; without such a tag something will be sent, and an upload is begun before
//! any content is sent, to prove that one may. So a push that changes nothing costs one request per tag,
//! and any other one hardly any that it would not need anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future};
use tokio::sync::OnceCell;

use super::once::Once;
use super::{
    Earlier, ExistingTag, Inquiry, PublishContext, PublishError, Published, Session, StandingTag,
    contents, standing, vouching,
};
use crate::error::{Error, Result};
use crate::event::{Action, Task, readable_size};
use crate::image::Assembly;
use crate::layer::Layer;
use crate::oci::{Descriptor, Digest, Repository};
use crate::plan::Origin;
use crate::registry::{
    self, BlobOutcome, BlobPush, BlobSource, ManifestOutcome, SpareUpload, TagLookup,
};
use crate::store::Store;
use crate::sys::blocking;

/// Blobs that are brought at the same time while a session is being finished.
const CONCURRENT_BLOBS: usize = 4;

/// How long what a tag was seen at counts; packing a large image may take longer, and others push too.
const LOOK_COUNTS_FOR: Duration = Duration::from_secs(5);

/// How often everything is brought again because the registry lost some of it (a garbage
/// collection, or a store that is slow to agree with itself).
const ROUNDS: u32 = 2;

/// The longest wait before the first of these rounds; that before the next is twice as long.
const ROUND_WAIT: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Push {
    repository: Repository,
    tags: Vec<String>,
    context: PublishContext,
    /// What the tags were in the beginning, where they were something.
    found: BTreeMap<String, Descriptor>,
    /// What stands under tags that are not ours to move, in their order; looked up when there is
    /// nothing under ours.
    others: Vec<(String, Descriptor)>,
    looked_at: Instant,
    /// What may serve again is asked for, as long as that is no trouble.
    inquiry: Inquiry,
    /// What the repository has without being asked.
    vouched: Mutex<BTreeSet<Digest>>,
    /// Whether a tag vouches for what it points at.
    is_vouched: bool,
    /// Whether nothing stands where something would, in a repository that is used.
    is_new: AtomicBool,
    confirmed: Once,
    /// The upload that proved the right to push.
    spare: OnceCell<SpareUpload>,
}

#[async_trait]
impl Session for Push {
    fn repository(&self) -> Option<&Repository> {
        Some(&self.repository)
    }

    fn awaits_image(&self) -> bool {
        self.context.existing_tag == ExistingTag::Fail && !self.found.is_empty()
    }

    async fn prove(&self) -> Result<()> {
        if !self.is_vouched {
            let begin = || Box::pin(self.context.client.begin_upload(&self.repository));
            self.spare.get_or_try_init(begin).await?;
        }
        Ok(())
    }

    async fn add_layer(&self, layer: &Layer) -> Result<()> {
        self.bring_layer(layer).await
    }

    async fn check(&self, assembly: &Assembly) -> Result<()> {
        let wanted = assembly.descriptor().digest;
        let others = self.found.iter().map(|(tag, found)| (tag.as_str(), found.digest));
        let others: Vec<_> = others.filter(|(_, existing)| *existing != wanted).collect();
        if others.is_empty() || self.context.existing_tag != ExistingTag::Fail {
            return Ok(());
        }
        Err(self.tags_exist(&others, assembly).await)
    }

    async fn finish(&self, assembly: &Assembly) -> Result<Published> {
        let is_there =
            || self.found.values().any(|found| found.digest == assembly.descriptor().digest);
        if self.context.takes_tags_word && is_there() {
            self.trust(vouching::content_of_assembly(assembly));
        }
        let mut round = 0;
        let kept = loop {
            let error = match self.publish(assembly).await {
                Ok(kept) => break kept,
                Err(error) => error,
            };
            let is_missing = error
                .downcast_ref::<registry::Error>()
                .is_some_and(|error| matches!(error, registry::Error::ContentMissing { .. }));
            round += 1;
            if !is_missing || round > ROUNDS {
                return Err(error);
            }
            self.context.events.warn(
                "registry-lost-content",
                format!("`{}` lost content that it had: bringing it again", self.repository),
                None,
            );
            // Several who bring the same at once disturb each other: chance puts one after the other.
            let longest = ROUND_WAIT * 2_u32.pow(round - 1);
            self.context.client.clock().sleep(longest.mul_f64(fastrand::f64())).await;
            self.forget();
        };
        self.abandon().await;
        let descriptor = assembly.descriptor().clone();
        Ok(Published {
            reference: self.repository.at_digest(descriptor.digest).to_string(),
            descriptor,
            tags: self.tags.iter().filter(|tag| !kept.contains_key(*tag)).cloned().collect(),
            kept,
            platforms: contents::platforms(assembly),
        })
    }

    async fn earlier(&self, number: usize) -> Option<Earlier> {
        let found = self.tags.iter().filter_map(|tag| Some((tag, self.found.get(tag)?)));
        let others = self.others.iter().map(|(tag, found)| (tag, found));
        let (tag, top) = found.chain(others).nth(number)?;
        let reference = self.repository.at_tag(tag);
        let earlier = Box::pin(self.inquiry.read(&reference, top)).await;
        earlier.inspect_err(|error| self.inquiry.tell(&reference, error)).ok()
    }

    async fn abandon(&self) {
        if let Some(spare) = self.spare.get() {
            self.context.client.cancel_upload(spare).await;
        }
    }
}

impl Push {
    /// Asks what the tags are, and reads what stands under one of them when nobody here knows it.
    pub(super) async fn begin(
        repository: &Repository,
        tags: Vec<String>,
        context: &PublishContext,
    ) -> Result<Self> {
        let mut push = Push {
            repository: repository.clone(),
            tags,
            context: context.clone(),
            found: BTreeMap::new(),
            others: Vec::new(),
            looked_at: context.client.clock().now(),
            inquiry: Inquiry::new(&context.client, &context.store, &context.events),
            vouched: Mutex::default(),
            confirmed: Once::default(),
            is_vouched: false,
            is_new: AtomicBool::new(false),
            spare: OnceCell::new(),
        };
        push.found = Box::pin(push.look()).await?;
        if push.found.is_empty() {
            push.others = push.look_further().await;
            let is_new = context.earlier_tags.is_some() && push.others.is_empty();
            push.is_new = AtomicBool::new(is_new);
        }
        push.is_vouched = push.trust_what_stands_there().await?;
        Ok(push)
    }

    /// Asks for images that may be known here, or whose layers may serve again; best effort.
    async fn look_further(&self) -> Vec<(String, Descriptor)> {
        let further = self.context.earlier_tags.iter().flatten();
        let look = async |tag: &String| {
            let reference = self.repository.at_tag(tag);
            let found = self.inquiry.look(&reference).await;
            let found = found.inspect_err(|error| self.inquiry.tell(&reference, error));
            Some((tag.clone(), found.ok()??))
        };
        let further = further.filter(|tag| !self.tags.contains(tag));
        let found = future::join_all(further.map(look)).await;
        found.into_iter().flatten().collect()
    }

    /// Asks what the tags are.
    async fn look(&self) -> Result<BTreeMap<String, Descriptor>> {
        let look = async |tag: &String| {
            let reference = self.repository.at_tag(tag);
            match self.context.client.look_before_push(&reference).await? {
                TagLookup::Found(found) => Ok(Some((tag.clone(), found))),
                TagLookup::Unknown(source) if self.context.existing_tag != ExistingTag::Move => {
                    let tag = reference.to_string();
                    Err(Error::new(registry::Error::TagUnknown { tag, source }))
                }
                TagLookup::Absent | TagLookup::Unknown(_) => Ok(None),
            }
        };
        let found = future::try_join_all(self.tags.iter().map(look)).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// As [`Push::trust_what_is_known`], after reading an image that nobody here knows yet.
    async fn trust_what_stands_there(&self) -> Result<bool> {
        if !self.context.takes_tags_word {
            return Ok(false);
        }
        if self.trust_what_is_known().await? {
            return Ok(true);
        }
        let is_read = self.context.earlier_tags.is_some() && self.earlier(0).await.is_some();
        Ok(is_read && self.trust_what_is_known().await?)
    }

    /// Takes the tags' word for the images that are known here. Answers whether there was one.
    async fn trust_what_is_known(&self) -> Result<bool> {
        let mut is_known = false;
        for descriptor in self.found.values().chain(self.others.iter().map(|(_, found)| found)) {
            let (store, descriptor) = (self.context.store.clone(), descriptor.clone());
            let content = blocking(move || vouching::content_of(&store, &descriptor)).await?;
            if let Some(content) = content {
                self.trust(content);
                is_known = true;
            }
        }
        Ok(is_known)
    }

    fn trust(&self, content: BTreeSet<Digest>) {
        self.context.whereabouts.note(&self.repository, content.iter().copied());
        self.vouched().extend(content);
    }

    /// Believes nothing any more: the registry lost some of what it had.
    fn forget(&self) {
        self.is_new.store(false, Ordering::Relaxed);
        self.vouched().clear();
        self.confirmed.forget();
        self.context.whereabouts.forget(self.repository.registry());
    }

    fn vouched(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.vouched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn bring_layer(&self, layer: &Layer) -> Result<()> {
        let (source, other) = match &layer.origin {
            Origin::Store => {
                let (store, digest) = (&self.context.store, &layer.descriptor.digest);
                let path = store.blob_path(digest);
                let is_new = store.has_written(digest);
                (if is_new { BlobSource::File(path) } else { BlobSource::Unverified(path) }, None)
            }
            Origin::Layout(path) => {
                let path = Store::read_only(path).blob_path(&layer.descriptor.digest);
                (BlobSource::File(path), None)
            }
            Origin::Registry(origin) => {
                let is_near =
                    origin.registry() == self.repository.registry() && origin != &self.repository;
                (BlobSource::Registry(origin.clone()), is_near.then_some(origin))
            }
        };
        let brought = self.bring(&layer.descriptor, &layer.name, &source, other).await;
        brought
            .map_err(|error| if is_missing(&error) { gone(layer).unwrap_or(error) } else { error })
    }

    /// Makes sure that the repository has a blob.
    async fn bring(
        &self,
        descriptor: &Descriptor,
        name: &str,
        source: &BlobSource,
        origin: Option<&Repository>,
    ) -> Result<()> {
        let digest = descriptor.digest;
        let bring = async {
            let subject = format!("{} {name}", descriptor.digest.short());
            let task = self.context.events.task(Action::Upload, subject, Some(descriptor.size));
            let task = task.about(descriptor);
            if self.vouched().contains(&digest) {
                task.skip("is there");
                return Ok(());
            }
            let PublishContext { client, whereabouts, .. } = &self.context;
            let bring = async |other: Option<&Repository>| {
                let mount_from = other.or(origin);
                let (repository, spare) = (&self.repository, self.spare.get());
                let is_hardly_there = self.is_new.load(Ordering::Relaxed);
                let push =
                    BlobPush { repository, descriptor, source, mount_from, spare, is_hardly_there };
                match Box::pin(client.push_blob(push, &task)).await? {
                    BlobOutcome::Present => Ok(Some("is there".to_owned())),
                    BlobOutcome::Mounted => Ok(Some(mount_from.map_or_else(
                        || "mounted".to_owned(),
                        |repository| format!("mounted from {repository}"),
                    ))),
                    BlobOutcome::Uploaded => Ok(None),
                }
            };
            if let Some(reason) = whereabouts.bring(digest, &self.repository, bring).await? {
                task.skip(reason);
            } else {
                whereabouts.count_upload(descriptor.size);
                task.finish(readable_size(descriptor.size));
            }
            Ok(())
        };
        self.confirmed.run(digest, bring).await
    }

    /// Confirms every blob, then puts manifests, index and tags, in this order. Answers which tags
    /// stayed where they were.
    async fn publish(&self, assembly: &Assembly) -> Result<BTreeMap<String, Digest>> {
        let contents = contents::Contents::of(assembly);
        let layers: Vec<_> =
            contents.layers.values().map(|layer| self.bring_layer(layer)).collect();
        futures_util::stream::iter(layers)
            .buffer_unordered(CONCURRENT_BLOBS)
            .try_collect::<()>()
            .await?;
        for image in &assembly.images {
            let config = BlobSource::Bytes(image.config.bytes.clone());
            // One of several is told apart by its platform.
            let name = match &assembly.index {
                Some(_) => format!("image config of {}", image.platform),
                None => "image config".to_owned(),
            };
            self.bring(&image.config.descriptor, &name, &config, None).await?;
        }
        let (top, bytes) = match (&assembly.index, &assembly.images[..]) {
            (Some(index), images) => {
                for image in images {
                    let manifest = &image.manifest;
                    let subject = format!("{} for {}", self.repository, image.platform);
                    self.put(subject, &manifest.descriptor, &manifest.bytes).await?;
                }
                (&index.descriptor, &index.bytes)
            }
            (None, images) => {
                let image = images.first().expect("an assembly has an image");
                (&image.manifest.descriptor, &image.manifest.bytes)
            }
        };
        let mut kept = BTreeMap::new();
        for tag in &self.tags {
            if let Some(existing) = self.put_tag(tag, top, bytes, assembly).await? {
                kept.insert(tag.clone(), existing);
            }
        }
        if kept.len() == self.tags.len() {
            self.put(self.repository.to_string(), top, bytes).await?;
        }
        Ok(kept)
    }

    /// Makes a tag point at the image; answers where it stands when it is kept there.
    async fn put_tag(
        &self,
        tag: &str,
        descriptor: &Descriptor,
        bytes: &Bytes,
        assembly: &Assembly,
    ) -> Result<Option<Digest>> {
        let PublishContext { client, events, existing_tag, .. } = &self.context;
        let reference = self.repository.at_tag(tag);
        let task = events.task(Action::Publish, reference.to_string(), None);
        let is_recent = client.clock().now() - self.looked_at < LOOK_COUNTS_FOR;
        // A look that is older is repeated by whoever puts the tag.
        if is_recent && self.found.get(tag).is_some_and(|found| found.digest == descriptor.digest) {
            task.skip("unchanged");
            return Ok(None);
        }
        let outcome = match existing_tag {
            ExistingTag::Move => client.put_manifest(&reference, descriptor, bytes).await,
            ExistingTag::Fail | ExistingTag::Keep => {
                client.create_tag(&reference, descriptor, bytes).await
            }
        };
        let error = match outcome {
            Ok(outcome) => {
                end(task, outcome, descriptor);
                return Ok(None);
            }
            Err(error) => error,
        };
        let Some(registry::Error::TagIsImmutable { existing: Some(existing), .. }) =
            error.downcast_ref()
        else {
            return Err(error);
        };
        let existing = *existing;
        let moved = self.what_moved(existing, assembly).await;
        match existing_tag {
            ExistingTag::Move => {
                Err(error.attempting(format!("move `{reference}`: {}", moved.join("; "))))
            }
            ExistingTag::Fail => Err(self.tags_exist(&[(tag, existing)], assembly).await),
            ExistingTag::Keep => {
                task.skip(format!("kept at {existing}: {}", moved.join("; ")));
                Ok(Some(existing))
            }
        }
    }

    /// The error for tags that stand at other images.
    async fn tags_exist(&self, tags: &[(&str, Digest)], assembly: &Assembly) -> Error {
        let mut standing = Vec::with_capacity(tags.len());
        for (tag, existing) in tags {
            standing.push(StandingTag {
                tag: self.repository.at_tag(*tag).to_string(),
                existing: *existing,
                differences: self.what_moved(*existing, assembly).await,
            });
        }
        PublishError::TagsExist { tags: standing, wanted: assembly.descriptor().digest }.into()
    }

    async fn what_moved(&self, standing: Digest, assembly: &Assembly) -> Vec<String> {
        standing::what_moved(&self.context.client, &self.repository, standing, assembly).await
    }

    /// Puts a document by its digest, which is what comes of it: the subject does not name it.
    async fn put(&self, subject: String, descriptor: &Descriptor, bytes: &Bytes) -> Result<()> {
        let task = self.context.events.task(Action::Publish, subject, None);
        if self.vouched().contains(&descriptor.digest) {
            task.skip("unchanged");
            return Ok(());
        }
        let reference = self.repository.at_digest(descriptor.digest);
        end(
            task,
            self.context.client.put_manifest(&reference, descriptor, bytes).await?,
            descriptor,
        );
        Ok(())
    }
}

fn end(task: Task, outcome: ManifestOutcome, descriptor: &Descriptor) {
    match outcome {
        ManifestOutcome::Unchanged => task.skip("unchanged"),
        ManifestOutcome::Put => task.finish(descriptor.digest.to_string()),
    }
}

/// Whether what was to be sent is not where it was.
fn is_missing(error: &Error) -> bool {
    let cause = error.downcast_ref().map(registry::Error::root);
    matches!(cause, Some(registry::Error::Source { source, .. }) if source.kind() == io::ErrorKind::NotFound)
}

/// Says that a layer was removed from here since it was packed or read.
fn gone(layer: &Layer) -> Option<Error> {
    let place = match &layer.origin {
        Origin::Store => "the cache".to_owned(),
        Origin::Layout(path) => format!("`{}`", path.display()),
        Origin::Registry(_) => return None,
    };
    Some(PublishError::MissingBlob { digest: layer.descriptor.digest, place }.into())
}
