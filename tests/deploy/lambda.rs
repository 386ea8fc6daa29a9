//! Deploying to Lambda, against a fake that is held to the vendor's model.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dockless::cloud::{Client, ClientOptions};
use dockless::config::{ParsedFile, Problems, schema};
use dockless::deploy::{
    DeployPlan, Deployment, Image, Journal, LogQuery, Manifest, Outcome, Prober, Pull, SecretValue,
    Session, State, Target, TargetInput, Variable, Workload, carry_out, deploy, targets,
};
use dockless::event::Events;
use dockless::oci::{Descriptor, Digest, MediaType, Platform};
use dockless::registry::{Secret, Settings};
use dockless::sys::{Environment, ManualClock};
use serde_json::json;

use crate::fake::{Fault, Response, Running};
use crate::fakes::lambda::{ACCOUNT, Aws, REGION};

/// What is written by the first deployment to a role that is there.
const FIRST: [&str; 6] = [
    "CreateFunction",
    "PublishVersion",
    "CreateAlias",
    "CreateFunctionUrlConfig",
    "AddPermission",
    "AddPermission",
];
const ROLE: &str = "role_arn: arn:aws:iam::123456789012:role/agent\n";

/// An account, and what was intended in it.
struct World {
    aws: Running<Aws>,
    clock: Arc<ManualClock>,
    intents: Arc<Intents>,
}

#[derive(Debug, Default)]
struct Intents(Mutex<Vec<String>>);

impl Journal for Intents {
    fn intend(&self, resource: &str) -> dockless::error::Result<()> {
        self.0.lock().unwrap().push(resource.to_owned());
        Ok(())
    }
}

#[derive(Debug)]
struct Well;

#[async_trait]
impl Prober for Well {
    async fn get(&self, _url: &str) -> Result<u16, dockless::deploy::NoAnswer> {
        Ok(200)
    }
}

impl World {
    /// An account with the role `agent`.
    async fn new() -> Self {
        let mut aws = Aws::new();
        aws.add_role("agent");
        let aws = Running::start(aws).await;
        let clock = Arc::new(ManualClock::at(1_795_222_800));
        Self { aws, clock, intents: Arc::default() }
    }

    /// The surroundings of one run.
    fn session(&self) -> Session {
        let environment = Environment::of([
            ("AWS_ENDPOINT_URL", self.aws.url().as_str()),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "canary-key"),
        ]);
        let clock = self.clock.clone();
        let settings = Settings::default();
        let options =
            ClientOptions { settings, environment, events: Events::none(), clock: clock.clone() };
        let client = Arc::new(Client::new(options));
        let limit = Duration::from_mins(10);
        Session::new(
            client,
            clock,
            Events::none(),
            self.intents.clone(),
            Some(Arc::new(Well)),
            limit,
        )
    }

    async fn deploy(&self, target: &dyn Target, image: &Image) -> Deployment {
        deploy(target, image, &self.session()).await.unwrap()
    }

    /// What was written since the last time this was asked.
    fn writes(&self) -> Vec<String> {
        self.aws.with(Aws::take_writes)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.aws.wrong(), [""; 0], "by the model of AWS");
        }
    }
}

pub(crate) fn workload() -> Workload {
    Workload {
        project: "agent".to_owned(),
        environment: "production".to_owned(),
        name: "agent".to_owned(),
        port: 8080,
        health_path: "/health".to_owned(),
        env: [("LOG_LEVEL".to_owned(), Variable::Plain("info".to_owned()))].into(),
        secrets: [("API_KEY".to_owned(), SecretValue::Given(Secret::new("canary-secret")))].into(),
        pull: None,
        creates_roles: false,
        places: dockless::deploy::Places::default(),
    }
}

/// A target with these settings beside kind and region.
fn target(settings: &str) -> Box<dyn Target> {
    target_for(settings, &workload())
}

pub(crate) fn target_for(settings: &str, workload: &Workload) -> Box<dyn Target> {
    target_in(REGION, settings, workload)
}

