//! How a service of ECS Express Mode is: what its last deployment says, and the parts of its way in.

use serde_json::Value;

use crate::deploy::State;

/// For how long the list of deployments may lack one that somebody's update has begun, in seconds: longer, the
/// service was changed otherwise. One that is sure to follow a write of this run is waited for however long it
/// takes.
const LAG_SECONDS: f64 = 120.0;
/// The same after a write of this run that may begin none.
const OWN_LAG_SECONDS: f64 = 300.0;
/// The parts of the way from a URL to a service.
const PARTS: [&str; 6] = [
    "loadBalancer",
    "certificate",
    "listener",
    "rule",
    "targetGroups",
    "loadBalancerSecurityGroups",
];

/// What is known of a service that is there.
#[derive(Debug, Clone)]
pub(super) struct Facts<'a> {
    /// The service as Express Mode tells it.
    pub(super) service: &'a Value,
    /// The last deployment, if there is one.
    pub(super) deployment: Option<&'a Value>,
    /// The revision that serves.
    pub(super) revision: Option<&'a Value>,
    /// Now, in seconds since 1970.
    pub(super) now: f64,
    /// The last write of this run, if there was any.
    pub(super) write: Option<&'a Write>,
}

/// A write of ours that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    /// The newest deployment before it, by its ARN.
    pub(super) after: Option<String>,
    /// Whether a deployment is sure to follow it.
    pub(super) is_sure: bool,
}

impl Facts<'_> {
    /// How the service is. `ACTIVE` says only that it was not deleted.
    pub(super) fn state(&self) -> State {
        if !self.service.is_object() {
            return State::Failed("Express Mode does not know the service".to_owned());
        }
        let status = text(self.service, "/status/statusCode");
        if status == "DRAINING" {
            return State::Updating("the service is being deleted".to_owned());
        }
        let Some(deployment) = self.deployment else {
            return match self.service["activeConfigurations"].as_array() {
                // Deployments are forgotten after a time, services are not.
                Some(configurations) if !configurations.is_empty() && !self.is_awaited() => {
                    State::Ready
                }
                _ => State::Updating("its first deployment has not begun yet".to_owned()),
            };
        };
        let updated = seconds(self.service, "updatedAt");
        if updated > seconds(deployment, "createdAt") && self.is_awaited() {
            return State::Updating(
                "the deployment of the last update has not begun yet".to_owned(),
            );
        }
        let told = told(deployment);
        match text(deployment, "/status") {
            "SUCCESSFUL" => self.state_of_way_in(),
            "ROLLBACK_SUCCESSFUL" => State::RolledBack(told),
            "STOPPED" | "ROLLBACK_FAILED" => State::Failed(told),
            _ => State::Updating(told),
        }
    }

    /// Whether another deployment must be under way: of our own write, or of a change a moment ago.
    fn is_awaited(&self) -> bool {
        let newest = self.deployment.map(|deployment| text(deployment, "/serviceDeploymentArn"));
        let ours = self.write.filter(|write| write.after.as_deref() == newest);
        let changed = seconds(self.service, "updatedAt").max(seconds(self.service, "createdAt"));
        let limit = if ours.is_some() { OWN_LAG_SECONDS } else { LAG_SECONDS };
        ours.is_some_and(|write| write.is_sure) || self.now - changed < limit
    }

    /// A deployment can be over before the load balancer and the certificate are there.
    fn state_of_way_in(&self) -> State {
        let paths = self
            .revision
            .and_then(|revision| revision.pointer("/ecsManagedResources/ingressPaths")?.as_array());
        let parts = paths.into_iter().flatten().flat_map(|path| {
            PARTS.into_iter().flat_map(move |name| {
                let part = &path[name];
                let parts = part.as_array().map_or(std::slice::from_ref(part), Vec::as_slice);
                parts.iter().map(move |part| (name, part))
            })
        });
        let mut state = State::Ready;
        for (name, part) in parts {
            let said = match text(part, "/statusReason") {
                "" => format!("{name} is {}", text(part, "/status")),
                reason => format!("{name} is {}: {reason}", text(part, "/status")),
            };
            match text(part, "/status") {
                "FAILED" => return State::Failed(said),
                "PROVISIONING" => state = State::Updating(said),
                _ => {}
            }
        }
        state
    }
}

