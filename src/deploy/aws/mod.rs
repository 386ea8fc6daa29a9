//! What the targets of AWS share.
//!
//! - `place.rs`: partitions, and ARNs in an account and a region
//! - `ecr.rs`: what the host name of an image tells
//! - `roles.rs`: roles that a service needs; `lack.rs`: how to create what is not ours to create
//! - `policy.rs`: documents of IAM
//! - `secrets.rs`: secrets of Secrets Manager that belong to a workload
//! - `settings.rs`: settings that they share
//! - `variables.rs`: how variables differ, without showing what is hidden
//! - `pages.rs`: lists that come in pages
//! - `logs.rs`: lines of CloudWatch Logs

mod ecr;
mod lack;
mod logs;
mod observed_role;
mod observed_secrets;
mod pages;
mod place;
mod policy;
mod roles;
mod secrets;
mod settings;
mod tags;
#[cfg(test)]
pub(super) mod testing;
mod variables;

pub(super) use ecr::{EcrHost, ecr_host};
pub(super) use logs::read_logs;
pub(super) use observed_role::ObservedRole;
pub(super) use observed_secrets::ObservedSecrets;
pub(super) use pages::read_pages;
pub(super) use place::Place;
pub(super) use roles::{RoleSpec, plan_role_removals, plan_roles, role_name};
pub(super) use secrets::{PlannedSecrets, SecretStore};
pub(super) use settings::{
    ASSUMPTIONS, HEALTH_CHECK_PATH, PORT, REGION, check_secrets, read_health_path, read_number,
    read_region, read_role, read_scaling_range, read_size,
};
pub(super) use tags::{ServiceTags, Tagged, capital_tags, find_tag, secrets_revision, small_tags};
pub(super) use variables::{hide_variables, plan_references, plan_variables, shown_settings};

/// An object as it is, for adding to it; an empty one where there is none.
pub(super) fn object(value: &serde_json::Value) -> serde_json::Value {
    if value.is_object() { value.clone() } else { serde_json::json!({}) }
}

/// The items of a list; an empty one of XML is an empty text.
fn members(list: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    list.as_array().into_iter().flatten()
}
