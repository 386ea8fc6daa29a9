//! What is known of the content of a project's files without reading them: its digest, and whether it looks
//! like a secret.
//!
//! A file counts as unchanged when everything stands that changes with it: path, device, inode, size,
//! mtime and ctime. Clocks tick: a file that is written twice within one tick, with the same size, looks
//! the same after as between. So what is remembered beyond this run was read when the last change of
//! the file lay some seconds back, as git does it for its index ("racy git"), and whose ctime is no whole
//! second. A network file system may tell times of a moment ago, before it asks its server again. A program that goes on writing through a memory map to a page that is dirty already changes no
//! time at all: that is seen when the kernel has written the page, or by a build with `--no-cache`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::oci::Digest;
use crate::plan::secrets::{RULES, Verdict};
use crate::plan::{DiskFile, FileStamp};
use crate::store::Store;

/// The kind of the records; the number goes up when a row changes its meaning.
const RECORDS: &str = "files-2";

/// How long ago a file's last change must be when it is read: the coarsest clock of a file system (FAT)
/// ticks every two seconds.
const SETTLED_SECONDS: i64 = 2;

/// With more files than this, those that the current build does not know are forgotten.
const MAX_FILES: usize = 500_000;

/// The digests of files' contents and the verdicts on them, by path and stamp; shared by the threads that
/// read.
#[derive(Debug)]
pub struct FileDigests {
    /// Names the project's folder.
    project: Digest,
    is_new: bool,
    known: HashMap<String, Known>,
    learned: Mutex<HashMap<String, Learned>>,
}

/// A file, and what its content is.
#[derive(Debug, Clone)]
struct Known {
    stamp: FileStamp,
    digest: Digest,
    /// By the rules of this version; `None` when nobody asked for it.
    verdict: Option<Verdict>,
}

#[derive(Debug)]
struct Learned {
    known: Known,
    /// Whether the file had been left alone for long enough when it was read.
    is_settled: bool,
}

/// What is written down, with the version of the rules for verdicts.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    rules: u32,
    files: Vec<Row<'a>>,
}

/// A file as it is written down: path, device, inode, size, mtime and ctime in nanoseconds, digest, verdict.
#[derive(Serialize, Deserialize)]
struct Row<'a>(Cow<'a, str>, u64, u64, u64, i64, i64, Digest, Option<Cow<'a, Verdict>>);

