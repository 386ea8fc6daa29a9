//! What our layers must respect of the base's file system, read from its layers.
//!
//! A layer is streamed through memory once, never to disk, and what was found is kept in the store
//! under the layer's digest. [`archive`](crate::archive) unpacks it and reads the tar, `layer_index.rs`
//! says what a member means, `merge.rs` puts the layers on each other.

mod error;
mod layer_index;
mod merge;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Read};

use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio_util::sync::CancellationToken;

pub use error::FactsError;

use crate::archive::{ArchiveError, LayerReader, Limits, Members};
use crate::error::{Error, Result};
use crate::event::{Action, Events, Watched};
use crate::oci::{Descriptor, Digest};
use crate::plan::{BaseLayer, Origin, RootTree};
use crate::registry::Client;
use crate::store::Store;
use crate::sys::{BlockingReader, blocking};
pub(super) use layer_index::LayerIndex;
pub(super) use merge::merge;

/// The kind of the records in the store. Its number goes up when an index changes its meaning.
const RECORD_KIND: &str = "facts-2";

/// What reading facts needs.
#[derive(Debug, Clone, Copy)]
pub struct FactsContext<'a> {
    /// Fetches layers.
    pub client: &'a Client,
    /// Has layers, and keeps what was found.
    pub store: &'a Store,
    /// Is told of every layer that is read.
    pub events: &'a Events,
}

/// Reads the file system that these layers make, lowest first.
///
/// Unpacking a layer keeps a core busy: as many are read at a time as there are cores, and the largest
/// first, or it would be read alone in the end.
///
/// # Errors
///
/// [`FactsError`] for a layer that cannot be read, is damaged, or is none; the client's error when
/// its registry fails.
pub async fn root_tree(layers: &[BaseLayer], context: FactsContext<'_>) -> Result<RootTree> {
    let mut largest_first: Vec<_> = layers.iter().enumerate().collect();
    largest_first.sort_by_key(|(_, layer)| Reverse(layer.descriptor.size));
    let read = async |(place, layer)| Ok::<_, Error>((place, layer_index(layer, context).await?));
    let reads: Vec<_> = largest_first.into_iter().map(read).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let indexes: BTreeMap<usize, LayerIndex> =
        futures_util::stream::iter(reads).buffer_unordered(cores).try_collect().await?;
    Ok(blocking(move || merge(indexes.values())).await)
}

/// Whether layers with these digests have been read on this machine. Blocking.
pub fn are_known(layers: &[Digest], store: &Store) -> bool {
    layers.iter().all(|layer| store.has_record(RECORD_KIND, layer))
}

async fn layer_index(layer: &BaseLayer, context: FactsContext<'_>) -> Result<LayerIndex> {
    if let Some(index) = recorded(layer, context).await {
        return Ok(index);
    }
    let store = context.store.clone();
    let digest = layer.descriptor.digest;
    let read = move |members: &mut LayerMembers<'_>| {
        let index = index(members)?;
        Ok((format!("{} paths", index.nodes.len()), index))
    };
    let index = stream(layer, context, read).await?;
    let remember = move || {
        store.put_record(RECORD_KIND, &digest, &index);
        index
    };
    Ok(blocking(remember).await)
}

/// What is remembered of a layer of a base.
pub(super) async fn recorded(layer: &BaseLayer, context: FactsContext<'_>) -> Option<LayerIndex> {
    let (store, digest) = (context.store.clone(), layer.descriptor.digest);
    blocking(move || store.record(RECORD_KIND, &digest)).await
}

/// The members of a layer that is being unpacked.
pub(super) type LayerMembers<'a> = Members<&'a mut dyn Read>;

