//! What has to be done so that a service of App Runner is as it should be.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::comparison::texts;
use super::observe::{Details, ObservedScaling};
use super::{AppRunner, PUBLIC_ECR};
use crate::cloud::{APP_RUNNER, Request};
use crate::deploy::aws::{
    Place, PlannedSecrets, RoleSpec, SecretStore, ServiceTags, Tagged, capital_tags,
    hide_variables, object, plan_roles, role_name, secrets_revision, shown_settings,
};
use crate::deploy::{
    DeployError, DeployPlan, Given, Image, Observed, Ownership, Service, State, Step, Target as _,
    config_hash,
};
use crate::oci::Digest;

/// Where variables stand in what is sent, and in what is there.
pub(super) const VARIABLES: &str =
    "/SourceConfiguration/ImageRepository/ImageConfiguration/RuntimeEnvironmentVariables";
/// Where references to secrets stand.
pub(super) const SECRETS: &str =
    "/SourceConfiguration/ImageRepository/ImageConfiguration/RuntimeEnvironmentSecrets";
/// The name of an auto scaling configuration may not be longer.
const MAX_SCALING_NAME: usize = 32;
/// What stands for the ARN of a new auto scaling configuration.
const SCALING: &str = "auto scaling configuration";

/// What a service is to become, when everything it needs is there.
pub(super) struct Wanted {
    pub(super) reference: String,
    pub(super) access_role: Option<String>,
    pub(super) instance_role: Option<String>,
    scaling_arn: String,
    pub(super) secrets: PlannedSecrets,
    tags: ServiceTags,
}

impl AppRunner {
    /// What makes exactly this image run with these settings.
    pub(super) fn plan_deployment(
        &self,
        image: &Image,
        observed: &Observed,
    ) -> Result<DeployPlan, DeployError> {
        let details = Details::of(observed);
        let place = self.place(&details);
        let service = observed.service.as_ref();
        if let Some(service) = service {
            self.check_service(service)?;
        }
        let raw = service.map_or(&Value::Null, |service| &service.raw);
        let mut plan = DeployPlan::default();
        let wanted = self.plan_needs(image, &details, &place, raw, &mut plan)?;
        // After an attempt that came to nothing, only another one gets it into a good state again.
        let must_write = service.is_some_and(|service| {
            matches!(service.state, State::Failed(_) | State::RolledBack(_))
        });
        let is_different = self.plan_changes(&wanted, &details, raw, &mut plan);
        let old_secrets = secrets_revision(&details.tags);
        let arn = &raw["ServiceArn"];
        if service.is_none() {
            plan.steps.push(self.creation(&wanted));
        } else {
            if service.is_some_and(|service| matches!(service.state, State::Stopped(_))) {
                plan.change("state", Some("paused"), Some("running"));
                let title = format!("resume the service `{}`", self.settings.name);
                plan.steps
                    .push(self.step(title, "ResumeService", json!({"ServiceArn": arn})).settling());
            }
            if is_different || must_write {
                plan.steps.push(self.update(&wanted, raw).settling());
            } else if wanted.secrets.revision != old_secrets {
                // The same image again: containers read secrets when they start.
                let title = format!("restart the service `{}`", self.settings.name);
                let step = self.step(title, "StartDeployment", json!({"ServiceArn": arn}));
                plan.steps.push(step.settling());
            }
            wanted.tags.plan(self.tagged(arn, &details), &mut plan);
        }
        self.store().plan_tidying(&details.secrets, &place, &mut plan);
        Ok(plan)
    }

    /// The role that App Runner pulls with, unless it is somebody else's business.
    pub(super) fn access_role(&self, raw: &Value, place: &Place) -> Option<RoleSpec> {
        let there = raw.pointer("/SourceConfiguration/AuthenticationConfiguration/AccessRoleArn");
        let there = there.and_then(Value::as_str);
        let role = RoleSpec {
            name: role_name(&[&self.settings.region, &self.settings.name, "access"]),
            purpose: "access role",
            principal: "build.apprunner.amazonaws.com",
            policies: &["service-role/AWSAppRunnerServicePolicyForECRAccess"],
            statements: Vec::new(),
            setting: "ecr_role_arn",
        };
        role.is_ours(self.settings.access_role.as_deref(), there, place).then_some(role)
    }

    /// The role of the container, unless it is somebody else's business.
    pub(super) fn instance_role(
        &self,
        raw: &Value,
        place: &Place,
        store: &SecretStore<'_>,
    ) -> Option<RoleSpec> {
        let role = self.instance_role_spec(place, store);
        let there = instance_role_of(raw);
        role.is_ours(self.settings.instance_role.as_deref(), there, place).then_some(role)
    }

