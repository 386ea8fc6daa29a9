//! `dockless check`: asks every registry of a project whether a push would get through, and writes nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::destinations::{Destinations, DestinationsError};
use super::{Context, Credentials, NetworkRequest, ProjectRequest};
use super::{client, project, push, runtime, tags};
use crate::config::Base;
use crate::error::{Classified, Error, ErrorKind, Result};
use crate::oci::Reference;
use crate::registry::{self, Client, Sources};

/// `dockless check`.
#[derive(Debug, Clone, Default)]
pub struct CheckRequest {
    /// The project.
    pub project: ProjectRequest,
    /// Repositories and full references, instead of the config's; empty keeps them.
    pub to: Vec<String>,
    /// Credentials for the one host that is pushed to.
    pub credentials: Option<Credentials>,
}

/// What every registry said.
#[derive(Debug, Default)]
pub struct CheckReport {
    checks: Vec<Check>,
}

/// One right at one repository.
#[derive(Debug)]
struct Check {
    reference: Reference,
    right: Right,
    transport: &'static str,
    /// `host:port` of the proxy on the way.
    proxy: Option<String>,
    sources: Sources,
    result: Result<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Right {
    Pull,
    Push,
}

/// Not everything is as it should be.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {all} checks failed")]
struct ChecksFailed {
    failed: usize,
    all: usize,
    kind: ErrorKind,
}

impl Classified for ChecksFailed {
    fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// Asks to pull the base and to push to every repository of a project, all at the same time.
///
/// # Errors
/// The project cannot be understood. What registries say is in the report.
pub fn check(request: &CheckRequest, context: &Context) -> Result<CheckReport> {
    let CheckRequest { project: request, to, credentials } = request;
    let project = project::load(request, &context.events)?;
    let arguments = tags::parse(request)?;
    let mut destinations = Destinations::default();
    match push::add_repositories(&mut destinations, &project.config, to, &arguments, context) {
        Err(error) if !matches!(error.downcast_ref(), Some(DestinationsError::Nowhere)) => {
            return Err(error);
        }
        // A project that is only built still has a base.
        _ => {}
    }
    let mut questions = BTreeSet::new();
    for place in destinations.references() {
        // Several tags of one repository are one question.
        let is_same = |(known, right): &(Reference, Right)| {
            *right == Right::Push && known.repository == place.repository
        };
        if !questions.iter().any(is_same) {
            questions.insert((place.clone(), Right::Push));
        }
    }
    let purpose = client::Purpose {
        network: &request.network,
        hosts: &destinations.hosts(),
        credentials: credentials.as_ref(),
        environment_prefix: project.config.publish.credentials_env_prefix.as_deref(),
    };
    let client = client::client(context, &purpose)?;
    if let Base::Registry(reference) = &project.config.base {
        // What is mapped is pulled from elsewhere: that is where it has to be allowed.
        let repository = client.source_of(&reference.repository)?;
        questions.insert((Reference { repository, ..reference.clone() }, Right::Pull));
    }
    runtime::run(context, request.network.timeout, async {
        let ask = |(reference, right)| Check::run(reference, right, &client, &request.network);
        Ok(CheckReport { checks: join_all(questions.into_iter().map(ask)).await })
    })
}

impl Check {
    async fn run(
        reference: Reference,
        right: Right,
        client: &Client,
        network: &NetworkRequest,
    ) -> Self {
        let repository = &reference.repository;
        let result = match right {
            Right::Pull => client.fetch_manifest(&reference).await.map(drop),
            Right::Push => {
                let tag = reference.tag.as_deref().unwrap_or("latest");
                Box::pin(client.prove_push(repository, tag)).await
            }
        };
        let registry = repository.registry();
        let transport = match client.scheme(registry) {
            Some("http") if network.insecure.contains(registry) => {
                "http, allowed by `--insecure-registry`"
            }
            Some("http") => "http, allowed on this machine",
            Some("https") if network.skip_tls_verify.contains(registry) => {
                "https, certificate not checked"
            }
            Some(scheme) => scheme,
            None => "not reached",
        };
        let (proxy, sources) = (client.proxy(registry), client.sources(repository).await);
        Self { reference, right, transport, proxy, sources, result }
    }

    fn name(&self) -> String {
        let path = self.reference.repository.path();
        match self.right {
            Right::Pull => {
                let name = self.reference.to_string();
                format!("pull {}", name.split_once('/').map_or(name.as_str(), |(_, path)| path))
            }
            Right::Push => format!("push {path}"),
        }
    }

    /// Why the sources before the one that won had nothing, unless the error says so already.
    fn tried(&self) -> &[String] {
        let error = self.result.as_ref().err().and_then(Error::downcast_ref::<registry::Error>);
        match error.map(registry::Error::root) {
            Some(registry::Error::Unauthorized { identity: None, .. }) => &[],
            _ => &self.sources.tried,
        }
    }

    fn write(&self, text: &mut String) {
        let answer = if self.result.is_ok() { "allowed" } else { "FAILED" };
        let _ = writeln!(text, "  {}: {answer}", self.name());
        let identity = self.sources.found.as_deref().unwrap_or("nobody, without credentials");
        let _ = writeln!(text, "    as {identity}");
        for line in self.tried() {
            let _ = writeln!(text, "    nothing from {line}");
        }
        if let Err(error) = &self.result {
            let _ = writeln!(text, "    error: {error}");
            for hint in error.hints() {
                let _ = writeln!(text, "    hint: {hint}");
            }
        }
    }

    fn document(&self) -> Value {
        let error = self.result.as_ref().err().map(|error| {
            json!({
                "kind": error.kind().name(),
                "message": error.lines(),
                "hints": error.hints(),
            })
        });
        let right = match self.right {
            Right::Pull => "pull",
            Right::Push => "push",
        };
        json!({
            "registry": self.reference.repository.registry(),
            "repository": self.reference.repository.to_string(),
            "right": right,
            "is_allowed": self.result.is_ok(),
            "transport": self.transport,
            "proxy": self.proxy,
            "identity": self.sources.found,
            "tried": self.sources.tried,
            "error": error,
        })
    }
}

impl CheckReport {
    /// The report for people: one block per registry.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut registry = None;
        for check in &self.checks {
            let this = check.reference.repository.registry();
            if registry != Some(this) {
                let way = check.proxy.as_ref().map(|proxy| format!(", through the proxy {proxy}"));
                let _ = writeln!(text, "{this}: {}{}", check.transport, way.unwrap_or_default());
                registry = Some(this);
            }
            check.write(&mut text);
        }
        if self.checks.is_empty() {
            text.push_str("there is no registry to check\n");
        }
        text
    }

    /// The report as one JSON document.
    pub fn document(&self) -> Value {
        json!({"checks": self.checks.iter().map(Check::document).collect::<Vec<_>>()})
    }

    /// Whether everything is as it should be.
    ///
    /// # Errors
    /// It is not. What the user can cure decides the kind before what may be an accident.
    pub fn into_result(self) -> Result<()> {
        let all = self.checks.len();
        let errors: Vec<_> =
            self.checks.into_iter().filter_map(|check| check.result.err()).collect();
        let is_usage = errors.iter().any(|error| error.kind() == ErrorKind::Usage);
        let kind = if is_usage { ErrorKind::Usage } else { ErrorKind::Failed };
        match errors.len() {
            0 => Ok(()),
            failed => Err(ChecksFailed { failed, all, kind }.into()),
        }
    }
}
