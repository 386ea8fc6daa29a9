//! Under which tags an image is published: literals, templates over git facts, and strategies.
//!
//! | written | becomes |
//! |---|---|
//! | `git_sha` | the first 7 digits of the commit |
//! | `sha` | `sha-` and all digits of the commit |
//! | `git_tag` | the git tag of the commit |
//! | `semver` | `v1.2.3` gives `1.2.3`, `1.2` and `1`, `v0.4.1` only `0.4.1` and `0.4`, a pre-release only itself |
//! | `latest` | itself |
//! | `{{ git.sha7 }}`, `{{ git.sha }}` | the commit |
//! | `{{ git.tag }}`, `{{ git.branch }}` | the names, every character that no tag may have as `-` |
//! | `{{ git.version }}`, `{{ git.major }}`, `{{ git.minor }}`, `{{ git.patch }}`, `{{ git.prerelease }}` | the parts of a git tag such as `v1.2.3-rc.1` |
//! | anything else | itself |
//!
//! A tag with `when: default_branch` or `when: tag` applies only there. A template
//! that renders to nothing gives no tag.

mod facts;

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{ErrorKind, Value};

pub(super) use self::facts::version_of;
use self::facts::{Facts, slug};
use super::{PlanError, VcsFacts};
use crate::config::near_names::hint_for;
use crate::config::{
    GIT_FACTS, Problem, Problems, TagSpec, Template, TemplateError, hint_for_fact, is_tag_template,
    tag_environment,
};
use crate::error::{Error, Result};
use crate::oci::Reference;

/// What `when:` may say.
static TAG_CONDITIONS: &[&str] = &["default_branch", "tag"];

/// The rule of the distribution specification, in words.
const TAG_RULE: &str = "a tag has 1 to 128 letters, digits, `_`, `.` or `-`, and starts with none \
                        of the last two";

