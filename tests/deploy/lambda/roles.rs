//! Roles that functions run as.

use dockless::deploy::{Outcome, Workload, carry_out, deploy};

use super::{
    FIRST, ROLE, World, denied_by_iam, ended, image, target, target_for, target_in, workload,
};
use crate::fake::Fault;

#[tokio::test]
async fn a_role_is_made_when_asked_and_waited_for() {
    let world = World::new().await;
    world.aws.with(|aws| aws.unknown_role_tries = 3);
    let workload = Workload { creates_roles: true, ..workload() };
    let target = target_for("", &workload);
    let deployed = world.deploy(&*target, &image("one")).await;
    assert_eq!(ended(&deployed), (Outcome::Deployed, Some("1"), None));
    let mut expected = vec!["CreateRole", "AttachRolePolicy"];
    expected.extend(FIRST);
    assert_eq!(world.writes(), expected);
    let name = "dockless-eu-west-1-agent-production-agent-lambda";
    assert_eq!(*world.intents.0.lock().unwrap(), [&*format!("role {name}"), "function agent"]);
    world.aws.with(|aws| {
        let attached: Vec<_> = aws.roles[name].attached.iter().cloned().collect();
        let policy = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
        assert_eq!(attached, [policy]);
    });
    let again = world.deploy(&*target, &image("one")).await;
    assert_eq!((again.outcome, world.writes()), (Outcome::Unchanged, Vec::new()));
}

#[tokio::test]
async fn a_role_that_is_missing_is_explained() {
    let world = World::new().await;
    let target = target("");
    let error = deploy(&*target, &image("one"), &world.session()).await.unwrap_err();
    let name = "dockless-eu-west-1-agent-production-agent-lambda";
    assert_eq!(
        error.to_string(),
        format!("the execution role `{name}`, which lambda.amazonaws.com assumes, is missing")
    );
    assert_eq!((error.kind().exit_code(), world.writes()), (2, Vec::new()));
}

#[tokio::test]
async fn a_role_of_ours_goes_with_the_function_whatever_role_that_has() {
    let workload = Workload { creates_roles: true, ..workload() };
    for (settings, answer) in [("", Some(Fault::LoseAnswer)), (ROLE, None)] {
        let world = World::new().await;
        world.deploy(&*target_for("", &workload), &image("one")).await;
        let target = target_for(settings, &workload);
        world.deploy(&*target, &image("one")).await;
        world.writes();
        if let Some(answer) = answer {
            world.aws.spoil("DetachRolePolicy", answer);
        }
        let destroy = |observed: &_| target.plan_destroy(observed);
        carry_out(&*target, &world.session(), &destroy).await.unwrap();
        let left = world.aws.with(|aws| aws.roles.keys().cloned().collect::<Vec<_>>());
        assert_eq!(left, ["agent"], "{settings}");
    }
}

#[tokio::test]
async fn who_brings_a_role_need_not_look_at_others() {
    let world = World::new().await;
    world.aws.spoil("GetRole", denied_by_iam());
    assert!(target(ROLE).observe(&world.session()).await.is_ok());
    world.aws.spoil("GetRole", denied_by_iam());
    assert!(target("").observe(&world.session()).await.is_err());
}

#[tokio::test]
async fn a_role_is_of_one_region_and_stays_when_the_function_of_another_goes() {
    let world = World::new().await;
    let workload = Workload { creates_roles: true, ..workload() };
    world.deploy(&*target_for("", &workload), &image("one")).await;
    world.aws.with(|aws| aws.functions.clear());
    world.writes();
    let moved = target_in("us-east-1", "", &workload);
    let destroy = |observed: &_| moved.plan_destroy(observed);
    let (_, has_written) = carry_out(&*moved, &world.session(), &destroy).await.unwrap();
    assert!(!has_written);
    assert_eq!(world.writes(), [""; 0]);
    world.aws.with(|aws| {
        let name = "dockless-eu-west-1-agent-production-agent-lambda";
        assert!(aws.roles.contains_key(name), "{:?}", aws.roles);
    });
}
