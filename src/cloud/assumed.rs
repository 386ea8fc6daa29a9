//! What a cloud's own tools would take where nobody names it, and where that stands.

use std::path::Path;

use crate::sys::Environment;

/// A region, a project or a subscription that the surroundings name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumed {
    /// What is named: `eu-west-1`.
    pub value: String,
    /// What names it, for people: `` `AWS_REGION` ``.
    pub source: String,
}

impl Assumed {
    /// The first of these variables that is set.
    pub(super) fn of_variables(environment: &Environment, names: &[&str]) -> Option<Self> {
        names.iter().find_map(|name| {
            let value = environment.get(name)?.to_owned();
            Some(Self { value, source: format!("`{name}`") })
        })
    }

    /// What a file names.
    pub(super) fn of_file(value: String, file: &Path) -> Self {
        Self { value, source: format!("`{}`", file.display()) }
    }
}
