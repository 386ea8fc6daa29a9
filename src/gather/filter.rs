//! What of a source is wanted: `.dockerignore`, `exclude` and `include`, asked folder by folder.

use std::rc::Rc;

use crate::plan::pattern::{PatternSet, Verdict};

/// The patterns that decide what of a source is wanted.
#[derive(Debug)]
pub(super) struct Filter {
    /// The `.dockerignore`, rooted at the project's folder.
    pub(super) ignore: Rc<PatternSet>,
    /// Rooted at the source.
    pub(super) exclude: PatternSet,
    /// Rooted at the source; a path must be matched by every list.
    pub(super) include: Vec<PatternSet>,
}

/// What the patterns say of one path; needed for what is below it.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    pub(super) ignore: Option<Verdict>,
    exclude: Option<Verdict>,
    include: Vec<Verdict>,
}

impl Judgement {
    /// What is said of the source itself: only `.dockerignore` knows what is above it.
    pub(super) fn of_source(filter: &Filter, in_project: &str) -> Self {
        let ignore = (!in_project.is_empty()).then(|| filter.ignore.matches_from_root(in_project));
        Self { ignore, ..Self::default() }
    }

    /// What is said of a name in a folder that this is the judgement on.
    pub(super) fn below(&self, filter: &Filter, in_source: &str, in_project: &str) -> Self {
        let include = filter.include.iter().enumerate();
        Self {
            ignore: Some(filter.ignore.matches(in_project, self.ignore.as_ref())),
            exclude: Some(filter.exclude.matches(in_source, self.exclude.as_ref())),
            include: include
                .map(|(at, set)| set.matches(in_source, self.include.get(at)))
                .collect(),
        }
    }
}

impl Filter {
    /// Whether a path is wanted, and whether anything below it may be.
    pub(super) fn decide(
        &self,
        judgement: &Judgement,
        in_source: &str,
        in_project: &str,
    ) -> (bool, bool) {
        let is_match = |verdict: &Option<Verdict>| verdict.as_ref().is_some_and(|it| it.is_match);
        let (is_ignored, is_excluded) = (is_match(&judgement.ignore), is_match(&judgement.exclude));
        // The source itself has no verdicts of the include lists: they are about what is in it.
        let is_included = judgement.include.iter().all(|verdict| verdict.is_match);
        let is_wanted = !is_ignored && !is_excluded && is_included;
        let is_open = (!is_ignored || self.ignore.may_contain_exceptions(in_project))
            && (!is_excluded || self.exclude.may_contain_exceptions(in_source))
            && self
                .include
                .iter()
                .zip(&judgement.include)
                .all(|(set, verdict)| verdict.is_match || set.may_contain_matches(in_source));
        (is_wanted, is_open)
    }
}
