//! Patterns that match nothing, and what was probably meant.

use super::glob::Glob;
use super::{Pattern, PatternSet};

/// Which patterns of a list have matched something, so that those that never do can be named.
#[derive(Debug, Clone)]
pub struct PatternUse<'a> {
    set: &'a PatternSet,
    is_used: Vec<bool>,
}

impl<'a> PatternUse<'a> {
    /// None has matched yet.
    pub fn new(set: &'a PatternSet) -> Self {
        Self { set, is_used: vec![false; set.patterns.len()] }
    }

    /// Tells of a path that exists.
    pub fn see(&mut self, path: &str) {
        self.mark(|glob| glob.matches(path));
    }

    /// Tells of a folder that nobody looked into: what may match below it is not accused.
    pub fn skip(&mut self, folder: &str) {
        self.mark(|glob| glob.may_match_below(folder));
    }

    fn mark(&mut self, is_used: impl Fn(&Glob) -> bool) {
        for (pattern, used) in self.set.patterns.iter().zip(&mut self.is_used) {
            *used = *used || is_used(&pattern.glob);
        }
    }

    /// The patterns that matched nothing, each with one that would match some of these paths:
    /// `**/*.tmp` for `*.tmp`, or `x` for `src/x` when the list is rooted at `src`. One for every depth
    /// (`**/*.tmp`) is a precaution that may well match nothing.
    pub fn unused(&self, source: &str, paths: &[&str]) -> Vec<(String, Option<String>)> {
        let unused = self.set.patterns.iter().zip(&self.is_used).filter(|(_, used)| !**used);
        unused
            .filter(|(pattern, _)| !pattern.text.starts_with("**/"))
            .map(|(pattern, _)| (pattern.written.clone(), pattern.better(source, paths)))
            .collect()
    }
}

impl Pattern {
    fn better(&self, source: &str, paths: &[&str]) -> Option<String> {
        let below_source = self.text.strip_prefix(source).and_then(|rest| rest.strip_prefix('/'));
        let candidates = [below_source.map(str::to_owned), Some(format!("**/{}", self.text))];
        let matches = |candidate: &String| {
            Glob::parse(candidate).is_ok_and(|glob| paths.iter().any(|path| glob.matches(path)))
        };
        let mark = if self.is_exception { "!" } else { "" };
        let better = candidates.into_iter().flatten().find(matches)?;
        Some(format!("{mark}{better}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_match_nothing_come_with_one_that_would() {
        let lines = ["*.tmp", "src/x", "b", "gone", "!y", "deep/*.o", "seen/**", "**/*.pyc"];
        let set = PatternSet::parse(lines, "exclude").unwrap();
        let paths = ["a", "a/c.tmp", "a/y", "b", "x"];
        let mut uses = PatternUse::new(&set);
        for path in paths {
            uses.see(path);
        }
        uses.skip("deep");
        uses.see("seen/z");
        let pair = |left: &str, right: Option<&str>| (left.to_owned(), right.map(str::to_owned));
        assert_eq!(
            uses.unused("src", &paths),
            [
                pair("*.tmp", Some("**/*.tmp")),
                pair("src/x", Some("x")),
                pair("gone", None),
                pair("!y", Some("!**/y")),
            ]
        );
    }
}
