//! What an app has of an earlier config, and the one that is now does not name: it goes, as far as it is
//! ours.
//!
//! Logins and secrets of ours tell by their names; which identities the config has assigned stands in a tag,
//! since others may assign some, too.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::names::{is_own_secret, is_system, pull_secret_name};

/// The tag with the names of the identities that the config has assigned.
const IDENTITIES_KEY: &str = "dockless-identities";

/// Removes the logins to registries that the config no longer names, but for those that images of `in_use`
/// revisions come from.
pub(super) fn drop_logins(app: &mut Value, registry: &str, in_use: &Value) {
    let identities = assigned(app);
    let Some(entries) = app.pointer_mut("/properties/configuration/registries") else { return };
    let is_left = |entry: &Value| {
        let text = |member: &str| entry[member].as_str().unwrap_or_default();
        let server = text("server").to_ascii_lowercase();
        let is_of_config = text("passwordSecretRef") == pull_secret_name(&server)
            || identities.contains(short(text("identity")));
        let is_needed = server != registry.to_ascii_lowercase() && has(&in_use["servers"], &server);
        is_of_config && !is_needed
    };
    if let Some(entries) = entries.as_array_mut() {
        entries.retain(|entry| !is_left(entry));
    }
}

/// Removes the identities that the config has assigned and no longer names (`wanted`), but for those that
/// anything in the app still refers to: a login, a secret in a vault, a rule that scales it.
pub(super) fn drop_identities(app: &mut Value, wanted: &[&str]) {
    let mut left = assigned(app);
    left.retain(|name| !wanted.iter().any(|identity| short(identity) == *name));
    let used = referred(&app["properties"], &["identity"]);
    left.retain(|name| !used.iter().any(|identity| short(identity) == *name));
    if left.is_empty() {
        return;
    }
    let kind = app["identity"]["type"].as_str().unwrap_or_default();
    let is_own = kind.contains("System") && !left.contains("system");
    let users = app["identity"]["userAssignedIdentities"].as_object().cloned().unwrap_or_default();
    let users: serde_json::Map<_, _> =
        users.into_iter().filter(|(identity, _)| !left.contains(short(identity))).collect();
    let kind = kind_of(is_own, !users.is_empty());
    app["identity"] = json!({"type": kind});
    if !users.is_empty() {
        app["identity"]["userAssignedIdentities"] = users.into();
    }
}

/// What a set of identities is called.
pub(super) fn kind_of(is_own: bool, has_users: bool) -> &'static str {
    match (is_own, has_users) {
        (false, false) => "None",
        (true, false) => "SystemAssigned",
        (false, true) => "UserAssigned",
        (true, true) => "SystemAssigned,UserAssigned",
    }
}

/// Notes which of the identities of an app the config has assigned: those of the tag that are still there,
/// and those that `before` does not have.
pub(super) fn note_identities(app: &mut Value, before: Option<&Value>) {
    let has = before.map(identities).unwrap_or_default();
    let noted = before.map(assigned).unwrap_or_default();
    let names: Vec<_> = identities(app)
        .into_iter()
        .filter(|name| noted.contains(name) || !has.contains(name))
        .collect();
    if !names.is_empty() {
        app["tags"][IDENTITIES_KEY] = names.join(",").into();
    } else if let Some(tags) = app["tags"].as_object_mut() {
        tags.remove(IDENTITIES_KEY);
    }
}

/// The secrets of ours that nothing in the app refers to, nor any revision that is `in_use`.
pub(super) fn unused_secrets(app: &Value, in_use: &Value) -> Vec<String> {
    let properties = &app["properties"];
    let used = secrets_of(properties);
    let secrets = properties["configuration"]["secrets"].as_array().into_iter().flatten();
    let names = secrets.filter_map(|secret| secret["name"].as_str());
    let unused = names.filter(|name| {
        is_own_secret(name) && !used.contains(*name) && !has(&in_use["secrets"], name)
    });
    unused.map(str::to_owned).collect()
}

/// Takes these secrets out of an app.
pub(super) fn drop_secrets(app: &mut Value, names: &[String]) {
    let secrets = app.pointer_mut("/properties/configuration/secrets");
    if let Some(secrets) = secrets.and_then(Value::as_array_mut) {
        secrets.retain(|secret| !names.iter().any(|name| secret["name"] == **name));
    }
}

/// What revisions need of the app that they are of, by their templates.
pub(super) fn needs<'a>(templates: impl Iterator<Item = &'a Value> + Clone) -> Value {
    let secrets: BTreeSet<_> = templates.clone().flat_map(secrets_of).collect();
    let images = templates.flat_map(|template| referred(template, &["image"]));
    let servers: BTreeSet<_> = images
        .filter_map(|image| image.split_once('/'))
        .map(|(server, _)| server.to_ascii_lowercase())
        .collect();
    json!({"secrets": secrets, "servers": servers})
}

/// The names of secrets in what refers to them, however it is called there.
fn secrets_of(value: &Value) -> BTreeSet<&str> {
    referred(value, &["secretRef", "passwordSecretRef"])
}

/// The texts of all members of these names, however deep they stand.
fn referred<'a>(value: &'a Value, names: &[&str]) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                found.extend(member.as_str().filter(|_| names.contains(&name.as_str())));
                found.append(&mut referred(member, names));
            }
        }
        Value::Array(items) => {
            found.extend(items.iter().flat_map(|item| referred(item, names)));
        }
        _ => {}
    }
    found
}

/// The names of all identities of an app.
fn identities(app: &Value) -> BTreeSet<String> {
    let users = app["identity"]["userAssignedIdentities"].as_object().into_iter().flatten();
    let mut names: BTreeSet<_> = users.map(|(identity, _)| short(identity).to_owned()).collect();
    if app["identity"]["type"].as_str().is_some_and(|kind| kind.contains("System")) {
        names.insert("system".to_owned());
    }
    names
}

/// The names of the identities that the config has assigned.
fn assigned(app: &Value) -> BTreeSet<String> {
    let tag = app["tags"][IDENTITIES_KEY].as_str().unwrap_or_default();
    tag.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The last part of an identity's id, by which people know it.
fn short(identity: &str) -> &str {
    if is_system(identity) {
        return "system";
    }
    identity.rsplit('/').next().unwrap_or_default()
}

fn has(list: &Value, text: &str) -> bool {
    list.as_array().is_some_and(|all| all.iter().any(|entry| entry == text))
}
