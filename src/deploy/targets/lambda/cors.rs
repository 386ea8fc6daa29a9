//! Origins whose pages may call a function from a browser.

use serde_json::{Value, json};

use super::settings::Entry;
use crate::config::Problems;
use crate::deploy::TargetInput;

/// Reads the setting: sorted, each once.
pub(super) fn read(input: &TargetInput<'_>, entry: Entry, problems: &mut Problems) -> Vec<String> {
    let Some(node) = input.settings.get("cors_origins") else { return Vec::new() };
    if entry == Entry::None {
        let message = "`cors_origins` belongs to a function URL or an API, and there is none";
        problems.report_with_hint(&node.position, message, "remove it");
    }
    let mut origins = Vec::new();
    for origin in node.one_or_many() {
        let text = origin.as_text().unwrap_or_default();
        let host = ["https://", "http://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
        let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
        if text != "*" && !host.is_some_and(is_host) {
            let message = format!("`{}` is no origin", text.escape_debug());
            let hint = "write `https://HOST`, without a path, or `\"*\"` for all";
            problems.report_with_hint(&origin.position, message, hint);
        }
        origins.push(text.to_owned());
    }
    origins.sort();
    origins.dedup();
    origins
}

/// The origins that a function URL or an API allows, which write them differently.
pub(super) fn allowed(cors: &Value) -> Vec<String> {
    let lists = [&cors["AllowOrigins"], &cors["allowOrigins"]];
    let origins = lists.into_iter().find_map(Value::as_array).into_iter().flatten();
    let mut origins: Vec<_> = origins.filter_map(Value::as_str).map(str::to_owned).collect();
    origins.sort();
    origins
}

/// For people.
pub(super) fn shown(origins: &[String]) -> Option<String> {
    (!origins.is_empty()).then(|| origins.join(", "))
}

/// As a function URL wants it; what is empty takes back what was there.
pub(super) fn of_url(origins: &[String]) -> Value {
    if origins.is_empty() {
        return json!({});
    }
    json!({"AllowOrigins": origins, "AllowMethods": ["*"], "AllowHeaders": ["*"]})
}

/// As an API wants it.
pub(super) fn of_api(origins: &[String]) -> Value {
    json!({"allowOrigins": origins, "allowMethods": ["*"], "allowHeaders": ["*"]})
}
