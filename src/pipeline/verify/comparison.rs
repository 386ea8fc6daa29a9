//! Compares the documents of an image with those that were built, and leaves the layers to `layers.rs`.
//!
//! That the image is another one is known from its digest. So whatever cannot be read of it from
//! here on is told as one more thing that is wrong with it: nothing it holds makes the answer a better one.

use bytes::Bytes;
use serde_json::Value;

use super::blobs::Blobs;
use super::hints;
use super::layers::Layers;
use super::report::{Finding, VerifyReport};
use crate::error::Result;
use crate::image::{
    Assembly, Documents, FieldDifference, Image, differing_fields, differing_members,
};
use crate::oci::{Descriptor, Digest, Document, ImageConfig, Index, Manifest, MediaType};
use crate::pipeline::Context;
use crate::pipeline::subject::Subject;
use crate::pipeline::summary::counted;
use crate::plan::Plan;
use crate::store::Store;

/// The most platforms that are named.
const MAX_PLATFORMS: usize = 16;
/// The most fields of the documents that are named.
const MAX_FIELDS: usize = 64;

/// An image and what was built of the project.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    pub(super) subject: &'a Subject,
    pub(super) assembly: &'a Assembly,
    pub(super) plan: &'a Plan,
    /// Whether the user named platforms: then an index may have others, too.
    pub(super) has_chosen_platforms: bool,
    /// Whether files differ from the commit that the image names.
    pub(super) is_dirty: bool,
    /// Has the layers that were built.
    pub(super) store: &'a Store,
    pub(super) context: &'a Context,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Found {
    verified: Vec<String>,
    findings: Vec<Finding>,
    hints: Vec<String>,
    blobs: Blobs,
    /// What people are told when nothing is different.
    notes: Vec<String>,
}

impl Found {
    fn add(&mut self, text: impl AsRef<str>) {
        self.findings.push(Finding::new(text));
    }
}

