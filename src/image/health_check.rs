//! How a health check is told to people; configs give times in nanoseconds.

use serde_json::{Map, Value};

use super::secrecy::shown_document;

/// `["CMD","/check"], every 30s, timeout 5s`. The command comes without the values of secrets, and may hold what
/// steers a terminal.
pub fn shown_health_check(check: &Map<String, Value>) -> String {
    let test = check.get("Test").map(shown_document).unwrap_or_default();
    let times = [
        ("Interval", "every"),
        ("Timeout", "timeout"),
        ("StartPeriod", "start period"),
        ("StartInterval", "every at the start"),
    ];
    let mut told = vec![test.to_string()];
    for (member, word) in times {
        if let Some(nanoseconds) =
            check.get(member).and_then(Value::as_u64).filter(|time| *time > 0)
        {
            let milliseconds = nanoseconds / 1_000_000;
            told.push(match milliseconds % 1000 {
                0 => format!("{word} {}s", milliseconds / 1000),
                _ => format!("{word} {milliseconds}ms"),
            });
        }
    }
    match check.get("Retries").and_then(Value::as_u64) {
        Some(1) => told.push("1 retry".to_owned()),
        Some(retries) => told.push(format!("{retries} retries")),
        None => {}
    }
    told.join(", ")
}
