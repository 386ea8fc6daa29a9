//! `template`: one file that is rendered from what the config says.

use std::collections::BTreeMap;

use bytes::Bytes;
use minijinja::Value;

use crate::config::near_names::hint_for;
use crate::config::schema::{Field, Kind, Shape};
use crate::config::{Config, Node, Position, Problems, RunSettings};
use crate::oci::Platform;
use crate::plan::attributes::{ImagePath, OwnerName, entry, member, parse_mode, parse_source};
use crate::plan::rendering::{self, Refusal};
use crate::plan::{
    Draft, EntryKind, Existing, FileSource, Inputs, LayerKind, LayerSource, Need, PlanError,
};

/// A template that this binary carries.
#[derive(Debug)]
pub struct TemplateText {
    /// What `template:` calls it.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// Every template that this binary carries; `templates/README.md` tells what they make.
pub static TEMPLATES: &[TemplateText] = &[
    TemplateText { name: "entrypoint.sh", text: include_str!("../../../templates/entrypoint.sh") },
    TemplateText {
        name: "holodeck-entrypoint.sh",
        text: include_str!("../../../templates/holodeck-entrypoint.sh"),
    },
];

/// The variables that every template may see; see `templates/README.md`.
const VARIABLES: [&str; 14] = [
    "name",
    "dest",
    "platform",
    "os",
    "architecture",
    "entrypoint",
    "cmd",
    "port",
    "ports",
    "workdir",
    "user",
    "env",
    "labels",
    "health",
];

/// The kind `template`.
pub(super) static KIND: LayerKind = LayerKind {
    name: "template",
    summary: "One file, rendered from what the config says.",
    example: "kind: template\ntemplate: entrypoint.sh\ndest: /app/entrypoint.sh\n",
    shape: &SHAPE,
    parse,
};

static SHAPE: Shape = Shape {
    name: "a layer of kind `template`",
    fields: &[
        Field::required("kind", Kind::Choice(&["template"]), "`template`."),
        Field::optional("name", Kind::Text, "What the layer is called in output and history."),
        Field::optional("template", Kind::Text, "A template that comes with dockless."),
        Field::optional("file", Kind::Text, "A template below the project's folder, in UTF-8."),
        Field::required(
            "dest",
            Kind::Text,
            "An absolute path in the image; when it ends in `/`, the file keeps the template's name \
             (without `.j2`).",
        ),
        Field::optional(
            "mode",
            Kind::Text,
            "Permission bits in octal. Without it `0755` for scripts (a name in `.sh`, or a text \
             that starts with `#!`), else `0644`.",
        ),
        Field::optional(
            "owner",
            Kind::Text,
            "`user` or `user:group`, as in `copy` of `files`; `0:0` without it.",
        ),
        Field::optional(
            "variables",
            Kind::Map(&Kind::Scalar),
            "Further variables for the template, as texts.",
        ),
    ],
};

/// A layer of this kind.
#[derive(Debug)]
struct TemplateLayer {
    name: Option<String>,
    text: TextSource,
    dest: String,
    mode: Option<u32>,
    owner: OwnerName,
    mtime: i64,
    settings: Settings,
    position: Position,
}

/// Where the template's text comes from.
#[derive(Debug)]
enum TextSource {
    Embedded(&'static TemplateText),
    File(String),
}

/// What the config says, as far as templates see it.
#[derive(Debug)]
struct Settings {
    name: String,
    run: RunSettings,
    labels: BTreeMap<String, String>,
    extra: BTreeMap<String, String>,
}

fn parse(
    settings: &Node,
    config: &Config,
    problems: &mut Problems,
) -> Option<Box<dyn LayerSource>> {
    let text = parse_text(settings, problems);
    let dest = settings.get("dest").and_then(|node| ImagePath::parse(node, "dest", problems));
    let mode = member(settings, "mode", None, |node| parse_mode(node, "mode", problems).map(Some));
    let owner =
        member(settings, "owner", OwnerName::root(), |node| OwnerName::parse(node, problems));
    let extra = parse_variables(settings, problems);
    let (text, dest, mode, owner) = (text?, dest?, mode?, owner?);
    Some(Box::new(TemplateLayer {
        name: settings.get_text("name").map(str::to_owned),
        dest: dest.place(text.file_name()),
        text,
        mode,
        owner,
        mtime: config.mtime,
        settings: Settings {
            name: config.name.clone(),
            run: config.run.clone(),
            labels: config.labels.clone(),
            extra: extra?,
        },
        position: settings.position.clone(),
    }))
}

fn parse_text(settings: &Node, problems: &mut Problems) -> Option<TextSource> {
    match (settings.get("template"), settings.get("file")) {
        (Some(node), None) => {
            let name = node.as_text()?;
            let known = TEMPLATES.iter().find(|template| template.name == name);
            if known.is_none() {
                let names: Vec<_> = TEMPLATES.iter().map(|template| template.name).collect();
                problems.report_with_hint(
                    &node.position,
                    format!("there is no template `{}`", name.escape_debug()),
                    format!("{}; one of the project is named with `file:`", hint_for(name, &names)),
                );
            }
            known.map(TextSource::Embedded)
        }
        (None, Some(node)) => parse_source(node, "file", problems).map(TextSource::File),
        (None, None) => {
            problems.report_with_hint(
                &settings.position,
                "neither `template` nor `file` says what is rendered",
                "add `template: entrypoint.sh`, or `file:` with a template of the project",
            );
            None
        }
        (Some(_), Some(file)) => {
            problems.report_with_hint(
                &file.position,
                "both `template` and `file` say what is rendered",
                "remove one of them",
            );
            None
        }
    }
}

fn parse_variables(settings: &Node, problems: &mut Problems) -> Option<BTreeMap<String, String>> {
    let members = settings.get("variables").map(Node::members).unwrap_or_default();
    let mut variables = Some(BTreeMap::new());
    for (key, value) in members {
        let name = key.text.as_str();
        let refusal = if VARIABLES.contains(&name) {
            Some(format!("`{name}` is a variable of every template"))
        } else if !is_identifier(name) {
            Some(format!("`{}` is no name for a variable", name.escape_debug()))
        } else {
            None
        };
        if let Some(message) = refusal {
            problems.report_with_hint(
                &key.position,
                message,
                "choose another name, of letters, digits and `_`",
            );
            variables = None;
        }
        if let (Some(variables), Some(text)) = (&mut variables, value.as_text()) {
            variables.insert(name.to_owned(), text.to_owned());
        }
    }
    variables
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl TextSource {
    /// What the template is called in the project or in the table.
    fn name(&self) -> &str {
        match self {
            Self::Embedded(template) => template.name,
            Self::File(path) => path,
        }
    }

    /// The name of the rendered file in a folder.
    fn file_name(&self) -> &str {
        let name = self.name().rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".j2").filter(|stem| !stem.is_empty()).unwrap_or(name)
    }
}

impl LayerSource for TemplateLayer {
    fn describe(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| format!("template {} → /{}", self.text.name(), self.dest))
    }