impl FileDigests {
    /// Reads what earlier builds of the project in this folder, absolute and without links, found out.
    pub fn load(store: &Store, project: &Path) -> Self {
        let mut digests = Self::none(project);
        if let Some(record) = store.record::<Record<'static>>(RECORDS, &digests.project) {
            digests.is_new = false;
            let has_verdicts = record.rules == RULES;
            digests.known = record.files.into_iter().map(|row| row.read(has_verdicts)).collect();
        }
        digests
    }

    /// Knows nothing yet.
    pub fn none(project: &Path) -> Self {
        let project = Digest::of(project.as_os_str().as_encoded_bytes());
        Self { project, is_new: true, known: HashMap::new(), learned: Mutex::default() }
    }

    /// Whether no earlier build of the project is known, so that nothing can come of reading its files.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The digest of a file's content, when the file is known and unchanged.
    pub fn get(&self, file: &DiskFile) -> Option<Digest> {
        if let Some(learned) = self.lock().get(&file.path)
            && learned.known.stamp == file.stamp
        {
            return Some(learned.known.digest);
        }
        Some(self.recall(&file.path, &file.stamp)?.digest)
    }

    /// What the content of a file looks like, when that was judged and the file is unchanged.
    pub fn verdict(&self, file: &DiskFile) -> Option<Verdict> {
        if let Some(learned) = self.lock().get(&file.path)
            && learned.known.stamp == file.stamp
        {
            return learned.known.verdict.clone();
        }
        self.recall(&file.path, &file.stamp)?.verdict.clone()
    }

    /// Whether an earlier build read a file to its end when it had this stamp.
    pub fn has(&self, path: &str, stamp: &FileStamp) -> bool {
        self.recall(path, stamp).is_some()
    }

    fn recall(&self, path: &str, stamp: &FileStamp) -> Option<&Known> {
        self.known.get(path).filter(|known| known.stamp == *stamp)
    }

    /// Takes note of a file that was read whole; reading began at `began`, in seconds since 1970.
    pub fn learn(&self, file: &DiskFile, digest: Digest, began: i64) {
        let FileStamp { mtime_ns, ctime_ns, .. } = file.stamp;
        let settled_ns = i128::from(began - SETTLED_SECONDS) * 1_000_000_000;
        // Images of file systems that are made reproducibly have whole seconds: two of them may have
        // all the same, and so has a system whose clock ticks that slowly.
        let is_telling = ctime_ns % 1_000_000_000 != 0;
        let is_settled = is_telling && mtime_ns.max(ctime_ns) < settled_ns;
        let mut learned = self.lock();
        // Who packs may have begun to read it before somebody else judged it.
        let same = learned.get(&file.path).map(|learned| &learned.known);
        let same = same.filter(|known| known.stamp == file.stamp && known.digest == digest);
        let verdict = same.and_then(|known| known.verdict.clone());
        let known = Known { stamp: file.stamp, digest, verdict };
        learned.insert(file.path.clone(), Learned { known, is_settled });
    }

    /// Takes note of what the content of a file looks like whose digest is known.
    pub(super) fn judge(&self, file: &DiskFile, verdict: Verdict) {
        let mut learned = self.lock();
        if let Some(learned) = learned.get_mut(&file.path)
            && learned.known.stamp == file.stamp
        {
            learned.known.verdict = Some(verdict);
        } else if let Some(known) = self.recall(&file.path, &file.stamp) {
            // What is remembered was settled when it was read.
            let known = Known { verdict: Some(verdict), ..known.clone() };
            learned.insert(file.path.clone(), Learned { known, is_settled: true });
        }
    }

    /// Writes down what is certain, when there is anything new; best effort.
    pub fn save(&self, store: &Store) {
        let learned = self.lock();
        if learned.is_empty() {
            return;
        }
        let settled = learned.iter().filter(|(_, learned)| learned.is_settled);
        let mut rows: Vec<Row<'_>> =
            settled.filter_map(|(path, learned)| Row::write(path, &learned.known)).collect();
        if self.known.len() + rows.len() <= MAX_FILES {
            let others = self.known.iter().filter(|(path, _)| !learned.contains_key(*path));
            rows.extend(others.filter_map(|(path, known)| Row::write(path, known)));
        }
        rows.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        store.put_record(RECORDS, &self.project, &Record { rules: RULES, files: rows });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Learned>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Row<'a> {
    /// `None` for a file from before or after all that fits.
    fn write(path: &'a str, known: &'a Known) -> Option<Self> {
        let FileStamp { device, inode, size_bytes, mtime_ns, ctime_ns } = known.stamp;
        let (mtime, ctime) = (i64::try_from(mtime_ns).ok()?, i64::try_from(ctime_ns).ok()?);
        let verdict = known.verdict.as_ref().map(Cow::Borrowed);
        Some(Self(path.into(), device, inode, size_bytes, mtime, ctime, known.digest, verdict))
    }

    fn read(self, has_verdicts: bool) -> (String, Known) {
        let Self(path, device, inode, size_bytes, mtime, ctime, digest, verdict) = self;
        let (mtime_ns, ctime_ns) = (i128::from(mtime), i128::from(ctime));
        let stamp = FileStamp { device, inode, size_bytes, mtime_ns, ctime_ns };
        let verdict = verdict.filter(|_| has_verdicts).map(Cow::into_owned);
        (path.into_owned(), Known { stamp, digest, verdict })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    fn file(path: &str, stamp: FileStamp) -> DiskFile {
        DiskFile { path: path.into(), stamp }
    }

    fn stamp() -> FileStamp {
        let (mtime_ns, ctime_ns) = (100 * SECOND, 100 * SECOND + 7);
        FileStamp { device: 1, inode: 2, size_bytes: 3, mtime_ns, ctime_ns }
    }

    fn reload(digests: &FileDigests, store: &Store, project: &str) -> FileDigests {
        digests.save(store);
        FileDigests::load(store, Path::new(project))
    }

    #[test]
    fn a_file_is_known_until_anything_of_its_stamp_changes() {
        let store = Store::temporary().unwrap();
        let digests = FileDigests::none(Path::new("/p"));
        let (a, digest) = (file("a", stamp()), Digest::of(b"abc"));
        assert!(digests.is_new());
        digests.learn(&a, digest, 1000);
        assert_eq!(digests.get(&a), Some(digest));

        let loaded = reload(&digests, &store, "/p");
        assert!(!loaded.is_new());
        assert_eq!(loaded.get(&a), Some(digest));
        for other in [
            FileStamp { device: 9, ..stamp() },
            FileStamp { inode: 9, ..stamp() },
            FileStamp { size_bytes: 9, ..stamp() },
            FileStamp { mtime_ns: 9, ..stamp() },
            FileStamp { ctime_ns: 9, ..stamp() },
        ] {
            assert_eq!(loaded.get(&file("a", other)), None, "{other:?}");
        }
        assert_eq!(loaded.get(&file("b", stamp())), None);
        assert!(FileDigests::load(&store, Path::new("/q")).is_new());
    }

    #[test]
    fn a_verdict_is_remembered_with_its_file_and_by_its_rules() {
        let store = Store::temporary().unwrap();
        let digests = FileDigests::none(Path::new("/p"));
        let (a, b) = (file("a", stamp()), file("b", stamp()));
        let verdict = Verdict { is_public: true, ..Verdict::default() };
        digests.judge(&a, verdict.clone());
        assert_eq!(digests.verdict(&a), None, "its content is not known");
        digests.learn(&a, Digest::of(b"a"), 1000);
        digests.learn(&b, Digest::of(b"b"), 1000);
        digests.judge(&a, verdict.clone());
        assert_eq!((digests.verdict(&a), digests.verdict(&b)), (Some(verdict.clone()), None));

        let digests = reload(&digests, &store, "/p");
        digests.judge(&b, verdict.clone());
        let digests = reload(&digests, &store, "/p");
        assert_eq!(
            [digests.verdict(&a), digests.verdict(&b)],
            [Some(verdict.clone()), Some(verdict)]
        );
        let changed = file("a", FileStamp { size_bytes: 4, ..stamp() });
        assert_eq!(digests.verdict(&changed), None);

        let mut record: serde_json::Value = store.record(RECORDS, &digests.project).unwrap();
        record["rules"] = (RULES + 1).into();
        store.put_record(RECORDS, &digests.project, &record);
        let digests = FileDigests::load(&store, Path::new("/p"));
        assert_eq!((digests.get(&a), digests.verdict(&a)), (Some(Digest::of(b"a")), None));
    }

    #[test]
    fn what_was_read_right_after_a_change_is_not_remembered() {
        let store = Store::temporary().unwrap();
        let digest = Digest::of(b"abc");
        for (began, is_remembered) in [(100, false), (102, false), (103, true)] {
            for (mtime_ns, ctime_ns) in [(100 * SECOND, 7), (0, 100 * SECOND + 7)] {
                let a = file("a", FileStamp { mtime_ns, ctime_ns, ..stamp() });
                let digests = FileDigests::none(Path::new("/p"));
                digests.learn(&a, digest, began);
                assert_eq!(digests.get(&a), Some(digest), "this run has read it");
                let loaded = reload(&digests, &store, "/p");
                assert_eq!(loaded.get(&a).is_some(), is_remembered, "{began}");
            }
        }
    }

    #[test]
    fn times_that_tell_nothing_are_not_believed() {
        let store = Store::temporary().unwrap();
        let a = file("a", FileStamp { ctime_ns: 100 * SECOND, ..stamp() });
        let digests = FileDigests::none(Path::new("/p"));
        digests.learn(&a, Digest::of(b"abc"), 1000);
        assert_eq!(reload(&digests, &store, "/p").get(&a), None);
    }

    #[test]
    fn what_one_build_does_not_look_at_stays_known() {
        let store = Store::temporary().unwrap();
        let (a, b) = (file("a", stamp()), file("b", stamp()));
        let changed = file("a", FileStamp { size_bytes: 4, ..stamp() });
        let digests = FileDigests::none(Path::new("/p"));
        digests.learn(&a, Digest::of(b"a"), 1000);
        digests.learn(&b, Digest::of(b"b"), 1000);
        let digests = reload(&digests, &store, "/p");
        digests.learn(&changed, Digest::of(b"a2"), 1000);
        let digests = reload(&digests, &store, "/p");
        assert_eq!(
            [digests.get(&a), digests.get(&changed), digests.get(&b)],
            [None, Some(Digest::of(b"a2")), Some(Digest::of(b"b"))]
        );
    }
}
