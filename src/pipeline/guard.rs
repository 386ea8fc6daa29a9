//! Runs the guard: nothing that looks like a credential leaves this machine, unless it is allowed.

use std::sync::Arc;

use super::Context;
use super::gathering::{Files, Gathering};
use super::project::Project;
use crate::error::{Attempting as _, Result};
use crate::event::{Action, Events};
use crate::layer::{self, Packing};
use crate::plan::secrets::{Exception, MOST_SHOWN, Passed};
use crate::plan::{Plan, TreeEntryKind};
use crate::sys::blocking;

/// Reads what will have to be judged, while others wait for the network; gives the files back.
///
/// # Errors
/// A file changed since it was listed, or cannot be read.
pub(super) async fn read_ahead(
    files: Files,
    project: &Project,
    gathering: &Gathering<'_>,
) -> Result<Files> {
    let judge = |files: &Files, packing: &Packing<'_>| {
        let entries = files.trees.values().flat_map(|tree| &tree.entries);
        let files = entries.filter_map(|entry| match &entry.kind {
            TreeEntryKind::File(file) => Some(file),
            _ => None,
        });
        layer::judge(files, Context::threads(), packing)
    };
    let (files, judged) = work(files, project, gathering, judge).await;
    judged.map(|()| files)
}

/// Looks at everything that a plan packs; gives the plan back, with what is allowed.
///
/// # Errors
/// Something looks like a credential and is not allowed (kind usage), or a file cannot be read.
pub(super) async fn check(
    plan: Plan,
    project: &Project,
    gathering: &Gathering<'_>,
) -> Result<(Plan, Vec<Exception>)> {
    let (plan, passed) = look(plan, project, gathering).await;
    let Passed { exceptions, unused } = passed?;
    tell(&exceptions, &gathering.context.events);
    for (key, item) in &unused {
        gathering.context.events.warn(
            "unused-exception",
            format!("`{}` in `{key}` allows nothing", item.escape_debug()),
            Some("remove it, or write the path or name that is refused without it".to_owned()),
        );
    }
    Ok((plan, exceptions))
}

/// A plan that nobody decided on yet, unless it packs what looks like a credential: that would stay in the
/// cache. The plan that counts is [checked](check) and told of.
pub(super) async fn pass(plan: Plan, project: &Project, gathering: &Gathering<'_>) -> Option<Plan> {
    let (plan, passed) = look(plan, project, gathering).await;
    passed.is_ok().then_some(plan)
}

async fn look(plan: Plan, project: &Project, gathering: &Gathering<'_>) -> (Plan, Result<Passed>) {
    let guard = project.guard.clone();
    let check = move |plan: &Plan, packing: &Packing<'_>| {
        layer::judge_plan(plan, Context::threads(), packing)?;
        let verdict = |file: &_| {
            packing.digests.verdict(file).expect("every file of the plan was judged a moment ago")
        };
        Ok(guard.check(plan, verdict)?)
    };
    work(plan, project, gathering, check).await
}

/// Says what was allowed.
fn tell(exceptions: &[Exception], events: &Events) {
    for exception in exceptions.iter().take(MOST_SHOWN) {
        events.note(exception.to_string());
    }
    if let Some(more @ 1..) = exceptions.len().checked_sub(MOST_SHOWN) {
        events.note(format!("… and {more} more are allowed"));
    }
}

/// Does something on a thread that may block, and gives back what it was about.
async fn work<S: Send + 'static, T: Send + 'static>(
    subject: S,
    project: &Project,
    gathering: &Gathering<'_>,
    work: impl FnOnce(&S, &Packing<'_>) -> Result<T> + Send + 'static,
) -> (S, Result<T>) {
    let Gathering { context, store, folder, digests, .. } = gathering;
    let (context, store, folder) = ((*context).clone(), store.clone(), folder.clone());
    let (digests, compression) = (Arc::clone(digests), project.config.compression);
    let cancel = context.cancel.child_token();
    let _cancelled_on_drop = cancel.clone().drop_guard();
    blocking(move || {
        // Packing reads the files once more and tells of it.
        let events = Events::none();
        let task = events.task(Action::Pack, "", None);
        let packing = Packing {
            project: folder.directory(),
            store: &store,
            digests: &digests,
            clock: context.clock.as_ref(),
            compression,
            compressors: &context.compressors,
            events: &events,
            task: &task,
            cancel: &cancel,
        };
        let result = work(&subject, &packing).attempting(|| "look for secrets");
        (subject, result)
    })
    .await
}
