//! A real Docker daemon.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A daemon of its own, without network.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// Starts it with the simplest storage and waits until it answers.
    pub(crate) fn start() -> Self {
        Self::start_on("vfs")
    }

    /// The same with this storage; `overlay2` is what nearly everybody has.
    pub(crate) fn start_on(storage: &str) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "dockerd needs root: `cargo test -- --skip engines:: --skip real_run::` leaves these out"
        );
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
                &format!("--storage-driver={storage}"),
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

    /// Its address, for `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    /// Runs `docker` with this daemon.
    pub(crate) fn docker(&self, arguments: &[&str]) -> std::process::Output {
        Command::new("docker").args(["--host", &self.host()]).args(arguments).output().unwrap()
    }

    /// Runs `docker` with this daemon; its failure is the test's.
    #[track_caller]
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.docker(arguments);
        assert!(
            output.status.success(),
            "docker {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// The file system of a container that was never started, as a tar.
    pub(crate) fn export(&self, image: &str) -> PathBuf {
        let container = self.succeed(&["create", image, "/none"]);
        let archive = self.folder.path().join("export.tar");
        self.succeed(&["export", "-o", archive.to_str().unwrap(), &container]);
        archive
    }

    /// `ls -l` of a container's file system, as GNU tar prints it.
    pub(crate) fn listing(&self, image: &str) -> String {
        let archive = self.export(image);
        let output =
            Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(archive).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let containers = self.docker(&["ps", "--quiet"]).stdout;
        let containers = String::from_utf8_lossy(&containers).into_owned();
        for container in containers.lines() {
            self.docker(&["rm", "--force", container]);
        }
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}
