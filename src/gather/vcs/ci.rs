//! The variables in which CI systems say what they build.

use serde::Deserialize;

use super::source_url;
use crate::sys::Environment;

/// What the variables say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CiFacts {
    /// The name of the CI.
    pub(super) origin: &'static str,
    /// The full commit id.
    pub(super) sha: String,
    /// The tag that is built.
    pub(super) tag: Option<String>,
    /// The branch that is built; of a pull request, the one that it would merge.
    pub(super) branch: Option<String>,
    /// The default branch.
    pub(super) default_branch: Option<String>,
    /// Whether it is a pull or merge request: its branch may have any name, `main` too.
    pub(super) is_pull_request: bool,
    /// The repository's address.
    pub(super) source_url: Option<String>,
}

/// Reads the variables of the first CI that names a commit.
pub(super) fn read(environment: &Environment) -> Option<CiFacts> {
    let readers = [github, gitlab, bitbucket, azure, circle, jenkins];
    readers.into_iter().find_map(|reader| {
        let mut facts = reader(environment)?;
        facts.sha.make_ascii_lowercase();
        let is_id = matches!(facts.sha.len(), 40 | 64)
            && facts.sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        facts.source_url = facts.source_url.as_deref().and_then(source_url::normalise);
        is_id.then_some(facts)
    })
}

/// The default branch in the JSON that describes an event of GitHub.
pub(super) fn default_branch(event: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Event {
        repository: Repository,
    }
    #[derive(Deserialize)]
    struct Repository {
        default_branch: String,
    }
    Some(serde_json::from_str::<Event>(event).ok()?.repository.default_branch)
}

/// <https://docs.github.com/actions/reference/workflows-and-actions/variables>
fn github(environment: &Environment) -> Option<CiFacts> {
    let get = |name| environment.get(name).map(str::to_owned);
    let name_of =
        |kind| get("GITHUB_REF_NAME").filter(|_| get("GITHUB_REF_TYPE").as_deref() == Some(kind));
    let head = get("GITHUB_HEAD_REF");
    Some(CiFacts {
        origin: "GitHub Actions",
        sha: get("GITHUB_SHA")?,
        tag: name_of("tag"),
        is_pull_request: head.is_some(),
        // For a pull request `GITHUB_REF_NAME` is `7/merge`.
        branch: head.or_else(|| name_of("branch")),
        default_branch: None,
        source_url: get("GITHUB_REPOSITORY").map(|repository| {
            let server = environment.get("GITHUB_SERVER_URL").unwrap_or("https://github.com");
            format!("{server}/{repository}")
        }),
    })
}

/// <https://docs.gitlab.com/ci/variables/predefined_variables/>
fn gitlab(environment: &Environment) -> Option<CiFacts> {
    let get = |name| environment.get(name).map(str::to_owned);
    let request = get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME");
    Some(CiFacts {
        origin: "GitLab CI",
        sha: get("CI_COMMIT_SHA")?,
        tag: get("CI_COMMIT_TAG"),
        is_pull_request: request.is_some() || get("CI_MERGE_REQUEST_IID").is_some(),
        branch: get("CI_COMMIT_BRANCH").or(request),
        default_branch: get("CI_DEFAULT_BRANCH"),
        source_url: get("CI_PROJECT_URL"),
    })
}

/// <https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/>
fn bitbucket(environment: &Environment) -> Option<CiFacts> {
    let get = |name| environment.get(name).map(str::to_owned);
    Some(CiFacts {
        origin: "Bitbucket Pipelines",
        sha: get("BITBUCKET_COMMIT")?,
        tag: get("BITBUCKET_TAG"),
        is_pull_request: get("BITBUCKET_PR_ID").is_some(),
        branch: get("BITBUCKET_BRANCH"),
        default_branch: None,
        source_url: get("BITBUCKET_GIT_HTTP_ORIGIN"),
    })
}

