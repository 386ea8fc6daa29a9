//! Renders templates that anybody may have written: strictly, with limits, and with an answer to what
//! is wrong.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use crate::config::near_names::nearest;

/// How many instructions a template may run: a loop over everything in a config needs a fraction.
const FUEL: u64 = 100_000;

/// How deep a template may nest.
const RECURSION_LIMIT: usize = 50;

/// Why a template is not rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What is wrong, to be put behind the template's name.
    pub(crate) what: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

/// Renders a template. `known` are the names that could be defined, for hints.
///
/// # Errors
/// When the text is no template, uses what is not defined, or runs too long.
pub(crate) fn render(
    name: &str,
    text: &str,
    variables: &BTreeMap<String, Value>,
    known: &[&str],
) -> Result<String, Refusal> {
    let environment = environment();
    environment.render_named_str(name, text, variables).map_err(|error| {
        let line = error.line().map_or_else(String::new, |line| format!(" in line {line}"));
        if error.kind() == ErrorKind::UndefinedError
            && let Some(name) = undefined(text, error.line(), &environment, variables)
        {
            return Refusal {
                what: format!("cannot be rendered{line}: `{name}` is not defined"),
                hint: Some(hint_for_undefined(&name, variables, known)),
            };
        }
        let hint = match error.kind() {
            ErrorKind::UndefinedError => {
                let names: Vec<_> = variables.keys().map(String::as_str).collect();
                Some(format!("defined here are `{}`", names.join("`, `")))
            }
            ErrorKind::OutOfFuel => Some("it loops over too much".to_owned()),
            _ => None,
        };
        Refusal { what: format!("cannot be rendered{line}: {}", reason(&error)), hint }
    })
}

/// The variable that a line of a template uses and that nothing defines.
fn undefined(
    text: &str,
    line: Option<usize>,
    environment: &Environment<'_>,
    variables: &BTreeMap<String, Value>,
) -> Option<String> {
    let line = text.lines().nth(line?.checked_sub(1)?)?;
    let is_in_line = |name: &str| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
        line.match_indices(name).any(|(start, _)| {
            let (before, after) = (&line[..start], &line[start + name.len()..]);
            !before.bytes().next_back().is_some_and(is_word)
                && !after.bytes().next().is_some_and(|byte| is_word(byte) && byte != b'.')
        })
    };
    let is_defined = |name: &str| {
        let (root, member) = name.split_once('.').unwrap_or((name, ""));
        let member = member.split('.').next().filter(|member| !member.is_empty());
        match (variables.get(root), member) {
            (Some(value), Some(member)) => {
                value.get_attr(member).is_ok_and(|value| !value.is_undefined())
            }
            (found, _) => {
                found.is_some() || environment.globals().any(|(global, _)| global == root)
            }
        }
    };
    let template = environment.template_from_str(text).ok()?;
    let mut used: Vec<_> = template.undeclared_variables(true).into_iter().collect();
    used.sort_unstable();
    used.into_iter().find(|name| is_in_line(name) && !is_defined(name))
}

/// What to do about a variable that is not defined.
fn hint_for_undefined(name: &str, variables: &BTreeMap<String, Value>, known: &[&str]) -> String {
    if known.contains(&name) {
        return format!("the config does not say `{name}`: write `{{% if {name} is defined %}}`");
    }
    let names: Vec<_> = variables.keys().map(String::as_str).collect();
    match nearest(name, &names).or_else(|| nearest(name, known)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("defined here are `{}`", names.join("`, `")),
    }
}

/// An environment without access to anything, in which a typing error is an error.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // `"%0999999999d"|format(1)` makes a gigabyte of one step: fuel does not see it.
    environment.remove_filter("format");
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_LIMIT);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()
            .expect("the usual delimiters are valid"),
    );
    environment.add_filter("shell", |value: &Value| shell_words(value));
    environment.add_filter("json", |value: &Value| {
        serde_json::to_string(value)
            .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
    });
    environment
}

/// Quotes a text, or every item of a list, for a POSIX shell.
fn shell_words(value: &Value) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let words: Vec<_> = match value.as_str() {
        Some(text) => vec![shell_word(text)],
        None => match value.try_iter() {
            Ok(items) => items.map(|item| shell_word(&item.to_string())).collect(),
            Err(_) => vec![shell_word(&value.to_string())],
        },
    };
    Ok(words.join(" "))
}

/// Quotes one word; what no shell touches stays as it is.
fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:,+%@".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// What went wrong, without the place, which the caller adds.
fn reason(error: &Error) -> String {
    let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
    format!("{}{}", error.kind(), detail.escape_debug())
}
