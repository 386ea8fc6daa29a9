//! What is different about the documents of two images, field by field with both values: for people who
//! ask whether an image is what they build.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use super::annotate::BASE_DIGEST_ANNOTATION;
use super::difference::{Documents, changed, variables};
use super::health_check::shown_health_check;
use super::secrecy::HIDDEN;
use crate::layer::{BASE_LAYERS_ANNOTATION, WRITER_VERSION_ANNOTATION};
use crate::oci::RunConfig;
use crate::plan::BASE_FILES_ANNOTATION;

/// The most that is shown of a value, in characters.
const MAX_SHOWN_CHARACTERS: usize = 200;
/// The most members of a document that are named.
const MAX_MEMBERS: usize = 8;

/// A field in which a given image differs from the one that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDifference {
    /// Which one: `user`, `label x`, or a JSON pointer.
    pub field: String,
    /// What the given image has.
    pub given: Side,
    /// What was built.
    pub built: Side,
}

/// The member of a config that is told in words.
const HEALTH_CHECK: &str = "Healthcheck";

/// Members of a config that hold variables, or commands with the values of arguments.
const COMMANDS: [&str; 2] = ["OnBuild", "container_config"];

/// The same in the document, with what else holds them.
const HIDDEN_PLACES: [&str; 4] =
    ["/config/Env", "/config/OnBuild", "/container_config", "/history"];

/// One side of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// It has no such field.
    Unset,
    /// It has one, whose value is not told: those of variables may be secrets.
    Hidden,
    /// Its value.
    Value(Value),
}

impl Side {
    fn of(value: Option<impl Into<Value>>) -> Self {
        value.map_or(Self::Unset, |value| Self::Value(value.into()))
    }

    fn hidden<T>(value: Option<T>) -> Self {
        value.map_or(Self::Unset, |_| Self::Hidden)
    }

    /// For a JSON document: `null` where it is not set.
    pub fn document(&self) -> Value {
        match self {
            Self::Unset => Value::Null,
            Self::Hidden => HIDDEN.into(),
            Self::Value(value) => value.clone(),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => formatter.write_str("not set"),
            Self::Hidden => formatter.write_str("set"),
            Self::Value(value) => formatter.write_str(&shown(&value.to_string())),
        }
    }
}

impl FieldDifference {
    /// Both sides for people, the given one first.
    pub fn shown_sides(&self) -> [String; 2] {
        [&self.given, &self.built].map(|side| match side {
            Side::Value(Value::Object(check)) if self.field == HEALTH_CHECK => {
                shown(&shown_health_check(check))
            }
            side => side.to_string(),
        })
    }
}

impl fmt::Display for FieldDifference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, given, built } = self;
        write!(formatter, "{} ", shown(field))?;
        if (given, built) == (&Side::Hidden, &Side::Hidden) {
            return formatter
                .write_str("has another value in the image (not shown, since it may be a secret)");
        }
        let [given, built] = self.shown_sides();
        write!(formatter, "is {given} in the image, {built} built here")
    }
}

/// The fields of the config, and the annotations, that differ; layers are another matter. Of variables whose
/// names `hides` is true for, the values are not told, and of none where commands may hold them.
pub fn differing_fields(
    given: Documents<'_>,
    built: Documents<'_>,
    hides: fn(&str) -> bool,
) -> Vec<FieldDifference> {
    let mut found = Found { fields: Vec::new(), hides };
    let platform = |documents: Documents<'_>| Some(documents.config.platform().to_string());
    found.compare("platform", platform(given), platform(built));
    let annotation = |documents: Documents<'_>, name| {
        documents.manifest.annotations.get(name).map(String::as_str).map(str::to_owned)
    };
    for (field, name) in
        [("base", BASE_DIGEST_ANNOTATION), ("writer version", WRITER_VERSION_ANNOTATION)]
    {
        found.compare(field, annotation(given, name), annotation(built, name));
    }
    let created = |documents: Documents<'_>| documents.config.created.clone();
    found.compare("created", created(given), created(built));
    found.compare_run(&given.config.config, &built.config.config);
    found.compare_members(&given.config.other, &built.config.other);
    // Told as the base and the writer version.
    let is_told = |name: &str| {
        name.starts_with("org.opencontainers.image.base.")
            || [BASE_LAYERS_ANNOTATION, BASE_FILES_ANNOTATION, WRITER_VERSION_ANNOTATION]
                .contains(&name)
    };
    let annotations = |documents: Documents<'_>| -> BTreeMap<String, String> {
        let all = documents.manifest.annotations.clone().into_iter();
        all.filter(|(name, _)| !is_told(name)).collect()
    };
    found.compare_named("annotation", &annotations(given), &annotations(built));
    found.fields
}

/// Where two JSON documents differ, as JSON pointers, at most eight.
pub fn differing_members(given: &Value, built: &Value) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    collect_differing(Some(given), Some(built), "", &mut found);
    found.truncate(MAX_MEMBERS);
    found
}

