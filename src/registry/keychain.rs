//! Where credentials come from: the contract, and asking the sources in order.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::secret::Secret;
use crate::event::Events;
use crate::oci::Repository;
use crate::sys::Clock;

/// One source of credentials.
#[async_trait]
pub trait Keychain: fmt::Debug + Send + Sync {
    /// What to call it in messages about a repository: the file, or the variable that a person looks
    /// at.
    fn name(&self, repository: &Repository) -> String;

    /// Whether it could have any for a repository: else it is not even told of.
    fn serves(&self, _repository: &Repository) -> bool {
        true
    }

    /// The credentials for a repository. A source that is broken says so as
    /// [`Lookup::Broken`]: the next one is asked, and a person is warned.
    async fn find(&self, repository: &Repository) -> Lookup;
}

/// What a keychain knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// These.
    Found(Credential),
    /// These, for so long: whoever needs them later asks again.
    Lent(Credential, Duration),
    /// None, and why.
    Nothing(String),
    /// It cannot be read, and why.
    Broken(String),
}

/// What convinces a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user name and a password or access token.
    Password {
        /// The user name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token for the registry's token server.
    Identity {
        /// The refresh token.
        token: Secret,
    },
    /// A token that the registry itself takes.
    Bearer {
        /// The token.
        token: Secret,
    },
}

/// Where credentials were looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The first credentials that a source had.
    pub found: Option<Found>,
    /// Why the sources before that one, or all of them, had none; one entry each.
    pub tried: Vec<String>,
}

/// Credentials that a source had, without anything secret: "user `bob` from `GITHUB_TOKEN`".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The user name; a token has none.
    pub user: Option<String>,
    /// What they are, for people.
    pub identity: String,
    /// The file or variable that had them.
    pub source: String,
}

/// Credentials and where they came from, or where they were looked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Search {
    /// The first that were found, and the name of the keychain that had them.
    pub(super) found: Option<(Credential, String)>,
    pub(super) tried: Vec<String>,
    /// When to search again.
    pub(super) use_until: Option<Instant>,
}

impl Credential {
    /// Whom it speaks for, without anything secret.
    pub fn identity(&self) -> String {
        match self {
            Self::Password { username, .. } => format!("user `{}`", username.escape_debug()),
            Self::Identity { .. } => "an identity token".into(),
            Self::Bearer { .. } => "a registry token".into(),
        }
    }
}

impl Search {
    /// Asks one keychain after the other until one has credentials.
    pub(super) async fn run(
        keychains: &[Arc<dyn Keychain>],
        repository: &Repository,
        events: &Events,
        clock: &dyn Clock,
    ) -> Self {
        let mut search = Self::default();
        for keychain in keychains.iter().filter(|keychain| keychain.serves(repository)) {
            let asked_at = clock.now();
            let name = keychain.name(repository);
            let (credential, life) = match keychain.find(repository).await {
                Lookup::Found(credential) => (credential, None),
                Lookup::Lent(credential, life) => (credential, Some(life)),
                Lookup::Nothing(reason) => {
                    search.tried.push(format!("{name}: {reason}"));
                    continue;
                }
                Lookup::Broken(reason) => {
                    let text = format!("{name}: {reason}");
                    events.warn("credentials-unreadable", text.clone(), None);
                    search.tried.push(text);
                    continue;
                }
            };
            search.found = Some((credential, name));
            search.use_until = life.and_then(|life| asked_at.checked_add(life));
            break;
        }
        if let Some(found) = search.identity() {
            events.detail(format!("`{}`: using {found}", repository.registry()));
        }
        for line in &search.tried {
            events.detail(format!("`{}`: no credentials from {line}", repository.registry()));
        }
        search
    }

    /// Whether what was found is too old to be used.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        self.use_until.is_some_and(|end| end <= now)
    }

    /// The credentials that were found.
    pub(super) fn credential(&self) -> Option<&Credential> {
        self.found.as_ref().map(|(credential, _)| credential)
    }

    /// Whom the found credentials speak for, and where they are from.
    pub(super) fn identity(&self) -> Option<String> {
        self.shown().map(|found| found.to_string())
    }

    /// What may be told of the search.
    pub(super) fn sources(self) -> Sources {
        Sources { found: self.shown(), tried: self.tried }
    }

    fn shown(&self) -> Option<Found> {
        let (credential, source) = self.found.as_ref()?;
        let user = match credential {
            Credential::Password { username, .. } => Some(username.clone()),
            Credential::Identity { .. } | Credential::Bearer { .. } => None,
        };
        Some(Found { user, identity: credential.identity(), source: source.clone() })
    }
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} from {}", self.identity, self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::sys::ManualClock;

    #[derive(Debug)]
    struct Fixed(&'static str, Lookup);

    #[async_trait]
    impl Keychain for Fixed {
        fn name(&self, _: &Repository) -> String {
            self.0.into()
        }

        async fn find(&self, _: &Repository) -> Lookup {
            self.1.clone()
        }
    }

    #[tokio::test]
    async fn the_first_with_credentials_wins_and_the_others_say_why_not() {
        let credential =
            Credential::Password { username: "bob".into(), password: Secret::new("canary") };
        let keychains: Vec<Arc<dyn Keychain>> = vec![
            Arc::new(Fixed("one", Lookup::Nothing("empty".into()))),
            Arc::new(Fixed("two", Lookup::Broken("damaged".into()))),
            Arc::new(Fixed("three", Lookup::Found(credential.clone()))),
            Arc::new(Fixed("four", Lookup::Broken("never asked".into()))),
        ];
        let (events, receiver) = Events::channel();
        let search =
            Search::run(&keychains, &"r.io/a".parse().unwrap(), &events, &ManualClock::at(0)).await;
        assert_eq!(search.identity().as_deref(), Some("user `bob` from three"));
        assert_eq!(search.tried, ["one: empty", "two: damaged"]);
        drop(events);
        let detail = |text: &str| Event::Detail { text: text.into() };
        assert_eq!(
            receiver.iter().collect::<Vec<_>>(),
            [
                Event::Warning {
                    code: "credentials-unreadable",
                    text: "two: damaged".into(),
                    hint: None
                },
                detail("`r.io`: using user `bob` from three"),
                detail("`r.io`: no credentials from one: empty"),
                detail("`r.io`: no credentials from two: damaged"),
            ]
        );
    }
}
