//! The image that is deployed: built and pushed now, named by the user, or the one another environment runs.

use super::{DeployRequest, ImageChoice};
use crate::config::{LayerCompression, PublishSettings};
use crate::deploy::{DeployError, Image, Manifest, State, Target};
use crate::error::{Attempting as _, Classified, ErrorKind, Result};
use crate::oci::{Descriptor, MediaType, Reference, Repository};
use crate::pipeline::clouds::Clouds;
use crate::pipeline::destinations::Destinations;
use crate::pipeline::environment::Chosen;
use crate::pipeline::project::Project;
use crate::pipeline::run::Run;
use crate::pipeline::subject::{self, Subject};
use crate::pipeline::{
    Context, Credentials, NetworkRequest, Produced, ProducedImage, client, image_name, push, tags,
};

/// The image that is to be promoted cannot be told.
#[derive(Debug, thiserror::Error)]
enum NoImage {
    #[error("nothing of environment `{environment}` is deployed")]
    NotDeployed { environment: String },
    #[error("the targets of environment `{environment}` run different images: {}", images.join(", "))]
    Different { environment: String, images: Vec<String> },
    #[error("{subject} is not well: it is {state}")]
    NotWell { subject: String, state: &'static str },
    #[error("{subject} runs `{image}`, which names no digest")]
    NoDigest { subject: String, image: String },
}

impl Classified for NoImage {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NotDeployed { environment } => {
                format!("deploy it first: `dockless deploy -e {environment}`")
            }
            Self::NotWell { .. } => {
                "only what is well is promoted; name an image with `--image` otherwise".to_owned()
            }
            Self::Different { .. } => "name the one you mean with `--image`".to_owned(),
            Self::NoDigest { .. } => "name the image with `--image NAME@sha256:…`".to_owned(),
        }]
    }
}

/// The image that is built and pushed, once per repository; or the one that was named.
pub(super) async fn images(
    request: &DeployRequest,
    project: Project,
    context: &Context,
) -> Result<Vec<Image>> {
    let (credentials, network) = (request.credentials.as_ref(), &request.project.network);
    if let ImageChoice::Named(text) = &request.image {
        let reference = read_name(text, context)?;
        return Ok(vec![
            fetch(&reference, &project.config.publish, credentials, network, context).await?,
        ]);
    }
    let arguments = tags::parse(&request.project, true, context)?;
    let mut destinations = Destinations::default();
    push::add_repositories(&mut destinations, &project.config, &request.to, &arguments, context)?;
    let repositories: Vec<Repository> =
        destinations.references().map(|reference| reference.repository.clone()).collect();
    // A dry run needs the digest, and pushes nothing.
    let is_dry_run = request.project.is_dry_run;
    let project_request =
        crate::pipeline::ProjectRequest { is_dry_run: false, ..request.project.clone() };
    let run = Run {
        request: &project_request,
        credentials: request.credentials.as_ref(),
        records: &request.records,
        existing_tag: request.existing_tag,
        project,
        arguments,
        destinations: if is_dry_run { Destinations::default() } else { destinations },
        is_named: false,
        is_rehearsal: is_dry_run,
    };
    let Produced::Image(image) = Box::pin(run.produce(context)).await? else {
        unreachable!("only a dry run gives a plan, and this is none");
    };
    if !is_dry_run {
        request.records.write(&image)?;
    }
    Ok(of_produced(&image, repositories))
}

/// The image that `--image` names.
pub(super) fn read_name(text: &str, context: &Context) -> Result<Reference> {
    image_name::read(text).attempting(|| {
        format!("read `{}`", context.option_names.variable("--image").unwrap_or("--image"))
    })
}

/// The image as it will be, as far as targets judge it before it is built: its places, its platforms, and how its
/// layers are compressed.
pub(super) fn guessed(
    request: &DeployRequest,
    project: &Project,
    context: &Context,
) -> Result<Vec<Image>> {
    let arguments = tags::parse(&request.project, true, context)?;
    let mut destinations = Destinations::default();
    push::add_repositories(&mut destinations, &project.config, &request.to, &arguments, context)?;
    let config = &project.config;
    let layer = match config.compression {
        LayerCompression::Gzip => MediaType::OciLayerGzip,
        LayerCompression::Zstd => MediaType::OciLayerZstd,
    };
    let manifests: Vec<_> = config
        .platforms
        .iter()
        .map(|platform| Manifest {
            platform: platform.clone(),
            descriptor: Descriptor::of(MediaType::OciManifest, platform.to_string().as_bytes()),
            layers: vec![layer.clone()],
        })
        .collect();
    let descriptor = match &manifests[..] {
        [only] => only.descriptor.clone(),
        _ => Descriptor::of(MediaType::OciIndex, b"guessed"),
    };
    let places = destinations.references().map(|reference| Image {
        repository: reference.repository.clone(),
        descriptor: descriptor.clone(),
        manifests: manifests.clone(),
    });
    Ok(places.collect())
}

