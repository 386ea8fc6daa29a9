//! Asks what there is of a function.

use serde_json::Value;

use super::Lambda;
use super::entry::{API_STATEMENT, Reach};
use super::found::{Found, LogOwner, image_of};
use super::settings::Entry;
use super::state;
use crate::cloud::{CallError, ErrorClass, Method, Request};
use crate::deploy::aws::{ObservedRole, Place, read_pages};
use crate::deploy::{Observed, Ownership, Previous, Service, Session, State};
use crate::error::Result;

impl Lambda {
    pub(super) async fn look(&self, session: &Session) -> Result<Observed> {
        let place = Place::of_caller(session, &self.settings.region).await?;
        let latest = find(session, &self.requests().latest()).await?;
        let mut found = Found { account: place.account, latest, ..Found::default() };
        self.look_around(&mut found, session).await?;
        let state = state::of_function(&found);
        let previous = self.previous(&found, session).await?;
        let secrets = found.take_secrets();
        let service = (!found.latest.is_null()).then(|| service(&found, state, previous));
        Ok(Observed { service, details: found.details(), secrets })
    }

    /// Looks at all that belongs to the function.
    async fn look_around(&self, found: &mut Found, session: &Session) -> Result<(), CallError> {
        if !found.latest.is_null() {
            self.look_at_versions(found, session).await?;
            if !matches!(self.settings.entry, Entry::Url { is_public: true, .. }) {
                let request = self.requests().latest_url("GetFunctionUrlConfig", Method::Get);
                found.latest_url = find(session, &request).await?;
            }
        }
        found.role = self.find_role(found, session).await?;
        if self.settings.entry == Entry::Api || found.statement(API_STATEMENT).is_some() {
            found.apis = self.find_apis(session).await?;
        } else if found.latest.is_null() {
            found.apis = unless_denied(self.find_apis(session)).await?;
        }
        if found.latest.is_null() || session.is_removal {
            found.log = unless_denied(self.find_log_owner(found, session)).await?;
        }
        Ok(())
    }

    /// Whose the function's log says that it is.
    async fn find_log_owner(
        &self,
        found: &Found,
        session: &Session,
    ) -> Result<LogOwner, CallError> {
        let place = found.place(&self.settings.region);
        let Some(answer) = session.find(&self.requests().log_tags(&place)).await? else {
            return Ok(LogOwner::Absent);
        };
        let tags = &answer.body["tags"];
        if tags.as_object().is_none_or(serde_json::Map::is_empty) {
            return Ok(LogOwner::Lambda);
        }
        let whose = Ownership::read(|key| tags[key].as_str());
        let is_ours = whose == Ownership::of(&self.workload);
        Ok(if is_ours { LogOwner::Ours } else { LogOwner::Other })
    }

