//! `container-apps`: Azure Container Apps.
//!
//! One `PUT` is the whole of a deployment: it makes one revision, and the revision before serves until the
//! new one is ready.
//!
//! - `shape.rs`, `settings.rs`: what the config says, with its `amounts.rs` and `names.rs`
//! - `app.rs`: the app that follows from it, upon the one that is there
//! - `plan.rs`: what to send, `surroundings.rs`: where a new app goes, `rollback.rs`: the way back;
//!   `described.rs`: what they change
//! - `leftovers.rs`: what goes away with an earlier config, `tidying.rs`: and when; `requests.rs`: how all of it
//!   is sent
//! - `observe.rs`: what is there, `state.rs`: how it is, with `advice.rs`, `begun.rs`: what became of our own requests
//! - `logs.rs`: what it prints

mod advice;
mod amounts;
mod app;
mod begun;
mod described;
mod leftovers;
mod logs;
mod names;
mod observe;
mod plan;
mod requests;
mod rollback;
mod settings;
mod shape;
mod state;
mod surroundings;
mod tidying;

use async_trait::async_trait;

use self::begun::Memory;
use self::plan::Planner;
use self::settings::Settings;
use self::shape::SHAPE;
use crate::cloud::{CallError, Cloud, ErrorClass, RESOURCE_MANAGER, assumed_azure_subscription};
use crate::config::Problems;
use crate::deploy::{
    Assumption, DeployError, DeployPlan, Image, LogLine, LogQuery, Observed, Session, Subject,
    Target, TargetInput, TargetKind, Workload, steps,
};
use crate::error::Result;

/// The kind `container-apps`.
pub(super) static KIND: TargetKind = TargetKind {
    name: "container-apps",
    summary: "Azure Container Apps.",
    example: "target: container-apps\n\
              subscription_id: 00000000-0000-0000-0000-000000000000\n\
              resource_group: agents\n\
              environment_name: production\n\
              ingress_external: true\n",
    cloud: Some(Cloud::Azure),
    shape: &SHAPE,
    secret_references: &["key_vault"],
    pull_references: &["identity"],
    removal: "az containerapp delete --name {name} --resource-group {0}",
    assumptions: &[Assumption {
        setting: "subscription_id",
        what: "subscription",
        find: assumed_azure_subscription,
    }],
    parse,
};

fn parse(input: &TargetInput<'_>, problems: &mut Problems) -> Option<Box<dyn Target>> {
    let settings = Settings::parse(input, problems)?;
    let subject = Subject {
        what: "container app",
        name: settings.name.clone(),
        place: settings.resource_group.clone(),
    };
    let workload = input.workload.clone();
    Some(Box::new(ContainerApp { settings, workload, subject, memory: Memory::default() }))
}

/// An app of Azure Container Apps.
#[derive(Debug)]
struct ContainerApp {
    settings: Settings,
    workload: Workload,
    subject: Subject,
    memory: Memory,
}

impl ContainerApp {
    fn planner(&self) -> Planner<'_> {
        Planner { settings: &self.settings, workload: &self.workload, subject: &self.subject }
    }

    /// Sends the requests of a plan, and waits for what they began.
    async fn send(&self, plan: &DeployPlan, session: &Session) -> Result<()> {
        self.memory.begin();
        steps::run(plan, &self.memory.listen(session), &|| self.observe(session)).await?;
        if self.memory.get().operation.is_none() {
            return Ok(());
        }
        let observed = steps::settled(session, &|| self.observe(session)).await?;
        if observed.details["is_name_taken"] == true {
            self.memory.note_taken();
            let title = requests::get(&self.settings).title();
            return Err(CallError::new(&RESOURCE_MANAGER, title, ErrorClass::Exists).into());
        }
        Ok(())
    }
}

#[async_trait]
impl Target for ContainerApp {
    fn kind(&self) -> &'static TargetKind {
        &KIND
    }

    fn workload(&self) -> &Workload {
        &self.workload
    }

    fn subject(&self) -> Subject {
        self.subject.clone()
    }

    fn health_path(&self) -> &str {
        &self.settings.health_check_path
    }

    fn check(&self, image: &Image) -> Result<String, DeployError> {
        if image.manifest_for("linux", "amd64").is_some() {
            return Ok(image.reference());
        }
        Err(DeployError::Unfit {
            target: "Azure Container Apps".to_owned(),
            image: image.reference(),
            reason: "it is not for linux/amd64".to_owned(),
            hint: "add `linux/amd64` to `platforms`".to_owned(),
        })
    }

    async fn observe(&self, session: &Session) -> Result<Observed> {
        observe::observe(&self.settings, &self.memory.get(), session).await
    }

    fn plan(&self, image: &Image, observed: &Observed) -> Result<DeployPlan> {
        Ok(self.planner().deploy(image, observed)?)
    }

    async fn apply(&self, plan: &DeployPlan, session: &Session) -> Result<()> {
        match tidying::way_back(plan) {
            Some((there, back)) => self.tidy(&there, &back, session).await,
            None => self.send(plan, session).await,
        }
    }

    fn plan_tidying(&self, image: &Image, observed: &Observed) -> DeployPlan {
        self.planner().tidying(image, observed)
    }

    fn plan_rollback(&self, image: Option<&str>, observed: &Observed) -> Result<DeployPlan> {
        Ok(self.planner().roll_back(image, observed)?)
    }

    fn plan_destroy(&self, observed: &Observed) -> Result<DeployPlan> {
        Ok(self.planner().destroy(observed)?)
    }

    async fn logs(
        &self,
        query: &LogQuery,
        session: &Session,
    ) -> Result<(Vec<LogLine>, Option<String>)> {
        logs::logs(&self.settings, query, session).await
    }
}
