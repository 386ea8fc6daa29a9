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
