//! Google Cloud Run, through its API v2.
//!
//! - `settings.rs`: what the config says; `service.rs`: the service that it asks for
//! - `observe.rs`: what is there; `comparison.rs`: how the two differ; `plan.rs`: what to send
//! - `secrets.rs`: values that Secret Manager keeps; `versions.rs`: those that nothing reads any more
//! - `kept.rs`: secrets that it has already
//! - `access.rs`: who may call it; `operations.rs`: what becomes of what was begun
//! - `logs.rs`: what Cloud Logging has of it
//!
//! A service has revisions, each with its image and settings, and says which of them is served. Traffic goes
//! to the latest one that is ready: when a new one fails, the old one goes on, and the service looks well.

mod access;
mod comparison;
mod kept;
mod logs;
mod observe;
mod operations;
mod plan;
mod secrets;
mod service;
mod settings;
#[cfg(test)]
mod tests;
mod versions;

use async_trait::async_trait;

use crate::cloud::{Cloud, SECRET_MANAGER};
use crate::config::Problems;
use crate::deploy::{
    DeployError, DeployPlan, Image, LogLine, LogQuery, Observed, Session, State, Subject, Target,
    TargetInput, TargetKind, Workload, steps,
};
use crate::error::Result;
use operations::{Operations, Progress};
use plan::LastStep;
use settings::Settings;

/// The kind.
pub(super) static CLOUD_RUN: TargetKind = TargetKind {
    name: "cloud-run",
    summary: "A service on Google Cloud Run. The image must be in Artifact Registry (`REGION-docker.pkg.dev`), \
              `gcr.io` or on Docker Hub, and have a platform `linux/amd64`.",
    example: "target: cloud-run\nproject_id: acme-staging\nregion: europe-west1\nmemory: 1Gi\npublic: true\n",
    cloud: Some(Cloud::Google),
    shape: &settings::SHAPE,
    secret_references: &["secret_manager"],
    pull_references: &[],
    removal: "gcloud run services delete {name} --project {0} --region {1}",
    parse,
};

/// A service of Cloud Run.
#[derive(Debug)]
struct CloudRun {
    settings: Settings,
    workload: Workload,
}

fn parse(input: &TargetInput<'_>, problems: &mut Problems) -> Option<Box<dyn Target>> {
    let settings = settings::read(input, problems)?;
    Some(Box::new(CloudRun { settings, workload: input.workload.clone() }))
}

impl CloudRun {
    /// `projects/P/locations/R`.
    fn parent(&self) -> String {
        format!("projects/{}/locations/{}", self.settings.project, self.settings.region)
    }

    /// `/v2/projects/P/locations/R/services/S`.
    fn path(&self) -> String {
        format!("/v2/{}/services/{}", self.parent(), self.settings.name)
    }

    /// What is there, and what became of the operation that was begun last.
    async fn observe_operation(
        &self,
        operations: &Operations,
        session: &Session,
    ) -> Result<Observed> {
        let progress = operations.progress(session).await?;
        let mut observed = self.observe(session).await?;
        match progress {
            Progress::Failed(failure) if !operations::is_told(&failure, &observed) => {
                Err(failure.into())
            }
            Progress::Running(name) => {
                if let Some(service) = &mut observed.service
                    && !service.state.is_updating()
                {
                    service.state = State::Updating(format!("the operation `{name}` goes on"));
                }
                Ok(observed)
            }
            Progress::Done | Progress::Failed(_) => Ok(observed),
        }
    }
}

#[async_trait]
impl Target for CloudRun {
    fn kind(&self) -> &'static TargetKind {
        &CLOUD_RUN
    }

    fn workload(&self) -> &Workload {
        &self.workload
    }

    fn subject(&self) -> Subject {
        Subject {
            what: "Cloud Run service",
            name: self.settings.name.clone(),
            place: format!("{}/{}", self.settings.project, self.settings.region),
        }
    }

    fn health_path(&self) -> &str {
        &self.settings.health_path
    }

    fn check(&self, image: &Image) -> Result<String, DeployError> {
        service::check_image(image)?;
        Ok(image.reference())
    }

    async fn observe(&self, session: &Session) -> Result<Observed> {
        self.look(session).await
    }

    fn plan(&self, image: &Image, observed: &Observed) -> Result<DeployPlan> {
        self.plan_deployment(image, observed)
    }

    fn plan_tidying(&self, _image: &Image, observed: &Observed) -> DeployPlan {
        self.plan_disabling(observed)
    }

    async fn apply(&self, plan: &DeployPlan, session: &Session) -> Result<()> {
        let operations = Operations::default();
        let session = operations.watch(session);
        let (needed, last) = plan::without_last_steps(plan);
        let is_of_secrets = plan.steps.iter().all(|step| *step.request.service == SECRET_MANAGER);
        let observe: steps::Observing<'_> =
            &|| Box::pin(self.observe_operation(&operations, &session));
        steps::run(&needed, &session, observe).await?;
        if is_of_secrets {
            return Ok(());
        }
        let mut observed = steps::settled(&session, observe).await?;
        for step in &last {
            let kind = LastStep::of(step);
            // Traffic to the latest revision would go to an older one, as long as the newest is not ready.
            let is_ready = observed.service.as_ref().is_some_and(|it| it.state == State::Ready);
            if !is_ready && kind != Some(LastStep::Closing) {
                continue;
            }
            self.carry_out_last(step, &session).await?;
            if matches!(kind, Some(LastStep::Traffic | LastStep::Opening)) {
                observed = steps::settled(&session, observe).await?;
            }
        }
        Ok(())
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
        self.read_logs(query, session).await
    }
}
