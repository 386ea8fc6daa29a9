//! Gathers everything planning needs, as much as possible at the same time: files, bases, git facts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::Context;
use super::base_files::Bases;
use super::project::Project;
use crate::error::{Classified, ErrorKind, Result};
use crate::gather::{self, ReadFiles, base};
use crate::layer::FileDigests;
use crate::oci::{ImageConfig, Platform};
use crate::plan::{self, FileStamp, Inputs, Tree, TreeNeed, VcsFacts};
use crate::registry::Client;
use crate::store::Store;
use crate::sys::blocking;

/// The project's folder vanished, or `SOURCE_DATE_EPOCH` is no time.
#[derive(Debug, thiserror::Error)]
enum SurroundingsError {
    #[error("cannot open the project's folder `{}`", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("`SOURCE_DATE_EPOCH` is `{}`, not seconds since 1970", text.escape_debug())]
    Epoch { text: String },
}

impl Classified for SurroundingsError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }
}

/// What gathering needs beside the project.
#[derive(Debug)]
pub(super) struct Gathering<'a> {
    pub(super) context: &'a Context,
    pub(super) client: Client,
    pub(super) store: Store,
    /// The project's folder.
    pub(super) folder: Arc<gather::Project>,
    /// What is known of its files.
    pub(super) digests: Arc<FileDigests>,
    vcs: OnceCell<Option<VcsFacts>>,
}

/// Files whose digest is known.
#[derive(Debug)]
struct Digested(Arc<FileDigests>);

impl ReadFiles for Digested {
    fn has(&self, path: &str, stamp: &FileStamp) -> bool {
        self.0.has(path, stamp)
    }
}

/// The project's files, listed or read.
pub(super) type Files = (BTreeMap<TreeNeed, Tree>, BTreeMap<String, Bytes>);

impl<'a> Gathering<'a> {
    /// Opens the project's folder; `outputs` are what this command writes: never listed as part of it.
    /// When all `is_anew`, nothing is known of its files.
    pub(super) async fn open(
        project: &Project,
        outputs: &[PathBuf],
        is_anew: bool,
        (client, store): (Client, Store),
        context: &'a Context,
    ) -> Result<Self> {
        let path = project.config.source.directory.clone();
        let folder = gather::Project::open(&path, context.environment.home().as_deref(), outputs)
            .map_err(|source| SurroundingsError::Folder { path, source })?
            .with_ignore(project.guard.ignore.clone());
        let directory = folder.directory().to_owned();
        let digests = if is_anew {
            FileDigests::none(&directory)
        } else {
            let store = store.clone();
            blocking(move || FileDigests::load(&store, &directory)).await
        };
        let digests = Arc::new(digests);
        let folder = if digests.is_new() {
            folder
        } else {
            folder.with_read_files(Arc::new(Digested(digests.clone())))
        };
        let (folder, vcs) = (Arc::new(folder), OnceCell::new());
        Ok(Self { context, client, store, folder, digests, vcs })
    }

    /// What git says of the project; asked once.
    pub(super) async fn vcs(&self) -> Option<&VcsFacts> {
        let facts = self.vcs.get_or_init(|| Box::pin(vcs_facts(&self.folder, self.context)));
        facts.await.as_ref()
    }

    /// Lists and reads the project's files.
    pub(super) async fn files(&self, project: &Project) -> Result<Files> {
        let needs = plan::needs(&project.sources);
        let (folder, events) = (self.folder.clone(), self.context.events.clone());
        blocking(move || gather::gather_files(&needs, &folder, &events))
            .await
            .map_err(|error| project.locate(error))
    }

    /// Resolves the bases, without what is in them.
    pub(super) async fn bases(&self, project: &Project) -> Result<Bases> {
        let config = &project.config;
        let context = base::BaseContext {
            client: &self.client,
            project: &config.source.directory,
            events: &self.context.events,
            builtin: builtin_base,
        };
        base::resolve(&config.base, &config.platforms, context).await
    }

    /// What is gathered, as the planner wants it.
    pub(super) async fn inputs(&self, (trees, files): Files, bases: Bases) -> Result<Inputs> {
        let source_date_epoch = source_date_epoch(self.context)?;
        Ok(Inputs { trees, files, bases, vcs: self.vcs().await.cloned(), source_date_epoch })
    }
}

/// An embedded base as a base like any other.
fn builtin_base(name: &str, platform: &Platform) -> Option<base::BuiltinBase> {
    let builtin = plan::builtin_base(name)?;
    let config = ImageConfig { config: builtin.run, ..ImageConfig::scratch(platform) };
    Some(base::BuiltinBase { config, root: builtin.root })
}

/// Asks git, or the CI's variables.
async fn vcs_facts(folder: &gather::Project, context: &Context) -> Option<VcsFacts> {
    let Context { environment, commands, events, .. } = context;
    match gather::vcs_facts(folder, environment, commands.as_ref(), events).await {
        Ok(facts) => {
            if facts.is_dirty {
                events.warn(
                    "dirty-tree",
                    "tracked files were changed since the last commit: the image is not what the commit says",
                    Some("commit the changes before an image that others use is pushed".into()),
                );
            }
            Some(facts)
        }
        Err(unknown) => {
            match &unknown.cure {
                // There is a repository that git will not speak of: labels would vanish in silence.
                Some(cure) => events.warn("vcs-unknown", unknown.to_string(), Some(cure.clone())),
                None => events.detail(unknown.to_string()),
            }
            Some(VcsFacts { unknown: Some(unknown), ..VcsFacts::default() })
        }
    }
}

/// `SOURCE_DATE_EPOCH` as reproducible-builds.org defines it.
pub(super) fn source_date_epoch(context: &Context) -> Result<Option<i64>> {
    let Some(text) = context.environment.get("SOURCE_DATE_EPOCH") else { return Ok(None) };
    match text.parse() {
        Ok(seconds @ 0..=253_402_300_799) => Ok(Some(seconds)),
        _ => Err(SurroundingsError::Epoch { text: text.to_owned() }.into()),
    }
}
