//! What the config itself writes into the image: variables, labels, annotations and commands. What the base brings is
//! not ours to judge.

use std::fmt;

use super::content::{has_password_in_url, is_literal, scan};
use super::guard::Exception;
use super::{Sort, Verdict};
use crate::config::{Config, Position, Problems, Setting};

/// Why it matters.
const WHO: &str = "whoever can pull the image could read it";

/// What to do with a secret.
const GIVE: &str = "leave it out, and give it to the container when it starts";

/// What the last word of a variable's name is when it holds a secret.
const SECRET_WORDS: [&str; 12] = [
    "apikey",
    "credential",
    "credentials",
    "key",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pwd",
    "secret",
    "secrets",
    "token",
];

/// Reports what looks like a credential; gives what is allowed.
pub(super) fn check(config: &Config, problems: &mut Problems) -> Vec<Exception> {
    let mut allowed = Vec::new();
    for (name, value) in &config.run.env {
        let sort = is_secret_name(name).then_some(Sort::SecretVariable);
        let Some(sort) = sort.filter(|_| !value.is_empty()).or_else(|| sort_of(value)) else {
            continue;
        };
        if config.secrets.allow_env.contains(name) {
            let subject = name.clone();
            allowed.push(Exception { by: "allow_env", subject, lines: Vec::new(), sort });
        } else {
            report(config, (Setting::Variable, name), sort, problems);
        }
    }
    for (setting, texts) in
        [(Setting::Label, &config.labels), (Setting::Annotation, &config.annotations)]
    {
        for (name, value) in texts {
            if let Some(sort) = sort_of(value) {
                report(config, (setting, name), sort, problems);
            }
        }
    }
    for (command, words) in &config.secrets.commands {
        check_command(config, command, words, &mut allowed, problems);
    }
    for (name, value, position) in &config.secrets.agent {
        // Tokens are found where the file is looked at, with all that is in others.
        if !scan(value.as_bytes()).found.is_empty() {
            continue;
        }
        let is_number = value.parse::<f64>().is_ok();
        let sort = if is_secret_setting(name) && is_literal(value) && !is_number {
            Sort::SecretVariable
        } else if has_password_in_url(value) {
            Sort::UrlPassword
        } else {
            continue;
        };
        if config.secrets.allow_env.contains(name) {
            let subject = format!("{name} of the agent");
            allowed.push(Exception { by: "allow_env", subject, lines: Vec::new(), sort });
            continue;
        }
        let name = name.escape_debug();
        let message = format!("the agent's `{name}` looks like {}: {WHO}", sort.describe());
        let hint = format!(
            "write `${{NAME}}` in its place, and give the container that variable; or, when it is no \
             secret, {}",
            allow(config, &name)
        );
        problems.report_secret(position, message, hint);
    }
    allowed
}

/// Whether a setting of an agent is called like a secret. A `key` alone may be that of a table.
fn is_secret_setting(name: &str) -> bool {
    const KEYS: [&str; 8] =
        ["access", "account", "api", "auth", "private", "secret", "service", "subscription"];
    let Some(before) = name.to_ascii_lowercase().strip_suffix("key").map(str::to_owned) else {
        return is_secret_name(name);
    };
    let kind = before.trim_end_matches(['_', '-']).rsplit(['_', '-', '.']).next();
    kind.is_some_and(|kind| KEYS.contains(&kind))
}

/// Reports every word of a command that looks like a credential, or that gives a secret a value.
fn check_command(
    config: &Config,
    command: &str,
    words: &[(String, Position)],
    allowed: &mut Vec<Exception>,
    problems: &mut Problems,
) {
    // The name that the next word gives a value, as in `--password …`.
    let mut asks: Option<&str> = None;
    for (word, position) in words {
        if let Some(sort) = sort_of(word) {
            let message = format!("a word of `{command}` looks like {}: {WHO}", sort.describe());
            problems.report_secret(position, message, GIVE);
        }
        // A word may be a line of a shell.
        for part in word
            .split(|char: char| char.is_whitespace() || matches!(char, ';' | '&' | '|'))
            .filter(|part| !part.is_empty())
        {
            let part = part.trim_matches(['"', '\'']);
            let name = match (part.split_once('='), asks.take()) {
                (Some((name, value)), _) if is_set(name, value) => name,
                (None, Some(name)) if is_set(name, part) => name,
                (None, _) => {
                    asks = part.starts_with("--").then_some(part);
                    continue;
                }
                _ => continue,
            };
            let name = name.trim_start_matches('-');
            let sort = Sort::SecretVariable;
            if config.secrets.allow_env.contains(name) {
                let subject = format!("{name} in {command}");
                allowed.push(Exception { by: "allow_env", subject, lines: Vec::new(), sort });
                continue;
            }
            let name = name.escape_debug();
            let message = format!("`{name}` in `{command}` looks like {}: {WHO}", sort.describe());
            let hint = format!("{GIVE}; or, when it is no secret, {}", allow(config, &name));
            problems.report_secret(position, message, hint);
        }
    }
}

