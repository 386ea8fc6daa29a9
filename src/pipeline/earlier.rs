//! Images that were pushed before, whose layers may serve again.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::gathering::Gathering;
use super::{OptionNames, image_name};
use crate::error::{Attempting as _, Result};
use crate::event::Events;
use crate::layer::{Reuse, Unfit};
use crate::oci::{Reference, Repository};
use crate::plan::{LayerCompression, Origin, VcsFacts};
use crate::publish::{Earlier, Session};
use crate::registry::Client;
use crate::store::Store;

/// How many commits before HEAD are looked for: a merge has two parents, hardly ever more.
const MAX_PARENTS: usize = 4;

/// Images that were pushed before, looked for when somebody asks.
#[derive(Debug)]
pub(super) struct EarlierImages {
    /// What `--cache-from` names: asked first, and when one of them fits, nothing else is.
    named: Vec<Reference>,
    /// Each may have an earlier image of its own.
    sessions: Vec<Arc<dyn Session>>,
    compression: LayerCompression,
    client: Client,
    store: Store,
    events: Events,
    found: OnceCell<Vec<Earlier>>,
}

impl EarlierImages {
    /// Those that are named, or stand where the new one goes, for layers that are compressed so.
    pub(super) fn new(
        named: Vec<Reference>,
        sessions: Vec<Arc<dyn Session>>,
        compression: LayerCompression,
        gathering: &Gathering<'_>,
    ) -> Self {
        let (client, store) = (gathering.client.clone(), gathering.store.clone());
        let events = gathering.context.events.clone();
        Self { named, sessions, compression, client, store, events, found: OnceCell::new() }
    }

    /// The first image that fits of those that are named; else the first one for each destination. Best
    /// effort.
    pub(super) async fn all(&self) -> &[Earlier] {
        self.found.get_or_init(|| Box::pin(self.find())).await
    }

    /// The layers that may be taken over.
    pub(super) async fn layers(&self) -> Reuse {
        let mut reuse = Reuse::new(self.compression);
        for earlier in self.all().await {
            // Each was tried when it was found.
            let _ = add(earlier, &mut reuse);
        }
        reuse
    }

    /// The image in a repository, once it was found.
    pub(super) fn reference(&self, repository: &Repository) -> Option<&Reference> {
        let mut references = self.found.get()?.iter().map(|earlier| &earlier.reference);
        references.find(|reference| reference.repository == *repository)
    }

    async fn find(&self) -> Vec<Earlier> {
        for reference in &self.named {
            let warn = |reason: String| {
                let text = format!("nothing is taken over from `{reference}`: {reason}");
                self.events.warn("cache-from", text, None);
            };
            match Box::pin(Earlier::find(&self.client, &self.store, reference)).await {
                Ok(Some(earlier)) => match self.accept(&earlier) {
                    Ok(()) => return vec![earlier],
                    Err(unfit) => warn(unfit.to_string()),
                },
                Ok(None) => warn("it does not exist".to_owned()),
                Err(error) => warn(error.to_string()),
            }
        }
        let mut found = Vec::new();
        for session in &self.sessions {
            let (mut number, mut refused, before) = (0, Vec::new(), found.len());
            while let Some(earlier) = session.earlier(number).await {
                match self.accept(&earlier) {
                    Ok(()) => {
                        found.push(earlier);
                        break;
                    }
                    Err(unfit) => {
                        let reference = earlier.reference;
                        refused.push(format!("nothing is taken over from `{reference}`: {unfit}"));
                    }
                }
                number += 1;
            }
            // Why everything is packed; where another image serves, that is a detail.
            let is_served = found.len() > before;
            for text in refused {
                if is_served { self.events.detail(text) } else { self.events.note(text) }
            }
        }
        found
    }

    /// Whether all platforms of an image fit; says so when they do.
    fn accept(&self, earlier: &Earlier) -> Result<(), Unfit> {
        add(earlier, &mut Reuse::new(self.compression))?;
        let reference = &earlier.reference;
        self.events.note(format!("layers of `{reference}` are taken over where they fit"));
        Ok(())
    }
}

/// Adds the layers of all platforms of an image.
fn add(earlier: &Earlier, reuse: &mut Reuse) -> Result<(), Unfit> {
    let origin = Origin::Registry(earlier.reference.repository.clone());
    earlier
        .images
        .iter()
        .try_for_each(|(manifest, config)| reuse.add(manifest, config, &origin).map(drop))
}

/// The tags under which an earlier image of the project may stand beside those that it will get: what
/// its tags were at HEAD's parents, as far as they are made of the commit, and `latest`. The parents are
/// taken to have been on the default branch.
pub(super) fn earlier_tags(
    facts: Option<&VcsFacts>,
    tags_at: &dyn Fn(&VcsFacts) -> Vec<String>,
) -> Vec<String> {
    let mut tags = Vec::new();
    if let Some(facts) = facts {
        let at = |sha: &String| VcsFacts {
            sha: Some(sha.clone()),
            is_default_branch: Some(true),
            ..VcsFacts::default()
        };
        for parent in facts.parents.iter().take(MAX_PARENTS) {
            let is_of_commit = |tag: &String| tag.contains(&parent[..parent.len().min(7)]);
            tags.extend(tags_at(&at(parent)).into_iter().filter(is_of_commit));
        }
    }
    tags.push("latest".to_owned());
    tags
}

/// Reads what `--cache-from` names; without a tag it is `latest`.
///
/// # Errors
/// One of them is no reference.
pub(super) fn named(texts: &[String], option_names: &OptionNames) -> Result<Vec<Reference>> {
    let read = |text: &String| {
        let name = option_names.variable("--cache-from").unwrap_or("--cache-from");
        let reference: Reference =
            image_name::read(text).attempting(|| format!("read `{name}`"))?;
        Ok(match reference {
            Reference { repository, tag: None, digest: None } => repository.at_tag("latest"),
            reference => reference,
        })
    };
    texts.iter().map(read).collect()
}
