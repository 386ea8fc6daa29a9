//! Roles that a service needs: looked at, created when that is allowed, and else explained.

use serde_json::{Value, json};

use super::lack::Lack;
use super::observed_role::ObservedRole;
use super::policy::policy;
use super::{Place, capital_tags};
use crate::cloud::{IAM, Request};
use crate::deploy::{DeployError, DeployPlan, Ownership, Step, Workload};
use crate::oci::Digest;

/// The name of a role may not be longer.
const MAX_NAME: usize = 64;
/// The inline policies that are ours begin with this; the rest of the name tells what is in them.
const POLICY_PREFIX: &str = "dockless-";

/// A role as a service needs it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::deploy) struct RoleSpec {
    /// Its name: see [`role_name`].
    pub(in crate::deploy) name: String,
    /// What it is to the service: `access role`.
    pub(in crate::deploy) purpose: &'static str,
    /// Who assumes it: `build.apprunner.amazonaws.com`.
    pub(in crate::deploy) principal: &'static str,
    /// What it may: policies of AWS, `service-role/…`.
    pub(in crate::deploy) policies: &'static [&'static str],
    /// What else it may: statements of a policy of its own.
    pub(in crate::deploy) statements: Vec<Value>,
    /// The setting that names a role made elsewhere.
    pub(in crate::deploy) setting: &'static str,
}

/// The name of a role of ours: always the same for the same parts, and never longer than names may be.
pub(in crate::deploy) fn role_name(parts: &[&str]) -> String {
    let name = format!("dockless-{}", parts.join("-"));
    if name.len() <= MAX_NAME {
        return name;
    }
    let digest = &Digest::of(name.as_bytes()).hex()[..8];
    let purpose = parts.last().copied().unwrap_or_default();
    let kept = MAX_NAME - digest.len() - purpose.len() - 2;
    format!("{}-{digest}-{purpose}", &name[..kept])
}

/// Adds what is missing of the roles that are ours to look at, and gives their ARNs.
///
/// # Errors
/// [`DeployError::Missing`]: something is, and may not be created; of all roles at once.
pub(in crate::deploy) fn plan_roles<const COUNT: usize>(
    roles: [Option<(RoleSpec, Option<&ObservedRole>)>; COUNT],
    place: &Place,
    workload: &Workload,
    plan: &mut DeployPlan,
) -> Result<[Option<String>; COUNT], DeployError> {
    let mut lacks = Vec::new();
    let arns = roles.map(|role| {
        let (role, observed) = role?;
        role.add(observed, place, workload, plan).map_err(|lack| lacks.push(lack)).ok()
    });
    if lacks.is_empty() { Ok(arns) } else { Err(Lack::error(&lacks)) }
}

/// Removes the roles that are ours, with all that is on them.
pub(in crate::deploy) fn plan_role_removals<const COUNT: usize>(
    roles: [(Option<RoleSpec>, Option<&ObservedRole>); COUNT],
    place: &Place,
    workload: &Workload,
    plan: &mut DeployPlan,
) {
    for (role, observed) in roles {
        if let Some(role) = role {
            role.plan_removal(observed, place, workload, plan);
        }
    }
}

impl RoleSpec {
    /// Whether the role of a service is ours to look at: no setting names one, and no other is there.
    pub(in crate::deploy) fn is_ours(
        &self,
        setting: Option<&str>,
        there: Option<&str>,
        place: &Place,
    ) -> bool {
        setting.is_none() && there.is_none_or(|arn| arn == place.role_arn(&self.name))
    }

    /// Whether a service that can do without a role needs this one: it has it, or must be allowed something.
    pub(in crate::deploy) fn is_needed(&self, there: Option<&str>) -> bool {
        there.is_some() || !self.statements.is_empty()
    }

    /// Adds what is missing of it, and gives its ARN.
    ///
    /// # Errors
    /// [`DeployError::Missing`]: something is, and may not be created.
    pub(in crate::deploy) fn plan(
        &self,
        observed: Option<&ObservedRole>,
        place: &Place,
        workload: &Workload,
        plan: &mut DeployPlan,
    ) -> Result<String, DeployError> {
        self.add(observed, place, workload, plan).map_err(|lack| Lack::error(&[lack]))
    }