/// <https://learn.microsoft.com/azure/devops/pipelines/build/variables>
fn azure(environment: &Environment) -> Option<CiFacts> {
    let get = |name| environment.get(name).map(str::to_owned);
    let below = |reference: &Option<String>, prefix| {
        reference.as_deref().and_then(|name| name.strip_prefix(prefix)).map(str::to_owned)
    };
    let reference = get("BUILD_SOURCEBRANCH");
    let request = get("SYSTEM_PULLREQUEST_SOURCEBRANCH");
    Some(CiFacts {
        origin: "Azure Pipelines",
        sha: get("BUILD_SOURCEVERSION")?,
        tag: below(&reference, "refs/tags/"),
        is_pull_request: request.is_some(),
        branch: below(&request, "refs/heads/").or_else(|| below(&reference, "refs/heads/")),
        default_branch: None,
        source_url: get("BUILD_REPOSITORY_URI"),
    })
}

/// <https://circleci.com/docs/reference/variables/>
fn circle(environment: &Environment) -> Option<CiFacts> {
    let get = |name| environment.get(name).map(str::to_owned);
    Some(CiFacts {
        origin: "CircleCI",
        sha: get("CIRCLE_SHA1")?,
        tag: get("CIRCLE_TAG"),
        is_pull_request: get("CIRCLE_PULL_REQUEST").is_some(),
        branch: get("CIRCLE_BRANCH"),
        default_branch: None,
        source_url: get("CIRCLE_REPOSITORY_URL"),
    })
}

