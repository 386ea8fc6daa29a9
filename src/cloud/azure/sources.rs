//! Where tokens come from: the sources in the vendor's order, and why each has none.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::http::{ClientMethodOptions, ClientOptions, Method, Request, Url, new_http_client};
use azure_identity::{
    AzureCliCredential, AzureDeveloperCliCredential, AzurePipelinesCredential,
    AzurePipelinesCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use serde_json::Value;

use super::national::{AzureCloud, logins};
use crate::registry::Secret;
use crate::sys::Environment;

/// Where machines of Azure are told who they are.
const METADATA_SERVICE: &str = "169.254.169.254:80";
/// How long the metadata service is waited for: on a machine of Azure it is near, elsewhere nobody answers.
const METADATA_LIMIT: Duration = Duration::from_secs(1);
/// How long one source may take.
const SOURCE_LIMIT: Duration = Duration::from_mins(1);
/// The variables of a client: most sources need them.
const CLIENT: [&str; 2] = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID"];

/// The sources of one environment.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    environment: Environment,
}

/// One source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    ClientSecret,
    WorkloadIdentity,
    GithubActions,
    AzurePipelines,
    ManagedIdentity,
    Cli,
    DeveloperCli,
}

/// Why a source gives no token.
enum Nothing {
    /// Nobody has set it up: the next one is asked.
    Absent(String),
    /// It is set up, and fails: nobody wants to be somebody else then.
    Broken(String),
}

/// A token and how long it lasts.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) secret: Secret,
    /// In seconds since 1970.
    pub(super) expires_at: i64,
    /// Which source gave it.
    pub(super) source: &'static str,
}

/// The vendor's order; the two of CI stand where federated tokens do.
const ORDER: [Source; 7] = [
    Source::ClientSecret,
    Source::WorkloadIdentity,
    Source::GithubActions,
    Source::AzurePipelines,
    Source::ManagedIdentity,
    Source::Cli,
    Source::DeveloperCli,
];

impl Sources {
    pub(super) fn new(environment: &Environment) -> Self {
        Self { environment: environment.clone() }
    }

