//! Where credentials for AWS come from: the order of AWS's own tools, one source after the other, so that
//! each can say why it has none.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};

use super::super::CiSystem;
use super::{http, profile};
use crate::event::Events;
use crate::registry::{self, Https, Proxies, Settings};
use crate::sys::{Clock, Environment};

/// How long a machine that may be no EC2 instance is waited for.
const METADATA_LIMIT: Duration = Duration::from_secs(1);
/// How much of a reason is shown.
const MAX_REASON_CHARACTERS: usize = 300;

/// The sources of one run.
#[derive(Debug)]
pub(super) struct Sources {
    environment: Environment,
    events: Events,
    https: Arc<Https>,
    /// The same without proxies, for what is within this machine or beside it.
    direct: Arc<Https>,
}

/// No source has credentials.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nowhere {
    /// Each source and why it has none.
    pub(super) message: String,
    /// The one thing to do, here.
    pub(super) hints: Vec<String>,
}

impl Sources {
    pub(super) fn new(
        settings: &Settings,
        environment: &Environment,
        events: &Events,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let https = |settings| Arc::new(Https::new(settings, events.clone(), Arc::clone(clock)));
        Self {
            environment: environment.clone(),
            events: events.clone(),
            https: https(settings.clone()),
            direct: https(Settings { proxies: Proxies::default(), ..settings.clone() }),
        }
    }

    /// The credentials of the first source that has some; `region` is where a role is asked for.
    pub(super) async fn find(&self, region: &str) -> Result<Credentials, Nowhere> {
        let config =
            ProviderConfig::without_region().with_region(Some(Region::new(region.to_owned())));
        let direct = config.clone().with_http_client(http::client(Arc::clone(&self.direct)));
        let config = config.with_http_client(http::client(Arc::clone(&self.https)));
        let mut tried = Vec::new();
        for name in ["variables", "profile", "web identity", "container", "instance"] {
            let found = match name {
                "variables" => self.variables(),
                "profile" => self.profile(&config).await,
                "web identity" => self.web_identity(&config).await,
                "container" => self.container(&direct).await,
                _ => self.instance(&direct).await,
            };
            match found {
                Ok(credentials) => {
                    self.events.detail(format!("AWS: using the credentials of the {name}"));
                    return Ok(credentials);
                }
                Err(reason) => tried.push(format!("{name}: {reason}")),
            }
        }
        let message = format!("no source has credentials ({})", tried.join("; "));
        Err(Nowhere { message, hints: vec![self.cure()] })
    }

    fn variables(&self) -> Result<Credentials, String> {
        let get = |name| self.environment.get(name);
        match (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => {
                let token = get("AWS_SESSION_TOKEN").map(str::to_owned);
                Ok(Credentials::new(id, secret, token, None, "environment"))
            }
            (None, None) => Err("`AWS_ACCESS_KEY_ID` is not set".into()),
            (Some(_), None) => Err("`AWS_SECRET_ACCESS_KEY` is not set".into()),
            (None, Some(_)) => {
                Err("`AWS_SECRET_ACCESS_KEY` is set, `AWS_ACCESS_KEY_ID` is not".into())
            }
        }
    }

    async fn profile(&self, config: &ProviderConfig) -> Result<Credentials, String> {
        let files = [
            (EnvConfigFileKind::Config, profile::config_file(&self.environment)),
            (EnvConfigFileKind::Credentials, profile::credentials_file(&self.environment)),
        ];
        let files: Vec<(EnvConfigFileKind, PathBuf)> = files
            .into_iter()
            .filter_map(|(kind, path)| Some((kind, path.filter(|path| path.is_file())?)))
            .collect();
        let name = profile::name(&self.environment);
        if files.is_empty() {
            return Err(format!(
                "`{name}`: there is neither `~/.aws/config` nor `~/.aws/credentials`"
            ));
        }
        let mut builder = EnvConfigFiles::builder();
        for (kind, path) in files {
            builder = builder.with_file(kind, path);
        }
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(config)
            .profile_name(name)
            .profile_files(builder.build())
            .build();
        ask(&provider).await.map_err(|reason| format!("`{name}`: {reason}"))
    }

    async fn web_identity(&self, config: &ProviderConfig) -> Result<Credentials, String> {
        let needed =
            |name| self.environment.get(name).ok_or_else(|| format!("`{name}` is not set"));
        let web_identity_token_file = needed("AWS_WEB_IDENTITY_TOKEN_FILE")?.into();
        let role_arn = needed("AWS_ROLE_ARN")?.to_owned();
        let session_name =
            self.environment.get("AWS_ROLE_SESSION_NAME").unwrap_or("dockless").to_owned();
        let source = StaticConfiguration { web_identity_token_file, role_arn, session_name };
        let provider = WebIdentityTokenCredentialsProvider::builder()
            .configure(config)
            .static_configuration(source)
            .build();
        ask(&provider).await
    }

