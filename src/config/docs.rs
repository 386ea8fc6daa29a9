//! What the shapes say, for others: a JSON Schema for editors, and the reference in the docs.
//!
//! The layer kinds live in a later stage, so they are handed in.

use serde_json::{Value as Json, json};

use super::environment::{self, ENVIRONMENT};
use super::formats::FORMATS;
use super::schema::{Field, Kind, Parts, Shape};

/// What the reference says of one kind of layer or target.
#[derive(Debug, Clone, Copy)]
pub struct KindDocs {
    /// The word in `kind:` or `target:`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// A whole one in YAML.
    pub example: &'static str,
    /// Its members.
    pub shape: &'static Shape,
}

/// The JSON Schema (draft 2020-12) of `dockless.yaml`, with the kinds of layers and of targets.
pub fn json_schema(layer_kinds: &[KindDocs], target_kinds: &[KindDocs]) -> Json {
    let layers: Vec<_> = layer_kinds.iter().map(|kind| kind.json_schema("kind", "layer")).collect();
    let targets: Vec<_> =
        target_kinds.iter().map(|kind| kind.json_schema("target", "target")).collect();
    let parts = Parts {
        layer: json!({"oneOf": layers}),
        environment: environment_schema(target_kinds, &targets),
    };
    let mut schema = root().json_schema(&parts);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["$id"] = "urn:dockless:schema:dockless.yaml".into();
    schema["title"] = "dockless.yaml".into();
    schema["description"] = "How dockless builds and deploys the image of an agent.".into();
    schema["anyOf"] = json!([{"required": ["name", "base"]}, {"required": ["agent"]}]);
    schema["not"] = json!({"required": ["platform", "platforms"]});
    schema
}

/// An environment: with one target, whose settings stand beside what all targets share, or with several.
fn environment_schema(kinds: &[KindDocs], targets: &[Json]) -> Json {
    let shared = ENVIRONMENT.json_schema(&Parts::default());
    let mut several = shared.clone();
    several["properties"]["targets"]["items"] = json!({"oneOf": targets});
    several["required"] = json!(["targets"]);
    let one = kinds.iter().zip(targets).map(|(kind, target)| {
        let mut target = target.clone();
        target["title"] = format!("environment on {}", kind.name).into();
        if let (Some(into), Some(from)) =
            (target["properties"].as_object_mut(), shared["properties"].as_object())
        {
            let of_all = from.iter().filter(|(name, _)| *name != "targets");
            into.extend(of_all.map(|(name, schema)| (name.clone(), schema.clone())));
        }
        target
    });
    json!({"anyOf": one.chain([several]).collect::<Vec<_>>()})
}

impl KindDocs {
    /// The schema of one of this kind, which is named by this key.
    fn json_schema(&self, key: &str, what: &str) -> Json {
        let mut schema = self.shape.json_schema(&Parts::default());
        schema["properties"][key] =
            json!({"const": self.name, "description": format!("The kind of {what}.")});
        schema["title"] = format!("{} {what}", self.name).into();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        if !required.iter().any(|field| field == key) {
            schema["required"] = [vec![json!(key)], required].concat().into();
        }
        schema
    }
}

