//! What Cloud Logging has.

use serde_json::{Value, json};

use super::CloudRun;
use crate::fake::{Call, Response};

impl CloudRun {
    /// The entries after the moment that a filter names.
    pub(super) fn list_entries(&self, call: &Call) -> Response {
        let filter = call.json()["filter"].as_str().unwrap_or_default().to_owned();
        let named = |start: &str| {
            let (_, rest) = filter.split_once(start)?;
            rest.split('"').next().map(str::to_owned)
        };
        let (since, after) = (named("timestamp>=\""), named("timestamp>\""));
        let id = named("insertId>\"").unwrap_or_default();
        let is_wanted = |entry: &&Value| {
            let at = entry["timestamp"].as_str().unwrap();
            match (&since, &after) {
                (Some(since), _) => at >= since.as_str(),
                (_, Some(after)) => {
                    (at, entry["insertId"].as_str().unwrap()) > (after.as_str(), id.as_str())
                }
                _ => true,
            }
        };
        let entries: Vec<_> = self.entries.iter().filter(is_wanted).collect();
        Response::json(200, &json!({"entries": entries}))
    }
}
