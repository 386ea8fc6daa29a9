//! Where an image goes, and under which tags: `image:`, `tags:` and `credentials_env_prefix:`.

use super::near_names::nearest;
use super::schema::{Field, Kind, Shape};
use super::tag_template::{self, is_tag_template};
use super::template::is_variable_name;
use super::validate::shown;
use super::{Node, Position, Problems, Template, Value};
use crate::oci::{Reference, Repository};

/// Where an image goes, and under which tags.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PublishSettings {
    /// Repositories; `${VAR}` and `${VAR:-x}` stand as written until they are needed.
    pub repositories: Vec<Template>,
    /// Tags or strategies.
    pub tags: Vec<TagSpec>,
    /// HoloDeck's `credentials_env_prefix`: `<PREFIX>_USERNAME` and `<PREFIX>_PASSWORD`.
    pub credentials_env_prefix: Option<String>,
    /// What a repository is to be like that is created because it is missing; none is created without.
    pub new_repository: Option<NewRepository>,
}

/// What a repository is to be like that does not exist yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRepository {
    /// Whether a tag stays where it was put first.
    pub has_immutable_tags: bool,
    /// Whether what is pushed is scanned.
    pub is_scanned: bool,
    /// The KMS key that encrypts it.
    pub encryption_key: Option<String>,
}

/// One entry of `tags:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSpec {
    /// A literal, a template over git facts, or the name of a strategy.
    pub tag: Template,
    /// The condition (`default_branch`, `tag`) under which it applies.
    pub when: Option<Template>,
}

/// The words in `tags:` that stand for tags made of git facts.
pub const TAG_STRATEGIES: [&str; 5] = ["git_sha", "git_tag", "latest", "semver", "sha"];

/// An entry of `tags:` with a condition.
pub(super) static TAG: Shape = Shape {
    name: "an entry of `tags`",
    fields: &[
        Field::required("tag", Kind::Text, "A tag, as in the short form."),
        Field::optional(
            "when",
            Kind::Choice(&["default_branch", "tag"]),
            "Only on the default branch, or only when a git tag points at HEAD.",
        ),
    ],
};

/// `create_repository` as a mapping.
pub(super) static NEW_REPOSITORY: Shape = Shape {
    name: "`create_repository`",
    fields: &[
        Field::optional(
            "immutable_tags",
            Kind::Boolean,
            "Whether a tag stays where it was put first; `false` when absent.",
        ),
        Field::optional(
            "scan_on_push",
            Kind::Boolean,
            "Whether ECR scans what is pushed; `false` when absent.",
        ),
        Field::optional(
            "encryption_key",
            Kind::Text,
            "The KMS key that encrypts the repository: an ARN, an id or an alias for ECR, `projects/…` for Artifact Registry; a key \
             of the cloud's when absent.",
        ),
    ],
};

/// Reads `create_repository:`.
pub(super) fn new_repository(node: &Node) -> Option<NewRepository> {
    if let Value::Mapping(_) = node.value {
        let is_on = |name| node.get(name).and_then(Node::as_bool).unwrap_or_default();
        return Some(NewRepository {
            has_immutable_tags: is_on("immutable_tags"),
            is_scanned: is_on("scan_on_push"),
            encryption_key: node.get_text("encryption_key").map(str::to_owned),
        });
    }
    node.as_bool()?.then(NewRepository::default)
}

/// A text of the file that may have variables.
pub(super) fn template(node: &Node) -> Option<Template> {
    let text = node.as_text()?.to_owned();
    Some(Template { text, position: node.position.clone() })
}

/// Reads `image:`: repositories without tag or digest, none of them twice.
pub(super) fn repositories(node: &Node, problems: &mut Problems) -> Vec<Template> {
    let mut repositories: Vec<Template> = Vec::new();
    for repository in node.one_or_many().into_iter().filter_map(template) {
        if !check_repository(&repository, problems) {
            continue;
        }
        if repositories.iter().any(|earlier| earlier.text == repository.text) {
            let message = format!("`{}` stands in `image` twice", shown(&repository.text));
            problems.report_with_hint(&repository.position, message, "remove one of them");
            continue;
        }
        repositories.push(repository);
    }
    repositories
}

/// Whether a repository is one, as far as that can be said before its variables are known.
pub(super) fn check_repository(repository: &Template, problems: &mut Problems) -> bool {
    if !repository.is_literal() {
        return repository.check(problems);
    }
    match repository.text.parse::<Repository>() {
        Ok(_) => true,
        Err(error) => {
            problems.report_with_hint(
                &repository.position,
                error.to_string(),
                "write `host/path` without a tag, for instance `ghcr.io/acme/agent`",
            );
            false
        }
    }
}

