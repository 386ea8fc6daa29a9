//! The documents of `--json` have the keys that docs/deploying.md shows, and it explains each of them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{STAGING, World};

/// The section about JSON.
fn section() -> String {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/deploying.md"));
    let text = text.unwrap();
    let (_, section) = text.split_once("\n## JSON\n").unwrap();
    section.split_once("\n## ").unwrap().0.to_owned()
}

/// The example of a command: the first block after its name.
fn example(command: &str) -> Value {
    let section = section();
    let (_, rest) = section.split_once(&format!("`dockless {command}")).unwrap();
    let (_, rest) = rest.split_once("```json\n").unwrap();
    serde_json::from_str(rest.split_once("```").unwrap().0).unwrap()
}

/// Every key with those above it, where there is anything below it.
fn keys(value: &Value, above: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let path = format!("{above}/{key}");
                // A request is the vendor's.
                if key != "request" {
                    keys(value, &path, found);
                }
                found.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, above, found)),
        _ => {}
    }
}

#[track_caller]
fn assert_same_keys(command: &str, document: &Value) {
    let (mut expected, mut found) = Default::default();
    keys(&example(command), "", &mut expected);
    keys(document, "", &mut found);
    assert_eq!(found, expected, "{document:#}");
    let section = section();
    for name in found.iter().filter_map(|path| path.rsplit('/').next()) {
        let is_explained =
            section.contains(&format!("`{name}`")) || name == "environment" || name == "result";
        assert!(is_explained || ["deployments", "services"].contains(&name), "`{name}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_have_the_keys_that_the_docs_show() {
    let world = World::new(STAGING).await;
    let keys = |value: &Value| {
        value["services"][0].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    let absent = world.document(&["status", "--json"]);
    let first = world.document(&["deploy", "--json"]);
    assert_same_keys("deploy --json`", &first);
    world.sandbox.write("agent.py", "print('two')\n");
    world.succeed(&["deploy"]);
    assert_same_keys("rollback --json`", &world.document(&["rollback", "--dry-run", "--json"]));
    let back = world.document(&["rollback", "--json"]);
    assert_eq!(back["services"][0]["outcome"], "rolled_back");
    assert_eq!(back["services"][0]["image"], first["deployments"][0]["image"]);
    let status = world.document(&["status", "--json"]);
    assert_same_keys("status --json`", &status);
    let digest = status["services"][0]["deployed_digest"].as_str().unwrap();
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    // The same keys are there before anything is deployed.
    assert_eq!(keys(&absent), keys(&status));
    world.cloud.with(|cloud| {
        let now = Timestamp::now().to_string();
        cloud.entries =
            vec![json!({"insertId": "1", "timestamp": now, "textPayload": "listening"})];
    });
    let logs = world.succeed(&["logs", "--json"]).stdout;
    assert_same_keys("logs --json`", &serde_json::from_str(&logs).unwrap());
    let gone = world.document(&["destroy", "--yes", "--json"]);
    assert_eq!(keys(&gone), keys(&back));
    assert_eq!(gone["services"][0]["outcome"], "removed");
    let nothing = world.document(&["destroy", "--yes", "--json"]);
    assert_eq!(nothing["services"][0]["outcome"], "absent");
}
