//! What stands under a tag, compared to the image that was to take its place.

use crate::error::Result;
use crate::image::{Assembly, Documents, Image, differences};
use crate::oci::{
    Descriptor, Digest, Document, ImageConfig, Index, Manifest, MediaType, Repository,
};
use crate::registry::Client;

/// The most phrases that are told.
const MAX_TOLD: usize = 8;

/// What would move in a tag that stands at this digest, one phrase each.
pub(super) async fn what_moved(
    client: &Client,
    repository: &Repository,
    standing: Digest,
    assembly: &Assembly,
) -> Vec<String> {
    let compared = Box::pin(compare(client, repository, standing, assembly)).await;
    let mut told = compared.unwrap_or_else(|_| vec!["what stands there cannot be read".to_owned()]);
    if told.len() > MAX_TOLD {
        let rest = told.len() - MAX_TOLD;
        told.truncate(MAX_TOLD);
        told.push(format!("and {rest} more"));
    }
    told
}

async fn compare(
    client: &Client,
    repository: &Repository,
    standing: Digest,
    assembly: &Assembly,
) -> Result<Vec<String>> {
    let top = client.fetch_manifest(&repository.at_digest(standing)).await?;
    if top.media_type.is_manifest() {
        let mut told = match &assembly.images[..] {
            [image] => compare_image(client, repository, top, image).await?,
            _ => Vec::new(),
        };
        if assembly.index.is_some() {
            told.push("it is the image of one platform, not an index".to_owned());
        }
        return Ok(told);
    }
    let index: Document<Index> = Document::parse_index(top.bytes, top.media_type)?;
    let mut told = Vec::new();
    if assembly.index.is_none() {
        told.push("it is an index, not the image of one platform".to_owned());
    }
    let is_ours = |descriptor: &&Descriptor| {
        let platform = descriptor.platform.as_ref();
        assembly.images.iter().any(|image| platform == Some(&image.platform))
    };
    let others = index.value.images().filter(|descriptor| !is_ours(descriptor)).count();
    if others > 0 {
        told.push(format!("{others} of its platforms are not in the new image"));
    }
    for image in &assembly.images {
        let platform = &image.platform;
        match index.value.find(platform) {
            Some(entry) if entry.digest == image.manifest.descriptor.digest => {}
            Some(entry) => {
                let found = client.fetch_manifest(&repository.at_digest(entry.digest)).await?;
                let phrases = compare_image(client, repository, found, image).await?;
                told.extend(phrases.into_iter().map(|phrase| format!("{platform}: {phrase}")));
            }
            None => told.push(format!("{platform} is new")),
        }
    }
    Ok(told)
}

async fn compare_image(
    client: &Client,
    repository: &Repository,
    standing: crate::registry::FetchedManifest,
    image: &Image,
) -> Result<Vec<String>> {
    let manifest: Document<Manifest> =
        Document::parse_manifest(standing.bytes, standing.media_type)?;
    let config = client.fetch_blob(repository, &manifest.value.config).await?;
    let config: Document<ImageConfig> = Document::parse(config, MediaType::OciConfig)?;
    let before = Documents { manifest: &manifest.value, config: &config.value };
    let after = Documents { manifest: &image.manifest.value, config: &image.config.value };
    Ok(differences(before, after))
}
