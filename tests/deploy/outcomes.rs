//! What a person reads of a deployment: one line per target about how it ended, the reason once, hints once.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fakes::cloud_run::CloudRun;
use crate::support::cli::Outcome;
use crate::world::{STAGING, World};

const SERVICE: &str = "Cloud Run service `agent-staging` in acme-staging/europe-west1";
const IMAGE: &str = "europe-west1-docker.pkg.dev/acme/agents/agent@sha256:…";
const CREATE: &str = "POST /v2/projects/acme-staging/locations/europe-west1/services";

/// What was written, from where the image is pushed on; digests and the times of revisions are left out.
fn shown(outcome: &Outcome) -> String {
    let pushed = outcome.stderr.lines().position(|line| line.starts_with("pushed to "));
    let lines = outcome.stderr.lines().skip(pushed.map_or(0, |place| place + 1));
    let lines: Vec<_> = lines.chain(outcome.stdout.lines()).collect();
    let text = lines.join("\n");
    let mut parts = text.split("sha256:");
    let mut shown = parts.next().unwrap().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|letter: char| letter.is_ascii_hexdigit());
        shown.push_str("sha256:…");
        shown.push_str(rest);
    }
    format!("{}\n{shown}\n", outcome.code)
}

fn fails_to_start(world: &World) {
    let failure = ("HEALTH_CHECK_CONTAINER_ERROR".into(), "It does not listen.".into());
    world.cloud.with(|cloud| cloud.failure = Some(failure));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_deployment_ended_is_told_once() {
    let world = World::new(STAGING).await;
    let revision = "agent-staging-00001-abc";
    let url = "https://agent-staging-abc-ew.a.run.app";
    assert_eq!(
        shown(&world.run(&["deploy"])),
        format!(
            "0\ndeployed {SERVICE}: {IMAGE}, revision `{revision}`, not probed: `--no-probe`\n{url}\n"
        )
    );
    assert_eq!(
        shown(&world.run(&["deploy"])),
        format!(
            "0\nunchanged {SERVICE}: {IMAGE}, revision `{revision}`, not probed: `--no-probe`\n{url}\n"
        )
    );
    assert_eq!(shown(&world.run(&["deploy", "-q"])), format!("0\n{url}\n"));
    world.sandbox.write("agent.py", "print('two')\n");
    fails_to_start(&world);
    let reason = "HEALTH_CHECK_CONTAINER_ERROR: Revision 'agent-staging-00002-abc' is not ready and cannot serve \
         traffic. It does not listen. Logs: https://console.cloud.google.com/logs/viewer?x";
    let logs = "hint: `dockless logs -e staging` shows what it printed";
    assert_eq!(
        shown(&world.run(&["deploy"])),
        format!("3\nerror: {SERVICE}: the image is not deployed: {reason}\n{logs}\n")
    );
    world.sandbox.write("agent.py", "print('three')\n");
    fails_to_start(&world);
    let outcome = world.run(&["deploy", "-q", "--json"]);
    let reason = reason.replace("00002", "00003");
    let error = json!({
        "kind": "failed",
        "exit_code": 3,
        "message": [format!("{SERVICE}: the image is not deployed: {reason}")],
        "hints": [logs.trim_start_matches("hint: ")],
        "is_retryable": false,
    });
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(outcome.code, 3);
    assert_eq!(report["error"], error);
    assert_eq!(report["deployments"][0]["error"], error);
    assert_eq!(report["deployments"][0]["reason"], json!(reason));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_deployed_and_not_well_is_told_once() {
    let world = World::new(STAGING).await;
    fails_to_start(&world);
    assert_eq!(
        shown(&world.run(&["deploy"])),
        format!(
            "3\nerror: {SERVICE}: the image is deployed, and not well: HEALTH_CHECK_CONTAINER_ERROR: Revision \
             'agent-staging-00001-abc' is not ready and cannot serve traffic. It does not listen. Logs: \
             https://console.cloud.google.com/logs/viewer?x\n\
             hint: `dockless logs -e staging` shows what it printed\n"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_wait_is_over_the_platform_goes_on_and_the_next_run_takes_up_from_there() {
    let world = World::new(STAGING).await;
    world.cloud.with(|cloud| cloud.looks = 1_000_000);
    let outcome = world.run(&["deploy", "--wait-timeout", "1s"]);
    assert_eq!(
        shown(&outcome),
        format!(
            "3\nerror: deploy to {SERVICE}\n  \
             still not done after 1 s, and the platform goes on: Deploying Revision.\n\
             hint: `dockless status -e staging` shows the outcome, and the next run goes on from there; \
             `--wait-timeout` waits longer\n"
        )
    );
    world.cloud.with(CloudRun::finish);
    assert_eq!(world.document(&["deploy", "--json"])["deployments"][0]["outcome"], "unchanged");
    let creations = world.cloud.writes().iter().filter(|write| *write == CREATE).count();
    assert_eq!(creations, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_says_that_the_platform_goes_on() {
    for (signal, code, name) in [("INT", 130, "SIGINT"), ("TERM", 143, "SIGTERM")] {
        let world = World::new(STAGING).await;
        world.cloud.with(|cloud| cloud.looks = 1_000_000);
        let mut command = world.command(&["deploy"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let began = Instant::now();
        while !world.cloud.writes().iter().any(|write| write == CREATE) {
            assert!(began.elapsed() < Duration::from_mins(1), "{:?}", world.cloud.writes());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<_> = stderr.lines().skip_while(|line| !line.starts_with("error:")).collect();
        let [error, hint] = lines[..] else { panic!("{stderr}") };
        let expected = format!("error: interrupted by {name}, while deploying {SERVICE}");
        assert!(error.starts_with(&expected), "{error}");
        assert_eq!(
            hint,
            "hint: the platform goes on with what was begun: `dockless status`, with the same `-e`, shows the outcome, \
             and the next run goes on from there"
        );
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(output.stdout, b"");
        world.cloud.with(CloudRun::finish);
        world.succeed(&["deploy"]);
        let creations = world.cloud.writes().iter().filter(|write| *write == CREATE).count();
        assert_eq!(creations, 1, "it was found, and not created again");
    }
}
