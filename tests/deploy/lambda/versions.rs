//! Versions, and the alias that serves one of them.

use dockless::deploy::{DeployPlan, Outcome, State, Target, carry_out};

use super::{ROLE, World, digest, ended, image, target};
use crate::fakes::lambda::REGION;

#[tokio::test]
async fn traffic_that_somebody_has_split_is_brought_together() {
    let world = World::new().await;
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    world.deploy(&*target, &image("two")).await;
    world.writes();
    world.aws.with(|aws| {
        let function = aws.functions.get_mut("agent").unwrap();
        function.aliases.get_mut("live").unwrap().weights.insert("1".into(), 0.1.into());
    });
    let deployed = world.deploy(&*target, &image("two")).await;
    assert_eq!(ended(&deployed), (Outcome::Deployed, Some("2"), None));
    assert_eq!(world.writes(), ["PublishVersion", "UpdateAlias"]);
    world.aws.with(|aws| assert!(aws.functions["agent"].aliases["live"].weights.is_empty()));
}

#[tokio::test]
async fn what_serves_is_known_during_an_update() {
    let world = World::new().await;
    let target = target(ROLE);
    for content in ["one", "two"] {
        world.deploy(&*target, &image(content)).await;
    }
    world.aws.with(|aws| {
        let function = aws.functions.get_mut("agent").unwrap();
        function.latest["LastUpdateStatus"] = "InProgress".into();
    });
    let observed = target.observe(&world.session()).await.unwrap();
    let service = observed.service.as_ref().unwrap();
    let previous = service.previous.as_ref().and_then(|previous| previous.revision.as_deref());
    assert_eq!(
        (&service.state, service.revision.as_deref(), service.url.is_some(), previous),
        (&State::Updating("the update is in progress".into()), Some("2"), true, Some("1"))
    );
    assert_eq!(target.plan(&image("two"), &observed).unwrap(), DeployPlan::default());
    assert_eq!(target.plan_rollback(None, &observed).unwrap().steps.len(), 1);
}

#[tokio::test]
async fn the_alias_goes_back_to_the_version_before_at_once() {
    let world = World::new().await;
    let target = target(ROLE);
    for content in ["one", "two", "three"] {
        world.deploy(&*target, &image(content)).await;
    }
    world.writes();
    let back = |image: Option<String>| {
        let (target, session) = (&target, world.session());
        async move {
            let plan = |observed: &_| target.plan_rollback(image.as_deref(), observed);
            let (observed, has_written) = carry_out(&**target, &session, &plan).await.unwrap();
            let service = observed.service.unwrap();
            (service.revision.clone(), service.digest().map(|it| it.to_string()), has_written)
        }
    };
    assert_eq!(back(None).await, (Some("2".into()), Some(digest("two")), true));
    assert_eq!(world.writes(), ["UpdateAlias"]);
    let first = image("one").reference();
    assert_eq!(back(Some(first.clone())).await, (Some("1".into()), Some(digest("one")), true));
    assert_eq!(back(Some(first)).await, (Some("1".into()), Some(digest("one")), false));
    assert_eq!(world.writes(), ["UpdateAlias"]);
    let observed = target.observe(&world.session()).await.unwrap();
    // The tags of the function still say the third.
    let deployed = observed.service.as_ref().and_then(|it| it.ownership.image_digest.clone());
    assert_eq!(deployed.map(|hex| format!("sha256:{hex}")), Some(digest("one")));
    for (image, expected) in [
        (None, "there is no version before the one that serves"),
        (Some("r.io/a@sha256:00"), "it has no version of `r.io/a@sha256:00`"),
    ] {
        let error = target.plan_rollback(image, &observed).unwrap_err();
        assert_eq!(error.to_string(), format!("Lambda function `agent` in {REGION}: {expected}"));
    }
    // What serves again is found unchanged, and the newest image comes back without being sent again.
    let same = world.deploy(&*target, &image("one")).await;
    assert_eq!(ended(&same), (Outcome::Deployed, Some("1"), None));
    assert_eq!(world.writes(), ["TagResource"]);
    let forward = world.deploy(&*target, &image("three")).await;
    assert_eq!(ended(&forward), (Outcome::Deployed, Some("3"), None));
    assert_eq!(world.writes(), ["UpdateAlias", "PublishVersion", "UpdateAlias", "TagResource"]);
}

#[tokio::test]
async fn what_serves_is_well_whatever_became_of_a_version_that_does_not() {
    let world = World::new().await;
    let target = target(ROLE);
    for content in ["one", "two", "three"] {
        world.deploy(&*target, &image(content)).await;
    }
    world.aws.with(|aws| {
        let function = aws.functions.get_mut("agent").unwrap();
        function.aliases.get_mut("live").unwrap().version = "2".into();
        let (version, _) = function.versions.last_mut().unwrap();
        for configuration in [version, &mut function.latest] {
            configuration["State"] = "Inactive".into();
            configuration["StateReasonCode"] = "ImageDeleted".into();
        }
    });
    let same = world.deploy(&*target, &image("two")).await;
    assert_eq!(ended(&same), (Outcome::Deployed, Some("2"), None));
    let back = |observed: &_| target.plan_rollback(None, observed);
    let (observed, _) = carry_out(&*target, &world.session(), &back).await.unwrap();
    let service = observed.service.unwrap();
    assert_eq!((service.state, service.revision.as_deref()), (State::Ready, Some("1")));
}

#[tokio::test]
async fn a_version_that_came_to_nothing_is_left_behind_by_whoever_goes_back() {
    let state = async |world: &World, target: &dyn Target| {
        let service = target.observe(&world.session()).await.unwrap().service.unwrap();
        (service.state.name(), service.revision.unwrap())
    };
    let reason = "version 3: Lambda cannot run it: InvalidImage: no";
    for is_deployed in [true, false] {
        let world = World::new().await;
        let target = target(ROLE);
        for content in ["one", "two"] {
            world.deploy(&*target, &image(content)).await;
        }
        world.aws.with(|aws| aws.bad_version = Some(("InvalidImage", "no")));
        let failed = world.deploy(&*target, &image("three")).await;
        assert_eq!(ended(&failed), (Outcome::Failed, Some("2"), Some(reason)));
        assert_eq!(state(&world, &*target).await, ("failed", "2".to_owned()));
        world.writes();
        if is_deployed {
            let same = world.deploy(&*target, &image("two")).await;
            assert_eq!(ended(&same), (Outcome::Deployed, Some("2"), None));
            let again = world.deploy(&*target, &image("two")).await;
            assert_eq!(again.outcome, Outcome::Unchanged);
        } else {
            let back = |observed: &_| target.plan_rollback(None, observed);
            carry_out(&*target, &world.session(), &back).await.unwrap();
            assert_eq!(state(&world, &*target).await, ("ready", "1".to_owned()));
        }
        assert_eq!(world.writes(), ["UpdateAlias"]);
        // Who wants that version all the same is told again that it came to nothing, and it serves nobody.
        let failed = world.deploy(&*target, &image("three")).await;
        assert_eq!((failed.outcome, failed.reason.as_deref()), (Outcome::Failed, Some(reason)));
        assert_eq!(world.writes(), ["UpdateAlias", "PublishVersion"]);
    }
}
