//! Which repositories are pulled from elsewhere: a mirror, or a proxy project of Harbor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::error::Error;
use super::lock::lock;
use super::unused::Given;
use crate::event::Events;
use crate::oci::Repository;

/// Beginnings of names (`docker.io`, `docker.io/library`), and what stands there instead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryMap(BTreeMap<String, String>);

impl FromIterator<(String, String)> for RegistryMap {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl RegistryMap {
    /// The repository that is called for this one: itself, unless its name begins like an entry.
    /// The longest entry counts, and a name begins with whole parts.
    fn apply(&self, repository: &Repository) -> Result<Repository, Error> {
        let name = repository.to_string();
        let entry = self.0.iter().filter_map(|(from, to)| {
            let rest = name.strip_prefix(from.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some((from, to, rest))
        });
        let Some((from, to, rest)) = entry.max_by_key(|(from, _, _)| from.len()) else {
            return Ok(repository.clone());
        };
        let mapped = format!("{to}{rest}");
        // A host alone would be read as the name of an official image.
        mapped.parse().ok().filter(|_| mapped.contains('/')).ok_or_else(|| Error::Settings {
            host: name.clone(),
            reason: format!("the map from `{from}` to `{to}` makes no repository of it"),
        })
    }
}

/// A map, and what was told of it.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) map: RegistryMap,
    pub(super) told: Mutex<BTreeSet<Repository>>,
}

impl Mapping {
    pub(super) fn new(map: RegistryMap) -> Self {
        Self { map, told: Mutex::default() }
    }

    /// As [`RegistryMap::apply`]; tells of each repository once whether it is pulled from elsewhere.
    pub(super) fn source_of(
        &self,
        repository: &Repository,
        events: &Events,
    ) -> Result<Repository, Error> {
        let source = self.map.apply(repository)?;
        if !lock(&self.told).insert(repository.clone()) {
            return Ok(source);
        }
        if source == *repository {
            let hosts = self.map.0.keys().map(|from| from.split('/').next().unwrap_or_default());
            let given = Given { option: "--registry-map", hosts: hosts.collect() };
            given.tell_unused(&[vec![repository.registry().to_owned()]], events);
        } else {
            events.detail(format!("`{repository}` is pulled from `{source}` (`--registry-map`)"));
        }
        Ok(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    #[test]
    fn an_entry_that_is_misspelt_is_told_once() {
        let pair = ("dockr.io/library".to_owned(), "harbor.corp".to_owned());
        let mapping = Mapping::new(RegistryMap::from_iter([pair]));
        let (events, receiver) = Events::channel();
        let python: Repository = "docker.io/library/python".parse().unwrap();
        for _ in 0..2 {
            assert_eq!(mapping.source_of(&python, &events).unwrap(), python);
        }
        drop(events);
        let text =
            "`--registry-map` was given for `dockr.io`, but this command speaks to `docker.io`";
        let expected = Event::Warning { code: "setting-not-used", text: text.into(), hint: None };
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn the_longest_beginning_counts() {
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let map = RegistryMap::from_iter([
            pair("docker.io", "harbor.corp/hub"),
            pair("docker.io/library", "mirror.corp:5000"),
            pair("ghcr.io/acme/base", "harbor.corp/base"),
            pair("quay.io/a/b", "harbor.corp"),
        ]);
        for (name, expected) in [
            ("docker.io/grafana/loki", Some("harbor.corp/hub/grafana/loki")),
            ("python", Some("mirror.corp:5000/python")),
            ("docker.io/library2/x", Some("harbor.corp/hub/library2/x")),
            ("ghcr.io/acme/base", Some("harbor.corp/base")),
            ("ghcr.io/acme/base2", Some("ghcr.io/acme/base2")),
            ("ghcr.io/acme/base/x", Some("harbor.corp/base/x")),
            ("quay.io/a/b/c", Some("harbor.corp/c")),
            ("quay.io/a/b", None),
        ] {
            let mapped = map.apply(&name.parse().unwrap());
            let mapped = mapped.ok().map(|repository| repository.to_string());
            assert_eq!(mapped.as_deref(), expected, "{name}");
        }
    }
}
