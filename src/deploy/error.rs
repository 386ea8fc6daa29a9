//! What can be wrong with a deployment, beside what a call says.

use std::time::Duration;

use crate::error::{Classified, ErrorKind};

/// Why an image is not deployed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// The target does not run such an image.
    #[error("{target} does not run `{image}`: {reason}")]
    Unfit {
        /// What was asked to run it.
        target: String,
        /// The image.
        image: String,
        /// Why not.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// A service of that name is somebody else's.
    #[error("{subject} is {whose}")]
    NotOurs {
        /// What is there.
        subject: String,
        /// Whose it is.
        whose: String,
        /// What to do.
        hint: String,
    },
    /// What is there cannot become what should be.
    #[error("{subject}: {reason}")]
    Impossible {
        /// What is there.
        subject: String,
        /// Why it cannot.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// Something that the target needs is missing, and may not be created.
    #[error("{} {} missing", what.join(" and "), if what.len() == 1 { "is" } else { "are" })]
    Missing {
        /// What; at least one thing.
        what: Vec<String>,
        /// What to do.
        hints: Vec<String>,
    },
    /// There is nothing to go back to, or nothing there.
    #[error("{subject}: {reason}")]
    Nothing {
        /// What was looked for.
        subject: String,
        /// What is not there.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// Somebody else deploys at the same time.
    #[error("{subject}: another deployment {what} meanwhile")]
    Overtaken {
        /// What is there.
        subject: String,
        /// What it did.
        what: &'static str,
    },
    /// An answer lacks what the next step needs.
    #[error("the answer to {title} has no `{pointer}`")]
    Untold {
        /// What was called.
        title: String,
        /// What is missing (RFC 6901).
        pointer: &'static str,
    },
    /// It is still being updated.
    #[error("still not done after {} s, and the platform goes on: {what}", limit.as_secs())]
    StillUpdating {
        /// What is going on.
        what: String,
        /// How long it was waited for.
        limit: Duration,
    },
}

impl Classified for DeployError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unfit { .. }
            | Self::NotOurs { .. }
            | Self::Impossible { .. }
            | Self::Missing { .. }
            | Self::Nothing { .. } => ErrorKind::Usage,
            Self::Overtaken { .. } | Self::Untold { .. } | Self::StillUpdating { .. } => {
                ErrorKind::Failed
            }
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unfit { hint, .. }
            | Self::NotOurs { hint, .. }
            | Self::Impossible { hint, .. }
            | Self::Nothing { hint, .. } => vec![hint.clone()],
            Self::Missing { hints, .. } => hints.clone(),
            Self::Overtaken { .. } => vec![
                "let one deployment to an environment run at a time; deploy again where this image is the one \
                 that should run"
                    .into(),
            ],
            Self::Untold { .. } | Self::StillUpdating { .. } => Vec::new(),
        }
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::StillUpdating { .. })
    }
}
