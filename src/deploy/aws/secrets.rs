//! Secrets of Secrets Manager that belong to a workload: one for each value that the caller has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::observed_secrets::{ObservedSecret, ObservedSecrets};
use super::{Place, capital_tags};
use crate::cloud::{Request, SECRETS_MANAGER};
use crate::deploy::{DeployPlan, Given, Ownership, Pull, SecretValue, Step, Subject, Workload};
use crate::oci::Digest;
use crate::registry::Secret;

/// For how many days a secret that was removed can be had back; the fewest that there are.
const RECOVERY_DAYS: u32 = 7;
/// The name of what the platform pulls with; no variable is called so.
const PULL: &str = "@pull";

/// The secrets of one workload in one region.
#[derive(Debug, Clone)]
pub(in crate::deploy) struct SecretStore<'a> {
    pub(super) workload: &'a Workload,
    /// Whose they are among the targets of the environment: `app-runner-agent`.
    service: String,
    /// Whether the platform pulls with a secret of ours, too.
    has_pull: bool,
}

/// The secrets as they will be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::deploy) struct PlannedSecrets {
    /// Where each variable's value is: an ARN, or the mark of one that is not known yet.
    pub(in crate::deploy) references: BTreeMap<String, String>,
    /// Where the platform finds what it pulls with.
    pub(in crate::deploy) pull: Option<String>,
    /// Changes whenever a value does: containers read values only when they start.
    pub(in crate::deploy) revision: String,
}

impl<'a> SecretStore<'a> {
    /// The secrets of a workload at the target of this kind that has this name.
    pub(in crate::deploy) fn new(workload: &'a Workload, kind: &str, name: &str) -> Self {
        Self { workload, service: format!("{kind}-{name}"), has_pull: false }
    }

    /// The same with what the platform pulls with.
    pub(in crate::deploy) fn with_pull(self) -> Self {
        Self { has_pull: true, ..self }
    }

    /// Adds what is missing: a secret, or its new value.
    pub(in crate::deploy) fn plan(
        &self,
        observed: &ObservedSecrets,
        place: &Place,
        plan: &mut DeployPlan,
    ) -> PlannedSecrets {
        let mut planned = PlannedSecrets::default();
        let mut versions = Vec::new();
        let wanted = self.wanted();
        for name in self.names() {
            let found = observed.0.get(&name);
            let version = match (wanted.get(&name), found) {
                (Some(value), _) => self.plan_one(&name, value.clone(), found, place, plan),
                (None, Some(secret)) if !secret.is_removed => secret.version.clone(),
                (None, _) => continue,
            };
            let mark = || Given::mark(&given_name(&name));
            let arn = found.map_or_else(mark, |secret| secret.arn.clone());
            versions.push(format!("{name}={version}"));
            if name == PULL {
                planned.pull = Some(arn);
            } else {
                planned.references.insert(name, arn);
            }
        }
        for (name, value) in &self.workload.secrets {
            if let SecretValue::Kept(reference) = value {
                planned.references.insert(name.clone(), reference.clone());
            }
        }
        if let (true, Some(Pull::Kept(reference))) = (self.has_pull, &self.workload.pull) {
            planned.pull = Some(reference.clone());
        }
        if !versions.is_empty() {
            planned.revision.push_str(&Digest::of(versions.join("\n").as_bytes()).hex()[..16]);
        }
        planned
    }

