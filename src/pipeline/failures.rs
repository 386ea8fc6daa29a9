//! What is wrong at several targets is said at once, and what is the same at each of them once.

use std::fmt;

use crate::cloud::{CallError, ErrorClass};
use crate::deploy::Subject;
use crate::error::{Classified, Error, ErrorKind, Result};

/// What failed so far at the targets of a run.
#[derive(Debug)]
pub(super) struct Failures {
    found: Vec<Failure>,
    /// How many targets there are.
    targets: usize,
}

/// One error, at one target or at several.
#[derive(Debug)]
struct Failure {
    /// What was attempted: `look at`.
    attempt: &'static str,
    subjects: Vec<Subject>,
    error: Error,
}

/// Different things are wrong at several targets.
#[derive(Debug)]
struct Several(Failures);

impl Failures {
    /// Nothing failed so far at any of so many targets.
    pub(super) fn among(targets: usize) -> Self {
        Self { found: Vec::new(), targets }
    }

    /// Gives what succeeded at a target, and keeps what failed.
    pub(super) fn keep<T>(
        &mut self,
        attempt: &'static str,
        subject: &Subject,
        result: Result<T>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(attempt, subject.clone(), error);
                None
            }
        }
    }

    fn add(&mut self, attempt: &'static str, subject: Subject, error: Error) {
        let is_same =
            |known: &&mut Failure| known.attempt == attempt && is_same_cause(&known.error, &error);
        match self.found.iter_mut().find(is_same) {
            Some(known) => known.subjects.push(subject),
            None => self.found.push(Failure { attempt, subjects: vec![subject], error }),
        }
    }

    /// Ends it: everything that failed is one error.
    pub(super) fn into_result(mut self) -> Result<()> {
        match (self.found.pop(), self.found.len()) {
            (None, _) => Ok(()),
            (Some(only), 0) => {
                let attempt = only.attempt();
                Err(only.error.attempting(attempt))
            }
            (Some(last), _) => {
                self.found.push(last);
                Err(Several(self).into())
            }
        }
    }
}

/// Whether one cure helps against both. What keeps a cloud from being called at all has nothing to do with what
/// was called.
fn is_same_cause(one: &Error, other: &Error) -> bool {
    if let (Some(one), Some(other)) = (one.find::<CallError>(), other.find::<CallError>())
        && matches!(one.class, ErrorClass::NotBuiltIn | ErrorClass::NoCredentials)
    {
        return (one.class, one.cloud(), &one.message)
            == (other.class, other.cloud(), &other.message);
    }
    one.lines() == other.lines() && one.hints() == other.hints()
}

impl Failure {
    fn attempt(&self) -> String {
        let subjects: Vec<_> = self.subjects.iter().map(Subject::to_string).collect();
        format!("{} {}", self.attempt, subjects.join(", "))
    }
}

impl fmt::Display for Several {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failures { found, targets } = &self.0;
        let failed: usize = found.iter().map(|failure| failure.subjects.len()).sum();
        write!(formatter, "something is wrong at {failed} of {targets} targets")?;
        found
            .iter()
            .try_for_each(|failure| write!(formatter, "\n{}: {}", failure.attempt(), failure.error))
    }
}

impl std::error::Error for Several {}

impl Classified for Several {
    /// It is the user's turn when all of it can be cured there.
    fn kind(&self) -> ErrorKind {
        let is_usage = |failure: &Failure| failure.error.kind() == ErrorKind::Usage;
        if self.0.found.iter().all(is_usage) { ErrorKind::Usage } else { ErrorKind::Failed }
    }

    fn hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = Vec::new();
        for hint in self.0.found.iter().flat_map(|failure| failure.error.hints()) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        hints
    }

    fn is_retryable(&self) -> bool {
        self.0.found.iter().all(|failure| failure.error.is_retryable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::DeployError;

    fn subject(name: &str) -> Subject {
        Subject { what: "service", name: name.to_owned(), place: String::new() }
    }

    fn missing(what: &str) -> Result<()> {
        let hints = vec![format!("make {what}"), "or not".to_owned()];
        Err(DeployError::Missing { what: vec![what.to_owned()], hints }.into())
    }

    fn broken() -> Result<()> {
        Err(DeployError::Untold { title: "t".to_owned(), pointer: "/p" }.into())
    }

    #[test]
    fn every_cause_is_told_once() {
        let mut failures = Failures::among(3);
        assert_eq!(failures.keep("look at", &subject("a"), Ok(1)), Some(1));
        failures.keep("look at", &subject("b"), missing("x"));
        failures.keep("look at", &subject("c"), missing("x"));
        let error = failures.into_result().unwrap_err();
        assert_eq!(error.lines(), ["look at service `b`, service `c`", "x is missing"]);
        assert_eq!(error.kind(), ErrorKind::Usage);
        let mut failures = Failures::among(4);
        failures.keep("look at", &subject("a"), missing("x"));
        failures.keep("look at", &subject("b"), missing("x"));
        failures.keep("deploy to", &subject("c"), missing("y"));
        let error = failures.into_result().unwrap_err();
        assert_eq!(
            error.to_string(),
            "something is wrong at 3 of 4 targets\n\
             look at service `a`, service `b`: x is missing\n\
             deploy to service `c`: y is missing"
        );
        assert_eq!(error.hints(), ["make x", "or not", "make y"]);
        assert_eq!(error.kind(), ErrorKind::Usage);
        let mut failures = Failures::among(2);
        failures.keep("look at", &subject("a"), missing("x"));
        failures.keep("look at", &subject("b"), broken());
        assert_eq!(failures.into_result().unwrap_err().kind(), ErrorKind::Failed);
        assert!(Failures::among(2).into_result().is_ok());
    }
}