    /// The scope of the Resource Manager in the cloud that the environment names.
    pub(super) fn management_scope(&self) -> &'static str {
        match AzureCloud::of(&self.environment) {
            AzureCloud::Public => "https://management.azure.com/.default",
            AzureCloud::Government => "https://management.usgovcloudapi.net/.default",
            AzureCloud::China => "https://management.chinacloudapi.cn/.default",
        }
    }

    /// A token of the first source that has one.
    ///
    /// # Errors
    /// None has: one line for each, in order.
    pub(super) async fn token(&self, scope: &str) -> Result<Token, Vec<String>> {
        let mut tried = Vec::new();
        for source in ORDER.into_iter().filter(|source| self.is_wanted(*source)) {
            let asking = tokio::time::timeout(SOURCE_LIMIT, self.ask(source, scope));
            let limit = SOURCE_LIMIT.as_secs();
            let told = asking.await.unwrap_or_else(|_| {
                Err(Nothing::Absent(format!("it did not answer within {limit} s")))
            });
            let (reason, is_last) = match told {
                Ok(token) => {
                    return Ok(Token {
                        secret: Secret::new(token.token.secret()),
                        expires_at: token.expires_on.unix_timestamp(),
                        source: source.name(),
                    });
                }
                Err(Nothing::Absent(reason)) => (reason, false),
                Err(Nothing::Broken(reason)) => (reason, true),
            };
            tried.push(format!("{}: {reason}", source.name()));
            if is_last {
                break;
            }
        }
        Err(tried)
    }

    /// What to do when no source has a token.
    pub(super) fn cure(&self) -> String {
        if self.environment.is_on("GITHUB_ACTIONS") {
            return "give the job `permissions: {id-token: write}`, and add the step `azure/login` before \
                    this one, or set `AZURE_CLIENT_ID` and `AZURE_TENANT_ID` of an identity with a \
                    federated credential for this repository"
                .to_owned();
        }
        if self.environment.is_on("TF_BUILD") {
            return "run it in a step `AzureCLI@2` with a service connection, and pass \
                    `SYSTEM_ACCESSTOKEN: $(System.AccessToken)` to it"
                .to_owned();
        }
        if self.environment.is_on("GITLAB_CI") {
            return "give the job an `id_tokens` entry, write the token to the file that \
                    `AZURE_FEDERATED_TOKEN_FILE` names, and set `AZURE_CLIENT_ID` and `AZURE_TENANT_ID`"
                .to_owned();
        }
        if self.environment.is_on("CI") {
            return "give the job `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`, or \
                    `AZURE_FEDERATED_TOKEN_FILE` in place of the last"
                .to_owned();
        }
        "log in: `az login`".to_owned()
    }

    /// Whether the vendor's `AZURE_TOKEN_CREDENTIALS` leaves a source in.
    fn is_wanted(&self, source: Source) -> bool {
        let is_developers = matches!(source, Source::Cli | Source::DeveloperCli);
        match self.environment.get("AZURE_TOKEN_CREDENTIALS") {
            Some("dev") => is_developers,
            Some("prod") => !is_developers,
            Some(name) => name.eq_ignore_ascii_case(source.credential()),
            None => true,
        }
    }

    async fn ask(&self, source: Source, scope: &str) -> Result<AccessToken, Nothing> {
        let credential = match source {
            Source::ClientSecret => self.client_secret()?,
            Source::WorkloadIdentity => self.workload_identity()?,
            Source::GithubActions => self.github_actions()?,
            Source::AzurePipelines => self.azure_pipelines()?,
            Source::ManagedIdentity => self.managed_identity().await?,
            Source::Cli => credential(AzureCliCredential::new(None))?,
            Source::DeveloperCli => credential(AzureDeveloperCliCredential::new(None))?,
        };
        let is_set_up =
            !matches!(source, Source::ManagedIdentity | Source::Cli | Source::DeveloperCli);
        credential.get_token(&[scope], None).await.map_err(|error| {
            let reason = first_line(&error.to_string());
            let reason = match source {
                Source::Cli if is_no_program(&reason) => "`az` is not on the PATH".to_owned(),
                Source::DeveloperCli if is_no_program(&reason) => {
                    "`azd` is not on the PATH".to_owned()
                }
                _ => reason,
            };
            if is_set_up { Nothing::Broken(reason) } else { Nothing::Absent(reason) }
        })
    }

    fn client_secret(&self) -> Result<Arc<dyn TokenCredential>, Nothing> {
        let [tenant, client] = self.need(CLIENT)?;
        let Some(secret) = self.environment.get("AZURE_CLIENT_SECRET") else {
            let certificate = self.environment.get("AZURE_CLIENT_CERTIFICATE_PATH");
            return Err(Nothing::Absent(match certificate {
                Some(_) => "`AZURE_CLIENT_CERTIFICATE_PATH` is not supported: use a federated \
                            credential, or `az login --service-principal --certificate`"
                    .to_owned(),
                None => "`AZURE_CLIENT_SECRET` is not set".to_owned(),
            }));
        };
        let options = ClientSecretCredentialOptions { client_options: self.options() };
        let secret = azure_core::credentials::Secret::new(secret.to_owned());
        credential(ClientSecretCredential::new(&tenant, client, secret, Some(options)))
    }

    fn workload_identity(&self) -> Result<Arc<dyn TokenCredential>, Nothing> {
        let [file] = self.need(["AZURE_FEDERATED_TOKEN_FILE"])?;
        let [tenant, client] = self.need(CLIENT)?;
        credential(WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options: self.options() },
            client_id: Some(client),
            tenant_id: Some(tenant),
            token_file_path: Some(file.into()),
        })))
    }

    fn github_actions(&self) -> Result<Arc<dyn TokenCredential>, Nothing> {
        let [url, token] =
            self.need(["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"])?;
        let [tenant, client] = self.need(CLIENT)?;
        let assertion = GithubToken { url, token: Secret::new(token) };
        let options = ClientAssertionCredentialOptions { client_options: self.options() };
        credential(ClientAssertionCredential::new(tenant, client, assertion, Some(options)))
    }

    fn azure_pipelines(&self) -> Result<Arc<dyn TokenCredential>, Nothing> {
        let [_] = self.need(["SYSTEM_OIDCREQUESTURI"])?;
        let [token] = self.need(["SYSTEM_ACCESSTOKEN"])?;
        let [tenant, client, connection] = self.need([
            "AZURESUBSCRIPTION_TENANT_ID",
            "AZURESUBSCRIPTION_CLIENT_ID",
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
        ])?;
        let mut options = AzurePipelinesCredentialOptions::default();
        options.credential_options.client_options = self.options();
        credential(AzurePipelinesCredential::new(tenant, client, &connection, token, Some(options)))
    }

    async fn managed_identity(&self) -> Result<Arc<dyn TokenCredential>, Nothing> {
        let is_told = ["IDENTITY_ENDPOINT", "MSI_ENDPOINT"]
            .iter()
            .any(|variable| self.environment.get(variable).is_some());
        if !is_told {
            let reached = tokio::net::TcpStream::connect(METADATA_SERVICE);
            let reached = tokio::time::timeout(METADATA_LIMIT, reached).await;
            if !matches!(reached, Ok(Ok(_))) {
                let reason = "no metadata service answers: this is no machine of Azure";
                return Err(Nothing::Absent(reason.to_owned()));
            }
        }
        let client = self.environment.get("AZURE_CLIENT_ID").map(str::to_owned);
        credential(ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
            user_assigned_id: client.map(UserAssignedId::ClientId),
            client_options: self.options(),
        })))
    }

    /// The values of variables, all of them or none.
    fn need<const N: usize>(&self, names: [&'static str; N]) -> Result<[String; N], Nothing> {
        let is_missing = |name: &&&str| self.environment.get(name).is_none();
        let missing: Vec<_> =
            names.iter().filter(is_missing).map(|name| format!("`{name}`")).collect();
        if !missing.is_empty() {
            let are = if missing.len() == 1 { "is" } else { "are" };
            return Err(Nothing::Absent(format!("{} {are} not set", missing.join(" and "))));
        }
        Ok(names.map(|name| self.environment.get(name).unwrap_or_default().to_owned()))
    }

    fn options(&self) -> ClientOptions {
        ClientOptions { cloud: Some(Arc::new(self.cloud())), ..ClientOptions::default() }
    }

    fn cloud(&self) -> CloudConfiguration {
        match (AzureCloud::of(&self.environment), logins(&self.environment)) {
            (AzureCloud::Government, _) => CloudConfiguration::AzureGovernment,
            (AzureCloud::China, _) => CloudConfiguration::AzureChina,
            (AzureCloud::Public, "" | "login.microsoftonline.com") => {
                CloudConfiguration::AzurePublic
            }
            (AzureCloud::Public, host) => {
                let mut custom = CustomConfiguration::default();
                custom.authority_host = format!("https://{host}");
                custom.into()
            }
        }
    }
}

