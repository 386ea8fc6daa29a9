//! The files of one layer that somebody wants: their content goes into one blob of the local store.
//!
//! One blob and not one per file: a blob is synced to the disk, and there may be thousands of files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use serde::{Deserialize, Serialize};

use crate::archive::{ArchiveError, Member, MemberKind};
use crate::error::Result;
use crate::event::readable_size;
use crate::gather::facts::{self, FactsContext, LayerIndex, LayerMembers};
use crate::oci::{Descriptor, Digest, Digester, MediaType};
use crate::plan::{BaseLayer, StoredFile};
use crate::store::{BlobWriter, Store};
use crate::sys::blocking;

/// The kind of the records; the number goes up when they change their meaning.
const RECORDS: &str = "layer-files-1";

/// The kind of the records of what is in layers. They are not those of bases, which tell more.
const INDEXES: &str = "layer-indexes-1";

/// So much of a file is held at once.
const COPIED_BYTES: usize = 128 * 1024;

/// What the PAX keys of extended attributes begin with, as GNU tar and libarchive write them.
const ATTRIBUTES: [&[u8]; 2] = [b"SCHILY.xattr.", b"LIBARCHIVE.xattr."];

/// The files and links of one layer at or below some paths, whatever became of them in upper layers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayerFiles {
    members: BTreeMap<String, LayerFile>,
    /// Digest and size of the blob with the content of all files, where there is any.
    blob: Option<(Digest, u64)>,
}

/// What an index of the layer does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayerFile {
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) has_attributes: bool,
    pub(super) content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Content {
    /// A part of the blob.
    File { digest: Digest, size_bytes: u64, offset_bytes: u64 },
    /// The index has the target.
    Symlink,
    /// Another name of this path, which was not seen before.
    HardLink(String),
    /// A device, FIFO or socket.
    Special,
}

impl LayerFiles {
    pub(super) fn get(&self, path: &str) -> Option<&LayerFile> {
        self.members.get(path)
    }

    pub(super) fn has_all(&self, paths: &[&str]) -> bool {
        paths.iter().all(|path| self.members.contains_key(*path))
    }

    /// Where the content of a file is; `None` for what is no file.
    pub(super) fn stored(&self, file: &LayerFile) -> Option<StoredFile> {
        let Content::File { digest, size_bytes, offset_bytes } = file.content else { return None };
        let (blob, blob_bytes) = self.blob?;
        Some(StoredFile { digest, size_bytes, blob, blob_bytes, offset_bytes })
    }

    /// Whether the store has the content still; a use is noted. Blocking.
    fn is_kept(&self, store: &Store) -> bool {
        self.blob.is_none_or(|(digest, size_bytes)| {
            let blob = Descriptor::new(MediaType::parse(""), digest, size_bytes);
            matches!(store.open_blob(&blob), Ok(Some(_)))
        })
    }
}

/// What is known of a layer, as one of a base or of another image.
pub(super) async fn recorded_index(
    layer: &BaseLayer,
    context: FactsContext<'_>,
) -> Option<LayerIndex> {
    let (store, digest) = (context.store.clone(), layer.descriptor.digest);
    match facts::recorded(layer, context).await {
        Some(index) => Some(index),
        None => blocking(move || store.record(INDEXES, &digest)).await,
    }
}

/// What was taken from a layer before, as long as the store has it.
pub(super) async fn recorded(
    layer: &BaseLayer,
    roots: &BTreeSet<String>,
    context: FactsContext<'_>,
) -> Option<LayerFiles> {
    let (store, key) = (context.store.clone(), key(layer, roots));
    blocking(move || store.record(RECORDS, &key).filter(|files: &LayerFiles| files.is_kept(&store)))
        .await
}

/// Reads a layer: what is in it, and the files at or below these paths. Both are remembered.
pub(super) async fn read(
    layer: &BaseLayer,
    roots: &BTreeSet<String>,
    context: FactsContext<'_>,
) -> Result<(LayerIndex, LayerFiles)> {
    let (store, digest, key) = (context.store.clone(), layer.descriptor.digest, key(layer, roots));
    let (roots, blob) = (roots.clone(), context.store.writer()?);
    let (index, members, blob) =
        facts::stream(layer, context, move |tar: &mut LayerMembers<'_>| {
            let mut reading = Reading { blob, written_bytes: 0, buffer: vec![0; COPIED_BYTES] };
            let (index, members) = reading.members(tar, &roots)?;
            let size = readable_size(reading.written_bytes);
            let told = format!("{} paths, {size} of them taken", index.nodes.len());
            Ok((told, (index, members, reading.blob)))
        })
        .await?;
    // Only now it is clear that the layer is the promised one.
    blocking(move || {
        let is_file = |file: &LayerFile| matches!(file.content, Content::File { .. });
        let blob = members.values().any(is_file).then(|| blob.finish()).transpose()?;
        let files = LayerFiles { members, blob };
        store.put_record(RECORDS, &key, &files);
        store.put_record(INDEXES, &digest, &index);
        Ok((index, files))
    })
    .await
}

fn key(layer: &BaseLayer, roots: &BTreeSet<String>) -> Digest {
    let mut key = Digester::default();
    key.update(layer.descriptor.digest.bytes());
    for root in roots {
        // No path has a NUL.
        key.update(root.as_bytes());
        key.update(b"\0");
    }
    key.finish()
}

/// A layer that is being read.
struct Reading {
    blob: BlobWriter,
    written_bytes: u64,
    buffer: Vec<u8>,
}

