//! What came of a deployment, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::deploy::{DeployPlan, Deployment, Outcome, Probe, Subject};
use crate::error::{Error, Result};
use crate::pipeline::check::error_document;

/// What came of a deployment to every target of an environment.
#[derive(Debug)]
pub struct DeployReport {
    /// The environment.
    pub environment: String,
    /// What would be done, in a dry run.
    pub planned: Option<Vec<PlannedDeployment>>,
    /// What took place, in order.
    pub deployments: Vec<Deployment>,
    /// The target at which a call failed.
    pub failed: Option<Subject>,
    /// Targets that nobody came to, since one before them failed.
    pub untouched: Vec<Subject>,
    /// Why it ended.
    pub(super) failure: Option<Error>,
}

/// What would be done at one target.
#[derive(Debug)]
pub struct PlannedDeployment {
    /// The kind of the target.
    pub target: &'static str,
    /// What, and where.
    pub subject: Subject,
    /// The image as the target is given it.
    pub image: String,
    /// What would be done.
    pub plan: DeployPlan,
}

impl DeployReport {
    pub(super) fn new(environment: String) -> Self {
        Self {
            environment,
            planned: None,
            deployments: Vec::new(),
            failed: None,
            untouched: Vec::new(),
            failure: None,
        }
    }

    pub(super) fn planned(environment: String, planned: Vec<PlannedDeployment>) -> Self {
        Self { planned: Some(planned), ..Self::new(environment) }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// As one JSON document.
    pub fn document(&self) -> Value {
        let subject = |subject: &Subject| json!({"name": subject.name, "place": subject.place});
        if let Some(planned) = &self.planned {
            let planned: Vec<_> = planned.iter().map(PlannedDeployment::document).collect();
            return json!({"environment": self.environment, "planned": planned});
        }
        let mut document = json!({
            "environment": self.environment,
            "deployments": self.deployments.iter().map(Deployment::document).collect::<Vec<_>>(),
        });
        if let Some(failed) = &self.failed {
            document["failed"] = subject(failed);
        }
        if !self.untouched.is_empty() {
            document["untouched"] = self.untouched.iter().map(subject).collect();
        }
        if let Some(error) = &self.failure {
            document["error"] = error_document(error);
        }
        document
    }

    /// What standard output gets: the URLs, or the plan.
    pub fn text(&self) -> String {
        if let Some(planned) = &self.planned {
            return planned.iter().map(PlannedDeployment::text).collect();
        }
        let good = self.deployments.iter().filter(|done| done.outcome.is_good());
        good.filter_map(|done| Some(format!("{}\n", done.url.as_ref()?))).collect()
    }

    /// One line per target, for people.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<_> = self.deployments.iter().map(note).collect();
        notes.extend(self.untouched.iter().map(|subject| format!("{subject}: not touched")));
        notes
    }

    /// The failure, where there is one.
    ///
    /// # Errors
    /// It.
    pub fn into_result(self) -> Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}

fn note(done: &Deployment) -> String {
    let mut text = format!("{}: {}", done.subject, done.outcome.sentence());
    if let Some(revision) = &done.revision {
        let _ = write!(text, ", revision `{revision}`");
    }
    if matches!(done.outcome, Outcome::Deployed | Outcome::Unchanged) {
        match &done.probe {
            Probe::Healthy(status) => {
                let _ = write!(text, ", well ({status})");
            }
            Probe::NotProbed(reason) => {
                let _ = write!(text, ", not probed: {reason}");
            }
            Probe::Unhealthy(_) => {}
        }
    }
    text
}

impl PlannedDeployment {
    fn document(&self) -> Value {
        let mut document = self.plan.document();
        document["target"] = self.target.into();
        document["name"] = self.subject.name.clone().into();
        document["place"] = self.subject.place.clone().into();
        document["image"] = self.image.clone().into();
        document
    }

    fn text(&self) -> String {
        format!("{}\n  image {}\n{}", self.subject, self.image, self.plan)
    }
}
