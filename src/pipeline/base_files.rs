//! What is known of the bases' file systems: as much as a plan asked before, as it is locked, remembered here or
//! told by an earlier image, else all that their layers hold.

use std::collections::BTreeMap;

use super::earlier::EarlierImages;
use super::gathering::Gathering;
use super::project::Project;
use crate::error::{Attempting as _, Result};
use crate::gather::Missing;
use crate::gather::facts::{self, FactsContext};
use crate::oci::{Digest, Platform};
use crate::plan::{BaseImage, Plan, RootExcerpt};
use crate::sys::blocking;

/// The kind of the records; the number goes up when an excerpt changes its meaning.
const RECORDS: &str = "base-files-1";

/// The bases of a run, one per platform.
pub(super) type Bases = BTreeMap<Platform, BaseImage>;

/// Finds what is locked, remembered or told of the bases, and says whether some have to be read: none where
/// nothing is put on them. Without `earlier`, nothing but the lock counts.
///
/// # Errors
/// Only what is locked counts, and it is not enough.
pub(super) async fn recall(
    bases: &mut Bases,
    project: &Project,
    gathering: &Gathering<'_>,
    earlier: Option<&EarlierImages>,
) -> Result<bool> {
    if project.sources.is_empty() {
        return Ok(false);
    }
    for (platform, base) in bases.iter_mut().filter(|(_, base)| !base.layers.is_empty()) {
        let Some(digest) = digest_of(base) else { continue };
        let excerpt = match (gathering.pins.facts(&digest), earlier) {
            (Some(locked), _) => Some(locked.clone()),
            (None, earlier) => {
                miss(base, platform, gathering)?;
                match earlier {
                    Some(earlier) => excerpt(base, digest, gathering, earlier).await,
                    None => None,
                }
            }
        };
        if let Some(excerpt) = excerpt {
            base.root = excerpt.into_tree();
        }
    }
    Ok(bases.values().any(is_unknown))
}

/// Tells the lock that a base has to be read, unless its files lie here anyway.
fn miss(base: &BaseImage, platform: &Platform, gathering: &Gathering<'_>) -> Result<()> {
    if base.canonical_name.is_none() {
        return Ok(());
    }
    let missing = Missing::Facts { name: base.name.clone(), platform: platform.clone() };
    gathering.pins.miss(missing, &gathering.context.events)
}

/// Whether nothing was said of a base yet.
fn is_unknown(base: &BaseImage) -> bool {
    !base.layers.is_empty() && base.root.is_whole()
}

/// Reads the layers of every base of which nothing is known.
pub(super) async fn read_unknown(bases: &mut Bases, gathering: &Gathering<'_>) -> Result<()> {
    read(bases, gathering, is_unknown).await
}

/// Reads the layers of every base about which a plan asked what nobody knows. Where it came to no plan, what
/// somebody told may be wrong: a mistake of the user's is one of the whole base, or of what is locked.
/// Says whether any was read.
///
/// # Errors
/// Only what is locked counts, and the plan asked more; or the network's.
pub(super) async fn read_unsettled(
    bases: &mut Bases,
    has_plan: bool,
    gathering: &Gathering<'_>,
) -> Result<bool> {
    let is_unsettled = |base: &BaseImage| {
        let is_locked = || digest_of(base).is_some_and(|it| gathering.pins.facts(&it).is_some());
        !base.root.is_sufficient() || !(has_plan || base.root.is_whole() || is_locked())
    };
    for (platform, base) in bases.iter().filter(|(_, base)| !base.root.is_sufficient()) {
        miss(base, platform, gathering)?;
    }
    let has_unsettled = bases.values().any(is_unsettled);
    read(bases, gathering, is_unsettled).await?;
    Ok(has_unsettled)
}

async fn read(
    bases: &mut Bases,
    gathering: &Gathering<'_>,
    is_wanted: impl Fn(&BaseImage) -> bool,
) -> Result<()> {
    let Gathering { client, store, context, .. } = gathering;
    let facts_context = FactsContext { client, store, events: &context.events };
    for base in bases.values_mut() {
        if is_wanted(base) {
            let root = facts::root_tree(&base.layers, facts_context)
                .await
                .attempting(|| format!("read the file system of base `{}`", base.name));
            base.root = root.map_err(|error| match digest_of(base) {
                Some(digest) => gathering.pins.explain(error, &digest),
                None => error,
            })?;
        }
    }
    Ok(())
}

/// What this machine remembers of a base, or an earlier image tells of it.
async fn excerpt(
    base: &BaseImage,
    digest: Digest,
    gathering: &Gathering<'_>,
    earlier: &EarlierImages,
) -> Option<RootExcerpt> {
    let (store, key) = (gathering.store.clone(), key(digest, gathering));
    let layers: Vec<_> = base.layers.iter().map(|layer| layer.descriptor.digest).collect();
    let (remembered, is_known) = blocking(move || {
        let remembered: Option<RootExcerpt> = store.record(RECORDS, &key);
        let is_known = remembered.is_some() || facts::are_known(&layers, &store);
        (remembered, is_known)
    })
    .await;
    if is_known {
        return remembered;
    }
    earlier.base_files(&digest).await
}

/// Remembers what a plan asked, for the next one of this project.
pub(super) async fn remember(plan: &Plan, gathering: &Gathering<'_>) {
    for image in &plan.images {
        if let Some(digest) = digest_of(&image.base)
            && image.base.root.is_whole()
        {
            let (store, key) = (gathering.store.clone(), key(digest, gathering));
            let excerpt = image.base.root.excerpt();
            blocking(move || store.put_record(RECORDS, &key, &excerpt)).await;
        }
    }
}

fn digest_of(base: &BaseImage) -> Option<Digest> {
    base.manifest.as_ref().map(|manifest| manifest.descriptor.digest)
}

/// Each project asks for other folders of a base.
fn key(digest: Digest, gathering: &Gathering<'_>) -> Digest {
    let folder = gathering.folder.directory().as_os_str().as_encoded_bytes();
    Digest::of(&[digest.to_string().as_bytes(), b"\0", folder].concat())
}