impl Reading {
    fn members(
        &mut self,
        tar: &mut LayerMembers<'_>,
        roots: &BTreeSet<String>,
    ) -> Result<(LayerIndex, BTreeMap<String, LayerFile>), ArchiveError> {
        let mut index = LayerIndex::default();
        let mut files: BTreeMap<String, LayerFile> = BTreeMap::new();
        while let Some(member) = tar.next()? {
            let path = index.locate(&member.path).filter(|path| is_at_or_below(path, roots));
            if let Some(path) = path {
                let linked = match &member.kind {
                    MemberKind::HardLink(target) => index.locate(target),
                    _ => None,
                };
                // A hard link is the file as it is now, whatever comes later.
                let file = match linked.as_ref().and_then(|target| files.get(target)) {
                    Some(file) => Some(file.clone()),
                    None => self.file(&member, linked, tar)?,
                };
                if let Some(file) = file {
                    files.insert(path, file);
                }
            }
            index.add(member);
        }
        Ok((index, files))
    }

    /// What a member is, with its content written; `None` for a folder.
    fn file(
        &mut self,
        member: &Member,
        linked: Option<String>,
        tar: &mut LayerMembers<'_>,
    ) -> Result<Option<LayerFile>, ArchiveError> {
        let content = match (&member.kind, linked) {
            (MemberKind::Directory, _) | (MemberKind::HardLink(_), None) => return Ok(None),
            (MemberKind::HardLink(_), Some(target)) => Content::HardLink(target),
            (MemberKind::Symlink(_), _) => Content::Symlink,
            (MemberKind::Other(_), _) => Content::Special,
            (MemberKind::File, _) => self.content(tar)?,
        };
        let is_attribute = |key: &Vec<u8>| ATTRIBUTES.iter().any(|start| key.starts_with(start));
        let has_attributes = member.attributes.keys().any(is_attribute);
        let Member { mode, uid, gid, .. } = *member;
        Ok(Some(LayerFile { mode, uid, gid, has_attributes, content }))
    }

    fn content(&mut self, tar: &mut LayerMembers<'_>) -> Result<Content, ArchiveError> {
        let offset_bytes = self.written_bytes;
        let mut digester = Digester::default();
        loop {
            let count = tar.read_content(&mut self.buffer)?;
            if count == 0 {
                let size_bytes = self.written_bytes - offset_bytes;
                return Ok(Content::File { digest: digester.finish(), size_bytes, offset_bytes });
            }
            digester.update(&self.buffer[..count]);
            self.blob.write_all(&self.buffer[..count])?;
            self.written_bytes += count as u64;
        }
    }
}

fn is_at_or_below(path: &str, roots: &BTreeSet<String>) -> bool {
    let is_below = |root: &String| {
        path.strip_prefix(root.as_str())
            .is_some_and(|rest| rest.is_empty() || root.is_empty() || rest.starts_with('/'))
    };
    roots.iter().any(is_below)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::archive::{Limits, Members};

    /// Reads a tar of these members: path, and content, `> target` of a hard link, or `@` for a link.
    fn read(members: &[(&str, &str)], roots: &[&str]) -> (BTreeMap<String, LayerFile>, String) {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            let content = if let Some(target) = content.strip_prefix("> ") {
                header.set_entry_type(tar::EntryType::Link);
                header.set_link_name(target).unwrap();
                ""
            } else if *content == "@" {
                header.set_entry_type(tar::EntryType::Symlink);
                ""
            } else {
                content
            };
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        let store = Store::temporary().unwrap();
        let blob = store.writer().unwrap();
        let mut reading = Reading { blob, written_bytes: 0, buffer: vec![0; 2] };
        let mut bytes = &bytes[..];
        let mut tar = Members::new(&mut bytes as &mut dyn Read, Limits::GENEROUS);
        let roots = roots.iter().map(|root| (*root).to_owned()).collect();
        let (_, files) = reading.members(&mut tar, &roots).unwrap();
        let (digest, _) = reading.blob.finish().unwrap();
        let content = std::fs::read_to_string(store.blob_path(&digest)).unwrap();
        (files, content)
    }

    fn file(content: &str, offset_bytes: u64) -> Content {
        let (digest, size_bytes) = (Digest::of(content.as_bytes()), content.len() as u64);
        Content::File { digest, size_bytes, offset_bytes }
    }

    #[test]
    fn what_is_at_or_below_the_paths_is_kept_one_behind_the_other() {
        let members = [("a/b", "one"), ("ab", "x"), ("./a/c", "three"), ("d", "@"), ("e", "y")];
        let (files, content) = read(&members, &["a", "d"]);
        let files: Vec<_> =
            files.into_iter().map(|(path, LayerFile { content, .. })| (path, content)).collect();
        let expected =
            [("a/b", file("one", 0)), ("a/c", file("three", 3)), ("d", Content::Symlink)];
        assert_eq!(files, expected.map(|(path, content)| (path.to_owned(), content)));
        assert_eq!(content, "onethree");
        assert_eq!(read(&members, &[""]).1, "onexthreey");
        assert_eq!(read(&members, &["a/b/c"]).1, "");
    }

    #[test]
    fn a_hard_link_is_the_file_as_it_was_then() {
        let members = [
            ("a", "old"),
            ("b", "> a"),
            ("a", "new"),
            ("c", "> below"),
            ("d", "> b"),
            ("e", "> c"),
        ];
        let (files, content) = read(&members, &["a", "b", "c", "d", "e"]);
        let contents: Vec<_> = files.into_values().map(|file| file.content).collect();
        let (old, elsewhere) = (file("old", 0), Content::HardLink("below".into()));
        assert_eq!(contents, [file("new", 3), old.clone(), elsewhere.clone(), old, elsewhere]);
        assert_eq!(content, "oldnew");
    }
}
