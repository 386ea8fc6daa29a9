//! Lists of patterns with the semantics of Docker's `.dockerignore`.
//!
//! The last pattern that matches a path, or a folder above it, decides; a pattern that begins with
//! `!` is an exception and takes back what earlier ones matched. Paths and patterns are joined by
//! `/`. Start reading at [`PatternSet`]; `glob.rs` is a single pattern.

mod glob;
mod source;
mod usage;

use self::glob::Glob;
pub use self::glob::PatternFault;
pub use self::source::split_glob;
pub use self::usage::PatternUse;
use crate::error::{Classified, ErrorKind};

/// A list of patterns in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatternSet {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    /// As the user wrote it, without white space around it.
    written: String,
    /// Cleaned, without `!`.
    text: String,
    place: String,
    is_exception: bool,
    glob: Glob,
}

/// What a list says of one path; needed again for the paths below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the list matches the path.
    pub is_match: bool,
    /// The number, from 0, of the pattern that decided.
    pub decided_by: Option<usize>,
    matched: Vec<bool>,
}

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` in `{place}` is not a pattern: {fault}", pattern.escape_debug())]
pub struct PatternError {
    /// The file and line, or the name of the list.
    pub place: String,
    /// The pattern's number in its list, or its line in the file, from 0.
    pub index: usize,
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it.
    pub fault: PatternFault,
}

impl PatternSet {
    /// Reads the items of a list in the config; `origin` names it in messages.
    ///
    /// # Errors
    /// The first item that is not a pattern.
    pub fn parse<S: AsRef<str>>(
        items: impl IntoIterator<Item = S>,
        origin: &str,
    ) -> Result<Self, PatternError> {
        let mut patterns = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            patterns.extend(Pattern::parse(item.as_ref(), index, origin.to_owned())?);
        }
        Ok(Self { patterns })
    }

    /// Reads a `.dockerignore`: one pattern per line, `#` in the first column starts a comment.
    /// `origin` names the file in messages.
    ///
    /// # Errors
    /// The first line that is not a pattern.
    pub fn parse_file(bytes: &[u8], origin: &str) -> Result<Self, PatternError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut patterns = Vec::new();
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            // A comment may be in any encoding.
            if line.starts_with(b"#") {
                continue;
            }
            let place = format!("{origin}:{}", index + 1);
            let line = std::str::from_utf8(line).map_err(|_| PatternError {
                place: place.clone(),
                index,
                pattern: String::from_utf8_lossy(line).trim().to_owned(),
                fault: PatternFault::NotUtf8,
            })?;
            patterns.extend(Pattern::parse(line, index, place)?);
        }
        Ok(Self { patterns })
    }

    /// The list with another one at its end, which has the last word.
    #[must_use]
    pub fn followed_by(mut self, last: &Self) -> Self {
        self.patterns.extend_from_slice(&last.patterns);
        self
    }

    /// Whether there is no pattern at all.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// What the list says of a path (no `/` at either end), given what it said of the folder that
    /// holds it; nothing for a path without a `/`.
    ///
    /// This is the walk that `docker build` does: what matched a folder matches all that is below.
    pub fn matches(&self, path: &str, parent: Option<&Verdict>) -> Verdict {
        let mut verdict =
            Verdict { matched: vec![false; self.patterns.len()], ..Verdict::default() };
        for (index, pattern) in self.patterns.iter().enumerate() {
            let parent_matched =
                parent.is_some_and(|parent| parent.matched.get(index) == Some(&true));
            // A pattern that could not change the outcome is not even tried, and so counts as not
            // matched for what is below: Docker's rule, visible in lists like `a/*`, `!a`.
            let can_decide = pattern.is_exception == verdict.is_match;
            if parent_matched || (can_decide && pattern.glob.matches(path)) {
                verdict.matched[index] = true;
                verdict.is_match = !pattern.is_exception;
                verdict.decided_by = Some(index);
            }
        }
        verdict
    }

    /// What the list says of a path at any depth.
    pub fn matches_from_root(&self, path: &str) -> Verdict {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        let verdict = ends.fold(None, |parent: Option<Verdict>, end| {
            Some(self.matches(&path[..end], parent.as_ref()))
        });
        verdict.unwrap_or_default()
    }

    /// Whether an exception could take back something below a folder: when not, a matched folder
    /// need not be looked into.
    pub fn may_contain_exceptions(&self, folder: &str) -> bool {
        self.patterns
            .iter()
            .any(|pattern| pattern.is_exception && pattern.glob.may_match_below(folder))
    }

    /// Whether anything below a folder could match: when not, an include list need not look into it.
    pub fn may_contain_matches(&self, folder: &str) -> bool {
        self.patterns
            .iter()
            .any(|pattern| !pattern.is_exception && pattern.glob.may_match_below(folder))
    }

    /// A pattern as it was written, with its place: "`*.log` (`.dockerignore:3`)".
    pub fn describe(&self, index: usize) -> Option<String> {
        let pattern = self.patterns.get(index)?;
        Some(format!("`{}` (`{}`)", pattern.written.escape_debug(), pattern.place.escape_debug()))
    }
}

