//! A story that needs a process of its own, with other rights or limits, or one to be killed: the
//! test binary runs the same test again, and the test finds itself in the child.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Gives up every right, below which a program is run.
pub(crate) const NOBODY: [&str; 4] =
    ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// What the parent tells the child: the folder that both know.
const FOLDER: &str = "DOCKLESS_TEST_CHILD_FOLDER";

/// A test that will be run again.
#[derive(Debug)]
pub(crate) struct Child {
    command: Command,
    /// Where the child's copy of the binary and its temporary files are.
    _own: TempDir,
}

impl Child {
    /// In the child, the folder that its parent named.
    pub(crate) fn folder() -> Option<PathBuf> {
        std::env::var_os(FOLDER).map(PathBuf::from)
    }

    /// The test (`module::name`) again, below another program when one is named.
    pub(crate) fn below(wrapper: &[&str], test: &str, folder: &Path) -> Self {
        let own = tempfile::tempdir().unwrap();
        fs::set_permissions(own.path(), Permissions::from_mode(0o777)).unwrap();
        let this = std::env::current_exe().unwrap();
        let mut command = match wrapper {
            [] => Command::new(this),
            [program, arguments @ ..] => {
                // The folder of the build may be closed to others.
                let copy = own.path().join("it");
                fs::copy(this, &copy).unwrap();
                fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
                let mut command = Command::new(program);
                command.args(arguments).arg(copy);
                command
            }
        };
        command
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .env("TMPDIR", own.path())
            .current_dir(own.path());
        Self { command, _own: own }
    }

    /// The test again, by a user without rights.
    pub(crate) fn without_rights(test: &str, folder: &Path) -> Self {
        let is_root = rustix::process::geteuid().is_root();
        Self::below(if is_root { &NOBODY } else { &[] }, test, folder)
    }

    /// The command, to be started by hand.
    pub(crate) fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Runs it, and fails when it fails or is no test.
    #[track_caller]
    pub(crate) fn pass(mut self) {
        let output = self.command.output().expect("the command can be run");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// The most memory this process ever had, in KiB.
pub(crate) fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
