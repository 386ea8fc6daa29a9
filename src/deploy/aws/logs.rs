//! Lines of CloudWatch Logs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{members, read_pages};
use crate::cloud::{CallError, LOGS, Request};
use crate::deploy::{LogLine, LogQuery, Session};

/// From where to go on: the time of the last line, and all lines of that time that were given already.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    at_ms: i64,
    seen: BTreeSet<String>,
}

/// The lines of a group since a time or a cursor, the oldest first, and the cursor to go on from. A group
/// that is not there has no lines yet.
///
/// # Errors
/// The log cannot be read.
pub(in crate::deploy) async fn read_logs(
    session: &Session,
    region: &str,
    group: &str,
    query: &LogQuery,
) -> Result<(Vec<LogLine>, Option<String>), CallError> {
    let last = query.cursor.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let mut cursor: Cursor = last.unwrap_or_default();
    let since_ms = query.since_ms.max(cursor.at_ms).max(0);
    let ask = |token: Option<&str>| {
        let mut body = json!({"logGroupName": group, "startTime": since_ms});
        if let Some(token) = token {
            body["nextToken"] = token.into();
        }
        Request::call(&LOGS, region, "FilterLogEvents", body).that_reads()
    };
    let pages = read_pages(session, "/nextToken", ask).await?;
    let mut events: Vec<_> =
        pages.iter().flat_map(|page| members(&page["events"])).map(Event::read).collect();
    events.retain(|event| !cursor.seen.contains(&event.id));
    events.sort_by_key(|event| event.line.at_ms);
    if let Some(last) = events.last().map(|event| event.line.at_ms) {
        let of_last = events.iter().filter(|event| event.line.at_ms == last);
        let of_last = of_last.map(|event| event.id.clone());
        if last > cursor.at_ms {
            cursor = Cursor { at_ms: last, seen: of_last.collect() };
        } else {
            cursor.seen.extend(of_last);
        }
    }
    let lines = events.into_iter().map(|event| event.line).collect();
    let cursor = serde_json::to_string(&cursor).expect("numbers and texts are JSON");
    Ok((lines, Some(cursor)))
}

struct Event {
    id: String,
    line: LogLine,
}

impl Event {
    fn read(event: &Value) -> Self {
        let text = |name| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let at_ms = event.get("timestamp").and_then(Value::as_i64).unwrap_or_default();
        let line = text("message").trim_end_matches(['\n', '\r']).to_owned();
        Self { id: text("eventId"), line: LogLine { at_ms, text: line } }
    }
}
