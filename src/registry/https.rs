//! HTTP to services that are no registries, with what registries have: the same TLS, proxies, patience
//! and discretion.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Request, Url};

use super::address::Reach;
use super::error::Error;
use super::exchange::Exchange;
use super::http::HttpClients;
use super::mask::Mask;
use super::origin::place;
#[cfg(feature = "azure")]
use super::proxy::Proxies;
use super::retry::{Fault, Patience, Retry, Tries};
use super::retry_after;
use super::secret::Secret;
use super::settings::Settings;
use crate::event::Events;
use crate::sys::Clock;

/// The most that is read of an answer.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Sends requests of others; all share connections, patience, and what must not be repeated.
#[derive(Debug)]
pub struct Https {
    http: HttpClients,
    patience: Arc<Patience>,
    mask: Arc<Mask>,
    events: Events,
    clock: Arc<dyn Clock>,
}

/// A whole answer, whatever it says.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// What `Retry-After` asks for.
    pub(crate) retry: Option<Retry>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct NoReply {
    /// What happened.
    pub(crate) error: Box<Error>,
    /// What it says about trying again.
    pub(crate) retry: Retry,
    /// Whether the other side may have got the request.
    pub(crate) was_sent: bool,
}

impl Https {
    /// Speaks to whoever is asked for as these settings have it for every host, and for hosts that they name. What
    /// they allow registries to do without (TLS, a certificate that counts) is for registries alone.
    pub fn new(settings: Settings, events: Events, clock: Arc<dyn Clock>) -> Self {
        let settings = Settings {
            insecure: BTreeSet::new(),
            skip_tls_verify: BTreeSet::new(),
            certificate_folders: Vec::new(),
            ..settings
        };
        let mask = Arc::new(Mask::default());
        settings.proxies.teach(&mask);
        let (limit, total) = (settings.patience, settings.total);
        let patience = Arc::new(Patience::new(clock.clone(), events.clone(), limit, total));
        let http = HttpClients::new(settings, events.clone());
        Self { http, patience, mask, events, clock }
    }

    /// The same without proxies, for what is within this machine or beside it.
    #[cfg(feature = "azure")]
    pub(crate) fn without_proxies(&self) -> Self {
        let settings = Settings { proxies: Proxies::default(), ..self.http.settings().clone() };
        Self {
            http: HttpClients::new(settings, self.events.clone()),
            patience: Arc::clone(&self.patience),
            mask: Arc::clone(&self.mask),
            events: self.events.clone(),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Begins to count the tries of one request.
    pub(crate) fn begin(&self) -> Tries {
        self.patience.begin()
    }

    /// An answer was what somebody hoped for: the patience of all begins anew.
    pub(crate) fn confirm_progress(&self) {
        self.patience.confirm_progress();
    }

    /// Hides this from now on in what others say.
    pub(crate) fn learn(&self, secret: &Secret) {
        self.mask.learn(secret);
    }

    /// What somebody else says, fit to be shown: one line, without what is hidden.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.mask.clean(text)
    }

    /// Sends a request once, without following redirects, and reads the whole answer.
    ///
    /// # Errors
    /// There is no answer, or not all of it.
    pub(crate) async fn send(&self, request: Request, action: &str) -> Result<Reply, NoReply> {
        let unsent =
            |error: Error| NoReply { error: Box::new(error), retry: Retry::Never, was_sent: false };
        let url: Url = request.url().clone();
        // Who calls us has chosen the host: it may be anywhere.
        let client = self.http.client(&url, Reach::Forbidden).map_err(unsent)?;
        let exchange = Exchange {
            action: action.to_owned(),
            host: place(&url),
            limits: self.http.settings().stall,
            mask: Arc::clone(&self.mask),
            events: self.events.clone(),
        };
        let _awaited = self.events.await_answer(action);
        let mut answer = exchange.send(&client, request, 0, &|| 0).await?;
        let body = answer.body(MAX_BYTES).await?;
        let wait = answer.header("retry-after").and_then(|header| {
            retry_after::parse(header, answer.header("date"), self.clock.unix_seconds())
        });
        Ok(Reply {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body,
            retry: wait.map(Retry::After),
        })
    }
}

impl From<Fault> for NoReply {
    fn from(Fault { error, retry }: Fault) -> Self {
        let was_sent =
            !matches!(*error, Error::Unreachable { .. } | Error::Tls { .. } | Error::Proxy { .. });
        Self { error, retry, was_sent }
    }
}
