//! What a service printed, from Cloud Logging.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::CloudRun;
use crate::cloud::{CLOUD_LOGGING, Method, Request};
use crate::deploy::{LogLine, LogQuery, Session};
use crate::error::Result;

/// The most entries that one answer has.
const PAGE: u32 = 1000;
/// How many pages without any entry are looked through at most.
const MAX_EMPTY_PAGES: usize = 100;

impl CloudRun {
    /// The entries that a query asks for, and where they end.
    pub(super) async fn read_logs(
        &self,
        query: &LogQuery,
        session: &Session,
    ) -> Result<(Vec<LogLine>, Option<String>)> {
        let request = self.log_request(query);
        let mut page = request.clone();
        let mut last_token = String::new();
        for _ in 0..MAX_EMPTY_PAGES {
            let answer = session.call(&page).await?.body;
            let entries = answer["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
            // A page may be empty before the last one: the search goes on.
            let token = answer["nextPageToken"].as_str().filter(|token| !token.is_empty());
            match (entries.last(), token) {
                (None, Some(token)) if token != last_token => {
                    token.clone_into(&mut last_token);
                    page = request.clone();
                    if let Some(body) = &mut page.body {
                        body["pageToken"] = token.into();
                    }
                }
                (None, _) => break,
                (Some(last), _) => {
                    return Ok((entries.iter().map(line).collect(), Some(cursor(last))));
                }
            }
        }
        Ok((Vec::new(), query.cursor.clone()))
    }

    fn log_request(&self, query: &LogQuery) -> Request {
        let reached = query.cursor.as_deref().and_then(|cursor| cursor.split_once(' '));
        let after = if let Some((at, id)) = reached {
            // Entries of one moment come in the order of their ids.
            format!(r#"(timestamp>"{at}" OR (timestamp="{at}" AND insertId>"{id}"))"#)
        } else {
            let since = Timestamp::from_millisecond(query.since_ms).unwrap_or_default();
            format!(r#"timestamp>="{since}""#)
        };
        let settings = &self.settings;
        let filter = format!(
            r#"resource.type="cloud_run_revision" AND resource.labels.service_name="{}" AND resource.labels.location="{}" AND {after}"#,
            settings.name, settings.region
        );
        let body = json!({
            "resourceNames": [format!("projects/{}", settings.project)],
            "filter": filter,
            "orderBy": "timestamp asc",
            "pageSize": PAGE,
        });
        Request::rest(&CLOUD_LOGGING, "", "ListLogEntries", Method::Post, "/v2/entries:list")
            .with_body(body)
            .that_reads()
    }
}

/// From where to go on after an entry.
fn cursor(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    format!("{} {}", text("timestamp"), text("insertId"))
}

fn line(entry: &Value) -> LogLine {
    let at = entry["timestamp"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let payload = &entry["jsonPayload"];
    let request = &entry["httpRequest"];
    let text = if let Some(text) = entry["textPayload"].as_str() {
        text.to_owned()
    } else if let Some(text) = payload["message"].as_str() {
        text.to_owned()
    } else if payload.is_object() {
        payload.to_string()
    } else if request.is_object() {
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        format!("{} {} {}", text("requestMethod"), text("requestUrl"), request["status"])
    } else {
        entry["protoPayload"].to_string()
    };
    LogLine { at_ms: at.map_or(0, Timestamp::as_millisecond), text: text.trim_end().to_owned() }
}
