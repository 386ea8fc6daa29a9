//! What git says of a commit, in the form of tags.

use std::collections::BTreeMap;

use super::error;
use crate::config::Template;
use crate::plan::{PlanError, VcsFacts, VcsUnknown};

/// How many characters a tag may have.
const MAX_TAG_LENGTH: usize = 128;

/// What helps where no git tag, or none that is a version, points at the commit.
const TAG_HINT: &str = "tag the commit and fetch the tags (`git fetch --tags`), or let it apply only \
                        there: `{tag: …, when: tag}`";

/// The facts in the form of tags.
pub(super) struct Facts {
    pub(super) known: VcsFacts,
    version: Option<semver::Version>,
}

impl Facts {
    pub(super) fn of(facts: Option<&VcsFacts>) -> Self {
        let known = facts.cloned().unwrap_or_default();
        let version = known.tag.as_deref().and_then(version_of);
        Self { known, version }
    }

    /// `1.2.3`, `1.2`, `1`: everything that the version may be asked for as.
    pub(super) fn semver(&self) -> Vec<String> {
        let Some(version) = &self.version else { return Vec::new() };
        let mut tags = vec![slug(&version.to_string())];
        if version.pre.is_empty() {
            tags.push(format!("{}.{}", version.major, version.minor));
            if version.major > 0 {
                tags.push(version.major.to_string());
            }
        }
        tags
    }

    /// A member of `git`.
    pub(super) fn fact(&self, template: &Template, name: &str) -> Result<String, PlanError> {
        self.members().remove(name).ok_or_else(|| self.missing(template, name))
    }

    /// The members of `git` that are known.
    pub(super) fn members(&self) -> BTreeMap<&'static str, String> {
        let VcsFacts { sha, tag, branch, .. } = &self.known;
        let version = self.version.as_ref();
        let members = [
            ("sha", sha.clone()),
            ("sha7", sha.as_deref().and_then(|sha| sha.get(..7)).map(str::to_owned)),
            ("tag", tag.as_deref().map(slug)),
            ("branch", branch.as_deref().map(slug)),
            ("version", version.map(|version| slug(&version.to_string()))),
            ("major", version.map(|version| version.major.to_string())),
            ("minor", version.map(|version| version.minor.to_string())),
            ("patch", version.map(|version| version.patch.to_string())),
            ("prerelease", version.map(|version| version.pre.to_string())),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Why a member is not known, and what would make it known.
    pub(super) fn missing(&self, template: &Template, name: &str) -> PlanError {
        let (what, hint) = match name {
            _ if self.known.unknown.is_some() => {
                let VcsUnknown { reason, cure } = self.known.unknown.clone().unwrap_or_default();
                let cure = cure.map(|cure| format!("run `{cure}`, or "));
                let hint = format!(
                    "{}set GITHUB_SHA or CI_COMMIT_SHA, or name the tag with `-t`",
                    cure.unwrap_or_default()
                );
                let written = template.text.escape_debug();
                let message =
                    format!("`{written}` cannot be a tag here: nothing is known of git: {reason}");
                return error(template, message, &hint);
            }
            "sha" | "sha7" => (
                "no commit is known".to_owned(),
                "build in a git checkout, set GITHUB_SHA or CI_COMMIT_SHA, or name the tag with `-t`",
            ),
            "branch" => (
                "no branch is known".to_owned(),
                "check out a branch, set GITHUB_REF_NAME or CI_COMMIT_BRANCH, or name the tag with \
                 `-t`",
            ),
            "tag" => ("no git tag points at this commit".to_owned(), TAG_HINT),
            _ => match &self.known.tag {
                Some(tag) => (
                    format!("the git tag `{}` is no version such as `v1.2.3`", tag.escape_debug()),
                    TAG_HINT,
                ),
                None => ("no git tag points at this commit".to_owned(), TAG_HINT),
            },
        };
        let written = template.text.escape_debug();
        error(template, format!("`{written}` cannot be a tag here: {what}"), hint)
    }
}

/// The version that a git tag names: `v1.2.3` or `1.2.3`.
pub(in crate::plan) fn version_of(tag: &str) -> Option<semver::Version> {
    semver::Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

/// A name as a tag: every character that a tag may not have becomes `-`.
pub(super) fn slug(name: &str) -> String {
    let valid = |character: char| {
        if character.is_ascii_alphanumeric() || "_.-".contains(character) { character } else { '-' }
    };
    let text: String = name.chars().map(valid).collect();
    text.trim_start_matches(['-', '.']).chars().take(MAX_TAG_LENGTH).collect()
}
