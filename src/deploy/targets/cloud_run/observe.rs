//! What is there: the service, its revisions, who may call it, and its secrets.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kept::MissingSecret;
use super::plan::is_pinned;
use super::secrets::Kept;
use super::service::main_container;
use super::versions::LATEST_VERSION;
use super::{CloudRun, access};
use crate::cloud::{CLOUD_RUN, CallError, Method, Request, image_cure};
use crate::deploy::{DeployError, Observed, Ownership, Previous, Service, Session, State};
use crate::error::Result;

/// The key of the image's digest: too long for a label, so it is an annotation.
pub(super) const DIGEST_KEY: &str = "dockless-image-digest";

/// The key of the revision that served before the newest one was made.
pub(super) const PREVIOUS_KEY: &str = "dockless-previous-revision";

/// How many pages of a list are read at most.
const MAX_PAGES: usize = 100;

/// What planning needs to know beside the service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Details {
    /// The newest revisions, the newest first.
    #[serde(default)]
    pub(super) revisions: Vec<Revision>,
    /// Whether callers need no credentials.
    #[serde(default)]
    pub(super) lets_everybody_in: bool,
    /// What IAM says of it, where we may see that.
    #[serde(default)]
    pub(super) policy: Option<Value>,
    /// The secrets that are there of those that are ours to keep, by id.
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, Kept>,
    /// The secrets that the config names, and are not there.
    #[serde(default)]
    pub(super) missing: Vec<MissingSecret>,
    /// The ids of those that were ours to keep, that revisions read, and that are not there any more.
    #[serde(default)]
    pub(super) gone: BTreeSet<String>,
}

/// One revision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Revision {
    /// Its short name.
    pub(super) name: String,
    /// Its image.
    pub(super) image: String,
    /// Whether it can serve.
    pub(super) is_ready: bool,
    /// Why it cannot.
    pub(super) reason: String,
    /// The secrets that it reads, by id, and in which version.
    #[serde(default)]
    pub(super) secrets: BTreeSet<(String, String)>,
}

impl CloudRun {
    /// Asks what is there.
    pub(super) async fn look(&self, session: &Session) -> Result<Observed> {
        let region = &self.settings.region;
        let get = |operation, path: String| {
            Request::rest(&CLOUD_RUN, region, operation, Method::Get, path)
        };
        let request = get("GetService", self.path());
        let raw = session.find(&request).await?.map(|answer| answer.body);
        let mut details = Details::default();
        let mut service = None;
        if let Some(raw) = raw {
            if !raw["name"].is_string() {
                let title = request.title();
                return Err(DeployError::Untold { title, pointer: "/name" }.into());
            }
            if !is_reconciling(&raw) {
                let request = get("ListRevisions", format!("{}/revisions", self.path()));
                let request = request.with_query("pageSize", "100");
                let list = all_pages(&request, "revisions", session).await?;
                details.revisions = revisions(&list, &self.settings.project);
                details.policy = self.look_at_policy(session).await?;
                details.lets_everybody_in = raw["invokerIamDisabled"] == Value::Bool(true)
                    || details.policy.as_ref().is_some_and(access::is_open);
            }
            service = Some(read(raw, &details));
        }
        details.secrets = self.look_at_secrets(service.as_ref(), session).await?;
        let is_updating = service.as_ref().is_some_and(|service| service.state.is_updating());
        if !is_updating {
            details.missing = self.look_for_kept(session).await;
        }
        if service.is_some() && !is_updating {
            self.look_at_versions(&mut details.secrets, session).await;
            self.look_for_gone(&mut details, session).await;
        }
        let details = serde_json::to_value(details).expect("its keys are texts");
        Ok(Observed { service, details, ..Observed::default() })
    }
}

/// What stands in all pages of a list; the pages end where a token comes twice.
pub(super) async fn all_pages(
    request: &Request,
    name: &str,
    session: &Session,
) -> Result<Vec<Value>, CallError> {
    let mut items = Vec::new();
    let mut tokens = BTreeSet::new();
    let mut page = request.clone();
    while tokens.len() < MAX_PAGES {
        let mut answer = session.call(&page).await?.body;
        if let Some(more) = answer.get_mut(name).and_then(Value::as_array_mut) {
            items.append(more);
        }
        let token = answer["nextPageToken"].as_str().unwrap_or_default();
        if token.is_empty() || !tokens.insert(token.to_owned()) {
            break;
        }
        page = request.clone().with_query("pageToken", token);
    }
    Ok(items)
}

