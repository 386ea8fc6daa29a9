//! Under which tags: `-t`, else the config's, else `latest`. A destination that is written with a
//! tag has that one before those of `-t`.

use super::{Context, ProjectRequest};
use crate::config::{self, Config, TagSpec};
use crate::error::{Attempting as _, Classified, ErrorKind, Result};
use crate::oci::{InvalidReference, Reference, without_password};
use crate::plan::{self, VcsFacts};

/// What `-t` gave, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TagArguments {
    /// Bare tags, templates and strategies, as in `tags:`.
    pub(super) tags: Vec<TagSpec>,
    /// Full references: destinations of their own for `push`, names for `build`.
    pub(super) references: Vec<Reference>,
}

/// `-t` is neither a tag nor a reference.
#[derive(Debug, thiserror::Error)]
enum InvalidTag {
    #[error("{message}")]
    Tag { message: String, hint: Option<String> },
    #[error("`{}` is no tag: a tag has no `/` and no `:`", text.escape_debug())]
    NoHost { text: String },
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    #[error("`{reference}` names a digest: a digest is what comes out, it cannot be chosen")]
    Digest { reference: Reference },
}

impl Classified for InvalidTag {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Tag { hint, .. } => hint.iter().cloned().collect(),
            Self::NoHost { text } => {
                let is_branch = text.contains('/').then(|| {
                    "for the name of a branch write `-t '{{ git.branch }}'`: each `/` is a `-` there"
                        .to_owned()
                });
                let with_host = text
                    .parse::<Reference>()
                    .ok()
                    .map(|reference| format!("for a repository of Docker Hub write `{reference}`"));
                is_branch.into_iter().chain(with_host).collect()
            }
            Self::Reference(_) => Vec::new(),
            Self::Digest { .. } => vec!["leave out the part after `@`".into()],
        }
    }
}

/// The tags of an image, before it is known where it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tags {
    /// From `-t`: every destination gets them.
    pub(super) given: Vec<String>,
    /// For the destinations that have no tag otherwise.
    pub(super) fallback: Vec<String>,
}

/// Takes `-t` apart: what has no `/` and no `:` is what `tags:` of the config has, and so is every
/// template; everything else is a full reference. One that is pushed to names its host: the name of a
/// branch reads like a repository of Docker Hub. One that is not may be short, as engines show it.
pub(super) fn parse(
    request: &ProjectRequest,
    is_pushed_to: bool,
    context: &Context,
) -> Result<TagArguments> {
    let name = context.option_names.variable("--tag").unwrap_or("-t");
    parse_all(&request.tags, is_pushed_to).attempting(|| format!("read `{name}`"))
}

