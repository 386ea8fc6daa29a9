//! Text with variables of the environment: `${VAR}`, `${VAR:-x}`, `${VAR-x}`, and `$$` for a `$`.
//!
//! Stands only where a value may differ from machine to machine without changing what is in the
//! image: repositories and tags. It is checked when the file is read and resolved when it is needed.

use super::{Position, Problems};
use crate::error::{Classified, ErrorKind};

/// Text with variables that is resolved when it is needed, with its place for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// As written.
    pub text: String,
    /// Where.
    pub position: Position,
}

/// Why a template cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {message}")]
pub struct TemplateError {
    /// Where the template stands.
    pub position: Position,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Classified for TemplateError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![self.hint.clone()]
    }
}

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
enum Part<'text> {
    Literal(&'text str),
    Variable { name: &'text str, default: Option<Default<'text>> },
}

/// What stands for a variable that is missing.
#[derive(Debug, PartialEq, Eq)]
struct Default<'text> {
    text: &'text str,
    /// After `:-`, which an empty variable counts as missing for.
    replaces_empty: bool,
}

impl Template {
    /// Whether the text stands for itself.
    pub fn is_literal(&self) -> bool {
        !self.text.contains('$')
    }

    /// Reports what is wrong with the syntax.
    pub(super) fn check(&self, problems: &mut Problems) -> bool {
        match parts(&self.text) {
            Ok(_) => true,
            Err((message, hint)) => {
                problems.report_with_hint(&self.position, message, hint);
                false
            }
        }
    }

    /// The text with every variable replaced; `lookup` knows the variables that are set.
    ///
    /// # Errors
    /// When a variable without a default is not set, or the syntax is wrong.
    pub fn resolve<'a>(
        &self,
        lookup: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<String, TemplateError> {
        let error =
            |(message, hint)| TemplateError { position: self.position.clone(), message, hint };
        let mut resolved = String::new();
        for part in parts(&self.text).map_err(error)? {
            let text = match part {
                Part::Literal(text) => text,
                Part::Variable { name, default } => match (lookup(name), default) {
                    (Some(""), Some(default)) if default.replaces_empty => default.text,
                    (Some(value), _) => value,
                    (None, Some(default)) => default.text,
                    (None, None) => {
                        return Err(error((
                            format!("the variable `{name}` is not set"),
                            format!("set it, or write a default: `${{{name}:-…}}`"),
                        )));
                    }
                },
            };
            resolved.push_str(text);
        }
        Ok(resolved)
    }
}

/// Whether this can be the name of a variable in `${…}`.
pub(super) fn is_variable_name(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().all(is_word) && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

fn parts(text: &str) -> Result<Vec<Part<'_>>, (String, String)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        parts.push(Part::Literal(before));
        if let Some(after) = after.strip_prefix('$') {
            parts.push(Part::Literal("$"));
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (inside, after) = after.split_once('}').ok_or_else(|| {
                (format!("in `{}` a `${{` is not closed", text.escape_debug()), "add `}`".into())
            })?;
            parts.push(variable(inside)?);
            rest = after;
        } else {
            return Err((
                format!("in `{}` a `$` stands alone", text.escape_debug()),
                "write `${NAME}` for a variable, `$$` for the character".into(),
            ));
        }
    }
    parts.push(Part::Literal(rest));
    Ok(parts)
}

fn variable(inside: &str) -> Result<Part<'_>, (String, String)> {
    let (name, default) = match inside.split_once('-') {
        None => (inside, None),
        Some((name, text)) => {
            let (name, replaces_empty) = match name.strip_suffix(':') {
                Some(name) => (name, true),
                None => (name, false),
            };
            (name, Some(Default { text, replaces_empty }))
        }
    };
    let is_plain = default.as_ref().is_none_or(|default| !default.text.contains('$'));
    if is_variable_name(name) && is_plain {
        return Ok(Part::Variable { name, default });
    }
    Err((
        format!("`${{{}}}` is no variable", inside.escape_debug()),
        "write `${NAME}`, `${NAME:-default}` or `${NAME-default}`; a default is plain text".into(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<String, String> {
        let template = Template { text: text.into(), position: Position::default() };
        let lookup = |name: &str| match name {
            "A" => Some("one"),
            "EMPTY" => Some(""),
            _ => None,
        };
        template.resolve(lookup).map_err(|error| format!("{}; {}", error.message, error.hint))
    }

    #[test]
    fn replaces_variables() {
        for (text, resolved) in [
            ("", ""),
            ("plain", "plain"),
            ("${A}", "one"),
            ("x/${A}/${A}:y", "x/one/one:y"),
            ("${EMPTY}", ""),
            ("${EMPTY:-two}", "two"),
            ("${EMPTY-two}", ""),
            ("${B:-two}", "two"),
            ("${B-two}", "two"),
            ("${B:-}", ""),
            ("${B:-a-b:c}", "a-b:c"),
            ("$${A}", "${A}"),
            ("{{ git.sha }}", "{{ git.sha }}"),
        ] {
            assert_eq!(resolve(text).as_deref(), Ok(resolved), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let forms =
            "write `${NAME}`, `${NAME:-default}` or `${NAME-default}`; a default is plain text";
        for (text, message) in [
            ("${B}", "the variable `B` is not set; set it, or write a default: `${B:-…}`".to_owned()),
            ("a${A", "in `a${A` a `${` is not closed; add `}`".into()),
            ("$A", "in `$A` a `$` stands alone; write `${NAME}` for a variable, `$$` for the character".into()),
            ("${}", format!("`${{}}` is no variable; {forms}")),
            ("${1A}", format!("`${{1A}}` is no variable; {forms}")),
            ("${A:?x}", format!("`${{A:?x}}` is no variable; {forms}")),
            ("${A:-${B}}", format!("`${{A:-${{B}}` is no variable; {forms}")),
        ] {
            assert_eq!(resolve(text), Err(message), "{text}");
        }
    }
}
