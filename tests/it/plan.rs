//! What planning and assembling give, before programs and readers that nobody here wrote.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::{fs, io::Write as _};

use dockless::config::{
    Base, Config, ConfigSource, LayerCompression, LayerSpec, Node, Position, Problems,
    PublishSettings, RunSettings, SecretSettings,
};
use dockless::image::{assemble, index, validate};
use dockless::layer::Layer;
use dockless::oci::{Descriptor, Digest, ImageConfig, MediaType, Platform};
use dockless::plan::{
    BaseImage, EntryKind, FileSource, Inputs, LayerContent, Origin, Plan, builtin_base, plan,
    sources,
};

/// A config of one layer with these settings.
fn config(settings: &[(&str, &str)], run: RunSettings) -> Config {
    let here = Position::default();
    let members = settings.iter().map(|(key, value)| (*key, Node::text(*value, &here)));
    Config {
        name: "agent".into(),
        base: Base::Scratch,
        platforms: vec!["linux/arm64".parse().unwrap(), Platform::linux_amd64()],
        layers: vec![LayerSpec {
            kind: settings[0].1.into(),
            kind_position: here.clone(),
            settings: Node::mapping(members, &here),
        }],
        compression: LayerCompression::default(),
        run,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        has_vcs_labels: true,
        mtime: 0,
        publish: PublishSettings::default(),
        required_at_run_time: vec!["TOKEN".into()],
        requirements: Vec::new(),
        source: ConfigSource {
            file: "dockless.yaml".into(),
            format: "dockless",
            directory: "/project".into(),
        },
        version: None,
        files: std::collections::BTreeSet::new(),
        left_out: Vec::new(),
        unknown_keys: Vec::new(),
        secrets: SecretSettings::default(),
        environments: Vec::new(),
    }
}

fn planned(config: &Config) -> Plan {
    let base = |platform: &Platform| BaseImage::empty("scratch", ImageConfig::scratch(platform));
    let bases =
        config.platforms.iter().map(|platform| (platform.clone(), base(platform))).collect();
    let mut problems = Problems::new();
    let sources = sources(config, &mut problems);
    assert!(problems.is_empty(), "{problems}");
    plan(config, &sources, &Inputs { bases, ..Inputs::default() }).unwrap()
}

/// The content of a made file of our only layer, or of the builtin base.
fn content(layer: &LayerContent, path: &str) -> Vec<u8> {
    let LayerContent::Pack(entries) = layer else { panic!("{layer:?} is not packed") };
    let entry = entries.iter().find(|entry| entry.path == path).unwrap();
    match &entry.kind {
        EntryKind::File(FileSource::Bytes(bytes)) => bytes.to_vec(),
        other => panic!("{other:?} has no bytes"),
    }
}

/// What a program prints that reads the script from standard input.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_entrypoint_passes_every_word_unharmed() {
    let words = ["printf", "<%s>", "it's", "$HOME `id` \"x\"", "", "a\nb", "*", "{{ x }}", "\\n"];
    let run_settings = RunSettings {
        entrypoint: Some(words.map(str::to_owned).to_vec()),
        ..RunSettings::default()
    };
    let settings = [("kind", "template"), ("template", "entrypoint.sh"), ("dest", "/app/run.sh")];
    let plan = planned(&config(&settings, run_settings));
    let script = content(&plan.images[0].layers[0].content, "app/run.sh");
    let printed = run("sh", &["-s", "--", "more words", "$1"], &script);
    let expected: Vec<_> =
        words[2..].iter().chain(&["more words", "$1"]).map(|word| format!("<{word}>")).collect();
    assert_eq!(printed, expected.concat());
}

#[test]
fn openssl_loads_every_certificate_of_the_builtin_base() {
    let base = builtin_base("static").unwrap();
    let bundle = content(&base.layers[0].content, "etc/ssl/certs/ca-certificates.crt");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bundle.crt");
    fs::write(&file, bundle).unwrap();
    let script = "import ssl, sys\n\
                  context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n\
                  context.load_verify_locations(cafile=sys.argv[1])\n\
                  print(len(context.get_ca_certs()))\n";
    let loaded = run("python3", &["-", file.to_str().unwrap()], script.as_bytes());
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.len();
    assert_eq!(loaded.trim(), roots.to_string());
}

#[test]
fn another_reader_understands_our_documents() {
    let run_settings = RunSettings {
        user: Some("65532".into()),
        env: vec![("A".into(), "b=c".into())],
        entrypoint: Some(vec!["/run".into()]),
        ports: vec!["8080/tcp".into()],
        ..RunSettings::default()
    };
    let settings = [("kind", "builtin"), ("name", "tmp")];
    let config = config(&settings, run_settings);
    let layer = Layer {
        name: "builtin tmp".into(),
        created_by: "dockless: builtin tmp".into(),
        descriptor: Descriptor::of(MediaType::OciLayerGzip, b"blob"),
        diff_id: Digest::of(b"tar"),
        origin: Origin::Store,
    };
    let images = planned(&config)
        .images
        .iter()
        .map(|image| assemble(image, std::slice::from_ref(&layer), "1").unwrap())
        .collect();
    let assembly = index(images, BTreeMap::new());
    assert_eq!(validate(&assembly), Ok(()));

    let read: oci_spec::image::ImageIndex =
        serde_json::from_slice(&assembly.index.as_ref().unwrap().bytes).unwrap();
    let platforms: Vec<_> = read
        .manifests()
        .iter()
        .map(|entry| entry.platform().as_ref().unwrap().architecture().to_string())
        .collect();
    assert_eq!(platforms, ["arm64", "amd64"]);

    let image = &assembly.images[1];
    let manifest: oci_spec::image::ImageManifest =
        serde_json::from_slice(&image.manifest.bytes).unwrap();
    assert_eq!(manifest.config().digest().to_string(), Digest::of(&image.config.bytes).to_string());
    assert_eq!(manifest.layers().len(), 1);

    let config: oci_spec::image::ImageConfiguration =
        serde_json::from_slice(&image.config.bytes).unwrap();
    let run = config.config().as_ref().unwrap();
    assert_eq!(run.user().as_deref(), Some("65532"));
    assert_eq!(run.env().clone(), Some(vec!["A=b=c".to_owned()]));
    assert_eq!(run.entrypoint().clone(), Some(vec!["/run".to_owned()]));
    assert_eq!(run.exposed_ports().clone(), Some(vec!["8080/tcp".to_owned()]));
    assert_eq!(config.rootfs().diff_ids().clone(), [Digest::of(b"tar").to_string()]);
    let label = run.labels().as_ref().unwrap().get("dev.dockless.required-env").cloned();
    assert_eq!(label.as_deref(), Some("TOKEN"));
}
