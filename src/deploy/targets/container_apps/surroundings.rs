//! Where a new app goes: its environment and its resource group, which must be there.

use serde_json::Value;

use super::plan::Planner;
use super::settings::Settings;
use crate::config::near_names::nearest;
use crate::deploy::{DeployError, Observed};

impl Planner<'_> {
    /// Where a new app is: where its environment is.
    pub(super) fn location<'a>(
        self,
        environment: &'a Value,
        observed: &Observed,
    ) -> Result<&'a str, DeployError> {
        let Some(location) = environment["location"].as_str() else {
            return Err(match &observed.details["groups"] {
                Value::Array(groups) => self.missing_group(groups),
                _ => self.missing_environment(&observed.details["environments"]),
            });
        };
        let same = |text: &str| text.replace(' ', "").to_ascii_lowercase();
        match &self.settings.location {
            Some(wanted) if same(wanted) != same(location) => Err(DeployError::Impossible {
                subject: self.subject.to_string(),
                reason: format!(
                    "it cannot be in `{wanted}`: its environment `{}` is in `{location}`",
                    self.settings.environment_name
                ),
                hint: "leave `location` out, or name an environment there".to_owned(),
            }),
            _ => Ok(location),
        }
    }

    fn missing_environment(self, others: &Value) -> DeployError {
        let Settings { environment_name, resource_group, subscription_id, .. } = self.settings;
        let others = others.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut hints = Vec::from_iter(other("environment_name", environment_name, others));
        let location = self.settings.location.as_deref().unwrap_or("REGION");
        hints.push(format!(
            "create it: `az containerapp env create --name {environment_name} --resource-group \
             {resource_group} --subscription {subscription_id} --location {location}`"
        ));
        DeployError::Missing {
            what: vec![format!(
                "the Container Apps environment `{environment_name}` in the resource group \
                 `{resource_group}`"
            )],
            hints,
        }
    }

    fn missing_group(self, others: &[Value]) -> DeployError {
        let Settings { resource_group, subscription_id, .. } = self.settings;
        let mut hints = Vec::from_iter(other("resource_group", resource_group, others));
        hints.push(format!(
            "create it: `az group create --name {resource_group} --subscription {subscription_id} \
             --location REGION`"
        ));
        DeployError::Missing {
            what: vec![format!(
                "the resource group `{resource_group}` in the subscription `{subscription_id}`"
            )],
            hints,
        }
    }
}

/// The name that a setting may have been meant to have, or those that there are.
fn other(setting: &str, name: &str, others: &[Value]) -> Option<String> {
    let others: Vec<_> = others.iter().filter_map(Value::as_str).collect();
    match nearest(name, &others) {
        Some(near) => Some(format!("did you mean `{setting}: {near}`?")),
        None if others.is_empty() => None,
        None => Some(format!("there are: `{}`", others.join("`, `"))),
    }
}
