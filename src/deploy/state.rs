//! What was deployed from this folder: `.dockless/state.json`.
//!
//! A history and a cache: what is there is always asked of the platform. Losing the file loses only the
//! history. It holds no secret; still nobody but its owner reads it (mode 0600).

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::history::{Entry, ROLLED_BACK};
use super::{Deployment, Journal, Outcome, Service};
use crate::error::{Classified, ErrorKind};
use crate::sys::{Clock, atomic_file};

/// The folder beside the config.
const FOLDER: &str = ".dockless";
/// The file in it.
const FILE: &str = "state.json";
/// What is locked while the file is changed.
const LOCK: &str = "state.lock";
/// The version of the file's form.
const VERSION: u32 = 1;
/// So many deployments of one service are remembered.
const MAX_HISTORY: usize = 20;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read or written.
    #[error("cannot {verb} `{}`", path.display())]
    Io {
        /// `read`, `write`, `lock`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what we wrote.
    #[error("`{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A later release wrote it.
    #[error("`{}` was written by a later release: version {version}, and this one knows {VERSION}", path.display())]
    Later {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
}

impl Classified for StateError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Io { path, .. } => {
                let folder = path.parent().unwrap_or(path);
                vec![format!("make `{}` a folder that can be written", folder.display())]
            }
            Self::Damaged { path, .. } => vec![format!(
                "remove `{}`: only the history is lost, what runs is asked of the platform",
                path.display()
            )],
            Self::Later { .. } => vec!["use the release that wrote it, or a later one".to_owned()],
        }
    }
}

/// The state of one folder.
#[derive(Debug, Clone)]
pub struct StateFile {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    version: u32,
    /// By environment, then by what runs there.
    environments: BTreeMap<String, BTreeMap<String, Record>>,
}

/// What every form of the file begins with.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// What is known of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// What was about to be created when nobody was there to hear the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    intents: Vec<Intent>,
    /// What was deployed, the oldest first.
    #[serde(default)]
    history: Vec<Entry>,
}

/// Something that was about to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Intent {
    resource: String,
    at: i64,
}

/// One service in the state of a folder.
#[derive(Debug, Clone)]
pub struct ServiceState {
    file: StateFile,
    environment: String,
    service: String,
}

impl StateFile {
    /// The state of the project in this folder; nothing is read or written yet.
    pub fn of(project: &Path, clock: Arc<dyn Clock>) -> Self {
        Self { folder: project.join(FOLDER), clock }
    }

    /// The part of one service: `lambda agent in eu-west-1`.
    pub fn service(&self, environment: &str, service: &str) -> ServiceState {
        let (environment, service) = (environment.to_owned(), service.to_owned());
        ServiceState { file: self.clone(), environment, service }
    }

    /// What was deployed to an environment: `lambda agent in eu-west-1`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn services(&self, environment: &str) -> Result<Vec<String>, StateError> {
        let mut content = self.read()?;
        Ok(content.environments.remove(environment).unwrap_or_default().into_keys().collect())
    }

    fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
        let path = path.to_owned();
        move |source| StateError::Io { verb, path, source }
    }

    fn read(&self) -> Result<Content, StateError> {
        let path = self.path();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Content { version: VERSION, environments: BTreeMap::new() });
            }
            Err(error) => return Err(Self::io("read", &path)(error)),
        };
        let damaged = |source| StateError::Damaged { path: path.clone(), source };
        let Version { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if version > VERSION {
            return Err(StateError::Later { path, version });
        }
        serde_json::from_slice(&bytes).map_err(damaged)
    }

    /// Changes the file while nobody else does.
    fn change(&self, change: impl FnOnce(&mut Content, i64)) -> Result<(), StateError> {
        std::fs::create_dir_all(&self.folder).map_err(Self::io("write", &self.path()))?;
        let _lock = self.lock()?;
        // It is of this machine: no commit should have it.
        let ignore = self.folder.join(".gitignore");
        if !ignore.exists() {
            atomic_file::write(&ignore, b"*\n").map_err(Self::io("write", &ignore))?;
        }
        let mut content = self.read()?;
        change(&mut content, self.clock.unix_seconds());
        let text = serde_json::to_vec_pretty(&content).expect("the state has text keys only");
        atomic_file::write_private(&self.path(), &text).map_err(Self::io("write", &self.path()))
    }

    /// The lock ends with the file that is returned. File systems without locks have none.
    fn lock(&self) -> Result<File, StateError> {
        let path = self.folder.join(LOCK);
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(Self::io("lock", &path))?;
        match file.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => {
                Err(Self::io("lock", &path)(error))
            }
            _ => Ok(file),
        }
    }
}

