//! A real containerd, which unpacks images but runs nothing here.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A containerd of its own.
#[derive(Debug)]
pub(crate) struct Containerd {
    process: Child,
    folder: tempfile::TempDir,
}

impl Containerd {
    /// Starts it and waits until it answers.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let config = "version = 2\nroot = \"FOLDER/root\"\nstate = \"FOLDER/state\"\n\
                      disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
                      [grpc]\naddress = \"FOLDER/socket\"\n";
        let config = config.replace("FOLDER", folder.path().to_str().unwrap());
        std::fs::write(path("config.toml"), config).unwrap();
        let process = Command::new("containerd")
            .arg("--config")
            .arg(path("config.toml"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(path("log")).unwrap())
            .spawn()
            .expect("containerd is installed by tests/run");
        let containerd = Self { process, folder };
        let start = Instant::now();
        while !containerd.command().arg("version").output().unwrap().status.success() {
            let log = std::fs::read_to_string(containerd.folder.path().join("log")).unwrap();
            assert!(start.elapsed() < Duration::from_mins(1), "containerd does not start:\n{log}");
            std::thread::yield_now();
        }
        containerd
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ctr");
        command.args(["--namespace", "test", "--address"]).arg(self.folder.path().join("socket"));
        command
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ctr {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Imports the only image of an OCI archive and gives the folder in which it lies unpacked.
    #[track_caller]
    pub(crate) fn unpack(&self, archive: &str) -> PathBuf {
        let target = self.folder.path().join("unpacked");
        std::fs::create_dir(&target).unwrap();
        self.succeed(&["images", "import", archive]);
        let name = self.succeed(&["images", "list", "--quiet"]);
        self.succeed(&["images", "mount", name.trim(), target.to_str().unwrap()]);
        target
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path().join("unpacked")).status();
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}
