//! The shape of a config as tables: one truth for checking, for the JSON Schema and for the docs.
//!
//! A [`Shape`] lists the members of a mapping. [`check`] reports everything in a node that does not
//! fit; afterwards the code that reads the node may take what is there and pass over the rest.

use serde_json::{Value as Json, json};

use super::near_names::{hint_for, hint_for_key};
use super::unit::Unit;
use super::{Node, Problems, Value};

/// The members that a mapping may have.
#[derive(Debug)]
pub struct Shape {
    /// What the mapping is called in messages and in the docs: "a layer of kind `files`".
    pub name: &'static str,
    /// Its members, in the order of the docs.
    pub fields: &'static [Field],
}

/// One member of a mapping.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it must be there.
    pub is_required: bool,
    /// What it means, in Markdown: a sentence or two, with defaults and units.
    pub doc: &'static str,
}

/// The schemas of what later stages know: their kinds are handed in.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// One layer.
    pub layer: Json,
    /// One environment.
    pub environment: Json,
}

/// What a member holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A text; a plain number is taken as one, a plain `true` or `false` is not.
    Text,
    /// Any scalar, taken as text.
    Scalar,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A decimal number in this range, both ends included.
    Integer(i64, i64),
    /// The same, of a unit that is not written.
    Measure(Unit, i64, i64),
    /// `true` or `false`.
    Boolean,
    /// A list.
    List(&'static Kind),
    /// One value or a list of them.
    OneOrMany(&'static Kind),
    /// A mapping with free keys.
    Map(&'static Kind),
    /// A mapping with known members.
    Shape(&'static Shape),
    /// The first of these that has the node's form (scalar, list, mapping) checks it.
    Either(&'static [Kind]),
    /// Anything; checked elsewhere.
    Any,
    /// Checked elsewhere: the entries of `layers:` by their kinds.
    Layers,
    /// Checked elsewhere: the entries of `environments:`, whose targets have kinds.
    Environments,
}

impl Field {
    /// A member that may be left out.
    pub const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, is_required: false, doc }
    }

    /// A member that must be there.
    pub const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, is_required: true, doc }
    }
}

impl Kind {
    /// What is expected, for messages: "a list of texts".
    pub fn expectation(&self) -> String {
        match self {
            Self::Text | Self::Scalar => "a text".into(),
            Self::Choice(words) => format!("one of `{}`", words.join("`, `")),
            Self::Integer(low, high) => format!("a whole number from {low} to {high}"),
            Self::Measure(unit, low, high) => {
                format!("a whole number of {} from {low} to {high}", unit.name())
            }
            Self::Boolean => "`true` or `false`".into(),
            Self::List(inner) => format!("a list, each item {}", inner.expectation()),
            Self::OneOrMany(inner) => format!("{0}, or a list, each item {0}", inner.expectation()),
            Self::Map(inner) => format!("a mapping of names, each to {}", inner.expectation()),
            Self::Shape(shape) => format!("a mapping ({})", names(shape).join(", ")),
            Self::Either(kinds) => {
                kinds.iter().map(Self::expectation).collect::<Vec<_>>().join(", or ")
            }
            Self::Any => "anything".into(),
            Self::Layers => "a list of layers, each a mapping with a `kind`".into(),
            Self::Environments => "a mapping of names, each to a mapping with a `target`".into(),
        }
    }

    /// Whether a node of this form is worth checking against this kind.
    fn has_form_of(&self, node: &Node) -> bool {
        match self {
            Self::Text
            | Self::Scalar
            | Self::Choice(_)
            | Self::Integer(..)
            | Self::Measure(..)
            | Self::Boolean => matches!(node.value, Value::Scalar { .. }),
            Self::List(_) | Self::Layers => matches!(node.value, Value::Sequence(_)),
            Self::Map(_) | Self::Shape(_) | Self::Environments => {
                matches!(node.value, Value::Mapping(_))
            }
            Self::Any => true,
            Self::OneOrMany(inner) => {
                matches!(node.value, Value::Sequence(_)) || inner.has_form_of(node)
            }
            Self::Either(kinds) => kinds.iter().any(|kind| kind.has_form_of(node)),
        }
    }

