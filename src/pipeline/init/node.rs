//! A Node project: what starts it, on which Node.

use serde_json::Value;

use super::folder::Folder;

/// The Node of a project that names none.
const DEFAULT_MAJOR: u32 = 22;
/// What a file that starts a project is usually called.
const STARTS: [&str; 5] = ["server.js", "index.js", "app.js", "main.js", "index.mjs"];

/// What is known of a Node project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) base: String,
    pub(super) entrypoint: Option<Vec<String>>,
    /// Whether `npm run build` does something.
    pub(super) has_build: bool,
    pub(super) has_modules: bool,
}

impl Node {
    pub(super) fn find(folder: &Folder) -> Option<Self> {
        let text = folder.text("package.json")?;
        // A file that cannot be read says nothing: `npm` will tell.
        let package: Value = serde_json::from_str(&text).unwrap_or_default();
        let text = |place: &str| package.pointer(place).and_then(Value::as_str).unwrap_or_default();
        Some(Self {
            base: format!("node:{}-slim", major(text("/engines/node"))),
            entrypoint: start(folder, text("/scripts/start"), text("/main")),
            has_build: !text("/scripts/build").is_empty(),
            has_modules: folder.folders.contains("node_modules"),
        })
    }
}

/// `>=20`, `^20.1`, `20.x`: with an open end, the default if it is newer.
fn major(engines: &str) -> u32 {
    let digits = engines.trim_start_matches(|character: char| !character.is_ascii_digit());
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    match digits[..end].parse() {
        Ok(major) if engines.trim_start().starts_with('>') => DEFAULT_MAJOR.max(major),
        Ok(major) => major,
        Err(_) => DEFAULT_MAJOR,
    }
}

/// The command of `npm start` when it is one of node's and nothing else, the main file, or one with a usual name.
fn start(folder: &Folder, script: &str, main: &str) -> Option<Vec<String>> {
    let is_plain = |word: &&str| {
        word.chars().all(|character| character.is_alphanumeric() || "-_./:=@".contains(character))
    };
    let words: Vec<_> = script.split_whitespace().collect();
    let file = words.iter().skip(1).find(|word| !word.starts_with('-'));
    if words.first() == Some(&"node")
        && words.iter().all(is_plain)
        && file.is_some_and(|file| folder.has_file(file))
    {
        return Some(words.into_iter().map(str::to_owned).collect());
    }
    let main = Some(main).filter(|main| !main.is_empty() && folder.has_file(main));
    let file = main.or_else(|| folder.first_file(&STARTS))?;
    Some(vec!["node".to_owned(), file.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_end_is_a_lower_bound() {
        for (engines, expected) in
            [("", 22), (">=18", 22), (">= 24.1", 24), ("^20.3.0", 20), ("18.x", 18), ("*", 22)]
        {
            assert_eq!(major(engines), expected, "{engines}");
        }
    }
}
