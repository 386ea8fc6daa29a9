//! Pushing to Amazon ECR with nothing but a login at AWS. The API is a fake that goes by Amazon's model,
//! the registry behind it a real one.

use std::collections::BTreeMap;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::fake::{Call, Fake, Fault, Response, Running};
use crate::model::aws::Model;
use crate::support::cli::{Outcome, Sandbox};
use crate::support::proxy::Proxy;
use crate::support::registry::{PASSWORD, Registry, USERNAME};

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
/// The repository.
const NAME: &str = "acme/agent";

/// The API of ECR for one registry.
struct Ecr {
    model: Model,
    /// What repositories were created as.
    repositories: BTreeMap<String, Value>,
}

impl Ecr {
    fn new() -> Self {
        Self { model: Model::load("ecr"), repositories: BTreeMap::new() }
    }
}

impl Fake for Ecr {
    fn validate(&self, call: &Call) -> Vec<String> {
        match call.operation().as_str() {
            // Asked by Amazon's own library.
            "AssumeRoleWithWebIdentity" => Vec::new(),
            _ => self.model.check(call),
        }
    }

    fn validate_answer(&self, call: &Call, response: &Response) -> Vec<String> {
        match call.operation().as_str() {
            "AssumeRoleWithWebIdentity" => Vec::new(),
            _ => self.model.check_answer(call, response),
        }
    }

    fn answer(&mut self, call: &Call) -> Response {
        let input = call.json();
        let describe = |name: &str| {
            let arn = format!("arn:aws:ecr:eu-west-1:123456789012:repository/{name}");
            json!({"repositoryName": name, "repositoryArn": arn})
        };
        match call.operation().as_str() {
            "AssumeRoleWithWebIdentity" => {
                let credentials = "<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>canary</SecretAccessKey><SessionToken>canary</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>";
                let result = format!("<Credentials>{credentials}</Credentials>");
                let name = "AssumeRoleWithWebIdentity";
                let body = format!(
                    "<{name}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{name}Result>{result}</{name}Result></{name}Response>"
                );
                Response { status: 200, headers: Vec::new(), body: body.into() }
            }
            "GetAuthorizationToken" => {
                let token = BASE64_STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
                let data = json!({"authorizationToken": token, "expiresAt": 4_102_444_800.5});
                Response::json(200, &json!({"authorizationData": [data]}))
            }
            "DescribeRepositories" => {
                let name = input["repositoryNames"][0].as_str().unwrap();
                if self.repositories.contains_key(name) {
                    return Response::json(200, &json!({"repositories": [describe(name)]}));
                }
                Response::aws_error(400, "RepositoryNotFoundException", "it does not exist")
            }
            "CreateRepository" => {
                let name = input["repositoryName"].as_str().unwrap().to_owned();
                let answer = Response::json(200, &json!({"repository": describe(&name)}));
                self.repositories.insert(name, input);
                answer
            }
            operation => Response::aws_error(400, "InvalidAction", operation),
        }
    }
}

/// Everything that stands for Amazon.
struct Amazon {
    ecr: Running<Ecr>,
    /// What leads the host of ECR to a real registry.
    proxy: Proxy,
    _registry: Registry,
    sandbox: Sandbox,
}

