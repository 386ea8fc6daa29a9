//! Two runs that deploy at the same time: nothing is made twice, and each is told the truth.

use super::{PARENT, SERVICE, SERVICES, World};
use crate::fakes::cloud_run::CloudRun;
use crate::support::cli::Outcome;

/// What another run deploys.
fn other() -> String {
    format!("europe-west1-docker.pkg.dev/acme-staging/agents/agent@sha256:{}", "3".repeat(64))
}

fn beside(fake: &mut CloudRun) {
    fake.deploy_beside(SERVICE.strip_prefix("/v2/").unwrap(), &other());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_overtaken_says_so_and_does_not_fight() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    world.sandbox.write("agent.py", "print('two')\n");
    let before = world.fake.writes().len();
    world.fake.meanwhile(&format!("GET /v2/{PARENT}/operations/7"), beside);
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let reason = format!("another deployment put `{}` there meanwhile", other());
    assert!(outcome.stderr.contains(&reason), "{outcome:#?}");
    assert_eq!(world.writes_since(before), [format!("PATCH {SERVICE}")]);
    assert_eq!(world.image(), other());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_somebody_makes_meanwhile_stays() {
    let world = World::new("").await;
    world.succeed(&["deploy"]);
    let first = world.image();
    world.sandbox.write("agent.py", "print('two')\n");
    world.fake.with(|fake| fake.pinned_next = Some("agent-00001-abc".to_owned()));
    let before = world.fake.writes().len();
    let outcome = world.run(&["deploy"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    let reason = format!("another deployment put `{first}` there meanwhile");
    assert!(outcome.stderr.contains(&reason), "{outcome:#?}");
    assert_eq!(world.writes_since(before), [format!("PATCH {SERVICE}")]);
    // Whoever deploys afterwards goes on from there.
    world.succeed(&["deploy"]);
    assert_eq!(world.writes_since(before).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_run_created_is_updated_and_what_it_changed_is_looked_at_again() {
    let world = World::new("").await;
    world.fake.meanwhile(&format!("POST {SERVICES}"), beside);
    world.succeed(&["deploy"]);
    assert_eq!(world.fake.writes(), [format!("POST {SERVICES}"), format!("PATCH {SERVICE}")]);
    assert_ne!(world.image(), other());

    world.sandbox.write("agent.py", "print('two')\n");
    let before = world.fake.writes().len();
    world.fake.meanwhile(&format!("PATCH {SERVICE}"), beside);
    world.succeed(&["deploy"]);
    let patch = format!("PATCH {SERVICE}");
    assert_eq!(world.writes_since(before), [patch.clone(), patch], "the first has an old etag");
    assert_ne!(world.image(), other());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_first_runs_one_creates_and_both_are_told_what_runs() {
    let world = World::new("    secrets: {API_KEY: {env: API_KEY}}\n").await;
    let run = || {
        let mut command = world.command(&["deploy"]);
        command.env("API_KEY", "canary");
        command
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..2).map(|_| scope.spawn(|| Outcome::of(&mut run()))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(world.fake.wrong(), [""; 0], "{outcomes:#?}");
    for outcome in &outcomes {
        assert_eq!(outcome.code, 0, "{outcomes:#?}");
    }
    world.fake.with(|fake| assert_eq!((fake.services.len(), fake.secrets.len()), (1, 1)));
    let before = world.fake.writes().len();
    let outcome = Outcome::of(&mut run());
    assert_eq!((outcome.code, world.fake.writes().len()), (0, before), "{outcome:#?}");
}
