//! The image config: the base's, edited. Whatever is not ours to change survives.

use serde_json::{Map, Value, json};

use crate::layer::Layer;
use crate::oci::{Digest, History, ImageConfig, Platform, RunConfig};
use crate::plan::{HealthCheck, ImageSettings, RunSettings};

/// What stands in the history for a layer that the base's own history does not tell of.
const UNTOLD: &str = "unknown: the base image's history does not tell";

/// The base's config with our settings, our layers on top of its own, and a complete history.
pub(super) fn edit(
    base: &ImageConfig,
    base_diff_ids: &[Digest],
    platform: &Platform,
    settings: &ImageSettings,
    layers: &[Layer],
) -> ImageConfig {
    let mut config = base.clone();
    config.created = Some(settings.created.clone());
    set_platform(&mut config, platform);
    set_run(&mut config.config, &settings.run);
    config.config.labels.extend(settings.labels.clone());
    config.rootfs.diff_ids = base_diff_ids.to_vec();
    config.history = completed(base, base_diff_ids.len());
    for layer in layers {
        config.rootfs.diff_ids.push(layer.diff_id);
        config.history.push(History {
            created: Some(settings.created.clone()),
            created_by: Some(layer.created_by.clone()),
            ..History::default()
        });
    }
    config
}

/// Declares the platform; a base that says the same in other words (`arm64/v8`) keeps its words.
fn set_platform(config: &mut ImageConfig, platform: &Platform) {
    if !platform.is_served_by(&config.platform()) {
        config.architecture.clone_from(&platform.architecture);
        config.os.clone_from(&platform.os);
        config.variant.clone_from(&platform.variant);
    }
}

/// Edits how a container is run, as a Dockerfile on top of the base would.
fn set_run(config: &mut RunConfig, run: &RunSettings) {
    let replace = |member: &mut Option<String>, setting: &Option<String>| {
        if setting.is_some() {
            member.clone_from(setting);
        }
    };
    replace(&mut config.user, &run.user);
    replace(&mut config.working_dir, &run.workdir);
    replace(&mut config.stop_signal, &run.stop_signal);
    for (name, value) in &run.env {
        config.set_env(name, value);
    }
    // An empty list resets, as `ENTRYPOINT []` does.
    let command = |words: &Vec<String>| Some(words.clone()).filter(|words| !words.is_empty());
    if let Some(entrypoint) = &run.entrypoint {
        config.entrypoint = command(entrypoint);
        config.cmd = None;
    }
    if let Some(cmd) = &run.cmd {
        config.cmd = command(cmd);
    }
    for port in &run.ports {
        config.exposed_ports.insert(port.clone(), json!({}));
    }
    for volume in &run.volumes {
        config.volumes.insert(volume.clone(), json!({}));
    }
    if let Some(check) = run.health.as_ref().and_then(|health| health.check.as_ref()) {
        config.other.insert("Healthcheck".into(), health_check(check));
    }
}

/// Docker's `Healthcheck`: an extension of the image config that its engines honour in OCI images.
fn health_check(check: &HealthCheck) -> Value {
    let numbers = [
        ("Interval", check.interval_ns),
        ("Timeout", check.timeout_ns),
        ("StartPeriod", check.start_period_ns),
        ("StartInterval", check.start_interval_ns),
        ("Retries", check.retries),
    ];
    let mut members: Map<_, _> = numbers
        .into_iter()
        .filter_map(|(name, number)| Some((name.to_owned(), Value::from(number?))))
        .collect();
    members.insert("Test".into(), Value::from(check.test.clone()));
    Value::Object(members)
}

