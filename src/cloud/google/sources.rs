//! Where credentials for Google Cloud come from: the vendor's order (Application Default Credentials), then
//! the vendor's command.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_auth::credentials::{
    AccessTokenCredentials, CacheableResource, CredentialsProvider as _, mds,
};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::CiSystem;
use super::credentials::{self, CredentialsFile, SCOPE};
use super::project::{self, FILE_VARIABLE};
use crate::registry::Secret;
use crate::sys::Environment;
use crate::sys::command::{Command, Commands};

/// A token of somebody's own, as the vendor's command takes one.
const TOKEN_VARIABLE: &str = "CLOUDSDK_AUTH_ACCESS_TOKEN";
/// Another address of the metadata server.
const METADATA_VARIABLE: &str = "GCE_METADATA_HOST";
/// Where the metadata server is on Google's machines; elsewhere nobody answers, and nobody should wait for that.
const METADATA_ADDRESS: &str = "169.254.169.254:80";
const METADATA_LIMIT: Duration = Duration::from_secs(1);
/// What is read at most of what it says.
const MAX_METADATA_BYTES: u64 = 4096;
/// Why it has nothing there.
const NOT_REACHED: &str = "not reached (not on Google Cloud)";
/// How long fetching a token may take.
const TOKEN_LIMIT: Duration = Duration::from_secs(30);

/// All sources.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    environment: Environment,
    commands: Arc<dyn Commands>,
}

/// A source that has credentials.
#[derive(Debug)]
pub(super) struct Source {
    /// What to call it in messages.
    pub(super) name: String,
    /// Whose they are, where that is known.
    pub(super) identity: Option<String>,
    /// The key of a service account, which its registries take as it is.
    pub(super) key: Option<Secret>,
    proof: Proof,
}

/// What a source gives.
enum Proof {
    /// One token, by the variable that has it: there is no other.
    Token(Secret),
    /// One token, by a command that gives another one when it is asked again.
    FreshToken(Secret),
    /// Tokens, for as long as they are needed.
    Credentials(AccessTokenCredentials),
}

/// No source has credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nowhere {
    /// Every source that was asked, in order, and why it has none.
    pub(super) tried: Vec<String>,
    /// What to do.
    pub(super) hint: &'static str,
}

impl Sources {
    pub(super) fn new(environment: &Environment, commands: Arc<dyn Commands>) -> Self {
        Self { environment: environment.clone(), commands }
    }

    /// Asks one source after the other.
    pub(super) async fn find(&self) -> Result<Source, Nowhere> {
        if let Some(token) = self.environment.get(TOKEN_VARIABLE) {
            let proof = Proof::Token(Secret::new(token));
            let mut source = Source::new(format!("`{TOKEN_VARIABLE}`"), proof);
            source.identity = Some(format!("whoever the token in {TOKEN_VARIABLE} is for"));
            return Ok(source);
        }
        let mut tried = vec![format!("`{TOKEN_VARIABLE}` is not set")];
        match self.environment.get(FILE_VARIABLE) {
            Some(path) => {
                // Whoever names a file means it: another identity would be a surprise.
                let name = format!("`{path}` (`{FILE_VARIABLE}`)");
                return match self.file(PathBuf::from(path)).await {
                    Ok(Some(file)) => Ok(Source::of_file(name, file)),
                    Ok(None) => Err(self.nowhere(vec![format!("{name}: it is not there")])),
                    Err(reason) => Err(self.nowhere(vec![format!("{name}: {reason}")])),
                };
            }
            None => tried.push(format!("`{FILE_VARIABLE}` is not set")),
        }
        if let Some(path) = project::default_file(&self.environment) {
            let name = format!("`{}`", path.display());
            match self.file(path).await {
                Ok(Some(file)) => return Ok(Source::of_file(name, file)),
                Ok(None) => tried.push(format!("{name}: it is not there")),
                Err(reason) => return Err(self.nowhere(vec![format!("{name}: {reason}")])),
            }
        }
        match self.metadata().await {
            Ok(source) => return Ok(source),
            Err(reason) => tried.push(format!("metadata server: {reason}")),
        }
        match self.command().await {
            Ok(source) => return Ok(source),
            Err(reason) => tried.push(format!("`gcloud auth print-access-token`: {reason}")),
        }
        Err(self.nowhere(tried))
    }

