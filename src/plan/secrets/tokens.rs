//! Tokens that their issuers gave a shape to be recognised by.

use super::Sort;

/// A sort of token: what it begins with, and what the rest is like.
struct Token {
    sort: Sort,
    prefixes: &'static [&'static str],
    /// Which characters the rest is made of.
    alphabet: fn(u8) -> bool,
    /// How many there are, at least and at most.
    length: (usize, usize),
    /// What else is true of the rest.
    is_likely: fn(&[u8]) -> bool,
}

/// The most that the rest of a token may have.
const ANY: usize = 1024;

const TOKENS: &[Token] = &[
    token(Sort::AwsKey, &["AKIA", "ASIA"], is_alphanumeric, (16, 16), is_upper),
    token(Sort::GoogleKey, &["AIza"], is_word, (35, 35), is_mixed),
    token(Sort::GoogleSecret, &["GOCSPX-"], is_word, (20, 60), is_any),
    token(
        Sort::GithubToken,
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        is_alphanumeric,
        (36, 255),
        is_any,
    ),
    token(Sort::GithubToken, &["github_pat_"], is_word, (40, 255), is_mixed),
    token(Sort::GitlabToken, &["glpat-"], is_word, (20, 300), is_any),
    token(Sort::AnthropicKey, &["sk-ant-"], is_word, (20, ANY), is_random),
    token(Sort::OpenAiKey, &["sk-"], is_word, (20, ANY), is_random),
    token(Sort::StripeKey, &["sk_live_", "rk_live_"], is_alphanumeric, (16, 255), is_mixed),
    token(
        Sort::SlackToken,
        &["xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-"],
        is_word,
        (20, 300),
        is_mixed,
    ),
    token(Sort::NpmToken, &["npm_"], is_alphanumeric, (36, 36), is_mixed),
    token(Sort::PypiToken, &["pypi-AgE"], is_word, (40, ANY), is_any),
    token(Sort::DockerToken, &["dckr_pat_"], is_word, (20, 100), is_any),
    token(Sort::HuggingFaceToken, &["hf_"], is_alphanumeric, (34, 34), is_two_cases),
    token(Sort::GroqKey, &["gsk_"], is_alphanumeric, (48, 60), is_mixed),
    token(Sort::XaiKey, &["xai-"], is_alphanumeric, (60, 100), is_mixed),
    token(Sort::AzureKey, &["AccountKey="], is_base64, (88, 88), is_account_key),
    token(
        Sort::SlackWebhook,
        &["https://hooks.slack.com/services/T"],
        is_path,
        (20, 100),
        is_webhook,
    ),
];

/// How the secret half of an AWS key is called: it has no shape of its own.
const AWS_SECRETS: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"];

/// How many characters of base64 it has.
const AWS_SECRET_LENGTH: usize = 40;

const fn token(
    sort: Sort,
    prefixes: &'static [&'static str],
    alphabet: fn(u8) -> bool,
    length: (usize, usize),
    is_likely: fn(&[u8]) -> bool,
) -> Token {
    Token { sort, prefixes, alphabet, length, is_likely }
}

/// For every byte, whether a token may begin with it.
static FIRST: [bool; 256] = first_bytes();

const fn first_bytes() -> [bool; 256] {
    let mut first = [false; 256];
    let mut name = 0;
    while name < AWS_SECRETS.len() {
        first[AWS_SECRETS[name].as_bytes()[0] as usize] = true;
        name += 1;
    }
    let mut token = 0;
    while token < TOKENS.len() {
        let prefixes = TOKENS[token].prefixes;
        let mut prefix = 0;
        while prefix < prefixes.len() {
            first[prefixes[prefix].as_bytes()[0] as usize] = true;
            prefix += 1;
        }
        token += 1;
    }
    first
}

/// The token that a text begins with; what only stands for one is none.
pub(super) fn at(text: &[u8]) -> Option<Sort> {
    if !text.first().is_some_and(|byte| FIRST[usize::from(*byte)]) {
        return None;
    }
    if assigns_aws_secret(text) {
        return Some(Sort::AwsSecret);
    }
    TOKENS.iter().find(|token| token.begins(text)).map(|token| token.sort)
}

/// As `starts_with`, which is a call: the second byte tells nearly all apart, and every word is asked about.
fn begins_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(1) == prefix.get(1) && text.first() == prefix.first() && text.starts_with(prefix)
}

