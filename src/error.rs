//! What every failure has in common: a kind that becomes the exit code, a chain of causes, and hints.
//!
//! Each module has an error enum of its own that implements [`Classified`]; [`Error`] carries any of
//! them up to the edge, together with what was being attempted. Nothing here knows a module of ours.

use std::fmt;

/// What a failure means to the caller, and with which code the process exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The answer to a question is "no": exit code 1.
    No,
    /// The user must change a file, a flag or the environment; nothing outside was touched: exit code 2.
    Usage,
    /// The request was fine, carrying it out failed: exit code 3.
    Failed,
    /// Ctrl-C (SIGINT): exit code 130.
    Interrupted,
    /// SIGTERM: exit code 143.
    Terminated,
}

impl ErrorKind {
    /// The exit code of a process that ends with a failure of this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::No => 1,
            Self::Usage => 2,
            Self::Failed => 3,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The name used in JSON output.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Usage => "usage",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }
}

/// An error that knows its kind and what its reader can do about it.
pub trait Classified: std::error::Error + Send + Sync + 'static {
    /// Whose turn it is: the user's, or nobody's.
    fn kind(&self) -> ErrorKind;

    /// What to do, one sentence each; printed as `hint:` lines.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether the same request may succeed when tried again later.
    fn is_retryable(&self) -> bool {
        false
    }
}

/// Any failure of a stage, with what was being attempted when it happened.
pub struct Error(Box<Inner>);

struct Inner {
    cause: Box<dyn Classified>,
    /// Innermost first: each caller adds what it was doing.
    attempts: Vec<String>,
    /// What the callers know to do about it.
    hints: Vec<String>,
    /// Whether something outside had been touched by then.
    is_late: bool,
}

/// The result of anything that can fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps a classified error.
    pub fn new(cause: impl Classified) -> Self {
        let (attempts, hints) = (Vec::new(), Vec::new());
        Self(Box::new(Inner { cause: Box::new(cause), attempts, hints, is_late: false }))
    }

    /// Adds what was being attempted, for instance "push `x` to `y`"; printed before the cause.
    pub fn attempting(mut self, what: impl Into<String>) -> Self {
        self.0.attempts.push(what.into());
        self
    }

    /// Adds what a caller knows to do about it, after the hints of the cause.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Says that something outside had been touched when it happened: then [`ErrorKind::Usage`], which
    /// promises that nothing was, is [`ErrorKind::Failed`].
    pub fn late(mut self) -> Self {
        self.0.is_late = true;
        self
    }

    /// The kind of the cause.
    pub fn kind(&self) -> ErrorKind {
        match self.0.cause.kind() {
            ErrorKind::Usage if self.0.is_late => ErrorKind::Failed,
            kind => kind,
        }
    }

    /// The hints of the cause, then those of the callers.
    pub fn hints(&self) -> Vec<String> {
        [self.0.cause.hints(), self.0.hints.clone()].concat()
    }

    /// Whether trying again may help.
    pub fn is_retryable(&self) -> bool {
        self.0.cause.is_retryable()
    }

    /// The cause as its own type, for code that must decide on it.
    pub fn downcast_ref<E: Classified>(&self) -> Option<&E> {
        let cause: &(dyn std::error::Error + 'static) = self.0.cause.as_ref();
        cause.downcast_ref::<E>()
    }

    /// The first error of this type among the cause and what is behind it.
    pub fn find<E: std::error::Error + 'static>(&self) -> Option<&E> {
        let cause: &(dyn std::error::Error + 'static) = self.0.cause.as_ref();
        let mut next = Some(cause);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<E>() {
                return Some(found);
            }
            // What stands in an I/O error is not its source, but the error itself.
            let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            next = match inner {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }

    /// Every line of the message: attempts from the outside in, the error, then its sources.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.0.attempts.iter().rev().cloned().collect();
        lines.push(self.0.cause.to_string());
        let mut source = self.0.cause.source();
        while let Some(error) = source {
            lines.push(error.to_string());
            source = error.source();
        }
        // Libraries often repeat their source's text in their own: say it once.
        lines.dedup_by(|next, previous| previous.contains(next.as_str()));
        lines
    }
}

impl<E: Classified> From<E> for Error {
    fn from(cause: E) -> Self {
        Self::new(cause)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.lines().join(": "))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("kind", &self.kind())
            .field("lines", &self.lines())
            .finish()
    }
}

/// Adds [`Error::attempting`] to results.
pub trait Attempting<T> {
    /// Says what was being attempted, computed only on failure.
    fn attempting<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<Error>> Attempting<T> for std::result::Result<T, E> {
    fn attempting<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| error.into().attempting(what()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `{path}`")]
    struct Unreadable {
        path: &'static str,
        source: std::io::Error,
    }

    impl Classified for Unreadable {
        fn kind(&self) -> ErrorKind {
            ErrorKind::Usage
        }

        fn hints(&self) -> Vec<String> {
            vec!["check its permissions".into()]
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);
    impl Classified for Outer {
        fn kind(&self) -> ErrorKind {
            ErrorKind::Failed
        }
    }

    fn unreadable() -> Unreadable {
        Unreadable { path: "a.txt", source: std::io::Error::other("permission denied") }
    }

    #[test]
    fn lines_go_from_the_attempt_to_the_last_cause() {
        let error: Error = Err::<(), _>(unreadable())
            .attempting(|| "pack layer 1")
            .attempting(|| "build `x`")
            .unwrap_err();
        assert_eq!(
            error.lines(),
            ["build `x`", "pack layer 1", "cannot read `a.txt`", "permission denied"]
        );
        assert_eq!(error.kind().exit_code(), 2);
        let error = error.with_hint("or remove it");
        assert_eq!(error.hints(), ["check its permissions", "or remove it"]);
        assert_eq!(error.late().kind().exit_code(), 3);
    }

    #[test]
    fn the_cause_can_be_asked_for_by_type() {
        let error = Error::new(unreadable());
        assert_eq!(error.downcast_ref::<Unreadable>().map(|cause| cause.path), Some("a.txt"));
        let source = std::io::Error::other(std::io::Error::other(unreadable()));
        let error = Error::new(Unreadable { path: "b.txt", source });
        assert_eq!(error.find::<Unreadable>().map(|cause| cause.path), Some("b.txt"));
        assert!(error.find::<std::fmt::Error>().is_none());
        let error = Error::new(Outer(std::io::Error::other(unreadable())));
        assert_eq!(error.find::<Unreadable>().map(|cause| cause.path), Some("a.txt"));
    }
}
