//! From the app that is there back to the revision before, or to an image.

use serde_json::json;

use super::app::sendable;
use super::described::compare;
use super::plan::{Planner, is_of_revision, latest, serves_newest, set_previous, set_suffix};
use crate::deploy::{DeployError, DeployPlan, Observed, Step};

impl Planner<'_> {
    /// What brings back the revision before, or an image.
    pub(super) fn roll_back(
        self,
        image: Option<&str>,
        observed: &Observed,
    ) -> Result<DeployPlan, DeployError> {
        let nothing = |reason: &str| DeployError::Nothing {
            subject: self.subject.to_string(),
            reason: reason.to_owned(),
            hint: "name the image to go back to, by its digest".to_owned(),
        };
        let service = observed.service.as_ref().ok_or_else(|| nothing("it is not deployed"))?;
        service.ownership.check(self.workload, self.subject)?;
        self.check_secrets(observed)?;
        let there = sendable(&service.raw);
        let mut app = there.clone();
        let template = &observed.details["previous_template"];
        let target = match (image, &service.previous) {
            (image, Some(previous))
                if template.is_object() && image.is_none_or(|image| image == previous.image) =>
            {
                // The whole revision comes back, with its variables and its size.
                let kept = sendable(&json!({"properties": {"template": template}}));
                app["properties"]["template"] = kept["properties"]["template"].clone();
                previous.image.clone()
            }
            (Some(image), _) => image.to_owned(),
            (None, _) => return Err(nothing("there is no revision before this one")),
        };
        let name = self.container_name(&app);
        let containers = app["properties"]["template"]["containers"].as_array_mut();
        for container in containers.into_iter().flatten().filter(|other| other["name"] == name) {
            container["image"] = target.clone().into();
        }
        if let Some(tags) = app["tags"].as_object_mut() {
            // Which settings these are is not known; which image, only where it is named by its digest.
            tags.remove("dockless-config-hash");
            tags.remove("dockless-image-digest");
        } else {
            app["tags"] = json!({});
        }
        if let Some((_, digest)) = target.rsplit_once("@sha256:") {
            app["tags"]["dockless-image-digest"] = digest.into();
        }
        let mut plan = DeployPlan::default();
        compare(&mut plan, Some(&there), &app, &self.settings.name, &|_| false);
        let has_other = plan.changes.iter().any(|change| is_of_revision(&change.what));
        if has_other || observed.details["has_revision"] == false {
            if serves_newest(&service.raw) {
                set_previous(&mut app, &service.raw);
            }
            set_suffix(&mut app, &[&target, "rollback", latest(&service.raw)], observed);
            let title = format!("bring the container app `{}` back", self.settings.name);
            plan.steps.push(Step::new(title, self.request(&app, observed)));
        } else {
            plan = DeployPlan::default();
        }
        Ok(plan)
    }
}
