//! Hides the secrets of a run in what others say: a registry, its token server or a proxy may repeat
//! what it was sent.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::sync::Mutex;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use reqwest::Url;

use super::error_body;
use super::keychain::Credential;
use super::lock::lock;
use super::secret::Secret;

/// Shorter secrets are not hidden: they stand in too many words, and protect nothing.
const SHORTEST_BYTES: usize = 4;

/// Every secret that somebody is or was told, in each spelling in which it may come back.
#[derive(Default)]
pub(super) struct Mask {
    /// In small letters; the longest first, since one may be a part of another.
    spellings: Mutex<BTreeSet<(Reverse<usize>, String)>>,
}

impl Mask {
    /// Hides this credential from now on, and the headers that are made of it.
    pub(super) fn learn_credential(&self, credential: &Credential) {
        match credential {
            Credential::Password { username, password } => self.learn_pair(username, password),
            Credential::Identity { token } => self.learn_pair("<token>", token),
            Credential::Bearer { token } => self.learn(token),
        }
    }

    /// Hides a password from now on, and the `Basic` header that it makes with its user name.
    pub(super) fn learn_pair(&self, username: &str, password: &Secret) {
        self.learn(password);
        self.add(&format!("{username}:{}", password.expose()));
    }

    /// Hides a password or token from now on.
    pub(super) fn learn(&self, secret: &Secret) {
        self.add(secret.expose());
    }

    /// What somebody else says, fit to be shown: without our secrets, and cleaned.
    pub(super) fn clean(&self, text: &str) -> String {
        error_body::clean(&self.hide(text))
    }

    /// The text with dots for each secret, whatever is a capital letter in it.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for (_, spelling) in lock(&self.spellings).iter() {
            // Only ASCII letters change, and none its length: places are the same in both.
            let small = shown.to_ascii_lowercase();
            let mut parts = String::new();
            let mut end = 0;
            for (start, secret) in small.match_indices(spelling) {
                parts.push_str(&shown[end..start]);
                parts.push('…');
                end = start + secret.len();
            }
            parts.push_str(&shown[end..]);
            shown = parts;
        }
        shown
    }

    fn add(&self, secret: &str) {
        if secret.len() < SHORTEST_BYTES {
            return;
        }
        let encoded = [
            secret.to_owned(),
            BASE64_STANDARD_NO_PAD.encode(secret),
            BASE64_URL_SAFE_NO_PAD.encode(secret),
        ];
        let mut spellings = lock(&self.spellings);
        for text in encoded.iter().flat_map(|text| spellings_of(text)) {
            spellings.insert((Reverse(text.len()), text.to_ascii_lowercase()));
        }
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Mask(…)")
    }
}

/// A text as it stands in a form, in the path of a URL, in a page, and in JSON that nobody reads as
/// JSON, as the libraries of several languages write it.
fn spellings_of(text: &str) -> Vec<String> {
    let mut form = Url::parse("form:").expect("a scheme alone is a URL");
    form.query_pairs_mut().append_key_only(text);
    let form = form.query().unwrap_or_default().to_owned();
    let path = form.replace('+', "%20");
    let json = serde_json::Value::from(text).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let is_markup = |letter: char| matches!(letter, '&' | '<' | '>');
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    vec![
        escaped(&json, is_markup),
        escaped(&json, |letter| !letter.is_ascii()),
        escaped(&json, |letter| !letter.is_ascii() || is_markup(letter)),
        json.replace('/', r"\/"),
        html.replace('"', "&quot;").replace('\'', "&#39;"),
        html.replace('"', "&#34;").replace('\'', "&#39;"),
        html,
        text.to_owned(),
        form,
        path,
        json,
    ]
}

/// A text of JSON in which some letters are written as numbers (RFC 8259, 7).
fn escaped(json: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        if is_escaped(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, r"\u{unit:04x}");
            }
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

    use super::*;

    #[test]
    fn a_secret_is_hidden_in_the_json_and_html_of_every_language() {
        let mask = Mask::default();
        mask.learn(&Secret::new("C&n<ä/\"\u{1f511}'"));
        for said in [
            r#"C\u0026n\u003cä/\"🔑'"#,
            r#"C&n<\u00e4/\"\ud83d\udd11'"#,
            r#"C\u0026n\u003C\u00E4/\"\uD83D\uDD11'"#,
            r#"C&n<ä\/\"🔑'"#,
            "C&amp;n&lt;ä/&quot;🔑&#39;",
            "C&amp;n&lt;ä/\"🔑'",
            "C&amp;n&lt;ä/&#34;🔑&#39;",
        ] {
            assert_eq!(mask.hide(said), "…", "{said}");
        }
    }

    #[test]
    fn a_secret_is_hidden_in_every_spelling() {
        let mask = Mask::default();
        let password = Secret::new("p&s \"w/d?~");
        mask.learn_credential(&Credential::Password { username: "bob".into(), password });
        mask.learn(&Secret::new("eyJhbGciOi.Abc-def"));
        for (said, shown) in [
            (r#"got p&s "w/d?~"#, "got …"),
            (r#"got {"password":"p&s \"w/d?~"}"#, r#"got {"password":"…"}"#),
            ("password=p%26s+%22w%2Fd%3F%7E&x", "password=…&x"),
            ("/p%26s%20%22w%2fd%3f%7e/", "/…/"),
            (r#"bob:p&s "w/d?~"#, "…"),
            (&format!("Authorization:Basic {},", BASE64_STANDARD.encode("bob:p&s \"w/d?~")), ""),
            (&BASE64_URL_SAFE.encode("bob:p&s \"w/d?~"), ""),
            (r#"{"authorization":"Bearer eyJhbGciOi.Abc-def"}"#, r#"{"authorization":"Bearer …"}"#),
            ("host eyjhbgcioi.abc-def.evil.io", "host ….evil.io"),
            ("nothing of ours: päss", "nothing of ours: päss"),
        ] {
            let hidden = mask.hide(said);
            if shown.is_empty() {
                assert!(hidden.contains('…') && !hidden.contains("cCZzI"), "{hidden}");
            } else {
                assert_eq!(hidden, shown, "{said}");
            }
        }
        assert_eq!(format!("{mask:?}"), "Mask(…)");
    }

    #[test]
    fn what_is_too_short_is_no_secret_but_the_pair_is() {
        let mask = Mask::default();
        mask.learn_pair("bob", &Secret::new("pw"));
        mask.learn(&Secret::new(""));
        assert_eq!(mask.hide("wrong pw, you sent Basic Ym9iOnB3"), "wrong pw, you sent Basic …");
    }

    #[test]
    fn a_secret_is_hidden_before_the_text_is_cleaned_and_cut() {
        let mask = Mask::default();
        mask.learn(&Secret::new("two  words\tand more"));
        assert_eq!(mask.clean("not two  words\tand more\r\n"), "not …");
        let secret = Secret::new("x".repeat(20));
        mask.learn(&secret);
        let said = format!("{}{}", "y".repeat(290), secret.expose());
        assert_eq!(mask.clean(&said), format!("{}…", "y".repeat(290)));
    }

    proptest::proptest! {
        #[test]
        fn no_text_shows_a_secret(before in ".*", secret in ".{4,20}", after in ".*") {
            let mask = Mask::default();
            mask.learn(&Secret::new(secret.clone()));
            let shown = mask.hide(&format!("{before}{secret}{after}"));
            assert!(secret.contains('…') || !shown.contains(&secret), "{shown}");
        }
    }
}
