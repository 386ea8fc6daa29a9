//! The patterns of texts in AWS's models, which are Java's.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

/// What our regular expressions cannot say, in two: what a text must be, and what it must not be.
const IN_TWO: [(&str, &str, &str); 5] = [
    ("^(?!aws:).+", ".+", "aws:.*"),
    ("(?!^[0-9]+$)([a-zA-Z0-9-_]+)", "[a-zA-Z0-9-_]+", "[0-9]+"),
    (r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", "[0-9a-zA-Z-_]+", r"\d+"),
    (r"[0-9A-Za-z\.\-_]*(?<!\.)", r"[0-9A-Za-z\.\-_]*", r".*\."),
    (
        r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]{1,64})(:((?!\d+$)[0-9a-zA-Z-_]+))?",
        r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]{1,64})(:[0-9a-zA-Z-_]+)?",
        r".*:\d+",
    ),
];

/// A pattern that a whole text must match.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub(super) struct Pattern {
    text: String,
    compiled: OnceLock<(Regex, Option<Regex>)>,
}

impl Pattern {
    /// Whether the whole text matches.
    ///
    /// # Panics
    /// The pattern is one that we cannot read: it belongs in the table above.
    pub(super) fn matches(&self, text: &str) -> bool {
        let (is, is_not) = self.compiled.get_or_init(|| {
            match IN_TWO.iter().find(|(pattern, ..)| *pattern == self.text) {
                Some((_, is, is_not)) => (whole(is), Some(whole(is_not))),
                None => (whole(&self.text), None),
            }
        });
        is.is_match(text) && !is_not.as_ref().is_some_and(|is_not| is_not.is_match(text))
    }

    /// As it stands in the model.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self { text, compiled: OnceLock::new() }
    }
}

fn whole(pattern: &str) -> Regex {
    // Java's words and digits are those of ASCII; it is also what keeps large counts small.
    let pattern = pattern.replace(r"\w", "[0-9A-Za-z_]").replace(r"\d", "[0-9]");
    let mut whole = RegexBuilder::new(&format!("^(?:{pattern})$"));
    whole
        .size_limit(100 << 20)
        .build()
        .unwrap_or_else(|error| panic!("a pattern of the model cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_text_matches_or_not() {
        let cases = [
            ("[a-z]+", "abc", true),
            ("[a-z]+", "abc1", false),
            ("a|bc", "ac", false),
            (r"[\w-]+\d", "ä-1", false),
            (r"[\w-]+\d", "a-1", true),
            (r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", "größe 1", true),
            (r"[\u0020-\u00FF]+", "\u{100}", false),
            (IN_TWO[0].0, "mine", true),
            (IN_TWO[0].0, "aws:mine", false),
            (IN_TWO[1].0, "live", true),
            (IN_TWO[1].0, "12", false),
            (IN_TWO[2].0, "1a", true),
            (IN_TWO[2].0, "1", false),
            (IN_TWO[3].0, "a.b", true),
            (IN_TWO[3].0, "a.", false),
            (IN_TWO[4].0, "123456789012:function:a:live", true),
            (IN_TWO[4].0, "a:7", false),
        ];
        for (pattern, text, is_match) in cases {
            let pattern = Pattern::from(pattern.to_owned());
            assert_eq!(pattern.matches(text), is_match, "{pattern:?} {text}");
        }
    }

    #[test]
    #[should_panic(expected = "a pattern of the model cannot be read")]
    fn a_pattern_that_cannot_be_read_fails_the_test() {
        Pattern::from("(?!a)b".to_owned()).matches("b");
    }
}
