//! Some of several destinations did not get the image: which of them, and where it stands.

use serde_json::{Value, json};

use crate::error::{Classified, Error, ErrorKind, Result};
use crate::publish::Published;

/// Not every destination has the image.
#[derive(Debug)]
pub struct Incomplete {
    /// Where it is.
    pub published: Vec<Published>,
    /// Where it is not, and why not.
    failed: Vec<(String, Error)>,
    total: usize,
    /// Whether anything was sent.
    is_begun: bool,
}

impl Incomplete {
    /// The error of a run with `total` destinations, some of which failed. Where there is only one,
    /// its own error says it all.
    pub(super) fn error(
        published: Vec<Published>,
        failed: Vec<(String, Error)>,
        total: usize,
    ) -> Error {
        Self { published, failed, total, is_begun: true }.unless_alone()
    }

    /// Ends a run in which nothing was sent yet when some destinations do not take the image: then
    /// none of them gets it.
    pub(super) fn unless_all_agree(refused: Vec<(String, Error)>, total: usize) -> Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let published = Vec::new();
        Err(Self { published, failed: refused, total, is_begun: false }.unless_alone())
    }

    fn unless_alone(mut self) -> Error {
        match self.failed.pop() {
            Some((_, error)) if self.total == 1 => error,
            last => {
                self.failed.extend(last);
                self.into()
            }
        }
    }

    /// Why it is not where it is not.
    pub(super) fn failures(&self) -> impl Iterator<Item = &Error> {
        self.failed.iter().map(|(_, error)| error)
    }

    /// Where the image is not, and why not, as JSON.
    pub fn failed_document(&self) -> Value {
        let failed = |(destination, error): &(String, Error)| {
            json!({
                "destination": destination,
                "kind": error.kind().name(),
                "exit_code": error.kind().exit_code(),
                "message": error.lines(),
                "hints": error.hints(),
                "is_retryable": error.is_retryable(),
            })
        };
        self.failed.iter().map(failed).collect()
    }
}

impl std::fmt::Display for Incomplete {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { published, failed, total, is_begun } = self;
        if !is_begun {
            let count = failed.len();
            write!(formatter, "nothing was sent: {count} of {total} destinations do not take it")?;
            return failed
                .iter()
                .try_for_each(|(name, error)| write!(formatter, "\n`{name}`: {error}"));
        }
        match published.len() {
            0 => write!(formatter, "the image is at none of {total} destinations"),
            // A step on the way to somewhere else counts as a destination, and is never published.
            count => write!(formatter, "the image is at {count} of {total} destinations"),
        }?;
        failed
            .iter()
            .try_for_each(|(name, error)| write!(formatter, "\n`{name}` does not have it: {error}"))
    }
}

impl std::error::Error for Incomplete {}

impl Classified for Incomplete {
    /// What the user has to change decides before what may be an accident.
    fn kind(&self) -> ErrorKind {
        let is_usage = |(_, error): &(String, Error)| error.kind() == ErrorKind::Usage;
        let is_users_turn = !self.is_begun && self.failed.iter().any(is_usage);
        if is_users_turn { ErrorKind::Usage } else { ErrorKind::Failed }
    }

    fn hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = Vec::new();
        for hint in self.failed.iter().flat_map(|(_, error)| error.hints()) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        hints
    }

    /// Whether all of them may have the image when it is tried again.
    fn is_retryable(&self) -> bool {
        self.failed.iter().all(|(_, error)| error.is_retryable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::PublishError;

    fn failure(kind: ErrorKind) -> Error {
        let (text, reason, digest) = ("x".into(), "no".into(), crate::oci::Digest::of(b""));
        match kind {
            ErrorKind::Usage => PublishError::InvalidDestination { text, reason }.into(),
            _ => PublishError::MissingBlob { digest, place: reason }.into(),
        }
    }

    #[test]
    fn it_is_the_users_turn_only_where_nothing_was_touched() {
        let published = || {
            let descriptor = crate::oci::Descriptor::of(crate::oci::MediaType::OciManifest, b"{}");
            let (tags, kept, platforms) = Default::default();
            Published { reference: "a.io/x/y".into(), descriptor, tags, kept, platforms }
        };
        let (usage, failed) = (ErrorKind::Usage, ErrorKind::Failed);
        let failures = |kinds: &[ErrorKind]| {
            kinds.iter().map(|kind| ("b.io/x/y".to_owned(), failure(*kind))).collect()
        };
        for (kinds, expected) in [
            (&[usage, usage][..], usage),
            (&[failed, usage], usage),
            (&[usage], usage),
            (&[failed, failed], failed),
        ] {
            let error = Incomplete::unless_all_agree(failures(kinds), 2).unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (expected, false));
            for published in [vec![], vec![published()]] {
                assert_eq!(Incomplete::error(published, failures(kinds), 2).kind(), failed);
            }
        }
        assert!(Incomplete::unless_all_agree(Vec::new(), 2).is_ok());
        let only = Incomplete::error(Vec::new(), vec![("x".into(), failure(failed))], 1);
        assert!(only.downcast_ref::<PublishError>().is_some());
        let two = vec![("a".into(), failure(failed)), ("b".into(), failure(failed))];
        let error = Incomplete::error(Vec::new(), two, 2);
        assert_eq!(error.hints(), ["build the image again"]);
        assert!(
            error.to_string().starts_with(
                "the image is at none of 2 destinations\n`a` does not have it: blob `sha256:"
            ),
            "{error}"
        );
    }
}
