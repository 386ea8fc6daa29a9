//! What was done to the targets of an environment, or would be, for people and for programs.

use serde_json::{Value, json};

use crate::deploy::{DeployPlan, Subject};
use crate::error::{Error, Result};
use crate::pipeline::check::error_document;

/// What was done, or would be, at every target of an environment.
#[derive(Debug)]
pub struct ChangeReport {
    environment: String,
    services: Vec<ServiceChange>,
    failure: Option<Error>,
}

/// What was done, or would be, at one target.
#[derive(Debug)]
pub(super) struct ServiceChange {
    target: &'static str,
    subject: Subject,
    plan: DeployPlan,
    stage: Stage,
    /// What runs afterwards.
    image: Option<String>,
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Planned,
    RolledBack,
    Removed,
    /// There was nothing to remove.
    Absent,
    Failed,
}

impl ServiceChange {
    /// Nothing was done yet.
    pub(super) fn planned(target: &'static str, subject: Subject, plan: DeployPlan) -> Self {
        Self { target, subject, plan, stage: Stage::Planned, image: None }
    }

    fn document(&self, error: Option<&Error>) -> Value {
        json!({
            "target": self.target,
            "name": self.subject.name,
            "place": self.subject.place,
            "outcome": self.stage.name(),
            "image": self.image,
            "plan": (self.stage == Stage::Planned).then(|| self.plan.document()),
            "error": error.filter(|_| self.stage == Stage::Failed).map(error_document),
        })
    }
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::RolledBack => "rolled_back",
            Self::Removed => "removed",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}

impl ChangeReport {
    pub(super) fn new(environment: &str, services: Vec<ServiceChange>) -> Self {
        Self { environment: environment.to_owned(), services, failure: None }
    }

    /// Notes what came of one of the targets.
    pub(super) fn add(&mut self, place: usize, result: Result<(Stage, Option<String>)>) {
        let service = &mut self.services[place];
        match result {
            Ok(ended) => (service.stage, service.image) = ended,
            Err(error) => {
                service.stage = Stage::Failed;
                self.failure = Some(error);
            }
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.services.iter().all(|service| service.plan.is_empty())
    }

    /// As one JSON document.
    pub fn document(&self) -> Value {
        let error = self.failure.as_ref();
        let services: Vec<_> = self.services.iter().map(|one| one.document(error)).collect();
        json!({
            "environment": self.environment,
            "services": services,
            "error": error.map(error_document),
        })
    }

    /// For people: what would be done, or what runs now.
    pub fn text(&self) -> String {
        let is_planned = self.services.iter().all(|service| service.stage == Stage::Planned);
        let text = |service: &ServiceChange| {
            if is_planned {
                return format!("{}\n{}", service.subject, service.plan);
            }
            service.image.as_ref().map(|image| format!("{image}\n")).unwrap_or_default()
        };
        self.services.iter().map(text).collect()
    }

    /// The failure, where there is one.
    ///
    /// # Errors
    /// It.
    pub fn into_result(self) -> Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}
