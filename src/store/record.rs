//! Small records beside the blobs: what was found out once and can be found out again.
//!
//! A record is a guess that saves work, so it is read with suspicion: its first line is the digest of
//! the rest, and what does not check out, or does not parse any more, is not there. That makes waiting
//! for the disk needless: a record that a crash has cut off is one that was never written.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Access, Store};
use crate::oci::Digest;
use crate::sys::atomic_file;

impl Store {
    /// Reads the record `key` of a kind (`facts`, `layers`); anything unreadable is `None`.
    pub fn record<T: DeserializeOwned>(&self, kind: &str, key: &Digest) -> Option<T> {
        let path = self.record_path(kind, key);
        let sealed = fs::read(&path).ok()?;
        self.mark_used(&path);
        let end = sealed.iter().position(|byte| *byte == b'\n')?;
        let (seal, record) = (&sealed[..end], &sealed[end + 1..]);
        if seal != Digest::of(record).to_string().as_bytes() {
            return None;
        }
        serde_json::from_slice(record).ok()
    }

    /// Whether there is a record `key` of a kind, readable or not.
    pub fn has_record(&self, kind: &str, key: &Digest) -> bool {
        self.record_path(kind, key).is_file()
    }

    /// Writes a record; best effort, since a record can be made again.
    pub fn put_record<T: Serialize>(&self, kind: &str, key: &Digest, record: &T) {
        if matches!(self.access, Access::ReadOnly) {
            return;
        }
        let path = self.record_path(kind, key);
        // The seal's place is kept in front: records of large projects are not copied.
        let mut sealed = format!("{}\n", Digest::of(b"")).into_bytes();
        let seal_bytes = sealed.len();
        let written = serde_json::to_writer(&mut sealed, record).map_err(io::Error::other);
        let written = written.and_then(|()| {
            let seal = format!("{}\n", Digest::of(&sealed[seal_bytes..]));
            sealed[..seal_bytes].copy_from_slice(seal.as_bytes());
            fs::create_dir_all(path.parent().expect("a record lies in the folder of its kind"))?;
            atomic_file::write_unsynced(&path, &sealed)
        });
        if let Err(error) = written {
            self.events.detail(format!("cannot write record `{}`: {error}", path.display()));
        }
    }

    fn record_path(&self, kind: &str, key: &Digest) -> PathBuf {
        self.root.join("records").join(kind).join(key.hex())
    }
}
