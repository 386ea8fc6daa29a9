//! `dockless cache`: what is in the cache, and cleaning it up.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::Context;
use crate::error::{Classified, ErrorKind, Result};
use crate::event::readable_size;
use crate::store::layout::LAYOUT_FILE;
use crate::store::{CACHE_TAG, PrunePolicy, Pruned, Tally, Usage, cache_files, prune};

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
    let usage = Usage::of(&cache_files(&folder)?);
    Ok(CacheReport { folder, usage })
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
    let seconds = Duration::from_secs(context.clock.unix_seconds().unsigned_abs());
    let pruned = prune(&folder, policy, SystemTime::UNIX_EPOCH + seconds, is_dry_run)?;
    Ok(PruneReport { folder, pruned, is_dry_run })
}

fn folder(context: &Context) -> Result<PathBuf, CacheError> {
    context.environment.cache_dir().ok_or(CacheError::NoFolder)
}

impl CacheReport {
    /// The report for people.
    pub fn lines(&self) -> Vec<String> {
        let Self { folder, usage } = self;
        let mut lines = vec![folder.display().to_string()];
        let line = |name: &str, tally: Tally| {
            format!("  {name}: {}, {}", tally.files, readable_size(tally.size_bytes))
        };
        lines.push(line("blobs", usage.blobs));
        for (kind, tally) in &usage.records {
            lines.push(line(&format!("records `{}`", kind.escape_debug()), *tally));
        }
        lines.push(line("temporary files", usage.temporary));
        lines.push(line("together", usage.total()));
        lines
    }

    /// The report as one JSON document.
    pub fn document(&self) -> Value {
        let mut document = usage_document(&self.usage);
        document["folder"] = json!(self.folder.display().to_string());
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
