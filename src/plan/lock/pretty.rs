//! JSON that people and git compare by lines.

use serde_json::Value;

use crate::oci::canonical_json;

/// Writes JSON with sorted members, one of them, or of the items of a list, per line; a list in a list
/// is one line. Ends in a newline.
pub(super) fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text.push('\n');
    text
}

fn write(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let lines = members.into_iter().map(|(name, member)| (Some(name), member));
            write_lines(lines, ["{", "}"], depth, text);
        }
        Value::Array(items) if !items.is_empty() => {
            write_lines(items.iter().map(|item| (None, item)), ["[", "]"], depth, text);
        }
        value => text.push_str(&in_one_line(value)),
    }
}

fn write_lines<'a>(
    lines: impl Iterator<Item = (Option<&'a String>, &'a Value)>,
    [begin, end]: [&str; 2],
    depth: usize,
    text: &mut String,
) {
    text.push_str(begin);
    for (number, (name, value)) in lines.enumerate() {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.push_str(&"  ".repeat(depth + 1));
        match (name, value) {
            (None, Value::Array(_)) => text.push_str(&in_one_line(value)),
            (None, _) => write(value, depth + 1, text),
            (Some(name), _) => {
                text.push_str(&in_one_line(&Value::from(name.as_str())));
                text.push_str(": ");
                write(value, depth + 1, text);
            }
        }
    }
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
    text.push_str(end);
}

fn in_one_line(value: &Value) -> String {
    String::from_utf8(canonical_json(value)).expect("JSON is text")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_holds_what_changes_together() {
        let value = json!({
            "b": {"d": [], "c": {}},
            "a": ["x", ["app", 493, 0], {"y": "\"\n"}],
        });
        assert_eq!(
            pretty(&value),
            r#"{
  "a": [
    "x",
    ["app",493,0],
    {
      "y": "\"\n"
    }
  ],
  "b": {
    "c": {},
    "d": []
  }
}
"#
        );
    }
}
