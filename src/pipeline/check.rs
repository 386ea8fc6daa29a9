//! `dockless check`: asks every registry of a project whether a push would get through, and writes nothing.

mod targets;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::clouds::Clouds;
use super::destinations::{Destinations, DestinationsError};
use super::environment::{self, Values};
use super::{Context, Credentials, NetworkRequest, ProjectRequest};
use super::{client, project, push, runtime, tags};
use crate::config::Base;
use crate::error::{Classified, Error, ErrorKind, Result};
use crate::oci::Reference;
use crate::plan::{self, Need};
use crate::registry::{self, Client, Sources};
use targets::TargetCheck;

/// `dockless check`.
#[derive(Debug, Clone, Default)]
pub struct CheckRequest {
    /// The project.
    pub project: ProjectRequest,
    /// Repositories and full references, instead of the config's; empty keeps them.
    pub to: Vec<String>,
    /// Credentials for the one host that is pushed to.
    pub credentials: Option<Credentials>,
    /// The environment whose targets are looked at; none is when it is not named.
    pub environment: Option<String>,
}

/// What every registry and target said.
#[derive(Debug, Default)]
pub struct CheckReport {
    checks: Vec<Check>,
    targets: Vec<TargetCheck>,
}

/// One right at one repository.
#[derive(Debug)]
struct Check {
    reference: Reference,
    right: Right,
    way: Way,
    sources: Sources,
    result: Result<()>,
}