    async fn file(&self, path: PathBuf) -> Result<Option<CredentialsFile>, String> {
        credentials::read(&path, self.environment.get("GOOGLE_CLOUD_QUOTA_PROJECT")).await
    }

    /// The service account of a machine of Google's.
    async fn metadata(&self) -> Result<Source, String> {
        if self.environment.is_on("NO_GCE_CHECK") {
            return Err("`NO_GCE_CHECK` is set".to_owned());
        }
        let named = self.environment.get(METADATA_VARIABLE);
        let address = match named {
            Some(host) if host.contains(':') => host.to_owned(),
            Some(host) => format!("{host}:80"),
            None => METADATA_ADDRESS.to_owned(),
        };
        let connecting = tokio::net::TcpStream::connect(&address);
        match tokio::time::timeout(METADATA_LIMIT, connecting).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Err(NOT_REACHED.to_owned()),
        }
        let told = tokio::time::timeout(METADATA_LIMIT, account_of_machine(&address)).await;
        let builder = mds::Builder::default().with_scopes([SCOPE]);
        let builder = match named {
            Some(host) => builder.with_endpoint(format!("http://{host}")),
            None => builder,
        };
        let credentials =
            builder.build_access_token_credentials().map_err(|error| error.to_string())?;
        let mut source =
            Source::new("the metadata server".to_owned(), Proof::Credentials(credentials));
        source.headers().await?;
        let unknown = || "the service account of this machine".to_owned();
        source.identity = Some(told.ok().flatten().unwrap_or_else(unknown));
        Ok(source)
    }

    /// Whoever is logged in with the vendor's command.
    async fn command(&self) -> Result<Source, String> {
        let token = self.run(["auth", "print-access-token"]).await?;
        let proof = Proof::FreshToken(Secret::new(token));
        let mut source = Source::new("`gcloud auth print-access-token`".to_owned(), proof);
        source.identity = self.run(["config", "get-value", "account"]).await.ok();
        Ok(source)
    }

    async fn run<const N: usize>(&self, arguments: [&str; N]) -> Result<String, String> {
        let output = self.commands.run(&Command::new("gcloud", arguments)).await;
        let output = output.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "it is not installed".to_owned(),
            _ => error.to_string(),
        })?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.is_success || text.is_empty() || text.contains(char::is_whitespace) {
            return Err("nobody is logged in".to_owned());
        }
        Ok(text)
    }

    pub(super) fn nowhere(&self, tried: Vec<String>) -> Nowhere {
        let hint = CiSystem::of(&self.environment)
            .map_or("log in: `gcloud auth application-default login`", cure_of_job);
        Nowhere { tried, hint }
    }
}

/// How a job comes to credentials, which federation gives it for a token of its CI system.
fn cure_of_job(system: CiSystem) -> &'static str {
    match system {
        CiSystem::GitHub => {
            "add the step `google-github-actions/auth` with `workload_identity_provider`, and `permissions: {contents: read, id-token: write}` to the job"
        }
        CiSystem::GitLab => {
            "give the job an `id_tokens` entry, write the token to a file, and let `gcloud iam workload-identity-pools create-cred-config … --credential-source-file=FILE` make the file that `GOOGLE_APPLICATION_CREDENTIALS` names"
        }
        CiSystem::AzurePipelines => {
            "run this in the task `AzureCLI@2` with `addSpnToEnvironment: true`, write `$idToken` to a file, and let `gcloud iam workload-identity-pools create-cred-config … --credential-source-file=FILE` make the file that `GOOGLE_APPLICATION_CREDENTIALS` names"
        }
        CiSystem::CircleCi => {
            "write `$CIRCLE_OIDC_TOKEN_V2` to a file, and let `gcloud iam workload-identity-pools create-cred-config … --credential-source-file=FILE` make the file that `GOOGLE_APPLICATION_CREDENTIALS` names"
        }
        CiSystem::Buildkite => {
            "add the plugin `gcp-workload-identity-federation` with `audience` and `service-account` to the step"
        }
        CiSystem::Bitbucket => {
            "set `oidc: true` for the step, write `$BITBUCKET_STEP_OIDC_TOKEN` to a file, and let `gcloud iam workload-identity-pools create-cred-config … --credential-source-file=FILE` make the file that `GOOGLE_APPLICATION_CREDENTIALS` names"
        }
        CiSystem::Other => {
            "let the job write a file of credentials for workload identity federation, and name it in `GOOGLE_APPLICATION_CREDENTIALS`; on a machine of your own, log in: `gcloud auth application-default login`"
        }
    }
}

