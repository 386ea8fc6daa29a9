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
    let several =
        |source_name| SeveralHosts { source_name, hosts: hosts.iter().cloned().collect() };
    let from_environment =
        |host: &str| Explicit::from_environment(environment, host, environment_prefix);
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
        explicit.extend(from_environment(host));
        if !is_only_one && !explicit.is_empty() {
            return Err(several("the environment").into());
        }
    }
    Ok(Client::new(ClientOptions {
        settings: Settings::default(),
        keychains: keychains::standard(explicit, environment, &context.commands),
        events: context.events.clone(),
        clock: context.clock.clone(),
    }))
}
