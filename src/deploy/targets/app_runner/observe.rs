//! What there is of a service of App Runner, and how it is.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AppRunner;
use super::plan::instance_role_of;
use super::settings::Scaling;
use crate::cloud::{APP_RUNNER, CallError, ErrorClass, Request};
use crate::deploy::aws::{
    ObservedRole, ObservedSecrets, Place, RoleSpec, SecretStore, find_tag, read_pages,
};
use crate::deploy::{Observed, Ownership, Service, Session, State};

/// What planning knows beside the service itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Details {
    pub(super) account: String,
    pub(super) access_role: Option<ObservedRole>,
    pub(super) instance_role: Option<ObservedRole>,
    pub(super) secrets: ObservedSecrets,
    /// How the service grows now.
    pub(super) scaling: Option<ObservedScaling>,
    /// The configurations of our name.
    pub(super) our_scaling: Vec<ObservedScaling>,
    /// The tags of the service.
    pub(super) tags: Value,
}

/// A revision of an auto scaling configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ObservedScaling {
    pub(super) auto_scaling_configuration_arn: String,
    min_size: u32,
    max_size: u32,
    max_concurrency: u32,
    /// Whether a service uses it.
    pub(super) has_associated_service: bool,
}

impl ObservedScaling {
    /// How a service with it grows.
    pub(super) fn scaling(&self) -> Scaling {
        Scaling { min: self.min_size, max: self.max_size, concurrency: self.max_concurrency }
    }
}

impl AppRunner {
    /// Asks everything.
    pub(super) async fn look(&self, session: &Session) -> Result<Observed, CallError> {
        let place = Place::of_caller(session, &self.settings.region).await?;
        let raw = match self.find_service(session).await? {
            Some(arn) => {
                let request = self.ask("DescribeService", json!({"ServiceArn": arn}));
                let answer = session.find(&request).await?;
                answer.and_then(|answer| answer.body.get("Service").cloned())
            }
            None => None,
        };
        let raw = raw.filter(|service| service["Status"] != "DELETED");
        let mut details = Details { account: place.account.clone(), ..Details::default() };
        let mut operations = Vec::new();
        if let Some(raw) = &raw {
            let arn = json!({"ServiceArn": raw["ServiceArn"]});
            operations = self.list(session, "ListOperations", arn, "OperationSummaryList").await?;
            let arn = json!({"ResourceArn": raw["ServiceArn"]});
            let tags = session.find(&self.ask("ListTagsForResource", arn)).await?;
            details.tags = tags.map(|answer| answer.body["Tags"].clone()).unwrap_or_default();
            let arn = &raw["AutoScalingConfigurationSummary"]["AutoScalingConfigurationArn"];
            details.scaling = self.describe_scaling(session, arn).await?;
        }
        let raw = raw.unwrap_or_default();
        details.our_scaling = self.list_scaling(session).await?;
        details.secrets = self.store().observe(session, &place.region, secrets_of(&raw)).await?;
        let store = self.store();
        let access = self.access_role(&raw, &place);
        let instance = self.instance_role(&raw, &place, &store);
        details.access_role =
            RoleSpec::observe_if_ours(access.as_ref(), session, &place.region).await?;
        let observed = RoleSpec::observe_if_ours(instance.as_ref(), session, &place.region).await;
        let is_needed = instance.is_some_and(|role| role.is_needed(instance_role_of(&raw)));
        details.instance_role = match observed {
            // One that nothing needs is looked for only because it may be left over.
            Err(error) if !is_needed && error.class == ErrorClass::Denied => None,
            observed => observed?,
        };
        let service = raw.is_object().then(|| service(raw, &details.tags, &operations));
        let details = serde_json::to_value(details).expect("texts and numbers are JSON");
        Ok(Observed { service, details, ..Observed::default() })
    }

    /// The ARN of the service of our name.
    pub(super) async fn find_service(
        &self,
        session: &Session,
    ) -> Result<Option<String>, CallError> {
        let services = self.list(session, "ListServices", json!({}), "ServiceSummaryList").await?;
        let ours = services.into_iter().find(|service| {
            service["ServiceName"] == self.settings.name.as_str() && service["Status"] != "DELETED"
        });
        Ok(ours.and_then(|service| service["ServiceArn"].as_str().map(str::to_owned)))
    }

    async fn list_scaling(&self, session: &Session) -> Result<Vec<ObservedScaling>, CallError> {
        let body = json!({"AutoScalingConfigurationName": self.scaling_name()});
        let member = "AutoScalingConfigurationSummaryList";
        let found = self.list(session, "ListAutoScalingConfigurations", body, member).await?;
        let mut ours = Vec::new();
        for summary in found.iter().filter(|summary| summary["Status"] != "INACTIVE") {
            let arn = &summary["AutoScalingConfigurationArn"];
            ours.extend(self.describe_scaling(session, arn).await?);
        }
        Ok(ours)
    }

    async fn describe_scaling(
        &self,
        session: &Session,
        arn: &Value,
    ) -> Result<Option<ObservedScaling>, CallError> {
        let body = json!({"AutoScalingConfigurationArn": arn});
        let request = self.ask("DescribeAutoScalingConfiguration", body);
        let answer = session.find(&request).await?;
        let found = answer.map(|answer| answer.body["AutoScalingConfiguration"].clone());
        Ok(found.and_then(|found| serde_json::from_value(found).ok()))
    }

