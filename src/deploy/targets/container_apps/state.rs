//! How an app is, by what the platform says of it, its newest revision and its replicas.

use serde_json::Value;

use super::advice::advice;
use super::app::image_of;
use super::names::is_taken;
use super::settings::Settings;
use crate::deploy::State;

/// What the state of an app follows from.
pub(super) struct Seen<'a> {
    pub(super) app: &'a Value,
    /// The newest revision.
    pub(super) revision: Option<&'a Value>,
    /// Its replicas, where they were asked for.
    pub(super) replicas: Vec<Value>,
    /// The operation that we began.
    pub(super) operation: Value,
}

impl Seen<'_> {
    /// How the app is: that its own `provisioningState` is `Succeeded` says nothing of its containers.
    pub(super) fn state(&self) -> State {
        let properties = &self.app["properties"];
        let text = |name: &str| properties[name].as_str().unwrap_or_default();
        match text("provisioningState") {
            "Deleting" => return State::Updating("the app is being deleted".to_owned()),
            "Succeeded" | "" => {}
            "Failed" | "Canceled" => {
                if self.is_unfinished() {
                    return State::Failed(self.unfinished());
                }
                return State::Failed(self.crash().unwrap_or_else(|| self.failure()));
            }
            state => return State::Updating(format!("the app is {state}")),
        }
        match self.operation["status"].as_str() {
            None | Some("Succeeded") => {}
            Some("Failed" | "Canceled") => return State::Failed(self.failure()),
            Some(status) => return State::Updating(format!("the operation is {status}")),
        }
        if text("runningStatus") == "Stopped" {
            return State::Stopped("the app was stopped".to_owned());
        }
        match self.revision {
            Some(revision) => self.state_of_revision(revision),
            None => State::Failed("it has no revision".to_owned()),
        }
    }

    fn state_of_revision(&self, revision: &Value) -> State {
        let name = revision["name"].as_str().unwrap_or_default();
        let properties = &revision["properties"];
        let text = |member: &str| properties[member].as_str().unwrap_or_default();
        if properties["active"] == false {
            return State::Stopped(format!("the revision `{name}` is not active"));
        }
        match text("provisioningState") {
            "Provisioned" | "" => {}
            "Failed" => return State::Failed(self.failure()),
            "Deprovisioned" => {
                return State::Stopped(format!("the revision `{name}` is deprovisioned"));
            }
            state => return State::Updating(format!("the revision `{name}` is {state}")),
        }
        if let Some(reason) = self.crash() {
            return State::Failed(reason);
        }
        let (running, health) = (text("runningState"), text("healthState"));
        let is_ready = self.app["properties"]["latestReadyRevisionName"] == *name;
        match running {
            "Failed" | "ActivationFailed" => State::Failed(self.failure()),
            "Stopped" if properties["replicas"] != 0 => {
                State::Stopped(format!("the revision `{name}` is stopped"))
            }
            "Running" | "RunningAtMaxScale" | "ScaledToZero" | "Stopped" | "" if is_ready => {
                if health == "Unhealthy" {
                    State::Failed(format!("the revision `{name}` is Unhealthy"))
                } else {
                    State::Ready
                }
            }
            "Degraded" if is_ready => State::Failed(format!("the revision `{name}` is Degraded")),
            "Unknown" if is_ready && properties["replicas"] == 0 => State::Ready,
            _ => {
                let health = if health.is_empty() { "unknown" } else { health };
                State::Updating(format!("the revision `{name}` is {running}, its health {health}"))
            }
        }
    }

    /// What the first container says that does not stay alive.
    fn crash(&self) -> Option<String> {
        let containers = self.replicas.iter().flat_map(|replica| {
            let properties = &replica["properties"];
            let kinds = ["containers", "initContainers"];
            kinds.into_iter().flat_map(|kind| properties[kind].as_array().into_iter().flatten())
        });
        // Once may be bad luck; a container that was restarted twice and is down again crashes.
        let mut crashed = containers.filter(|container| {
            let state = container["runningState"].as_str().unwrap_or_default();
            container["restartCount"].as_i64().unwrap_or(0) >= 2 && state != "Running"
        });
        let container = crashed.next()?;
        let text = |member: &str| container[member].as_str().unwrap_or_default();
        let restarts = container["restartCount"].as_i64().unwrap_or(0);
        Some(format!(
            "the container `{}` was restarted {restarts} times and is {}: {}",
            text("name"),
            text("runningState"),
            text("runningStateDetails")
        ))
    }

    /// Why the newest revision came to nothing, in the words of whoever tells most.
    fn failure(&self) -> String {
        let name = self.app["properties"]["latestRevisionName"].as_str().unwrap_or_default();
        let reason = said(&self.operation["error"])
            .or_else(|| {
                let revision = &self.revision?["properties"];
                let members = ["provisioningError", "runningStateDetails"];
                let mut texts = members.iter().filter_map(|member| revision[*member].as_str());
                texts.find(|text| !text.is_empty()).map(str::to_owned)
            })
            .or_else(|| said(&self.app["properties"]["deploymentErrors"]))
            .or_else(|| self.app["properties"]["deploymentErrors"].as_str().map(str::to_owned))
            .unwrap_or_else(|| {
                format!("the revision `{name}` failed, and the platform does not say why")
            });
        let advice = advice(&reason).map(|advice| format!("\n{advice}")).unwrap_or_default();
        match self.app["properties"]["latestReadyRevisionName"].as_str() {
            Some(ready) if ready != name && !ready.is_empty() => {
                format!("{reason} (`{ready}` still serves){advice}")
            }
            _ => format!("{reason}{advice}"),
        }
    }

    /// Whether only the last change of the app failed: what it should be became a revision, which is well.
    pub(super) fn is_unfinished(&self) -> bool {
        let Some(revision) = self.revision else { return false };
        let suffix = self.app["properties"]["template"]["revisionSuffix"].as_str();
        let name = revision["name"].as_str().and_then(|name| name.split_once("--"));
        self.has_failed()
            && suffix.is_some_and(|suffix| name.is_some_and(|(_, own)| own == suffix))
            && self.state_of_revision(revision) == State::Ready
    }

    /// The same, in the words of the operation where it is known.
    fn unfinished(&self) -> String {
        let name = self.app["properties"]["latestRevisionName"].as_str().unwrap_or_default();
        let reason = said(&self.operation["error"])
            .or_else(|| said(&self.app["properties"]["deploymentErrors"]))
            .unwrap_or_else(|| "the last change of the app failed".to_owned());
        format!("{reason} (its newest revision `{name}` runs all the same)")
    }

    fn has_failed(&self) -> bool {
        let state = self.app["properties"]["provisioningState"].as_str().unwrap_or_default();
        ["Failed", "Canceled"].contains(&state)
    }

    /// Whether the operation failed because a revision of that name was there once.
    pub(super) fn is_name_taken(&self) -> bool {
        is_taken(&self.operation["error"].to_string())
    }

    /// Whether what the app should be never became a revision, so that the same must be asked for again.
    pub(super) fn is_without_revision(&self, settings: &Settings) -> bool {
        let properties = &self.app["properties"];
        let Some(revision) = self.revision else { return true };
        self.has_failed() && !self.is_unfinished()
            || revision["properties"]["provisioningState"] == "Failed"
            || image_of(&revision["properties"]["template"], settings)
                != image_of(&properties["template"], settings)
    }
}

/// An error as the platform writes it, on one line.
fn said(value: &Value) -> Option<String> {
    let (code, message) = (value["code"].as_str(), value["message"].as_str()?);
    Some(code.map_or(message.to_owned(), |code| format!("{code}: {message}")))
}