/// Reads `tags:`.
pub(super) fn tags(node: &Node, problems: &mut Problems) -> Vec<TagSpec> {
    let mut tags = Vec::new();
    for entry in node.one_or_many() {
        let (tag, when) = match entry.get("tag") {
            Some(tag) => (template(tag), entry.get("when").and_then(template)),
            None => (template(entry), None),
        };
        let Some(tag) = tag.filter(|tag| check_tag(tag, problems)) else { continue };
        let spec = TagSpec { tag, when };
        if !tags.iter().any(|earlier: &TagSpec| earlier.tag.text == spec.tag.text) {
            tags.push(spec);
        }
    }
    tags
}

/// Reads one tag as an entry of `tags:` is read; `place` is named in later messages.
///
/// # Errors
/// What is wrong, and what to do about it.
pub fn parse_tag(place: &str, text: &str) -> Result<TagSpec, (String, Option<String>)> {
    let position = Position { file: place.into(), line: 0, column: 0 };
    let tag = Template { text: text.to_owned(), position };
    let mut problems = Problems::new();
    if check_tag(&tag, &mut problems) {
        return Ok(TagSpec { tag, when: None });
    }
    let problem = problems.list().into_iter().next();
    Err(problem.map(|problem| (problem.message, problem.hint)).unwrap_or_default())
}

/// A tag that stands for itself, even when it reads like the name of a strategy.
pub(super) fn literal_tag(tag: Template) -> Template {
    if is_near_strategy(&tag.text) && tag.text != "latest" {
        return Template { text: format!("{{{{ \"{}\" }}}}", tag.text), ..tag };
    }
    tag
}

/// Whether a text names a strategy, or is one edit away from that.
fn is_near_strategy(text: &str) -> bool {
    TAG_STRATEGIES.iter().any(|strategy| strsim::damerau_levenshtein(text, strategy) <= 1)
}

fn check_tag(tag: &Template, problems: &mut Problems) -> bool {
    let text = tag.text.as_str();
    if !tag.check(problems) {
        return false;
    }
    if is_tag_template(text) {
        return tag_template::check(tag, problems);
    }
    if !tag.is_literal() || TAG_STRATEGIES.contains(&text) {
        return true;
    }
    let (message, hint) = if text == "custom" {
        (
            "the strategy `custom` is for agent.yaml, where `custom_tag` says the tag".to_owned(),
            "write the tag itself".to_owned(),
        )
    } else if is_near_strategy(text) {
        let strategy = nearest(text, &TAG_STRATEGIES).unwrap_or("latest");
        (
            format!("`{}` is almost the strategy `{strategy}`", shown(text)),
            format!(
                "did you mean `{strategy}`? For a tag of that very text write `{{{{ \"{}\" }}}}`",
                shown(text)
            ),
        )
    } else if Reference::is_tag(text) {
        return true;
    } else {
        (
            format!("`{}` is no tag", shown(text)),
            "1 to 128 letters, digits, `_`, `.` or `-`, starting with none of the last two; or a \
             template such as `{{ git.sha7 }}`"
                .to_owned(),
        )
    };
    problems.report_with_hint(&tag.position, message, hint);
    false
}

