//! Some of several destinations did not get the image: which of them, and where it stands.

use crate::error::{Classified, Error, ErrorKind};
use crate::publish::Published;

/// Not every destination has the image.
#[derive(Debug)]
pub struct Incomplete {
    /// Where it is.
    pub published: Vec<Published>,
    /// Where it is not, and why not.
    failed: Vec<(String, Error)>,
    total: usize,
}

impl Incomplete {
    /// The error of a run with `total` destinations, some of which failed. Where there is only one,
    /// its own error says it all.
    pub(super) fn error(
        published: Vec<Published>,
        mut failed: Vec<(String, Error)>,
        total: usize,
    ) -> Error {
        match failed.pop() {
            Some((_, error)) if total == 1 => error,
            last => {
                failed.extend(last);
                Self { published, failed, total }.into()
            }
        }
    }
}

impl std::fmt::Display for Incomplete {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { published, failed, total } = self;
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
    fn kind(&self) -> ErrorKind {
        let is_usage = |(_, error): &(String, Error)| error.kind() == ErrorKind::Usage;
        let is_untouched = self.published.is_empty() && self.failed.iter().all(is_usage);
        if is_untouched { ErrorKind::Usage } else { ErrorKind::Failed }
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
        for (published, failures, expected) in [
            (vec![], vec![usage, usage], usage),
            (vec![], vec![usage, failed], failed),
            (vec![published()], vec![usage], failed),
        ] {
            let failures = failures.into_iter().map(|kind| ("b.io/x/y".to_owned(), failure(kind)));
            let error = Incomplete::error(published, failures.collect(), 2);
            assert_eq!(error.kind(), expected);
        }
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
