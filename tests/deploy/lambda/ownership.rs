//! Whose a function is: adopted, left alone, removed; and whose its log.

use dockless::deploy::{LogQuery, Outcome, Workload, carry_out, deploy};
use serde_json::json;

use super::{ROLE, World, denied_by_iam, ended, image, target, target_for, workload};
use crate::fake::{Fault, Response};
use crate::fakes::lambda::Log;

/// The log that Lambda makes for the function.
const LOG: &str = "/aws/lambda/agent";

#[tokio::test]
async fn a_function_that_jvbundler_made_is_adopted() {
    let world = World::new().await;
    let target = target("memory: 512\n");
    // As jvbundler leaves it: no tags, no versions, no alias, a tag for an image.
    let workload = Workload { env: [].into(), secrets: [].into(), ..workload() };
    let made = target_for(&format!("{ROLE}memory: 512\n"), &workload);
    world.deploy(&*made, &image("one")).await;
    world.aws.with(|aws| {
        let function = aws.functions.get_mut("agent").unwrap();
        function.tags.clear();
        function.versions.clear();
        function.aliases.clear();
        function.urls.clear();
        function.policies.clear();
        aws.writes.clear();
    });
    let deployed = world.deploy(&*target, &image("two")).await;
    assert_eq!(ended(&deployed), (Outcome::Deployed, Some("1"), None));
    assert_eq!(
        world.writes(),
        [
            "UpdateFunctionCode",
            "UpdateFunctionConfiguration",
            "PublishVersion",
            "CreateAlias",
            "CreateFunctionUrlConfig",
            "AddPermission",
            "AddPermission",
            "TagResource",
        ]
    );
    let again = world.deploy(&*target, &image("two")).await;
    assert_eq!((again.outcome, world.writes()), (Outcome::Unchanged, Vec::new()));
}

#[tokio::test]
async fn what_is_somebody_elses_is_left_alone() {
    let world = World::new().await;
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    world.writes();
    let spoil = |key: &str, value: &str| {
        world.aws.with(|aws| {
            let function = aws.functions.get_mut("agent").unwrap();
            function.tags.insert(key.to_owned(), value.into());
        });
    };
    spoil("dockless-environment", "staging");
    let error = deploy(&*target, &image("two"), &world.session()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Lambda function `agent` in eu-west-1 is of the project `agent`, environment `staging`"
    );
    spoil("managed-by", "terraform");
    let observed = target.observe(&world.session()).await.unwrap();
    let error = target.plan_destroy(&observed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Lambda function `agent` in eu-west-1 is not tagged as one of dockless"
    );
    let error = deploy(&*target, &image("two"), &world.session()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Lambda function `agent` in eu-west-1 is managed by `terraform`, as its tag `managed-by` says"
    );
    spoil("managed-by", "jvbundler");
    world.aws.with(|aws| {
        let function = aws.functions.get_mut("agent").unwrap();
        function.latest["PackageType"] = "Zip".into();
    });
    let error = deploy(&*target, &image("two"), &world.session()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Lambda function `agent` in eu-west-1: it is made from a zip archive, and can never become one \
         from an image"
    );
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test]
async fn what_is_ours_is_removed_and_nothing_else() {
    let world = World::new().await;
    let workload = Workload { creates_roles: true, ..workload() };
    let target = target_for("api_gateway: true\n", &workload);
    world.deploy(&*target, &image("one")).await;
    world.writes();
    world.aws.with(|aws| aws.logs.insert(LOG.into(), Log::default()));
    let destroy = |observed: &_| target.plan_destroy(observed);
    let session = world.session().removing(true);
    let (observed, _) = carry_out(&*target, &session, &destroy).await.unwrap();
    assert_eq!(observed.service, None);
    assert_eq!(
        world.writes(),
        [
            "DeleteApi",
            "TagResource",
            "DeleteFunction",
            "DeleteLogGroup",
            "DetachRolePolicy",
            "DeleteRole",
        ]
    );
    world.aws.with(|aws| {
        assert!(aws.functions.is_empty() && aws.apis.is_empty() && aws.logs.is_empty());
        assert_eq!(aws.roles.keys().collect::<Vec<_>>(), ["agent"]);
    });
    let (_, has_written) = carry_out(&*target, &session, &destroy).await.unwrap();
    assert!(!has_written);
}

