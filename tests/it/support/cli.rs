//! Runs the binary under test in an environment of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder with a home and a cache of its own, in which commands are run.
#[derive(Debug)]
pub(crate) struct Sandbox {
    directory: tempfile::TempDir,
}

/// What a command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The exit code; -1 when a signal ended it.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// A project that has a layer of what is in `one`, and another of what is in `two`.
pub(crate) const TWO_LAYERS: &str = "name: p\nbase: builtin:static\nlayers:\n\
    - {kind: files, copy: [{src: one, dest: /srv/one}]}\n\
    - {kind: files, copy: [{src: two, dest: /srv/two}]}\n";

impl Sandbox {
    /// An empty sandbox.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["home", "cache", "work"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    /// The folder commands run in.
    pub(crate) fn work(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    /// The cache folder of the commands.
    pub(crate) fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    /// The home folder of the commands.
    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// Copies a folder of `fixtures/projects` into the work folder, outside of any git checkout.
    pub(crate) fn project(&self, name: &str) -> PathBuf {
        let target = self.work().join(name);
        copy(&fixtures().join("projects").join(name), &target);
        target
    }

    /// Writes a file below the work folder, making its folders.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The command, in the work folder, with nothing of our own environment but `PATH`.
    pub(crate) fn command<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dockless"));
        command
            .args(arguments)
            .current_dir(self.work())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("DOCKLESS_CACHE_DIR", self.cache())
            .stdin(Stdio::null());
        command
    }

    /// The command below another program: `setpriv`, `taskset`, `unshare`.
    pub(crate) fn command_below<S: AsRef<OsStr>>(
        &self,
        wrapper: &[&str],
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let inner = self.command(arguments);
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(inner.get_program()).args(inner.get_args());
        command.current_dir(self.work()).env_clear().stdin(Stdio::null());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Runs the command.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Outcome {
        Outcome::of(&mut self.command(arguments))
    }

    /// Runs the command and asserts that it succeeds; gives stdout without its last newline.
    #[track_caller]
    pub(crate) fn succeed<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        outcome.stdout.trim_end_matches('\n').to_owned()
    }
}

impl Outcome {
    /// Runs a prepared command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The folder of the fixtures.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Copies a folder with its links.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
