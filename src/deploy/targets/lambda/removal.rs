//! Back to an earlier version, and away.

use serde_json::Value;

use super::Lambda;
use super::found::{Found, digest_of};
use super::observe::number;
use super::requests::BACK;
use super::state;
use crate::deploy::{DeployError, DeployPlan, Observed, Service, Step, Target};
use crate::error::Result;
use crate::oci::Digest;

impl Lambda {
    /// Moves the alias to the version before, or to the newest one of an image: nothing is built or sent.
    pub(super) fn plan_return(
        &self,
        image: Option<&str>,
        observed: &Observed,
    ) -> Result<DeployPlan> {
        let Some(service) = &observed.service else {
            return Err(self.nothing("it is not there", "deploy it first").into());
        };
        service.ownership.check(&self.workload, &self.subject())?;
        let found = Found::of(observed);
        let (version, image) = match image {
            Some(image) => (self.version_of(image, &found)?, image.to_owned()),
            None => self.version_before(service)?,
        };
        let mut plan = DeployPlan::default();
        let there = found.alias["FunctionVersion"].as_str();
        if !plan.change("version", there, Some(version.as_str())) {
            if state::has_failed(&found) {
                self.leave_behind(&found, &mut plan);
            }
            return Ok(plan);
        }
        plan.change("image", service.image.clone(), Some(image));
        plan.steps.push(self.alias_step(&version, &found.alias, Some(BACK)));
        Ok(plan)
    }

    fn version_before(&self, service: &Service) -> Result<(String, String), DeployError> {
        let previous = service.previous.as_ref();
        let version = previous
            .and_then(|previous| Some((previous.revision.clone()?, previous.image.clone())));
        version.ok_or_else(|| {
            self.nothing(
                "there is no version before the one that serves",
                "deploy the image that you want: `dockless deploy` builds and pushes nothing that is there",
            )
        })
    }

    /// The newest version of an image: the one that serves, if it is one of them.
    fn version_of(&self, image: &str, found: &Found) -> Result<String, DeployError> {
        let digest: Option<Digest> =
            image.rsplit_once('@').and_then(|(_, digest)| digest.parse().ok());
        let is_of = |version: &&Value| {
            digest.as_ref().is_some_and(|digest| {
                version["CodeSha256"] == digest.hex()
                    || version["Description"]
                        .as_str()
                        .is_some_and(|text| text.contains(&digest.to_string()))
            })
        };
        let serving = found.alias["FunctionVersion"].as_str();
        if digest.is_some()
            && digest_of(&found.live) == digest
            && let Some(version) = serving
        {
            return Ok(version.to_owned());
        }
        let mut versions = found.versions.iter().rev();
        let serves = |version: &&Value| version["Version"].as_str() == serving;
        let version = found.versions.iter().filter(is_of).find(serves);
        let version = version.or_else(|| versions.find(is_of)).and_then(number);
        version.map(|version| version.to_string()).ok_or_else(|| {
            self.nothing(
                format!("it has no version of `{image}`"),
                "deploy that image: a version is published then",
            )
        })
    }

    /// Removes what is ours: the function with its versions, the API, the log, the role.
    pub(super) fn plan_removal(&self, observed: &Observed) -> Result<DeployPlan> {
        let found = Found::of(observed);
        let mut plan = DeployPlan::default();
        if let Some(service) = &observed.service {
            service.ownership.check_removal(&self.workload, &self.subject())?;
        }
        if !found.url.is_null() {
            plan.steps.push(self.url_removal());
        }
        if plan.change("api", found.api["apiId"].as_str(), None::<String>) {
            plan.steps.extend(self.api_removal(&found));
        }
        if observed.service.is_some() {
            let name = &self.settings.name;
            plan.change("function", Some(name.as_str()), None::<String>);
            let step = Step::new(format!("delete the function `{name}`"), self.requests().delete());
            plan.steps.push(step.or_done_by(&["ResourceNotFoundException"]));
            self.plan_log_removal(&found, &mut plan);
        }
        let place = found.place(&self.settings.region);
        self.role().plan_removal(found.role.as_ref(), &place, &self.workload, &mut plan);
        Ok(plan)
    }

    /// Removes the group of the function's own; another may be shared.
    fn plan_log_removal(&self, found: &Found, plan: &mut DeployPlan) {
        let own = self.requests().log_group();
        let named = found.latest.pointer("/Configuration/LoggingConfig/LogGroup");
        if named.and_then(Value::as_str).is_none_or(|named| named == own) {
            plan.change("log group", Some(own.as_str()), None::<String>);
            let request = self.requests().delete_log_group();
            let step = Step::new(format!("delete the log group `{own}`"), request);
            plan.steps.push(step.or_done_by(&["ResourceNotFoundException"]));
        }
    }

    fn nothing(&self, reason: impl Into<String>, hint: &str) -> DeployError {
        DeployError::Nothing {
            subject: self.subject().to_string(),
            reason: reason.into(),
            hint: hint.to_owned(),
        }
    }
}