struct Found {
    fields: Vec<FieldDifference>,
    /// Whether the value of a variable with this name is not told.
    hides: fn(&str) -> bool,
}

impl Found {
    fn compare<T: Into<Value> + PartialEq>(
        &mut self,
        field: &str,
        given: Option<T>,
        built: Option<T>,
    ) {
        if given != built {
            self.fields.push(FieldDifference {
                field: field.to_owned(),
                given: Side::of(given),
                built: Side::of(built),
            });
        }
    }

    fn compare_run(&mut self, given: &RunConfig, built: &RunConfig) {
        let keys = |map: &Map<String, Value>| {
            let keys: Vec<_> = map.keys().cloned().collect();
            (!keys.is_empty()).then_some(keys)
        };
        self.compare("user", given.user.clone(), built.user.clone());
        self.compare("entrypoint", given.entrypoint.clone(), built.entrypoint.clone());
        self.compare("cmd", given.cmd.clone(), built.cmd.clone());
        self.compare("workdir", given.working_dir.clone(), built.working_dir.clone());
        self.compare("ports", keys(&given.exposed_ports), keys(&built.exposed_ports));
        self.compare("volumes", keys(&given.volumes), keys(&built.volumes));
        self.compare("stop signal", given.stop_signal.clone(), built.stop_signal.clone());
        let (old, new) = (variables(given), variables(built));
        for name in changed(&old, &new) {
            let is_hidden = (self.hides)(&name);
            let side = |value: Option<&String>| {
                if is_hidden { Side::hidden(value) } else { Side::of(value.cloned()) }
            };
            self.fields.push(FieldDifference {
                given: side(old.get(&name)),
                built: side(new.get(&name)),
                field: format!("variable {name}"),
            });
        }
        self.compare_named("label", &given.labels, &built.labels);
        self.compare_members(&given.other, &built.other);
    }

    fn compare_named(
        &mut self,
        kind: &str,
        given: &BTreeMap<String, String>,
        built: &BTreeMap<String, String>,
    ) {
        for name in changed(given, built) {
            let of = |values: &BTreeMap<String, String>| values.get(&name).cloned();
            self.compare(&format!("{kind} {name}"), of(given), of(built));
        }
    }

    fn compare_members(&mut self, given: &Map<String, Value>, built: &Map<String, Value>) {
        let names: BTreeSet<_> = given.keys().chain(built.keys()).collect();
        for name in names.into_iter().filter(|name| given.get(*name) != built.get(*name)) {
            let side = |value: Option<&Value>| {
                if COMMANDS.contains(&name.as_str()) {
                    Side::hidden(value)
                } else {
                    Side::of(value.cloned())
                }
            };
            let (given, built) = (side(given.get(name)), side(built.get(name)));
            self.fields.push(FieldDifference { field: name.clone(), given, built });
        }
    }
}

fn collect_differing(
    given: Option<&Value>,
    built: Option<&Value>,
    place: &str,
    found: &mut Vec<FieldDifference>,
) {
    if given == built || found.len() >= MAX_MEMBERS {
        return;
    }
    match (given, built) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
            for name in names {
                let place = format!("{place}/{name}");
                collect_differing(old.get(name), new.get(name), &place, found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for number in 0..old.len().max(new.len()) {
                let place = format!("{place}/{number}");
                collect_differing(old.get(number), new.get(number), &place, found);
            }
        }
        _ => {
            let is_shown = !HIDDEN_PLACES.iter().any(|hidden| place.starts_with(hidden));
            let side = |value: Option<&Value>| {
                if is_shown { Side::of(value.cloned()) } else { Side::hidden(value) }
            };
            let field = if place.is_empty() { "/" } else { place }.to_owned();
            found.push(FieldDifference { field, given: side(given), built: side(built) });
        }
    }
}

