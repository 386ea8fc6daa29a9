//! The service as it should be, in the API's own form.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::CloudRun;
use super::settings::kept_secret;
use crate::deploy::{DeployError, Image, SecretValue, Variable, config_hash};
use crate::oci::Repository;
use crate::registry::Secret;

/// How long an instance may take until it answers well: 48 questions, 5 s apart, the most that is allowed.
const START_QUESTIONS: u32 = 48;
const START_PERIOD_SECONDS: u32 = 5;
const START_TIMEOUT_SECONDS: u32 = 4;

/// How the address of a project's default account goes on after the project's number.
const DEFAULT_ACCOUNT_END: &str = "-compute@developer.gserviceaccount.com";

/// A service, and what is secret in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// The service, as it may be shown.
    pub(super) body: Value,
    /// The values of variables that are never shown, by their names.
    pub(super) hidden: BTreeMap<String, Secret>,
}

impl CloudRun {
    /// The service with this image; `versions` are those of secrets that we keep, by variable.
    pub(super) fn wanted(&self, image: &str, versions: &BTreeMap<String, String>) -> Wanted {
        let settings = &self.settings;
        let mut hidden = BTreeMap::new();
        let mut container = json!({
            "image": image,
            "ports": [{"containerPort": settings.port}],
            "resources": {
                "limits": {"cpu": settings.cpu.to_string(), "memory": settings.memory},
                // Unless it is said, whoever sets limits pays for processors all the time.
                "cpuIdle": settings.has_idle_cpu,
                "startupCpuBoost": settings.has_startup_boost,
            },
            "startupProbe": {
                "httpGet": {"path": settings.health_path, "port": settings.port},
                "periodSeconds": START_PERIOD_SECONDS,
                "timeoutSeconds": START_TIMEOUT_SECONDS,
                "failureThreshold": START_QUESTIONS,
            },
        });
        let mut env = Vec::new();
        for (name, variable) in &self.workload.env {
            if let Variable::Hidden(secret) = variable {
                hidden.insert(name.clone(), secret.clone());
            }
            env.push(json!({"name": name, "value": variable.shown()}));
        }
        for (name, value) in &self.workload.secrets {
            let (secret, version) = match value {
                SecretValue::Given(_) | SecretValue::Unset => {
                    let version = versions.get(name).cloned().unwrap_or_default();
                    (self.secret_id(name), version)
                }
                // What does not fit was reported when the settings were read.
                SecretValue::Kept(reference) => kept_secret(reference).unwrap_or_default(),
            };
            let source = json!({"secretKeyRef": {"secret": secret, "version": version}});
            env.push(json!({"name": name, "valueSource": source}));
        }
        env.sort_by(|one, other| one["name"].as_str().cmp(&other["name"].as_str()));
        container["env"] = env.into();
        let mut template = json!({
            "timeout": format!("{}s", settings.timeout_seconds),
            "maxInstanceRequestConcurrency": settings.concurrency,
            "scaling": {
                "minInstanceCount": settings.min_instances,
                "maxInstanceCount": settings.max_instances,
            },
            "containers": [container],
        });
        if let Some(account) = &settings.service_account {
            template["serviceAccount"] = account.clone().into();
        }
        Wanted { body: json!({"ingress": settings.ingress, "template": template}), hidden }
    }

    /// A digest of all settings, the image and everything secret left out.
    pub(super) fn settings_hash(&self) -> String {
        let mut settings = self.wanted("", &BTreeMap::new()).body;
        settings["invokerIamDisabled"] = self.settings.public.into();
        config_hash(&settings)
    }
}

/// Whether Cloud Run runs an image at all.
pub(super) fn check_image(image: &Image) -> Result<(), DeployError> {
    let unfit = |reason: String, hint: &str| DeployError::Unfit {
        target: "Cloud Run".to_owned(),
        image: image.reference(),
        reason,
        hint: hint.to_owned(),
    };
    let registry = image.repository.registry();
    if !is_pulled_from(registry) {
        return Err(unfit(
            format!(
                "it pulls from Artifact Registry, `gcr.io` and `docker.io` only, not from `{registry}`"
            ),
            "push to `REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME`, or give Artifact Registry a remote repository for it: \
             `gcloud artifacts repositories create NAME --mode=remote-repository --repository-format=docker --remote-docker-repo=https://…`",
        ));
    }
    if is_artifact_registry(registry) && parts(&image.repository) < 3 {
        return Err(unfit(
            "in Artifact Registry an image has a project, a repository and a name".to_owned(),
            "push to `REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME`",
        ));
    }
    if image.manifest_for("linux", "amd64").is_none() {
        return Err(unfit(
            "it runs on linux/amd64, which the image is not for".to_owned(),
            "build it with `--platform linux/amd64`",
        ));
    }
    Ok(())
}

fn is_pulled_from(registry: &str) -> bool {
    registry == "docker.io"
        || registry == "gcr.io"
        || registry.ends_with(".gcr.io")
        || is_artifact_registry(registry)
}

fn is_artifact_registry(registry: &str) -> bool {
    registry == "docker.pkg.dev" || registry.ends_with("-docker.pkg.dev")
}

fn parts(repository: &Repository) -> usize {
    repository.path().split('/').count()
}

/// The place of the container that is ours among those of a template: the one that requests go to.
pub(super) fn main_container(template: &Value) -> usize {
    let mut containers = template["containers"].as_array().into_iter().flatten();
    let has_ports =
        |container: &Value| container["ports"].as_array().is_some_and(|it| !it.is_empty());
    containers.position(has_ports).unwrap_or(0)
}

/// What is there with what should be laid over it, so that what somebody else set stays: members are laid over
/// members, and lists replaced, but for our container among its sidecars.
pub(super) fn overlay(there: &Value, wanted: &Value) -> Value {
    let mut template = there.clone();
    if !template.is_object() {
        template = Value::Object(Map::new());
    }
    let ours = main_container(there);
    lay(&mut template, wanted, ours);
    if let Some(members) = template.as_object_mut() {
        // The name of a revision is used up; a new one is made.
        members.remove("revision");
        // Whoever names no account gets the project's default one.
        if wanted.get("serviceAccount").is_none() {
            members.remove("serviceAccount");
        }
    }
    template
}

/// Whether a service account is the one that services of a project have unless another one is named.
pub(super) fn is_default_account(account: &Value) -> bool {
    let number = account.as_str().and_then(|it| it.strip_suffix(DEFAULT_ACCOUNT_END));
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn lay(there: &mut Value, wanted: &Value, ours: usize) {
    let (Value::Object(members), Value::Object(wanted)) = (&mut *there, wanted) else {
        *there = wanted.clone();
        return;
    };
    for (name, value) in wanted {
        let place = members.entry(name.clone()).or_insert(Value::Null);
        match (name.as_str(), &mut *place, value.as_array()) {
            ("containers", Value::Array(containers), Some(wanted)) if !containers.is_empty() => {
                lay(&mut containers[ours], &wanted[0], ours);
            }
            // A probe asks in one way only.
            ("startupProbe", place, _) => *place = value.clone(),
            _ => lay(place, value, ours),
        }
    }
}
