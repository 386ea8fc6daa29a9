//! Two services as settings, side by side.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::service::{Wanted, is_default_account, main_container};
use super::settings::mebibytes;
use crate::deploy::{Change, DeployPlan};

/// What is shown of a variable's value that is there: nobody knows whether it is a secret.
const HIDDEN: &str = "(hidden)";
/// How the names of variables begin among settings.
const VARIABLE: &str = "env.";

/// The service that is there, as it is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct There<'a> {
    /// What the platform says.
    pub(super) raw: &'a Value,
    /// The image that serves: while traffic is pinned, not that of the template.
    pub(super) image: Option<&'a str>,
}

/// Notes how the service that is there differs from what is wanted; says in which parts of the API's form.
pub(super) fn compare(
    there: Option<There<'_>>,
    wanted: &Wanted,
    project: &str,
    plan: &mut DeployPlan,
) -> BTreeSet<&'static str> {
    let before = there.map(|there| settings_of(there.raw, project)).unwrap_or_default();
    let after = settings_of(&wanted.body, project);
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut parts = BTreeSet::new();
    for name in names {
        let (before, after) = (before.get(name), after.get(name));
        let variable = name.strip_prefix(VARIABLE);
        let hidden = variable.and_then(|variable| wanted.hidden.get(variable));
        let is_same = match hidden {
            Some(secret) => before.map(String::as_str) == Some(secret.expose()),
            None => before == after,
        };
        if is_same {
            continue;
        }
        parts.insert(if name == "ingress" { "ingress" } else { "template" });
        if name == "image" {
            let serving = there.and_then(|there| there.image).or(before.map(String::as_str));
            plan.change(name, serving, after.map(String::as_str));
            continue;
        }
        let shown = |value: &String| if variable.is_some() { HIDDEN.into() } else { value.clone() };
        let after = if hidden.is_some() { Some(HIDDEN.into()) } else { after.cloned() };
        plan.changes.push(Change { what: name.clone(), before: before.map(shown), after });
    }
    parts
}

/// The settings of a service by name, whatever form the API gives them.
fn settings_of(service: &Value, project: &str) -> BTreeMap<String, String> {
    let container = format!("/template/containers/{}", main_container(&service["template"]));
    let at = |pointer: &str| service.pointer(pointer);
    let in_container = |pointer: &str| at(&format!("{container}{pointer}"));
    let number = |value: Option<&Value>| Some(value?.as_i64()?.to_string());
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    // What is 0 or false is left out of answers.
    let fewest = at("/template/scaling/minInstanceCount").and_then(Value::as_i64).unwrap_or(0);
    let truth = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or(false).to_string();
    let account = at("/template/serviceAccount").filter(|account| !is_default_account(account));
    let settings = [
        ("image", text(in_container("/image"))),
        ("port", number(in_container("/ports/0/containerPort"))),
        ("memory", text(in_container("/resources/limits/memory")).map(same_memory)),
        ("cpu", text(in_container("/resources/limits/cpu")).map(same_processors)),
        ("concurrency", number(at("/template/maxInstanceRequestConcurrency"))),
        ("timeout", text(at("/template/timeout"))),
        ("min_instances", Some(fewest.to_string())),
        ("max_instances", number(at("/template/scaling/maxInstanceCount"))),
        ("service_account", text(account)),
        ("ingress", text(at("/ingress"))),
        ("cpu_idle", Some(truth(in_container("/resources/cpuIdle")))),
        ("startup_cpu_boost", Some(truth(in_container("/resources/startupCpuBoost")))),
        ("health_check_path", in_container("/startupProbe").map(probe)),
    ];
    let known = settings.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let mut settings: BTreeMap<_, _> = known.collect();
    let variables = in_container("/env").and_then(Value::as_array).into_iter().flatten();
    settings.extend(variables.filter_map(|variable| {
        let name = variable["name"].as_str()?;
        Some((format!("{VARIABLE}{name}"), variable_value(variable, project)))
    }));
    settings
}

fn variable_value(variable: &Value, project: &str) -> String {
    let Some(secret) = variable.pointer("/valueSource/secretKeyRef") else {
        return variable["value"].as_str().unwrap_or_default().to_owned();
    };
    let name = secret["secret"].as_str().unwrap_or_default();
    let own = format!("projects/{project}/secrets/");
    let name = name.strip_prefix(&own).unwrap_or(name);
    format!("secret {name}:{}", secret["version"].as_str().unwrap_or("latest"))
}

/// A probe in one line; with how often it asks where that is not what we set.
fn probe(probe: &Value) -> String {
    let Some(path) = probe.pointer("/httpGet/path").and_then(Value::as_str) else {
        return "(not HTTP)".to_owned();
    };
    let number = |name: &str| probe[name].as_i64().unwrap_or(0);
    let (period, times) = (number("periodSeconds"), number("failureThreshold"));
    let port = probe.pointer("/httpGet/port").and_then(Value::as_i64).unwrap_or(0);
    format!(
        "{path} at port {port}, {times} times, every {period} s within {} s",
        number("timeoutSeconds")
    )
}

/// `1024Mi` is `1Gi`.
fn same_memory(text: String) -> String {
    match mebibytes(&text) {
        Some(memory) if memory % 1024 == 0 => format!("{}Gi", memory / 1024),
        Some(memory) => format!("{memory}Mi"),
        None => text,
    }
}

/// `1000m` is `1`.
fn same_processors(text: String) -> String {
    let milli = text.strip_suffix('m').and_then(|milli| milli.parse::<u32>().ok());
    match milli.filter(|milli| milli % 1000 == 0) {
        Some(milli) => (milli / 1000).to_string(),
        None => text,
    }
}
