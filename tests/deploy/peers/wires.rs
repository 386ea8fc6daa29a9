//! What AWS's own client sends, as our reading of AWS's models sees it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::drive;
use crate::fake::{Call, Fake, Response, Running};
use crate::model::aws::Model;

/// All services at once, which have nothing to say.
#[derive(Debug)]
struct Services(BTreeMap<&'static str, Model>);

impl Services {
    /// The model of the service that a request is signed for.
    fn model(&self, call: &Call) -> &Model {
        let scope = call.header("authorization").and_then(|value| value.split('/').nth(3));
        &self.0[scope.expect("boto3 signs")]
    }
}

impl Fake for Services {
    fn validate(&self, call: &Call) -> Vec<String> {
        self.model(call).check(call)
    }

    fn answer(&mut self, call: &Call) -> Response {
        let operation = self.model(call).input(call).operation;
        if call.header("content-type").is_some_and(|kind| kind.contains("form")) {
            let result = format!("<{operation}Response><{operation}Result/></{operation}Response>");
            return Response { status: 200, headers: Vec::new(), body: result.into() };
        }
        Response::json(200, &json!({}))
    }
}

#[tokio::test]
async fn requests_of_boto3_are_read_as_they_were_meant() {
    let names = [
        ("apprunner", "apprunner"),
        ("ecr", "ecr"),
        ("ecs", "ecs"),
        ("iam", "iam"),
        ("sts", "sts"),
        ("lambda", "lambda"),
        ("apigateway", "apigatewayv2"),
        ("logs", "logs"),
        ("secretsmanager", "secretsmanager"),
    ];
    let services = names.map(|(signed, service)| (signed, Model::load(service)));
    let services = Running::start(Services(services.into())).await;
    let sent = drive("wires.py", &services.url()).await;
    assert_eq!(services.wrong(), [""; 0]);
    let calls = services.calls();
    let read = services.with(|services| {
        let inputs = calls.iter().map(|call| services.model(call).input(call));
        inputs.map(|input| json!([input.operation, input.members])).collect::<Vec<_>>()
    });
    assert_eq!(Value::from(read), sent);
}
