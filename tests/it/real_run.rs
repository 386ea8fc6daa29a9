//! The image of an agent runs, and looks the same, wherever it is unpacked: Docker pulls it from a
//! registry, umoci unpacks it for crun, containerd mounts it.
//!
//! Needs root, as these programs do; `cargo test -- --skip real_run::` leaves it out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::cli::Sandbox;
use crate::support::containerd::Containerd;
use crate::support::docker::Daemon;
use crate::support::image::run;
use crate::support::machine::copy_programs;
use crate::support::registry::Registry;

/// What an agent can do and see, said from inside of its container.
const INSIDE: &str = "id && touch /app/mine && stat -c '%A %u:%g %N' /app /app/* \
                      /var/holodeck /var/holodeck/work /var/holodeck/work/* /bin && \
                      cat /app/entrypoint.sh";

/// What it says.
const SAID: &str = r#"uid=1000(holodeck) gid=1000(holodeck) groups=1000(holodeck)
drwxr-xr-x 1000:1000 '/app'
-rw-r--r-- 0:0 '/app/agent.yaml'
-r--r--r-- 0:0 '/app/arithmetic.py'
drwxr-xr-x 0:0 '/app/data'
dr-xr-xr-x 0:0 '/app/docs'
-rwxr-xr-x 0:0 '/app/entrypoint.sh'
dr-xr-xr-x 0:0 '/app/graders'
drwxr-xr-x 0:0 '/app/instructions'
-rw-r--r-- 1000:1000 '/app/mine'
drwxr-xr-x 0:0 '/app/prompts'
drwxr-xr-x 0:0 '/app/schemas'
drwxr-xr-x 0:0 '/app/tests'
drwxr-xr-x 0:0 '/app/tools'
-rw-r--r-- 1000:1000 '/app/written'
drwxr-xr-x 0:0 '/var/holodeck'
drwxr-xr-x 1000:1000 '/var/holodeck/work'
-rw-r--r-- 1000:1000 '/var/holodeck/work/written'
lrwxrwxrwx 0:0 '/bin' -> 'usr/bin'
#!/bin/bash
set -e

# Start the HoloDeck agent server
exec holodeck serve /app/agent.yaml \
    --host 0.0.0.0 \
    --port "${HOLODECK_PORT:-8080}" \
    --protocol "${HOLODECK_PROTOCOL:-rest}"
"#;

/// The platform of this machine.
fn platform() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "linux/amd64",
        "aarch64" => "linux/arm64",
        other => panic!("no platform is known for {other}"),
    }
}

/// Builds the base, with or without programs that run, and the agent on it; gives stdout.
#[track_caller]
fn build(sandbox: &Sandbox, is_runnable: bool, command: &[&str]) -> String {
    let base = sandbox.project("holodeck-base");
    sandbox.project("holodeck-complete");
    if is_runnable {
        copy_programs(&base);
    }
    sandbox.succeed(["build", "holodeck-base", "--platform", platform(), "-o", "oci:base"]);
    let agent = ["holodeck-complete", "--base", "oci:base", "--platform", platform(), "--quiet"];
    sandbox.succeed([&command[..1], &agent, &command[1..]].concat())
}

/// Asks a container how it is until it is well.
#[track_caller]
fn wait_for_health(daemon: &Daemon, container: &str, check: &str) -> String {
    let start = Instant::now();
    loop {
        let probe = daemon.docker(&["exec", container, "/bin/sh", "-c", check]);
        if probe.status.success() {
            return String::from_utf8(probe.stdout).unwrap();
        }
        let logs = || daemon.docker(&["logs", container]);
        assert!(start.elapsed() < Duration::from_mins(1), "{probe:#?}\n{:#?}", logs());
        std::thread::yield_now();
    }
}

#[test]
fn docker_pulls_the_agent_by_digest_and_it_answers() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let daemon = Daemon::start_on("overlay2");
    let repository = format!("{}/acme/desk", registry.host());
    let image = build(&sandbox, true, &["push", "--to", &repository, "-t", "v1"]);
    daemon.succeed(&["pull", "--quiet", &image]);

    let inspected = daemon.succeed(&["inspect", "--format", "{{json .Config}}", &image]);
    let config: Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(config["User"], "holodeck");
    assert_eq!(
        config["Healthcheck"],
        json!({
            "Test": ["CMD-SHELL", "curl -f http://localhost:9090/health || exit 1"],
            "Interval": 30_000_000_000_u64,
            "Timeout": 10_000_000_000_u64,
            "StartPeriod": 5_000_000_000_u64,
            "Retries": 3,
        })
    );

    // What the image says is needed is needed, and it is enough.
    let bare = daemon.docker(&["run", "--rm", "--network", "none", &image]);
    assert_eq!(bare.status.code(), Some(1), "{bare:?}");
    assert!(String::from_utf8_lossy(&bare.stderr).contains("is not set"), "{bare:?}");
    let required = config["Labels"]["dev.dockless.required-env"].as_str().unwrap();
    let variables: Vec<String> =
        required.split(',').map(|name| format!("--env={name}=x")).collect();
    let mut words = vec!["run", "--detach", "--network", "none"];
    words.extend(variables.iter().map(String::as_str));
    words.push(&image);
    let container = daemon.succeed(&words);

    let check = config["Healthcheck"]["Test"][1].as_str().unwrap();
    assert_eq!(wait_for_health(&daemon, &container, check), "ag-ui");
    let said = daemon.succeed(&["exec", &container, "/bin/sh", "-c", INSIDE]);
    assert_eq!(said, SAID.trim_end());
}

