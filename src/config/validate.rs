//! The grammar of single values: names, paths, users, variables, ports, signals, labels.
//!
//! Each function reads a node whose form the shape has checked already (it passes over any other),
//! and reports what is wrong with the value.

use std::collections::BTreeMap;

use super::{Node, Problems};

/// A project's name: 1 to 63 letters, digits, `.`, `_` or `-`, starting with a letter or digit.
pub(super) fn name(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = node.as_text()?;
    let is_first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if is_first && text.bytes().all(is_rest) && text.len() <= 63 {
        return Some(text.to_owned());
    }
    problems.report_with_hint(
        &node.position,
        format!("`{}` is no name for a project", shown(text)),
        "1 to 63 letters, digits, `.`, `_` or `-`, starting with a letter or a digit",
    );
    None
}

/// An absolute path inside the image, without `.` and `..`; `/` at the end and `//` are dropped.
pub(super) fn absolute_path(node: &Node, field: &str, problems: &mut Problems) -> Option<String> {
    let text = node.as_text()?;
    let hint = if !text.starts_with('/') {
        "a path in the image starts with `/`"
    } else if text.split('/').any(|part| matches!(part, "." | "..")) {
        "write the path without `.` and `..`"
    } else if text.chars().any(char::is_control) {
        "remove the control characters"
    } else {
        let parts: Vec<_> = text.split('/').filter(|part| !part.is_empty()).collect();
        return Some(format!("/{}", parts.join("/")));
    };
    let message = format!("`{}` is no absolute path for `{field}`", shown(text));
    problems.report_with_hint(&node.position, message, hint);
    None
}

/// A user or uid, optionally with `:` and a group or gid.
pub(super) fn user(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = node.as_text()?;
    let is_id = |part: &str| {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            return part.parse::<u32>().is_ok();
        }
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        !part.starts_with(['-', '.']) && part.len() <= 32 && part.bytes().all(is_word)
    };
    let is_valid = match text.split_once(':') {
        Some((user, group)) => is_id(user) && is_id(group),
        None => is_id(text),
    };
    if is_valid {
        return Some(text.to_owned());
    }
    problems.report_with_hint(
        &node.position,
        format!("`{}` is no user", shown(text)),
        "write a uid or a name, optionally with a group: `\"65532\"`, `\"1000:1000\"`, `app:app`",
    );
    None
}

/// The variables of the image, in order. Values are literal: `${…}` is refused.
pub(super) fn env(node: &Node, problems: &mut Problems) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (key, value) in node.members() {
        check_env_name(&key.text, &key.position, problems);
        let Some(text) = value.as_text() else { continue };
        if text.contains("${") {
            problems.report_with_hint(
                &value.position,
                format!(
                    "`${{…}}` in `{}`: values in `env` are baked as they stand",
                    shown(&key.text)
                ),
                "leave the variable out here and set it where the container is started",
            );
        } else if check_no_nul(value, &key.text, problems) {
            variables.push((key.text.clone(), text.to_owned()));
        }
    }
    variables
}

/// Reports a name that no variable can have.
pub(super) fn check_env_name(name: &str, position: &super::Position, problems: &mut Problems) {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let starts_well =
        name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !(starts_well && name.bytes().all(is_word)) {
        problems.report_with_hint(
            position,
            format!("`{}` is no name for a variable", shown(name)),
            "letters, digits, `_`, `.` or `-`, starting with a letter or `_`",
        );
    }
}

/// Labels or annotations: keys with text, values literal.
pub(super) fn labels(
    node: &Node,
    field: &str,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, value) in node.members() {
        let Some(text) = value.as_text() else { continue };
        let is_key = !key.text.is_empty()
            && !key.text.chars().any(|char| char.is_control() || char.is_whitespace());
        if !is_key {
            problems.report_with_hint(
                &key.position,
                format!("`{}` is no key for `{field}`", shown(&key.text)),
                "a key has no spaces and no control characters: `com.example.team`",
            );
        } else if key.text.starts_with("dev.dockless.") {
            problems.report_with_hint(
                &key.position,
                format!("`{}` is set by dockless itself", shown(&key.text)),
                "use a prefix of your own: `com.example.`",
            );
        } else if text.contains("${") {
            problems.report_with_hint(
                &value.position,
                format!(
                    "`${{…}}` in `{}`: values in `{field}` are written as they stand",
                    shown(&key.text)
                ),
                "give it on the command line: `--label KEY=VALUE` or `--annotation KEY=VALUE`",
            );
        } else if check_no_nul(value, &key.text, problems) {
            labels.insert(key.text.clone(), text.to_owned());
        }
    }
    labels
}

