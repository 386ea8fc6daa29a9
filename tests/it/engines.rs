//! A real Docker daemon takes what we make, and the base's folders come out as they were.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::cli::{Outcome, Sandbox};

/// A daemon of its own, without network and with the simplest storage.
struct Daemon {
    process: Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new("dockerd")
            .args([
                "--data-root",
                &path("data"),
                "--exec-root",
                &path("exec"),
                "--pidfile",
                &path("pid"),
            ])
            .args(["--host", &format!("unix://{}", path("socket"))])
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--bridge=none",
                "--storage-driver=vfs",
            ])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("dockerd is installed by tests/run");
        let daemon = Self { process, folder };
        let start = Instant::now();
        while !daemon.docker(&["version"]).status.success() {
            let log = std::fs::read_to_string(daemon.folder.path().join("log")).unwrap();
            assert!(start.elapsed() < Duration::from_mins(1), "dockerd does not start:\n{log}");
            std::thread::yield_now();
        }
        daemon
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn docker(&self, arguments: &[&str]) -> std::process::Output {
        let host = format!("unix://{}", self.socket().display());
        Command::new("docker").args(["--host", &host]).args(arguments).output().unwrap()
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.docker(arguments);
        assert!(
            output.status.success(),
            "docker {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// `ls -l` of a container's file system, as GNU tar prints it.
    fn listing(&self, image: &str) -> String {
        let container = self.succeed(&["create", image, "/none"]);
        let archive = self.folder.path().join("export.tar");
        self.succeed(&["export", "-o", archive.to_str().unwrap(), &container]);
        let output =
            Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(archive).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// A base as distributions ship it: merged `/usr`, an `/app` of user 1000, a sticky `/tmp`.
fn base(sandbox: &Sandbox) {
    sandbox.write("base/usr/bin/sh", "#!");
    sandbox.write(
        "base/dockless.yaml",
        "name: base\nbase: scratch\nlayers:\n  - kind: files\n    directories:\n      - {path: /app, mode: \"0755\", owner: \"1000:1000\"}\n      - {path: /tmp, mode: \"1777\"}\n    copy:\n      - {src: usr, dest: /usr}\n      - {src: bin, dest: /bin}\n",
    );
    std::os::unix::fs::symlink("usr/bin", sandbox.work().join("base/bin")).unwrap();
    sandbox.succeed(["build", "base", "-o", "oci:base-image"]);
}

#[test]
fn docker_loads_the_image_and_the_base_stays_as_it_was() {
    let sandbox = Sandbox::new();
    base(&sandbox);
    sandbox.write("agent/run", "x");
    sandbox.write(
        "agent/dockless.yaml",
        "name: agent\nbase: oci:../base-image\nlayers:\n  - kind: files\n    copy:\n      - {src: run, dest: /app/run}\n      - {src: run, dest: /bin/run}\n      - {src: run, dest: /tmp/run}\n",
    );
    let daemon = Daemon::start();
    let mut command = sandbox.command(["build", "agent", "--load", "-t", "v1"]);
    let outcome =
        Outcome::of(command.env("DOCKER_HOST", format!("unix://{}", daemon.socket().display())));
    assert_eq!(outcome.code, 0, "{outcome:#?}");

    let listing = daemon.listing("agent:v1");
    let find = |path: &str| -> Vec<String> {
        let line = listing.lines().find(|line| {
            line.split_whitespace().nth(5).is_some_and(|name| name.trim_end_matches('/') == path)
        });
        let words: Vec<_> =
            line.unwrap_or("none none").split_whitespace().map(str::to_owned).collect();
        words.into_iter().take(2).collect()
    };
    assert_eq!(find("app"), ["drwxr-xr-x", "1000/1000"], "{listing}");
    assert_eq!(find("tmp"), ["drwxrwxrwt", "0/0"], "{listing}");
    assert_eq!(find("bin"), ["lrwxrwxrwx", "0/0"], "{listing}");
    assert_eq!(find("usr/bin/run"), ["-rw-r--r--", "0/0"], "{listing}");
    assert_eq!(find("app/run"), ["-rw-r--r--", "0/0"], "{listing}");
}
