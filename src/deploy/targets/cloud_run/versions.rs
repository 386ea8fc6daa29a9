//! Versions of secrets that nothing needs any more: each one costs, and keeps a value that was replaced.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::CloudRun;
use super::observe::{Details, Revision, all_pages, last_part};
use super::secrets::Kept;
use crate::cloud::{CallError, ErrorClass, Method};
use crate::deploy::{DeployPlan, Service, Session, State, Step};
use crate::error::Result;

/// What ends a version.
pub(super) const DESTRUCTION: &str = "DestroySecretVersion";
/// What stands for the newest version.
pub(super) const LATEST_VERSION: &str = "latest";
/// The only version of a secret that was never changed.
const FIRST_VERSION: &str = "1";

impl CloudRun {
    /// Notes which versions our secrets have, where there may be more than one; none, where they may not be listed.
    pub(super) async fn look_at_versions(
        &self,
        secrets: &mut BTreeMap<String, Kept>,
        session: &Session,
    ) -> Result<()> {
        let may_have_more = |kept: &Kept| kept.version.as_deref() != Some(FIRST_VERSION);
        for (id, kept) in secrets.iter_mut().filter(|(_, kept)| kept.is_ours) {
            if !may_have_more(kept) {
                continue;
            }
            let path = format!("/{id}/versions");
            let request = self.secret_request("ListSecretVersions", Method::Get, &path);
            let versions = match all_pages(&request, "versions", session).await {
                Ok(versions) => versions,
                Err(error) if matches!(error.class, ErrorClass::Denied | ErrorClass::NotFound) => {
                    Vec::new()
                }
                Err(error) => return Err(error.into()),
            };
            // One that somebody has disabled is his.
            let enabled = versions.iter().filter(|version| version["state"] == "ENABLED");
            kept.versions = enabled.map(|version| last_part(&version["name"]).to_owned()).collect();
        }
        Ok(())
    }

    /// Plans what destroys the versions of our secrets that no revision needs which serves, is reached by a tag, was
    /// there before, or is what a rollback brings back. They are older than what is needed: what is newer may be another run's.
    pub(super) fn plan_destruction(
        &self,
        service: &Service,
        details: &Details,
        plan: &mut DeployPlan,
    ) {
        let Some(needed) = needed_revisions(service, details) else { return };
        if service.state != State::Ready || !plan.is_empty() {
            return;
        }
        for (id, kept) in details.secrets.iter().filter(|(_, kept)| kept.is_ours) {
            let read = needed.iter().flat_map(|revision| &revision.secrets);
            let used: BTreeSet<_> =
                read.filter(|(secret, _)| secret == id).map(|(_, version)| version).collect();
            if used.iter().any(|version| *version == LATEST_VERSION) {
                continue;
            }
            let newest = used.iter().filter_map(|version| version.parse::<u64>().ok()).max();
            let is_given = self.given().any(|(variable, _)| self.secret_id(variable) == *id);
            let is_older = |version: &str| match newest {
                Some(newest) => version.parse::<u64>().is_ok_and(|version| version < newest),
                // The config no longer names it.
                None => !is_given,
            };
            let left = kept.versions.iter();
            for version in left.filter(|version| !used.contains(version) && is_older(version)) {
                let path = format!("/{id}/versions/{version}:destroy");
                let request =
                    self.secret_request(DESTRUCTION, Method::Post, &path).with_body(json!({}));
                let title = format!("destroy version {version} of the secret `{id}`");
                let step = Step::new(title, request);
                plan.steps.push(step.or_done_by(&["NOT_FOUND", "FAILED_PRECONDITION"]));
            }
        }
    }
}

/// Tells that a version stays that nobody needs.
pub(super) fn tell_of_version(step: &Step, error: &CallError, session: &Session) {
    let text = format!("cannot {}: {error}", step.title);
    session.events.warn("old-secret", text, error.hints.first().cloned());
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

/// Whether the versions of our secrets are still there that a revision reads.
pub(super) fn has_its_secrets(revision: &Revision, details: &Details) -> bool {
    revision.secrets.iter().all(|(id, version)| {
        let kept = details.secrets.get(id).filter(|kept| kept.is_ours && !kept.versions.is_empty());
        kept.is_none_or(|kept| version == LATEST_VERSION || kept.versions.contains(version))
    })
}
