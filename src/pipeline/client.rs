//! The registry client of a run: whose credentials go to which host.

use std::collections::BTreeSet;

use super::{Context, Credentials};
use crate::error::{Classified, ErrorKind, Result};
use crate::registry::keychains::{self, Explicit};
use crate::registry::{Client, ClientOptions, Settings};

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
            "push to one registry at a time, or log in to each with `docker login` or `podman login`"
                .into(),
        ]
    }
}

/// A client that sends the given credentials to the one host that is pushed to, and to nobody else.
pub(super) fn client(
    context: &Context,
    hosts: &BTreeSet<String>,
    credentials: Option<&Credentials>,
    environment_prefix: Option<&str>,
) -> Result<Client> {
    let environment = &context.environment;
    let several = |source_name| SeveralHosts { source_name, hosts: hosts.iter().cloned().collect() };
    let mut explicit = Vec::new();
    match hosts.first() {
        Some(host) if hosts.len() == 1 => {
            if let Some(Credentials { username, password }) = credentials {
                explicit.push(Explicit::new(host, username, password.clone()));
            }
            explicit.extend(Explicit::from_environment(environment, host, environment_prefix));
        }
        Some(_) if credentials.is_some() => return Err(several("`--username`").into()),
        Some(host) => {
            if !Explicit::from_environment(environment, host, environment_prefix).is_empty() {
                return Err(several("the environment").into());
            }
        }
        None => {}
    }
    Ok(Client::new(ClientOptions {
        settings: Settings::default(),
        keychains: keychains::standard(explicit, environment, &context.commands),
        events: context.events.clone(),
        clock: context.clock.clone(),
    }))
}