impl Pattern {
    /// Reads one line; nothing when it is blank.
    fn parse(line: &str, index: usize, place: String) -> Result<Option<Self>, PatternError> {
        let written = line.trim();
        // Two passes, as in Docker: reading the file cleans what follows the `!`, the matcher then
        // takes the `!` off. The order shows in odd lines such as `!/` and `/!x`.
        let (mark, rest) = match written.strip_prefix('!') {
            Some(rest) => ("!", rest.trim()),
            None => ("", written),
        };
        if mark.is_empty() && rest.is_empty() {
            return Ok(None);
        }
        let cleaned = if rest.is_empty() { String::new() } else { clean(rest) };
        let cleaned = cleaned.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&cleaned);
        let whole = clean(&format!("{mark}{cleaned}"));
        let (is_exception, text) = match whole.strip_prefix('!') {
            Some(text) => (true, text),
            None => (false, whole.as_str()),
        };
        let glob = if is_exception && text.is_empty() {
            Err(PatternFault::LonelyException)
        } else {
            Glob::parse(text)
        };
        match glob {
            Ok(glob) => Ok(Some(Self {
                written: written.to_owned(),
                text: text.to_owned(),
                place,
                is_exception,
                glob,
            })),
            Err(fault) => Err(PatternError { place, index, pattern: written.to_owned(), fault }),
        }
    }
}

impl Classified for PatternError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self.fault {
            PatternFault::LonelyException => {
                "write the pattern right after the `!`, or remove the line"
            }
            PatternFault::UnclosedClass | PatternFault::BadClass | PatternFault::BackwardsRange => {
                "a class is written as `[a-z]`; write `\\[` for the character itself"
            }
            PatternFault::TrailingEscape => "write `\\\\` for the character itself",
            PatternFault::NotUtf8 => "save the file as UTF-8",
        };
        vec![hint.to_owned()]
    }
}

