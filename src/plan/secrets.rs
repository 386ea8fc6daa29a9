//! What must not be in an image because whoever can pull it could read it: credentials.
//!
//! Names of files are judged by `names.rs`, contents by `content.rs` (with the tables in `tokens.rs`),
//! variables, labels and annotations by `literals.rs`; `guard.rs` puts it together with what the user allows.
//! No value that was found leaves this module: a [`Finding`] says what it looks like and where it stands.

mod content;
mod guard;
mod literals;
mod names;
mod tokens;

use serde::{Deserialize, Serialize};

pub use guard::{Bringer, Exception, Finding, Guard, MOST_SHOWN, Passed, SecretsError};
pub use literals::{is_secret_name, is_token};

/// Raised when a rule changes, so that verdicts of earlier rules are not believed.
pub const RULES: u32 = 3;

/// The largest file whose content is looked at, unless its name says that it holds keys or certificates.
const MAX_BYTES: u64 = 256 * 1024;

/// The largest file of keys or certificates that is looked at: a bundle of authorities has some 300 KiB.
const MAX_PEM_BYTES: u64 = 4 * 1024 * 1024;

/// What something looks like. The names are part of records that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "`describe` says what each is")]
pub enum Sort {
    // By its name.
    EnvironmentFile,
    CredentialFile,
    KeyFile,
    KeyStore,
    TerraformState,
    PrivateFolder,
    VersionControl,
    // By its content.
    PrivateKey,
    AssignedSecret,
    SecretVariable,
    AnthropicKey,
    AwsKey,
    AwsSecret,
    AzureKey,
    DockerToken,
    GithubToken,
    GitlabToken,
    GoogleKey,
    GoogleSecret,
    GroqKey,
    HuggingFaceToken,
    NpmToken,
    OpenAiKey,
    PypiToken,
    SlackToken,
    SlackWebhook,
    StripeKey,
    UrlPassword,
    XaiKey,
}

impl Sort {
    /// What it looks like, for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::EnvironmentFile => "a file of variables, by its name",
            Self::CredentialFile => "a file of credentials, by its name",
            Self::KeyFile => "a key, by its name, and not a public one",
            Self::KeyStore => "a store of keys, by its name",
            Self::TerraformState => "a Terraform state, by its name",
            Self::PrivateFolder => "a folder of credentials, by its name",
            Self::VersionControl => "the history of the project, by its name",
            Self::PrivateKey => "a private key",
            Self::SecretVariable => "a secret, by its name",
            Self::AssignedSecret => "a password or token that is set",
            Self::AnthropicKey => "an Anthropic key",
            Self::AwsKey => "an AWS access key",
            Self::AwsSecret => "an AWS secret key",
            Self::AzureKey => "a key of an Azure storage account",
            Self::DockerToken => "a Docker Hub token",
            Self::GithubToken => "a GitHub token",
            Self::GitlabToken => "a GitLab token",
            Self::GoogleKey => "a Google API key",
            Self::GoogleSecret => "a Google OAuth secret",
            Self::GroqKey => "a Groq key",
            Self::HuggingFaceToken => "a Hugging Face token",
            Self::NpmToken => "an npm token",
            Self::OpenAiKey => "an API key like OpenAI's",
            Self::PypiToken => "a PyPI token",
            Self::SlackToken => "a Slack token",
            Self::SlackWebhook => "a Slack webhook",
            Self::StripeKey => "a Stripe key",
            Self::UrlPassword => "a URL with a password",
            Self::XaiKey => "an xAI key",
        }
    }
}

/// What was found in a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What it looks like.
    pub sort: Sort,
    /// In which line, from 1.
    pub line: u32,
}

/// What is to be known of a file's content, whatever is allowed. It depends on the file's path below the
/// project, its content and [`RULES`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What looks like a credential: the first few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<Found>,
    /// Whether it is certificates or public keys, and nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_public: bool,
}

/// Whether the content of a file with this path and size is looked at: it is read whole.
pub fn is_judged(path: &str, size_bytes: u64) -> bool {
    size_bytes <= if names::is_pem(path) { MAX_PEM_BYTES } else { MAX_BYTES }
}

/// Judges the content of a file with this path below the project.
pub fn judge(path: &str, content: &[u8]) -> Verdict {
    let mut verdict = content::scan(content);
    if names::is_settings(path)
        && let Some(line) = content::assigned_secret(content)
    {
        verdict.found.push(Found { sort: Sort::AssignedSecret, line });
    }
    verdict
}
