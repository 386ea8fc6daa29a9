//! Which values of an image are not shown: those whose names say that they are secret, and tokens.
//!
//! Whoever can pull an image can read them all; logs and terminals are read by others.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

use crate::plan::secrets::{self, is_secret_name};

/// What stands in the place of a value.
pub(super) const HIDDEN: &str = "(not shown)";

/// `NAME=value` in a command, in quotes or up to the next space.
static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"([A-Za-z0-9_.-]+)=("[^"]*"|'[^']*'|[^\s"']+)"#).expect("it is a valid expression")
});

/// What stands between spaces and quotes.
static WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"[^\s"']+"#).expect("it is a valid expression"));

/// A variable as it stands in a config, without its value where that may be secret.
pub fn shown_variable(line: &str) -> String {
    match line.split_once('=') {
        Some((name, value)) if is_secret_name(name) || secrets::is_token(value) => {
            format!("{name}={HIDDEN}")
        }
        _ => line.to_owned(),
    }
}

/// A command, without the values that it gives to secret names, and without tokens.
pub fn shown_command(text: &str) -> String {
    let replacement = |found: &Captures<'_>| {
        if is_secret_name(&found[1]) {
            format!("{}={HIDDEN}", &found[1])
        } else {
            found[0].to_owned()
        }
    };
    let text = ASSIGNMENT.replace_all(text, replacement);
    let replacement = |found: &Captures<'_>| {
        if secrets::is_token(&found[0]) { HIDDEN.to_owned() } else { found[0].to_owned() }
    };
    WORD.replace_all(&text, replacement).into_owned()
}

/// The words of a command, likewise: in `["--password", "x y"]` and `["--password=x y"]` all of the value.
fn shown_words(words: &[Value]) -> Value {
    let before = [Value::Null];
    let pairs = before.iter().chain(words).zip(words);
    let word = |(before, word): (&Value, &Value)| {
        let is_asked = |name: &str| name.starts_with("--") && is_secret_name(name);
        match word {
            Value::String(_) if before.as_str().is_some_and(is_asked) => HIDDEN.into(),
            Value::String(text) => match text.split_once('=') {
                Some((name, _)) if is_secret_name(name) && !name.contains(char::is_whitespace) => {
                    shown_variable(text).into()
                }
                _ => shown_command(text).into(),
            },
            other => shown_document(other),
        }
    };
    pairs.map(word).collect()
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
        Value::Array(items) => shown_words(items),
        Value::String(text) => shown_command(text).into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_secret_names_are_not_shown() {
        for (text, expected) in [
            ("RUN |1 API_KEY=canary A=b /bin/sh", "RUN |1 API_KEY=(not shown) A=b /bin/sh"),
            ("ENV T_TOKEN=\"can ary\" A='b c'", "ENV T_TOKEN=(not shown) A='b c'"),
            ("[\"run\",\"--db-password=canary\"]", "[\"run\",\"--db-password=(not shown)\"]"),
            ("KEY=", "KEY="),
            ("curl https://me:hunter2@h/ x", "curl (not shown) x"),
        ] {
            assert_eq!(shown_command(text), expected);
        }
        let document = json!({
            "Env": ["PATH=/bin", "MY_SECRET=can ary"], "password": "canary", "key": {"a": 1},
            "history": [{"created_by": "ENV KEY=canary"}],
            "Healthcheck": {"Test": ["CMD", "a", "--db-password=can ary", "--token", "can ary", "--b"]}
        });
        let expected = json!({
            "Env": ["PATH=/bin", "MY_SECRET=(not shown)"], "password": "(not shown)", "key": {"a": 1},
            "history": [{"created_by": "ENV KEY=(not shown)"}],
            "Healthcheck": {
                "Test": ["CMD", "a", "--db-password=(not shown)", "--token", "(not shown)", "--b"]
            }
        });
        assert_eq!(shown_document(&document), expected);
    }
}
