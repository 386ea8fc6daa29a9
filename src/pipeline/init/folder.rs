//! What is in a project's folder, as far as its config depends on it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// So much of a file is read.
const MAX_BYTES: u64 = 1024 * 1024;

/// A folder, looked at one or two levels deep.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    /// Its own name, as a project may be called.
    pub(super) name: String,
    /// The names of its files.
    pub(super) files: BTreeSet<String>,
    /// The names of its folders.
    pub(super) folders: BTreeSet<String>,
}

impl Folder {
    /// Lists a folder. What has no name in UTF-8 is no concern of a config.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let name = path.canonicalize()?;
        let name = name.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut folder = Self {
            path: path.to_owned(),
            name: project_name(name),
            files: BTreeSet::new(),
            folders: BTreeSet::new(),
        };
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A link is what it leads to.
            match fs::metadata(entry.path()) {
                Ok(found) if found.is_dir() => folder.folders.insert(name),
                Ok(found) if found.is_file() => folder.files.insert(name),
                _ => false,
            };
        }
        Ok(folder)
    }

    /// A folder in it.
    pub(super) fn below(&self, name: &str) -> Option<Self> {
        self.folders.contains(name).then(|| Self::read(&self.path.join(name)).ok()).flatten()
    }

    /// Whether there is such a file, at any depth; `path` does not lead out.
    pub(super) fn has_file(&self, path: &str) -> bool {
        let is_inside = !path.starts_with('/') && !path.split('/').any(|part| part == "..");
        is_inside && self.path.join(path).is_file()
    }

    /// The text of a file in it.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let file = self.files.contains(name).then(|| fs::File::open(self.path.join(name)).ok());
        let mut text = String::new();
        file.flatten()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// The first of these files that is there.
    pub(super) fn first_file<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().find(|name| self.files.contains(**name)).copied()
    }
}

/// The name of a folder in letters, digits, `.`, `_` and `-`, beginning with one of the first two.
fn project_name(folder: &str) -> String {
    let is_free =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    let name: String = folder
        .chars()
        .map(|character| if is_free(character) { character } else { '-' })
        .skip_while(|character| !character.is_ascii_alphanumeric())
        .take(63)
        .collect();
    if name.is_empty() { "agent".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_has_a_name_for_its_project() {
        for (folder, expected) in [
            ("support", "support"),
            ("my agent", "my-agent"),
            (".hidden", "hidden"),
            ("Übersicht", "bersicht"),
            ("1.0", "1.0"),
            ("", "agent"),
            ("...", "agent"),
        ] {
            assert_eq!(project_name(folder), expected);
        }
        assert_eq!(project_name(&"a".repeat(64)), "a".repeat(63));
    }
}
