//! Google's own client at our fakes: they speak as Google does.

use serde_json::json;

use super::drive;
use crate::fake::{Call, Fake, Response, Running};
use crate::fakes::cloud_run::CloudRun;

/// Cloud Run without what the client adds to every query, and we never send: enumerations as numbers.
#[derive(Debug)]
struct Numeric(CloudRun);

impl Numeric {
    fn plain(call: &Call) -> Call {
        let mut call = call.clone();
        call.query.retain(|(name, _)| name != "$alt");
        call
    }
}

impl Fake for Numeric {
    fn validate(&self, call: &Call) -> Vec<String> {
        self.0.validate(&Self::plain(call))
    }

    fn answer(&mut self, call: &Call) -> Response {
        self.0.answer(&Self::plain(call))
    }

    fn validate_answer(&self, call: &Call, response: &Response) -> Vec<String> {
        self.0.validate_answer(&Self::plain(call), response)
    }
}

#[tokio::test]
async fn google_s_own_client_takes_the_fake_for_cloud_run() {
    let cloud_run = Running::start(Numeric(CloudRun::new())).await;
    let told = drive("cloud_run.py", &cloud_run.url()).await;
    assert_eq!(cloud_run.wrong(), [""; 0]);
    let name = "projects/acme/locations/europe-west1/services/agent";
    let image = format!("europe-west1-docker.pkg.dev/acme/agents/agent@sha256:{}", "0".repeat(64));
    let operation = "projects/acme/locations/europe-west1/operations/7";
    let (first, second) = ("agent-00001-abc", "agent-00002-abc");
    let (busy, well) = ("CONDITION_RECONCILING", "CONDITION_SUCCEEDED");
    let latest = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
    let whole = json!({
        "name": name,
        "uid": "b2a1",
        "uri": "https://agent-abc-ew.a.run.app",
        "etag": "\"1\"",
        "generation": "1",
        "observedGeneration": "1",
        "labels": {"managed-by": "dockless"},
        "template": {
            "containers": [{"image": image, "env": [{"name": "A", "value": "1"}]}],
            "serviceAccount": "7-compute@developer.gserviceaccount.com",
        },
        "latestCreatedRevision": format!("{name}/revisions/{first}"),
        "latestReadyRevision": format!("{name}/revisions/{first}"),
        "terminalCondition": {"type": "Ready", "state": well},
        "trafficStatuses": [{"type": latest, "revision": first, "percent": 100}],
    });
    assert_eq!(
        told,
        json!([
            ["look", 404, "NOT_FOUND"],
            ["create", operation],
            ["create", 409, "ALREADY_EXISTS"],
            ["look", [first, "", busy, true]],
            ["look", [first, "", busy, true]],
            ["look", [first, first, well, false]],
            ["whole", whole],
            ["update", operation],
            ["look", [second, first, busy, true]],
            ["look", [second, first, busy, true]],
            ["look", [second, second, well, false]],
            ["revisions", [first, second]],
            ["services", [name]],
            ["delete", operation],
            ["look", [second, second, busy, true]],
            ["look", [second, second, busy, true]],
            ["look", 404, "NOT_FOUND"],
        ])
    );
}