/// Details as they were observed.
pub(super) fn details(observed: &Observed) -> Details {
    Details::deserialize(&observed.details).unwrap_or_default()
}

/// Whether a change is still being carried out.
fn is_reconciling(service: &Value) -> bool {
    service["reconciling"] == Value::Bool(true)
        || service["observedGeneration"] != service["generation"]
        || service.get("deleteTime").is_some()
}

fn read(raw: Value, details: &Details) -> Service {
    let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let serving = serving(&raw, details);
    let template = &raw["template"];
    let newest = template["containers"][main_container(template)]["image"].as_str();
    // What serves is not what is in the template, where it is no longer known.
    let is_newest = is_reconciling(&raw) || serving_name(&raw).is_none();
    let image = match serving {
        Some(revision) => Some(revision.image.clone()),
        None => newest.filter(|_| is_newest).map(str::to_owned),
    };
    let mut ownership = written_ownership(&raw);
    if let Some(digest) = serving.and_then(digest_of)
        && is_pinned(&raw["traffic"])
        && ownership.image_digest.is_some()
    {
        // Whoever went back to it has said so by the traffic alone.
        ownership.image_digest = Some(digest.to_owned());
    }
    let has_url = raw["defaultUriDisabled"] != Value::Bool(true);
    Service {
        image,
        url: text("/uri").filter(|_| has_url),
        is_public: details.lets_everybody_in && raw["ingress"] == "INGRESS_TRAFFIC_ALL",
        state: state(&raw, details),
        revision: serving.map(|revision| revision.name.clone()),
        previous: previous(&raw, serving, details),
        ownership,
        raw,
    }
}

/// Whose it is, as it is written on it.
pub(super) fn written_ownership(raw: &Value) -> Ownership {
    Ownership::read(|key| {
        let place = if key == DIGEST_KEY { "annotations" } else { "labels" };
        raw[place][key].as_str()
    })
}

/// How it is: what the service says of itself, and what its newest revision says, which may be worse.
fn state(raw: &Value, details: &Details) -> State {
    let newest = last_part(&raw["latestCreatedRevision"]);
    if raw.get("deleteTime").is_some() {
        return State::Updating("it is being deleted".to_owned());
    }
    if is_reconciling(raw) {
        let message = raw["terminalCondition"]["message"].as_str().filter(|text| !text.is_empty());
        let text = message.map_or_else(|| format!("bringing up `{newest}`"), str::to_owned);
        return State::Updating(text);
    }
    let condition = &raw["terminalCondition"];
    let revision = details.revisions.iter().find(|revision| revision.name == newest);
    let is_newest_ready = raw["latestReadyRevision"] == raw["latestCreatedRevision"];
    if condition["state"] == "CONDITION_SUCCEEDED" && is_newest_ready {
        return State::Ready;
    }
    let of_revision = revision.filter(|revision| !revision.is_ready && !revision.reason.is_empty());
    let reason = match (of_revision, reason(condition)) {
        (Some(revision), _) => revision.reason.clone(),
        (None, Some(reason)) => reason,
        (None, None) => format!("the revision `{newest}` is not ready"),
    };
    State::Failed(match image_cure(&reason) {
        Some(cure) => format!("{reason} ({cure})"),
        None => reason,
    })
}

/// What a condition says, the platform's word for it first.
fn reason(condition: &Value) -> Option<String> {
    let text = |name: &str| condition[name].as_str().filter(|text| !text.is_empty());
    match (text("revisionReason").or(text("reason")), text("message")) {
        (Some(word), Some(message)) => Some(format!("{word}: {message}")),
        (word, message) => word.or(message).map(str::to_owned),
    }
}

/// The revision that is served most.
fn serving<'a>(raw: &Value, details: &'a Details) -> Option<&'a Revision> {
    let name = serving_name(raw)?;
    details.revisions.iter().find(|revision| revision.name == name)
}

/// The short name of the revision that is served most.
fn serving_name(raw: &Value) -> Option<&str> {
    let targets = raw["trafficStatuses"].as_array();
    let most = targets.into_iter().flatten().max_by_key(|target| target["percent"].as_i64());
    let most = most.filter(|target| target["percent"].as_i64() > Some(0))?;
    Some(match last_part(&most["revision"]) {
        "" => last_part(&raw["latestReadyRevision"]),
        name => name,
    })
}

