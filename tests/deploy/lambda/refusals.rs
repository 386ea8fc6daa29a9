//! What is refused before any call: images that do not fit, and settings.

use dockless::config::{ParsedFile, Problems, schema};
use dockless::deploy::{Image, Pull, TargetInput, Variable, Workload, targets};
use dockless::oci::{MediaType, Platform};
use dockless::sys::Environment;

use super::{image, image_of, target, workload};

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

/// What is wrong with these settings.
fn problems(settings: &str, workload: &Workload) -> Vec<String> {
    problems_in(&Environment::default(), settings, workload)
}

fn problems_in(environment: &Environment, settings: &str, workload: &Workload) -> Vec<String> {
    let text = format!("target: lambda\n{settings}");
    let mut problems = Problems::new();
    let file = ParsedFile::parse(&text, &"f".into(), &mut problems).unwrap();
    let kind = targets::find("lambda").unwrap();
    schema::check(&file.root, kind.shape, &mut problems);
    let position = &file.root.position;
    let input = TargetInput { settings: &file.root, position, workload, environment };
    (kind.parse)(&input, &mut problems);
    let shown = |problem: dockless::config::Problem| {
        let hint = problem.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{}: {}{hint}", problem.position, problem.message)
    };
    problems.list().into_iter().map(shown).collect()
}

#[test]
fn settings_are_checked_before_any_call() {
    for (settings, expected) in [
        ("region: eu-west-1\nmemory: 10240\nurl: none", vec![]),
        ("region: us-gov-west-1", vec![]),
        (
            "memory: 1",
            vec![
                "f:1:1: nothing says in which region of AWS; add `region: eu-west-1`, or set `AWS_REGION` or \
                 the region of the profile",
                "f:2:9: `memory` is a whole number of MB from 128 to 10240, not `1`",
            ],
        ),
        (
            "region: Ireland",
            vec!["f:2:9: `Ireland` is no region of AWS; write for instance `region: eu-west-1`"],
        ),
        (
            "region: eu-south-2",
            vec![
                "f:2:9: the region eu-south-2 has no function URLs; write `api_gateway: true`, or `url: none` when \
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
            "region: eu-west-1\ncors_origins: [https://a.example/x, b.example, \"*\"]",
            vec![
                "f:3:16: `https://a.example/x` is no origin; write `https://HOST`, without a path, or `\"*\"` \
                 for all",
                "f:3:37: `b.example` is no origin; write `https://HOST`, without a path, or `\"*\"` for all",
            ],
        ),
        (
            "region: eu-west-1\nurl: none\ncors_origins: \"*\"",
            vec![
                "f:4:15: `cors_origins` belongs to a function URL or an API, and there is none; remove it",
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
    assert_eq!(
        problems_in(&Environment::of([("AWS_REGION", "eu-south-2")]), "", &workload()),
        [
            "f:1:1: the region eu-south-2 has no function URLs; write `api_gateway: true`, or `url: none` when \
             nobody calls it from outside"
        ]
    );
}

#[test]
fn what_runs_is_checked_before_any_call() {
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
            "f:1:1: Lambda has room for 4096 bytes of variables, and these take 5045; put what is large \
             into a file of the image, or let the agent fetch it"
                .to_owned(),
        ]
    );
}
