//! `dockless status`: what runs in an environment, and how it differs from what the config says.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::clouds::Clouds;
use super::deploy::fetch;
use super::environment::{self, Values};
use super::project::Project;
use super::{Context, ProjectRequest, clouds, project, runtime};
use crate::deploy::{Change, Entry, Image, Observed, Service, StateFile, Subject, Target, drift};
use crate::error::{Attempting as _, Result};
use crate::oci::Reference;

/// A command about an environment that is deployed.
#[derive(Debug, Clone, Default)]
pub struct EnvironmentRequest {
    /// The project.
    pub project: ProjectRequest,
    /// The environment; the only one when none is named.
    pub environment: Option<String>,
    /// How long a target may take.
    pub wait_limit: Option<Duration>,
}

/// What runs in an environment.
#[derive(Debug)]
pub struct StatusReport {
    environment: String,
    services: Vec<ServiceStatus>,
}

/// What runs at one target.
#[derive(Debug)]
struct ServiceStatus {
    target: &'static str,
    subject: Subject,
    service: Option<Service>,
    /// What differs from the config; nothing where that cannot be told, and why.
    drift: std::result::Result<Vec<Change>, String>,
    history: Vec<Entry>,
}

/// Asks every target of an environment what runs there.
///
/// # Errors
/// The project cannot be understood, or a target does not answer.
pub fn status(request: &EnvironmentRequest, context: &Context) -> Result<StatusReport> {
    let project = project::load_to_pin(&request.project, context)?;
    let name = request.environment.as_deref();
    let chosen = environment::choose(&project, name, Values::Optional, context)?;
    let state = StateFile::of(&project.config.source.directory, context.clock.clone());
    let clouds = Clouds::new(context, &request.project.network, request.wait_limit);
    runtime::run(context, request.project.network.timeout, async {
        let mut services = Vec::new();
        for target in &chosen.targets {
            let subject = target.subject();
            let observed = target
                .observe(&clouds.looking())
                .await
                .attempting(|| format!("look at {subject}"))?;
            let drift = if chosen.unset.is_empty() {
                let image = deployed(&observed, &project, request, context).await;
                image.and_then(|image| changes(target.as_ref(), image.as_ref(), &observed))
            } else {
                let unset: Vec<_> = chosen.unset.iter().map(|name| format!("`{name}`")).collect();
                Err(format!("the values of {} are not known here", unset.join(", ")))
            };
            let history = clouds::service_state(&state, &chosen.name, target.as_ref()).history();
            services.push(ServiceStatus {
                target: target.kind().name,
                subject,
                service: observed.service,
                drift,
                history: history.unwrap_or_default(),
            });
        }
        Ok(StatusReport { environment: chosen.name.clone(), services })
    })
}

/// What a deployment of the image that runs would change.
fn changes(
    target: &dyn Target,
    image: Option<&Image>,
    observed: &Observed,
) -> std::result::Result<Vec<Change>, String> {
    let Some(image) = image else { return Ok(Vec::new()) };
    drift(target, image, observed).map_err(|error| error.to_string())
}

/// The image that runs; nothing where nothing is deployed. Which platform it is for is asked of its registry.
async fn deployed(
    observed: &Observed,
    project: &Project,
    request: &EnvironmentRequest,
    context: &Context,
) -> std::result::Result<Option<Image>, String> {
    let Some(service) = &observed.service else { return Ok(None) };
    let image = service.image.as_deref().ok_or("the platform names no image")?;
    let reference = image.parse::<Reference>().ok();
    let reference = reference
        .filter(|reference| reference.digest.is_some())
        .ok_or_else(|| format!("`{image}` was not deployed by its digest"))?;
    let network = &request.project.network;
    let fetched = fetch(&reference, &project.config.publish, None, network, context).await;
    fetched.map(Some).map_err(|error| format!("`{image}` cannot be looked at: {error}"))
}

impl StatusReport {
    /// As one JSON document.
    pub fn document(&self) -> Value {
        let services: Vec<_> = self.services.iter().map(ServiceStatus::document).collect();
        json!({"environment": self.environment, "services": services})
    }

    /// For people.
    pub fn text(&self) -> String {
        self.services.iter().map(ServiceStatus::text).collect()
    }
}

impl ServiceStatus {
    fn document(&self) -> Value {
        let mut document = json!({
            "target": self.target,
            "name": self.subject.name,
            "place": self.subject.place,
            "is_deployed": self.service.is_some(),
        });
        if let Some(service) = &self.service {
            document["image"] = json!(service.image);
            document["url"] = json!(service.url);
            document["state"] = service.state.name().into();
            document["reason"] = json!(service.state.reason());
            document["revision"] = json!(service.revision);
            document["project"] = json!(service.ownership.project);
            document["deployed_digest"] = json!(service.ownership.image_digest);
        }
        match &self.drift {
            Ok(changes) => {
                document["drift"] = changes.iter().map(Change::document).collect();
            }
            Err(reason) => document["drift_unknown"] = reason.clone().into(),
        }
        document["history"] = json!(self.history);
        document
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.subject);
        let Some(service) = &self.service else {
            text.push_str("  not deployed\n");
            return text;
        };
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:<9}{value}");
        };
        match service.state.reason() {
            Some(reason) => line("state", &format!("{}: {reason}", service.state.name())),
            None => line("state", service.state.name()),
        }
        for (name, value) in
            [("image", &service.image), ("url", &service.url), ("revision", &service.revision)]
        {
            if let Some(value) = value {
                line(name, value);
            }
        }
        match &self.drift {
            Err(reason) => line("drift", &format!("not known: {reason}")),
            Ok(changes) => {
                for change in changes {
                    line("drift", &change.to_string());
                }
            }
        }
        text
    }
}
