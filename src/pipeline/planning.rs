//! From a project to its plan: everything is gathered at the same time, and of a base's file system only
//! what the plan asks about.

use super::base_files::{self, Bases};
use super::gathering::{Files, Gathering};
use super::project::Project;
use crate::error::Result;
use crate::plan::{self, Inputs, Plan};

/// Plans what was gathered, and warns of what a person should know. Bases of which too little is known
/// are read.
///
/// # Errors
/// The user's mistakes, with their places; the network's.
pub(super) async fn plan(
    project: &Project,
    files: Files,
    bases: Bases,
    gathering: &Gathering<'_>,
) -> Result<Plan> {
    let mut inputs = gathering.inputs(files, bases).await?;
    let mut plan = plan::plan(&project.config, &project.sources, &inputs);
    if base_files::read_unsettled(&mut inputs.bases, plan.is_ok(), gathering).await? {
        plan = plan::plan(&project.config, &project.sources, &inputs);
    }
    let plan = plan.map_err(|error| project.locate(error.into()))?;
    let warnings = plan::warnings(&project.sources, &inputs).into_iter();
    let warnings = warnings.chain(plan::start_warnings(&plan));
    for (code, text, hint) in warnings.chain(plan::requirement_warnings(&project.config, &plan)) {
        gathering.context.events.warn(code, text, hint);
    }
    base_files::remember(&plan, gathering).await;
    Ok(plan)
}

/// A guess holds every entry once more: of larger trees none is made, for the memory's sake.
const MOST_GUESSED_ENTRIES: usize = 50_000;

/// What the plan would be on bases without any files, and the files again; no plan where it takes more
/// to know, or too much memory.
///
/// # Errors
/// `SOURCE_DATE_EPOCH` is no time.
pub(super) async fn guess(
    project: &Project,
    files: Files,
    bases: Bases,
    gathering: &Gathering<'_>,
) -> Result<(Option<Plan>, Files)> {
    let of_images = files.images.values().flat_map(|trees| trees.values());
    let entries = files.trees.values().map(|tree| tree.entries.len());
    let entries = entries.chain(of_images.map(|tree| tree.entries.len()));
    if entries.sum::<usize>() > MOST_GUESSED_ENTRIES {
        return Ok((None, files));
    }
    let inputs = gathering.inputs(files, bases).await?;
    let guess = plan::plan(&project.config, &project.sources, &inputs).ok();
    let Inputs { trees, files: texts, images, .. } = inputs;
    Ok((guess, Files { trees, texts, images }))
}

/// Both at once; when both fail, the first one's error counts: the user's own mistake, not the network's.
pub(super) async fn both<A, B>(
    first: impl Future<Output = Result<A>>,
    second: impl Future<Output = Result<B>>,
) -> Result<(A, B)> {
    tokio::pin!(first, second);
    tokio::select! {
        first = &mut first => Ok((first?, second.await?)),
        second = &mut second => Ok((first.await?, second?)),
    }
}
