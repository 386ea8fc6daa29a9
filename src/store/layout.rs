//! OCI layouts as somebody gives them to us (image-spec, image-layout.md): read, never changed.
//!
//! Every document is hashed when it is read; layers are, when they are used.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;

use super::Store;
use crate::error::{Classified, ErrorKind, Result};
use crate::oci::{
    Descriptor, Digest, Document, Index, InvalidDocument, MAX_DOCUMENT_BYTES, MediaType,
};

/// The file that makes a folder a layout.
pub const LAYOUT_FILE: &str = "oci-layout";
/// The list of what is in it.
pub const INDEX_FILE: &str = "index.json";
/// The annotation that names an image in a layout's index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A layout on disk and what its index lists.
#[derive(Debug, Clone)]
pub struct Layout {
    path: PathBuf,
    store: Store,
    index: Index,
}

/// Why a layout cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file of it cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder is no layout.
    #[error("`{}` is no OCI layout: {reason}", path.display())]
    NotALayout {
        /// The folder.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// Its index breaks a rule.
    #[error("`{}` is not valid", path.display())]
    InvalidIndex {
        /// The index.
        path: PathBuf,
        /// Which rule.
        source: InvalidDocument,
    },
    /// A manifest, index or config in it breaks a rule.
    #[error("`{}` holds a document that is not valid", path.display())]
    InvalidDocument {
        /// The layout.
        path: PathBuf,
        /// Which rule.
        source: InvalidDocument,
    },
    /// It holds no such image, or nothing at all.
    #[error("`{}` holds no image{}", path.display(), wanted(selector.as_deref()))]
    NoSuchImage {
        /// The layout.
        path: PathBuf,
        /// What was asked for.
        selector: Option<String>,
        /// What there is.
        images: Vec<String>,
    },
    /// It holds several images that what was asked for fits.
    #[error("`{}` holds {} images{}", path.display(), images.len(), wanted(selector.as_deref()))]
    Ambiguous {
        /// The layout.
        path: PathBuf,
        /// What was asked for.
        selector: Option<String>,
        /// What there is.
        images: Vec<String>,
    },
    /// A blob that a document names is missing, or has the wrong size or digest.
    #[error("`{}` lacks blob `{digest}`, or has it damaged", path.display())]
    MissingBlob {
        /// The layout.
        path: PathBuf,
        /// The blob.
        digest: Digest,
    },
    /// A document is larger than any may be.
    #[error("document `{digest}` in `{}` is larger than 4 MiB", path.display())]
    TooLarge {
        /// The layout.
        path: PathBuf,
        /// The document.
        digest: Digest,
    },
}

fn wanted(selector: Option<&str>) -> String {
    selector.map_or_else(String::new, |selector| format!(" named `{}`", selector.escape_debug()))
}

impl Classified for LayoutError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoSuchImage { images, .. } if !images.is_empty() => {
                vec![format!("it holds {}", images.join(", "))]
            }
            Self::Ambiguous { path, images, .. } => vec![format!(
                "choose one with `oci:{0}:NAME` or `oci:{0}@DIGEST`: {1}",
                path.display(),
                images.join(", ")
            )],
            Self::MissingBlob { .. } | Self::InvalidDocument { .. } => {
                vec!["make the layout again, or copy it whole".into()]
            }
            _ => Vec::new(),
        }
    }
}

/// The content of [`LAYOUT_FILE`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutVersion {
    image_layout_version: String,
}

impl Layout {
    /// Reads the index of the layout in this folder.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when the folder cannot be read, or is no layout of version 1.
    pub fn load(path: &Path) -> Result<Self, LayoutError> {
        let without = |name| LayoutError::NotALayout {
            path: path.to_owned(),
            reason: format!("it has no file `{name}`"),
        };
        if !has_version(path)? {
            return Err(without(LAYOUT_FILE));
        }
        let index = read_index(path)?.ok_or_else(|| without(INDEX_FILE))?;
        Ok(Self { path: path.to_owned(), store: Store::read_only(path), index })
    }