/// The revision that served before the one that serves, if it could be served again: the one that is written down;
/// where none is, the newest one that is older.
fn previous(raw: &Value, serving: Option<&Revision>, details: &Details) -> Option<Previous> {
    let serving = serving?;
    let written = written_previous(raw).filter(|_| is_as_written(raw, serving));
    let mut older = details.revisions.iter().skip_while(|one| one.name != serving.name).skip(1);
    let revision = match written {
        Some(name) => details.revisions.iter().find(|one| one.name == name && one.is_ready)?,
        None => older.find(|revision| revision.is_ready)?,
    };
    Some(Previous { revision: Some(revision.name.clone()), image: revision.image.clone() })
}

/// The revision that served before the newest one was made, as it was written down then.
pub(super) fn written_previous(raw: &Value) -> Option<&str> {
    raw["annotations"][PREVIOUS_KEY].as_str().filter(|name| !name.is_empty())
}

/// The digest of a revision's image, in hexadecimal digits.
fn digest_of(revision: &Revision) -> Option<&str> {
    revision.image.rsplit_once("@sha256:").map(|(_, digest)| digest)
}

/// Whether a revision is the newest one, and the one of which the annotations tell: another tool makes revisions
/// without changing them.
fn is_as_written(raw: &Value, serving: &Revision) -> bool {
    let digest = digest_of(serving);
    serving.name == last_part(&raw["latestCreatedRevision"])
        && digest.is_some()
        && raw["annotations"][DIGEST_KEY].as_str() == digest
}

/// The revisions of an answer, the newest first.
fn revisions(list: &[Value], project: &str) -> Vec<Revision> {
    let mut list: Vec<_> = list.iter().collect();
    // Times of one API, all in UTC: their order is that of their texts, as long as names break ties.
    list.sort_by_key(|revision| (revision["createTime"].as_str(), revision["name"].as_str()));
    list.into_iter().rev().map(|raw| revision(raw, project)).collect()
}

fn revision(raw: &Value, project: &str) -> Revision {
    let conditions = raw["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let is_ready = ready.is_some_and(|condition| condition["state"] == "CONDITION_SUCCEEDED");
    let mut reason = ready.and_then(reason).unwrap_or_default();
    if let Some(uri) = raw["logUri"].as_str()
        && !reason.is_empty()
        && !reason.contains(uri)
    {
        reason = format!("{reason} Logs: {uri}");
    }
    Revision {
        name: last_part(&raw["name"]).to_owned(),
        image: raw["containers"][main_container(raw)]["image"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        is_ready,
        reason,
        secrets: secrets_of(raw, project),
    }
}

/// The secrets of a project that the containers of a revision read, as variables or as files.
pub(super) fn secrets_of(revision: &Value, project: &str) -> BTreeSet<(String, String)> {
    fn all(list: &Value) -> impl Iterator<Item = &Value> {
        list.as_array().into_iter().flatten()
    }
    let variables = all(&revision["containers"]).flat_map(|container| all(&container["env"]));
    let variables = variables.filter_map(|one| one.pointer("/valueSource/secretKeyRef"));
    let variables = variables.map(|reference| (&reference["secret"], &reference["version"]));
    let secrets = all(&revision["volumes"]).filter_map(|volume| volume.get("secret"));
    let files = secrets.flat_map(|secret| {
        let items = secret["items"].as_array().filter(|items| !items.is_empty());
        // Without items, there is one file with the newest version.
        let without = items.is_none().then_some((&secret["secret"], &Value::Null));
        let items = items.into_iter().flatten();
        items.map(move |item| (&secret["secret"], &item["version"])).chain(without)
    });
    let read = variables.chain(files).filter_map(|(secret, version)| {
        let secret = id_in(project, secret.as_str()?)?;
        Some((secret.to_owned(), version.as_str().unwrap_or(LATEST_VERSION).to_owned()))
    });
    read.collect()
}

/// The id of a secret that may be in a project: of one that is named by number, nobody can tell.
fn id_in<'a>(project: &str, secret: &'a str) -> Option<&'a str> {
    let Some(rest) = secret.strip_prefix("projects/") else { return Some(secret) };
    let (other, id) = rest.split_once("/secrets/")?;
    let is_number = other.bytes().all(|byte| byte.is_ascii_digit());
    (other == project || is_number).then_some(id)
}

/// The short name in a long one.
pub(super) fn last_part(name: &Value) -> &str {
    let name = name.as_str().unwrap_or_default();
    name.rsplit_once('/').map_or(name, |(_, last)| last)
}
