//! The little XML that AWS's older services answer, as JSON.

use serde_json::{Map, Value};

/// How deep elements may lie within each other.
const MAX_DEPTH: usize = 32;

/// Reads a document as one object with its root element as the only member; nothing when it is no XML.
///
/// An element with elements in it is an object, any other one its text. Elements of one name beside each
/// other are a list, and an element whose elements are all called `member` is a list, too. Attributes
/// are left out.
pub(super) fn read(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text };
    reader.skip_prolog();
    let (name, value) = reader.element(0)?;
    Some(Value::Object(Map::from_iter([(name, value)])))
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_prolog(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            let end = if self.rest.starts_with("<?") {
                "?>"
            } else if self.rest.starts_with("<!--") {
                "-->"
            } else {
                return;
            };
            self.rest = self.rest.split_once(end).map_or("", |(_, rest)| rest);
        }
    }

    /// The element that begins here, by its name without prefix.
    fn element(&mut self, depth: usize) -> Option<(String, Value)> {
        let (tag, rest) = self.rest.strip_prefix('<')?.split_once('>')?;
        self.rest = rest;
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let full_name = tag.split_whitespace().next()?.to_owned();
        let name = full_name.rsplit(':').next()?.to_owned();
        if is_empty {
            return Some((name, String::new().into()));
        }
        let mut children: Vec<(String, Value)> = Vec::new();
        let mut text = String::new();
        loop {
            let start = self.rest.find('<')?;
            text.push_str(&unescape(&self.rest[..start]));
            self.rest = &self.rest[start..];
            if let Some(rest) = self.rest.strip_prefix("</") {
                let (closed, rest) = rest.split_once('>')?;
                self.rest = rest;
                return (closed.trim_end() == full_name).then(|| (name, value(children, &text)));
            } else if let Some(rest) = self.rest.strip_prefix("<![CDATA[") {
                let (inner, rest) = rest.split_once("]]>")?;
                text.push_str(inner);
                self.rest = rest;
            } else if let Some(rest) = self.rest.strip_prefix("<!--") {
                self.rest = rest.split_once("-->")?.1;
            } else if depth < MAX_DEPTH {
                children.push(self.element(depth + 1)?);
            } else {
                return None;
            }
        }
    }
}

fn value(children: Vec<(String, Value)>, text: &str) -> Value {
    if children.is_empty() {
        return text.into();
    }
    if children.iter().all(|(name, _)| name == "member") {
        return children.into_iter().map(|(_, value)| value).collect();
    }
    let mut members: Map<String, Value> = Map::new();
    let mut lists: Vec<String> = Vec::new();
    for (name, value) in children {
        match members.get_mut(&name) {
            None => {
                members.insert(name, value);
            }
            Some(Value::Array(items)) if lists.contains(&name) => items.push(value),
            Some(first) => {
                *first = Value::Array(vec![first.take(), value]);
                lists.push(name);
            }
        }
    }
    Value::Object(members)
}

/// Text with its entities (XML 1.0, 4.1 and 4.6) as the letters that they stand for.
fn unescape(text: &str) -> String {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let found = part.split_once(';').and_then(|(name, rest)| Some((letter(name)?, rest)));
        let (letter, rest) = found.unwrap_or(('&', part));
        plain.push(letter);
        plain.push_str(rest);
    }
    plain
}

fn letter(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_and_errors_are_read() {
        for (text, expected) in [
            (
                "<?xml version=\"1.0\"?>\n<A xmlns=\"u\">\n <B>x &amp; y&#x21;</B>\n <C/><D a='1'><![CDATA[<z>]]></D></A>",
                Some(json!({"A": {"B": "x & y!", "C": "", "D": "<z>"}})),
            ),
            (
                "<A><L><member>1</member><member><K>k</K></member></L><!-- c --></A>",
                Some(json!({"A": {"L": ["1", {"K": "k"}]}})),
            ),
            (
                "<A><x>1</x><x>2</x><y/><x>3</x></A>",
                Some(json!({"A": {"x": ["1", "2", "3"], "y": ""}})),
            ),
            ("<n:A><n:B>1</n:B></n:A>", Some(json!({"A": {"B": "1"}}))),
            ("<A>&nope; &#0;</A>", Some(json!({"A": "&nope; \0"}))),
            ("<A><B></A>", None),
            ("<A>", None),
            ("not xml", None),
            ("", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_lies_too_deep() {
        assert_eq!(read(&"<a>".repeat(100_000)), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_much(text in "(<[a-c/!\\[]{0,3}>?|&[a#x;0-9]{0,4}|.){0,40}") {
            read(&text);
        }
    }
}
