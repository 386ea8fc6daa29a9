//! Decides what a request says about who we are: challenges learned, tokens kept, credentials found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use tokio::sync::OnceCell;

use super::answer::Answer;
use super::challenge::{self, Challenge};
use super::error::{Error, after_colon};
use super::hints::Login;
use super::http::HttpClients;
use super::keychain::{Credential, Keychain, Search};
use super::lock::lock;
use super::mask::Mask;
use super::origin::{Origin, place};
use super::retry::Fault;
use super::secret::Secret;
use super::token::{Token, TokenRequest};
use crate::event::Events;
use crate::oci::Repository;
use crate::sys::Clock;

/// What is known about logging in, for all registries of a run.
#[derive(Debug)]
pub(super) struct Authenticator {
    keychains: Vec<Arc<dyn Keychain>>,
    events: Events,
    clock: Arc<dyn Clock>,
    /// Learns every secret before anybody is told it.
    mask: Arc<Mask>,
    challenges: Mutex<BTreeMap<Origin, Challenge>>,
    searches: Mutex<BTreeMap<Repository, Arc<Asked>>>,
    tokens: Mutex<BTreeMap<TokenKey, Arc<Slot>>>,
}

/// What the keychains say about one repository.
#[derive(Debug, Default)]
struct Asked {
    /// What they said before that ran out.
    before: Option<Search>,
    now: OnceCell<Search>,
}

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct TokenKey {
    home: Origin,
    repository: Repository,
    scopes: BTreeSet<String>,
}

/// One token; whoever holds the lock fetches it, the others wait for the result.
type Slot = tokio::sync::Mutex<Option<Token>>;

/// A request that may need credentials.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The registry's origin, the only one that gets them.
    pub(super) home: &'a Origin,
    pub(super) repository: &'a Repository,
    pub(super) scopes: &'a BTreeSet<String>,
    pub(super) action: &'a str,
}

/// The `Authorization` of one request.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) header: HeaderValue,
    /// It was made for this request: when it is refused, no other will be accepted.
    pub(super) is_fresh: bool,
    token: Option<Token>,
}

impl Authenticator {
    /// Asks these keychains, in this order.
    pub(super) fn new(
        keychains: Vec<Arc<dyn Keychain>>,
        events: Events,
        clock: Arc<dyn Clock>,
        mask: Arc<Mask>,
    ) -> Self {
        let (challenges, searches, tokens) = Default::default();
        Self { keychains, events, clock, mask, challenges, searches, tokens }
    }