/// Whether a text begins with the name of an AWS secret and gives it a value: `NAME=…`, `"name": "…"`.
fn assigns_aws_secret(text: &[u8]) -> bool {
    const MOST_BETWEEN: usize = 8;
    let name = AWS_SECRETS.iter().find(|name| begins_with(text, name.as_bytes()));
    let Some(rest) = name.map(|name| &text[name.len()..]) else { return false };
    let is_between = |byte: &&u8| matches!(**byte, b' ' | b'\t' | b'=' | b':' | b'"' | b'\'');
    let between = rest.iter().take(MOST_BETWEEN).take_while(is_between).count();
    let (between, rest) = rest.split_at(between);
    let length = rest.iter().take_while(|byte| is_base64(**byte)).count();
    let is_assigned = between.iter().any(|byte| matches!(byte, b'=' | b':'));
    let value = &rest[..length];
    is_assigned && length == AWS_SECRET_LENGTH && is_two_cases(value) && !is_placeholder(value)
}

impl Token {
    fn begins(&self, text: &[u8]) -> bool {
        let prefix = self.prefixes.iter().find(|prefix| begins_with(text, prefix.as_bytes()));
        let Some(rest) = prefix.map(|prefix| &text[prefix.len()..]) else { return false };
        let length = rest.iter().take_while(|byte| (self.alphabet)(**byte)).count();
        let rest = &rest[..length];
        let (least, most) = self.length;
        (least..=most).contains(&length) && (self.is_likely)(rest) && !is_placeholder(rest)
    }
}

/// Whether a text only stands for a secret: `EXAMPLE`, `xxxx`, `your-key-here`, one letter many times.
pub(super) fn is_placeholder(text: &[u8]) -> bool {
    const WORDS: [&str; 14] = [
        "0123456789",
        "123456789",
        "abcdefgh",
        "changeme",
        "dummy",
        "example",
        "fake",
        "insert",
        "placeholder",
        "redacted",
        "replace",
        "secret",
        "xxxx",
        "your",
    ];
    const FEWEST: usize = 6;
    let lower = text.to_ascii_lowercase();
    let has = |word: &str| lower.windows(word.len()).any(|part| part == word.as_bytes());
    let mut seen = [false; 256];
    for byte in &lower {
        seen[usize::from(*byte)] = true;
    }
    seen.iter().filter(|is_seen| **is_seen).count() < FEWEST || WORDS.into_iter().any(has)
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// The characters of base64 in URLs.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// The characters of base64, with those that fill it up.
fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// The characters of paths whose parts are identifiers.
fn is_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'/'
}

/// Whether the text is the 64 bytes of a key, and not those that every emulator of the storage has.
fn is_account_key(text: &[u8]) -> bool {
    const EMULATOR: &[u8] = b"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1";
    text.ends_with(b"==") && !text[..86].contains(&b'=') && !text.starts_with(EMULATOR)
}

/// Whether the text is a team, a channel's `B…` and what nobody may know.
fn is_webhook(text: &[u8]) -> bool {
    const FEWEST: usize = 16;
    let parts: Vec<_> = text.split(|byte| *byte == b'/').collect();
    matches!(parts[..], [_, channel, secret] if channel.starts_with(b"B")
        && secret.len() >= FEWEST && is_mixed(secret))
}

fn is_any(_: &[u8]) -> bool {
    true
}

fn is_upper(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn is_two_cases(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_uppercase) && text.iter().any(u8::is_ascii_lowercase)
}

/// Whether there are letters and digits.
fn is_mixed(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_alphabetic) && text.iter().any(u8::is_ascii_digit)
}

