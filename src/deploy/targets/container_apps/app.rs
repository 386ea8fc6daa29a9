//! A container app as JSON: what is there, and what it becomes with our settings.
//!
//! What an app has beyond our settings (domains, rules, volumes, other containers, other secrets) stays: a
//! `PUT` replaces all of it, so all of it is sent back.

use serde_json::{Map, Value, json};

use super::amounts::shown_hundredths;
use super::leftovers::{self, kind_of};
use super::names::{is_system, pull_secret_name, secret_name};
use super::settings::Settings;
use crate::deploy::{Pull, SecretValue, Variable, Workload};

/// The tag that names the revision that was ready before the newest: of one that was switched off, the
/// platform does not tell whether it ever was.
pub(super) const PREVIOUS_KEY: &str = "dockless-previous-revision";

/// What an app is made of.
pub(super) struct Wanted<'a> {
    pub(super) settings: &'a Settings,
    pub(super) workload: &'a Workload,
    /// The image, by digest.
    pub(super) image: &'a str,
    /// The registry that has it.
    pub(super) registry: &'a str,
}

impl Wanted<'_> {
    /// The app that should be, with the values of its secrets; its tags are not set, and its revision has
    /// the name that it has. `there` is what can be sent of the app that is there ([`sendable`]).
    pub(super) fn app(&self, there: Option<&Value>, location: &str) -> Value {
        let mut app = there.cloned().unwrap_or_else(|| {
            json!({
                "location": location,
                "properties": {
                    "environmentId": self.settings.environment_path(),
                    "configuration": {"ingress": {"transport": "auto", "allowInsecure": false}},
                    "template": {"containers": []},
                },
            })
        });
        // What other registries had may be needed on the way back.
        leftovers::drop_logins(&mut app, |server| server.eq_ignore_ascii_case(self.registry));
        let properties = &mut app["properties"];
        if let Some(profile) = &self.settings.workload_profile {
            properties["workloadProfileName"] = profile.clone().into();
        }
        let configuration = &mut properties["configuration"];
        configuration["activeRevisionsMode"] = "Single".into();
        let ingress = &mut configuration["ingress"];
        ingress["external"] = self.settings.ingress_external.into();
        ingress["targetPort"] = self.settings.port.into();
        ingress["traffic"] = json!([{"latestRevision": true, "weight": 100}]);
        self.set_secrets(configuration);
        self.set_registry(configuration);
        let template = &mut properties["template"];
        template["scale"]["minReplicas"] = self.settings.min_replicas.into();
        template["scale"]["maxReplicas"] = self.settings.max_replicas.into();
        self.set_container(template);
        leftovers::drop_identities(&mut app, &self.identities());
        self.set_identity(&mut app);
        app
    }

    /// The managed identities that the settings name.
    pub(super) fn identities(&self) -> Vec<&str> {
        let mut identities: Vec<_> = self.settings.identity.iter().map(String::as_str).collect();
        if let Some(Pull::Kept(identity)) = &self.workload.pull {
            identities.push(identity);
        }
        let has_vault =
            self.workload.secrets.values().any(|secret| matches!(secret, SecretValue::Kept(_)));
        if has_vault && self.settings.identity.is_none() {
            identities.push("system");
        }
        identities
    }

    fn set_identity(&self, app: &mut Value) {
        let mut is_own =
            app["identity"]["type"].as_str().is_some_and(|kind| kind.contains("System"));
        let users = app["identity"]["userAssignedIdentities"].as_object();
        let mut users: Vec<String> =
            users.into_iter().flatten().map(|(identity, _)| identity.clone()).collect();
        for identity in self.identities() {
            if is_system(identity) {
                is_own = true;
            } else if !users.iter().any(|user| user.eq_ignore_ascii_case(identity)) {
                users.push(identity.to_owned());
            }
        }
        if !is_own && users.is_empty() {
            return;
        }
        app["identity"] = json!({"type": kind_of(is_own, !users.is_empty())});
        if !users.is_empty() {
            let users: Map<_, _> = users.into_iter().map(|user| (user, json!({}))).collect();
            app["identity"]["userAssignedIdentities"] = users.into();
        }
    }

    fn set_secrets(&self, configuration: &mut Value) {
        for (variable, secret) in &self.workload.secrets {
            let name = secret_name(variable);
            let entry = match secret {
                SecretValue::Unset => continue,
                SecretValue::Given(secret) => json!({"name": name, "value": secret.expose()}),
                SecretValue::Kept(url) => {
                    let identity = self.settings.identity.as_deref().unwrap_or("system");
                    json!({"name": name, "keyVaultUrl": url, "identity": identity})
                }
            };
            put(configuration, "secrets", "name", entry);
        }
    }

    fn set_registry(&self, configuration: &mut Value) {
        let server = self.registry;
        let entry = match (&self.workload.pull, &self.settings.identity) {
            (Some(Pull::Password { username, password }), _) => {
                let name = pull_secret_name(server);
                let secret = json!({"name": name, "value": password.expose()});
                put(configuration, "secrets", "name", secret);
                json!({"server": server, "username": username, "passwordSecretRef": name})
            }
            (Some(Pull::Kept(identity)), _) => json!({"server": server, "identity": identity}),
            (None, Some(identity)) if crate::cloud::is_azure_registry(server) => {
                json!({"server": server, "identity": identity})
            }
            (None, _) => return,
        };
        put(configuration, "registries", "server", entry);
    }

    fn set_container(&self, template: &mut Value) {
        let name = container(template, &self.settings.name).map_or_else(
            || self.settings.name.clone(),
            |container| container["name"].as_str().unwrap_or(&self.settings.name).to_owned(),
        );
        let plain = self.workload.env.iter();
        let plain = plain.map(|(name, value)| json!({"name": name, "value": value.expose()}));
        let secret = self.workload.secrets.keys();
        let secret = secret.map(|name| json!({"name": name, "secretRef": secret_name(name)}));
        let probe = |kind: &str, path: &str, delay: u32, period: u32| {
            json!({
                "type": kind,
                "httpGet": {"path": path, "port": self.settings.port},
                "initialDelaySeconds": delay,
                "periodSeconds": period,
                "failureThreshold": 3,
                "timeoutSeconds": 5,
            })
        };
        let entry = json!({
            "name": name,
            "image": self.image,
            "env": plain.chain(secret).collect::<Vec<_>>(),
            "resources": {
                "cpu": f64::from(self.settings.cpu_percent) / 100.0,
                "memory": self.settings.memory,
            },
            "probes": [
                probe("Liveness", &self.settings.health_check_path, 10, 30),
                probe("Readiness", &self.settings.readiness_path, 5, 10),
            ],
        });
        put(template, "containers", "name", entry);
    }

    /// The settings, for a digest of them: without the image, and without anything secret.
    pub(super) fn summary(&self) -> Value {
        let settings = self.settings;
        let env = self.workload.env.iter();
        let env: Map<_, _> = env
            .map(|(name, value)| match value {
                Variable::Plain(text) => (name.clone(), text.clone().into()),
                Variable::Hidden(_) => (name.clone(), Value::Null),
            })
            .collect();
        let secrets = self.workload.secrets.iter();
        let secrets: Map<_, _> = secrets
            .map(|(name, secret)| match secret {
                SecretValue::Given(_) | SecretValue::Unset => (name.clone(), Value::Null),
                SecretValue::Kept(reference) => (name.clone(), reference.clone().into()),
            })
            .collect();
        let pull = match &self.workload.pull {
            None => Value::Null,
            Some(Pull::Password { username, .. }) => json!({"username": username}),
            Some(Pull::Kept(identity)) => json!({"identity": identity}),
        };
        json!({
            "environment": settings.environment_name,
            "cpu": shown_hundredths(settings.cpu_percent),
            "memory": settings.memory,
            "ingress_external": settings.ingress_external,
            "replicas": [settings.min_replicas, settings.max_replicas],
            "identity": settings.identity,
            "port": settings.port,
            "paths": [settings.health_check_path, settings.readiness_path],
            "workload_profile": settings.workload_profile,
            "env": env,
            "secrets": secrets,
            "pull": pull,
        })
    }
}