/// The address of the service account that a metadata server gives tokens for.
async fn account_of_machine(address: &str) -> Option<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let path = "/computeMetadata/v1/instance/service-accounts/default/email";
    let question =
        format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nMetadata-Flavor: Google\r\n\r\n");
    stream.write_all(question.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.take(MAX_METADATA_BYTES).read_to_string(&mut answer).await.ok()?;
    let (head, email) = answer.split_once("\r\n\r\n")?;
    let is_good = head.split(' ').nth(1) == Some("200");
    let email = email.trim();
    let is_address = email.contains('@') && email.bytes().all(|byte| byte.is_ascii_graphic());
    (is_good && is_address).then(|| email.to_owned())
}

impl Source {
    fn new(name: String, proof: Proof) -> Self {
        Self { name, identity: None, key: None, proof }
    }

    fn of_file(name: String, file: CredentialsFile) -> Self {
        let CredentialsFile { credentials, identity, key } = file;
        let identity = identity.or_else(|| Some(format!("the user of {}", name.replace('`', ""))));
        Self { name, identity, key, proof: Proof::Credentials(credentials) }
    }

    /// Whether another credential may be had when this one is refused.
    pub(super) fn can_renew(&self) -> bool {
        !matches!(self.proof, Proof::Token(_))
    }

    /// Whether its token may be used up some day, and only another look gives a new one.
    pub(super) fn is_used_up(&self) -> bool {
        matches!(self.proof, Proof::FreshToken(_))
    }

    /// The headers that prove who we are.
    ///
    /// # Errors
    /// No token can be had, and why.
    pub(super) async fn headers(&self) -> Result<HeaderMap, String> {
        let token = match &self.proof {
            Proof::Token(token) | Proof::FreshToken(token) => token,
            Proof::Credentials(credentials) => {
                let asked = limited(credentials_headers(credentials)).await?;
                return Ok(asked);
            }
        };
        let value = format!("Bearer {}", token.expose());
        let mut value = HeaderValue::try_from(value).map_err(|_| "this is no token".to_owned())?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
    }

    /// A token by itself, for whoever takes one as a password.
    ///
    /// # Errors
    /// As [`Source::headers`].
    pub(super) async fn token(&self) -> Result<Secret, String> {
        match &self.proof {
            Proof::Token(token) | Proof::FreshToken(token) => Ok(token.clone()),
            Proof::Credentials(credentials) => {
                let asking =
                    async { credentials.access_token().await.map_err(|error| told(&error)) };
                Ok(Secret::new(limited(asking).await?.token))
            }
        }
    }
}

#[expect(clippy::default_trait_access, reason = "the type is of a crate that is not ours to name")]
async fn credentials_headers(credentials: &AccessTokenCredentials) -> Result<HeaderMap, String> {
    match credentials.headers(Default::default()).await {
        Ok(CacheableResource::New { data, .. }) => Ok(data),
        Ok(CacheableResource::NotModified) => Err("it gave nothing new".to_owned()),
        Err(error) => Err(told(&error)),
    }
}

async fn limited<T>(asking: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = |_| format!("no token within {} s", TOKEN_LIMIT.as_secs());
    tokio::time::timeout(TOKEN_LIMIT, asking).await.map_err(late)?
}

/// An error with its causes, in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    super::refusal::clean(&text)
}

impl fmt::Debug for Proof {
    /// Shows nothing secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Token(_) => "Token",
            Self::FreshToken(_) => "FreshToken",
            Self::Credentials(_) => "Credentials",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::command::FakeCommands;

