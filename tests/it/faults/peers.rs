//! The same rows with other clients, where they are installed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::support::docker::Daemon;
use super::evidence::{self, Evidence};
use super::row::{End, Operation};

/// A client that says nothing for this long hangs.
const LIMIT: Duration = Duration::from_secs(45);
/// What docker and buildah call the image that they push.
const LOCAL: &str = "dockless-matrix:v1";

/// Another client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// Its name and, in the table, its options.
    pub(super) name: &'static str,
    program: &'static str,
    version: &'static [&'static str],
    /// Takes the image over before the first push.
    load: Option<&'static str>,
    push: &'static str,
    pull: &'static str,
    /// Forgets what the last pull brought.
    forget: Option<&'static str>,
    /// Whether a pull leaves a layout that can be looked at.
    has_layout: bool,
}

/// What became of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It did what it was asked to.
    Done,
    /// It failed, and no tag is there.
    Failed,
    /// It reports a failure, and the tag is there.
    FalseFailure,
    /// It reports success, and the tag is not there.
    FalseSuccess,
    /// A tag is there that cannot be pulled.
    BrokenTag,
    /// It did not end.
    Hangs,
    /// It never sent the request that the fault is for.
    NotReached,
}

/// Where the peers keep what they know: a daemon and folders of our own.
#[derive(Debug)]
pub(super) struct Home {
    daemon: Daemon,
    folder: tempfile::TempDir,
}

/// In commands, `LAYOUT` is the image, `REFERENCE` where it goes, `OUT` a new folder.
pub(super) const PEERS: [Peer; 5] = [
    Peer {
        name: "crane",
        program: "crane",
        version: &["version"],
        load: None,
        push: "crane push --insecure LAYOUT REFERENCE",
        pull: "crane pull --insecure --format oci REFERENCE OUT",
        forget: None,
        has_layout: true,
    },
    Peer {
        name: "skopeo",
        program: "skopeo",
        version: &["--version"],
        load: None,
        push: "skopeo copy --dest-tls-verify=false oci:LAYOUT:v1 docker://REFERENCE",
        pull: "skopeo copy --src-tls-verify=false docker://REFERENCE oci:OUT:v1",
        forget: None,
        has_layout: true,
    },
    Peer {
        name: "skopeo, 3 retries",
        program: "skopeo",
        version: &["--version"],
        load: None,
        push: "skopeo copy --retry-times 3 --dest-tls-verify=false oci:LAYOUT:v1 docker://REFERENCE",
        pull: "skopeo copy --retry-times 3 --src-tls-verify=false docker://REFERENCE oci:OUT:v1",
        forget: None,
        has_layout: true,
    },
    Peer {
        name: "buildah",
        program: "buildah",
        version: &["--version"],
        // It makes a name of the path, and wants it in lower case.
        load: Some("cd LAYOUT/.. && $BUILDAH tag $($BUILDAH pull -q oci:layout:v1) LOCAL"),
        push: "$BUILDAH push -q --tls-verify=false LOCAL docker://REFERENCE",
        pull: "$BUILDAH rmi -f LOCAL; $BUILDAH pull -q --tls-verify=false docker://REFERENCE",
        forget: Some("$BUILDAH rmi -f REFERENCE"),
        has_layout: false,
    },
    Peer {
        name: "docker",
        program: "docker",
        version: &["version", "--format", "{{.Server.Version}}"],
        load: Some(
            "skopeo copy oci:LAYOUT:v1 docker-archive:LAYOUT.tar:LOCAL && docker load -i LAYOUT.tar",
        ),
        push: "docker tag LOCAL REFERENCE && docker push -q REFERENCE",
        pull: "docker rmi -f LOCAL; docker pull -q REFERENCE",
        forget: Some("docker rmi -f REFERENCE"),
        has_layout: false,
    },
];

