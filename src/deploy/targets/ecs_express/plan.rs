//! What has to be done so that a service of ECS Express Mode is as it should be.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::EcsExpress;
use super::observe::Details;
use super::settings::Settings;
use crate::cloud::{ECS, Request};
use crate::deploy::aws::{
    EcrHost, Place, PlannedSecrets, RoleSpec, SecretStore, find_tag, hide_variables, object,
    plan_references, plan_roles, plan_variables, role_name, shown_settings, small_tags,
};
use crate::deploy::{
    DeployError, DeployPlan, Image, Observed, Ownership, Service, State, Step, Target as _,
    config_hash,
};
use crate::oci::Digest;

/// The tag that changes whenever the value of a secret does.
const SECRETS_TAG: &str = "dockless-secrets";
/// Where variables stand in what is sent.
const VARIABLES: &str = "/primaryContainer/environment";
/// What a service answers to whoever deletes it when it is being deleted.
const GONE: &[&str] =
    &["ServiceNotActiveException", "ServiceNotFoundException", "ResourceNotFoundException"];

/// What a service is to become, when everything it needs is there.
struct Wanted {
    image: String,
    architecture: &'static str,
    execution_role: String,
    infrastructure_role: String,
    secrets: PlannedSecrets,
    tags: BTreeMap<String, String>,
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
        let raw = service.map_or(&Value::Null, |service| &service.raw);
        let active = &raw["active"];
        let mut plan = DeployPlan::default();
        let wanted = self.plan_needs(image, &details, &place, raw, &mut plan)?;
        // After an attempt that came to nothing, only another one gets it into a good state again.
        let must_write = service.is_some_and(|service| {
            matches!(service.state, State::Failed(_) | State::RolledBack(_))
        });
        let is_different = self.plan_changes(&wanted, active, &mut plan);
        let old_secrets = find_tag(&details.tags, SECRETS_TAG).unwrap_or_default();
        if service.is_none() {
            plan.steps.push(self.creation(&wanted));
        } else {
            let arn = &raw["service"]["serviceArn"];
            // Containers read secrets when they start: a new value needs new ones.
            if is_different || must_write || wanted.secrets.revision != old_secrets {
                plan.steps.push(self.update(&wanted, arn, active).settling());
            }
            self.plan_tags(arn, &wanted.tags, &details.tags, &mut plan);
        }
        self.store_for(&wanted.image).plan_tidying(&details.secrets, &place, &mut plan);
        Ok(plan)
    }

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
        let digest = image.rsplit_once('@').and_then(|(_, digest)| digest.parse::<Digest>().ok());
        let ownership = Ownership {
            image_digest: digest.map(|digest| digest.hex()),
            ..service.ownership.clone()
        };
        let mut tags = owned(&ownership);
        let secrets = find_tag(&details.tags, SECRETS_TAG);
        tags.extend(secrets.map(|revision| (SECRETS_TAG.to_owned(), revision.to_owned())));
        self.plan_tags(arn, &tags, &details.tags, &mut plan);
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
            (self.execution_role(execution, &place), &details.execution_role),
            (self.infrastructure_role(infrastructure, &place), &details.infrastructure_role),
        ];
        for (role, observed) in roles {
            if let Some(role) = role {
                role.plan_removal(observed.as_ref(), &place, &self.workload, &mut plan);
            }
        }
        self.store().plan_removal(&details.secrets, &place, &mut plan);
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

    fn place(&self, details: &Details) -> Place {
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

    fn subject_text(&self) -> String {
        self.subject().to_string()
    }

    /// Whether the service may be changed at all.
    fn check_service(&self, service: &Service) -> Result<(), DeployError> {
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
        let mut tags = owned(&Ownership::ours(&self.workload, &hash, image));
        if !secrets.revision.is_empty() {
            tags.insert(SECRETS_TAG.to_owned(), secrets.revision.clone());
        }
        Ok(Wanted {
            image: reference,
            architecture,
            execution_role,
            infrastructure_role,
            secrets,
            tags,
        })
    }

    /// Notes what differs; says whether the service itself does.
    fn plan_changes(&self, wanted: &Wanted, active: &Value, plan: &mut DeployPlan) -> bool {
        let settings = &self.settings;
        let text = |pointer: &str| match active.pointer(pointer) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Null) | None => None,
            Some(Value::Array(items)) if items.is_empty() => None,
            Some(value) => Some(value.to_string()),
        };
        let container = "/primaryContainer";
        let scaling = |value: &Value| {
            let member = |name: &str| value[name].to_string().replace('"', "");
            let (min, max) = (member("minTaskCount"), member("maxTaskCount"));
            format!(
                "{min} to {max} tasks, {} at {}",
                member("autoScalingMetric"),
                member("autoScalingTargetValue")
            )
        };
        // What the config does not name stays as it is.
        let task_role = settings.task_role.clone().or_else(|| text("/taskRoleArn"));
        let network = |name: &str| settings.network.get(name).map(sorted);
        let there = |name: &str| active["networkConfiguration"].get(name).map(sorted);
        let mut pairs = vec![
            ("image", text(&format!("{container}/image")), Some(wanted.image.clone())),
            ("port", text(&format!("{container}/containerPort")), Some(settings.port.to_string())),
            ("command", text(&format!("{container}/command")), None),
            (
                "pull",
                text(&format!("{container}/repositoryCredentials/credentialsParameter")),
                wanted.secrets.pull.clone(),
            ),
            ("cpu", text("/cpu"), Some(settings.cpu_units.to_string())),
            ("memory", text("/memory"), Some(settings.memory_mb.to_string())),
            (
                "architecture",
                // Services from before ECS told it run on x86_64.
                text("/cpuArchitecture")
                    .or_else(|| active.is_object().then(|| "X86_64".to_owned())),
                Some(wanted.architecture.to_owned()),
            ),
            ("execution role", text("/executionRoleArn"), Some(wanted.execution_role.clone())),
            ("task role", text("/taskRoleArn"), task_role),
            ("health check", text("/healthCheckPath"), Some(settings.health_path.clone())),
            ("scaling", active.get("scalingTarget").map(scaling), Some(scaling(&settings.scaling))),
        ];
        for (what, member) in [("subnets", "subnets"), ("security groups", "securityGroups")] {
            if let Some(wanted) = network(member) {
                pairs.push((what, there(member), Some(wanted)));
            }
        }
        let mut is_different = false;
        for (what, before, after) in pairs {
            is_different |= plan.change(what, before, after);
        }
        let variables = texts(active.pointer("/primaryContainer/environment"), "value");
        is_different |= plan_variables(&variables, &self.workload.env, plan);
        is_different | plan_references(&references(active), &wanted.secrets.references, plan)
    }

    fn creation(&self, wanted: &Wanted) -> Step {
        let mut body = self.configuration(wanted, &Value::Null);
        body["serviceName"] = self.settings.name.clone().into();
        body["cluster"] = self.settings.cluster.clone().into();
        body["infrastructureRoleArn"] = wanted.infrastructure_role.clone().into();
        let tags = wanted.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        body["tags"] = small_tags(tags);
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

    /// Writes the tags that differ. They come last: they tell what was deployed, not what was tried.
    fn plan_tags(
        &self,
        arn: &Value,
        wanted: &BTreeMap<String, String>,
        there: &Value,
        plan: &mut DeployPlan,
    ) {
        let is_there = |(key, value): &(&String, &String)| find_tag(there, key) == Some(value);
        let lacking: Vec<_> = wanted.iter().filter(|tag| !is_there(tag)).collect();
        let name = &self.settings.name;
        if !lacking.is_empty() {
            let tags = lacking.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            let body = json!({"resourceArn": arn, "tags": small_tags(tags)});
            plan.steps.push(self.step(format!("tag the service `{name}`"), "TagResource", body));
        }
        if !wanted.contains_key(SECRETS_TAG) && find_tag(there, SECRETS_TAG).is_some() {
            let body = json!({"resourceArn": arn, "tagKeys": [SECRETS_TAG]});
            plan.steps.push(self.step(
                format!("untag the service `{name}`"),
                "UntagResource",
                body,
            ));
        }
    }

    fn step(&self, title: String, operation: &'static str, body: Value) -> Step {
        Step::new(title, Request::call(&ECS, &self.settings.region, operation, body))
    }
}

