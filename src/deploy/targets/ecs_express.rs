//! Amazon ECS Express Mode: a service of ECS on Fargate, with a load balancer and a URL, from an image.
//!
//! - `settings.rs`: what the config says
//! - `observe.rs`: what is there; `state.rs`: how it is. A service is `ACTIVE` at once, which says nothing:
//!   its last deployment is asked
//! - `plan.rs`, `comparison.rs`: what has to be done, and what differs; `removal.rs`: back to the image of
//!   before, and away
//! - `memory.rs`: what this run has written itself
//!
//! An update takes six minutes or more by design: a part of the requests first, then all, each watched for
//! three minutes; and it is taken back when more than 1 % of the requests fail, those for unknown paths
//! included.

mod comparison;
mod memory;
mod observe;
mod plan;
mod removal;
mod settings;
mod state;

use async_trait::async_trait;

use memory::Memory;
use settings::Settings;

use crate::cloud::Cloud;
use crate::deploy::aws::{ASSUMPTIONS, read_logs};
use crate::deploy::{
    DeployError, DeployPlan, Image, LogLine, LogQuery, Observed, Session, Subject, Target,
    TargetInput, TargetKind, Workload, steps,
};
use crate::error::Result;

/// The kind `ecs-express`.
pub(super) static ECS_EXPRESS: TargetKind = TargetKind {
    name: "ecs-express",
    summary: "Amazon ECS Express Mode: a service on Fargate with a URL of its own. It takes images of any \
              registry, for x86_64 or ARM64. An update takes 6 minutes or more by design: 5 % of the \
              requests for 3 minutes, then all for 3 minutes; ECS takes it back when more than 1 % of the \
              requests fail, with 404, too.",
    example: "production:\n  target: ecs-express\n  region: eu-west-1\n  cpu: 1\n  memory: 2048\n  \
              create_roles: true\n",
    cloud: Some(Cloud::Aws),
    shape: &settings::SHAPE,
    secret_references: &["secrets_manager"],
    pull_references: &["secrets_manager"],
    removal: "aws ecs delete-express-gateway-service --region {0} --service-arn \"$(aws ecs describe-services \
              --region {0} --cluster {1} --services {name} --query 'services[0].serviceArn' --output text)\"",
    assumptions: ASSUMPTIONS,
    parse: |input: &TargetInput<'_>, problems| {
        let settings = Settings::parse(input, problems)?;
        let workload = input.workload.clone();
        Some(Box::new(EcsExpress { settings, workload, memory: Memory::default() }))
    },
};

/// A service of ECS Express Mode.
#[derive(Debug)]
struct EcsExpress {
    settings: Settings,
    workload: Workload,
    memory: Memory,
}

#[async_trait]
impl Target for EcsExpress {
    fn kind(&self) -> &'static TargetKind {
        &ECS_EXPRESS
    }

    fn workload(&self) -> &Workload {
        &self.workload
    }

    fn subject(&self) -> Subject {
        let Settings { name, region, cluster, .. } = &self.settings;
        Subject {
            what: "ECS Express service",
            name: name.clone(),
            place: format!("{region}/{cluster}"),
        }
    }

    fn health_path(&self) -> &str {
        &self.settings.health_path
    }

    fn check(&self, image: &Image) -> Result<String, DeployError> {
        self.architecture(image).map(|_| image.reference())
    }

    async fn observe(&self, session: &Session) -> Result<Observed> {
        self.look(session).await
    }

    fn plan(&self, image: &Image, observed: &Observed) -> Result<DeployPlan> {
        Ok(self.plan_deployment(image, observed)?)
    }

    async fn apply(&self, plan: &DeployPlan, session: &Session) -> Result<()> {
        let session = &self.memory.noting(plan, session);
        steps::run(plan, session, &|| self.observe(session)).await
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
        let group = self.find_log_group(session).await?;
        Ok(read_logs(session, &self.settings.region, &group, query).await?)
    }
}

impl EcsExpress {
    /// The processor that the image is for, as ECS calls it: the one that the settings name, else x86_64
    /// before ARM64.
    fn architecture(&self, image: &Image) -> Result<&'static str, DeployError> {
        let known = [("amd64", "x86_64", "X86_64"), ("arm64", "arm64", "ARM64")];
        let named = self.settings.architecture.as_deref();
        let mut wanted =
            known.into_iter().filter(|(_, name, _)| named.is_none_or(|named| named == *name));
        let found =
            wanted.find(|(architecture, ..)| image.manifest_for("linux", architecture).is_some());
        found.map(|(.., name)| name).ok_or_else(|| {
            let reason = match named {
                Some(named) => format!("`architecture` is {named}, and the image has none for it"),
                None => "the image is neither for x86_64 nor for ARM64".to_owned(),
            };
            DeployError::Unfit {
                target: "ECS Express Mode".to_owned(),
                image: image.reference(),
                reason,
                hint: "build it for `linux/amd64` or `linux/arm64`: add it to `platforms`"
                    .to_owned(),
            }
        })
    }

    fn nothing(&self, reason: &str) -> DeployError {
        DeployError::Nothing {
            subject: self.subject().to_string(),
            reason: reason.to_owned(),
            hint: format!("`{}` makes it", self.workload.command("deploy")),
        }
    }
}
