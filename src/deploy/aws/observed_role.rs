//! What there is of a role.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::policy::principals;
use super::roles::RoleSpec;
use super::{find_tag, members};
use crate::cloud::{CallError, IAM, Request};
use crate::deploy::{Ownership, Session, Workload};

/// A role that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::deploy) struct ObservedRole {
    /// Its ARN.
    pub(in crate::deploy) arn: String,
    /// The services that may assume it.
    pub(super) principals: BTreeSet<String>,
    /// The ARNs of the policies that are attached to it.
    pub(super) attached: BTreeSet<String>,
    /// The names of its own policies.
    pub(super) inline: BTreeSet<String>,
    /// Its tags.
    pub(super) tags: BTreeMap<String, String>,
}

impl RoleSpec {
    /// Asks what there is of a role, unless it is somebody else's business.
    ///
    /// # Errors
    /// As [`Self::observe`].
    pub(in crate::deploy) async fn observe_if_ours(
        role: Option<&Self>,
        session: &Session,
        region: &str,
    ) -> Result<Option<ObservedRole>, CallError> {
        match role {
            Some(role) => role.observe(session, region).await,
            None => Ok(None),
        }
    }

    /// Asks what there is of it.
    ///
    /// # Errors
    /// IAM does not answer, or not to us.
    pub(in crate::deploy) async fn observe(
        &self,
        session: &Session,
        region: &str,
    ) -> Result<Option<ObservedRole>, CallError> {
        let ask = |operation| {
            Request::call(&IAM, region, operation, json!({"RoleName": self.name})).that_reads()
        };
        let Some(role) = session.find(&ask("GetRole")).await? else { return Ok(None) };
        // No role has more policies than one answer holds.
        let Some(attached) = session.find(&ask("ListAttachedRolePolicies")).await? else {
            return Ok(None);
        };
        let Some(inline) = session.find(&ask("ListRolePolicies")).await? else { return Ok(None) };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let list = |answer: &Value, name: &str| {
            members(answer.get(name).unwrap_or(&Value::Null)).cloned().collect::<Vec<_>>()
        };
        let tags = role.body.pointer("/Role/Tags").unwrap_or(&Value::Null);
        let keys = members(tags).filter_map(|tag| tag.get("Key")?.as_str());
        let attached = list(&attached.body, "AttachedPolicies");
        Ok(Some(ObservedRole {
            arn: role.text("/Role/Arn").unwrap_or_default().to_owned(),
            principals: principals(role.text("/Role/AssumeRolePolicyDocument").unwrap_or_default()),
            attached: attached.iter().filter_map(|policy| text(policy.get("PolicyArn")?)).collect(),
            inline: list(&inline.body, "PolicyNames").iter().filter_map(text).collect(),
            tags: keys
                .filter_map(|key| Some((key.to_owned(), find_tag(tags, key)?.to_owned())))
                .collect(),
        }))
    }
}

impl ObservedRole {
    /// Whether it belongs to this workload.
    pub(super) fn is_ours(&self, workload: &Workload) -> bool {
        Ownership::read(|key| self.tags.get(key).map(String::as_str)) == Ownership::of(workload)
    }
}