    /// Adds what is missing of it, and gives its ARN; or says what may not be created.
    fn add(
        &self,
        observed: Option<&ObservedRole>,
        place: &Place,
        workload: &Workload,
        plan: &mut DeployPlan,
    ) -> Result<String, Lack> {
        let wanted = self.policies.iter().map(|path| place.managed_policy_arn(path));
        let has = |arn: &String| observed.is_some_and(|role| role.attached.contains(arn));
        let lacking: Vec<_> = wanted.filter(|arn| !has(arn)).collect();
        let is_trusted = observed.is_none_or(|role| role.principals.contains(self.principal));
        let may_write = may_write(observed, workload);
        if !is_trusted || (!may_write && (observed.is_none() || !lacking.is_empty())) {
            return Err(self.lack(observed, &lacking, workload));
        }
        if observed.is_none() {
            plan.change(self.purpose, None::<String>, Some(self.name.as_str()));
            plan.steps.push(self.creation(place, workload));
        }
        for arn in lacking {
            let title = format!("attach `{arn}` to the role `{}`", self.name);
            plan.steps.push(self.step(title, place, "AttachRolePolicy", json!({"PolicyArn": arn})));
        }
        self.plan_statements(observed, place, workload, plan);
        Ok(observed.map_or_else(|| place.role_arn(&self.name), |role| role.arn.clone()))
    }

    /// Removes the role with all that is on it, if it is ours.
    pub(in crate::deploy) fn plan_removal(
        &self,
        observed: Option<&ObservedRole>,
        place: &Place,
        workload: &Workload,
        plan: &mut DeployPlan,
    ) {
        let Some(role) = observed.filter(|role| role.is_ours(workload)) else { return };
        plan.change(self.purpose, Some(self.name.as_str()), None::<String>);
        for arn in &role.attached {
            let title = format!("detach `{arn}` from the role `{}`", self.name);
            plan.steps.push(self.removal(
                title,
                place,
                "DetachRolePolicy",
                json!({"PolicyArn": arn}),
            ));
        }
        for name in &role.inline {
            let title = format!("delete the policy `{name}` of the role `{}`", self.name);
            plan.steps.push(self.removal(
                title,
                place,
                "DeleteRolePolicy",
                json!({"PolicyName": name}),
            ));
        }
        let title = format!("delete the role `{}`", self.name);
        plan.steps.push(self.removal(title, place, "DeleteRole", json!({})));
    }

    /// The policy of its own: its name tells what is in it, so that nobody has to read it back.
    fn plan_statements(
        &self,
        observed: Option<&ObservedRole>,
        place: &Place,
        workload: &Workload,
        plan: &mut DeployPlan,
    ) {
        let document = policy(&self.statements);
        let name = format!("{POLICY_PREFIX}{}", &Digest::of(document.as_bytes()).hex()[..16]);
        let has = |name: &String| observed.is_some_and(|role| role.inline.contains(name));
        let may_write = may_write(observed, workload);
        if !self.statements.is_empty() && !has(&name) {
            if may_write {
                let title = format!("let the role `{}` do what the service needs", self.name);
                let body = json!({"PolicyName": name, "PolicyDocument": document});
                plan.steps.push(self.step(title, place, "PutRolePolicy", body));
            } else {
                plan.notes.push(self.permission_note(&self.name));
            }
        }
        let old = observed.into_iter().flat_map(|role| &role.inline);
        let old = old.filter(|old| {
            old.starts_with(POLICY_PREFIX) && (self.statements.is_empty() || **old != name)
        });
        for old in old.filter(|_| may_write) {
            let title = format!("delete the policy `{old}` of the role `{}`", self.name);
            plan.steps.push(self.removal(
                title,
                place,
                "DeleteRolePolicy",
                json!({"PolicyName": old}),
            ));
        }
    }

    /// What whoever made the role has to allow it.
    pub(in crate::deploy) fn permission_note(&self, role: &str) -> String {
        format!("the {} `{role}` must be allowed: {}", self.purpose, policy(&self.statements))
    }

    fn creation(&self, place: &Place, workload: &Workload) -> Step {
        let ownership = Ownership::of(workload);
        let body = json!({
            "AssumeRolePolicyDocument": self.trust_policy(),
            "Description": format!("The {} of `{}`, deployed by dockless", self.purpose, workload.name),
            "Tags": capital_tags(ownership.tags()),
        });
        self.step(format!("create the role `{}`", self.name), place, "CreateRole", body)
            .creating(format!("role {}", self.name))
            .or_done_by(&["EntityAlreadyExists", "EntityAlreadyExistsException"])
    }