    /// All items of a list that comes in pages.
    async fn list(
        &self,
        session: &Session,
        operation: &'static str,
        body: Value,
        member: &str,
    ) -> Result<Vec<Value>, CallError> {
        let ask = |token: Option<&str>| {
            let mut body = body.clone();
            if let Some(token) = token {
                body["NextToken"] = token.into();
            }
            self.ask(operation, body)
        };
        let pages = read_pages(session, "/NextToken", ask).await?;
        let items = pages.iter().filter_map(|page| page[member].as_array());
        Ok(items.flatten().cloned().collect())
    }

    fn ask(&self, operation: &'static str, body: Value) -> Request {
        Request::call(&APP_RUNNER, &self.settings.region, operation, body).that_reads()
    }

    /// The secrets of the workload.
    pub(super) fn store(&self) -> SecretStore<'_> {
        SecretStore::new(&self.workload, "app-runner", &self.settings.name)
    }
}

/// The ARNs of the secrets that a service refers to.
fn secrets_of(raw: &Value) -> Vec<&str> {
    let secrets = raw.pointer(
        "/SourceConfiguration/ImageRepository/ImageConfiguration/RuntimeEnvironmentSecrets",
    );
    let secrets = secrets.and_then(Value::as_object);
    secrets.into_iter().flatten().filter_map(|(_, arn)| arn.as_str()).collect()
}

fn service(raw: Value, tags: &Value, operations: &[Value]) -> Service {
    let text = |pointer| raw.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let is_public = raw.pointer("/NetworkConfiguration/IngressConfiguration/IsPubliclyAccessible");
    Service {
        image: text("/SourceConfiguration/ImageRepository/ImageIdentifier"),
        url: text("/ServiceUrl").filter(|url| !url.is_empty()).map(|url| format!("https://{url}")),
        is_public: is_public.and_then(Value::as_bool).unwrap_or(true),
        state: state(raw["Status"].as_str().unwrap_or_default(), operations),
        revision: None,
        previous: None,
        ownership: Ownership::read(|key| find_tag(tags, key)),
        raw,
    }
}

/// How a service is: by its status, and by its last operation, since the status is `RUNNING` again after an
/// update that came to nothing.
fn state(status: &str, operations: &[Value]) -> State {
    let began = |operation: &Value| operation["StartedAt"].as_f64().unwrap_or_default();
    let last = operations.iter().max_by(|one, other| began(one).total_cmp(&began(other)));
    let said = |name| last.and_then(|operation| operation[name].as_str()).unwrap_or_default();
    let told = format!("{} is {}", said("Type"), said("Status"));
    let is_deployment =
        ["CREATE_SERVICE", "UPDATE_SERVICE", "START_DEPLOYMENT"].contains(&said("Type"));
    match (status, said("Status")) {
        (_, "PENDING" | "IN_PROGRESS" | "ROLLBACK_IN_PROGRESS") => State::Updating(told),
        ("OPERATION_IN_PROGRESS", _) => State::Updating("an operation is in progress".to_owned()),
        ("PAUSED", _) => State::Stopped("the service is paused".to_owned()),
        ("RUNNING", "FAILED" | "ROLLBACK_SUCCEEDED") if is_deployment => State::RolledBack(format!(
            "{told}: the service runs as before; its events are in the log group that ends in `/service`"
        )),
        ("RUNNING", "ROLLBACK_FAILED") if is_deployment => State::Failed(told),
        ("RUNNING", _) => State::Ready,
        ("CREATE_FAILED", _) => State::Failed(
            "the service could not be created; its events are in the log group that ends in `/service`"
                .to_owned(),
        ),
        (status, _) => State::Failed(format!("the service is {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_operation_says_how_a_running_service_is() {
        let operation = |at: u32, kind: &str, status: &str| json!({"Type": kind, "Status": status, "StartedAt": f64::from(at)});
        let before = operation(1, "CREATE_SERVICE", "SUCCEEDED");
        for (status, last, expected) in [
            ("RUNNING", ("UPDATE_SERVICE", "SUCCEEDED"), "ready"),
            ("RUNNING", ("UPDATE_SERVICE", "ROLLBACK_SUCCEEDED"), "rolled_back"),
            ("RUNNING", ("UPDATE_SERVICE", "FAILED"), "rolled_back"),
            ("RUNNING", ("UPDATE_SERVICE", "ROLLBACK_FAILED"), "failed"),
            ("RUNNING", ("UPDATE_SERVICE", "PENDING"), "updating"),
            ("RUNNING", ("DELETE_SERVICE", "FAILED"), "ready"),
            ("OPERATION_IN_PROGRESS", ("UPDATE_SERVICE", "ROLLBACK_IN_PROGRESS"), "updating"),
            ("OPERATION_IN_PROGRESS", ("UPDATE_SERVICE", "SUCCEEDED"), "updating"),
            ("PAUSED", ("PAUSE_SERVICE", "SUCCEEDED"), "stopped"),
            ("CREATE_FAILED", ("CREATE_SERVICE", "FAILED"), "failed"),
            ("DELETE_FAILED", ("DELETE_SERVICE", "FAILED"), "failed"),
        ] {
            // The order of the list is nowhere promised.
            let operations = [operation(2, last.0, last.1), before.clone()];
            assert_eq!(state(status, &operations).name(), expected, "{status} {last:?}");
            let operations = [before.clone(), operation(2, last.0, last.1)];
            assert_eq!(state(status, &operations).name(), expected, "{status} {last:?}");
        }
        assert_eq!(state("RUNNING", &[]), State::Ready);
    }
}