    fn instance_role_spec(&self, place: &Place, store: &SecretStore<'_>) -> RoleSpec {
        RoleSpec {
            name: role_name(&[&self.settings.region, &self.settings.name, "instance"]),
            purpose: "instance role",
            principal: "tasks.apprunner.amazonaws.com",
            policies: &[],
            statements: store.statement(place).into_iter().collect(),
            setting: "instance_role_arn",
        }
    }

    /// The name of our auto scaling configurations.
    pub(super) fn scaling_name(&self) -> String {
        let name = format!("dockless-{}", self.settings.name);
        if name.len() <= MAX_SCALING_NAME {
            return name;
        }
        let digest = &Digest::of(name.as_bytes()).hex()[..8];
        format!("{}-{digest}", &name[..MAX_SCALING_NAME - 9])
    }

    pub(super) fn place(&self, details: &Details) -> Place {
        Place { region: self.settings.region.clone(), account: details.account.clone() }
    }

    /// Whether the service may be changed at all.
    pub(super) fn check_service(&self, service: &Service) -> Result<(), DeployError> {
        service.ownership.check(&self.workload, &self.subject())?;
        let impossible = |reason: &str, hint: &str| DeployError::Impossible {
            subject: self.subject().to_string(),
            reason: reason.to_owned(),
            hint: hint.to_owned(),
        };
        if service.raw.pointer("/SourceConfiguration/CodeRepository").is_some_and(Value::is_object)
        {
            return Err(impossible(
                "it is made from source code, and cannot become one from an image",
                "give this one another `name`, or delete the service first",
            ));
        }
        if service.raw["Status"] == "DELETE_FAILED" {
            return Err(impossible(
                "it was deleted, and that failed",
                &format!("delete it again: `{}`", self.workload.command("destroy")),
            ));
        }
        Ok(())
    }

    /// Everything that the service needs before it is created or updated.
    fn plan_needs(
        &self,
        image: &Image,
        details: &Details,
        place: &Place,
        raw: &Value,
        plan: &mut DeployPlan,
    ) -> Result<Wanted, DeployError> {
        let reference = self.check(image)?;
        let store = self.store();
        let text = |pointer| raw.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let is_public = repository_type(&reference) == "ECR_PUBLIC";
        let access = self.access_role(raw, place).filter(|_| !is_public);
        let there = instance_role_of(raw);
        let instance = self.instance_role(raw, place, &store).filter(|role| role.is_needed(there));
        let is_ours = instance.is_some();
        let roles = [
            access.map(|role| (role, details.access_role.as_ref())),
            instance.map(|role| (role, details.instance_role.as_ref())),
        ];
        let [access, instance] = plan_roles(roles, place, &self.workload, plan)?;
        let access_there =
            || text("/SourceConfiguration/AuthenticationConfiguration/AccessRoleArn");
        let access_role = access
            .or_else(|| self.settings.access_role.clone())
            .or_else(access_there)
            .filter(|_| !is_public);
        let instance_role = instance
            .or_else(|| self.settings.instance_role.clone())
            .or_else(|| there.map(str::to_owned));
        let secrets = store.plan(&details.secrets, place, plan);
        let is_new = secrets.references != texts(raw.pointer(SECRETS));
        if let (false, Some(role), true) = (is_ours, &instance_role, is_new)
            && !secrets.references.is_empty()
        {
            plan.notes.push(self.instance_role_spec(place, &store).permission_note(role));
        }
        let hash = config_hash(&shown_settings(&self.settings.document(), &self.workload));
        let tags = ServiceTags::new(&Ownership::ours(&self.workload, &hash, image), &secrets);
        let scaling_arn = self.plan_scaling(details, plan);
        Ok(Wanted { reference, access_role, instance_role, scaling_arn, secrets, tags })
    }

    /// Reuses an auto scaling configuration that says the same, or makes one.
    fn plan_scaling(&self, details: &Details, plan: &mut DeployPlan) -> String {
        let wanted = self.settings.scaling;
        let mut known = details.scaling.iter().chain(&details.our_scaling);
        if let Some(same) = known.find(|scaling| scaling.scaling() == wanted) {
            return same.auto_scaling_configuration_arn.clone();
        }
        // There may not be many revisions of a name.
        let unused = details.our_scaling.iter().filter(|scaling| !scaling.has_associated_service);
        plan.steps.extend(unused.map(|scaling| self.scaling_removal(scaling)));
        let name = self.scaling_name();
        let ownership = Ownership::of(&self.workload);
        let body = json!({
            "AutoScalingConfigurationName": name,
            "MinSize": wanted.min,
            "MaxSize": wanted.max,
            "MaxConcurrency": wanted.concurrency,
            "Tags": capital_tags(ownership.tags()),
        });
        let title = format!("create the auto scaling configuration `{name}`");
        let step = self.step(title, "CreateAutoScalingConfiguration", body);
        let step = step.creating(format!("auto scaling configuration {name}"));
        let pointer = "/AutoScalingConfiguration/AutoScalingConfigurationArn";
        plan.steps.push(step.giving(SCALING, pointer));
        Given::mark(SCALING)
    }

