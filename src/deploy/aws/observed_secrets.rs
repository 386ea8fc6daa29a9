//! What there is of the secrets of a workload.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::secrets::SecretStore;
use super::{find_tag, members};
use crate::cloud::{CallError, Request, SECRETS_MANAGER};
use crate::deploy::{Ownership, Session};
use crate::registry::Secret;

/// What is there of each secret, by the name of its variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::deploy) struct ObservedSecrets(pub(super) BTreeMap<String, ObservedSecret>);

/// A secret that is there; its value is compared when it is looked at, and not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObservedSecret {
    pub(super) arn: String,
    pub(super) version: String,
    /// Whether its value is the one that is wanted.
    pub(super) is_current: bool,
    /// Whether it was removed, and can still be had back.
    pub(super) is_removed: bool,
    pub(super) is_ours: bool,
}

impl SecretStore<'_> {
    /// Asks what is there: of the secrets that are wanted, and of those that the service refers to now.
    ///
    /// # Errors
    /// Secrets Manager does not answer, or not to us.
    pub(in crate::deploy) async fn observe(
        &self,
        session: &Session,
        region: &str,
        referred: impl IntoIterator<Item = &str>,
    ) -> Result<ObservedSecrets, CallError> {
        let wanted = self.wanted();
        let mut names: BTreeSet<String> = self.names().collect();
        names.extend(referred.into_iter().filter_map(|arn| self.variable(arn)));
        let mut found = BTreeMap::new();
        for name in names {
            let secret = self.observe_one(session, region, &name, wanted.get(&name)).await?;
            found.extend(secret.map(|secret| (name, secret)));
        }
        Ok(ObservedSecrets(found))
    }

    async fn observe_one(
        &self,
        session: &Session,
        region: &str,
        name: &str,
        wanted: Option<&Secret>,
    ) -> Result<Option<ObservedSecret>, CallError> {
        let body = json!({"SecretId": self.secret_name(name)});
        let ask = |operation| {
            Request::call(&SECRETS_MANAGER, region, operation, body.clone()).that_reads()
        };
        let Some(described) = session.find(&ask("DescribeSecret")).await? else { return Ok(None) };
        let is_removed = described.body.get("DeletedDate").is_some_and(|date| !date.is_null());
        let value = match wanted {
            Some(_) if !is_removed => session.find(&ask("GetSecretValue")).await?,
            _ => None,
        };
        let text = |pointer| value.as_ref().and_then(|value| value.text(pointer));
        let version = text("/VersionId").or_else(|| current_version(&described.body));
        let tags = described.body.get("Tags").unwrap_or(&Value::Null);
        let ownership = Ownership::read(|key| find_tag(tags, key));
        Ok(Some(ObservedSecret {
            arn: described.text("/ARN").unwrap_or_default().to_owned(),
            version: version.unwrap_or_default().to_owned(),
            is_current: text("/SecretString")
                .is_some_and(|there| wanted.is_some_and(|wanted| there == wanted.expose())),
            is_removed,
            is_ours: ownership.check_removal(self.workload, &self.subject(name, region)).is_ok(),
        }))
    }
}

/// The version whose value everybody reads; `DescribeSecret` tells it of a secret that was removed, too.
fn current_version(described: &Value) -> Option<&str> {
    let versions = described.get("VersionIdsToStages")?.as_object()?;
    let is_current = |stages: &Value| members(stages).any(|stage| stage == "AWSCURRENT");
    versions.iter().find_map(|(id, stages)| is_current(stages).then_some(id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_version_is_told_of_a_removed_secret_too() {
        let described = json!({"VersionIdsToStages": {"1": ["AWSPREVIOUS"], "2": ["AWSCURRENT"]}});
        assert_eq!(current_version(&described), Some("2"));
        assert_eq!(current_version(&json!({"VersionIdsToStages": {"1": []}})), None);
        assert_eq!(current_version(&json!({})), None);
    }
}
