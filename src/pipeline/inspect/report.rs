//! What is told of an image: lines for people, a document for programs.

use serde_json::{Map, Value, json};

use crate::event::readable_size;
use crate::image::{
    BASE_DIGEST_ANNOTATION, BASE_NAME_ANNOTATION, layer_names, shown, shown_command,
    shown_document, shown_health_check, shown_variable,
};
use crate::layer::BASE_LAYERS_ANNOTATION;
use crate::oci::{Descriptor, Digest, ImageConfig, Manifest};
use crate::pipeline::subject::{Content, Found, Parts, Subject};
use crate::pipeline::summary::counted;
use crate::plan::{BASE_FILES_ANNOTATION, REQUIRED_ENV_LABEL};

/// Annotations that are told in words of their own, or to programs only.
const TOLD: [&str; 4] =
    [BASE_NAME_ANNOTATION, BASE_DIGEST_ANNOTATION, BASE_LAYERS_ANNOTATION, BASE_FILES_ANNOTATION];

/// What there is to say of an image.
#[derive(Debug)]
pub struct InspectReport {
    /// As the user wrote it.
    name: String,
    /// The same place at its digest.
    reference: String,
    top: Descriptor,
    parts: Parts,
}

/// A layer, as far as its documents tell.
struct ToldLayer<'a> {
    descriptor: &'a Descriptor,
    /// Where there are as many in the config as in the manifest.
    diff_id: Option<Digest>,
    /// From the history.
    created_by: Option<&'a str>,
    /// Whether it is the base's; unknown where the image does not say.
    is_base: Option<bool>,
}

impl InspectReport {
    pub(super) fn new(subject: &Subject, parts: Parts) -> Self {
        let top = Descriptor::of(subject.top.media_type.clone(), &subject.top.bytes);
        Self { name: subject.name.clone(), reference: subject.at_digest(top.digest), top, parts }
    }

    /// The tree for people. What it quotes may come from strangers, and never begins a line.
    pub fn lines(&self) -> Vec<String> {
        let top = &self.top;
        let mut lines = vec![
            shown(&self.name),
            format!("  digest: {}", top.digest),
            format!("  type: {}, {}", shown(top.media_type.as_str()), readable_size(top.size)),
        ];
        if let Some(index) = &self.parts.index {
            let entries = counted(index.value.manifests.len() as u64, "entry", "entries");
            lines.push(format!("  index of {entries}"));
            let named = index.value.annotations.iter().filter(|(name, _)| !is_told(name));
            lines.extend(
                named.map(|(name, value)| format!("  annotation {}={}", shown(name), shown(value))),
            );
        }
        for (descriptor, content) in &self.parts.parts {
            match content {
                Content::Image(found) => lines.extend(image_lines(found)),
                Content::Artifact { kind, manifest } => {
                    let of = format!("artifact of type {}", shown(kind));
                    lines.push(format!("{of}: {}", descriptor.digest));
                    lines.extend(manifest_lines(&manifest.value));
                    lines.extend(manifest.value.layers.iter().enumerate().map(|(place, blob)| {
                        let (size, digest) = (readable_size(blob.size), blob.digest.short());
                        let media_type = shown(blob.media_type.as_str());
                        format!("  blob {}: {digest}, {size}, {media_type}", place + 1)
                    }));
                }
                other => {
                    lines.push(format!("{}: {}", further(descriptor, other), descriptor.digest));
                }
            }
        }
        lines
    }

    /// All of it as one JSON document.
    pub fn document(&self) -> Value {
        let mut others = Vec::new();
        for (descriptor, content) in &self.parts.parts {
            let kind = match content {
                Content::Image(_) => continue,
                Content::Artifact { .. } => "artifact",
                Content::Attestation => "attestation",
                Content::Index => "index",
                Content::Unknown => "unknown",
            };
            let mut other = json!({"kind": kind, "descriptor": descriptor});
            if let Content::Artifact { kind, manifest } = content {
                other["artifact_type"] = json!(kind);
                other["manifest"] = shown_document(&json!(manifest.value));
            }
            others.push(other);
        }
        let index = self.parts.index.as_ref();
        json!({
            "image": self.name,
            "reference": self.reference,
            "digest": self.top.digest,
            "media_type": self.top.media_type,
            "size": self.top.size,
            "annotations": index.map(|index| &index.value.annotations),
            "platforms": self.parts.images().map(image_document).collect::<Vec<_>>(),
            "others": others,
        })
    }
}

