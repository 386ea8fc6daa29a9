//! Back to the image of before, and away.

use serde_json::{Value, json};

use super::AppRunner;
use super::observe::Details;
use super::plan::{VARIABLES, repository_type};
use crate::deploy::aws::{ServiceTags, hide_variables, object, plan_role_removals};
use crate::deploy::{DeployError, DeployPlan, Observed, Target as _};

impl AppRunner {
    /// What brings an image back: nothing else changes.
    pub(super) fn plan_return(
        &self,
        image: Option<&str>,
        observed: &Observed,
    ) -> Result<DeployPlan, DeployError> {
        let details = Details::of(observed);
        let service = observed.service.as_ref();
        let service = service.ok_or_else(|| self.nothing("there is no such service"))?;
        self.check_service(service)?;
        let image = image.ok_or_else(|| DeployError::Nothing {
            subject: self.subject().to_string(),
            reason: "App Runner does not say which image was there before".to_owned(),
            hint: "deploy the earlier image by its digest".to_owned(),
        })?;
        let mut plan = DeployPlan::default();
        if !plan.change("image", service.image.as_deref(), Some(image)) {
            return Ok(plan);
        }
        let mut source = object(&service.raw["SourceConfiguration"]);
        let mut repository = object(&source["ImageRepository"]);
        repository["ImageIdentifier"] = image.into();
        repository["ImageRepositoryType"] = repository_type(image).into();
        source["AutoDeploymentsEnabled"] = false.into();
        source["ImageRepository"] = repository;
        let arn = &service.raw["ServiceArn"];
        let body = json!({"ServiceArn": arn, "SourceConfiguration": source});
        let title = format!("update the service `{}` to the image of before", self.settings.name);
        let mut step = self.step(title, "UpdateService", body).settling();
        step.request = hide_variables(step.request, VARIABLES, &self.workload.env);
        plan.steps.push(step);
        let tags = ServiceTags::of_return(&service.ownership, image, &details.tags);
        tags.plan(self.tagged(arn, &details), &mut plan);
        Ok(plan)
    }

    /// What removes the service, and all that was created for it.
    pub(super) fn plan_removal(&self, observed: &Observed) -> Result<DeployPlan, DeployError> {
        let details = Details::of(observed);
        let place = self.place(&details);
        let mut plan = DeployPlan::default();
        let service = observed.service.as_ref();
        if let Some(service) = service {
            service.ownership.check_removal(&self.workload, &self.subject())?;
            plan.change("service", Some(self.settings.name.as_str()), None::<String>);
            let title = format!("delete the service `{}`", self.settings.name);
            let body = json!({"ServiceArn": service.raw["ServiceArn"]});
            let step = self.step(title, "DeleteService", body);
            plan.steps.push(step.or_done_by(&["ResourceNotFoundException"]).settling());
        }
        for scaling in &details.our_scaling {
            plan.steps.push(self.scaling_removal(scaling));
        }
        let raw = service.map_or(&Value::Null, |service| &service.raw);
        let store = self.store();
        let roles = [
            (self.access_role(raw, &place), details.access_role.as_ref()),
            (self.instance_role(raw, &place, &store), details.instance_role.as_ref()),
        ];
        plan_role_removals(roles, &place, &self.workload, &mut plan);
        store.plan_removal(&details.secrets, &place, &mut plan);
        Ok(plan)
    }
}
