//! Under which tags: `-t`, else the config's, else `latest`.

use super::{Context, ProjectRequest};
use crate::config::{Config, TagSpec};
use crate::error::{Classified, ErrorKind, Result};
use crate::oci::{InvalidReference, Reference};
use crate::plan::{self, VcsFacts};

/// What `-t` gave, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TagArguments {
    /// Bare tags.
    pub(super) tags: Vec<String>,
    /// Full references: destinations of their own for `push`, names for `build`.
    pub(super) references: Vec<Reference>,
}

/// `-t` is neither a tag nor a reference.
#[derive(Debug, thiserror::Error)]
enum InvalidTag {
    #[error("`-t {}` is no tag", text.escape_debug())]
    Tag { text: String },
    #[error("`-t {}` is no reference", text.escape_debug())]
    Reference { text: String, source: InvalidReference },
    #[error("`-t {reference}` names a digest: a digest is what comes out, it cannot be chosen")]
    Digest { reference: Reference },
}

impl Classified for InvalidTag {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Tag { .. } => vec![
                "a tag has 1 to 128 letters, digits, `_`, `.` or `-`, and starts with none of the last two"
                    .into(),
            ],
            Self::Reference { .. } => Vec::new(),
            Self::Digest { .. } => vec!["leave out the part after `@`".into()],
        }
    }
}

/// Takes `-t` apart: what has no `/` and no `:` is a tag, everything else a full reference.
pub(super) fn parse(request: &ProjectRequest) -> Result<TagArguments> {
    let mut arguments = TagArguments::default();
    for text in &request.tags {
        if !text.contains(['/', ':']) {
            if !Reference::is_tag(text) {
                return Err(InvalidTag::Tag { text: text.clone() }.into());
            }
            arguments.tags.push(text.clone());
            continue;
        }
        let reference: Reference =
            text.parse().map_err(|source| InvalidTag::Reference { text: text.clone(), source })?;
        if reference.digest.is_some() {
            return Err(InvalidTag::Digest { reference }.into());
        }
        arguments.references.push(reference);
    }
    Ok(arguments)
}

/// The config's tags, resolved. Empty when the config has none.
pub(super) fn of_config(
    config: &Config,
    vcs: Option<&VcsFacts>,
    context: &Context,
) -> Result<Vec<String>> {
    let specs: &[TagSpec] = &config.publish.tags;
    for (code, text, hint) in plan::tag_warnings(specs, vcs) {
        context.events.warn(code, text, hint);
    }
    plan::tags(specs, vcs, &|template| Ok(template.expand(&context.environment)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_tags(tags: &[&str]) -> Result<TagArguments> {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        parse(&ProjectRequest { tags, ..ProjectRequest::default() })
    }

    #[test]
    fn a_slash_or_a_colon_makes_a_reference() {
        assert_eq!(
            parse_tags(&["v1", "ghcr.io/a/b:v2", "agent:v3"]).unwrap(),
            TagArguments {
                tags: vec!["v1".into()],
                references: vec![
                    "ghcr.io/a/b:v2".parse().unwrap(),
                    "docker.io/library/agent:v3".parse().unwrap()
                ],
            }
        );
    }

    #[test]
    fn what_is_neither_is_refused() {
        let digest = format!("a/b@sha256:{}", "0".repeat(64));
        for text in ["-x", "a b", "A/B:c", &digest] {
            assert_eq!(parse_tags(&[text]).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }
}