    fn sources<const N: usize>(variables: [(&str, &str); N], commands: FakeCommands) -> Sources {
        Sources::new(&Environment::of(variables), Arc::new(commands))
    }

    #[tokio::test]
    async fn every_source_says_why_it_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let nobody = FakeCommands::of([("gcloud auth print-access-token", 1, "")]);
        let found = sources([("HOME", home), ("NO_GCE_CHECK", "true")], nobody).find().await;
        assert_eq!(
            found.unwrap_err(),
            Nowhere {
                tried: vec![
                    "`CLOUDSDK_AUTH_ACCESS_TOKEN` is not set".into(),
                    "`GOOGLE_APPLICATION_CREDENTIALS` is not set".into(),
                    format!(
                        "`{home}/.config/gcloud/application_default_credentials.json`: it is not there"
                    ),
                    "metadata server: `NO_GCE_CHECK` is set".into(),
                    "`gcloud auth print-access-token`: nobody is logged in".into(),
                ],
                hint: "log in: `gcloud auth application-default login`",
            }
        );
    }

    #[tokio::test]
    async fn a_file_that_is_named_is_the_only_source() {
        let found = sources(
            [("GOOGLE_APPLICATION_CREDENTIALS", "/not/there"), ("GITHUB_ACTIONS", "true")],
            FakeCommands::of([("gcloud auth print-access-token", 0, "token")]),
        );
        let nowhere = found.find().await.unwrap_err();
        assert_eq!(
            nowhere.tried,
            ["`/not/there` (`GOOGLE_APPLICATION_CREDENTIALS`): it is not there"]
        );
        assert!(nowhere.hint.contains("google-github-actions/auth"), "{nowhere:?}");
    }

    #[tokio::test]
    async fn a_metadata_server_that_is_not_there_is_told_in_a_few_words() {
        let nobody = FakeCommands::of([("gcloud auth print-access-token", 1, "")]);
        // Nobody listens on the first port.
        let found = sources([("GCE_METADATA_HOST", "127.0.0.1:1"), ("CI", "true")], nobody);
        let nowhere = found.find().await.unwrap_err();
        let text = "metadata server: not reached (not on Google Cloud)";
        assert!(nowhere.tried.iter().any(|line| line == text), "{nowhere:?}");
        assert!(nowhere.hint.starts_with("let the job write a file"), "{nowhere:?}");
    }

    #[tokio::test]
    async fn a_metadata_server_tells_whose_tokens_it_gives() {
        for (answer, expected) in [
            (
                "HTTP/1.0 200 OK\r\n\r\nci@p.iam.gserviceaccount.com",
                Some("ci@p.iam.gserviceaccount.com"),
            ),
            ("HTTP/1.0 404 Not Found\r\n\r\nnobody@here", None),
            ("HTTP/1.0 200 OK\r\n\r\n<html>", None),
            ("", None),
        ] {
            let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = server.local_addr().unwrap().to_string();
            let serving = async {
                let (mut stream, _) = server.accept().await.unwrap();
                let mut question = [0; 1024];
                let size = stream.read(&mut question).await.unwrap();
                assert!(
                    String::from_utf8_lossy(&question[..size]).contains("Metadata-Flavor: Google")
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            };
            let (told, ()) = tokio::join!(account_of_machine(&address), serving);
            assert_eq!(told.as_deref(), expected, "{answer}");
        }
    }

    #[tokio::test]
    async fn the_command_is_the_last_resort_and_tells_who_is_logged_in() {
        let commands = FakeCommands::of([
            ("gcloud auth print-access-token", 0, "ya29.canary\n"),
            ("gcloud config get-value account", 0, "bob@acme.io\n"),
        ]);
        let found = sources([("NO_GCE_CHECK", "1")], commands).find().await.unwrap();
        assert_eq!(found.identity.as_deref(), Some("bob@acme.io"));
        assert_eq!(found.headers().await.unwrap()["authorization"], "Bearer ya29.canary");
        assert!(found.can_renew() && !format!("{found:?}").contains("canary"));
    }
}