impl Source {
    /// What to call it in messages.
    fn name(self) -> &'static str {
        match self {
            Self::ClientSecret => "environment",
            Self::WorkloadIdentity => "workload identity",
            Self::GithubActions => "GitHub Actions",
            Self::AzurePipelines => "Azure Pipelines",
            Self::ManagedIdentity => "managed identity",
            Self::Cli => "Azure CLI",
            Self::DeveloperCli => "Azure Developer CLI",
        }
    }

    /// The vendor's name of it.
    fn credential(self) -> &'static str {
        match self {
            Self::ClientSecret => "EnvironmentCredential",
            Self::WorkloadIdentity => "WorkloadIdentityCredential",
            Self::GithubActions => "ClientAssertionCredential",
            Self::AzurePipelines => "AzurePipelinesCredential",
            Self::ManagedIdentity => "ManagedIdentityCredential",
            Self::Cli => "AzureCliCredential",
            Self::DeveloperCli => "AzureDeveloperCliCredential",
        }
    }
}

/// The token that GitHub gives a job, for Entra to exchange.
#[derive(Debug)]
struct GithubToken {
    url: String,
    token: Secret,
}

#[async_trait]
impl ClientAssertion for GithubToken {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let mut url: Url = self.url.parse()?;
        url.query_pairs_mut().append_pair("audience", "api://AzureADTokenExchange");
        let mut request = Request::new(url, Method::Get);
        request.insert_header("authorization", format!("Bearer {}", self.token.expose()));
        let response = new_http_client(None).execute_request(&request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let token = answer["value"].as_str().filter(|_| status.is_success());
        token.map(str::to_owned).ok_or_else(|| {
            let text = format!("GitHub gives no token for the job: it answered {status}");
            azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, text)
        })
    }
}

