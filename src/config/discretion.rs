//! What is not repeated when something is wrong with a file: values whose names say that they are secret.
//!
//! A file that cannot be understood is judged by nobody else, and messages end up in the logs of CI jobs.

use std::sync::LazyLock;

use regex::Regex;

/// A value that follows a name such as `API_KEY`, in YAML, JSON or a list of `NAME=value`; not `${NAME}`.
static VALUE: LazyLock<Regex> = LazyLock::new(|| {
    let word = "key|token|secrets?|password|passwd|pwd|passphrase|credentials?|auth";
    Regex::new(&format!(
        r#"(?i)((?:^|[^a-z0-9])(?:[a-z0-9]+[_.-])*[a-z0-9]*(?:{word})["']?\s*[:=]\s*)("[^"$][^"]*"?|'[^'$][^']*'?|[^\s"'$,}}\]`][^\s,}}\]`]*)"#
    ))
    .expect("it is a valid expression")
});

/// What stands in the place of a value.
const HIDDEN: &str = "…";

/// Whether a line gives a value to a name that says it is secret.
pub(super) fn tells_secret(line: &str) -> bool {
    VALUE.is_match(line)
}

/// A text for people, without the values of `NAME=value` and `NAME: value` in it.
///
/// Only names in capitals count: the text has words of ours, too.
pub(super) fn discreet(text: &str) -> String {
    let hide = |found: &regex::Captures<'_>| {
        let is_variable = found[1].contains('_') || !found[1].chars().any(char::is_lowercase);
        // What stands for a value in a hint is none.
        let is_value = &found[2] != "VALUE" && !found[2].starts_with("-…");
        if is_variable && is_value { format!("{}{HIDDEN}", &found[1]) } else { found[0].to_owned() }
    };
    VALUE.replace_all(text, hide).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_names_are_told_apart() {
        for (line, is_secret) in [
            ("  - OPENAI_API_KEY=canary", true),
            ("OPENAI_API_KEY: 'can ary'", true),
            ("env: {DB_PASSWORD: canary}", true),
            ("\"client-secret\": \"canary\"", true),
            ("password: canary", true),
            ("apikey = canary", true),
            ("OPENAI_API_KEY: ${OPENAI_API_KEY}", false),
            ("TOKEN: \"${TOKEN}\"", false),
            ("TOKEN: 'not closed", true),
            ("OPENAI_API_KEY:", false),
            ("name: keyboard", false),
            ("keys: [a]", false),
            ("tokens: 5", false),
        ] {
            assert_eq!(tells_secret(line), is_secret, "{line}");
        }
    }

    #[test]
    fn messages_go_without_values() {
        for (text, expected) in [
            (
                "`env` is a mapping, not a list: write it as `{OPENAI_API_KEY: canary, A: b}`",
                "`env` is a mapping, not a list: write it as `{OPENAI_API_KEY: …, A: b}`",
            ),
            ("unknown key `OPENAI_API_KEY=canary`", "unknown key `OPENAI_API_KEY=…`"),
            ("DB_PASSWORD: \"can ary\"", "DB_PASSWORD: …"),
            ("unknown key: did you mean `base`?", "unknown key: did you mean `base`?"),
            ("write `--label KEY=VALUE`", "write `--label KEY=VALUE`"),
            ("write `API_KEY: ${API_KEY}`", "write `API_KEY: ${API_KEY}`"),
            ("write a default: `${A_TOKEN:-…}`", "write a default: `${A_TOKEN:-…}`"),
        ] {
            assert_eq!(discreet(text), expected);
        }
    }
}
