//! What is there: the app, its revisions, its secrets, and what a new app needs to know.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::app::{PREVIOUS_KEY, image_of, is_same_template};
use super::begun::Begun;
use super::leftovers::needs;
use super::requests;
use super::settings::Settings;
use super::state::Seen;
use crate::cloud::{CallError, ErrorClass, Request};
use crate::deploy::{DeployError, Observed, Ownership, Previous, Service, Session, State};
use crate::error::Result;
use crate::registry::Secret;

/// No list is read further than so many pages.
const MAX_PAGES: usize = 20;
/// What of an app or a revision must be an object where it is there.
const OBJECTS: [&str; 5] = [
    "/properties",
    "/properties/configuration",
    "/properties/configuration/ingress",
    "/properties/template",
    "/properties/template/scale",
];
/// What of them must be a list of objects where it is there.
const LISTS: [&str; 4] = [
    "/properties/configuration/secrets",
    "/properties/configuration/registries",
    "/properties/template/containers",
    "/properties/template/initContainers",
];

/// Asks what is there; some of it tells how what we have `begun` came out.
pub(super) async fn observe(
    settings: &Settings,
    begun: &Begun,
    session: &Session,
) -> Result<Observed> {
    let Some((raw, revisions)) = app(settings, session).await? else {
        let mut details = surroundings(settings, session).await?;
        details["names"] = json!(begun.taken);
        return Ok(Observed { details, ..Observed::default() });
    };
    let mut seen = Seen {
        app: &raw,
        revision: newest(&raw, &revisions),
        replicas: Vec::new(),
        operation: match begun.operation.as_deref() {
            Some(url) => running(url, session).await?,
            None => Value::Null,
        },
    };
    let mut state = seen.state();
    if let (State::Updating(_) | State::Failed(_), Some(revision)) = (&state, seen.revision) {
        let name = revision["name"].as_str().unwrap_or_default();
        let replicas = list(requests::replicas(settings, name), session).await?;
        seen.replicas = replicas.unwrap_or_default();
        state = seen.state();
    }
    let mut observed = Observed {
        details: json!({
            "has_revision": !seen.is_without_revision(settings),
            "is_unfinished": seen.is_unfinished(),
        }),
        ..Observed::default()
    };
    if seen.revision.is_some_and(|revision| revision["properties"]["active"] == false) {
        observed.details["is_inactive"] = true.into();
    }
    let previous = previous(&seen, &revisions, settings);
    if let Some((_, template)) = &previous {
        observed.details["previous_template"] = (*template).clone();
    }
    let is_active = |revision: &&Value| revision["properties"]["active"] != false;
    let active = revisions.iter().filter(is_active);
    let active = active.map(|revision| &revision["properties"]["template"]);
    observed.details["in_use"] =
        needs(active.chain(previous.iter().map(|(_, template)| *template)));
    let names = revisions.iter().filter_map(|revision| revision["name"].as_str()?.split_once("--"));
    let names: Vec<_> =
        names.map(|(_, suffix)| suffix).chain(begun.taken.iter().map(String::as_str)).collect();
    observed.details["names"] = names.into();
    observed.details["is_name_taken"] = seen.is_name_taken().into();
    let suffix = raw["properties"]["template"]["revisionSuffix"].as_str();
    let is_overtaken = begun.suffix.as_deref().is_some_and(|ours| suffix != Some(ours));
    observed.details["is_overtaken"] = is_overtaken.into();
    let kept = raw["properties"]["configuration"]["secrets"].as_array();
    if !session.is_removal
        && kept.into_iter().flatten().any(|secret| secret["keyVaultUrl"].is_null())
    {
        match secrets(settings, session).await {
            Ok(secrets) => observed.secrets = secrets,
            // Who only looks needs no secrets.
            Err(error) if error.class == ErrorClass::Denied => {
                observed.details["secrets_denied"] =
                    json!({"reason": error.to_string(), "hint": error.hints.join("; ")});
            }
            Err(error) => return Err(error.into()),
        }
    }
    let properties = &raw["properties"];
    let ingress = &properties["configuration"]["ingress"];
    let template = seen
        .revision
        .map_or(&properties["template"], |revision| &revision["properties"]["template"]);
    let name = |member: &str| properties[member].as_str().filter(|name| !name.is_empty());
    let service = Service {
        image: image_of(template, settings),
        url: ingress["fqdn"].as_str().map(|host| format!("https://{host}")),
        is_public: ingress["external"] == true,
        state,
        revision: name("latestReadyRevisionName").or(name("latestRevisionName")).map(str::to_owned),
        previous: previous.map(|(previous, _)| previous),
        ownership: Ownership::read(|key| raw["tags"][key].as_str()),
        raw: Value::Null,
    };
    observed.service = Some(Service { raw, ..service });
    Ok(observed)
}

/// What a new app needs to be known of: its environment, or the names of those that there are, or those of
/// the resource groups where its own is missing.
async fn surroundings(settings: &Settings, session: &Session) -> Result<Value> {
    match session.call(&requests::environment(settings)).await {
        Ok(answer) => {
            let request = requests::environment(settings);
            let location = answer.text("/location").ok_or_else(|| untold(&request, "/location"))?;
            Ok(json!({"environment": {"location": location}}))
        }
        Err(CallError { class: ErrorClass::NotFound, code, .. }) if code == "ResourceNotFound" => {
            let others = list(requests::environments(settings), session).await?;
            let others = others.unwrap_or_default();
            let names: Vec<_> = others.iter().map(|other| other["name"].clone()).collect();
            Ok(json!({"environments": names}))
        }
        Err(CallError { code, .. }) if code == "ResourceGroupNotFound" => {
            // Who deploys to one group may not be allowed to see others.
            let groups = list(requests::groups(settings), session).await;
            let groups = groups.ok().flatten().unwrap_or_default();
            let names: Vec<_> = groups.iter().map(|group| group["name"].clone()).collect();
            Ok(json!({"groups": names}))
        }
        Err(error) => Err(error.into()),
    }
}