/// Whether a step has ECS begin a deployment.
pub(super) fn begins_deployment(step: &Step) -> bool {
    ["CreateExpressGatewayService", "UpdateExpressGatewayService"].contains(&step.request.operation)
}

impl Details {
    /// What was observed beside the service.
    fn of(observed: &Observed) -> Self {
        serde_json::from_value(observed.details.clone()).unwrap_or_default()
    }
}

/// The role that the settings name, or that is there.
fn named(setting: Option<&str>, there: Option<&str>) -> String {
    setting.or(there).unwrap_or_default().to_owned()
}

/// The variables of a configuration that are secrets, and where their values are.
fn references(active: &Value) -> BTreeMap<String, String> {
    texts(active.pointer("/primaryContainer/secrets"), "valueFrom")
}

/// A list of things with a name.
fn texts(list: Option<&Value>, member: &str) -> BTreeMap<String, String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    let pair =
        |item: &Value| Some((item["name"].as_str()?.to_owned(), item[member].as_str()?.to_owned()));
    items.filter_map(pair).collect()
}

/// The texts of a list, in order.
fn sorted(list: &Value) -> String {
    let items = list.as_array().into_iter().flatten();
    let mut items: Vec<_> = items.filter_map(Value::as_str).collect();
    items.sort_unstable();
    items.join(", ")
}

fn owned(ownership: &Ownership) -> BTreeMap<String, String> {
    let tags = ownership.tags().into_iter();
    tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
