//! What a request on the wire says, in each of AWS's protocols.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::shape::{Place, Type};
use super::{Input, Model, Operation, Protocol};
use crate::fake::Call;

/// The fields of a form that are left, by the rest of their names.
type Fields<'a> = Vec<(Vec<&'a str>, &'a str)>;

impl Model {
    /// Reads a request, or says why the service could not.
    pub(super) fn read(&self, call: &Call) -> Result<Input, Vec<String>> {
        match self.metadata.protocol {
            Protocol::Json => self.read_json(call),
            Protocol::RestJson => self.read_rest(call),
            Protocol::Query => self.read_form(call),
        }
    }

    fn read_json(&self, call: &Call) -> Result<Input, Vec<String>> {
        let mut problems = wrong_start(call);
        let version = self.metadata.json_version.as_deref().expect("JSON has a version");
        problems.extend(wrong_type(call, &format!("application/x-amz-json-{version}")));
        let prefix = self.metadata.target_prefix.as_deref().expect("JSON has a prefix");
        let target = call.header("x-amz-target").unwrap_or_default();
        let operation = match target.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')) {
            Some(operation) if self.operations.contains_key(operation) => operation,
            _ => return Err(vec![format!("`{target}` is no operation of the model")]),
        };
        match serde_json::from_slice(&call.body) {
            Ok(members) if problems.is_empty() => {
                return Ok(Input { operation: operation.to_owned(), members });
            }
            Ok(_) => {}
            Err(error) => problems.push(format!("the body is no JSON: {error}")),
        }
        Err(problems)
    }

    fn read_rest(&self, call: &Call) -> Result<Input, Vec<String>> {
        let Some((name, operation, labels)) = self.route(call) else {
            let (method, path) = (&call.method, &call.path);
            return Err(vec![format!("`{method} {path}` is no operation of the model")]);
        };
        let mut problems = Vec::new();
        let members = match &operation.input {
            Some(input) => self.rest_members(&input.shape, labels, call, &mut problems),
            None => Map::new(),
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Input { operation: name.to_owned(), members: Value::Object(members) })
    }

    /// The operation that a method and a path stand for, and the labels in the path; what is written out
    /// goes before a label.
    fn route(&self, call: &Call) -> Option<(&str, &Operation, Map<String, Value>)> {
        let of_method = self.operations.iter().filter(|(_, one)| one.http.method == call.method);
        let fitting = of_method.filter_map(|(name, operation)| {
            let labels = labels(&operation.http.request_uri, &call.path)?;
            Some((name.as_str(), operation, labels))
        });
        fitting.min_by_key(|(.., labels)| labels.len())
    }

    fn rest_members(
        &self,
        shape: &str,
        labels: Map<String, Value>,
        call: &Call,
        problems: &mut Vec<String>,
    ) -> Map<String, Value> {
        let shape = self.shape(shape);
        let known = shape.by_wire_name();
        let mut members = labels;
        for (name, text) in &call.query {
            match known.get(name.as_str()).filter(|it| it.location == Some(Place::Querystring)) {
                Some(member) => self.add_to_query(&mut members, name, &member.shape, text),
                None => problems.push(format!("`{name}` in the query is unknown")),
            }
        }
        for (name, member) in &shape.members {
            if member.location == Some(Place::Header) {
                let header = member.location_name.as_deref().expect("a header has a name");
                if let Some(text) = call.header(&header.to_lowercase()) {
                    members.insert(name.clone(), self.scalar(&member.shape, text));
                }
            }
        }
        if call.body.is_empty() {
            return members;
        }
        if shape.payload.is_some() {
            return members;
        }
        problems.extend(wrong_type(call, "application/json"));
        let body = match serde_json::from_slice(&call.body) {
            Ok(Value::Object(body)) => body,
            Ok(_) => {
                problems.push("the body is no object".to_owned());
                return members;
            }
            Err(error) => {
                problems.push(format!("the body is no JSON: {error}"));
                return members;
            }
        };
        for (name, value) in body {
            match known.get(name.as_str()).map(|member| member.location) {
                Some(None) => drop(members.insert(name, value)),
                Some(Some(place)) => {
                    problems.push(format!("`{name}` stands in the body, not in the {place:?}"));
                }
                None => problems.push(format!("`{name}` in the body is unknown")),
            }
        }
        members
    }

    /// Adds a pair of the query: a list is a name that stands there several times.
    fn add_to_query(&self, members: &mut Map<String, Value>, name: &str, shape: &str, text: &str) {
        let Some(item) = &self.shape(shape).member else {
            members.insert(name.to_owned(), self.scalar(shape, text));
            return;
        };
        let list = members.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        list.as_array_mut().expect("it was made as one").push(self.scalar(&item.shape, text));
    }

    fn read_form(&self, call: &Call) -> Result<Input, Vec<String>> {
        let mut problems = wrong_start(call);
        problems.extend(wrong_type(call, "application/x-www-form-urlencoded"));
        let text = String::from_utf8_lossy(&call.body);
        let form = reqwest::Url::parse(&format!("form:?{text}")).expect("any text is a query");
        let mut pairs: BTreeMap<String, String> = form.query_pairs().into_owned().collect();
        let version = pairs.remove("Version").unwrap_or_default();
        if version != self.metadata.api_version {
            let wanted = &self.metadata.api_version;
            problems.push(format!("`Version` is `{version}`, not `{wanted}`"));
        }
        let name = pairs.remove("Action").unwrap_or_default();
        let Some(operation) = self.operations.get(&name) else {
            return Err(vec![format!("`{name}` is no operation of the model")]);
        };
        let fields: Fields<'_> =
            pairs.iter().map(|(key, value)| (key.split('.').collect(), value.as_str())).collect();
        let members = match &operation.input {
            Some(input) => self.form_value(&input.shape, fields, "", &mut problems),
            None => Value::Object(Map::new()),
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Input { operation: name, members })
    }

    /// What fields of a form say about a shape: `Tags.member.1.Key=…`.
    fn form_value(
        &self,
        shape: &str,
        fields: Fields<'_>,
        place: &str,
        problems: &mut Vec<String>,
    ) -> Value {
        let definition = self.shape(shape);
        match definition.r#type {
            Type::Structure => {
                let known = definition.by_wire_name();
                let mut members = Map::new();
                for (name, fields) in by_first(fields) {
                    let place = format!("{place}/{name}");
                    match known.get(name) {
                        Some(member) => {
                            let value = self.form_value(&member.shape, fields, &place, problems);
                            members.insert(name.to_owned(), value);
                        }
                        None => problems.push(format!("`{place}` is unknown")),
                    }
                }
                Value::Object(members)
            }
            Type::List => {
                let member = definition.member.as_ref().expect("a list says what it holds");
                let item_name = member.location_name.as_deref().unwrap_or("member");
                let items = numbered(fields, item_name, place, problems).into_iter();
                let items = items.enumerate().map(|(index, fields)| {
                    self.form_value(&member.shape, fields, &format!("{place}/{index}"), problems)
                });
                Value::Array(items.collect())
            }
            Type::Map => {
                problems.push(format!("`{place}` is a map, which no operation of ours sends"));
                Value::Null
            }
            _ => match fields.as_slice() {
                [(rest, text)] if rest.is_empty() => self.scalar(shape, text),
                _ => {
                    problems.push(format!("`{place}` has members, but is a plain value"));
                    Value::Null
                }
            },
        }
    }

    /// A text as the value that it stands for; as it is when it stands for none.
    pub(super) fn scalar(&self, shape: &str, text: &str) -> Value {
        let text_value = || Value::from(text);
        match self.shape(shape).r#type {
            Type::Integer | Type::Long => {
                text.parse::<i64>().map_or_else(|_| text_value(), Value::from)
            }
            Type::Float | Type::Double => {
                text.parse::<f64>().map_or_else(|_| text_value(), Value::from)
            }
            Type::Boolean => text.parse::<bool>().map_or_else(|_| text_value(), Value::from),
            _ => text_value(),
        }
    }
}

