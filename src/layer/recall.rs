//! What is remembered of layers that were packed on this machine before.

use std::io::{self, Read as _};

use serde::{Deserialize, Serialize};

use super::compress::writer_version;
use super::key::key;
use super::pack::{Packing, check, classify};
use super::project_file;
use crate::error::Result;
use crate::oci::{Descriptor, Digest};
use crate::plan::{Entry, EntryKind, FileSource, LayerContent, LayerPlan};

/// The kind of the records; the number goes up when they change their meaning.
const RECORDS: &str = "layers-1";

/// What a layer will be when it is packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The digest of its uncompressed tar.
    pub diff_id: Digest,
    /// The blob, where it was made here: it may be gone from the store since.
    pub blob: Option<Descriptor>,
}

/// Looks up what a layer of these entries was when it was packed last. Files that are not as they are
/// remembered are read; where no build of the project is remembered, nothing is.
///
/// # Errors
///
/// [`LayerError`](super::LayerError) for entries that cannot be packed, and for a file that changed,
/// vanished or cannot be read.
pub fn recall(plan: &LayerPlan, packing: &Packing) -> Result<Option<Known>> {
    check(plan)?;
    let LayerContent::Pack(entries) = &plan.content else { return Ok(None) };
    if packing.digests.is_new() {
        return Ok(None);
    }
    for entry in entries {
        if let EntryKind::File(FileSource::Disk(file)) = &entry.kind
            && packing.digests.get(file).is_none()
        {
            let hash = |content: &mut project_file::Content<'_, _>| {
                let path = || file.path.clone();
                // One byte more than is wanted shows that the file has grown.
                let size_bytes = file.stamp.size_bytes;
                let read =
                    io::copy(&mut content.take(size_bytes.saturating_add(1)), &mut io::sink());
                match read {
                    Ok(count) if count == size_bytes => Ok(()),
                    Ok(_) => Err(super::LayerError::Changed { path: path() }),
                    Err(source) => Err(super::LayerError::Read { path: path(), source }),
                }
            };
            project_file::read(file, packing, hash).map_err(|error| classify(error, packing))?;
        }
    }
    let key = key(entries, packing.digests, writer_version(packing.compression));
    Ok(key.and_then(|key| packing.store.record(RECORDS, &key)))
}

/// Writes down what a layer of these entries is; all its files have been read.
pub(super) fn remember(
    entries: &[Entry],
    packing: &Packing,
    diff_id: Digest,
    blob: Option<&Descriptor>,
) {
    if let Some(key) = key(entries, packing.digests, writer_version(packing.compression)) {
        let known = Known { diff_id, blob: blob.cloned() };
        packing.store.put_record(RECORDS, &key, &known);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::layer::testing::Workshop;
    use crate::layer::{FileDigests, diff_id, pack};
    use crate::sys::ManualClock;

    /// An hour from now, so that every file has been left alone for long.
    fn later() -> ManualClock {
        use crate::sys::{Clock as _, SystemClock};
        ManualClock::at(SystemClock.unix_seconds() + 3600)
    }

    #[test]
    fn a_layer_is_recalled_without_its_files() {
        let workshop = Workshop::with_file(b"content");
        let (plan, clock) = (workshop.plan(), later());
        let packing = |digests| Packing { digests, clock: &clock, ..workshop.packing() };
        let digests = FileDigests::none(workshop.project.path());
        assert_eq!(recall(&plan, &packing(&digests)).unwrap(), None, "nothing is known");
        let diff_id = diff_id(&plan, &packing(&digests)).unwrap();
        digests.save(&workshop.store);

        let digests = FileDigests::load(&workshop.store, workshop.project.path());
        let known = recall(&plan, &packing(&digests)).unwrap();
        assert_eq!(known, Some(Known { diff_id, blob: None }), "nobody has packed it");
        let layer = pack(&plan, &packing(&digests)).unwrap();
        fs::remove_file(workshop.path()).unwrap();
        let known = recall(&plan, &packing(&digests)).unwrap();
        assert_eq!(known, Some(Known { diff_id, blob: Some(layer.descriptor) }));
    }
}