    /// What to send; nothing before the registry asked for anything.
    pub(super) async fn grant(
        &self,
        wanted: Wanted<'_>,
        http: &HttpClients,
    ) -> Result<Option<Grant>, Fault> {
        let challenge = lock(&self.challenges).get(wanted.home).cloned();
        let Some(challenge) = challenge else { return Ok(None) };
        let home = wanted.home.host();
        let search = self.search(wanted.repository).await;
        match (&challenge, search.credential()) {
            (_, Some(Credential::Bearer { token })) => {
                Ok(Some(Grant { header: bearer(token, home)?, is_fresh: true, token: None }))
            }
            (Challenge::Basic, Some(Credential::Password { username, password })) => {
                let header = basic(username, password);
                Ok(Some(Grant { header, is_fresh: true, token: None }))
            }
            // An identity token is for token servers; there is none here.
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { realm, service, .. }, _) => {
                let slot = self.slot(wanted);
                let mut kept = slot.lock().await;
                if let Some(token) =
                    kept.as_ref().filter(|token| token.use_until > self.clock.now())
                {
                    let header = bearer(&token.text, home)?;
                    return Ok(Some(Grant { header, is_fresh: false, token: kept.clone() }));
                }
                let request = TokenRequest {
                    repository: wanted.repository,
                    home: wanted.home,
                    realm,
                    service: service.as_deref(),
                    scopes: wanted.scopes,
                    search: &search,
                    mask: &self.mask,
                    events: &self.events,
                };
                let token = request.fetch(http, self.clock.as_ref()).await?;
                self.mask.learn(&token.text);
                *kept = Some(token.clone());
                Ok(Some(Grant {
                    header: bearer(&token.text, home)?,
                    is_fresh: true,
                    token: Some(token),
                }))
            }
        }
    }

    /// Learns from a 401: `Ok` when another try makes sense, with the scopes that were asked for.
    pub(super) async fn refused(
        &self,
        wanted: Wanted<'_>,
        grant: Option<&Grant>,
        mut answer: Answer,
    ) -> Result<BTreeSet<String>, Fault> {
        let headers = answer.headers().get_all(WWW_AUTHENTICATE);
        let chosen =
            challenge::choose(wanted.home, headers.iter().filter_map(|value| value.to_str().ok()));
        let detail = answer.error_body().await.text().to_owned();
        self.show_token_server(wanted, chosen.as_ref().ok());
        let known = lock(&self.challenges).get(wanted.home).cloned();
        let challenge = match (chosen, known) {
            (Ok(challenge), _) => challenge,
            // Some say how to log in once, and later only that it did not help.
            (Err(_), Some(known)) if !answer.headers().contains_key(WWW_AUTHENTICATE) => known,
            (Err(reason), _) => {
                let reason = format!("{reason}{}", after_colon(&detail));
                return Err(Fault::permanent(answer.nonsense(reason)));
            }
        };
        let asked = match &challenge {
            Challenge::Bearer { scopes, .. } => scopes.clone(),
            Challenge::Basic => BTreeSet::new(),
        };
        lock(&self.challenges).insert(wanted.home.clone(), challenge.clone());
        let search = self.search(wanted.repository).await;
        let may_help = match grant {
            Some(grant) if grant.is_fresh => !asked.is_subset(wanted.scopes),
            Some(grant) => {
                self.forget(wanted, grant).await;
                true
            }
            // The request went out before anybody knew the challenge.
            None => challenge.can_be_met(search.credential()),
        };
        if may_help {
            return Ok(asked);
        }
        let token = grant.and_then(|grant| grant.token.as_ref());
        Err(Fault::permanent(refusal(wanted, &challenge, token, &search, detail)))
    }

    /// What was found for a repository, if that was looked up.
    pub(super) fn known(&self, repository: &Repository) -> Search {
        let asked = lock(&self.searches).get(repository).cloned();
        asked.and_then(|asked| asked.now.get().cloned()).unwrap_or_default()
    }

    /// Drops a token that was refused, unless another worker has replaced it already.
    async fn forget(&self, wanted: Wanted<'_>, grant: &Grant) {
        let slot = self.slot(wanted);
        let mut kept = slot.lock().await;
        if *kept == grant.token {
            *kept = None;
        }
    }

    /// A token server elsewhere, if only on another port, is legal, and worth knowing about: it gets
    /// the password.
    fn show_token_server(&self, wanted: Wanted<'_>, challenge: Option<&Challenge>) {
        if let Some(Challenge::Bearer { realm, .. }) = challenge
            && Origin::of(realm).as_ref() != Some(wanted.home)
        {
            let registry = wanted.repository.registry();
            let server = self.mask.hide(&place(realm));
            self.events.detail(format!("`{registry}` has its tokens from `{server}`"));
        }
    }

    fn slot(&self, wanted: Wanted<'_>) -> Arc<Slot> {
        let key = TokenKey {
            home: wanted.home.clone(),
            repository: wanted.repository.clone(),
            scopes: wanted.scopes.clone(),
        };
        Arc::clone(lock(&self.tokens).entry(key).or_default())
    }

    /// What the keychains say about a repository; asked once, and again when it has run out.
    pub(super) async fn search(&self, repository: &Repository) -> Search {
        let asked = {
            let mut searches = lock(&self.searches);
            let asked = searches.entry(repository.clone()).or_default();
            let before = asked.now.get().filter(|search| search.is_stale(self.clock.now()));
            if let Some(before) = before.cloned() {
                *asked = Arc::new(Asked { before: Some(before), now: OnceCell::new() });
            }
            Arc::clone(asked)
        };
        let run = async || {
            let clock = self.clock.as_ref();
            let search = Search::run(&self.keychains, repository, &self.events, clock).await;
            if let Some((credential, _)) = &search.found {
                self.mask.learn_credential(credential);
            }
            match &asked.before {
                // A helper that fails now does not take away what it gave: it may still be good.
                Some(before) if search.found.is_none() => {
                    Search { use_until: None, ..before.clone() }
                }
                _ => search,
            }
        };
        asked.now.get_or_init(run).await.clone()
    }
}