/// What can be sent of an app that is there: without what only the platform says.
pub(super) fn sendable(raw: &Value) -> Value {
    let mut app = json!({"location": raw["location"], "properties": {}});
    for member in ["tags", "identity"] {
        if raw[member].is_object() {
            app[member] = raw[member].clone();
        }
    }
    if let Some(identities) = app["identity"]["userAssignedIdentities"].as_object_mut() {
        identities.values_mut().for_each(|identity| *identity = json!({}));
    }
    match app["identity"]["type"].as_str() {
        None | Some("None") => drop(remove(&mut app, "identity")),
        Some(_) => ["principalId", "tenantId"]
            .iter()
            .for_each(|name| drop(remove(&mut app["identity"], name))),
    }
    let properties = &raw["properties"];
    // `managedEnvironmentId` is the same under its former name: HoloDeck sends it.
    let environment = [&properties["environmentId"], &properties["managedEnvironmentId"]];
    let environment = environment.into_iter().find(|id| id.is_string()).cloned();
    app["properties"]["environmentId"] = environment.unwrap_or_default();
    for member in ["workloadProfileName", "configuration", "template"] {
        if !properties[member].is_null() {
            app["properties"][member] = properties[member].clone();
        }
    }
    if let Some(ingress) = app.pointer_mut("/properties/configuration/ingress") {
        remove(ingress, "fqdn");
    }
    for kind in ["containers", "initContainers"] {
        for container in app["properties"]["template"][kind].as_array_mut().into_iter().flatten() {
            remove(&mut container["resources"], "ephemeralStorage");
        }
    }
    drop_nulls(&mut app);
    app
}