/// Unpacks a layer as it comes, and makes sure that its blob is the promised one. `read` says what it
/// found, for people, and gives it.
pub(super) async fn stream<T: Send + 'static>(
    layer: &BaseLayer,
    context: FactsContext<'_>,
    read: impl FnOnce(&mut LayerMembers<'_>) -> Result<(String, T), ArchiveError> + Send + 'static,
) -> Result<T> {
    let descriptor = layer.descriptor.clone();
    let digest = descriptor.digest;
    if descriptor.media_type.layer_compression().is_none() {
        let media_type = descriptor.media_type.as_str().escape_debug();
        let reason = format!("`{media_type}` is not the type of a layer");
        return Err(FactsError::Unusable { layer: digest, reason }.into());
    }
    let blob = open(layer, context).await?;
    let task = context.events.task(Action::Inspect, digest.short(), Some(descriptor.size));
    // The thread outlives this future when that is dropped; it stops at the next member.
    let cancel = CancellationToken::new();
    let _cancelled_on_drop = cancel.clone().drop_guard();
    let found = blocking(move || {
        let Blob { bytes, is_verified } = blob;
        let bytes = Watched { bytes, task: &task, cancel };
        let (told, found) = scan(bytes, is_verified, &descriptor, Limits::GENEROUS, read)?;
        task.finish(told);
        Ok::<_, FactsError>(found)
    })
    .await?;
    Ok(found)
}

/// The bytes of a layer.
struct Blob {
    bytes: Box<dyn Read + Send>,
    /// Whether they fail when they are not the promised ones.
    is_verified: bool,
}

async fn open(layer: &BaseLayer, context: FactsContext<'_>) -> Result<Blob> {
    let descriptor = layer.descriptor.clone();
    let store = match &layer.origin {
        Origin::Registry(repository) => {
            let blob = context.client.open_blob(repository, &descriptor).await?;
            let bytes = Box::new(BlockingReader::spawn(blob));
            return Ok(Blob { bytes, is_verified: true });
        }
        Origin::Store => context.store.clone(),
        Origin::Layout(path) => Store::read_only(path),
    };
    match blocking(move || store.open_blob(&descriptor)).await? {
        Some(file) => Ok(Blob { bytes: Box::new(file), is_verified: false }),
        None => Err(FactsError::Read {
            layer: layer.descriptor.digest,
            source: io::Error::from(io::ErrorKind::NotFound),
        }
        .into()),
    }
}

/// Reads the members of a layer and makes sure that the blob is the promised one.
///
/// A blob that is not is reported as such, whatever its bytes led to.
fn scan<T>(
    bytes: impl Read,
    is_verified: bool,
    descriptor: &Descriptor,
    limits: Limits,
    read: impl FnOnce(&mut LayerMembers<'_>) -> Result<T, ArchiveError>,
) -> Result<T, FactsError> {
    let layer = descriptor.digest;
    // One byte more shows that the blob is too long.
    let bytes = bytes.take(descriptor.size.saturating_add(1));
    let reader = if is_verified {
        LayerReader::try_verified(bytes, limits)
    } else {
        LayerReader::try_new(bytes, limits)
    };
    let mut reader = reader.map_err(|source| FactsError::Read { layer, source })?;
    let result = read(&mut Members::new(&mut reader, limits));
    let packed = reader.finish();
    if let Some(source) = packed.failure {
        return Err(FactsError::Read { layer, source });
    }
    if let Some(actual) = packed.digest
        && (actual, packed.size_bytes) != (layer, descriptor.size)
    {
        return Err(FactsError::Damaged {
            expected: layer,
            expected_bytes: descriptor.size,
            actual,
            actual_bytes: packed.size_bytes,
        });
    }
    result.map_err(|error| FactsError::of(layer, error))
}

fn index(members: &mut LayerMembers<'_>) -> Result<LayerIndex, ArchiveError> {
    let mut index = LayerIndex::default();
    while let Some(member) = members.next()? {
        if let Some(path) = index.add(member) {
            index.keep(path, content(members)?);
        }
    }
    Ok(index)
}

/// The content of the member that came last. Names in another encoding than UTF-8 are spoilt.
fn content<R: Read>(members: &mut Members<R>) -> Result<String, ArchiveError> {
    let (mut content, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match members.read_content(&mut buffer)? {
            0 => return Ok(String::from_utf8_lossy(&content).into_owned()),
            count => content.extend_from_slice(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests;
