//! Reads a file whose content is part of a blob in the local store.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Take};

use super::error::LayerError;
use super::pack::Packing;
use super::project_file::Content;
use crate::oci::{Descriptor, MediaType};
use crate::plan::StoredFile;

/// Hands the content of a file to `take`, which reads all of it. `path` is the one in the layer.
///
/// The digest decides what becomes of the layer, so it is taken again: a blob that rotted is removed,
/// and made again by the next command.
pub(super) fn read(
    file: &StoredFile,
    path: &str,
    packing: &Packing,
    take: impl FnOnce(&mut Content<'_, Take<File>>) -> Result<(), LayerError>,
) -> Result<(), LayerError> {
    let lost = || LayerError::Lost { path: path.to_owned() };
    let unreadable = |source| LayerError::Read { path: path.to_owned(), source };
    let blob = Descriptor::new(MediaType::parse(""), file.blob, file.blob_bytes);
    let opened = packing.store.open_blob(&blob);
    let opened = opened.map_err(|error| unreadable(io::Error::other(error.lines().join(": "))))?;
    let mut opened = opened.ok_or_else(lost)?;
    opened.seek(SeekFrom::Start(file.offset_bytes)).map_err(unreadable)?;
    let mut content = Content::hashed(opened.take(file.size_bytes), packing);
    take(&mut content)?;
    if content.digest() != Some(file.digest) {
        // Whatever it finds, this layer is not made.
        let _ = packing.store.verify(&blob);
        return Err(lost());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::layer::testing::{Workshop, entry, plan};
    use crate::layer::{diff_id, pack};
    use crate::oci::Digest;
    use crate::plan::{EntryKind, FileSource};

    fn stored(workshop: &Workshop) -> StoredFile {
        let blob = workshop.store.put(b"before content behind").unwrap();
        let digest = Digest::of(b"content");
        StoredFile { digest, size_bytes: 7, blob, blob_bytes: 21, offset_bytes: 7 }
    }

    #[test]
    fn a_stored_file_is_packed_like_any_other() {
        let workshop = Workshop::with_file(b"");
        let file = |source| plan(vec![entry("a", EntryKind::File(source))]);
        let layer = file(FileSource::Stored(stored(&workshop)));
        let made = file(FileSource::Bytes("content".into()));
        let packing = workshop.packing();
        assert_eq!(pack(&layer, &packing).unwrap(), pack(&made, &packing).unwrap());
    }

    #[test]
    fn content_that_is_gone_or_damaged_makes_no_layer() {
        let workshop = Workshop::with_file(b"");
        let file = stored(&workshop);
        let layer = plan(vec![entry("a", EntryKind::File(FileSource::Stored(file)))]);
        let path = workshop.store.blob_path(&file.blob);
        fs::write(&path, "before CONTENT behind").unwrap();
        for _ in ["damaged", "removed for that"] {
            let error = pack(&layer, &workshop.packing()).unwrap_err();
            assert_eq!(error.lines(), ["the content of `/a` is no longer in the cache"]);
            assert!(!path.exists());
        }
        assert!(diff_id(&layer, &workshop.packing()).is_err());
    }
}
