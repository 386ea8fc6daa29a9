//! `--load`: hands a Docker archive to the local engine's own `load` command.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Context;
use crate::error::{Classified, ErrorKind, Result};
use crate::event::Action;
use crate::sys::command::Command;

/// Engines, in the order in which they are looked for.
const ENGINES: [&str; 3] = ["docker", "podman", "nerdctl"];

/// Loading a large image takes its time.
const TIMEOUT: Duration = Duration::from_mins(10);

/// The image could not be handed over.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(
        "`--load` needs a container engine, and none of `docker`, `podman` and `nerdctl` is installed"
    )]
    NoEngine,
    #[error("`{engine} load` failed: {}", reason.escape_debug())]
    Refused { engine: String, reason: String },
    #[error("cannot run `{engine} load`")]
    Broken { engine: String, source: std::io::Error },
    #[error("cannot make a temporary file for the engine")]
    NoFile { source: std::io::Error },
}

impl Classified for LoadError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoEngine => ErrorKind::Usage,
            _ => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoEngine => vec![
                "install one, choose one with DOCKLESS_ENGINE, or write an archive with `-o docker-archive:FILE`"
                    .into(),
            ],
            Self::Refused { engine, .. } => vec![format!("check that `{engine} info` works")],
            _ => Vec::new(),
        }
    }
}

/// The archive on its way to the engine; removed when it is dropped.
#[derive(Debug)]
pub(super) struct Archive {
    directory: tempfile::TempDir,
}

impl Archive {
    /// A place for the archive.
    pub(super) fn new() -> Result<Self> {
        let directory = tempfile::tempdir().map_err(|source| LoadError::NoFile { source })?;
        Ok(Self { directory })
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("image.tar")
    }

    /// The archive as a destination is written.
    pub(super) fn destination(&self) -> String {
        format!("docker-archive:{}", self.path().display())
    }
}

/// The first engine that is installed; asked before anything is built, since it is the user's turn
/// when there is none.
pub(super) async fn find_engine(context: &Context) -> Result<String> {
    let chosen = context.environment.get("DOCKLESS_ENGINE");
    let engines = chosen.map_or_else(|| ENGINES.to_vec(), |engine| vec![engine]);
    for engine in engines {
        match context.commands.run(&Command::new(engine, ["--version"])).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            // Whatever it says, it is there: how well it works shows when it loads.
            _ => return Ok(engine.to_owned()),
        }
    }
    Err(LoadError::NoEngine.into())
}

/// Loads the archive with this engine.
pub(super) async fn load(archive: &Archive, engine: &str, context: &Context) -> Result<()> {
    Ok(run(engine, &archive.path(), context).await?)
}

async fn run(engine: &str, archive: &Path, context: &Context) -> Result<(), LoadError> {
    let mut command = Command::new(engine, ["load", "--input", &archive.display().to_string()]);
    command.timeout = TIMEOUT;
    let task = context.events.task(Action::Load, format!("into {engine}"), None);
    let output = context
        .commands
        .run(&command)
        .await
        .map_err(|source| LoadError::Broken { engine: engine.to_owned(), source })?;
    if !output.is_success {
        let reason = String::from_utf8_lossy(&output.stderr).trim().chars().take(500).collect();
        return Err(LoadError::Refused { engine: engine.to_owned(), reason });
    }
    let said = String::from_utf8_lossy(&output.stdout);
    task.finish(said.lines().last().unwrap_or_default().to_owned());
    Ok(())
}