/// The base's history with one entry per layer (image-spec, config.md, `history`): what is missing
/// is filled in, and a history of more layers than there are tells of another image.
fn completed(base: &ImageConfig, layers: usize) -> Vec<History> {
    let told = base.history.iter().filter(|entry| !entry.empty_layer).count();
    let mut history = if told > layers { Vec::new() } else { base.history.clone() };
    let untold = if told > layers { layers } else { layers - told };
    history.extend(std::iter::repeat_n(
        History { created_by: Some(UNTOLD.to_owned()), ..History::default() },
        untold,
    ));
    history
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Descriptor, MediaType};
    use crate::plan::{Health, Origin};

    type Words<'a> = Option<&'a [&'a str]>;

    /// A base in Docker's style, with members that the specification does not know.
    fn base() -> ImageConfig {
        serde_json::from_value(json!({
            "created": "2026-01-01T00:00:00Z", "author": "base", "docker_version": "27.0",
            "architecture": "amd64", "os": "linux",
            "config": {
                "User": "agent", "Env": ["PATH=/bin", "LANG=C", "MODE=base"],
                "Entrypoint": ["/init"], "Cmd": ["serve"], "WorkingDir": "/srv",
                "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}},
                "Labels": {"org.opencontainers.image.title": "base", "vendor": "acme"},
                "StopSignal": "SIGINT", "Shell": ["/bin/bash", "-c"], "OnBuild": ["RUN x"],
                "Healthcheck": {"Test": ["CMD", "old"], "Retries": 9}, "ArgsEscaped": true
            },
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"base")]},
            "history": [
                {"created": "2026-01-01T00:00:00Z", "created_by": "ADD rootfs", "comment": "c"},
                {"created_by": "CMD serve", "empty_layer": true}
            ]
        }))
        .unwrap()
    }

    fn layer(created_by: &str) -> Layer {
        Layer {
            name: created_by.into(),
            created_by: created_by.into(),
            descriptor: Descriptor::of(MediaType::OciLayerGzip, created_by.as_bytes()),
            diff_id: Digest::of(created_by.as_bytes()),
            origin: Origin::Store,
        }
    }

    fn edited(base: &ImageConfig, platform: &str, run: RunSettings, layers: &[Layer]) -> Value {
        let settings = ImageSettings {
            run,
            labels: [("org.opencontainers.image.title".to_owned(), "agent".to_owned())].into(),
            created: "1970-01-01T00:00:00Z".into(),
            ..ImageSettings::default()
        };
        let platform = platform.parse().unwrap();
        let config = edit(base, &base.rootfs.diff_ids, &platform, &settings, layers);
        serde_json::to_value(config).unwrap()
    }

    #[test]
    fn every_setting_lands_in_its_member() {
        let texts =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let run = RunSettings {
            user: Some("65532".into()),
            workdir: Some("/app".into()),
            env: vec![("MODE".into(), "a=b".into()), ("NEW".into(), String::new())],
            entrypoint: Some(texts(&["python", "-m", "agent"])),
            cmd: None,
            ports: texts(&["8080/tcp", "53/udp"]),
            volumes: texts(&["/cache"]),
            stop_signal: Some("SIGTERM".into()),
            health: Some(Health {
                path: Some("/health".into()),
                port: Some(8080),
                check: Some(HealthCheck {
                    test: texts(&["CMD-SHELL", "true"]),
                    interval_ns: Some(30_000_000_000),
                    timeout_ns: Some(10_000_000_000),
                    start_period_ns: None,
                    start_interval_ns: Some(1),
                    retries: Some(3),
                }),
            }),
        };
        assert_eq!(
            edited(&base(), "linux/amd64", run, &[layer("dockless: files")]),
            json!({
                "created": "1970-01-01T00:00:00Z", "author": "base", "docker_version": "27.0",
                "architecture": "amd64", "os": "linux",
                "config": {
                    "User": "65532", "Env": ["PATH=/bin", "LANG=C", "MODE=a=b", "NEW="],
                    "Entrypoint": ["python", "-m", "agent"], "WorkingDir": "/app",
                    "ExposedPorts": {"80/tcp": {}, "8080/tcp": {}, "53/udp": {}},
                    "Volumes": {"/data": {}, "/cache": {}},
                    "Labels": {"org.opencontainers.image.title": "agent", "vendor": "acme"},
                    "StopSignal": "SIGTERM", "Shell": ["/bin/bash", "-c"], "OnBuild": ["RUN x"],
                    "Healthcheck": {
                        "Test": ["CMD-SHELL", "true"], "Interval": 30_000_000_000_u64,
                        "Timeout": 10_000_000_000_u64, "StartInterval": 1, "Retries": 3
                    },
                    "ArgsEscaped": true
                },
                "rootfs": {
                    "type": "layers", "diff_ids": [Digest::of(b"base"), Digest::of(b"dockless: files")]
                },
                "history": [
                    {"created": "2026-01-01T00:00:00Z", "created_by": "ADD rootfs", "comment": "c"},
                    {"created_by": "CMD serve", "empty_layer": true},
                    {"created": "1970-01-01T00:00:00Z", "created_by": "dockless: files"}
                ]
            })
        );
    }

    #[test]
    fn without_settings_the_base_rules() {
        let mut expected = serde_json::to_value(base()).unwrap();
        expected["created"] = "1970-01-01T00:00:00Z".into();
        expected["config"]["Labels"]["org.opencontainers.image.title"] = "agent".into();
        assert_eq!(edited(&base(), "linux/amd64", RunSettings::default(), &[]), expected);
    }

    #[test]
    fn an_entrypoint_clears_the_command() {
        let words = |words: Option<&[&str]>| {
            words.map(|words| words.iter().map(|word| (*word).to_owned()).collect())
        };
        let table: [(Words, Words, Value, Value); 6] = [
            (None, None, json!(["/init"]), json!(["serve"])),
            (Some(&["a"]), None, json!(["a"]), Value::Null),
            (Some(&["a"]), Some(&["b"]), json!(["a"]), json!(["b"])),
            (None, Some(&["b"]), json!(["/init"]), json!(["b"])),
            (Some(&[]), None, Value::Null, Value::Null),
            (None, Some(&[]), json!(["/init"]), Value::Null),
        ];
        for (entrypoint, cmd, expected_entrypoint, expected_cmd) in table {
            let run = RunSettings {
                entrypoint: words(entrypoint),
                cmd: words(cmd),
                ..RunSettings::default()
            };
            let config = edited(&base(), "linux/amd64", run, &[]);
            let found = ["Entrypoint", "Cmd"]
                .map(|name| config["config"].get(name).cloned().unwrap_or_default());
            assert_eq!(found, [expected_entrypoint, expected_cmd], "{entrypoint:?} {cmd:?}");
        }
    }

    #[test]
    fn the_history_lines_up_with_the_layers() {
        let told = |created_by: &str| json!({"created_by": created_by});
        let ours = json!({"created": "1970-01-01T00:00:00Z", "created_by": "ours"});
        let empty = json!({"created_by": "CMD", "empty_layer": true});
        for (history, layers, expected) in [
            (json!([]), 2, json!([told(UNTOLD), told(UNTOLD), ours])),
            (json!([told("a"), empty]), 2, json!([told("a"), empty, told(UNTOLD), ours])),
            (json!([told("a"), told("b")]), 1, json!([told(UNTOLD), ours])),
            (json!([empty]), 0, json!([empty, ours])),
        ] {
            let mut base = base();
            base.history = serde_json::from_value(history).unwrap();
            base.rootfs.diff_ids = (0..layers).map(|number: u8| Digest::of(&[number])).collect();
            let config = edited(&base, "linux/amd64", RunSettings::default(), &[layer("ours")]);
            assert_eq!(config["history"], expected);
        }
    }

    #[test]
    fn the_platform_is_declared() {
        let arm =
            ImageConfig { architecture: "arm64".into(), variant: Some("v8".into()), ..base() };
        for (base, platform, expected) in [
            (ImageConfig::default(), "linux/arm/v6", json!(["linux", "arm", "v6"])),
            (arm, "linux/arm64", json!(["linux", "arm64", "v8"])),
            (base(), "linux/arm64", json!(["linux", "arm64", null])),
        ] {
            let config = edited(&base, platform, RunSettings::default(), &[]);
            let found = json!([config["os"], config["architecture"], config["variant"]]);
            assert_eq!(found, expected);
        }
    }
}