/// Why no other request would be accepted. `token` is a fresh one, made for the one that was refused.
fn refusal(
    wanted: Wanted<'_>,
    challenge: &Challenge,
    token: Option<&Token>,
    search: &Search,
    detail: String,
) -> Error {
    let (action, host) = (wanted.action.to_owned(), wanted.repository.registry().to_owned());
    let (identity, credential) = (search.identity(), search.credential());
    let login = Box::new(Login::of(wanted.repository, search, wanted.scopes));
    match (challenge, identity) {
        (Challenge::Basic, Some(useless)) if !challenge.can_be_met(credential) => {
            let detail = format!("it takes a user name and a password, not {useless}");
            Error::Unauthorized { action, host, identity: None, detail, login }
        }
        (Challenge::Bearer { realm, error: Some(error), .. }, _)
            if token.is_some() && error == "invalid_token" =>
        {
            let server = place(realm);
            let detail =
                format!("it does not trust the tokens of `{server}`{}", after_colon(&detail));
            Error::Refused { action, host, status: 401, detail }
        }
        // The token server has accepted the login, so that it is the right that is missing.
        (Challenge::Bearer { .. }, identity @ Some(_)) if token.is_some() => {
            let detail = format!("the login is good, the right is missing{}", after_colon(&detail));
            Error::Denied { action, host, identity, detail, login: Some(login) }
        }
        (_, identity) => Error::Unauthorized { action, host, identity, detail, login },
    }
}

/// A `Basic` header (RFC 7617).
pub(super) fn basic(username: &str, password: &Secret) -> HeaderValue {
    let pair = BASE64_STANDARD.encode(format!("{username}:{}", password.expose()));
    let mut header =
        HeaderValue::try_from(format!("Basic {pair}")).expect("base64 is fit for a header");
    header.set_sensitive(true);
    header
}

fn bearer(token: &Secret, host: &str) -> Result<HeaderValue, Fault> {
    let mut header = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| {
        Fault::permanent(Error::Settings {
            host: host.to_owned(),
            reason: "its token holds characters that no header can carry".into(),
        })
    })?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;

    use super::super::keychain::Lookup;
    use super::*;
    use crate::sys::ManualClock;

    /// Lends another password each time, three times.
    #[derive(Debug, Default)]
    struct Lender(AtomicU32);

    #[async_trait]
    impl Keychain for Lender {
        fn name(&self, _: &Repository) -> String {
            "the lender".into()
        }

        async fn find(&self, _: &Repository) -> Lookup {
            let username = match self.0.fetch_add(1, Ordering::Relaxed) {
                3.. => return Lookup::Broken("it has closed".into()),
                number => number.to_string(),
            };
            let password = Secret::new("canary");
            let credential = Credential::Password { username, password };
            Lookup::Lent(credential, Duration::from_mins(1))
        }
    }

    #[tokio::test]
    async fn a_credential_that_runs_out_is_asked_for_again() {
        let clock = Arc::new(ManualClock::at(0));
        let keychains: Vec<Arc<dyn Keychain>> = vec![Arc::new(Lender::default())];
        let mask = Arc::default();
        let authenticator = Authenticator::new(keychains, Events::none(), clock.clone(), mask);
        let repository: Repository = "r.io/a".parse().unwrap();
        for (seconds, user) in [(0, 0), (59, 0), (1, 1), (59, 1), (1, 2), (60, 2), (60, 2)] {
            clock.sleep(Duration::from_secs(seconds)).await;
            let identity = authenticator.search(&repository).await.identity();
            assert_eq!(identity, Some(format!("user `{user}` from the lender")));
        }
    }

    #[test]
    fn headers_do_not_show_what_they_carry() {
        let basic = basic("bob", &Secret::new("canary:with:colons"));
        assert_eq!(basic.to_str().unwrap(), "Basic Ym9iOmNhbmFyeTp3aXRoOmNvbG9ucw==");
        let bearer = bearer(&Secret::new("canary"), "r.io").unwrap();
        assert_eq!(format!("{basic:?} {bearer:?}"), "Sensitive Sensitive");
        assert!(super::bearer(&Secret::new("a\r\nHost: evil"), "r.io").is_err());
    }
}
