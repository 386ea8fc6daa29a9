//! What helps against a refusal of AWS.

use serde_json::{Value, json};

use super::super::ErrorClass;
use super::super::authorizer::Refusal;
use super::super::service::{API_GATEWAY, APP_RUNNER, ECS, IAM, LAMBDA, Service};
use super::policy::Denial;

/// What services say in words that no code tells apart, and what helps. The region stands for `{region}`.
const MESSAGES: &[(&Service, &str, &str)] = &[
    (
        &LAMBDA,
        "Source image",
        "look whether the image is there, in the region of the function: `aws ecr describe-images --region {region}`; without `--image` it is built and pushed",
    ),
    (
        &LAMBDA,
        "does not have permission to access the ECR image",
        r#"let Lambda pull with this statement in the policy of the repository (`aws ecr set-repository-policy`): {"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"}}"#,
    ),
    (
        &LAMBDA,
        "layer media type",
        "Lambda runs images of one platform, with layers in gzip: deploy one that was built so",
    ),
    (
        &ECS,
        "default VPC",
        "name `subnets` of a VPC in two zones, or make a default VPC: `aws ec2 create-default-vpc --region {region}`",
    ),
];

/// What to do about a refusal, most helpful first.
pub(super) fn hints(
    class: ErrorClass,
    code: &str,
    message: &str,
    denial: &Denial<'_>,
    refusal: &Refusal<'_>,
) -> Vec<String> {
    let (service, region) = (refusal.request.service, &refusal.request.region);
    let mut known = MESSAGES.iter();
    if let Some((.., hint)) =
        known.find(|(whose, part, _)| *whose == service && message.contains(part))
    {
        return vec![hint.replace("{region}", region)];
    }
    match class {
        ErrorClass::Denied => against_denial(code, denial, refusal),
        ErrorClass::WrongIdentity => against_disbelief(code, message, region),
        ErrorClass::RoleNotReady => vec![trust(message, refusal)],
        ErrorClass::NotFound => missing(code, refusal).into_iter().collect(),
        ErrorClass::Quota => vec![more_of(service, region)],
        ErrorClass::Throttled => vec![
            "AWS takes no more of these calls for now: try again in some minutes".to_owned(),
        ],
        ErrorClass::Busy => vec![
            "somebody else is changing it, or it is still being changed: try again when that is over"
                .to_owned(),
        ],
        _ if code == "UnsupportedFeatureException" => {
            vec![format!("{region} does not have it: take another region")]
        }
        _ => Vec::new(),
    }
}

/// Not every denial is one of a policy.
fn against_denial(code: &str, denial: &Denial<'_>, refusal: &Refusal<'_>) -> Vec<String> {
    let (service, region) = (refusal.request.service, &refusal.request.region);
    match code {
        "OptInRequired" | "RegionDisabledException" => vec![format!(
            "enable the region in this account: `aws account enable-region --region-name {region}`, or take another"
        )],
        "SubscriptionRequiredException" => vec![format!(
            "this account has never been allowed {}: finish its sign-up in the console of AWS, or take another account",
            service.title
        )],
        "BlockedException" => {
            vec!["AWS has blocked this account: ask AWS Support why".to_owned()]
        }
        "KMSAccessDeniedException" => denial.hints("kms:Decrypt"),
        _ => denial.hints(&usual_action(refusal)),
    }
}

/// The credentials are too old, another's, or nobody's.
fn against_disbelief(code: &str, message: &str, region: &str) -> Vec<String> {
    if is_clock(code, message) {
        return vec!["set this machine's clock: it differs from AWS's".to_owned()];
    }
    match code {
        "RequestExpired" | "ExpiredToken" | "ExpiredTokenException" => vec![
            "log in again: the credentials are too old (`aws sso login`, or a new run of the job)"
                .to_owned(),
        ],
        "SignatureDoesNotMatch" | "InvalidSignatureException" => vec![
            "the secret key does not belong to the key's id: set `AWS_SECRET_ACCESS_KEY` again, whole".to_owned(),
        ],
        _ => vec![
            "check which credentials are used: `-v` tells the source, and `aws sts get-caller-identity` whose they are".to_owned(),
            format!(
                "AWS says the same where the account has not enabled a region: `aws account get-region-opt-status --region-name {region}`"
            ),
        ],
    }
}

/// How the limits of a service are seen and raised; those of IAM are of no region.
fn more_of(service: &Service, region: &str) -> String {
    let (region, other) = if service == &IAM {
        ("us-east-1", "or delete what is not needed")
    } else {
        (region, "delete what is not needed, or take another region")
    };
    let Service { name, title, .. } = service;
    format!(
        "ask for more of it (Service Quotas, {title}; `aws service-quotas list-service-quotas --service-code {name} --region {region}` shows all), {other}"
    )
}

/// Who has to be trusted by a role that a service cannot assume.
fn trust(message: &str, refusal: &Refusal<'_>) -> String {
    let request = refusal.request;
    let is_role_of = |member: &str| {
        let arn = request.body.as_ref().and_then(|body| body.get(member)?.as_str());
        arn.is_some_and(|arn| message.contains(arn))
    };
    let principal = if request.service == &APP_RUNNER && message.contains("instance role") {
        "tasks.apprunner.amazonaws.com"
    } else if request.service == &APP_RUNNER {
        "build.apprunner.amazonaws.com"
    } else if request.service == &LAMBDA {
        "lambda.amazonaws.com"
    } else if is_role_of("infrastructureRoleArn") {
        "ecs.amazonaws.com"
    } else {
        "ecs-tasks.amazonaws.com"
    };
    let role = message.split([' ', '"', ',']).find_map(|word| word.split_once(":role/"));
    let role = role.and_then(|(_, path)| path.trim_end_matches('.').rsplit('/').next());
    let statement = json!({
        "Action": "sts:AssumeRole",
        "Effect": "Allow",
        "Principal": {"Service": principal},
    });
    let document = json!({"Version": "2012-10-17", "Statement": [statement]});
    format!(
        "let the role trust `{principal}`: `aws iam update-assume-role-policy --role-name {} --policy-document '{document}'`",
        role.unwrap_or("ROLE")
    )
}

/// How something is made that is not there.
fn missing(code: &str, refusal: &Refusal<'_>) -> Option<String> {
    let request = refusal.request;
    let named = |pointer| request.body.as_ref()?.pointer(pointer).and_then(Value::as_str);
    let region = &request.region;
    match code {
        "ClusterNotFoundException" => Some(format!(
            "make the cluster: `aws ecs create-cluster --cluster-name {} --region {region}`, or leave `cluster` out",
            named("/cluster").unwrap_or("NAME")
        )),
        "RepositoryNotFoundException" => Some(format!(
            "make the repository: `aws ecr create-repository --repository-name {} --region {region}`",
            named("/repositoryName").or_else(|| named("/repositoryNames/0")).unwrap_or("NAME")
        )),
        _ => None,
    }
}

/// The action that a request needs, as policies call it.
fn usual_action(refusal: &Refusal<'_>) -> String {
    let request = refusal.request;
    if request.service == &API_GATEWAY {
        return format!("apigateway:{}", request.method.name());
    }
    format!("{}:{}", request.service.name, request.operation)
}

fn is_clock(code: &str, message: &str) -> bool {
    let says = ["Signature expired", "Signature not yet current", "is not within"];
    code == "RequestTimeTooSkewed" || says.iter().any(|part| message.contains(part))
}
