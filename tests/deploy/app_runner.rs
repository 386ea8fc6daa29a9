//! Deploying to App Runner.

use std::collections::BTreeMap;

use dockless::deploy::{
    DeployPlan, Deployment, LogQuery, Outcome, Probe, SecretValue, Target, Workload, carry_out,
    deploy,
};
use serde_json::json;

use crate::aws_target::{
    Surroundings, image, surroundings, target, workload, workload_with_secret,
};
use crate::fake::{Fault, Response, Running};
use crate::fakes::app_runner::AppRunner;
use crate::fakes::aws::{Aws, START, role_arn, secret_arn};

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
async fn an_update_that_was_rolled_back_is_no_success_though_the_service_runs() {
    let cloud = cloud().await;
    deployed(&cloud, &*agent(), "one").await.unwrap();
    cloud.with(|aws| aws.service.endings = vec!["ROLLBACK_SUCCEEDED"]);
    let deployment = deployed(&cloud, &*agent(), "two").await.unwrap();
    assert_eq!(deployment.outcome, Outcome::RolledBackByPlatform);
    assert_eq!(
        deployment.reason.as_deref(),
        Some(
            "UPDATE_SERVICE is ROLLBACK_SUCCEEDED: the service runs as before; its events are in the log \
             group that ends in `/service`"
        )
    );
    assert!(runs(&cloud, "one"));
    let writes = cloud.writes().len();
    // What is there is the image, but not in a good state.
    let again = deployed(&cloud, &*agent(), "one").await.unwrap();
    assert_eq!(again.outcome, Outcome::Deployed);
    assert_eq!(cloud.writes()[writes..], ["UpdateService"]);
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_service_that_could_not_be_created_is_built_again() {
    let cloud = cloud().await;
    cloud.with(|aws| aws.service.endings = vec!["FAILED"]);
    let failed = deployed(&cloud, &*agent(), "one").await.unwrap();
    assert_eq!(failed.outcome, Outcome::DeployedNotHealthy);
    let built = deployed(&cloud, &*agent(), "one").await.unwrap();
    assert_eq!(built.outcome, Outcome::Deployed);
    assert_eq!(cloud.writes().last().map(String::as_str), Some("UpdateService"));
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_nothing_is_made_twice() {
    for operation in ["CreateRole", "CreateAutoScalingConfiguration", "CreateService"] {
        let cloud = cloud().await;
        cloud.spoil(operation, Fault::LoseAnswer);
        let deployment = deployed(&cloud, &*agent(), "one").await.unwrap();
        assert_eq!(deployment.outcome, Outcome::Deployed, "{operation}");
        assert_eq!(
            cloud.writes(),
            ["CreateRole", "AttachRolePolicy", "CreateAutoScalingConfiguration", "CreateService"],
            "{operation}"
        );
        assert_eq!(cloud.wrong(), [""; 0]);
    }
}

#[tokio::test]
async fn an_operation_of_somebody_else_is_waited_for() {
    let cloud = cloud().await;
    deployed(&cloud, &*agent(), "one").await.unwrap();
    let busy = "Service cannot be updated in the current state: OPERATION_IN_PROGRESS.";
    let busy = Response::aws_error(400, "InvalidStateException", busy);
    cloud.spoil("UpdateService", Fault::Refuse(busy));
    let throttled = Response::aws_error(400, "ThrottlingException", "Rate exceeded");
    cloud.spoil("ListServices", Fault::Refuse(throttled));
    let deployment = deployed(&cloud, &*agent(), "two").await.unwrap();
    assert_eq!(deployment.outcome, Outcome::Deployed);
    assert_eq!(cloud.writes()[4..], ["UpdateService", "UpdateService", "TagResource"]);
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
async fn a_service_that_others_made_is_adopted_with_its_role() {
    let cloud = cloud().await;
    cloud.with(|aws| {
        let old = format!("{REPOSITORY}:latest");
        aws.service.add(&mut aws.account, "agent", &old, &role_arn("service-role/theirs"));
        let trust = "build.apprunner.amazonaws.com".to_owned();
        let role = crate::fakes::aws::Role { trust, ..Default::default() };
        aws.account.roles.insert("theirs".to_owned(), role);
    });
    let deployment = deployed(&cloud, &*agent(), "one").await.unwrap();
    assert_eq!(deployment.outcome, Outcome::Deployed);
    assert_eq!(cloud.writes(), ["CreateAutoScalingConfiguration", "UpdateService", "TagResource"]);
    let told = cloud.with(|aws| aws.service.services[0].told.clone());
    assert_eq!(
        told["SourceConfiguration"]["AuthenticationConfiguration"]["AccessRoleArn"],
        role_arn("service-role/theirs")
    );
    assert_eq!(told["SourceConfiguration"]["AutoDeploymentsEnabled"], false);
    // What we know nothing of stays.
    assert_eq!(
        told["HealthCheckConfiguration"],
        json!({"Protocol": "HTTP", "Path": "/health", "Interval": 7})
    );
    let again = deployed(&cloud, &*agent(), "one").await.unwrap();
    assert_eq!((again.outcome, cloud.writes().len()), (Outcome::Unchanged, 3));
    assert_eq!(cloud.wrong(), [""; 0]);
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
async fn secrets_are_kept_by_aws_and_a_new_value_restarts_the_service() {
    let cloud = cloud().await;
    let with_secret = |value| target("app-runner", &workload_with_secret(value), &[]).unwrap();
    deployed(&cloud, &*with_secret("canary-1"), "one").await.unwrap();
    assert_eq!(
        cloud.writes(),
        [
            "CreateRole",
            "AttachRolePolicy",
            "CreateRole",
            "PutRolePolicy",
            "CreateSecret",
            "CreateAutoScalingConfiguration",
            "CreateService",
        ]
    );
    let name = "dockless/agent/production/app-runner-agent/API_KEY";
    cloud.with(|aws| {
        let told = &aws.service.services[0].told;
        let configuration = &told["SourceConfiguration"]["ImageRepository"]["ImageConfiguration"];
        assert_eq!(
            configuration["RuntimeEnvironmentSecrets"],
            json!({"API_KEY": secret_arn(name)})
        );
        assert!(!told.to_string().contains("canary"));
        let role = &aws.account.roles["dockless-eu-west-1-agent-instance"];
        let policy = role.inline.values().next().unwrap();
        assert!(
            policy.contains("dockless/agent/production/app-runner-agent/API_KEY-??????"),
            "{policy}"
        );
    });
    let again = deployed(&cloud, &*with_secret("canary-1"), "one").await.unwrap();
    assert_eq!((again.outcome, cloud.writes().len()), (Outcome::Unchanged, 7));

    let changed = deployed(&cloud, &*with_secret("canary-2"), "one").await.unwrap();
    assert_eq!(changed.outcome, Outcome::Deployed);
    assert_eq!(cloud.writes()[7..], ["PutSecretValue", "StartDeployment", "TagResource"]);
    let again = deployed(&cloud, &*with_secret("canary-2"), "one").await.unwrap();
    assert_eq!((again.outcome, cloud.writes().len()), (Outcome::Unchanged, 10));

    deployed(&cloud, &*agent(), "one").await.unwrap();
    let removed = cloud.with(|aws| aws.account.secrets[name].is_removed);
    assert!(removed, "{:?}", cloud.writes());
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_restart_that_was_lost_is_made_up_for() {
    let cloud = cloud().await;
    let with_secret = |value| target("app-runner", &workload_with_secret(value), &[]).unwrap();
    deployed(&cloud, &*with_secret("canary-1"), "one").await.unwrap();
    let refused = Response::aws_error(400, "AccessDeniedException", "no");
    cloud.spoil("StartDeployment", Fault::Refuse(refused));
    deployed(&cloud, &*with_secret("canary-2"), "one").await.unwrap_err();
    deployed(&cloud, &*with_secret("canary-2"), "one").await.unwrap();
    let expected = ["PutSecretValue", "StartDeployment", "StartDeployment", "TagResource"];
    assert_eq!(cloud.writes()[7..], expected);
}

#[tokio::test]
async fn an_image_of_before_is_brought_back_and_hidden_values_stay_hidden() {
    let cloud = cloud().await;
    let hidden = dockless::deploy::Variable::Hidden(dockless::registry::Secret::new("canary"));
    let env = [("TOKEN".to_owned(), hidden)].into();
    let workload = dockless::deploy::Workload { env, ..workload() };
    let target = target("app-runner", &workload, &[]).unwrap();
    deployed(&cloud, &*target, "one").await.unwrap();
    deployed(&cloud, &*target, "two").await.unwrap();
    let around = around(&cloud);
    let before = image(REPOSITORY, "one", "amd64").reference();
    let plan = |observed: &_| {
        let plan = target.plan_rollback(Some(&before), observed)?;
        assert!(!format!("{plan:?}{}", plan.document()).contains("canary"));
        Ok(plan)
    };
    let (_, has_written) = carry_out(&*target, &around.session, &plan).await.unwrap();
    assert!(has_written && runs(&cloud, "one"));
    let told = cloud.with(|aws| aws.service.services[0].told.clone());
    let configuration = &told["SourceConfiguration"]["ImageRepository"]["ImageConfiguration"];
    assert_eq!(configuration["RuntimeEnvironmentVariables"], json!({"TOKEN": "canary"}));
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn all_that_was_made_is_removed_and_nothing_else() {
    let cloud = cloud().await;
    let target = target("app-runner", &workload_with_secret("canary"), &[]).unwrap();
    deployed(&cloud, &*target, "one").await.unwrap();
    let around = around(&cloud);
    let plan = |observed: &_| target.plan_destroy(observed);
    carry_out(&*target, &around.session, &plan).await.unwrap();
    cloud.with(|aws| {
        assert!(aws.service.services.is_empty());
        assert_eq!(aws.service.scaling.len(), 1, "the default one is there");
        assert!(aws.account.roles.is_empty(), "{:?}", aws.account.roles);
        assert!(aws.account.secrets.values().all(|secret| secret.is_removed));
    });
    // It can be made again at once: the secret is taken back.
    deployed(&cloud, &*target, "one").await.unwrap();
    assert!(cloud.writes().contains(&"RestoreSecret".to_owned()));
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_service_of_others_is_not_removed() {
    let cloud = cloud().await;
    cloud.with(|aws| {
        let role = role_arn("service-role/theirs");
        aws.service.add(&mut aws.account, "agent", &format!("{REPOSITORY}:1"), &role);
    });
    let around = around(&cloud);
    let target = agent();
    let plan = |observed: &_| target.plan_destroy(observed);
    let error = carry_out(&*target, &around.session, &plan).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "App Runner service `agent` in eu-west-1 is not tagged as one of dockless"
    );
    assert_eq!(cloud.writes(), [""; 0]);
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

#[tokio::test]
async fn a_secret_of_ours_that_the_config_names_by_its_arn_stays() {
    let cloud = cloud().await;
    let made = target("app-runner", &workload_with_secret("canary"), &[]).unwrap();
    deployed(&cloud, &*made, "one").await.unwrap();
    let name = "dockless/agent/production/app-runner-agent/API_KEY";
    let kept = SecretValue::Kept(secret_arn(name));
    let kept = Workload { secrets: [("API_KEY".to_owned(), kept)].into(), ..workload() };
    let kept = target("app-runner", &kept, &[]).unwrap();
    deployed(&cloud, &*kept, "one").await.unwrap();
    cloud.with(|aws| assert!(!aws.account.secrets[name].is_removed));
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_secret_that_is_taken_back_gets_the_value_that_is_wanted() {
    let cloud = cloud().await;
    let with = |value| target("app-runner", &workload_with_secret(value), &[]).unwrap();
    for value in ["canary-1", "canary-2"] {
        deployed(&cloud, &*with(value), "one").await.unwrap();
    }
    let (target, around) = (with("canary-2"), around(&cloud));
    let plan = |observed: &_| target.plan_destroy(observed);
    carry_out(&*target, &around.session, &plan).await.unwrap();
    // The value that the secret was created with.
    deployed(&cloud, &*with("canary-1"), "one").await.unwrap();
    let values = cloud.with(|aws| {
        let secret = &aws.account.secrets["dockless/agent/production/app-runner-agent/API_KEY"];
        secret.versions.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>()
    });
    assert_eq!(values, ["canary-1", "canary-2", "canary-1"]);
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn what_a_removal_left_over_is_found_without_the_service_and_without_values() {
    let cloud = cloud().await;
    let whole = target("app-runner", &workload_with_secret("canary"), &[]).unwrap();
    deployed(&cloud, &*whole, "one").await.unwrap();
    let unset = BTreeMap::from([("API_KEY".to_owned(), SecretValue::Unset)]);
    // Without a secret in the config, nothing needs the role of the container any more.
    for secrets in [unset, BTreeMap::new()] {
        let is_known = !secrets.is_empty();
        let target = target("app-runner", &Workload { secrets, ..workload() }, &[]).unwrap();
        let around = around(&cloud);
        cloud.spoil("DetachRolePolicy", Fault::LoseAnswer);
        let plan = |observed: &_| target.plan_destroy(observed);
        carry_out(&*target, &around.session, &plan).await.unwrap();
        cloud.with(|aws| {
            assert!(aws.account.roles.is_empty(), "{:?}", aws.account.roles);
            assert!(!is_known || aws.account.secrets.values().all(|secret| secret.is_removed));
        });
        deployed(&cloud, &*whole, "one").await.unwrap();
    }
}

#[tokio::test]
async fn members_of_a_wrong_type_are_replaced() {
    let cloud = cloud().await;
    deployed(&cloud, &*agent(), "one").await.unwrap();
    let around = around(&cloud);
    let mut observed = agent().observe(&around.session).await.unwrap();
    let raw = &mut observed.service.as_mut().unwrap().raw;
    raw["HealthCheckConfiguration"] = "x".into();
    raw["SourceConfiguration"]["ImageRepository"] = "x".into();
    let two = image(REPOSITORY, "two", "amd64");
    let body = |plan: DeployPlan| plan.steps[0].request.body.clone().unwrap();
    let sent = body(agent().plan(&two, &observed).unwrap());
    assert_eq!(sent["HealthCheckConfiguration"], json!({"Protocol": "HTTP", "Path": "/health"}));
    let sent = body(agent().plan_rollback(Some(&two.reference()), &observed).unwrap());
    assert_eq!(
        sent["SourceConfiguration"]["ImageRepository"],
        json!({"ImageIdentifier": two.reference(), "ImageRepositoryType": "ECR"})
    );
}

#[tokio::test]
async fn a_list_whose_pages_never_end_is_an_error() {
    let cloud = cloud().await;
    deployed(&cloud, &*agent(), "one").await.unwrap();
    let around = around(&cloud);
    let query = LogQuery { since_ms: START * 1000, cursor: None };
    let id = cloud.with(|aws| {
        aws.account.repeats_pages = true;
        aws.service.services[0].told["ServiceArn"].as_str().unwrap().to_owned()
    });
    let path = id.split_once(":service/").unwrap().1;
    let line = (format!("/aws/apprunner/{path}/application"), START * 1000 + 1, "hello".to_owned());
    cloud.with(|aws| aws.account.lines.push(line));
    let error = agent().logs(&query, &around.session).await.unwrap_err();
    assert_eq!(error.to_string(), "logs:FilterLogEvents: the list does not end after 2 pages");
    for _ in 0..2 {
        let page = json!({"ServiceSummaryList": [], "NextToken": "same"});
        cloud.spoil("ListServices", Fault::Refuse(Response::json(200, &page)));
    }
    let error = agent().observe(&around.session).await.unwrap_err();
    assert_eq!(error.to_string(), "apprunner:ListServices: the list does not end after 2 pages");
}