    async fn container(&self, config: &ProviderConfig) -> Result<Credentials, String> {
        let names =
            ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
        if names.iter().all(|name| self.environment.get(name).is_none()) {
            return Err(format!("`{}` is not set", names[0]));
        }
        ask(&EcsCredentialsProvider::builder().configure(config).build()).await
    }

    async fn instance(&self, config: &ProviderConfig) -> Result<Credentials, String> {
        if self.environment.is_on("AWS_EC2_METADATA_DISABLED") {
            return Err("`AWS_EC2_METADATA_DISABLED` is set".into());
        }
        let mut client = imds::Client::builder()
            .configure(config)
            .max_attempts(1)
            .connect_timeout(METADATA_LIMIT)
            .read_timeout(METADATA_LIMIT);
        if let Some(endpoint) = self.environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
            let unusable = |_| "`AWS_EC2_METADATA_SERVICE_ENDPOINT` is no URL".to_owned();
            client = client.endpoint(endpoint).map_err(unusable)?;
        }
        let provider = ImdsCredentialsProvider::builder()
            .configure(config)
            .imds_client(client.build())
            .build();
        // The limits of the client are for each of its steps.
        match tokio::time::timeout(2 * METADATA_LIMIT, provider.provide_credentials()).await {
            Ok(Ok(credentials)) => Ok(credentials),
            Ok(Err(error)) if way_of(&error).is_none() => Err(told(&error)),
            Ok(Err(_)) | Err(_) => Err("nobody answers: this is no EC2 instance".to_owned()),
        }
    }

    /// What to do where we are.
    fn cure(&self) -> String {
        if let Some(system) = CiSystem::of(&self.environment) {
            return cure_of_job(system).to_owned();
        }
        let name = profile::name(&self.environment);
        let option = if name == "default" { String::new() } else { format!(" --profile {name}") };
        format!(
            "log in: `aws configure sso{option}` where your company has IAM Identity Center, else `aws configure{option}`"
        )
    }
}

/// How a job comes to a role, or to keys.
fn cure_of_job(system: CiSystem) -> &'static str {
    match system {
        CiSystem::GitHub => {
            "let the job have a role: `permissions: {contents: read, id-token: write}`, and the step `aws-actions/configure-aws-credentials` with `role-to-assume` before this one"
        }
        CiSystem::GitLab => {
            "let the job have a role: `id_tokens` in its definition, the token written to the file that `AWS_WEB_IDENTITY_TOKEN_FILE` names, and `AWS_ROLE_ARN`"
        }
        CiSystem::AzurePipelines => {
            "let the job have a role: run this in the task `AWSShellScript@1` with a service connection of AWS that has `Use OIDC` set and names the role"
        }
        CiSystem::CircleCi => {
            "let the job have a role: write `$CIRCLE_OIDC_TOKEN_V2` to the file that `AWS_WEB_IDENTITY_TOKEN_FILE` names, and set `AWS_ROLE_ARN`"
        }
        CiSystem::Buildkite => {
            "let the step have a role: the plugin `aws-assume-role-with-web-identity` with `role-arn`"
        }
        CiSystem::Bitbucket => {
            "let the step have a role: `oidc: true` in its definition, `$BITBUCKET_STEP_OIDC_TOKEN` written to the file that `AWS_WEB_IDENTITY_TOKEN_FILE` names, and `AWS_ROLE_ARN`"
        }
        CiSystem::Other => {
            "give the job `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or a role by `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`"
        }
    }
}

async fn ask(provider: &impl ProvideCredentials) -> Result<Credentials, String> {
    provider.provide_credentials().await.map_err(|error| told(&error))
}

/// The innermost cause, on one line: what is around it says that credentials could not be loaded. Where
/// the way was the problem, it is that with its cause.
fn told(error: &(dyn StdError + 'static)) -> String {
    let text = match way_of(error) {
        Some(way) => match way.source() {
            Some(cause) => format!("{way}: {cause}"),
            None => way.to_string(),
        },
        None => chain(error).last().map(ToString::to_string).unwrap_or_default(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_REASON_CHARACTERS).collect()
}

/// What was wrong on the way, if that is what was wrong.
fn way_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a registry::Error> {
    chain(error).find_map(|error| error.downcast_ref::<registry::Error>())
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
