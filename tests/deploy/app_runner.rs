//! Deploying to App Runner.

mod ownership;
mod secrets;
mod trouble;

use dockless::deploy::{Deployment, LogQuery, Outcome, Probe, Target, deploy};
use serde_json::json;

use crate::aws_target::{Surroundings, image, surroundings, target, workload};
use crate::fake::{Fault, Response, Running};
use crate::fakes::app_runner::AppRunner;
use crate::fakes::aws::{Aws, START, role_arn};

const REPOSITORY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent";

async fn cloud() -> Running<Aws<AppRunner>> {
    Running::start(Aws::new(AppRunner::new())).await
}

fn agent() -> Box<dyn Target> {
    target("app-runner", &workload(), &[]).unwrap()
}

async fn deployed(
    cloud: &Running<Aws<AppRunner>>,
    target: &dyn Target,
    name: &str,
) -> dockless::error::Result<Deployment> {
    let around = surroundings(&cloud.url());
    deploy(target, &image(REPOSITORY, name, "amd64"), &around.session).await
}

/// What runs, by the name of its image; and what was written since the last look.
fn runs(cloud: &Running<Aws<AppRunner>>, name: &str) -> bool {
    let wanted = image(REPOSITORY, name, "amd64").reference();
    cloud.with(|aws| {
        let told = &aws.service.services[0].told;
        told["Status"] == "RUNNING"
            && told["SourceConfiguration"]["ImageRepository"]["ImageIdentifier"] == wanted.as_str()
    })
}

fn around(cloud: &Running<Aws<AppRunner>>) -> Surroundings {
    surroundings(&cloud.url())
}

#[tokio::test]
async fn a_first_deployment_makes_all_that_is_needed_and_the_next_writes_nothing() {
    let cloud = cloud().await;
    let first = around(&cloud);
    let one = image(REPOSITORY, "one", "amd64");
    let deployment = deploy(&*agent(), &one, &first.session).await.unwrap();
    assert_eq!(
        (deployment.outcome, deployment.probe, deployment.image),
        (Outcome::Deployed, Probe::Healthy(200), one.reference())
    );
    assert_eq!(
        cloud.writes(),
        ["CreateRole", "AttachRolePolicy", "CreateAutoScalingConfiguration", "CreateService"]
    );
    assert_eq!(
        first.intended.all(),
        [
            "role dockless-eu-west-1-agent-access",
            "auto scaling configuration dockless-agent",
            "App Runner service `agent` in eu-west-1",
        ]
    );
    let (told, tags) = cloud.with(|aws| {
        let service = &aws.service.services[0];
        (service.told.clone(), service.tags.clone())
    });
    assert_eq!(
        told["SourceConfiguration"],
        json!({
            "AutoDeploymentsEnabled": false,
            "AuthenticationConfiguration": {"AccessRoleArn": role_arn("dockless-eu-west-1-agent-access")},
            "ImageRepository": {
                "ImageIdentifier": one.reference(),
                "ImageRepositoryType": "ECR",
                "ImageConfiguration": {
                    "Port": "8080",
                    "RuntimeEnvironmentSecrets": {},
                    "RuntimeEnvironmentVariables": {},
                },
            },
        })
    );
    assert_eq!(told["InstanceConfiguration"], json!({"Cpu": "1024", "Memory": "2048"}));
    assert_eq!(told["HealthCheckConfiguration"], json!({"Protocol": "HTTP", "Path": "/health"}));
    assert_eq!(tags["dockless-image-digest"], one.descriptor.digest.hex());

    let again = deployed(&cloud, &*agent(), "one").await.unwrap();
    assert_eq!((again.outcome, cloud.writes().len()), (Outcome::Unchanged, 4));

    let next = deployed(&cloud, &*agent(), "two").await.unwrap();
    assert_eq!(next.outcome, Outcome::Deployed);
    assert_eq!(cloud.writes()[4..], ["UpdateService", "TagResource"]);
    assert!(runs(&cloud, "two"));
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_role_that_is_new_is_not_known_at_once() {
    let cloud = cloud().await;
    cloud.with(|aws| aws.account.role_lag = 3);
    let deployment = deployed(&cloud, &*agent(), "one").await.unwrap();
    assert_eq!(deployment.outcome, Outcome::Deployed);
    let creations = cloud.writes().iter().filter(|name| *name == "CreateService").count();
    assert_eq!(creations, 4);
}

#[tokio::test]
async fn who_may_not_have_roles_created_is_told_how() {
    let cloud = cloud().await;
    let workload = dockless::deploy::Workload { creates_roles: false, ..workload() };
    let target = target("app-runner", &workload, &[]).unwrap();
    let error = deployed(&cloud, &*target, "one").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the access role `dockless-eu-west-1-agent-access`, which build.apprunner.amazonaws.com assumes, is \
         missing"
    );
    assert!(
        error.hints()[1]
            .starts_with("aws iam create-role --role-name dockless-eu-west-1-agent-access")
    );
    assert_eq!((error.kind(), cloud.writes()), (dockless::error::ErrorKind::Usage, vec![]));
}