/// Whether a word of a command gives a secret a value: no variable, no path, and no other option.
fn is_set(name: &str, value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']);
    let is_question = ["--no-", "--ask-"].iter().any(|start| name.starts_with(start));
    let is_path = value.starts_with(['/', '.', '~', '-', '@']);
    is_secret_name(name) && !is_question && !is_path && is_literal(value)
}

/// Whether a variable is called like a secret: `OPENAI_API_KEY`, not `MONKEY` or `KEY_PATH`.
pub fn is_secret_name(name: &str) -> bool {
    let word = name.rsplit(['_', '-', '.']).next().unwrap_or_default().to_ascii_lowercase();
    // `PWD` is where a shell is; `PGPASSWORD` and its like are one word.
    name != "PWD" && (SECRET_WORDS.contains(&&*word) || word.ends_with("password"))
}

/// Whether a value looks like a token, or holds a password in a URL.
pub fn is_token(value: &str) -> bool {
    sort_of(value).is_some()
}

fn sort_of(value: &str) -> Option<Sort> {
    let Verdict { found, .. } = scan(value.as_bytes());
    let has_password = has_password_in_url(value).then_some(Sort::UrlPassword);
    found.first().map(|found| found.sort).or(has_password)
}

/// How to allow the value of a name.
fn allow(config: &Config, name: &dyn fmt::Display) -> String {
    let place = if config.source.format == "holodeck" {
        "in a `dockless.yaml` beside it, `agent: agent.yaml` and "
    } else {
        ""
    };
    format!("allow it: {place}`allow_env: [{name}]`")
}

fn report(config: &Config, (setting, name): (Setting, &str), sort: Sort, problems: &mut Problems) {
    // What the command line says has no place in a file.
    let nowhere = Position::default();
    let position = config.secrets.places.get(&(setting, name.to_owned())).unwrap_or(&nowhere);
    let what = setting.describe();
    let message =
        format!("the {what} `{}` looks like {}: {WHO}", name.escape_debug(), sort.describe());
    let is_agents = position.file.as_ref() != config.source.file.to_string_lossy()
        || config.source.format == "holodeck";
    let hint = match setting {
        Setting::Variable => {
            let cure = if is_agents {
                format!(
                    "write `${{{name}}}` as its value: the container is given it when it starts"
                )
            } else {
                GIVE.to_owned()
            };
            format!("{cure}; or, when it is no secret, {}", allow(config, &name))
        }
        Setting::Label | Setting::Annotation => "remove it".to_owned(),
    };
    problems.report_secret(position, message, hint);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_agents_have_names_of_their_own() {
        for name in
            ["api_key", "apiKey", "openai-api-key", "password", "client_secret", "auth_token"]
        {
            assert!(is_secret_setting(name), "{name}");
        }
        for name in ["key", "primary_key", "sort_key", "monkey", "max_tokens", "provider"] {
            assert!(!is_secret_setting(name), "{name}");
        }
    }

    #[test]
    fn the_last_word_of_a_name_tells() {
        for name in [
            "OPENAI_API_KEY",
            "key",
            "my_Token",
            "DB_PASSWORD",
            "a.secret",
            "X_CREDENTIALS",
            "PGPASSWORD",
            "X_APIKEY",
            "MYSQL_PWD",
            "DB_PASSWD",
            "SMTP_PASS",
            "KEY_PASSPHRASE",
            "APP_SECRETS",
            "--api-key",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "MONKEY",
            "KEY_PATH",
            "TOKENS",
            "PASSWORD_FILE",
            "PWD",
            "OLDPWD",
            "COMPASS",
            "SECRETARY",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn values_with_a_password_in_a_url_look_like_one() {
        for (value, sort) in [
            ("postgres://app:hunter2@db:5432/app", Some(Sort::UrlPassword)),
            ("redis://:hunter2@cache", Some(Sort::UrlPassword)),
            ("a=http://x/y b=amqp://u:hunter2@q/", Some(Sort::UrlPassword)),
            ("postgres://app:${DB_PASSWORD}@db/app", None),
            ("postgres://app:$DB_PASSWORD@db/app", None),
            ("postgres://app:changeme@db/app", None),
            ("postgres://app@db:5432/app", None),
            ("https://db:5432/a@b", None),
            ("git@github.com:a/b", None),
        ] {
            assert_eq!(sort_of(value), sort, "{value}");
        }
    }

    #[test]
    fn a_word_of_a_command_that_sets_a_secret_is_told_from_others() {
        for (name, value, expected) in [
            ("--api-key", "abc", true),
            ("DB_PASSWORD", "'hunter2'", true),
            ("--api-key", "$KEY", false),
            ("--api-key", "\"${KEY}\"", false),
            ("--tls-key", "/certs/a", false),
            ("--no-password", "serve", false),
            ("--password", "--verbose", false),
            ("--port", "8080", false),
            ("--token", "", false),
        ] {
            assert_eq!(is_set(name, value), expected, "{name} {value}");
        }
    }
}
