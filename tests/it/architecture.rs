//! The import table of ARCHITECTURE.md, enforced: who may name whom inside `src/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each module may import, besides itself. A module with a colon is one file or folder with
/// rules of its own.
const ALLOWED: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("oci", &["error"]),
    ("archive", &["oci"]),
    ("sys", &["error"]),
    ("event", &["oci", "sys"]),
    ("store", &["oci", "sys", "error", "event"]),
    ("registry", &["oci", "event", "error", "sys", "store"]),
    ("config", &["error", "oci"]),
    ("config/load", &["error", "oci", "sys", "config"]),
    ("plan", &["config", "oci", "error"]),
    ("gather", &["config", "plan", "archive", "oci", "store", "registry", "event", "error", "sys"]),
    ("layer", &["plan", "oci", "store", "event", "error", "sys"]),
    ("image", &["plan", "layer", "oci", "error", "config"]),
    ("publish", &["plan", "layer", "image", "oci", "store", "registry", "event", "error", "sys"]),
    ("cloud", &["registry", "oci", "event", "error", "sys"]),
    ("deploy", &["config", "publish", "cloud", "registry", "oci", "event", "error", "sys"]),
    (
        "pipeline",
        &[
            "config", "plan", "gather", "layer", "image", "publish", "deploy", "archive", "cloud",
            "oci", "store", "registry", "event", "error", "sys",
        ],
    ),
    ("cli", &["pipeline", "config", "plan", "publish", "deploy", "event", "error", "oci", "sys"]),
];

/// Stages that know no async.
const BLOCKING: &[&str] = &["config", "plan", "layer", "image", "archive", "oci"];

#[test]
fn modules_import_only_what_the_table_allows() {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut wrong = BTreeSet::new();
    for file in sources() {
        let (module, rule) = names(&file, &allowed);
        if module.is_empty() {
            continue;
        }
        let Some(may) = allowed.get(rule.as_str()) else {
            wrong.insert(format!("`{module}` is not in the table"));
            continue;
        };
        for (number, line) in code(&file).iter().enumerate() {
            for imported in imports(line) {
                if imported != module && !may.contains(&imported.as_str()) {
                    wrong.insert(format!(
                        "{}:{}: `{module}` imports `{imported}`",
                        file.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    assert_eq!(wrong, BTreeSet::new());
}

#[test]
fn pure_stages_know_no_async() {
    let mut wrong = BTreeSet::new();
    for file in sources() {
        let (module, _) = names(&file, &BTreeMap::new());
        if BLOCKING.contains(&module.as_str()) {
            for (number, line) in code(&file).iter().enumerate() {
                if ["async ", ".await", "tokio::", "reqwest"].iter().any(|word| line.contains(word))
                    && !line.contains("CancellationToken")
                {
                    wrong.insert(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert_eq!(wrong, BTreeSet::new());
}

#[test]
fn every_story_is_part_of_a_test_binary() {
    for binary in ["tests/it", "tests/deploy"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(binary);
        let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(
                name == "main" || main.contains(&format!("mod {name};")),
                "{name} is forgotten"
            );
        }
    }
}

fn sources() -> Vec<PathBuf> {
    fn visit(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.sort();
    found
}

/// The top module a file belongs to (empty for `lib.rs` and `main.rs`), and its row of the table.
fn names(file: &Path, allowed: &BTreeMap<&str, &[&str]>) -> (String, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let relative = file.strip_prefix(root).unwrap().with_extension("");
    let relative = relative.to_str().unwrap();
    if relative == "lib" || relative == "main" {
        return (String::new(), String::new());
    }
    let module = relative.split('/').next().unwrap().to_owned();
    let rule = if allowed.contains_key(relative) { relative.to_owned() } else { module.clone() };
    (module, rule)
}

/// The lines of a file up to its unit tests, without comments.
fn code(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let is_test =
        |line: &str| line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test");
    // Tests in a file of their own (`mod tests;`) end nothing.
    let following = text.lines().skip(1).chain([""]);
    text.lines()
        .zip(following)
        .take_while(|(line, next)| !(is_test(line) && next.ends_with('{')))
        .map(|(line, _)| line)
        .map(
            |line| {
                if line.trim_start().starts_with("//") { String::new() } else { line.to_owned() }
            },
        )
        .collect()
}

/// Every `crate::module` a line names, also in groups: `use crate::{a, b::c}`.
fn imports(line: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars()
            .take_while(|character| character.is_alphanumeric() || *character == '_')
            .collect()
    };
    let mut found = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (position, character) in group.char_indices() {
                    match character {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        ' ' => {}
                        _ if start => {
                            found.push(word(&group[position..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
            None => found.push(word(rest)),
        }
    }
    found.retain(|name| !name.is_empty());
    found
}
