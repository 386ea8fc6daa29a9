//! Why a call failed, in one form for all clouds.

use std::time::Duration;

use super::service::{Cloud, Service};
use crate::error::{Classified, ErrorKind};

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{title}: {}", self.says())]
pub struct CallError {
    /// What was called: `apprunner:CreateService`.
    pub title: String,
    /// The service.
    pub service: &'static Service,
    /// What kind of failure it is.
    pub class: ErrorClass,
    /// The service's own word for it: `InvalidStateException`, `PERMISSION_DENIED`; empty without answer.
    pub code: String,
    /// What the service says, cleaned, and without our secrets.
    pub message: String,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// When the service wants to be asked again.
    pub retry_after: Option<Duration>,
    /// Who we are there, where that is known and matters.
    pub identity: Option<String>,
    /// What to do, most helpful first.
    pub hints: Vec<String>,
}

/// What a failure means; the rows of one table for all targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// This binary was built without the cloud.
    NotBuiltIn,
    /// No source of credentials had any.
    NoCredentials,
    /// The credentials are refused: expired, or another's.
    WrongIdentity,
    /// We are known, and may not.
    Denied,
    /// A role was made a moment ago and is not known everywhere yet, or does not trust the service.
    RoleNotReady,
    /// What was asked for is not there.
    NotFound,
    /// It is there already.
    Exists,
    /// Something else is going on there, or somebody else has changed it.
    Busy,
    /// A limit of the account.
    Quota,
    /// Too many requests.
    Throttled,
    /// The service does not take what was sent.
    Invalid,
    /// The service itself failed.
    Unavailable,
    /// It cannot be reached.
    Unreachable,
    /// The connection broke after the request was sent: nobody knows whether it took place.
    Lost,
    /// Anything else.
    Other,
}

impl CallError {
    /// A failure of this class, with nothing else known.
    pub fn new(service: &'static Service, title: impl Into<String>, class: ErrorClass) -> Self {
        Self {
            title: title.into(),
            service,
            class,
            code: String::new(),
            message: String::new(),
            status: None,
            retry_after: None,
            identity: None,
            hints: Vec::new(),
        }
    }

    /// The cloud that was called.
    pub fn cloud(&self) -> Cloud {
        self.service.cloud
    }

    fn says(&self) -> String {
        let who = self.identity.as_ref().map(|identity| format!(" (as `{identity}`)"));
        let text = match (self.code.as_str(), self.message.as_str()) {
            ("", message) => message.to_owned(),
            (code, "") => code.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        format!("{text}{}", who.unwrap_or_default())
    }
}

impl Classified for CallError {
    fn kind(&self) -> ErrorKind {
        match self.class {
            ErrorClass::NotBuiltIn
            | ErrorClass::NoCredentials
            | ErrorClass::WrongIdentity
            | ErrorClass::Denied
            | ErrorClass::RoleNotReady
            | ErrorClass::NotFound
            | ErrorClass::Exists
            | ErrorClass::Quota
            | ErrorClass::Invalid => ErrorKind::Usage,
            ErrorClass::Busy
            | ErrorClass::Throttled
            | ErrorClass::Unavailable
            | ErrorClass::Unreachable
            | ErrorClass::Lost
            | ErrorClass::Other => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }

    fn is_retryable(&self) -> bool {
        matches!(
            self.class,
            ErrorClass::Busy
                | ErrorClass::Throttled
                | ErrorClass::Unavailable
                | ErrorClass::Unreachable
                | ErrorClass::Lost
                | ErrorClass::RoleNotReady
        )
    }
}
