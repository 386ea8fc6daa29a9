//! Back to the image of before, and away.

use serde_json::{Value, json};

use super::EcsExpress;
use super::observe::Details;
use super::plan::VARIABLES;
use crate::deploy::aws::{ServiceTags, hide_variables, object, plan_role_removals};
use crate::deploy::{DeployError, DeployPlan, Observed, Target as _};

/// What a service answers to whoever deletes it when it is being deleted.
const GONE: &[&str] =
    &["ServiceNotActiveException", "ServiceNotFoundException", "ResourceNotFoundException"];

impl EcsExpress {
    /// What takes a running deployment back, or brings the image of before.
    pub(super) fn plan_return(
        &self,
        image: Option<&str>,
        observed: &Observed,
    ) -> Result<DeployPlan, DeployError> {
        let details = Details::of(observed);
        let service = observed.service.as_ref();
        let service = service.ok_or_else(|| self.nothing("there is no such service"))?;
        self.check_service(service)?;
        let mut plan = DeployPlan::default();
        let name = &self.settings.name;
        if let Some(deployment) = &details.running_deployment {
            plan.change("deployment", Some("running"), Some("rolled back"));
            let body = json!({"serviceDeploymentArn": deployment, "stopType": "ROLLBACK"});
            let title = format!("take the running deployment of `{name}` back");
            plan.steps.push(self.step(title, "StopServiceDeployment", body));
            return Ok(plan);
        }
        let previous = service.previous.as_ref().map(|previous| previous.image.as_str());
        let image = image.or(previous).ok_or_else(|| DeployError::Nothing {
            subject: self.subject_text(),
            reason: "no other image was there before".to_owned(),
            hint: "deploy an image by its digest".to_owned(),
        })?;
        if !plan.change("image", service.image.as_deref(), Some(image)) {
            return Ok(plan);
        }
        let active = &service.raw["active"];
        let arn = &service.raw["service"]["serviceArn"];
        let kept = [
            "executionRoleArn",
            "taskRoleArn",
            "healthCheckPath",
            "primaryContainer",
            "cpu",
            "memory",
            "scalingTarget",
        ];
        let kept = kept.into_iter().filter(|member| !active[*member].is_null());
        let mut body: Value =
            kept.map(|member| (member.to_owned(), active[member].clone())).collect();
        body["serviceArn"] = arn.clone();
        let mut container = object(&active["primaryContainer"]);
        container["image"] = image.into();
        body["primaryContainer"] = container;
        let title = format!("update the service `{name}` to the image of before");
        let mut step = self.step(title, "UpdateExpressGatewayService", body).settling();
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
        let mut roles = [None, None];
        if let Some(service) = &observed.service {
            let subject = self.subject();
            service.ownership.check_removal(&self.workload, &subject)?;
            let raw = &service.raw["service"];
            roles = [&service.raw["active"]["executionRoleArn"], &raw["infrastructureRoleArn"]]
                .map(|arn| arn.as_str());
            let name = &self.settings.name;
            plan.change("service", Some(name.as_str()), None::<String>);
            let body = json!({"serviceArn": raw["serviceArn"]});
            let title = format!("delete the service `{name}`");
            let step = self.step(title, "DeleteExpressGatewayService", body);
            // ECS works with the roles until nothing is left.
            plan.steps.push(step.or_done_by(GONE).settling());
        }
        let [execution, infrastructure] = roles;
        let roles = [
            (self.execution_role(execution, &place), details.execution_role.as_ref()),
            (
                self.infrastructure_role(infrastructure, &place),
                details.infrastructure_role.as_ref(),
            ),
        ];
        plan_role_removals(roles, &place, &self.workload, &mut plan);
        self.store().plan_removal(&details.secrets, &place, &mut plan);
        Ok(plan)
    }
}
