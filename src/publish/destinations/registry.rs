//! A repository of a registry: how it is named. `publish/push.rs` brings the image there.

use async_trait::async_trait;

use crate::error::Result;
use crate::oci::{Reference, Repository};
use crate::publish::push::Push;
use crate::publish::{
    Destination, DestinationKind, ParsedDestination, PublishContext, PublishError, Session,
};

/// See the module.
pub(super) static KIND: DestinationKind = DestinationKind {
    name: "registry",
    syntax: "HOST/REPOSITORY[:TAG]",
    summary: "a repository of a registry",
    is_remote: true,
    parse,
};

#[derive(Debug)]
struct Registry {
    repository: Repository,
    tag: Option<String>,
}

fn parse(text: &str) -> Option<ParsedDestination> {
    // A bare name would be one of Docker's official images: nobody means to push there.
    if !text.contains('/') {
        return None;
    }
    let reference: Reference = match text.parse() {
        Ok(reference) => reference,
        Err(error) => return Some(Err(PublishError::from(error))),
    };
    let Reference { repository, tag, digest } = reference;
    Some(match digest {
        None => Ok(Box::new(Registry { repository, tag })),
        Some(_) => Err(PublishError::InvalidDestination {
            text: text.to_owned(),
            reason: "a digest is what comes of pushing, it cannot be chosen".into(),
        }),
    })
}

#[async_trait]
impl Destination for Registry {
    fn kind(&self) -> &'static DestinationKind {
        &KIND
    }

    fn describe(&self) -> String {
        match &self.tag {
            Some(tag) => self.repository.at_tag(tag).to_string(),
            None => self.repository.to_string(),
        }
    }

    async fn open(&self, context: &PublishContext, tags: &[String]) -> Result<Box<dyn Session>> {
        let tags = self.tag.clone().map_or_else(|| tags.to_vec(), |own| vec![own]);
        Ok(Box::new(Push::begin(&self.repository, tags, context).await?))
    }
}
