//! Our client against `moto`, in each of AWS's protocols.

use std::sync::Arc;

use dockless::cloud::{
    Api as _, CallError, Client, ClientOptions, Cloud, ECR, ErrorClass, IAM, LOGS, NewRepository,
    Request, SECRETS_MANAGER, Service, create_missing_repository,
};
use dockless::event::Events;
use dockless::oci::Reference;
use dockless::registry::{Secret, Settings};
use dockless::sys::{Environment, SystemClock};
use serde_json::{Value, json};

use super::{Moto, drive};

/// What is done at one `moto`, which others use at the same time.
struct Account {
    moto: Arc<Moto>,
    client: Client,
}

impl Account {
    fn new() -> Self {
        let moto = Moto::shared();
        let client = Client::new(ClientOptions {
            settings: Settings::default(),
            environment: Environment::of(moto.variables()),
            events: Events::none(),
            clock: Arc::new(SystemClock),
        });
        Self { moto, client }
    }

    /// Calls an operation, and gives the body of its answer.
    async fn call(
        &self,
        service: &'static Service,
        operation: &'static str,
        body: Value,
    ) -> Result<Value, CallError> {
        self.send(Request::call(service, "eu-west-1", operation, body)).await
    }

    async fn send(&self, request: Request) -> Result<Value, CallError> {
        self.client.call(&request).await.map(|answer| answer.body)
    }

    /// The class and the code of a failure.
    async fn refusal(
        &self,
        service: &'static Service,
        operation: &'static str,
        body: Value,
    ) -> (ErrorClass, String) {
        let error = self.call(service, operation, body).await.unwrap_err();
        (error.class, error.code)
    }
}

#[tokio::test]
async fn sts_knows_who_calls() {
    let aws = Account::new();
    let identity = aws.client.identity(Cloud::Aws).await.unwrap();
    assert_eq!(identity, "arn:aws:sts::123456789012:user/moto");
    assert_eq!(aws.client.account().await.unwrap(), "123456789012");
}

#[tokio::test]
async fn a_repository_is_made_once() {
    let aws = Account::new();
    let describe = json!({"repositoryNames": ["acme/agent"]});
    let missing = aws.refusal(&ECR, "DescribeRepositories", describe.clone()).await;
    assert_eq!(missing, (ErrorClass::NotFound, "RepositoryNotFoundException".to_owned()));
    let create = json!({
        "repositoryName": "acme/agent", "imageTagMutability": "IMMUTABLE",
        "tags": [{"Key": "managed-by", "Value": "dockless"}],
    });
    let created = aws.call(&ECR, "CreateRepository", create.clone()).await.unwrap();
    let again = aws.refusal(&ECR, "CreateRepository", create).await;
    assert_eq!(again, (ErrorClass::Exists, "RepositoryAlreadyExistsException".to_owned()));
    let described = aws.call(&ECR, "DescribeRepositories", describe).await.unwrap();
    let [one] = described["repositories"].as_array().unwrap().as_slice() else {
        panic!("{described}")
    };
    let uri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/acme/agent";
    for repository in [&created["repository"], one] {
        assert_eq!(repository["repositoryUri"], uri);
        assert_eq!(repository["imageTagMutability"], "IMMUTABLE");
    }
}

#[tokio::test]
async fn a_repository_that_is_missing_is_created_and_then_left_alone() {
    let aws = Account::new();
    let repository = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/acme/missing";
    let repository = repository.parse::<Reference>().unwrap().repository;
    let wanted = NewRepository { has_immutable_tags: true, is_scanned: true, encryption_key: None };
    for expected in [true, false] {
        let created = create_missing_repository(&aws.client, &SystemClock, &repository, &wanted)
            .await
            .unwrap();
        assert_eq!(created, expected);
    }
    let describe = json!({"repositoryNames": ["acme/missing"]});
    let described = aws.call(&ECR, "DescribeRepositories", describe).await.unwrap();
    let made = &described["repositories"][0];
    assert_eq!(
        [&made["imageTagMutability"], &made["imageScanningConfiguration"]["scanOnPush"]],
        [&json!("IMMUTABLE"), &json!(true)]
    );
}

