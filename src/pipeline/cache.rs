//! `dockless cache`: what is in the cache, and cleaning it up.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Context;
use super::summary::counted;
use crate::error::{Classified, ErrorKind, Result};
use crate::event::readable_size;
use crate::store::layout::LAYOUT_FILE;
use crate::store::{CACHE_TAG, PrunePolicy, Pruned, Tally, Usage, cache_files, prune};

/// What records are about, for people.
const RECORDS: &[(&str, &str)] = &[
    ("base-files-1", "what plans asked of bases"),
    ("facts-2", "what is in the layers of bases"),
    ("files-1", "digests of projects' files"),
    ("layer-files-1", "files taken from layers of other images"),
    ("layer-indexes-1", "what is in layers of other images"),
    ("layers-1", "what is in layers that were packed"),
];

/// What goes where nothing else is said.
const DEFAULT_AGE: Duration = Duration::from_hours(30 * 24);

/// `dockless cache prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneRequest {
    /// Removes what was not used for this long; 30 days when nothing else is said either.
    pub older_than: Option<Duration>,
    /// Removes the longest unused until no more than this is left.
    pub max_bytes: Option<u64>,
    /// Removes everything.
    pub is_all: bool,
    /// Only says what would be removed.
    pub is_dry_run: bool,
}

/// What is in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheReport {
    folder: PathBuf,
    usage: Usage,
    /// When something in it was used last, and how long ago that is.
    last_used: Option<(SystemTime, Duration)>,
}

/// What was removed from the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneReport {
    folder: PathBuf,
    pruned: Pruned,
    is_dry_run: bool,
}

/// There is no cache to speak of.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum CacheError {
    #[error("no home folder is known, and so no cache")]
    NoFolder,
    #[error("`{}` is no cache but an OCI layout", folder.display())]
    Layout { folder: PathBuf },
    #[error("`{}` is no cache of dockless: it has no file `{CACHE_TAG}`", folder.display())]
    Foreign { folder: PathBuf },
}

impl Classified for CacheError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec!["set DOCKLESS_CACHE_DIR to the folder of the cache".into()]
    }
}

/// Counts what is in the cache; makes nothing where there is none.
///
/// # Errors
/// The cache cannot be read.
pub fn cache_info(context: &Context) -> Result<CacheReport> {
    let folder = folder(context)?;
    let files = cache_files(&folder)?;
    let last_used = files
        .iter()
        .map(|file| file.used)
        .max()
        .map(|used| (used, now(context).duration_since(used).unwrap_or_default()));
    Ok(CacheReport { folder, usage: Usage::of(&files), last_used })
}

/// Removes from the cache what was not used for longest.
///
/// # Errors
/// The cache cannot be read, or it is none.
pub fn cache_prune(request: &PruneRequest, context: &Context) -> Result<PruneReport> {
    let folder = folder(context)?;
    if folder.join(LAYOUT_FILE).exists() {
        return Err(CacheError::Layout { folder }.into());
    }
    if folder.exists() && !folder.join(CACHE_TAG).is_file() {
        return Err(CacheError::Foreign { folder }.into());
    }
    let PruneRequest { older_than, max_bytes, is_all, is_dry_run } = *request;
    let older_than = older_than.or_else(|| max_bytes.is_none().then_some(DEFAULT_AGE));
    let policy = PrunePolicy { older_than, max_bytes, is_all };
    let pruned = prune(&folder, policy, now(context), is_dry_run)?;
    Ok(PruneReport { folder, pruned, is_dry_run })
}

fn now(context: &Context) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(context.clock.unix_seconds().unsigned_abs())
}

fn folder(context: &Context) -> Result<PathBuf, CacheError> {
    context.environment.cache_dir().ok_or(CacheError::NoFolder)
}

