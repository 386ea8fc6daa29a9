//! Reads the files whose content nobody has judged yet: see `plan::secrets`.
//!
//! What it reads it hashes, too, so that packing need not. Files are small here: what waits is opening them,
//! so several are read at once.

use std::io::Read as _;
use std::thread;

use super::error::LayerError;
use super::pack::{Packing, classify};
use super::project_file;
use crate::error::Result;
use crate::plan::secrets::{self, is_judged};
use crate::plan::{DiskFile, EntryKind, FileSource, LayerContent, Plan};

/// How many files a thread takes on at least: less is not worth beginning one.
const FEWEST_FILES: usize = 64;

/// Judges every file that a plan packs.
///
/// # Errors
/// As for [`judge`].
pub fn judge_plan(plan: &Plan, threads: usize, packing: &Packing) -> Result<()> {
    let layers = plan.images.iter().flat_map(|image| &image.layers);
    let entries = layers.flat_map(|layer| match &layer.content {
        LayerContent::Pack(entries) => &entries[..],
        LayerContent::Existing { .. } => &[],
    });
    let files = entries.filter_map(|entry| match &entry.kind {
        EntryKind::File(FileSource::Disk(file)) => Some(file),
        _ => None,
    });
    judge(files, threads, packing)
}

/// Judges these files as far as their content counts. What was judged before is not read.
///
/// # Errors
/// [`LayerError`] for a file that changed, vanished or cannot be read: nothing is known of it then.
pub fn judge<'a>(
    files: impl Iterator<Item = &'a DiskFile>,
    threads: usize,
    packing: &Packing,
) -> Result<()> {
    let is_unknown = |file: &&DiskFile| {
        is_judged(&file.path, file.stamp.size_bytes) && packing.digests.verdict(file).is_none()
    };
    let files: Vec<_> = files.filter(is_unknown).collect();
    let share = files.len().div_ceil(threads.max(1)).max(FEWEST_FILES);
    let judge_share =
        |share: &[&DiskFile]| share.iter().try_for_each(|file| judge_file(file, packing));
    let judged = thread::scope(|scope| {
        let workers: Vec<_> =
            files.chunks(share).map(|share| scope.spawn(move || judge_share(share))).collect();
        // Every one is waited for: the first error in the order of the files counts.
        let results: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        results.into_iter().try_for_each(|result| match result {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    });
    judged.map_err(|error| classify(error, packing))
}

fn judge_file(file: &DiskFile, packing: &Packing) -> Result<(), LayerError> {
    // The same file may stand in several places.
    if packing.digests.verdict(file).is_some() {
        return Ok(());
    }
    let mut verdict = None;
    project_file::read(file, packing, |content| {
        let size_bytes = file.stamp.size_bytes;
        let mut bytes = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or_default());
        let path = || file.path.clone();
        // One byte more than is wanted shows that the file has grown.
        let read = content.take(size_bytes.saturating_add(1)).read_to_end(&mut bytes);
        let count = read.map_err(|source| LayerError::Read { path: path(), source })?;
        if count as u64 != size_bytes {
            return Err(LayerError::Changed { path: path() });
        }
        verdict = Some(secrets::judge(&file.path, &bytes));
        Ok(())
    })?;
    if let Some(verdict) = verdict {
        packing.digests.judge(file, verdict);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::error::ErrorKind;
    use crate::layer::FileDigests;
    use crate::layer::testing::Workshop;
    use crate::oci::Digest;
    use crate::plan::secrets::{Found, Sort, Verdict};
    use crate::sys::{Clock as _, ManualClock, SystemClock};

    #[test]
    fn a_file_is_judged_once() {
        let workshop =
            Workshop::with_file(["\n", "gl", "pat-", "h4Zt9qLw2Xc7Vb1Nm8Kj"].concat().as_bytes());
        let LayerContent::Pack(entries) = workshop.plan().content else { unreachable!() };
        let EntryKind::File(FileSource::Disk(file)) = &entries[1].kind else { unreachable!() };
        // Every file has been left alone for long.
        let clock = ManualClock::at(SystemClock.unix_seconds() + 3600);
        let digests = FileDigests::none(workshop.project.path());
        let judge = |digests: &FileDigests| {
            let packing = Packing { digests, clock: &clock, ..workshop.packing() };
            judge([file, file].into_iter(), 2, &packing)
        };
        judge(&digests).unwrap();
        let found = vec![Found { sort: Sort::GitlabToken, line: 2 }];
        let verdict = Some(Verdict { found, is_public: false });
        let digest = Digest::of(&fs::read(workshop.path()).unwrap());
        assert_eq!((digests.get(file), digests.verdict(file)), (Some(digest), verdict.clone()));
        digests.save(&workshop.store);

        fs::remove_file(workshop.path()).unwrap();
        let digests = FileDigests::load(&workshop.store, workshop.project.path());
        judge(&digests).unwrap();
        assert_eq!(digests.verdict(file), verdict);
        let error = judge(&FileDigests::none(workshop.project.path())).unwrap_err();
        assert_eq!(error.lines(), ["`src/a` vanished while the layer was made"]);
        assert_eq!(error.kind(), ErrorKind::Failed);
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let workshop = Workshop::with_file(&vec![b'x'; 256 * 1024 + 1]);
        let LayerContent::Pack(entries) = workshop.plan().content else { unreachable!() };
        let EntryKind::File(FileSource::Disk(file)) = &entries[1].kind else { unreachable!() };
        judge([file].into_iter(), 1, &workshop.packing()).unwrap();
        assert_eq!(workshop.packing().digests.get(file), None);
    }
}