#[test]
fn umoci_unpacks_the_agent_and_crun_runs_it() {
    let sandbox = Sandbox::new();
    build(&sandbox, true, &["build", "-o", "oci:out:v1"]);
    let work = sandbox.work();
    run("umoci", &["unpack", "--image", "out:v1", "bundle"], &work);
    let path = work.join("bundle/config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let process = &mut config["process"];
    assert_eq!(process["args"], json!(["/app/entrypoint.sh"]));
    assert_eq!(process["cwd"], "/app");
    assert_eq!(process["user"], json!({"uid": 1000, "gid": 1000}));
    process["terminal"] = json!(false);
    let required = config["annotations"]["dev.dockless.required-env"].as_str().unwrap().to_owned();
    let variables = config["process"]["env"].as_array_mut().unwrap();
    variables.extend(required.split(',').map(|name| json!(format!("{name}=x"))));
    // A second process would need crun to find the first one: the container says it all itself.
    let script = format!(
        "/app/entrypoint.sh 2>/dev/null & until curl -sf http://localhost:9090/health; do kill -0 $! || \
         exit 1; done; echo; {INSIDE}"
    );
    config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    // No control groups: this is about files and settings.
    config["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "cgroup");
    std::fs::write(&path, config.to_string()).unwrap();
    // crun refuses machines that mount both versions of control groups; here it sees one.
    let script = "umount -l /sys/fs/cgroup/unified 2>/dev/null; exec crun --root \"$PWD/crun\" \
                  --cgroup-manager=disabled run --bundle bundle agent";
    let said = run("unshare", &["--mount", "sh", "-c", script], &work);
    assert_eq!(said, format!("ag-ui\n{SAID}"));
}

/// Everything below a folder: path, kind, mode, owner, and of files size, time and target.
fn listing(root: &Path) -> Vec<String> {
    let format = ["-type", "d", "-printf", "%P/ %m %U:%G\n", "-o"];
    let others = ["-printf", "%P %y %m %U:%G %s %T@ %l\n"];
    let words = [&[".", "-mindepth", "1"][..], &format, &others].concat();
    let mut lines: Vec<_> = run("find", &words, root).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Unpacks what Docker exports, without what Docker puts into every container.
fn unpack_export(archive: &Path, target: PathBuf) -> PathBuf {
    std::fs::create_dir(&target).unwrap();
    let docker_s = [".dockerenv", "dev", "proc", "sys", "etc/hostname", "etc/hosts", "etc/mtab"];
    let status = Command::new("tar")
        .args(["--numeric-owner", "--same-permissions", "-xf"])
        .arg(archive)
        .args(docker_s.map(|path| format!("--exclude={path}")))
        .arg("--exclude=etc/resolv.conf")
        .current_dir(&target)
        .status()
        .unwrap();
    assert!(status.success());
    target
}

#[test]
fn docker_containerd_and_umoci_unpack_the_same_files() {
    let sandbox = Sandbox::new();
    build(&sandbox, false, &["build", "-o", "oci:out:v1", "-o", "oci-archive:out.tar"]);
    let work = sandbox.work();
    run("umoci", &["unpack", "--image", "out:v1", "bundle"], &work);
    let umoci = listing(&work.join("bundle/rootfs"));
    let is_ours = |line: &&String| line.starts_with("app/ ") || line.starts_with("var/");
    assert_eq!(
        umoci.iter().filter(is_ours).collect::<Vec<_>>(),
        [
            "app/ 755 1000:1000",
            "var/ 755 0:0",
            "var/holodeck/ 755 0:0",
            "var/holodeck/work/ 755 1000:1000",
            "var/lib/ 755 0:0"
        ]
    );

    let containerd = Containerd::start();
    let archive = work.join("out.tar");
    assert_eq!(listing(&containerd.unpack(archive.to_str().unwrap())), umoci);

    let daemon = Daemon::start_on("overlay2");
    let target = "docker-daemon:desk:v1";
    let host = daemon.host();
    run("skopeo", &["copy", "--dest-daemon-host", &host, "oci:out:v1", target], &work);
    let exported = unpack_export(&daemon.export("desk:v1"), work.join("exported"));
    assert_eq!(listing(&exported), umoci);
}
