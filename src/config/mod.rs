//! Stage 1: the text of a project's config becomes a [`Config`].
//!
//! Pure except `load.rs`. Every problem of a file is collected, with its place, before anything is
//! refused. Start reading at [`Config`], then `format.rs`.

mod node;
mod problem;
pub mod schema;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use node::{Key, Node, Value};
pub use problem::{Position, Problem, Problems};

use crate::oci::{Platform, Reference};

/// What a project wants, whatever file it was written in.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The project's name: the image's title.
    pub name: String,
    /// What the image stands on.
    pub base: Base,
    /// The platforms to build for, without duplicates, in the user's order; at least one.
    pub platforms: Vec<Platform>,
    /// The layers in the user's order; only their kinds know their settings.
    pub layers: Vec<LayerSpec>,
    /// How a container of the image is run.
    pub run: RunSettings,
    /// Labels of the image config that the user set.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest (and index) that the user set.
    pub annotations: BTreeMap<String, String>,
    /// Whether `org.opencontainers.image.revision` and `source` are filled from git facts.
    pub has_vcs_labels: bool,
    /// The modification time of every entry, in seconds since 1970.
    pub mtime: i64,
    /// Where the image goes, and under which tags.
    pub publish: PublishSettings,
    /// Names of variables that the image does not bake and a container of it must be given.
    pub required_at_run_time: Vec<String>,
    /// The file all this was read from.
    pub source: ConfigSource,
}

/// Where a config came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSource {
    /// The file.
    pub file: PathBuf,
    /// The name of its format: `dockless`, `holodeck`.
    pub format: &'static str,
    /// The project's folder, absolute and without links: every path in the config is below it.
    pub directory: PathBuf,
}

/// What an image stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// An image in a registry.
    Registry(Reference),
    /// An OCI layout on disk, with the ref name or digest of an image in it when it has several.
    Layout {
        /// The folder, as written; relative to the project.
        path: String,
        /// After `oci:DIR:` or `oci:DIR@`.
        selector: Option<String>,
    },
    /// Nothing at all.
    Scratch,
    /// A base that this binary carries, for instance `static`.
    Builtin(String),
}

/// One entry of `layers:`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpec {
    /// Its `kind`.
    pub kind: String,
    /// Where the kind stands in the file.
    pub kind_position: Position,
    /// All its members, `kind` included.
    pub settings: Node,
}

/// What the image config says of running a container. Absent members keep what the base says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunSettings {
    /// User or uid, optionally with `:group`.
    pub user: Option<String>,
    /// The working directory, absolute.
    pub workdir: Option<String>,
    /// Variables in order, literal values.
    pub env: Vec<(String, String)>,
    /// The command that always runs; setting it clears the base's `Cmd`, as a Dockerfile does.
    pub entrypoint: Option<Vec<String>>,
    /// Its default arguments.
    pub cmd: Option<Vec<String>>,
    /// `8080/tcp`, added to the base's.
    pub ports: Vec<String>,
    /// Absolute paths, added to the base's.
    pub volumes: Vec<String>,
    /// The signal that stops a container.
    pub stop_signal: Option<String>,
    /// How to see whether a container is well.
    pub health: Option<Health>,
}

/// How to see whether a container is well.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// For the probes of deploy targets.
    pub path: Option<String>,
    /// For the probes of deploy targets.
    pub port: Option<u16>,
    /// The image's `Healthcheck`: present when the config has a `test`.
    pub check: Option<HealthCheck>,
}

/// Docker's `Healthcheck`; times in nanoseconds, as its JSON has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// `["CMD", …]`, `["CMD-SHELL", "…"]` or `["NONE"]`.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval_ns: Option<u64>,
    /// For one check.
    pub timeout_ns: Option<u64>,
    /// After the start, while failures do not count.
    pub start_period_ns: Option<u64>,
    /// Between two checks of the start period.
    pub start_interval_ns: Option<u64>,
    /// How many failures make a container unhealthy.
    pub retries: Option<u64>,
}

/// Where an image goes, and under which tags.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PublishSettings {
    /// Repositories; `${VAR}` and `${VAR:-x}` stand as written until they are needed.
    pub repositories: Vec<Template>,
    /// Tags or strategies.
    pub tags: Vec<TagSpec>,
    /// HoloDeck's `credentials_env_prefix`: `<PREFIX>_USERNAME` and `<PREFIX>_PASSWORD`.
    pub credentials_env_prefix: Option<String>,
}

/// Text with variables that is resolved when it is needed, with its place for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// As written.
    pub text: String,
    /// Where.
    pub position: Position,
}

/// One entry of `tags:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSpec {
    /// A literal, a template over git facts, or the name of a strategy.
    pub tag: Template,
    /// The condition (`default_branch`, `tag`) under which it applies.
    pub when: Option<Template>,
}
