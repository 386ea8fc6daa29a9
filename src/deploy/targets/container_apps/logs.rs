//! What the containers of an app print.

use serde_json::Value;

use crate::cloud::{CONTAINER_APPS_LOGS, Location, Method, Request};
use crate::deploy::{LogLine, LogQuery, Session};
use crate::error::Result;
use crate::registry::Secret;

use super::requests;
use super::settings::Settings;

/// The most that the platform gives of what was printed.
const TAIL_LINES: &str = "300";

/// The lines of all replicas of the revision that serves; those that scaled to zero have none.
pub(super) async fn logs(
    settings: &Settings,
    query: &LogQuery,
    session: &Session,
) -> Result<(Vec<LogLine>, Option<String>)> {
    let app = session.call(&requests::get(settings)).await?.body;
    let Some(revision) = app["properties"]["latestRevisionName"].as_str() else {
        return Ok((Vec::new(), query.cursor.clone()));
    };
    let replicas = session.call(&requests::replicas(settings, revision)).await?.body;
    let replicas = replicas["value"].as_array().into_iter().flatten();
    let containers = replicas
        .flat_map(|replica| replica["properties"]["containers"].as_array().into_iter().flatten());
    let places: Vec<_> =
        containers.filter_map(|container| container["logStreamEndpoint"].as_str()).collect();
    let mut lines = Vec::new();
    if !places.is_empty() {
        let answer = session.call(&requests::log_token(settings)).await?;
        let token = Secret::new(answer.text("/properties/token").unwrap_or_default());
        for place in places {
            let answer = session.call(&stream(place, token.clone())).await?;
            // A line that is JSON, and the only one, was read as such.
            let text = match answer.body {
                Value::Null => String::new(),
                Value::String(text) => text,
                body => body.to_string(),
            };
            lines.extend(parse(&text));
        }
    }
    let read_up_to = query.cursor.as_deref().and_then(|cursor| cursor.parse().ok());
    let is_wanted = |line: &LogLine| match read_up_to {
        Some(read_up_to) => line.at_ms > read_up_to,
        None => line.at_ms == 0 || line.at_ms >= query.since_ms,
    };
    lines.retain(is_wanted);
    lines.sort_by_key(|line| line.at_ms);
    let cursor = lines.last().map(|line| line.at_ms.to_string()).or_else(|| query.cursor.clone());
    Ok((lines, cursor))
}

fn stream(url: &str, token: Secret) -> Request {
    let mut request =
        Request::rest(&CONTAINER_APPS_LOGS, "", "ContainerApps_Logs", Method::Get, "")
            .with_query("follow", "false")
            .with_query("output", "text")
            .with_query("tailLines", TAIL_LINES)
            .for_bearer(token);
    request.location = Location::Url(url.to_owned());
    request
}

/// Lines, each with its time before it; one without belongs to the line before.
fn parse(text: &str) -> Vec<LogLine> {
    let mut at_ms = 0;
    let line = |line: &str| {
        let (time, rest) = line.split_once(' ').unwrap_or((line, ""));
        let text = match time.parse::<jiff::Timestamp>() {
            Ok(time) => {
                at_ms = time.as_millisecond();
                rest
            }
            Err(_) => line,
        };
        LogLine { at_ms, text: text.to_owned() }
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_time_before_it() {
        let line = |at_ms, text: &str| LogLine { at_ms, text: text.to_owned() };
        assert_eq!(
            parse("Connecting\n2026-11-21T10:00:00.5Z ready on 8080\n  and more\n"),
            [
                line(0, "Connecting"),
                line(1_795_255_200_500, "ready on 8080"),
                line(1_795_255_200_500, "  and more")
            ]
        );
    }
}
