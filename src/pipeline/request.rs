//! What a use case is asked for, and what it answers: plain data between the edge and the stages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::LayerCompression;
use crate::deploy::Manifest;
use crate::oci::{Descriptor, Digest, Platform};
use crate::publish::{ExistingTag, Published};
use crate::registry::{ClientCertificate, RegistryMap, Secret};

/// Which project, and what of its config is overridden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectRequest {
    /// A folder or a config file; for `push` also `oci:DIR`.
    pub path: PathBuf,
    /// The config file, when it is not to be looked for.
    pub file: Option<PathBuf>,
    /// The base, instead of the config's.
    pub base: Option<String>,
    /// The platforms, instead of the config's; empty keeps them.
    pub platforms: Vec<Platform>,
    /// How layers are compressed, instead of the config's way.
    pub compression: Option<LayerCompression>,
    /// Labels on top of the config's.
    pub labels: Vec<(String, String)>,
    /// Annotations on top of the config's.
    pub annotations: Vec<(String, String)>,
    /// Tags and full references, instead of the config's tags; empty keeps them.
    pub tags: Vec<String>,
    /// Whether images count only as `dockless.lock` has them.
    pub is_locked: bool,
    /// Whether to make every layer anew, whatever is remembered or stands in a registry.
    pub is_anew: bool,
    /// Images whose layers may be taken over, in this order, before those that stand where this one goes.
    pub cache_from: Vec<String>,
    /// Whether to plan only.
    pub is_dry_run: bool,
    /// How to reach registries.
    pub network: NetworkRequest,
}

/// What the machine says about the network: never part of a project's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkRequest {
    /// Registries (`host` or `host:port`) that may be reached without TLS.
    pub insecure: BTreeSet<String>,
    /// Registries whose certificate is not checked.
    pub skip_tls_verify: BTreeSet<String>,
    /// PEM files of further authorities per registry; the empty name means every registry.
    pub authorities: BTreeMap<String, Vec<PathBuf>>,
    /// Who we are to registries that want to know it when TLS begins.
    pub client_certificates: BTreeMap<String, ClientCertificate>,
    /// Which repositories are pulled from elsewhere.
    pub map: RegistryMap,
    /// How long the command may take.
    pub timeout: Option<Duration>,
}

/// A user name and a password for the one registry that is pushed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password or access token.
    pub password: Secret,
}

/// Files to write once the image is where it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFiles {
    /// Gets the bare digest.
    pub digest: Option<PathBuf>,
    /// Gets the image id.
    pub image_id: Option<PathBuf>,
    /// Gets a JSON document.
    pub metadata: Option<PathBuf>,
    /// Gets the build record.
    pub build: Option<PathBuf>,
}

/// `dockless build`.
#[derive(Debug, Clone, Default)]
pub struct BuildRequest {
    /// The project.
    pub project: ProjectRequest,
    /// Layouts and archives, and `-` for stdout.
    pub outputs: Vec<String>,
    /// Whether to push to the config's repositories.
    pub has_push: bool,
    /// Whether to hand the image to the local engine.
    pub has_load: bool,
    /// Credentials for the one host that is pushed to.
    pub credentials: Option<Credentials>,
    /// What to write for later steps.
    pub records: RecordFiles,
    /// What happens to tags that point at another image already.
    pub existing_tag: ExistingTag,
}

/// `dockless push`.
#[derive(Debug, Clone, Default)]
pub struct PushRequest {
    /// The project, or a layout.
    pub project: ProjectRequest,
    /// Repositories and full references, instead of the config's; empty keeps them.
    pub to: Vec<String>,
    /// Credentials for the one host that is pushed to.
    pub credentials: Option<Credentials>,
    /// What to write for later steps.
    pub records: RecordFiles,
    /// What happens to tags that point at another image already.
    pub existing_tag: ExistingTag,
}

/// What a use case that makes an image answers.
#[derive(Debug)]
pub enum Produced {
    /// The plan of a dry run.
    Planned(Box<super::PlanSummary>),
    /// The image.
    Image(Box<ProducedImage>),
}

/// Where an image is, as JSON.
pub fn published_document(published: &[Published]) -> Value {
    let place = |Published { reference, tags, kept, .. }: &Published| {
        let mut place = json!({"reference": reference, "tags": tags});
        if !kept.is_empty() {
            place["kept"] = json!(kept);
        }
        place
    };
    published.iter().map(place).collect()
}

/// An image that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducedImage {
    /// The project's name.
    pub name: String,
    /// The manifest or the index.
    pub descriptor: Descriptor,
    /// The digest of the image config; absent for an index.
    pub config_digest: Option<Digest>,
    /// The platforms.
    pub platforms: Vec<Platform>,
    /// The manifests of its platforms, in the order of the index.
    pub manifests: Vec<Manifest>,
    /// Its layers, and where each came from.
    pub layers: Vec<super::MadeLayer>,
    /// How many bytes of blobs were sent to registries.
    pub uploaded_bytes: u64,
    /// Where it is now, besides the cache.
    pub published: Vec<Published>,
    /// Whether its config says where to push it.
    pub has_repositories: bool,
    /// What it was made of, when it was made here.
    pub record: Option<super::BuildRecord>,
}

impl ProducedImage {
    /// The result as one JSON document.
    pub fn document(&self) -> Value {
        json!({
            "name": self.name,
            "digest": self.descriptor.digest,
            "media_type": self.descriptor.media_type,
            "size": self.descriptor.size,
            "image_id": self.image_id(),
            "platforms": self.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "layers": self.layers.iter().map(super::MadeLayer::document).collect::<Vec<_>>(),
            "uploaded_bytes": self.uploaded_bytes,
            "published": published_document(&self.published),
        })
    }

    /// The keys that existing CI steps read from `--metadata-file`.
    pub fn metadata(&self) -> Value {
        let name = |published: &Published, tag: &str| {
            let place = published.reference.split('@').next().unwrap_or_default();
            format!("{place}:{tag}")
        };
        let names: Vec<_> = self
            .published
            .iter()
            .flat_map(|published| published.tags.iter().map(move |tag| name(published, tag)))
            .collect();
        let mut metadata = json!({
            "containerimage.digest": self.descriptor.digest,
            "containerimage.descriptor": self.descriptor,
            "image.name": names.join(","),
        });
        if let Some(digest) = self.config_digest {
            metadata["containerimage.config.digest"] = digest.to_string().into();
        }
        metadata
    }

    /// What `--iidfile` gets: the digest of the image config, or of the index.
    pub fn image_id(&self) -> Digest {
        self.config_digest.unwrap_or(self.descriptor.digest)
    }
}
