//! What goes wrong at App Runner, and is made good or told.

use dockless::deploy::{DeployPlan, LogQuery, Outcome};
use serde_json::json;

use super::{REPOSITORY, agent, around, cloud, deployed, runs};
use crate::aws_target::{image, target, workload_with_secret};
use crate::fake::{Fault, Response};
use crate::fakes::aws::START;

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
