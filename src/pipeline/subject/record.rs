//! Images named by a file: the build record that says where an image was pushed to.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Target;
use crate::error::{Classified, ErrorKind, Result};
use crate::oci::{Digest, MAX_DOCUMENT_BYTES};
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
        if path.is_file() { recorded(path) } else { text.parse() }
    }
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
