//! Creates repositories that are missing before a push, where the config says so.

use std::collections::BTreeSet;

use super::{Context, NetworkRequest, client};
use crate::cloud;
use crate::config::NewRepository;
use crate::error::{Attempting as _, Result};
use crate::oci::Reference;

/// Creates what is missing of these; says whether anything was created.
///
/// # Errors
/// A cloud cannot be asked, or refuses.
pub(super) async fn create_missing<'a>(
    wanted: Option<&NewRepository>,
    references: impl Iterator<Item = &'a Reference>,
    network: &NetworkRequest,
    context: &Context,
) -> Result<bool> {
    let Some(NewRepository { has_immutable_tags, is_scanned, encryption_key }) = wanted else {
        return Ok(false);
    };
    let wanted = cloud::NewRepository {
        has_immutable_tags: *has_immutable_tags,
        is_scanned: *is_scanned,
        encryption_key: encryption_key.clone(),
    };
    let api = client::cloud_client(context, network);
    let repositories: BTreeSet<_> = references.map(|reference| &reference.repository).collect();
    let mut has_created = false;
    for repository in repositories {
        let clock = context.clock.as_ref();
        let created = cloud::create_missing_repository(&api, clock, repository, &wanted).await;
        if created
            .attempting(|| format!("create the repository `{repository}` if it is missing"))?
        {
            context.events.note(format!("created the repository `{repository}`"));
            has_created = true;
        }
    }
    Ok(has_created)
}
