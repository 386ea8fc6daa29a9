//! How AWS is called: signatures, endpoints, what is tried again, and what is never shown.

use std::sync::Arc;
use std::time::Duration;

use dockless::cloud::{
    Answer, Api, CallError, Client, ClientOptions, Cloud, ECR, ErrorClass, IAM, LAMBDA, Location,
    Method, Request,
};
use dockless::event::{Event, Events};
use dockless::registry::{Secret, Settings};
use dockless::sys::{Environment, ManualClock};
use serde_json::json;

use crate::fake::{Call, Fake, Fault, Response, Running};

/// Answers whatever it is asked as AWS would, and knows one identity.
struct Aws;

impl Fake for Aws {
    fn validate(&self, call: &Call) -> Vec<String> {
        let is_signed = call
            .header("authorization")
            .is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 Credential=AKID/20261121/"));
        if is_signed { Vec::new() } else { vec!["it is not signed".into()] }
    }

    fn answer(&mut self, call: &Call) -> Response {
        match call.operation().as_str() {
            "GetCallerIdentity" => xml(
                200,
                "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/bob</Arn><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
            ),
            "CreateRole" => xml(
                200,
                "<CreateRoleResponse><CreateRoleResult><Role><Arn>arn:r</Arn></Role></CreateRoleResult></CreateRoleResponse>",
            ),
            _ => Response::json(200, &json!({"sent": call.json()})),
        }
    }
}

fn xml(status: u16, text: &str) -> Response {
    let headers = vec![("content-type".to_owned(), "text/xml".to_owned())];
    Response { status, headers, body: text.to_owned().into() }
}

/// A client whose AWS is the fake; the clock shows the day of the signatures.
fn client(url: &str) -> (Client, Arc<ManualClock>, std::sync::mpsc::Receiver<Event>) {
    let environment = Environment::of([
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "canary-key"),
        ("AWS_SESSION_TOKEN", "canary-token"),
    ]);
    client_in(environment)
}

fn client_in(
    environment: Environment,
) -> (Client, Arc<ManualClock>, std::sync::mpsc::Receiver<Event>) {
    let clock = Arc::new(ManualClock::at(1_795_222_800));
    let (events, receiver) = Events::channel();
    let settings = Settings::default();
    let options = ClientOptions { settings, environment, events, clock: clock.clone() };
    (Client::new(options), clock, receiver)
}

#[tokio::test]
async fn the_identity_is_asked_once_and_told() {
    let aws = Running::start(Aws).await;
    let (client, _, events) = client(&aws.url());
    assert_eq!(client.account().await.unwrap(), "123456789012");
    for _ in 0..2 {
        assert_eq!(
            client.identity(Cloud::Aws).await.unwrap(),
            "arn:aws:iam::123456789012:user/bob"
        );
    }
    assert_eq!(aws.calls().len(), 1);
    assert_eq!(aws.wrong(), Vec::<String>::new());
    let told = Event::Detail { text: "AWS: we are `arn:aws:iam::123456789012:user/bob`".into() };
    drop(client);
    assert!(events.iter().any(|event| event == told));
}
