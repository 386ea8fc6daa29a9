//! Where an image goes, as text becomes destinations, and which tags it gets at each.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future;

use super::Incomplete;
use super::produce::{OpenDestination, abandon_if_failed};
use super::tags::Tags;
use crate::config::{Config, LayerCompression};
use crate::error::{Classified, Error, ErrorKind, Result};
use crate::event::Events;
use crate::oci::{Platform, Reference};
use crate::publish::{Destination, PublishContext, PublishError, Session, destinations};

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
    /// What it is to people, when it is only a step on the way there: it is not shown itself.
    stands_for: Option<&'static str>,
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
    /// `build -o` with something else.
    #[error("`-o {}` is no output", text.escape_debug())]
    UnknownOutput {
        /// As written.
        text: String,
    },
    /// Two images in one file, or on standard output.
    #[error("`{text}` is written to by another destination of this command")]
    Twice {
        /// As written.
        text: String,
    },
    /// `push` without any destination.
    #[error("nothing says where to push to")]
    Nowhere {
        /// What the config would say, if there is one.
        setting: Option<&'static str>,
    },
    /// `build --push` without any destination.
    #[error("`--push` was given, but the config names no repository")]
    NoRepositories {
        /// What the config would say.
        setting: &'static str,
    },
}

impl DestinationsError {
    /// No destination, for a project with this config.
    pub(super) fn nowhere(config: &Config) -> Self {
        Self::Nowhere { setting: Some(repository_setting(config)) }
    }
}

/// How a config says where its image goes.
pub(super) fn repository_setting(config: &Config) -> &'static str {
    match config.source.format {
        "holodeck" => "deployment: {registry: {url: HOST, repository: REPOSITORY}}",
        _ => "image: [HOST/REPOSITORY]",
    }
}

impl Classified for DestinationsError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::Twice { .. } => "give each destination a file of its own".into(),
            Self::Remote { text } => format!("push it with `dockless push --to {text}`"),
            Self::UnknownOutput { .. } => {
                let kinds = destinations::DESTINATIONS.iter().filter(|kind| !kind.is_remote);
                let syntaxes: Vec<_> = kinds.map(|kind| format!("`{}`", kind.syntax)).collect();
                format!("write it as {}, or `-` for standard output", syntaxes.join(", "))
            }
            Self::NoRepositories { setting } => {
                format!("add `{setting}` to the config, or give `-t HOST/REPOSITORY:TAG`")
            }
            Self::Nowhere { setting: Some(setting) } => format!(
                "give `--to HOST/REPOSITORY`, `-t HOST/REPOSITORY:TAG`, or add `{setting}` to the config"
            ),
            Self::Nowhere { setting: None } => "give `--to HOST/REPOSITORY`".into(),
        }]
    }
}

impl Destinations {
    /// Adds what `--to` or the config names; what is named twice counts once.
    pub(super) fn add(&mut self, text: &str) -> Result<()> {
        let mut destination = destinations::parse(text)?;
        let (mut reference, mut path) = (None, None);
        if destination.kind().is_remote {
            reference = text.parse().ok();
            // The tag is one of several here, and a destination that has one goes by that alone.
            if let Some(Reference { repository, tag: Some(_), .. }) = &reference {
                destination = destinations::parse(&repository.to_string())?;
            }
        } else {
            path = path_of(text);
            // A layout takes several images; a file, or standard output, one.
            let takes_several = destination.kind().name == "oci";
            let is_same = |wanted: &Wanted| wanted.reference.is_none() && wanted.path == path;
            if self.wanted.iter().any(|wanted| {
                is_same(wanted) && !(takes_several && wanted.destination.kind().name == "oci")
            }) {
                return Err(DestinationsError::Twice { text: text.to_owned() }.into());
            }
        }
        let name = destination.describe();
        let is_known = |wanted: &Wanted| {
            wanted.reference == reference && wanted.destination.describe() == name
        };
        if !self.wanted.iter().any(is_known) {
            self.wanted.push(Wanted { destination, reference, path, stands_for: None });
        }
        Ok(())
    }

    /// Adds a file on the way to somewhere else, which people know by that name.
    pub(super) fn add_step(&mut self, text: &str, stands_for: &'static str) -> Result<()> {
        self.add(text)?;
        if let Some(wanted) = self.wanted.last_mut() {
            wanted.stands_for = Some(stands_for);
        }
        Ok(())
    }

