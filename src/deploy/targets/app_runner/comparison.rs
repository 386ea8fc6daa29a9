//! How a service of App Runner differs from what it should be.

use std::collections::BTreeMap;

use serde_json::Value;

use super::AppRunner;
use super::observe::Details;
use super::plan::{SECRETS, VARIABLES, Wanted};
use crate::deploy::DeployPlan;
use crate::deploy::aws::{plan_references, plan_variables};

impl AppRunner {
    /// Notes what differs; says whether the service itself does.
    pub(super) fn plan_changes(
        &self,
        wanted: &Wanted,
        details: &Details,
        raw: &Value,
        plan: &mut DeployPlan,
    ) -> bool {
        let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str);
        let source = "/SourceConfiguration";
        let image = format!("{source}/ImageRepository");
        let authentication = format!("{source}/AuthenticationConfiguration/AccessRoleArn");
        let automatic = raw.pointer(&format!("{source}/AutoDeploymentsEnabled"));
        let automatic = automatic.and_then(Value::as_bool).unwrap_or(false);
        let settings = &self.settings;
        let pairs = [
            (
                "image",
                text(&format!("{image}/ImageIdentifier")).map(str::to_owned),
                Some(wanted.reference.clone()),
            ),
            (
                "port",
                text(&format!("{image}/ImageConfiguration/Port")).map(str::to_owned),
                Some(settings.port.to_string()),
            ),
            (
                "start command",
                text(&format!("{image}/ImageConfiguration/StartCommand")).map(str::to_owned),
                None,
            ),
            ("automatic deployments", automatic.then(|| "on".to_owned()), None),
            (
                "cpu",
                text("/InstanceConfiguration/Cpu").map(cpu_units),
                Some(settings.cpu_units.to_string()),
            ),
            (
                "memory",
                text("/InstanceConfiguration/Memory").map(memory_mb),
                Some(settings.memory_mb.to_string()),
            ),
            ("access role", text(&authentication).map(str::to_owned), wanted.access_role.clone()),
            (
                "instance role",
                text("/InstanceConfiguration/InstanceRoleArn").map(str::to_owned),
                wanted.instance_role.clone(),
            ),
            (
                "health check",
                text("/HealthCheckConfiguration/Path")
                    .filter(|_| text("/HealthCheckConfiguration/Protocol") == Some("HTTP"))
                    .map(str::to_owned),
                Some(settings.health_path.clone()),
            ),
            (
                "scaling",
                details.scaling.as_ref().map(|scaling| scaling.scaling().to_string()),
                Some(settings.scaling.to_string()),
            ),
        ];
        let mut is_different = false;
        for (what, before, after) in pairs {
            is_different |= plan.change(what, before, after);
        }
        let variables = texts(raw.pointer(VARIABLES));
        is_different |= plan_variables(&variables, &self.workload.env, plan);
        let references = texts(raw.pointer(SECRETS));
        is_different | plan_references(&references, &wanted.secrets.references, plan)
    }
}

/// The members of an object that are texts.
pub(super) fn texts(object: Option<&Value>) -> BTreeMap<String, String> {
    let members = object.and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// `1 vCPU` and `1024` are the same.
fn cpu_units(text: &str) -> String {
    match text.strip_suffix(" vCPU") {
        Some("0.25") => "256".to_owned(),
        Some("0.5") => "512".to_owned(),
        Some(whole) => whole.parse::<u32>().map_or(text.to_owned(), |cpu| (cpu * 1024).to_string()),
        None => text.to_owned(),
    }
}

/// `2 GB` and `2048` are the same.
fn memory_mb(text: &str) -> String {
    match text.strip_suffix(" GB") {
        Some("0.5") => "512".to_owned(),
        Some(whole) => whole.parse::<u32>().map_or(text.to_owned(), |gb| (gb * 1024).to_string()),
        None => text.to_owned(),
    }
}
