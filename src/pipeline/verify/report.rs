//! What came of a verification.

use serde_json::{Value, json};

use crate::archive::Difference;
use crate::error::{Classified, ErrorKind, Result};
use crate::image::FieldDifference;
use crate::oci::Digest;
use crate::pipeline::summary::one_line;

/// Whether an image is what the project builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The image, as it was asked for.
    pub(super) reference: String,
    /// The digest of its manifest or index.
    pub(super) digest: Digest,
    /// The digest of what was built here.
    pub(super) built: Digest,
    /// What is equal, by its digest.
    pub(super) verified: Vec<String>,
    /// What is different, the most telling first; empty when nothing is.
    pub(super) findings: Vec<Finding>,
    /// What may have caused it.
    pub(super) hints: Vec<String>,
}

/// One thing that is different.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Finding {
    /// For people.
    pub(super) text: String,
    /// In the image of which platform, where there are several.
    pub(super) platform: Option<String>,
    /// In which layer, counted from 1, the base's first.
    pub(super) layer: Option<usize>,
    /// The file that differs, where it is about one.
    pub(super) path: Option<String>,
    /// In which field.
    pub(super) field: Option<String>,
    /// What the image has there, where that can be told.
    pub(super) image: Value,
    /// What was built here.
    pub(super) built: Value,
    /// The blob or manifest that cannot be pulled, where that is what is wrong.
    pub(super) lost: Option<Digest>,
}

/// The image is another one.
#[derive(Debug, thiserror::Error)]
#[error("`{reference}` is not what this project builds: it is {digest}, built here is {built}")]
struct Different {
    reference: String,
    digest: Digest,
    built: Digest,
    hints: Vec<String>,
}

impl Classified for Different {
    fn kind(&self) -> ErrorKind {
        ErrorKind::No
    }

    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }
}

/// The image is what it should be, and not all of it is there.
#[derive(Debug, thiserror::Error)]
#[error("`{reference}` is what this project builds, but it cannot be pulled: parts of it are lost")]
struct Lost {
    reference: String,
}

impl Classified for Lost {
    fn kind(&self) -> ErrorKind {
        ErrorKind::No
    }

    fn hints(&self) -> Vec<String> {
        vec!["push it again with `--no-cache`, which asks for every blob and sends those that are lost".into()]
    }
}

impl Finding {
    /// Something about the image or its documents. What it quotes may come from strangers.
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self { text: one_line(text.as_ref()), ..Self::default() }
    }

    /// A field of the image's documents.
    pub(super) fn field(difference: FieldDifference) -> Self {
        let text = difference.to_string();
        let FieldDifference { field, given, built } = difference;
        let (image, built) = (given.document(), built.document());
        Self { field: Some(field), image, built, ..Self::new(text) }
    }

    /// A blob or manifest that the image names and that cannot be pulled.
    pub(super) fn lost(what: &str, reason: &str, digest: Digest) -> Self {
        Self { lost: Some(digest), ..Self::new(format!("{what} cannot be pulled: {reason}")) }
    }

    /// The same about the first member of a layer that differs.
    pub(super) fn with_member(self, member: &Difference) -> Self {
        let (image, built) = member.values().unzip();
        Self {
            path: member.path().map(str::to_owned),
            field: Some(member.field().to_owned()),
            image: json!(image),
            built: json!(built),
            ..self
        }
    }

    fn line(&self) -> String {
        match &self.platform {
            Some(platform) => format!("{platform}: {}", self.text),
            None => self.text.clone(),
        }
    }

    fn document(&self) -> Value {
        json!({
            "text": self.text,
            "platform": self.platform,
            "layer": self.layer,
            "path": self.path,
            "field": self.field,
            "image": self.image,
            "built": self.built,
            "lost": self.lost,
        })
    }
}

impl VerifyReport {
    /// The report for people and scripts: what was verified, or what is different, one per line.
    pub fn lines(&self) -> Vec<String> {
        if self.findings.is_empty() {
            return self.verified.clone();
        }
        self.findings.iter().map(Finding::line).collect()
    }

    /// The report as one JSON document.
    pub fn document(&self) -> Value {
        json!({
            "reference": self.reference,
            "digest": self.digest,
            "built_digest": self.built,
            "is_equal": self.findings.is_empty(),
            "verified": self.verified,
            "differences": self.findings.iter().map(Finding::document).collect::<Vec<_>>(),
            "hints": self.hints,
        })
    }

    /// Whether the image is what the project builds.
    ///
    /// # Errors
    /// It is not: the answer is "no".
    pub fn into_result(self) -> Result<()> {
        let Self { reference, digest, built, findings, hints, .. } = self;
        if findings.is_empty() {
            return Ok(());
        }
        if digest == built && findings.iter().all(|finding| finding.lost.is_some()) {
            return Err(Lost { reference }.into());
        }
        Err(Different { reference, digest, built, hints }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_whatever_it_quotes() {
        let finding = Finding::new("a → \u{1b}[2J\nerror: b");
        assert_eq!(finding.line(), "a → \\u{1b}[2J\\nerror: b");
        let finding = Finding { platform: Some("linux/arm64".into()), ..finding };
        assert_eq!(finding.line(), "linux/arm64: a → \\u{1b}[2J\\nerror: b");
    }
}
