//! Whether an image has what its agent needs.
//!
//! A program that HoloDeck's own image would have must be there; of the rest is warned, since a container
//! starts without it. What nobody can tell is passed over, and so is an embedded base: no agent runs on it.

use std::collections::BTreeSet;

use super::question::Python;
use super::start::{Start, Warning};
use super::{BaseImage, LayerPlan, Plan, PlanError, python};
use crate::config::{Base, Config, Needed, Requirement};
use crate::oci::Platform;

/// Names that a Python is started with.
const PYTHONS: [&str; 2] = ["python3", "python"];

/// The distribution whose extras are needed, and its program.
const HOLODECK: (&str, &str) = ("holodeck-ai", "holodeck");

/// Variables that let Python find more than its own folders.
const PYTHON_VARIABLES: [&str; 2] = ["PYTHONPATH", "PYTHONHOME"];

/// What a person should know of what is missing, once for all platforms.
pub fn requirement_warnings(config: &Config, plan: &Plan) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for image in &plan.images {
        for warning in image_warnings(config, &image.platform, &image.base, &image.layers) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    warnings
}

/// As [`requirement_warnings`], for one image.
pub(super) fn image_warnings(
    config: &Config,
    platform: &Platform,
    base: &BaseImage,
    layers: &[LayerPlan],
) -> Vec<Warning> {
    let Some(image) = Image::of(config, base, layers) else { return Vec::new() };
    let programs = image
        .missing_programs(false)
        .map(|missing| ("missing-tool-program", missing.message, missing.hint));
    programs.chain(image.missing_extras(platform)).collect()
}

/// Refuses an image without a program that it must have.
///
/// # Errors
/// At the place that asks for the program.
pub(super) fn check(
    config: &Config,
    base: &BaseImage,
    layers: &[LayerPlan],
) -> Result<(), PlanError> {
    let image = Image::of(config, base, layers);
    let missing = image.and_then(|image| image.missing_programs(true).next());
    missing.map_or(Ok(()), Err)
}

/// An image that can be judged.
#[derive(Clone, Copy)]
struct Image<'a> {
    config: &'a Config,
    start: Start<'a>,
    base: &'a BaseImage,
}

impl<'a> Image<'a> {
    fn of(config: &'a Config, base: &'a BaseImage, layers: &'a [LayerPlan]) -> Option<Self> {
        let start = Start { base, layers, run: &config.run };
        let is_for_looking = matches!(config.base, Base::Builtin(_));
        // A container may be given another one.
        let is_path_known = config.required_at_run_time.iter().all(|name| name != "PATH");
        (!is_for_looking && is_path_known && start.is_known()).then_some(Self {
            config,
            start,
            base,
        })
    }

