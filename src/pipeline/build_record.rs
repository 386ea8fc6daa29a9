//! The record of a build: what an image was made of, where it is, and what was allowed. `--build-record` writes
//! it, `verify` takes it in place of a reference.
//!
//! The same build gives the same record, wherever it runs: nothing in it is a path of the machine, a time or
//! a secret. Whoever reads it needs `kind` and `version` first: see [`RecordedBuild::parse`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::project::Project;
use super::{MadeLayer, ProducedImage, ProjectRequest, published_document};
use crate::config::LayerCompression;
use crate::error::{Classified, ErrorKind};
use crate::layer::{FileDigests, writer_version};
use crate::oci::{Digest, Digester, Platform};
use crate::plan::secrets::Exception;
use crate::plan::{BaseImage, DiskFile, EntryKind, FileSource, LayerContent, Plan, VcsFacts};
use crate::publish::Published;

/// What the document says it is.
pub(super) const KIND: &str = "dev.dockless.build-record";

/// Raised when a member changes its meaning; members may come without it.
const VERSION: u64 = 1;

/// What is recorded of a build beside the image itself.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildRecord {
    document: BTreeMap<&'static str, Value>,
}

/// What a build record is made of.
pub(super) struct Build<'a> {
    pub(super) project: &'a Project,
    pub(super) request: &'a ProjectRequest,
    pub(super) plan: &'a Plan,
    pub(super) vcs: Option<&'a VcsFacts>,
    pub(super) source_date_epoch: Option<i64>,
    pub(super) digests: &'a FileDigests,
    pub(super) exceptions: &'a [Exception],
    /// What the run wrote below the project's folder.
    pub(super) outputs: BTreeSet<String>,
}

impl BuildRecord {
    pub(super) fn new(build: &Build<'_>) -> Self {
        let Build { project, plan, exceptions, .. } = build;
        let config = &project.config;
        let files = project
            .files()
            .map(|(name, text)| json!({"name": name, "digest": Digest::of(text.as_bytes())}));
        let document = BTreeMap::from([
            ("kind", KIND.into()),
            ("version", VERSION.into()),
            (
                "tool",
                json!({
                    "name": env!("CARGO_PKG_NAME"),
                    "version": env!("CARGO_PKG_VERSION"),
                    "writer_version": writer_version(plan.compression),
                }),
            ),
            ("name", config.name.clone().into()),
            ("config", json!({"format": config.source.format, "files": files.collect::<Vec<_>>()})),
            ("git", build.vcs.map(git).unwrap_or_default()),
            ("options", options(build)),
            ("bases", plan.images.iter().map(|image| base(&image.platform, &image.base)).collect()),
            ("outputs", json!(build.outputs)),
            ("inputs", inputs(plan, build.digests)),
            ("exceptions", exceptions.iter().map(exception).collect()),
            ("required_at_run_time", config.required_at_run_time.clone().into()),
        ]);
        Self { document }
    }

    /// The whole document, with the image that was made.
    pub(super) fn document(&self, image: &ProducedImage) -> Value {
        let mut document = json!(self.document);
        let is_elsewhere = |place: &&Published| is_reference(&place.reference);
        let published: Vec<_> = image.published.iter().filter(is_elsewhere).cloned().collect();
        document["image"] = json!({
            "digest": image.descriptor.digest,
            "media_type": image.descriptor.media_type,
            "size": image.descriptor.size,
            "image_id": image.image_id(),
            "platforms": image.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "references": published.iter().map(|place| &place.reference).collect::<Vec<_>>(),
            "layers": image.layers.iter().map(MadeLayer::document).collect::<Vec<_>>(),
        });
        document["published"] = published_document(&published);
        document
    }
}

/// What the command line and the environment say that decides the image.
fn options(build: &Build<'_>) -> Value {
    let Build { request, source_date_epoch, .. } = build;
    let pairs = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
    json!({
        "base": request.base.as_deref().filter(|base| !is_path(base)),
        "platforms": request.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "compression": request.compression.map(LayerCompression::name),
        "labels": pairs(&request.labels),
        "annotations": pairs(&request.annotations),
        "source_date_epoch": source_date_epoch,
    })
}

fn git(facts: &VcsFacts) -> Value {
    let VcsFacts { sha, tag, branch, is_dirty, source_url, .. } = facts;
    if sha.is_none() {
        return Value::Null;
    }
    json!({"commit": sha, "tag": tag, "branch": branch, "is_dirty": is_dirty, "source": source_url})
}

fn base(platform: &Platform, base: &BaseImage) -> Value {
    json!({
        "platform": platform.to_string(),
        "name": (!is_path(&base.name)).then_some(&base.name),
        "digest": base.manifest.as_ref().map(|manifest| manifest.descriptor.digest),
        "layers": base.layers.len(),
    })
}