/// What ECS says of a deployment: its status and how far it is, and why.
fn told(deployment: &Value) -> String {
    let status = text(deployment, "/status");
    let is_over = deployment["finishedAt"].is_number();
    let said = match text(deployment, "/lifecycleStage") {
        stage if stage.is_empty() || is_over => format!("the deployment is {status}"),
        stage => format!("the deployment is {status} ({stage})"),
    };
    let reasons = [text(deployment, "/statusReason"), text(deployment, "/rollback/reason")];
    let reasons = reasons.into_iter().filter(|reason| !reason.is_empty());
    let mut said =
        vec![std::iter::once(said.as_str()).chain(reasons).collect::<Vec<_>>().join(": ")];
    let alarms = deployment.pointer("/alarms/triggeredAlarmNames").and_then(Value::as_array);
    let alarms: Vec<_> = alarms.into_iter().flatten().filter_map(Value::as_str).collect();
    if !alarms.is_empty() {
        said.push(format!("alarms: {}", alarms.join(", ")));
    }
    if text(deployment, "/deploymentCircuitBreaker/status") == "TRIGGERED" {
        let failed = deployment.pointer("/deploymentCircuitBreaker/failureCount");
        said.push(format!("{} tasks failed", failed.and_then(Value::as_u64).unwrap_or_default()));
    }
    said.join("; ")
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A time, in seconds since 1970; 0 when it is not told.
pub(super) fn seconds(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn active_alone_is_not_deployed() {
        let service = json!({
            "status": {"statusCode": "ACTIVE"}, "createdAt": 100.0, "updatedAt": 100.0,
            "activeConfigurations": [{"primaryContainer": {"image": "i"}}],
        });
        let provisioning = json!({"ecsManagedResources": {"ingressPaths": [
            {"certificate": {"status": "PROVISIONING"}, "targetGroups": [{"status": "ACTIVE"}]},
        ]}});
        let failed = json!({"ecsManagedResources": {"ingressPaths": [
            {"listener": {"status": "FAILED", "statusReason": "no subnets"}},
        ]}});
        let deployment = |status: &str, at: f64| json!({"status": status, "createdAt": at});
        for (deployment, revision, now, expected) in [
            (None, None, 101.0, "updating: its first deployment has not begun yet"),
            (None, None, 9999.0, "ready: "),
            (
                Some(deployment("PENDING", 101.0)),
                None,
                102.0,
                "updating: the deployment is PENDING",
            ),
            (
                Some(deployment("IN_PROGRESS", 101.0)),
                None,
                102.0,
                "updating: the deployment is IN_PROGRESS",
            ),
            (
                Some(deployment("ROLLBACK_REQUESTED", 101.0)),
                None,
                102.0,
                "updating: the deployment is ROLLBACK_REQUESTED",
            ),
            (
                Some(deployment("ROLLBACK_IN_PROGRESS", 101.0)),
                None,
                102.0,
                "updating: the deployment is ROLLBACK_IN_PROGRESS",
            ),
            (
                Some(deployment("STOP_REQUESTED", 101.0)),
                None,
                102.0,
                "updating: the deployment is STOP_REQUESTED",
            ),
            (Some(deployment("SUCCESSFUL", 101.0)), None, 102.0, "ready: "),
            (
                Some(deployment("SUCCESSFUL", 101.0)),
                Some(&provisioning),
                102.0,
                "updating: certificate is PROVISIONING",
            ),
            (
                Some(deployment("SUCCESSFUL", 101.0)),
                Some(&failed),
                102.0,
                "failed: listener is FAILED: no subnets",
            ),
            (
                Some(deployment("ROLLBACK_SUCCESSFUL", 101.0)),
                None,
                102.0,
                "rolled_back: the deployment is ROLLBACK_SUCCESSFUL",
            ),
            (
                Some(deployment("ROLLBACK_FAILED", 101.0)),
                None,
                102.0,
                "failed: the deployment is ROLLBACK_FAILED",
            ),
            (Some(deployment("STOPPED", 101.0)), None, 102.0, "failed: the deployment is STOPPED"),
            // The last update is younger than the last deployment that is listed.
            (
                Some(deployment("SUCCESSFUL", 99.0)),
                None,
                102.0,
                "updating: the deployment of the last update has not begun yet",
            ),
            (Some(deployment("SUCCESSFUL", 99.0)), None, 9999.0, "ready: "),
        ] {
            let facts = Facts {
                service: &service,
                deployment: deployment.as_ref(),
                revision,
                now,
                write: None,
            };
            let state = facts.state();
            let found = format!("{}: {}", state.name(), state.reason().unwrap_or_default());
            assert_eq!(found, expected, "{deployment:?} {revision:?} {now}");
        }
        let draining = json!({"status": {"statusCode": "DRAINING"}});
        let facts =
            Facts { service: &draining, deployment: None, revision: None, now: 0.0, write: None };
        assert_eq!(facts.state(), State::Updating("the service is being deleted".into()));
    }

    #[test]
    fn a_rollback_says_why() {
        let deployment = json!({
            "status": "ROLLBACK_SUCCESSFUL",
            "statusReason": "Service deployment rolled back",
            "finishedAt": 1.0,
            "lifecycleStage": "BAKE_TIME",
            "rollback": {"reason": "alarm"},
            "alarms": {"triggeredAlarmNames": ["agent-5xx"]},
            "deploymentCircuitBreaker": {"status": "TRIGGERED", "failureCount": 3},
        });
        assert_eq!(
            told(&deployment),
            "the deployment is ROLLBACK_SUCCESSFUL: Service deployment rolled back: alarm; alarms: \
             agent-5xx; 3 tasks failed"
        );
    }
}
