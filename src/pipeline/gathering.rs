//! Gathers everything planning needs, as much as possible at the same time: files, bases, git facts.

use std::path::PathBuf;
use std::sync::Arc;

use super::Context;
use super::project::Project;
use crate::error::{Attempting as _, Classified, Error, ErrorKind, Result};
use crate::gather::{self, base, facts};
use crate::oci::{ImageConfig, Platform};
use crate::plan::{self, BaseImage, Inputs, VcsFacts};
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
    pub(super) client: &'a Client,
    pub(super) store: &'a Store,
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

/// Lists the files; beside that, resolves the bases and reads what the layers must respect of their file
/// systems.
pub(super) async fn gather(project: &Project, gathering: Gathering<'_>) -> Result<Inputs> {
    let Gathering { context, client, store, folder, vcs } = gathering;
    let events = &context.events;
    let directory = &project.config.source.directory;
    let source_date_epoch = source_date_epoch(context)?;

    let needs = plan::needs(&project.sources);
    let listing = async {
        let (folder, events) = (folder.clone(), events.clone());
        blocking(move || gather::gather_files(&needs, &folder, &events))
            .await
            .map_err(|error| project.locate(error))
    };
    let base_context =
        base::BaseContext { client, project: directory, events, builtin: builtin_base };
    let bases = async {
        let (config, is_bare) = (&project.config, project.sources.is_empty());
        let mut bases = base::resolve(&config.base, &config.platforms, base_context).await?;
        let has_layers = |image: &&mut BaseImage| !is_bare && !image.layers.is_empty();
        for image in bases.values_mut().filter(has_layers) {
            let facts_context = facts::FactsContext { client, store, events };
            image.root = facts::root_tree(&image.layers, facts_context)
                .await
                .attempting(|| format!("read the file system of base `{}`", image.name))?;
        }
        Ok::<_, Error>(bases)
    };
    tokio::pin!(listing, bases);
    // Both at once; when both fail, the user's own mistake is reported, not the network's.
    let ((trees, files), bases) = tokio::select! {
        listed = &mut listing => (listed?, bases.await?),
        resolved = &mut bases => (listing.await?, resolved?),
    };
    Ok(Inputs { trees, files, bases, vcs, source_date_epoch })
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
