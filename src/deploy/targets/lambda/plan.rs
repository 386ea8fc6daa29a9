//! The function, its versions, and the alias that serves one of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Lambda;
use super::found::{Configured, Found, digest_of, image_of};
use super::requests::{ALIAS, BACK, FORTH};
use super::settings::Architecture;
use super::state;
use crate::cloud::Request;
use crate::deploy::aws::{hide_variables, plan_variables, shown_settings};
use crate::deploy::{
    DeployError, DeployPlan, Given, Image, Manifest, Observed, Ownership, SecretValue, State, Step,
    Target, Variable, config_hash,
};
use crate::error::Result;

/// The tag that says how many requests were reserved by us: what others reserve is left alone.
const RESERVED: &str = "dockless-concurrency";

/// What the function should be.
struct Wanted<'a> {
    image: &'a Image,
    manifest: &'a Manifest,
    architecture: Architecture,
    role: String,
    ownership: Ownership,
}

impl Lambda {
    pub(super) fn plan_deployment(&self, image: &Image, observed: &Observed) -> Result<DeployPlan> {
        let (manifest, architecture) = self.fit(image)?;
        let found = Found::of(observed);
        let mut plan = DeployPlan::default();
        if let Some(service) = &observed.service {
            service.ownership.check(&self.workload, &self.subject())?;
            self.check_package(&found)?;
        }
        let role = self.plan_role(&found, &mut plan)?;
        let ownership = Ownership::ours(&self.workload, &self.config_hash(), image);
        let wanted = Wanted { image, manifest, architecture, role, ownership };
        if observed.service.is_none() {
            self.plan_creation(&wanted, &mut plan);
        } else {
            self.plan_update(&wanted, &found, &mut plan);
        }
        self.plan_concurrency(&found, &mut plan);
        self.plan_entry(&found, &mut plan);
        if observed.service.is_some() {
            self.plan_tags(&wanted, &found, &mut plan);
        }
        Ok(plan)
    }

    fn check_package(&self, found: &Found) -> Result<(), DeployError> {
        if found.latest["Configuration"]["PackageType"] != "Zip" {
            return Ok(());
        }
        Err(DeployError::Impossible {
            subject: self.subject().to_string(),
            reason: "it is made from a zip archive, and can never become one from an image".into(),
            hint: "give this one another `name`, or delete that one first".into(),
        })
    }

    /// The role by its ARN: the one that is named, that the function has, or that is made.
    fn plan_role(&self, found: &Found, plan: &mut DeployPlan) -> Result<String, DeployError> {
        let there = found.latest["Configuration"]["Role"].as_str();
        if let Some(arn) = self.settings.role_arn.as_deref().or(there) {
            return Ok(arn.to_owned());
        }
        let place = found.place(&self.settings.region);
        self.role().plan(found.role.as_ref(), &place, &self.workload, plan)
    }

    fn plan_creation(&self, wanted: &Wanted<'_>, plan: &mut DeployPlan) {
        let reference = wanted.reference();
        plan.change("image", None::<String>, Some(reference.as_str()));
        self.note_settings(None, wanted, plan);
        let mut body = self.configuration(wanted);
        body["FunctionName"] = self.settings.name.clone().into();
        body["PackageType"] = "Image".into();
        body["Code"] = json!({"ImageUri": reference});
        body["Architectures"] = json!([wanted.architecture.name()]);
        body["Tags"] = self.tags(&wanted.ownership);
        let request = self.with_hidden(self.requests().create(body));
        let name = &self.settings.name;
        let step = Step::new(format!("create the function `{name}`"), request);
        let step = step.creating(format!("function {name}")).giving("code", "/CodeSha256");
        plan.steps.push(step.settling());
        self.plan_version(wanted, Given::mark("code"), &Value::Null, plan);
    }

