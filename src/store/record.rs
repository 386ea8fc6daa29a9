//! Small records beside the blobs: what was found out once and can be found out again.
//!
//! A record is a guess that saves work, so it is read with suspicion: it carries the digest of its
//! own content, and what does not check out, or does not parse any more, is not there.

use std::fs;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Access, Store};
use crate::oci::{Digest, canonical_json};
use crate::sys::atomic_file;

/// A record as it lies on disk.
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// Of the record in canonical form.
    digest: Digest,
    record: Value,
}

impl Store {
    /// Reads the record `key` of a kind (`facts`, `layers`); anything unreadable is `None`.
    pub fn record<T: DeserializeOwned>(&self, kind: &str, key: &Digest) -> Option<T> {
        let path = self.record_path(kind, key);
        let bytes = fs::read(&path).ok()?;
        self.mark_used(&path);
        let sealed: Sealed = serde_json::from_slice(&bytes).ok()?;
        if Digest::of(&canonical_json(&sealed.record)) != sealed.digest {
            return None;
        }
        serde_json::from_value(sealed.record).ok()
    }

    /// Writes a record; best effort, since a record can be made again.
    pub fn put_record<T: Serialize>(&self, kind: &str, key: &Digest, record: &T) {
        if matches!(self.access, Access::ReadOnly) {
            return;
        }
        let path = self.record_path(kind, key);
        let written =
            serde_json::to_value(record).map_err(std::io::Error::other).and_then(|record| {
                let sealed = Sealed { digest: Digest::of(&canonical_json(&record)), record };
                fs::create_dir_all(
                    path.parent().expect("a record lies in the folder of its kind"),
                )?;
                atomic_file::write(&path, &canonical_json(&sealed))
            });
        if let Err(error) = written {
            self.events.detail(format!("cannot write record `{}`: {error}", path.display()));
        }
    }

    fn record_path(&self, kind: &str, key: &Digest) -> PathBuf {
        self.root.join("records").join(kind).join(format!("{}.json", key.hex()))
    }
}