    /// Gives the version that there will be.
    fn plan_one(
        &self,
        name: &str,
        value: Secret,
        found: Option<&ObservedSecret>,
        place: &Place,
        plan: &mut DeployPlan,
    ) -> String {
        if let Some(secret) = found.filter(|secret| secret.is_current) {
            return secret.version.clone();
        }
        let id = self.secret_name(name);
        // The token becomes the version's id. It is made of what was there, so that trying again is the same
        // try, and never of the value, which it must not tell.
        let before = found.map_or("", |secret| secret.version.as_str());
        let token = Digest::of(format!("{id}\n{before}").as_bytes()).hex()[..32].to_owned();
        let before = found.map(|_| "(hidden)");
        plan.changes.push(crate::deploy::Change {
            what: format!("secret `{id}`"),
            before: before.map(str::to_owned),
            after: Some("(hidden)".to_owned()),
        });
        let call =
            |operation, body| Request::call(&SECRETS_MANAGER, &place.region, operation, body);
        let Some(secret) = found else {
            let ownership = Ownership::of(self.workload);
            let body = json!({
                "Name": id,
                "ClientRequestToken": token,
                "SecretString": "",
                "Tags": capital_tags(ownership.tags()),
            });
            let request = call("CreateSecret", body).with_secret("/SecretString", value);
            let step = Step::new(format!("create the secret `{id}`"), request);
            plan.steps.push(step.creating(format!("secret {id}")).giving(given_name(name), "/ARN"));
            return token;
        };
        if secret.is_removed {
            let request = call("RestoreSecret", json!({"SecretId": secret.arn}));
            plan.steps.push(Step::new(format!("take the secret `{id}` back"), request));
        }
        let body = json!({"SecretId": secret.arn, "ClientRequestToken": token, "SecretString": ""});
        let request = call("PutSecretValue", body).with_secret("/SecretString", value);
        plan.steps.push(Step::new(format!("put the new value into the secret `{id}`"), request));
        token
    }

    /// Removes secrets of ours that are no longer wanted.
    pub(in crate::deploy) fn plan_tidying(
        &self,
        observed: &ObservedSecrets,
        place: &Place,
        plan: &mut DeployPlan,
    ) {
        let wanted: BTreeSet<_> = self.names().collect();
        self.remove(observed, |name| !wanted.contains(name), place, plan);
    }

    /// Removes all secrets of ours.
    pub(in crate::deploy) fn plan_removal(
        &self,
        observed: &ObservedSecrets,
        place: &Place,
        plan: &mut DeployPlan,
    ) {
        self.remove(observed, |_| true, place, plan);
    }

    fn remove(
        &self,
        observed: &ObservedSecrets,
        is_unwanted: impl Fn(&str) -> bool,
        place: &Place,
        plan: &mut DeployPlan,
    ) {
        // What the config names by its ARN is there for others, too, whoever made it.
        let kept: BTreeSet<_> = self.kept().chain(self.kept_pull()).map(resource_of).collect();
        let is_kept = |secret: &ObservedSecret| kept.contains(&resource_of(&secret.arn));
        let unwanted = observed.0.iter().filter(|(name, _)| is_unwanted(name));
        let removable = |secret: &ObservedSecret| secret.is_ours && !secret.is_removed;
        for (name, secret) in unwanted.filter(|(_, secret)| removable(secret) && !is_kept(secret)) {
            let id = self.secret_name(name);
            plan.change(format!("secret `{id}`"), Some("(hidden)"), None::<String>);
            let body = json!({"SecretId": secret.arn, "RecoveryWindowInDays": RECOVERY_DAYS});
            let request = Request::call(&SECRETS_MANAGER, &place.region, "DeleteSecret", body);
            let step = Step::new(format!("delete the secret `{id}`"), request);
            plan.steps.push(step.or_done_by(&["ResourceNotFoundException"]));
        }
    }