impl Amazon {
    async fn start(config: &str) -> Self {
        let registry = Registry::start_with_password();
        let proxy = Proxy::start(&registry.host()).await;
        let sandbox = Sandbox::new();
        let image = format!("image: {HOST}/{NAME}\n");
        let text = format!("name: p\nbase: builtin:static\ntags: v1\n{image}{config}");
        sandbox.write("p/dockless.yaml", text);
        Self { ecr: Running::start(Ecr::new()).await, proxy, _registry: registry, sandbox }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command
            .args(["--insecure-registry", HOST])
            .env("HTTP_PROXY", format!("http://{}", self.proxy.host()))
            .env("AWS_ENDPOINT_URL", self.ecr.url())
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    fn push(&self, more: &[&str]) -> Outcome {
        let mut command = self.command(&[&["push", "p"], more].concat());
        Outcome::of(command.env("AWS_ACCESS_KEY_ID", "AKID").env("AWS_SECRET_ACCESS_KEY", "canary"))
    }

    fn operations(&self) -> Vec<String> {
        self.ecr.calls().iter().map(Call::operation).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_at_aws_is_enough_to_push() {
    let amazon = Amazon::start("").await;
    let outcome = amazon.push(&["-v"]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert!(outcome.stderr.contains("AWS: using the credentials of the variables"), "{outcome:#?}");
    assert!(
        outcome.stderr.contains(&format!("`{HOST}`: using user `{USERNAME}` from AWS")),
        "{outcome:#?}"
    );
    assert!(!format!("{outcome:?}").contains("canary"), "{outcome:#?}");
    assert_eq!(amazon.operations(), ["GetAuthorizationToken"]);
    assert_eq!(amazon.ecr.wrong(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_a_web_identity_is_let_in_and_asks_over_our_own_way() {
    let amazon = Amazon::start("").await;
    let token = amazon.sandbox.write("token", "canary");
    let mut command = amazon.command(&["push", "p", "-vv"]);
    command
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/ci");
    let outcome = Outcome::of(&mut command);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert_eq!(amazon.operations(), ["AssumeRoleWithWebIdentity", "GetAuthorizationToken"]);
    let told = format!("POST {}/", amazon.ecr.url());
    assert_eq!(outcome.stderr.matches(&told).count(), 2, "{outcome:#?}");
    assert!(!format!("{outcome:?}").contains("canary"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_docker_wins() {
    let amazon = Amazon::start("").await;
    let auth = BASE64_STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
    let config = json!({"auths": {HOST: {"auth": auth}}}).to_string();
    let mut command = amazon.command(&["push", "p"]);
    let outcome = Outcome::of(command.env("DOCKER_AUTH_CONFIG", config));
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert_eq!(amazon.operations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_login_the_sources_at_aws_are_told_among_the_others() {
    let amazon = Amazon::start("").await;
    let outcome = Outcome::of(&mut amazon.command(&["push", "p"]));
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let expected = "AWS: ecr:GetAuthorizationToken: no source has credentials (variables: `AWS_ACCESS_KEY_ID` is not set; profile: ";
    assert!(outcome.stderr.contains(expected), "{outcome:#?}");
    assert_eq!(amazon.operations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_missing_is_created_once() {
    let settings =
        "create_repository: {immutable_tags: true, scan_on_push: true, encryption_key: alias/k}\n";
    let amazon = Amazon::start(settings).await;
    // A lost answer is found out by a look.
    amazon.ecr.spoil("CreateRepository", Fault::LoseAnswer);
    let outcome = amazon.push(&[]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert!(
        outcome.stderr.contains(&format!("created the repository `{HOST}/{NAME}`")),
        "{outcome:#?}"
    );
    let created = json!({
        "registryId": "123456789012",
        "repositoryName": NAME,
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": true},
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "alias/k"},
        "tags": [{"Key": "managed-by", "Value": "dockless"}],
    });
    let repositories = || amazon.ecr.with(|ecr| ecr.repositories.clone());
    assert_eq!(repositories(), BTreeMap::from([(NAME.to_owned(), created)]));
    let outcome = amazon.push(&[]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert!(!outcome.stderr.contains("created the repository"), "{outcome:#?}");
    assert_eq!(amazon.ecr.writes(), ["CreateRepository"]);
    assert_eq!(amazon.ecr.wrong(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_somebody_else_creates_at_the_same_time_is_as_good() {
    let amazon = Amazon::start("create_repository: true\n").await;
    let message = "The repository with name 'acme/agent' already exists in the registry with id '123456789012'";
    let refusal = Response::aws_error(400, "RepositoryAlreadyExistsException", message);
    amazon.ecr.spoil("CreateRepository", Fault::Refuse(refusal));
    let outcome = amazon.push(&[]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert!(!outcome.stderr.contains("created the repository"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_creates_no_repository_and_neither_does_a_config_that_does_not_say_so() {
    for (config, arguments) in
        [("create_repository: true\n", &["--dry-run"][..]), ("create_repository: false\n", &[])]
    {
        let amazon = Amazon::start(config).await;
        let outcome = amazon.push(arguments);
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        assert_eq!(amazon.ecr.writes(), Vec::<String>::new(), "{config}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_create_a_repository_is_told_what_would_allow_it() {
    let amazon = Amazon::start("create_repository: true\n").await;
    let message = "User: arn:aws:iam::123456789012:user/bob is not authorized to perform: ecr:CreateRepository on resource: arn:aws:ecr:eu-west-1:123456789012:repository/acme/agent because no identity-based policy allows the ecr:CreateRepository action";
    let refusal = Response::aws_error(400, "AccessDeniedException", message);
    amazon.ecr.spoil("CreateRepository", Fault::Refuse(refusal));
    let outcome = amazon.push(&[]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let hint = r#"allow it to `arn:aws:iam::123456789012:user/bob` with this statement in a policy: {"Action":"ecr:CreateRepository","Effect":"Allow","Resource":"arn:aws:ecr:eu-west-1:123456789012:repository/acme/agent"}"#;
    assert!(outcome.stderr.contains(hint), "{outcome:#?}");
    assert!(amazon.proxy.seen().iter().all(|line| !line.starts_with("PUT ")), "nothing was pushed");
}
