//! From the config's layers to what they need, and from what was gathered to the plan.

use super::labels::{annotations, labels};
use super::layer_kinds::LAYER_KINDS;
use super::split::{BUDGET, WholeLayer, split};
use super::{
    BaseImage, ImagePlan, ImageSettings, Inputs, LayerPlan, LayerSource, Need, Plan, PlanError,
    RootTree, builtin_base,
};
use crate::config::schema::{check, hint_for};
use crate::config::{Base, Config, LayerSpec, Position, Problem, Problems};
use crate::oci::Platform;

/// The most layers an image may have: overlay file systems take no more.
pub const MAX_LAYERS: usize = 127;

/// Reads the entries of `layers:` and reports everything that is wrong with them. The sources stand
/// in the order of the config; when there are problems, some are missing.
pub fn sources(config: &Config, problems: &mut Problems) -> Vec<Box<dyn LayerSource>> {
    config.layers.iter().filter_map(|spec| source(spec, config, problems)).collect()
}

fn source(
    spec: &LayerSpec,
    config: &Config,
    problems: &mut Problems,
) -> Option<Box<dyn LayerSource>> {
    let Some(kind) = LAYER_KINDS.iter().find(|kind| kind.name == spec.kind) else {
        let names: Vec<_> = LAYER_KINDS.iter().map(|kind| kind.name).collect();
        problems.report_with_hint(
            &spec.kind_position,
            format!("there is no layer kind `{}`", spec.kind.escape_debug()),
            hint_for(&spec.kind, &names),
        );
        return None;
    };
    let mut misfits = Problems::new();
    check(&spec.settings, kind.shape, &mut misfits);
    // Read in any case, for what is wrong with the values of members that do fit.
    let mut faults = Problems::new();
    let source = (kind.parse)(&spec.settings, config, &mut faults);
    if misfits.is_empty() {
        problems.extend(faults.list());
        return source;
    }
    let misfits = misfits.list();
    // What is said of a mapping with a misfit, or of the whole layer, only follows from the misfit.
    let follows = |fault: &Problem| {
        fault.position == spec.settings.position
            || misfits.iter().any(|misfit| misfit.position == fault.position)
    };
    let faults = faults.list().into_iter().filter(|fault| !follows(fault));
    problems.extend(faults.chain(misfits.iter().cloned()).collect());
    None
}

/// Everything that must be gathered for these sources, each once, in their order.
pub fn needs(sources: &[Box<dyn LayerSource>]) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for need in sources.iter().flat_map(|source| source.needs()) {
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    needs
}

