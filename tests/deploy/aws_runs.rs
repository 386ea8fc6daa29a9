//! Deploying to App Runner and to ECS Express Mode as whoever types the command sees it.

use std::process::Command;

use serde_json::{Value, json};

use crate::anywhere::Anywhere;
use crate::fake::Running;
use crate::fakes::app_runner::AppRunner;
use crate::fakes::aws::{Aws, AwsService};
use crate::fakes::ecs_express::EcsExpress;
use crate::support::cli::{Outcome, Sandbox};

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
/// What answers at every URL of a service is a registry: well where it is asked for this.
const WELL: &str = "/v2/";
const UNWELL: &str = "/health";
/// The revision of ECS that serves.
const LOGS: &str = "hint: `dockless logs -e production` shows what it printed\n";

/// A project with an environment, ECR, and an account with one service.
struct World<S> {
    sandbox: Sandbox,
    registry: Anywhere,
    cloud: Running<Aws<S>>,
}

impl<S: AwsService> World<S> {
    /// The environment names no region: it is that of the caller's variables.
    async fn new(kind: &str, health_path: &str, service: S) -> Self {
        let hosts = [HOST, "*.eu-west-1.awsapprunner.com", "*.ecs.eu-west-1.on.aws"];
        let world = Self {
            sandbox: Sandbox::new(),
            registry: Anywhere::start(&hosts).await,
            cloud: Running::start(Aws::new(service)).await,
        };
        world.sandbox.write("agent.py", "print('one')\n");
        world.sandbox.write(
            "dockless.yaml",
            format!(
                "name: agent\nbase: builtin:static\nlayers: [{{kind: files, copy: [{{src: agent.py, dest: /srv/agent.py}}]}}]\n\
                 image: [{HOST}/agent]\nenvironments:\n  production:\n    target: {kind}\n    name: agent\n    \
                 health_check_path: {health_path}\n    create_roles: true\n"
            ),
        );
        world
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        self.registry.lead(&mut command);
        command
            .env("AWS_ENDPOINT_URL", self.cloud.url())
            .env("AWS_ACCESS_KEY_ID", "AKID")
            .env("AWS_SECRET_ACCESS_KEY", "canary-key")
            .env("AWS_REGION", "eu-west-1");
        command
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let outcome = Outcome::of(&mut self.command(arguments));
        let shown = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!shown.contains("canary"), "{outcome:#?}");
        assert_eq!(self.cloud.wrong(), [""; 0], "{outcome:#?}");
        outcome
    }

    /// What `--json` says of the only deployment, without what is different in every run.
    fn deployment(&self, arguments: &[&str]) -> Value {
        let outcome = self.run(&[arguments, &["--json"]].concat());
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let done = &document["deployments"][0];
        json!({
            "code": outcome.code,
            "outcome": done["outcome"],
            "probe": done["probe"],
            "reason": done["reason"],
        })
    }

    /// The first deployment gives the URL, and the next one writes nothing.
    fn deploys_once(&self, url: &str, writes: &[&str]) {
        let outcome = self.run(&["deploy"]);
        assert_eq!((outcome.code, outcome.stdout), (0, format!("{url}\n")), "{}", outcome.stderr);
        assert_eq!(self.cloud.writes(), writes);
        let unchanged = json!({
            "code": 0,
            "outcome": "unchanged",
            "probe": {"result": "healthy", "status": 200, "reason": null},
            "reason": null,
        });
        assert_eq!(self.deployment(&["deploy"]), unchanged);
        assert_eq!(self.cloud.writes(), writes);
    }

    /// The image that runs.
    fn deployed_image(&self) -> String {
        let outcome = self.run(&["status", "--json"]);
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        document["services"][0]["image"].as_str().unwrap().to_owned()
    }

    /// A run that fails: everything that it prints once the image is pushed.
    fn failure(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (3, ""), "{outcome:#?}");
        let is_of_image = |line: &&str| !line.starts_with(&format!("pushed to {HOST}/agent as "));
        let lines = outcome.stderr.split_inclusive('\n').skip_while(is_of_image).skip(1);
        lines.collect()
    }
}

async fn app_runner(health_path: &str) -> World<AppRunner> {
    World::new("app-runner", health_path, AppRunner { looks: 0, ..AppRunner::new() }).await
}