/// How a registry is spoken to, as far as it has answered.
#[derive(Debug, Default)]
struct Way {
    /// For people.
    text: &'static str,
    has_tls: Option<bool>,
    /// `host:port` of the proxy on the way.
    proxy: Option<String>,
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

/// Asks to pull the base and every image that files are taken from, and to push to every repository of a project, all at the same time.
///
/// # Errors
/// The project cannot be understood. What registries say is in the report.
pub fn check(request: &CheckRequest, context: &Context) -> Result<CheckReport> {
    let CheckRequest { project: request, to, credentials, environment } = request;
    let project = project::load(request, context)?;
    let arguments = tags::parse(request, true, context)?;
    let mut destinations = Destinations::default();
    match push::add_repositories(&mut destinations, &project.config, to, &arguments, context) {
        Err(error) if !matches!(error.downcast_ref(), Some(DestinationsError::Nowhere { .. })) => {
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
        publish: Some(&project.config.publish),
    };
    let client = client::client(context, &purpose)?;
    let needs = plan::needs(&project.sources);
    let images = needs.iter().filter_map(|need| match need {
        Need::Image(need) => Some(&need.image),
        Need::Tree(_) | Need::File { .. } => None,
    });
    for image in images.chain([&project.config.base]) {
        if let Base::Registry(reference) = image {
            // What is mapped is pulled from elsewhere: that is where it has to be allowed.
            let repository = client.source_of(&reference.repository)?;
            questions.insert((Reference { repository, ..reference.clone() }, Right::Pull));
        }
    }
    let environment = environment.as_deref();
    let chosen = environment
        .map(|name| environment::choose(&project, Some(name), Values::Needed, context))
        .transpose()?;
    // The time is measured for each question: a registry that stalls does not hide the others.
    runtime::run(context, None, async {
        let ask = async |(reference, right)| {
            let question = ask(&reference, right, &client);
            let (result, sources) = tokio::select! {
                biased;
                late = runtime::out_of_time(context, request.network.timeout) => {
                    (Err(late.into()), client.known_sources(&reference.repository))
                }
                answer = question => answer,
            };
            Check { reference, right, way: Way::default(), sources, result }
        };
        let mut checks = join_all(questions.into_iter().map(ask)).await;
        for check in &mut checks {
            check.way = Way::to(check.reference.repository.registry(), &client, &request.network);
        }
        let targets = match &chosen {
            Some(chosen) => {
                targets::check(chosen, &Clouds::new(context, &request.network, None)).await
            }
            None => Vec::new(),
        };
        Ok(CheckReport { checks, targets })
    })
}

/// Asks for one right, then whose credentials are used.
async fn ask(reference: &Reference, right: Right, client: &Client) -> (Result<()>, Sources) {
    let repository = &reference.repository;
    let result = match right {
        Right::Pull => client.fetch_manifest(reference).await.map(drop),
        Right::Push => {
            let tag = reference.tag.as_deref().unwrap_or("latest");
            Box::pin(client.prove_push(repository, tag)).await
        }
    };
    (result, client.sources(repository).await)
}

impl Way {
    fn to(registry: &str, client: &Client, network: &NetworkRequest) -> Self {
        let scheme = client.scheme(registry);
        let text = match scheme {
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
        let has_tls = scheme.map(|scheme| scheme == "https");
        Self { text, has_tls, proxy: client.proxy(registry) }
    }
}

impl Check {
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

    /// Why the sources before the one that won had nothing, where that may be what is wrong; the
    /// error says so itself when none had anything.
    fn tried(&self, error: &Error) -> &[String] {
        use registry::Error::{Denied, NoImage, NotFound, Unauthorized};
        match error.downcast_ref().map(registry::Error::root) {
            Some(
                Unauthorized { identity: Some(_), .. }
                | Denied { .. }
                | NotFound { .. }
                | NoImage { .. },
            ) => &self.sources.tried,
            _ => &[],
        }
    }

    /// Writes the block of this check; what helps stands there once for all checks of a registry.
    fn write(&self, text: &mut String, told: &mut BTreeSet<String>) {
        let answer = if self.result.is_ok() { "allowed" } else { "FAILED" };
        let _ = writeln!(text, "  {}: {answer}", self.name());
        let identity = self.sources.found.as_ref().map(ToString::to_string);
        let _ = writeln!(
            text,
            "    as {}",
            identity.unwrap_or_else(|| "nobody, without credentials".into())
        );
        let Err(error) = &self.result else { return };
        let _ = writeln!(text, "    error: {error}");
        let tried = self.tried(error).iter().map(|line| format!("nothing from {line}"));
        let hints = error.hints().into_iter().map(|hint| format!("hint: {hint}"));
        for line in tried.chain(hints) {
            if told.insert(line.clone()) {
                let _ = writeln!(text, "    {line}");
            }
        }
    }

    fn document(&self) -> Value {
        let error = self.result.as_ref().err().map(error_document);
        let right = match self.right {
            Right::Pull => "pull",
            Right::Push => "push",
        };
        let found = self.sources.found.as_ref();
        json!({
            "registry": self.reference.repository.registry(),
            "repository": self.reference.repository.to_string(),
            "right": right,
            "is_allowed": self.result.is_ok(),
            "transport": self.way.text,
            "tls": self.way.has_tls,
            "proxy": self.way.proxy,
            "identity": found.map(ToString::to_string),
            "user": found.and_then(|found| found.user.as_deref()),
            "source": found.map(|found| found.source.replace('`', "")),
            "tried": self.sources.tried,
            "error": error,
        })
    }
}

/// An error in a document.
pub(super) fn error_document(error: &Error) -> Value {
    json!({
        "kind": error.kind().name(),
        "exit_code": error.kind().exit_code(),
        "message": error.lines(),
        "hints": error.hints(),
        "is_retryable": error.is_retryable(),
    })
}

impl CheckReport {
    /// The report for people: one block per registry.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let (mut registry, mut told) = (None, BTreeSet::new());
        for check in &self.checks {
            let this = check.reference.repository.registry();
            if registry != Some(this) {
                let Way { text: way, proxy, .. } = &check.way;
                let proxy = proxy.as_ref().map(|proxy| format!(", through the proxy {proxy}"));
                let _ = writeln!(text, "{this}: {way}{}", proxy.unwrap_or_default());
                registry = Some(this);
                told.clear();
            }
            check.write(&mut text, &mut told);
        }
        if self.checks.is_empty() {
            text.push_str("there is no registry to check\n");
        }
        for target in &self.targets {
            target.write(&mut text);
        }
        text
    }

    /// The report as one JSON document.
    pub fn document(&self) -> Value {
        json!({
            "checks": self.checks.iter().map(Check::document).collect::<Vec<_>>(),
            "targets": self.targets.iter().map(TargetCheck::document).collect::<Vec<_>>(),
            "exit_code": self.kind().map_or(0, ErrorKind::exit_code),
        })
    }

    /// Whose turn it is, when not everything is as it should be: what the user can cure decides
    /// before what may be an accident.
    fn kind(&self) -> Option<ErrorKind> {
        let mut kinds = self.failures().map(Error::kind);
        let first = kinds.next()?;
        let is_usage = first == ErrorKind::Usage || kinds.any(|kind| kind == ErrorKind::Usage);
        Some(if is_usage { ErrorKind::Usage } else { ErrorKind::Failed })
    }

    /// Whether everything is as it should be.
    ///
    /// # Errors
    /// It is not.
    pub fn into_result(self) -> Result<()> {
        let Some(kind) = self.kind() else { return Ok(()) };
        let (failed, all) = (self.failures().count(), self.checks.len() + self.targets.len());
        Err(ChecksFailed { failed, all, kind }.into())
    }

    fn failures(&self) -> impl Iterator<Item = &Error> {
        let of_registries = self.checks.iter().filter_map(|check| check.result.as_ref().err());
        of_registries.chain(self.targets.iter().filter_map(|check| check.result.as_ref().err()))
    }
}
