//! Answers in XML, as values of their shapes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Model;
use super::shape::Type;

/// One element: text, or elements in it.
#[derive(Debug, PartialEq)]
struct Element {
    name: String,
    text: String,
    children: Vec<Self>,
}

/// The result within an answer: `<GetRoleResponse><GetRoleResult>…`.
pub(super) fn result(model: &Model, shape: &str, body: &[u8]) -> Result<Value, String> {
    let root = parse(body)?;
    let stem = root.name.strip_suffix("Response").unwrap_or_default();
    let name = format!("{stem}Result");
    let result = root.children.iter().find(|child| child.name == name && !stem.is_empty());
    let result = result.ok_or_else(|| format!("`{}` has no `{name}`", root.name))?;
    value(model, shape, result)
}

/// The code in `<ErrorResponse><Error><Code>`.
pub(super) fn error_code(body: &[u8]) -> Option<String> {
    let root = parse(body).ok().filter(|root| root.name == "ErrorResponse")?;
    Some(root.child("Error")?.child("Code")?.text.clone())
}

fn value(model: &Model, shape: &str, element: &Element) -> Result<Value, String> {
    let definition = model.shape(shape);
    match definition.r#type {
        Type::Structure => {
            let known = definition.by_wire_name();
            let mut members = Map::new();
            for child in &element.children {
                let name = child.name.clone();
                let Some(member) = known.get(name.as_str()) else {
                    members.insert(name, Value::Null);
                    continue;
                };
                if members.insert(name, value(model, &member.shape, child)?).is_some() {
                    return Err(format!("`{}` is there twice", child.name));
                }
            }
            Ok(members.into())
        }
        Type::List => {
            let member = definition.member.as_ref().expect("a list says what it holds");
            let name = member.location_name.as_deref().unwrap_or("member");
            let items = element.children.iter().map(|child| {
                if child.name != name {
                    return Err(format!("`{}` has `{}`, no `{name}`", element.name, child.name));
                }
                value(model, &member.shape, child)
            });
            items.collect::<Result<Vec<_>, _>>().map(Value::from)
        }
        Type::Map => {
            Err(format!("`{}` is a map, which no operation of ours answers", element.name))
        }
        _ if element.children.is_empty() => Ok(model.scalar(shape, &element.text)),
        _ => Err(format!("`{}` has elements in it, but is a plain value", element.name)),
    }
}

impl Element {
    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Reads a document as services write it: elements and text, attributes only for namespaces.
fn parse(body: &[u8]) -> Result<Element, String> {
    let text = str::from_utf8(body).map_err(|error| error.to_string())?;
    let mut rest = text.trim();
    if rest.starts_with("<?") {
        rest = rest.split_once("?>").ok_or("a declaration without an end")?.1.trim_start();
    }
    let mut open: Vec<Element> = Vec::new();
    loop {
        let (before, tag) = rest.split_once('<').ok_or("no element, or one without an end")?;
        let (tag, after) = tag.split_once('>').ok_or("a tag without an end")?;
        rest = after;
        match open.last_mut() {
            Some(element) => element.text.push_str(&plain(before)?),
            None if before.is_empty() => {}
            None => return Err("text before the first element".to_owned()),
        }
        let done = if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop().filter(|element| element.name == name);
            element.ok_or_else(|| format!("`{tag}` ends nothing"))?
        } else {
            let (tag, is_whole) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            let name = tag.split_whitespace().next().unwrap_or_default().to_owned();
            let element = Element { name, text: String::new(), children: Vec::new() };
            if !is_whole {
                open.push(element);
                continue;
            }
            element
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(done),
            None if rest.trim().is_empty() => return Ok(done),
            None => return Err("something after the last element".to_owned()),
        }
    }
}

fn plain(text: &str) -> Result<String, String> {
    let names =
        BTreeMap::from([("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"'), ("apos", '\'')]);
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';').ok_or("a `&` that begins no entity")?;
        let number = name.strip_prefix("#x").map(|hex| u32::from_str_radix(hex, 16));
        let number = number.or_else(|| name.strip_prefix('#').map(str::parse));
        let character = match number {
            Some(number) => number.ok().and_then(char::from_u32),
            None => names.get(name).copied(),
        };
        plain.push(character.ok_or_else(|| format!("`&{name};` is no entity"))?);
        plain.push_str(rest);
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_its_elements() {
        let element = |name: &str, text: &str, children| Element {
            name: name.to_owned(),
            text: text.to_owned(),
            children,
        };
        assert_eq!(
            parse(b"<?xml version=\"1.0\"?>\n<A xmlns=\"x\"><B>1 &lt; &#x32;&#10;</B><C/></A>\n"),
            Ok(element("A", "", vec![element("B", "1 < 2\n", vec![]), element("C", "", vec![])]))
        );
    }

    #[test]
    fn what_is_no_document_is_told() {
        let cases = [
            ("", "no element, or one without an end"),
            ("<A><B></A>", "`/A` ends nothing"),
            ("<A", "a tag without an end"),
            ("<A></A>x", "something after the last element"),
            ("x<A/>", "text before the first element"),
            ("<A>&no;</A>", "`&no;` is no entity"),
            ("<A>a & b</A>", "a `&` that begins no entity"),
        ];
        for (text, problem) in cases {
            assert_eq!(parse(text.as_bytes()), Err(problem.to_owned()), "{text}");
        }
    }
}
