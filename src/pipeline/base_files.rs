//! What is known of the bases' file systems: as much as the last plan asked, remembered here or told by an
//! earlier image, else all that their layers hold.

use std::collections::BTreeMap;

use super::earlier::EarlierImages;
use super::gathering::Gathering;
use super::project::Project;
use crate::error::{Attempting as _, Result};
use crate::gather::facts::{self, FactsContext};
use crate::oci::{Digest, Platform};
use crate::plan::{BaseImage, Plan, RootExcerpt};
use crate::sys::blocking;

/// The kind of the records; the number goes up when an excerpt changes its meaning.
const RECORDS: &str = "base-files-1";

/// The bases of a run, one per platform.
pub(super) type Bases = BTreeMap<Platform, BaseImage>;

/// Finds what is remembered or told of the bases, and says whether some have to be read: none where
/// nothing is put on them. Without `earlier`, nobody's word counts.
pub(super) async fn recall(
    bases: &mut Bases,
    project: &Project,
    gathering: &Gathering<'_>,
    earlier: Option<&EarlierImages>,
) -> bool {
    if project.sources.is_empty() {
        return false;
    }
    for base in bases.values_mut().filter(|base| !base.layers.is_empty()) {
        let excerpt = match (earlier, digest_of(base)) {
            (Some(earlier), Some(digest)) => excerpt(base, digest, gathering, earlier).await,
            _ => None,
        };
        if let Some(excerpt) = excerpt {
            base.root = excerpt.into_tree();
        }
    }
    bases.values().any(is_unknown)
}

/// Whether nothing was said of a base yet.
fn is_unknown(base: &BaseImage) -> bool {
    !base.layers.is_empty() && base.root.is_whole()
}

/// Reads the layers of every base of which nothing is known.
pub(super) async fn read_unknown(bases: &mut Bases, gathering: &Gathering<'_>) -> Result<()> {
    read(bases, gathering, is_unknown).await
}

/// Reads the layers of every base that is known in part only.
pub(super) async fn read_partial(bases: &mut Bases, gathering: &Gathering<'_>) -> Result<()> {
    read(bases, gathering, |base| !base.layers.is_empty() && !base.root.is_whole()).await
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
            base.root = facts::root_tree(&base.layers, facts_context)
                .await
                .attempting(|| format!("read the file system of base `{}`", base.name))?;
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
