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
    /// Why there is none, for people.
    async fn get(&self, url: &str) -> Result<u16, String>;
}

/// Asks a service that the platform says is well.
pub(super) async fn probe(target: &dyn Target, service: &Service, session: &Session) -> Probe {
    let Some(prober) = &session.prober else {
        return Probe::NotProbed("nobody asked for it".to_owned());
    };
    let Some(url) = &service.url else {
        return Probe::NotProbed("it has no URL".to_owned());
    };
    if !service.is_public {
        return Probe::NotProbed("not everybody may call it from here".to_owned());
    }
    let url = format!("{}{}", url.trim_end_matches('/'), target.health_path());
    let began = session.clock.now();
    let mut pace = Pace::new();
    loop {
        let answer = prober.get(&url).await;
        let waited = session.clock.now().duration_since(began);
        match answer {
            Ok(status) if (200..400).contains(&status) => return Probe::Healthy(status),
            Ok(status) if waited >= LIMIT => {
                return Probe::Unhealthy(format!("`GET {url}` is answered with {status}"));
            }
            Err(reason) if waited >= REACH_LIMIT => {
                return Probe::NotProbed(format!("`{url}` cannot be reached from here: {reason}"));
            }
            Ok(_) | Err(_) => pace.wait(session).await,
        }
    }
}