    /// Who may assume it, as IAM wants it written.
    pub(super) fn trust_policy(&self) -> String {
        policy(&[json!({
            "Effect": "Allow",
            "Principal": {"Service": self.principal},
            "Action": "sts:AssumeRole",
        })])
    }

    fn step(&self, title: String, place: &Place, operation: &'static str, mut body: Value) -> Step {
        body["RoleName"] = self.name.clone().into();
        Step::new(title, Request::call(&IAM, &place.region, operation, body))
    }

    fn removal(&self, title: String, place: &Place, operation: &'static str, body: Value) -> Step {
        self.step(title, place, operation, body)
            .or_done_by(&["NoSuchEntity", "NoSuchEntityException"])
    }
}

/// Whether a role may be made, or changed: one that is there only when it is ours.
fn may_write(observed: Option<&ObservedRole>, workload: &Workload) -> bool {
    workload.creates_roles && observed.is_none_or(|role| role.is_ours(workload))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::policy::principals;
    use super::*;
    use crate::deploy::aws::testing::workload;

    fn spec() -> RoleSpec {
        RoleSpec {
            name: "dockless-eu-west-1-agent-access".into(),
            purpose: "access role",
            principal: "build.apprunner.amazonaws.com",
            policies: &["service-role/AWSAppRunnerServicePolicyForECRAccess"],
            statements: vec![json!({"Effect": "Allow", "Action": "a:B", "Resource": "*"})],
            setting: "ecr_role_arn",
        }
    }

    fn place() -> Place {
        Place { region: "eu-west-1".into(), account: "123456789012".into() }
    }

    /// The role as it is after everything that was planned was done.
    fn whole(workload: &Workload) -> ObservedRole {
        let mut plan = DeployPlan::default();
        let arn = spec().plan(None, &place(), workload, &mut plan).unwrap();
        let last = plan.steps.last().unwrap().request.body.clone().unwrap();
        let tags = Ownership::of(workload);
        ObservedRole {
            arn,
            principals: principals(&spec().trust_policy()),
            attached: [place().managed_policy_arn(spec().policies[0])].into(),
            inline: [last["PolicyName"].as_str().unwrap().to_owned()].into(),
            tags: tags.tags().into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        }
    }

    fn operations(plan: &DeployPlan) -> Vec<&'static str> {
        plan.steps.iter().map(|step| step.request.operation).collect()
    }

    #[test]
    fn a_name_is_never_too_long() {
        assert_eq!(role_name(&["eu-west-1", "agent", "access"]), "dockless-eu-west-1-agent-access");
        let long = role_name(&["ap-southeast-1", &"a".repeat(40), "infrastructure"]);
        assert_eq!(long.len(), MAX_NAME);
        assert!(long.ends_with("-infrastructure"), "{long}");
        assert_ne!(long, role_name(&["ap-southeast-1", &"a".repeat(41), "infrastructure"]));
    }

    #[test]
    fn what_is_missing_is_created_and_nothing_twice() {
        let workload = Workload { creates_roles: true, ..workload() };
        let observed = whole(&workload);
        for (observed, expected) in [
            (None, vec!["CreateRole", "AttachRolePolicy", "PutRolePolicy"]),
            (
                Some(ObservedRole { attached: BTreeSet::new(), ..observed.clone() }),
                vec!["AttachRolePolicy"],
            ),
            (
                Some(ObservedRole {
                    inline: ["dockless-0".into(), "other".into()].into(),
                    ..observed.clone()
                }),
                vec!["PutRolePolicy", "DeleteRolePolicy"],
            ),
            (Some(observed), vec![]),
        ] {
            let mut plan = DeployPlan::default();
            let arn = spec().plan(observed.as_ref(), &place(), &workload, &mut plan).unwrap();
            assert_eq!(arn, "arn:aws:iam::123456789012:role/dockless-eu-west-1-agent-access");
            assert_eq!(operations(&plan), expected);
        }
    }

    #[test]
    fn who_may_not_create_is_told_how() {
        let error = spec().plan(None, &place(), &workload(), &mut DeployPlan::default());
        assert_eq!(
            error.unwrap_err(),
            DeployError::Missing {
                what: vec![
                    "the access role `dockless-eu-west-1-agent-access`, which \
                     build.apprunner.amazonaws.com assumes,".into(),
                ],
                hints: vec![
                    "set `create_roles: true` in the environment, or name a role in `ecr_role_arn`, or \
                     create it with these commands:".into(),
                    "aws iam create-role --role-name dockless-eu-west-1-agent-access \
                     --assume-role-policy-document '{\"Statement\":[{\"Action\":\"sts:AssumeRole\",\
                     \"Effect\":\"Allow\",\"Principal\":{\"Service\":\"build.apprunner.amazonaws.com\"}}],\
                     \"Version\":\"2012-10-17\"}'".into(),
                    "aws iam put-role-policy --role-name dockless-eu-west-1-agent-access --policy-name \
                     dockless --policy-document '{\"Statement\":[{\"Action\":\"a:B\",\"Effect\":\"Allow\",\
                     \"Resource\":\"*\"}],\"Version\":\"2012-10-17\"}'".into(),
                    "aws iam attach-role-policy --role-name dockless-eu-west-1-agent-access --policy-arn \
                     arn:aws:iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess".into(),
                ],
            }
        );
    }

    #[test]
    fn all_that_roles_lack_is_told_at_once() {
        let other = RoleSpec { name: "other".into(), setting: "role", ..spec() };
        let untrusting =
            ObservedRole { principals: BTreeSet::new(), ..whole(&workload_that_creates()) };
        let creation = ["create-role", "put-role-policy", "attach-role-policy"];
        for (there, way, commands) in [
            (
                None,
                "name roles in `ecr_role_arn` and `role`, or create them",
                [creation, creation].concat(),
            ),
            (
                Some(&untrusting),
                "name a role in `ecr_role_arn`, or create it",
                [&creation[..], &["update-assume-role-policy"]].concat(),
            ),
        ] {
            let roles = [Some((spec(), None)), None, Some((other.clone(), there))];
            let planned = plan_roles(roles, &place(), &workload(), &mut DeployPlan::default());
            let DeployError::Missing { what, hints } = planned.unwrap_err() else { panic!() };
            let expected = format!(
                "set `create_roles: true` in the environment, or {way} with these commands:"
            );
            assert_eq!((what.len(), &hints[0]), (2, &expected));
            let command =
                |hint: &String| Some(hint.strip_prefix("aws iam ")?.split(' ').next()?.to_owned());
            assert_eq!(hints.iter().filter_map(command).collect::<Vec<_>>(), commands);
        }
    }

    #[test]
    fn a_role_that_does_not_trust_the_service_is_not_used() {
        let workload = Workload { creates_roles: true, ..workload() };
        let role = ObservedRole { principals: BTreeSet::new(), ..whole(&workload) };
        let error = spec().plan(Some(&role), &place(), &workload, &mut DeployPlan::default());
        let DeployError::Missing { what, hints } = error.unwrap_err() else { panic!() };
        assert_eq!(
            what,
            [
                "the trust of the access role `dockless-eu-west-1-agent-access` in build.apprunner.amazonaws.com"
            ]
        );
        assert!(hints[0].starts_with("aws iam update-assume-role-policy"), "{hints:?}");
    }

    #[test]
    fn nothing_is_attached_to_a_role_of_somebody_else() {
        let workload = workload_that_creates();
        let others = ObservedRole {
            attached: BTreeSet::new(),
            tags: [("dockless-environment".to_owned(), "staging".to_owned())].into(),
            ..whole(&workload)
        };
        let mut plan = DeployPlan::default();
        let error = spec().plan(Some(&others), &place(), &workload, &mut plan).unwrap_err();
        assert_eq!(plan, DeployPlan::default());
        assert_eq!(
            error,
            DeployError::Missing {
                what: vec!["a policy of the access role `dockless-eu-west-1-agent-access`".into()],
                hints: vec![
                    "the role is not tagged as one of this project and environment, and is left as it is: \
                     name another in `ecr_role_arn`, or attach it:".into(),
                    "aws iam attach-role-policy --role-name dockless-eu-west-1-agent-access --policy-arn \
                     arn:aws:iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess".into(),
                ],
            }
        );
    }

    #[test]
    fn only_a_role_of_ours_is_removed() {
        let observed = whole(&workload_that_creates());
        let mut plan = DeployPlan::default();
        spec().plan_removal(Some(&observed), &place(), &workload(), &mut plan);
        assert_eq!(operations(&plan), ["DetachRolePolicy", "DeleteRolePolicy", "DeleteRole"]);
        let others = ObservedRole { tags: BTreeMap::new(), ..observed };
        let mut plan = DeployPlan::default();
        spec().plan_removal(Some(&others), &place(), &workload(), &mut plan);
        assert!(plan.is_empty());
    }

    fn workload_that_creates() -> Workload {
        Workload { creates_roles: true, ..workload() }
    }
}
