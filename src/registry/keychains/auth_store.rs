//! Keeps a login where docker keeps it: in its `config.json`, or with the helper that is named there.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::secret::Secret;
use super::auth_file::{Content, MAX_FILE_BYTES, server};
use super::auth_text::{Entry, with_entry, without_entry};
use super::docker_config::config_path;
use super::helper::{self, HelperError};
use crate::error::{Classified, ErrorKind};
use crate::sys::command::Commands;
use crate::sys::{Environment, atomic_file, blocking};

/// Docker's `config.json`, to be written.
#[derive(Debug, Clone)]
pub struct AuthStore {
    path: PathBuf,
    commands: Arc<dyn Commands>,
}

/// Who keeps a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// This file, not encrypted.
    File(PathBuf),
    /// This program.
    Helper(String),
}

/// A login cannot be kept, or not be forgotten.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nobody says where docker's configuration is.
    #[error("there is no place for a login: no home folder is known")]
    NoPlace,
    /// The file is not what it should be; it stays as it is.
    #[error("`{}` cannot be changed: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error("cannot write `{}`", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The helper that keeps this registry's logins does not do so.
    #[error("the helper that `{}` names for this registry fails", path.display())]
    Helper {
        /// The file.
        path: PathBuf,
        /// What it did.
        source: HelperError,
    },
}

impl AuthStore {
    /// The file that docker uses.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoPlace`].
    pub fn new(
        environment: &Environment,
        commands: &Arc<dyn Commands>,
    ) -> Result<Self, StoreError> {
        let path = config_path(environment).ok_or(StoreError::NoPlace)?;
        Ok(Self { path, commands: Arc::clone(commands) })
    }

    /// The file that is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a login, in place of the one there was.
    ///
    /// # Errors
    ///
    /// Nothing has changed then.
    pub async fn keep(
        &self,
        registry: &str,
        username: &str,
        password: &Secret,
    ) -> Result<Kept, StoreError> {
        let helper = self.helper(registry).await?;
        if let Some(name) = &helper {
            helper::store(self.commands.as_ref(), name, server(registry), username, password)
                .await
                .map_err(|source| self.failed(source))?;
        }
        let path = self.path.clone();
        blocking(move || create_private_folder(folder_of(&target(&path))))
            .await
            .map_err(|source| StoreError::Unwritable { path: self.path.clone(), source })?;
        let (registry, username) = (registry.to_owned(), username.to_owned());
        let (password, is_elsewhere) = (password.clone(), helper.is_some());
        self.change(move |text| {
            let entry =
                if is_elsewhere { Entry::Elsewhere } else { Entry::Password(&username, &password) };
            with_entry(text, &registry, entry).map(Some)
        })
        .await?;
        Ok(helper.map_or_else(|| Kept::File(self.path.clone()), |name| kept_by(&name)))
    }

    /// Forgets the login for a registry; `None` when there was none.
    ///
    /// # Errors
    ///
    /// What could be forgotten is forgotten then.
    pub async fn forget(&self, registry: &str) -> Result<Option<Kept>, StoreError> {
        let helper = self.helper(registry).await?;
        let host = registry.to_owned();
        let has_changed = self.change(move |text| without_entry(text, &host)).await?;
        if let Some(name) = &helper {
            let had_it = helper::erase(self.commands.as_ref(), name, server(registry))
                .await
                .map_err(|source| self.failed(source))?;
            if had_it {
                return Ok(Some(kept_by(name)));
            }
        }
        Ok(has_changed.then(|| Kept::File(self.path.clone())))
    }

    /// The helper for a registry.
    async fn helper(&self, registry: &str) -> Result<Option<String>, StoreError> {
        let path = self.path.clone();
        let text = blocking(move || read(&path)).await?;
        match Content::parse(&text) {
            Ok(content) => Ok(content.helper(registry).map(str::to_owned)),
            Err(reason) => Err(StoreError::Damaged { path: self.path.clone(), reason }),
        }
    }

    /// Reads the file, changes its text and writes it, with no other login in between. Gives
    /// whether there was anything to change.
    async fn change(
        &self,
        edit: impl FnOnce(&str) -> Result<Option<String>, String> + Send + 'static,
    ) -> Result<bool, StoreError> {
        let path = self.path.clone();
        blocking(move || {
            let unwritable = |source| StoreError::Unwritable { path: path.clone(), source };
            // A link stays a link: what it leads to is replaced.
            let target = target(&path);
            let _lock = lock(folder_of(&target));
            let edited = edit(&read(&path)?)
                .map_err(|reason| StoreError::Damaged { path: path.clone(), reason })?;
            let Some(text) = edited else { return Ok(false) };
            atomic_file::write_private(&target, text.as_bytes()).map_err(unwritable)?;
            Ok(true)
        })
        .await
    }

