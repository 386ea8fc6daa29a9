//! Which values of an image are not shown: those whose names say that they are secret.
//!
//! Whoever can pull an image can read them all; logs and terminals are read by others.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// What stands in the place of a value.
pub(super) const HIDDEN: &str = "(not shown)";

/// How the name of a secret ends.
const WORDS: [&str; 10] = [
    "KEY",
    "APIKEY",
    "TOKEN",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "CREDENTIALS",
];

/// `NAME=value` in a command, in quotes or up to the next space.
static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"([A-Za-z0-9_.-]+)=("[^"]*"|'[^']*'|[^\s"']+)"#).expect("it is a valid expression")
});

/// Whether the last word of a name says that its value is secret: `DB_PASSWORD`, `--api-key`.
pub fn is_secret_name(name: &str) -> bool {
    let last = name.rsplit(['_', '-', '.']).next().unwrap_or_default();
    WORDS.iter().any(|word| last.eq_ignore_ascii_case(word))
}

/// A variable as it stands in a config, without its value where that may be secret.
pub fn shown_variable(line: &str) -> String {
    match line.split_once('=') {
        Some((name, _)) if is_secret_name(name) => format!("{name}={HIDDEN}"),
        _ => line.to_owned(),
    }
}

/// A command, without the values that it gives to secret names.
pub fn shown_command(text: &str) -> String {
    let replacement = |found: &Captures<'_>| {
        if is_secret_name(&found[1]) {
            format!("{}={HIDDEN}", &found[1])
        } else {
            found[0].to_owned()
        }
    };
    ASSIGNMENT.replace_all(text, replacement).into_owned()
}

/// A document, without the values that variables and commands in it give to secret names.
pub fn shown_document(document: &Value) -> Value {
    match document {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let is_secret = value.is_string() && is_secret_name(name);
                let value = if is_secret { HIDDEN.into() } else { shown_document(value) };
                let variables = value.as_array().filter(|_| name == "Env");
                let line = |line: &Value| line.as_str().map(shown_variable).map(Value::from);
                let value = match variables {
                    Some(lines) => lines.iter().map(|own| line(own).unwrap_or_default()).collect(),
                    None => value,
                };
                (name.clone(), value)
            };
            Value::Object(members.iter().map(member).collect())
        }
        Value::Array(items) => items.iter().map(shown_document).collect(),
        Value::String(text) => shown_command(text).into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_word_of_a_name_decides() {
        for name in ["API_KEY", "api-key", "TOKEN", "db.password", "AWS_CREDENTIALS", "X_APIKEY"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["PATH", "KEYBOARD", "TOKEN_URL", "MONKEY", "SECRETARY", ""] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn values_of_secret_names_are_not_shown() {
        for (text, expected) in [
            ("RUN |1 API_KEY=canary A=b /bin/sh", "RUN |1 API_KEY=(not shown) A=b /bin/sh"),
            ("ENV T_TOKEN=\"can ary\" A='b c'", "ENV T_TOKEN=(not shown) A='b c'"),
            ("[\"run\",\"--db-password=canary\"]", "[\"run\",\"--db-password=(not shown)\"]"),
            ("KEY=", "KEY="),
        ] {
            assert_eq!(shown_command(text), expected);
        }
        let document = json!({
            "Env": ["PATH=/bin", "MY_SECRET=can ary"], "password": "canary", "key": {"a": 1},
            "history": [{"created_by": "ENV KEY=canary"}]
        });
        let expected = json!({
            "Env": ["PATH=/bin", "MY_SECRET=(not shown)"], "password": "(not shown)", "key": {"a": 1},
            "history": [{"created_by": "ENV KEY=(not shown)"}]
        });
        assert_eq!(shown_document(&document), expected);
    }
}
