//! What a content says: private keys and tokens in it, in one pass over the bytes.

use super::tokens::{self, is_placeholder, is_word};
use super::{Found, Sort, Verdict};

/// A NUL within so many bytes makes a content no text, as it does for git.
const TEXT_BYTES: usize = 8000;

/// How many findings of one content are kept.
const MOST_FOUND: usize = 5;

/// What a part of a PEM file begins with.
const BEGIN: &[u8] = b"-----BEGIN ";

/// Parts of PEM files that anybody may see.
const PUBLIC: [&str; 9] = [
    "CERTIFICATE",
    "CERTIFICATE REQUEST",
    "DH PARAMETERS",
    "EC PARAMETERS",
    "PKCS7",
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "TRUSTED CERTIFICATE",
    "X509 CRL",
];

/// Looks for private keys and tokens in a text, in UTF-8 or, with its mark, in UTF-16.
pub(super) fn scan(content: &[u8]) -> Verdict {
    if let Some(text) = from_utf_16(content) {
        return scan(text.as_bytes());
    }
    let mut found = Vec::new();
    let (mut public, mut others) = (0, 0);
    if content[..content.len().min(TEXT_BYTES)].contains(&0) {
        return Verdict::default();
    }
    let mut line = 1;
    for (at, byte) in content.iter().enumerate() {
        let (before, rest) = content.split_at(at);
        let sort = match byte {
            b'\n' => {
                line += 1;
                None
            }
            b'-' if rest.starts_with(BEGIN) => match Part::read(&rest[BEGIN.len()..]) {
                Part::Public => {
                    public += 1;
                    None
                }
                Part::PrivateKey { has_content } => {
                    others += 1;
                    has_content.then_some(Sort::PrivateKey)
                }
                Part::Other => {
                    others += 1;
                    None
                }
            },
            _ if begins_word(before) => tokens::at(rest),
            _ => None,
        };
        if let Some(sort) = sort
            && found.len() < MOST_FOUND
        {
            found.push(Found { sort, line });
        }
    }
    Verdict { is_public: public > 0 && others == 0 && found.is_empty(), found }
}

/// A text that begins with the mark of UTF-16, as shells of Windows write it.
fn from_utf_16(content: &[u8]) -> Option<String> {
    let (units, read): (_, fn([u8; 2]) -> u16) = match content {
        [0xff, 0xfe, units @ ..] => (units, u16::from_le_bytes),
        [0xfe, 0xff, units @ ..] => (units, u16::from_be_bytes),
        _ => return None,
    };
    let units: Vec<_> = units.chunks_exact(2).map(|unit| read([unit[0], unit[1]])).collect();
    Some(String::from_utf16_lossy(&units))
}

/// Whether a word may begin after a text: it is over, or ends in an escape such as `\n`.
fn begins_word(before: &[u8]) -> bool {
    matches!(before, [] | [.., b'\\', b'n' | b'r' | b't'])
        || before.last().is_some_and(|last| !is_word(*last))
}

/// A part of a PEM file, wherever it stands.
enum Part {
    Public,
    PrivateKey {
        /// Whether there is a key, and not only the line that would be above it.
        has_content: bool,
    },
    Other,
}

impl Part {
    /// Reads what follows `-----BEGIN `.
    fn read(text: &[u8]) -> Self {
        const MOST_LABEL_BYTES: usize = 40;
        let is_label =
            |byte: &&u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || **byte == b' ';
        let length = text.iter().take(MOST_LABEL_BYTES).take_while(is_label).count();
        let (label, rest) = text.split_at(length);
        let Some(rest) = rest.strip_prefix(b"-----") else { return Self::Other };
        let label = std::str::from_utf8(label).unwrap_or_default();
        if PUBLIC.contains(&label) {
            Self::Public
        } else if label.ends_with("PRIVATE KEY") || label.ends_with("PRIVATE KEY BLOCK") {
            Self::PrivateKey { has_content: has_key(rest) }
        } else {
            Self::Other
        }
    }
}

/// Whether a key follows the line that announces one: base64 of some length. Code that reads or writes
/// keys has the line alone.
fn has_key(text: &[u8]) -> bool {
    const MOST_BYTES: usize = 1024;
    const FEWEST_CHARACTERS: usize = 40;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let text = &text[..text.len().min(MOST_BYTES)];
    let end = text.windows(5).position(|dashes| dashes == b"-----").unwrap_or(text.len());
    let mut runs = text[..end].split(|byte| !is_base64(*byte));
    runs.any(|run| run.len() >= FEWEST_CHARACTERS && !is_placeholder(run))
}

