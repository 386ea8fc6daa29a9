//! `dockless check-base`: asks registries whether a tag still points at what is pinned. Manifests only.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::lock::at;
use super::project::Project;
use super::{Context, ProjectRequest};
use super::{client, project, runtime};
use crate::config::Base;
use crate::error::{Attempting as _, Classified, ErrorKind, Result};
use crate::gather::read_lock;
use crate::oci::{Digest, Document, Platform, Reference};
use crate::plan::{Lock, locked_name};
use crate::registry::{Client, FetchedManifest};
use crate::sys::blocking;

/// Where the tags of the pinned images point now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckBaseReport {
    images: Vec<Answer>,
}

/// What became of one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    /// As it is written in the config or in the lock.
    name: Reference,
    pinned: Digest,
    /// Where the tag points now; the same where there is no tag.
    now: Digest,
    /// Whether the images of our platforms are others.
    has_moved: bool,
}

/// An image that is pinned.
struct Pin {
    name: Reference,
    digest: Digest,
    /// The manifests of the project's platforms; none where only the config has the digest.
    manifests: BTreeMap<Platform, Digest>,
}

/// Nothing says where these images should be: the base among them, or all.
#[derive(Debug, thiserror::Error)]
#[error("neither `dockless.lock` nor the config has the digest of {}", quoted(names))]
struct NotPinned {
    names: Vec<Reference>,
}

impl Classified for NotPinned {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let forms: Vec<_> = self.names.iter().map(|name| format!("`{name}@sha256:…`")).collect();
        vec![format!("`dockless lock` pins what the project needs, or write {}", forms.join(", "))]
    }
}

/// A tag points elsewhere.
#[derive(Debug, thiserror::Error)]
#[error("{count} of {all} images moved")]
struct Moved {
    count: usize,
    all: usize,
    hints: Vec<String>,
}

impl Classified for Moved {
    fn kind(&self) -> ErrorKind {
        ErrorKind::No
    }

    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }
}

/// Asks where the tags of a project's base, and of whatever else is locked, point now.
///
/// # Errors
/// The base is not pinned, or a registry does not answer. That a tag moved is in the report.
pub fn check_base(request: &ProjectRequest, context: &Context) -> Result<CheckBaseReport> {
    let project = project::load_to_pin(request, context)?;
    let config = &project.config;
    let client = client::client_for_pulls(context, &request.network, &config.publish)?;
    runtime::run(context, request.network.timeout, async {
        let directory = config.source.directory.clone();
        let text = blocking(move || read_lock(&directory)).await?;
        let lock = text.map(|text| Lock::parse(&text)).transpose()?.unwrap_or_default();
        let unpinned = unpinned(&project, &lock);
        let pins = pins(&config.base, lock, &config.platforms);
        if !unpinned.is_empty() {
            let is_base = |name: &Reference| is_base(&config.base, name);
            if pins.is_empty() || unpinned.iter().any(is_base) {
                return Err(NotPinned { names: unpinned }.into());
            }
            let text = format!("not pinned, so not looked at: {}", quoted(&unpinned));
            context.events.warn("not-pinned", text, Some("`dockless lock` pins it".into()));
        }
        if pins.is_empty() {
            context.events.note("the base is in no registry: nothing can move");
        }
        let mut images = Vec::with_capacity(pins.len());
        for pin in pins {
            let name = pin.name.clone();
            let answer = Box::pin(ask(pin, &config.platforms, &client)).await;
            images.push(answer.attempting(|| format!("look at `{name}`"))?);
        }
        Ok(CheckBaseReport { images })
    })
}

/// The images of a project that have no digest anywhere.
fn unpinned(project: &Project, lock: &Lock) -> Vec<Reference> {
    let names = project.image_names().into_iter();
    names.filter(|name| name.digest.is_none() && !lock.images.contains_key(name)).collect()
}

fn is_base(base: &Base, name: &Reference) -> bool {
    matches!(base, Base::Registry(base) if locked_name(base) == *name)
}

