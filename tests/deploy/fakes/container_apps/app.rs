//! The app: what was written, and what became of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::revision::{Ending, Revision};
use super::{GROUP, PROVIDER, error, taken};
use crate::fake::Response;

/// An app.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a way of Azure's of its own, and all go together"
)]
pub(crate) struct App {
    /// What was written, without values of secrets.
    pub(crate) written: Value,
    /// The values of its secrets.
    pub(crate) secrets: BTreeMap<String, String>,
    /// The oldest first.
    pub(crate) revisions: Vec<Revision>,
    /// Whether it keeps the secrets that any revision refers to, also one that was switched off.
    pub(crate) is_strict: bool,
    /// Whether it is so only after a while: what leaves such a secret out is taken, and fails.
    pub(crate) is_late: bool,
    pub(super) ready: Option<String>,
    /// How many looks are left.
    pub(super) left: u32,
    pub(super) next: Option<Revision>,
    /// Whether the last change failed.
    pub(crate) has_failed: bool,
    /// Whether the last change lacks a secret that is kept.
    pub(super) is_lacking: bool,
    pub(super) is_leaving: bool,
}

impl App {
    /// Takes what should be, or refuses it.
    pub(super) fn change(
        &mut self,
        name: &str,
        mut body: Value,
        ending: &Ending,
    ) -> Result<(), Response> {
        if self.left > 0 {
            let message = format!(
                "Cannot modify a container app '{name}' because there is an active provisioning operation \
                 in progress."
            );
            return Err(error(409, "ContainerAppOperationInProgress", &message));
        }
        let mut secrets = BTreeMap::new();
        let entries = body.pointer_mut("/properties/configuration/secrets");
        for secret in entries.and_then(Value::as_array_mut).into_iter().flatten() {
            let value = secret.as_object_mut().unwrap().remove("value");
            let name = secret["name"].as_str().unwrap().to_owned();
            match (value, secret["keyVaultUrl"].as_str()) {
                (Some(Value::String(value)), _) => drop(secrets.insert(name, value)),
                (_, Some(_)) => drop(secrets.insert(name, String::new())),
                _ => {
                    let message = format!("Invalid secret: '{name}' has no value.");
                    return Err(error(400, "ContainerAppSecretInvalid", &message));
                }
            }
        }
        let template = &body["properties"]["template"];
        let named = |template: &Value| -> Vec<String> {
            let containers = template["containers"].as_array().cloned().unwrap_or_default();
            let env = containers
                .iter()
                .flat_map(|one| one["env"].as_array().cloned().unwrap_or_default());
            env.filter_map(|entry| entry["secretRef"].as_str().map(str::to_owned)).collect()
        };
        let users = self.revisions.iter().filter(|revision| revision.is_active || self.is_strict);
        let used = users.flat_map(|revision| named(&revision.template));
        self.is_lacking = false;
        for name in named(template).into_iter().chain(used) {
            if !secrets.contains_key(&name) {
                self.is_lacking = true;
                if self.is_late {
                    continue;
                }
                let message = format!("The secret '{name}' is used and cannot be left out.");
                return Err(error(400, "ContainerAppSecretInvalid", &message));
            }
        }
        let suffix = template["revisionSuffix"].as_str().map(str::to_owned);
        let suffix = suffix.unwrap_or_else(|| format!("auto{}", self.revisions.len()));
        let revision = format!("{name}--{suffix}");
        let same = self.revisions.iter().find(|other| other.name == revision);
        if let Some(same) = same
            && same.template != *template
        {
            return Err(error(400, "ContainerAppInvalidRevisionSuffix", &taken(&suffix)));
        }
        if same.is_none() {
            self.next = Some(Revision {
                name: revision,
                template: template.clone(),
                ending: ending.clone(),
                is_active: true,
            });
        }
        self.has_failed = self.is_lacking;
        self.secrets = secrets;
        self.written = body;
        Ok(())
    }

    /// Whether nothing is going on.
    pub(super) fn is_settled(&self) -> bool {
        self.left == 0 && self.next.is_none() && !self.is_leaving
    }

    /// Time goes on.
    pub(super) fn look(&mut self) {
        if self.left > 0 {
            self.left -= 1;
            return;
        }
        let Some(next) = self.next.take() else { return };
        let is_none = matches!(next.ending, Ending::Refused(_) | Ending::Taken);
        self.has_failed = is_none || matches!(next.ending, Ending::Unprovisioned(_));
        if is_none {
            return;
        }
        if !self.has_failed && next.ending != Ending::Crashing {
            self.ready = Some(next.name.clone());
            self.revisions.iter_mut().for_each(|revision| revision.is_active = false);
        }
        self.revisions.push(next);
    }

    pub(super) fn document(&self, name: &str) -> Value {
        let state = match () {
            () if self.is_leaving => "Deleting",
            () if self.left > 0 || self.next.is_some() => "InProgress",
            () if self.has_failed => "Failed",
            () => "Succeeded",
        };
        let mut app = self.written.clone();
        let is_stopped = app["stopped"] == true;
        app.as_object_mut().unwrap().remove("stopped");
        app["id"] = format!("{GROUP}{PROVIDER}/containerapps/{name}").into();
        app["name"] = name.into();
        app["type"] = "Microsoft.App/containerApps".into();
        app["systemData"] = json!({"createdBy": "bob@acme.com"});
        let users = app["identity"]["userAssignedIdentities"].as_object_mut();
        for user in users.into_iter().flatten().map(|(_, user)| user) {
            *user = json!({"principalId": "p", "clientId": "c"});
        }
        if app["identity"]["type"].is_null() {
            app["identity"] = json!({"type": "None"});
        } else {
            app["identity"]["principalId"] = "p".into();
        }
        let properties = &mut app["properties"];
        let environment =
            [&properties["environmentId"], &properties["managedEnvironmentId"]].map(Value::clone);
        let environment = environment.into_iter().find(Value::is_string).unwrap();
        properties["environmentId"] = environment.clone();
        properties["managedEnvironmentId"] = environment;
        properties["provisioningState"] = state.into();
        properties["runningStatus"] = if is_stopped { "Stopped" } else { "Running" }.into();
        properties["latestRevisionName"] =
            self.revisions.last().map(|revision| revision.name.clone()).into();
        properties["latestReadyRevisionName"] = self.ready.clone().into();
        properties["outboundIpAddresses"] = json!(["20.0.0.1"]);
        properties["configuration"]["ingress"]["fqdn"] =
            format!("{name}.nice-1234.westeurope.azurecontainerapps.io").into();
        properties["configuration"]["ingress"]["customDomains"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .for_each(|domain| domain["certificateId"] = "/c".into());
        properties["configuration"]["dapr"] = Value::Null;
        for container in properties["template"]["containers"].as_array_mut().into_iter().flatten() {
            container["resources"]["ephemeralStorage"] = "4Gi".into();
        }
        app
    }
}