/// A list of words, such as a command; empty words are words.
pub(super) fn words(node: &Node, field: &str, problems: &mut Problems) -> Vec<String> {
    let mut words = Vec::new();
    for item in node.items() {
        if let Some(text) = item.as_text()
            && check_no_nul(item, field, problems)
        {
            words.push(text.to_owned());
        }
    }
    words
}

/// A port as an image config writes it: `8080/tcp`.
pub(super) fn port(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = node.as_text()?;
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let is_number = !number.starts_with('+') && number.parse::<u16>().is_ok_and(|port| port > 0);
    if is_number && matches!(protocol, "tcp" | "udp" | "sctp") {
        return Some(format!("{number}/{protocol}"));
    }
    let hint = if number.contains(':') {
        "an image only says which ports it listens on: write the port alone"
    } else if number.contains('-') {
        "write each port of the range"
    } else {
        "write a number from 1 to 65535, optionally with `/tcp` or `/udp`"
    };
    problems.report_with_hint(&node.position, format!("`{}` is no port", shown(text)), hint);
    None
}

/// The signals that have a name on Linux.
const SIGNALS: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// A signal: `SIGTERM`, `SIGRTMIN+3`, `15`.
pub(super) fn signal(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = node.as_text()?;
    let offset = |text: &str, prefix: &str, sign: char| {
        let rest = text.strip_prefix(prefix)?;
        if rest.is_empty() {
            return Some(true);
        }
        let digits = rest.strip_prefix(sign)?;
        Some(!digits.starts_with('+') && digits.parse::<u8>().is_ok_and(|number| number <= 30))
    };
    let is_number =
        !text.starts_with('+') && text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    if is_number
        || SIGNALS.contains(&text)
        || offset(text, "SIGRTMIN", '+') == Some(true)
        || offset(text, "SIGRTMAX", '-') == Some(true)
    {
        return Some(text.to_owned());
    }
    let folded = text.to_ascii_uppercase();
    let folded = if folded.starts_with("SIG") { folded } else { format!("SIG{folded}") };
    // All of them begin alike: only what comes after `SIG` tells how near one is.
    let nearest = |known: &&&str| strsim::damerau_levenshtein(&folded, known) <= 1;
    let hint = match SIGNALS.iter().find(nearest) {
        Some(signal) if folded.len() > 5 => format!("did you mean `{signal}`?"),
        _ => "write a name such as `SIGTERM` or `SIGRTMIN+3`, or a number from 1 to 64".into(),
    };
    problems.report_with_hint(&node.position, format!("`{}` is no signal", shown(text)), hint);
    None
}

/// Reports a NUL character, which no process can be given.
fn check_no_nul(node: &Node, name: &str, problems: &mut Problems) -> bool {
    let has_nul = node.as_text().is_some_and(|text| text.contains('\0'));
    if has_nul {
        problems.report(&node.position, format!("`{}` has a NUL character", shown(name)));
    }
    !has_nul
}