/// What an entry is that is neither an image nor an artifact.
fn further(descriptor: &Descriptor, content: &Content) -> String {
    match content {
        Content::Attestation => {
            let of = descriptor.annotations.get("vnd.docker.reference.digest");
            of.map_or_else(
                || "attestation".to_owned(),
                |digest| format!("attestation of {}", shown(digest)),
            )
        }
        Content::Index => "a further index, which is not looked into".to_owned(),
        _ if descriptor.media_type.as_str().contains("docker.distribution.manifest.v1") => {
            "a manifest of Docker's schema 1, which says nothing that can be relied on".to_owned()
        }
        _ => {
            let media_type = shown(descriptor.media_type.as_str());
            format!("no image that is known here, of type {media_type}")
        }
    }
}

fn told_layers(found: &Found) -> Vec<ToldLayer<'_>> {
    let (manifest, config) = (&found.manifest.value, &found.config.value);
    let (count, diff_ids) = (manifest.layers.len(), &config.rootfs.diff_ids);
    let names = layer_names(config);
    let is_told = diff_ids.len() == count;
    let of_base: Option<usize> =
        manifest.annotations.get(BASE_LAYERS_ANNOTATION).and_then(|text| text.parse().ok());
    let layers = manifest.layers.iter().enumerate();
    let told = layers.map(|(place, descriptor)| ToldLayer {
        descriptor,
        diff_id: diff_ids.get(place).copied().filter(|_| is_told),
        created_by: names.get(place).copied().flatten().filter(|_| is_told),
        is_base: of_base.map(|of_base| place < of_base),
    });
    told.collect()
}

/// What all layers take together; a stranger may claim any size for each.
fn size_of(layers: &[ToldLayer<'_>]) -> u64 {
    layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.descriptor.size))
}

fn image_lines(found: &Found) -> Vec<String> {
    let (manifest, config) = (&found.manifest.value, &found.config.value);
    let layers = told_layers(found);
    let size = readable_size(size_of(&layers));
    let count = counted(layers.len() as u64, "layer", "layers");
    let mut lines = vec![
        format!("platform {}: {count}, {size}", found.platform),
        format!("  digest: {}", found.manifest.descriptor.digest),
    ];
    let actual = config.platform();
    if !found.platform.is_served_by(&actual) {
        lines.push(format!("  its config says that it is for {actual}"));
    }
    lines.extend(manifest_lines(manifest));
    let diff_ids = config.rootfs.diff_ids.len();
    if diff_ids != layers.len() {
        lines.push(format!("  its config is of another image: it has {diff_ids} diff_ids"));
    }
    for (place, layer) in layers.iter().enumerate() {
        let (number, digest) = (place + 1, layer.descriptor.digest.short());
        let size = readable_size(layer.descriptor.size);
        let of = if layer.is_base == Some(true) { ", base" } else { "" };
        let name = layer.created_by.map(|name| format!(": {}", shown(&shown_command(name))));
        lines.push(format!("  layer {number}: {digest}, {size}{of}{}", name.unwrap_or_default()));
    }
    lines.extend(setting_lines(config));
    let annotations = manifest.annotations.iter();
    let annotations = annotations.filter(|(name, _)| !is_told(name));
    lines.extend(
        annotations.map(|(name, value)| format!("  annotation {}={}", shown(name), shown(value))),
    );
    lines
}

/// Whether an annotation is not told as such.
fn is_told(name: &str) -> bool {
    TOLD.contains(&name)
}

