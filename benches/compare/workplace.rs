//! The folder that everything happens in, and that nothing is left of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

/// Changed files are left alone for so long before anything is measured: a tool cannot trust the
/// times of a file that was written a moment ago, and must read it again.
const SETTLING: Duration = Duration::from_secs(3);

static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// A temporary folder; what was mounted in it is unmounted before it goes.
#[derive(Debug)]
pub(crate) struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A folder in it.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.path().join(name);
        fs::create_dir_all(&folder).expect("the temporary folder can be written");
        folder
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        unmount_below(self.path());
    }
}

/// Removes a folder with what is mounted in it.
pub(crate) fn remove(folder: &Path) {
    unmount_below(folder);
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        panic!("`{}` cannot be removed: {error}", folder.display());
    }
}

/// Storage drivers mount their own folders, and leave them so.
fn unmount_below(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    // The last one mounted comes first.
    for point in points.filter(|point| Path::new(point).starts_with(folder)).rev() {
        let _ = Command::new("umount").arg(point).status();
    }
}

/// Waits until the times of files that were just changed can be trusted, and the disk is idle.
pub(crate) fn settle() {
    rustix::fs::sync();
    std::thread::sleep(SETTLING);
}

/// From now on an interrupt ends the bench at its next step, and cleans up.
pub(crate) fn keep_going_when_interrupted() {
    let wait = async {
        let open = |kind| signal(kind).expect("signals can be handled");
        let (mut interrupt, mut terminate) =
            (open(SignalKind::interrupt()), open(SignalKind::terminate()));
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        IS_INTERRUPTED.store(true, Ordering::Relaxed);
        // The handlers stay: a second interrupt must not break off the cleaning.
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    std::thread::spawn(move || runtime.block_on(wait));
}

/// Ends the bench when it was interrupted.
pub(crate) fn go_on() {
    assert!(!IS_INTERRUPTED.load(Ordering::Relaxed), "interrupted");
}
