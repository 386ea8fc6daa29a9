//! The shapes of a model, and whether a value has one.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::pattern::Pattern;
use super::{Model, Protocol, Reference};

/// A shape; a trait that is not named here fails the reading of the model.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Shape {
    pub(super) r#type: Type,
    #[serde(default)]
    pub(super) members: BTreeMap<String, Member>,
    #[serde(default)]
    required: Vec<String>,
    /// The member that is the whole body.
    pub(super) payload: Option<String>,
    /// What a list holds.
    pub(super) member: Option<Member>,
    /// What the keys of a map are.
    pub(super) key: Option<Member>,
    /// What the values of a map are.
    pub(super) value: Option<Member>,
    min: Option<f64>,
    max: Option<f64>,
    r#enum: Option<Vec<String>>,
    pattern: Option<Pattern>,
    /// Exactly one member is set.
    #[serde(default)]
    union: bool,
    /// Any JSON.
    #[serde(default)]
    document: bool,
    timestamp_format: Option<String>,
    pub(super) error: Option<ErrorTrait>,
    /// It is the service's fault, not the caller's.
    #[serde(default)]
    pub(super) fault: bool,
    // What says nothing about values.
    #[serde(rename = "exception")]
    _exception: Option<IgnoredAny>,
    #[serde(rename = "sensitive")]
    _sensitive: Option<IgnoredAny>,
    #[serde(rename = "box")]
    _box: Option<IgnoredAny>,
    #[serde(rename = "deprecated")]
    _deprecated: Option<IgnoredAny>,
    #[serde(rename = "deprecatedSince")]
    _deprecated_since: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Type {
    Structure,
    List,
    Map,
    String,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Blob,
    Timestamp,
}

/// A member of a structure, and where in a message it stands.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    pub(super) shape: String,
    pub(super) location: Option<Place>,
    pub(super) location_name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Place {
    Uri,
    Querystring,
    Header,
    StatusCode,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorTrait {
    pub(super) code: Option<String>,
    pub(super) http_status_code: Option<u16>,
}

impl Shape {
    /// The members by their names on the wire.
    pub(super) fn by_wire_name(&self) -> BTreeMap<&str, &Member> {
        self.members.iter().map(|(name, member)| (member.wire_name(name), member)).collect()
    }

    /// Checks that what it names is there, and that its pattern can be read.
    ///
    /// # Panics
    /// It is not.
    #[cfg(test)]
    pub(super) fn must_be_whole(&self, model: &Model) {
        let parts = self.members.values().chain(&self.member).chain(&self.key).chain(&self.value);
        parts.for_each(|part| {
            model.shape(&part.shape);
        });
        if let Some(pattern) = &self.pattern {
            pattern.matches("");
        }
    }
}

impl Member {
    /// What it is called outside; the name of a header says less than the model's.
    pub(super) fn wire_name<'a>(&'a self, name: &'a str) -> &'a str {
        match self.location {
            Some(Place::Header | Place::StatusCode) => name,
            Some(Place::Uri | Place::Querystring) | None => {
                self.location_name.as_deref().unwrap_or(name)
            }
        }
    }
}

/// A look at one value, with what was found.
#[derive(Debug)]
pub(super) struct Check<'a> {
    model: &'a Model,
    is_answer: bool,
    pub(super) problems: Vec<String>,
}

impl<'a> Check<'a> {
    pub(super) fn new(model: &'a Model, is_answer: bool) -> Self {
        Self { model, is_answer, problems: Vec::new() }
    }

    /// Checks the value at a place against a shape.
    pub(super) fn value(&mut self, place: &str, name: &str, value: &Value) {
        let shape = self.model.shape(name);
        if shape.document {
            return;
        }
        match (shape.r#type, value) {
            (Type::Structure, Value::Object(members)) => self.structure(place, shape, members),
            (Type::List, Value::Array(items)) => self.list(place, shape, items),
            (Type::Map, Value::Object(entries)) => self.map(place, shape, entries),
            (Type::String, Value::String(text)) => self.text(place, name, shape, text),
            (Type::Boolean, Value::Bool(_)) => {}
            (Type::Integer | Type::Long, Value::Number(number)) if !number.is_i64() => {
                self.tell(place, format_args!("is {number}, no whole number"));
            }
            (Type::Integer | Type::Long | Type::Float | Type::Double, Value::Number(number)) => {
                let number = number.as_f64().expect("JSON has no other numbers");
                self.range(place, "is", number, shape);
            }
            (Type::Blob, Value::String(text)) if is_base64(text) => {}
            (Type::Timestamp, Value::String(text)) if self.has_iso_times(shape) => {
                if text.parse::<jiff::Timestamp>().is_err() {
                    self.tell(place, "is no time (ISO 8601)");
                }
            }
            (Type::Timestamp, Value::Number(_)) if !self.has_iso_times(shape) => {}
            (wanted, _) => {
                self.tell(place, format_args!("is {value}, which is no {wanted:?} (`{name}`)"));
            }
        }
    }

