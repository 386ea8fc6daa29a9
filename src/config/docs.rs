//! What the shapes say, for others: a JSON Schema for editors, and the reference in the docs.
//!
//! The layer kinds live in a later stage, so they are handed in.

use serde_json::{Value as Json, json};

use super::formats::FORMATS;
use super::schema::{Field, Kind, Shape};

/// What the reference says of one kind of layer.
#[derive(Debug, Clone, Copy)]
pub struct LayerDocs {
    /// The word in `kind:`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// A whole layer in YAML.
    pub example: &'static str,
    /// Its members.
    pub shape: &'static Shape,
}

/// The JSON Schema (draft 2020-12) of `dockless.yaml`, with the kinds of layers by name.
pub fn json_schema(layer_kinds: &[(&str, &'static Shape)]) -> Json {
    let layers: Vec<_> = layer_kinds
        .iter()
        .map(|(name, shape)| {
            let mut layer = shape.json_schema(&json!({}));
            layer["properties"]["kind"] =
                json!({"const": name, "description": "The kind of layer."});
            layer["title"] = format!("{name} layer").into();
            let required = layer["required"].as_array().cloned().unwrap_or_default();
            let is_kind = |field: &Json| field == "kind";
            if !required.iter().any(is_kind) {
                let mut all = vec![json!("kind")];
                all.extend(required);
                layer["required"] = all.into();
            }
            layer
        })
        .collect();
    let mut schema = root().json_schema(&json!({"oneOf": layers}));
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["$id"] = "urn:dockless:schema:dockless.yaml".into();
    schema["title"] = "dockless.yaml".into();
    schema["description"] = "How dockless builds the image of an agent.".into();
    schema["anyOf"] = json!([{"required": ["name", "base"]}, {"required": ["agent"]}]);
    schema["not"] = json!({"required": ["platform", "platforms"]});
    schema
}

/// The reference of everything that can stand in a config, in Markdown.
pub fn reference_markdown(layer_kinds: &[LayerDocs]) -> String {
    let mut page = Page::default();
    page.add(
        "A config is found in the project's folder as `dockless.yaml` or `dockless.yml`, else as a \
         HoloDeck `agent.yaml` or `agent.yml`; `-f` names any other file. Keys that begin with `x-` \
         are free everywhere: they hold anchors and notes. Unknown keys and keys that stand twice are \
         refused.",
    );
    page.add_section(2, "dockless.yaml", root());
    page.add("## Layers");
    page.add("One layer per entry of `layers`, the lowest first.");
    for kind in layer_kinds {
        page.add(format!("### Kind `{}`", kind.name));
        page.add(kind.summary);
        page.add(format!("```yaml\n{}\n```", kind.example.trim_end()));
        page.add(table(kind.shape));
        page.add_nested(4, kind.shape);
    }
    for format in FORMATS.iter().skip(1) {
        let heading = format!("{}: {}", format.file_names()[0], format.shape().name);
        page.add_section(2, &heading, format.shape());
    }
    page.blocks.join("\n\n") + "\n"
}

/// The blocks of a page, which blank lines will part.
#[derive(Debug, Default)]
struct Page {
    blocks: Vec<String>,
}

impl Page {
    fn add(&mut self, block: impl Into<String>) {
        self.blocks.push(block.into());
    }

    /// A heading, the table of a shape, and the sections of the shapes in it.
    fn add_section(&mut self, level: usize, heading: &str, shape: &'static Shape) {
        self.add(format!("{} {heading}", "#".repeat(level)));
        self.add(table(shape));
        self.add_nested(level + 1, shape);
    }

    fn add_nested(&mut self, level: usize, shape: &'static Shape) {
        for inner in shape.fields.iter().flat_map(|field| shapes_in(&field.kind)) {
            self.add_section(level, &capitalised(inner.name), inner);
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn root() -> &'static Shape {
    FORMATS[0].shape()
}

fn shapes_in(kind: &Kind) -> Vec<&'static Shape> {
    match kind {
        Kind::Shape(shape) => vec![shape],
        Kind::List(inner) | Kind::OneOrMany(inner) | Kind::Map(inner) => shapes_in(inner),
        Kind::Either(kinds) => kinds.iter().flat_map(shapes_in).collect(),
        _ => Vec::new(),
    }
}

fn table(shape: &Shape) -> String {
    let row = |Field { name, kind, is_required, doc }: &Field| {
        let required = if *is_required { " (required)" } else { "" };
        format!("| `{name}`{required} | {} | {} |", cell(&describe(kind)), cell(doc))
    };
    let head = ["| key | value | meaning |", "|---|---|---|"].map(str::to_owned);
    head.into_iter().chain(shape.fields.iter().map(row)).collect::<Vec<_>>().join("\n")
}

/// What a member holds, in a few words.
fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::Choice(words) => format!("`{}`", words.join("`, `")),
        Kind::Integer(low, high) => format!("whole number, {low} to {high}"),
        Kind::Boolean => "`true` or `false`".into(),
        Kind::List(inner) => format!("list: {}", describe(inner)),
        Kind::OneOrMany(inner) => format!("{}, or a list", describe(inner)),
        Kind::Map(inner) => format!("mapping of names to {}", describe(inner)),
        Kind::Shape(_) => "mapping".into(),
        Kind::Either(kinds) => kinds.iter().map(describe).collect::<Vec<_>>().join(" or "),
        Kind::Layers => "list of layers".into(),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
