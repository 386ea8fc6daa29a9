//! Logs of Cloud Run.

use serde_json::{Value, json};

use super::World;
use crate::fake::{Fault, Response};

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_logs_that_go_round_in_circles_end() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let page = Response::json(200, &json!({"nextPageToken": "same"}));
    for _ in 0..3 {
        world.fake.spoil("POST /v2/entries:list", Fault::Refuse(page.clone()));
    }
    world.succeed(&["logs"]);
    assert_eq!(world.fake.stop_spoiling(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_those_of_the_service_in_order() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let now = jiff::Timestamp::now();
    let entry = |number: i64, payload: Value| {
        let mut entry = json!({"insertId": format!("i{number}"), "timestamp": now.to_string()});
        entry.as_object_mut().unwrap().extend(payload.as_object().unwrap().clone());
        entry
    };
    world.fake.with(|fake| {
        fake.entries = vec![
            entry(1, json!({"textPayload": "listening\n"})),
            entry(2, json!({"jsonPayload": {"message": "hello", "level": 30}})),
            entry(3, json!({"httpRequest": {"requestMethod": "GET", "requestUrl": "https://x/health", "status": 200}})),
        ];
    });
    let outcome = world.succeed(&["logs"]);
    for line in ["listening", "hello", "GET https://x/health 200"] {
        assert!(outcome.stdout.contains(line), "{line}: {outcome:#?}");
    }
}
