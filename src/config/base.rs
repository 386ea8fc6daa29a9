//! What an image stands on, as it is written: `base:` and `--base`.

use std::str::FromStr;

use super::near_names::nearest;
use crate::error::{Classified, ErrorKind};
use crate::oci::{Digest, Reference, without_password};

/// What an image stands on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Base {
    /// An image in a registry.
    Registry(Reference),
    /// An OCI layout on disk, with the ref name or digest of an image in it when it has several.
    Layout {
        /// The folder, as written; relative to the project.
        path: String,
        /// After `oci:DIR:` or `oci:DIR@`.
        selector: Option<String>,
    },
    /// Nothing at all.
    Scratch,
    /// A base that this binary carries, for instance `static`.
    Builtin(String),
}

/// The text names no base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidBase {
    message: String,
    hint: String,
}

/// The names after `builtin:`; `plan` makes them.
pub const BUILTIN_BASE_NAMES: &[&str] = &["static"];

/// The forms a base can have, for messages.
const FORMS: &str =
    "write `name:tag`, `name@sha256:…`, `oci:DIR`, `oci:DIR:NAME`, `scratch` or `builtin:static`";

/// What other tools put in front of a reference.
const FOREIGN_TRANSPORTS: [&str; 6] = [
    "docker://",
    "docker-archive:",
    "docker-daemon:",
    "oci-archive:",
    "dir:",
    "containers-storage:",
];

impl InvalidBase {
    /// What to write instead.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    fn new(message: String, hint: &str) -> Self {
        Self { message, hint: hint.into() }
    }
}

impl Classified for InvalidBase {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![self.hint.clone()]
    }
}

impl FromStr for Base {
    type Err = InvalidBase;

    fn from_str(text: &str) -> Result<Self, InvalidBase> {
        if text == "scratch" {
            return Ok(Self::Scratch);
        }
        if let Some(name) = text.strip_prefix("builtin:") {
            return parse_builtin(name);
        }
        if let Some(rest) = text.strip_prefix("oci:") {
            return parse_layout(rest);
        }
        let shown: String = without_password(text).escape_debug().collect();
        if text.contains("${") {
            return Err(InvalidBase::new(
                format!("`{shown}` is no base: variables are not replaced here"),
                "write the base out, and override it with `--base` where it differs",
            ));
        }
        if let Some(prefix) = FOREIGN_TRANSPORTS.iter().find(|prefix| text.starts_with(**prefix)) {
            let message = format!("`{shown}` is no base: `{prefix}` is not known here");
            return Err(InvalidBase::new(message, FORMS));
        }
        match text.parse() {
            Ok(reference) => Ok(Self::Registry(reference)),
            Err(error) => {
                let error: crate::oci::InvalidReference = error;
                Err(InvalidBase::new(error.to_string(), FORMS))
            }
        }
    }
}

fn parse_builtin(name: &str) -> Result<Base, InvalidBase> {
    if BUILTIN_BASE_NAMES.contains(&name) {
        return Ok(Base::Builtin(name.to_owned()));
    }
    let message = format!("there is no base `builtin:{}`", name.escape_debug());
    let hint = match nearest(name, BUILTIN_BASE_NAMES) {
        Some(name) => format!("did you mean `builtin:{name}`?"),
        None => format!("write `builtin:{}`", BUILTIN_BASE_NAMES.join("` or `builtin:")),
    };
    Err(InvalidBase::new(message, &hint))
}

/// `DIR`, `DIR:NAME` or `DIR@DIGEST`. As in other tools, the folder ends at the first `:`, because
/// a ref name may itself be a whole reference.
fn parse_layout(text: &str) -> Result<Base, InvalidBase> {
    let invalid = |reason: &str| {
        InvalidBase::new(
            format!("`oci:{}` is no base: {reason}", text.escape_debug()),
            "write `oci:DIR`, `oci:DIR:NAME` or `oci:DIR@sha256:…`",
        )
    };
    let (path, selector) = match text.split_once('@') {
        Some((path, digest)) if digest.parse::<Digest>().is_ok() => (path, Some(digest)),
        _ => match text.split_once(':') {
            Some((path, name)) => (path, Some(name)),
            None => (text, None),
        },
    };
    if path.is_empty() {
        return Err(invalid("the folder is missing"));
    }
    if selector.is_some_and(str::is_empty) {
        return Err(invalid("after the `:` comes the name of an image in the layout"));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid("it has control characters"));
    }
    Ok(Base::Layout { path: path.to_owned(), selector: selector.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_every_form() {
        let layout = |path: &str, selector: Option<&str>| Base::Layout {
            path: path.into(),
            selector: selector.map(Into::into),
        };
        let cases = [
            ("scratch".to_owned(), Base::Scratch),
            ("builtin:static".into(), Base::Builtin("static".into())),
            ("oci:out".into(), layout("out", None)),
            ("oci:../out/x".into(), layout("../out/x", None)),
            ("oci:out:v1".into(), layout("out", Some("v1"))),
            ("oci:out:ghcr.io/a/b:v1".into(), layout("out", Some("ghcr.io/a/b:v1"))),
            (format!("oci:out@{DIGEST}"), layout("out", Some(DIGEST))),
            ("python:3.12-slim".into(), Base::Registry("python:3.12-slim".parse().unwrap())),
        ];
        for (text, base) in cases {
            assert_eq!(text.parse::<Base>(), Ok(base), "{text}");
        }
    }

    #[test]
    fn says_what_it_expects() {
        for (text, message, hint) in [
            ("builtin:", "there is no base `builtin:`", "write `builtin:static`"),
            ("builtin:A b", "there is no base `builtin:A b`", "write `builtin:static`"),
            ("builtin:statc", "there is no base `builtin:statc`", "did you mean `builtin:static`?"),
            (
                "oci:",
                "`oci:` is no base: the folder is missing",
                "write `oci:DIR`, `oci:DIR:NAME` or `oci:DIR@sha256:…`",
            ),
            (
                "oci:out:",
                "`oci:out:` is no base: after the `:` comes the name of an image in the layout",
                "write `oci:DIR`, `oci:DIR:NAME` or `oci:DIR@sha256:…`",
            ),
            (
                "docker://python",
                "`docker://python` is no base: `docker://` is not known here",
                FORMS,
            ),
            (
                "python:${TAG}",
                "`python:${TAG}` is no base: variables are not replaced here",
                "write the base out, and override it with `--base` where it differs",
            ),
            ("a//b", "`a//b` is not an image reference: a part between two `/` is empty", FORMS),
        ] {
            let error = text.parse::<Base>().unwrap_err();
            assert_eq!((error.to_string().as_str(), error.hint()), (message, hint), "{text}");
        }
    }
}
