//! Deployments of ECS Express Mode that never begin: nobody waits for them.

use dockless::deploy::{Outcome, Target, deploy};

use crate::aws_target::{
    Surroundings, image, surroundings, target, workload, workload_with_secret,
};
use crate::fake::{Fault, Response, Running};
use crate::fakes::aws::{Aws, START};
use crate::fakes::ecs_express::EcsExpress;

const REPOSITORY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent";
/// Nobody waits any longer for what did not begin, in seconds.
const PATIENCE: i64 = 330;

/// An account with a service that runs the image `one`, and was changed since its last deployment.
async fn changed() -> Running<Aws<EcsExpress>> {
    let cloud = Running::start(Aws::new(EcsExpress::new())).await;
    let agent = target("ecs-express", &workload(), &[]).unwrap();
    assert_eq!(deployed(&cloud, &*agent, "one").await.0, Outcome::Deployed);
    cloud.with(|aws| {
        aws.service.services.get_mut("agent").unwrap().updated_at = aws.account.now();
        aws.account.pass(1000);
    });
    cloud
}

/// How a deployment ended, and how many seconds it took.
async fn deployed(
    cloud: &Running<Aws<EcsExpress>>,
    target: &dyn Target,
    name: &str,
) -> (Outcome, i64) {
    let Surroundings { session, .. } = &surroundings(&cloud.url());
    let image = image(REPOSITORY, name, "amd64");
    let deployment = deploy(target, &image, session).await.unwrap();
    (deployment.outcome, session.clock.unix_seconds() - START)
}

#[tokio::test]
async fn a_write_that_was_not_done_is_made_again_at_once() {
    let agent = |value| target("ecs-express", &workload_with_secret(value), &[]).unwrap();
    let busy = Response::aws_error(400, "ConflictException", "it is being changed");
    for (broken, fault) in [
        ("UpdateExpressGatewayService", Fault::Cut),
        ("CreateSecret", Fault::Cut),
        ("UpdateExpressGatewayService", Fault::Refuse(busy)),
    ] {
        let cloud = changed().await;
        cloud.spoil(broken, fault);
        let (outcome, seconds) = deployed(&cloud, &*agent("canary"), "two").await;
        assert_eq!(outcome, Outcome::Deployed, "{broken}");
        assert!(seconds < PATIENCE, "{broken}: {seconds} s");
    }
}

#[tokio::test]
async fn a_change_that_begins_no_deployment_is_done_after_a_while() {
    let agent = |value, most: &str| {
        let settings = [("auto_scaling_max", most)];
        target("ecs-express", &workload_with_secret(value), &settings).unwrap()
    };
    for (value, most) in [("canary", "7"), ("canary-2", "5")] {
        let cloud = changed().await;
        deployed(&cloud, &*agent("canary", "5"), "two").await;
        cloud.with(|aws| (aws.service.is_thrifty, aws.service.lag_seconds) = (true, 5));
        let before = cloud.with(|aws| aws.service.services["agent"].deployments.len());
        let (outcome, seconds) = deployed(&cloud, &*agent(value, most), "two").await;
        assert_eq!(outcome, Outcome::Deployed, "{most}");
        assert!(seconds < PATIENCE, "{most}: {seconds} s");
        cloud.with(|aws| {
            let service = &aws.service.services["agent"];
            assert_eq!(service.deployments.len(), before);
            assert_eq!(
                service.revisions.last().unwrap()["scalingTarget"]["maxTaskCount"],
                most.parse::<u64>().unwrap()
            );
        });
    }
}
