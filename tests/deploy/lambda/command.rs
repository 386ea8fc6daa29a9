//! Deploying to Lambda with the command: what a user sees of it.

use std::process::Command;

use serde_json::Value;

use super::{FIRST, ROLE};
use crate::anywhere::Anywhere;
use crate::fake::Running;
use crate::fakes::lambda::{ACCOUNT, Aws, REGION};
use crate::support::cli::{Outcome, Sandbox};

/// What the registry answers well when it stands for a function; it knows nothing else.
const WELL: &str = "health: {path: /v2/}\n";
/// What it answers with 404.
const NOT_WELL: &str = "health: {path: /health}\n";
const ROLE_NAME: &str = "dockless-eu-west-1-agent-production-agent-production-lambda";

/// A project with an environment, an account, and a registry that answers under the name of ECR and under
/// those of the function.
struct Machine {
    sandbox: Sandbox,
    registry: Anywhere,
    aws: Running<Aws>,
}

impl Machine {
    async fn new() -> Self {
        let mut aws = Aws::new();
        aws.add_role("agent");
        let machine = Self {
            sandbox: Sandbox::new(),
            registry: Anywhere::start(&[&ecr(), &function_host(), API_HOST]).await,
            aws: Running::start(aws).await,
        };
        machine.write("one");
        machine
    }

    /// Makes another image of the project.
    fn write(&self, content: &str) {
        self.sandbox.write("agent.py", format!("print('{content}')\n"));
    }

    /// `settings` are those of the target, one line each; `more` is of the project.
    fn configure(&self, settings: &str, more: &str) {
        let settings: Vec<_> = settings.lines().map(|setting| format!("    {setting}")).collect();
        let settings = settings.join("\n");
        let text = format!(
            "name: agent\nbase: builtin:static\n\
             layers: [{{kind: files, copy: [{{src: agent.py, dest: /srv/agent.py}}]}}]\n\
             image: [{}/acme/agent]\n{more}\
             environments:\n  production:\n    target: lambda\n    region: {REGION}\n{settings}",
            ecr()
        );
        self.sandbox.write("dockless.yaml", text);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        self.registry.lead(&mut command);
        command
            .env("AWS_ENDPOINT_URL", self.aws.url())
            .env("AWS_ACCESS_KEY_ID", "AKID")
            .env("AWS_SECRET_ACCESS_KEY", "canary-key")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let outcome = Outcome::of(&mut self.command(arguments));
        assert!(!format!("{outcome:?}").contains("canary"), "{outcome:#?}");
        assert_eq!(self.aws.wrong(), [""; 0], "{outcome:#?}");
        outcome
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        outcome
    }

    /// How the one deployment ended: its outcome and what the service itself said.
    #[track_caller]
    fn ended(&self, arguments: &[&str]) -> [String; 2] {
        let report: Value =
            serde_json::from_str(&self.succeed(&[arguments, &["--json"]].concat()).stdout).unwrap();
        ["/deployments/0/outcome", "/deployments/0/probe/result"]
            .map(|place| report.pointer(place).unwrap().as_str().unwrap().to_owned())
    }

    fn writes(&self) -> Vec<String> {
        self.aws.with(Aws::take_writes)
    }

    /// The version that serves.
    fn serving(&self) -> String {
        let name = "agent-production";
        self.aws.with(|aws| aws.functions[name].aliases["live"].version.clone())
    }
}

const API_HOST: &str = "api0.execute-api.eu-west-1.amazonaws.com";

fn ecr() -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com")
}

fn function_host() -> String {
    format!("{}.lambda-url.{REGION}.on.aws", "u".repeat(40))
}

