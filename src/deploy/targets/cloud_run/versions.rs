//! Versions of secrets that nothing reads any more: each one keeps a value that was replaced. They are disabled,
//! never destroyed, and enabled again where a rollback needs them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::CloudRun;
use super::observe::{Details, Revision, all_pages, details, last_part};
use super::secrets::Kept;
use crate::cloud::{ErrorClass, Method};
use crate::deploy::{DeployPlan, Observed, SecretValue, Service, Session, State, Step};

/// What stands for the newest version.
pub(super) const LATEST_VERSION: &str = "latest";
/// The only version of a secret that was never changed.
const FIRST_VERSION: u64 = 1;

/// Whether a version can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Availability {
    Enabled,
    /// Not now.
    Disabled,
    /// Never again.
    Destroyed,
}

/// The versions of a secret, by number.
pub(super) type Versions = BTreeMap<u64, Availability>;

/// What a revision reads of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Number(u64),
    Latest,
    /// By a name that somebody gave a version, and may give to another one.
    Alias,
}

impl Reading {
    fn of(version: &str) -> Self {
        match version.parse() {
            Ok(number) => Self::Number(number),
            Err(_) if version == LATEST_VERSION => Self::Latest,
            Err(_) => Self::Alias,
        }
    }
}

impl CloudRun {
    /// Notes which versions our secrets have. Where they may not be listed, or cannot be now, they are not known.
    pub(super) async fn look_at_versions(
        &self,
        secrets: &mut BTreeMap<String, Kept>,
        session: &Session,
    ) {
        for (id, kept) in secrets.iter_mut().filter(|(_, kept)| kept.is_ours) {
            if kept.version.as_deref().and_then(|it| it.parse().ok()) == Some(FIRST_VERSION) {
                kept.versions = Some(Versions::from([(FIRST_VERSION, Availability::Enabled)]));
                continue;
            }
            let path = format!("/{id}/versions");
            let request = self.secret_request("ListSecretVersions", Method::Get, &path);
            kept.versions = match all_pages(&request, "versions", session).await {
                Ok(versions) => versions.iter().map(version).collect(),
                Err(error) => {
                    let text = format!("the versions of the secret `{id}` are not known: {error}");
                    session.events.detail(text);
                    None
                }
            };
        }
    }

    /// Notes which of our secrets are gone that revisions read.
    pub(super) async fn look_for_gone(&self, details: &mut Details, session: &Session) {
        let prefix = self.secret_prefix();
        let read = details.revisions.iter().flat_map(|revision| &revision.secrets);
        let ids: BTreeSet<_> = read
            .map(|(id, _)| id)
            .filter(|id| id.starts_with(&prefix) && !details.secrets.contains_key(*id))
            .collect();
        let mut gone = BTreeSet::new();
        for id in ids {
            let request = self.secret_request("GetSecret", Method::Get, &format!("/{id}"));
            match session.call(&request).await {
                Err(error) if error.class == ErrorClass::NotFound => drop(gone.insert(id.clone())),
                Err(error) => session.events.detail(format!("`{id}` is not known: {error}")),
                Ok(_) => {}
            }
        }
        details.gone = gone;
    }

    /// Plans what disables the versions of our secrets that no revision needs which serves, is reached by a tag, or
    /// was there before. They are older than what is needed: what is newer may be another run's.
    pub(super) fn plan_disabling(&self, observed: &Observed) -> DeployPlan {
        let mut plan = DeployPlan::default();
        let details = details(observed);
        let service = observed.service.as_ref().filter(|service| service.state == State::Ready);
        let Some(needed) = service.and_then(|service| needed_revisions(service, &details)) else {
            return plan;
        };
        for (id, kept) in details.secrets.iter().filter(|(_, kept)| kept.is_ours) {
            let Some(versions) = &kept.versions else { continue };
            let read = needed.iter().flat_map(|revision| &revision.secrets);
            let read = read.filter(|(secret, _)| secret == id);
            let read: Vec<_> = read.map(|(_, version)| Reading::of(version)).collect();
            for version in unneeded(versions, &read, self.names_secret(id)) {
                plan.steps.push(self.change_of_version(id, version, "disable"));
            }
        }
        plan
    }

