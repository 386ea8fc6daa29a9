//! Two runs that deploy at the same time: nothing is made twice, and each is told the truth.

use dockless::deploy::{Deployment, Outcome, Workload, deploy};
use dockless::error::Error;

use super::{ROLE, World, digest, ended, image, target, target_for, workload};
use crate::fakes::lambda::Aws;

/// What another run does to the function of these stories.
fn beside(doing: fn(&mut Aws, &str, &str)) -> impl FnOnce(&mut Aws) + Send {
    move |aws| doing(aws, "agent", &image("three").reference())
}

/// The digest that serves.
fn serving(world: &World) -> String {
    world.aws.with(|aws| {
        let function = &aws.functions["agent"];
        let version: usize = function.aliases["live"].version.parse().unwrap();
        function.versions[version - 1].1.split_once('@').unwrap().1.to_owned()
    })
}

#[tokio::test]
async fn who_is_overtaken_says_so_and_does_not_fight() {
    let world = World::new().await;
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    world.writes();
    let tag =
        "POST /2017-03-31/tags/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Aagent";
    world.aws.meanwhile(tag, beside(Aws::serve_image));
    let overtaken = world.deploy(&*target, &image("two")).await;
    let reason = format!("another deployment put `{}` there meanwhile", image("three").reference());
    assert_eq!(ended(&overtaken), (Outcome::Failed, Some("3"), Some(&*reason)));
    assert_eq!(
        world.writes(),
        ["UpdateFunctionCode", "PublishVersion", "UpdateAlias", "TagResource"]
    );
    assert_eq!(serving(&world), digest("three"));
}

#[tokio::test]
async fn what_another_run_gave_is_not_published_as_ours() {
    let world = World::new().await;
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    let publish = "POST /2015-03-31/functions/agent/versions";
    world.aws.meanwhile(publish, beside(Aws::give_image));
    let error = deploy(&*target, &image("two"), &world.session()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Lambda function `agent` in eu-west-1: another deployment has given it another image meanwhile"
    );
    assert_eq!((error.kind().exit_code(), error.hints().len()), (3, 1));
    assert_eq!(serving(&world), digest("one"));
}

#[tokio::test]
async fn an_alias_that_another_run_has_moved_is_looked_at_again() {
    let world = World::new().await;
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    let alias = "PUT /2015-03-31/functions/agent/aliases/live";
    world.aws.meanwhile(alias, beside(Aws::serve_image));
    let deployed = world.deploy(&*target, &image("two")).await;
    assert_eq!((deployed.outcome, serving(&world)), (Outcome::Deployed, digest("two")));
}

#[tokio::test]
async fn two_first_runs_make_everything_once() {
    let world = World::new().await;
    world.aws.with(|aws| aws.reads = 1);
    let workload = Workload { creates_roles: true, ..workload() };
    let target = target_for("api_gateway: true\n", &workload);
    let image = image("one");
    let (one, two) = tokio::join!(world.deploy(&*target, &image), world.deploy(&*target, &image));
    for deployed in [one, two] {
        assert!(deployed.outcome.is_good(), "{deployed:#?}");
    }
    world.aws.with(|aws| {
        let function = &aws.functions["agent"];
        let made = [function.versions.len(), aws.apis.len(), function.policies["live"].len()];
        assert_eq!(made, [1, 1, 1]);
        let source = function.policies["live"][0]["Condition"].to_string();
        let id = aws.apis[0]["apiId"].as_str().unwrap();
        assert!(source.contains(&format!(":{id}/*/*")), "{source}");
    });
}

#[tokio::test]
async fn of_two_runs_with_different_images_one_wins_and_both_know_it() {
    let world = World::new().await;
    world.aws.with(|aws| aws.reads = 1);
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    let run = async |content| deploy(&*target, &image(content), &world.session()).await;
    let (two, three) = tokio::join!(run("two"), run("three"));
    let is_good = |ended: &Result<Deployment, Error>| {
        ended.as_ref().is_ok_and(|deployment| deployment.outcome.is_good())
    };
    let goods = [(is_good(&two), digest("two")), (is_good(&three), digest("three"))];
    let serving = serving(&world);
    assert!(goods.contains(&(true, serving.clone())), "{serving} serves: {two:#?} {three:#?}");
    for ended in [two, three] {
        let said = match ended {
            Ok(deployment) => deployment.reason,
            Err(error) => Some(error.to_string()),
        };
        assert!(said.is_none_or(|said| said.contains("another deployment ")));
    }
}

#[tokio::test]
async fn of_two_apis_that_two_runs_made_the_older_stays() {
    let world = World::new().await;
    let target = target(&format!("{ROLE}api_gateway: true\n"));
    world.deploy(&*target, &image("one")).await;
    world.aws.with(|aws| {
        let mut other = aws.apis[0].clone();
        other["apiId"] = "api9".into();
        aws.apis.insert(0, other);
    });
    world.writes();
    let deployed = world.deploy(&*target, &image("one")).await;
    assert_eq!((deployed.outcome, world.writes()), (Outcome::Deployed, vec!["DeleteApi".into()]));
    world.aws.with(|aws| assert_eq!(aws.apis[0]["apiId"], "api0"));
}