    fn plan_update(&self, wanted: &Wanted<'_>, found: &Found, plan: &mut DeployPlan) {
        let serving = if found.live.is_null() { &found.latest } else { &found.live };
        let has_image = wanted.is_of(serving);
        if !has_image {
            plan.change("image", image_of(serving), Some(wanted.reference()));
        }
        let has_settings = !self.note_settings(Some(&Configured::read(serving)), wanted, plan);
        let serves = has_image && has_settings && serves_alone(&found.alias, plan);
        let latest = &found.latest["Configuration"];
        let is_failed = matches!(state::of_latest(latest), State::Failed(_));
        if serves {
            if state::has_failed(found) {
                self.leave_behind(found, plan);
            }
            return;
        }
        let mut alias = found.alias.clone();
        if found.is_back() {
            let version = alias["FunctionVersion"].as_str().unwrap_or_default();
            let mut step = self.alias_step(version, &alias, Some(FORTH));
            "let what is newer than the version that serves count again"
                .clone_into(&mut step.title);
            alias["RevisionId"] = Given::mark("alias").into();
            plan.steps.push(step.giving("alias", "/RevisionId"));
        }
        let mut revision = latest["RevisionId"].clone();
        let mut code = latest["CodeSha256"].as_str().unwrap_or_default().to_owned();
        if is_failed || !wanted.is_of(&found.latest) {
            let mut body = json!({
                "ImageUri": wanted.reference(),
                "Architectures": [wanted.architecture.name()],
            });
            set(&mut body, "RevisionId", revision.take());
            let title = format!("give the function `{}` the image", self.settings.name);
            let step = Step::new(title, self.requests().update_code(body));
            plan.steps.push(step.giving("code", "/CodeSha256").settling());
            code = Given::mark("code");
        }
        let there = Configured::read(&found.latest);
        if self.note_settings(Some(&there), wanted, &mut DeployPlan::default()) {
            let mut body = self.configuration(wanted);
            if there.overrides_image {
                body["ImageConfig"] =
                    json!({"EntryPoint": [], "Command": [], "WorkingDirectory": ""});
            }
            set(&mut body, "RevisionId", revision);
            let request = self.with_hidden(self.requests().update_configuration(body));
            let title = format!("change the settings of the function `{}`", self.settings.name);
            plan.steps.push(Step::new(title, request).settling());
        }
        self.plan_version(wanted, code, &alias, plan);
    }

    /// Stays with the version that serves, whatever came to nothing after it.
    pub(super) fn leave_behind(&self, found: &Found, plan: &mut DeployPlan) {
        plan.change("what is newer", Some("came to nothing"), Some("left behind"));
        let version = found.alias["FunctionVersion"].as_str().unwrap_or_default();
        let mut step = self.alias_step(version, &found.alias, Some(BACK));
        step.title = format!("stay with version {version}");
        plan.steps.push(step);
    }

    /// Publishes what the function is by then, and lets it serve.
    fn plan_version(
        &self,
        wanted: &Wanted<'_>,
        code: String,
        alias: &Value,
        plan: &mut DeployPlan,
    ) {
        let mut body = json!({"Description": wanted.description()});
        if !code.is_empty() {
            body["CodeSha256"] = code.into();
        }
        let request = self.requests().publish(body);
        let step = Step::new("publish it as a version", request);
        plan.steps.push(step.giving("version", "/Version").settling());
        plan.steps.push(self.alias_step(&Given::mark("version"), alias, None));
    }

    /// Lets a version serve, alone; the alias says this of what is newer.
    pub(super) fn alias_step(&self, version: &str, alias: &Value, newer: Option<&str>) -> Step {
        if alias.is_null() {
            let body = json!({"Name": ALIAS, "FunctionVersion": version});
            let title = format!("let the alias `{ALIAS}` lead to it");
            return Step::new(title, self.requests().create_alias(body));
        }
        let mut body = json!({
            "FunctionVersion": version,
            "RoutingConfig": {"AdditionalVersionWeights": {}},
        });
        set(&mut body, "RevisionId", alias["RevisionId"].clone());
        set(&mut body, "Description", newer.into());
        let what = if version == Given::mark("version") { "it" } else { version };
        let title = format!("move the alias `{ALIAS}` to {what}");
        Step::new(title, self.requests().update_alias(body))
    }

    fn plan_concurrency(&self, found: &Found, plan: &mut DeployPlan) {
        let there = found.latest.pointer("/Concurrency/ReservedConcurrentExecutions");
        let there = there.and_then(Value::as_i64).map(|number| number.to_string());
        let Some(wanted) = self.settings.concurrency else {
            if there.is_some() && there.as_deref() == reserved(found) {
                plan.change("concurrency", there, None::<String>);
                let step = Step::new("reserve no requests any more", self.requests().release());
                plan.steps.push(step);
            }
            return;
        };
        if plan.change("concurrency", there, Some(wanted.to_string())) {
            let request = self.requests().reserve(json!({"ReservedConcurrentExecutions": wanted}));
            plan.steps.push(Step::new(format!("reserve {wanted} requests at once"), request));
        }
    }

    fn plan_tags(&self, wanted: &Wanted<'_>, found: &Found, plan: &mut DeployPlan) {
        let there = Ownership::read(|key| found.latest["Tags"][key].as_str());
        let ours = &wanted.ownership;
        plan.change("managed-by", there.managed_by.clone(), ours.managed_by.clone());
        let place = found.place(&self.settings.region);
        let arn = place.arn("lambda", &format!("function:{}", self.settings.name));
        let wanted = self.settings.concurrency.map(|number| number.to_string());
        let reserved = reserved(found);
        if there != *ours || (wanted.is_some() && wanted.as_deref() != reserved) {
            let request = self.requests().tag(&arn, json!({"Tags": self.tags(ours)}));
            plan.steps.push(Step::new("write down what was deployed", request));
        }
        if wanted.is_none() && reserved.is_some() {
            let request = self.requests().untag(&arn, RESERVED);
            plan.steps.push(Step::new("write down that nothing is reserved", request));
        }
    }

