//! What runs in an environment, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::deploy::{Change, Entry, Service, State, Subject};
use crate::error::{Classified, Error, ErrorKind, Result};

/// What runs in an environment.
#[derive(Debug)]
pub struct StatusReport {
    pub(super) environment: String,
    pub(super) services: Vec<ServiceStatus>,
    /// Why not every target could be asked.
    pub(super) failure: Option<Error>,
}

/// What runs at one target.
#[derive(Debug)]
pub(super) struct ServiceStatus {
    pub(super) target: &'static str,
    pub(super) subject: Subject,
    pub(super) found: Found,
    pub(super) history: Vec<Entry>,
}

/// What a target said.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each target, and most are large")]
pub(super) enum Found {
    /// The service, if there is one; and what differs from the config, or why that cannot be told.
    Service(Option<(Service, Drift)>),
    /// It did not answer, or not to us: the error, for programs.
    Nothing(Value),
}

/// What differs from the config; where that cannot be told, why.
type Drift = std::result::Result<Vec<Change>, String>;

/// Whether what runs is what the config says.
enum Verdict {
    Yes,
    No(String),
    Unknown(String),
}

/// What runs is not what the config says.
#[derive(Debug, thiserror::Error)]
enum NotAsConfigured {
    #[error("not everything is as the config says: {}", reasons.join("; "))]
    No { reasons: Vec<String> },
    #[error("whether everything is as the config says cannot be told: {}", reasons.join("; "))]
    Unknown { reasons: Vec<String> },
}

impl Classified for NotAsConfigured {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::No { .. } => ErrorKind::No,
            Self::Unknown { .. } => ErrorKind::Usage,
        }
    }
}

impl StatusReport {
    /// As one JSON document.
    pub fn document(&self) -> Value {
        let services: Vec<_> = self.services.iter().map(ServiceStatus::document).collect();
        json!({"environment": self.environment, "services": services})
    }

    /// For people.
    pub fn text(&self) -> String {
        self.services.iter().map(ServiceStatus::text).collect()
    }

    /// Whether every target could be asked; and where it is checked, whether everything is deployed, well, and as
    /// the config says.
    ///
    /// # Errors
    /// It is not.
    pub fn into_result(self, is_checked: bool) -> Result<()> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
        for service in self.services.iter().filter(|_| is_checked) {
            match service.verdict() {
                Verdict::Yes => {}
                Verdict::No(reason) => wrong.push(format!("{}: {reason}", service.subject)),
                Verdict::Unknown(reason) => unknown.push(format!("{}: {reason}", service.subject)),
            }
        }
        match (wrong.is_empty(), unknown.is_empty()) {
            (true, true) => Ok(()),
            (false, _) => Err(NotAsConfigured::No { reasons: wrong }.into()),
            (true, false) => Err(NotAsConfigured::Unknown { reasons: unknown }.into()),
        }
    }
}

impl ServiceStatus {
    fn verdict(&self) -> Verdict {
        let (service, drift) = match &self.found {
            Found::Service(Some(found)) => found,
            Found::Service(None) => return Verdict::No("not deployed".to_owned()),
            Found::Nothing(_) => return Verdict::Unknown("it did not answer".to_owned()),
        };
        match (&service.state, drift) {
            (State::Ready, Ok(changes)) if changes.is_empty() => Verdict::Yes,
            (State::Ready, Ok(changes)) => {
                let names: Vec<_> =
                    changes.iter().map(|change| format!("`{}`", change.what)).collect();
                Verdict::No(format!("{} differ from the config", names.join(", ")))
            }
            (State::Ready, Err(reason)) => Verdict::Unknown(reason.clone()),
            (state, _) => Verdict::No(format!("it is {}", state.name())),
        }
    }

    /// The rollback after which nothing else was deployed from here.
    fn rollback(&self) -> Option<&Entry> {
        let Found::Service(Some((service, _))) = &self.found else { return None };
        let last = self.history.last()?;
        (last.is_rollback() && service.image.as_ref() == Some(&last.image)).then_some(last)
    }

    fn document(&self) -> Value {
        let (service, drift) = match &self.found {
            Found::Service(Some((service, drift))) => (Some(service), Some(drift)),
            Found::Service(None) | Found::Nothing(_) => (None, None),
        };
        let (is_deployed, error) = match &self.found {
            Found::Service(service) => (Some(service.is_some()), None),
            Found::Nothing(error) => (None, Some(error)),
        };
        let changes = drift.and_then(|drift| drift.as_ref().ok());
        let ownership = service.map(|service| &service.ownership);
        let digest = ownership.and_then(|ownership| ownership.image_digest.as_ref());
        json!({
            "target": self.target,
            "name": self.subject.name,
            "place": self.subject.place,
            "is_deployed": is_deployed,
            "image": service.map(|service| &service.image),
            "url": service.map(|service| &service.url),
            "state": service.map(|service| service.state.name()),
            "reason": service.map(|service| service.state.reason()),
            "revision": service.map(|service| &service.revision),
            "project": ownership.map(|ownership| &ownership.project),
            "deployed_digest": digest.map(|digest| format!("sha256:{digest}")),
            "drift": changes.map(|all| all.iter().map(Change::document).collect::<Vec<_>>()),
            "drift_unknown": drift.and_then(|drift| drift.as_ref().err()),
            "rolled_back": self.rollback().map(Entry::document),
            "history": self.history.iter().map(Entry::document).collect::<Vec<_>>(),
            "error": error,
        })
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.subject);
        let (service, drift) = match &self.found {
            Found::Service(Some(found)) => found,
            Found::Service(None) => return text + "  not deployed\n",
            Found::Nothing(_) => return text + "  not known: see the error\n",
        };
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:<9}{value}");
        };
        line("state", &state_text(&service.state));
        for (name, value) in
            [("image", &service.image), ("url", &service.url), ("revision", &service.revision)]
        {
            if let Some(value) = value {
                line(name, value);
            }
        }
        if let Some(Entry { from: Some(from), at, .. }) = self.rollback() {
            let at = jiff::Timestamp::from_second(*at).unwrap_or_default();
            line("note", &format!("rolled back from {from} at {at}"));
        }
        match drift {
            Err(reason) => line("drift", &format!("not known: {reason}")),
            Ok(changes) => {
                for change in changes {
                    line("drift", &change.to_string());
                }
            }
        }
        text
    }
}

fn state_text(state: &State) -> String {
    match state.reason() {
        Some(reason) => format!("{}: {reason}", state.name()),
        None => state.name().to_owned(),
    }
}
