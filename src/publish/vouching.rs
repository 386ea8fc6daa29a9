//! What a repository is known to have without being asked for each blob.
//!
//! A registry takes a manifest only when the repository has all that it names. So a tag vouches for
//! the content of what it points at: when the manifest is known here, its blobs are not asked for.
//! A registry that has lost some of them all the same says so when the next manifest is put.

use std::collections::BTreeSet;

use super::contents::Contents;
use crate::error::Result;
use crate::image::Assembly;
use crate::oci::{Descriptor, Digest, Document, Index, Manifest};
use crate::store::Store;

/// All that hangs on a manifest or an index, itself included; `None` when some of the documents are
/// not in the store. Blocking.
///
/// # Errors
///
/// The store cannot be read.
pub(super) fn content_of(store: &Store, top: &Descriptor) -> Result<Option<BTreeSet<Digest>>> {
    let mut content = BTreeSet::new();
    let mut documents = vec![top.clone()];
    while let Some(descriptor) = documents.pop() {
        if !content.insert(descriptor.digest) {
            continue;
        }
        // A size that a registry got wrong must not cost a good blob its place.
        let bytes = if store.has(&descriptor) { store.read(&descriptor)? } else { None };
        let Some(bytes) = bytes else { return Ok(None) };
        let media_type = descriptor.media_type;
        if media_type.is_index() {
            let Ok(index) = Document::<Index>::parse_index(bytes, media_type) else {
                return Ok(None);
            };
            documents.extend(index.value.manifests);
        } else {
            let Ok(manifest) = Document::<Manifest>::parse_manifest(bytes, media_type) else {
                return Ok(None);
            };
            let Manifest { config, layers, .. } = manifest.value;
            content.extend(layers.into_iter().chain([config]).map(|blob| blob.digest));
        }
    }
    Ok(Some(content))
}

/// The same of an image that is at hand.
pub(super) fn content_of_assembly(assembly: &Assembly) -> BTreeSet<Digest> {
    let Contents { layers, documents } = Contents::of(assembly);
    layers.into_keys().chain(documents.into_keys()).collect()
}

/// Keeps the documents of an image, so that the next push knows what a tag that points at it vouches
/// for. Blocking.
///
/// # Errors
///
/// The store cannot be written.
pub fn keep_documents(assembly: &Assembly, store: &Store) -> Result<()> {
    Contents::of(assembly).documents.values().try_for_each(|bytes| store.put(bytes).map(drop))
}
