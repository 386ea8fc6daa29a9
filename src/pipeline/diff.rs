//! `dockless diff`: what changed between two images, in settings, layers and files.
//!
//! Layers that both stand on are not read, and none at all where all are the same. `layers.rs` compares the lists,
//! `files.rs` reads what differs, `report.rs` tells what came of it.

mod files;
mod layers;
mod report;

use std::collections::BTreeSet;

use serde_json::json;

use super::subject::{Found, Parts, Subject, Target};
use super::{Context, Credentials, NetworkRequest, client, runtime};
use crate::error::{Attempting as _, Classified, Error, ErrorKind, Result};
use crate::image::{Documents, FieldDifference, differing_fields, differing_members};
use crate::oci::Platform;
use crate::plan::secrets::is_secret_name;
use files::ReadLayers;
use layers::Stacks;
pub use report::DiffReport;
use report::{Pair, Side};

/// `dockless diff`.
#[derive(Debug, Clone, Default)]
pub struct DiffRequest {
    /// The images, the older one first: references, `oci:DIR`, or records of builds.
    pub images: [String; 2],
    /// The platforms that are compared; empty means all that both have.
    pub platforms: Vec<Platform>,
    /// How to reach registries.
    pub network: NetworkRequest,
    /// Credentials for the images' registry.
    pub credentials: Option<Credentials>,
}

/// What was named holds no image.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` is no container image")]
struct NoImages {
    name: String,
}

impl Classified for NoImages {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![format!("`dockless inspect {}` says what it is", self.name)]
    }
}

/// Compares two images. Whether they are the same is in the report.
///
/// # Errors
/// One of them cannot be fetched, is no image, or has none for a platform that was asked for.
pub fn diff(request: &DiffRequest, context: &Context) -> Result<DiffReport> {
    let [before, after] = &request.images;
    let (before, after) = (Target::find(before)?, Target::find(after)?);
    let hosts: BTreeSet<_> = before.hosts().into_iter().chain(after.hosts()).collect();
    let purpose = client::Purpose {
        network: &request.network,
        hosts: &hosts,
        credentials: request.credentials.as_ref(),
        publish: None,
    };
    let client = client::client(context, &purpose)?;
    let fetch = async |target: &Target| {
        let subject = Box::pin(Subject::fetch(target, &client)).await;
        subject.attempting(|| format!("fetch `{target}`"))
    };
    runtime::run(context, request.network.timeout, async {
        let (before, after) = tokio::try_join!(fetch(&before), fetch(&after))?;
        Box::pin(compare(&before, &after, &request.platforms, context)).await
    })
}

async fn compare(
    before: &Subject,
    after: &Subject,
    platforms: &[Platform],
    context: &Context,
) -> Result<DiffReport> {
    let mut report = DiffReport::new(Side::of(before), Side::of(after));
    if before.top.digest == after.top.digest && platforms.is_empty() {
        return Ok(report);
    }
    let parts = async |subject: &Subject| {
        let parts = Box::pin(subject.parts(platforms)).await;
        let parts = parts.attempting(|| format!("read `{}`", subject.name))?;
        if parts.images().next().is_none() {
            return Err(NoImages { name: subject.name.clone() }.into());
        }
        Ok::<Parts, Error>(parts)
    };
    let (old, new) = tokio::try_join!(parts(before), parts(after))?;
    let pairs = pairs(&old, &new, &mut report);
    let stacks: Vec<_> = pairs.iter().map(|(old, new)| Stacks::of(old, new)).collect();
    let read = ReadLayers::read(&stacks, before, after, context).await?;
    for ((old, new), stacks) in pairs.iter().zip(&stacks) {
        report.pairs.push(compare_images(old, new, stacks, &read));
    }
    report.is_index_changed =
        platforms.is_empty() && (old.index.is_some() || new.index.is_some()) && report.is_equal();
    Ok(report)
}

/// The images to compare; what only one side has is told to the report.
fn pairs<'a>(
    old: &'a Parts,
    new: &'a Parts,
    report: &mut DiffReport,
) -> Vec<(&'a Found, &'a Found)> {
    if old.index.is_none() && new.index.is_none() {
        return old.images().zip(new.images()).collect();
    }
    let is_in = |found: &Found, parts: &'a Parts| {
        parts.images().find(|other| found.platform.is_served_by(&other.platform))
    };
    let alone = |parts: &'a Parts, others: &'a Parts| -> Vec<Platform> {
        let alone = parts.images().filter(|found| is_in(found, others).is_none());
        alone.map(|found| found.platform.clone()).collect()
    };
    report.has_platforms = true;
    report.removed = alone(old, new);
    report.added = alone(new, old);
    old.images().filter_map(|found| Some((found, is_in(found, new)?))).collect()
}

fn compare_images(old: &Found, new: &Found, stacks: &Stacks<'_>, read: &ReadLayers) -> Pair {
    let digests = [old, new].map(|found| found.manifest.descriptor.digest);
    let mut pair = Pair::new(old.platform.clone(), digests);
    if digests[0] == digests[1] {
        return pair;
    }
    pair.fields = fields(old, new);
    pair.layers = stacks.changes();
    pair.shared_layers = stacks.shared();
    pair.is_reordered = stacks.is_reordered();
    pair.files = read.differences(stacks);
    if pair.is_silent() {
        pair.fields = members(old, new);
    }
    pair
}

fn fields(old: &Found, new: &Found) -> Vec<FieldDifference> {
    let [old, new] = [old, new].map(|Found { manifest, config, .. }| Documents {
        manifest: &manifest.value,
        config: &config.value,
    });
    differing_fields(old, new, is_secret_name)
}

/// Where the documents part that say the same in every field that is known.
fn members(old: &Found, new: &Found) -> Vec<FieldDifference> {
    let configs = differing_members(&json!(old.config.value), &json!(new.config.value));
    if configs.is_empty() {
        differing_members(&json!(old.manifest.value), &json!(new.manifest.value))
    } else {
        configs
    }
}