fn quoted(names: &[Reference]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// What is pinned: the base, and whatever else is locked.
fn pins(base: &Base, lock: Lock, platforms: &[Platform]) -> Vec<Pin> {
    let mut pins = Vec::new();
    if let Base::Registry(name) = base
        && let name = locked_name(name)
        && !lock.images.contains_key(&name)
        && let Some(digest) = name.digest
    {
        pins.push(Pin { name, digest, manifests: BTreeMap::new() });
    }
    let locked = lock.images.into_iter().map(|(name, image)| {
        let digests = image.platforms.into_iter();
        let digests = digests.map(|(platform, it)| (platform, it.manifest.descriptor.digest));
        let manifests = digests.filter(|(platform, _)| platforms.contains(platform)).collect();
        Pin { name, digest: image.digest, manifests }
    });
    pins.extend(locked);
    pins
}

async fn ask(pin: Pin, platforms: &[Platform], client: &Client) -> Result<Answer> {
    let Pin { name, digest: pinned, mut manifests } = pin;
    let still = |now, has_moved| Answer { name: name.clone(), pinned, now, has_moved };
    let Some(tag) = &name.tag else { return Ok(still(pinned, false)) };
    let repository = client.source_of(&name.repository)?;
    let tagged = repository.at_tag(tag.as_str());
    if client.resolve(&tagged).await?.is_some_and(|found| found.digest == pinned) {
        return Ok(still(pinned, false));
    }
    let now = client.fetch_manifest(&tagged).await?;
    if manifests.is_empty() {
        let before = client.fetch_manifest(&repository.at_digest(pinned)).await?;
        let known = |platform: &Platform| Some((platform.clone(), image(&before, platform)?));
        manifests = platforms.iter().filter_map(known).collect();
    }
    // An index changes whenever any of its platforms does.
    let is_same = platforms.iter().all(|platform| {
        let manifest = image(&now, platform);
        manifest.is_some() && manifest == manifests.get(platform).copied()
    });
    Ok(still(now.digest, now.digest != pinned && !is_same))
}

/// The manifest for a platform, as far as that can be told from this document alone.
fn image(found: &FetchedManifest, platform: &Platform) -> Option<Digest> {
    if !found.media_type.is_index() {
        return Some(found.digest);
    }
    let index = Document::parse_index(found.bytes.clone(), found.media_type.clone()).ok()?;
    index.value.find(platform).map(|entry| entry.digest)
}

impl Answer {
    fn line(&self) -> String {
        let Self { name, pinned, now, has_moved } = self;
        match (has_moved, pinned == now) {
            (true, _) => format!("{name} moved from {pinned} to {now}"),
            (false, true) => format!("{name} is still {pinned}"),
            (false, false) => format!(
                "{name} is now {now}, not {pinned}, with the same images for the project's platforms"
            ),
        }
    }

    /// What to do about a tag that moved.
    fn hint(&self) -> String {
        match self.name.digest {
            None => "`dockless lock --upgrade` takes the new images; commit the file".into(),
            Some(_) => format!("write `{}`, and then `dockless lock`", at(&self.name, self.now)),
        }
    }

    fn document(&self) -> Value {
        json!({
            "name": self.name.to_string(),
            "pinned_digest": self.pinned,
            "digest": self.now,
            "has_moved": self.has_moved,
        })
    }
}

impl CheckBaseReport {
    /// One line per image.
    pub fn lines(&self) -> Vec<String> {
        self.images.iter().map(Answer::line).collect()
    }

    /// The report as one JSON document.
    pub fn document(&self) -> Value {
        json!({ "images": self.images.iter().map(Answer::document).collect::<Vec<_>>() })
    }

    /// Whether everything is where it was.
    ///
    /// # Errors
    /// Something moved.
    pub fn into_result(self) -> Result<()> {
        let moved: Vec<_> = self.images.iter().filter(|answer| answer.has_moved).collect();
        let hints: BTreeSet<_> = moved.iter().map(|answer| answer.hint()).collect();
        if moved.is_empty() {
            return Ok(());
        }
        let (count, all) = (moved.len(), self.images.len());
        Err(Moved { count, all, hints: hints.into_iter().collect() }.into())
    }
}
