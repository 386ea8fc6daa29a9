//! What a registry says when it refuses (distribution-spec, "Error Codes"): read warily.

use serde::Deserialize;

use super::mask::Mask;

/// The most that is read of an error's body.
pub(super) const MAX_ERROR_BYTES: usize = 64 * 1024;
/// The most that is shown of it.
const MAX_SHOWN_CHARACTERS: usize = 300;
/// The most that is shown of a page's title.
const MAX_TITLE_CHARACTERS: usize = 60;
/// What a page for people is called.
pub(super) const PAGE: &str = "an HTML page";

/// Codes and texts of an error's body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ErrorBody {
    codes: Vec<String>,
    text: String,
    /// Whether it is a page for people, which no registry sends.
    pub(super) is_page: bool,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    errors: Vec<Entry>,
    /// What token servers send (RFC 6749, 5.2); some send `details` instead.
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
    #[serde(default)]
    details: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl ErrorBody {
    /// Reads a body: registry JSON, token server JSON, storage XML, plain text; of HTML the title is
    /// shown, and nothing of what the mask hides.
    pub(super) fn parse(bytes: &[u8], mask: &Mask) -> Self {
        let Ok(document) = serde_json::from_slice::<Document>(bytes) else {
            let text = String::from_utf8_lossy(bytes);
            if let Some(told) = storage_error(&text) {
                return Self { text: mask.clean(&told), ..Self::default() };
            }
            let is_page = text.trim_start().starts_with('<');
            let text = if is_page { page(&text, mask) } else { mask.clean(&text) };
            return Self { codes: Vec::new(), text, is_page };
        };
        let mut codes = Vec::new();
        let mut texts = Vec::new();
        for entry in document.errors {
            let message = entry.message.filter(|message| !message.is_empty());
            texts.push(match (&entry.code, message) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.clone(),
                (None, message) => message.unwrap_or_default(),
            });
            codes.extend(entry.code);
        }
        texts.extend(
            [document.error, document.error_description, document.details].into_iter().flatten(),
        );
        texts.retain(|text| !text.is_empty());
        Self { codes, text: mask.clean(&texts.join("; ")), is_page: false }
    }

    /// Whether one of the codes is this one.
    pub(super) fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|own| own.eq_ignore_ascii_case(code))
    }

    /// Whether it says anything in the codes of the specification.
    pub(super) fn has_code(&self) -> bool {
        !self.codes.is_empty()
    }

    /// What to show: one clean line, maybe empty.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// What a storage says that blobs are fetched from, which is no registry: S3 and those like it.
fn storage_error(text: &str) -> Option<String> {
    let (_, error) = text.split_once("<Error>")?;
    let (_, code) = error.split_once("<Code>")?;
    let (code, _) = code.split_once("</Code>")?;
    let message = error.split_once("<Message>").and_then(|(_, rest)| rest.split_once("</Message>"));
    Some(message.map_or_else(|| code.to_owned(), |(message, _)| format!("{code}: {message}")))
}

/// A page by its title, if it has one.
fn page(text: &str, mask: &Mask) -> String {
    // The same length as the text, so that positions in one are positions in the other.
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|tag| {
        let start = tag + text[tag..].find('>')? + 1;
        let end = start + lower[start..].find("</title")?;
        Some(mask.clean(&text[start..end]).chars().take(MAX_TITLE_CHARACTERS).collect::<String>())
    });
    match title.filter(|title| !title.is_empty()) {
        Some(title) => format!("{PAGE} titled \"{title}\""),
        None => PAGE.to_owned(),
    }
}

/// Makes foreign text safe to print: one line, no control characters, not too long, and without what
/// looks like the credentials of a request; [`Mask::clean`] hides those of ours for certain.
pub(super) fn clean(text: &str) -> String {
    let mut words: Vec<_> = text
        .split(|character: char| character.is_whitespace() || is_unprintable(character))
        .filter(|word| !word.is_empty())
        .collect();
    for position in 1..words.len() {
        let scheme =
            words[position - 1].trim_start_matches(|letter: char| !letter.is_alphanumeric());
        let is_scheme = ["basic", "bearer"].iter().any(|name| scheme.eq_ignore_ascii_case(name));
        if is_scheme && is_token(words[position]) {
            words[position] = "…";
        }
    }
    let line = words.join(" ");
    if line.chars().count() <= MAX_SHOWN_CHARACTERS {
        return line;
    }
    line.chars().take(MAX_SHOWN_CHARACTERS).chain(['…']).collect()
}

/// Whether a word behind `Basic` or `Bearer` is more than a word of a sentence.
fn is_token(word: &str) -> bool {
    word.len() >= 16 || (word.len() >= 8 && word.contains(|letter: char| !letter.is_alphabetic()))
}

/// Control characters, and those that turn the direction of text around.
fn is_unprintable(character: char) -> bool {
    let is_direction = matches!(
        character,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    );
    character.is_control() || is_direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_come_back_are_not_shown() {
        assert_eq!(clean("you sent Basic Ym9iOkNBTkFSWVBX!"), "you sent Basic …");
        assert_eq!(clean("header 'Bearer eyJhbGciOi.x.y' is bad"), "header 'Bearer … is bad");
        assert_eq!(clean("basic authentication is off"), "basic authentication is off");
    }

    #[test]
    fn reads_every_shape_of_body() {
        for (body, codes, text) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"no","detail":{"a":1}},{"code":"X"}]}"#,
                &["DENIED", "X"][..],
                "DENIED: no; X",
            ),
            (r#"{"errors":[{"message":"only text"}]}"#, &[], "only text"),
            (r#"{"error":"invalid_grant","error_description":"gone"}"#, &[], "invalid_grant; gone"),
            (
                r#"{"details":"incorrect username or password"}"#,
                &[],
                "incorrect username or password",
            ),
            ("404 page not found\n", &[], "404 page not found"),
            ("  <html><h1>413</h1>", &[], "an HTML page"),
            (
                "<!DOCTYPE html><TITLE lang=en>\n403 Forb\x1bidden </TITLE><body>x",
                &[],
                "an HTML page titled \"403 Forb idden\"",
            ),
            ("<title>x", &[], "an HTML page"),
            (
                "<?xml version=\"1.0\"?>\n<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large</Message><HostId>x</HostId></Error>",
                &[],
                "RequestTimeTooSkewed: The difference is too large",
            ),
            ("<Error><Code>AccessDenied</Code></Error>", &[], "AccessDenied"),
            ("<Error>?", &[], "an HTML page"),
            (r#"{"errors":"nonsense"}"#, &[], r#"{"errors":"nonsense"}"#),
            ("{}", &[], ""),
            ("", &[], ""),
        ] {
            let parsed = ErrorBody::parse(body.as_bytes(), &Mask::default());
            assert_eq!(
                (&parsed.codes[..], parsed.text()),
                (&codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>()[..], text),
                "{body}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_body_gets_through_unclean(body: Vec<u8>, text in ".*") {
            let body = ErrorBody::parse(&body, &Mask::default());
            for shown in [body.text().to_owned(), clean(&text)] {
                assert!(!shown.contains(is_unprintable));
                assert!(shown.chars().count() <= MAX_SHOWN_CHARACTERS + 1);
            }
        }
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        for (text, expected) in [
            ("\x1b[2J\x07red\r\nnext\tx", "[2J red next x"),
            ("a\u{202e}b\u{9b}c", "a b c"),
            ("::set-output\n::x", "::set-output ::x"),
        ] {
            assert_eq!(clean(text), expected);
        }
        assert_eq!(clean(&"x".repeat(400)).chars().count(), 301);
    }
}
