//! A repository of a registry.
//!
//! Blobs first, manifests of an index next, the tag last: whoever can see the image can pull it.

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::error::Result;
use crate::event::{Action, readable_size};
use crate::image::Assembly;
use crate::layer::Layer;
use crate::oci::{Descriptor, Reference, Repository};
use crate::plan::Origin;
use crate::publish::once::Once;
use crate::publish::{
    Destination, DestinationKind, ParsedDestination, PublishContext, PublishError, Published,
    Session, contents,
};
use crate::registry::{self, BlobOutcome, BlobSource, ManifestOutcome};
use crate::store::Store;

/// See the module.
pub(super) static KIND: DestinationKind = DestinationKind {
    name: "registry",
    syntax: "HOST/REPOSITORY[:TAG]",
    summary: "a repository of a registry",
    is_remote: true,
    parse,
};

/// Blobs that are brought at the same time while a session is being finished.
const CONCURRENT_BLOBS: usize = 4;

/// How often everything is brought again because the registry lost some of it (a garbage
/// collection, or a store that is slow to agree with itself).
const ROUNDS: usize = 2;

#[derive(Debug)]
struct Registry {
    repository: Repository,
    tag: Option<String>,
}

#[derive(Debug)]
struct Push {
    repository: Repository,
    tag: Option<String>,
    context: PublishContext,
    confirmed: Once,
}

fn parse(text: &str) -> Option<ParsedDestination> {
    // A bare name would be one of Docker's official images: nobody means to push there.
    if !text.contains('/') {
        return None;
    }
    let reference: Reference = match text.parse() {
        Ok(reference) => reference,
        Err(error) => return Some(Err(PublishError::from(error))),
    };
    let Reference { repository, tag, digest } = reference;
    Some(match digest {
        None => Ok(Box::new(Registry { repository, tag })),
        Some(_) => Err(PublishError::InvalidDestination {
            text: text.to_owned(),
            reason: "a digest is what comes of pushing, it cannot be chosen".into(),
        }),
    })
}

#[async_trait]
impl Destination for Registry {
    fn kind(&self) -> &'static DestinationKind {
        &KIND
    }

    fn describe(&self) -> String {
        match &self.tag {
            Some(tag) => self.repository.at_tag(tag).to_string(),
            None => self.repository.to_string(),
        }
    }

    /// Credentials that are missing or wrong come out here, before anything is packed or sent.
    async fn open(&self, context: &PublishContext) -> Result<Box<dyn Session>> {
        let tag = self.tag.as_deref().unwrap_or("latest");
        Box::pin(context.client.prove_push(&self.repository, tag)).await?;
        Ok(Box::new(Push {
            repository: self.repository.clone(),
            tag: self.tag.clone(),
            context: context.clone(),
            confirmed: Once::default(),
        }))
    }
}

#[async_trait]
impl Session for Push {
    async fn add_layer(&self, layer: &Layer) -> Result<()> {
        let (source, other) = match &layer.origin {
            Origin::Store => {
                (BlobSource::File(self.context.store.blob_path(&layer.descriptor.digest)), None)
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
        self.bring(&layer.descriptor, &layer.name, &source, other).await
    }

    async fn finish(&self, assembly: &Assembly, tags: &[String]) -> Result<Published> {
        let tags: Vec<String> = match &self.tag {
            Some(own) => vec![own.clone()],
            None => tags.to_vec(),
        };
        let mut round = 0;
        while let Err(error) = self.publish(assembly, &tags).await {
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
            self.confirmed.forget();
        }
        let descriptor = assembly.descriptor().clone();
        Ok(Published {
            reference: self.repository.at_digest(descriptor.digest).to_string(),
            descriptor,
            tags,
            platforms: contents::platforms(assembly),
        })
    }
}

impl Push {
    /// Makes sure that the repository has a blob.
    async fn bring(
        &self,
        descriptor: &Descriptor,
        name: &str,
        source: &BlobSource,
        mount_from: Option<&Repository>,
    ) -> Result<()> {
        let bring = async {
            let subject = format!("{} {name}", descriptor.digest.short());
            let task = self.context.events.task(Action::Upload, subject, Some(descriptor.size));
            let task = task.about(descriptor);
            let client = &self.context.client;
            let pushing = client.push_blob(&self.repository, descriptor, source, mount_from, &task);
            match Box::pin(pushing).await? {
                BlobOutcome::Present => task.skip("is there"),
                BlobOutcome::Mounted => task.skip(mount_from.map_or_else(
                    || "mounted".to_owned(),
                    |repository| format!("mounted from {repository}"),
                )),
                BlobOutcome::Uploaded => task.finish(readable_size(descriptor.size)),
            }
            Ok(())
        };
        self.confirmed.run(descriptor.digest, bring).await
    }

    /// Confirms every blob, then puts manifests, index and tags, in this order.
    async fn publish(&self, assembly: &Assembly, tags: &[String]) -> Result<()> {
        let contents = contents::Contents::of(assembly);
        let layers: Vec<_> = contents.layers.values().map(|layer| self.add_layer(layer)).collect();
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
        if let Some(index) = &assembly.index {
            for image in &assembly.images {
                let manifest = &image.manifest;
                let reference = self.repository.at_digest(manifest.descriptor.digest);
                let subject = format!("{} for {}", self.repository, image.platform);
                self.put(subject, &reference, &manifest.descriptor, &manifest.bytes).await?;
            }
            self.put_top(&index.descriptor, &index.bytes, tags).await
        } else {
            for image in &assembly.images {
                self.put_top(&image.manifest.descriptor, &image.manifest.bytes, tags).await?;
            }
            Ok(())
        }
    }

    /// Puts what the tags are to point at.
    async fn put_top(
        &self,
        descriptor: &Descriptor,
        bytes: &bytes::Bytes,
        tags: &[String],
    ) -> Result<()> {
        if tags.is_empty() {
            let reference = self.repository.at_digest(descriptor.digest);
            return self.put(self.repository.to_string(), &reference, descriptor, bytes).await;
        }
        for tag in tags {
            let reference = self.repository.at_tag(tag);
            self.put(reference.to_string(), &reference, descriptor, bytes).await?;
        }
        Ok(())
    }

    /// Puts a document; its digest is what comes of it, so the subject does not name it.
    async fn put(
        &self,
        subject: String,
        reference: &Reference,
        descriptor: &Descriptor,
        bytes: &bytes::Bytes,
    ) -> Result<()> {
        let task = self.context.events.task(Action::Publish, subject, None);
        match self.context.client.put_manifest(reference, descriptor, bytes).await? {
            ManifestOutcome::Unchanged => task.skip("unchanged"),
            ManifestOutcome::Put => task.finish(descriptor.digest.to_string()),
        }
        Ok(())
    }
}