/// The reference of everything that can stand in a config, in Markdown.
pub fn reference_markdown(layer_kinds: &[KindDocs], target_kinds: &[KindDocs]) -> String {
    let mut page = Page::default();
    page.add(
        "A config is found in the project's folder as `dockless.yaml` or `dockless.yml`, else as a \
         HoloDeck `agent.yaml` or `agent.yml`; `-f` names any other file. It is YAML of at most 1 MiB.",
    );
    page.add("## dockless.yaml");
    page.add(FORMATS[0].notes());
    page.add(table(root()));
    page.add_nested(3, root());
    page.add("## Layers");
    page.add(
        "One layer per entry of `layers`, the lowest first; a large one can become several: see `split`.",
    );
    page.add_kinds(layer_kinds);
    page.add("## Environments");
    page.add(environment::NOTES);
    page.add(table(&ENVIRONMENT));
    page.add_nested(3, &ENVIRONMENT);
    page.add("## Targets");
    page.add("Settings of a target, beside `target: KIND`.");
    page.add_kinds(target_kinds);
    for format in FORMATS.iter().skip(1) {
        page.add(format!("## {}", format.file_names()[0]));
        page.add(format.notes());
        page.add_section(3, &capitalised(format.shape().name), format.shape());
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

    fn add_kinds(&mut self, kinds: &[KindDocs]) {
        for kind in kinds {
            self.add(format!("### Kind `{}`", kind.name));
            self.add(kind.summary);
            self.add(format!("```yaml\n{}\n```", kind.example.trim_end()));
            self.add(table(kind.shape));
            self.add_nested(4, kind.shape);
        }
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
        Kind::Text | Kind::Scalar => "text".into(),
        Kind::Choice(words) => format!("`{}`", words.join("`, `")),
        Kind::Integer(low, high) => format!("whole number, {low} to {high}"),
        Kind::Measure(unit, low, high) => {
            format!("whole number of {}, {low} to {high}", unit.name())
        }
        Kind::Boolean => "`true` or `false`".into(),
        Kind::List(inner) => format!("list: {}", describe(inner)),
        Kind::OneOrMany(inner) => format!("{}, or a list", describe(inner)),
        Kind::Map(inner) => format!("mapping of names to {}", describe(inner)),
        Kind::Shape(_) => "mapping".into(),
        Kind::Either(kinds) => kinds.iter().map(describe).collect::<Vec<_>>().join(" or "),
        Kind::Any => "anything".into(),
        Kind::Layers => "list of layers".into(),
        Kind::Environments => "mapping of names to environments".into(),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Node, Problems, Value};

    static FILES: Shape = Shape {
        name: "a layer of kind `files`",
        fields: &[
            Field::required("kind", Kind::Text, "`files`."),
            Field::required(
                "copy",
                Kind::OneOrMany(&Kind::Either(&[Kind::Text, Kind::Shape(&COPY)])),
                "What.",
            ),
        ],
    };

    static COPY: Shape = Shape {
        name: "an item of `copy`",
        fields: &[
            Field::required("src", Kind::Text, "From | where."),
            Field::optional("dest", Kind::Text, "Where to."),
            Field::optional("mode", Kind::Text, "Mode."),
            Field::optional("dir_mode", Kind::Text, "Mode of folders."),
            Field::optional("owner", Kind::Text, "Owner."),
            Field::optional("exclude", Kind::List(&Kind::Text), "What not."),
        ],
    };

    static OTHER: Shape = Shape {
        name: "another layer",
        fields: &[
            Field::optional("kind", Kind::Text, "Kind."),
            Field::optional("name", Kind::Text, "Name."),
            Field::optional("file", Kind::Text, "File."),
            Field::optional("dest", Kind::Text, "Where to."),
        ],
    };

    fn schema() -> Json {
        let kind = |name, shape| KindDocs { name, summary: "", example: "", shape };
        json_schema(
            &[kind("files", &FILES), kind("template", &OTHER), kind("builtin", &OTHER)],
            &[],
        )
    }

    /// The file as a JSON document, as an editor sees it.
    fn to_json(node: &Node) -> Json {
        match &node.value {
            Value::Null => Json::Null,
            Value::Scalar { text, is_plain: false } => text.as_str().into(),
            Value::Scalar { text, is_plain: true } => node
                .as_bool()
                .map(Json::from)
                .or_else(|| node.as_integer().map(Json::from))
                .unwrap_or_else(|| text.as_str().into()),
            Value::Sequence(items) => items.iter().map(to_json).collect(),
            Value::Mapping(members) => {
                members.iter().map(|(key, value)| (key.text.clone(), to_json(value))).collect()
            }
        }
    }

    /// Checks the part of JSON Schema that ours uses; a keyword it does not know fails the test.
    fn accepts(schema: &Json, value: &Json) -> bool {
        schema.as_object().unwrap().iter().all(|(keyword, rule)| match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" => true,
            "type" => {
                let is_type = |name: &Json| match name.as_str().unwrap() {
                    "string" => value.is_string(),
                    "number" => value.is_number(),
                    "integer" => value.is_i64(),
                    "boolean" => value.is_boolean(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    name => panic!("{name}"),
                };
                rule.as_array().map_or_else(|| is_type(rule), |names| names.iter().any(is_type))
            }
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|number| number <= rule.as_i64().unwrap()),
            "items" => {
                value.as_array().is_none_or(|items| items.iter().all(|item| accepts(rule, item)))
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|rule| accepts(rule, value)),
            "oneOf" => {
                rule.as_array().unwrap().iter().filter(|rule| accepts(rule, value)).count() == 1
            }
            "not" => !accepts(rule, value),
            "required" => value.as_object().is_none_or(|members| {
                rule.as_array()
                    .unwrap()
                    .iter()
                    .all(|name| members.contains_key(name.as_str().unwrap()))
            }),
            "properties" => value.as_object().is_none_or(|members| {
                members
                    .iter()
                    .all(|(name, value)| rule.get(name).is_none_or(|rule| accepts(rule, value)))
            }),
            "patternProperties" => *rule == json!({"^x-": {}}),
            "additionalProperties" => value.as_object().is_none_or(|members| {
                members.iter().all(|(name, value)| {
                    let known = schema.get("properties");
                    if name.starts_with("x-")
                        || known.is_some_and(|known| known.get(name).is_some())
                    {
                        return true;
                    }
                    rule.as_bool().unwrap_or_else(|| accepts(rule, value))
                })
            }),
            keyword => panic!("{keyword}"),
        })
    }

    fn is_accepted(text: &str) -> bool {
        accepts(&schema(), &to_json(&Node::parse_yaml(text, "f", &mut Problems::new()).unwrap()))
    }

    #[test]
    fn the_schema_accepts_the_projects_of_the_docs() {
        assert!(is_accepted(include_str!("../../fixtures/projects/hello/dockless.yaml")));
        assert!(is_accepted(include_str!("../../fixtures/projects/research/dockless.yaml")));
        assert!(is_accepted("agent: agent.yaml"));
    }

    #[test]
    fn the_schema_refuses_what_the_checks_refuse() {
        for text in [
            "name: x",
            "name: x\nbase: [scratch]",
            "name: x\nbase: scratch\nunknown: 1",
            "name: x\nbase: scratch\nmtime: -1",
            "name: x\nbase: scratch\nvcs_labels: maybe",
            "name: x\nbase: scratch\nhealth: {pth: /}",
            "name: x\nbase: scratch\ntags: [{tag: v1, when: main}]",
            "name: x\nbase: scratch\nplatform: a\nplatforms: [a]",
            "name: x\nbase: scratch\nlayers: [{copy: [a]}]",
            "name: x\nbase: scratch\nlayers: [{kind: other}]",
            "name: x\nbase: scratch\nlayers: [{kind: files}]",
        ] {
            assert!(!is_accepted(text), "{text}");
        }
        assert!(is_accepted("name: x\nbase: scratch\nlayers: [{kind: files, copy: a}]\nx-y: [1]"));
    }

    #[test]
    fn the_schema_says_what_it_is() {
        let schema = schema();
        let head = ["$schema", "$id", "title", "type"].map(|name| schema[name].as_str().unwrap());
        assert_eq!(
            head,
            [
                "https://json-schema.org/draft/2020-12/schema",
                "urn:dockless:schema:dockless.yaml",
                "dockless.yaml",
                "object",
            ]
        );
        assert_eq!(
            schema["properties"]["mtime"],
            json!({
                "type": "integer",
                "minimum": 0,
                "maximum": 8_589_934_591_i64,
                "description": "The modification time of every file in our layers, in seconds since 1970; \
                                0 when absent.",
            })
        );
        let layers = schema["properties"]["layers"]["items"]["oneOf"].as_array().unwrap();
        let kinds: Vec<_> =
            layers.iter().map(|layer| &layer["properties"]["kind"]["const"]).collect();
        assert_eq!(kinds, ["files", "template", "builtin"]);
        assert_eq!(layers[1]["required"], json!(["kind"]));
    }

    #[test]
    fn the_reference_shows_layers_with_their_tables() {
        let page = reference_markdown(
            &[KindDocs {
                name: "files",
                summary: "Copies files.",
                example: "kind: files\ncopy: [src]\n",
                shape: &FILES,
            }],
            &[],
        );
        let start = page.find("## Layers").unwrap();
        let end = page.find("## Environments").unwrap();
        assert_eq!(
            &page[start..end],
            "## Layers\n\n\
             One layer per entry of `layers`, the lowest first; a large one can become several: see \
             `split`.\n\n\
             ### Kind `files`\n\n\
             Copies files.\n\n\
             ```yaml\nkind: files\ncopy: [src]\n```\n\n\
             | key | value | meaning |\n\
             |---|---|---|\n\
             | `kind` (required) | text | `files`. |\n\
             | `copy` (required) | text or mapping, or a list | What. |\n\n\
             #### An item of `copy`\n\n\
             | key | value | meaning |\n\
             |---|---|---|\n\
             | `src` (required) | text | From \\| where. |\n\
             | `dest` | text | Where to. |\n\
             | `mode` | text | Mode. |\n\
             | `dir_mode` | text | Mode of folders. |\n\
             | `owner` | text | Owner. |\n\
             | `exclude` | list: text | What not. |\n\n"
        );
    }

    #[test]
    fn the_reference_has_every_key() {
        let page = reference_markdown(&[], &[]);
        for shape in FORMATS.iter().map(|format| format.shape()) {
            for field in shape.fields {
                assert!(page.contains(&format!("\n| `{}`", field.name)), "{}", field.name);
            }
        }
        let headings: Vec<_> = page.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(
            headings,
            [
                "## dockless.yaml",
                "### `health`",
                "### An entry of `tags`",
                "### `create_repository`",
                "## Layers",
                "## Environments",
                "### A secret",
                "### `pull`",
                "## Targets",
                "## agent.yaml",
                "### `deployment`",
                "#### `deployment.registry`",
                "#### `deployment.target`",
                "##### `deployment.target.aws`",
                "##### `deployment.target.gcp`",
                "##### `deployment.target.azure`",
            ]
        );
    }
}