    /// Adds what `-o` names: layouts and archives, no repository.
    pub(super) fn add_output(&mut self, text: &str) -> Result<()> {
        let parsed = destinations::parse(text);
        if let Err(PublishError::UnknownDestination { similar: None, .. }) = parsed {
            return Err(DestinationsError::UnknownOutput { text: text.to_owned() }.into());
        }
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

    /// What is pushed to in registries.
    pub(super) fn references(&self) -> impl Iterator<Item = &Reference> {
        self.wanted.iter().filter_map(|wanted| wanted.reference.as_ref())
    }

    /// The registries that are pushed to.
    pub(super) fn hosts(&self) -> BTreeSet<String> {
        self.references().map(|reference| reference.repository.registry().to_owned()).collect()
    }

    /// Says what a dry run leaves open: no registry is asked whether it takes the image.
    pub(super) fn note_unasked(&self, events: &Events) {
        let hosts: Vec<_> = self.hosts().iter().map(|host| format!("`{host}`")).collect();
        if !hosts.is_empty() {
            let hosts = hosts.join(", ");
            events.note(format!(
                "dry run: whether {hosts} would take the image was not asked; `dockless check` asks"
            ));
        }
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

    /// Refuses what cannot take an image of these platforms with such layers, before anything is
    /// built.
    pub(super) fn check(
        &self,
        platforms: &[Platform],
        compression: LayerCompression,
    ) -> Result<()> {
        for wanted in &self.wanted {
            let checked = wanted.destination.check(platforms, compression);
            checked.map_err(|error| match wanted.stands_for {
                Some(engine) => Error::from(error).attempting(format!(
                    "hand the image to {engine} as a docker-archive, as `--load` does"
                )),
                None => error.into(),
            })?;
        }
        Ok(())
    }

    /// Each destination for people, and the tags it will have.
    pub(super) fn describe(&self, tags: &Tags) -> Vec<(String, Vec<String>)> {
        self.wanted.iter().map(|wanted| (wanted.name(), wanted.tags(tags))).collect()
    }

    /// Where an earlier image is looked for: in each repository, its tags and then these.
    pub(super) fn earlier(&self, tags: &Tags, earlier_tags: &[String]) -> Vec<Reference> {
        let mut places: Vec<Reference> = Vec::new();
        for wanted in &self.wanted {
            let Some(Reference { repository, .. }) = &wanted.reference else { continue };
            for tag in wanted.tags(tags).iter().chain(earlier_tags) {
                let place = repository.at_tag(tag);
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        places
    }

    /// Opens all of them at once: looks, and touches nothing.
    pub(super) async fn open(&self, tags: &Tags, context: &PublishContext) -> Opened {
        let open = async |wanted: &Wanted| {
            let mut context = context.clone();
            if wanted.stands_for.is_some() {
                context.events = Events::none();
            }
            let session = wanted.destination.open(&context, &wanted.tags(tags)).await;
            let session = session.map_err(|error| (wanted.name(), error))?;
            Ok(OpenDestination {
                name: wanted.name(),
                session: Arc::from(session),
                is_remote: wanted.reference.is_some(),
                is_stream: wanted.reference.is_none() && wanted.path.is_none(),
                is_step: wanted.stands_for.is_some(),
            })
        };
        Opened(future::join_all(self.wanted.iter().map(open)).await)
    }
}

/// The destinations of a run, and why some of them are not open.
#[derive(Debug, Default)]
pub(super) struct Opened(Vec<Result<OpenDestination, (String, Error)>>);

impl Opened {
    /// The sessions of those that are open.
    pub(super) fn sessions(&self) -> Vec<Arc<dyn Session>> {
        self.0.iter().flatten().map(|destination| destination.session.clone()).collect()
    }

    /// Whether some are not open.
    pub(super) fn has_refusals(&self) -> bool {
        self.0.iter().any(Result::is_err)
    }

    /// Whether layers are copied to one that is open, not only sent to registries.
    pub(super) fn has_copies(&self) -> bool {
        self.0.iter().flatten().any(|destination| !destination.is_remote)
    }

    /// The open ones, once each has proved that it takes an image. When some do not, nothing is sent
    /// anywhere, and all of them are reported.
    pub(super) async fn prove(self) -> Result<Vec<OpenDestination>> {
        let (total, mut opened, mut refused) = (self.0.len(), Vec::new(), Vec::new());
        let prove = async |place: Result<OpenDestination, (String, Error)>| {
            let place = place?;
            let proved = place.session.prove().await.map_err(|error| (place.name.clone(), error));
            proved.map(|()| place)
        };
        for result in future::join_all(self.0.into_iter().map(prove)).await {
            match result {
                Ok(destination) => opened.push(destination),
                Err(error) => refused.push(error),
            }
        }
        let agreed = Incomplete::unless_all_agree(refused, total);
        abandon_if_failed(agreed, &opened).await?;
        Ok(opened)
    }
}

impl Wanted {
    fn name(&self) -> String {
        self.stands_for.map_or_else(|| self.destination.describe(), str::to_owned)
    }

    /// The tag written with the destination comes first, then those of `-t`; without any of them
    /// there are the config's, and a repository gets `latest`, as with every other tool.
    fn tags(&self, tags: &Tags) -> Vec<String> {
        let own = self.reference.as_ref().and_then(|reference| reference.tag.as_ref());
        let mut all: Vec<String> = Vec::new();
        for tag in own.into_iter().chain(&tags.given) {
            if !all.contains(tag) {
                all.push(tag.clone());
            }
        }
        if all.is_empty() {
            all.clone_from(&tags.fallback);
        }
        if all.is_empty() && self.reference.is_some() {
            all.push("latest".into());
        }
        all
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
    fn a_tag_of_its_own_comes_first_and_none_at_all_is_latest() {
        let wanted = destinations(&["a.io/x/y:v1", "b.io/x/y", "oci:out"]);
        let list = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
        let tags = |given: &[&str], fallback: &[&str]| -> Vec<Vec<String>> {
            let tags = Tags { given: list(given), fallback: list(fallback) };
            wanted.describe(&tags).into_iter().map(|(_, tags)| tags).collect()
        };
        assert_eq!(tags(&["v2"], &["c"]), [vec!["v1", "v2"], vec!["v2"], vec!["v2"]]);
        assert_eq!(tags(&["v1"], &[]), [vec!["v1"], vec!["v1"], vec!["v1"]]);
        assert_eq!(tags(&[], &["c"]), [vec!["v1"], vec!["c"], vec!["c"]]);
        assert_eq!(tags(&[], &[]), [vec!["v1"], vec!["latest"], vec![]]);
        assert_eq!(wanted.hosts(), ["a.io".to_owned(), "b.io".to_owned()].into());
        assert_eq!(wanted.first_repository().as_deref(), Some("a.io/x/y"));
    }

    #[test]
    fn what_is_named_twice_counts_once() {
        let texts = ["a.io/x/y:v1", "a.io/x/y", "oci:/a:one", "oci:/a:two", "a.io/x/y:v2"];
        let twice: Vec<_> = texts.iter().chain(&texts).copied().collect();
        assert_eq!(destinations(&twice).wanted.len(), texts.len());
    }

    #[test]
    fn paths_are_what_is_written() {
        let wanted = destinations(&["oci:/a/b:v1", "oci-archive:/c.tar", "-", "r.io/x/y"]);
        let paths: Vec<_> = wanted.paths().map(|path| path.display().to_string()).collect();
        assert_eq!(paths, ["/a/b", "/c.tar"]);
    }

    #[test]
    fn a_file_is_written_once() {
        let mut destinations =
            destinations(&["oci:/a:one", "oci:/a:two", "oci-archive:/x.tar", "-"]);
        for text in ["docker-archive:/x.tar", "oci-archive:/x.tar", "-", "oci-archive:-"] {
            assert_eq!(destinations.add(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }

    #[test]
    fn build_writes_no_repository() {
        let error = Destinations::default().add_output("r.io/x/y").unwrap_err();
        assert_eq!(error.hints(), ["push it with `dockless push --to r.io/x/y`"]);
        let error = Destinations::default().add_output("foo").unwrap_err();
        assert_eq!(
            error.hints(),
            [
                "write it as `oci:DIR[:NAME]`, `oci-archive:FILE`, `docker-archive:FILE`, or `-` for \
              standard output"
            ]
        );
    }

    #[test]
    fn a_step_is_known_by_what_it_is_for() {
        let mut wanted = Destinations::default();
        wanted.add_step("docker-archive:/tmp/x.tar", "the local engine").unwrap();
        assert_eq!(wanted.describe(&Tags::default()), [("the local engine".to_owned(), vec![])]);
    }
}
