//! Image configs (image-spec, config.md), with Docker's extensions kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::descriptor::null_as_empty;
use super::{Digest, Platform};

/// The JSON document that a manifest's `config` points at.
///
/// Unknown members survive at both levels: a base's `Healthcheck`, `Shell`, `OnBuild` and whatever
/// comes next are edited around, never rebuilt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// OPTIONAL: when the image was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// REQUIRED: a `GOARCH` value.
    #[serde(default)]
    pub architecture: String,
    /// REQUIRED: a `GOOS` value.
    #[serde(default)]
    pub os: String,
    /// OPTIONAL: the variant of the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// OPTIONAL: the version of the operating system (Windows).
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// OPTIONAL: how to run a container of the image.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub config: RunConfig,
    /// REQUIRED: the diff_ids.
    #[serde(default)]
    pub rootfs: RootFs,
    /// OPTIONAL: one entry per layer or instruction.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub history: Vec<History>,
    /// Everything else, kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The `config` member: what a runtime starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunConfig {
    /// User or uid, optionally with `:group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Keys `port/protocol`, values empty objects.
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "null_as_empty")]
    pub exposed_ports: Map<String, Value>,
    /// `NAME=value`, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_empty")]
    pub env: Vec<String>,
    /// The command that always runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Its default arguments, or the command itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Keys are paths, values empty objects.
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "null_as_empty")]
    pub volumes: Map<String, Value>,
    /// The working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Labels.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// The signal that stops a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Everything else (`Healthcheck`, `Shell`, `OnBuild`, `ArgsEscaped`, …), kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The layers by the digests of their uncompressed tars.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The diff_ids, base first.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".into(), diff_ids: Vec::new() }
    }
}

/// How one layer, or one change of the config, came about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Whether no layer belongs to this entry.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    /// Everything else (`author`, `comment`), kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl ImageConfig {
    /// An empty config for this platform: the base `scratch`.
    pub fn scratch(platform: &Platform) -> Self {
        Self {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            ..Self::default()
        }
    }

    /// The platform the config declares.
    pub fn platform(&self) -> Platform {
        Platform {
            os_version: self.os_version.clone(),
            ..Platform::new(&self.os, &self.architecture, self.variant.as_deref())
        }
    }
}

impl RunConfig {
    /// Sets a variable: an existing name keeps its place, a new one goes to the end.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let line = format!("{name}={value}");
        let is_same = |existing: &&mut String| {
            existing.split('=').next().is_some_and(|existing_name| existing_name == name)
        };
        match self.env.iter_mut().find(is_same) {
            Some(existing) => *existing = line,
            None => self.env.push(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"{
        "architecture": "amd64", "os": "linux", "docker_version": "20.10", "history": null,
        "config": {
            "Healthcheck": {"Test": ["NONE"]}, "Shell": ["/bin/bash"], "OnBuild": ["RUN x"],
            "ArgsEscaped": true, "Cmd": null, "Volumes": null, "Env": ["PATH=/bin", "A=1"]
        },
        "rootfs": {"type": "layers", "diff_ids": null}
    }"#;

    #[test]
    fn members_it_does_not_know_survive() {
        let config: ImageConfig = serde_json::from_str(BASE).unwrap();
        assert_eq!(
            serde_json::to_value(&config).unwrap(),
            serde_json::json!({
                "architecture": "amd64", "os": "linux", "docker_version": "20.10", "history": [],
                "config": {
                    "Healthcheck": {"Test": ["NONE"]}, "Shell": ["/bin/bash"], "OnBuild": ["RUN x"],
                    "ArgsEscaped": true, "Env": ["PATH=/bin", "A=1"]
                },
                "rootfs": {"type": "layers", "diff_ids": []}
            })
        );
    }

    #[test]
    fn a_variable_keeps_its_place() {
        let mut run = RunConfig { env: vec!["A=1".into(), "AB=2".into()], ..RunConfig::default() };
        run.set_env("A", "x=y");
        run.set_env("C", "");
        assert_eq!(run.env, ["A=x=y", "AB=2", "C="]);
    }
}
