//! How to see whether a container is well: the `health:` section and its durations.

use super::schema::{Field, Kind, Shape};
use super::validate::{shown, words};
use super::{Node, Problems, Value};

/// How to see whether a container is well.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// For the probes of deploy targets.
    pub path: Option<String>,
    /// For the probes of deploy targets.
    pub port: Option<u16>,
    /// The image's `Healthcheck`: present when the config has a `test`.
    pub check: Option<HealthCheck>,
}

/// Docker's `Healthcheck`; times in nanoseconds, as its JSON has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// `["CMD", …]`, `["CMD-SHELL", "…"]` or `["NONE"]`.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval_ns: Option<u64>,
    /// For one check.
    pub timeout_ns: Option<u64>,
    /// After the start, while failures do not count.
    pub start_period_ns: Option<u64>,
    /// Between two checks of the start period.
    pub start_interval_ns: Option<u64>,
    /// How many failures make a container unhealthy.
    pub retries: Option<u64>,
}

/// The members of `health:`.
pub(super) static HEALTH: Shape = Shape {
    name: "`health`",
    fields: &[
        Field::optional("path", Kind::Text, "The HTTP path that the probes of deploy targets ask."),
        Field::optional("port", Kind::Integer(1, 65535), "The port that they ask."),
        Field::optional(
            "test",
            Kind::OneOrMany(&Kind::Scalar),
            "The check that a container engine runs inside: `[CMD, program, …]`, `[CMD-SHELL, line]`, \
             or `[NONE]` to switch off the base's. A text is a `CMD-SHELL`.",
        ),
        Field::optional("interval", Kind::Text, "Between two checks: `30s`, `1m30s`, `500ms`."),
        Field::optional("timeout", Kind::Text, "For one check."),
        Field::optional(
            "start_period",
            Kind::Text,
            "After the start, while failures do not count.",
        ),
        Field::optional("start_interval", Kind::Text, "Between two checks of the start period."),
        Field::optional(
            "retries",
            Kind::Integer(1, 1_000_000),
            "How many failures in a row make the container unhealthy.",
        ),
    ],
};

/// The members that only mean something beside `test`.
const CHECK_MEMBERS: [&str; 5] =
    ["interval", "timeout", "start_period", "start_interval", "retries"];

/// Reads `health:`.
pub(super) fn health(node: &Node, problems: &mut Problems) -> Health {
    let path = node.get("path").and_then(|path| probe_path(path, problems));
    let port = node.get("port").and_then(Node::as_integer).and_then(|port| port.try_into().ok());
    let mut duration = |name: &str| node.get(name).and_then(|node| duration_ns(node, problems));
    let (interval_ns, timeout_ns) = (duration("interval"), duration("timeout"));
    let (start_period_ns, start_interval_ns) =
        (duration("start_period"), duration("start_interval"));
    let retries =
        node.get("retries").and_then(Node::as_integer).and_then(|retries| retries.try_into().ok());
    let Some(test) = node.get("test") else {
        for (key, _) in node.members() {
            if CHECK_MEMBERS.contains(&key.text.as_str()) {
                problems.report_with_hint(
                    &key.position,
                    format!("`{}` belongs to a `test`, and there is none", key.text),
                    "add `test: [CMD, …]`",
                );
            }
        }
        return Health { path, port, check: None };
    };
    let check = test_words(test, problems).map(|test| HealthCheck {
        test,
        interval_ns,
        timeout_ns,
        start_period_ns,
        start_interval_ns,
        retries,
    });
    Health { path, port, check }
}

/// A path that starts with `/`, in characters that a request line may have.
pub(super) fn probe_path(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = node.as_text()?;
    if text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(text.to_owned());
    }
    problems.report_with_hint(
        &node.position,
        format!("`{}` is no path of a URL", shown(text)),
        "a path starts with `/` and has no spaces: `/health`",
    );
    None
}

fn test_words(node: &Node, problems: &mut Problems) -> Option<Vec<String>> {
    if let Value::Scalar { text, .. } = &node.value {
        return Some(vec!["CMD-SHELL".into(), text.clone()]);
    }
    let test = words(node, "test", problems);
    let parts: Vec<_> = test.iter().map(String::as_str).collect();
    let hint = match parts[..] {
        ["CMD", _, ..] | ["CMD-SHELL", _] | ["NONE"] => return Some(test),
        ["CMD"] => "after `CMD` comes the program",
        ["CMD-SHELL", ..] => "after `CMD-SHELL` comes one text, the line for the shell",
        ["NONE", ..] => "`NONE` stands alone",
        _ => "it starts with `CMD`, `CMD-SHELL` or `NONE`",
    };
    problems.report_with_hint(&node.position, "this `test` cannot be run", hint);
    None
}

