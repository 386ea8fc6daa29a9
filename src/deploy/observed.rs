//! What a target found: the service as the platform tells of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{DeployError, Image, Subject, Workload};
use crate::oci::{Digest, canonical_json};
use crate::registry::Secret;

/// What was found, before anything is planned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observed {
    /// The service; nothing where there is none.
    pub service: Option<Service>,
    /// What else planning needs to know, as the target wants it: roles, scaling, entries.
    pub details: Value,
    /// Secrets that the platform keeps and tells, by its names: for comparing, and for sending them back
    /// where leaving one out would drop it.
    pub secrets: BTreeMap<String, Secret>,
}

/// A service that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The image of its newest revision, as the platform has it.
    pub image: Option<String>,
    /// Where it is reached.
    pub url: Option<String>,
    /// Whether the URL can be reached from everywhere.
    pub is_public: bool,
    /// How it is.
    pub state: State,
    /// What the platform calls the revision that serves: a number, a name, an ARN.
    pub revision: Option<String>,
    /// The image that was served before, and its revision, where the platform knows.
    pub previous: Option<Previous>,
    /// Whose it is, by its tags.
    pub ownership: Ownership,
    /// What the platform said, for planning.
    pub raw: Value,
}

/// A revision that was served before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// What the platform calls it.
    pub revision: Option<String>,
    /// Its image, as the platform has it.
    pub image: String,
}

/// How a service is, in words that all platforms share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The newest revision runs and is well, by the platform's own word for the revision.
    Ready,
    /// An operation is in progress: which.
    Updating(String),
    /// The newest revision came to nothing: why.
    Failed(String),
    /// The platform took the newest revision back, and serves the one before: why.
    RolledBack(String),
    /// It is there and does not run: paused, stopped, inactive.
    Stopped(String),
}

/// Whose a service is: what we write on everything we create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Who manages it: `dockless`, another tool, or nobody who says so.
    pub managed_by: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// The environment.
    pub environment: Option<String>,
    /// The digest of the settings that were deployed.
    pub config_hash: Option<String>,
    /// The digest of the image that was deployed.
    pub image_digest: Option<String>,
}

impl Service {
    /// Whether it runs well, and another image than this, which a deployment of that one has written down.
    pub fn is_overtaken(&self, image: &Image) -> bool {
        let is_of = |digest: &Digest| image.has_digest(digest);
        let written = self.ownership.image_digest.as_ref();
        let written = written.and_then(|hex| format!("sha256:{hex}").parse().ok());
        self.state == State::Ready
            && self.digest().is_some_and(|digest| !is_of(&digest))
            && written.is_some_and(|digest| !is_of(&digest))
    }

    /// The digest of the image that the platform says it runs.
    pub fn digest(&self) -> Option<Digest> {
        self.image.as_deref()?.rsplit_once('@')?.1.parse().ok()
    }
}

impl State {
    /// Whether something is going on that will end by itself.
    pub fn is_updating(&self) -> bool {
        matches!(self, Self::Updating(_))
    }

    /// One word, for documents.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Updating(_) => "updating",
            Self::Failed(_) => "failed",
            Self::RolledBack(_) => "rolled_back",
            Self::Stopped(_) => "stopped",
        }
    }

    /// What the platform says about it.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Ready => None,
            Self::Updating(reason)
            | Self::Failed(reason)
            | Self::RolledBack(reason)
            | Self::Stopped(reason) => Some(reason),
        }
    }
}

/// The keys under which ownership stands in tags; labels of Google have them with other letters.
const KEYS: [&str; 5] = [
    "managed-by",
    "dockless-project",
    "dockless-environment",
    "dockless-config-hash",
    "dockless-image-digest",
];

/// What `managed-by` says of what we create.
const MANAGER: &str = "dockless";

/// Tools whose services are adopted when they say whose they are.
const ADOPTED: [&str; 3] = ["holodeck", "jvbundler", "jvdeploy"];

impl Ownership {
    /// What is written on everything that belongs to this workload, beside the service: roles, secrets.
    pub fn of(workload: &Workload) -> Self {
        Self {
            managed_by: Some(MANAGER.to_owned()),
            project: Some(workload.project.clone()),
            environment: Some(workload.environment.clone()),
            ..Self::default()
        }
    }

    /// What is written on a service of this workload.
    pub fn ours(workload: &Workload, config_hash: &str, image: &Image) -> Self {
        Self {
            config_hash: Some(config_hash.to_owned()),
            image_digest: Some(image.descriptor.digest.hex()),
            ..Self::of(workload)
        }
    }

    /// Whether a service may be changed for this workload: it is its own, or says of nobody that it is his,
    /// as one that `holodeck deploy run` or jvbundler made; that one is adopted.
    ///
    /// # Errors
    /// [`DeployError::NotOurs`] when it says that it belongs to another project or environment.
    pub fn check(&self, workload: &Workload, subject: &Subject) -> Result<(), DeployError> {
        let is_ours = self.managed_by.as_deref() == Some(MANAGER);
        let is_adopted = |name: &str| ADOPTED.iter().any(|tool| name.to_lowercase().contains(tool));
        if let Some(other) = self.managed_by.as_deref().filter(|name| !is_ours && !is_adopted(name))
        {
            return Err(DeployError::NotOurs {
                subject: subject.to_string(),
                whose: format!("managed by `{other}`, as its tag `managed-by` says"),
                hint: "give this one another `name` in its environment, or remove the tag"
                    .to_owned(),
            });
        }
        let named = (self.project.as_deref(), self.environment.as_deref());
        let (project, environment) = (named.0.unwrap_or("?"), named.1.unwrap_or("?"));
        if !is_ours || (project == workload.project && environment == workload.environment) {
            return Ok(());
        }
        Err(DeployError::NotOurs {
            subject: subject.to_string(),
            whose: format!("of the project `{project}`, environment `{environment}`"),
            hint: "give this one another `name` in its environment".to_owned(),
        })
    }

    /// Whether a service may be removed for this workload: only what says that it is its own.
    ///
    /// # Errors
    /// [`DeployError::NotOurs`].
    pub fn check_removal(&self, workload: &Workload, subject: &Subject) -> Result<(), DeployError> {
        if self.managed_by.as_deref() == Some(MANAGER) {
            return self.check(workload, subject);
        }
        Err(DeployError::NotOurs {
            subject: subject.to_string(),
            whose: "not tagged as one of dockless".to_owned(),
            hint: "deploy to it first, which adopts it, or remove it with the tool that made it"
                .to_owned(),
        })
    }

    /// Reads it from tags or labels: `find` knows the value of a key.
    pub fn read<'a>(find: impl Fn(&str) -> Option<&'a str>) -> Self {
        let [managed_by, project, environment, config_hash, image_digest] =
            KEYS.map(|key| find(key).map(str::to_owned));
        Self { managed_by, project, environment, config_hash, image_digest }
    }

    /// As tags or labels, in a fixed order.
    pub fn tags(&self) -> Vec<(&'static str, &str)> {
        let values = [
            &self.managed_by,
            &self.project,
            &self.environment,
            &self.config_hash,
            &self.image_digest,
        ];
        let pairs = KEYS.into_iter().zip(values);
        pairs.filter_map(|(key, value)| Some((key, value.as_deref()?))).collect()
    }
}

/// A short digest of settings, to see later whether they changed: 16 hexadecimal digits of the sha256 of
/// their JSON. Nothing secret may be among them.
pub fn config_hash(settings: &Value) -> String {
    Digest::of(&canonical_json(settings)).hex()[..16].to_owned()
}
