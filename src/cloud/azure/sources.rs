//! Where tokens come from: the sources in the vendor's order, and why each has none.

use std::sync::Arc;
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::http::ClientOptions;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, AzureDeveloperCliCredential,
    AzurePipelinesCredential, AzurePipelinesCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use super::cure::cure;
use super::github::GithubToken;
use super::http;
use super::national::{AzureCloud, logins};
use super::reason::{is_no_program, reason, told, way_of};
use super::source::{ORDER, Source};
use crate::error::Classified as _;
use crate::registry::{Https, Secret};
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
    https: Arc<Https>,
    /// The same without proxies, for what is within this machine or beside it.
    direct: Arc<Https>,
}

/// Why a source gives no token.
enum Nothing {
    /// Nobody has set it up: the next one is asked.
    Absent(String),
    /// It is set up, and fails: nobody wants to be somebody else then. With what helps, where that is known.
    Broken(String, Vec<String>),
}

/// No source has a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nowhere {
    /// Each source and why it has none, in order.
    pub(super) tried: Vec<String>,
    /// What to do.
    pub(super) hints: Vec<String>,
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

impl Sources {
    /// Sources that are asked through `https`.
    pub(super) fn new(https: Https, environment: &Environment) -> Self {
        let direct = Arc::new(https.without_proxies());
        Self { environment: environment.clone(), https: Arc::new(https), direct }
    }

    /// The way to whoever is asked.
    pub(super) fn https(&self) -> &Https {
        &self.https
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
    /// None has.
    pub(super) async fn token(&self, scope: &str) -> Result<Token, Nowhere> {
        let (mut tried, mut hints) = (Vec::new(), Vec::new());
        let wanted = self.environment.get("AZURE_TOKEN_CREDENTIALS");
        for source in ORDER.into_iter().filter(|source| source.is_in(wanted)) {
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
                Err(Nothing::Broken(reason, helpful)) => {
                    hints = helpful;
                    (reason, true)
                }
            };
            tried.push(format!("{}: {reason}", source.name()));
            if is_last {
                break;
            }
        }
        if hints.is_empty() {
            hints.push(cure(&self.environment, &tried));
        }
        Err(Nowhere { tried, hints })
    }

    async fn ask(&self, source: Source, scope: &str) -> Result<AccessToken, Nothing> {
        let credential = match source {
            Source::ClientSecret => self.client_secret()?,
            Source::WorkloadIdentity => self.workload_identity()?,
            Source::GithubActions => self.github_actions()?,
            Source::AzurePipelines => self.azure_pipelines()?,
            Source::ManagedIdentity => self.managed_identity().await?,
            Source::Cli => self.cli()?,
            Source::DeveloperCli => credential(AzureDeveloperCliCredential::new(None))?,
        };
        let is_set_up =
            !matches!(source, Source::ManagedIdentity | Source::Cli | Source::DeveloperCli);
        credential.get_token(&[scope], None).await.map_err(|error| {
            if let Some(way) = way_of(&error) {
                let hints = way.hints();
                let reason = self.https.clean(&told(way));
                return if is_set_up {
                    Nothing::Broken(reason, hints)
                } else {
                    Nothing::Absent(reason)
                };
            }
            let reason = match source {
                Source::Cli if is_no_program(&error) => "`az` is not on the PATH".to_owned(),
                Source::DeveloperCli if is_no_program(&error) => {
                    "`azd` is not on the PATH".to_owned()
                }
                _ => self.https.clean(&reason(&error)),
            };
            if is_set_up { Nothing::Broken(reason, Vec::new()) } else { Nothing::Absent(reason) }
        })
    }

    /// Who is logged in with `az`, in the tenant that is named.
    fn cli(&self) -> Result<Arc<dyn TokenCredential>, Nothing> {
        let tenant_id = self.environment.get("AZURE_TENANT_ID").map(str::to_owned);
        let options = AzureCliCredentialOptions { tenant_id, ..Default::default() };
        credential(AzureCliCredential::new(Some(options)))
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
        self.https.learn(&Secret::new(secret));
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
        let token = Secret::new(token);
        self.https.learn(&token);
        let assertion = GithubToken { https: Arc::clone(&self.https), url, token };
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
        self.https.learn(&Secret::new(token.clone()));
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
            client_options: self.options_through(&self.direct),
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
        self.options_through(&self.https)
    }

    fn options_through(&self, https: &Arc<Https>) -> ClientOptions {
        ClientOptions {
            cloud: Some(Arc::new(self.cloud())),
            transport: Some(http::transport(https)),
            retry: http::patience(),
            ..ClientOptions::default()
        }
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

fn credential<C: TokenCredential + 'static>(
    made: azure_core::Result<Arc<C>>,
) -> Result<Arc<dyn TokenCredential>, Nothing> {
    match made {
        Ok(credential) => Ok(credential),
        Err(error) => Err(Nothing::Broken(reason(&error), Vec::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Events;
    use crate::registry::Settings;
    use crate::sys::ManualClock;

    fn sources(environment: &Environment) -> Sources {
        let clock = Arc::new(ManualClock::at(0));
        Sources::new(Https::new(Settings::default(), Events::none(), clock), environment)
    }

    fn reason(environment: &Environment, source: Source) -> String {
        let sources = sources(environment);
        let made = match source {
            Source::ClientSecret => sources.client_secret(),
            Source::WorkloadIdentity => sources.workload_identity(),
            Source::GithubActions => sources.github_actions(),
            _ => sources.azure_pipelines(),
        };
        match made {
            Ok(_) => "made".to_owned(),
            Err(Nothing::Absent(reason)) => reason,
            Err(Nothing::Broken(reason, _)) => format!("broken: {reason}"),
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
            let sources = sources(&Environment::of(variables));
            assert_eq!(sources.management_scope(), scope, "{variables:?}");
        }
    }
}
