//! A revision of the app: what it runs, and how it fares.

use serde_json::{Value, json};

/// A revision.
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub(crate) name: String,
    pub(crate) template: Value,
    pub(crate) ending: Ending,
    pub(super) is_active: bool,
}

/// How a revision ends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ending {
    /// It runs.
    Well,
    /// It runs nothing, since nobody asks.
    AtZero,
    /// The app is provisioned well, and its container does not stay alive.
    Crashing,
    /// There never is a revision: the operation says why.
    Refused(String),
    /// There never is a revision: a former one, which is no longer listed, had its name.
    Taken,
    /// The revision is there and failed: the operation says why, and it does.
    Unprovisioned(String),
}

impl Revision {
    pub(super) fn document(&self, place: usize) -> Value {
        let (running, health, replicas) = match self.ending {
            Ending::AtZero => ("ScaledToZero", "None", 0),
            // Of a revision that was switched off, nothing tells whether it ever was well.
            _ if !self.is_active => ("Stopped", "None", 0),
            Ending::Crashing => ("Processing", "Unhealthy", 1),
            Ending::Unprovisioned(_) => ("Failed", "None", 0),
            _ => ("Running", "Healthy", 1),
        };
        let (provisioning, error) = match &self.ending {
            Ending::Unprovisioned(message) => ("Failed", Some(message)),
            _ => ("Provisioned", None),
        };
        json!({
            "name": self.name,
            "properties": {
                "createdTime": format!("2026-11-21T10:{:02}:{:02}+00:00", place / 60, place % 60),
                "active": self.is_active,
                "provisioningState": provisioning,
                "provisioningError": error,
                "runningState": running,
                "healthState": health,
                "replicas": replicas,
                "template": self.template,
            },
        })
    }

    pub(super) fn replicas(&self, url: &str) -> Value {
        let mut container = json!({
            "name": "agent",
            "runningState": "Running",
            "runningStateDetails": "",
            "restartCount": 0,
            "logStreamEndpoint": format!("{url}/logstream"),
        });
        match self.ending {
            Ending::AtZero => return json!([]),
            Ending::Crashing => {
                container["runningState"] = "Waiting".into();
                container["runningStateDetails"] = "CrashLoopBackOff, exit code 1".into();
                container["restartCount"] = 3.into();
            }
            _ => {}
        }
        json!([{"name": format!("{}-1", self.name), "properties": {"containers": [container]}}])
    }
}
