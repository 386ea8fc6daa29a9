//! `dockless push`: the same flow into registries, or a layout that was built earlier.

use super::destinations::{Destinations, DestinationsError};
use super::project;
use super::run::{Run, produced_image};
use super::tags::{self, TagArguments, Tags};
use super::{Context, PlanSummary, Produced, ProducedImage, ProjectRequest, PushRequest};
use super::{client, produce, runtime};
use crate::config::{Base, Config, LayerCompression};
use crate::error::{Attempting as _, Classified, ErrorKind, Result};
use crate::image::Assembly;
use crate::oci::Compression;
use crate::publish::{Output, PublishContext, Whereabouts, read_layout};
use crate::sys::blocking;

/// An option of building with an image that is built.
#[derive(Debug, thiserror::Error)]
#[error("the image is built already: `{option}` cannot change it")]
struct AlreadyBuilt {
    option: String,
    is_variable: bool,
}

/// A record of a build is asked for where none takes place.
#[derive(Debug, thiserror::Error)]
#[error("the image is built already: there is no build that `--build-record` could tell of")]
struct NoBuild;

impl Classified for NoBuild {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec!["give it to the `dockless build` that makes the image".into()]
    }
}

impl Classified for AlreadyBuilt {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let option = &self.option;
        let omit =
            if self.is_variable { format!("unset `{option}`") } else { "leave it out".into() };
        vec![format!("{omit}, or push the project: `dockless push PATH`")]
    }
}

/// Builds a project, or reads a layout, and pushes the image.
///
/// # Errors
/// Every problem of the user's (kind usage) is found before anything is written outside the cache.
pub fn push(request: &PushRequest, context: &Context) -> Result<Produced> {
    let arguments = tags::parse(&request.project, true, context)?;
    if let Some(Ok(Base::Layout { path, selector })) = layout(request) {
        return push_layout(request, &arguments, &path, selector.as_deref(), context);
    }
    let project = project::load(&request.project, context)?;
    let mut destinations = Destinations::default();
    add_repositories(&mut destinations, &project.config, &request.to, &arguments, context)?;
    let run = Run {
        request: &request.project,
        credentials: request.credentials.as_ref(),
        records: &request.records,
        existing_tag: request.existing_tag,
        project,
        arguments,
        destinations,
        is_named: false,
        is_rehearsal: false,
    };
    runtime::run(context, request.project.network.timeout, run.produce(context))
}

/// The layout that PATH names, written like a base: `oci:DIR`, `oci:DIR:NAME`, `oci:DIR@sha256:…`.
fn layout(request: &PushRequest) -> Option<Result<Base, crate::config::InvalidBase>> {
    let text = request.project.path.to_str()?;
    text.starts_with("oci:").then(|| text.parse())
}

/// Adds where to push: `--to`, and full references of `-t`, else the repositories of the config.
pub(super) fn add_repositories(
    destinations: &mut Destinations,
    config: &Config,
    to: &[String],
    arguments: &TagArguments,
    context: &Context,
) -> Result<()> {
    add_given(destinations, to, arguments, context)?;
    if to.is_empty() && arguments.references.is_empty() {
        for template in &config.publish.repositories {
            destinations.add(&template.expand(&context.environment)?)?;
        }
    }
    if destinations.is_empty() { Err(DestinationsError::nowhere(config).into()) } else { Ok(()) }
}

/// Adds what the command line names: `--to`, and full references of `-t`.
fn add_given(
    destinations: &mut Destinations,
    to: &[String],
    arguments: &TagArguments,
    context: &Context,
) -> Result<()> {
    for text in to {
        destinations.add(text).map_err(|error| context.option_names.blame("--to", error))?;
    }
    for reference in &arguments.references {
        destinations.add(&reference.to_string())?;
    }
    Ok(())
}

/// Refuses what only building can do.
fn check_options(project: &ProjectRequest, context: &Context) -> Result<(), AlreadyBuilt> {
    let options = [
        (project.file.is_some(), "--file"),
        (project.base.is_some(), "--base"),
        (!project.platforms.is_empty(), "--platform"),
        (project.compression.is_some(), "--compression"),
        (!project.labels.is_empty(), "--label"),
        (!project.annotations.is_empty(), "--annotation"),
        (project.is_anew, "--no-cache"),
        (!project.cache_from.is_empty(), "--cache-from"),
    ];
    let Some((_, flag)) = options.into_iter().find(|(is_given, _)| *is_given) else {
        return Ok(());
    };
    let variable = context.option_names.variable(flag);
    let option = variable.unwrap_or(flag).to_owned();
    Err(AlreadyBuilt { option, is_variable: variable.is_some() })
}

/// How the layers of an image are compressed: the one that fewer readers know, where they differ.
fn compression(assembly: &Assembly) -> LayerCompression {
    let mut layers = assembly.images.iter().flat_map(|image| &image.layers);
    let is_zstd = layers
        .any(|layer| layer.descriptor.media_type.layer_compression() == Some(Compression::Zstd));
    if is_zstd { LayerCompression::Zstd } else { LayerCompression::Gzip }
}

fn push_layout(
    request: &PushRequest,
    arguments: &TagArguments,
    path: &str,
    selector: Option<&str>,
    context: &Context,
) -> Result<Produced> {
    check_options(&request.project, context)?;
    if request.records.build.is_some() {
        // A variable may be set for a whole job, whose build has written its record.
        let Some(variable) = context.option_names.variable("--build-record") else {
            return Err(NoBuild.into());
        };
        let message = format!("`{variable}` is not written: the image is built already");
        context.events.warn("no-build-record", message, None);
    }
    request.records.check()?;
    let tags = Tags { given: tags::resolve(&arguments.tags, None, context)?, fallback: Vec::new() };
    let mut destinations = Destinations::default();
    add_given(&mut destinations, &request.to, arguments, context)?;
    if destinations.is_empty() {
        return Err(DestinationsError::Nowhere { setting: None }.into());
    }
    let purpose = client::Purpose {
        network: &request.project.network,
        hosts: &destinations.hosts(),
        credentials: request.credentials.as_ref(),
        publish: None,
    };
    let client = client::client(context, &purpose)?;
    runtime::run(context, request.project.network.timeout, async {
        let (folder, name) = (path.to_owned(), selector.map(str::to_owned));
        let assembly = blocking(move || read_layout(folder.as_ref(), name.as_deref()))
            .await
            .attempting(|| format!("read the image in `{path}`"))?;
        let platforms: Vec<_> =
            assembly.images.iter().map(|image| image.platform.clone()).collect();
        destinations.check(&platforms, compression(&assembly))?;
        if request.project.is_dry_run {
            destinations.note_unasked(&context.events);
            let described = destinations.describe(&tags);
            return Ok(Produced::Planned(Box::new(PlanSummary::of_assembly(
                path, &assembly, described,
            ))));
        }
        let store = context.store()?;
        let publish_context = PublishContext {
            store: store.clone(),
            client,
            events: context.events.clone(),
            name: destinations.first_repository().unwrap_or_else(|| path.to_owned()),
            stdout: Output::new(std::io::stdout()),
            whereabouts: Whereabouts::default(),
            existing_tag: request.existing_tag,
            takes_tags_word: true,
            earlier_tags: None,
        };
        let open = destinations.open(&tags, &publish_context).await.prove().await?;
        let published = produce::copy(&assembly, &store, &open, context).await?;
        let uploaded_bytes = publish_context.whereabouts.uploaded_bytes();
        let image = produced_image(path, &assembly, published);
        Ok(Produced::Image(Box::new(ProducedImage { uploaded_bytes, ..image })))
    })
}