    fn failed(&self, source: HelperError) -> StoreError {
        StoreError::Helper { path: self.path.clone(), source }
    }
}

impl Classified for StoreError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoPlace | Self::Damaged { .. } => ErrorKind::Usage,
            Self::Helper { source, .. } => match source {
                HelperError::Name { .. } | HelperError::NotInstalled { .. } => ErrorKind::Usage,
                _ => ErrorKind::Failed,
            },
            Self::Unwritable { .. } => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoPlace => "set `HOME`, or `DOCKER_CONFIG` to a folder".into(),
            Self::Damaged { .. } => "mend it, or move it out of the way".into(),
            Self::Unwritable { .. } => "set `DOCKER_CONFIG` to a folder that can be written".into(),
            Self::Helper { path, .. } => format!(
                "install or unlock it, or take it out of `credsStore` and `credHelpers` in `{}`",
                path.display()
            ),
        }]
    }
}

fn kept_by(name: &str) -> Kept {
    Kept::Helper(format!("{}{name}", helper::PREFIX))
}

/// The text of the file; none when there is no file.
fn read(path: &Path) -> Result<String, StoreError> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > MAX_FILE_BYTES => Err(StoreError::Damaged {
            path: path.to_owned(),
            reason: format!("it has more than {MAX_FILE_BYTES} bytes"),
        }),
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::Unwritable { path: path.to_owned(), source })
        }
        Ok(_) | Err(_) => Ok(text),
    }
}

/// What a path leads to through links, also when there is nothing there yet.
fn target(path: &Path) -> PathBuf {
    /// As many as Linux follows.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(link) = fs::read_link(&path) else { break };
        path = folder_of(&path).join(link);
    }
    path
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Keeps other logins out until it is dropped, and leaves nothing behind. Where a folder cannot be
/// locked, one of two logins at the same moment may be lost, but no file is ever torn.
fn lock(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    folder.lock().ok()?;
    Some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::command::FakeCommands;

    fn store(folder: &Path) -> AuthStore {
        let commands: Arc<dyn Commands> = Arc::new(FakeCommands::default());
        AuthStore { path: folder.join("docker/config.json"), commands }
    }

    #[tokio::test]
    async fn no_login_is_lost_to_another_at_the_same_moment() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let password = Secret::new("p");
        let hosts: Vec<_> = (0..16).map(|number| format!("r{number}.io")).collect();
        let logins = hosts.iter().map(|host| store.keep(host, "bob", &password));
        for kept in futures_util::future::join_all(logins).await {
            assert_eq!(kept.unwrap(), Kept::File(store.path.clone()));
        }
        for host in &hosts {
            assert!(store.forget(host).await.unwrap().is_some(), "{host}");
            assert!(store.forget(host).await.unwrap().is_none(), "{host}");
        }
        let text = fs::read_to_string(&store.path).unwrap();
        assert_eq!(text, "{\n\t\"auths\": {}\n}");
        assert_eq!(fs::read_dir(store.path.parent().unwrap()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_file_is_private_and_a_link_stays_a_link() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let real = folder.path().join("dotfiles/docker.json");
        fs::create_dir_all(store.path.parent().unwrap()).unwrap();
        // It leads to a folder that does not exist yet.
        symlink("../dotfiles/docker.json", &store.path).unwrap();
        for _ in 0..2 {
            store.keep("r.io", "bob", &Secret::new("p")).await.unwrap();
            assert!(fs::symlink_metadata(&store.path).unwrap().is_symlink());
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&real), mode(real.parent().unwrap())), (0o600, 0o700));
            fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }

    #[tokio::test]
    async fn a_missing_helper_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        fs::create_dir_all(store.path.parent().unwrap()).unwrap();
        let text = r#"{"credHelpers": {"r.io": "gone"}}"#;
        atomic_file::write(&store.path, text.as_bytes()).unwrap();
        let error = store.keep("r.io", "bob", &Secret::new("p")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(fs::read_to_string(&store.path).unwrap(), text);
    }
}