/// The tags of an image, in order, each once. `expand` puts variables of the environment into the
/// text of a spec; it is asked only about specs whose condition holds.
///
/// # Errors
/// When a fact that a tag is made of is missing, when the result is no valid tag, or when `expand`
/// fails.
pub fn tags(
    specs: &[TagSpec],
    facts: Option<&VcsFacts>,
    expand: &dyn Fn(&Template) -> Result<String>,
) -> Result<Vec<String>> {
    let facts = Facts::of(facts);
    let mut tags: Vec<String> = Vec::new();
    let mut errors = Vec::new();
    for spec in specs {
        match facts.tags_of_spec(spec, expand) {
            Ok(found) => tags.extend(found),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(joined(errors));
    }
    let mut seen = BTreeSet::new();
    tags.retain(|tag| seen.insert(tag.clone()));
    Ok(tags)
}

/// All errors as one: those with a place in the config together, else the first.
fn joined(mut errors: Vec<Error>) -> Error {
    if errors.len() > 1 {
        let mut problems = Problems::new();
        for error in &errors {
            if let Some(PlanError { position, message, hint }) = error.downcast_ref() {
                let hint = hint.clone();
                problems.extend(vec![Problem {
                    position: position.clone(),
                    message: message.clone(),
                    hint,
                }]);
            } else if let Some(TemplateError { position, message, hint }) = error.downcast_ref() {
                problems.report_with_hint(position, message, hint);
            } else {
                return errors.swap_remove(0);
            }
        }
        return problems.into();
    }
    errors.swap_remove(0)
}

/// Whether the condition of a spec holds. What is not known does not hold.
fn applies(spec: &TagSpec, facts: &Facts) -> Result<bool, PlanError> {
    let Some(condition) = &spec.when else { return Ok(true) };
    match condition.text.as_str() {
        "default_branch" => Ok(facts.known.is_default_branch == Some(true)),
        "tag" => Ok(facts.known.tag.is_some()),
        other => Err(PlanError {
            position: condition.position.clone(),
            message: format!("`{}` is no condition", other.escape_debug()),
            hint: Some(hint_for(other, TAG_CONDITIONS)),
        }),
    }
}

/// What a person should know of conditions that could not be decided: code, text, hint.
pub fn tag_warnings(
    specs: &[TagSpec],
    facts: Option<&VcsFacts>,
) -> Vec<(&'static str, String, Option<String>)> {
    let is_decided = |facts: &VcsFacts| {
        facts.unknown.is_none() && (facts.is_default_branch.is_some() || facts.branch.is_none())
    };
    if facts.is_some_and(is_decided) {
        return Vec::new();
    }
    let is_open = |spec: &&TagSpec| {
        spec.when.as_ref().is_some_and(|condition| condition.text == "default_branch")
    };
    let warn = |spec: &TagSpec| {
        let tag = spec.tag.text.escape_debug();
        (
            "unknown-default-branch",
            format!("the tag `{tag}` is left out: nothing says which branch is the default one"),
            Some(
                "`git remote set-head origin --auto` tells git; `-t` sets tags by hand".to_owned(),
            ),
        )
    };
    specs.iter().filter(is_open).map(warn).collect()
}

impl Facts {
    fn tags_of_spec(
        &self,
        spec: &TagSpec,
        expand: &dyn Fn(&Template) -> Result<String>,
    ) -> Result<Vec<String>> {
        if applies(spec, self)? { self.tags_of(&spec.tag, expand) } else { Ok(Vec::new()) }
    }

    fn tags_of(
        &self,
        template: &Template,
        expand: &dyn Fn(&Template) -> Result<String>,
    ) -> Result<Vec<String>> {
        let written = template.text.as_str();
        // Decided on what is written: a variable's value is never read as a template or a strategy.
        let is_template = is_tag_template(written);
        if !is_template && template.is_literal() {
            return Ok(self.literal(template)?);
        }
        let text = expand(template)?;
        let text = if is_template { self.render(template, &text)? } else { text };
        let tag = text.trim();
        if tag.is_empty() {
            return Ok(Vec::new());
        }
        if !Reference::is_tag(tag) {
            let message = format!(
                "`{}` gives `{}`, which is not a tag",
                written.escape_debug(),
                tag.escape_debug()
            );
            return Err(error(template, message, TAG_RULE).into());
        }
        Ok(vec![tag.to_owned()])
    }

    /// A tag without any variable: a strategy's name, or itself.
    fn literal(&self, template: &Template) -> Result<Vec<String>, PlanError> {
        let text = template.text.as_str();
        match text {
            "git_sha" => Ok(vec![self.fact(template, "sha7")?]),
            "sha" => Ok(vec![format!("sha-{}", self.fact(template, "sha")?)]),
            "git_tag" => Ok(vec![self.fact(template, "tag")?]),
            "semver" => self.fact(template, "version").map(|_| self.semver()),
            _ if Reference::is_tag(text) => Ok(vec![text.to_owned()]),
            _ => Err(error(template, format!("`{}` is not a tag", text.escape_debug()), TAG_RULE)),
        }
    }

    fn render(&self, template: &Template, text: &str) -> Result<String, PlanError> {
        let environment = tag_environment(slug);
        let members: BTreeMap<_, _> =
            self.members().into_iter().map(|(name, value)| (name, Value::from(value))).collect();
        let used = environment
            .template_from_str(text)
            .map(|template| template.undeclared_variables(true))
            .unwrap_or_default();
        let git = Value::from_pairs(members.clone());
        let variables = BTreeMap::from([("git", git)]);
        environment.render_str(text, variables).map_err(|failure| {
            let mut missing: Vec<_> = used
                .iter()
                .filter_map(|variable| variable.strip_prefix("git."))
                .filter(|name| !members.contains_key(name))
                .collect();
            missing.sort_unstable();
            let unknown = missing.iter().find(|name| !GIT_FACTS.contains(name));
            let written = template.text.escape_debug();
            match (failure.kind(), unknown, missing.first()) {
                (ErrorKind::UndefinedError, Some(name), _) => error(
                    template,
                    format!("`{written}`: git has no `{}`", name.escape_debug()),
                    &hint_for_fact(name),
                ),
                (ErrorKind::UndefinedError, None, Some(name)) => self.missing(template, name),
                (kind, ..) => {
                    let detail = failure.detail().map(|detail| format!(": {detail}"));
                    let detail = detail.unwrap_or_default();
                    error(
                        template,
                        format!("`{written}` cannot be rendered: {kind}{}", detail.escape_debug()),
                        "write it like `{{ git.sha7 }}`",
                    )
                }
            }
        })
    }
}

fn error(template: &Template, message: String, hint: &str) -> PlanError {
    PlanError { position: template.position.clone(), message, hint: Some(hint.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Position, TAG_STRATEGIES};
    use crate::plan::VcsUnknown;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn template(text: &str) -> Template {
        Template { text: text.into(), position: Position::default() }
    }

    fn spec(text: &str) -> TagSpec {
        match text.split_once(" when ") {
            None => TagSpec { tag: template(text), when: None },
            Some((tag, when)) => TagSpec { tag: template(tag), when: Some(template(when)) },
        }
    }

    fn facts(tag: Option<&str>) -> VcsFacts {
        VcsFacts {
            sha: Some(SHA.into()),
            tag: tag.map(str::to_owned),
            branch: Some("feature/Ä-1".into()),
            is_default_branch: Some(false),
            ..VcsFacts::default()
        }
    }

    fn of(texts: &[&str], facts: Option<&VcsFacts>) -> Result<Vec<String>, String> {
        let specs: Vec<_> = texts.iter().map(|text| spec(text)).collect();
        let expand = |template: &Template| Ok(template.text.replace("${ENV}", "prod"));
        tags(&specs, facts, &expand).map_err(|error| {
            std::iter::once(error.to_string()).chain(error.hints()).collect::<Vec<_>>().join("; ")
        })
    }

    #[test]
    fn every_form_gives_its_tags() {
        let (plain, tagged) = (facts(None), facts(Some("v1.2.3")));
        let long = facts(Some(&"x".repeat(200)));
        for (text, facts, expected) in [
            ("git_sha", &plain, vec!["0123456"]),
            ("sha", &plain, vec!["sha-0123456789abcdef0123456789abcdef01234567"]),
            ("git_tag", &tagged, vec!["v1.2.3"]),
            ("latest", &plain, vec!["latest"]),
            ("v7", &plain, vec!["v7"]),
            ("semver", &tagged, vec!["1.2.3", "1.2", "1"]),
            ("semver", &facts_of("2.0.0-rc.1"), vec!["2.0.0-rc.1"]),
            ("semver", &facts_of("v0.4.1"), vec!["0.4.1", "0.4"]),
            ("semver", &facts_of("v1.0.0+build.5"), vec!["1.0.0-build.5", "1.0", "1"]),
            ("{{ git.sha7 }}", &plain, vec!["0123456"]),
            ("{{ git.sha }}", &plain, vec![SHA]),
            ("{{ git.tag }}-${ENV}", &tagged, vec!["v1.2.3-prod"]),
            ("{{ git.branch }}", &plain, vec!["feature---1"]),
            ("{{ git.tag }}", &facts_of("release/1.0"), vec!["release-1.0"]),
            ("{{ git.major }}.{{ git.minor }}", &tagged, vec!["1.2"]),
            ("{{ git.version }}", &tagged, vec!["1.2.3"]),
            ("{{ git.prerelease }}", &tagged, vec![]),
            ("{% if git.tag is defined %}{{ git.tag }}{% endif %}", &plain, vec![]),
            ("{{ git.tag | default('none') }}", &plain, vec!["none"]),
            ("{{ \"lates\" }}", &plain, vec!["lates"]),
            ("{{ 'A b' | slug }}", &plain, vec!["A-b"]),
            ("build-${ENV}", &plain, vec!["build-prod"]),
            ("latest when tag", &plain, vec![]),
            ("latest when tag", &tagged, vec!["latest"]),
            ("latest when default_branch", &plain, vec![]),
        ] {
            assert_eq!(of(&[text], Some(facts)).unwrap(), expected, "{text}");
        }
        assert_eq!(of(&["git_tag"], Some(&long)), Ok(vec!["x".repeat(128)]));
    }

    fn facts_of(tag: &str) -> VcsFacts {
        facts(Some(tag))
    }

    #[test]
    fn every_strategy_of_the_config_is_known() {
        for strategy in TAG_STRATEGIES {
            let tags = of(&[strategy], Some(&facts_of("v1.2.3"))).unwrap();
            assert_eq!(tags == [strategy], strategy == "latest", "{strategy}");
        }
    }

    #[test]
    fn several_tags_keep_their_order_and_come_once() {
        let texts = ["v1.2.3", "git_tag", "semver", "1.2", "latest"];
        assert_eq!(
            of(&texts, Some(&facts_of("v1.2.3"))).unwrap(),
            ["v1.2.3", "1.2.3", "1.2", "1", "latest"]
        );
        assert_eq!(of(&["latest when default_branch", "x"], None).unwrap(), ["x"]);
    }

    #[test]
    fn what_is_missing_is_said_with_its_cure() {
        let plain = facts(None);
        for (text, facts, message) in [
            (
                "git_sha",
                None,
                ": `git_sha` cannot be a tag here: no commit is known; build in a git checkout, set \
                 GITHUB_SHA or CI_COMMIT_SHA, or name the tag with `-t`",
            ),
            (
                "{{ git.branch }}",
                None,
                ": `{{ git.branch }}` cannot be a tag here: no branch is known; check out a branch, \
                 set GITHUB_REF_NAME or CI_COMMIT_BRANCH, or name the tag with `-t`",
            ),
            (
                "git_tag",
                Some(&plain),
                ": `git_tag` cannot be a tag here: no git tag points at this commit; tag the commit \
                 and fetch the tags (`git fetch --tags`), or let it apply only there: \
                 `{tag: …, when: tag}`",
            ),
            (
                "semver",
                Some(&facts_of("nightly")),
                ": `semver` cannot be a tag here: the git tag `nightly` is no version such as \
                 `v1.2.3`; tag the commit and fetch the tags (`git fetch --tags`), or let it apply \
                 only there: `{tag: …, when: tag}`",
            ),
            (
                "{{ git.shaa }}",
                Some(&plain),
                ": `{{ git.shaa }}`: git has no `shaa`; did you mean `git.sha`?",
            ),
            (
                "{{ sha7 }}",
                Some(&plain),
                ": `{{ sha7 }}` cannot be rendered: undefined value; write it like `{{ git.sha7 }}`",
            ),
            (
                "a b",
                Some(&plain),
                ": `a b` is not a tag; a tag has 1 to 128 letters, digits, `_`, `.` or `-`, and \
                 starts with none of the last two",
            ),
            (
                "-${ENV}",
                Some(&plain),
                ": `-${ENV}` gives `-prod`, which is not a tag; a tag has 1 to 128 letters, digits, \
                 `_`, `.` or `-`, and starts with none of the last two",
            ),
            (
                "x when default",
                Some(&plain),
                ": `default` is no condition; expected one of `default_branch`, `tag`",
            ),
            (
                "{% for i in range(9999) %}x{% endfor %}",
                Some(&plain),
                ": `{% for i in range(9999) %}x{% endfor %}` cannot be rendered: engine ran out of \
                 fuel; write it like `{{ git.sha7 }}`",
            ),
        ] {
            assert_eq!(of(&[text], facts), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_several_tags_is_said_at_once() {
        let specs = ["git_tag", "v1", "-${ENV}"].map(spec);
        let error = tags(&specs, Some(&facts(None)), &|_| Ok("-prod".to_owned())).unwrap_err();
        let problems: &Problems = error.downcast_ref().unwrap();
        let messages: Vec<_> = problems.list().into_iter().map(|problem| problem.message).collect();
        assert_eq!(
            messages,
            [
                "`git_tag` cannot be a tag here: no git tag points at this commit",
                "`-${ENV}` gives `-prod`, which is not a tag",
            ]
        );
    }

    #[test]
    fn why_git_says_nothing_is_told() {
        let unknown = VcsUnknown {
            reason: "detected dubious ownership".into(),
            cure: Some("git config --global --add safe.directory /x".into()),
        };
        let facts = VcsFacts { unknown: Some(unknown), ..VcsFacts::default() };
        assert_eq!(
            of(&["git_sha"], Some(&facts)),
            Err(": `git_sha` cannot be a tag here: nothing is known of git: detected dubious \
                 ownership; run `git config --global --add safe.directory /x`, or set GITHUB_SHA or \
                 CI_COMMIT_SHA, or name the tag with `-t`"
                .to_owned())
        );
    }

    #[test]
    fn an_undecided_condition_is_told() {
        let unknown = VcsFacts { is_default_branch: None, ..facts(None) };
        let specs = [spec("latest when default_branch"), spec("x")];
        let warnings = tag_warnings(&specs, Some(&unknown));
        assert_eq!(
            warnings.iter().map(|(code, text, _)| (*code, text.as_str())).collect::<Vec<_>>(),
            [(
                "unknown-default-branch",
                "the tag `latest` is left out: nothing says which branch is the default one"
            )]
        );
        assert_eq!(tag_warnings(&specs, Some(&facts(None))), []);
    }
}