/// How the operation is; nothing when it is forgotten.
async fn running(url: &str, session: &Session) -> Result<Value> {
    let answer = session.find(&requests::given("Operations_Get", url)).await?;
    Ok(answer.map(|answer| answer.body).unwrap_or_default())
}

/// The app and its revisions; nothing when it is not there, or goes away while it is asked for.
async fn app(settings: &Settings, session: &Session) -> Result<Option<(Value, Vec<Value>)>> {
    let request = requests::get(settings);
    let Some(answer) = session.find(&request).await? else { return Ok(None) };
    check(&answer.body, &request)?;
    let request = requests::revisions(settings);
    let Some(revisions) = list(request.clone(), session).await? else { return Ok(None) };
    revisions.iter().try_for_each(|revision| check(revision, &request))?;
    Ok(Some((answer.body, revisions)))
}

/// Checks that an answer is an app or a revision, in all that is changed before it is sent back: a proxy's
/// page is none.
fn check(answer: &Value, request: &Request) -> Result<(), DeployError> {
    if !answer["name"].is_string() {
        return Err(untold(request, "/name"));
    }
    let is_absent_or = |pointer: &str, is_good: fn(&Value) -> bool| {
        answer.pointer(pointer).is_none_or(|value| value.is_null() || is_good(value))
    };
    let is_list =
        |value: &Value| value.as_array().is_some_and(|all| all.iter().all(Value::is_object));
    let objects = OBJECTS.iter().find(|pointer| !is_absent_or(pointer, Value::is_object));
    let lists = LISTS.iter().find(|pointer| !is_absent_or(pointer, is_list));
    objects.or(lists).map_or(Ok(()), |pointer| Err(untold(request, pointer)))
}

fn untold(request: &Request, pointer: &'static str) -> DeployError {
    DeployError::Untold { title: request.title(), pointer }
}

/// All entries of a list; nothing when its owner is not there.
async fn list(request: Request, session: &Session) -> Result<Option<Vec<Value>>> {
    let mut entries = Vec::new();
    let mut next = Some(request);
    for _ in 0..MAX_PAGES {
        let Some(request) = next.take() else { break };
        let Some(answer) = session.find(&request).await? else { return Ok(None) };
        let mut body = answer.body;
        let page = body.get_mut("value").and_then(Value::as_array_mut);
        entries.append(page.ok_or_else(|| untold(&request, "/value"))?);
        let link = body["nextLink"].as_str().filter(|link| !link.is_empty());
        next = link.map(|link| requests::given(request.operation, link));
    }
    Ok(Some(entries))
}

async fn secrets(
    settings: &Settings,
    session: &Session,
) -> Result<BTreeMap<String, Secret>, CallError> {
    let answer = session.find(&requests::list_secrets(settings)).await?.unwrap_or_default();
    let entries = answer.body["value"].as_array().into_iter().flatten();
    let pairs = entries.filter_map(|entry| {
        Some((entry["name"].as_str()?.to_owned(), Secret::new(entry["value"].as_str()?)))
    });
    Ok(pairs.collect())
}

/// The newest revision of an app.
fn newest<'a>(app: &Value, revisions: &'a [Value]) -> Option<&'a Value> {
    let name = app["properties"]["latestRevisionName"].as_str()?;
    revisions.iter().find(|revision| revision["name"] == name)
}

/// The revision to go back to, which was ready once: the one that still serves where the newest does not;
/// else the one that served before, if it had another image or other settings.
fn previous<'a>(
    seen: &Seen<'_>,
    revisions: &'a [Value],
    settings: &Settings,
) -> Option<(Previous, &'a Value)> {
    let newest = seen.revision?;
    let named = |name: &str| revisions.iter().find(|revision| revision["name"] == name);
    let template = |revision: &'a Value| &revision["properties"]["template"];
    let is_other = |revision: &&'a Value| {
        !is_same_template(template(revision), &newest["properties"]["template"])
    };
    let ready = seen.app["properties"]["latestReadyRevisionName"].as_str()?;
    let revision = if newest["name"] != ready {
        named(ready)?
    } else if let Some(name) = seen.app["tags"][PREVIOUS_KEY].as_str() {
        named(name).filter(is_other)?
    } else {
        let created = |revision: &Value| {
            let text = revision["properties"]["createdTime"].as_str().unwrap_or_default();
            text.parse::<jiff::Timestamp>().ok()
        };
        let earlier = revisions.iter().filter(|revision| {
            created(revision) <= created(newest) && !has_failed(revision) && is_other(revision)
        });
        earlier.max_by_key(|revision| created(revision))?
    };
    let image = image_of(template(revision), settings)?;
    let name = revision["name"].as_str().map(str::to_owned);
    Some((Previous { revision: name, image }, template(revision)))
}

/// Whether anything shows that a revision never was well.
fn has_failed(revision: &Value) -> bool {
    let properties = &revision["properties"];
    let is =
        |member: &str, states: &[&str]| states.iter().any(|state| properties[member] == **state);
    is("provisioningState", &["Failed"])
        || is("runningState", &["Failed", "ActivationFailed", "Degraded"])
        || is("healthState", &["Unhealthy"])
}