/// Removes `.`, `..` and doubled `/` by their text alone, as Go's `path.Clean` does.
fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_rooted => {}
            _ => parts.push(part),
        }
    }
    match (is_rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> PatternSet {
        PatternSet::parse_file(text.as_bytes(), ".dockerignore").unwrap()
    }

    /// Lines, and what they become: the cleaned pattern with its `!`.
    #[test]
    fn lines_are_read_as_docker_reads_them() {
        let table: &[(&str, &[&str])] = &[
            ("a\nb/c\n", &["a", "b/c"]),
            ("a\r\nb\r\n", &["a", "b"]),
            ("\u{feff}a\n\u{feff}b", &["a", "\u{feff}b"]),
            ("\u{feff}# comment\na", &["a"]),
            ("# comment\n#a\n # no comment", &["# no comment"]),
            ("\n \t\n\r\n", &[]),
            ("  a b  \t", &["a b"]),
            ("/a\n/a/b/\n//a\n/", &["a", "a/b", "a", "/"]),
            ("./a\na/./b\na//b\na/b/", &["a", "a/b", "a/b", "a/b"]),
            ("a/../b\n/../b\n../b\na/..\n.", &["b", "b", "../b", ".", "."]),
            ("!a\n! b\n!/c\n!./d/", &["!a", "!b", "!c", "!d"]),
            ("!.\n!!a\n/!b", &["!.", "!!a", "!b"]),
            ("**/\n**/a/**/", &["**", "**/a/**"]),
            ("\\#a\n\\!b", &["\\#a", "\\!b"]),
        ];
        for (text, expected) in table {
            let marked = |pattern: &Pattern| {
                format!("{}{}", if pattern.is_exception { "!" } else { "" }, pattern.text)
            };
            let read: Vec<_> = file(text).patterns.iter().map(marked).collect();
            assert_eq!(read, *expected, "{text:?}");
        }
    }

    #[test]
    fn a_list_in_the_config_has_no_comments() {
        let set = PatternSet::parse(["#a#", " ", "b"], "exclude").unwrap();
        assert!(set.matches_from_root("#a#").is_match);
        assert_eq!(set.describe(1).unwrap(), "`b` (`exclude`)");
    }

    #[test]
    fn errors_name_the_line_and_what_to_do() {
        let message = |bytes: &[u8]| {
            let error = PatternSet::parse_file(bytes, ".dockerignore").unwrap_err();
            (error.to_string(), error.hints().remove(0))
        };
        let table: &[(&[u8], &str, &str)] = &[
            (
                b"a\n!\n",
                "`!` in `.dockerignore:2` is not a pattern: `!` needs a pattern after it",
                "write the pattern right after the `!`, or remove the line",
            ),
            (
                b"! / ",
                "`! /` in `.dockerignore:1` is not a pattern: `!` needs a pattern after it",
                "write the pattern right after the `!`, or remove the line",
            ),
            (
                b"x\n\n[a",
                "`[a` in `.dockerignore:3` is not a pattern: a `[` is not closed",
                "a class is written as `[a-z]`; write `\\[` for the character itself",
            ),
            (
                b"# \xff is fine in a comment\na\xff",
                "`a\u{fffd}` in `.dockerignore:2` is not a pattern: it is not UTF-8",
                "save the file as UTF-8",
            ),
        ];
        for (bytes, text, hint) in table {
            assert_eq!(message(bytes), ((*text).to_owned(), (*hint).to_owned()));
        }
    }

    /// Lists, paths they match and paths they do not.
    #[test]
    fn the_last_match_decides_and_folders_count() {
        let table: &[(&str, &[&str], &[&str])] = &[
            // A folder that matches takes everything below it along.
            ("a", &["a", "a/b", "a/b/c"], &["b/a", "ab"]),
            ("a/", &["a", "a/b"], &["b/a"]),
            ("*", &["a", "a/b/c", ".x"], &[]),
            ("*/b", &["a/b", "a/b/c"], &["b", "a/c/b"]),
            ("**/b", &["b", "b/c", "a/b", "a/b/c"], &["a", "ab/c"]),
            ("a/*", &["a/b", "a/b/c"], &["a"]),
            (".", &[], &["a", "a/b", ".x"]),
            ("/", &[], &["a", "a/b"]),
            ("../a", &[], &["a"]),
            // An exception takes back, a later pattern takes again.
            ("*\n!a", &["b", "b/a"], &["a", "a/b", "a/b/c"]),
            ("!a\n*", &["a", "a/b", "b"], &[]),
            ("*.md\n!README*.md\nREADME-secret.md", &["x.md", "README-secret.md"], &["README.md"]),
            ("*.md\nREADME-secret.md\n!README*.md", &["x.md"], &["README.md", "README-secret.md"]),
            ("**\n!d/web", &["d", "d/x", "e"], &["d/web", "d/web/x"]),
            ("**\n!d/web\nd/web/x", &["d/web/x", "d/web/x/y"], &["d/web", "d/web/z"]),
            ("a\n!a/b\na/b/c", &["a", "a/x", "a/b/c", "a/b/c/d"], &["a/b", "a/b/x"]),
            ("a\n!**/*.py", &["a", "a/b", "a/x.txt"], &["a/x.py", "a/b/c/x.py"]),
            ("a/b\n!a", &["a/b", "a/b/c"], &["a", "a/x"]),
            // Not tried at `a`, since nothing had matched there: so it does not count below.
            ("a/*\n!a", &["a/b"], &["a"]),
            ("*\n!a\n!a/**", &["b"], &["a", "a/b"]),
            ("**/*.tmp\n!keep/**", &["x.tmp", "a/x.tmp"], &["keep/x.tmp", "keep/a/x.tmp"]),
            ("*\n!.", &["a"], &[]),
            // Names of any kind.
            ("a b\n-x", &["a b", "-x", "-x/y"], &["a", "x"]),
            ("a\\*", &["a*", "a*/b"], &["ab"]),
            ("é", &["é"], &["e\u{301}"]),
        ];
        for (text, matching, others) in table {
            let set = file(text);
            for path in *matching {
                assert!(set.matches_from_root(path).is_match, "{text:?} matches `{path}`");
            }
            for path in *others {
                assert!(!set.matches_from_root(path).is_match, "{text:?} does not match `{path}`");
            }
        }
    }

    #[test]
    fn the_verdict_names_the_pattern_that_decided() {
        let set = file("# none\n*.log\n\n!keep.log \n**/old\n");
        let decided = |path| set.matches_from_root(path).decided_by.and_then(|at| set.describe(at));
        assert_eq!(decided("x.log").unwrap(), "`*.log` (`.dockerignore:2`)");
        assert_eq!(decided("keep.log").unwrap(), "`!keep.log` (`.dockerignore:4`)");
        assert_eq!(decided("a/old/b").unwrap(), "`**/old` (`.dockerignore:5`)");
        assert_eq!(decided("x.txt"), None);
    }

    #[test]
    fn a_folder_is_pruned_only_when_no_exception_can_be_below() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("a", &[], &["a"]),
            ("a\n!a/b/c", &["a", "a/b"], &["a/x", "a/b/c", "b"]),
            ("a\n!**/c", &["a", "a/b"], &[]),
            ("a\n!*/c", &["a"], &["a/b"]),
        ];
        for (text, folders, others) in table {
            let set = file(text);
            assert!(folders.iter().all(|folder| set.may_contain_exceptions(folder)), "{text:?}");
            assert!(!others.iter().any(|folder| set.may_contain_exceptions(folder)), "{text:?}");
        }
        let include = PatternSet::parse(["a/*.md", "!b/x"], "include").unwrap();
        assert!(include.may_contain_matches("a"));
        assert!(!include.may_contain_matches("b"));
    }
}
