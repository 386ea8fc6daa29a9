//! The project that every tool makes an image of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tree;

const FILES: u64 = 5_000;
const FILE_BYTES: u64 = 40_000;

/// The file that changes.
const FILE: &str = "app/d0/f0.txt";

/// What each tool reads of it: `dockless.yaml` or the `Dockerfile`; tar takes the folder `app`.
const CONFIG: &str = "name: bench
base: scratch # --base says which
layers:
  - {kind: files, copy: [{src: app, dest: /app}]}
entrypoint: [/app/run]
labels: {purpose: bench}
";
const DOCKERFILE: &str = "ARG BASE
FROM ${BASE}
COPY app /app
ENTRYPOINT [\"/app/run\"]
LABEL purpose=bench
";

/// A git checkout of 5,000 files, 200 MB.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) root: PathBuf,
    original: Vec<u8>,
}

impl Project {
    /// Writes it.
    pub(crate) fn generate(root: &Path) -> Self {
        tree::generate(&root.join("app"), FILES, FILE_BYTES);
        for (name, text) in
            [("dockless.yaml", CONFIG), ("Dockerfile", DOCKERFILE), (".dockerignore", ".git\n")]
        {
            fs::write(root.join(name), text).expect("the file can be written");
        }
        for arguments in [
            &["init", "-q"][..],
            &["add", "."],
            &["-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", "all"],
        ] {
            let status = Command::new("git").current_dir(root).args(arguments).status();
            assert!(status.expect("git is installed").success(), "git {arguments:?} failed");
        }
        let original = fs::read(root.join(FILE)).expect("it was just written");
        Self { root: root.to_owned(), original }
    }

    /// Changes one file of 40 kB; each of these texts is another change.
    pub(crate) fn change(&self, text: &str) {
        let mut content = self.original.clone();
        content[..text.len()].copy_from_slice(text.as_bytes());
        self.write(&content);
    }

    /// Takes the changes back.
    pub(crate) fn restore(&self) {
        self.write(&self.original);
    }

    fn write(&self, content: &[u8]) {
        fs::write(self.root.join(FILE), content).expect("the file can be written");
    }
}