/// The prefix of two variables with credentials; an `_` at its end is dropped.
pub(super) fn env_prefix(node: &Node, problems: &mut Problems) -> Option<String> {
    let prefix = node.as_text()?.trim_end_matches('_');
    if prefix.starts_with("DOCKLESS_REGISTRY") {
        problems.report_with_hint(
            &node.position,
            "variables that begin with `DOCKLESS_REGISTRY` have a registry of their own",
            "leave the key out: they are used where they are set",
        );
        return None;
    }
    if is_variable_name(prefix) {
        return Some(prefix.to_owned());
    }
    problems.report_with_hint(
        &node.position,
        format!("`{}` is no prefix of a variable's name", shown(node.as_text()?)),
        "with `GHCR` the variables are `GHCR_USERNAME` and `GHCR_PASSWORD`",
    );
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(yaml: &str, read: impl Fn(&Node, &mut Problems) -> T) -> (T, Vec<String>) {
        let mut problems = Problems::new();
        let node = Node::parse_yaml(yaml, "f", &mut problems).unwrap();
        let value = read(&node, &mut problems);
        let line = |problem: crate::config::Problem| {
            format!("{}; {}", problem.message, problem.hint.unwrap_or_default())
        };
        (value, problems.list().into_iter().map(line).collect())
    }

    #[test]
    fn tags_are_literals_templates_or_strategies() {
        let yaml = "['v1', git_sha, '{{ git.sha7 }}', 'v${N:-1}', {tag: latest, when: tag}, v1]";
        let (tags, problems) = read(yaml, tags);
        assert_eq!(problems, [""; 0]);
        let texts: Vec<_> = tags
            .iter()
            .map(|spec| (spec.tag.text.as_str(), spec.when.as_ref().map(|when| when.text.as_str())))
            .collect();
        assert_eq!(
            texts,
            [
                ("v1", None),
                ("git_sha", None),
                ("{{ git.sha7 }}", None),
                ("v${N:-1}", None),
                ("latest", Some("tag")),
            ]
        );
    }

    #[test]
    fn refuses_what_is_no_tag() {
        for (tag, problem) in [
            (
                "lates",
                "`lates` is almost the strategy `latest`; did you mean `latest`? For a tag of that very text write `{{ \"lates\" }}`",
            ),
            (
                "git-sha",
                "`git-sha` is almost the strategy `git_sha`; did you mean `git_sha`? For a tag of that very text write `{{ \"git-sha\" }}`",
            ),
            (
                "custom",
                "the strategy `custom` is for agent.yaml, where `custom_tag` says the tag; write the tag itself",
            ),
            (
                "-x",
                "`-x` is no tag; 1 to 128 letters, digits, `_`, `.` or `-`, starting with none of the last two; or a template such as `{{ git.sha7 }}`",
            ),
            (
                "v$N",
                "in `v$N` a `$` stands alone; write `${NAME}` for a variable, `$$` for the character",
            ),
        ] {
            let (tags, problems) = read(&format!("['{tag}']"), tags);
            assert_eq!((tags, problems), (vec![], vec![problem.to_owned()]), "{tag}");
        }
    }

    #[test]
    fn repositories_are_created_as_the_config_wants_them() {
        let full = NewRepository {
            has_immutable_tags: true,
            is_scanned: false,
            encryption_key: Some("alias/k".into()),
        };
        for (yaml, expected) in [
            ("true", Some(NewRepository::default())),
            ("false", None),
            ("{}", Some(NewRepository::default())),
            ("{immutable_tags: true, scan_on_push: false, encryption_key: alias/k}", Some(full)),
        ] {
            let (found, problems) = read(yaml, |node, _| new_repository(node));
            assert_eq!((found, problems), (expected, vec![]), "{yaml}");
        }
    }

    #[test]
    fn a_literal_tag_never_becomes_a_strategy() {
        let literal = |text: &str| {
            literal_tag(Template {
                text: text.into(),
                position: crate::config::Position::default(),
            })
            .text
        };
        for (text, tag) in [
            ("v1", "v1"),
            ("latest", "latest"),
            ("sha", "{{ \"sha\" }}"),
            ("sha1", "{{ \"sha1\" }}"),
        ] {
            assert_eq!(literal(text), tag);
        }
    }

    #[test]
    fn repositories_have_no_tag() {
        let yaml = "[ghcr.io/a/b, '${HOST:-x.io}/b', 'ghcr.io/a/b', 'a/b:v1', '${', A]";
        let (repositories, problems) = read(yaml, repositories);
        let texts: Vec<_> = repositories.into_iter().map(|repository| repository.text).collect();
        assert_eq!(texts, ["ghcr.io/a/b", "${HOST:-x.io}/b"]);
        let hint = "write `host/path` without a tag, for instance `ghcr.io/acme/agent`";
        assert_eq!(
            problems,
            [
                "`ghcr.io/a/b` stands in `image` twice; remove one of them".to_owned(),
                format!(
                    "`a/b:v1` is not an image reference: expected a repository without a tag; {hint}"
                ),
                "in `${` a `${` is not closed; add `}`".into(),
                format!(
                    "`A` is not an image reference: a repository is written in lower case; {hint}"
                ),
            ]
        );
    }

    #[test]
    fn a_prefix_of_variables() {
        assert_eq!(read("GHCR_", env_prefix), (Some("GHCR".into()), vec![]));
        for (text, problem) in [
            (
                "my-registry",
                "`my-registry` is no prefix of a variable's name; with `GHCR` the variables are `GHCR_USERNAME` and `GHCR_PASSWORD`",
            ),
            (
                "DOCKLESS_REGISTRY_GHCR_IO",
                "variables that begin with `DOCKLESS_REGISTRY` have a registry of their own; leave the key out: they are used where they are set",
            ),
        ] {
            assert_eq!(read(text, env_prefix), (None, vec![problem.to_owned()]), "{text}");
        }
    }
}
