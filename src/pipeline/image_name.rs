//! Names of images in registries, and what people write in their place.

use crate::error::{Classified, ErrorKind};
use crate::oci::{InvalidReference, Reference, without_password};

/// How other tools say that what follows is a reference.
const SCHEMES: &[&str] = &["docker://", "https://", "http://"];
/// What lies on this machine.
const LOCAL_KINDS: &[&str] = &["oci:", "oci-archive:", "docker-archive:", "dir:", "type=local"];

/// The text names no image in a registry.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAnImage {
    /// A reference with something before it.
    #[error("`{}` is not how an image is named here", text.escape_debug())]
    Scheme {
        text: String,
        /// The reference alone.
        reference: String,
    },
    /// What `docker buildx` has for `--cache-from`.
    #[error("`{}` is an option of another tool, and names no image", text.escape_debug())]
    Option { text: String },
    /// A layout or an archive.
    #[error("`{}` lies on this machine: it is no image in a registry", text.escape_debug())]
    Local { text: String },
    /// A folder or a file.
    #[error("`{}` is a path: it is no image in a registry", text.escape_debug())]
    Path { text: String },
    /// Something else.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
}

/// Reads a reference.
pub(super) fn read(text: &str) -> Result<Reference, NotAnImage> {
    let shown = || without_password(text);
    if let Some(rest) = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        return Err(match rest.trim_end_matches('/').parse() {
            Ok(reference) => {
                let reference = Reference::to_string(&reference);
                NotAnImage::Scheme { text: shown(), reference }
            }
            Err(error) => error.into(),
        });
    }
    if LOCAL_KINDS.iter().any(|kind| text.starts_with(kind)) {
        return Err(NotAnImage::Local { text: shown() });
    }
    if is_path(text) {
        return Err(NotAnImage::Path { text: shown() });
    }
    if ["type=", "ref="].iter().any(|option| text.starts_with(option)) {
        return Err(NotAnImage::Option { text: shown() });
    }
    Ok(text.parse()?)
}

/// Whether a text can only be meant as a path.
pub(super) fn is_path(text: &str) -> bool {
    [".", ".."].contains(&text)
        || ["/", "./", "../", "~"].iter().any(|start| text.starts_with(start))
}

impl Classified for NotAnImage {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::Scheme { reference, .. } => format!("write it as `{reference}`"),
            Self::Local { .. } => {
                "name an image that was pushed, as `HOST/REPOSITORY:TAG`; what was packed on \
                 this machine is found in its cache"
                    .into()
            }
            Self::Option { .. } => "write the reference alone, as `HOST/REPOSITORY:TAG`".into(),
            Self::Path { .. } | Self::Reference(_) => "write it as `HOST/REPOSITORY:TAG`".into(),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_told_with_the_way_to_write_it() {
        let plain = "write it as `HOST/REPOSITORY:TAG`";
        let local = "name an image that was pushed, as `HOST/REPOSITORY:TAG`; what was packed on this \
                     machine is found in its cache";
        let alone = "write the reference alone, as `HOST/REPOSITORY:TAG`";
        for (text, message, hint) in [
            (
                "docker://r.io/a:v1",
                "`docker://r.io/a:v1` is not how an image is named here",
                "write it as `r.io/a:v1`",
            ),
            (
                "https://r.io/a/",
                "`https://r.io/a/` is not how an image is named here",
                "write it as `r.io/a`",
            ),
            ("oci:out", "`oci:out` lies on this machine: it is no image in a registry", local),
            ("./out", "`./out` is a path: it is no image in a registry", plain),
            ("/out", "`/out` is a path: it is no image in a registry", plain),
            ("..", "`..` is a path: it is no image in a registry", plain),
            (
                "type=registry",
                "`type=registry` is an option of another tool, and names no image",
                alone,
            ),
            ("ref=a", "`ref=a` is an option of another tool, and names no image", alone),
            (
                "https://me:secret@r.io/a",
                "`…@r.io/a` is not an image reference: no credentials stand in a reference",
                plain,
            ),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!((error.to_string(), error.hints()), (message.into(), vec![hint.into()]));
        }
        assert_eq!(read("r.io/a:v1").unwrap().to_string(), "r.io/a:v1");
    }
}