/// What a manifest says of other images.
fn manifest_lines(manifest: &Manifest) -> Vec<String> {
    let of = |name| manifest.annotations.get(name).map(|value| shown(value));
    let base = match (of(BASE_NAME_ANNOTATION), of(BASE_DIGEST_ANNOTATION)) {
        (Some(name), Some(digest)) => Some(format!("{name}, {digest}")),
        (name, digest) => name.or(digest),
    };
    let base_files = manifest.annotations.get(BASE_FILES_ANNOTATION);
    let base_files = base_files
        .map(|text| format!("  known of the base's files: {}", readable_size(text.len() as u64)));
    let subject = manifest.subject.as_ref();
    base.map(|base| format!("  base: {base}"))
        .into_iter()
        .chain(base_files)
        .chain(subject.map(|subject| format!("  refers to: {}", subject.digest)))
        .collect()
}

/// How a container is run.
fn setting_lines(config: &ImageConfig) -> Vec<String> {
    let run = &config.config;
    let words = |words: &Option<Vec<String>>| {
        words.as_ref().map(|words| shown(&shown_document(&json!(words)).to_string()))
    };
    let keys = |map: &Map<String, Value>| {
        let keys: Vec<_> = map.keys().map(|key| shown(key)).collect();
        (!keys.is_empty()).then(|| keys.join(", "))
    };
    let text = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(shown);
    let simple = [
        ("created", text(&config.created)),
        ("user", text(&run.user)),
        ("working directory", text(&run.working_dir)),
        ("entrypoint", words(&run.entrypoint)),
        ("command", words(&run.cmd)),
        ("ports", keys(&run.exposed_ports)),
        ("volumes", keys(&run.volumes)),
        ("stop signal", text(&run.stop_signal)),
    ];
    let mut lines: Vec<_> = simple
        .into_iter()
        .filter_map(|(name, value)| Some(format!("  {name}: {}", value?)))
        .collect();
    for (name, value) in &run.other {
        let value = match (name.as_str(), value) {
            (_, Value::Null) => continue,
            ("Healthcheck", Value::Object(check)) => shown_health_check(check),
            _ => shown_document(value).to_string(),
        };
        lines.push(format!("  {}: {}", shown(&name.to_lowercase()), shown(&value)));
    }
    lines.extend(run.env.iter().map(|line| format!("  variable {}", shown(&shown_variable(line)))));
    if let Some(names) = run.labels.get(REQUIRED_ENV_LABEL) {
        lines.push(format!("  required at run time: {}", shown(&names.replace(',', ", "))));
    }
    let labels = run.labels.iter().filter(|(name, _)| *name != REQUIRED_ENV_LABEL);
    lines.extend(labels.map(|(name, value)| format!("  label {}={}", shown(name), shown(value))));
    lines
}

fn image_document(found: &Found) -> Value {
    let (manifest, config) = (&found.manifest, &found.config);
    let annotations = &manifest.value.annotations;
    let layers = told_layers(found);
    let documents = layers.iter().enumerate().map(|(place, layer)| {
        json!({
            "number": place + 1,
            "digest": layer.descriptor.digest,
            "diff_id": layer.diff_id,
            "media_type": layer.descriptor.media_type,
            "size": layer.descriptor.size,
            "is_base": layer.is_base,
            "created_by": layer.created_by.map(shown_command),
            "annotations": layer.descriptor.annotations,
        })
    });
    let required = config.value.config.labels.get(REQUIRED_ENV_LABEL);
    let required: Vec<_> = required.iter().flat_map(|names| names.split(',')).collect();
    json!({
        "platform": found.platform.to_string(),
        "digest": manifest.descriptor.digest,
        "media_type": manifest.descriptor.media_type,
        "size": manifest.descriptor.size,
        "layers_size": size_of(&layers),
        "layers": documents.collect::<Vec<_>>(),
        "base": {
            "name": annotations.get(BASE_NAME_ANNOTATION),
            "digest": annotations.get(BASE_DIGEST_ANNOTATION),
            "layers": layers.iter().filter(|layer| layer.is_base == Some(true)).count(),
        },
        "required_at_run_time": required,
        "annotations": annotations,
        "subject": manifest.value.subject,
        "config_digest": manifest.value.config.digest,
        "config": shown_document(&json!(config.value)),
    })
}
