//! What has to be done so that a service of ECS Express Mode is as it should be.

use serde_json::{Value, json};

use super::EcsExpress;
use super::comparison::references;
use super::observe::Details;
use super::settings::Settings;
use crate::cloud::{ECS, Request};
use crate::config::near_names::nearest;
use crate::deploy::aws::{
    EcrHost, Place, PlannedSecrets, RoleSpec, SecretStore, ServiceTags, Tagged, hide_variables,
    plan_roles, role_name, secrets_revision, shown_settings, small_tags,
};
use crate::deploy::{
    DeployError, DeployPlan, Image, Observed, Ownership, Service, State, Step, Target as _,
    config_hash,
};

/// Where variables stand in what is sent.
pub(super) const VARIABLES: &str = "/primaryContainer/environment";
/// What a service is to become, when everything it needs is there.
pub(super) struct Wanted {
    pub(super) image: String,
    pub(super) architecture: &'static str,
    pub(super) execution_role: String,
    infrastructure_role: String,
    pub(super) secrets: PlannedSecrets,
    tags: ServiceTags,
}

impl EcsExpress {
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
        if let Some(others) = &details.other_clusters {
            return Err(self.missing_cluster(others));
        }
        let raw = service.map_or(&Value::Null, |service| &service.raw);
        let active = &raw["active"];
        let mut plan = DeployPlan::default();
        let wanted = self.plan_needs(image, &details, &place, raw, &mut plan)?;
        // After an attempt that came to nothing, only another one gets it into a good state again.
        let must_write = service.is_some_and(|service| {
            matches!(service.state, State::Failed(_) | State::RolledBack(_))
        });
        let is_different = self.plan_changes(&wanted, active, &mut plan);
        let old_secrets = secrets_revision(&details.tags);
        if service.is_none() {
            plan.steps.push(self.creation(&wanted));
        } else {
            let arn = &raw["service"]["serviceArn"];
            // Containers read secrets when they start: a new value needs new ones.
            if is_different || must_write || wanted.secrets.revision != old_secrets {
                plan.steps.push(self.update(&wanted, arn, active).settling());
            }
            wanted.tags.plan(self.tagged(arn, &details), &mut plan);
        }
        self.store_for(&wanted.image).plan_tidying(&details.secrets, &place, &mut plan);
        Ok(plan)
    }

    /// The role that ECS pulls and reads secrets with, unless it is somebody else's business.
    pub(super) fn execution_role(&self, there: Option<&str>, place: &Place) -> Option<RoleSpec> {
        let role = self.execution_role_spec(&self.store(), place);
        role.is_ours(self.settings.execution_role.as_deref(), there, place).then_some(role)
    }

    fn execution_role_spec(&self, store: &SecretStore<'_>, place: &Place) -> RoleSpec {
        RoleSpec {
            name: self.role_name("execution"),
            purpose: "execution role",
            principal: "ecs-tasks.amazonaws.com",
            policies: &["service-role/AmazonECSTaskExecutionRolePolicy"],
            statements: store.statement(place).into_iter().collect(),
            setting: "execution_role_arn",
        }
    }

    /// The role that ECS makes load balancers with, unless it is somebody else's business.
    pub(super) fn infrastructure_role(
        &self,
        there: Option<&str>,
        place: &Place,
    ) -> Option<RoleSpec> {
        let role = RoleSpec {
            name: self.role_name("infrastructure"),
            purpose: "infrastructure role",
            principal: "ecs.amazonaws.com",
            policies: &["service-role/AmazonECSInfrastructureRoleforExpressGatewayServices"],
            statements: Vec::new(),
            setting: "infrastructure_role_arn",
        };
        role.is_ours(self.settings.infrastructure_role.as_deref(), there, place).then_some(role)
    }

    fn role_name(&self, purpose: &str) -> String {
        let Settings { region, cluster, name, .. } = &self.settings;
        match cluster.as_str() {
            "default" => role_name(&[region, name, purpose]),
            cluster => role_name(&[region, cluster, name, purpose]),
        }
    }

    pub(super) fn place(&self, details: &Details) -> Place {
        Place { region: self.settings.region.clone(), account: details.account.clone() }
    }

    /// The secrets that an image needs: with its own role, ECS pulls from ECR.
    fn store_for(&self, reference: &str) -> SecretStore<'_> {
        let host = reference.split('/').next().unwrap_or_default();
        let needs_pull = EcrHost::parse(host).is_none();
        if needs_pull {
            self.store()
        } else {
            SecretStore::new(&self.workload, "ecs-express", &self.settings.name)
        }
    }

    pub(super) fn subject_text(&self) -> String {
        self.subject().to_string()
    }

    /// Whether the service may be changed at all.
    pub(super) fn check_service(&self, service: &Service) -> Result<(), DeployError> {
        let subject = self.subject();
        service.ownership.check(&self.workload, &subject)?;
        let impossible = |reason: String, hint: &str| DeployError::Impossible {
            subject: subject.to_string(),
            reason,
            hint: hint.to_owned(),
        };
        let express = &service.raw["service"];
        if !express.is_object() {
            return Err(impossible(
                "it is a service of ECS that Express Mode does not manage".to_owned(),
                "give this one another `name`",
            ));
        }
        let there = express["infrastructureRoleArn"].as_str();
        match (&self.settings.infrastructure_role, there) {
            (Some(wanted), Some(there)) if wanted != there => Err(impossible(
                format!("its infrastructure role is `{there}`, and cannot be changed"),
                "name that one in `infrastructure_role_arn`, or destroy the service first",
            )),
            _ => Ok(()),
        }
    }

    /// The cluster is not there: perhaps another one is meant.
    fn missing_cluster(&self, others: &[String]) -> DeployError {
        let Settings { region, cluster, .. } = &self.settings;
        let others: Vec<_> = others.iter().map(String::as_str).collect();
        let mut hints = Vec::new();
        if let Some(near) = nearest(cluster, &others) {
            hints.push(format!("did you mean `cluster: {near}`?"));
        } else if !others.is_empty() {
            hints.push(format!("there are: `{}`", others.join("`, `")));
        }
        hints.push(format!(
            "make it: `aws ecs create-cluster --cluster-name {cluster} --region {region}`, or leave `cluster` out"
        ));
        DeployError::Missing { what: vec![format!("the cluster `{cluster}` in {region}")], hints }
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
        let reference = image.reference();
        let architecture = self.architecture(image)?;
        let store = self.store_for(&reference);
        let execution_there = raw["active"]["executionRoleArn"].as_str();
        let infrastructure_there = raw["service"]["infrastructureRoleArn"].as_str();
        let execution = self.execution_role(execution_there, place);
        let execution = execution.map(|_| self.execution_role_spec(&store, place));
        let is_ours = execution.is_some();
        let infrastructure = self.infrastructure_role(infrastructure_there, place);
        let roles = [
            execution.map(|role| (role, details.execution_role.as_ref())),
            infrastructure.map(|role| (role, details.infrastructure_role.as_ref())),
        ];
        let [execution, infrastructure] = plan_roles(roles, place, &self.workload, plan)?;
        let settings = &self.settings;
        let execution_role =
            execution.unwrap_or_else(|| named(settings.execution_role.as_deref(), execution_there));
        let infrastructure_role = infrastructure.unwrap_or_else(|| {
            named(settings.infrastructure_role.as_deref(), infrastructure_there)
        });
        let secrets = store.plan(&details.secrets, place, plan);
        let is_new = secrets.references != references(&raw["active"]);
        if !is_ours && is_new && store.statement(place).is_some() {
            let role = self.execution_role_spec(&store, place);
            plan.notes.push(role.permission_note(&execution_role));
        }
        let hash = config_hash(&shown_settings(&self.settings.document(), &self.workload));
        let tags = ServiceTags::new(&Ownership::ours(&self.workload, &hash, image), &secrets);
        Ok(Wanted {
            image: reference,
            architecture,
            execution_role,
            infrastructure_role,
            secrets,
            tags,
        })
    }

    fn creation(&self, wanted: &Wanted) -> Step {
        let mut body = self.configuration(wanted, &Value::Null);
        body["serviceName"] = self.settings.name.clone().into();
        body["cluster"] = self.settings.cluster.clone().into();
        body["infrastructureRoleArn"] = wanted.infrastructure_role.clone().into();
        body["tags"] = small_tags(wanted.tags.pairs());
        let title = format!("create the service `{}`", self.settings.name);
        let step = self.step(title, "CreateExpressGatewayService", body);
        let mut step = step.creating(self.subject_text());
        step.request = hide_variables(step.request, VARIABLES, &self.workload.env);
        step
    }

    fn update(&self, wanted: &Wanted, arn: &Value, active: &Value) -> Step {
        let mut body = self.configuration(wanted, active);
        body["serviceArn"] = arn.clone();
        let title = format!("update the service `{}`", self.settings.name);
        let mut step = self.step(title, "UpdateExpressGatewayService", body);
        step.request = hide_variables(step.request, VARIABLES, &self.workload.env);
        step
    }

    /// The service as it should be, whole: nobody says what becomes of members that are left out.
    fn configuration(&self, wanted: &Wanted, active: &Value) -> Value {
        let settings = &self.settings;
        let env = self.workload.env.iter();
        let env: Vec<_> =
            env.map(|(name, value)| json!({"name": name, "value": value.shown()})).collect();
        let secrets = wanted.secrets.references.iter();
        let secrets: Vec<_> =
            secrets.map(|(name, arn)| json!({"name": name, "valueFrom": arn})).collect();
        let mut container = json!({
            "image": wanted.image,
            "containerPort": settings.port,
            "environment": env,
            "secrets": secrets,
        });
        if let Some(pull) = &wanted.secrets.pull {
            container["repositoryCredentials"] = json!({"credentialsParameter": pull});
        }
        if let Some(logs) = active.pointer("/primaryContainer/awsLogsConfiguration") {
            container["awsLogsConfiguration"] = logs.clone();
        }
        let mut body = json!({
            "executionRoleArn": wanted.execution_role,
            "healthCheckPath": settings.health_path,
            "primaryContainer": container,
            "cpu": settings.cpu_units.to_string(),
            "memory": settings.memory_mb.to_string(),
            "cpuArchitecture": wanted.architecture,
            "scalingTarget": settings.scaling,
        });
        let task_role = settings.task_role.as_deref().or(active["taskRoleArn"].as_str());
        if let Some(role) = task_role {
            body["taskRoleArn"] = role.into();
        }
        if settings.network.is_object() {
            body["networkConfiguration"] = settings.network.clone();
        }
        body
    }

    /// The service as something that has tags.
    pub(super) fn tagged<'a>(&'a self, arn: &'a Value, details: &'a Details) -> Tagged<'a> {
        let (region, name) = (&self.settings.region, &self.settings.name);
        Tagged { service: &ECS, region, name, arn, tags: &details.tags }
    }

    pub(super) fn step(&self, title: String, operation: &'static str, body: Value) -> Step {
        Step::new(title, Request::call(&ECS, &self.settings.region, operation, body))
    }
}

impl Details {
    /// What was observed beside the service.
    pub(super) fn of(observed: &Observed) -> Self {
        serde_json::from_value(observed.details.clone()).unwrap_or_default()
    }
}

/// The role that the settings name, or that is there.
fn named(setting: Option<&str>, there: Option<&str>) -> String {
    setting.or(there).unwrap_or_default().to_owned()
}
