//! How a service of ECS Express Mode differs from what it should be.

use std::collections::BTreeMap;

use serde_json::Value;

use super::EcsExpress;
use super::plan::Wanted;
use crate::deploy::DeployPlan;
use crate::deploy::aws::{plan_references, plan_variables};

impl EcsExpress {
    /// Notes what differs; says whether the service itself does.
    pub(super) fn plan_changes(
        &self,
        wanted: &Wanted,
        active: &Value,
        plan: &mut DeployPlan,
    ) -> bool {
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
            ("health check", text("/healthCheckPath"), Some(settings.health_path.clone())),
            ("scaling", active.get("scalingTarget").map(scaling), Some(scaling(&settings.scaling))),
        ];
        match (&settings.task_role, text("/taskRoleArn")) {
            (Some(role), there) => pairs.push(("task role", there, Some(role.clone()))),
            // An update that leaves it out changes nothing about it.
            (None, Some(there)) => {
                plan.notes.push(format!(
                    "the task role `{there}` stays, with its rights: ECS takes another one, but cannot go back to none; \
                     name one in `task_role_arn`, or destroy the service first"
                ));
                plan.change("task role", Some(there), None::<String>);
            }
            (None, None) => {}
        }
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
}

/// The variables of a configuration that are secrets, and where their values are.
pub(super) fn references(active: &Value) -> BTreeMap<String, String> {
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
