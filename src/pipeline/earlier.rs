//! Images that were pushed before, whose layers may serve again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture, Shared};
use tokio::sync::OnceCell;

use super::gathering::Gathering;
use super::{OptionNames, image_name};
use crate::error::{Attempting as _, Result};
use crate::event::Events;
use crate::layer::{Reusable, Reuse, Unfit};
use crate::oci::{Digest, Reference};
use crate::plan::{BASE_FILES_ANNOTATION, LayerCompression, RootExcerpt, VcsFacts};
use crate::publish::{Earlier, Inquiry, Session};
use crate::registry;

/// How many commits before HEAD are looked for: a merge has two parents, hardly ever more.
const MAX_PARENTS: usize = 4;

/// Images that were pushed before, looked for when somebody asks.
#[derive(Debug)]
pub(super) struct EarlierImages {
    /// What `--cache-from` names: asked first, and when one of them fits, no layer comes from elsewhere.
    references: Vec<Reference>,
    /// Each may have an earlier image of its own.
    sessions: Vec<Arc<dyn Session>>,
    compression: LayerCompression,
    inquiry: Inquiry,
    events: Events,
    named: OnceCell<Option<Earlier>>,
    /// One per session.
    standing: OnceCell<Vec<Option<Earlier>>>,
    layers: OnceCell<Reuse>,
    /// Why images that stand at a destination give nothing.
    refused: Mutex<Vec<String>>,
    /// What the registry answered, or is going to answer, about the size of a blob.
    sizes: Mutex<BTreeMap<Digest, Size>>,
}

/// The size of a blob; `None` where the registry does not say.
type Size = Shared<BoxFuture<'static, Arc<Result<Option<u64>>>>>;

impl EarlierImages {
    /// Those that are named, or stand where the new one goes, for layers that are compressed so.
    pub(super) fn new(
        references: Vec<Reference>,
        sessions: Vec<Arc<dyn Session>>,
        compression: LayerCompression,
        gathering: &Gathering<'_>,
    ) -> Self {
        let Gathering { client, store, context, .. } = gathering;
        Self {
            references,
            sessions,
            compression,
            inquiry: Inquiry::new(client, store, &context.events),
            events: context.events.clone(),
            named: OnceCell::new(),
            standing: OnceCell::new(),
            layers: OnceCell::new(),
            refused: Mutex::default(),
            sizes: Mutex::default(),
        }
    }

    /// The layers that may be taken over: those of the image that is named, else of those that stand
    /// where the new one goes. Best effort.
    pub(super) async fn layers(&self) -> &Reuse {
        let find = async || {
            let mut reuse = Reuse::new(self.compression);
            let images = match self.named().await {
                Some(named) => vec![named],
                None => self.standing().await.iter().flatten().collect(),
            };
            for earlier in images {
                // Each was tried when it was found.
                let _ = add(earlier, &mut reuse);
                let reference = &earlier.reference;
                self.events.note(format!("layers of `{reference}` are taken over where they fit"));
            }
            self.tell_refused(reuse.is_empty());
            reuse
        };
        self.layers.get_or_init(|| Box::pin(find())).await
    }

    /// Asks for the size of every layer, so that the answers are there when they are wanted.
    pub(super) async fn anticipate(&self) {
        for layer in self.layers().await.layers() {
            drop(self.size(layer));
        }
    }

    /// Whether the registry has a layer as its image says, as far as the registry tells. Where it has not,
    /// a warning says so.
    pub(super) async fn is_sound(&self, name: &str, layer: &Reusable) -> bool {
        let Reusable { descriptor, image } = layer;
        let warn = |what: String| {
            let text = format!("layer `{name}` is packed anew, not taken from `{image}`: {what}");
            self.events.warn("earlier-layer-unsound", text, None);
        };
        match &*self.size(layer).await {
            Ok(size) => {
                let actual = size.unwrap_or(descriptor.size);
                if actual != descriptor.size {
                    let (digest, claimed) = (descriptor.digest, descriptor.size);
                    warn(format!(
                        "its manifest says that {digest} has {claimed} bytes, the registry {actual}"
                    ));
                }
                actual == descriptor.size
            }
            Err(error) => {
                match error.downcast_ref() {
                    Some(registry::Error::NotFound { .. }) => warn(error.to_string()),
                    _ => self.inquiry.tell(image, error),
                }
                false
            }
        }
    }