/// Whether the name of a base is a place on this machine.
fn is_path(base: &str) -> bool {
    base.strip_prefix("oci:").is_some_and(|path| Path::new(path).is_absolute())
}

/// Whether an image was published in a registry, and not on this machine.
fn is_reference(reference: &str) -> bool {
    !["oci:", "oci-archive:", "docker-archive:"].iter().any(|kind| reference.starts_with(kind))
}

/// The project's files that are in the image: how many, how large, and a digest over paths and contents, where
/// all of them are known.
fn inputs(plan: &Plan, digests: &FileDigests) -> Value {
    let contents = plan.images.iter().flat_map(|image| &image.layers).map(|layer| &layer.content);
    let entries = contents.flat_map(|content| match content {
        LayerContent::Pack(entries) => &entries[..],
        LayerContent::Existing { .. } => &[],
    });
    let files: BTreeMap<&str, &DiskFile> = entries
        .filter_map(|entry| match &entry.kind {
            EntryKind::File(FileSource::Disk(file)) => Some((file.path.as_str(), file)),
            _ => None,
        })
        .collect();
    let mut digester = Some(Digester::default());
    for (path, file) in &files {
        let digest = digests.get(file);
        digester = digester.zip(digest).map(|(mut digester, digest)| {
            digester.update(format!("{digest} {} {path}\n", path.len()).as_bytes());
            digester
        });
    }
    json!({
        "files": files.len(),
        "bytes": files.values().map(|file| file.stamp.size_bytes).sum::<u64>(),
        "digest": digester.map(Digester::finish),
    })
}

fn exception(exception: &Exception) -> Value {
    let Exception { by, subject, lines, sort } = exception;
    json!({"by": by, "subject": subject, "lines": lines, "looks_like": sort})
}

/// What later commands want to know of a record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct RecordedBuild {
    pub(super) image: RecordedImage,
    pub(super) options: RecordedOptions,
    /// What the build wrote below the project's folder: no part of it.
    #[serde(default)]
    pub(super) outputs: Vec<PathBuf>,
}

/// The image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct RecordedImage {
    /// Where it was published: `name@digest`.
    pub(super) references: Vec<String>,
    pub(super) digest: Digest,
}

/// What decided it beside the project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct RecordedOptions {
    base: Option<String>,
    platforms: Vec<String>,
    compression: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    source_date_epoch: Option<i64>,
}

/// A file is no build record that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordedBuildError {
    #[error("this is no build record")]
    Unreadable { source: serde_json::Error },
    #[error("this is no build record: it is no document of the kind `{KIND}`")]
    Kind,
    #[error("the build record has version {version}, this dockless knows {VERSION}")]
    Version { version: u64 },
    #[error("`{record}` names no registry: the image went to none when it was built")]
    Nowhere { record: String },
    #[error("the build record says `{text}`, which means nothing here")]
    Option { text: String },
    #[error("the image was built with `SOURCE_DATE_EPOCH` {}", shown(*recorded))]
    Epoch { recorded: Option<i64> },
}

fn shown(epoch: Option<i64>) -> String {
    epoch.map_or_else(|| "unset".to_owned(), |seconds| format!("`{seconds}`"))
}

impl Classified for RecordedBuildError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unreadable { .. } | Self::Kind => {
                vec!["name a file that `--build-record` has written, or the image".into()]
            }
            Self::Version { .. } => vec!["install the dockless that has written it".into()],
            Self::Nowhere { record } => {
                vec![format!("pass the reference: `dockless verify REFERENCE --record {record}`")]
            }
            Self::Option { .. } => Vec::new(),
            Self::Epoch { recorded: Some(seconds) } => {
                vec![format!("set `SOURCE_DATE_EPOCH={seconds}`")]
            }
            Self::Epoch { recorded: None } => vec!["unset it".into()],
        }
    }
}

impl RecordedBuild {
    /// Reads the text of a file; `None` when it is none of JSON, as a project's config.
    ///
    /// # Errors
    /// It is another document, or one of another version.
    pub(super) fn parse(text: &[u8]) -> Result<Option<Self>, RecordedBuildError> {
        if text.trim_ascii_start().first() != Some(&b'{') {
            return Ok(None);
        }
        let unreadable = |source| RecordedBuildError::Unreadable { source };
        let document: Value = serde_json::from_slice(text).map_err(unreadable)?;
        if document["kind"] != KIND {
            return Err(RecordedBuildError::Kind);
        }
        match document["version"].as_u64().unwrap_or_default() {
            VERSION => serde_json::from_value(document).map(Some).map_err(unreadable),
            version => Err(RecordedBuildError::Version { version }),
        }
    }

