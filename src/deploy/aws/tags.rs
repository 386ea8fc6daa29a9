//! Tags in the two spellings of AWS: `Key` and `Value`, or `key` and `value`.

use serde_json::{Value, json};

/// As most services write tags.
pub(in crate::deploy) fn capital_tags<'a>(
    tags: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Value {
    tags.into_iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// As ECS writes tags.
pub(in crate::deploy) fn small_tags<'a>(
    tags: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Value {
    tags.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// The value of a tag in a list of either spelling.
pub(in crate::deploy) fn find_tag<'a>(tags: &'a Value, key: &str) -> Option<&'a str> {
    let text = |tag: &'a Value, names: [&str; 2]| {
        names.into_iter().find_map(|name| tag.get(name)).and_then(Value::as_str)
    };
    let tag = super::members(tags).find(|tag| text(tag, ["Key", "key"]) == Some(key))?;
    text(tag, ["Value", "value"])
}
