//! A place where an image runs: the contract.

use std::fmt;

use async_trait::async_trait;

use super::steps;
use super::{DeployError, DeployPlan, Image, Observed, Session, Workload};
use crate::cloud::Assumed;
use crate::config::schema::Shape;
use crate::config::{Node, Position, Problems};
use crate::error::Result;
use crate::sys::Environment;

/// A kind of target: an entry of [`TARGETS`](super::targets::TARGETS).
#[derive(Debug)]
pub struct TargetKind {
    /// What `target:` says: `cloud-run`.
    pub name: &'static str,
    /// One sentence for the docs.
    pub summary: &'static str,
    /// An environment with it, as YAML, for the docs and for messages.
    pub example: &'static str,
    /// Whose it is; nothing for what runs on machines of one's own.
    pub cloud: Option<crate::cloud::Cloud>,
    /// Its settings, `target` included.
    pub shape: &'static Shape,
    /// The references to secrets that it takes, as `secrets` calls them: `key_vault`.
    pub secret_references: &'static [&'static str],
    /// The same for `pull`.
    pub pull_references: &'static [&'static str],
    /// The vendor's command that removes a service, with `{name}` and the parts of its place, `{0}` and `{1}`.
    pub removal: &'static str,
    /// What the surroundings name where the settings do not.
    pub assumptions: &'static [Assumption],
    /// Reads settings that fit the shape, and reports what is wrong with them.
    pub parse: fn(&TargetInput<'_>, &mut Problems) -> Option<Box<dyn Target>>,
}

/// A setting that is taken from the surroundings where the config does not name it.
#[derive(Debug)]
pub struct Assumption {
    /// The setting: `project_id`.
    pub setting: &'static str,
    /// What it is, for people: `project`.
    pub what: &'static str,
    /// What the vendor's own tools would take.
    pub find: fn(&Environment) -> Option<Assumed>,
}

/// What a target is made of.
#[derive(Debug, Clone, Copy)]
pub struct TargetInput<'a> {
    /// Its settings, as the config has them.
    pub settings: &'a Node,
    /// Where they stand.
    pub position: &'a Position,
    /// What runs.
    pub workload: &'a Workload,
    /// The caller's variables, for what the clouds' own tools take from them: a region.
    pub environment: &'a Environment,
}

impl TargetKind {
    /// What these settings leave to the surroundings, for people: it may be another elsewhere.
    pub fn assumed(&self, settings: &Node, environment: &Environment) -> Vec<String> {
        let absent = self.assumptions.iter().filter(|it| settings.get(it.setting).is_none());
        let told = absent.filter_map(|Assumption { what, find, .. }| {
            let Assumed { value, source } = find(environment)?;
            Some(format!("{}: {what} {value}, from {source}", self.name))
        });
        told.collect()
    }

    /// The vendor's command that removes this.
    pub fn removal_command(&self, subject: &Subject) -> String {
        let mut command = self.removal.replace("{name}", &subject.name);
        for (number, part) in subject.place.split('/').enumerate() {
            command = command.replace(&format!("{{{number}}}"), part);
        }
        command
    }
}

impl<'a> TargetInput<'a> {
    /// Where a variable or a secret stands; the target where that is not known.
    pub fn place_of(&self, variable: &str) -> &'a Position {
        self.workload.places.variables.get(variable).unwrap_or(self.position)
    }

    /// Where `pull` stands; the target where that is not known.
    pub fn place_of_pull(&self) -> &'a Position {
        self.workload.places.pull.as_ref().unwrap_or(self.position)
    }
}

/// What is deployed, where: for people, and for finding it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What it is there: `Lambda function`.
    pub what: &'static str,
    /// Its name: `agent`.
    pub name: String,
    /// Where: `eu-west-1`, `project/europe-west1`.
    pub place: String,
}

/// Which lines of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// Not older than this, in milliseconds since 1970.
    pub since_ms: i64,
    /// What the last answer gave, to go on from there.
    pub cursor: Option<String>,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When, in milliseconds since 1970; 0 where it is not known.
    pub at_ms: i64,
    /// The text.
    pub text: String,
}

/// A place where an image runs, with its settings.
///
/// `check`, `plan`, `plan_rollback` and `plan_destroy` are pure; the others ask.
#[async_trait]
pub trait Target: fmt::Debug + Send + Sync {
    /// Its kind.
    fn kind(&self) -> &'static TargetKind;

    /// What runs.
    fn workload(&self) -> &Workload;

    /// What is deployed, and where.
    fn subject(&self) -> Subject;

    /// What is asked of the service over HTTP to see whether it is well: `/health`.
    fn health_path(&self) -> &str;

    /// The reference that it is given of an image: by digest, of the index or of one platform.
    ///
    /// # Errors
    /// [`DeployError::Unfit`]: the target does not run such an image.
    fn check(&self, image: &Image) -> Result<String, DeployError>;

    /// Asks what is there. While something is going on there, that is [`State::Updating`](super::State).
    ///
    /// # Errors
    /// The target does not answer, or not to us.
    async fn observe(&self, session: &Session) -> Result<Observed>;

    /// What has to be done so that exactly this image runs with these settings; empty when it does.
    ///
    /// # Errors
    /// It cannot be done from here: a setting that cannot change, somebody else's service.
    fn plan(&self, image: &Image, observed: &Observed) -> Result<DeployPlan>;

    /// Carries a plan out.
    ///
    /// # Errors
    /// A step failed.
    async fn apply(&self, plan: &DeployPlan, session: &Session) -> Result<()> {
        steps::run(plan, session, &|| self.observe(session)).await
    }

    /// What may go now that the newest revision runs well.
    ///
    /// Asked only when this run carried a deployment out, found it well and probed it; what fails of it is told
    /// as a warning and changes nothing about how the deployment ended. No part of [`Self::plan`]: what is only
    /// left over is no drift, and a deployment that changes nothing does not tidy.
    fn plan_tidying(&self, _image: &Image, _observed: &Observed) -> DeployPlan {
        DeployPlan::default()
    }

    /// What brings back what was served before: the previous revision, or this image when it is given.
    ///
    /// # Errors
    /// There is nothing to go back to.
    fn plan_rollback(&self, image: Option<&str>, observed: &Observed) -> Result<DeployPlan>;

    /// What removes all that was created here, and nothing else.
    ///
    /// # Errors
    /// It is not ours.
    fn plan_destroy(&self, observed: &Observed) -> Result<DeployPlan>;

    /// Lines of its log, the oldest first, and from where to go on.
    ///
    /// # Errors
    /// The log cannot be read.
    async fn logs(
        &self,
        query: &LogQuery,
        session: &Session,
    ) -> Result<(Vec<LogLine>, Option<String>)>;
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} `{}`", self.what, self.name)?;
        if self.place.is_empty() { Ok(()) } else { write!(formatter, " in {}", self.place) }
    }
}