#[tokio::test]
async fn a_removal_that_was_broken_off_is_gone_on_with() {
    let workload = Workload { creates_roles: true, ..workload() };
    let delete = "DELETE /2015-03-31/functions/agent";
    for (broken, left) in [
        (delete, &["DeleteFunction", "DeleteLogGroup"][..]),
        ("DeleteLogGroup", &["DeleteLogGroup"]),
        ("DetachRolePolicy", &[]),
    ] {
        let world = World::new().await;
        world.deploy(&*target_for("api_gateway: true\n", &workload), &image("one")).await;
        world.aws.with(|aws| aws.logs.insert(LOG.into(), Log::default()));
        // Neither API nor role are what the config says by now.
        let target = target_for(ROLE, &workload);
        let denied = match broken {
            "DetachRolePolicy" => denied_by_iam(),
            _ => Fault::Refuse(Response::aws_error(403, "AccessDeniedException", "not now")),
        };
        world.aws.spoil(broken, denied);
        let destroy = |observed: &_| target.plan_destroy(observed);
        let session = world.session().removing(true);
        assert!(carry_out(&*target, &session, &destroy).await.is_err(), "{broken}");
        world.writes();
        carry_out(&*target, &session, &destroy).await.unwrap();
        assert_eq!(world.writes(), [left, &["DetachRolePolicy", "DeleteRole"]].concat());
        world.aws.with(|aws| {
            assert!(aws.functions.is_empty() && aws.apis.is_empty() && aws.logs.is_empty());
            assert_eq!(aws.roles.keys().collect::<Vec<_>>(), ["agent"]);
        });
    }
}

#[tokio::test]
async fn a_log_that_nobody_says_is_ours_stays() {
    let world = World::new().await;
    world.aws.with(|aws| aws.logs.insert(LOG.into(), Log::default()));
    let target = target(ROLE);
    let destroy = |observed: &_| target.plan_destroy(observed);
    let (_, has_written) = carry_out(&*target, &world.session(), &destroy).await.unwrap();
    assert!(!has_written);
    // Who may see neither logs nor APIs is not kept from deploying.
    let denied = Response::aws_error(403, "AccessDeniedException", "not you");
    for operation in ["ListTagsForResource", "GET /v2/apis"] {
        world.aws.spoil(operation, Fault::Refuse(denied.clone()));
    }
    let deployed = world.deploy(&*target, &image("one")).await;
    assert_eq!(deployed.outcome, Outcome::Deployed);
}

#[tokio::test]
async fn a_log_that_somebody_else_made_outlives_the_function_with_its_tags() {
    let terraform = json!({"managed-by": "terraform"});
    let team = json!({"Team": "agents"});
    let denied = Response::aws_error(403, "AccessDeniedException", "not you");
    for (tags, fault, why) in [
        (terraform, None, "its tags are not ours"),
        (team, None, "its tags are not ours"),
        (
            json!({}),
            Some(Fault::Refuse(denied)),
            "whose it is could not be seen (`logs:ListTagsForResource`)",
        ),
    ] {
        let world = World::new().await;
        let target = target(ROLE);
        world.deploy(&*target, &image("one")).await;
        let tags = tags.as_object().unwrap();
        let log = Log { tags: tags.clone().into_iter().collect(), ..Log::default() };
        world.aws.with(|aws| aws.logs.insert(LOG.into(), log));
        world.writes();
        if let Some(fault) = fault {
            world.aws.spoil("ListTagsForResource", fault);
        }
        let session = world.session().removing(true);
        let observed = target.observe(&session).await.unwrap();
        let plan = target.plan_destroy(&observed).unwrap();
        assert_eq!(plan.notes, [format!("the log group `{LOG}` stays: {why}")]);
        target.apply(&plan, &session).await.unwrap();
        assert_eq!(world.writes(), ["DeleteFunctionUrlConfig", "DeleteFunction"]);
        world.aws.with(|aws| {
            let left = &aws.logs[LOG].tags;
            assert!(left.iter().eq(tags.iter()), "{left:?}");
        });
    }
}

#[tokio::test]
async fn the_log_of_a_function_that_never_ran_is_empty() {
    let world = World::new().await;
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    let texts = async || {
        let (lines, _) = target.logs(&LogQuery::default(), &world.session()).await.unwrap();
        lines.into_iter().map(|line| (line.at_ms, line.text)).collect::<Vec<_>>()
    };
    assert_eq!(texts().await, []);
    let event = json!({"eventId": "1", "timestamp": 5, "message": "hello\n"});
    let log = Log { events: vec![event], ..Log::default() };
    world.aws.with(|aws| aws.logs.insert(LOG.into(), log));
    assert_eq!(texts().await, [(5, "hello".to_owned())]);
}