/// The first line that sets a password or token, of settings written as `name = value` or `name: value`.
/// Content that is no text counts as one that does.
pub(super) fn assigned_secret(content: &[u8]) -> Option<u32> {
    let Ok(text) = std::str::from_utf8(content) else { return Some(1) };
    let place = text.lines().position(assigns_secret)?;
    u32::try_from(place + 1).ok()
}

fn assigns_secret(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or_default().trim();
    if line.starts_with(['#', ';']) {
        return false;
    }
    // A line may set several, and a value may hold what separates names from values elsewhere.
    let is_set = |at: usize| {
        let value = line[at + 1..].trim_start();
        let end = value.find(char::is_whitespace).unwrap_or(value.len());
        names_secret(&line[..at]) && is_literal(&value[..end])
    };
    let is_listed = match *line.split_whitespace().collect::<Vec<_>>() {
        [name, value] if !name.ends_with(['=', ':']) && value != "=" => {
            names_secret(name) && is_literal(value)
        }
        _ => false,
    };
    line.match_indices(['=', ':']).any(|(at, _)| is_set(at))
        || is_listed
        || has_password_in_url(line)
}

/// Whether a setting is called like a password or token: `DB_PASSWORD`, `//host/:_authToken`, `npmAuthToken`.
fn names_secret(name: &str) -> bool {
    let name = name.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
    let word = name.rsplit(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or_default();
    let ends = ["apikey", "credential", "credentials", "passwd", "password", "secret", "token"];
    matches!(word, "auth" | "key" | "pass" | "pwd") || ends.iter().any(|end| word.ends_with(end))
}

/// Whether a value is one, and not a variable, nothing, or a text that stands for a value.
pub(super) fn is_literal(value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'']);
    let is_other = value.starts_with(['$', '<', '{']) || value.contains("${");
    !(value.is_empty() || is_other || is_word_of_choice(value) || stands_for_value(value))
}

