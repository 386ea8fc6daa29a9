//! How a deployment ended.

use serde_json::{Value, json};

use super::Subject;

/// The five ways in which a deployment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ran already: nothing was written.
    Unchanged,
    /// Exactly this digest runs, and is well.
    Deployed,
    /// This digest is there, and is not well.
    DeployedNotHealthy,
    /// The platform took it back.
    RolledBackByPlatform,
    /// It did not get there.
    Failed,
}

impl Outcome {
    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Deployed => "deployed",
            Self::DeployedNotHealthy => "deployed_not_healthy",
            Self::RolledBackByPlatform => "rolled_back_by_platform",
            Self::Failed => "failed",
        }
    }

    /// What happened, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Unchanged => "it runs this image already",
            Self::Deployed => "deployed",
            Self::DeployedNotHealthy => "the image is deployed, and not well",
            Self::RolledBackByPlatform => "the platform took the image back",
            Self::Failed => "the image is not deployed",
        }
    }

    /// Whether that is what was wanted.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Unchanged | Self::Deployed)
    }
}

/// What a request to the service itself said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It was not asked: why.
    NotProbed(String),
    /// It answered with this status, which is good.
    Healthy(u16),
    /// It did not answer well: what it did.
    Unhealthy(String),
}

/// How the deployment to one target ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The kind of the target.
    pub target: &'static str,
    /// What was deployed, and where.
    pub subject: Subject,
    /// How it ended.
    pub outcome: Outcome,
    /// The image, by digest.
    pub image: String,
    /// Where it is reached.
    pub url: Option<String>,
    /// What the platform calls the revision.
    pub revision: Option<String>,
    /// Why it did not end well, in the platform's words.
    pub reason: Option<String>,
    /// What the service itself said.
    pub probe: Probe,
    /// The image of before, where it was brought back in its place.
    pub rolled_back_to: Option<String>,
}

impl Deployment {
    /// As one JSON document.
    pub fn document(&self) -> Value {
        json!({
            "target": self.target,
            "name": self.subject.name,
            "place": self.subject.place,
            "outcome": self.outcome.name(),
            "image": self.image,
            "url": self.url,
            "revision": self.revision,
            "reason": self.reason,
            "probe": self.probe.document(),
            "rolled_back_to": self.rolled_back_to,
        })
    }
}

impl Probe {
    fn document(&self) -> Value {
        let (result, status, reason) = match self {
            Self::NotProbed(why) => ("not_probed", None, Some(why)),
            Self::Healthy(status) => ("healthy", Some(status), None),
            Self::Unhealthy(what) => ("unhealthy", None, Some(what)),
        };
        json!({"result": result, "status": status, "reason": reason})
    }
}