    /// The JSON Schema (draft 2020-12) of this kind.
    pub fn json_schema(&self, parts: &Parts) -> Json {
        match self {
            Self::Text => json!({"type": ["string", "number"]}),
            Self::Scalar => json!({"type": ["string", "number", "boolean"]}),
            Self::Choice(words) => json!({"enum": words}),
            Self::Integer(low, high) | Self::Measure(_, low, high) => {
                json!({"type": "integer", "minimum": low, "maximum": high})
            }
            Self::Boolean => json!({"type": "boolean"}),
            Self::List(inner) => json!({"type": "array", "items": inner.json_schema(parts)}),
            Self::OneOrMany(inner) => {
                let inner = inner.json_schema(parts);
                json!({"anyOf": [inner, {"type": "array", "items": inner}]})
            }
            Self::Map(inner) => {
                json!({"type": "object", "additionalProperties": inner.json_schema(parts)})
            }
            Self::Shape(shape) => shape.json_schema(parts),
            Self::Either(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(|kind| kind.json_schema(parts)).collect();
                json!({"anyOf": kinds})
            }
            Self::Any => json!({}),
            Self::Layers => json!({"type": "array", "items": parts.layer}),
            Self::Environments => {
                json!({"type": "object", "additionalProperties": parts.environment})
            }
        }
    }
}

