//! Sources with wildcards: what is fixed of them, and what is a pattern.

/// Splits a source with wildcards into the folder that is fixed and a pattern rooted there:
/// `data/*.md` is `*.md` in `data`. Nothing when there is no wildcard.
///
/// A `\` takes a wildcard its meaning, as in every pattern.
pub fn split_glob(source: &str) -> Option<(String, String)> {
    let parts: Vec<&str> = source.split('/').collect();
    let first = parts.iter().position(|part| has_wildcard(part))?;
    let folder = unescape(&parts[..first].join("/"));
    let folder = match folder.as_str() {
        "" if source.starts_with('/') => "/".to_owned(),
        "" => ".".to_owned(),
        _ => folder,
    };
    Some((folder, parts[first..].join("/")))
}

fn has_wildcard(part: &str) -> bool {
    let mut is_escaped = false;
    part.chars().any(|character| {
        let is_wildcard = !is_escaped && matches!(character, '*' | '?' | '[');
        is_escaped = !is_escaped && character == '\\';
        is_wildcard
    })
}

fn unescape(text: &str) -> String {
    let mut characters = text.chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        plain.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_with_wildcards_are_split_at_the_first() {
        let table = [
            ("data/*.md", Some(("data", "*.md"))),
            ("*.md", Some((".", "*.md"))),
            ("./a/b?/**/c", Some(("./a", "b?/**/c"))),
            ("a/[bc]", Some(("a", "[bc]"))),
            ("a\\*/b*", Some(("a*", "b*"))),
            ("/a*", Some(("/", "a*"))),
            ("a\\*", None),
            ("data/x.md", None),
            (".", None),
        ];
        for (source, expected) in table {
            let expected = expected.map(|(folder, rest)| (folder.to_owned(), rest.to_owned()));
            assert_eq!(split_glob(source), expected, "{source}");
        }
    }
}
