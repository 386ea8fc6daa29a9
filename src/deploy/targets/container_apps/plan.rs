//! From the app that is there to the one that should be: one `PUT`, which makes one revision.

use serde_json::{Value, json};

use super::app::{PREVIOUS_KEY, Wanted, container, is_same_template, sendable};
use super::described::{compare, note_secret};
use super::leftovers::note_identities;
use super::names::{pull_secret_name, secret_name};
use super::requests;
use super::settings::Settings;
use crate::deploy::{
    DeployError, DeployPlan, Image, Observed, Ownership, Pull, SecretValue, Service, State, Step,
    Subject, Variable, Workload, config_hash,
};
use crate::registry::Secret;

/// That the last change of the app failed, though its newest revision runs as it should: it is asked for again.
const UNFINISHED: &str = "provisioning_state";

/// What planning works with.
#[derive(Clone, Copy)]
pub(super) struct Planner<'a> {
    pub(super) settings: &'a Settings,
    pub(super) workload: &'a Workload,
    pub(super) subject: &'a Subject,
}

impl Planner<'_> {
    /// What makes exactly this image run with the settings.
    pub(super) fn deploy(
        self,
        image: &Image,
        observed: &Observed,
    ) -> Result<DeployPlan, DeployError> {
        let reference = image.reference();
        let wanted = Wanted {
            settings: self.settings,
            workload: self.workload,
            image: &reference,
            registry: image.repository.registry(),
            in_use: &observed.details["in_use"],
        };
        let settings = config_hash(&wanted.summary());
        let ownership = Ownership::ours(self.workload, &settings, image);
        let is_shown = |name: &str| matches!(self.workload.env.get(name), Some(Variable::Plain(_)));
        let Some(service) = &observed.service else {
            let location = self.location(&observed.details["environment"], observed)?;
            let mut app = wanted.app(None, location);
            set_tags(&mut app, &ownership);
            note_identities(&mut app, None);
            set_suffix(&mut app, &[&reference, &settings, ""], observed);
            let mut plan = DeployPlan::default();
            compare(&mut plan, None, &app, &self.settings.name, &is_shown);
            let title = format!("create the container app `{}`", self.settings.name);
            let step = Step::new(title, self.request(&app, observed));
            plan.steps.push(step.creating(format!("container app {}", self.settings.app_path())));
            return Ok(plan);
        };
        service.ownership.check(self.workload, self.subject)?;
        self.check_secrets(observed)?;
        let there = sendable(&service.raw);
        self.check_environment(&there)?;
        let mut app = wanted.app(Some(&there), "");
        set_tags(&mut app, &ownership);
        let mut plan = DeployPlan::default();
        compare(&mut plan, Some(&there), &app, &self.settings.name, &is_shown);
        let has_new_secret = self.compare_secrets(&mut plan, registry_secret(&wanted), observed);
        let has_no_revision = observed.details["has_revision"] == false;
        if has_no_revision {
            plan.change("revision", Some("failed"), Some("new"));
        } else if observed.details["is_unfinished"] == true {
            plan.change(UNFINISHED, Some("Failed"), Some("Succeeded"));
        }
        let has_other = plan.changes.iter().any(|change| is_of_revision(&change.what));
        if has_other || has_new_secret {
            let is_same =
                is_same_template(&there["properties"]["template"], &app["properties"]["template"]);
            if !(is_same && serves_newest(&service.raw)) {
                set_previous(&mut app, &service.raw);
            }
            set_suffix(&mut app, &[&reference, &settings, latest(&service.raw)], observed);
        } else {
            // The same template in other words would be another revision of the same name.
            app["properties"]["template"] = there["properties"]["template"].clone();
        }
        note_identities(&mut app, Some(&there));
        if !plan.changes.is_empty() {
            self.check_overtaken(service, observed)?;
            let title = format!("update the container app `{}`", self.settings.name);
            plan.steps.push(Step::new(title, self.request(&app, observed)).settling());
        }
        if let Some(step) = self.waking(service, observed, plan.is_empty()) {
            plan.change("state", Some("stopped"), Some("running"));
            plan.steps.push(step);
        }
        Ok(plan)
    }

    /// What removes the app; its environment and its resource group stay.
    pub(super) fn destroy(self, observed: &Observed) -> Result<DeployPlan, DeployError> {
        let mut plan = DeployPlan::default();
        if let Some(service) = &observed.service {
            service.ownership.check_removal(self.workload, self.subject)?;
            plan.change("app", Some(self.settings.name.clone()), None::<String>);
            let title = format!("delete the container app `{}`", self.settings.name);
            plan.steps.push(Step::new(title, requests::delete(self.settings)));
        }
        Ok(plan)
    }

    /// An app stays in the environment where it was made.
    fn check_environment(self, there: &Value) -> Result<(), DeployError> {
        let id = there["properties"]["environmentId"].as_str().unwrap_or_default();
        let name = id.rsplit('/').next().unwrap_or_default();
        if id.is_empty() || name.eq_ignore_ascii_case(&self.settings.environment_name) {
            return Ok(());
        }
        Err(DeployError::Impossible {
            subject: self.subject.to_string(),
            reason: format!("it is in the environment `{name}`, and cannot move to another"),
            hint: format!("write `environment_name: {name}`, or give this one another `name`"),
        })
    }

    /// Two that deploy at the same time would undo each other's work for ever: the first gives way.
    fn check_overtaken(self, service: &Service, observed: &Observed) -> Result<(), DeployError> {
        if observed.details["is_overtaken"] != true {
            return Ok(());
        }
        let image = service.image.as_deref().unwrap_or("another image");
        Err(DeployError::Impossible {
            subject: self.subject.to_string(),
            reason: format!("another deployment came after this one: it runs `{image}` now"),
            hint:
                "let one job at a time deploy to an environment: `concurrency` of GitHub Actions, \
                   `resource_group` of GitLab, an exclusive lock of Azure Pipelines"
                    .to_owned(),
        })
    }

    /// Every update sends the secrets back: without their values nobody can tell what it would change.
    pub(super) fn check_secrets(self, observed: &Observed) -> Result<(), DeployError> {
        let denied = &observed.details["secrets_denied"];
        let Some(reason) = denied["reason"].as_str() else { return Ok(()) };
        Err(DeployError::Impossible {
            subject: self.subject.to_string(),
            reason: format!("its secrets may not be read: {reason}"),
            hint: denied["hint"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// Notes which secrets have other values; says whether any has.
    fn compare_secrets(
        self,
        plan: &mut DeployPlan,
        of_registry: Option<(String, &Secret)>,
        observed: &Observed,
    ) -> bool {
        let given = self.workload.secrets.iter().filter_map(|(variable, secret)| match secret {
            SecretValue::Given(secret) => Some((secret_name(variable), secret)),
            SecretValue::Unset | SecretValue::Kept(_) => None,
        });
        let mut is_new = false;
        for (name, secret) in given.chain(of_registry) {
            if observed.secrets.get(&name) != Some(secret) {
                let is_there = observed.secrets.contains_key(&name);
                let what = format!("secrets.{name}");
                plan.changes.retain(|change| change.what != what);
                note_secret(plan, &what, is_there);
                is_new = true;
            }
        }
        is_new
    }

    /// What makes an app run that is stopped; a revision that was switched off is replaced by a new one
    /// when there is one.
    fn waking(self, service: &Service, observed: &Observed, is_same: bool) -> Option<Step> {
        let State::Stopped(_) = service.state else { return None };
        if observed.details["is_inactive"] == true {
            let revision = latest(&service.raw);
            let title = format!("activate the revision `{revision}`");
            return is_same.then(|| Step::new(title, requests::activate(self.settings, revision)));
        }
        let title = format!("start the container app `{}`", self.settings.name);
        Some(Step::new(title, requests::start(self.settings)))
    }

    pub(super) fn container_name(self, app: &Value) -> String {
        let container = container(&app["properties"]["template"], &self.settings.name);
        let name = container.and_then(|container| container["name"].as_str());
        name.unwrap_or(&self.settings.name).to_owned()
    }

    /// The request that makes an app what it should be: everything that is not in the config is hidden.
    pub(super) fn request(self, app: &Value, observed: &Observed) -> crate::cloud::Request {
        let mut body = app.clone();
        let mut hidden: Vec<(String, Secret)> = Vec::new();
        let secrets = body.pointer_mut("/properties/configuration/secrets");
        let secrets = secrets.and_then(Value::as_array_mut);
        for (place, secret) in secrets.into_iter().flatten().enumerate() {
            let pointer = format!("/properties/configuration/secrets/{place}/value");
            let name = secret["name"].as_str().unwrap_or_default().to_owned();
            // The platform does not tell values when the app is read: without them, secrets are lost.
            let kept = observed.secrets.get(&name);
            let value = match (secret["value"].as_str(), kept) {
                (Some(value), _) => Secret::new(value),
                (None, Some(kept)) if secret["keyVaultUrl"].is_null() => kept.clone(),
                (None, _) => continue,
            };
            secret["value"] = Value::Null;
            hidden.push((pointer, value));
        }
        let ours = self.container_name(app);
        for kind in ["containers", "initContainers"] {
            let containers = app["properties"]["template"][kind].as_array();
            for (at, container) in containers.into_iter().flatten().enumerate() {
                let is_ours = kind == "containers" && container["name"] == ours;
                for (place, variable) in
                    container["env"].as_array().into_iter().flatten().enumerate()
                {
                    let name = variable["name"].as_str().unwrap_or_default();
                    let of_config = self.workload.env.get(name);
                    let is_plain = is_ours
                        && matches!(of_config, Some(Variable::Plain(text)) if variable["value"] == *text);
                    if let (false, Some(value)) = (is_plain, variable["value"].as_str()) {
                        let pointer = format!("/properties/template/{kind}/{at}/env/{place}/value");
                        hidden.push((pointer, Secret::new(value)));
                    }
                }
            }
        }
        let request = requests::put(self.settings, body);
        hidden
            .into_iter()
            .fold(request, |request, (pointer, secret)| request.with_secret(&pointer, secret))
    }
}

/// The secret of the registry's password, where there is one.
fn registry_secret<'a>(wanted: &Wanted<'a>) -> Option<(String, &'a Secret)> {
    match &wanted.workload.pull {
        Some(Pull::Password { password, .. }) => {
            Some((pull_secret_name(wanted.registry), password))
        }
        _ => None,
    }
}

/// Whether a setting belongs to revisions: the platform makes another one when it changes.
pub(super) fn is_of_revision(setting: &str) -> bool {
    let of_app = ["tags.", "identity.", "registries.", "secrets."];
    !of_app.iter().any(|prefix| setting.starts_with(prefix))
        && !["revisions_mode", "ingress_external", "port", UNFINISHED].contains(&setting)
}

/// The name of the newest revision.
pub(super) fn latest(raw: &Value) -> &str {
    raw["properties"]["latestRevisionName"].as_str().unwrap_or_default()
}

/// The name of the revision that serves.
fn ready(raw: &Value) -> &str {
    raw["properties"]["latestReadyRevisionName"].as_str().unwrap_or_default()
}

pub(super) fn serves_newest(raw: &Value) -> bool {
    latest(raw) == ready(raw)
}

/// Notes which revision serves before the one that will be made.
pub(super) fn set_previous(app: &mut Value, raw: &Value) {
    if !ready(raw).is_empty() {
        app["tags"][PREVIOUS_KEY] = ready(raw).into();
    }
}

/// Names the revision that will be made of an image, settings, and the revision before it. No two of an app
/// may ever have the same name, and asking twice for the same, because an answer was lost, must not make
/// two: so the name follows from them, and another one does where it is taken.
pub(super) fn set_suffix(app: &mut Value, of: &[&str; 3], observed: &Observed) {
    let digest = of[0].rsplit_once("@sha256:").map_or("", |(_, digest)| digest);
    let name = |try_number: usize| {
        let hash = match try_number {
            0 => config_hash(&json!(of)),
            _ => config_hash(&json!([of, try_number])),
        };
        format!("d{}-{}", digest.get(..8).unwrap_or_default(), &hash[..8])
    };
    let taken: Vec<_> =
        observed.details["names"].as_array().into_iter().flatten().map(Value::as_str).collect();
    let free = (0..=taken.len()).map(name).find(|name| !taken.contains(&Some(name.as_str())));
    app["properties"]["template"]["revisionSuffix"] =
        free.expect("there are more names than taken ones").into();
}

fn set_tags(app: &mut Value, ownership: &Ownership) {
    for (key, value) in ownership.tags() {
        app["tags"][key] = value.into();
    }
}