#[tokio::test]
async fn a_new_customer_is_told_where_to_go() {
    let role = role_arn("theirs");
    let settings = [("concurrency", "10"), ("instance_role_arn", role.as_str())];
    let target = target("app-runner", &workload(), &settings).unwrap();
    let cloud = cloud().await;
    cloud.with(|aws| aws.service.is_customer = false);
    let error = deployed(&cloud, &*target, "one").await.unwrap_err();
    assert_eq!(
        error.lines(),
        [
            "create the service `agent`",
            "App Runner lets this account create no service",
            "apprunner:CreateService: SubscriptionRequiredException: The AWS Access Key Id needs a \
             subscription for the service (as `arn:aws:iam::123456789012:user/bob`)",
        ]
    );
    assert_eq!(
        error.hints()[0],
        "App Runner has taken no new customers since 2026-04-30; if this account has no service there, use \
         ECS Express Mode: write `target: ecs-express` in place of `target: app-runner` in the environment \
         `production`, and remove `instance_role_arn` and `concurrency`"
    );
    assert_eq!(error.kind(), dockless::error::ErrorKind::Failed);
}

#[tokio::test]
async fn whom_a_policy_denies_app_runner_is_no_new_customer() {
    let cloud = cloud().await;
    let message = "User: arn:u is not authorized to perform: apprunner:CreateService on resource: r because \
        no identity-based policy allows the apprunner:CreateService action";
    let denied = Response::aws_error(400, "AccessDeniedException", message);
    cloud.spoil("CreateService", Fault::Refuse(denied));
    let error = deployed(&cloud, &*agent(), "one").await.unwrap_err();
    assert!(!error.hints().join("\n").contains("ecs-express"), "{:?}", error.hints());
}

#[tokio::test]
async fn a_paused_service_is_resumed() {
    let cloud = cloud().await;
    deployed(&cloud, &*agent(), "one").await.unwrap();
    cloud.with(|aws| aws.service.services[0].told["Status"] = "PAUSED".into());
    let deployment = deployed(&cloud, &*agent(), "two").await.unwrap();
    assert_eq!(deployment.outcome, Outcome::Deployed);
    assert_eq!(cloud.writes()[4..], ["ResumeService", "UpdateService", "TagResource"]);
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn the_lines_of_a_service_are_followed() {
    let cloud = cloud().await;
    deployed(&cloud, &*agent(), "one").await.unwrap();
    let around = around(&cloud);
    let target = agent();
    let query = LogQuery { since_ms: START * 1000, cursor: None };
    let (lines, cursor) = target.logs(&query, &around.session).await.unwrap();
    assert_eq!(lines, [], "there is no group yet");
    let say = |at: i64, text: &str| {
        cloud.with(|aws| {
            let id = aws.service.services[0].told["ServiceId"].as_str().unwrap().to_owned();
            let group = format!("/aws/apprunner/agent/{id}/application");
            aws.account.lines.push((group, START * 1000 + at, text.to_owned()));
        });
    };
    let texts = async |cursor| {
        let query = LogQuery { cursor, ..query.clone() };
        let (lines, cursor) = target.logs(&query, &around.session).await.unwrap();
        (lines.into_iter().map(|line| line.text).collect::<Vec<_>>(), cursor)
    };
    for (at, text) in [(1, "a"), (2, "b"), (3, "c")] {
        say(at, text);
    }
    let (lines, cursor) = texts(cursor).await;
    assert_eq!(lines, ["a", "b", "c"]);
    say(3, "d");
    let (lines, cursor) = texts(cursor).await;
    assert_eq!(lines, ["d"], "of the same moment as the last");
    assert_eq!(texts(cursor).await.0, [""; 0]);
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[test]
fn only_what_app_runner_runs_is_handed_to_it() {
    let refusal = |repository: &str, architecture: &str| {
        agent().check(&image(repository, "one", architecture)).unwrap_err().to_string()
    };
    for (repository, architecture, expected) in [
        ("ghcr.io/o/agent", "amd64", "it takes images of ECR only, not of `ghcr.io`"),
        (
            "123456789012.dkr-ecr.eu-west-1.on.aws/agent",
            "amd64",
            "it takes images of ECR only, not of `123456789012.dkr-ecr.eu-west-1.on.aws`",
        ),
        (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/agent",
            "amd64",
            "it takes images of ECR only, not of `123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn`",
        ),
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a__b",
            "amd64",
            "it takes no repository called `a__b`",
        ),
        (REPOSITORY, "arm64", "it runs x86_64 only"),
    ] {
        let said = refusal(repository, architecture);
        assert!(said.starts_with("App Runner does not run"), "{said}");
        assert!(said.ends_with(expected), "{said}");
    }
    let public = image("public.ecr.aws/o/agent", "one", "amd64");
    assert_eq!(agent().check(&public), Ok(public.reference()));
}

#[test]
fn settings_that_app_runner_does_not_have_are_refused() {
    for (settings, expected) in [
        (
            &[("cpu", "1"), ("memory", "8192")][..],
            "App Runner has no 8192 MB of memory with 1 vCPU",
        ),
        (&[("cpu", "0.25")], "App Runner has no 2048 MB of memory with 0.25 vCPU"),
        (&[("cpu", "3")], "`3` is no value of `cpu`"),
        (&[("name", "abc")], "`abc` is no name for a service of App Runner"),
        (
            &[("ecr_role_arn", "arn:aws:iam::1:role/x")],
            "`ecr_role_arn` is no ARN of a role: `arn:aws:iam::1:role/x`",
        ),
        (&[("auto_scaling_min", "6")], "`auto_scaling_min` is 6, and `auto_scaling_max` only 5"),
        (&[("health_check_path", "health")], "`health_check_path` begins with `/`"),
    ] {
        let problems = target("app-runner", &workload(), settings).map(|_| ()).unwrap_err();
        assert_eq!(problems, [expected], "{settings:?}");
    }
    let arn = "arn:aws-us-gov:iam::123456789012:role/service-role/x";
    assert!(target("app-runner", &workload(), &[("ecr_role_arn", arn)]).is_ok());
}
