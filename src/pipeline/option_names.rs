//! How options are called in messages.

use std::collections::BTreeMap;

use crate::error::Error;

/// The options that came from variables of the environment, by their long flags: messages name what a
/// person has to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionNames(BTreeMap<String, String>);

impl FromIterator<(String, String)> for OptionNames {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl OptionNames {
    /// The variable that an option came from: `DOCKLESS_BASE` for `--base`.
    pub(super) fn variable(&self, flag: &str) -> Option<&str> {
        self.0.get(flag).map(String::as_str)
    }

    /// The error, with the variable that the value of this option came from, if it did.
    pub(super) fn blame(&self, flag: &str, error: impl Into<Error>) -> Error {
        match self.variable(flag) {
            Some(variable) => error.into().attempting(format!("read `{variable}`")),
            None => error.into(),
        }
    }
}
