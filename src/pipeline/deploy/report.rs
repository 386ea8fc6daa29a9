//! What came of a deployment, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Ended;
use crate::deploy::{DeployPlan, Deployment, Image, NotDeployed, Outcome, Probe, Subject, Target};
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
    /// Targets that nobody came to, since one before them failed: kind and subject.
    pub untouched: Vec<(&'static str, Subject)>,
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

    /// Notes how it ended at a target, with this image.
    pub(super) fn add(&mut self, target: &dyn Target, image: &Image, result: Result<Ended>) {
        let Ended { deployment, has_way_back, .. } = result.unwrap_or_else(|error| {
            let deployment = Deployment {
                target: target.kind().name,
                subject: target.subject(),
                outcome: Outcome::Failed,
                image: target.check(image).unwrap_or_else(|_| image.reference()),
                url: None,
                revision: None,
                reason: Some(error.to_string()),
                probe: Probe::NotProbed("it did not get that far".to_owned()),
                rolled_back_to: None,
            };
            self.failure = Some(error);
            Ended { deployment, back: None, has_way_back: false }
        });
        if !deployment.outcome.is_good() && self.failure.is_none() {
            let Deployment { outcome, reason, .. } = &deployment;
            let error = NotDeployed::new(target, *outcome, reason.clone(), has_way_back);
            self.failure = Some(error.into());
        }
        self.deployments.push(deployment);
    }

    /// As one JSON document.
    pub fn document(&self) -> Value {
        if let Some(planned) = &self.planned {
            let planned: Vec<_> = planned.iter().map(PlannedDeployment::document).collect();
            return json!({"environment": self.environment, "planned": planned});
        }
        let error = self.failure.as_ref().map(error_document);
        let deployments = self.deployments.iter().map(|done| {
            let mut document = done.document();
            // The first that fails ends it: there is one failure at most.
            document["error"] = error.clone().filter(|_| !done.outcome.is_good()).into();
            document
        });
        let untouched = self.untouched.iter().map(|(target, subject)| {
            json!({"target": target, "name": subject.name, "place": subject.place})
        });
        json!({
            "environment": self.environment,
            "deployments": deployments.collect::<Vec<_>>(),
            "untouched": untouched.collect::<Vec<_>>(),
            "error": error,
        })
    }

    /// What standard output gets: the URLs, or the plan.
    pub fn text(&self) -> String {
        if let Some(planned) = &self.planned {
            return planned.iter().map(PlannedDeployment::text).collect();
        }
        let good = self.deployments.iter().filter(|done| done.outcome.is_good());
        good.filter_map(|done| Some(format!("{}\n", done.url.as_ref()?))).collect()
    }

    /// The failure, where there is one.
    ///
    /// # Errors
    /// It.
    pub fn into_result(self) -> Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}

/// What came of a deployment that ended well, in one line.
pub(super) fn summary(done: &Deployment) -> String {
    let mut text = done.image.clone();
    if let Some(revision) = &done.revision {
        let _ = write!(text, ", revision `{revision}`");
    }
    match &done.probe {
        Probe::Healthy(status) => {
            let _ = write!(text, ", answers with {status}");
        }
        Probe::NotProbed(reason) => {
            let _ = write!(text, ", not probed: {reason}");
        }
        Probe::Unhealthy(_) => {}
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
