//! What roles lack that may not be created here, as one error that says how to create it.

use super::observed_role::ObservedRole;
use super::policy::policy;
use super::roles::RoleSpec;
use crate::deploy::{DeployError, Workload};

/// What one role lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lack {
    /// What is missing: it begins the sentence that says so.
    what: String,
    kind: LackKind,
    /// The setting that names a role made elsewhere.
    setting: &'static str,
    /// What creates it.
    commands: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LackKind {
    /// The role itself.
    Role,
    /// The trust in the service that assumes it.
    Trust,
    /// A policy that may be attached by us when that is allowed.
    Policy,
    /// A policy of a role that is somebody else's.
    PolicyOfOthers,
}

impl RoleSpec {
    /// What is missing, and what creates it.
    pub(super) fn lack(
        &self,
        observed: Option<&ObservedRole>,
        policies: &[String],
        workload: &Workload,
    ) -> Lack {
        let Self { name, purpose, principal, setting, .. } = self;
        let trust = self.trust_policy();
        let attach = |arn: &String| {
            format!("aws iam attach-role-policy --role-name {name} --policy-arn {arn}")
        };
        let mut commands = Vec::new();
        let (kind, what) = match observed {
            None => {
                commands.push(format!(
                    "aws iam create-role --role-name {name} --assume-role-policy-document '{trust}'"
                ));
                if !self.statements.is_empty() {
                    let document = policy(&self.statements);
                    commands.push(format!(
                        "aws iam put-role-policy --role-name {name} --policy-name dockless \
                         --policy-document '{document}'"
                    ));
                }
                (LackKind::Role, format!("the {purpose} `{name}`, which {principal} assumes,"))
            }
            Some(role) if !role.principals.contains(*principal) => {
                commands.push(format!(
                    "aws iam update-assume-role-policy --role-name {name} --policy-document '{trust}'"
                ));
                (LackKind::Trust, format!("the trust of the {purpose} `{name}` in {principal}"))
            }
            Some(role) => {
                let is_ours = role.is_ours(workload);
                let kind = if is_ours { LackKind::Policy } else { LackKind::PolicyOfOthers };
                (kind, format!("a policy of the {purpose} `{name}`"))
            }
        };
        commands.extend(policies.iter().map(attach));
        Lack { what, kind, setting, commands }
    }
}

impl Lack {
    /// The error that tells of all that is missing, with the ways out of each kind once.
    pub(super) fn error(lacks: &[Self]) -> DeployError {
        let mut hints = Vec::new();
        for kind in [LackKind::Role, LackKind::Trust, LackKind::Policy, LackKind::PolicyOfOthers] {
            let of_kind: Vec<_> = lacks.iter().filter(|lack| lack.kind == kind).collect();
            if of_kind.is_empty() {
                continue;
            }
            let settings: Vec<_> =
                of_kind.iter().map(|lack| format!("`{}`", lack.setting)).collect();
            hints.extend(kind.way_out(&settings));
            hints.extend(of_kind.iter().flat_map(|lack| &lack.commands).cloned());
        }
        DeployError::Missing { what: lacks.iter().map(|lack| lack.what.clone()).collect(), hints }
    }
}

impl LackKind {
    /// What can be done beside the commands, or with them.
    fn way_out(self, settings: &[String]) -> Option<String> {
        let (role, it) = if settings.len() == 1 { ("a role", "it") } else { ("roles", "them") };
        let settings = settings.join(" and ");
        match self {
            Self::Role => Some(format!(
                "set `create_roles: true` in the environment, or name {role} in {settings}, or create {it} \
                 with these commands:"
            )),
            Self::Trust => None,
            Self::Policy => {
                Some("set `create_roles: true` in the environment, or attach it:".to_owned())
            }
            Self::PolicyOfOthers => Some(format!(
                "the role is not tagged as one of this project and environment, and is left as it is: name \
                 another in {settings}, or attach it:"
            )),
        }
    }
}