    fn needs(&self) -> Vec<Need> {
        match &self.text {
            TextSource::Embedded(_) => Vec::new(),
            TextSource::File(path) => {
                vec![Need::File { path: path.clone(), position: self.position.clone() }]
            }
        }
    }

    fn content(&self, inputs: &Inputs, platform: &Platform) -> Result<Vec<Draft>, PlanError> {
        let text = match &self.text {
            TextSource::Embedded(template) => template.text,
            TextSource::File(path) => {
                let bytes =
                    inputs.files.get(path).ok_or_else(|| self.error("was not read", None))?;
                std::str::from_utf8(bytes).map_err(|_| {
                    self.error(
                        "is not UTF-8",
                        Some("copy it as it is with a layer of kind `files`"),
                    )
                })?
            }
        };
        let rendered = self.render(text, platform)?;
        let is_script = has_extension(&self.dest, "sh") || rendered.starts_with("#!");
        let mode = self.mode.unwrap_or(if is_script { 0o755 } else { 0o644 });
        let kind = EntryKind::File(FileSource::Bytes(Bytes::from(rendered)));
        let owner = self.owner.resolve(inputs, platform)?;
        Ok(vec![Draft {
            entry: entry(self.dest.clone(), kind, mode, owner, self.mtime),
            existing: Existing::Keep,
        }])
    }
}

impl TemplateLayer {
    fn render(&self, text: &str, platform: &Platform) -> Result<String, PlanError> {
        let variables = self.variables(platform);
        let rendered = rendering::render(self.text.name(), text, &variables, &VARIABLES);
        rendered.map_err(|Refusal { what, hint }| self.error(&what, hint.as_deref()))
    }

    /// Every variable that is defined for this template.
    fn variables(&self, platform: &Platform) -> BTreeMap<String, Value> {
        let Settings { name, run, labels, extra } = &self.settings;
        let list = |texts: &Option<Vec<String>>| {
            texts.clone().filter(|texts| !texts.is_empty()).map(Value::from)
        };
        let map = |pairs: &mut dyn Iterator<Item = (String, String)>| {
            let pairs: Vec<_> = pairs.collect();
            Some(pairs).filter(|pairs| !pairs.is_empty()).map(Value::from_pairs)
        };
        let port = run.ports.first().and_then(|port| port.split('/').next()?.parse::<u16>().ok());
        let health = run.health.as_ref().map(|health| {
            let path = health.path.clone().map(|path| ("path", Value::from(path)));
            let port = health.port.map(|port| ("port", Value::from(port)));
            Value::from_pairs(path.into_iter().chain(port))
        });
        let known = [
            ("name", Some(Value::from(name.clone()))),
            ("dest", Some(Value::from(format!("/{}", self.dest)))),
            ("platform", Some(Value::from(platform.to_string()))),
            ("os", Some(Value::from(platform.os.clone()))),
            ("architecture", Some(Value::from(platform.architecture.clone()))),
            ("entrypoint", list(&run.entrypoint)),
            ("cmd", list(&run.cmd)),
            ("port", port.map(Value::from)),
            ("ports", list(&Some(run.ports.clone()))),
            ("workdir", run.workdir.clone().map(Value::from)),
            ("user", run.user.clone().map(Value::from)),
            ("env", map(&mut run.env.iter().cloned())),
            ("labels", map(&mut labels.clone().into_iter())),
            ("health", health),
        ];
        let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let extra = extra.iter().map(|(name, text)| (name.clone(), Value::from(text.clone())));
        known.chain(extra).collect()
    }

    fn error(&self, what: &str, hint: Option<&str>) -> PlanError {
        PlanError {
            position: self.position.clone(),
            message: format!("the template `{}` {what}", self.text.name().escape_debug()),
            hint: hint.map(str::to_owned),
        }
    }
}

fn has_extension(path: &str, extension: &str) -> bool {
    path.rsplit('/')
        .next()
        .and_then(|name| name.rsplit_once('.'))
        .is_some_and(|(stem, found)| !stem.is_empty() && found == extension)
}

#[cfg(test)]
mod tests;