    /// The needed programs that are nowhere, as problems of the config.
    fn missing_programs(self, are_vital: bool) -> impl Iterator<Item = PlanError> + 'a {
        self.config.requirements.iter().filter_map(move |requirement| {
            let Needed::Program { name, recipe, is_vital } = &requirement.needed else {
                return None;
            };
            let missing = self.start.missing(name).filter(|_| *is_vital == are_vital)?;
            let hint = match (recipe, name.as_str()) {
                (Some(recipe), _) => {
                    self.layer_advice(&format!("{{kind: from-image, recipe: {recipe}}}"))
                }
                (None, "docker") => "no engine runs in a container: let the server run elsewhere, \
                                     and give the tool its `url`"
                    .to_owned(),
                (None, _) => "add it with a layer, or choose a base that has it".to_owned(),
            };
            Some(PlanError {
                position: requirement.position.clone(),
                message: format!("the image has no {missing}: {}", requirement.reason),
                hint: Some(hint),
            })
        })
    }

    /// Where a layer is to be written, in words.
    fn layer_advice(&self, layer: &str) -> String {
        let source = &self.config.source;
        if source.format != "holodeck" {
            return format!("add `- {layer}` to `layers`");
        }
        let agent = source.file.file_name().unwrap_or_default().display();
        format!(
            "write a `dockless.yaml` beside `{agent}`, with the two lines `agent: {agent}` and \
             `layers: [{layer}]`"
        )
    }

    /// The Python distributions that are nowhere.
    fn missing_extras(&self, platform: &Platform) -> Option<Warning> {
        let needed = self.distributions_of_base()?;
        let python = match self.interpreter(&needed) {
            Interpreter::Found(python) => Some(python),
            Interpreter::Absent => None,
            Interpreter::Unsure => return None,
        };
        let installed = python.as_ref().map(|python| &python.distributions);
        let missing: Vec<_> = needed
            .into_iter()
            .filter(|distribution| {
                !installed.is_some_and(|installed| installed.contains_key(distribution.name))
            })
            .collect();
        if missing.is_empty() {
            return None;
        }
        let items: Vec<_> = missing.iter().map(Distribution::describe).collect();
        let text = match &python {
            Some(python) => format!("the image's Python {} lacks", python.version),
            None => "the image has no Python, and so lacks".to_owned(),
        };
        let text = format!("{text} {}", items.join(", "));
        let hint = self.extras_advice(&missing, python.as_ref(), platform);
        Some(("missing-python-extras", text, Some(hint)))
    }

    /// The distributions that the base must have, each once: our layers do not.
    fn distributions_of_base(&self) -> Option<Vec<Distribution<'a>>> {
        let mut needed: Vec<Distribution> = Vec::new();
        for requirement in &self.config.requirements {
            let Needed::Distribution { name, extra } = requirement.needed else { continue };
            if !needed.iter().any(|known| known.name == name) {
                needed.push(Distribution { name, extra, requirement });
            }
        }
        if needed.is_empty() {
            return None;
        }
        let folders = self.start.entries().filter_map(|entry| entry.path.rsplit('/').next());
        let ours: BTreeSet<_> =
            folders.filter_map(python::distribution).map(|(name, _)| name).collect();
        needed.retain(|distribution| !ours.contains(distribution.name));
        Some(needed)
    }

    /// The Python of the base, asked for these distributions.
    fn interpreter(&self, needed: &[Distribution]) -> Interpreter {
        let search = self.start.search_path();
        let (distribution, program) = HOLODECK;
        let is_ours = |name: &&str| self.start.named(name).next().is_some();
        if !self.start.is_sure(&search)
            || PYTHONS.iter().chain([&program]).any(is_ours)
            || PYTHON_VARIABLES.iter().any(|name| self.has_variable(name))
        {
            return Interpreter::Unsure;
        }
        let mut wanted: Vec<_> = needed.iter().map(|distribution| distribution.name).collect();
        wanted.push(distribution);
        let has = |name: &str| self.base.program(name, &search).is_some();
        match self.base.python(&search, &wanted) {
            None if PYTHONS.iter().any(|name| has(name)) => Interpreter::Unsure,
            None => Interpreter::Absent,
            // The agent is in another Python then.
            Some(python) if !python.distributions.contains_key(distribution) && has(program) => {
                Interpreter::Unsure
            }
            Some(python) => Interpreter::Found(python),
        }
    }

    /// Whether a container has a variable of this name.
    fn has_variable(&self, name: &str) -> bool {
        let base = &self.base.config.value.config.env;
        base.iter().any(|variable| variable.split('=').next() == Some(name))
            || self.config.run.env.iter().any(|(known, _)| known == name)
            || self.config.required_at_run_time.iter().any(|known| known == name)
    }

    /// How to get what is missing: in the base, or in a layer for its Python.
    fn extras_advice(
        &self,
        missing: &[Distribution],
        python: Option<&Python>,
        platform: &Platform,
    ) -> String {
        let (holodeck, _) = HOLODECK;
        let extras: BTreeSet<_> = missing.iter().map(|distribution| distribution.extra).collect();
        let extras = extras.into_iter().collect::<Vec<_>>().join(",");
        let version = python.and_then(|python| python.distributions.get(holodeck));
        let version = version.map(|version| format!("=={version}")).unwrap_or_default();
        let in_base = format!(
            "choose a base that has them, with `RUN pip install '{holodeck}[{extras}]{version}'` in its \
             Dockerfile"
        );
        // A layer is the same for all platforms, and these files are not.
        let is_only = self.config.platforms.len() == 1;
        let Some((python, target)) = python.zip(self.target(platform)).filter(|_| is_only) else {
            return in_base;
        };
        let names: Vec<_> = missing.iter().map(|distribution| distribution.name).collect();
        let layer =
            format!("{{kind: files, copy: [{{src: python, dest: {}}}]}}", python.site_packages);
        format!(
            "{in_base}; or run `uv pip install --target python --python-version {} --python-platform \
             {target} --only-binary :all: {}` and {}",
            python.version,
            names.join(" "),
            self.layer_advice(&layer)
        )
    }

    /// What uv calls the platform; `None` for one without prepared files.
    fn target(&self, platform: &Platform) -> Option<String> {
        let machine = match platform.architecture.as_str() {
            "amd64" => "x86_64",
            "arm64" => "aarch64",
            _ => return None,
        };
        let loader = format!("ld-musl-{machine}.so.1");
        let has_musl = self.base.program(&loader, &["/lib".to_owned()]).is_some();
        let library = if has_musl { "unknown-linux-musl" } else { "manylinux_2_28" };
        Some(format!("{machine}-{library}"))
    }
}

