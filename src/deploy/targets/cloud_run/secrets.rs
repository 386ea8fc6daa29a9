//! Values that Secret Manager keeps for a service: one secret per variable, named so that it is found again.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::CloudRun;
use super::observe::{Details, all_pages, details, last_part};
use super::service::{is_default_account, main_container};
use super::settings::Settings;
use super::versions::Versions;
use crate::cloud::{ErrorClass, Method, Request, SECRET_MANAGER};
use crate::deploy::{
    Change, DeployError, DeployPlan, Given, Observed, Ownership, SecretValue, Service, Session,
    Step, Subject,
};
use crate::error::Result;
use crate::registry::Secret;

/// The role that reads a secret's value.
const ACCESSOR: &str = "roles/secretmanager.secretAccessor";

/// A secret that is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Whether its labels say that it is this workload's.
    pub(super) is_ours: bool,
    /// Its latest version; nothing while it has none.
    pub(super) version: Option<String>,
    /// Whether that has the value that is wanted.
    pub(super) is_current: bool,
    /// Who may read it, and its etag; nothing where that is not needed, or may not be seen.
    #[serde(default)]
    pub(super) policy: Option<Value>,
    /// Its versions, where they are known.
    #[serde(default)]
    pub(super) versions: Option<Versions>,
}

impl CloudRun {
    /// The id of the secret for a variable: another one in each region, as services are.
    pub(super) fn secret_id(&self, variable: &str) -> String {
        format!("{}{variable}", self.secret_prefix())
    }

    pub(super) fn secret_prefix(&self) -> String {
        format!("{}-{}-", self.settings.name, self.settings.region)
    }

    /// Looks at the secrets that the workload gives, at those that the service has, and for those that were
    /// made for it once.
    pub(super) async fn look_at_secrets(
        &self,
        service: Option<&Service>,
        session: &Session,
    ) -> Result<BTreeMap<String, Kept>> {
        let prefix = self.secret_prefix();
        let mut variables: BTreeSet<String> = self.given().map(|(name, _)| name.clone()).collect();
        if let Some(service) = service {
            let template = &service.raw["template"];
            let env = &template["containers"][main_container(template)]["env"];
            let secrets = env.as_array().into_iter().flatten();
            let names =
                secrets.filter_map(|one| one.pointer("/valueSource/secretKeyRef/secret")?.as_str());
            variables.extend(names.filter_map(|name| Some(name.strip_prefix(&prefix)?.to_owned())));
        }
        let mut kept = BTreeMap::new();
        if service.is_none_or(|service| !service.state.is_updating()) {
            kept = self.find_secrets(session).await;
        }
        for variable in variables {
            match self.look_at_secret(&variable, session).await {
                Ok(Some(secret)) => drop(kept.insert(self.secret_id(&variable), secret)),
                Ok(None) => {}
                // Whether its value is the wanted one decides what to send; whether it is there does not.
                Err(error) if self.given().any(|(name, _)| *name == variable) => return Err(error),
                Err(error) => {
                    let id = self.secret_id(&variable);
                    session.events.detail(format!("the secret `{id}` is not known: {error}"));
                }
            }
        }
        Ok(kept)
    }

    /// The secrets that bear our labels; none, where they may not be listed, or cannot be now.
    async fn find_secrets(&self, session: &Session) -> BTreeMap<String, Kept> {
        let labels = Ownership::of(&self.workload);
        let conditions: Vec<_> =
            labels.tags().iter().map(|(key, value)| format!("labels.{key}={value}")).collect();
        let request = self
            .secret_request("ListSecrets", Method::Get, "")
            .with_query("filter", conditions.join(" AND "));
        let secrets = match all_pages(&request, "secrets", session).await {
            Ok(secrets) => secrets,
            Err(error) => {
                session.events.detail(format!("secrets that are left over are not known: {error}"));
                Vec::new()
            }
        };
        let prefix = self.secret_prefix();
        let found = secrets.iter().filter_map(|secret| {
            let id = last_part(&secret["name"]);
            // A service whose name begins like this one's has another dash there.
            let is_for_it =
                id.strip_prefix(&prefix).is_some_and(|variable| !variable.contains('-'));
            let ownership = Ownership::read(|key| secret["labels"][key].as_str());
            let is_ours = ownership == labels;
            (is_for_it && is_ours).then(|| (id.to_owned(), Kept { is_ours, ..Kept::default() }))
        });
        found.collect()
    }

