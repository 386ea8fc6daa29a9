//! AWS App Runner: a service from an image in ECR, for accounts that have used it before.
//!
//! - `settings.rs`: what the config says
//! - `observe.rs`: what is there, and how it is: the service's own status says `RUNNING` after an update
//!   that was rolled back, so the last operation is asked, too
//! - `closed.rs`: where accounts go that it takes no more
//! - `plan.rs`, `comparison.rs`: what has to be done, and what differs; `removal.rs`: back to the image of before, and away
//!
//! App Runner has no revisions: going back is an update with the image of before.

mod closed;
mod comparison;
mod observe;
mod plan;
mod removal;
mod settings;

use async_trait::async_trait;

use settings::Settings;

use crate::cloud::Cloud;
use crate::deploy::aws::{ASSUMPTIONS, EcrHost, read_logs};
use crate::deploy::{
    DeployError, DeployPlan, Image, LogLine, LogQuery, Observed, Session, Subject, Target,
    TargetInput, TargetKind, Workload, steps,
};
use crate::error::Result;

/// The kind `app-runner`.
pub(super) static APP_RUNNER: TargetKind = TargetKind {
    name: "app-runner",
    summary: "AWS App Runner, for accounts that have used it before 2026-04-30; others use `ecs-express`. \
              Its images are in ECR or ECR Public, and have `linux/amd64`. An update takes some \
              minutes, one with a wrong role up to 40.",
    example: "production:\n  target: app-runner\n  region: eu-west-1\n  cpu: 1\n  memory: 2048\n  \
              create_roles: true\n",
    cloud: Some(Cloud::Aws),
    shape: &settings::SHAPE,
    secret_references: &["secrets_manager"],
    pull_references: &[],
    removal: "aws apprunner delete-service --region {0} --service-arn \"$(aws apprunner list-services --region {0} \
              --query \"ServiceSummaryList[?ServiceName=='{name}'].ServiceArn\" --output text)\"",
    assumptions: ASSUMPTIONS,
    parse: |input: &TargetInput<'_>, problems| {
        let settings = Settings::parse(input, problems)?;
        Some(Box::new(AppRunner { settings, workload: input.workload.clone() }))
    },
};

/// A service of App Runner.
#[derive(Debug)]
struct AppRunner {
    settings: Settings,
    workload: Workload,
}

#[async_trait]
impl Target for AppRunner {
    fn kind(&self) -> &'static TargetKind {
        &APP_RUNNER
    }

    fn workload(&self) -> &Workload {
        &self.workload
    }

    fn subject(&self) -> Subject {
        Subject {
            what: "App Runner service",
            name: self.settings.name.clone(),
            place: self.settings.region.clone(),
        }
    }

    fn health_path(&self) -> &str {
        &self.settings.health_path
    }

    fn check(&self, image: &Image) -> Result<String, DeployError> {
        let unfit = |reason: String, hint: &str| DeployError::Unfit {
            target: "App Runner".to_owned(),
            image: image.reference(),
            reason,
            hint: hint.to_owned(),
        };
        let host = image.repository.registry();
        let ecr = EcrHost::parse(host)
            .filter(|ecr| !ecr.is_fips && !ecr.is_dual_stack && host.ends_with(".amazonaws.com"));
        if ecr.is_none() && host != PUBLIC_ECR {
            return Err(unfit(
                format!("it takes images of ECR only, not of `{host}`"),
                "push it to `ACCOUNT.dkr.ecr.REGION.amazonaws.com`, or use `target: ecs-express`, which takes \
                 images of any registry",
            ));
        }
        if !image.repository.path().split('/').all(is_path_part) {
            return Err(unfit(
                format!("it takes no repository called `{}`", image.repository.path()),
                "between letters and digits it takes one `-`, `_` or `.`: rename the repository",
            ));
        }
        let Some(manifest) = image.manifest_for("linux", "amd64") else {
            return Err(unfit(
                "it runs x86_64 only".to_owned(),
                "build it for `linux/amd64`: add it to `platforms`",
            ));
        };
        Ok(image.reference_of(manifest))
    }

    async fn observe(&self, session: &Session) -> Result<Observed> {
        Ok(self.look(session).await?)
    }

    fn plan(&self, image: &Image, observed: &Observed) -> Result<DeployPlan> {
        Ok(self.plan_deployment(image, observed)?)
    }

    async fn apply(&self, plan: &DeployPlan, session: &Session) -> Result<()> {
        let applied = steps::run(plan, session, &|| self.observe(session)).await;
        applied.map_err(|error| closed::explain(error, &self.settings, &self.workload))
    }

    fn plan_rollback(&self, image: Option<&str>, observed: &Observed) -> Result<DeployPlan> {
        Ok(self.plan_return(image, observed)?)
    }

    fn plan_destroy(&self, observed: &Observed) -> Result<DeployPlan> {
        Ok(self.plan_removal(observed)?)
    }

    async fn logs(
        &self,
        query: &LogQuery,
        session: &Session,
    ) -> Result<(Vec<LogLine>, Option<String>)> {
        let region = &self.settings.region;
        let Some(arn) = self.find_service(session).await? else {
            return Err(self.nothing("there is no such service").into());
        };
        // `arn:…:service/NAME/ID`
        let path = arn.rsplit(':').next().unwrap_or_default();
        let path = path.strip_prefix("service/").unwrap_or(path);
        let group = format!("/aws/apprunner/{path}/application");
        Ok(read_logs(session, region, &group, query).await?)
    }
}

/// The host of images that everybody may pull.
const PUBLIC_ECR: &str = "public.ecr.aws";

impl AppRunner {
    fn nothing(&self, reason: &str) -> DeployError {
        DeployError::Nothing {
            subject: self.subject().to_string(),
            reason: reason.to_owned(),
            hint: format!("`{}` makes it", self.workload.command("deploy")),
        }
    }
}

/// Letters and digits, with single separators between them.
fn is_path_part(part: &str) -> bool {
    part.split(['.', '_', '-']).all(|word| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}