#[tokio::test]
async fn a_role_is_as_boto3_sees_it() {
    let aws = Account::new();
    let name = json!({"RoleName": "dockless-agent"});
    let missing = aws.refusal(&IAM, "GetRole", name.clone()).await;
    assert_eq!(missing, (ErrorClass::NotFound, "NoSuchEntity".to_owned()));
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole",
    }]});
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*",
    }]});
    let managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    let steps = [
        (
            "CreateRole",
            json!({
                "RoleName": "dockless-agent", "AssumeRolePolicyDocument": trust.to_string(),
                "Tags": [
                    {"Key": "managed-by", "Value": "dockless"},
                    {"Key": "dockless:project", "Value": "a b/c+d=e"},
                ],
            }),
        ),
        ("AttachRolePolicy", json!({"RoleName": "dockless-agent", "PolicyArn": managed})),
        (
            "PutRolePolicy",
            json!({
                "RoleName": "dockless-agent", "PolicyName": "secrets",
                "PolicyDocument": policy.to_string(),
            }),
        ),
    ];
    for (operation, body) in steps {
        aws.call(&IAM, operation, body).await.unwrap();
    }
    let again =
        json!({"RoleName": "dockless-agent", "AssumeRolePolicyDocument": trust.to_string()});
    let exists = aws.refusal(&IAM, "CreateRole", again).await;
    assert_eq!(exists, (ErrorClass::Exists, "EntityAlreadyExists".to_owned()));
    let seen = drive("role.py", aws.moto.url()).await;
    assert_eq!(
        seen,
        json!({
            "trust": trust,
            "tags": {"managed-by": "dockless", "dockless:project": "a b/c+d=e"},
            "attached": [managed],
            "inline": {"secrets": policy},
        })
    );
    // One item, several and none: XML tells lists by their elements alone.
    let role = aws.call(&IAM, "GetRole", name.clone()).await.unwrap();
    assert_eq!(role["Role"]["Tags"].as_array().map(Vec::len), Some(2), "{role}");
    let attached = aws.call(&IAM, "ListAttachedRolePolicies", name.clone()).await.unwrap();
    let one = json!([{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": managed}]);
    assert_eq!(attached["AttachedPolicies"], one);
    let busy = aws.refusal(&IAM, "DeleteRole", name.clone()).await;
    assert_eq!(busy, (ErrorClass::Busy, "DeleteConflict".to_owned()));
    let steps = [
        ("DetachRolePolicy", json!({"RoleName": "dockless-agent", "PolicyArn": managed})),
        ("DeleteRolePolicy", json!({"RoleName": "dockless-agent", "PolicyName": "secrets"})),
        ("DeleteRole", name.clone()),
    ];
    for (operation, body) in steps {
        aws.call(&IAM, operation, body).await.unwrap();
    }
    assert_eq!(aws.refusal(&IAM, "GetRole", name).await.0, ErrorClass::NotFound);
}

#[tokio::test]
async fn a_secret_arrives_and_is_read_again() {
    let aws = Account::new();
    let read = json!({"SecretId": "dockless/agent/prod/KEY"});
    let missing = aws.refusal(&SECRETS_MANAGER, "GetSecretValue", read.clone()).await;
    assert_eq!(missing, (ErrorClass::NotFound, "ResourceNotFoundException".to_owned()));
    let create = json!({"Name": "dockless/agent/prod/KEY", "SecretString": ""});
    let create = Request::call(&SECRETS_MANAGER, "eu-west-1", "CreateSecret", create)
        .with_secret("/SecretString", Secret::new("canary"));
    aws.send(create).await.unwrap();
    let found = aws.call(&SECRETS_MANAGER, "GetSecretValue", read).await.unwrap();
    assert_eq!(found["SecretString"], "canary");
}

#[tokio::test]
async fn logs_come_in_pages() {
    let aws = Account::new();
    let group = json!({"logGroupName": "/aws/lambda/agent"});
    let missing = aws.refusal(&LOGS, "FilterLogEvents", group.clone()).await;
    assert_eq!(missing, (ErrorClass::NotFound, "ResourceNotFoundException".to_owned()));
    drive("logs.py", aws.moto.url()).await;
    let mut lines = Vec::new();
    let mut body = json!({"logGroupName": "/aws/lambda/agent", "limit": 2});
    for _ in 0..3 {
        let page = aws.call(&LOGS, "FilterLogEvents", body.clone()).await.unwrap();
        let events = page["events"].as_array().unwrap();
        lines.extend(events.iter().map(|event| event["message"].as_str().unwrap().to_owned()));
        body["nextToken"] = page["nextToken"].clone();
    }
    assert_eq!(body["nextToken"], Value::Null);
    assert_eq!(lines, ["line 0", "line 1", "line 2", "line 3", "line 4"]);
    aws.call(&LOGS, "DeleteLogGroup", group).await.unwrap();
}