fn of_produced(image: &ProducedImage, repositories: Vec<Repository>) -> Vec<Image> {
    let in_repository = |repository| Image {
        repository,
        descriptor: image.descriptor.clone(),
        manifests: image.manifests.clone(),
    };
    repositories.into_iter().map(in_repository).collect()
}

/// What an image in a registry is, by its documents.
pub(in crate::pipeline) async fn fetch(
    reference: &Reference,
    publish: &PublishSettings,
    credentials: Option<&Credentials>,
    network: &NetworkRequest,
    context: &Context,
) -> Result<Image> {
    let hosts = [reference.repository.registry().to_owned()].into();
    let purpose = client::Purpose { network, hosts: &hosts, credentials, publish: Some(publish) };
    let client = client::client(context, &purpose)?;
    let target = subject::Target::Registry(reference.clone());
    let subject = Subject::fetch(&target, &client).await?;
    let parts = subject.parts(&[]).await?;
    let manifests = parts.images().map(|found| Manifest {
        platform: found.platform.clone(),
        descriptor: found.manifest.descriptor.clone(),
        layers: found.manifest.value.layers.iter().map(|layer| layer.media_type.clone()).collect(),
    });
    Ok(Image {
        repository: reference.repository.clone(),
        descriptor: crate::oci::Descriptor::of(subject.top.media_type.clone(), &subject.top.bytes),
        manifests: manifests.collect(),
    })
}

/// The one image that the targets of another environment run.
pub(super) async fn of_environment(
    source: &Chosen,
    clouds: &Clouds,
    request: &DeployRequest,
    publish: &PublishSettings,
    context: &Context,
) -> Result<Vec<Image>> {
    let environment = source.name.clone();
    let (credentials, network) = (request.credentials.as_ref(), &request.project.network);
    let (mut images, mut digests): (Vec<String>, Vec<Option<String>>) = Default::default();
    for target in &source.targets {
        let session = clouds.looking();
        let observed = target
            .observe(&session)
            .await
            .attempting(|| format!("look at {}", target.subject()))?;
        let Some(service) = observed.service else { continue };
        let Some(image) = service.image else { continue };
        if service.state != State::Ready {
            let state = service.state.name();
            let subject = target.subject().to_string();
            return Err(NoImage::NotWell { subject, state }.into());
        }
        // Targets are given an index or the manifest of one platform: what was deployed is the same.
        let digest = service
            .ownership
            .image_digest
            .or_else(|| image.rsplit_once("@sha256:").map(|(_, digest)| digest.to_owned()));
        if !digests.contains(&digest) {
            digests.push(digest);
            images.push(image);
        }
    }
    let image = match &images[..] {
        [] => return Err(NoImage::NotDeployed { environment }.into()),
        [image] => image,
        _ => return Err(NoImage::Different { environment, images }.into()),
    };
    let reference: Reference = image_name::read(image).attempting(|| format!("read `{image}`"))?;
    if reference.digest.is_none() {
        let subject = format!("environment `{environment}`");
        return Err(NoImage::NoDigest { subject, image: image.clone() }.into());
    }
    context.events.note(format!("environment `{environment}` runs {image}"));
    Ok(vec![fetch(&reference, publish, credentials, network, context).await?])
}

/// The image in the repository that a target pulls from.
///
/// # Errors
/// There is none: why the target does not take the last of them.
pub(super) fn fitting(target: &dyn Target, images: &[Image]) -> Result<Image> {
    let mut refusal = None;
    for image in images {
        match target.check(image) {
            Ok(_) => return Ok(image.clone()),
            Err(error) => refusal = Some(error),
        }
    }
    let nowhere = || DeployError::Nothing {
        subject: target.subject().to_string(),
        reason: "the image is in no registry".to_owned(),
        hint: "name a repository: `image: [HOST/REPOSITORY]` in the config, or `--to`".to_owned(),
    };
    Err(refusal.unwrap_or_else(nowhere).into())
}
