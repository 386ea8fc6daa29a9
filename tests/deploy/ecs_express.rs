//! Deploying to ECS Express Mode.

use dockless::deploy::{
    Deployment, LogQuery, Outcome, Pull, SecretValue, Target, Variable, Workload, carry_out, deploy,
};
use dockless::error::ErrorKind;
use dockless::registry::Secret;
use serde_json::json;

use crate::aws_target::{
    image, surroundings, surroundings_at, target, workload, workload_with_secret,
};
use crate::fake::{Fault, Response, Running};
use crate::fakes::aws::{Aws, START, role_arn, secret_arn};
use crate::fakes::ecs_express::EcsExpress;

const REPOSITORY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent";
/// What a first deployment writes.
const FIRST: [&str; 5] = [
    "CreateRole",
    "AttachRolePolicy",
    "CreateRole",
    "AttachRolePolicy",
    "CreateExpressGatewayService",
];

async fn cloud() -> Running<Aws<EcsExpress>> {
    Running::start(Aws::new(EcsExpress::new())).await
}

fn agent() -> Box<dyn Target> {
    target("ecs-express", &workload(), &[]).unwrap()
}

async fn deployed(
    cloud: &Running<Aws<EcsExpress>>,
    target: &dyn Target,
    name: &str,
) -> dockless::error::Result<Deployment> {
    let around = surroundings(&cloud.url());
    deploy(target, &image(REPOSITORY, name, "amd64"), &around.session).await
}

/// Whether this image serves.
fn serves(cloud: &Running<Aws<EcsExpress>>, name: &str) -> bool {
    let wanted = image(REPOSITORY, name, "amd64").reference();
    cloud.with(|aws| {
        let service = &aws.service.services["agent"];
        service.revisions[service.serving.unwrap()]["primaryContainer"]["image"] == wanted.as_str()
    })
}