fn parse_all(tags: &[String], is_pushed_to: bool) -> Result<TagArguments, InvalidTag> {
    let mut arguments = TagArguments::default();
    for text in tags {
        let is_template = text.trim_start().starts_with("{{") || text.contains("{%");
        if is_template || !text.contains(['/', ':']) {
            arguments.tags.push(
                config::parse_tag("-t", text)
                    .map_err(|(message, hint)| InvalidTag::Tag { message, hint })?,
            );
            continue;
        }
        let is_short_name = !is_pushed_to && text.contains(':');
        if !Reference::has_host(text) && !is_short_name {
            return Err(InvalidTag::NoHost { text: without_password(text) });
        }
        let reference: Reference = text.parse()?;
        if reference.digest.is_some() {
            return Err(InvalidTag::Digest { reference });
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
    resolve(&config.publish.tags, vcs, context)
}

/// The tags that templates and strategies stand for.
pub(super) fn resolve(
    specs: &[TagSpec],
    vcs: Option<&VcsFacts>,
    context: &Context,
) -> Result<Vec<String>> {
    for (code, text, hint) in plan::tag_warnings(specs, vcs) {
        context.events.warn(code, text, hint);
    }
    plan::tags(specs, vcs, &|template| Ok(template.expand(&context.environment)?))
}

/// Says which tags a push could not have here, to somebody who does not push.
pub(super) fn note_impossible(specs: &[TagSpec], vcs: Option<&VcsFacts>, context: &Context) {
    let expand = |template: &config::Template| Ok(template.expand(&context.environment)?);
    for spec in specs {
        if let Err(error) = plan::tags(std::slice::from_ref(spec), vcs, &expand) {
            let tag = spec.tag.text.escape_debug();
            context.events.note(format!("a push could not have the tag `{tag}` here: {error}"));
        }
    }
}

/// The tags that one entry stands for; none where that cannot be told.
pub(super) fn quietly(spec: &TagSpec, facts: &VcsFacts, context: &Context) -> Vec<String> {
    let expand = |template: &config::Template| Ok(template.expand(&context.environment)?);
    plan::tags(std::slice::from_ref(spec), Some(facts), &expand).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_tags(tags: &[&str]) -> Result<TagArguments> {
        let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        Ok(parse_all(&tags, true)?)
    }

    #[test]
    fn a_host_and_a_slash_make_a_reference() {
        let arguments =
            parse_tags(&["v1", "ghcr.io/a/b:v2", "localhost/agent", "{{ 'a:b' }}"]).unwrap();
        let tags: Vec<_> = arguments.tags.iter().map(|spec| spec.tag.text.as_str()).collect();
        assert_eq!(tags, ["v1", "{{ 'a:b' }}"]);
        let expected: [Reference; 2] =
            ["ghcr.io/a/b:v2".parse().unwrap(), "localhost/agent".parse().unwrap()];
        assert_eq!(arguments.references, expected);
    }

    #[test]
    fn docker_hub_is_pushed_to_only_when_it_is_named() {
        let hub = |name: &str| format!("for a repository of Docker Hub write `docker.io/{name}`");
        let branch =
            "for the name of a branch write `-t '{{ git.branch }}'`: each `/` is a `-` there";
        for (text, hints) in [
            ("feature/foo", vec![branch.to_owned(), hub("feature/foo")]),
            ("feature/Foo", vec![branch.to_owned()]),
            ("v1:2", vec![hub("library/v1:2")]),
        ] {
            let error = parse_tags(&[text]).unwrap_err();
            let line = format!("`{text}` is no tag: a tag has no `/` and no `:`");
            assert_eq!((error.kind(), error.lines()), (ErrorKind::Usage, vec![line]));
            assert_eq!(error.hints(), hints, "{text}");
        }
        let build =
            |text: &str| parse_all(&[text.to_owned()], false).map(|arguments| arguments.references);
        let short: Reference = "docker.io/library/agent:v3".parse().unwrap();
        assert_eq!(build("agent:v3").unwrap(), [short]);
        assert_eq!(build("feature/foo").unwrap_err().kind(), ErrorKind::Usage);
    }

    #[test]
    fn what_is_neither_is_refused() {
        let digest = format!("a/b@sha256:{}", "0".repeat(64));
        for text in ["-x", "a b", "A/B:c", &digest, "git_sh", "custom"] {
            assert_eq!(parse_tags(&[text]).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
        let error = parse_tags(&["semvr"]).unwrap_err();
        assert_eq!(error.lines(), ["`semvr` is almost the strategy `semver`"]);
        assert!(error.hints()[0].starts_with("did you mean `semver`?"), "{:?}", error.hints());
    }

    #[test]
    fn strategies_and_templates_stand_for_facts_of_git() {
        let facts = VcsFacts {
            sha: Some("0123456789abcdef".into()),
            tag: Some("v1.2.3".into()),
            ..VcsFacts::default()
        };
        let context = Context::new(crate::sys::Environment::of([]), crate::event::Events::none());
        let tags = |text: &str| {
            let arguments = parse_tags(&[text]).unwrap();
            resolve(&arguments.tags, Some(&facts), &context).unwrap()
        };
        for (text, expected) in [
            ("v1", &["v1"][..]),
            ("latest", &["latest"]),
            ("git_sha", &["0123456"]),
            ("semver", &["1.2.3", "1.2", "1"]),
            ("{{ git.sha7 }}", &["0123456"]),
            ("r-{{ git.tag }}", &["r-v1.2.3"]),
        ] {
            assert_eq!(tags(text), expected, "{text}");
        }
    }
}