    /// Where the image is; `record` is the file that says so.
    ///
    /// # Errors
    /// Nowhere that others could look.
    pub(super) fn reference(&self, record: &str) -> Result<&str, RecordedBuildError> {
        let nowhere = || RecordedBuildError::Nowhere { record: record.to_owned() };
        self.image.references.first().map(String::as_str).ok_or_else(nowhere)
    }

    /// Fills in what the image was built with, where the command line says nothing else.
    ///
    /// # Errors
    /// An option is none of this version, or the environment says something else.
    pub(super) fn fill(
        &self,
        request: &mut ProjectRequest,
        source_date_epoch: Option<i64>,
    ) -> Result<(), RecordedBuildError> {
        let RecordedOptions { base, platforms, compression, labels, annotations, .. } =
            &self.options;
        let unknown = |text: &String| RecordedBuildError::Option { text: text.clone() };
        let recorded = self.options.source_date_epoch;
        if recorded != source_date_epoch {
            return Err(RecordedBuildError::Epoch { recorded });
        }
        request.base = request.base.take().or_else(|| base.clone());
        if request.platforms.is_empty() {
            let parse = |text: &String| text.parse::<Platform>().map_err(|_| unknown(text));
            request.platforms = platforms.iter().map(parse).collect::<Result<_, _>>()?;
        }
        if let (None, Some(name)) = (request.compression, compression) {
            request.compression = Some(LayerCompression::parse(name).ok_or_else(|| unknown(name))?);
        }
        for (given, recorded) in
            [(&mut request.labels, labels), (&mut request.annotations, annotations)]
        {
            let given_names: BTreeSet<_> = given.iter().map(|(name, _)| name.clone()).collect();
            let others = recorded.iter().filter(|(name, _)| !given_names.contains(*name));
            given.extend(others.map(|(name, value)| (name.clone(), value.clone())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(options: &Value) -> Value {
        json!({
            "kind": KIND,
            "version": 1,
            "later": true,
            "image": {"references": ["r.io/a@sha256:x"], "digest": Digest::of(b"")},
            "options": options,
        })
    }

    fn options() -> Value {
        json!({
            "base": "r.io/base:1", "platforms": ["linux/arm64"], "compression": "zstd",
            "labels": {"a": "1", "b": "2"}, "annotations": {}, "source_date_epoch": 7,
        })
    }

    fn parsed(document: &Value) -> Result<Option<RecordedBuild>, String> {
        RecordedBuild::parse(document.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn only_a_record_of_this_version_is_one() {
        let good = record(&options());
        assert_eq!(parsed(&good).unwrap().unwrap().reference("r.json").unwrap(), "r.io/a@sha256:x");
        let mut nowhere = good.clone();
        nowhere["image"]["references"] = json!([]);
        let error = parsed(&nowhere).unwrap().unwrap().reference("r.json").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`r.json` names no registry: the image went to none when it was built"
        );
        assert!(RecordedBuild::parse(b"name: p\nbase: scratch\n").unwrap().is_none());
        let mut newer = good.clone();
        newer["version"] = 2.into();
        for (document, message) in [
            (
                json!({}),
                "this is no build record: it is no document of the kind `dev.dockless.build-record`",
            ),
            (newer, "the build record has version 2, this dockless knows 1"),
            (record(&json!({})), "this is no build record"),
        ] {
            assert_eq!(parsed(&document), Err(message.to_owned()));
        }
    }

    #[test]
    fn the_command_line_goes_before_the_record() {
        let record = parsed(&record(&options())).unwrap().unwrap();
        let mut request = ProjectRequest::default();
        record.fill(&mut request, Some(7)).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            request,
            ProjectRequest {
                base: Some("r.io/base:1".into()),
                platforms: vec!["linux/arm64".parse().unwrap()],
                compression: Some(LayerCompression::Zstd),
                labels: vec![pair("a", "1"), pair("b", "2")],
                ..ProjectRequest::default()
            }
        );
        let given = ProjectRequest {
            base: Some("scratch".into()),
            platforms: vec!["linux/amd64".parse().unwrap()],
            compression: Some(LayerCompression::Gzip),
            labels: vec![pair("a", "3"), pair("b", "4")],
            ..ProjectRequest::default()
        };
        let mut request = given.clone();
        record.fill(&mut request, Some(7)).unwrap();
        assert_eq!(request, given);
        let error = record.fill(&mut request, None).unwrap_err();
        assert_eq!(error.to_string(), "the image was built with `SOURCE_DATE_EPOCH` `7`");
    }
}
