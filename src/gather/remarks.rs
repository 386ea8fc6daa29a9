//! What a person should know of a listed tree though it can be packed: collected, then said once
//! per sort.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization as _;

use super::folder::FileLook;
use crate::event::{Events, readable_size};

/// How many examples of a sort are named.
const SHOWN: usize = 5;

/// A tree larger than this is remarked on.
const LARGE_BYTES: u64 = 1024 * 1024 * 1024;

/// A file with holes is remarked on from this size.
const SPARSE_BYTES: u64 = 16 * 1024 * 1024;

/// The remarks on one tree.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    links: Sort,
    capabilities: Sort,
    sparse: Sort,
    case: Sort,
    unicode: Sort,
    size_bytes: u64,
}

/// The first examples of a sort, and how many there are.
#[derive(Debug, Default)]
struct Sort {
    shown: Vec<String>,
    count: usize,
}

impl Remarks {
    /// A link is kept that points out of its source.
    pub(super) fn link_leaves(&mut self, path: &str, target: &str) {
        self.links.add(|| format!("`{}` → `{}`", path.escape_debug(), target.escape_debug()));
    }

    /// A file is in the tree.
    pub(super) fn file(&mut self, path: &str, look: &FileLook, has_capability: bool) {
        let size = look.stamp.size_bytes;
        self.size_bytes += size;
        if has_capability {
            self.capabilities.add(|| format!("`{}`", path.escape_debug()));
        }
        if size >= SPARSE_BYTES && look.disk_bytes.is_some_and(|disk_bytes| disk_bytes < size / 4) {
            self.sparse.add(|| format!("`{}` ({})", path.escape_debug(), readable_size(size)));
        }
    }

    /// The names that one folder keeps.
    pub(super) fn names(&mut self, folder: &str, names: &[String]) {
        let mut by_case: BTreeMap<String, &str> = BTreeMap::new();
        let mut by_form: BTreeMap<String, &str> = BTreeMap::new();
        for name in names {
            let pair = |other: &str| {
                let place = if folder.is_empty() { "." } else { folder };
                let (first, second) = (other.min(name), other.max(name));
                let [place, first, second] = [place, first, second].map(str::escape_debug);
                format!("`{first}` and `{second}` in `{place}`")
            };
            // Plain ASCII has one form only.
            let form = if name.is_ascii() { name.clone() } else { name.nfc().collect() };
            if let Some(other) = by_case.insert(form.to_lowercase(), name)
                && !other.nfc().eq(name.nfc())
            {
                self.case.add(|| pair(other));
            }
            if !name.is_ascii()
                && let Some(other) = by_form.insert(form, name)
            {
                self.unicode
                    .add(|| format!("{} (`{}`, `{}`)", pair(other), ascii(other), ascii(name)));
            }
        }
    }

    /// Says it all.
    pub(super) fn send(&self, source: &str, events: &Events) {
        let source = source.escape_debug().to_string();
        let sorts = [
            (
                &self.links,
                "link-leaves-project",
                format!("links that point out of `{source}`"),
                "they are kept as they are: in the image they point at whatever stands there",
            ),
            (
                &self.capabilities,
                "capability-dropped",
                "files whose capabilities are dropped".to_owned(),
                "grant the capability to the container when it runs",
            ),
            (
                &self.sparse,
                "sparse-file",
                "files with holes, which are packed as zeros".to_owned(),
                "exclude them if they are scratch files",
            ),
            (
                &self.case,
                "case-collision",
                "names that differ in case alone".to_owned(),
                "on macOS and Windows only one of them can be checked out: rename one",
            ),
            (
                &self.unicode,
                "unicode-twins",
                "names that look the same and are written in two Unicode forms".to_owned(),
                "some systems take them for one file: rename one",
            ),
        ];
        for (sort, code, what, hint) in sorts {
            if sort.count > 0 {
                events.warn(code, format!("{what}: {}", sort.list()), Some(hint.to_owned()));
            }
        }
        if self.size_bytes > LARGE_BYTES {
            events.warn(
                "large-source",
                format!("`{source}` holds {}", readable_size(self.size_bytes)),
                Some(
                    "exclude what the agent does not need, in `.dockerignore` or with `exclude:`"
                        .into(),
                ),
            );
        }
    }

    /// The sum of all files.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

impl Sort {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(example());
        }
    }

    fn list(&self) -> String {
        let mut shown = self.shown.clone();
        shown.sort();
        match self.count - shown.len() {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }
}

fn ascii(name: &str) -> String {
    name.escape_default().to_string()
}

/// Whether a file has capabilities, which no layer keeps.
#[cfg(target_os = "linux")]
pub(super) fn has_capability(file: &std::fs::File) -> bool {
    // A file system without attributes is one without capabilities.
    rustix::fs::fgetxattr_query(file, "security.capability").is_ok_and(|size_bytes| size_bytes > 0)
}

/// See the Linux version.
#[cfg(not(target_os = "linux"))]
pub(super) fn has_capability(_file: &std::fs::File) -> bool {
    false
}