    fn structure(&mut self, place: &str, shape: &Shape, members: &Map<String, Value>) {
        let known = shape.by_wire_name();
        for (name, value) in members {
            let place = format!("{place}/{name}");
            match known.get(name.as_str()) {
                Some(member) if !(value.is_null() && self.is_answer) => {
                    self.value(&place, &member.shape, value);
                }
                Some(_) => {}
                None => self.tell(&place, "is unknown"),
            }
        }
        for name in &shape.required {
            let name = shape.members[name].wire_name(name);
            if members.get(name).is_none_or(Value::is_null) {
                self.tell(&format!("{place}/{name}"), "is missing");
            }
        }
        if shape.union && members.len() != 1 {
            self.tell(place, format_args!("has {} members of a union, not one", members.len()));
        }
    }

    fn list(&mut self, place: &str, shape: &Shape, items: &[Value]) {
        self.range(place, "has a length of", length(items.len()), shape);
        let member = shape.member.as_ref().expect("a list says what it holds");
        for (index, item) in items.iter().enumerate() {
            self.value(&format!("{place}/{index}"), &member.shape, item);
        }
    }

    fn map(&mut self, place: &str, shape: &Shape, entries: &Map<String, Value>) {
        self.range(place, "has a length of", length(entries.len()), shape);
        let key = shape.key.as_ref().expect("a map says what its keys are");
        let value = shape.value.as_ref().expect("a map says what its values are");
        for (name, entry) in entries {
            let place = format!("{place}/{name}");
            self.text(&format!("{place} (key)"), &key.shape, self.model.shape(&key.shape), name);
            self.value(&place, &value.shape, entry);
        }
    }

    fn text(&mut self, place: &str, name: &str, shape: &Shape, text: &str) {
        if let Some(values) = &shape.r#enum
            && !values.iter().any(|value| value == text)
        {
            self.tell(place, format_args!("is `{text}`, not one of `{}`", values.join("`, `")));
        }
        // AWS itself does not keep to the rest: an App Runner `ServiceId` is no `ServiceId` of the model.
        if self.is_answer {
            return;
        }
        self.range(place, "has a length of", length(text.chars().count()), shape);
        if let Some(pattern) = &shape.pattern
            && !pattern.matches(text)
        {
            let pattern = pattern.text();
            self.tell(place, format_args!("is `{text}`, no `{name}`: `{pattern}`"));
        }
    }

    fn range(&mut self, place: &str, says: &str, number: f64, shape: &Shape) {
        if let Some(min) = shape.min
            && number < min
        {
            self.tell(place, format_args!("{says} {number}, less than {min}"));
        }
        if let Some(max) = shape.max
            && number > max
        {
            self.tell(place, format_args!("{says} {number}, more than {max}"));
        }
    }

    fn has_iso_times(&self, shape: &Shape) -> bool {
        match shape.timestamp_format.as_deref() {
            Some(format) => format == "iso8601",
            None => self.model.metadata.protocol == Protocol::Query,
        }
    }

    fn tell(&mut self, place: &str, what: impl std::fmt::Display) {
        let place = if place.is_empty() { "/" } else { place };
        self.problems.push(format!("`{place}` {what}"));
    }
}

impl Reference {
    /// The name of an error on the wire.
    pub(super) fn code<'a>(&'a self, model: &'a Model) -> &'a str {
        let error = model.shape(&self.shape).error.as_ref();
        error.and_then(|error| error.code.as_deref()).unwrap_or(&self.shape)
    }
}

fn is_base64(text: &str) -> bool {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).is_ok()
}

fn length(length: usize) -> f64 {
    u32::try_from(length).expect("nothing in a test is that long").into()
}