impl Shape {
    /// The JSON Schema (draft 2020-12) of this mapping.
    pub fn json_schema(&self, parts: &Parts) -> Json {
        let properties: serde_json::Map<_, _> = self
            .fields
            .iter()
            .map(|field| {
                let mut schema = field.kind.json_schema(parts);
                schema["description"] = field.doc.into();
                (field.name.to_owned(), schema)
            })
            .collect();
        let required: Vec<_> =
            self.fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
        let mut schema = json!({
            "type": "object",
            "properties": properties,
            "patternProperties": {"^x-": {}},
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }
}

/// Reports everything in `node` that does not fit the shape; `x-` keys are free.
pub fn check(node: &Node, shape: &Shape, problems: &mut Problems) {
    check_beside(node, shape, [], problems);
}

/// As [`check`], where other keys stand beside those of the shape, which may have been meant.
pub fn check_beside(
    node: &Node,
    shape: &Shape,
    others: impl IntoIterator<Item = &'static str>,
    problems: &mut Problems,
) {
    let mut known = names(shape);
    known.extend(others.into_iter().filter(|other| !names(shape).contains(other)));
    let Value::Mapping(members) = &node.value else {
        problems
            .report(&node.position, format!("{} is a mapping, not {}", shape.name, node.kind()));
        return;
    };
    for (key, value) in members {
        if key.text.starts_with("x-") {
            continue;
        }
        match shape.fields.iter().find(|field| field.name == key.text) {
            Some(field) if value.value == Value::Null && !field.is_required => {}
            Some(field) => check_kind(value, &field.kind, field.name, problems),
            None => problems.report_with_hint(
                &key.position,
                format!("unknown key `{}` in {}", key.text.escape_debug(), shape.name),
                hint_for_key(&key.text, &known),
            ),
        }
    }
    for field in shape.fields.iter().filter(|field| field.is_required) {
        if !members.iter().any(|(key, _)| key.text == field.name) {
            problems.report_with_hint(
                &node.position,
                format!("`{}` is missing in {}", field.name, shape.name),
                format!("add `{}: …`, {}", field.name, field.kind.expectation()),
            );
        }
    }
}

fn check_kind(node: &Node, kind: &Kind, name: &str, problems: &mut Problems) {
    let fits = match kind {
        Kind::Text => node.as_text().is_some() && node.as_bool().is_none(),
        Kind::Scalar => node.as_text().is_some(),
        Kind::Boolean => node.as_bool().is_some(),
        Kind::Integer(low, high) | Kind::Measure(_, low, high) => {
            node.as_integer().is_some_and(|number| (*low..=*high).contains(&number))
        }
        Kind::Choice(words) => {
            let text = node.as_text();
            if let Some(text) = text
                && !words.contains(&text)
            {
                problems.report_with_hint(
                    &node.position,
                    format!("`{}` is no value of `{name}`", text.escape_debug()),
                    hint_for(text, words),
                );
                return;
            }
            text.is_some()
        }
        _ => kind.has_form_of(node),
    };
    if !fits {
        let found = match node.as_text() {
            Some(text) => format!("`{}`", text.escape_debug()),
            None => node.kind().to_owned(),
        };
        let message = format!("`{name}` is {}, not {found}", kind.expectation());
        match cure(node, kind, name) {
            Some(hint) => problems.report_with_hint(&node.position, message, hint),
            None => problems.report(&node.position, message),
        }
        return;
    }
    match kind {
        Kind::List(inner) => {
            node.items().iter().for_each(|item| check_kind(item, inner, name, problems));
        }
        Kind::OneOrMany(inner) => {
            node.one_or_many().into_iter().for_each(|item| check_kind(item, inner, name, problems));
        }
        Kind::Map(inner) => {
            for (key, value) in node.members() {
                check_kind(value, inner, &format!("{name}.{}", key.text), problems);
            }
        }
        Kind::Shape(shape) => check(node, shape, problems),
        Kind::Either(kinds) => {
            if let Some(kind) = kinds.iter().find(|kind| kind.has_form_of(node)) {
                check_kind(node, kind, name, problems);
            }
        }
        _ => {}
    }
}

/// What to write instead, for the mistakes that habits from other tools bring.
fn cure(node: &Node, kind: &Kind, name: &str) -> Option<String> {
    match kind {
        Kind::Measure(unit, low, high) if node.as_integer().is_none() => {
            let number = unit.convert(node.as_text()?)?;
            (*low..=*high).contains(&number).then(|| format!("write `{name}: {number}`"))
        }
        Kind::Integer(..) | Kind::Measure(..) | Kind::Boolean => {
            let Value::Scalar { text, is_plain: false } = &node.value else { return None };
            let unquoted = Node::plain(text, &node.position);
            (unquoted.as_integer().is_some() || unquoted.as_bool().is_some())
                .then(|| "write it without quotes".to_owned())
        }
        Kind::Text => node.as_bool().map(|_| "put it in quotes when it is meant as text".into()),
        Kind::List(Kind::Text | Kind::Scalar) => {
            let words: Vec<_> = node.as_text()?.split_whitespace().collect();
            Some(format!("write it as a list: `{name}: [{}]`", words.join(", ").escape_debug()))
        }
        Kind::Map(Kind::Text | Kind::Scalar) => {
            let (key, value) = node.items().first()?.as_text()?.split_once('=')?;
            let pair = format!("{key}: {value}");
            Some(format!("write it as a mapping: `{name}: {{{}}}`", pair.escape_debug()))
        }
        _ => None,
    }
}

fn names(shape: &Shape) -> Vec<&'static str> {
    shape.fields.iter().map(|field| field.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Position;

    static PORT: Shape = Shape {
        name: "the test",
        fields: &[
            Field::required("port", Kind::Integer(1, 65535), "A port."),
            Field::optional("names", Kind::OneOrMany(&Kind::Text), "Names."),
            Field::optional("mode", Kind::Choice(&["fast", "slow"]), "A mode."),
            Field::optional("command", Kind::List(&Kind::Text), "A command."),
            Field::optional("env", Kind::Map(&Kind::Scalar), "Variables."),
            Field::optional("dest", Kind::Text, "A place."),
            Field::optional("src", Kind::Text, "A source."),
            Field::optional("timeout", Kind::Measure(Unit::Seconds, 1, 900), "A time."),
            Field::optional("memory", Kind::Measure(Unit::Megabytes, 512, 4096), "A size."),
            Field::optional("cpu", Kind::Choice(&["0.5", "1", "2"]), "Processors."),
        ],
    };

    fn problems_of(members: Vec<(&str, Node)>) -> Vec<String> {
        let mut problems = Problems::new();
        check(&Node::mapping(members, &Position::default()), &PORT, &mut problems);
        let text = |problem: crate::config::Problem| match problem.hint {
            Some(hint) => format!("{}; {hint}", problem.message),
            None => problem.message,
        };
        problems.list().into_iter().map(text).collect()
    }

    #[test]
    fn reports_everything_that_does_not_fit() {
        let here = Position::default();
        assert_eq!(
            problems_of(vec![
                ("name", Node::text("a", &here)),
                ("mode", Node::text("fsat", &here)),
                ("names", Node::sequence([Node::mapping([], &here)], &here)),
                ("x-note", Node::mapping([], &here)),
            ]),
            [
                "unknown key `name` in the test; did you mean `names`?",
                "`fsat` is no value of `mode`; did you mean `fast`?",
                "`names` is a text, not a mapping",
                "`port` is missing in the test; add `port: …`, a whole number from 1 to 65535",
            ]
        );
        assert_eq!(
            problems_of(vec![("port", Node::plain("0", &here))]),
            ["`port` is a whole number from 1 to 65535, not `0`"]
        );
        assert!(problems_of(vec![("port", Node::plain("80", &here))]).is_empty());
    }

    #[test]
    fn numbers_are_of_one_unit_and_no_misspellings_of_each_other() {
        let here = Position::default();
        let told = |name, text: &str| {
            problems_of(vec![("port", Node::plain("80", &here)), (name, Node::plain(text, &here))])
        };
        for (name, text, expected) in [
            (
                "timeout",
                "5m",
                "`timeout` is a whole number of seconds from 1 to 900, not `5m`; write `timeout: 300`",
            ),
            ("timeout", "1h", "`timeout` is a whole number of seconds from 1 to 900, not `1h`"),
            (
                "memory",
                "2GB",
                "`memory` is a whole number of MB from 512 to 4096, not `2GB`; write `memory: 2048`",
            ),
            ("memory", "2", "`memory` is a whole number of MB from 512 to 4096, not `2`"),
            ("cpu", "3", "`3` is no value of `cpu`; expected one of `0.5`, `1`, `2`"),
        ] {
            assert_eq!(told(name, text), [expected]);
        }
    }

    #[test]
    fn a_plain_boolean_is_no_text_but_a_scalar() {
        let here = Position::default();
        assert_eq!(
            problems_of(vec![
                ("port", Node::plain("80", &here)),
                ("dest", Node::plain("true", &here)),
                ("src", Node::text("true", &here)),
                ("names", Node::sequence([Node::plain("1", &here)], &here)),
                ("env", Node::mapping([("A", Node::plain("true", &here))], &here)),
            ]),
            ["`dest` is a text, not `true`; put it in quotes when it is meant as text"]
        );
        let schema = |kind: Kind| kind.json_schema(&Parts::default());
        assert_eq!(schema(Kind::Text), json!({"type": ["string", "number"]}));
        assert_eq!(schema(Kind::Scalar), json!({"type": ["string", "number", "boolean"]}));
    }

    #[test]
    fn knows_the_habits_of_other_tools() {
        let here = Position::default();
        assert_eq!(
            problems_of(vec![
                ("port", Node::text("80", &here)),
                ("command", Node::plain("python -m agent", &here)),
                ("env", Node::sequence([Node::plain("A=1", &here)], &here)),
            ]),
            [
                "`port` is a whole number from 1 to 65535, not `80`; write it without quotes",
                "`command` is a list, each item a text, not `python -m agent`; \
                 write it as a list: `command: [python, -m, agent]`",
                "`env` is a mapping of names, each to a text, not a list; \
                 write it as a mapping: `env: {A: 1}`",
            ]
        );
    }
}
