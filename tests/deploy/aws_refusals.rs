//! What AWS refuses, and what the user is told to do about it: one case for each row of what can go wrong.

use std::fmt::Write as _;

use dockless::cloud::{
    APP_RUNNER, Api as _, ECR, ECS, IAM, LAMBDA, Method, Request, SECRETS_MANAGER, Service,
};
use dockless::error::Error;
use serde_json::json;

use crate::aws_client::{Aws, client};
use crate::fake::{Fault, Response, Running};

/// A request of a service in a wire of JSON.
fn call(service: &'static Service, operation: &'static str) -> Request {
    let role = "arn:aws:iam::123456789012:role/infrastructure";
    let body = json!({
        "cluster": "agents", "repositoryName": "agent", "infrastructureRoleArn": role,
    });
    Request::call(service, "eu-west-1", operation, body)
}

fn create_function() -> Request {
    Request::rest(&LAMBDA, "eu-west-1", "CreateFunction", Method::Post, "/functions")
}

/// What is printed when this is answered, as often as it is asked.
async fn told(request: &Request, status: u16, code: &str, message: &str) -> String {
    let aws = Running::start(Aws).await;
    let (client, ..) = client(&aws.url());
    let operation = match request.service.name {
        "lambda" => "POST /functions",
        _ => request.operation,
    };
    for _ in 0..100 {
        aws.spoil(operation, Fault::Refuse(Response::aws_error(status, code, message)));
    }
    let error = Error::from(client.call(request).await.unwrap_err());
    aws.stop_spoiling();
    let mut text = format!("error: {error}\n");
    for hint in error.hints() {
        let _ = writeln!(text, "hint: {hint}");
    }
    let _ = writeln!(text, "exit {}", error.kind().exit_code());
    text
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one case for each row")]
async fn every_refusal_says_what_to_do() {
    let create = || call(&ECS, "CreateExpressGatewayService");
    let of_user = |action: &str, resource: &str, why: &str| {
        format!(
            "User: arn:aws:sts::123456789012:assumed-role/ci/job is not authorized to perform: {action} on \
             resource: {resource} {why}"
        )
    };
    let service = "arn:aws:ecs:eu-west-1:123456789012:service/agents/agent";
    let cases = [
        (
            "no policy of the caller allows it",
            create(),
            400,
            "AccessDeniedException",
            of_user(
                "ecs:CreateExpressGatewayService",
                service,
                "because no identity-based policy allows the ecs:CreateExpressGatewayService action",
            ),
        ),
        (
            "the policy of the resource does not allow it",
            call(&SECRETS_MANAGER, "PutSecretValue"),
            400,
            "AccessDeniedException",
            of_user(
                "secretsmanager:PutSecretValue",
                "arn:aws:secretsmanager:eu-west-1:210987654321:secret:key-AbCdEf",
                "because no resource-based policy allows the secretsmanager:PutSecretValue action",
            ),
        ),
        (
            "a boundary does not allow it",
            create(),
            400,
            "AccessDeniedException",
            of_user(
                "ecs:CreateExpressGatewayService",
                service,
                "because no permissions boundary allows the ecs:CreateExpressGatewayService action",
            ),
        ),
        (
            "the organization forbids it",
            create(),
            400,
            "AccessDeniedException",
            of_user(
                "ecs:CreateExpressGatewayService",
                service,
                "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/p-1",
            ),
        ),
        (
            "a role may not be handed over",
            create(),
            400,
            "AccessDeniedException",
            of_user(
                "iam:PassRole",
                "arn:aws:iam::123456789012:role/tasks",
                "because no identity-based policy allows the iam:PassRole action",
            ),
        ),
        (
            "nobody says why",
            call(&APP_RUNNER, "UpdateService"),
            400,
            "AccessDeniedException",
            "Access denied".to_owned(),
        ),
        (
            "the credentials are too old",
            call(&ECR, "CreateRepository"),
            400,
            "ExpiredTokenException",
            "The security token included in the request is expired".to_owned(),
        ),
        (
            "the credentials are unknown, or the region is not enabled",
            call(&ECR, "CreateRepository"),
            400,
            "UnrecognizedClientException",
            "The security token included in the request is invalid".to_owned(),
        ),
        (
            "the secret key is another's",
            call(&ECR, "CreateRepository"),
            400,
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided.".to_owned(),
        ),
        (
            "the clock is wrong",
            call(&ECR, "CreateRepository"),
            400,
            "InvalidSignatureException",
            "Signature expired: 20261121T010000Z is now earlier than 20261121T020000Z".to_owned(),
        ),
        (
            "the region is not enabled",
            create(),
            403,
            "OptInRequired",
            "The AWS Access Key Id needs a subscription for the service".to_owned(),
        ),
        (
            "the account never signed up for it",
            call(&APP_RUNNER, "UpdateService"),
            400,
            "SubscriptionRequiredException",
            "The AWS Access Key Id needs a subscription for the service".to_owned(),
        ),
        (
            "the account is blocked",
            create(),
            400,
            "BlockedException",
            "Your Amazon Web Services account was blocked.".to_owned(),
        ),
        (
            "the region lacks it",
            create(),
            400,
            "UnsupportedFeatureException",
            "The specified task isn't supported in this Region.".to_owned(),
        ),
        (
            "App Runner cannot pull as the role",
            call(&APP_RUNNER, "CreateService"),
            400,
            "InvalidRequestException",
            "Error in assuming access role arn:aws:iam::123456789012:role/service-role/pull".to_owned(),
        ),
        (
            "App Runner cannot run as the role",
            call(&APP_RUNNER, "CreateService"),
            400,
            "InvalidRequestException",
            "Error in assuming instance role arn:aws:iam::123456789012:role/run".to_owned(),
        ),
        (
            "ECS cannot assume a role",
            create(),
            400,
            "AccessDeniedException",
            "Cannot assume role arn:aws:iam::123456789012:role/tasks".to_owned(),
        ),
        (
            "ECS cannot assume the other role",
            create(),
            400,
            "AccessDeniedException",
            "Cannot assume role arn:aws:iam::123456789012:role/infrastructure".to_owned(),
        ),
        (
            "Lambda cannot assume the role",
            create_function(),
            400,
            "InvalidParameterValueException",
            "The role defined for the function cannot be assumed by Lambda.".to_owned(),
        ),
        (
            "the image is not there",
            create_function(),
            400,
            "InvalidParameterValueException",
            "Source image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent@sha256:00 does not exist. Provide \
             a valid source image."
                .to_owned(),
        ),
        (
            "Lambda may not pull",
            create_function(),
            403,
            "AccessDeniedException",
            "Lambda does not have permission to access the ECR image. Check the ECR permissions."
                .to_owned(),
        ),
        (
            "Lambda runs no such image",
            create_function(),
            400,
            "InvalidParameterValueException",
            "The image manifest, config or layer media type for the source image agent is not supported."
                .to_owned(),
        ),
        (
            "the cluster is not there",
            create(),
            400,
            "ClusterNotFoundException",
            "Cluster not found.".to_owned(),
        ),
        (
            "the repository is not there",
            call(&ECR, "PutImage"),
            400,
            "RepositoryNotFoundException",
            "The repository with name 'agent' does not exist in the registry with id '123456789012'"
                .to_owned(),
        ),
        (
            "there is no default network",
            create(),
            400,
            "InvalidParameterException",
            "No default VPC found in the account.".to_owned(),
        ),
        (
            "a quota is used up",
            call(&APP_RUNNER, "CreateService"),
            400,
            "ServiceQuotaExceededException",
            "The maximum number of services is 30.".to_owned(),
        ),
        (
            "a quota of roles is used up",
            call(&IAM, "CreateRole"),
            409,
            "LimitExceeded",
            "Cannot exceed quota for RolesPerAccount: 1000.".to_owned(),
        ),
        (
            "something is going on there",
            call(&APP_RUNNER, "UpdateService"),
            400,
            "InvalidStateException",
            "Service cannot be updated in the current state: OPERATION_IN_PROGRESS.".to_owned(),
        ),
        (
            "there were too many requests",
            create(),
            400,
            "ThrottlingException",
            "Rate exceeded".to_owned(),
        ),
    ];
    let mut all = String::new();
    for (row, request, status, code, message) in cases {
        let text = told(&request, status, code, &message).await;
        let _ = write!(all, "{row}\n{text}\n");
    }
    insta::assert_snapshot!(all, @r#"
no policy of the caller allows it
error: ecs:CreateExpressGatewayService: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/ci/job is not authorized to perform: ecs:CreateExpressGatewayService on resource: arn:aws:ecs:eu-west-1:123456789012:service/agents/agent because no identity-based policy allows the ecs:CreateExpressGatewayService action (as `arn:aws:sts::123456789012:assumed-role/ci/job`)
hint: allow it to `arn:aws:sts::123456789012:assumed-role/ci/job` with this statement in a policy: {"Action":"ecs:CreateExpressGatewayService","Effect":"Allow","Resource":"arn:aws:ecs:eu-west-1:123456789012:service/agents/agent"}
exit 2

the policy of the resource does not allow it
error: secretsmanager:PutSecretValue: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/ci/job is not authorized to perform: secretsmanager:PutSecretValue on resource: arn:aws:secretsmanager:eu-west-1:210987654321:secret:key-AbCdEf because no resource-based policy allows the secretsmanager:PutSecretValue action (as `arn:aws:sts::123456789012:assumed-role/ci/job`)
hint: allow it to `arn:aws:sts::123456789012:assumed-role/ci/job` with this statement in the resource-based policy of `arn:aws:secretsmanager:eu-west-1:210987654321:secret:key-AbCdEf`: {"Action":"secretsmanager:PutSecretValue","Effect":"Allow","Principal":{"AWS":"arn:aws:sts::123456789012:assumed-role/ci/job"},"Resource":"*"}
exit 2

a boundary does not allow it
error: ecs:CreateExpressGatewayService: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/ci/job is not authorized to perform: ecs:CreateExpressGatewayService on resource: arn:aws:ecs:eu-west-1:123456789012:service/agents/agent because no permissions boundary allows the ecs:CreateExpressGatewayService action (as `arn:aws:sts::123456789012:assumed-role/ci/job`)
hint: what `arn:aws:sts::123456789012:assumed-role/ci/job` may do is limited by a permissions boundary, which must have this statement, too: {"Action":"ecs:CreateExpressGatewayService","Effect":"Allow","Resource":"arn:aws:ecs:eu-west-1:123456789012:service/agents/agent"}
exit 2

the organization forbids it
error: ecs:CreateExpressGatewayService: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/ci/job is not authorized to perform: ecs:CreateExpressGatewayService on resource: arn:aws:ecs:eu-west-1:123456789012:service/agents/agent with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/p-1 (as `arn:aws:sts::123456789012:assumed-role/ci/job`)
hint: it is forbidden by a service control policy, so that nothing can allow it beside that: ask whoever is responsible for it, or take another account or identity
exit 2

a role may not be handed over
error: ecs:CreateExpressGatewayService: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/ci/job is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/tasks because no identity-based policy allows the iam:PassRole action (as `arn:aws:sts::123456789012:assumed-role/ci/job`)
hint: to hand the role `arn:aws:iam::123456789012:role/tasks` to a service needs a permission of its own, `iam:PassRole`
hint: allow it to `arn:aws:sts::123456789012:assumed-role/ci/job` with this statement in a policy: {"Action":"iam:PassRole","Effect":"Allow","Resource":"arn:aws:iam::123456789012:role/tasks"}
exit 2

nobody says why
error: apprunner:UpdateService: AccessDeniedException: Access denied (as `arn:aws:iam::123456789012:user/bob`)
hint: allow it to whoever deploys with this statement in a policy: {"Action":"apprunner:UpdateService","Effect":"Allow","Resource":"*"}
exit 2

the credentials are too old
error: ecr:CreateRepository: ExpiredTokenException: The security token included in the request is expired
hint: log in again: the credentials are too old (`aws sso login`, or a new run of the job)
exit 2

the credentials are unknown, or the region is not enabled
error: ecr:CreateRepository: UnrecognizedClientException: The security token included in the request is invalid
hint: check which credentials are used: `-v` tells the source, and `aws sts get-caller-identity` whose they are
hint: AWS says the same where the account has not enabled a region: `aws account get-region-opt-status --region-name eu-west-1`
exit 2

the secret key is another's
error: ecr:CreateRepository: InvalidSignatureException: The request signature we calculated does not match the signature you provided.
hint: the secret key does not belong to the key's id: set `AWS_SECRET_ACCESS_KEY` again, whole
exit 2

the clock is wrong
error: ecr:CreateRepository: InvalidSignatureException: Signature expired: 20261121T010000Z is now earlier than 20261121T020000Z
hint: set this machine's clock: it differs from AWS's
exit 2

the region is not enabled
error: ecs:CreateExpressGatewayService: OptInRequired: The AWS Access Key Id needs a subscription for the service (as `arn:aws:iam::123456789012:user/bob`)
hint: enable the region in this account: `aws account enable-region --region-name eu-west-1`, or take another
exit 2

the account never signed up for it
error: apprunner:UpdateService: SubscriptionRequiredException: The AWS Access Key Id needs a subscription for the service (as `arn:aws:iam::123456789012:user/bob`)
hint: this account has never been allowed App Runner: finish its sign-up in the console of AWS, or take another account
exit 2

the account is blocked
error: ecs:CreateExpressGatewayService: BlockedException: Your Amazon Web Services account was blocked. (as `arn:aws:iam::123456789012:user/bob`)
hint: AWS has blocked this account: ask AWS Support why
exit 2

the region lacks it
error: ecs:CreateExpressGatewayService: UnsupportedFeatureException: The specified task isn't supported in this Region.
hint: eu-west-1 does not have it: take another region
exit 2

App Runner cannot pull as the role
error: apprunner:CreateService: InvalidRequestException: Error in assuming access role arn:aws:iam::123456789012:role/service-role/pull
hint: let the role trust `build.apprunner.amazonaws.com`: `aws iam update-assume-role-policy --role-name pull --policy-document '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"build.apprunner.amazonaws.com"}}],"Version":"2012-10-17"}'`
exit 2

App Runner cannot run as the role
error: apprunner:CreateService: InvalidRequestException: Error in assuming instance role arn:aws:iam::123456789012:role/run
hint: let the role trust `tasks.apprunner.amazonaws.com`: `aws iam update-assume-role-policy --role-name run --policy-document '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"tasks.apprunner.amazonaws.com"}}],"Version":"2012-10-17"}'`
exit 2

ECS cannot assume a role
error: ecs:CreateExpressGatewayService: AccessDeniedException: Cannot assume role arn:aws:iam::123456789012:role/tasks
hint: let the role trust `ecs-tasks.amazonaws.com`: `aws iam update-assume-role-policy --role-name tasks --policy-document '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"}}],"Version":"2012-10-17"}'`
exit 2

ECS cannot assume the other role
error: ecs:CreateExpressGatewayService: AccessDeniedException: Cannot assume role arn:aws:iam::123456789012:role/infrastructure
hint: let the role trust `ecs.amazonaws.com`: `aws iam update-assume-role-policy --role-name infrastructure --policy-document '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"ecs.amazonaws.com"}}],"Version":"2012-10-17"}'`
exit 2

Lambda cannot assume the role
error: POST /functions: InvalidParameterValueException: The role defined for the function cannot be assumed by Lambda.
hint: let the role trust `lambda.amazonaws.com`: `aws iam update-assume-role-policy --role-name ROLE --policy-document '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"}}],"Version":"2012-10-17"}'`
exit 2

the image is not there
error: POST /functions: InvalidParameterValueException: Source image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent@sha256:00 does not exist. Provide a valid source image.
hint: look whether the image is there, in the region of the function: `aws ecr describe-images --region eu-west-1`; without `--image` it is built and pushed
exit 2

Lambda may not pull
error: POST /functions: AccessDeniedException: Lambda does not have permission to access the ECR image. Check the ECR permissions. (as `arn:aws:iam::123456789012:user/bob`)
hint: let Lambda pull with this statement in the policy of the repository (`aws ecr set-repository-policy`): {"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"}}
exit 2

Lambda runs no such image
error: POST /functions: InvalidParameterValueException: The image manifest, config or layer media type for the source image agent is not supported.
hint: Lambda runs images of one platform, with layers in gzip: deploy one that was built so
exit 2

the cluster is not there
error: ecs:CreateExpressGatewayService: ClusterNotFoundException: Cluster not found.
hint: make the cluster: `aws ecs create-cluster --cluster-name agents --region eu-west-1`, or leave `cluster` out
exit 2

the repository is not there
error: ecr:PutImage: RepositoryNotFoundException: The repository with name 'agent' does not exist in the registry with id '123456789012'
hint: make the repository: `aws ecr create-repository --repository-name agent --region eu-west-1`
exit 2

there is no default network
error: ecs:CreateExpressGatewayService: InvalidParameterException: No default VPC found in the account.
hint: name `subnets` of a VPC in two zones, or make a default VPC: `aws ec2 create-default-vpc --region eu-west-1`
exit 2

a quota is used up
error: apprunner:CreateService: ServiceQuotaExceededException: The maximum number of services is 30.
hint: ask for more of it (Service Quotas, App Runner; `aws service-quotas list-service-quotas --service-code apprunner --region eu-west-1` shows all), delete what is not needed, or take another region
exit 2

a quota of roles is used up
error: iam:CreateRole: LimitExceeded: Cannot exceed quota for RolesPerAccount: 1000.
hint: ask for more of it (Service Quotas, IAM; `aws service-quotas list-service-quotas --service-code iam --region us-east-1` shows all), or delete what is not needed
exit 2

something is going on there
error: apprunner:UpdateService: InvalidStateException: Service cannot be updated in the current state: OPERATION_IN_PROGRESS.
hint: somebody else is changing it, or it is still being changed: try again when that is over
exit 3

there were too many requests
error: ecs:CreateExpressGatewayService: ThrottlingException: Rate exceeded
hint: AWS takes no more of these calls for now: try again in some minutes
exit 3
"#);
}
