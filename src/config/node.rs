//! The text of a config as a tree: every scalar with its source text and its place.

use super::{Position, Problems};

/// One node of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it starts.
    pub position: Position,
}

/// What a node is. Scalars keep their source text: an unquoted `0644` stays `0644`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Any other scalar.
    Scalar {
        /// The text without quotes, escapes resolved.
        text: String,
        /// Whether it was written without quotes, so that `true` or `80` may be more than text.
        is_plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the file, merge keys applied, keys unique.
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub text: String,
    /// Where it stands.
    pub position: Position,
}

impl Node {
    /// A text node of our own making, with the place in the user's file that it stands for.
    pub fn text(text: impl Into<String>, position: &Position) -> Self {
        Self {
            value: Value::Scalar { text: text.into(), is_plain: false },
            position: position.clone(),
        }
    }

    /// A plain scalar of our own making: `true`, `8080`.
    pub fn plain(text: impl Into<String>, position: &Position) -> Self {
        Self {
            value: Value::Scalar { text: text.into(), is_plain: true },
            position: position.clone(),
        }
    }

    /// A list of our own making.
    pub fn sequence(items: impl IntoIterator<Item = Self>, position: &Position) -> Self {
        Self { value: Value::Sequence(items.into_iter().collect()), position: position.clone() }
    }

    /// A mapping of our own making.
    pub fn mapping<'a>(
        members: impl IntoIterator<Item = (&'a str, Self)>,
        position: &Position,
    ) -> Self {
        let key = |text: &str| Key { text: text.to_owned(), position: position.clone() };
        Self {
            value: Value::Mapping(
                members.into_iter().map(|(name, value)| (key(name), value)).collect(),
            ),
            position: position.clone(),
        }
    }

    /// What the node is, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// The text of a scalar.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// A plain `true` or `false`.
    pub fn as_bool(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar { text, is_plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// A plain decimal number.
    pub fn as_integer(&self) -> Option<i64> {
        match &self.value {
            Value::Scalar { text, is_plain: true } => text.parse().ok(),
            _ => None,
        }
    }

    /// The items of a list; none when it is no list.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The members of a mapping; none when it is no mapping.
    pub fn members(&self) -> &[(Key, Self)] {
        match &self.value {
            Value::Mapping(members) => members,
            _ => &[],
        }
    }

    /// A member of a mapping that is there and not null.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members()
            .iter()
            .find(|(key, _)| key.text == name)
            .map(|(_, value)| value)
            .filter(|value| value.value != Value::Null)
    }

    /// The text of a member.
    pub fn get_text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Self::as_text)
    }

    /// The node itself as a list of one, or its items.
    pub fn one_or_many(&self) -> Vec<&Self> {
        match &self.value {
            Value::Sequence(items) => items.iter().collect(),
            Value::Null => Vec::new(),
            _ => vec![self],
        }
    }

    /// Parses the scalar's text, and reports what the parser says when it fails.
    pub fn parse<T>(&self, problems: &mut Problems) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        match self.as_text()?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                problems.report(&self.position, error.to_string());
                None
            }
        }
    }
}

#[cfg(test)]
impl Node {
    /// The node in one line, for comparing in tests: quotes show what was quoted or made by us.
    pub(crate) fn in_one_line(&self) -> String {
        match &self.value {
            Value::Null => "null".into(),
            Value::Scalar { text, is_plain: true } => text.clone(),
            Value::Scalar { text, is_plain: false } => format!("{text:?}"),
            Value::Sequence(items) => {
                let items: Vec<_> = items.iter().map(Self::in_one_line).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Mapping(members) => {
                let member =
                    |(key, value): &(Key, Self)| format!("{}: {}", key.text, value.in_one_line());
                let members: Vec<_> = members.iter().map(member).collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }
}
