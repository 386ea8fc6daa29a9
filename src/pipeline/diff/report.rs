//! What came of comparing two images: lines for people, a document for programs.

use serde_json::{Value, json};

use super::layers::LayerChange;
use crate::archive::{Change, Node, PathDifference};
use crate::error::{Classified, ErrorKind, Result};
use crate::event::readable_size;
use crate::image::{FieldDifference, Side as FieldSide, shown, shown_command, shown_document};
use crate::oci::{Digest, Platform};
use crate::pipeline::subject::Subject;
use crate::pipeline::summary::counted;

/// So many files are listed, unless all are asked for.
const MAX_FILES: usize = 40;

/// What is different about two images.
#[derive(Debug)]
pub struct DiffReport {
    sides: [Side; 2],
    /// Whether one of them is an index.
    pub(super) has_platforms: bool,
    /// Platforms that only the older image has.
    pub(super) removed: Vec<Platform>,
    /// Platforms that only the newer image has.
    pub(super) added: Vec<Platform>,
    pub(super) pairs: Vec<Pair>,
    /// Whether all images are the same and their index is not.
    pub(super) is_index_changed: bool,
}

/// One of the images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Side {
    /// As the user wrote it.
    name: String,
    digest: Digest,
}

/// What is different about the images of one platform.
#[derive(Debug)]
pub(super) struct Pair {
    platform: Platform,
    /// Of the manifests.
    digests: [Digest; 2],
    pub(super) fields: Vec<FieldDifference>,
    pub(super) layers: Vec<LayerChange>,
    /// The layers at the bottom that hold the same and were not read.
    pub(super) shared_layers: usize,
    /// Whether the same layers stand on each other in another order.
    pub(super) is_reordered: bool,
    pub(super) files: Vec<PathDifference>,
}

/// They are not the same.
#[derive(Debug, thiserror::Error)]
#[error("`{before}` and `{after}` are not the same")]
struct Different {
    before: String,
    after: String,
}

impl Classified for Different {
    fn kind(&self) -> ErrorKind {
        ErrorKind::No
    }
}

impl Side {
    pub(super) fn of(subject: &Subject) -> Self {
        Self { name: subject.name.clone(), digest: subject.top.digest }
    }

    fn document(&self) -> Value {
        json!({"image": self.name, "digest": self.digest})
    }
}

impl DiffReport {
    pub(super) fn new(before: Side, after: Side) -> Self {
        Self {
            sides: [before, after],
            has_platforms: false,
            removed: Vec::new(),
            added: Vec::new(),
            pairs: Vec::new(),
            is_index_changed: false,
        }
    }

    /// Whether what was compared is the same.
    pub fn is_equal(&self) -> bool {
        let is_whole = self.removed.is_empty() && self.added.is_empty() && !self.is_index_changed;
        is_whole && self.pairs.iter().all(Pair::is_equal)
    }

    /// What is different, for people; nothing when nothing is. `has_all` lists every file.
    pub fn lines(&self, has_all: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (platforms, text) in [(&self.removed, "is gone"), (&self.added, "is new")] {
            lines.extend(platforms.iter().map(|platform| format!("platform {platform} {text}")));
        }
        for pair in &self.pairs {
            let own = pair.lines(has_all).into_iter();
            if self.has_platforms && !pair.is_equal() {
                lines.push(format!("platform {} changed", pair.platform));
                lines.extend(own.map(|line| format!("  {line}")));
            } else {
                lines.extend(own);
            }
        }
        if self.is_index_changed {
            lines.push("the images are the same, what else their index says is not".to_owned());
        }
        lines
    }

    /// All of it as one JSON document.
    pub fn document(&self) -> Value {
        let names = |platforms: &[Platform]| -> Vec<String> {
            platforms.iter().map(ToString::to_string).collect()
        };
        json!({
            "before": self.sides[0].document(),
            "after": self.sides[1].document(),
            "is_equal": self.is_equal(),
            "platforms_removed": names(&self.removed),
            "platforms_added": names(&self.added),
            "platforms": self.pairs.iter().map(Pair::document).collect::<Vec<_>>(),
        })
    }

    /// Whether the images are the same.
    ///
    /// # Errors
    /// They are not: the answer is "no".
    pub fn into_result(self) -> Result<()> {
        if self.is_equal() {
            return Ok(());
        }
        let [before, after] = self.sides.map(|side| side.name);
        Err(Different { before, after }.into())
    }
}

impl Pair {
    pub(super) fn new(platform: Platform, digests: [Digest; 2]) -> Self {
        Self {
            platform,
            digests,
            fields: Vec::new(),
            layers: Vec::new(),
            shared_layers: 0,
            is_reordered: false,
            files: Vec::new(),
        }
    }

    fn is_equal(&self) -> bool {
        self.digests[0] == self.digests[1]
    }

    /// Whether nothing was found, though the manifests differ.
    pub(super) fn is_silent(&self) -> bool {
        let is_empty = self.fields.is_empty() && self.layers.is_empty() && self.files.is_empty();
        is_empty && !self.is_reordered && !self.is_equal()
    }