impl Home {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Buildah stops when the file is missing that a variable names.
        std::fs::create_dir(folder.path().join("docker")).unwrap();
        std::fs::write(folder.path().join("docker/config.json"), "{}").unwrap();
        Self { daemon: Daemon::start(), folder }
    }

    /// The variables that lead there.
    fn variables(&self) -> [(&'static str, String); 3] {
        let place = self.folder.path().display();
        let buildah =
            format!("buildah --storage-driver vfs --root {place}/root --runroot {place}/run");
        let docker_config = format!("{place}/docker");
        [
            ("DOCKER_HOST", self.daemon.host()),
            ("DOCKER_CONFIG", docker_config),
            ("BUILDAH", buildah),
        ]
    }

    /// The exit code, nothing when the limit ended it, and what was said on stderr.
    async fn shell(&self, command: &str) -> (Option<i32>, String) {
        let output = tokio::process::Command::new("timeout")
            .args(["--kill-after=2", &LIMIT.as_secs().to_string(), "sh", "-c", command])
            .envs(self.variables())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().filter(|code| !matches!(code, 124 | 137)), said)
    }
}

impl Peer {
    /// Its version, when it is installed and works.
    pub(super) fn version(&self, home: &Home) -> Option<String> {
        let mut command = Command::new(self.program);
        let output = command.args(self.version).envs(home.variables()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let is_number = |word: &&str| word.contains(|letter: char| letter.is_ascii_digit());
        let number = text.split_whitespace().find(is_number);
        number.filter(|_| output.status.success()).map(str::to_owned)
    }

    /// Takes the image over.
    pub(super) async fn load(&self, home: &Home, layout: &Path) {
        if let Some(command) = self.load {
            let (code, said) = home.shell(&fill(command, layout, "", Path::new(""))).await;
            assert_eq!(code, Some(0), "{command}: {said}");
        }
    }

    /// Runs one operation; gives the exit code, nothing when it did not end, and, of a pull, what
    /// it left.
    pub(super) async fn run(&self, home: &Home, job: &Job<'_>) -> (Option<i32>, Option<Evidence>) {
        let Job { operation, layout, reference, out } = *job;
        let is_pull = operation == Operation::Pull;
        let command = if is_pull { self.pull } else { self.push };
        let (code, _) = home.shell(&fill(command, layout, reference, out)).await;
        if let Some(command) = self.forget {
            home.shell(&fill(command, layout, reference, out)).await;
        }
        let left = match code {
            _ if self.has_layout => evidence::of_layout(out),
            Some(0) => Evidence::Told,
            _ => Evidence::Absent,
        };
        (code, is_pull.then_some(left))
    }
}

/// What a peer is to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) operation: Operation,
    pub(super) layout: &'a Path,
    pub(super) reference: &'a str,
    pub(super) out: &'a Path,
}

impl Fate {
    /// Puts an exit code and what is really there together.
    pub(super) fn of(code: Option<i32>, evidence: &Evidence) -> Self {
        match (code, evidence) {
            (None, _) => Self::Hangs,
            (_, Evidence::Broken(_)) => Self::BrokenTag,
            (Some(0), Evidence::Whole(_) | Evidence::Told) => Self::Done,
            (Some(0), Evidence::Absent) => Self::FalseSuccess,
            (Some(_), Evidence::Whole(_) | Evidence::Told) => Self::FalseFailure,
            (Some(_), Evidence::Absent) => Self::Failed,
        }
    }

    /// Whether it is what the row asks for.
    pub(super) fn is_right(self, end: End) -> bool {
        match end {
            End::Survives => self == Self::Done,
            End::Refuses | End::GivesUp => self == Self::Failed,
        }
    }

    /// The cell of the table.
    pub(super) fn cell(self, end: End) -> &'static str {
        match self {
            Self::Done if end == End::Survives => "yes",
            Self::Done => "**accepts it**",
            Self::Failed if end == End::Survives => "fails",
            Self::Failed => "yes",
            Self::FalseFailure => "**false failure**",
            Self::FalseSuccess => "**false success**",
            Self::BrokenTag => "**broken tag**",
            Self::Hangs => "**hangs**",
            Self::NotReached => "",
        }
    }
}

fn fill(command: &str, layout: &Path, reference: &str, out: &Path) -> String {
    command
        .replace("LAYOUT", &layout.display().to_string())
        .replace("REFERENCE", reference)
        .replace("LOCAL", LOCAL)
        .replace("OUT", &out.display().to_string())
}