    async fn look_at_versions(
        &self,
        found: &mut Found,
        session: &Session,
    ) -> Result<(), CallError> {
        let requests = self.requests();
        found.versions = items(session, requests.versions(), "Versions", ["Marker", "NextMarker"])
            .await?
            .into_iter()
            .filter(|version| number(version).is_some())
            .collect();
        found.versions.sort_by_key(number);
        if let Some(newest) = found.versions.last_mut() {
            // The list leaves out how a version is.
            let version = newest["Version"].as_str().unwrap_or_default().to_owned();
            *newest = find(session, &requests.configuration(&version)).await?;
        }
        for version in found.versions.iter_mut().filter_map(Value::as_object_mut) {
            version.remove("Environment");
        }
        found.alias = find(session, &requests.alias()).await?;
        if found.alias.is_null() {
            return Ok(());
        }
        found.live = find(session, &requests.live()).await?;
        found.url = find(session, &requests.url("GetFunctionUrlConfig", Method::Get)).await?;
        let policy = find(session, &requests.policy()).await?;
        let policy: Value = policy["Policy"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        found.statements = policy["Statement"].as_array().cloned().unwrap_or_default();
        Ok(())
    }

    /// The role of our making: also where the function has another one now, since it goes with the function.
    async fn find_role(
        &self,
        found: &Found,
        session: &Session,
    ) -> Result<Option<ObservedRole>, CallError> {
        let role = self.role();
        let there = found.latest["Configuration"]["Role"].as_str();
        let place = found.place(&self.settings.region);
        match role.observe(session, &self.settings.region).await {
            // Who brings a role need not be allowed to look at others.
            Err(error)
                if error.class == ErrorClass::Denied
                    && !role.is_ours(self.settings.role_arn.as_deref(), there, &place) =>
            {
                Ok(None)
            }
            result => result,
        }
    }

    /// The APIs of this function, by their tags and its name: names alone are not unique.
    async fn find_apis(&self, session: &Session) -> Result<Vec<Value>, CallError> {
        let request = self.requests().apis();
        let mut apis = items(session, request, "items", ["nextToken", "nextToken"]).await?;
        let ours = Ownership::of(&self.workload);
        let is_ours = |api: &Value| {
            api["name"] == *self.settings.name
                && Ownership::read(|key| api["tags"][key].as_str()) == ours
        };
        apis.retain(is_ours);
        let text = |api: &Value, member: &str| api[member].as_str().unwrap_or_default().to_owned();
        apis.sort_by_key(|api| ["createdDate", "apiId"].map(|member| text(api, member)));
        Ok(apis)
    }

    /// The version before the one that serves.
    async fn previous(
        &self,
        found: &Found,
        session: &Session,
    ) -> Result<Option<Previous>, CallError> {
        let Some(live) = number(&found.live["Configuration"]) else { return Ok(None) };
        let mut earlier = found.versions.iter().rev().filter_map(number);
        let Some(version) = earlier.find(|version| *version < live) else { return Ok(None) };
        let version = version.to_string();
        let function = find(session, &self.requests().function(&version)).await?;
        let image = image_of(&function).map(str::to_owned);
        Ok(image.map(|image| Previous { revision: Some(version), image }))
    }
}

fn service(found: &Found, state: State, previous: Option<Previous>) -> Service {
    let tags = &found.latest["Tags"];
    let serving = if found.live.is_null() { &found.latest } else { &found.live };
    let reach = Reach::of(found);
    let mut ownership = Ownership::read(|key| tags[key].as_str());
    if let Some(digest) = found.untagged_digest(ownership.image_digest.as_deref()) {
        ownership.image_digest = Some(digest);
    }
    Service {
        image: image_of(serving).map(str::to_owned),
        url: reach.url.map(str::to_owned),
        is_public: reach.is_public,
        state,
        revision: found.alias["FunctionVersion"].as_str().map(str::to_owned),
        previous,
        ownership,
        raw: found.latest.clone(),
    }
}

/// The number of a published version; nothing for `$LATEST`.
pub(super) fn number(configuration: &Value) -> Option<u64> {
    configuration["Version"].as_str()?.parse().ok()
}

async fn find(session: &Session, request: &Request) -> Result<Value, CallError> {
    Ok(session.find(request).await?.map(|answer| answer.body).unwrap_or_default())
}

/// What was found, or nothing where we may not look: who deploys for the first time need not be allowed to
/// see what others have left.
async fn unless_denied<T: Default>(
    finding: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    match finding.await {
        Err(error) if error.class == ErrorClass::Denied => Ok(T::default()),
        found => found,
    }
}

/// All items of a list: `names` are those of the cursor in the query and in the answer. What is not there
/// has none.
async fn items(
    session: &Session,
    request: Request,
    list: &str,
    names: [&str; 2],
) -> Result<Vec<Value>, CallError> {
    let ask = |cursor: Option<&str>| match cursor {
        Some(cursor) => request.clone().with_query(names[0], cursor),
        None => request.clone(),
    };
    let mut items = Vec::new();
    for mut page in read_pages(session, &format!("/{}", names[1]), ask).await? {
        let Some(Value::Array(found)) = page.get_mut(list).map(Value::take) else {
            let error = CallError::new(request.service, request.title(), ErrorClass::Other);
            let message = format!("the answer has no list `{list}`");
            return Err(CallError { message, ..error });
        };
        items.extend(found);
    }
    Ok(items)
}