    fn lines(&self, has_all: bool) -> Vec<String> {
        if self.is_silent() {
            return vec!["the documents say the same in another way".to_owned()];
        }
        let mut lines: Vec<_> = self.fields.iter().map(field_line).collect();
        lines.extend(self.layers.iter().map(LayerChange::line));
        if self.is_reordered {
            lines.push("layers are in another order".to_owned());
        }
        lines.extend(self.files_line());
        let count = if has_all { self.files.len() } else { MAX_FILES };
        lines.extend(self.files.iter().take(count).map(file_line));
        if self.files.len() > count {
            lines.push(format!("and {} more (`--all` lists them)", self.files.len() - count));
        }
        lines
    }

    /// How many files there are of what, and how far they are known.
    fn files_line(&self) -> Option<String> {
        if self.files.is_empty() {
            return None;
        }
        let count = |is_meant: fn(&Change) -> bool| {
            self.files.iter().filter(|file| is_meant(&file.change)).count()
        };
        let counts = [
            (count(|change| matches!(change, Change::Added(_) | Change::Uncovered)), "added"),
            (count(|change| matches!(change, Change::Removed(_) | Change::Emptied)), "removed"),
            (count(|change| matches!(change, Change::Changed { .. })), "changed"),
        ];
        let counts: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let counts = counts.join(", ");
        if !self.files.iter().any(|file| file.is_over_below) {
            return Some(format!("paths: {counts}"));
        }
        let layers = counted(self.shared_layers as u64, "layer", "layers");
        Some(format!(
            "paths: {counts}; not read: {layers} below, which both images have: what is added may replace, and \
             what is removed may uncover, what those have there"
        ))
    }

    fn document(&self) -> Value {
        let side = |side: &FieldSide| shown_document(&side.document());
        let field = |difference: &FieldDifference| {
            let FieldDifference { field, given, built } = difference;
            json!({"field": field, "before": side(given), "after": side(built)})
        };
        json!({
            "platform": self.platform.to_string(),
            "before": self.digests[0],
            "after": self.digests[1],
            "is_equal": self.is_equal(),
            "settings": self.fields.iter().map(field).collect::<Vec<_>>(),
            "layers": self.layers.iter().map(LayerChange::document).collect::<Vec<_>>(),
            "shared_layers": self.shared_layers,
            "is_reordered": self.is_reordered,
            "paths": self.files.iter().map(file_document).collect::<Vec<_>>(),
        })
    }
}

fn field_line(difference: &FieldDifference) -> String {
    let FieldDifference { field, given, built } = difference;
    let field = shown(field);
    if (given, built) == (&FieldSide::Hidden, &FieldSide::Hidden) {
        return format!("{field} changed (not shown)");
    }
    let [before, after] = difference.shown_sides().map(|side| shown_command(&side));
    format!("{field}: {before} → {after}")
}

fn file_line(file: &PathDifference) -> String {
    let path = format!("/{}", shown(&file.path));
    match &file.change {
        Change::Added(node) => format!("+ {path}{}", described(node.as_ref())),
        Change::Removed(node) => format!("- {path}{}", described(node.as_ref())),
        Change::Uncovered => format!("+ {path}/… (of the layers below)"),
        Change::Emptied => format!("- {path}/… (of the layers below)"),
        Change::Changed { .. } => {
            let fields = file.fields().into_iter();
            let fields: Vec<_> = fields
                .map(|(field, before, after)| {
                    format!("{field} {} → {}", shown(&before), shown(&after))
                })
                .collect();
            format!("~ {path}: {}", fields.join(", "))
        }
    }
}

/// What is there, behind its path.
fn described(node: Option<&Node>) -> String {
    let Some(node) = node else { return " (of the layers below)".to_owned() };
    match (node.content, node.target()) {
        (Some(_), _) => format!(" ({})", readable_size(node.member.size_bytes)),
        (None, Some(target)) => format!(" → {}", shown(&target)),
        (None, None) => format!(" ({})", node.kind()),
    }
}

fn file_document(file: &PathDifference) -> Value {
    let node = |node: &Node| {
        json!({
            "type": node.kind(),
            "mode": format!("{:04o}", node.member.mode),
            "uid": node.member.uid,
            "gid": node.member.gid,
            "size": node.member.size_bytes,
            "digest": node.content,
            "target": node.target(),
        })
    };
    let (change, before, after) = match &file.change {
        Change::Added(after) => ("added", None, after.as_ref()),
        Change::Removed(before) => ("removed", before.as_ref(), None),
        Change::Changed { before, after } => ("changed", Some(&**before), Some(&**after)),
        Change::Uncovered => ("uncovered", None, None),
        Change::Emptied => ("emptied", None, None),
    };
    let fields: Vec<_> = file.fields().into_iter().map(|(field, ..)| field).collect();
    json!({
        "path": format!("/{}", file.path),
        "change": change,
        "fields": fields,
        "before": before.map(node),
        "after": after.map(node),
        "is_over_shared_layers": file.is_over_below,
    })
}