impl Comparison<'_> {
    /// Compares everything.
    ///
    /// # Errors
    /// What was built cannot be read again.
    pub(super) async fn run(&self) -> Result<VerifyReport> {
        let Self { subject, assembly, .. } = self;
        let built = assembly.descriptor().digest;
        let mut found = Found::default();
        if subject.top.digest == built {
            self.add_equal(built, &assembly.images, &mut found).await;
        } else if subject.top.media_type.is_index() {
            self.compare_index(&mut found).await?;
        } else {
            self.compare_only_image(&mut found).await?;
        }
        let Found { verified, findings, mut hints, blobs, notes } = found;
        if let Some(failure) = blobs.failure {
            // What is different is known without that answer.
            if findings.is_empty() {
                return Err(failure);
            }
            self.context.events.note(format!("not everything could be asked for: {failure}"));
        }
        if findings.is_empty() {
            for note in notes {
                self.context.events.note(note);
            }
        }
        if self.is_dirty && !findings.is_empty() {
            hints.push(hints::DIRTY.to_owned());
        }
        let (reference, digest) = (subject.name.clone(), subject.top.digest);
        Ok(VerifyReport { reference, digest, built, verified, findings, hints })
    }

    /// Keeps in mind what is equal, when all of it can be pulled.
    async fn add_equal(&self, digest: Digest, images: &[Image], found: &mut Found) {
        let first = found.findings.len();
        for image in images {
            let manifest = &image.manifest;
            let mut lost = Vec::new();
            if manifest.descriptor.digest != digest {
                found.blobs.ask_for_manifest(&manifest.descriptor, self.subject).await;
                lost.extend(found.blobs.finding("its manifest", &manifest.descriptor));
            }
            found.blobs.ask(&manifest.value, self.subject).await;
            lost.extend(found.blobs.findings(&manifest.value, &image.layers));
            let is_of_index = self.subject.top.media_type.is_index();
            let platform = is_of_index.then(|| image.platform.to_string());
            let lost = lost.into_iter();
            found
                .findings
                .extend(lost.map(|finding| Finding { platform: platform.clone(), ..finding }));
        }
        if found.findings.len() == first {
            let name = self.subject.at_digest(digest);
            found.notes.push(format!("verified {name}: {}", self.extent(images)));
            found.verified.push(name);
        }
    }

    /// What was verified of images, for people.
    fn extent(&self, images: &[Image]) -> String {
        let base: usize = images.iter().map(|image| self.base_count(image)).sum();
        let layers: usize = images.iter().map(|image| image.layers.len()).sum();
        let platforms = match images.len() {
            1 => String::new(),
            count => format!("{count} platforms, "),
        };
        let of_base = if base > 0 { format!(", {base} of them the base's") } else { String::new() };
        let layers = counted(layers, "layer", "layers");
        format!("{platforms}{layers}{of_base}; all of it can be pulled")
    }

    /// Compares the image of one platform.
    async fn compare_only_image(&self, found: &mut Found) -> Result<()> {
        let top = &self.subject.top;
        if self.assembly.index.is_some() {
            found.add("it is the image of one platform, not an index");
            return Ok(());
        }
        let image = self.assembly.images.first().expect("an assembly has an image");
        self.compare_image(top.bytes.clone(), top.media_type.clone(), image, None, found).await
    }

    async fn compare_index(&self, found: &mut Found) -> Result<()> {
        let top = &self.subject.top;
        let index = match Document::parse_index(top.bytes.clone(), top.media_type.clone()) {
            Ok(index) => index,
            Err(error) => {
                found.add(format!("it cannot be read: {}", crate::error::Error::from(error)));
                return Ok(());
            }
        };
        for image in &self.assembly.images {
            self.compare_entry(&index.value, image, found).await?;
        }
        let platforms = self.further_platforms(&index.value);
        if self.has_chosen_platforms && found.findings.is_empty() {
            if !platforms.is_empty() {
                let text = format!("not verified: the index itself, and {}", platforms.join(", "));
                self.context.events.note(text);
            }
            return Ok(());
        }
        if !platforms.is_empty() {
            found.add(format!("it has what is not built here: {}", platforms.join(", ")));
        }
        match &self.assembly.index {
            None => {
                if found.findings.is_empty() {
                    found.add("it is an index, and one image is built here");
                }
                found.hints.push(hints::platform(&self.assembly.images));
            }
            Some(built) if found.findings.is_empty() => {
                found.findings.extend(members("the index", &index.bytes, &built.bytes));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Compares what an index has for a platform with the image that was built for it.
    async fn compare_entry(&self, index: &Index, image: &Image, found: &mut Found) -> Result<()> {
        let platform = image.platform.to_string();
        // Whatever else is said of an entry, runtimes go by its platform.
        let entries = index.manifests.iter().filter(|entry| {
            entry.platform.as_ref().is_some_and(|offered| image.platform.is_served_by(offered))
        });
        let entries: Vec<&Descriptor> = entries.collect();
        let entry = match entries[..] {
            [] => {
                found.add(format!("{platform} is not in it"));
                return Ok(());
            }
            [entry] => entry,
            // Which one of them a runtime takes is its own choice.
            [entry, ..] => {
                found.add(format!("{platform} is in it {} times", entries.len()));
                entry
            }
        };
        if entry.digest == image.manifest.descriptor.digest {
            self.add_equal(entry.digest, std::slice::from_ref(image), found).await;
            return Ok(());
        }
        let platform = Some(platform);
        match self.subject.manifest(entry).await {
            Ok((bytes, media_type)) => {
                self.compare_image(bytes, media_type, image, platform, found).await
            }
            Err(error) => {
                let finding = Finding::new(format!("its manifest cannot be read: {error}"));
                found.findings.push(Finding { platform, ..finding });
                Ok(())
            }
        }
    }

    /// What an index lists beside the platforms that were built.
    fn further_platforms(&self, index: &Index) -> Vec<String> {
        let is_built = |entry: &&Descriptor| {
            entry.platform.as_ref().is_some_and(|offered| {
                self.assembly.images.iter().any(|image| image.platform.is_served_by(offered))
            })
        };
        let further = index.manifests.iter().filter(|entry| !is_built(entry));
        let name = |entry: &Descriptor| match &entry.platform {
            Some(platform) => platform.to_string().escape_debug().to_string(),
            None => entry.digest.to_string(),
        };
        let mut names: Vec<_> = further.map(name).collect();
        if names.len() > MAX_PLATFORMS {
            let rest = names.len() - MAX_PLATFORMS;
            names.truncate(MAX_PLATFORMS);
            names.push(format!("and {rest} more"));
        }
        names
    }

    /// Compares a manifest that is not the one that was built.
    async fn compare_image(
        &self,
        bytes: Bytes,
        media_type: MediaType,
        image: &Image,
        platform: Option<String>,
        found: &mut Found,
    ) -> Result<()> {
        let first = found.findings.len();
        let manifest: Document<Manifest> = match Document::parse_manifest(bytes, media_type) {
            Ok(manifest) => manifest,
            Err(error) => {
                let error = crate::error::Error::from(error);
                let finding = Finding::new(format!("its manifest cannot be read: {error}"));
                found.findings.push(Finding { platform, ..finding });
                return Ok(());
            }
        };
        found.blobs.ask(&manifest.value, self.subject).await;
        let config = self.config(&manifest.value).await;
        let layers = Layers {
            subject: self.subject,
            manifest: &manifest.value,
            config: config.as_ref().ok().map(|config| &config.value),
            image,
            base_count: self.base_count(image),
            blobs: &found.blobs,
            store: self.store,
            context: self.context,
        };
        let differing = layers.compare().await?;
        found.findings.extend(differing);
        let lost = found.blobs.findings(&manifest.value, &image.layers);
        found.findings.extend(lost);
        match &config {
            Ok(config) => {
                let given = Documents { manifest: &manifest.value, config: &config.value };
                let built =
                    Documents { manifest: &image.manifest.value, config: &image.config.value };
                let fields = differing_fields(given, built, |_| true);
                let further = fields.len().saturating_sub(MAX_FIELDS);
                found.findings.extend(fields.into_iter().take(MAX_FIELDS).map(Finding::field));
                if further > 0 {
                    found.add(format!("{further} further fields of its documents differ"));
                }
                for hint in hints::of(given, built, self.assembly.images.len()) {
                    if !found.hints.contains(&hint) {
                        found.hints.push(hint);
                    }
                }
                if found.findings.len() == first {
                    let (name, given, built) = if config.bytes == image.config.bytes {
                        ("the manifest", &manifest.bytes, &image.manifest.bytes)
                    } else {
                        ("the config", &config.bytes, &image.config.bytes)
                    };
                    found.findings.extend(members(name, given, built));
                }
            }
            // Told already.
            Err(_) if found.blobs.lacks(&manifest.value.config.digest) => {
                if manifest.bytes != image.manifest.bytes {
                    found.add("its manifest is not the one built here; without its config, nothing tells why");
                }
            }
            Err(error) => found.add(format!("its config cannot be read: {error}")),
        }
        for finding in &mut found.findings[first..] {
            finding.platform.clone_from(&platform);
        }
        Ok(())
    }

    async fn config(&self, manifest: &Manifest) -> Result<Document<ImageConfig>> {
        let bytes = self.subject.config(&manifest.config).await?;
        Ok(Document::parse(bytes, MediaType::OciConfig)?)
    }

    /// How many of the layers that were built are the base's.
    fn base_count(&self, image: &Image) -> usize {
        let plan = self.plan.images.iter().find(|plan| plan.platform == image.platform);
        plan.map_or(0, |plan| plan.base.layers.len())
    }
}

/// Where two documents differ that tell nothing else apart.
fn members(name: &str, given: &Bytes, built: &Bytes) -> Vec<Finding> {
    let value = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let members = differing_members(&value(given), &value(built));
    if members.is_empty() {
        return vec![Finding::new(format!("{name} says the same, written in another way"))];
    }
    let finding = |member: FieldDifference| {
        let text = Finding::new(format!("{name} differs: {member}")).text;
        Finding { text, ..Finding::field(member) }
    };
    members.into_iter().map(finding).collect()
}
