//! How variables differ, without showing what is hidden.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::cloud::Request;
use crate::deploy::{DeployPlan, SecretValue, Variable, Workload};
use crate::registry::Secret;

/// What stands for a value that is not shown.
const HIDDEN: &str = "(hidden)";

/// Notes how the variables that are there differ from those that should be; says whether they do. Values
/// that are there are compared and never shown: nobody knows whether they were secret.
pub(in crate::deploy) fn plan_variables(
    there: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, Variable>,
    plan: &mut DeployPlan,
) -> bool {
    let mut is_different = false;
    for (name, value) in wanted {
        let before = there.get(name);
        if before.is_some_and(|before| before == value.expose()) {
            continue;
        }
        is_different = true;
        plan.changes.push(crate::deploy::Change {
            what: format!("env.{name}"),
            before: before.map(|_| HIDDEN.to_owned()),
            after: Some(value.shown().to_owned()),
        });
    }
    for name in there.keys().filter(|name| !wanted.contains_key(*name)) {
        is_different = true;
        plan.change(format!("env.{name}"), Some(HIDDEN), None::<String>);
    }
    is_different
}

/// Notes how the references to secrets differ; says whether they do.
pub(in crate::deploy) fn plan_references(
    there: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
    plan: &mut DeployPlan,
) -> bool {
    let names: BTreeSet<_> = there.keys().chain(wanted.keys()).collect();
    let mut is_different = false;
    for name in names {
        let (before, after) = (there.get(name), wanted.get(name));
        is_different |= plan.change(format!("secrets.{name}"), before.cloned(), after.cloned());
    }
    is_different
}

/// The request with the values of variables that may not be shown put in as secrets. They stand at the
/// pointer, by name in an object, or in a list as `name` and `value`. What the config does not say in clear
/// is not shown.
pub(in crate::deploy) fn hide_variables(
    request: Request,
    pointer: &str,
    env: &BTreeMap<String, Variable>,
) -> Request {
    let there = request.body.as_ref().and_then(|body| body.pointer(pointer)).cloned();
    let places: Vec<_> = match there.unwrap_or_default() {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), name, value))
            .collect(),
        Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(place, mut item)| {
                let name = item["name"].as_str().unwrap_or_default().to_owned();
                (format!("{place}/value"), name, item["value"].take())
            })
            .collect(),
        _ => Vec::new(),
    };
    places.into_iter().fold(request, |request, (place, name, value)| {
        let value = value.as_str().unwrap_or_default();
        match hidden(value, env.get(&name)) {
            Some(secret) => request.with_secret(&format!("{pointer}/{place}"), secret),
            None => request,
        }
    })
}

/// The value of a variable as a secret, when it may not be shown.
fn hidden(there: &str, variable: Option<&Variable>) -> Option<Secret> {
    match variable {
        Some(Variable::Hidden(secret)) if there == HIDDEN => Some(secret.clone()),
        Some(Variable::Plain(plain)) if plain == there => None,
        _ => Some(Secret::new(there)),
    }
}

/// Settings with the variables and secrets of the workload, as they may be shown: what the hash is made of.
pub(in crate::deploy) fn shown_settings(settings: &Value, workload: &Workload) -> Value {
    let env: BTreeMap<_, _> =
        workload.env.iter().map(|(name, value)| (name, value.shown())).collect();
    let secrets: BTreeMap<_, _> = workload
        .secrets
        .iter()
        .map(|(name, value)| match value {
            SecretValue::Given(_) | SecretValue::Unset => (name, HIDDEN),
            SecretValue::Kept(reference) => (name, reference.as_str()),
        })
        .collect();
    json!({"settings": settings, "env": env, "secrets": secrets})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Secret;

    #[test]
    fn shows_what_differs_and_hides_what_may_be_secret() {
        let there = [("A", "1"), ("B", "old"), ("C", "canary-1"), ("D", "canary-2"), ("F", "same")];
        let there = there.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let hidden = |text: &str| Variable::Hidden(Secret::new(text));
        let plain = |text: &str| Variable::Plain(text.to_owned());
        let wanted = [
            ("A", plain("1")),
            ("B", plain("new")),
            ("C", hidden("canary-3")),
            ("E", plain("added")),
            ("F", hidden("same")),
        ];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value)).into();
        let mut plan = DeployPlan::default();
        assert!(plan_variables(&there, &wanted, &mut plan));
        let changes = plan.changes.iter();
        let changes = changes
            .map(|change| (&*change.what, change.before.as_deref(), change.after.as_deref()));
        assert_eq!(
            changes.collect::<Vec<_>>(),
            [
                ("env.B", Some("(hidden)"), Some("new")),
                ("env.C", Some("(hidden)"), Some("(hidden)")),
                ("env.E", None, Some("added")),
                ("env.D", Some("(hidden)"), None),
            ]
        );
    }
}
