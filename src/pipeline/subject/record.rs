//! Images named by a file: the build record that says where an image was pushed to.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Target;
use crate::error::{Classified, ErrorKind, Result};
use crate::oci::{Digest, MAX_DOCUMENT_BYTES};
use crate::pipeline::image_name;
use crate::store::layout::LAYOUT_FILE;

/// The file or folder names no image.
#[derive(Debug, thiserror::Error)]
enum NotARecord {
    #[error("`{}` is an OCI layout, named as if it were in a registry", path.display())]
    Layout { path: PathBuf },
    #[error("cannot read `{}`", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{}` is no build record", path.display())]
    Invalid { path: PathBuf, source: serde_json::Error },
    #[error("the build record `{}` names no place where the image is", path.display())]
    Nowhere { path: PathBuf },
    #[error("there is no file `{}`", text.escape_debug())]
    Missing { text: String },
    #[error("`{}` is a folder, and no image", path.display())]
    Folder { path: PathBuf },
    #[error("`{}` is a project's config, and no image", path.display())]
    Config { path: PathBuf },
}

impl Classified for NotARecord {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Layout { path } => vec![format!("write `oci:{}`", path.display())],
            Self::Unreadable { .. } => Vec::new(),
            Self::Invalid { .. } => vec![
                "name an image (`HOST/REPOSITORY:TAG`, `oci:DIR`), or the record of a build".into(),
            ],
            Self::Nowhere { .. } => vec!["name the image itself".into()],
            Self::Missing { .. } => {
                vec!["name a file that `--build-record` has written, or an image".into()]
            }
            Self::Folder { .. } | Self::Config { .. } => vec![
                "build it first, and name what comes of it: `oci:DIR` or `HOST/REPOSITORY:TAG`"
                    .into(),
            ],
        }
    }
}

/// What is read of a record.
#[derive(Deserialize)]
struct Record {
    image: RecordedImage,
}

#[derive(Deserialize)]
struct RecordedImage {
    #[serde(default)]
    references: Vec<String>,
    digest: Option<Digest>,
}

impl Target {
    /// Reads what is looked at: an image, or a file that is the record of one.
    pub(in crate::pipeline) fn find(text: &str) -> Result<Self> {
        let path = Path::new(text);
        if path.join(LAYOUT_FILE).is_file() {
            return Err(NotARecord::Layout { path: path.to_owned() }.into());
        }
        if is_config(path) {
            return Err(NotARecord::Config { path: path.to_owned() }.into());
        }
        if path.is_dir() && image_name::is_path(text) {
            return Err(NotARecord::Folder { path: path.to_owned() }.into());
        }
        if path.is_file() { recorded(path) } else { Self::parse(text) }
    }

    /// Reads the name of an image, which a file that is not there has none.
    pub(in crate::pipeline) fn parse(text: &str) -> Result<Self> {
        if is_meant_as_file(text) && !Path::new(text).exists() {
            return Err(NotARecord::Missing { text: text.to_owned() }.into());
        }
        text.parse()
    }
}

/// Whether a file is a project's config, by its name.
pub(in crate::pipeline) fn is_config(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
        && path.is_file()
}

/// Whether a text names no repository, but a file: a path, or a record without a registry before it.
fn is_meant_as_file(text: &str) -> bool {
    let has_registry = text
        .split_once('/')
        .is_some_and(|(first, _)| first == "localhost" || first.contains(['.', ':']));
    let is_json = Path::new(text).extension().is_some_and(|extension| extension == "json");
    let is_layout = text.starts_with("oci:");
    image_name::is_path(text) || (is_json && !has_registry && !is_layout)
}

fn recorded(path: &Path) -> Result<Target> {
    let mut bytes = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(MAX_DOCUMENT_BYTES).read_to_end(&mut bytes))
        .map_err(|source| NotARecord::Unreadable { path: path.to_owned(), source });
    read?;
    let Record { image } = serde_json::from_slice(&bytes)
        .map_err(|source| NotARecord::Invalid { path: path.to_owned(), source })?;
    let first = image.references.first();
    let first = first.ok_or_else(|| NotARecord::Nowhere { path: path.to_owned() })?;
    let mut target: Target = first.parse()?;
    // A tag may have moved since.
    if let Target::Registry(reference) = &mut target {
        reference.digest = reference.digest.or(image.digest);
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_told_from_a_repository() {
        for (text, expected) in [
            ("record.json", true),
            ("out/record.json", true),
            ("./record", true),
            ("/tmp/record", true),
            ("../record", true),
            ("r.io/a/record.json", false),
            ("localhost:5000/record.json", false),
            ("localhost/record.json", false),
            ("oci:record.json", false),
            ("record.json:v1", false),
            ("record", false),
        ] {
            assert_eq!(is_meant_as_file(text), expected, "{text}");
        }
    }
}