    /// Reads the index of the layout that a writer has begun in this folder, or finished: the
    /// index is written before the file that makes the folder a layout. `None` before that.
    ///
    /// # Errors
    ///
    /// Those of [`Layout::load`], as far as there is something to read.
    pub fn load_for_writing(path: &Path) -> Result<Option<Index>, LayoutError> {
        if has_version(path)? {
            Self::load(path).map(|layout| Some(layout.index))
        } else {
            read_index(path)
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The blobs.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The image with this name or digest; without one, the only image there is.
    ///
    /// # Errors
    ///
    /// [`LayoutError::NoSuchImage`] and [`LayoutError::Ambiguous`].
    pub fn select(&self, selector: Option<&str>) -> Result<&Descriptor, LayoutError> {
        let digest = selector.and_then(|selector| selector.parse::<Digest>().ok());
        let is_selected = |image: &&Descriptor| match (&digest, selector) {
            (Some(digest), _) => image.digest == *digest,
            (None, Some(name)) => image.annotations.get(REF_NAME).is_some_and(|own| own == name),
            (None, None) => true,
        };
        let mut fitting: Vec<&Descriptor> = Vec::new();
        for image in self.images().filter(is_selected) {
            // One image under two names is one image.
            if fitting.iter().all(|other| other.digest != image.digest) {
                fitting.push(image);
            }
        }
        let (path, selector) = (self.path.clone(), selector.map(str::to_owned));
        match fitting[..] {
            [image] => Ok(image),
            [] => {
                let images = self.images().map(name_of).collect();
                Err(LayoutError::NoSuchImage { path, selector, images })
            }
            _ => {
                let images = fitting.into_iter().map(name_of).collect();
                Err(LayoutError::Ambiguous { path, selector, images })
            }
        }
    }

    /// Reads a manifest, index or config.
    ///
    /// # Errors
    ///
    /// [`LayoutError::MissingBlob`] when it is not there or not what the descriptor says, and
    /// [`LayoutError::TooLarge`].
    pub fn document(&self, descriptor: &Descriptor) -> Result<Bytes> {
        let (path, digest) = (self.path.clone(), descriptor.digest);
        if descriptor.size > MAX_DOCUMENT_BYTES {
            return Err(LayoutError::TooLarge { path, digest }.into());
        }
        self.check(descriptor)?;
        let bytes = self.store.read(descriptor)?;
        bytes.ok_or_else(|| LayoutError::MissingBlob { path, digest }.into())
    }

    /// Makes sure that a blob is there with the right size.
    ///
    /// # Errors
    ///
    /// [`LayoutError::MissingBlob`].
    pub fn check(&self, descriptor: &Descriptor) -> Result<(), LayoutError> {
        if self.store.has(descriptor) { Ok(()) } else { Err(self.missing(descriptor)) }
    }

    /// Makes sure that a blob is there with the right digest.
    ///
    /// # Errors
    ///
    /// [`LayoutError::MissingBlob`], or the store's error when it cannot be read.
    pub fn verify(&self, descriptor: &Descriptor) -> Result<()> {
        self.check(descriptor)?;
        if self.store.verify(descriptor)? { Ok(()) } else { Err(self.missing(descriptor).into()) }
    }

    /// Says of a document that it is one of this layout, which its user has to make again.
    pub fn invalid(&self, source: InvalidDocument) -> LayoutError {
        LayoutError::InvalidDocument { path: self.path.clone(), source }
    }

    /// Says that a blob is not there.
    pub fn missing(&self, descriptor: &Descriptor) -> LayoutError {
        LayoutError::MissingBlob { path: self.path.clone(), digest: descriptor.digest }
    }

    fn images(&self) -> impl Iterator<Item = &Descriptor> {
        self.index.images()
    }
}

/// Whether the folder says that it is a layout, and of a version that we know.
fn has_version(path: &Path) -> Result<bool, LayoutError> {
    let not_a_layout = |reason: String| LayoutError::NotALayout { path: path.to_owned(), reason };
    let Some(version) = unless_missing(read_file(&path.join(LAYOUT_FILE)))? else {
        return Ok(false);
    };
    let version: LayoutVersion = serde_json::from_slice(&version)
        .map_err(|error| not_a_layout(format!("`{LAYOUT_FILE}` is not valid: {error}")))?;
    if !version.image_layout_version.starts_with("1.") {
        let version = version.image_layout_version.escape_debug();
        return Err(not_a_layout(format!("its version is `{version}`, not 1.0.0")));
    }
    Ok(true)
}

fn read_index(path: &Path) -> Result<Option<Index>, LayoutError> {
    let path = path.join(INDEX_FILE);
    let Some(bytes) = unless_missing(read_file(&path))? else { return Ok(None) };
    match Document::parse_index(bytes, MediaType::OciIndex) {
        Ok(index) => Ok(Some(index.value)),
        Err(source) => Err(LayoutError::InvalidIndex { path, source }),
    }
}

fn unless_missing(read: Result<Bytes, LayoutError>) -> Result<Option<Bytes>, LayoutError> {
    match read {
        Err(LayoutError::Read { source, .. }) if is_missing(&source) => Ok(None),
        result => result.map(Some),
    }
}

/// How an image of a layout is named in messages.
fn name_of(image: &Descriptor) -> String {
    match image.annotations.get(REF_NAME) {
        Some(name) => format!("`{}`", name.escape_debug()),
        None => format!("`{}`", image.digest),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Reads a file of at most 4 MiB. A FIFO would make us wait for ever.
fn read_file(path: &Path) -> Result<Bytes, LayoutError> {
    let read = || {
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            return Err(io::Error::other("it is larger than 4 MiB"));
        }
        Ok(bytes.into())
    };
    read().map_err(|source| LayoutError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(content: &[u8], name: Option<&str>) -> Descriptor {
        let mut descriptor = Descriptor::of(MediaType::OciManifest, content);
        descriptor.annotations =
            name.map(|name| (REF_NAME.into(), name.into())).into_iter().collect();
        descriptor
    }

    fn layout(images: Vec<Descriptor>) -> (tempfile::TempDir, Layout) {
        let folder = tempfile::tempdir().unwrap();
        let index = Document::write(Index::new(images), MediaType::OciIndex);
        fs::write(folder.path().join(LAYOUT_FILE), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        fs::write(folder.path().join(INDEX_FILE), index.bytes).unwrap();
        let layout = Layout::load(folder.path()).unwrap();
        (folder, layout)
    }

    #[test]
    fn an_image_is_chosen_by_name_by_digest_or_because_it_is_the_only_one() {
        let (one, two) = (image(b"1", Some("one")), image(b"2", Some("two")));
        let (_folder, layout) = layout(vec![one.clone(), two.clone(), image(b"2", Some("zwei"))]);
        let digest = one.digest.to_string();
        for (selector, expected) in [
            (Some("one"), Ok(&one)),
            (Some("zwei"), Ok(&image(b"2", Some("zwei")))),
            (Some(digest.as_str()), Ok(&one)),
            (Some("three"), Err("it holds `one`, `two`, `zwei`")),
            (None, Err("`one`, `two`")),
        ] {
            match (layout.select(selector), expected) {
                (Ok(image), Ok(expected)) => assert_eq!(image, expected),
                (Err(error), Err(hint)) => {
                    assert!(error.hints()[0].ends_with(hint), "{:?}", error.hints());
                }
                (result, expected) => panic!("{selector:?}: {result:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn one_image_under_two_names_needs_no_choice() {
        let (_folder, layout) = layout(vec![image(b"1", Some("a")), image(b"1", Some("b"))]);
        assert_eq!(layout.select(None).unwrap(), &image(b"1", Some("a")));
    }

    #[test]
    fn an_empty_layout_holds_no_image() {
        let (folder, layout) = layout(Vec::new());
        assert_eq!(
            layout.select(None).unwrap_err().to_string(),
            format!("`{}` holds no image", folder.path().display())
        );
    }

    #[test]
    fn says_what_is_wrong_with_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mut files: Vec<(&str, &str, &str)> = vec![
            ("x", "", "is no OCI layout: it has no file `oci-layout`"),
            (LAYOUT_FILE, "{", "is no OCI layout: `oci-layout` is not valid: EOF"),
            (LAYOUT_FILE, r#"{"imageLayoutVersion":"2.0.0"}"#, "its version is `2.0.0`, not 1.0.0"),
            (LAYOUT_FILE, r#"{"imageLayoutVersion":"1.0.0"}"#, "it has no file `index.json`"),
            (INDEX_FILE, r#"{"schemaVersion":1,"manifests":[]}"#, "index.json` is not valid"),
        ];
        for (name, content, message) in files.drain(..) {
            fs::write(path.join(name), content).unwrap();
            let error = Layout::load(path).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_document_is_what_its_descriptor_says() {
        let image = image(b"{}", None);
        let (folder, layout) = layout(vec![image.clone()]);
        let blob = layout.store().blob_path(&image.digest);
        fs::create_dir_all(blob.parent().unwrap()).unwrap();
        let missing = format!(
            "`{}` lacks blob `{}`, or has it damaged",
            folder.path().display(),
            image.digest
        );
        assert_eq!(layout.document(&image).unwrap_err().to_string(), missing);
        fs::write(&blob, b"[]").unwrap();
        assert_eq!(layout.document(&image).unwrap_err().to_string(), missing);
        assert!(layout.verify(&image).is_err());
        assert!(blob.exists(), "nothing of a foreign layout is removed");
        fs::write(&blob, b"{}").unwrap();
        assert_eq!(layout.document(&image).unwrap(), &b"{}"[..]);
        layout.verify(&image).unwrap();
    }
}
