//! How functions are reached from outside.

use dockless::deploy::Outcome;
use serde_json::json;

use super::{ROLE, World, ended, image, target};
use crate::fake::Fault;
use crate::fakes::lambda::{ACCOUNT, REGION};

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
async fn pages_of_origins_that_are_named_may_call_it() {
    let origins = "cors_origins: [https://b.example, https://a.example]\n";
    for (entry, created, update, removal) in [
        (
            "url: public\n",
            "CreateFunctionUrlConfig",
            "UpdateFunctionUrlConfig",
            "UpdateFunctionUrlConfig",
        ),
        ("api_gateway: true\n", "CreateApi", "UpdateApi", "DeleteCorsConfiguration"),
    ] {
        let world = World::new().await;
        let allowed = || {
            world.aws.with(|aws| match aws.apis.first() {
                Some(api) => api["corsConfiguration"]["allowOrigins"].clone(),
                None => aws.functions["agent"].urls["live"]["Cors"]["AllowOrigins"].clone(),
            })
        };
        let (without, with) = (format!("{ROLE}{entry}"), format!("{ROLE}{entry}{origins}"));
        let both = json!(["https://a.example", "https://b.example"]);
        let none = serde_json::Value::Null;
        for (settings, written, expected) in
            [(&with, created, &both), (&without, removal, &none), (&with, update, &both)]
        {
            world.writes();
            let deployed = world.deploy(&*target(settings), &image("one")).await;
            assert_eq!((deployed.outcome, &allowed()), (Outcome::Deployed, expected), "{settings}");
            let writes = world.writes();
            assert!(writes.iter().any(|write| write == written), "{settings}: {writes:?}");
            let again = world.deploy(&*target(settings), &image("one")).await;
            assert_eq!((again.outcome, world.writes()), (Outcome::Unchanged, vec![]), "{settings}");
        }
    }
}
