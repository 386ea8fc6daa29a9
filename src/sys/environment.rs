//! Environment variables, as a value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// A snapshot of the environment: read once at the edge, passed to whoever needs it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process; values that are not UTF-8 are left out.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// Exactly these variables.
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable that is set, even when it is empty.
    pub fn get_raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether a variable is set to something other than nothing, `0` or `false`.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !matches!(value, "0" | "false" | "no" | "off"))
    }

    /// The user's home folder.
    pub fn home(&self) -> Option<PathBuf> {
        let home = self.get("HOME").or_else(|| self.get("USERPROFILE"))?;
        Some(PathBuf::from(home)).filter(|home| home.is_absolute())
    }

    /// The folder for data that can be made again: `DOCKLESS_CACHE_DIR`, else `dockless` below the
    /// platform's cache folder.
    pub fn cache_dir(&self) -> Option<PathBuf> {
        if let Some(directory) = self.get("DOCKLESS_CACHE_DIR") {
            return Some(PathBuf::from(directory));
        }
        let absolute =
            |name: &str| self.get(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        let platform = if cfg!(windows) {
            absolute("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            self.home().map(|home| home.join("Library/Caches"))
        } else {
            absolute("XDG_CACHE_HOME").or_else(|| self.home().map(|home| home.join(".cache")))
        };
        platform.map(|directory| directory.join("dockless"))
    }
}

impl fmt::Debug for Environment {
    /// Shows names only: values may be secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_never_show_in_debug_output() {
        let environment = Environment::of([("TOKEN", "canary")]);
        assert_eq!(format!("{environment:?}"), r#"{"TOKEN"}"#);
    }

    #[test]
    fn the_cache_folder_can_be_chosen() {
        let chosen = Environment::of([("DOCKLESS_CACHE_DIR", "/c"), ("HOME", "/h")]);
        assert_eq!(chosen.cache_dir(), Some("/c".into()));
        assert_eq!(Environment::of([]).cache_dir(), None);
        assert_eq!(Environment::of([("HOME", "relative")]).cache_dir(), None);
    }
}