#[tokio::test]
async fn a_first_deployment_makes_all_that_is_needed_and_the_next_writes_nothing() {
    let cloud = cloud().await;
    let deployment = deployed(&cloud, &*agent(), "one").await.unwrap();
    assert_eq!(deployment.outcome, Outcome::Deployed);
    assert_eq!(deployment.url.as_deref(), Some("https://agent.ecs.eu-west-1.on.aws"));
    assert_eq!(cloud.writes(), FIRST);
    let written = cloud.with(|aws| aws.service.services["agent"].revisions[0].clone());
    assert_eq!(
        written,
        json!({
            "executionRoleArn": role_arn("dockless-eu-west-1-agent-execution"),
            "cpu": "1024",
            "memory": "2048",
            "cpuArchitecture": "X86_64",
            "healthCheckPath": "/health",
            "primaryContainer": {
                "image": image(REPOSITORY, "one", "amd64").reference(),
                "containerPort": 8080,
                "environment": [],
                "secrets": [],
            },
            "scalingTarget": {
                "minTaskCount": 1,
                "maxTaskCount": 5,
                "autoScalingMetric": "AVERAGE_CPU",
                "autoScalingTargetValue": 60,
            },
        })
    );
    let again = deployed(&cloud, &*agent(), "one").await.unwrap();
    assert_eq!((again.outcome, cloud.writes().len()), (Outcome::Unchanged, 5));

    let next = deployed(&cloud, &*agent(), "two").await.unwrap();
    assert_eq!(next.outcome, Outcome::Deployed);
    assert_eq!(cloud.writes()[5..], ["UpdateExpressGatewayService", "TagResource"]);
    assert!(serves(&cloud, "two"));
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn active_is_not_deployed_and_a_deployment_may_be_seen_late() {
    let cloud = cloud().await;
    cloud.with(|aws| aws.service.lag = 2);
    for name in ["one", "two"] {
        let deployment = deployed(&cloud, &*agent(), name).await.unwrap();
        assert_eq!(deployment.outcome, Outcome::Deployed, "{name}");
        assert!(serves(&cloud, name));
    }
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn an_update_that_was_rolled_back_is_no_success_though_the_service_is_active() {
    let cloud = cloud().await;
    deployed(&cloud, &*agent(), "one").await.unwrap();
    cloud.with(|aws| aws.service.endings = vec!["ROLLBACK_SUCCESSFUL"]);
    let deployment = deployed(&cloud, &*agent(), "two").await.unwrap();
    assert_eq!(deployment.outcome, Outcome::RolledBackByPlatform);
    assert_eq!(
        deployment.reason.as_deref(),
        Some(
            "the deployment is ROLLBACK_SUCCESSFUL: Service deployment rolled back because of alarms.; alarms: \
             agent-5xx"
        )
    );
    assert!(serves(&cloud, "one"));
    for ending in ["ROLLBACK_FAILED", "STOPPED"] {
        cloud.with(|aws| aws.service.endings = vec![ending]);
        let deployment = deployed(&cloud, &*agent(), "three").await.unwrap();
        assert_eq!(deployment.outcome, Outcome::Failed, "{ending}");
    }
    assert_eq!(deployed(&cloud, &*agent(), "four").await.unwrap().outcome, Outcome::Deployed);
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_missed_before_anything_is_written() {
    let cloud = cloud().await;
    cloud.with(|aws| aws.service.clusters = vec!["default", "agents"]);
    for (cluster, near) in [
        ("agent", "did you mean `cluster: agents`?"),
        ("production", "there are: `default`, `agents`"),
    ] {
        let target = target("ecs-express", &workload(), &[("cluster", cluster)]).unwrap();
        let error = deployed(&cloud, &*target, "one").await.unwrap_err();
        let make = format!(
            "make it: `aws ecs create-cluster --cluster-name {cluster} --region eu-west-1`, or leave `cluster` \
             out"
        );
        assert_eq!(error.to_string(), format!("the cluster `{cluster}` in eu-west-1 is missing"));
        assert_eq!((error.hints(), error.kind()), (vec![near.to_owned(), make], ErrorKind::Usage));
    }
    assert_eq!((cloud.writes(), cloud.wrong()), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn the_memory_of_a_deleted_service_is_no_service() {
    let cloud = cloud().await;
    cloud.with(|aws| aws.service.add_inactive("agent"));
    let deployment = deployed(&cloud, &*agent(), "one").await.unwrap();
    assert_eq!(deployment.outcome, Outcome::Deployed);
    assert_eq!(cloud.writes(), FIRST);
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_nothing_is_made_twice() {
    let cloud = cloud().await;
    cloud.spoil("CreateExpressGatewayService", Fault::LoseAnswer);
    cloud.spoil("AttachRolePolicy", Fault::LoseAnswer);
    let deployment = deployed(&cloud, &*agent(), "one").await.unwrap();
    assert_eq!(
        (deployment.outcome, cloud.writes()),
        (Outcome::Deployed, FIRST.map(str::to_owned).to_vec())
    );

    cloud.spoil("UpdateExpressGatewayService", Fault::LoseAnswer);
    let deployment = deployed(&cloud, &*agent(), "two").await.unwrap();
    assert_eq!(deployment.outcome, Outcome::Deployed);
    assert_eq!(cloud.writes()[5..], ["UpdateExpressGatewayService", "TagResource"]);
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_role_that_is_new_is_not_known_at_once_and_a_throttled_question_is_asked_again() {
    let cloud = cloud().await;
    cloud.with(|aws| aws.account.role_lag = 3);
    let throttled = Response::aws_error(400, "ThrottlingException", "Rate exceeded");
    cloud.spoil("DescribeServices", Fault::Refuse(throttled));
    assert_eq!(deployed(&cloud, &*agent(), "one").await.unwrap().outcome, Outcome::Deployed);
    let target =
        target("ecs-express", &Workload { creates_roles: false, ..workload() }, &[("name", "b")]);
    let error = deployed(&cloud, &*target.unwrap(), "one").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the execution role `dockless-eu-west-1-b-execution`, which ecs-tasks.amazonaws.com assumes, and the \
         infrastructure role `dockless-eu-west-1-b-infrastructure`, which ecs.amazonaws.com assumes, are missing"
    );
}

#[tokio::test]
async fn secrets_are_kept_by_aws_and_a_new_value_makes_new_tasks() {
    let cloud = cloud().await;
    let with_secret = |value| target("ecs-express", &workload_with_secret(value), &[]).unwrap();
    deployed(&cloud, &*with_secret("canary-1"), "one").await.unwrap();
    let name = "dockless/agent/production/ecs-express-agent/API_KEY";
    let written = cloud.with(|aws| aws.service.services["agent"].revisions[0].clone());
    assert_eq!(
        written["primaryContainer"]["secrets"],
        json!([{"name": "API_KEY", "valueFrom": secret_arn(name)}])
    );
    let before = cloud.writes().len();
    let again = deployed(&cloud, &*with_secret("canary-1"), "one").await.unwrap();
    assert_eq!((again.outcome, cloud.writes().len()), (Outcome::Unchanged, before));
    deployed(&cloud, &*with_secret("canary-2"), "one").await.unwrap();
    assert_eq!(
        cloud.writes()[before..],
        ["PutSecretValue", "UpdateExpressGatewayService", "TagResource"]
    );
    let before = cloud.writes().len();
    deployed(&cloud, &*agent(), "one").await.unwrap();
    assert_eq!(
        cloud.writes()[before..],
        [
            "DeleteRolePolicy",
            "UpdateExpressGatewayService",
            "TagResource",
            "UntagResource",
            "DeleteSecret"
        ]
    );
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_private_registry_is_pulled_from_with_a_secret() {
    let cloud = cloud().await;
    let password = Secret::new("canary");
    let pull = Pull::Password { username: "bob".into(), password };
    let target = target("ecs-express", &Workload { pull: Some(pull), ..workload() }, &[]).unwrap();
    let around = surroundings(&cloud.url());
    let image = image("ghcr.io/o/agent", "one", "arm64");
    let deployment = deploy(&*target, &image, &around.session).await.unwrap();
    assert_eq!(deployment.outcome, Outcome::Deployed);
    cloud.with(|aws| {
        let written = &aws.service.services["agent"].revisions[0];
        assert_eq!(written["cpuArchitecture"], "ARM64");
        assert_eq!(
            written["primaryContainer"]["repositoryCredentials"],
            json!({"credentialsParameter": secret_arn("dockless/agent/production/ecs-express-agent/@pull")})
        );
        let secret = &aws.account.secrets["dockless/agent/production/ecs-express-agent/@pull"];
        assert_eq!(secret.versions[0].1, r#"{"password":"canary","username":"bob"}"#);
    });
    let again = deploy(&*target, &image, &around.session).await.unwrap();
    assert_eq!(again.outcome, Outcome::Unchanged);
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn what_was_served_before_is_brought_back() {
    let cloud = cloud().await;
    let env = [("TOKEN".to_owned(), Variable::Hidden(Secret::new("canary")))].into();
    let target = target("ecs-express", &Workload { env, ..workload() }, &[]).unwrap();
    deployed(&cloud, &*target, "one").await.unwrap();
    deployed(&cloud, &*target, "two").await.unwrap();
    let around = surroundings(&cloud.url());
    let plan = |observed: &_| {
        let plan = target.plan_rollback(None, observed)?;
        assert!(!format!("{plan:?}{}", plan.document()).contains("canary"));
        Ok(plan)
    };
    let before = cloud.writes().len();
    carry_out(&*target, &around.session, &plan).await.unwrap();
    assert!(serves(&cloud, "one"));
    assert_eq!(cloud.writes()[before..], ["UpdateExpressGatewayService", "TagResource"]);
    let written = cloud.with(|aws| aws.service.services["agent"].revisions[2].clone());
    assert_eq!(
        written["primaryContainer"]["environment"],
        json!([{"name": "TOKEN", "value": "canary"}])
    );
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_deployment_that_goes_on_is_taken_back() {
    let cloud = cloud().await;
    deployed(&cloud, &*agent(), "one").await.unwrap();
    let around = surroundings(&cloud.url());
    let target = agent();
    let two = image(REPOSITORY, "two", "amd64");
    let observed = target.observe(&around.session).await.unwrap();
    cloud.with(|aws| aws.service.looks = 100);
    let mut update = target.plan(&two, &observed).unwrap();
    update.steps.truncate(1);
    target.apply(&update, &around.session).await.unwrap();
    let observed = target.observe(&around.session).await.unwrap();
    let plan = target.plan_rollback(None, &observed).unwrap();
    let titles: Vec<_> = plan.steps.iter().map(|step| step.request.title()).collect();
    assert_eq!(titles, ["ecs:StopServiceDeployment"]);
    target.apply(&plan, &around.session).await.unwrap();
    cloud.with(|aws| {
        let service = aws.service.services.get_mut("agent").unwrap();
        assert_eq!(service.deployments.last().unwrap().status, "ROLLBACK_REQUESTED");
    });
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn all_that_was_made_is_removed_once_the_service_is_gone() {
    let cloud = cloud().await;
    let target = target("ecs-express", &workload_with_secret("canary"), &[]).unwrap();
    deployed(&cloud, &*target, "one").await.unwrap();
    let before = cloud.writes().len();
    let around = surroundings(&cloud.url());
    let plan = |observed: &_| target.plan_destroy(observed);
    carry_out(&*target, &around.session, &plan).await.unwrap();
    cloud.with(|aws| {
        assert_eq!(aws.service.services["agent"].status, "INACTIVE");
        assert!(aws.account.roles.is_empty(), "{:?}", aws.account.roles);
        assert!(aws.account.secrets.values().all(|secret| secret.is_removed));
    });
    assert_eq!(cloud.writes()[before], "DeleteExpressGatewayService");
    let again = deployed(&cloud, &*target, "one").await.unwrap();
    assert_eq!(again.outcome, Outcome::Deployed);
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_service_of_another_environment_is_left_alone() {
    let cloud = cloud().await;
    deployed(&cloud, &*agent(), "one").await.unwrap();
    let staging = Workload { environment: "staging".into(), ..workload() };
    let staging = target("ecs-express", &staging, &[]).unwrap();
    let error = deployed(&cloud, &*staging, "two").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ECS Express service `agent` in eu-west-1/default is of the project `agent`, environment `production`"
    );
    // One that says of nobody that it is his is adopted, and keeps what is there.
    cloud.with(|aws| aws.service.services.get_mut("agent").unwrap().tags.clear());
    let before = cloud.writes().len();
    assert_eq!(deployed(&cloud, &*agent(), "one").await.unwrap().outcome, Outcome::Deployed);
    assert_eq!(cloud.writes()[before..], ["TagResource"]);
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn the_lines_of_a_service_come_from_the_group_that_ecs_made() {
    let cloud = cloud().await;
    deployed(&cloud, &*agent(), "one").await.unwrap();
    cloud.with(|aws| {
        let line = ("/aws/ecs/default/agent".to_owned(), START * 1000 + 1, "hello".to_owned());
        aws.account.lines.push(line);
    });
    let around = surroundings(&cloud.url());
    let query = LogQuery { since_ms: START * 1000, cursor: None };
    let (lines, _) = agent().logs(&query, &around.session).await.unwrap();
    let lines: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines, ["hello"]);
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[test]
fn settings_that_ecs_does_not_have_are_refused() {
    for (settings, expected) in [
        (&[("cpu", "1"), ("memory", "16384")][..], "Fargate has no 16384 MB of memory with 1 vCPU"),
        (&[("name", "a b")], "`a b` is no name that ECS takes"),
        (&[("auto_scaling_target", "101")], "`auto_scaling_target` is 101 percent"),
        (
            &[("auto_scaling_max", "1"), ("auto_scaling_min", "2")],
            "`auto_scaling_min` is 2, and `auto_scaling_max` only 1",
        ),
    ] {
        let problems = target("ecs-express", &workload(), settings).map(|_| ()).unwrap_err();
        assert_eq!(problems, [expected], "{settings:?}");
    }
    let arm = target("ecs-express", &workload(), &[("architecture", "arm64")]).unwrap();
    let error = arm.check(&image(REPOSITORY, "one", "amd64")).unwrap_err();
    assert!(error.to_string().ends_with("`architecture` is arm64, and the image has none for it"));
}

#[tokio::test]
async fn a_secret_of_ours_that_the_config_names_by_its_arn_stays() {
    let cloud = cloud().await;
    let made = target("ecs-express", &workload_with_secret("canary"), &[]).unwrap();
    deployed(&cloud, &*made, "one").await.unwrap();
    let name = "dockless/agent/production/ecs-express-agent/API_KEY";
    let kept = SecretValue::Kept(secret_arn(name));
    let kept = Workload { secrets: [("API_KEY".to_owned(), kept)].into(), ..workload() };
    let kept = target("ecs-express", &kept, &[]).unwrap();
    deployed(&cloud, &*kept, "one").await.unwrap();
    cloud.with(|aws| assert!(!aws.account.secrets[name].is_removed));
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_deployment_of_ours_is_waited_for_however_late_it_is_seen() {
    let cloud = cloud().await;
    deployed(&cloud, &*agent(), "one").await.unwrap();
    cloud.with(|aws| (aws.service.lag, aws.service.lag_seconds) = (6, 60));
    // The image stays, so that it tells nothing.
    let larger = target("ecs-express", &workload(), &[("memory", "4096")]).unwrap();
    let deployment = deployed(&cloud, &*larger, "one").await.unwrap();
    assert_eq!(deployment.outcome, Outcome::Deployed);
    assert_eq!(cloud.writes()[5..], ["UpdateExpressGatewayService", "TagResource"]);
    cloud.with(|aws| {
        let service = &aws.service.services["agent"];
        assert_eq!(service.revisions[service.serving.unwrap()]["memory"], "4096");
    });
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_clock_that_is_ahead_hides_no_deployment_that_is_seen_late() {
    let cloud = cloud().await;
    cloud.with(|aws| (aws.service.lag, aws.service.endings) = (3, vec!["ROLLBACK_FAILED"]));
    let ahead = surroundings_at(&cloud.url(), START + 200);
    let one = image(REPOSITORY, "one", "amd64");
    let deployment = deploy(&*agent(), &one, &ahead.session).await.unwrap();
    assert_ne!(deployment.outcome, Outcome::Deployed);
    cloud.with(|aws| assert_eq!(aws.service.services["agent"].serving, None));
}

#[tokio::test]
async fn the_tags_of_a_service_tell_what_runs_and_not_what_was_taken_back() {
    let cloud = cloud().await;
    deployed(&cloud, &*agent(), "one").await.unwrap();
    let tags = || cloud.with(|aws| aws.service.services["agent"].tags.clone());
    let before = tags();
    cloud.with(|aws| aws.service.endings = vec!["ROLLBACK_SUCCESSFUL"]);
    let deployment = deployed(&cloud, &*agent(), "two").await.unwrap();
    assert_eq!((deployment.outcome, tags()), (Outcome::RolledBackByPlatform, before));
}

#[tokio::test]
async fn what_a_removal_left_over_is_found_without_the_service_and_without_values() {
    let cloud = cloud().await;
    let whole = target("ecs-express", &workload_with_secret("canary"), &[]).unwrap();
    deployed(&cloud, &*whole, "one").await.unwrap();
    let unset = [("API_KEY".to_owned(), SecretValue::Unset)].into();
    let unset = Workload { secrets: unset, ..workload() };
    let target = target("ecs-express", &unset, &[]).unwrap();
    cloud.spoil("DetachRolePolicy", Fault::LoseAnswer);
    let around = surroundings(&cloud.url());
    let plan = |observed: &_| target.plan_destroy(observed);
    carry_out(&*target, &around.session, &plan).await.unwrap();
    cloud.with(|aws| {
        assert!(aws.account.roles.is_empty(), "{:?}", aws.account.roles);
        assert!(aws.account.secrets.values().all(|secret| secret.is_removed));
    });
}