/// The Python that runs an agent.
enum Interpreter {
    /// This one.
    Found(Python),
    /// There is none.
    Absent,
    /// It cannot be told which one, or what it imports.
    Unsure,
}

/// A distribution that is needed, and why.
struct Distribution<'a> {
    name: &'static str,
    extra: &'static str,
    requirement: &'a Requirement,
}

impl Distribution<'_> {
    fn describe(&self) -> String {
        let Self { name, extra, requirement } = self;
        format!("`{name}` (extra `{extra}`: {})", requirement.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Position;
    use crate::plan::testing::{self, config, tree};
    use crate::plan::{Entry, EntryKind, FileSource, LayerContent};

    const PYTHON: [&str; 4] = [
        "usr/local/bin/python3 -> python3.10",
        "usr/local/bin/python3.10",
        "usr/local/lib/python3.10/site-packages/holodeck_ai-0.7.1.dist-info/METADATA",
        "usr/local/lib/python3.10/site-packages/boto3-1.0.dist-info/METADATA",
    ];

    /// A layer with an empty file, or a link.
    fn layer(path: &str) -> LayerPlan {
        let (path, kind) = match path.split_once(" -> ") {
            Some((path, target)) => (path, EntryKind::Symlink(target.into())),
            None => (path, EntryKind::File(FileSource::Bytes("".into()))),
        };
        let entry = Entry { path: path.into(), kind, mode: 0o755, uid: 0, gid: 0, mtime: 0 };
        let content = LayerContent::Pack(vec![entry]);
        LayerPlan { name: path.into(), created_by: String::new(), content }
    }

    fn requirement(needed: Needed) -> Requirement {
        Requirement { needed, reason: "because".into(), position: Position::default() }
    }

    fn program(name: &str, is_vital: bool) -> Requirement {
        let recipe = matches!(name, "npx" | "uvx").then_some(if is_vital { "node" } else { "uv" });
        requirement(Needed::Program { name: name.into(), recipe, is_vital })
    }

    fn extra(extra: &'static str, name: &'static str) -> Requirement {
        requirement(Needed::Distribution { name, extra })
    }

    fn on(paths: &[&str]) -> BaseImage {
        testing::base(&Platform::linux_amd64(), tree(paths))
    }

    fn warnings(config: &Config, base: &BaseImage, layers: &[LayerPlan]) -> Vec<String> {
        let line = |(code, text, hint): Warning| format!("{code}: {text}; {}", hint.unwrap());
        let warnings = image_warnings(config, &config.platforms[0], base, layers);
        warnings.into_iter().map(line).collect()
    }

    #[test]
    fn a_vital_program_must_be_where_it_is_looked_for() {
        let config = Config { requirements: vec![program("npx", true)], ..config(&[]) };
        for (base, layers, is_there) in [
            (&[][..], &[][..], false),
            (&["usr/bin/npx"], &[], true),
            (&["opt/npx"], &[], false),
            (&[], &["usr/local/bin/npx -> ../lib/npx-cli.js"], true),
            (&["bin -> usr/bin", "usr/bin/sh"], &["usr/bin/npx"], true),
            (&[], &["opt/node/bin/npx"], false),
            (&[], &["opt/node/bin/npx", "usr/local/sbin -> /opt/node/bin"], true),
        ] {
            let layers: Vec<_> = layers.iter().map(|path| layer(path)).collect();
            let base = on(base);
            let found = check(&config, &base, &layers);
            let error = PlanError {
                position: Position::default(),
                message: "the image has no program `npx`: because".into(),
                hint: Some("add `- {kind: from-image, recipe: node}` to `layers`".into()),
            };
            let expected = if is_there { Ok(()) } else { Err(error) };
            assert_eq!(found, expected, "{:?} {layers:?}", base.root);
            assert_eq!(warnings(&config, &base, &layers), [""; 0]);
        }
    }

    #[test]
    fn nothing_is_said_where_nobody_can_tell() {
        let requirements = vec![program("npx", true), extra("qdrant", "qdrant-client")];
        let wanting = Config { requirements, ..config(&[]) };
        assert!(check(&wanting, &on(&[]), &[]).is_err());
        let builtin = Config { base: Base::Builtin("static".into()), ..wanting.clone() };
        let given = Config { required_at_run_time: vec!["PATH".into()], ..wanting.clone() };
        for config in [builtin, given] {
            assert_eq!(check(&config, &on(&[]), &[]), Ok(()));
            assert_eq!(warnings(&config, &on(&PYTHON), &[]), [""; 0]);
        }
        let mut elsewhere = wanting;
        elsewhere.run.env = vec![("PYTHONPATH".into(), "/opt".into())];
        assert_eq!(warnings(&elsewhere, &on(&PYTHON), &[]), [""; 0]);
    }

    #[test]
    fn other_programs_are_warned_of() {
        let mut config = config(&[]);
        config.requirements = ["uvx", "docker", "yarn"].map(|name| program(name, false)).into();
        config.source.format = "holodeck";
        config.source.file = "agents/agent.yml".into();
        assert_eq!(check(&config, &on(&[]), &[]), Ok(()));
        assert_eq!(
            warnings(&config, &on(&[]), &[]),
            [
                "missing-tool-program: the image has no program `uvx`: because; write a `dockless.yaml` \
             beside `agent.yml`, with the two lines `agent: agent.yml` and `layers: [{kind: \
             from-image, recipe: uv}]`",
                "missing-tool-program: the image has no program `docker`: because; no engine runs in a \
             container: let the server run elsewhere, and give the tool its `url`",
                "missing-tool-program: the image has no program `yarn`: because; add it with a layer, or \
             choose a base that has it",
            ]
        );
        assert_eq!(warnings(&config, &on(&["bin/uvx", "bin/docker", "bin/yarn"]), &[]), [""; 0]);
    }

    #[test]
    fn extras_that_are_nowhere_are_warned_of() {
        let requirements =
            vec![extra("s3", "boto3"), extra("qdrant", "qdrant-client"), extra("s3", "boto3")];
        let wanting = Config { requirements, ..config(&[]) };
        let dist_info = "opt/any/qdrant_client-1.9.dist-info";
        let in_base = format!("usr/local/lib/python3.10/site-packages/{dist_info}/METADATA");
        let in_base = in_base.replace("opt/any/", "");
        let complete: Vec<_> = PYTHON.iter().copied().chain([in_base.as_str()]).collect();
        let other_python = [&PYTHON[..2], &["usr/bin/holodeck"]].concat();
        let musl = [&PYTHON[..], &["lib/ld-musl-x86_64.so.1"]].concat();
        let lacks = "missing-python-extras: the image's Python 3.10 lacks `qdrant-client` (extra \
                     `qdrant`: because); choose a base that has them, with `RUN pip install \
                     'holodeck-ai[qdrant]==0.7.1'` in its Dockerfile";
        let prepared = |target: &str| {
            format!(
                "{lacks}; or run `uv pip install --target python --python-version 3.10 \
                 --python-platform {target} --only-binary :all: qdrant-client` and add `- {{kind: \
                 files, copy: [{{src: python, dest: /usr/local/lib/python3.10/site-packages}}]}}` to \
                 `layers`"
            )
        };
        let no_python = "missing-python-extras: the image has no Python, and so lacks `boto3` (extra \
                         `s3`: because), `qdrant-client` (extra `qdrant`: because); choose a base \
                         that has them, with `RUN pip install 'holodeck-ai[qdrant,s3]'` in its \
                         Dockerfile";
        for (base, ours, expected) in [
            (&PYTHON[..], None, Some(prepared("x86_64-manylinux_2_28"))),
            (&musl, None, Some(prepared("x86_64-unknown-linux-musl"))),
            (&complete, None, None),
            (&PYTHON, Some(dist_info), None),
            (&PYTHON, Some("usr/local/bin/python3"), None),
            (&["usr/bin/sh"], None, Some(no_python.to_owned())),
            // A Python of which no version is known, and one that does not run the agent.
            (&["usr/bin/python3"], None, None),
            (&other_python, None, None),
        ] {
            let layers: Vec<_> = ours.into_iter().map(layer).collect();
            assert_eq!(
                warnings(&wanting, &on(base), &layers),
                Vec::from_iter(expected),
                "{base:?}"
            );
        }
        let platforms = vec![Platform::linux_amd64(), Platform::new("linux", "arm64", None)];
        let several = Config { platforms, ..wanting };
        assert_eq!(warnings(&several, &on(&PYTHON), &[]), [lacks]);
    }
}
