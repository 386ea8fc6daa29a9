//! Secrets of Secret Manager, with versions and policies.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{CloudRun, error, not_found};
use crate::fake::{Call, Response};

/// A secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Secret {
    pub(crate) labels: Value,
    /// What each version has, in base64; nothing, once it is destroyed.
    pub(crate) versions: Vec<String>,
    /// The numbers of those that are disabled.
    pub(crate) disabled: BTreeSet<usize>,
    /// Who may read it.
    pub(crate) policy: Value,
    /// Counts what was done to the policy.
    pub(crate) policy_changes: u8,
}

impl Secret {
    /// The policy's, which nobody may change who has seen another one.
    fn etag(&self) -> String {
        format!("BwY{}", char::from(b'A' + self.policy_changes))
    }

    /// Its versions as the API shows them, the oldest first.
    fn documents(&self, name: &str) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator {
        self.versions.iter().enumerate().map(move |(place, data)| {
            let state = match self.disabled.contains(&(place + 1)) {
                _ if data.is_empty() => "DESTROYED",
                true => "DISABLED",
                false => "ENABLED",
            };
            json!({"name": format!("{name}/versions/{}", place + 1), "state": state})
        })
    }

    /// Whether a revision can start that reads this version.
    pub(super) fn has(&self, version: &str) -> bool {
        let number = match version {
            "latest" => self.versions.len(),
            number => number.parse().unwrap_or(0),
        };
        let data = number.checked_sub(1).and_then(|place| self.versions.get(place));
        data.is_some_and(|data| !data.is_empty()) && !self.disabled.contains(&number)
    }

    pub(super) fn is_read_by(&self, account: &str) -> bool {
        let member = format!("serviceAccount:{account}");
        self.policy["bindings"].as_array().into_iter().flatten().any(|binding| {
            binding["role"] == "roles/secretmanager.secretAccessor"
                && binding["members"].as_array().unwrap().iter().any(|it| *it == member)
        })
    }
}

impl CloudRun {
    pub(super) fn on_secret(&mut self, call: &Call, name: &str) -> Response {
        if let Some(name) = name.strip_suffix("/versions") {
            let Some(secret) = self.secrets.get(name) else { return not_found(name) };
            let versions: Vec<_> = secret.documents(name).rev().collect();
            return self.page(call, "versions", &versions);
        }
        if let Some((secret, version)) = name.split_once("/versions/")
            && let Some((number, verb)) = version.split_once(':')
            && verb != "access"
        {
            return self.change_version(secret, number.parse().unwrap(), verb);
        }
        if let Some(name) = name.strip_suffix("/versions/latest:access") {
            let Some(secret) = self.secrets.get(name) else { return not_found(name) };
            let Some(data) = secret.versions.last() else { return not_found(name) };
            let name = format!("{name}/versions/{}", secret.versions.len());
            if !secret.has("latest") {
                let text = format!("Secret Version [{name}] is not in ENABLED state.");
                return error(400, "FAILED_PRECONDITION", &text);
            }
            return Response::json(200, &json!({"name": name, "payload": {"data": data}}));
        }
        let (name, verb) = name.split_once(':').unwrap_or((name, ""));
        let body = call.json();
        let Some(secret) = self.secrets.get_mut(name) else { return not_found(name) };
        match (call.method.as_str(), verb) {
            ("GET", "getIamPolicy") => {
                let mut policy = json!({"etag": secret.etag()});
                policy
                    .as_object_mut()
                    .unwrap()
                    .extend(secret.policy.as_object().cloned().unwrap_or_default());
                Response::json(200, &policy)
            }
            ("POST", "addVersion") => {
                secret.versions.push(body["payload"]["data"].as_str().unwrap().to_owned());
                let name = format!("{name}/versions/{}", secret.versions.len());
                Response::json(200, &json!({"name": name, "state": "ENABLED"}))
            }
            ("POST", _) => {
                let mut policy = body["policy"].clone();
                let etag = policy.as_object_mut().unwrap().remove("etag");
                if etag.is_some_and(|etag| etag != secret.etag()) {
                    return error(409, "ABORTED", "There were concurrent policy changes.");
                }
                (secret.policy, secret.policy_changes) = (policy, secret.policy_changes + 1);
                Response::json(200, &secret.policy)
            }
            ("DELETE", _) => {
                self.secrets.remove(name);
                Response::json(200, &json!({}))
            }
            _ => Response::json(200, &json!({"name": name, "labels": secret.labels})),
        }
    }

    /// Disables a version, or enables it.
    fn change_version(&mut self, name: &str, number: usize, verb: &str) -> Response {
        let permission = format!("secretmanager.versions.{verb}");
        if self.denied.contains(permission.as_str()) {
            let text = format!(
                "Permission '{permission}' denied for resource '{name}/versions/{number}' (or it may not exist)."
            );
            return error(403, "PERMISSION_DENIED", &text);
        }
        let Some(secret) = self.secrets.get_mut(name) else { return not_found(name) };
        if secret.versions[number - 1].is_empty() {
            let text = format!("Secret Version [{name}/versions/{number}] is in DESTROYED state.");
            return error(400, "FAILED_PRECONDITION", &text);
        }
        if verb == "enable" {
            secret.disabled.remove(&number);
        } else {
            secret.disabled.insert(number);
        }
        let version = secret.documents(name).nth(number - 1).unwrap();
        Response::json(200, &version)
    }

    /// Those whose labels a filter names: `labels.KEY=VALUE AND …`.
    pub(super) fn list_secrets(&self, parent: &str, call: &Call) -> Response {
        let filter = call.query("filter").unwrap_or_default();
        let is_wanted = |secret: &Secret| {
            filter.split(" AND ").filter(|it| !it.is_empty()).all(|condition| {
                let (key, value) = condition.split_once('=').unwrap();
                secret.labels[key.strip_prefix("labels.").unwrap()] == value
            })
        };
        let secrets =
            self.secrets.iter().filter(|(name, it)| name.starts_with(parent) && is_wanted(it));
        let secrets: Vec<_> =
            secrets.map(|(name, it)| json!({"name": name, "labels": it.labels})).collect();
        self.page(call, "secrets", &secrets)
    }

    pub(super) fn create_secret(&mut self, parent: &str, call: &Call) -> Response {
        let name = format!("{parent}/{}", call.query("secretId").unwrap_or_default());
        if self.secrets.contains_key(&name) {
            return error(409, "ALREADY_EXISTS", &format!("Secret [{name}] already exists."));
        }
        let labels = call.json()["labels"].clone();
        self.secrets.insert(name.clone(), Secret { labels: labels.clone(), ..Secret::default() });
        Response::json(200, &json!({"name": name, "labels": labels}))
    }
}