    async fn look_at_secret(&self, variable: &str, session: &Session) -> Result<Option<Kept>> {
        let id = self.secret_id(variable);
        let request = self.secret_request("GetSecret", Method::Get, &format!("/{id}"));
        let Some(answer) = session.find(&request).await? else { return Ok(None) };
        let ownership = Ownership::read(|key| answer.body["labels"][key].as_str());
        let is_ours = ownership.check_removal(&self.workload, &self.secret_subject(&id)).is_ok();
        let value = self.given().find(|(name, _)| *name == variable).map(|(_, value)| value);
        let mut kept = Kept { is_ours, ..Kept::default() };
        let Some(value) = value.filter(|_| is_ours) else { return Ok(Some(kept)) };
        kept.policy = self.look_at_readers(&id, session).await?;
        let path = format!("/{id}/versions/latest:access");
        let request = self.secret_request("AccessSecretVersion", Method::Get, &path);
        let version = match session.call(&request).await {
            Ok(answer) => answer.body,
            // It has no version yet, or the latest was disabled.
            Err(error)
                if error.class == ErrorClass::NotFound || error.code == "FAILED_PRECONDITION" =>
            {
                return Ok(Some(kept));
            }
            Err(error) => return Err(error.into()),
        };
        let data = version.pointer("/payload/data").and_then(Value::as_str).unwrap_or_default();
        kept.is_current = data == BASE64.encode(value.expose());
        let name = version["name"].as_str().and_then(|name| name.rsplit_once('/'));
        kept.version = name.map(|(_, version)| version.to_owned());
        Ok(Some(kept))
    }

