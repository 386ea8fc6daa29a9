//! A workload for tests of what is deployed to AWS.

use crate::deploy::Workload;

/// A workload that needs nothing.
pub(in crate::deploy) fn workload() -> Workload {
    Workload {
        project: "agent".to_owned(),
        environment: "production".to_owned(),
        name: "agent".to_owned(),
        port: 8080,
        health_path: "/health".to_owned(),
        env: std::collections::BTreeMap::new(),
        secrets: std::collections::BTreeMap::new(),
        pull: None,
        creates_roles: false,
        places: crate::deploy::Places::default(),
    }
}
