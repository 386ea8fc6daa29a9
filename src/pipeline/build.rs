//! `dockless build`: config → inputs → plan → layers → image → layouts, archives, an engine.

use super::destinations::{Destinations, DestinationsError, repository_setting};
use super::run::Run;
use super::{BuildRequest, Context, Produced};
use super::{load, project, runtime, tags};
use crate::error::Result;

/// Builds the image of a project.
///
/// # Errors
/// Every problem of the user's (kind usage) is found before anything is written outside the cache.
pub fn build(request: &BuildRequest, context: &Context) -> Result<Produced> {
    let project = project::load(&request.project, context)?;
    let arguments = tags::parse(&request.project, request.has_push, context)?;
    let mut destinations = Destinations::default();
    for output in &request.outputs {
        destinations
            .add_output(output)
            .map_err(|error| context.option_names.blame("--output", error))?;
    }
    if request.has_push {
        super::push::add_repositories(&mut destinations, &project.config, &[], &arguments, context)
            .map_err(|error| match error.downcast_ref() {
                Some(DestinationsError::Nowhere { .. }) => {
                    let setting = repository_setting(&project.config);
                    DestinationsError::NoRepositories { setting }.into()
                }
                _ => error,
            })?;
    }
    let archive = if request.has_load { Some(load::Archive::new()?) } else { None };
    if let Some(archive) = &archive {
        destinations.add_step(&archive.destination(), "the local engine")?;
    }
    let run = Run {
        request: &request.project,
        credentials: request.credentials.as_ref(),
        records: &request.records,
        existing_tag: request.existing_tag,
        project,
        arguments,
        destinations,
        is_named: request.has_load,
        is_rehearsal: false,
    };
    runtime::run(context, request.project.network.timeout, async {
        let engine = match &archive {
            Some(_) if !request.project.is_dry_run => Some(load::find_engine(context).await?),
            _ => None,
        };
        let produced = Box::pin(run.produce(context)).await?;
        if let (Some(archive), Some(engine)) = (&archive, &engine) {
            load::load(archive, engine, context).await?;
        }
        Ok(produced)
    })
}
