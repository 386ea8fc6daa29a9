//! What `--dry-run` prints: the plan, and where everything would go.

use std::fmt;

use serde_json::{Value, json};

use crate::config::RunSettings;
use crate::event::readable_size;
use crate::image::Assembly;
use crate::oci::Reference;
use crate::plan::{self, EntrySummary, ImageSummary, LayerSummary, Plan};

/// Entries of a layer that are listed one by one in the text; the JSON document has all of them.
const MAX_ENTRIES_SHOWN: usize = 20;

/// A plan, told to people and programs.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanSummary {
    image: Summary,
    destinations: Vec<(String, Vec<String>)>,
    /// Where earlier images would be looked for.
    earlier: Vec<Reference>,
}

#[derive(Debug, Clone, PartialEq)]
enum Summary {
    /// An image that would be built.
    Planned { plan: plan::PlanSummary, run: Box<RunSettings> },
    /// An image that exists: where, and what it is.
    Existing { name: String, document: Value, digest: String },
}

impl PlanSummary {
    /// The plan of a build; layers may be taken over from `earlier` images.
    pub(super) fn new(
        plan: &Plan,
        destinations: Vec<(String, Vec<String>)>,
        earlier: Vec<Reference>,
    ) -> Self {
        let run = plan.images.first().map(|image| Box::new(image.settings.run.clone()));
        let run = run.unwrap_or_default();
        Self { image: Summary::Planned { plan: plan.describe(), run }, destinations, earlier }
    }

    /// The plan of pushing an image that exists.
    pub(super) fn of_assembly(
        name: &str,
        assembly: &Assembly,
        destinations: Vec<(String, Vec<String>)>,
    ) -> Self {
        let layers = |image: &crate::image::Image| -> Vec<Value> {
            let layer = |layer: &crate::layer::Layer| json!({"digest": layer.descriptor.digest, "size_bytes": layer.descriptor.size});
            image.layers.iter().map(layer).collect()
        };
        let images: Vec<_> = assembly
            .images
            .iter()
            .map(|image| {
                json!({
                    "platform": image.platform.to_string(),
                    "digest": image.manifest.descriptor.digest,
                    "layers": layers(image),
                })
            })
            .collect();
        let digest = assembly.descriptor().digest.to_string();
        let document = json!({"name": name, "digest": digest, "images": images});
        let image = Summary::Existing { name: name.to_owned(), document, digest };
        Self { image, destinations, earlier: Vec::new() }
    }

    /// The summary as one JSON document.
    pub fn document(&self) -> Value {
        let mut document = match &self.image {
            Summary::Planned { plan, .. } => json!(plan),
            Summary::Existing { document, .. } => document.clone(),
        };
        let destinations: Vec<_> = self
            .destinations
            .iter()
            .map(|(name, tags)| json!({"destination": name, "tags": tags}))
            .collect();
        document["destinations"] = destinations.into();
        document["earlier_images"] = self.earlier.iter().map(ToString::to_string).collect();
        document
    }
}

impl fmt::Display for PlanSummary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.image {
            Summary::Planned { plan, run } => show_plan(plan, run, formatter)?,
            Summary::Existing { name, digest, .. } => writeln!(formatter, "{digest} from {name}")?,
        }
        for (name, tags) in &self.destinations {
            match &tags[..] {
                [] => writeln!(formatter, "to {name}")?,
                tags => writeln!(formatter, "to {name} as {}", tags.join(", "))?,
            }
        }
        if !self.earlier.is_empty() {
            let places: Vec<_> = self.earlier.iter().map(ToString::to_string).collect();
            let places = places.join(", ");
            writeln!(formatter, "layers may be taken over from the first that fits: {places}")?;
        }
        Ok(())
    }
}

fn show_plan(
    plan: &plan::PlanSummary,
    run: &RunSettings,
    formatter: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (number, image) in plan.images.iter().enumerate() {
        write!(formatter, "{} for {} on {}", plan.name, image.platform, image.base)?;
        match &image.base_digest {
            Some(digest) => {
                let layers = counted(image.base_layers, "layer", "layers");
                writeln!(formatter, " ({digest}, {layers})")?;
            }
            None => writeln!(formatter)?,
        }
        match plan.images.first().filter(|first| number > 0 && first.layers == image.layers) {
            Some(first) => writeln!(formatter, "  the same layers as {}", first.platform)?,
            None => show_layers(image, plan.compression, formatter)?,
        }
    }
    // They are the same for every platform.
    if let Some(first) = plan.images.first() {
        show_run(run, first, formatter)?;
    }
    Ok(())
}

fn show_layers(
    image: &ImageSummary,
    compression: &str,
    formatter: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for layer in &image.layers {
        show_layer(layer, formatter)?;
    }
    let size_bytes = image.layers.iter().map(|layer| layer.size_bytes).sum();
    let layers = counted(image.layers.len(), "layer", "layers");
    let size = readable_size(size_bytes);
    writeln!(formatter, "  {layers} of our own, {size} before compression ({compression})")
}

/// How a container is run, as far as the config says it. Values of variables stay out of logs.
fn show_run(
    run: &RunSettings,
    image: &ImageSummary,
    formatter: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let names: Vec<_> = run.env.iter().map(|(name, _)| name.as_str()).collect();
    let words = |words: &Option<Vec<String>>| words.as_ref().map(|words| json!(words).to_string());
    let list = |words: &[&str]| (!words.is_empty()).then(|| words.join(", "));
    let ports: Vec<_> = run.ports.iter().map(String::as_str).collect();
    let settings = [
        ("user", run.user.clone()),
        ("working directory", run.workdir.clone()),
        ("entrypoint", words(&run.entrypoint)),
        ("command", words(&run.cmd)),
        ("variables", list(&names)),
        ("ports", list(&ports)),
    ];
    for (name, value) in settings {
        if let Some(value) = value {
            writeln!(formatter, "  {name}: {}", one_line(&value))?;
        }
    }
    for (name, value) in &image.labels {
        writeln!(formatter, "  label {}={}", one_line(name), one_line(value))?;
    }
    Ok(())
}

fn show_layer(layer: &LayerSummary, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (name, entries) = (&layer.name, layer.entries.len());
    let size = readable_size(layer.size_bytes);
    writeln!(formatter, "  layer {name}: {}, {size}", counted(entries, "entry", "entries"))?;
    for entry in layer.entries.iter().take(MAX_ENTRIES_SHOWN) {
        show_entry(entry, formatter)?;
    }
    if entries > MAX_ENTRIES_SHOWN {
        let rest = entries - MAX_ENTRIES_SHOWN;
        writeln!(formatter, "    and {rest} more (--json lists all of them)")?;
    }
    Ok(())
}

/// The text without what moves the cursor or begins a line; quotes stay as they are.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// A number with its noun.
pub(super) fn counted<N>(number: N, one: &str, many: &str) -> String
where
    N: Copy + fmt::Display + PartialEq + From<u8>,
{
    format!("{number} {}", if number == N::from(1) { one } else { many })
}

fn show_entry(entry: &EntrySummary, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let slash = if entry.kind == "directory" { "/" } else { "" };
    let (path, EntrySummary { mode, owner, .. }) = (entry.path.escape_debug(), entry);
    write!(formatter, "    {mode} {owner} {path}{slash}")?;
    if let Some(target) = &entry.target {
        write!(formatter, " -> {}", target.escape_debug())?;
    }
    if let Some(size_bytes) = entry.size_bytes {
        write!(formatter, " ({})", readable_size(size_bytes))?;
    }
    writeln!(formatter)
}