/// A text from an image: on one line, without what steers a terminal, at most 200 characters of it.
pub fn shown(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars().take(MAX_SHOWN_CHARACTERS) {
        if matches!(character, '"' | '\'' | '\\') {
            line.push(character);
        } else {
            line.extend(character.escape_debug());
        }
    }
    if text.chars().nth(MAX_SHOWN_CHARACTERS).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oci::{Descriptor, Digest, ImageConfig, Manifest, MediaType, Platform};

    type Change = fn(&mut Manifest, &mut ImageConfig);

    #[test]
    fn both_values_are_told_but_not_those_of_variables() {
        let (one, two) = (Digest::of(b"base 1"), Digest::of(b"base 2"));
        let moved = format!("base is \"{two}\" in the image, \"{one}\" built here");
        let cases: [(Change, &[&str]); 9] = [
            (|_, _| {}, &[]),
            (
                |manifest, _| {
                    let digest = Digest::of(b"base 2").to_string();
                    manifest.annotations.insert(BASE_DIGEST_ANNOTATION.into(), digest);
                },
                &[&moved],
            ),
            (
                |_, config| config.config.user = Some("0".into()),
                &["user is \"0\" in the image, \"65532\" built here"],
            ),
            (
                |_, config| {
                    config.config.entrypoint = Some(vec!["sh".into(), "-c".into()]);
                    config.config.exposed_ports.insert("80/tcp".into(), json!({}));
                    config.config.other.insert("Healthcheck".into(), json!({"Test": ["CMD", "/check"], "Interval": 30_000_000_000_u64, "Retries": 3}));
                },
                &[
                    "entrypoint is [\"sh\",\"-c\"] in the image, not set built here",
                    "ports is [\"80/tcp\"] in the image, not set built here",
                    "Healthcheck is [\"CMD\",\"/check\"], every 30s, 3 retries in the image, not set built here",
                ],
            ),
            (
                |_, config| config.config.env = vec!["A=canary".into(), "B=canary".into()],
                &[
                    "variable A has another value in the image (not shown, since it may be a secret)",
                    "variable B is set in the image, not set built here",
                    "variable C is not set in the image, set built here",
                ],
            ),
            (
                |_, config| drop(config.config.labels.insert("\u{1b}".into(), "a\n\"".into())),
                &["label \\u{1b} is \"a\\n\\\"\" in the image, not set built here"],
            ),
            (
                |manifest, config| {
                    config.architecture = "arm64".into();
                    manifest.annotations.remove(WRITER_VERSION_ANNOTATION);
                    manifest.annotations.insert("x".into(), "y".into());
                },
                &[
                    "platform is \"linux/arm64\" in the image, \"linux/amd64\" built here",
                    "writer version is not set in the image, \"tar1\" built here",
                    "annotation x is \"y\" in the image, not set built here",
                ],
            ),
            (
                |_, config| {
                    config.config.other.insert("OnBuild".into(), json!(["ENV A=canary"]));
                    config.other.insert("container_config".into(), json!({"Env": ["A=canary"]}));
                },
                &[
                    "OnBuild is set in the image, not set built here",
                    "container_config is set in the image, not set built here",
                ],
            ),
            (
                |_, config| config.created = Some("1970".into()),
                &["created is \"1970\" in the image, not set built here"],
            ),
        ];
        let built = image();
        for (number, (change, expected)) in cases.into_iter().enumerate() {
            let mut given = image();
            change(&mut given.0, &mut given.1);
            let given = Documents { manifest: &given.0, config: &given.1 };
            let built = Documents { manifest: &built.0, config: &built.1 };
            let found: Vec<_> =
                differing_fields(given, built, |_| true).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "case {number}");
        }
    }

    #[test]
    fn members_that_differ_are_named_by_their_place() {
        let many: Vec<_> = (0..20).collect();
        let env = |value: &str| json!({"config": {"Env": [value]}});
        for (given, built, expected) in [
            (json!({"a": 1}), json!({"a": 1}), vec![]),
            (json!({"a": {"b": [1, 2]}}), json!({"a": {"b": [1, 3]}}), vec![("/a/b/1", "2", "3")]),
            (
                json!({"a": 1, "b": 2}),
                json!({"b": 2, "c": 3}),
                vec![("/a", "1", "not set"), ("/c", "not set", "3")],
            ),
            (json!([]), json!({}), vec![("/", "[]", "{}")]),
            (env("A=canary"), env("A=b"), vec![("/config/Env/0", "set", "set")]),
            (
                json!({"history": [{"created_by": "|1 A=canary"}]}),
                json!({"history": []}),
                vec![("/history/0", "set", "not set")],
            ),
        ] {
            let found = differing_members(&given, &built);
            let found: Vec<_> = found
                .into_iter()
                .map(|found| (found.field, found.given.to_string(), found.built.to_string()))
                .collect();
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(field, given, built)| (field.into(), given.into(), built.into()))
                .collect();
            assert_eq!(found, expected);
        }
        assert_eq!(differing_members(&json!(many), &json!([])).len(), MAX_MEMBERS);
    }

    #[test]
    fn a_long_value_is_cut() {
        let long = Side::Value(json!("a".repeat(300)));
        assert_eq!(long.to_string().chars().count(), MAX_SHOWN_CHARACTERS + 1);
        assert_eq!(Side::Value(json!("\u{202e}")).to_string(), "\"\\u{202e}\"");
    }

    fn image() -> (Manifest, ImageConfig) {
        let mut manifest = Manifest::new(Descriptor::of(MediaType::OciConfig, b"{}"), Vec::new());
        let base = Digest::of(b"base 1").to_string();
        manifest.annotations.insert(BASE_DIGEST_ANNOTATION.into(), base);
        manifest.annotations.insert(WRITER_VERSION_ANNOTATION.into(), "tar1".into());
        let mut config = ImageConfig::scratch(&Platform::linux_amd64());
        config.config.user = Some("65532".into());
        config.config.env = vec!["A=1".into(), "C=1".into()];
        (manifest, config)
    }
}
