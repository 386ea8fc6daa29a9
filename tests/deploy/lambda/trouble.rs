//! What goes wrong at Lambda, or on the way there.

use dockless::deploy::Outcome;
use serde_json::json;

use super::{FIRST, ROLE, World, ended, image, target};
use crate::fake::{Fault, Response};

#[tokio::test]
async fn an_image_that_lambda_cannot_run_serves_nobody() {
    let world = World::new().await;
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    world.writes();
    world.aws.with(|aws| {
        aws.reads = 1;
        aws.bad_ending = Some(("InvalidImage", "UnsupportedImageLayerDetected"));
    });
    let failed = world.deploy(&*target, &image("two")).await;
    let reason = "the update failed: InvalidImage: UnsupportedImageLayerDetected";
    assert_eq!(ended(&failed), (Outcome::Failed, Some("1"), Some(reason)));
    assert_eq!(world.writes(), ["UpdateFunctionCode"]);
    let mended = world.deploy(&*target, &image("two")).await;
    assert_eq!(ended(&mended), (Outcome::Deployed, Some("2"), None));
}

#[tokio::test]
async fn a_function_that_cannot_start_is_said_to_be_there_and_not_well() {
    let world = World::new().await;
    let ending = ("FunctionError.InvalidEntryPoint", "no such file");
    world.aws.with(|aws| (aws.reads, aws.bad_ending) = (2, Some(ending)));
    let target = target(ROLE);
    let failed = world.deploy(&*target, &image("one")).await;
    let reason = "Lambda cannot run it: FunctionError.InvalidEntryPoint: no such file";
    assert_eq!(ended(&failed), (Outcome::DeployedNotHealthy, None, Some(reason)));
    assert_eq!(world.writes(), ["CreateFunction"]);
    let mended = world.deploy(&*target, &image("two")).await;
    assert_eq!(ended(&mended), (Outcome::Deployed, Some("1"), None));
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_nothing_is_made_twice() {
    for lost in [
        "POST /2015-03-31/functions",
        "POST /2015-03-31/functions/agent/versions",
        "POST /2015-03-31/functions/agent/aliases",
        "POST /2021-10-31/functions/agent/url",
        "POST /2015-03-31/functions/agent/policy",
    ] {
        let world = World::new().await;
        world.aws.with(|aws| aws.reads = 1);
        world.aws.spoil(lost, Fault::LoseAnswer);
        let deployed = world.deploy(&*target(ROLE), &image("one")).await;
        assert_eq!(ended(&deployed), (Outcome::Deployed, Some("1"), None), "{lost}");
        let mut writes = world.writes();
        // Publishing what is published already gives the same version again.
        writes.dedup();
        let mut first = FIRST.to_vec();
        first.dedup();
        assert_eq!(writes, first, "{lost}");
        world.aws.with(|aws| {
            let function = &aws.functions["agent"];
            assert_eq!((function.versions.len(), function.policies["live"].len()), (1, 2));
        });
    }
}

#[tokio::test]
async fn what_goes_on_there_is_waited_for() {
    let world = World::new().await;
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    let busy = Response::aws_error(
        409,
        "ResourceConflictException",
        "The operation cannot be performed at this time. An update is in progress for resource",
    );
    let changed = Response::aws_error(
        412,
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id.",
    );
    let throttled = Response::aws_error(429, "TooManyRequestsException", "Rate Exceeded.");
    let update = "PUT /2015-03-31/functions/agent/code";
    for refusal in [busy, changed, throttled] {
        world.aws.spoil(update, Fault::Refuse(refusal));
    }
    let deployed = world.deploy(&*target, &image("two")).await;
    assert_eq!(ended(&deployed), (Outcome::Deployed, Some("2"), None));
}

#[tokio::test]
async fn a_permission_that_is_refused_during_an_update_is_added_after_it() {
    let world = World::new().await;
    let busy = Response::aws_error(
        409,
        "ResourceConflictException",
        "The operation cannot be performed at this time. An update is in progress for resource: \
         arn:aws:lambda:eu-west-1:123456789012:function:agent",
    );
    for _ in 0..2 {
        let add = "POST /2015-03-31/functions/agent/policy";
        world.aws.spoil(add, Fault::Refuse(busy.clone()));
    }
    let deployed = world.deploy(&*target(ROLE), &image("one")).await;
    assert_eq!(ended(&deployed), (Outcome::Deployed, Some("1"), None));
    let allowed = world.aws.with(|aws| {
        let statements = aws.functions["agent"].policies["live"].iter();
        statements.map(|statement| statement["Sid"].clone()).collect::<Vec<_>>()
    });
    assert_eq!(allowed, ["dockless-url", "dockless-url-invoke"]);
}

#[tokio::test]
async fn a_page_without_its_list_is_not_an_empty_one() {
    let world = World::new().await;
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    let page = Fault::Refuse(Response::json(200, &json!({})));
    world.aws.spoil("GET /2015-03-31/functions/agent/versions", page);
    let error = target.observe(&world.session()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GET /2015-03-31/functions/agent/versions: the answer has no list `Versions`"
    );
}

#[tokio::test]
async fn pages_that_lead_back_are_not_followed() {
    let world = World::new().await;
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    let versions = "GET /2015-03-31/functions/agent/versions";
    for next in ["1", "2", "1"] {
        let body = json!({"Versions": [], "NextMarker": next});
        world.aws.spoil(versions, Fault::Refuse(Response::json(200, &body)));
    }
    let error = target.observe(&world.session()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{versions}?Marker=2: the list does not end after 3 pages")
    );
}