    /// The tags of the function.
    fn tags(&self, ownership: &Ownership) -> Value {
        let mut tags = tags(ownership);
        if let Some(number) = self.settings.concurrency {
            tags[RESERVED] = number.to_string().into();
        }
        tags
    }

    /// Notes how settings differ from those that are there; says whether they do.
    fn note_settings(
        &self,
        there: Option<&Configured<'_>>,
        wanted: &Wanted<'_>,
        plan: &mut DeployPlan,
    ) -> bool {
        let settings = &self.settings;
        let before = plan.changes.len();
        let architecture = there.and_then(|there| there.architecture);
        plan.change("architecture", architecture, Some(wanted.architecture.name()));
        plan.change("role", there.and_then(|there| there.role), Some(wanted.role.as_str()));
        let mut number = |what: &str, there: Option<u32>, wanted: u32, unit: &str| {
            let shown = |number: u32| format!("{number} {unit}");
            plan.change(what, there.map(shown), Some(shown(wanted)));
        };
        number("memory", there.and_then(|there| there.memory), settings.memory, "MB");
        number("timeout", there.and_then(|there| there.timeout), settings.timeout, "s");
        let storage = there.and_then(|there| there.ephemeral_storage);
        number("ephemeral_storage", storage, settings.ephemeral_storage, "MB");
        if there.is_some_and(|there| there.overrides_image) {
            plan.change("entrypoint", Some("of the function"), Some("of the image"));
        }
        let none = BTreeMap::new();
        let variables = there.map_or(&none, |there| &there.variables);
        plan_variables(variables, &self.variables(), plan);
        plan.changes.len() > before
    }

    /// What is set by us beside image and processor; [`Lambda::with_hidden`] adds what is not shown.
    fn configuration(&self, wanted: &Wanted<'_>) -> Value {
        let variables = self.variables();
        let variables: BTreeMap<_, _> =
            variables.iter().map(|(name, value)| (name, value.shown())).collect();
        json!({
            "Role": wanted.role,
            "MemorySize": self.settings.memory,
            "Timeout": self.settings.timeout,
            "EphemeralStorage": {"Size": self.settings.ephemeral_storage},
            "Environment": {"Variables": variables},
        })
    }

    fn with_hidden(&self, request: Request) -> Request {
        hide_variables(request, "/Environment/Variables", &self.variables())
    }

    /// Variables and secrets: Lambda keeps both alike, encrypted.
    fn variables(&self) -> BTreeMap<String, Variable> {
        let secrets = self.workload.secrets.iter();
        let secrets = secrets.filter_map(|(name, value)| match value {
            SecretValue::Given(secret) => Some((name.clone(), Variable::Hidden(secret.clone()))),
            SecretValue::Unset | SecretValue::Kept(_) => None,
        });
        self.workload.env.clone().into_iter().chain(secrets).collect()
    }

    fn config_hash(&self) -> String {
        config_hash(&shown_settings(&json!(self.settings), &self.workload))
    }
}

impl Wanted<'_> {
    /// `repository@digest` of the manifest.
    fn reference(&self) -> String {
        self.image.reference_of(self.manifest)
    }

    /// What a version says of where it comes from: the manifest, and the index that has it.
    fn description(&self) -> String {
        let (manifest, index) = (&self.manifest.descriptor.digest, &self.image.descriptor.digest);
        if manifest == index { manifest.to_string() } else { format!("{manifest} of {index}") }
    }

    /// Whether a function has this image.
    fn is_of(&self, function: &Value) -> bool {
        digest_of(function).as_ref() == Some(&self.manifest.descriptor.digest)
            && Configured::read(function).architecture == Some(self.architecture.name())
    }
}

/// Whether an alias is there and leads to one version only; notes when it does not.
fn serves_alone(alias: &Value, plan: &mut DeployPlan) -> bool {
    if alias.is_null() {
        plan.change("alias", None::<String>, Some(ALIAS));
        return false;
    }
    let weights = alias.pointer("/RoutingConfig/AdditionalVersionWeights");
    let is_alone = weights.and_then(Value::as_object).is_none_or(Map::is_empty);
    if !is_alone {
        plan.change("traffic", Some("several versions"), Some("one version"));
    }
    is_alone
}

/// How many requests we have reserved, as the function's tags say.
fn reserved(found: &Found) -> Option<&str> {
    found.latest["Tags"][RESERVED].as_str()
}

pub(super) fn tags(ownership: &Ownership) -> Value {
    let tags = ownership.tags().into_iter();
    tags.map(|(key, value)| (key.to_owned(), Value::from(value))).collect::<Map<_, _>>().into()
}

fn set(body: &mut Value, member: &str, value: Value) {
    if !value.is_null() {
        body[member] = value;
    }
}
