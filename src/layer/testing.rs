//! What the tests of this stage share: a project with one file, and what it takes to pack it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use tokio_util::sync::CancellationToken;

use super::{Compressors, FileDigests, Packing};
use crate::event::{Action, Events, Task};
use crate::plan::{
    DiskFile, Entry, EntryKind, FileSource, FileStamp, LayerCompression, LayerContent, LayerPlan,
};
use crate::store::Store;
use crate::sys::SystemClock;

/// A project with one file, and what it takes to pack it.
pub(super) struct Workshop {
    pub(super) project: tempfile::TempDir,
    pub(super) store: Store,
    digests: FileDigests,
    compressors: Compressors,
    events: Events,
    task: Task,
    pub(super) cancel: CancellationToken,
}

impl Workshop {
    /// The file is from 1970, so that every later change shows in its times.
    pub(super) fn with_file(content: &[u8]) -> Self {
        let project = tempfile::tempdir().unwrap();
        fs::create_dir(project.path().join("src")).unwrap();
        let path = project.path().join("src/a");
        fs::write(&path, content).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(UNIX_EPOCH).unwrap();
        let task = Events::none().task(Action::Pack, "test", None);
        let store = Store::temporary().unwrap();
        let digests = FileDigests::none(project.path());
        let (compressors, events) = (Compressors::new(2), Events::none());
        let cancel = CancellationToken::new();
        Self { project, store, digests, compressors, events, task, cancel }
    }

    /// Where the file lies.
    pub(super) fn path(&self) -> PathBuf {
        self.project.path().join("src/a")
    }

    /// What [`pack`](super::pack()) needs, by the machine's clock.
    pub(super) fn packing(&self) -> Packing<'_> {
        Packing {
            project: self.project.path(),
            store: &self.store,
            digests: &self.digests,
            clock: &SystemClock,
            compression: LayerCompression::Gzip,
            compressors: &self.compressors,
            events: &self.events,
            task: &self.task,
            cancel: &self.cancel,
        }
    }

    /// The file at `app/b`, as it is now.
    pub(super) fn plan(&self) -> LayerPlan {
        let stamp = FileStamp::from(&fs::metadata(self.path()).unwrap());
        let file = FileSource::Disk(DiskFile { path: "src/a".into(), stamp });
        plan(vec![entry("app", EntryKind::Directory), entry("app/b", EntryKind::File(file))])
    }

    /// How many blobs the store has, finished or not.
    pub(super) fn leftovers(&self) -> usize {
        fs::read_dir(self.store.root().join("blobs/sha256")).unwrap().count()
    }
}

/// A layer of these entries.
pub(super) fn plan(entries: Vec<Entry>) -> LayerPlan {
    LayerPlan {
        name: "files".into(),
        created_by: "dockless files".into(),
        content: LayerContent::Pack(entries),
    }
}

/// An entry 0755 of root.
pub(super) fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry { path: path.into(), kind, mode: 0o755, uid: 0, gid: 0, mtime: 0 }
}