fn credential<C: TokenCredential + 'static>(
    made: azure_core::Result<Arc<C>>,
) -> Result<Arc<dyn TokenCredential>, Nothing> {
    match made {
        Ok(credential) => Ok(credential),
        Err(error) => Err(Nothing::Broken(first_line(&error.to_string()))),
    }
}

/// The first line of what a source says: the others point to help pages.
fn first_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.next().unwrap_or("it does not say why").to_owned()
}

/// Whether the vendor says that a program is not there.
fn is_no_program(reason: &str) -> bool {
    ["not found on PATH", "wasn't found on PATH"].iter().any(|text| reason.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(environment: &Environment, source: Source) -> String {
        let sources = Sources::new(environment);
        let made = match source {
            Source::ClientSecret => sources.client_secret(),
            Source::WorkloadIdentity => sources.workload_identity(),
            Source::GithubActions => sources.github_actions(),
            _ => sources.azure_pipelines(),
        };
        match made {
            Ok(_) => "made".to_owned(),
            Err(Nothing::Absent(reason)) => reason,
            Err(Nothing::Broken(reason)) => format!("broken: {reason}"),
        }
    }

    #[test]
    fn every_source_says_what_it_lacks() {
        let [tenant, client] = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
        let [url, token] = [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://g/"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"),
        ];
        let nobody = "`AZURE_TENANT_ID` and `AZURE_CLIENT_ID` are not set";
        let [secret, certificate] =
            [("AZURE_CLIENT_SECRET", "s"), ("AZURE_CLIENT_CERTIFICATE_PATH", "/c.pem")];
        for (environment, source, expected) in [
            (Environment::of([]), Source::ClientSecret, nobody),
            (
                Environment::of([tenant, client]),
                Source::ClientSecret,
                "`AZURE_CLIENT_SECRET` is not set",
            ),
            (Environment::of([tenant, client, secret]), Source::ClientSecret, "made"),
            (
                Environment::of([tenant, client, certificate]),
                Source::ClientSecret,
                "`AZURE_CLIENT_CERTIFICATE_PATH` is not supported: use a federated credential, or `az \
                 login --service-principal --certificate`",
            ),
            (
                Environment::of([tenant, client]),
                Source::WorkloadIdentity,
                "`AZURE_FEDERATED_TOKEN_FILE` is not set",
            ),
            (Environment::of([tenant, client, url, token]), Source::GithubActions, "made"),
            (Environment::of([url, token]), Source::GithubActions, nobody),
            (Environment::of([]), Source::AzurePipelines, "`SYSTEM_OIDCREQUESTURI` is not set"),
        ] {
            assert_eq!(reason(&environment, source), expected, "{source:?}");
        }
    }

    #[test]
    fn where_nobody_sits_nobody_is_told_to_log_in() {
        for (variable, expected) in [
            ("GITHUB_ACTIONS", "`azure/login`"),
            ("TF_BUILD", "`AzureCLI@2`"),
            ("GITLAB_CI", "`id_tokens`"),
            ("CI", "`AZURE_CLIENT_SECRET`"),
            ("HOME", "`az login`"),
        ] {
            let cure = Sources::new(&Environment::of([(variable, "true")])).cure();
            assert!(cure.contains(expected), "{cure}");
            assert_eq!(cure.contains("az login"), variable == "HOME", "{cure}");
        }
        assert!(is_no_program("Azure CLI not found on PATH"));
    }

    #[test]
    fn the_cloud_is_named_or_follows_from_its_logins() {
        for (variables, scope) in [
            ([("A", "")], "https://management.azure.com/.default"),
            (
                [("AZURE_CLOUD", "AzureUSGovernment")],
                "https://management.usgovcloudapi.net/.default",
            ),
            ([("AZURE_CLOUD", "AzureChinaCloud")], "https://management.chinacloudapi.cn/.default"),
            (
                [("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/")],
                "https://management.usgovcloudapi.net/.default",
            ),
            (
                [("AZURE_AUTHORITY_HOST", "https://login.partner.microsoftonline.cn/")],
                "https://management.chinacloudapi.cn/.default",
            ),
        ] {
            let sources = Sources::new(&Environment::of(variables));
            assert_eq!(sources.management_scope(), scope, "{variables:?}");
        }
    }
}