fn is_word_of_choice(value: &str) -> bool {
    ["true", "false", "yes", "no", "on", "off", "null", "none", "0", "1"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

/// As [`is_placeholder`], for values of any length and kind: a short password has few characters.
fn stands_for_value(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let words = ["changeme", "dummy", "example", "placeholder", "replace", "xxx", "your", "..."];
    words.iter().any(|word| value.contains(word)) || value.chars().all(|char| char == '*')
}

/// Whether a text holds `https://user:password@host` with a password that is one.
pub(super) fn has_password_in_url(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let end = rest.find(['/', '?', '#', ' ', '"', '\'']).unwrap_or(rest.len());
        let user = rest[..end].rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
        user.is_some_and(|(_, password)| is_literal(password))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";

    /// A part of a PEM file, put together here so that no file of ours looks like a secret.
    fn part(label: &str, content: &str) -> String {
        let dashes = "-".repeat(5);
        format!("{dashes}BEGIN {label}{dashes}\n{content}\n{dashes}END {label}{dashes}\n")
    }

    fn token() -> String {
        ["gl", "pat-", "h4Zt9qLw", "2Xc7Vb1N", "m8Kj"].concat()
    }

    fn found(text: &str) -> Vec<(Sort, u32)> {
        scan(text.as_bytes()).found.iter().map(|found| (found.sort, found.line)).collect()
    }

    #[test]
    fn private_keys_are_found_where_there_is_a_key() {
        let encrypted = format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,A1B2\n\n{LINE}");
        let json = format!("{{\"private_key\": {:?}}}", part("PRIVATE KEY", LINE));
        let quoted =
            format!("key = (\"-----{} RSA PRIVATE KEY-----\\n\"\n    \"{LINE}\\n\"", "BEGIN");
        for (text, line) in [
            (part("PRIVATE KEY", LINE), 1),
            (format!("# one\n\n{}", part("RSA PRIVATE KEY", LINE)), 3),
            (part("RSA PRIVATE KEY", &encrypted), 1),
            (part("OPENSSH PRIVATE KEY", LINE), 1),
            (part("PGP PRIVATE KEY BLOCK", &format!("\n{LINE}")), 1),
            (part("CERTIFICATE", LINE) + &part("EC PRIVATE KEY", LINE), 4),
            (format!("  key: |\n    {}", part("PRIVATE KEY", &format!("    {LINE}"))), 2),
            (json, 1),
            (quoted, 1),
        ] {
            assert_eq!(found(&text), [(Sort::PrivateKey, line)], "{text}");
        }
        for text in [
            part("PRIVATE KEY", "MIIEvQIBADANBg..."),
            part("PRIVATE KEY", "<your key>"),
            part("RSA PRIVATE KEY", &"x".repeat(64)),
            part("CERTIFICATE", LINE),
            part("PUBLIC KEY", LINE),
            // As in libraries that read keys.
            "_SK_START = b\"-----BEGIN OPENSSH PRIVATE KEY-----\"\n_SK_END = b\"-----END\"\n"
                .repeat(9),
        ] {
            assert_eq!(found(&text), [], "{text}");
        }
    }

    #[test]
    fn only_certificates_and_public_keys_are_public() {
        let certificate = part("CERTIFICATE", LINE);
        for (text, is_public) in [
            (certificate.clone(), true),
            (format!("# Subject: an authority\n{certificate}{certificate}"), true),
            (part("PUBLIC KEY", LINE), true),
            (part("RSA PUBLIC KEY", LINE) + &part("DH PARAMETERS", LINE), true),
            (part("PRIVATE KEY", "…"), false),
            (certificate.clone() + &part("ENCRYPTED PRIVATE KEY", "…"), false),
            (certificate.clone() + &part("SOMETHING NEW", LINE), false),
            (format!("{certificate}{}", token()), false),
            (String::new(), false),
            ("0f1e2d3c4b5a69788796a5b4c3d2e1f0".to_owned(), false),
            (format!("\0{certificate}"), false),
        ] {
            assert_eq!(scan(text.as_bytes()).is_public, is_public, "{text}");
        }
    }

    #[test]
    fn tokens_are_found_where_a_word_begins() {
        let token = token();
        for (text, line) in [
            (token.clone(), 1),
            (format!("a: 1\nb: {token}\n"), 2),
            (format!("b='{token}'"), 1),
            (format!("\"a\\n{token}\\n\""), 1),
            (format!("https://x:{token}@host/"), 1),
        ] {
            assert_eq!(found(&text), [(Sort::GitlabToken, line)], "{text}");
        }
        for text in [format!("x{token}"), format!("a-{token}"), format!("\0{token}")] {
            assert_eq!(found(&text), [], "{text}");
        }
        assert_eq!(found(&format!("{token}\n").repeat(9)).len(), MOST_FOUND);
        for (mark, write) in [
            ([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]),
            ([0xfe, 0xff], u16::to_be_bytes),
        ] {
            let text = format!("a\r\n{token}\r\n");
            let bytes: Vec<u8> =
                mark.into_iter().chain(text.encode_utf16().flat_map(write)).collect();
            assert_eq!(scan(&bytes).found, [Found { sort: Sort::GitlabToken, line: 2 }]);
        }
    }

    #[test]
    fn settings_with_a_secret_are_told_from_others() {
        for (text, line) in [
            ("registry=https://r.io/\n//r.io/:_authToken=abc\n", Some(2)),
            ("_auth = dXNlcjpwYXNz\n", Some(1)),
            ("//r.io/:_password='cGFzcw'\n", Some(1)),
            ("[pypi]\nusername = a\npassword = b\n", Some(3)),
            ("npmAuthToken: \"b8c1\"\n", Some(1)),
            ("index-url = https://me:hunter2@pypi.corp/simple\n", Some(1)),
            ("export DB_PASSWORD=hunter2\n", Some(1)),
            ("export DB_USER=me DB_PASSWORD=hunter2\n", Some(1)),
            ("npmAuthToken: \"b8c1==\"\n", Some(1)),
            ("\"//r.io/:_authToken\" \"b8c1\"\n", Some(1)),
            ("[pypi]\npassword:hunter2\n", Some(2)),
            ("OPENAI_API_KEY=abc\n", Some(1)),
            ("registry=https://r.io/\nalways-auth=true\nsave-exact=true\n", None),
            ("//r.io/:_authToken=${NPM_TOKEN}\n", None),
            ("//r.io/:_authToken=$NPM_TOKEN\n", None),
            ("# password = b\n; token = c\npassword =\n", None),
            ("[distutils]\nindex-servers = pypi\n[pypi]\nusername = __token__\n", None),
            ("REDIS_HOST=127.0.0.1\nMONKEY=1\nTOKEN_LIMIT=5\nA=b # key: c\n", None),
            ("API_KEY=your-key-here\nPASSWORD=changeme\n", None),
            ("URL=https://r.io/a:b@c\nindex-url = https://${U}:${P}@pypi.corp/simple\n", None),
        ] {
            assert_eq!(assigned_secret(text.as_bytes()), line, "{text}");
        }
        assert_eq!(assigned_secret(b"a\xff"), Some(1));
    }
}
