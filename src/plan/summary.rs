//! A plan in the form that `--dry-run` prints.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Entry, EntryKind, ImagePlan, LayerContent, LayerPlan, Plan};

/// A [`Plan`] for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanSummary {
    /// The project's name.
    pub name: String,
    /// How the layers that are packed are compressed.
    pub compression: &'static str,
    /// One image per platform.
    pub images: Vec<ImageSummary>,
}

/// The image of one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageSummary {
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// What it stands on, as the user wrote it.
    pub base: String,
    /// The digest of the base's manifest for this platform; absent for scratch and builtin bases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_digest: Option<String>,
    /// How many layers the base has.
    pub base_layers: usize,
    /// Our layers, lowest first.
    pub layers: Vec<LayerSummary>,
    /// RFC 3339.
    pub created: String,
    /// The labels that are set.
    pub labels: BTreeMap<String, String>,
    /// The annotations that are set.
    pub annotations: BTreeMap<String, String>,
}

/// One layer of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerSummary {
    /// What it is called.
    pub name: String,
    /// The bytes of its files.
    pub size_bytes: u64,
    /// The blob that is taken as it is; absent for a layer that is packed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What is in it; nothing for a blob that is taken as it is.
    pub entries: Vec<EntrySummary>,
}

/// One entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntrySummary {
    /// The absolute path in the image.
    pub path: String,
    /// `directory`, `file` or `symlink`.
    pub kind: &'static str,
    /// Permission bits in octal.
    pub mode: String,
    /// `uid:gid`.
    pub owner: String,
    /// The size of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Where a link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Plan {
    /// The plan in the form that `--dry-run` prints.
    pub fn describe(&self) -> PlanSummary {
        PlanSummary {
            name: self.name.clone(),
            compression: self.compression.as_str(),
            images: self.images.iter().map(ImagePlan::describe).collect(),
        }
    }
}

impl ImagePlan {
    fn describe(&self) -> ImageSummary {
        let manifest = self.base.manifest.as_ref();
        ImageSummary {
            platform: self.platform.to_string(),
            base: self.base.name.clone(),
            base_digest: manifest.map(|manifest| manifest.descriptor.digest.to_string()),
            base_layers: self.base.layers.len(),
            layers: self.layers.iter().map(LayerPlan::describe).collect(),
            created: self.settings.created.clone(),
            labels: self.settings.labels.clone(),
            annotations: self.settings.annotations.clone(),
        }
    }
}

impl LayerPlan {
    fn describe(&self) -> LayerSummary {
        let name = self.name.clone();
        match &self.content {
            LayerContent::Pack(entries) => {
                let entries: Vec<_> = entries.iter().map(Entry::describe).collect();
                let size_bytes = entries.iter().filter_map(|entry| entry.size_bytes).sum();
                LayerSummary { name, size_bytes, digest: None, entries }
            }
            LayerContent::Existing { descriptor, .. } => LayerSummary {
                name,
                size_bytes: descriptor.size,
                digest: Some(descriptor.digest.to_string()),
                entries: Vec::new(),
            },
        }
    }
}

impl Entry {
    fn describe(&self) -> EntrySummary {
        let (kind, size_bytes, target) = match &self.kind {
            EntryKind::Directory => ("directory", None, None),
            EntryKind::File(source) => ("file", Some(source.size_bytes()), None),
            EntryKind::Symlink(target) => ("symlink", None, Some(target.clone())),
        };
        EntrySummary {
            path: format!("/{}", self.path),
            kind,
            mode: format!("{:04o}", self.mode),
            owner: format!("{}:{}", self.uid, self.gid),
            size_bytes,
            target,
        }
    }
}