/// What went wrong, with hints.
fn errors(outcome: &Outcome) -> String {
    let at = outcome.stderr.find("error: ").unwrap_or_else(|| panic!("{outcome:#?}"));
    outcome.stderr[at..].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_comes_stays_and_is_asked_whether_it_is_well() {
    let machine = Machine::new().await;
    machine.configure(ROLE, WELL);
    let url = format!("https://{}/\n", function_host());
    assert_eq!(machine.succeed(&["deploy"]).stdout, url);
    assert_eq!(machine.writes(), FIRST);
    assert_eq!(machine.ended(&["deploy"]), ["unchanged", "healthy"]);
    assert_eq!(machine.succeed(&["deploy"]).stdout, url);
    assert_eq!(machine.writes(), [""; 0]);
    machine.write("two");
    assert_eq!(machine.ended(&["deploy"]), ["deployed", "healthy"]);
    assert_eq!(machine.serving(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_answers_badly_is_deployed_and_not_well() {
    let machine = Machine::new().await;
    let told = "error: Lambda function `agent-production` in eu-west-1: the image is deployed, and not well: `GET \
                https://HOST/health` is answered with 404\n\
                hint: `dockless logs -e production` shows what it printed\n";
    let fails = || {
        machine.configure(ROLE, NOT_WELL);
        let outcome = machine.run(&["deploy", "--wait-timeout", "1s"]);
        assert_eq!((outcome.code, &*outcome.stdout), (3, ""), "{outcome:#?}");
        errors(&outcome).replace(&function_host(), "HOST")
    };
    assert_eq!(fails(), told);
    machine.configure(ROLE, WELL);
    assert_eq!(machine.ended(&["deploy"]), ["unchanged", "healthy"]);
    machine.write("two");
    let back = "hint: `dockless rollback -e production` brings back what ran before\n";
    assert_eq!(fails(), format!("{told}{back}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_before_is_brought_back_when_that_is_asked_for() {
    let machine = Machine::new().await;
    machine.configure(ROLE, WELL);
    machine.succeed(&["deploy"]);
    machine.write("two");
    machine.configure(ROLE, NOT_WELL);
    machine.writes();
    let outcome = machine.run(&["deploy", "--rollback-on-failure", "--wait-timeout", "1s"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(outcome.stderr.contains(" is back\n"), "{outcome:#?}");
    assert_eq!(
        machine.writes(),
        ["UpdateFunctionCode", "PublishVersion", "UpdateAlias", "TagResource", "UpdateAlias"]
    );
    assert_eq!(machine.serving(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_missing_ends_it_before_anything_is_built() {
    let machine = Machine::new().await;
    machine.configure("", "");
    let outcome = machine.run(&["deploy"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let trust = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"}}],"Version":"2012-10-17"}"#;
    let policy = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    assert_eq!(
        errors(&outcome),
        format!(
            "error: deploy to Lambda function `agent-production` in eu-west-1\n  \
             the execution role `{ROLE_NAME}`, which lambda.amazonaws.com assumes, is missing\n\
             hint: set `create_roles: true` in the environment, or name a role in `role_arn`, or create it \
             with these commands:\n\
             hint: aws iam create-role --role-name {ROLE_NAME} --assume-role-policy-document '{trust}'\n\
             hint: aws iam attach-role-policy --role-name {ROLE_NAME} --policy-arn {policy}\n"
        )
    );
    assert_eq!((machine.writes(), machine.registry.called()), (Vec::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_made_where_that_is_allowed_and_waited_for() {
    let machine = Machine::new().await;
    machine.configure("create_roles: true\n", WELL);
    machine.aws.with(|aws| aws.unknown_role_tries = 2);
    assert_eq!(machine.ended(&["deploy"]), ["deployed", "healthy"]);
    machine.aws.with(|aws| assert!(aws.roles.contains_key(ROLE_NAME), "{:?}", aws.roles));
    machine.succeed(&["destroy", "--yes"]);
    machine.aws.with(|aws| {
        assert!(aws.functions.is_empty());
        assert_eq!(aws.roles.keys().collect::<Vec<_>>(), ["agent"]);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_is_what_is_printed_and_asked_where_it_stands_in_front() {
    let machine = Machine::new().await;
    machine.configure(&format!("{ROLE}api_gateway: true\n"), WELL);
    assert_eq!(machine.succeed(&["deploy"]).stdout, format!("https://{API_HOST}\n"));
    assert_eq!(machine.ended(&["deploy"]), ["unchanged", "healthy"]);
    assert_eq!(
        machine.writes(),
        ["CreateFunction", "PublishVersion", "CreateAlias", "CreateApi", "AddPermission"]
    );
}