    /// Asks for the size of a layer's blob, once.
    fn size(&self, layer: &Reusable) -> Size {
        let ask = || {
            let (inquiry, Reusable { descriptor, image }) = (self.inquiry.clone(), layer.clone());
            let asked =
                async move { Arc::new(inquiry.blob_size(&image, &descriptor.digest).await) };
            let asked = tokio::spawn(asked);
            asked.map(|answer| answer.expect("a question does not panic")).boxed().shared()
        };
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.entry(layer.descriptor.digest).or_insert_with(ask).clone()
    }

    /// What is told of the file system of the base with this digest. It decides where files go, and is
    /// told again by the image that is built: so it counts when every destination tells the same. Who may
    /// push to a repository needs no such way to change what is there; who may push to another one must
    /// not get it.
    pub(super) async fn base_files(&self, base: &Digest) -> Option<RootExcerpt> {
        let mut told: Option<RootExcerpt> = None;
        for (session, standing) in self.sessions.iter().zip(self.standing().await) {
            let is_there =
                |named: &&Earlier| session.repository() == Some(&named.reference.repository);
            let named = self.named().await.filter(is_there);
            let excerpt = named.or(standing.as_ref()).and_then(|image| excerpt(image, base))?;
            if told.as_ref().is_some_and(|told| *told != excerpt) {
                return None;
            }
            told = Some(excerpt);
        }
        told
    }

    /// The first image that fits of those that are named.
    async fn named(&self) -> Option<&Earlier> {
        self.named.get_or_init(|| Box::pin(self.find_named())).await.as_ref()
    }

    /// The first image that fits at each destination.
    async fn standing(&self) -> &[Option<Earlier>] {
        let find =
            || future::join_all(self.sessions.iter().map(|session| self.find_at(&**session)));
        self.standing.get_or_init(|| Box::pin(find())).await
    }

    async fn find_named(&self) -> Option<Earlier> {
        for reference in &self.references {
            let warn = |reason: String| {
                let text = format!("nothing is taken over from `{reference}`: {reason}");
                self.events.warn("cache-from", text, None);
            };
            match Box::pin(self.inquiry.find(reference)).await {
                Ok(Some(earlier)) => match self.check(&earlier) {
                    Ok(()) => return Some(earlier),
                    Err(unfit) => warn(unfit.to_string()),
                },
                Ok(None) => warn("it does not exist".to_owned()),
                Err(error) => warn(error.to_string()),
            }
        }
        None
    }

    async fn find_at(&self, session: &dyn Session) -> Option<Earlier> {
        let mut number = 0;
        while let Some(earlier) = session.earlier(number).await {
            let Err(unfit) = self.check(&earlier) else { return Some(earlier) };
            let reference = earlier.reference;
            let text = format!("nothing is taken over from `{reference}`: {unfit}");
            self.refused.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            number += 1;
        }
        None
    }

    /// Says why images give nothing: to everybody where that is why all is packed.
    fn tell_refused(&self, is_all_packed: bool) {
        for text in self.refused.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if is_all_packed { self.events.note(text) } else { self.events.detail(text) }
        }
    }

    /// Whether all platforms of an image fit.
    fn check(&self, earlier: &Earlier) -> Result<(), Unfit> {
        add(earlier, &mut Reuse::new(self.compression))
    }
}

/// Adds the layers of all platforms of an image.
fn add(earlier: &Earlier, reuse: &mut Reuse) -> Result<(), Unfit> {
    earlier.images.iter().try_for_each(|(manifest, config)| {
        reuse.add(manifest, config, &earlier.reference).map(drop)
    })
}

/// What one of its images tells of the base with this digest.
fn excerpt(earlier: &Earlier, base: &Digest) -> Option<RootExcerpt> {
    let manifests = earlier.images.iter().map(|(manifest, _)| manifest);
    let mut told = manifests.filter_map(|manifest| manifest.annotations.get(BASE_FILES_ANNOTATION));
    told.find_map(|text| RootExcerpt::from_annotation(text, base))
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
