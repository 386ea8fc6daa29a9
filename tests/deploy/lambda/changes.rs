//! Functions that come, stay and change.

use dockless::deploy::{Image, Outcome, SecretValue, Workload};
use dockless::oci::{Descriptor, MediaType, Platform};
use dockless::registry::Secret;
use serde_json::json;

use super::{FIRST, ROLE, World, digest, ended, image, target, target_for, workload};
use crate::fakes::lambda::REGION;

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
async fn what_was_reserved_here_is_given_back_and_what_others_reserve_stays() {
    let world = World::new().await;
    let reserving = target(&format!("{ROLE}concurrency: 5\n"));
    world.deploy(&*reserving, &image("one")).await;
    let again = world.deploy(&*reserving, &image("one")).await;
    assert_eq!(again.outcome, Outcome::Unchanged);
    world.writes();
    let plain = target(ROLE);
    let observed = plain.observe(&world.session()).await.unwrap();
    let plan = plain.plan(&image("one"), &observed).unwrap();
    let changes: Vec<_> = plan.changes.iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["concurrency: 5 → (none)"]);
    world.deploy(&*plain, &image("one")).await;
    assert_eq!(world.writes(), ["DeleteFunctionConcurrency", "TagResource", "UntagResource"]);
    let again = world.deploy(&*plain, &image("one")).await;
    assert_eq!((again.outcome, world.writes()), (Outcome::Unchanged, Vec::new()));
    // Nothing at all may run: somebody has stopped it.
    for before in [&plain, &reserving] {
        world.deploy(&**before, &image("one")).await;
        world.aws.with(|aws| aws.functions.get_mut("agent").unwrap().concurrency = Some(0));
        world.deploy(&*plain, &image("one")).await;
        world.aws.with(|aws| assert_eq!(aws.functions["agent"].concurrency, Some(0)));
    }
}
