//! What is removed from a cache: the longest unused first, and nothing that a running build may hold.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::LEFTOVER_AGE;
use super::usage::{CacheFile, CacheFileKind, MARK_EVERY, Usage, cache_files};
use crate::error::Result;

/// What was used within the last hour stays. Uses are not written down all the time.
const IN_USE: Duration = Duration::from_secs(60 * 60 + MARK_EVERY.as_secs());

/// What goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrunePolicy {
    /// What was not used for this long.
    pub older_than: Option<Duration>,
    /// As much as is too much; what was not used for longest.
    pub max_bytes: Option<u64>,
    /// Everything, also what a running build may be about to use.
    pub is_all: bool,
}

/// What was removed, and what is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What was removed.
    pub removed: Usage,
    /// What is there still.
    pub left: Usage,
    /// What of that would have gone, had it not been used within the last hour.
    pub in_use: Usage,
}

/// Removes files from the cache in this folder, or only says which ones would be. Temporary files go when
/// they are so old that they belong to nobody, whatever the policy.
///
/// # Errors
///
/// [`StoreError::Read`](super::StoreError::Read) when the cache cannot be read. A file that cannot be removed is left.
pub fn prune(
    root: &Path,
    policy: PrunePolicy,
    now: SystemTime,
    is_dry_run: bool,
) -> Result<Pruned> {
    let Chosen { mut removed, mut left, in_use } = chosen(cache_files(root)?, policy, now);
    if !is_dry_run {
        let (gone, stays) = removed.into_iter().partition(remove);
        removed = gone;
        left.extend::<Vec<_>>(stays);
    }
    left.extend_from_slice(&in_use);
    let (removed, left) = (Usage::of(&removed), Usage::of(&left));
    Ok(Pruned { removed, left, in_use: Usage::of(&in_use) })
}

/// Removes a file, unless it was used since it was listed.
fn remove(file: &CacheFile) -> bool {
    let used = fs::metadata(&file.path).and_then(|metadata| metadata.modified());
    used.is_ok_and(|used| used == file.used) && fs::remove_file(&file.path).is_ok()
}

/// The files of a cache, by what becomes of them.
#[derive(Debug, Default)]
struct Chosen {
    removed: Vec<CacheFile>,
    left: Vec<CacheFile>,
    /// Stays as well, but only because it is in use.
    in_use: Vec<CacheFile>,
}

/// Parts the files that go from those that stay.
fn chosen(mut files: Vec<CacheFile>, policy: PrunePolicy, now: SystemTime) -> Chosen {
    let PrunePolicy { older_than, max_bytes, is_all } = policy;
    files.sort_by(|one, other| (one.used, &one.path).cmp(&(other.used, &other.path)));
    let is_temporary = |file: &CacheFile| file.kind == CacheFileKind::Temporary;
    let sizes = files.iter().filter(|file| !is_temporary(file)).map(|file| file.size_bytes);
    let mut size_bytes: u64 = sizes.sum();
    let mut chosen = Chosen::default();
    for file in files {
        // A time in the future is no age.
        let age = now.duration_since(file.used).unwrap_or_default();
        let is_unwanted = older_than.is_some_and(|limit| age > limit)
            || max_bytes.is_some_and(|limit| size_bytes > limit);
        let place = match file.kind {
            CacheFileKind::Temporary if age > LEFTOVER_AGE => &mut chosen.removed,
            CacheFileKind::Temporary => &mut chosen.left,
            _ if is_all || (is_unwanted && age > IN_USE) => {
                size_bytes -= file.size_bytes;
                &mut chosen.removed
            }
            _ if is_unwanted => &mut chosen.in_use,
            _ => &mut chosen.left,
        };
        place.push(file);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn file(name: &str, kind: CacheFileKind, hours: u32) -> CacheFile {
        let used = now() - HOUR * hours;
        CacheFile { path: name.into(), kind, size_bytes: 10, used }
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365)
    }

    #[test]
    fn the_longest_unused_goes_first_and_what_is_in_use_stays() {
        let files = || {
            vec![
                file("week", CacheFileKind::Blob, 7 * 24),
                file("now", CacheFileKind::Blob, 0),
                file("day", CacheFileKind::Record("facts".into()), 24),
                file("hour", CacheFileKind::Blob, 1),
                file("month", CacheFileKind::Blob, 31 * 24),
                file("half", CacheFileKind::Temporary, 23),
                file("left", CacheFileKind::Temporary, 25),
                CacheFile { used: now() + HOUR, ..file("future", CacheFileKind::Blob, 0) },
            ]
        };
        let older_than = |hours| PrunePolicy { older_than: Some(HOUR * hours), ..<_>::default() };
        let max_bytes = |bytes| PrunePolicy { max_bytes: Some(bytes), ..<_>::default() };
        let both = PrunePolicy { max_bytes: Some(50), ..older_than(30 * 24) };
        for (policy, expected) in [
            (PrunePolicy::default(), "left"),
            (older_than(30 * 24), "month left"),
            (older_than(2), "month week left day"),
            (older_than(0), "month week left day"),
            (max_bytes(60), "left"),
            (max_bytes(59), "month left"),
            (max_bytes(40), "month week left"),
            (max_bytes(0), "month week left day"),
            (both, "month left"),
            (
                PrunePolicy { is_all: true, ..PrunePolicy::default() },
                "month week left day hour now future",
            ),
        ] {
            let Chosen { removed, left, in_use } = chosen(files(), policy, now());
            let names: Vec<_> = removed.iter().map(|file| file.path.to_str().unwrap()).collect();
            assert_eq!(names.join(" "), expected, "{policy:?}");
            assert_eq!(removed.len() + left.len() + in_use.len(), 8);
            let expected = match policy {
                PrunePolicy { max_bytes: Some(0), .. } => 3,
                PrunePolicy { older_than: Some(Duration::ZERO), .. } => 1,
                _ => 0,
            };
            assert_eq!(in_use.len(), expected, "{policy:?}");
        }
    }

    #[test]
    fn what_was_used_since_it_was_listed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blob");
        fs::write(&path, "blob").unwrap();
        let listed = CacheFile { path: path.clone(), ..file("blob", CacheFileKind::Blob, 5) };
        assert!(!remove(&listed));
        assert!(path.exists());
        fs::File::options().write(true).open(&path).unwrap().set_modified(listed.used).unwrap();
        assert!(remove(&listed));
        assert!(!path.exists() && !remove(&listed));
    }
}