    /// Who may read a secret, where somebody may have to be let in.
    async fn look_at_readers(&self, id: &str, session: &Session) -> Result<Option<Value>> {
        if self.reader().is_none() {
            return Ok(None);
        }
        // What stands in a policy under conditions is shown, and kept, from this version on.
        let request = self
            .secret_request("GetIamPolicy", Method::Get, &format!("/{id}:getIamPolicy"))
            .with_query("options.requestedPolicyVersion", "3");
        match session.call(&request).await {
            // What is no policy tells nothing, and nothing may be written over it.
            Ok(answer) => Ok(Some(answer.body).filter(Value::is_object)),
            Err(error) if error.class == ErrorClass::Denied => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Plans what keeps the given values; the version of each by variable, or the mark of one that is new.
    pub(super) fn plan_secrets(
        &self,
        there: Option<&Service>,
        details: &Details,
        ownership: &Ownership,
        plan: &mut DeployPlan,
    ) -> Result<BTreeMap<String, String>, DeployError> {
        let account = self.settings.service_account.as_deref();
        let is_other_account = there.is_some_and(|service| {
            let there = &service.raw["template"]["serviceAccount"];
            let there = Some(there).filter(|there| !is_default_account(there));
            there.and_then(Value::as_str) != account
        });
        let mut versions = BTreeMap::new();
        for (variable, value) in self.given() {
            let id = self.secret_id(variable);
            let kept = details.secrets.get(&id);
            if let Some(kept) = kept
                && !kept.is_ours
            {
                return Err(self.foreign_secret(&id));
            }
            if let Some(version) =
                kept.filter(|kept| kept.is_current).and_then(|kept| kept.version.clone())
            {
                if self.plan_reading(&id, kept, is_other_account, plan) {
                    plan.change(format!("secrets.{variable}.reader"), None::<String>, account);
                }
                versions.insert(variable.clone(), version);
                continue;
            }
            if kept.is_none() {
                plan.steps.push(self.creation(&id, ownership));
            }
            let is_new = kept.is_none_or(|kept| kept.version.is_none());
            self.plan_reading(&id, kept, is_new || is_other_account, plan);
            let name = format!("version of {id}");
            versions.insert(variable.clone(), Given::mark(&name));
            plan.steps.push(self.addition(variable, &id, value).giving_last_part(name, "/name"));
            let before = kept.and_then(|kept| kept.version.as_ref()).map(|_| "(hidden)".to_owned());
            let after = Some("(hidden)".to_owned());
            plan.changes.push(Change { what: format!("secrets.{variable}"), before, after });
        }
        Ok(versions)
    }

    /// Removes the secrets that are ours.
    pub(super) fn plan_secret_removal(&self, observed: &Observed, plan: &mut DeployPlan) {
        let secrets = details(observed).secrets;
        for id in secrets.iter().filter(|(_, kept)| kept.is_ours).map(|(id, _)| id) {
            let request = self.secret_request("DeleteSecret", Method::Delete, &format!("/{id}"));
            let step = Step::new(format!("delete the secret `{id}`"), request);
            plan.steps.push(step.or_done_by(&["NOT_FOUND"]));
        }
    }

    fn creation(&self, id: &str, ownership: &Ownership) -> Step {
        // Whose it is, whatever is deployed.
        let ownership = Ownership { config_hash: None, image_digest: None, ..ownership.clone() };
        let labels: serde_json::Map<_, _> = ownership
            .tags()
            .into_iter()
            .map(|(key, value)| (key.to_owned(), Value::from(value)))
            .collect();
        let request = self
            .secret_request("CreateSecret", Method::Post, "")
            .with_query("secretId", id)
            .with_body(json!({"replication": {"automatic": {}}, "labels": labels}));
        Step::new(format!("create the secret `{id}`"), request)
            .creating(format!("secret {id}"))
            .or_done_by(&["ALREADY_EXISTS"])
    }

    /// Who has to be let in, where roles may be given and it is known who runs.
    fn reader(&self) -> Option<&str> {
        self.settings.service_account.as_deref().filter(|_| self.workload.creates_roles)
    }

    /// Plans what lets the service read a secret, or notes who must do it when that is worth telling; whether
    /// there is something to do.
    fn plan_reading(
        &self,
        id: &str,
        kept: Option<&Kept>,
        is_worth_telling: bool,
        plan: &mut DeployPlan,
    ) -> bool {
        // What is created by this plan has no policy yet.
        let policy = match kept {
            None => Some(json!({})),
            Some(kept) => kept.policy.clone(),
        };
        let (Some(account), Some(policy)) = (self.reader(), policy) else {
            if is_worth_telling {
                plan.notes.push(self.permission_note(id));
            }
            return false;
        };
        let granted = with_reader(&policy, account);
        let is_missing = granted != policy;
        if is_missing {
            let request = self
                .secret_request("SetIamPolicy", Method::Post, &format!("/{id}:setIamPolicy"))
                .with_body(json!({"policy": granted}));
            let title = format!("let `{account}` read the secret `{id}`");
            plan.steps.push(Step::new(title, request));
        }
        is_missing
    }

    /// What somebody must do who may give roles.
    fn permission_note(&self, id: &str) -> String {
        let Settings { project, service_account, .. } = &self.settings;
        let account =
            service_account.as_deref().unwrap_or("NUMBER-compute@developer.gserviceaccount.com");
        format!(
            "the account that runs the service must be allowed to read the secret: `gcloud secrets \
             add-iam-policy-binding {id} --project={project} --member=serviceAccount:{account} --role={ACCESSOR}`"
        )
    }

    fn addition(&self, variable: &str, id: &str, value: &Secret) -> Step {
        let request = self
            .secret_request("AddSecretVersion", Method::Post, &format!("/{id}:addVersion"))
            .with_body(json!({"payload": {"data": ""}}))
            .with_secret("/payload/data", Secret::new(BASE64.encode(value.expose())));
        Step::new(format!("keep the value of `{variable}` in the secret `{id}`"), request)
    }

    pub(super) fn secret_request(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
    ) -> Request {
        let path = format!("/v1/projects/{}/secrets{path}", self.settings.project);
        Request::rest(&SECRET_MANAGER, "", operation, method, path)
    }

    pub(super) fn given(&self) -> impl Iterator<Item = (&String, &Secret)> {
        self.workload.secrets.iter().filter_map(|(name, value)| match value {
            SecretValue::Given(secret) => Some((name, secret)),
            SecretValue::Unset | SecretValue::Kept(_) => None,
        })
    }

    fn secret_subject(&self, id: &str) -> Subject {
        let place = self.settings.project.clone();
        Subject { what: "secret", name: id.to_owned(), place }
    }

    fn foreign_secret(&self, id: &str) -> DeployError {
        DeployError::NotOurs {
            subject: self.secret_subject(id).to_string(),
            whose: "not labelled as one of this project and environment".to_owned(),
            hint: format!(
                "name it in the environment to use it (`secret_manager: {id}`), or give the service another `name`"
            ),
        }
    }
}

/// A policy in which this account may read; its other bindings and its etag stay.
fn with_reader(policy: &Value, account: &str) -> Value {
    let member = Value::from(format!("serviceAccount:{account}"));
    let mut policy = policy.clone();
    let mut bindings = policy["bindings"].as_array().cloned().unwrap_or_default();
    let ours = bindings
        .iter_mut()
        .find(|binding| binding["role"] == ACCESSOR && binding.get("condition").is_none());
    match ours.and_then(|binding| binding.get_mut("members")).and_then(Value::as_array_mut) {
        Some(members) if members.contains(&member) => return policy,
        Some(members) => members.push(member),
        None => bindings.push(json!({"role": ACCESSOR, "members": [member]})),
    }
    policy["bindings"] = bindings.into();
    policy
}
