//! `container-apps`: Azure Container Apps.
//!
//! One `PUT` is the whole of a deployment: it makes one revision, and the revision before serves until the
//! new one is ready.
//!
//! - `settings.rs`: what the config says; `app.rs`: the app that follows from it, upon the one that is there
//! - `plan.rs`: what to send, `described.rs`: what that changes; `requests.rs`: how it is sent
//! - `observe.rs`: how the app is, `logs.rs`: what it prints

mod app;
mod described;
mod logs;
mod observe;
mod plan;
mod requests;
mod settings;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use self::plan::Planner;
use self::settings::{SHAPE, Settings};
use crate::cloud::{Answer, Api, CallError, Cloud, Method, Request};
use crate::config::Problems;
use crate::deploy::{
    DeployError, DeployPlan, Image, LogLine, LogQuery, Observed, Session, Subject, Target,
    TargetInput, TargetKind, Workload, steps,
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
    Some(Box::new(ContainerApp { settings, workload, subject, operation: Arc::default() }))
}

/// An app of Azure Container Apps.
#[derive(Debug)]
struct ContainerApp {
    settings: Settings,
    workload: Workload,
    subject: Subject,
    operation: Operation,
}

/// Where the last operation that we began can be asked for: only there stands why a revision was refused.
type Operation = Arc<Mutex<Option<String>>>;

impl ContainerApp {
    fn planner(&self) -> Planner<'_> {
        Planner { settings: &self.settings, workload: &self.workload, subject: &self.subject }
    }
}

#[async_trait]
impl Target for ContainerApp {
    fn kind(&self) -> &'static TargetKind {
        &KIND
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
        let operation = self.operation.lock().unwrap_or_else(PoisonError::into_inner).clone();
        observe::observe(&self.settings, operation.as_deref(), session).await
    }

    fn plan(&self, image: &Image, observed: &Observed) -> Result<DeployPlan> {
        Ok(self.planner().deploy(image, observed)?)
    }

    async fn apply(&self, plan: &DeployPlan, session: &Session) -> Result<()> {
        *self.operation.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut listening = session.clone();
        let (api, operation) = (session.api.clone(), self.operation.clone());
        listening.api = Arc::new(Listening { api, operation });
        steps::run(plan, &listening, &|| self.observe(session)).await
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

/// Keeps in mind which operation a `PUT` began.
#[derive(Debug)]
struct Listening {
    api: Arc<dyn Api>,
    operation: Operation,
}

#[async_trait]
impl Api for Listening {
    async fn call(&self, request: &Request) -> Result<Answer, CallError> {
        let answer = self.api.call(request).await?;
        if let (Method::Put, Some(url)) =
            (request.method, answer.headers.get("azure-asyncoperation"))
        {
            let mut operation = self.operation.lock().unwrap_or_else(PoisonError::into_inner);
            *operation = Some(url.clone());
        }
        Ok(answer)
    }

    async fn identity(&self, cloud: Cloud) -> Result<String, CallError> {
        self.api.identity(cloud).await
    }

    async fn account(&self) -> Result<String, CallError> {
        self.api.account().await
    }
}