async fn ecs_express(health_path: &str) -> World<EcsExpress> {
    World::new("ecs-express", health_path, EcsExpress { looks: 0, ..EcsExpress::new() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_created_then_left_alone() {
    let world = app_runner(WELL).await;
    let writes =
        ["CreateRole", "AttachRolePolicy", "CreateAutoScalingConfiguration", "CreateService"];
    let url = "https://00000000000040008000000000000001.eu-west-1.awsapprunner.com";
    world.deploys_once(url, &writes);

    let world = ecs_express(WELL).await;
    let writes = [
        "CreateRole",
        "AttachRolePolicy",
        "CreateRole",
        "AttachRolePolicy",
        "CreateExpressGatewayService",
    ];
    world.deploys_once("https://agent.ecs.eu-west-1.on.aws", &writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_answers_badly_is_deployed_and_not_well() {
    let world = app_runner(UNWELL).await;
    let service = "App Runner service `agent` in eu-west-1";
    let url = "https://00000000000040008000000000000001.eu-west-1.awsapprunner.com/health";
    assert_eq!(
        world.failure(&["deploy", "--wait-timeout", "2s"]),
        format!(
            "error: {service}: the image is deployed, and not well: `GET {url}` is answered with 404\n{LOGS}"
        )
    );
    let world = ecs_express(UNWELL).await;
    let service = "ECS Express service `agent` in eu-west-1/default";
    let url = "https://agent.ecs.eu-west-1.on.aws/health";
    assert_eq!(
        world.failure(&["deploy", "--wait-timeout", "2s"]),
        format!(
            "error: {service}: the image is deployed, and not well: `GET {url}` is answered with 404\n{LOGS}"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_took_back_is_a_failure_though_the_service_is_well() {
    let world = app_runner(WELL).await;
    assert_eq!(world.run(&["deploy"]).code, 0);
    world.sandbox.write("agent.py", "print('two')\n");
    world.cloud.with(|aws| aws.service.endings = vec!["ROLLBACK_SUCCEEDED"]);
    let service = "App Runner service `agent` in eu-west-1";
    assert_eq!(
        world.failure(&["deploy"]),
        format!(
            "error: {service}: the platform took the image back: UPDATE_SERVICE is ROLLBACK_SUCCEEDED: the \
             service runs as before; its events are in the log group that ends in `/service`\n{LOGS}"
        )
    );
    let world = ecs_express(WELL).await;
    assert_eq!(world.run(&["deploy"]).code, 0);
    world.sandbox.write("agent.py", "print('two')\n");
    world.cloud.with(|aws| aws.service.endings = vec!["ROLLBACK_SUCCESSFUL"]);
    let service = "ECS Express service `agent` in eu-west-1/default";
    assert_eq!(
        world.failure(&["deploy"]),
        format!(
            "error: {service}: the platform took the image back: the deployment is ROLLBACK_SUCCESSFUL: Service \
             deployment rolled back because of alarms.; alarms: agent-5xx\n{LOGS}"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_before_it_heard_of_its_service_is_gone_on_with() {
    let world = ecs_express(WELL).await;
    let create = "CreateExpressGatewayService";
    world.cloud.kill_in(create, &mut world.command(&["deploy"])).await;
    let adopted = world.deployment(&["deploy"]);
    assert_eq!(adopted["outcome"], "unchanged", "{adopted:#}");
    let creations = world.cloud.writes().iter().filter(|write| *write == create).count();
    assert_eq!(creations, 1, "it was found, and not created again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_takes_too_long_is_asked_about_later() {
    let world = app_runner(WELL).await;
    world.cloud.with(|aws| aws.service.looks = 10_000);
    let service = "App Runner service `agent` in eu-west-1";
    assert_eq!(
        world.failure(&["deploy", "--wait-timeout", "1s"]),
        format!(
            "error: deploy to {service}\n  \
             still not done after 1 s, and the platform goes on: CREATE_SERVICE is IN_PROGRESS\n\
             hint: `dockless status -e production` shows the outcome, and the next run goes on from there; \
             `--wait-timeout` waits longer\n"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_not_in_the_config_is_said_and_what_is_in_another_is_not_forgotten() {
    let world = ecs_express(WELL).await;
    let notes = |outcome: &Outcome| {
        let lines = outcome.stderr.lines().filter(|line| line.contains(": region "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let here = "ecs-express: region eu-west-1, from `AWS_REGION`";
    assert_eq!(notes(&world.run(&["deploy"])), [here]);
    assert_eq!(notes(&world.run(&["destroy", "--dry-run"])), [here]);
    // Nothing is there where another machine looks.
    world.cloud.with(|aws| aws.service.services.clear());
    for arguments in [&["destroy", "--dry-run"][..], &["destroy"], &["destroy", "--yes"]] {
        let outcome = Outcome::of(world.command(arguments).env("AWS_REGION", "us-east-1"));
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        assert_eq!(notes(&outcome), ["ecs-express: region us-east-1, from `AWS_REGION`"]);
        let warning = "warning: ECS Express service `agent` in us-east-1/default: nothing is there, but it was \
                       deployed to `eu-west-1/default` from this folder\n\
                       \x20 hint: name that place in the config and run `dockless destroy -e production` again\n";
        assert!(outcome.stderr.contains(warning), "{outcome:#?}");
    }
    // Where the history knows it, there is no other place.
    let outcome = world.run(&["destroy", "--yes"]);
    assert!(!outcome.stderr.contains("nothing is there, but"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_goes_on_is_stopped_by_going_back() {
    let world = ecs_express(WELL).await;
    assert_eq!(world.run(&["deploy"]).code, 0);
    let first = world.deployed_image();
    world.sandbox.write("agent.py", "print('two')\n");
    world.cloud.with(|aws| aws.service.looks = 10_000);
    assert_eq!(world.run(&["deploy", "--wait-timeout", "1s"]).code, 3);
    world.cloud.with(|aws| aws.service.looks = 0);
    let outcome = world.run(&["rollback"]);
    assert_eq!((outcome.code, outcome.stdout), (0, format!("{first}\n")), "{}", outcome.stderr);
    assert!(world.cloud.writes().contains(&"StopServiceDeployment".to_owned()));
}
