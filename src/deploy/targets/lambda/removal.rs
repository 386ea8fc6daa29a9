//! Back to an earlier version, and away.

use serde_json::Value;

use super::Lambda;
use super::found::{Found, LogOwner, digest_of};
use super::observe::number;
use super::plan::tags;
use super::requests::BACK;
use super::state;
use crate::deploy::aws::Place;
use crate::deploy::{DeployError, DeployPlan, Observed, Ownership, Service, Step, Target};
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
            let hint = format!("deploy it first: `{}`", self.workload.command("deploy"));
            return Err(self.nothing("it is not there", hint).into());
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
                format!(
                    "deploy the image that you want: `{} --image NAME@sha256:…`",
                    self.workload.command("deploy")
                ),
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
        for api in &found.apis {
            self.plan_api_removal(api, &mut plan);
        }
        let place = found.place(&self.settings.region);
        if observed.service.is_some() {
            let takes_log = self.has_own_log(&found) && self.may_take_log(&found, &mut plan);
            if takes_log && found.log != LogOwner::Ours {
                plan.steps.push(self.log_mark(&place));
            }
            let name = &self.settings.name;
            plan.change("function", Some(name.as_str()), None::<String>);
            let step = Step::new(format!("delete the function `{name}`"), self.requests().delete());
            plan.steps.push(step.or_done_by(&["ResourceNotFoundException"]));
            if takes_log {
                self.plan_log_removal(&mut plan);
            }
        } else if found.log == LogOwner::Ours {
            self.plan_log_removal(&mut plan);
        }
        self.role().plan_removal(found.role.as_ref(), &place, &self.workload, &mut plan);
        Ok(plan)
    }

    /// Whether the function writes to the group of its own; another may be shared.
    fn has_own_log(&self, found: &Found) -> bool {
        let named = found.latest.pointer("/Configuration/LoggingConfig/LogGroup");
        named.and_then(Value::as_str).is_none_or(|named| named == self.requests().log_group())
    }

    /// Whether the log goes with the function; notes why not.
    fn may_take_log(&self, found: &Found, plan: &mut DeployPlan) -> bool {
        let why = match found.log {
            LogOwner::Absent | LogOwner::Lambda | LogOwner::Ours => return true,
            LogOwner::Other => "its tags are not ours",
            LogOwner::Unknown => "whose it is could not be seen (`logs:ListTagsForResource`)",
        };
        plan.notes.push(format!("the log group `{}` stays: {why}", self.requests().log_group()));
        false
    }

    /// Has the log say that it is ours: Lambda made it, and once the function is gone nothing else tells.
    fn log_mark(&self, place: &Place) -> Step {
        let tags = tags(&Ownership::of(&self.workload));
        let step = Step::new("mark the log as ours", self.requests().tag_log(place, &tags));
        // Without the mark it stays behind only where the removal is broken off.
        step.or_done_by(&["ResourceNotFoundException", "AccessDeniedException"])
    }

    fn plan_log_removal(&self, plan: &mut DeployPlan) {
        let own = self.requests().log_group();
        plan.change("log group", Some(own.as_str()), None::<String>);
        let request = self.requests().delete_log_group();
        let step = Step::new(format!("delete the log group `{own}`"), request);
        plan.steps.push(step.or_done_by(&["ResourceNotFoundException"]));
    }

    fn nothing(&self, reason: impl Into<String>, hint: impl Into<String>) -> DeployError {
        DeployError::Nothing {
            subject: self.subject().to_string(),
            reason: reason.into(),
            hint: hint.into(),
        }
    }
}