    /// The names of all secrets that are ours to keep, whether their values are known here or not.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let unset = self.workload.secrets.iter();
        let unset = unset.filter(|(_, value)| **value == SecretValue::Unset);
        let names: BTreeSet<_> =
            self.wanted().into_keys().chain(unset.map(|(name, _)| name.clone())).collect();
        names.into_iter()
    }

    /// The values that the caller has, by the name of the variable.
    pub(super) fn wanted(&self) -> BTreeMap<String, Secret> {
        let given = self.workload.secrets.iter().filter_map(|(name, value)| match value {
            SecretValue::Given(secret) => Some((name.clone(), secret.clone())),
            SecretValue::Unset | SecretValue::Kept(_) => None,
        });
        let pull = self.workload.pull.as_ref().filter(|_| self.has_pull);
        let pull = pull.and_then(|pull| match pull {
            Pull::Password { username, password } => {
                let pair = json!({"username": username, "password": password.expose()});
                Some((PULL.to_owned(), Secret::new(pair.to_string())))
            }
            Pull::Kept(_) => None,
        });
        given.chain(pull).collect()
    }

    /// The ARNs of secrets that the config names for variables.
    fn kept(&self) -> impl Iterator<Item = &str> {
        self.workload.secrets.values().filter_map(|value| match value {
            SecretValue::Kept(arn) => Some(arn.as_str()),
            SecretValue::Given(_) | SecretValue::Unset => None,
        })
    }

    /// The ARN of the secret that the config names to pull with.
    fn kept_pull(&self) -> Option<&str> {
        match self.workload.pull.as_ref()? {
            Pull::Kept(arn) => Some(arn),
            Pull::Password { .. } => None,
        }
    }

    /// `dockless/PROJECT/ENVIRONMENT/SERVICE/NAME`.
    pub(super) fn secret_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    fn prefix(&self) -> String {
        let Workload { project, environment, .. } = self.workload;
        format!("dockless/{project}/{environment}/{}/", self.service)
    }

    /// The variable whose secret an ARN names, when it is one of this workload.
    pub(super) fn variable(&self, arn: &str) -> Option<String> {
        let id = arn.split(':').nth(6)?.strip_prefix(&self.prefix())?;
        let (name, _random) = id.rsplit_once('-')?;
        Some(name.to_owned())
    }

    pub(super) fn subject(&self, name: &str, region: &str) -> Subject {
        Subject { what: "secret", name: self.secret_name(name), place: region.to_owned() }
    }

    /// What a role must be allowed so that a service can read all of its secrets; nothing without secrets.
    pub(in crate::deploy) fn statement(&self, place: &Place) -> Option<Value> {
        let ours = self.names().map(|name| {
            place.arn("secretsmanager", &format!("secret:{}-??????", self.secret_name(&name)))
        });
        let pull = self.kept_pull().filter(|_| self.has_pull);
        let kept = self.kept().chain(pull).map(resource_of);
        let resources: BTreeSet<_> = ours.chain(kept).collect();
        (!resources.is_empty()).then(|| {
            json!({
                "Effect": "Allow",
                "Action": "secretsmanager:GetSecretValue",
                "Resource": resources,
            })
        })
    }
}

/// The ARN of a secret without what may stand behind it: `arn:…:secret:NAME:KEY:STAGE:VERSION`.
fn resource_of(arn: &str) -> String {
    arn.split(':').take(7).collect::<Vec<_>>().join(":")
}

