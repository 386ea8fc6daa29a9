//! Why an image cannot be published.

use std::io;
use std::path::PathBuf;

use super::destinations::DESTINATIONS;
use crate::error::{Classified, ErrorKind};
use crate::oci::{Digest, InvalidReference, Platform};

/// Why an image cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The text names no place where an image can go.
    #[error("`{}` is no destination", text.escape_debug())]
    UnknownDestination {
        /// As written.
        text: String,
        /// What was probably meant.
        similar: Option<&'static str>,
    },
    /// The text names a place in a way that cannot be right.
    #[error("`{}` is no destination: {reason}", text.escape_debug())]
    InvalidDestination {
        /// As written.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// A repository is written as a URL.
    #[error("`{}` is no destination: a repository is written without `{scheme}`", text.escape_debug())]
    Url {
        /// As written.
        text: String,
        /// What is too much: `https://`.
        scheme: String,
    },
    /// A repository is not written as one.
    #[error("this is no place to push to")]
    InvalidReference {
        /// What is wrong.
        #[from]
        source: InvalidReference,
    },
    /// A local engine would not take the image under this name.
    #[error("an image cannot be called `{}`", name.escape_debug())]
    InvalidName {
        /// The name, with a tag.
        name: String,
        /// What is wrong.
        source: InvalidReference,
    },
    /// The folder belongs to something else.
    #[error("`{}` is neither empty nor an OCI layout", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The layout's index cannot be added to.
    #[error("cannot add to the layout `{}`: {reason}", path.display())]
    ForeignLayout {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The archive would take the place of a folder, or its folder is not there.
    #[error("cannot write an archive to `{}`: {reason}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// The format holds one image.
    #[error("a docker-archive holds an image of one platform, not of {}", list(platforms))]
    SeveralPlatforms {
        /// Those of the image.
        platforms: Vec<Platform>,
    },
    /// The engines that read the format may be too old for it.
    #[error(
        "layers in a docker-archive cannot be compressed with zstd: `docker load` before Docker 23 does not read them"
    )]
    ZstdInDockerArchive,
    /// The image that a layout holds cannot be published as it is.
    #[error("the image in `{}` cannot be published: {reason}", path.display())]
    UnusableImage {
        /// The layout.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The output cannot be written.
    #[error("cannot write `{place}`")]
    Write {
        /// Folder, file, or standard output.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// Tags point at other images, and are not to be moved.
    #[error("{}", tags_exist(tags, wanted))]
    TagsExist {
        /// The tags, each once.
        tags: Vec<StandingTag>,
        /// The digest they were to get.
        wanted: Digest,
    },
    /// A blob of the image is not where it was.
    #[error("blob `{digest}` is gone from {place}, or damaged")]
    MissingBlob {
        /// The blob.
        digest: Digest,
        /// Where it should be.
        place: String,
    },
}

/// A tag that is not to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingTag {
    /// The reference with the tag.
    pub tag: String,
    /// The digest it has.
    pub existing: Digest,
    /// What would have moved.
    pub differences: Vec<String>,
}

/// One line for each tag.
fn tags_exist(tags: &[StandingTag], wanted: &Digest) -> String {
    let line = |StandingTag { tag, existing, differences }: &StandingTag| {
        let differences = match &differences[..] {
            [] => String::new(),
            differences => format!(": {}", differences.join("; ")),
        };
        format!("the tag `{tag}` exists at {existing}, the image is {wanted}{differences}")
    };
    tags.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn list(platforms: &[Platform]) -> String {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Classified for PublishError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Write { .. } | Self::MissingBlob { .. } => ErrorKind::Failed,
            _ => ErrorKind::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownDestination { similar: Some(syntax), .. } => {
                vec![format!("did you mean `{syntax}`?")]
            }
            Self::UnknownDestination { similar: None, .. } => {
                let syntaxes: Vec<_> =
                    DESTINATIONS.iter().map(|kind| format!("`{}`", kind.syntax)).collect();
                vec![format!("write it as {}", syntaxes.join(", "))]
            }
            Self::Url { text, scheme } => {
                let bare = text.strip_prefix(scheme).unwrap_or(text);
                let mut hints = vec![format!("leave out `{scheme}`: `{}`", bare.escape_debug())];
                if scheme.eq_ignore_ascii_case("http://") {
                    hints.push("a registry without TLS is named in `--insecure-registry`".into());
                }
                hints
            }
            Self::Occupied { .. } => vec!["name a new or an empty folder".into()],
            Self::SeveralPlatforms { platforms } => {
                let first = platforms.first().map(ToString::to_string).unwrap_or_default();
                vec![format!(
                    "choose one, for instance with `--platform {first}`, or write an `oci-archive:`"
                )]
            }
            Self::ZstdInDockerArchive => {
                vec!["take gzip here (`--compression gzip`), or write an `oci-archive:`".into()]
            }
            Self::TagsExist { .. } => vec![
                "push under another tag, or let it move by leaving out `--existing-tag fail`"
                    .into(),
            ],
            Self::MissingBlob { .. } => vec!["build the image again".into()],
            Self::InvalidDestination { .. }
            | Self::InvalidReference { .. }
            | Self::InvalidName { .. }
            | Self::ForeignLayout { .. }
            | Self::BadFile { .. }
            | Self::UnusableImage { .. }
            | Self::Write { .. } => Vec::new(),
        }
    }
}
