use serde_json::json;

use super::*;
use crate::config::Node;
use crate::oci::{Descriptor, Digest, Document, Manifest, MediaType};
use crate::plan::testing::{base, config, found, line};
use crate::plan::{
    BaseLayer, LayerContent, Origin, RootNode, RootTree, Tree, TreeEntry, VcsFacts, builtin_base,
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
    let trees = needs(&sources(config, &mut problems)).into_iter().filter_map(|need| match need {
        Need::Tree(need) => {
            Some((need, Tree { entries: vec![found("", 0o755), found("main.py", 0o644)] }))
        }
        Need::File { .. } | Need::Image(_) => None,
    });
    let platforms = config.platforms.iter();
    Inputs {
        trees: trees.collect(),
        bases: platforms.map(|platform| (platform.clone(), base(platform, root.clone()))).collect(),
        ..Inputs::default()
    }
}

const FILES: &str = "{kind: files, copy: {src: src, dest: /app}}";

#[test]
fn every_problem_of_a_layer_is_reported_at_once() {
    for (yaml, expected) in [
        (
            "{kind: files, copy: [{source: src, dest: /a},\n{src: ../x, dest: rel, owner: a/b, mode: '9'}]}",
            &[
                "1:22: `src` is missing in an item of `copy`",
                "1:23: unknown key `source` in an item of `copy`",
                "2:7: `src` contains `..`: `../x`",
                "2:19: `dest` is an absolute path in the image, not `rel`",
                "2:31: `owner` is `user` or `user:group`, not `a/b`",
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
            layer("dockless: files src → /app", &["0755 1000:1000 app/", "0644 0:0 app/main.py"]),
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
    // A format may say which tag is the version; what the environment decides is none.
    for (tag, version) in [
        ("git_tag", Some("v1.2.3")),
        ("git_sha", Some("0123456")),
        ("latest", Some("latest")),
        ("${CUSTOM:-v2}", None),
    ] {
        let tag = crate::config::Template { text: tag.into(), position: Position::default() };
        let named = labels(&|config, vcs| {
            vcs.sha = Some("0123456789".into());
            config.version = Some(crate::config::TagSpec { tag: tag.clone(), when: None });
        });
        assert_eq!(named.get(&label("version")).map(String::as_str), version, "{}", tag.text);
    }
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
    let platforms: Vec<_> = plan.images.iter().map(|image| image.platform.to_string()).collect();
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
    let codes: Vec<_> = warnings(&sources, &inputs).into_iter().map(|(code, ..)| code).collect();
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
    let config = config(&["{kind: fles}", "{kind: files, copies: []}", FILES, "{kind: template}"]);
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
    assert_eq!(entries.iter().map(line).collect::<Vec<_>>(), ["1777 0:0 tmp/", "0755 0:0 tmp/x"]);
}
