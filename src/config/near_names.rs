//! What is probably meant by a word that is not known.

/// What a key is called here that other tools, or other parts of a config, call otherwise: those that the mapping
/// has are meant.
const ALIASES: &[(&str, &[&str])] = &[
    ("arguments", &["cmd"]),
    ("args", &["cmd"]),
    ("base_image", &["base"]),
    ("chmod", &["mode"]),
    ("chown", &["owner"]),
    ("command", &["cmd"]),
    ("destination", &["dest"]),
    ("dir", &["workdir"]),
    ("dirs", &["directories"]),
    ("dst", &["dest"]),
    ("environment", &["environments", "env"]),
    ("envs", &["env"]),
    ("excludes", &["exclude"]),
    ("expose", &["ports"]),
    ("files", &["copy", "layers"]),
    ("from", &["src", "base"]),
    ("healthcheck", &["health"]),
    ("ignore", &["exclude"]),
    ("image_name", &["image"]),
    ("includes", &["include"]),
    ("path", &["src", "dest"]),
    ("paths", &["src"]),
    ("permissions", &["mode"]),
    ("repository", &["image"]),
    ("registry", &["image"]),
    ("run", &["cmd"]),
    ("source", &["src"]),
    ("sources", &["src"]),
    ("symlinks", &["links"]),
    ("target", &["dest"]),
    ("title", &["name"]),
    ("to", &["dest"]),
    ("type", &["kind"]),
    ("uid", &["owner", "user"]),
    ("user", &["owner"]),
    ("variables", &["env"]),
    ("vars", &["variables", "env"]),
    ("version", &["requires"]),
    ("working_dir", &["workdir"]),
    ("working_directory", &["workdir"]),
];

/// The key that is probably meant: by what other tools call it, else by its letters.
pub(super) fn hint_for_key(text: &str, known: &[&str]) -> String {
    let folded = text.to_ascii_lowercase().replace('-', "_");
    let habit = ALIASES.iter().find(|(alias, _)| *alias == folded);
    let words = habit.map_or(&[][..], |(_, words)| words);
    let meant: Vec<_> = words.iter().copied().filter(|word| known.contains(word)).collect();
    match &meant[..] {
        [] => hint_for(text, known),
        words => format!("did you mean `{}`?", words.join("` or `")),
    }
}

/// The nearest of the known words, or all of them.
pub fn hint_for(text: &str, known: &[&str]) -> String {
    match nearest(text, known) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("expected one of `{}`", known.join("`, `")),
    }
}

/// The known word that this one is probably a misspelling of. A number is none of another.
pub fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    if text.parse::<f64>().is_ok() {
        return None;
    }
    let folded = text.to_ascii_lowercase().replace('-', "_");
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&folded, &word.to_ascii_lowercase()), *word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_tool_is_translated() {
        for (key, known, hint) in [
            ("source", &["src", "dest", "owner"][..], "did you mean `src`?"),
            ("from", &["src", "dest"], "did you mean `src`?"),
            ("FROM", &["name", "base"], "did you mean `base`?"),
            ("to", &["src", "dest", "mtime"], "did you mean `dest`?"),
            ("working-dir", &["workdir"], "did you mean `workdir`?"),
            ("environment", &["entrypoint", "env"], "did you mean `env`?"),
            ("environment", &["env", "environments"], "did you mean `environments` or `env`?"),
            ("chmod", &["mode", "dir_mode"], "did you mean `mode`?"),
            ("chmod", &["ports"], "expected one of `ports`"),
            ("prots", &["ports"], "did you mean `ports`?"),
        ] {
            assert_eq!(hint_for_key(key, known), hint, "{key}");
        }
    }
}
