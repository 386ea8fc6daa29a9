//! Where an image goes, as text becomes destinations, and which tags it gets at each.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::produce::OpenDestination;
use crate::error::{Classified, ErrorKind, Result};
use crate::oci::{Platform, Reference};
use crate::publish::{Destination, PublishContext, destinations};

/// The destinations of a run, before anything is known of the image.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    wanted: Vec<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    destination: Box<dyn Destination>,
    /// For a registry: where, and under which tag of its own.
    reference: Option<Reference>,
    /// For a layout or archive: its folder or file.
    path: Option<PathBuf>,
}

/// The command line asks for something that cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DestinationsError {
    /// `build -o` with a repository.
    #[error("`-o {text}` is a repository")]
    Remote {
        /// As written.
        text: String,
    },
    /// `push` without any destination.
    #[error("nothing says where to push to")]
    Nowhere,
}

impl Classified for DestinationsError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::Remote { text } => format!("push it with `dockless push --to {text}`"),
            Self::Nowhere => {
                "give `--to HOST/REPOSITORY`, `-t HOST/REPOSITORY:TAG`, or add `image: [HOST/REPOSITORY]` to the config"
                    .into()
            }
        }]
    }
}

impl Destinations {
    /// Adds what `--to` or the config names.
    pub(super) fn add(&mut self, text: &str) -> Result<()> {
        let destination = destinations::parse(text)?;
        let (reference, path) = if destination.kind().is_remote {
            (text.parse().ok(), None)
        } else {
            (None, path_of(text))
        };
        self.wanted.push(Wanted { destination, reference, path });
        Ok(())
    }

    /// Adds what `-o` names: layouts and archives, no repository.
    pub(super) fn add_output(&mut self, text: &str) -> Result<()> {
        self.add(text)?;
        match self.wanted.last() {
            Some(wanted) if wanted.reference.is_some() => {
                Err(DestinationsError::Remote { text: text.to_owned() }.into())
            }
            _ => Ok(()),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The registries that are pushed to.
    pub(super) fn hosts(&self) -> BTreeSet<String> {
        let references = self.wanted.iter().filter_map(|wanted| wanted.reference.as_ref());
        references.map(|reference| reference.repository.registry().to_owned()).collect()
    }

    /// The folders and files that are written.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.wanted.iter().filter_map(|wanted| wanted.path.as_ref())
    }

    /// What stands for the image where a tag alone is no name.
    pub(super) fn first_repository(&self) -> Option<String> {
        let reference = self.wanted.iter().find_map(|wanted| wanted.reference.as_ref())?;
        Some(reference.repository.to_string())
    }

    /// Refuses what cannot take an image of these platforms, before anything is built.
    pub(super) fn check(&self, platforms: &[Platform]) -> Result<()> {
        for wanted in &self.wanted {
            wanted.destination.check(platforms)?;
        }
        Ok(())
    }

    /// Each destination for people, and the tags it will have.
    pub(super) fn describe(&self, tags: &[String]) -> Vec<(String, Vec<String>)> {
        self.wanted
            .iter()
            .map(|wanted| (wanted.destination.describe(), wanted.tags(tags)))
            .collect()
    }

    /// Opens all of them.
    pub(super) async fn open(
        &self,
        tags: &[String],
        context: &PublishContext,
    ) -> Result<Vec<OpenDestination>> {
        let mut open = Vec::with_capacity(self.wanted.len());
        for wanted in &self.wanted {
            open.push(OpenDestination {
                name: wanted.destination.describe(),
                session: Arc::from(wanted.destination.open(context).await?),
                tags: wanted.tags(tags),
            });
        }
        Ok(open)
    }
}

impl Wanted {
    /// A tag written with the destination stands alone; a repository without any tag gets `latest`,
    /// as with every other tool.
    fn tags(&self, tags: &[String]) -> Vec<String> {
        match &self.reference {
            Some(Reference { tag: Some(tag), .. }) => vec![tag.clone()],
            Some(_) if tags.is_empty() => vec!["latest".into()],
            _ => tags.to_vec(),
        }
    }
}

/// The path in `oci:DIR[:NAME]`, `oci-archive:FILE` and the like.
fn path_of(text: &str) -> Option<PathBuf> {
    let (kind, rest) = text.split_once(':')?;
    let path = match kind {
        "oci" => rest.split_once(':').map_or(rest, |(path, _)| path),
        _ => rest,
    };
    (path != "-").then(|| std::path::absolute(path).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destinations(texts: &[&str]) -> Destinations {
        let mut destinations = Destinations::default();
        for text in texts {
            destinations.add(text).unwrap();
        }
        destinations
    }

    #[test]
    fn a_tag_of_its_own_stands_alone_and_none_at_all_is_latest() {
        let wanted = destinations(&["a.io/x/y:v1", "b.io/x/y", "oci:out"]);
        let tags = |tags: &[&str]| -> Vec<Vec<String>> {
            let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            wanted.describe(&tags).into_iter().map(|(_, tags)| tags).collect()
        };
        assert_eq!(tags(&["v2"]), [vec!["v1"], vec!["v2"], vec!["v2"]]);
        assert_eq!(tags(&[]), [vec!["v1"], vec!["latest"], vec![]]);
        assert_eq!(wanted.hosts(), ["a.io".to_owned(), "b.io".to_owned()].into());
        assert_eq!(wanted.first_repository().as_deref(), Some("a.io/x/y"));
    }

    #[test]
    fn paths_are_what_is_written() {
        let wanted = destinations(&["oci:/a/b:v1", "oci-archive:/c.tar", "-", "r.io/x/y"]);
        let paths: Vec<_> = wanted.paths().map(|path| path.display().to_string()).collect();
        assert_eq!(paths, ["/a/b", "/c.tar"]);
    }

    #[test]
    fn build_writes_no_repository() {
        let error = Destinations::default().add_output("r.io/x/y").unwrap_err();
        assert_eq!(error.hints(), ["push it with `dockless push --to r.io/x/y`"]);
    }
}
