//! What is different between two apps, setting by setting, for people.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::amounts::{gibibytes, shown_hundredths};
use super::app::container;
use crate::deploy::{Change, DeployPlan};

/// What stands for a value that nobody is shown.
const HIDDEN: &str = "(hidden)";

/// How the names of variables begin among settings.
const VARIABLE: &str = "env.";

/// Notes every setting that is different; of variables that may not be shown only that they are. What a
/// variable was is never shown: nobody knows whether it was a secret.
pub(super) fn compare(
    plan: &mut DeployPlan,
    there: Option<&Value>,
    wanted: &Value,
    name: &str,
    is_shown: &dyn Fn(&str) -> bool,
) {
    let before = there.map(|app| settings(app, name)).unwrap_or_default();
    let after = settings(wanted, name);
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for setting in names {
        let (before, after) = (before.get(setting), after.get(setting));
        if before == after {
            continue;
        }
        let variable = setting.strip_prefix(VARIABLE);
        let shown = |value: Option<&String>, is_shown: bool| {
            value.map(|value| if is_shown { value.clone() } else { HIDDEN.to_owned() })
        };
        let before = shown(before, variable.is_none());
        note(plan, setting, before, shown(after, variable.is_none_or(is_shown)));
    }
}

/// Notes that a value is different that nobody is shown.
pub(super) fn note_secret(plan: &mut DeployPlan, name: &str, is_there: bool) {
    note(plan, name, is_there.then(|| HIDDEN.to_owned()), Some(HIDDEN.to_owned()));
}

/// Notes a difference, even where both sides are shown alike.
fn note(plan: &mut DeployPlan, what: &str, before: Option<String>, after: Option<String>) {
    plan.changes.push(Change { what: what.to_owned(), before, after });
}

/// The settings of an app by their names, each as text; secrets without values.
fn settings(app: &Value, name: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut set = |name: String, value: String| drop(settings.insert(name, value));
    let properties = &app["properties"];
    let (configuration, template) = (&properties["configuration"], &properties["template"]);
    let ingress = &configuration["ingress"];
    for (name, value) in [
        ("revisions_mode", &configuration["activeRevisionsMode"]),
        ("ingress_external", &ingress["external"]),
        ("port", &ingress["targetPort"]),
        ("workload_profile", &properties["workloadProfileName"]),
        ("min_replicas", &template["scale"]["minReplicas"]),
        ("max_replicas", &template["scale"]["maxReplicas"]),
    ] {
        if !value.is_null() {
            set(name.to_owned(), text(value));
        }
    }
    let users = app["identity"]["userAssignedIdentities"].as_object();
    for user in users.into_iter().flatten().map(|(identity, _)| identity) {
        set(format!("identity.{}", user.to_ascii_lowercase()), "assigned".to_owned());
    }
    if text(&app["identity"]["type"]).contains("SystemAssigned") {
        set("identity.system".to_owned(), "assigned".to_owned());
    }
    for (tag, value) in app["tags"].as_object().into_iter().flatten() {
        set(format!("tags.{tag}"), text(value));
    }
    for registry in configuration["registries"].as_array().into_iter().flatten() {
        let by = [&registry["username"], &registry["identity"]];
        let by = by.into_iter().filter_map(Value::as_str).find(|who| !who.is_empty());
        let server = text(&registry["server"]).to_ascii_lowercase();
        set(format!("registries.{server}"), by.unwrap_or_default().to_ascii_lowercase());
    }
    for secret in configuration["secrets"].as_array().into_iter().flatten() {
        let place = secret["keyVaultUrl"].as_str().unwrap_or("kept by the app");
        set(format!("secrets.{}", text(&secret["name"])), place.to_owned());
    }
    let Some(container) = container(template, name) else { return settings };
    set("image".to_owned(), text(&container["image"]));
    if let Some(cpu) = container["resources"]["cpu"].as_f64() {
        set("cpu".to_owned(), cpu.to_string());
    }
    let memory = text(&container["resources"]["memory"]);
    set("memory".to_owned(), gibibytes(&memory).map_or(memory, |gi| shown_hundredths(gi) + "Gi"));
    for variable in container["env"].as_array().into_iter().flatten() {
        let value = match variable["secretRef"].as_str().filter(|name| !name.is_empty()) {
            Some(secret) => format!("secret `{secret}`"),
            None => text(&variable["value"]),
        };
        set(format!("{VARIABLE}{}", text(&variable["name"])), value);
    }
    for probe in container["probes"].as_array().into_iter().flatten() {
        let value = format!(
            "{} on port {} every {} s from {} s on, {} failures, {} s each",
            text(&probe["httpGet"]["path"]),
            text(&probe["httpGet"]["port"]),
            text(&probe["periodSeconds"]),
            text(&probe["initialDelaySeconds"]),
            text(&probe["failureThreshold"]),
            text(&probe["timeoutSeconds"]),
        );
        set(format!("probes.{}", text(&probe["type"])), value);
    }
    settings
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_value_of_a_variable_that_is_there_is_not_shown() {
        let app = |value: &str| {
            let container = json!({"name": "agent", "env": [{"name": "KEY", "value": value}]});
            json!({"properties": {"template": {"containers": [container]}}})
        };
        let mut plan = DeployPlan::default();
        compare(&mut plan, Some(&app("canary")), &app("test"), "agent", &|_| true);
        let changes: Vec<_> = plan.changes.iter().map(ToString::to_string).collect();
        assert_eq!(changes, ["env.KEY: (hidden) → test"]);
    }
}
