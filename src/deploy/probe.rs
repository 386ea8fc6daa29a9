//! Asks the service itself whether it is well, where it can be reached from here.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::steps::Pace;
use super::{Probe, Service, Session, Target};

/// How long a service may answer badly after the platform says that it is well: its first container starts.
const LIMIT: Duration = Duration::from_mins(1);
/// How long it may not be reached at all: names and certificates take their time.
const REACH_LIMIT: Duration = Duration::from_secs(30);

/// Sends one `GET` to a service.
#[async_trait]
pub trait Prober: fmt::Debug + Send + Sync {
    /// The status of the answer; redirects are not followed.
    ///
    /// # Errors
    /// There is none.
    async fn get(&self, url: &str) -> Result<u16, NoAnswer>;
}

/// Why a service did not answer, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// It cannot be reached from here: a name, a proxy, a certificate.
    Unreachable(String),
    /// It was reached, and hung up or said nothing.
    Broken(String),
}

/// Asks a service that the platform says is well.
pub(super) async fn probe(target: &dyn Target, service: &Service, session: &Session) -> Probe {
    let Some(prober) = &session.prober else {
        return Probe::NotProbed("`--no-probe`".to_owned());
    };
    let Some(url) = &service.url else {
        return Probe::NotProbed("it has no URL".to_owned());
    };
    if !service.is_public {
        return Probe::NotProbed(
            "only callers with credentials, or inside its network, may call it".to_owned(),
        );
    }
    let url = format!("{}{}", url.trim_end_matches('/'), target.health_path());
    session.events.detail(format!("asking `{url}` whether it is well"));
    let (limit, reach_limit) = (LIMIT.min(session.wait_limit), REACH_LIMIT.min(session.wait_limit));
    let began = session.clock.now();
    let mut pace = Pace::new();
    loop {
        let answer = prober.get(&url).await;
        let waited = session.clock.now().duration_since(began);
        match answer {
            Ok(status) if (200..400).contains(&status) => return Probe::Healthy(status),
            Ok(status) if waited >= limit => {
                return Probe::Unhealthy(format!("`GET {url}` is answered with {status}"));
            }
            Err(NoAnswer::Broken(reason)) if waited >= limit => {
                return Probe::Unhealthy(format!("`GET {url}` is not answered: {reason}"));
            }
            Err(NoAnswer::Unreachable(reason)) if waited >= reach_limit => {
                let why = format!("`{url}` cannot be reached from here: {reason}");
                session.events.warn(
                    "not-probed",
                    format!("{}: {why}", target.subject()),
                    Some(
                        "the platform says that it is well; `--no-probe` leaves it at that, and `NO_PROXY` reaches a host \
                         without the proxy"
                            .to_owned(),
                    ),
                );
                return Probe::NotProbed(why);
            }
            Ok(_) | Err(_) => pace.wait(session).await,
        }
    }
}
