//! Stage 1: the text of a project's config becomes a [`Config`].
//!
//! Pure except `load.rs`. Every problem of a file is collected, with its place, before anything is
//! refused. Start reading at [`Config`], then `format.rs`.

mod base;
mod compression;
mod discretion;
mod docs;
mod environment;
mod format;
pub mod formats;
mod health;
mod load;
mod load_error;
pub mod near_names;
mod node;
mod problem;
mod publish;
mod requirement;
pub mod schema;
mod secrets;
mod tag_template;
mod template;
mod unit;
mod validate;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub use base::{BUILTIN_BASE_NAMES, Base, InvalidBase};
pub use compression::LayerCompression;
pub use docs::{KindDocs, json_schema, reference_markdown};
pub use environment::{EnvironmentSpec, PullSpec, SecretSpec, TargetSpec, environment_keys};
pub use format::{ConfigFormat, Import, ParseContext, ProjectFile, ProjectFiles};
pub use health::{Health, HealthCheck};
pub use load::{Loaded, load};
pub use load_error::LoadError;
pub use node::{Key, Node, Value};
pub use problem::{Position, Problem, Problems};
pub use publish::{NewRepository, PublishSettings, TAG_STRATEGIES, TagSpec, parse_tag};
pub use requirement::{Needed, Requirement};
pub use secrets::{Patterns, SecretSettings, Setting};
pub use tag_template::{GIT_FACTS, hint_for_fact, is_tag_template, tag_environment};
pub use template::{Template, TemplateError};
pub use unit::Unit;
pub use yaml::{Duplicate, ParsedFile};

use crate::oci::Platform;

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
    /// The places that name a file, where a layer would take a folder as well.
    pub files: BTreeSet<Position>,
    /// How our layers are compressed.
    pub compression: LayerCompression,
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
    /// What the agent needs of its image beyond its files.
    pub requirements: Vec<Requirement>,
    /// The file all this was read from.
    pub source: ConfigSource,
    /// The tag whose text is the image's version, rather than the version in git's tag.
    pub version: Option<TagSpec>,
    /// What the image will lack, by the config's own words: nothing wrong, but worth knowing.
    pub left_out: Vec<Problem>,
    /// Keys that are unknown to us, but perhaps not to a later release of what reads them.
    pub unknown_keys: Vec<Problem>,
    /// What is left out, and what is allowed though it looks like a secret.
    pub secrets: SecretSettings,
    /// Where it can be deployed, in the order of the file; nothing of it changes the image.
    pub environments: Vec<EnvironmentSpec>,
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

impl Config {
    /// A config that says nothing: one layerless image on nothing.
    fn empty(source: ConfigSource) -> Self {
        Self {
            name: String::new(),
            base: Base::Scratch,
            platforms: vec![Platform::linux_amd64()],
            layers: Vec::new(),
            compression: LayerCompression::default(),
            run: RunSettings::default(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            has_vcs_labels: true,
            mtime: 0,
            publish: PublishSettings::default(),
            required_at_run_time: Vec::new(),
            requirements: Vec::new(),
            source,
            version: None,
            files: BTreeSet::new(),
            left_out: Vec::new(),
            unknown_keys: Vec::new(),
            secrets: SecretSettings::default(),
            environments: Vec::new(),
        }
    }
}

impl RunSettings {
    /// Sets a variable: an existing name keeps its place, a new one goes to the end.
    fn set_env(&mut self, name: String, value: String) {
        match self.env.iter_mut().find(|(existing, _)| *existing == name) {
            Some((_, existing)) => *existing = value,
            None => self.env.push((name, value)),
        }
    }
}
