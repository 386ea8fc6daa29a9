//! What the containers of an app print.

use std::collections::BTreeMap;

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
    let read = query.cursor.as_deref().and_then(|cursor| serde_json::from_str(cursor).ok());
    let mut read: BTreeMap<String, Read> = read.unwrap_or_default();
    if !places.is_empty() {
        let answer = session.call(&requests::log_token(settings)).await?;
        let token = Secret::new(answer.text("/properties/token").unwrap_or_default());
        for place in places {
            // A replica may have gone by now.
            let Some(answer) = session.find(&stream(place, token.clone())).await? else { continue };
            // A line that is JSON, and the only one, was read as such.
            let text = match answer.body {
                Value::Null => String::new(),
                Value::String(text) => text,
                body => body.to_string(),
            };
            let (new, read_up_to) = unread(parse(&text), read.get(place), query.since_ms);
            read.extend(read_up_to.map(|read_up_to| (place.to_owned(), read_up_to)));
            lines.extend(new);
        }
    }
    lines.sort_by_key(|line| line.at_ms);
    let cursor = serde_json::to_string(&read).ok().filter(|_| !read.is_empty());
    Ok((lines, cursor))
}

/// How far the log of a replica was read: the time of its last line, and how many lines had that time.
type Read = (i64, usize);

/// The lines that were not read yet, and how far it is read then: the platform gives the last ones again
/// and again.
fn unread(
    mut lines: Vec<LogLine>,
    read: Option<&Read>,
    since_ms: i64,
) -> (Vec<LogLine>, Option<Read>) {
    let (from, seen) = read.copied().unwrap_or((since_ms, 0));
    let mut again = seen;
    lines.retain(|line| {
        let is_known = line.at_ms == from && again > 0;
        again -= usize::from(is_known);
        !is_known && (line.at_ms >= from || line.at_ms == 0 && read.is_none())
    });
    let Some(last) = lines.last().map(|line| line.at_ms) else { return (lines, None) };
    let count = lines.iter().filter(|line| line.at_ms == last).count();
    let count = if last == from { seen + count } else { count };
    (lines, Some((last, count)))
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
    fn no_line_is_shown_twice_and_none_is_lost() {
        let lines = |all: &[(i64, &str)]| -> Vec<_> {
            all.iter()
                .map(|(at_ms, text)| LogLine { at_ms: *at_ms, text: (*text).to_owned() })
                .collect()
        };
        let (one, two, three) = ((5, "one"), (7, "two"), (7, "three"));
        for (printed, read, new, next) in [
            (
                &[(0, "hi"), (3, "old"), one, two][..],
                None,
                &[(0, "hi"), one, two][..],
                Some((7, 1)),
            ),
            (&[one, two], Some((7, 1)), &[], None),
            (&[one, two, three], Some((7, 1)), &[three], Some((7, 2))),
            (&[two, three, (9, "four")], Some((7, 2)), &[(9, "four")], Some((9, 1))),
        ] {
            let found = unread(lines(printed), read.as_ref(), 4);
            assert_eq!(found, (lines(new), next), "{printed:?} {read:?}");
        }
    }

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