impl ServiceState {
    /// The deployments of this service, the oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn history(&self) -> Result<Vec<Entry>, StateError> {
        let content = self.file.read()?;
        let record =
            content.environments.get(&self.environment).and_then(|all| all.get(&self.service));
        Ok(record.map(|record| record.history.clone()).unwrap_or_default())
    }

    /// What was about to be created and was never heard of again.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn intents(&self) -> Result<Vec<String>, StateError> {
        let content = self.file.read()?;
        let record =
            content.environments.get(&self.environment).and_then(|all| all.get(&self.service));
        let intents = record.map(|record| record.intents.iter()).into_iter().flatten();
        Ok(intents.map(|intent| intent.resource.clone()).collect())
    }

    /// Records how a deployment ended; nothing is in doubt any more.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn record(&self, deployment: &Deployment) -> Result<(), StateError> {
        self.add(|at| Entry {
            image: deployment.image.clone(),
            outcome: deployment.outcome.name().to_owned(),
            from: None,
            revision: deployment.revision.clone(),
            url: deployment.url.clone(),
            at,
        })
    }

    /// Records that what a service runs now was brought back, and from what.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn record_rollback(&self, service: &Service, from: Option<&str>) -> Result<(), StateError> {
        self.add(|at| Entry {
            image: service.image.clone().unwrap_or_default(),
            outcome: ROLLED_BACK.to_owned(),
            from: from.map(str::to_owned),
            revision: service.revision.clone(),
            url: service.url.clone(),
            at,
        })
    }

    fn add(&self, entry: impl FnOnce(i64) -> Entry) -> Result<(), StateError> {
        self.change(|record, at| {
            record.intents.clear();
            let entry = entry(at);
            let is_repeated = record.history.last().is_some_and(|last| last.image == entry.image)
                && entry.outcome == Outcome::Unchanged.name();
            if !is_repeated {
                record.history.push(entry);
            }
            let excess = record.history.len().saturating_sub(MAX_HISTORY);
            record.history.drain(..excess);
        })
    }

    /// Forgets a service that is gone.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn forget(&self) -> Result<(), StateError> {
        self.file.change(|content, _| {
            if let Some(services) = content.environments.get_mut(&self.environment) {
                services.remove(&self.service);
            }
        })
    }

    fn change(&self, change: impl FnOnce(&mut Record, i64)) -> Result<(), StateError> {
        self.file.change(|content, at| {
            let services = content.environments.entry(self.environment.clone()).or_default();
            change(services.entry(self.service.clone()).or_default(), at);
        })
    }
}

impl Journal for ServiceState {
    fn intend(&self, resource: &str) -> crate::error::Result<()> {
        let resource = resource.to_owned();
        Ok(self.change(|record, at| {
            record.intents.retain(|intent| intent.resource != resource);
            record.intents.push(Intent { resource, at });
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::{Probe, Subject};
    use crate::sys::ManualClock;

    fn deployment(image: &str, outcome: Outcome) -> Deployment {
        Deployment {
            target: "lambda",
            subject: Subject { what: "f", name: "a".into(), place: "r".into() },
            outcome,
            image: image.to_owned(),
            url: None,
            revision: None,
            reason: None,
            probe: Probe::Healthy(200),
            rolled_back_to: None,
        }
    }

    #[test]
    fn a_history_is_kept_and_an_intent_ends_with_what_became_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::of(folder.path(), Arc::new(ManualClock::at(7)));
        let state = file.service("prod", "lambda a in r");
        assert_eq!(state.history().unwrap(), []);
        state.intend("function a").unwrap();
        assert_eq!(state.intents().unwrap(), ["function a"]);
        assert_eq!(file.service("prod", "lambda b in r").intents().unwrap(), [""; 0]);
        state.record(&deployment("one", Outcome::Deployed)).unwrap();
        state.record(&deployment("one", Outcome::Unchanged)).unwrap();
        state.record(&deployment("two", Outcome::DeployedNotHealthy)).unwrap();
        assert_eq!(state.intents().unwrap(), [""; 0]);
        let entry = |image: &str, outcome: &str| Entry {
            image: image.into(),
            outcome: outcome.into(),
            from: None,
            revision: None,
            url: None,
            at: 7,
        };
        let expected = [entry("one", "deployed"), entry("two", "deployed_not_healthy")];
        assert_eq!(state.history().unwrap(), expected);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(file.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        state.forget().unwrap();
        assert_eq!(state.history().unwrap(), []);
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused_and_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::of(folder.path(), Arc::new(ManualClock::at(7)));
        std::fs::create_dir(folder.path().join(FOLDER)).unwrap();
        for (text, expected) in [
            (
                "{\"version\": 2, \"x\": 1}",
                "was written by a later release: version 2, and this one knows 1",
            ),
            ("{\"version\": 1}", "is damaged"),
            ("", "is damaged"),
        ] {
            std::fs::write(file.path(), text).unwrap();
            let error = file.service("a", "b").intend("x").unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert_eq!(std::fs::read_to_string(file.path()).unwrap(), text);
        }
    }
}