/// Whether it is `POST /`, with nothing in the query.
fn wrong_start(call: &Call) -> Vec<String> {
    if call.method == "POST" && call.path == "/" && call.query.is_empty() {
        return Vec::new();
    }
    vec![format!("it is `{} {}`, not `POST /`", call.method, call.path)]
}

fn wrong_type(call: &Call, wanted: &str) -> Option<String> {
    let told = call.header("content-type").unwrap_or_default();
    let plain = told.split(';').next().unwrap_or_default().trim();
    (plain != wanted).then(|| format!("the content type is `{told}`, not `{wanted}`"))
}

/// The labels of a template (`/functions/{FunctionName}`) in a path, decoded, when it fits.
fn labels(template: &str, path: &str) -> Option<Map<String, Value>> {
    let (mut wanted, mut found) = (template.split('/'), path.split('/'));
    let mut labels = Map::new();
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return Some(labels),
            (Some(part), Some(text)) => {
                let label = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
                match label {
                    Some(label) if !text.is_empty() => {
                        labels.insert(label.to_owned(), decoded(text).into());
                    }
                    None if part == text => {}
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

fn decoded(text: &str) -> String {
    // In a form a plus is a space, in a path it is a plus.
    let form = format!("form:?={}", text.replace('+', "%2B"));
    let form = reqwest::Url::parse(&form).expect("any text is a query");
    form.query_pairs().map(|(_, value)| value.into_owned()).collect()
}

/// The fields by the first part of their names.
fn by_first(fields: Fields<'_>) -> BTreeMap<&str, Fields<'_>> {
    let mut groups: BTreeMap<&str, Fields<'_>> = BTreeMap::new();
    for (mut name, value) in fields {
        let first = if name.is_empty() { "" } else { name.remove(0) };
        groups.entry(first).or_default().push((name, value));
    }
    groups
}

/// The items of a list: `member.1`, `member.2`, and so on.
fn numbered<'a>(
    fields: Fields<'a>,
    item_name: &str,
    place: &str,
    problems: &mut Vec<String>,
) -> Vec<Fields<'a>> {
    // A list without items is a name without a value.
    if matches!(fields.as_slice(), [(name, "")] if name.is_empty()) {
        return Vec::new();
    }
    let mut items = BTreeMap::new();
    for (first, fields) in by_first(fields) {
        if first != item_name {
            problems.push(format!("`{place}` has `{first}`, which is no `{item_name}`"));
            continue;
        }
        for (number, fields) in by_first(fields) {
            match number.parse::<usize>() {
                Ok(number) => drop(items.insert(number, fields)),
                Err(_) => problems.push(format!("`{place}` has `{number}`, which is no number")),
            }
        }
    }
    if !items.keys().copied().eq(1..=items.len()) {
        problems.push(format!("`{place}` is not counted from 1"));
    }
    items.into_values().collect()
}
