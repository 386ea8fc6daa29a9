//! Gathers everything planning needs, as much as possible at the same time: files, bases, git facts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::Context;
use super::base_files::Bases;
use super::planning;
use super::project::Project;
use crate::error::{Classified, ErrorKind, Result};
use crate::gather::facts::FactsContext;
use crate::gather::{self, Pins, ReadFiles, base};
use crate::layer::FileDigests;
use crate::oci::{ImageConfig, Platform};
use crate::plan::{self, FileStamp, ImageNeed, ImageTree, Inputs, Tree, TreeNeed, VcsFacts};
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
    /// The images that are locked; none until [`Gathering::with_pins`].
    pub(super) pins: Pins,
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

/// What layers are made of.
#[derive(Debug)]
pub(super) struct Files {
    /// The project's files, listed.
    pub(super) trees: BTreeMap<TreeNeed, Tree>,
    /// Small ones of them, read.
    pub(super) texts: BTreeMap<String, Bytes>,
    /// Those of other images.
    pub(super) images: BTreeMap<Platform, BTreeMap<ImageNeed, ImageTree>>,
}

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
        Ok(Self { context, client, store, folder, digests, pins: Pins::default(), vcs })
    }

    /// With these images locked.
    pub(super) fn with_pins(self, pins: Pins) -> Self {
        Self { pins, ..self }
    }

    /// For what has no labels: git is not asked.
    pub(super) fn without_vcs(self) -> Self {
        Self { vcs: OnceCell::new_with(Some(None)), ..self }
    }

    /// What git says of the project; asked once.
    pub(super) async fn vcs(&self) -> Option<&VcsFacts> {
        let facts = self.vcs.get_or_init(|| Box::pin(vcs_facts(&self.folder, self.context)));
        facts.await.as_ref()
    }

    /// Lists and reads the project's files, and takes those of other images.
    pub(super) async fn files(&self, project: &Project) -> Result<Files> {
        let needs = Arc::new(plan::needs(&project.sources));
        let (wanted, folder) = (needs.clone(), self.folder.clone());
        let events = self.context.events.clone();
        let listing = blocking(move || gather::gather_files(&wanted, &folder, &events));
        let Self { client, store, context, .. } = self;
        let facts_context = FactsContext { client, store, events: &context.events };
        let platforms = &project.config.platforms;
        let taking =
            gather::take_files(&needs, platforms, self.base_context(project), facts_context);
        let ((trees, texts), images) = Box::pin(planning::both(listing, taking))
            .await
            .map_err(|error| project.locate(error))?;
        Ok(Files { trees, texts, images })
    }

    /// Resolves the bases, without what is in them.
    pub(super) async fn bases(&self, project: &Project) -> Result<Bases> {
        let config = &project.config;
        base::resolve(&config.base, &config.platforms, self.base_context(project)).await
    }

    fn base_context<'b>(&'b self, project: &'b Project) -> base::BaseContext<'b> {
        base::BaseContext {
            client: &self.client,
            project: &project.config.source.directory,
            pins: &self.pins,
            role: "base",
            events: &self.context.events,
            builtin: builtin_base,
        }
    }

    /// What is gathered, as the planner wants it.
    pub(super) async fn inputs(&self, files: Files, bases: Bases) -> Result<Inputs> {
        let Files { trees, texts: files, images } = files;
        let source_date_epoch = source_date_epoch(self.context)?;
        let vcs = self.vcs().await.cloned();
        Ok(Inputs { trees, files, images, bases, vcs, source_date_epoch })
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