/// <https://plugins.jenkins.io/git/#plugin-content-environment-variables>
fn jenkins(environment: &Environment) -> Option<CiFacts> {
    let get = |name| environment.get(name).map(str::to_owned);
    let checked_out = || {
        let branch = get("GIT_BRANCH").filter(|branch| branch != "detached")?;
        Some(branch.strip_prefix("origin/").unwrap_or(&branch).to_owned())
    };
    let tag = get("TAG_NAME");
    // Of a tag's build, `BRANCH_NAME` is the tag's name.
    let branch = || get("BRANCH_NAME").or_else(checked_out).filter(|_| tag.is_none());
    Some(CiFacts {
        origin: "Jenkins",
        sha: get("GIT_COMMIT")?,
        is_pull_request: get("CHANGE_ID").is_some(),
        branch: get("CHANGE_BRANCH").or_else(branch),
        tag,
        default_branch: None,
        source_url: get("GIT_URL"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn expect<const N: usize>(variables: [(&str, &str); N], expected: CiFacts) {
        assert_eq!(read(&Environment::of(variables)), Some(expected), "{variables:?}");
    }

    #[expect(clippy::unnecessary_wraps, reason = "every expected value is an option")]
    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn github_names_branch_tag_and_pull_request() {
        let facts = CiFacts { origin: "GitHub Actions", sha: SHA.into(), ..CiFacts::default() };
        expect(
            [
                ("GITHUB_SHA", SHA),
                ("GITHUB_REF_TYPE", "branch"),
                ("GITHUB_REF_NAME", "main"),
                ("GITHUB_SERVER_URL", "https://ghe.example"),
                ("GITHUB_REPOSITORY", "acme/agent"),
            ],
            CiFacts {
                branch: some("main"),
                source_url: some("https://ghe.example/acme/agent"),
                ..facts.clone()
            },
        );
        expect(
            [
                ("GITHUB_SHA", SHA),
                ("GITHUB_REF_TYPE", "tag"),
                ("GITHUB_REF_NAME", "v1.2.3"),
                ("GITHUB_REPOSITORY", "acme/agent"),
            ],
            CiFacts {
                tag: some("v1.2.3"),
                source_url: some("https://github.com/acme/agent"),
                ..facts.clone()
            },
        );
        expect(
            [
                ("GITHUB_SHA", SHA),
                ("GITHUB_REF_TYPE", "branch"),
                ("GITHUB_REF_NAME", "7/merge"),
                ("GITHUB_HEAD_REF", "main"),
            ],
            CiFacts { branch: some("main"), is_pull_request: true, ..facts },
        );
    }

    #[test]
    fn gitlab_names_branch_tag_and_merge_request() {
        let facts = CiFacts {
            origin: "GitLab CI",
            sha: SHA.into(),
            default_branch: some("main"),
            ..CiFacts::default()
        };
        let common = [("CI_COMMIT_SHA", SHA), ("CI_DEFAULT_BRANCH", "main")];
        let [sha, default] = common;
        expect(
            [sha, default, ("CI_COMMIT_BRANCH", "dev")],
            CiFacts { branch: some("dev"), ..facts.clone() },
        );
        expect(
            [sha, default, ("CI_COMMIT_TAG", "v1")],
            CiFacts { tag: some("v1"), ..facts.clone() },
        );
        expect(
            [sha, default, ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "main")],
            CiFacts { branch: some("main"), is_pull_request: true, ..facts },
        );
    }

    #[test]
    fn the_others_are_read_too() {
        let facts = |origin| CiFacts { origin, sha: SHA.into(), ..CiFacts::default() };
        expect(
            [
                ("BITBUCKET_COMMIT", SHA),
                ("BITBUCKET_BRANCH", "main"),
                ("BITBUCKET_GIT_HTTP_ORIGIN", "https://bitbucket.org/acme/agent"),
            ],
            CiFacts {
                branch: some("main"),
                source_url: some("https://bitbucket.org/acme/agent"),
                ..facts("Bitbucket Pipelines")
            },
        );
        expect(
            [
                ("BUILD_SOURCEVERSION", &SHA.to_uppercase()),
                ("BUILD_SOURCEBRANCH", "refs/heads/release/1"),
                ("BUILD_REPOSITORY_URI", "https://acme@dev.azure.com/acme/agents/_git/agent"),
            ],
            CiFacts {
                branch: some("release/1"),
                source_url: some("https://dev.azure.com/acme/agents/_git/agent"),
                ..facts("Azure Pipelines")
            },
        );
        expect(
            [("BUILD_SOURCEVERSION", SHA), ("BUILD_SOURCEBRANCH", "refs/tags/v1")],
            CiFacts { tag: some("v1"), ..facts("Azure Pipelines") },
        );
        expect(
            [
                ("BUILD_SOURCEVERSION", SHA),
                ("BUILD_SOURCEBRANCH", "refs/pull/7/merge"),
                ("SYSTEM_PULLREQUEST_SOURCEBRANCH", "refs/heads/fix"),
            ],
            CiFacts { branch: some("fix"), is_pull_request: true, ..facts("Azure Pipelines") },
        );
        expect(
            [
                ("CIRCLE_SHA1", SHA),
                ("CIRCLE_BRANCH", "main"),
                ("CIRCLE_REPOSITORY_URL", "git@github.com:acme/agent.git"),
            ],
            CiFacts {
                branch: some("main"),
                source_url: some("https://github.com/acme/agent"),
                ..facts("CircleCI")
            },
        );
        expect(
            [("GIT_COMMIT", SHA), ("GIT_BRANCH", "origin/main")],
            CiFacts { branch: some("main"), ..facts("Jenkins") },
        );
        expect(
            [("GIT_COMMIT", SHA), ("GIT_BRANCH", "v1"), ("BRANCH_NAME", "v1"), ("TAG_NAME", "v1")],
            CiFacts { tag: some("v1"), ..facts("Jenkins") },
        );
    }

    #[test]
    fn what_is_no_commit_id_is_not_believed() {
        for sha in ["main", "0123456", &SHA.replace('0', "g")] {
            assert_eq!(read(&Environment::of([("GITHUB_SHA", sha)])), None, "{sha}");
        }
        let both = Environment::of([("GITHUB_SHA", "HEAD"), ("CI_COMMIT_SHA", SHA)]);
        assert_eq!(read(&both).map(|facts| facts.origin), Some("GitLab CI"));
    }

    #[test]
    fn an_event_without_a_repository_names_no_default_branch() {
        assert_eq!(default_branch("{}"), None);
        assert_eq!(default_branch("no json"), None);
        assert_eq!(
            default_branch(r#"{"repository": {"id": 1, "default_branch": "main"}, "x": []}"#),
            some("main")
        );
    }
}