/// Units with their nanoseconds; `ms` comes before `m`, since the first that fits is taken.
const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A duration as Docker and compose write it: `30s`, `1m30s`, `500ms`, `1.5s`; at least 1 ms.
fn duration_ns(node: &Node, problems: &mut Problems) -> Option<u64> {
    let text = node.as_text()?;
    let hint = match parse_duration(text) {
        Some(nanoseconds @ 1_000_000..) if i64::try_from(nanoseconds).is_ok() => {
            return Some(nanoseconds);
        }
        Some(0..1_000_000) => "engines take at least `1ms`".into(),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => {
            format!("add the unit: `{}s`", shown(text))
        }
        _ => "write `30s`, `1m30s` or `500ms`".into(),
    };
    problems.report_with_hint(&node.position, format!("`{}` is no duration", shown(text)), hint);
    None
}

fn parse_duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let (number, after) = rest.split_at(end);
        let (name, scale) = UNITS.iter().find(|(name, _)| after.starts_with(name))?;
        total = total.checked_add(scaled(number, *scale)?)?;
        rest = &after[name.len()..];
    }
    (!text.is_empty()).then_some(total)
}

/// `number` (`12`, `1.5`, `.5`) times `scale`, what is below one nanosecond dropped.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > 9 {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    let below_one =
        digits(fraction)?.checked_mul(scale)? / 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    digits(whole)?.checked_mul(scale)?.checked_add(below_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> (Health, Vec<String>) {
        let mut problems = Problems::new();
        let node = Node::parse_yaml(yaml, "f", &mut problems).unwrap();
        let health = health(&node, &mut problems);
        let line = |problem: crate::config::Problem| {
            format!("{}; {}", problem.message, problem.hint.unwrap_or_default())
        };
        (health, problems.list().into_iter().map(line).collect())
    }

    #[test]
    fn reads_a_whole_section() {
        let yaml = "{path: /health, port: 8080, test: [CMD, curl, -f, 'http://x/'], interval: 30s, \
                    timeout: 1m30s, start_period: 500ms, start_interval: 1.5s, retries: 3}";
        let check = HealthCheck {
            test: ["CMD", "curl", "-f", "http://x/"].map(Into::into).into(),
            interval_ns: Some(30_000_000_000),
            timeout_ns: Some(90_000_000_000),
            start_period_ns: Some(500_000_000),
            start_interval_ns: Some(1_500_000_000),
            retries: Some(3),
        };
        let health = Health { path: Some("/health".into()), port: Some(8080), check: Some(check) };
        assert_eq!(read(yaml), (health, vec![]));
    }

    #[test]
    fn a_text_is_a_line_for_the_shell() {
        let (health, problems) = read("test: curl -f localhost || exit 1");
        assert!(problems.is_empty());
        let test = health.check.unwrap().test;
        assert_eq!(test, ["CMD-SHELL", "curl -f localhost || exit 1"]);
    }

    #[test]
    fn refuses_checks_that_cannot_be_run() {
        for (yaml, problem) in [
            ("test: [CMD]", "this `test` cannot be run; after `CMD` comes the program"),
            (
                "test: [CMD-SHELL, a, b]",
                "this `test` cannot be run; after `CMD-SHELL` comes one text, the line for the shell",
            ),
            ("test: [NONE, a]", "this `test` cannot be run; `NONE` stands alone"),
            ("test: []", "this `test` cannot be run; it starts with `CMD`, `CMD-SHELL` or `NONE`"),
            (
                "test: [curl, x]",
                "this `test` cannot be run; it starts with `CMD`, `CMD-SHELL` or `NONE`",
            ),
            (
                "interval: 1s",
                "`interval` belongs to a `test`, and there is none; add `test: [CMD, …]`",
            ),
            (
                "path: health",
                "`health` is no path of a URL; a path starts with `/` and has no spaces: `/health`",
            ),
        ] {
            assert_eq!(read(yaml).1, [problem], "{yaml}");
        }
    }

    #[test]
    fn durations() {
        for (text, nanoseconds) in [
            ("30s", Some(30_000_000_000)),
            ("1h1m1s1ms1us1ns", Some(3_661_001_001_001)),
            ("1µs", Some(1_000)),
            (".5s", Some(500_000_000)),
            ("1.5m", Some(90_000_000_000)),
            ("0s", Some(0)),
            ("", None),
            ("30", None),
            ("s", None),
            (".s", None),
            ("1..5s", None),
            ("-1s", None),
            ("1 s", None),
            ("1d", None),
            ("99999999999h", None),
        ] {
            assert_eq!(parse_duration(text), nanoseconds, "{text}");
        }
        let mut problems = Problems::new();
        for text in ["30", "0s", "1d", "9223372037s"] {
            let node = Node::text(text, &crate::config::Position::default());
            assert_eq!(duration_ns(&node, &mut problems), None, "{text}");
        }
        let hints: Vec<_> =
            problems.list().into_iter().filter_map(|problem| problem.hint).collect();
        assert_eq!(
            hints,
            [
                "add the unit: `30s`",
                "engines take at least `1ms`",
                "write `30s`, `1m30s` or `500ms`",
                "write `30s`, `1m30s` or `500ms`",
            ]
        );
    }
}