/// Foreign text for a message: short and harmless.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Position;

    /// What a function makes of a text: the value, or the message and its hint.
    fn outcome<T: std::fmt::Debug>(
        text: &str,
        read: impl Fn(&Node, &mut Problems) -> Option<T>,
    ) -> Result<T, String> {
        let mut problems = Problems::new();
        let value = read(&Node::text(text, &Position::default()), &mut problems);
        let mut lines = problems
            .list()
            .into_iter()
            .map(|problem| format!("{}; {}", problem.message, problem.hint.unwrap_or_default()));
        match (value, lines.next()) {
            (Some(value), None) => Ok(value),
            (_, problem) => Err(problem.expect("no value without a problem")),
        }
    }

    #[test]
    fn names() {
        for text in ["a", "research-agent", "A.b_c-1", &"a".repeat(63)] {
            assert_eq!(outcome(text, name), Ok(text.to_owned()));
        }
        let hint = "1 to 63 letters, digits, `.`, `_` or `-`, starting with a letter or a digit";
        for text in ["", "-a", ".a", "a b", "a/b", "é", &"a".repeat(64)] {
            assert_eq!(
                outcome(text, name),
                Err(format!("`{text}` is no name for a project; {hint}"))
            );
        }
    }

    #[test]
    fn paths() {
        let path = |node: &Node, problems: &mut Problems| absolute_path(node, "workdir", problems);
        for (text, clean) in [("/", "/"), ("/app", "/app"), ("/app/", "/app"), ("//a//b", "/a/b")] {
            assert_eq!(outcome(text, path).as_deref(), Ok(clean));
        }
        for (text, hint) in [
            ("app", "a path in the image starts with `/`"),
            ("", "a path in the image starts with `/`"),
            ("/a/../b", "write the path without `.` and `..`"),
            ("/a\nb", "remove the control characters"),
        ] {
            let text_shown = text.escape_debug();
            let problem = format!("`{text_shown}` is no absolute path for `workdir`; {hint}");
            assert_eq!(outcome(text, path), Err(problem));
        }
    }

    #[test]
    fn users() {
        for text in ["0", "65532", "1000:1000", "app", "_apt", "app:staff", "www-data:33"] {
            assert_eq!(outcome(text, user), Ok(text.to_owned()));
        }
        let hint = "write a uid or a name, optionally with a group: \
                    `\"65532\"`, `\"1000:1000\"`, `app:app`";
        for text in ["", ":", "a:", ":a", "-1", "4294967296", "a b", "a:b:c", "${USER}"] {
            assert_eq!(outcome(text, user), Err(format!("`{text}` is no user; {hint}")), "{text}");
        }
    }

    #[test]
    fn ports() {
        for (text, port_text) in [
            ("8080", "8080/tcp"),
            ("53/udp", "53/udp"),
            ("1/sctp", "1/sctp"),
            ("65535", "65535/tcp"),
        ] {
            assert_eq!(outcome(text, port).as_deref(), Ok(port_text));
        }
        let range = "write a number from 1 to 65535, optionally with `/tcp` or `/udp`";
        for (text, hint) in [
            ("0", range),
            ("65536", range),
            ("+1", range),
            ("80/http", range),
            ("", range),
            ("8080:80", "an image only says which ports it listens on: write the port alone"),
            ("8000-8010", "write each port of the range"),
        ] {
            assert_eq!(outcome(text, port), Err(format!("`{text}` is no port; {hint}")));
        }
    }

    #[test]
    fn signals() {
        for text in ["SIGTERM", "SIGRTMIN", "SIGRTMIN+3", "SIGRTMAX-1", "15", "64"] {
            assert_eq!(outcome(text, signal), Ok(text.to_owned()));
        }
        let forms = "write a name such as `SIGTERM` or `SIGRTMIN+3`, or a number from 1 to 64";
        for (text, hint) in [
            ("TERM", "did you mean `SIGTERM`?"),
            ("sigint", "did you mean `SIGINT`?"),
            ("SIGTREM", "did you mean `SIGTERM`?"),
            ("SIGUSR3", "did you mean `SIGUSR1`?"),
            ("FOO", forms),
            ("IT", forms),
            ("SIGRTMIN+31", forms),
            ("0", forms),
            ("65", forms),
        ] {
            assert_eq!(outcome(text, signal), Err(format!("`{text}` is no signal; {hint}")));
        }
    }

    #[test]
    fn variables_and_labels_are_literal() {
        let yaml = "A: 1\n_b.c-d: ''\nC: ${X}\n1D: x\nE: \"a\\0\"\n";
        let mut problems = Problems::new();
        let node = Node::parse_yaml(yaml, "f", &mut problems).unwrap();
        assert_eq!(
            env(&node, &mut problems),
            [("A".into(), "1".into()), ("_b.c-d".into(), String::new()), ("1D".into(), "x".into()),]
        );
        let messages = |problems: &Problems| {
            problems.list().into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        assert_eq!(
            messages(&problems),
            [
                "`${…}` in `C`: values in `env` are baked as they stand",
                "`1D` is no name for a variable",
                "`E` has a NUL character",
            ]
        );

        let yaml = "com.example.a: x\n\"b c\": x\ndev.dockless.x: y\nd: ${X}\n";
        let mut problems = Problems::new();
        let node = Node::parse_yaml(yaml, "f", &mut problems).unwrap();
        assert_eq!(
            labels(&node, "labels", &mut problems),
            BTreeMap::from([("com.example.a".into(), "x".into())])
        );
        assert_eq!(
            messages(&problems),
            [
                "`b c` is no key for `labels`",
                "`dev.dockless.x` is set by dockless itself",
                "`${…}` in `d`: values in `labels` are written as they stand",
            ]
        );
    }
}