fn target_in(region: &str, settings: &str, workload: &Workload) -> Box<dyn Target> {
    let text = format!("target: lambda\nregion: {region}\n{settings}");
    let mut problems = Problems::new();
    let file = ParsedFile::parse(&text, &"dockless.yaml".into(), &mut problems).unwrap();
    let kind = targets::find("lambda").unwrap();
    schema::check(&file.root, kind.shape, &mut problems);
    let position = &file.root.position;
    let input = TargetInput { settings: &file.root, position, workload };
    let target = (kind.parse)(&input, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    target.unwrap()
}

/// An image for one processor, with layers of this kind.
fn image_of(content: &str, layer: MediaType) -> Image {
    let descriptor = Descriptor::of(MediaType::OciManifest, content.as_bytes());
    let repository = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/acme/agent");
    let platform = Platform::linux_amd64();
    let manifest = Manifest { platform, descriptor: descriptor.clone(), layers: vec![layer] };
    Image { repository: repository.parse().unwrap(), descriptor, manifests: vec![manifest] }
}

fn image(content: &str) -> Image {
    image_of(content, MediaType::OciLayerGzip)
}

fn digest(content: &str) -> String {
    Digest::of(content.as_bytes()).to_string()
}

fn ended(deployment: &Deployment) -> (Outcome, Option<&str>, Option<&str>) {
    (deployment.outcome, deployment.revision.as_deref(), deployment.reason.as_deref())
}

#[tokio::test]
async fn a_function_is_created_and_then_left_alone() {
    let world = World::new().await;
    world.aws.with(|aws| aws.reads = 3);
    let target = target(ROLE);
    let deployed = world.deploy(&*target, &image("one")).await;
    assert_eq!(ended(&deployed), (Outcome::Deployed, Some("1"), None));
    assert_eq!(
        deployed.url.as_deref(),
        Some(&*format!("https://{}.lambda-url.{REGION}.on.aws/", "u".repeat(40)))
    );
    assert_eq!(world.writes(), FIRST);
    assert_eq!(*world.intents.0.lock().unwrap(), ["function agent"]);
    world.aws.with(|aws| {
        let function = &aws.functions["agent"];
        let settings = json!({
            "Role": function.latest["Role"], "MemorySize": function.latest["MemorySize"],
            "Timeout": function.latest["Timeout"], "Storage": function.latest["EphemeralStorage"]["Size"],
            "Variables": function.latest["Environment"]["Variables"],
            "Description": function.versions[0].0["Description"],
        });
        assert_eq!(
            settings,
            json!({
                "Role": "arn:aws:iam::123456789012:role/agent", "MemorySize": 1024, "Timeout": 300,
                "Storage": 512, "Variables": {"LOG_LEVEL": "info", "API_KEY": "canary-secret"},
                "Description": digest("one"),
            })
        );
        let tags = ["managed-by", "dockless-project", "dockless-environment"];
        assert_eq!(tags.map(|tag| function.tags[tag].clone()), ["dockless", "agent", "production"]);
        let allowed: Vec<_> = function.policies["live"]
            .iter()
            .map(|it| (it["Sid"].clone(), it["Action"].clone(), it["Condition"].clone()))
            .collect();
        assert_eq!(
            allowed,
            [
                (
                    json!("dockless-url"),
                    json!("lambda:InvokeFunctionUrl"),
                    json!({"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}),
                ),
                (
                    json!("dockless-url-invoke"),
                    json!("lambda:InvokeFunction"),
                    json!({"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}),
                ),
            ]
        );
    });
    let again = world.deploy(&*target, &image("one")).await;
    assert_eq!(ended(&again), (Outcome::Unchanged, Some("1"), None));
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test]
async fn a_new_image_becomes_a_new_version() {
    let world = World::new().await;
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    world.aws.with(|aws| aws.reads = 2);
    world.writes();
    let deployed = world.deploy(&*target, &image("two")).await;
    assert_eq!(ended(&deployed), (Outcome::Deployed, Some("2"), None));
    assert_eq!(
        world.writes(),
        ["UpdateFunctionCode", "PublishVersion", "UpdateAlias", "TagResource"]
    );
}

#[tokio::test]
async fn settings_alone_change_without_the_image() {
    let world = World::new().await;
    world.deploy(&*target(ROLE), &image("one")).await;
    world.writes();
    let changed = target(&format!("{ROLE}memory: 2048\nconcurrency: 5\nurl: iam\n"));
    let observed = changed.observe(&world.session()).await.unwrap();
    let plan = changed.plan(&image("one"), &observed).unwrap();
    let changes: Vec<_> = plan
        .changes
        .iter()
        .map(|it| (&*it.what, it.before.as_deref(), it.after.as_deref()))
        .collect();
    assert_eq!(
        changes,
        [
            ("memory", Some("1024 MB"), Some("2048 MB")),
            ("concurrency", None, Some("5")),
            ("url", Some("public, BUFFERED"), Some("iam, BUFFERED")),
            ("permission `dockless-url`", Some("allowed"), None),
            ("permission `dockless-url-invoke`", Some("allowed"), None),
        ]
    );
    let deployed = world.deploy(&*changed, &image("one")).await;
    assert_eq!(ended(&deployed), (Outcome::Deployed, Some("2"), None));
    assert_eq!(
        world.writes(),
        [
            "UpdateFunctionConfiguration",
            "PublishVersion",
            "UpdateAlias",
            "PutFunctionConcurrency",
            "UpdateFunctionUrlConfig",
            "RemovePermission",
            "RemovePermission",
            "TagResource",
        ]
    );
    let again = world.deploy(&*changed, &image("one")).await;
    assert_eq!((again.outcome, world.writes()), (Outcome::Unchanged, Vec::new()));
}

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
async fn a_dry_run_shows_every_request_and_no_secret() {
    let world = World::new().await;
    let workload = Workload { creates_roles: true, ..workload() };
    let target = target_for("api_gateway: true\n", &workload);
    let observed = target.observe(&world.session()).await.unwrap();
    let plan = target.plan(&image("one"), &observed).unwrap();
    let shown = |step: &dockless::deploy::Step| {
        let request = step.request.document();
        let text = |member: &str| request[member].as_str().unwrap().to_owned();
        let line = format!("{}: {} {}", text("operation"), text("method"), text("path"));
        format!("{}\n  {line}\n  {}", step.title, request["body"])
    };
    let steps: Vec<_> = plan.steps.iter().map(shown).collect();
    let digest = digest("one");
    let steps = steps.join("\n").replace(&digest, "DIGEST").replace(&digest[7..], "HEX");
    insta::assert_snapshot!(steps, @r#"
    create the role `dockless-eu-west-1-agent-production-agent-lambda`
      CreateRole: POST /
      {"AssumeRolePolicyDocument":"{\"Statement\":[{\"Action\":\"sts:AssumeRole\",\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"lambda.amazonaws.com\"}}],\"Version\":\"2012-10-17\"}","Description":"The execution role of `agent`, deployed by dockless","RoleName":"dockless-eu-west-1-agent-production-agent-lambda","Tags":[{"Key":"managed-by","Value":"dockless"},{"Key":"dockless-project","Value":"agent"},{"Key":"dockless-environment","Value":"production"}]}
    attach `arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole` to the role `dockless-eu-west-1-agent-production-agent-lambda`
      AttachRolePolicy: POST /
      {"PolicyArn":"arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole","RoleName":"dockless-eu-west-1-agent-production-agent-lambda"}
    create the function `agent`
      CreateFunction: POST /2015-03-31/functions
      {"Architectures":["x86_64"],"Code":{"ImageUri":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/acme/agent@DIGEST"},"Environment":{"Variables":{"API_KEY":"(hidden)","LOG_LEVEL":"info"}},"EphemeralStorage":{"Size":512},"FunctionName":"agent","MemorySize":1024,"PackageType":"Image","Role":"arn:aws:iam::123456789012:role/dockless-eu-west-1-agent-production-agent-lambda","Tags":{"dockless-config-hash":"8981d610718a0c2b","dockless-environment":"production","dockless-image-digest":"HEX","dockless-project":"agent","managed-by":"dockless"},"Timeout":300}
    publish it as a version
      PublishVersion: POST /2015-03-31/functions/agent/versions
      {"CodeSha256":"«code»","Description":"DIGEST"}
    let the alias `live` lead to it
      CreateAlias: POST /2015-03-31/functions/agent/aliases
      {"FunctionVersion":"«version»","Name":"live"}
    put the API `agent` in front
      CreateApi: POST /v2/apis
      {"name":"agent","protocolType":"HTTP","tags":{"dockless-environment":"production","dockless-project":"agent","managed-by":"dockless"},"target":"arn:aws:lambda:eu-west-1:123456789012:function:agent:live"}
    add the permission `dockless-api`
      AddPermission: POST /2015-03-31/functions/agent/policy?Qualifier=live
      {"Action":"lambda:InvokeFunction","Principal":"apigateway.amazonaws.com","SourceArn":"«source»","StatementId":"dockless-api"}
    "#);
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test]
async fn a_secret_is_compared_and_never_shown() {
    let world = World::new().await;
    world.deploy(&*target(ROLE), &image("one")).await;
    let mut workload = workload();
    let changed = SecretValue::Given(Secret::new("canary-other"));
    workload.secrets.insert("API_KEY".to_owned(), changed);
    let target = target_for(ROLE, &workload);
    let observed = target.observe(&world.session()).await.unwrap();
    let plan = target.plan(&image("one"), &observed).unwrap();
    let document = plan.document();
    assert_eq!(
        document["changes"],
        json!([{"what": "env.API_KEY", "before": "(hidden)", "after": "(hidden)"}])
    );
    assert!(!format!("{document} {plan:?} {observed:?}").contains("canary"));
}

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

#[tokio::test]
async fn what_is_ours_is_removed_and_nothing_else() {
    let world = World::new().await;
    let workload = Workload { creates_roles: true, ..workload() };
    let target = target_for("api_gateway: true\n", &workload);
    world.deploy(&*target, &image("one")).await;
    world.writes();
    world.aws.with(|aws| aws.logs.insert("/aws/lambda/agent".into(), Vec::new()));
    let destroy = |observed: &_| target.plan_destroy(observed);
    let session = world.session();
    let (observed, _) = carry_out(&*target, &session, &destroy).await.unwrap();
    assert_eq!(observed.service, None);
    assert_eq!(
        world.writes(),
        ["DeleteApi", "DeleteFunction", "DeleteLogGroup", "DetachRolePolicy", "DeleteRole"]
    );
    world.aws.with(|aws| {
        assert!(aws.functions.is_empty() && aws.apis.is_empty() && aws.logs.is_empty());
        assert_eq!(aws.roles.keys().collect::<Vec<_>>(), ["agent"]);
    });
    let (_, has_written) = carry_out(&*target, &session, &destroy).await.unwrap();
    assert!(!has_written);
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
    let denied = || {
        let text = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: arn:u is not \
                    authorized to perform: iam:GetRole</Message></Error></ErrorResponse>";
        Fault::Refuse(Response { status: 403, headers: Vec::new(), body: text.into() })
    };
    world.aws.spoil("GetRole", denied());
    assert!(target(ROLE).observe(&world.session()).await.is_ok());
    world.aws.spoil("GetRole", denied());
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

#[tokio::test]
async fn an_api_stands_in_front_and_is_found_again_by_its_tags() {
    let world = World::new().await;
    let others = |id: &str, tags| {
        json!({
            "apiId": id, "name": "agent", "protocolType": "HTTP", "tags": tags,
            "apiEndpoint": format!("https://{id}.example.com"),
            "routeSelectionExpression": "$request.method $request.path",
        })
    };
    let staging = json!({
        "managed-by": "dockless", "dockless-project": "agent", "dockless-environment": "staging",
    });
    world.aws.with(|aws| aws.apis = vec![others("x", json!({})), others("y", staging)]);
    world.aws.spoil("POST /v2/apis", Fault::LoseAnswer);
    let with_api = target(&format!("{ROLE}api_gateway: true\n"));
    let deployed = world.deploy(&*with_api, &image("one")).await;
    assert_eq!(ended(&deployed), (Outcome::Deployed, Some("1"), None));
    assert_eq!(deployed.url.as_deref(), Some("https://api2.execute-api.eu-west-1.amazonaws.com"));
    assert_eq!(
        world.writes(),
        ["CreateFunction", "PublishVersion", "CreateAlias", "CreateApi", "AddPermission"]
    );
    world.aws.with(|aws| {
        let statement = &aws.functions["agent"].policies["live"][0];
        let source = "arn:aws:execute-api:eu-west-1:123456789012:api2/*/*";
        assert_eq!(statement["Condition"], json!({"ArnLike": {"AWS:SourceArn": source}}));
    });
    let again = world.deploy(&*with_api, &image("one")).await;
    assert_eq!((again.outcome, world.writes()), (Outcome::Unchanged, Vec::new()));
    // Back to a function URL: the API goes, and the permission with it.
    let with_url = world.deploy(&*target(ROLE), &image("one")).await;
    assert_eq!(with_url.outcome, Outcome::Deployed);
    assert_eq!(
        world.writes(),
        [
            "CreateFunctionUrlConfig",
            "DeleteApi",
            "AddPermission",
            "AddPermission",
            "RemovePermission",
            "TagResource",
        ]
    );
}

#[tokio::test]
async fn the_statement_of_a_new_api_names_it_without_a_second_look() {
    let world = World::new().await;
    let with_api = target(&format!("{ROLE}api_gateway: true\n"));
    world.deploy(&*with_api, &image("one")).await;
    world.aws.with(|aws| {
        let statement = &aws.functions["agent"].policies["live"][0];
        let source = "arn:aws:execute-api:eu-west-1:123456789012:api0/*/*";
        assert_eq!(statement["Condition"], json!({"ArnLike": {"AWS:SourceArn": source}}));
    });
}

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
async fn a_public_url_beside_ours_is_closed_where_nothing_should_be_public() {
    for (entry, outcome, auth) in [
        ("url: public\n", Outcome::Unchanged, "NONE"),
        ("url: iam\n", Outcome::Deployed, "AWS_IAM"),
        ("url: none\n", Outcome::Deployed, "AWS_IAM"),
        ("api_gateway: true\n", Outcome::Deployed, "AWS_IAM"),
    ] {
        let world = World::new().await;
        let target = target(&format!("{ROLE}{entry}"));
        world.deploy(&*target, &image("one")).await;
        world.writes();
        world.aws.with(|aws| {
            let url = json!({
                "FunctionUrl": format!("https://{}.lambda-url.{REGION}.on.aws/", "o".repeat(40)),
                "FunctionArn": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:agent"),
                "AuthType": "NONE", "InvokeMode": "BUFFERED",
                "CreationTime": "2026-11-21T20:00:00.000+0000",
                "LastModifiedTime": "2026-11-21T20:00:00.000+0000",
            });
            aws.functions.get_mut("agent").unwrap().urls.insert(String::new(), url);
        });
        let observed = target.observe(&world.session()).await.unwrap();
        let plan = target.plan(&image("one"), &observed).unwrap();
        let changes: Vec<_> = plan.changes.iter().map(ToString::to_string).collect();
        let closed = ["url of `$LATEST`: NONE → AWS_IAM"];
        assert_eq!(changes, closed[..usize::from(auth != "NONE")], "{entry}");
        let deployed = world.deploy(&*target, &image("one")).await;
        assert_eq!(deployed.outcome, outcome, "{entry}");
        world.aws.with(|aws| assert_eq!(aws.functions["agent"].urls[""]["AuthType"], auth));
        let again = world.deploy(&*target, &image("one")).await;
        assert_eq!(again.outcome, Outcome::Unchanged, "{entry}");
    }
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
async fn of_an_index_the_function_gets_the_manifest_of_its_processor() {
    let world = World::new().await;
    let (amd64, mut arm64) = (image("one"), image("two").manifests.remove(0));
    arm64.platform = Platform::new("linux", "arm64", None);
    let index = Descriptor::of(MediaType::OciIndex, b"index");
    let both = Image {
        descriptor: index.clone(),
        manifests: [amd64.manifests.clone(), vec![arm64.clone()]].concat(),
        ..amd64
    };
    world.aws.with(|aws| aws.indexes.insert(index.digest.to_string()));
    let target = target(&format!("{ROLE}architecture: arm64\n"));
    let deployed = world.deploy(&*target, &both).await;
    assert_eq!(ended(&deployed), (Outcome::Deployed, Some("1"), None));
    assert_eq!(deployed.image, both.reference_of(&arm64));
    world.aws.with(|aws| {
        let function = &aws.functions["agent"];
        assert_eq!(function.latest["Architectures"], json!(["arm64"]));
        let description = format!("{} of {}", arm64.descriptor.digest, index.digest);
        assert_eq!(function.versions[0].0["Description"], description);
    });
    let again = world.deploy(&*target, &both).await;
    assert_eq!(again.outcome, Outcome::Unchanged);
    // The index is as good a name for what to go back to as the manifest.
    let observed = target.observe(&world.session()).await.unwrap();
    assert!(target.plan_rollback(Some(&both.reference()), &observed).unwrap().is_empty());
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
    world.aws.with(|aws| aws.logs.insert("/aws/lambda/agent".into(), vec![event]));
    assert_eq!(texts().await, [(5, "hello".to_owned())]);
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
async fn pages_that_lead_back_or_never_end_are_not_followed() {
    let world = World::new().await;
    let target = target(ROLE);
    world.deploy(&*target, &image("one")).await;
    let versions = "GET /2015-03-31/functions/agent/versions";
    let page = |next: usize| {
        let body = json!({"Versions": [], "NextMarker": next.to_string()});
        Fault::Refuse(Response::json(200, &body))
    };
    for (pages, expected) in [
        (vec![1, 2, 1], "the pages lead back to one before"),
        ((0..1000).collect(), "there are more than 1000 pages"),
    ] {
        for next in pages {
            world.aws.spoil(versions, page(next));
        }
        let error = target.observe(&world.session()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{versions}: {expected}"));
    }
}

#[test]
fn images_that_do_not_fit_are_refused_before_any_call() {
    let at = |host: &str| {
        let repository = format!("{host}/agent").parse().unwrap();
        Image { repository, ..image("one") }
    };
    let mut both = image("one");
    let mut arm64 = both.manifests[0].clone();
    arm64.platform = Platform::new("linux", "arm64", None);
    both.manifests.push(arm64);
    let push = "push it to `ACCOUNT.dkr.ecr.eu-west-1.amazonaws.com/…`";
    let name = "name the repository `123456789012.dkr.ecr.eu-west-1.amazonaws.com/…`";
    let gzip = "build it with `compression: gzip`, on a base with such layers";
    for (settings, image, reason, hint) in [
        ("", at("ghcr.io"), "functions come from private repositories of ECR only", push),
        ("", at("public.ecr.aws"), "functions come from private repositories of ECR only", push),
        (
            "",
            at("123456789012.dkr.ecr.us-east-1.amazonaws.com"),
            "it is in us-east-1, and the function in eu-west-1",
            push,
        ),
        (
            "",
            at("123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com"),
            "it is named by a FIPS endpoint of ECR, which Lambda does not take",
            name,
        ),
        (
            "",
            image_of("one", MediaType::OciLayerZstd),
            "a layer is compressed with zstd (`application/vnd.oci.image.layer.v1.tar+zstd`)",
            gzip,
        ),
        (
            "",
            image_of("one", MediaType::OciLayer),
            "a layer is not compressed (`application/vnd.oci.image.layer.v1.tar`)",
            gzip,
        ),
        (
            "",
            both,
            "it is for both processors, and a function runs on one",
            "say which: `architecture: arm64`, or `architecture: x86_64`",
        ),
        (
            "architecture: arm64\n",
            image("one"),
            "it has nothing for linux/arm64, which `architecture` asks for",
            "build it with `platform: linux/arm64`",
        ),
    ] {
        let reference = image.reference();
        let error = target(settings).check(&image).unwrap_err();
        assert_eq!(error.to_string(), format!("Lambda does not run `{reference}`: {reason}"));
        assert_eq!(dockless::error::Classified::hints(&error), [hint], "{reason}");
    }
}

#[test]
fn settings_are_checked_before_any_call() {
    let problems = |settings: &str, workload: &Workload| {
        let text = format!("target: lambda\n{settings}");
        let mut problems = Problems::new();
        let file = ParsedFile::parse(&text, &"f".into(), &mut problems).unwrap();
        let kind = targets::find("lambda").unwrap();
        schema::check(&file.root, kind.shape, &mut problems);
        let position = &file.root.position;
        let input = TargetInput { settings: &file.root, position, workload };
        (kind.parse)(&input, &mut problems);
        let shown = |problem: dockless::config::Problem| {
            let hint = problem.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("{}: {}{hint}", problem.position, problem.message)
        };
        problems.list().into_iter().map(shown).collect::<Vec<_>>()
    };
    for (settings, expected) in [
        ("region: eu-west-1\nmemory: 10240\nurl: none", vec![]),
        ("region: us-gov-west-1", vec![]),
        (
            "memory: 1",
            vec![
                "f:1:1: `region` is missing in the target `lambda`; add `region: …`, a text",
                "f:2:9: `memory` is a whole number from 128 to 10240, not `1`",
            ],
        ),
        (
            "region: Ireland",
            vec!["f:2:9: `Ireland` is no region of AWS; write for instance `region: eu-west-1`"],
        ),
        (
            "region: eu-south-2",
            vec![
                "f:2:9: this region has no function URLs; write `api_gateway: true`, or `url: none` when \
                 nobody calls it from outside",
            ],
        ),
        ("region: eu-south-2\napi_gateway: true", vec![]),
        (
            "region: eu-west-1\napi_gateway: true\nurl: public\ninvoke_mode: BUFFERED",
            vec![
                "f:4:6: `api_gateway` stands beside a function URL; keep one of them",
                "f:5:14: `invoke_mode` belongs to a function URL, and there is none; remove it",
            ],
        ),
        (
            "region: eu-west-1\nname: a.b",
            vec![
                "f:3:7: `a.b` is no name for a function; give it a `name` of 1 to 64 letters, digits, `-` or \
                 `_`",
            ],
        ),
        (
            "region: eu-west-1\nrole_arn: agent",
            vec![
                "f:3:11: `role_arn` is no ARN of a role: `agent`; write `arn:aws:iam::ACCOUNT:role/NAME`, as \
                 `aws iam list-roles` shows it",
            ],
        ),
    ] {
        assert_eq!(problems(settings, &workload()), expected, "{settings}");
    }
    let pulling = Workload { pull: Some(Pull::Kept("arn".into())), ..workload() };
    assert_eq!(
        problems("region: eu-west-1", &pulling),
        [
            "f:1:1: Lambda pulls from ECR as itself, not with `pull`; remove `pull`, or write `target: \
             ecs-express`, which takes images of any registry"
        ]
    );
    let mut odd = workload();
    odd.env.insert("AWS_REGION".into(), Variable::Plain("x".repeat(5000)));
    odd.env.insert("_A".into(), Variable::Plain(String::new()));
    let names = "a name has two or more letters, digits or `_`, and starts with a letter; those of Lambda \
                 itself are taken";
    assert_eq!(
        problems("region: eu-west-1", &odd),
        [
            format!("f:1:1: Lambda sets the variable `AWS_REGION`; {names}"),
            format!("f:1:1: Lambda takes no variable `_A`; {names}"),
            "f:1:1: Lambda has room for 4096 bytes of variables, and these take 5048; put what is large \
             into a file of the image, or let the agent fetch it"
                .to_owned(),
        ]
    );
}
