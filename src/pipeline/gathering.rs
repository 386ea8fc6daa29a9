//! Gathers everything planning needs, as much as possible at the same time: files, bases, git facts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::Context;
use super::base_files::Bases;
use super::project::Project;
use crate::error::{Classified, ErrorKind, Result};
use crate::gather::{self, base};
use crate::oci::{ImageConfig, Platform};
use crate::plan::{self, Inputs, Tree, TreeNeed, VcsFacts};
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
#[derive(Debug, Clone)]
pub(super) struct Gathering<'a> {
    pub(super) context: &'a Context,
    pub(super) client: Client,
    pub(super) store: Store,
    /// The project's folder.
    pub(super) folder: Arc<gather::Project>,
    pub(super) vcs: Option<VcsFacts>,
}

/// Opens the project's folder; `outputs` are what this command writes: never listed as part of it.
pub(super) fn open_folder(
    project: &Project,
    outputs: &[PathBuf],
    context: &Context,
) -> Result<Arc<gather::Project>> {
    let path = project.config.source.directory.clone();
    gather::Project::open(&path, context.environment.home().as_deref(), outputs)
        .map(Arc::new)
        .map_err(|source| SurroundingsError::Folder { path, source }.into())
}

/// The project's files, listed or read.
pub(super) type Files = (BTreeMap<TreeNeed, Tree>, BTreeMap<String, Bytes>);

impl Gathering<'_> {
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
    pub(super) fn inputs(&self, (trees, files): Files, bases: Bases) -> Result<Inputs> {
        let source_date_epoch = source_date_epoch(self.context)?;
        Ok(Inputs { trees, files, bases, vcs: self.vcs.clone(), source_date_epoch })
    }
}

/// An embedded base as a base like any other.
fn builtin_base(name: &str, platform: &Platform) -> Option<base::BuiltinBase> {
    let builtin = plan::builtin_base(name)?;
    let config = ImageConfig { config: builtin.run, ..ImageConfig::scratch(platform) };
    Some(base::BuiltinBase { config, root: builtin.root })
}

/// Asks git, or the CI's variables.
pub(super) async fn vcs_facts(folder: &gather::Project, context: &Context) -> Option<VcsFacts> {
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
fn source_date_epoch(context: &Context) -> Result<Option<i64>> {
    let Some(text) = context.environment.get("SOURCE_DATE_EPOCH") else { return Ok(None) };
    match text.parse() {
        Ok(seconds @ 0..=253_402_300_799) => Ok(Some(seconds)),
        _ => Err(SurroundingsError::Epoch { text: text.to_owned() }.into()),
    }
}
