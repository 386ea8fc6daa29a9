//! App Runner is closed to accounts that have not used it before: what such an account is told.

use super::settings::Settings;
use crate::cloud::{CallError, ErrorClass};
use crate::deploy::{DEFAULT_ENVIRONMENT, Workload};
use crate::error::{Classified, Error, ErrorKind};

/// A service could not be created in a way that fits an account that never had one.
#[derive(Debug, thiserror::Error)]
#[error("App Runner lets this account create no service")]
struct Closed {
    /// Where to go instead.
    hint: String,
    source: CallError,
}

impl Classified for Closed {
    fn kind(&self) -> ErrorKind {
        self.source.kind()
    }

    fn hints(&self) -> Vec<String> {
        std::iter::once(self.hint.clone()).chain(self.source.hints()).collect()
    }
}

/// The error, with the way out for an account that App Runner is closed to, if it may be one.
pub(super) fn explain(error: Error, settings: &Settings, workload: &Workload) -> Error {
    let refused = error.find::<CallError>().filter(|error| is_of_new_customer(error));
    let Some(source) = refused.cloned() else { return error };
    let attempt = error.lines().into_iter().next().unwrap_or_default();
    Error::new(Closed { hint: way_out(settings, workload), source }).attempting(attempt)
}

/// Whether AWS may mean that. It is not told what it says then; where it names a policy, that is the reason.
fn is_of_new_customer(error: &CallError) -> bool {
    let codes = ["SubscriptionRequiredException", "OptInRequired", "OptInRequiredException"];
    let names_policy = ["allows the", "explicit deny"].iter().any(|it| error.message.contains(it));
    error.title == "apprunner:CreateService"
        && (codes.contains(&error.code.as_str())
            || (error.class == ErrorClass::Denied && !names_policy))
}

/// The next target, with the lines of the config that change.
fn way_out(settings: &Settings, workload: &Workload) -> String {
    let Workload { environment, .. } = workload;
    let next = if environment == DEFAULT_ENVIRONMENT {
        format!(
            "write `environments: {{production: {{target: ecs-express, region: {}, create_roles: true}}}}` in a \
             `dockless.yaml`",
            settings.region
        )
    } else {
        let others = [
            (settings.access_role.is_some(), "ecr_role_arn"),
            (settings.instance_role.is_some(), "instance_role_arn"),
            (settings.scaling.concurrency != Settings::CONCURRENCY, "concurrency"),
        ];
        let others = others.iter().filter(|(is_set, _)| *is_set);
        let others: Vec<_> = others.map(|(_, name)| format!("`{name}`")).collect();
        let without = if others.is_empty() {
            String::new()
        } else {
            format!(", and remove {}", others.join(" and "))
        };
        format!(
            "write `target: ecs-express` in place of `target: app-runner` in the environment \
             `{environment}`{without}"
        )
    };
    format!(
        "App Runner has taken no new customers since 2026-04-30; if this account has no service there, use \
         ECS Express Mode: {next}"
    )
}
