//! Words and numbers for people.

use crate::event::{Action, Outcome};

/// The action once it ended.
pub(super) fn ended(action: Action, outcome: Outcome) -> &'static str {
    match (outcome, action) {
        (Outcome::Skipped, _) => "unchanged",
        (Outcome::Failed, _) => "failed",
        (Outcome::Done, Action::Resolve) => "resolved",
        (Outcome::Done, Action::Inspect) => "inspected",
        (Outcome::Done, Action::List) => "listed",
        (Outcome::Done, Action::Pack) => "packed",
        (Outcome::Done, Action::Download) => "downloaded",
        (Outcome::Done, Action::Upload) => "uploaded",
        (Outcome::Done, Action::Write) => "wrote",
        (Outcome::Done, Action::Publish) => "published",
        (Outcome::Done, Action::Load) => "loaded",
        (Outcome::Done, Action::Deploy) => "deployed",
        (Outcome::Done, Action::RollBack) => "rolled back",
        (Outcome::Done, Action::Remove) => "removed",
    }
}

/// One line without control characters, whatever a registry or a file name contains; and none that a
/// CI system takes for a command (`::error::`, `##[group]`), wherever its text comes from.
pub(super) fn clean(text: &str) -> String {
    let printable = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    let line: String = text.chars().map(printable).collect();
    let start = line.trim_start();
    if start.starts_with("::") || start.starts_with("##[") { format!("> {line}") } else { line }
}

/// The text in so many characters: its end, which tells the parts of a layer apart, is kept, and of its
/// beginning a third.
pub(super) fn cut(text: &str, room: usize) -> String {
    let length = text.chars().count();
    if length <= room {
        return text.to_owned();
    }
    let begin = room.saturating_sub(1) / 3;
    let end = room.saturating_sub(1) - begin;
    let ending = text.chars().skip(length - end);
    text.chars().take(begin).chain(['…']).chain(ending).collect()
}

/// The text with twelve digits of every digest: enough to tell blobs apart, and a line stays a line.
pub(super) fn shortened(text: &str) -> String {
    const PREFIX: &str = "sha256:";
    let mut parts = text.split(PREFIX);
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        short.push_str(PREFIX);
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        if digits == 64 {
            short.push_str(&part[..12]);
            short.push_str(&part[64..]);
        } else {
            short.push_str(part);
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_twelve_digits() {
        let digest = "0123456789abcdef".repeat(4);
        for (text, expected) in [
            (format!("a sha256:{digest}, b"), "a sha256:0123456789ab, b"),
            (format!("x@sha256:{digest}"), "x@sha256:0123456789ab"),
            ("sha256:abc".into(), "sha256:abc"),
            ("none".into(), "none"),
        ] {
            assert_eq!(shortened(&text), expected);
        }
    }

    #[test]
    fn the_middle_of_a_long_text_is_cut() {
        let name = "0123456789ab files data → /app/data/* 3/8";
        for (room, expected) in
            [(60, name), (41, name), (26, "01234567…→ /app/data/* 3/8"), (4, "0…/8"), (0, "…")]
        {
            assert_eq!(cut(name, room), expected);
        }
    }

    #[test]
    fn a_line_cannot_move_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\r"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(clean("  ::error title=x::y"), ">   ::error title=x::y");
        assert_eq!(clean("##[group]x"), "> ##[group]x");
    }
}