fn given_name(name: &str) -> String {
    format!("secret {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::aws::testing;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:dockless/agent/production/lambda-a/KEY-AbCdEf";

    fn workload() -> Workload {
        let given = SecretValue::Given(Secret::new("canary"));
        let kept = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shared-ABCDEF:key::";
        let secrets = [("KEY", given), ("OTHER", SecretValue::Kept(kept.into()))];
        Workload {
            secrets: secrets.map(|(name, value)| (name.to_owned(), value)).into(),
            ..testing::workload()
        }
    }

    fn place() -> Place {
        Place { region: "eu-west-1".into(), account: "123456789012".into() }
    }

    fn found(is_current: bool) -> ObservedSecret {
        ObservedSecret {
            arn: ARN.into(),
            version: "1".repeat(32),
            is_current,
            is_removed: false,
            is_ours: true,
        }
    }

    fn plan(secret: Option<ObservedSecret>) -> (Vec<&'static str>, PlannedSecrets) {
        let observed = secret.into_iter().map(|secret| ("KEY".to_owned(), secret));
        let mut plan = DeployPlan::default();
        let workload = workload();
        let observed = ObservedSecrets(observed.collect());
        let planned =
            SecretStore::new(&workload, "lambda", "a").plan(&observed, &place(), &mut plan);
        assert!(!format!("{plan:?}{}", plan.document()).contains("canary"));
        (plan.steps.iter().map(|step| step.request.operation).collect(), planned)
    }

    #[test]
    fn a_secret_is_written_only_when_its_value_differs() {
        let (operations, created) = plan(None);
        assert_eq!(operations, ["CreateSecret"]);
        assert_eq!(created.references["KEY"], "«secret KEY»");
        let (operations, current) = plan(Some(found(true)));
        assert_eq!(operations, [""; 0]);
        assert_eq!(current.references["KEY"], ARN);
        let (operations, changed) = plan(Some(found(false)));
        assert_eq!(operations, ["PutSecretValue"]);
        assert_ne!(changed.revision, current.revision);
        assert_eq!(changed, plan(Some(found(false))).1, "trying again is the same try");
        let removed = ObservedSecret { is_removed: true, ..found(false) };
        assert_eq!(plan(Some(removed)).0, ["RestoreSecret", "PutSecretValue"]);
    }

    #[test]
    fn what_was_planned_is_what_is_found_afterwards() {
        let workload = workload();
        let mut plan = DeployPlan::default();
        let store = SecretStore::new(&workload, "lambda", "a");
        let planned = store.plan(&ObservedSecrets::default(), &place(), &mut plan);
        let token = plan.steps[0].request.body.as_ref().unwrap()["ClientRequestToken"].clone();
        let secret = ObservedSecret { version: token.as_str().unwrap().into(), ..found(true) };
        let observed = ObservedSecrets([("KEY".to_owned(), secret)].into());
        let again = store.plan(&observed, &place(), &mut DeployPlan::default());
        assert_eq!(again.revision, planned.revision);
    }

    #[test]
    fn only_secrets_of_ours_are_removed() {
        let workload = Workload { secrets: BTreeMap::new(), ..workload() };
        let store = SecretStore::new(&workload, "lambda", "a");
        assert_eq!(store.variable(ARN), Some("KEY".to_owned()));
        assert_eq!(store.variable("arn:aws:secretsmanager:r:1:secret:shared-ABCDEF"), None);
        for (is_ours, expected) in [(true, vec!["DeleteSecret"]), (false, vec![])] {
            let secret = ObservedSecret { is_ours, ..found(false) };
            let observed = ObservedSecrets([("KEY".to_owned(), secret)].into());
            let mut plan = DeployPlan::default();
            store.plan_tidying(&observed, &place(), &mut plan);
            let operations: Vec<_> = plan.steps.iter().map(|step| step.request.operation).collect();
            assert_eq!(operations, expected);
        }
    }

    #[test]
    fn a_secret_that_the_config_names_by_its_arn_is_never_removed() {
        let kept = SecretValue::Kept(format!("{ARN}:key::"));
        let workload = Workload { secrets: [("OTHER".to_owned(), kept)].into(), ..workload() };
        let store = SecretStore::new(&workload, "lambda", "a");
        let observed = ObservedSecrets([("KEY".to_owned(), found(false))].into());
        let mut plan = DeployPlan::default();
        store.plan_tidying(&observed, &place(), &mut plan);
        store.plan_removal(&observed, &place(), &mut plan);
        assert_eq!(plan, DeployPlan::default());
    }

    #[test]
    fn a_secret_without_a_value_here_is_left_as_it_is_and_known_all_the_same() {
        let unset = [("KEY".to_owned(), SecretValue::Unset)].into();
        let unset = Workload { secrets: unset, ..testing::workload() };
        let (store, whole) = (SecretStore::new(&unset, "lambda", "a"), workload());
        let observed = ObservedSecrets([("KEY".to_owned(), found(true))].into());
        let mut plan = DeployPlan::default();
        let planned = store.plan(&observed, &place(), &mut plan);
        store.plan_tidying(&observed, &place(), &mut plan);
        assert_eq!(plan, DeployPlan::default());
        let with_value = SecretStore::new(&whole, "lambda", "a");
        let with_value = with_value.plan(&observed, &place(), &mut DeployPlan::default());
        assert_eq!(planned.references["KEY"], ARN);
        assert_eq!(planned.revision, with_value.revision);
        assert!(store.statement(&place()).is_some());
        store.plan_removal(&observed, &place(), &mut plan);
        assert_eq!(plan.steps[0].request.operation, "DeleteSecret");
    }

    #[test]
    fn a_role_needs_to_read_exactly_these() {
        let workload = workload();
        let statement = SecretStore::new(&workload, "lambda", "a").statement(&place()).unwrap();
        assert_eq!(
            statement["Resource"],
            json!([
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:dockless/agent/production/lambda-a/KEY-??????",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shared-ABCDEF",
            ])
        );
        let without = testing::workload();
        assert_eq!(SecretStore::new(&without, "lambda", "a").statement(&place()), None);
    }
}
