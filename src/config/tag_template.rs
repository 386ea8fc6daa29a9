//! What may stand in a tag's template: the facts of git, and nothing else.

use std::collections::BTreeMap;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use super::near_names::nearest;
use super::{Problems, Template};

/// The members of `git` in a template.
pub const GIT_FACTS: [&str; 9] =
    ["branch", "major", "minor", "patch", "prerelease", "sha", "sha7", "tag", "version"];

/// How many instructions a tag's template may run.
const FUEL: u64 = 1_000;

/// An environment for a tag's template; `slug` makes the text of a value fit for a tag.
pub fn tag_environment(slug: fn(&str) -> String) -> Environment<'static> {
    let mut environment = Environment::new();
    // `"%0999999999d"|format(1)` makes a gigabyte of one step: fuel does not see it.
    environment.remove_filter("format");
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.add_filter("slug", move |value: &Value| slug(&value.to_string()));
    environment
}

/// The fact that is probably meant.
pub fn hint_for_fact(name: &str) -> String {
    let digits = name.strip_prefix("sha").unwrap_or_default();
    let is_short = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let habit = match name {
        _ if is_short => Some("sha7"),
        "short_sha" | "sha_short" | "short" | "hash7" => Some("sha7"),
        "commit" | "hash" | "revision" | "rev" => Some("sha"),
        "ref" | "ref_name" => Some("branch"),
        "semver" => Some("version"),
        _ => None,
    };
    match habit.or_else(|| nearest(name, &GIT_FACTS)) {
        Some(fact) => format!("did you mean `git.{fact}`?"),
        None => format!("git has `{}`", GIT_FACTS.join("`, `")),
    }
}

/// Whether a text is a template over git facts.
pub fn is_tag_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Reports what no commit can make right: wrong syntax, and facts that git does not have.
pub(super) fn check(template: &Template, problems: &mut Problems) -> bool {
    let environment = tag_environment(str::to_owned);
    let written = template.text.escape_debug();
    let parsed = match environment.template_from_str(&template.text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
            problems.report_with_hint(
                &template.position,
                format!("`{written}` is no template: {}{}", error.kind(), detail.escape_debug()),
                "write it like `{{ git.sha7 }}`",
            );
            return false;
        }
    };
    let mut used: Vec<_> = parsed.undeclared_variables(true).into_iter().collect();
    used.sort_unstable();
    let is_global = |name: &str| environment.globals().any(|(global, _)| global == name);
    let mut is_fine = true;
    for name in used {
        let (root, rest) = name.split_once('.').unwrap_or((&name, ""));
        let fact = rest.split('.').next().unwrap_or_default();
        let (message, hint) = if root == "git" {
            if fact.is_empty() || GIT_FACTS.contains(&fact) {
                continue;
            }
            (format!("`{written}`: git has no `{}`", fact.escape_debug()), hint_for_fact(fact))
        } else if is_global(root) {
            continue;
        } else {
            let message = format!("`{written}`: `{}` is not defined", root.escape_debug());
            (message, hint_for_fact(root))
        };
        problems.report_with_hint(&template.position, message, hint);
        is_fine = false;
    }
    is_fine && check_names(&environment, template, problems)
}

/// Reports filters, tests and functions that do not exist: they show only when it is rendered.
fn check_names(
    environment: &Environment<'_>,
    template: &Template,
    problems: &mut Problems,
) -> bool {
    let facts: BTreeMap<_, _> = GIT_FACTS.into_iter().map(|fact| (fact, "1")).collect();
    let variables = BTreeMap::from([("git", facts)]);
    let Err(error) = environment.render_str(&template.text, variables) else { return true };
    if !matches!(
        error.kind(),
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction
    ) {
        return true;
    }
    let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
    problems.report_with_hint(
        &template.position,
        format!(
            "`{}` is no template: {}{}",
            template.text.escape_debug(),
            error.kind(),
            detail.escape_debug()
        ),
        "write it like `{{ git.sha7 }}`",
    );
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Position;

    #[test]
    fn what_no_commit_makes_right_is_refused_at_once() {
        for (text, expected) in [
            ("{{ git.sha7 }}-${ENV}", ""),
            ("{{ \"latest\" }}", ""),
            ("{% if git.tag is defined %}{{ git.tag | slug }}{% endif %}", ""),
            ("{{ git.prerelease | default('none') }}", ""),
            ("{% for i in range(3) %}x{% endfor %}", ""),
            ("{{ git.sha8 }}", "`{{ git.sha8 }}`: git has no `sha8`; did you mean `git.sha7`?"),
            ("{{ git.shaa }}", "`{{ git.shaa }}`: git has no `shaa`; did you mean `git.sha`?"),
            (
                "{{ git.brnch }}",
                "`{{ git.brnch }}`: git has no `brnch`; did you mean `git.branch`?",
            ),
            ("{{ sha7 }}", "`{{ sha7 }}`: `sha7` is not defined; did you mean `git.sha7`?"),
            (
                "{{ date }}",
                "`{{ date }}`: `date` is not defined; git has `branch`, `major`, `minor`, `patch`, \
                 `prerelease`, `sha`, `sha7`, `tag`, `version`",
            ),
            (
                "{{ git.tag | slgu }}",
                "`{{ git.tag | slgu }}` is no template: unknown filter: filter slgu is unknown; \
                 write it like `{{ git.sha7 }}`",
            ),
            (
                "{{ git.sha7",
                "`{{ git.sha7` is no template: syntax error: unexpected end of input, expected end \
                 of variable block; write it like `{{ git.sha7 }}`",
            ),
        ] {
            let mut problems = Problems::new();
            let template = Template { text: text.into(), position: Position::default() };
            let is_fine = check(&template, &mut problems);
            let lines: Vec<_> = problems
                .list()
                .into_iter()
                .map(|problem| format!("{}; {}", problem.message, problem.hint.unwrap_or_default()))
                .collect();
            assert_eq!((is_fine, lines.join("\n").as_str()), (expected.is_empty(), expected));
        }
    }
}