/// Whether the text is made of no words: `sk-` is how names of other things begin, too.
fn is_random(text: &[u8]) -> bool {
    const RUN: usize = 16;
    const LONG: usize = 80;
    let has_run = text
        .split(|byte| !byte.is_ascii_alphanumeric())
        .any(|run| run.len() >= RUN && is_mixed(run));
    has_run || (text.len() >= LONG && is_mixed(text) && is_two_cases(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters and digits in no order, made here so that no file of ours looks like a secret.
    fn random(length: usize) -> String {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let characters = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
            char::from(characters[(state >> 16) as usize % characters.len()])
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn tokens_are_known_by_their_shape() {
        let upper = random(16).to_uppercase();
        for (prefix, rest, sort) in [
            ("AKIA", upper.clone(), Sort::AwsKey),
            ("ASIA", upper, Sort::AwsKey),
            ("AIza", random(35), Sort::GoogleKey),
            ("GOCSPX-", random(28), Sort::GoogleSecret),
            ("ghp_", random(36), Sort::GithubToken),
            ("ghs_", random(36), Sort::GithubToken),
            ("github_pat_", format!("{}_{}", random(22), random(59)), Sort::GithubToken),
            ("glpat-", random(20), Sort::GitlabToken),
            ("sk-ant-", format!("api03-{}-{}AA", random(50), random(40)), Sort::AnthropicKey),
            ("sk-", random(48), Sort::OpenAiKey),
            ("sk-", random(32).to_lowercase(), Sort::OpenAiKey),
            ("sk-", format!("proj-{}_{}", random(40), random(30)), Sort::OpenAiKey),
            ("sk-", format!("or-v1-{}", random(64).to_lowercase()), Sort::OpenAiKey),
            ("sk_live_", random(24), Sort::StripeKey),
            ("xoxb-", format!("7234567890-7234567890-{}", random(24)), Sort::SlackToken),
            ("npm_", random(36), Sort::NpmToken),
            ("pypi-AgE", random(150), Sort::PypiToken),
            ("dckr_pat_", random(27), Sort::DockerToken),
            ("hf_", random(34), Sort::HuggingFaceToken),
            ("gsk_", random(52), Sort::GroqKey),
            ("xai-", random(80), Sort::XaiKey),
            ("AccountKey=", format!("{}==", random(86)), Sort::AzureKey),
            (
                "https://hooks.slack.com/services/T",
                format!("7QX2KD9M/B8ZC3LV5N/{}", random(24)),
                Sort::SlackWebhook,
            ),
            ("AWS_SECRET_ACCESS_KEY=", random(40), Sort::AwsSecret),
            (
                "aws_secret_access_key = ",
                format!("{}/+{}", random(20), random(18)),
                Sort::AwsSecret,
            ),
            ("aws_secret_access_key\": \"", random(40), Sort::AwsSecret),
        ] {
            let text = format!("{prefix}{rest}");
            assert_eq!(at(text.as_bytes()), Some(sort), "{prefix}");
            assert_eq!(at(format!("{text}\"\n").as_bytes()), Some(sort), "{prefix}");
            assert_eq!(at(&text.as_bytes()[..prefix.len() + 8]), None, "{prefix}, cut off");
        }
    }

    #[test]
    fn what_stands_for_a_token_is_none() {
        for text in [
            "AKIAIOSFODNN7EXAMPLE",
            "AKIAXXXXXXXXXXXXXXXX",
            "AKIAwhateverwhatever",
            "sk-...",
            "sk-<your key>",
            "sk-your-key-here-0000-0000-0000",
            "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "sk-1234567890abcdef1234567890abcdef",
            "sk-abcdefghijklmnopqrstuvwxyz123456",
            "sk-learn-something-of-2024-for-everybody",
            "sk-container-id-1-and-some-more-words",
            "sk-3f2a1b4c-9d8e-4f7a-8b6c-1d2e3f4a5b6c",
            "sk-ant-api03-REPLACE-ME-REPLACE-ME-12",
            "sk-ant-...",
            "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "npm_config_registry_of_the_whole_company",
            "npm_lifecycle_event",
            "hf_hub_download_of_some_file_or_other",
            "hf_transformersmodelnamesinlowercase",
            "glpat-xxxxxxxxxxxxxxxxxxxx",
            "xoxb-your-token-of-some-1-or-other",
            "AIza",
            "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_SECRET_ACCESS_KEY",
            "aws_secret_access_key=os.environ['AWS_SECRET_ACCESS_KEY']",
            "aws_secret_access_key = da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "aws_secret_access_key, a, of_some_code_that_goes_on_for_long",
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
            "https://hooks.slack.com/services/T/B/secret",
            // The key that every emulator has.
            "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
            "AccountKey=<your key>;EndpointSuffix=core.windows.net",
        ] {
            assert_eq!(at(text.as_bytes()), None, "{text}");
        }
    }
}
