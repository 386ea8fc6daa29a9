//! Services that others made, and what is removed.

use std::collections::BTreeMap;

use dockless::deploy::{Outcome, SecretValue, Workload, carry_out};
use serde_json::json;

use super::{REPOSITORY, agent, around, cloud, deployed};
use crate::aws_target::{target, workload, workload_with_secret};
use crate::fake::Fault;
use crate::fakes::aws::role_arn;

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
