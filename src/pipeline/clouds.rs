//! The clouds of a run: one client for all of them, and sessions of targets on it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, Request, Url};

use super::{Context, NetworkRequest, client};
use crate::cloud;
use crate::deploy::{
    Deployment, Journal, NoAnswer, Prober, Service, ServiceState, Session, StateFile, Target,
};
use crate::error::Result;
use crate::event::Events;
use crate::registry::Https;

/// How long a target may take until it is well, where nobody says otherwise: App Runner takes up to 40 minutes
/// until it gives up.
const DEFAULT_WAIT: Duration = Duration::from_mins(45);

/// The clouds, as targets reach them.
#[derive(Debug)]
pub(super) struct Clouds {
    api: Arc<dyn cloud::Api>,
    prober: Option<Arc<dyn Prober>>,
    context: Context,
    wait_limit: Duration,
}

impl Clouds {
    /// Reaches them as the registries are reached.
    pub(super) fn new(
        context: &Context,
        network: &NetworkRequest,
        wait_limit: Option<Duration>,
    ) -> Self {
        let settings = client::settings(network, &context.environment);
        let https = Https::new(settings, context.events.clone(), context.clock.clone());
        let api = client::cloud_client(context, network);
        Self {
            api: Arc::new(api),
            prober: Some(Arc::new(HttpProber { https })),
            context: context.clone(),
            wait_limit: wait_limit.unwrap_or(DEFAULT_WAIT),
        }
    }

    /// The same, where services themselves are not asked.
    pub(super) fn without_probe(self) -> Self {
        Self { prober: None, ..self }
    }

    /// The client.
    pub(super) fn api(&self) -> &dyn cloud::Api {
        self.api.as_ref()
    }

    /// A session that deploys.
    pub(super) fn session(
        &self,
        target: &dyn Target,
        environment: &str,
        state: &StateFile,
    ) -> Session {
        let state = service_state(state, environment, target);
        let journal = LenientJournal { state, events: self.context.events.clone() };
        self.with_journal(Arc::new(journal))
    }

    /// A session that only looks.
    pub(super) fn looking(&self) -> Session {
        self.with_journal(Arc::new(NoJournal))
    }

    fn with_journal(&self, journal: Arc<dyn Journal>) -> Session {
        Session::new(
            self.api.clone(),
            self.context.clock.clone(),
            self.context.events.clone(),
            journal,
            self.prober.clone(),
            self.wait_limit,
        )
    }
}

/// The part of the state that is about what a target deploys.
pub(super) fn service_state(
    state: &StateFile,
    environment: &str,
    target: &dyn Target,
) -> ServiceState {
    state.service(environment, &state_key(target))
}

/// What the state calls what a target deploys.
fn state_key(target: &dyn Target) -> String {
    let subject = target.subject();
    let key = format!("{} {} {}", target.kind().name, subject.name, subject.place);
    key.trim_end().to_owned()
}

/// Where the history knows a service of the same kind and name that none of an environment's targets leads to.
pub(super) fn other_places(
    state: &StateFile,
    environment: &str,
    target: &dyn Target,
    targets: &[Box<dyn Target>],
) -> Vec<String> {
    let keys: Vec<_> = targets.iter().map(|target| state_key(target.as_ref())).collect();
    let begins = format!("{} {} ", target.kind().name, target.subject().name);
    // Without a history, nobody knows of any.
    let known = state.services(environment).unwrap_or_default();
    let others = known.into_iter().filter(|key| !keys.contains(key));
    others.filter_map(|key| key.strip_prefix(&begins).map(str::to_owned)).collect()
}

/// Writes a deployment into the history, and what was brought back after it; nothing depends on it.
pub(super) fn remember(
    state: &ServiceState,
    deployment: &Deployment,
    back: Option<&Service>,
    context: &Context,
) {
    let mut recorded = state.record(deployment);
    if let (Ok(()), Some(service)) = (&recorded, back) {
        recorded = state.record_rollback(service, Some(&deployment.image));
    }
    if let Err(error) = recorded {
        warn_of_history(&context.events, &error.into());
    }
}

/// Tells that what was done is not in the history.
pub(super) fn warn_of_history(events: &Events, error: &crate::error::Error) {
    let hint = error.hints().into_iter().next();
    events.warn("no-history", format!("the history of deployments is not kept: {error}"), hint);
}

/// A journal whose loss stops nobody: what was created is found by its name.
#[derive(Debug)]
struct LenientJournal {
    state: ServiceState,
    events: Events,
}

impl Journal for LenientJournal {
    fn intend(&self, resource: &str) -> Result<()> {
        if let Err(error) = self.state.intend(resource) {
            warn_of_history(&self.events, &error);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct NoJournal;

impl Journal for NoJournal {
    fn intend(&self, _resource: &str) -> Result<()> {
        Ok(())
    }
}

/// Asks services over the same proxies and with the same authorities as everything else.
#[derive(Debug)]
struct HttpProber {
    https: Https,
}

#[async_trait]
impl Prober for HttpProber {
    async fn get(&self, url: &str) -> std::result::Result<u16, NoAnswer> {
        let url: Url = url.parse().map_err(|_| NoAnswer::Unreachable("it is no URL".to_owned()))?;
        let answer =
            self.https.send(Request::new(Method::GET, url), "ask whether it is well").await;
        answer.map(|answer| answer.status).map_err(|failure| {
            let reason = failure.error.to_string();
            if failure.was_sent { NoAnswer::Broken(reason) } else { NoAnswer::Unreachable(reason) }
        })
    }
}
