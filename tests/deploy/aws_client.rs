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
pub(crate) struct Aws;

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
pub(crate) fn client(url: &str) -> (Client, Arc<ManualClock>, std::sync::mpsc::Receiver<Event>) {
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

fn create() -> Request {
    let body = json!({"repositoryName": "a", "key": ""});
    Request::call(&ECR, "eu-west-1", "CreateRepository", body)
        .with_secret("/key", Secret::new("canary-in-body"))
}

fn describe() -> Request {
    Request::call(&ECR, "eu-west-1", "DescribeRepositories", json!({})).that_reads()
}

fn throttled() -> Fault {
    Fault::Refuse(Response::aws_error(400, "ThrottlingException", "Rate exceeded"))
}

#[tokio::test]
async fn every_wire_is_written_as_its_service_wants_it() {
    let aws = Running::start(Aws).await;
    let (client, ..) = client(&aws.url());
    let answer = client.call(&create()).await.unwrap();
    let sent = json!({"repositoryName": "a", "key": "canary-in-body"});
    assert_eq!(answer.body, json!({"sent": sent}));
    let role = Request::call(&IAM, "eu-west-1", "CreateRole", json!({"RoleName": "a b"}));
    assert_eq!(client.call(&role).await.unwrap().text("/Role/Arn"), Some("arn:r"));
    let path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3A1";
    let rest = Request::rest(&LAMBDA, "eu-west-1", "GetFunction", Method::Get, path)
        .with_query("Qualifier", "a b");
    let Answer { status, body, .. } = client.call(&rest).await.unwrap();
    assert_eq!((status, body), (200, json!({"sent": null})));

    assert_eq!(aws.wrong(), Vec::<String>::new());
    let calls = aws.calls();
    let head = |call: &Call, name: &str| call.header(name).map(str::to_owned);
    let [json, form, rest] = &calls[..] else { panic!("three calls: {calls:?}") };
    assert_eq!(
        (head(json, "content-type"), head(json, "x-amz-target")),
        (
            Some("application/x-amz-json-1.1".into()),
            Some("AmazonEC2ContainerRegistry_V20150921.CreateRepository".into())
        )
    );
    assert_eq!(&form.body[..], b"Action=CreateRole&Version=2010-05-08&RoleName=a%20b");
    assert_eq!((rest.method.as_str(), rest.path.as_str()), ("GET", path));
    assert_eq!(rest.query("Qualifier"), Some("a b"));
    for (call, scope) in
        [(json, "eu-west-1/ecr"), (form, "us-east-1/iam"), (rest, "eu-west-1/lambda")]
    {
        let proof = head(call, "authorization").unwrap();
        assert!(proof.contains(&format!("/20261121/{scope}/aws4_request")), "{proof}");
        assert!(proof.contains("host;") && proof.contains("x-amz-security-token"), "{proof}");
        assert_eq!(head(call, "x-amz-security-token").as_deref(), Some("canary-token"));
        assert_eq!(head(call, "x-amz-date").as_deref(), Some("20261121T010000Z"));
    }
}

#[tokio::test]
async fn reads_are_tried_again_and_writes_only_when_nothing_was_done() {
    let internal = || Fault::Refuse(Response::aws_error(500, "ServerException", "oops"));
    for (request, faults, expected) in [
        (describe(), vec![internal(), Fault::Cut, throttled()], Ok(4)),
        (create(), vec![throttled(), throttled()], Ok(3)),
        (create(), vec![internal()], Err((ErrorClass::Lost, 1))),
        (create(), vec![Fault::LoseAnswer], Err((ErrorClass::Lost, 1))),
        (
            create(),
            vec![Fault::Refuse(Response::aws_error(400, "InvalidParameterException", "no"))],
            Err((ErrorClass::Invalid, 1)),
        ),
    ] {
        let aws = Running::start(Aws).await;
        let (client, ..) = client(&aws.url());
        for fault in faults {
            aws.spoil(request.operation, fault);
        }
        let result = client.call(&request).await;
        let count = aws.calls().len();
        let came_of_it = result.map(|_| count).map_err(|error| (error.class, count));
        assert_eq!(came_of_it, expected, "{}", request.operation);
    }
}

#[tokio::test]
async fn the_login_page_of_a_network_is_no_answer() {
    let role = || Request::call(&IAM, "eu-west-1", "GetRole", json!({"RoleName": "a"}));
    let function = || Request::rest(&LAMBDA, "eu-west-1", "GetFunction", Method::Get, "/functions");
    for (operation, request) in
        [("DescribeRepositories", describe()), ("GetRole", role()), ("GET /functions", function())]
    {
        let aws = Running::start(Aws).await;
        let (client, ..) = client(&aws.url());
        let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        let body = "<html>log in</html>".into();
        aws.spoil(operation, Fault::Refuse(Response { status: 200, headers, body }));
        let error = client.call(&request).await.unwrap_err();
        let title = request.service.title;
        assert_eq!(
            (error.class, error.message),
            (
                ErrorClass::Other,
                format!("this is no answer of {title}: a proxy or a login page stands before it")
            )
        );
        assert_eq!(aws.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_service_that_wants_to_be_left_alone_is() {
    let aws = Running::start(Aws).await;
    let (client, clock, _) = client(&aws.url());
    let mut later = Response::aws_error(429, "TooManyRequestsException", "slow down");
    later.headers.push(("retry-after".into(), "7".into()));
    aws.spoil("CreateRepository", Fault::Refuse(later));
    client.call(&create()).await.unwrap();
    assert_eq!(clock.waits(), [Duration::from_secs(7)]);
}

#[tokio::test]
async fn patience_ends() {
    let aws = Running::start(Aws).await;
    let (client, clock, _) = client(&aws.url());
    for _ in 0..100 {
        aws.spoil("DescribeRepositories", throttled());
    }
    let error = client.call(&describe()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Throttled);
    assert!(clock.waits().iter().sum::<Duration>() <= Duration::from_mins(5));
    assert_ne!(aws.stop_spoiling(), 0);
}

#[tokio::test]
async fn what_is_denied_says_who_was_and_what_would_allow_it() {
    let aws = Running::start(Aws).await;
    let (client, ..) = client(&aws.url());
    aws.spoil(
        "CreateRepository",
        Fault::Refuse(Response::aws_error(400, "AccessDeniedException", "no")),
    );
    let error = client.call(&create()).await.unwrap_err();
    assert_eq!(
        (error.to_string(), error.hints),
        (
            "ecr:CreateRepository: AccessDeniedException: no (as `arn:aws:iam::123456789012:user/bob`)".into(),
            vec![r#"allow it to whoever deploys with this statement in a policy: {"Action":"ecr:CreateRepository","Effect":"Allow","Resource":"*"}"#.into()]
        )
    );
}

#[tokio::test]
async fn nothing_secret_comes_back_out() {
    let aws = Running::start(Aws).await;
    let (client, _, events) = client(&aws.url());
    let said = "you sent canary-in-body with canary-token,\r\n\u{1b}[31m\"canary-in-body\"";
    let fault = Fault::Refuse(Response::aws_error(400, "InvalidParameterException", said));
    aws.spoil("CreateRepository", fault);
    let error = client.call(&create()).await.unwrap_err();
    assert_eq!(error.message, "you sent … with …, [31m\"…\"");
    drop(client);
    let told: Vec<_> = events.iter().map(|event| format!("{event:?}")).collect();
    assert!(!format!("{told:?}{error:?}").contains("canary"), "{told:?}");
    assert!(
        told.iter().any(|event| event.contains("Request {") && event.contains("400")),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_lost_answer_says_that_nobody_knows() {
    let aws = Running::start(Aws).await;
    let (client, ..) = client(&aws.url());
    aws.spoil("CreateRepository", Fault::LoseAnswer);
    let error = client.call(&create()).await.unwrap_err();
    let host = aws.url().replace("http://", "");
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("ecr:CreateRepository: the connection to `{host}` broke: "))
            && text.ends_with("; nobody knows whether it was done"),
        "{text}"
    );
}

#[tokio::test]
async fn nobody_there_is_unreachable_also_for_what_writes() {
    let (client, clock, _) = client("http://127.0.0.1:1");
    let error = client.call(&create()).await.unwrap_err();
    assert_eq!((error.class, clock.waits().len()), (ErrorClass::Unreachable, 3));
    assert!(
        error.to_string().starts_with("ecr:CreateRepository: cannot reach `127.0.0.1:1`: "),
        "{error}"
    );
}

#[tokio::test]
async fn our_proof_goes_to_no_other_host() {
    let aws = Running::start(Aws).await;
    let elsewhere = Running::start(Aws).await;
    let (client, ..) = client(&aws.url());
    let mut request = describe();
    request.location = Location::Url(elsewhere.url());
    let error = client.call(&request).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Invalid);
    assert_eq!(error.message, "it wants us to go on at `127.0.0.1`, which is not its own host");
    assert!(elsewhere.calls().is_empty());
}

#[tokio::test]
async fn without_credentials_every_source_says_why() {
    let home = tempfile::tempdir().unwrap();
    let message = "no source has credentials (variables: `AWS_ACCESS_KEY_ID` is not set; profile: `default`: there is neither `~/.aws/config` nor `~/.aws/credentials`; web identity: `AWS_WEB_IDENTITY_TOKEN_FILE` is not set; container: `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` is not set; instance: `AWS_EC2_METADATA_DISABLED` is set)";
    for (system, hint) in [
        (
            "HOST",
            "log in: `aws configure sso` where your company has IAM Identity Center, else `aws configure`",
        ),
        (
            "GITHUB_ACTIONS",
            "let the job have a role: `permissions: {contents: read, id-token: write}`, and the step `aws-actions/configure-aws-credentials` with `role-to-assume` before this one",
        ),
        (
            "GITLAB_CI",
            "let the job have a role: `id_tokens` in its definition, the token written to the file that `AWS_WEB_IDENTITY_TOKEN_FILE` names, and `AWS_ROLE_ARN`",
        ),
        (
            "TF_BUILD",
            "let the job have a role: run this in the task `AWSShellScript@1` with a service connection of AWS that has `Use OIDC` set and names the role",
        ),
        (
            "CIRCLECI",
            "let the job have a role: write `$CIRCLE_OIDC_TOKEN_V2` to the file that `AWS_WEB_IDENTITY_TOKEN_FILE` names, and set `AWS_ROLE_ARN`",
        ),
        (
            "BUILDKITE",
            "let the step have a role: the plugin `aws-assume-role-with-web-identity` with `role-arn`",
        ),
        (
            "BITBUCKET_BUILD_NUMBER",
            "let the step have a role: `oidc: true` in its definition, `$BITBUCKET_STEP_OIDC_TOKEN` written to the file that `AWS_WEB_IDENTITY_TOKEN_FILE` names, and `AWS_ROLE_ARN`",
        ),
        (
            "CI",
            "give the job `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or a role by `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`",
        ),
    ] {
        let environment = Environment::of([
            ("HOME", home.path().to_str().unwrap()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            (system, "true"),
        ]);
        let (client, ..) = client_in(environment);
        let error = client.call(&describe()).await.unwrap_err();
        let expected = CallError {
            message: message.into(),
            hints: vec![hint.into()],
            ..CallError::new(&ECR, "ecr:DescribeRepositories", ErrorClass::NoCredentials)
        };
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn a_profile_has_keys_and_a_region() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    std::fs::write(
        home.path().join(".aws/credentials"),
        "[prod]\naws_access_key_id = AKID\naws_secret_access_key = canary-key\n",
    )
    .unwrap();
    let aws = Running::start(Aws).await;
    let home = home.path().to_str().unwrap();
    let environment = |profile| {
        Environment::of([
            ("HOME", home),
            ("AWS_PROFILE", profile),
            ("AWS_ENDPOINT_URL", &aws.url()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ])
    };
    let (client, ..) = client_in(environment("prod"));
    client.call(&describe()).await.unwrap();
    assert_eq!(aws.wrong(), Vec::<String>::new());
    let (client, ..) = client_in(environment("absent"));
    let error = client.call(&describe()).await.unwrap_err();
    assert!(error.message.contains("profile: `absent`: "), "{error}");
}
