//! What a program said last before it failed, without anything that looks like a secret.

use super::super::error_body::clean;

/// The longest text that is shown.
const MAX_CHARACTERS: usize = 200;
/// From this length on, letters mixed with digits are taken for a key or token.
const MIN_TOKEN_LENGTH: usize = 16;
/// Behind these words comes a secret.
const LABELS: [&str; 6] = ["password", "passwd", "passphrase", "secret", "token", "key"];

/// The last line of what was printed on stderr, cleaned and short; `None` when there is none, or when
/// it is JSON and may be a credential as a whole.
pub(super) fn last_words(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    if line.starts_with(['{', '[', '"']) {
        return None;
    }
    let mut words: Vec<&str> = Vec::new();
    for word in line.split_whitespace() {
        let is_secret = has_token(word)
            || has_user_info(word)
            || is_labelled(word)
            || words.last().is_some_and(|label| is_open_label(label));
        words.push(if is_secret { "…" } else { word });
    }
    let line = clean(&words.join(" "));
    let short: String = line.chars().take(MAX_CHARACTERS).collect();
    Some(if line == short { line } else { short + "…" })
}

/// A long run of letters and digits: an access key, a part of a token, base64.
fn has_token(word: &str) -> bool {
    let is_other = |character: char| !character.is_alphanumeric() && !"+/=".contains(character);
    word.split(is_other).any(|run| {
        run.len() >= MIN_TOKEN_LENGTH
            && run.contains(|character: char| character.is_ascii_digit())
            && run.contains(char::is_alphabetic)
    })
}

/// `https://user:password@host`.
fn has_user_info(word: &str) -> bool {
    word.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

/// `password=hunter2`, `"token":"x"`.
fn is_labelled(word: &str) -> bool {
    word.split_once(['=', ':']).is_some_and(|(label, value)| is_label(label) && !value.is_empty())
}

/// `password:`, `token =`.
fn is_open_label(word: &str) -> bool {
    word.strip_suffix(['=', ':']).is_some_and(is_label)
}

fn is_label(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let word = word.trim_matches(|character: char| !character.is_alphanumeric());
    LABELS.iter().any(|label| word.ends_with(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_shown_and_nothing_that_looks_like_a_secret() {
        for (stderr, expected) in [
            ("", None),
            ("\n \n", None),
            ("first\nno valid providers in chain\n\n", Some("no valid providers in chain")),
            ("\u{1b}[31mexpired\u{1b}[0m\u{7}", Some("[31mexpired [0m")),
            (
                "AccessDenied for 123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                Some("AccessDenied for 123456789012.dkr.ecr.eu-west-1.amazonaws.com"),
            ),
            (
                "see aws.Config.CredentialsChainVerboseErrors",
                Some("see aws.Config.CredentialsChainVerboseErrors"),
            ),
            ("key AKIAIOSFODNN7EXAMPLE is disabled", Some("key … is disabled")),
            ("got ghp_0123456789abcdefghij", Some("got …")),
            ("jwt eyJhbGciOiJIUzI1NiJ9.e30.x", Some("jwt …")),
            ("cannot reach https://bob:canary@r.io/v2/", Some("cannot reach …")),
            ("password=canary refused", Some("… refused")),
            ("login failed, password: canary", Some("login failed, password: …")),
            ("API_TOKEN = ", Some("API_TOKEN =")),
            (r#"{"Username":"u","Secret":"canary"}"#, None),
        ] {
            let words = last_words(stderr.as_bytes());
            assert_eq!(words.as_deref(), expected, "{stderr}");
        }
        let long = last_words("x ".repeat(300).as_bytes()).unwrap();
        assert_eq!(long.chars().count(), 201);
    }
}