/// Whether two templates run the same, whatever their revisions are called.
pub(super) fn is_same_template(one: &Value, other: &Value) -> bool {
    let bare = |template: &Value| {
        let mut app = sendable(&json!({"properties": {"template": template}}));
        remove(&mut app["properties"]["template"], "revisionSuffix");
        app
    };
    bare(one) == bare(other)
}

/// The container that is ours: the one of that name, or the only one.
pub(super) fn container<'a>(template: &'a Value, name: &str) -> Option<&'a Value> {
    let containers = template["containers"].as_array()?;
    let named = containers.iter().find(|container| container["name"] == name);
    named.or_else(|| containers.first().filter(|_| containers.len() == 1))
}

/// The image of the container that is ours.
pub(super) fn image_of(template: &Value, settings: &Settings) -> Option<String> {
    Some(container(template, &settings.name)?["image"].as_str()?.to_owned())
}

/// Sets members of the entry of a list that has the same `key`, or adds one.
fn put(parent: &mut Value, list: &str, key: &str, entry: Value) {
    if !parent[list].is_array() {
        parent[list] = json!([]);
    }
    let entries = parent[list].as_array_mut().expect("it was made a list");
    let is_same = |other: &Value| match (other[key].as_str(), entry[key].as_str()) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => false,
    };
    let Some(place) = entries.iter().position(is_same) else {
        entries.push(entry);
        return;
    };
    // A container keeps its command and its volumes; of a secret or a registry, nothing may stay.
    if list == "containers" {
        let members = entry.as_object().into_iter().flatten();
        members.for_each(|(name, value)| entries[place][name] = value.clone());
    } else {
        entries[place] = entry;
    }
}

fn remove(parent: &mut Value, name: &str) -> Option<Value> {
    parent.as_object_mut()?.remove(name)
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
