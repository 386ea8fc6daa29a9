//! Images that were pushed before, whose layers may serve again.

use super::produce::OpenDestination;
use super::{Context, OptionNames};
use crate::error::{Attempting as _, Classified, ErrorKind, Result};
use crate::layer::{Reuse, Unfit};
use crate::oci::{InvalidReference, Reference};
use crate::plan::{Origin, VcsFacts};
use crate::publish::Earlier;
use crate::registry::Client;
use crate::store::Store;

/// How many commits before HEAD are looked for: a merge has two parents, hardly ever more.
const MAX_PARENTS: usize = 4;

/// Where earlier images are looked for.
#[derive(Debug)]
pub(super) struct EarlierImages<'a> {
    /// What `--cache-from` names: asked first, and when one of them fits, nothing else is.
    pub(super) named: &'a [Reference],
    /// Each may have an earlier image of its own.
    pub(super) destinations: &'a [OpenDestination],
    pub(super) client: &'a Client,
    pub(super) store: &'a Store,
    pub(super) context: &'a Context,
}

impl EarlierImages<'_> {
    /// The layers that may be taken over, of the first image that fits; best effort.
    pub(super) async fn layers(&self) -> Reuse {
        let mut reuse = Reuse::default();
        for reference in self.named {
            let found = Box::pin(Earlier::find(self.client, self.store, reference)).await;
            let warn = |reason: String| {
                let text = format!("nothing is taken over from `{reference}`: {reason}");
                self.context.events.warn("cache-from", text, None);
            };
            match found {
                Ok(Some(earlier)) => match self.take_over(&earlier, &mut reuse) {
                    Ok(()) => return reuse,
                    Err(unfit) => warn(unfit.to_string()),
                },
                Ok(None) => warn("it does not exist".to_owned()),
                Err(error) => warn(error.to_string()),
            }
        }
        for destination in self.destinations {
            let mut number = 0;
            while let Some(earlier) = destination.session.earlier(number).await {
                match self.take_over(&earlier, &mut reuse) {
                    Ok(()) => break,
                    Err(unfit) => {
                        let reference = earlier.reference;
                        let text = format!("nothing is taken over from `{reference}`: {unfit}");
                        self.context.events.detail(text);
                    }
                }
                number += 1;
            }
        }
        reuse
    }

    /// Adds the layers of an image, all platforms of it, and says so.
    fn take_over(&self, earlier: &Earlier, reuse: &mut Reuse) -> Result<(), Unfit> {
        let origin = Origin::Registry(earlier.reference.repository.clone());
        let mut found = reuse.clone();
        for (manifest, config) in &earlier.images {
            found.add(manifest, config, &origin)?;
        }
        *reuse = found;
        let reference = &earlier.reference;
        self.context.events.note(format!("layers of `{reference}` are taken over where they fit"));
        Ok(())
    }
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
            text.parse().map_err(NotAnImage::from).attempting(|| format!("read `{name}`"))?;
        Ok(match reference {
            Reference { repository, tag: None, digest: None } => repository.at_tag("latest"),
            reference => reference,
        })
    };
    texts.iter().map(read).collect()
}

/// `--cache-from` is no reference.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct NotAnImage(#[from] InvalidReference);

impl Classified for NotAnImage {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec!["write it as `HOST/REPOSITORY:TAG`".into()]
    }
}
