//! What was found of a function, for planning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::observe::number;
use super::requests::BACK;
use super::settings::Architecture;
use crate::deploy::Observed;
use crate::deploy::aws::{ObservedRole, Place};
use crate::oci::Digest;
use crate::registry::Secret;

/// Everything that was found; what is not there is null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Found {
    /// The account.
    pub(super) account: String,
    /// What `GetFunction` says of `$LATEST`.
    pub(super) latest: Value,
    /// What it says of the alias.
    pub(super) live: Value,
    /// The alias itself.
    pub(super) alias: Value,
    /// The configurations of the published versions, the oldest first.
    pub(super) versions: Vec<Value>,
    /// The URL of the alias.
    pub(super) url: Value,
    /// The URL of `$LATEST`, as others make it; looked at where nothing should be public but by us.
    pub(super) latest_url: Value,
    /// What the policy of the alias allows.
    pub(super) statements: Vec<Value>,
    /// The APIs in front that are ours, the oldest first: two of them where two runs made one each.
    pub(super) apis: Vec<Value>,
    /// Whose the log is.
    pub(super) log: LogOwner,
    /// The role of our making.
    pub(super) role: Option<ObservedRole>,
}

/// Whose the log of a function is, by its tags; looked at where it may have to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LogOwner {
    /// Nobody has looked, or nobody here may.
    #[default]
    Unknown,
    /// There is none.
    Absent,
    /// It has no tags: Lambda itself made it.
    Lambda,
    /// A removal of ours has written that down.
    Ours,
    /// Somebody else made it.
    Other,
}

impl Found {
    /// Reads what an observation of ours holds.
    pub(super) fn of(observed: &Observed) -> Self {
        let mut found: Self = serde_json::from_value(observed.details.clone())
            .expect("what was observed was written by the same type");
        for (place, function) in found.functions() {
            for (name, value) in variables(function) {
                if let Some(secret) = observed.secrets.get(&format!("{place}/{name}")) {
                    *value = secret.expose().into();
                }
            }
        }
        found
    }

    /// Takes the values of variables out: nobody knows which of them are secret.
    pub(super) fn take_secrets(&mut self) -> BTreeMap<String, Secret> {
        let mut secrets = BTreeMap::new();
        for (place, function) in self.functions() {
            for (name, value) in variables(function) {
                if let Value::String(text) = value.take() {
                    secrets.insert(format!("{place}/{name}"), Secret::new(text));
                }
            }
        }
        secrets
    }

    /// As an observation holds it.
    pub(super) fn details(&self) -> Value {
        serde_json::to_value(self).expect("it is made of texts")
    }

    fn functions(&mut self) -> [(&'static str, &mut Value); 2] {
        [("latest", &mut self.latest), ("live", &mut self.live)]
    }

    /// The account in a region.
    pub(super) fn place(&self, region: &str) -> Place {
        Place { region: region.to_owned(), account: self.account.clone() }
    }

    /// The newest published version, if it is newer than the one that serves.
    pub(super) fn newer(&self) -> Option<&Value> {
        let live = number(&self.live["Configuration"]);
        self.versions.last().filter(|newest| number(newest) > live)
    }

    /// Whether the alias says that what is newer than its version does not count.
    pub(super) fn is_back(&self) -> bool {
        self.alias["Description"] == BACK
    }

    /// The digest that the version which serves was deployed from, where the function's tag is of another
    /// version: whoever moves the alias comes to the tags later, or not at all.
    pub(super) fn untagged_digest(&self, tag: Option<&str>) -> Option<String> {
        let says = |version: &Value| {
            let text = version["Description"].as_str().unwrap_or_default();
            tag.is_some_and(|tag| text.contains(tag))
        };
        let live = &self.live["Configuration"];
        if says(live) || !self.versions.iter().any(says) {
            return None;
        }
        let digest = live["Description"].as_str()?.rsplit(' ').next()?;
        Some(digest.parse::<Digest>().ok()?.hex())
    }

    /// A statement of the policy by its id.
    pub(super) fn statement(&self, id: &str) -> Option<&Value> {
        self.statements.iter().find(|statement| statement["Sid"] == id)
    }
}

/// The variables of what `GetFunction` describes.
fn variables(function: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    let variables = function.pointer_mut("/Configuration/Environment/Variables");
    variables.and_then(Value::as_object_mut).into_iter().flatten()
}

/// The image of what `GetFunction` describes, by digest.
pub(super) fn image_of(function: &Value) -> Option<&str> {
    let code = function.get("Code")?;
    let texts = ["ResolvedImageUri", "ImageUri"].map(|name| code.get(name).and_then(Value::as_str));
    texts.into_iter().flatten().next()
}

/// The digest of that image.
pub(super) fn digest_of(function: &Value) -> Option<Digest> {
    image_of(function)?.rsplit_once('@')?.1.parse().ok()
}

/// What a configuration says of everything that is set by us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Configured<'a> {
    pub(super) architecture: Option<&'a str>,
    pub(super) role: Option<&'a str>,
    /// In MB.
    pub(super) memory: Option<u32>,
    /// In seconds.
    pub(super) timeout: Option<u32>,
    /// In MB.
    pub(super) ephemeral_storage: Option<u32>,
    /// Whether it replaces what the image says should run.
    pub(super) overrides_image: bool,
    pub(super) variables: BTreeMap<String, String>,
}

impl<'a> Configured<'a> {
    /// Reads the configuration of what `GetFunction` describes.
    pub(super) fn read(function: &'a Value) -> Self {
        let at = |pointer: &str| function.pointer(&format!("/Configuration{pointer}"));
        let number = |pointer| at(pointer).and_then(Value::as_u64)?.try_into().ok();
        let variables = at("/Environment/Variables").and_then(Value::as_object);
        let variables = variables.into_iter().flatten();
        Self {
            architecture: match at("/Architectures/0") {
                None => Some(Architecture::X86.name()),
                Some(architecture) => architecture.as_str(),
            },
            role: at("/Role").and_then(Value::as_str),
            memory: number("/MemorySize"),
            timeout: number("/Timeout"),
            ephemeral_storage: number("/EphemeralStorage/Size").or(Some(512)),
            overrides_image: ["EntryPoint", "Command", "WorkingDirectory"].into_iter().any(
                |name| {
                    let value = at(&format!("/ImageConfigResponse/ImageConfig/{name}"));
                    value.is_some_and(|value| !matches!(value, Value::Null) && !is_empty(value))
                },
            ),
            variables: variables
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_str().is_some_and(str::is_empty)
}