    pub(super) fn scaling_removal(&self, scaling: &ObservedScaling) -> Step {
        let arn = &scaling.auto_scaling_configuration_arn;
        let title = format!("delete the auto scaling configuration `{arn}`");
        let body = json!({"AutoScalingConfigurationArn": arn});
        self.step(title, "DeleteAutoScalingConfiguration", body)
            .or_done_by(&["ResourceNotFoundException"])
    }

    fn creation(&self, wanted: &Wanted) -> Step {
        let mut body = self.configuration(wanted, &Value::Null);
        body["ServiceName"] = self.settings.name.clone().into();
        body["Tags"] = capital_tags(wanted.tags.pairs());
        let title = format!("create the service `{}`", self.settings.name);
        let mut step = self.step(title, "CreateService", body).creating(self.subject().to_string());
        step.request = hide_variables(step.request, VARIABLES, &self.workload.env);
        step
    }

    fn update(&self, wanted: &Wanted, raw: &Value) -> Step {
        let mut body = self.configuration(wanted, raw);
        body["ServiceArn"] = raw["ServiceArn"].clone();
        let title = format!("update the service `{}`", self.settings.name);
        let mut step = self.step(title, "UpdateService", body);
        step.request = hide_variables(step.request, VARIABLES, &self.workload.env);
        step
    }

    /// The service as it should be; of what we know nothing, as it is.
    fn configuration(&self, wanted: &Wanted, raw: &Value) -> Value {
        let settings = &self.settings;
        let env = self.workload.env.iter();
        let env: BTreeMap<_, _> = env.map(|(name, value)| (name, value.shown())).collect();
        let mut health = object(&raw["HealthCheckConfiguration"]);
        health["Protocol"] = "HTTP".into();
        health["Path"] = settings.health_path.clone().into();
        let mut instance = json!({
            "Cpu": settings.cpu_units.to_string(),
            "Memory": settings.memory_mb.to_string(),
        });
        if let Some(role) = &wanted.instance_role {
            instance["InstanceRoleArn"] = role.clone().into();
        }
        // Without the word, App Runner deploys whatever is pushed next.
        let mut source = json!({
            "AutoDeploymentsEnabled": false,
            "ImageRepository": {
                "ImageIdentifier": wanted.reference,
                "ImageRepositoryType": repository_type(&wanted.reference),
                "ImageConfiguration": {
                    "Port": settings.port.to_string(),
                    "RuntimeEnvironmentVariables": env,
                    "RuntimeEnvironmentSecrets": wanted.secrets.references,
                },
            },
        });
        if let Some(role) = &wanted.access_role {
            source["AuthenticationConfiguration"] = json!({"AccessRoleArn": role});
        }
        json!({
            "SourceConfiguration": source,
            "InstanceConfiguration": instance,
            "HealthCheckConfiguration": health,
            "AutoScalingConfigurationArn": wanted.scaling_arn,
        })
    }

    /// The service as something that has tags.
    pub(super) fn tagged<'a>(&'a self, arn: &'a Value, details: &'a Details) -> Tagged<'a> {
        let (region, name) = (&self.settings.region, &self.settings.name);
        Tagged { service: &APP_RUNNER, region, name, arn, tags: &details.tags }
    }

    pub(super) fn step(&self, title: String, operation: &'static str, body: Value) -> Step {
        Step::new(title, Request::call(&APP_RUNNER, &self.settings.region, operation, body))
    }
}

impl Details {
    /// What was observed beside the service.
    pub(super) fn of(observed: &Observed) -> Self {
        serde_json::from_value(observed.details.clone()).unwrap_or_default()
    }
}

/// The ARN of the role that the container has.
pub(super) fn instance_role_of(raw: &Value) -> Option<&str> {
    raw.pointer("/InstanceConfiguration/InstanceRoleArn")?.as_str()
}

pub(super) fn repository_type(reference: &str) -> &'static str {
    let is_public = reference.split('/').next() == Some(PUBLIC_ECR);
    if is_public { "ECR_PUBLIC" } else { "ECR" }
}