/// What a person should know about the layers: code, text, hint.
pub fn warnings(
    sources: &[Box<dyn LayerSource>],
    inputs: &Inputs,
) -> Vec<(&'static str, String, Option<String>)> {
    let mut warnings = Vec::new();
    for warning in sources.iter().flat_map(|source| source.warnings(inputs)) {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    // What an embedded base brings is in its file system.
    let is_nothing = |base: &BaseImage| base.layers.is_empty() && base.root == RootTree::default();
    if sources.is_empty() && !inputs.bases.is_empty() && inputs.bases.values().all(is_nothing) {
        warnings.push((
            "empty-image",
            "the image is empty: its base has no files, and there are no `layers`".to_owned(),
            Some("add `layers: [{kind: files, copy: [{src: …, dest: …}]}]`".to_owned()),
        ));
    }
    warnings
}

/// Plans one image per platform. `sources` are those of [`sources`], without problems.
///
/// A layer that adds nothing is left out: its source has warned of it. A large one becomes several
/// (see `split.rs`).
///
/// # Errors
/// When a source refuses what was gathered, when a layer contradicts itself or the base, when there
/// are more than [`MAX_LAYERS`] layers, or when `SOURCE_DATE_EPOCH` is no point in time.
pub fn plan(
    config: &Config,
    sources: &[Box<dyn LayerSource>],
    inputs: &Inputs,
) -> Result<Plan, PlanError> {
    let created = created(config, inputs)?;
    let image = |platform: &Platform| {
        let base = inputs.bases.get(platform).ok_or_else(|| {
            whole_file(config, format!("there is no base for the platform `{platform}`"), None)
        })?;
        let layers = layers(config, sources, inputs, platform, base)?;
        Ok(ImagePlan {
            platform: platform.clone(),
            base: base.clone(),
            layers,
            settings: ImageSettings {
                run: config.run.clone(),
                labels: labels(config, inputs, &created),
                annotations: annotations(config, base),
                created: created.clone(),
            },
        })
    };
    let images = config.platforms.iter().map(image).collect::<Result<_, _>>()?;
    Ok(Plan { name: config.name.clone(), compression: config.compression, images })
}

fn layers(
    config: &Config,
    sources: &[Box<dyn LayerSource>],
    inputs: &Inputs,
    platform: &Platform,
    base: &BaseImage,
) -> Result<Vec<LayerPlan>, PlanError> {
    let mut root = base.root.clone();
    // An embedded base is made of layers like ours: they are packed with them.
    let mut layers = match &config.base {
        Base::Builtin(name) => builtin_base(name).map(|base| base.layers).unwrap_or_default(),
        _ => Vec::new(),
    };
    let mut wholes = Vec::new();
    for (spec, source) in config.layers.iter().zip(sources) {
        let drafts = source.content(inputs, platform)?;
        let entries = root.ground(drafts, config.mtime).map_err(|error| PlanError {
            position: spec.settings.position.clone(),
            hint: error.hint(),
            message: error.to_string(),
        })?;
        if !entries.is_empty() {
            let (name, is_split) = (source.describe(), source.is_split());
            wholes.push(WholeLayer { name, entries, is_split });
        }
    }
    let room = BUDGET.min(MAX_LAYERS.saturating_sub(base.layers.len()));
    layers.extend(split(wholes, room.saturating_sub(layers.len())));
    let total = base.layers.len() + layers.len();
    if total > MAX_LAYERS {
        let message = format!(
            "the image would have {total} layers, {} of them from the base: no more than \
             {MAX_LAYERS} can be mounted",
            base.layers.len()
        );
        let hint = "join entries of `layers:`: one `files` layer takes many items in `copy`";
        return Err(whole_file(config, message, Some(hint)));
    }
    Ok(layers)
}

/// When the image was made: `SOURCE_DATE_EPOCH`, else 1970, so that equal inputs give equal digests.
fn created(config: &Config, inputs: &Inputs) -> Result<String, PlanError> {
    let seconds = inputs.source_date_epoch.unwrap_or(0);
    let time = jiff::Timestamp::from_second(seconds).map_err(|_| {
        let message = format!("SOURCE_DATE_EPOCH is no point in time: {seconds}");
        whole_file(config, message, Some("it is a number of seconds since 1970"))
    })?;
    Ok(time.to_string())
}

fn whole_file(config: &Config, message: String, hint: Option<&str>) -> PlanError {
    let file = config.source.file.display().to_string().into();
    PlanError {
        position: Position { file, line: 0, column: 0 },
        message,
        hint: hint.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Node;
    use crate::oci::{Descriptor, Digest, Document, Manifest, MediaType};
    use crate::plan::testing::{base, config, found, line};
    use crate::plan::{
        BaseLayer, LayerContent, Origin, RootNode, RootTree, Tree, TreeEntry, VcsFacts,
        builtin_base,
    };

    fn planned(config: &Config, inputs: &Inputs) -> Result<Plan, PlanError> {
        let mut problems = Problems::new();
        let sources = sources(config, &mut problems);
        assert!(problems.is_empty(), "{problems}");
        plan(config, &sources, inputs)
    }

    /// A base whose `/app` belongs to 1000, and a folder `src` that is listed.
    fn inputs(config: &Config) -> Inputs {
        let mut root = RootTree::default();
        root.insert("app", RootNode::Directory { mode: 0o755, uid: 1000, gid: 1000 });
        let mut problems = Problems::new();
        let trees =
            needs(&sources(config, &mut problems)).into_iter().filter_map(|need| match need {
                Need::Tree(need) => {
                    Some((need, Tree { entries: vec![found("", 0o755), found("main.py", 0o644)] }))
                }
                Need::File { .. } => None,
            });
        let platforms = config.platforms.iter();
        Inputs {
            trees: trees.collect(),
            bases: platforms
                .map(|platform| (platform.clone(), base(platform, root.clone())))
                .collect(),
            ..Inputs::default()
        }
    }

    const FILES: &str = "{kind: files, copy: {src: src, dest: /app}}";

    #[test]
    fn every_problem_of_a_layer_is_reported_at_once() {
        for (yaml, expected) in [
            (
                "{kind: files, copy: [{source: src, dest: /a},\n{src: ../x, dest: rel, owner: bob, mode: '9'}]}",
                &[
                    "1:22: `src` is missing in an item of `copy`",
                    "1:23: unknown key `source` in an item of `copy`",
                    "2:7: `src` contains `..`: `../x`",
                    "2:19: `dest` is an absolute path in the image, not `rel`",
                    "2:31: `owner` is `uid` or `uid:gid`, not `bob`",
                    "2:42: `mode` is permission bits in octal, not `9`",
                ][..],
            ),
            (
                "{kind: files, copy: [{src: a, mode: '9'}]}",
                &[
                    "1:22: `dest` is missing in an item of `copy`",
                    "1:37: `mode` is permission bits in octal, not `9`",
                ],
            ),
            // Only what is not said already.
            ("{kind: files, cpoy: []}", &["1:15: unknown key `cpoy` in a layer of kind `files`"]),
            (
                "{kind: template, templte: x, dest: rel}",
                &[
                    "1:18: unknown key `templte` in a layer of kind `template`",
                    "1:36: `dest` is an absolute path in the image, not `rel`",
                ],
            ),
        ] {
            let mut problems = Problems::new();
            let mut config = config(&[yaml]);
            config.layers[0].settings = Node::parse_yaml(yaml, "f", &mut problems).unwrap();
            assert_eq!(sources(&config, &mut problems).len(), 0);
            let line = |Problem { position, message, .. }: Problem| {
                format!("{}:{}: {message}", position.line, position.column)
            };
            let lines: Vec<_> = problems.list().into_iter().map(line).collect();
            assert_eq!(lines, expected, "{yaml}");
        }
    }

    #[test]
    fn layers_stand_on_the_base_and_on_each_other() {
        let config = config(&[
            FILES,
            "{kind: files, directories: [{path: /app, owner: 7}]}",
            "{kind: template, template: entrypoint.sh, dest: /app/run.sh}",
        ]);
        let plan = planned(&config, &inputs(&config)).unwrap();
        let lines: Vec<(String, Vec<String>)> = plan.images[0]
            .layers
            .iter()
            .map(|layer| match &layer.content {
                LayerContent::Pack(entries) => {
                    (layer.created_by.clone(), entries.iter().map(line).collect())
                }
                LayerContent::Existing { .. } => panic!("nothing of this exists"),
            })
            .collect();
        let layer = |name: &str, lines: &[&str]| {
            (name.to_owned(), lines.iter().map(|line| (*line).to_owned()).collect())
        };
        assert_eq!(
            lines,
            [
                layer(
                    "dockless: files src → /app",
                    &["0755 1000:1000 app/", "0644 0:0 app/main.py"]
                ),
                layer("dockless: files /app/", &["0755 7:7 app/"]),
                layer(
                    "dockless: template entrypoint.sh → /app/run.sh",
                    &["0755 7:7 app/", "0755 0:0 app/run.sh"]
                ),
            ]
        );
    }

    #[test]
    fn the_summary_tells_everything() {
        let mut config = config(&[FILES, "{kind: builtin, name: tmp}"]);
        config.annotations = [("team".to_owned(), "search".to_owned())].into();
        let mut inputs = inputs(&config);
        inputs.source_date_epoch = Some(1_700_000_000);
        let platform = Platform::linux_amd64();
        let manifest = Manifest::new(Descriptor::of(MediaType::OciConfig, b"{}"), Vec::new());
        let manifest = Document::write(manifest, MediaType::OciManifest);
        let base_digest = manifest.descriptor.digest.to_string();
        let base = inputs.bases.get_mut(&platform).unwrap();
        base.name = "python".into();
        base.canonical_name = Some("docker.io/library/python:latest".into());
        base.manifest = Some(manifest);
        let summary = planned(&config, &inputs).unwrap().describe();
        assert_eq!(
            serde_json::to_value(summary).unwrap(),
            json!({
                "name": "agent",
                "compression": "gzip",
                "images": [{
                    "platform": "linux/amd64", "base": "python", "base_digest": base_digest,
                    "base_layers": 0, "created": "2023-11-14T22:13:20Z",
                    "labels": {
                        "org.opencontainers.image.title": "agent",
                        "org.opencontainers.image.created": "2023-11-14T22:13:20Z"
                    },
                    "annotations": {
                        "org.opencontainers.image.base.name": "docker.io/library/python:latest",
                        "org.opencontainers.image.base.digest": base_digest,
                        "dev.dockless.base-files": format!(
                            r#"{{"base":"{base_digest}","folders":["","app"],"directories":[["app",493,1000,1000]],"links":[],"files":[]}}"#
                        ),
                        "team": "search"
                    },
                    "layers": [
                        {"name": "files src → /app", "size_bytes": 3, "entries": [
                            {"path": "/app", "kind": "directory", "mode": "0755", "owner": "1000:1000"},
                            {"path": "/app/main.py", "kind": "file", "mode": "0644", "owner": "0:0",
                             "size_bytes": 3}
                        ]},
                        {"name": "builtin tmp", "size_bytes": 0, "entries": [
                            {"path": "/tmp", "kind": "directory", "mode": "1777", "owner": "0:0"}
                        ]}
                    ]
                }]
            })
        );
    }

    #[test]
    fn labels_come_from_git_and_the_user_has_the_last_word() {
        let label = |name: &str| format!("org.opencontainers.image.{name}");
        let labels = |change: &dyn Fn(&mut Config, &mut VcsFacts)| {
            let mut config = config(&[]);
            let mut vcs = VcsFacts {
                sha: Some("abc".into()),
                tag: Some("v1.2.3".into()),
                source_url: Some("https://github.com/acme/agent".into()),
                ..VcsFacts::default()
            };
            change(&mut config, &mut vcs);
            let inputs = Inputs { vcs: Some(vcs), ..inputs(&config) };
            planned(&config, &inputs).unwrap().images.remove(0).settings.labels
        };
        let created = (label("created"), "1970-01-01T00:00:00Z".to_owned());
        let title = (label("title"), "agent".to_owned());
        let revision = (label("revision"), "abc".to_owned());
        let source = (label("source"), "https://github.com/acme/agent".to_owned());
        let version = (label("version"), "1.2.3".to_owned());
        let all = [created.clone(), title.clone(), revision.clone(), source.clone(), version];
        assert_eq!(labels(&|_, _| {}), all.into());
        // A tag that is no version says nothing of the version.
        assert_eq!(
            labels(&|_, vcs| vcs.tag = Some("nightly".into())),
            [created.clone(), title.clone(), revision, source].into()
        );
        assert_eq!(
            labels(&|config, _| config.has_vcs_labels = false),
            [created.clone(), title.clone()].into()
        );
        assert_eq!(
            labels(&|config, vcs| {
                *vcs = VcsFacts::default();
                config.required_at_run_time = vec!["A".into(), "B".into()];
                config.labels = [(label("title"), "mine".to_owned())].into();
            }),
            [
                created,
                (label("title"), "mine".to_owned()),
                ("dev.dockless.required-env".to_owned(), "A,B".to_owned())
            ]
            .into()
        );
    }

    #[test]
    fn every_platform_gets_an_image_and_shares_the_layers() {
        let mut config = config(&[FILES]);
        config.platforms = vec!["linux/arm64".parse().unwrap(), Platform::linux_amd64()];
        let plan = planned(&config, &inputs(&config)).unwrap();
        let platforms: Vec<_> =
            plan.images.iter().map(|image| image.platform.to_string()).collect();
        assert_eq!(platforms, ["linux/arm64", "linux/amd64"]);
        assert_eq!(plan.images[0].layers, plan.images[1].layers);
    }

    #[test]
    fn a_layer_that_adds_nothing_is_left_out() {
        let config = config(&["{kind: files, copy: {src: src, dest: /}}"]);
        let mut inputs = inputs(&config);
        for tree in inputs.trees.values_mut() {
            tree.entries = vec![TreeEntry { path: String::new(), ..found("", 0o755) }];
        }
        assert_eq!(planned(&config, &inputs).unwrap().images[0].layers, []);
        let sources = sources(&config, &mut Problems::new());
        let codes: Vec<_> =
            warnings(&sources, &inputs).into_iter().map(|(code, ..)| code).collect();
        assert_eq!(codes, ["empty-copy"]);
    }

    #[test]
    fn an_image_of_nothing_is_remarked_on() {
        let config = config(&[]);
        let mut inputs = inputs(&config);
        let codes = |inputs: &Inputs| -> Vec<_> {
            warnings(&[], inputs).into_iter().map(|(code, ..)| code).collect()
        };
        // Its base has `/app`.
        assert_eq!(codes(&inputs), [""; 0]);
        for base in inputs.bases.values_mut() {
            base.root = RootTree::default();
        }
        assert_eq!(codes(&inputs), ["empty-image"]);
    }

    #[test]
    fn what_cannot_be_planned_says_why() {
        let message = |config: &Config, change: &dyn Fn(&mut Inputs)| {
            let mut inputs = inputs(config);
            change(&mut inputs);
            planned(config, &inputs).unwrap_err().to_string()
        };
        let full = |inputs: &mut Inputs| {
            let layer = BaseLayer {
                descriptor: Descriptor::of(MediaType::OciLayerGzip, b"x"),
                diff_id: Digest::of(b"x"),
                origin: Origin::Store,
            };
            for base in inputs.bases.values_mut() {
                base.layers = vec![layer.clone(); MAX_LAYERS];
            }
        };
        assert_eq!(
            message(&config(&[FILES]), &full),
            "dockless.yaml: the image would have 128 layers, 127 of them from the base: no more \
             than 127 can be mounted"
        );
        let mut only_base = inputs(&config(&[]));
        full(&mut only_base);
        assert!(planned(&config(&[]), &only_base).is_ok());
        assert_eq!(
            message(&config(&[]), &|inputs| inputs.source_date_epoch = Some(i64::MAX)),
            "dockless.yaml: SOURCE_DATE_EPOCH is no point in time: 9223372036854775807"
        );
        assert_eq!(
            message(&config(&[]), &|inputs| inputs.bases.clear()),
            "dockless.yaml: there is no base for the platform `linux/amd64`"
        );
        assert_eq!(
            message(&config(&["{kind: template, template: entrypoint.sh, dest: /app}"]), &|_| {}),
            ": `/app` would be a generated file of 235 bytes (0755, 0:0), but it is a folder already"
        );
    }

    #[test]
    fn every_problem_of_every_layer_is_reported() {
        let config =
            config(&["{kind: fles}", "{kind: files, copies: []}", FILES, "{kind: template}"]);
        let mut problems = Problems::new();
        assert_eq!(sources(&config, &mut problems).len(), 1);
        let messages: Vec<_> = problems.list().into_iter().map(|problem| problem.message).collect();
        assert_eq!(
            messages,
            [
                "there is no layer kind `fles`",
                "unknown key `copies` in a layer of kind `files`",
                "`dest` is missing in a layer of kind `template`",
            ]
        );
    }

    #[test]
    fn needs_come_once() {
        let sources = sources(&config(&[FILES, FILES]), &mut Problems::new());
        assert_eq!((sources.len(), needs(&sources).len()), (2, 1));
    }

    #[test]
    fn the_builtin_base_carries_our_layers() {
        let config = config(&["{kind: template, template: entrypoint.sh, dest: /tmp/x}"]);
        let mut inputs = inputs(&config);
        let static_base = builtin_base("static").unwrap();
        for base in inputs.bases.values_mut() {
            base.root = static_base.root.clone();
        }
        let plan = planned(&config, &inputs).unwrap();
        let LayerContent::Pack(entries) = &plan.images[0].layers[0].content else { panic!() };
        assert_eq!(
            entries.iter().map(line).collect::<Vec<_>>(),
            ["1777 0:0 tmp/", "0755 0:0 tmp/x"]
        );
    }
}