impl CacheReport {
    /// The report for people.
    pub fn lines(&self) -> Vec<String> {
        let Self { folder, usage, last_used } = self;
        let mut lines = vec![folder.display().to_string()];
        let line = |name: &str, tally: Tally| {
            let files = counted(tally.files, "file", "files");
            format!("  {name}: {files}, {}", readable_size(tally.size_bytes))
        };
        lines.push(line("layers and documents of images", usage.blobs));
        for (kind, tally) in &usage.records {
            let known = RECORDS.iter().find(|(known, _)| known == kind);
            let name = known.map_or_else(
                || format!("what another version remembers (`{}`)", kind.escape_debug()),
                |(_, name)| (*name).to_owned(),
            );
            lines.push(line(&name, *tally));
        }
        if usage.temporary.files > 0 {
            lines.push(line("half-written files", usage.temporary));
        }
        lines.push(line("together", usage.total()));
        lines.extend(last_used.map(|(_, age)| format!("last used {}", ago(age))));
        lines
    }

    /// The report as one JSON document.
    pub fn document(&self) -> Value {
        let mut document = usage_document(&self.usage);
        document["folder"] = json!(self.folder.display().to_string());
        let last_used = self.last_used.and_then(|(used, _)| Timestamp::try_from(used).ok());
        let seconds = last_used.and_then(|time| Timestamp::from_second(time.as_second()).ok());
        document["last_used"] = json!(seconds.map(|time| time.to_string()));
        document
    }
}

impl PruneReport {
    /// The report for people.
    pub fn line(&self) -> String {
        let Pruned { removed, left, in_use } = &self.pruned;
        let records: u64 = removed.records.values().map(|tally| tally.files).sum();
        let (removes, is) =
            if self.is_dry_run { ("would remove", "would be") } else { ("removed", "is") };
        let line = format!(
            "{removes} {} (blobs: {}, records: {records}, temporary files: {}); {} {is} left",
            readable_size(removed.total().size_bytes),
            removed.blobs.files,
            removed.temporary.files,
            readable_size(left.total().size_bytes),
        );
        let in_use = in_use.total();
        if in_use.files == 0 {
            return line;
        }
        let size = readable_size(in_use.size_bytes);
        let reason = "used within the last hour (`--all` removes that, too)";
        format!("{line}, {size} of it because it was {reason}")
    }

    /// The report as one JSON document.
    pub fn document(&self) -> Value {
        json!({
            "folder": self.folder.display().to_string(),
            "is_dry_run": self.is_dry_run,
            "removed": usage_document(&self.pruned.removed),
            "left": usage_document(&self.pruned.left),
            "in_use": usage_document(&self.pruned.in_use),
        })
    }
}

/// How long ago something was used, no more exactly than it is written down.
fn ago(age: Duration) -> String {
    const HOUR: u64 = 60 * 60;
    let some = |number: u64, unit: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {unit}{plural} ago")
    };
    match age.as_secs() {
        ..600 => "within the last ten minutes".to_owned(),
        seconds @ 600..HOUR => some(seconds / 60, "minute"),
        seconds if seconds < 48 * HOUR => some(seconds / HOUR, "hour"),
        seconds => some(seconds / (24 * HOUR), "day"),
    }
}

fn usage_document(usage: &Usage) -> Value {
    let tally = |tally: &Tally| json!({"files": tally.files, "size_bytes": tally.size_bytes});
    let records: serde_json::Map<_, _> =
        usage.records.iter().map(|(kind, records)| (kind.clone(), tally(records))).collect();
    json!({
        "blobs": tally(&usage.blobs),
        "records": records,
        "temporary": tally(&usage.temporary),
        "total": tally(&usage.total()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_no_more_exact_than_it_is_known() {
        for (seconds, expected) in [
            (0, "within the last ten minutes"),
            (600, "10 minutes ago"),
            (3_600, "1 hour ago"),
            (47 * 3_600, "47 hours ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(ago(Duration::from_secs(seconds)), expected);
        }
    }
}