    /// Plans what makes the versions of our secrets readable again that a revision reads; or says what is missing.
    pub(super) fn plan_enabling(
        &self,
        revision: &Revision,
        details: &Details,
        plan: &mut DeployPlan,
    ) -> Result<(), String> {
        for (id, version) in &revision.secrets {
            if details.gone.contains(id) {
                return Err(format!("the secret `{id}`, which is gone"));
            }
            let kept = details.secrets.get(id).filter(|kept| kept.is_ours);
            let Some(versions) = kept.and_then(|kept| kept.versions.as_ref()) else { continue };
            let found = match Reading::of(version) {
                Reading::Alias => continue,
                Reading::Number(number) => versions.get_key_value(&number),
                Reading::Latest => versions.last_key_value(),
            };
            match found {
                Some((_, Availability::Enabled)) => {}
                Some((number, Availability::Disabled)) => {
                    let step = self.change_of_version(id, *number, "enable");
                    if !plan.steps.contains(&step) {
                        plan.steps.push(step);
                    }
                }
                Some((_, Availability::Destroyed)) | None => {
                    return Err(format!(
                        "version {version} of the secret `{id}`, which was destroyed"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether a secret is one that the config has us keep, with a value in this run or not.
    fn names_secret(&self, id: &str) -> bool {
        let mut secrets = self.workload.secrets.iter();
        secrets.any(|(variable, value)| {
            !matches!(value, SecretValue::Kept(_)) && self.secret_id(variable) == id
        })
    }

    /// The step that does this to a version.
    fn change_of_version(&self, id: &str, version: u64, verb: &'static str) -> Step {
        let operation = match verb {
            "enable" => "EnableSecretVersion",
            _ => "DisableSecretVersion",
        };
        let path = format!("/{id}/versions/{version}:{verb}");
        let request = self.secret_request(operation, Method::Post, &path).with_body(json!({}));
        Step::new(format!("{verb} version {version} of the secret `{id}`"), request)
    }
}

/// The versions that can be read, and nothing reads.
fn unneeded(versions: &Versions, read: &[Reading], is_named: bool) -> Vec<u64> {
    if read.contains(&Reading::Alias) || (read.is_empty() && is_named) {
        return Vec::new();
    }
    let newest = versions.last_key_value().map(|(number, _)| *number);
    let mut kept: BTreeSet<u64> = BTreeSet::new();
    kept.extend(read.iter().filter_map(|reading| match reading {
        Reading::Number(number) => Some(*number),
        Reading::Latest | Reading::Alias => None,
    }));
    // Nothing that is newer than all that is read by number; everything, where nothing is read.
    let end = kept.last().copied().or_else(|| newest.filter(|_| !read.is_empty()));
    if read.contains(&Reading::Latest) {
        kept.extend(newest);
    }
    let enabled = versions.iter().filter(|(_, state)| **state == Availability::Enabled);
    let older = enabled.map(|(number, _)| *number).filter(|it| end.is_none_or(|end| *it < end));
    older.filter(|number| !kept.contains(number)).collect()
}

fn version(raw: &Value) -> Option<(u64, Availability)> {
    let availability = match raw["state"].as_str()? {
        "ENABLED" => Availability::Enabled,
        "DISABLED" => Availability::Disabled,
        "DESTROYED" => Availability::Destroyed,
        _ => return None,
    };
    Some((last_part(&raw["name"]).parse().ok()?, availability))
}

/// The revisions whose secrets must stay; nothing, when one of them is not known.
fn needed_revisions<'a>(service: &Service, details: &'a Details) -> Option<Vec<&'a Revision>> {
    let raw = &service.raw;
    let targets = [&raw["traffic"], &raw["trafficStatuses"]];
    let targets = targets.into_iter().filter_map(Value::as_array).flatten();
    let named = targets.map(|target| last_part(&target["revision"]));
    let newest = [&raw["latestCreatedRevision"], &raw["latestReadyRevision"]].map(last_part);
    let previous = service.previous.as_ref().and_then(|previous| previous.revision.as_deref());
    // The one before may have the same image, and other values.
    let older =
        details.revisions.iter().skip_while(|it| Some(&it.name) != service.revision.as_ref());
    let mut older = older.skip(1);
    let before = older.find(|revision| revision.is_ready);
    let names: BTreeSet<_> = named
        .chain(newest)
        .chain(service.revision.as_deref())
        .chain(previous)
        .chain(before.map(|revision| revision.name.as_str()))
        .filter(|name| !name.is_empty())
        .collect();
    let find = |name: &str| details.revisions.iter().find(|revision| revision.name == name);
    names.into_iter().map(find).collect()
}
