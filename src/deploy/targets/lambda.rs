//! `target: lambda`: an AWS Lambda function from a container image, reached by a function URL or an API.
//!
//! - `settings.rs`: what the config says; `fitness.rs`: which images run there
//! - `requests.rs`: every request that is sent to a function
//! - `observe.rs`: what is there, as `found.rs` has it; `state.rs`: how that is
//! - `plan.rs`: the function, its versions and the alias `live`
//! - `entry.rs`: how it is reached from outside; `cors.rs`: from pages of which origins
//! - `removal.rs`: back to an earlier version, and away
//!
//! What serves is the alias `live`: a deployment publishes a version and moves the alias to it, so that a
//! version that came to nothing serves nobody, and going back is one request.

mod cors;
mod entry;
mod fitness;
mod found;
mod observe;
mod plan;
mod removal;
mod requests;
mod settings;
mod state;

use async_trait::async_trait;

use self::requests::Requests;
use self::settings::Settings;
use crate::cloud::{CallError, Cloud};
use crate::config::Problems;
use crate::deploy::aws::{ASSUMPTIONS, RoleSpec, read_logs, role_name};
use crate::deploy::{
    DeployError, DeployPlan, Image, LogLine, LogQuery, Observed, Session, Subject, Target,
    TargetInput, TargetKind, Workload, steps,
};
use crate::error::Result;

/// The kind.
pub(super) static LAMBDA: TargetKind = TargetKind {
    name: "lambda",
    summary: "AWS Lambda: a function from a container image in ECR. The image brings the runtime interface \
              of Lambda, or the Lambda Web Adapter in front of an HTTP server. Versions are published with \
              every change, and the alias `live` serves one of them.",
    example: "production:\n  target: lambda\n  region: eu-west-1\n  memory: 1024\n  timeout: 300\n  \
              create_roles: true\n",
    cloud: Some(Cloud::Aws),
    shape: &settings::SHAPE,
    secret_references: &[],
    pull_references: &[],
    removal: "aws lambda delete-function --region {0} --function-name {name}",
    assumptions: ASSUMPTIONS,
    parse,
};

/// A function.
#[derive(Debug)]
struct Lambda {
    settings: Settings,
    workload: Workload,
}

fn parse(input: &TargetInput<'_>, problems: &mut Problems) -> Option<Box<dyn Target>> {
    let settings = settings::read(input, problems)?;
    Some(Box::new(Lambda { settings, workload: input.workload.clone() }))
}

impl Lambda {
    fn requests(&self) -> Requests<'_> {
        Requests { region: &self.settings.region, name: &self.settings.name }
    }

    /// The role that is made when none is named.
    fn role(&self) -> RoleSpec {
        let Workload { project, environment, .. } = &self.workload;
        let Settings { region, name, .. } = &self.settings;
        RoleSpec {
            // Roles are the account's, and functions of one name may be in several regions.
            name: role_name(&[region, project, environment, name, "lambda"]),
            purpose: "execution role",
            principal: "lambda.amazonaws.com",
            policies: &["service-role/AWSLambdaBasicExecutionRole"],
            statements: Vec::new(),
            setting: "role_arn",
        }
    }
}

#[async_trait]
impl Target for Lambda {
    fn kind(&self) -> &'static TargetKind {
        &LAMBDA
    }

    fn workload(&self) -> &Workload {
        &self.workload
    }

    fn subject(&self) -> Subject {
        let Settings { name, region, .. } = &self.settings;
        Subject { what: "Lambda function", name: name.clone(), place: region.clone() }
    }

    fn health_path(&self) -> &str {
        &self.workload.health_path
    }

    fn check(&self, image: &Image) -> Result<String, DeployError> {
        let (manifest, _) = self.fit(image)?;
        Ok(image.reference_of(manifest))
    }

    async fn observe(&self, session: &Session) -> Result<Observed> {
        self.look(session).await
    }

    fn plan(&self, image: &Image, observed: &Observed) -> Result<DeployPlan> {
        self.plan_deployment(image, observed)
    }

    async fn apply(&self, plan: &DeployPlan, session: &Session) -> Result<()> {
        let applied = steps::run(plan, session, &|| self.observe(session)).await;
        // What is published must be what was given: Lambda tells by the digest when somebody else gave more.
        applied.map_err(|error| match error.find::<CallError>() {
            Some(call) if call.message.contains("CodeSHA256") => DeployError::Overtaken {
                subject: self.subject().to_string(),
                what: "has given it another image",
            }
            .into(),
            _ => error,
        })
    }

    fn plan_rollback(&self, image: Option<&str>, observed: &Observed) -> Result<DeployPlan> {
        self.plan_return(image, observed)
    }

    fn plan_destroy(&self, observed: &Observed) -> Result<DeployPlan> {
        self.plan_removal(observed)
    }

    async fn logs(
        &self,
        query: &LogQuery,
        session: &Session,
    ) -> Result<(Vec<LogLine>, Option<String>)> {
        let answer = session.find(&self.requests().configuration("$LATEST")).await?;
        let named = answer.as_ref().and_then(|answer| answer.text("/LoggingConfig/LogGroup"));
        let own = self.requests().log_group();
        let group = named.unwrap_or(&own);
        Ok(read_logs(session, &self.settings.region, group, query).await?)
    }
}
