//! The registry client of a run: whose credentials go to which host.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Context, Credentials, NetworkRequest};
use crate::cloud;
use crate::config::PublishSettings;
use crate::error::{Classified, ErrorKind, Result};
use crate::oci::Reference;
use crate::registry::keychains::{self, ConfigVariables, Explicit};
use crate::registry::{Client, ClientOptions, Https, Keychain, Proxies, Settings};
use crate::sys::Environment;

/// Credentials without a host cannot belong to several.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the credentials from {source_name} belong to one registry, but this command pushes to {}",
    hosts.join(", ")
)]
struct SeveralHosts {
    source_name: &'static str,
    hosts: Vec<String>,
}

impl Classified for SeveralHosts {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![
            "push to one registry at a time, log in to each with `dockless login HOST`, or set `DOCKLESS_REGISTRY_<HOST>_USERNAME` and `…_PASSWORD`"
                .into(),
        ]
    }
}

/// What a client is for.
#[derive(Debug)]
pub(super) struct Purpose<'a> {
    /// What the command line says of the network.
    pub(super) network: &'a NetworkRequest,
    /// The registries that are pushed to.
    pub(super) hosts: &'a BTreeSet<String>,
    /// Those of the command line, for the one host that is pushed to.
    pub(super) credentials: Option<&'a Credentials>,
    /// What the project's config says of repositories and their variables; a layout has none.
    pub(super) publish: Option<&'a PublishSettings>,
}

/// A client that sends the given credentials to the one host that is pushed to, those of the config
/// to the config's own registries, and neither to anybody else.
pub(super) fn client(context: &Context, purpose: &Purpose<'_>) -> Result<Client> {
    let Purpose { network, hosts, credentials, publish } = *purpose;
    let environment = &context.environment;
    let several =
        |source_name| SeveralHosts { source_name, hosts: hosts.iter().cloned().collect() };
    let mut explicit = Vec::new();
    if let Some(host) = hosts.first() {
        let is_only_one = hosts.len() == 1;
        match credentials {
            Some(_) if !is_only_one => return Err(several("`--username`").into()),
            Some(Credentials { username, password }) => {
                explicit.push(Explicit::new(host, username, password.clone()));
            }
            None => {}
        }
        explicit.extend(Explicit::from_environment(environment, host));
        if !is_only_one && explicit.iter().any(Explicit::is_meant) {
            return Err(several("the environment").into());
        }
    }
    let of_config = publish.and_then(|publish| variables_of_config(publish, environment));
    let of_clouds = of_clouds(context, network);
    let keychains =
        keychains::standard(explicit, of_config, of_clouds, environment, &context.commands);
    Ok(with_keychains(context, network, keychains))
}

/// A client for a command that pushes nothing. What is in the environment for the one registry that the
/// project is pushed to goes there, and to nobody where that is not one.
pub(super) fn client_for_pulls(
    context: &Context,
    network: &NetworkRequest,
    publish: &PublishSettings,
) -> Result<Client> {
    let mut hosts = hosts_of_config(publish, &context.environment);
    if hosts.len() > 1 {
        hosts.clear();
    }
    let purpose = Purpose { network, hosts: &hosts, credentials: None, publish: Some(publish) };
    client(context, &purpose)
}

/// The variables of `credentials_env_prefix`, bound to the registries of the config that names them.
fn variables_of_config(
    publish: &PublishSettings,
    environment: &Environment,
) -> Option<ConfigVariables> {
    let prefix = publish.credentials_env_prefix.as_deref()?;
    Some(ConfigVariables::new(environment, prefix, hosts_of_config(publish, environment)))
}

/// The registries of the config's repositories.
fn hosts_of_config(publish: &PublishSettings, environment: &Environment) -> BTreeSet<String> {
    // A repository whose variables are not set is not pushed to: it has no host.
    let repositories = publish.repositories.iter().filter_map(|template| {
        template.expand(environment).ok()?.parse::<Reference>().ok().map(|found| found.repository)
    });
    repositories.map(|repository| repository.registry().to_owned()).collect()
}

/// A client that knows these credentials for this registry, and no others.
pub(super) fn client_for_login(
    context: &Context,
    registry: &str,
    credentials: &Credentials,
    network: &NetworkRequest,
) -> Client {
    let Credentials { username, password } = credentials;
    let explicit = Explicit::new(registry, username, password.clone());
    with_keychains(context, network, vec![Arc::new(explicit)])
}

/// A client that is only asked where a push to this registry would have its credentials from.
pub(super) fn client_for_sources(context: &Context, registry: &str) -> Client {
    let explicit = Explicit::from_environment(&context.environment, registry);
    let network = NetworkRequest::default();
    let of_clouds = of_clouds(context, &network);
    let keychains =
        keychains::standard(explicit, None, of_clouds, &context.environment, &context.commands);
    with_keychains(context, &network, keychains)
}

/// What a login at a cloud is good for at its registries; nobody is asked before one of them is called.
fn of_clouds(context: &Context, network: &NetworkRequest) -> Vec<Arc<dyn Keychain>> {
    let Context { environment, commands, clock, events, .. } = context;
    let api = Arc::new(cloud_client(context, network));
    let https = Https::new(settings(network, environment), events.clone(), clock.clone());
    cloud::RegistryLogins { api, https, environment, commands, clock }.keychains()
}

/// A client for clouds, which are reached as the registries are.
pub(super) fn cloud_client(context: &Context, network: &NetworkRequest) -> cloud::Client {
    cloud::Client::new(cloud::ClientOptions {
        settings: settings(network, &context.environment),
        environment: context.environment.clone(),
        events: context.events.clone(),
        clock: context.clock.clone(),
    })
}

fn with_keychains(
    context: &Context,
    network: &NetworkRequest,
    keychains: Vec<Arc<dyn Keychain>>,
) -> Client {
    Client::new(ClientOptions {
        settings: settings(network, &context.environment),
        keychains,
        events: context.events.clone(),
        clock: context.clock.clone(),
        cleanup: context.cleanup.clone(),
    })
}

/// What the command line and the environment say of the network.
pub(super) fn settings(network: &NetworkRequest, environment: &Environment) -> Settings {
    let NetworkRequest {
        insecure,
        skip_tls_verify,
        authorities,
        client_certificates,
        map,
        timeout,
    } = network.clone();
    let folders = environment.get("SSL_CERT_DIR").map(std::env::split_paths);
    Settings {
        insecure,
        skip_tls_verify,
        authorities,
        system_file: environment.get("SSL_CERT_FILE").map(PathBuf::from),
        system_folders: folders.into_iter().flatten().collect(),
        client_certificates,
        certificate_folders: certificate_folders(environment),
        proxies: Proxies::from_environment(environment),
        map,
        total: timeout,
        ..Settings::default()
    }
}

/// The folders of containers-certs.d(5) and of Docker with and without root, in this order, or
/// those that `DOCKLESS_CERTS_DIR` names.
fn certificate_folders(environment: &Environment) -> Vec<PathBuf> {
    if let Some(folders) = environment.get("DOCKLESS_CERTS_DIR") {
        return std::env::split_paths(folders).collect();
    }
    let home = environment.home().map(|home| home.join(".config"));
    let of = |tool: &str| {
        let own = home.iter().map(|home| home.join(tool).join("certs.d")).collect::<Vec<_>>();
        own.into_iter().chain([Path::new("/etc").join(tool).join("certs.d")])
    };
    of("containers").chain(of("docker")).collect()
}
