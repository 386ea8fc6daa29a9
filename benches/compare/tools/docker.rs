//! docker, with a daemon of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::first_line;
use crate::tool::Tool;

/// A daemon without network; its client's configuration lies beside it.
#[derive(Debug)]
pub(crate) struct Docker {
    process: Child,
    folder: PathBuf,
}

impl Docker {
    /// Starts it and waits until it answers.
    pub(crate) fn start(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("the folder can be made");
        let path = |name: &str| folder.join(name).display().to_string();
        let log = File::create(folder.join("log")).expect("the folder can be written");
        let process = Command::new("dockerd")
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("pid"), "--host", &format!("unix://{}", path("socket"))])
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("dockerd is installed");
        let docker = Self { process, folder: folder.to_owned() };
        let start = Instant::now();
        while !docker.run(&["version"]) {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_mins(1), "dockerd does not start:\n{log}");
            std::thread::sleep(Duration::from_millis(100));
        }
        docker
    }

    /// Whether the client could do this.
    fn run(&self, arguments: &[&str]) -> bool {
        let output = Command::new("docker").args(arguments).envs(self.variables()).output();
        output.expect("docker is installed").status.success()
    }
}

impl Tool for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn version(&self) -> String {
        first_line("docker", &["--version"])
    }

    fn script(&self) -> &'static str {
        "docker build -q --build-arg BASE=\"$BASE\" -t \"$TARGET\" \"$PROJECT\"; \
         docker push -q \"$TARGET\""
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        vec![
            ("DOCKER_HOST", format!("unix://{}", path("socket"))),
            ("DOCKER_CONFIG", path("client")),
        ]
    }

    fn forget(&self) {
        assert!(self.run(&["system", "prune", "--all", "--force"]), "docker does not clean up");
    }

    fn daemon(&self) -> Option<u32> {
        Some(self.process.id())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // A daemon that is killed leaves its containerd running.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}
