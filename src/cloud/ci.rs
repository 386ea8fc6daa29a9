//! The CI system that runs us: each gives the identity of a job in a way of its own.

use crate::sys::Environment;

/// A CI system, as far as it matters where credentials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CiSystem {
    /// GitHub Actions, and what calls itself so: Gitea, Forgejo.
    GitHub,
    /// GitLab CI.
    GitLab,
    /// Azure Pipelines.
    AzurePipelines,
    /// `CircleCI`.
    CircleCi,
    /// Buildkite.
    Buildkite,
    /// Bitbucket Pipelines.
    Bitbucket,
    /// One that says no more than that it is one.
    Other,
}

/// The variables that tell them apart; `CI` is set by most of them, too.
const VARIABLES: [(&str, CiSystem); 7] = [
    ("GITHUB_ACTIONS", CiSystem::GitHub),
    ("GITLAB_CI", CiSystem::GitLab),
    ("TF_BUILD", CiSystem::AzurePipelines),
    ("CIRCLECI", CiSystem::CircleCi),
    ("BUILDKITE", CiSystem::Buildkite),
    ("BITBUCKET_BUILD_NUMBER", CiSystem::Bitbucket),
    ("CI", CiSystem::Other),
];

impl CiSystem {
    /// The one that runs us; nothing on somebody's own machine.
    pub fn of(environment: &Environment) -> Option<Self> {
        let mut known = VARIABLES.iter();
        known.find(|(variable, _)| environment.is_on(variable)).map(|(_, system)| *system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_that_says_most_is_believed() {
        for (environment, expected) in [
            (Environment::of([]), None),
            (Environment::of([("CI", "false")]), None),
            (Environment::of([("CI", "true")]), Some(CiSystem::Other)),
            (Environment::of([("CI", "true"), ("CIRCLECI", "true")]), Some(CiSystem::CircleCi)),
            (Environment::of([("TF_BUILD", "True")]), Some(CiSystem::AzurePipelines)),
            (
                Environment::of([("BITBUCKET_BUILD_NUMBER", "7"), ("CI", "true")]),
                Some(CiSystem::Bitbucket),
            ),
        ] {
            assert_eq!(CiSystem::of(&environment), expected, "{environment:?}");
        }
    }
}
