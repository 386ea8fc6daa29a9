//! What CI systems give to a job: GitHub Actions for ghcr.io, GitLab for its registries.

use async_trait::async_trait;

use super::super::keychain::{Credential, Keychain, Lookup};
use super::pair::Pair;
use super::same_host;
use crate::oci::Repository;
use crate::sys::Environment;

/// Registry, user and password variables of GitLab CI and of its Harbor integration.
const VARIABLES: [(&str, &str, &str); 3] = [
    ("CI_REGISTRY", "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"),
    ("CI_DEPENDENCY_PROXY_SERVER", "CI_DEPENDENCY_PROXY_USER", "CI_DEPENDENCY_PROXY_PASSWORD"),
    ("HARBOR_HOST", "HARBOR_USERNAME", "HARBOR_PASSWORD"),
];

/// The credentials of the job we run in, each for the host that its CI system says it is for.
#[derive(Debug, Clone)]
pub struct Ci {
    environment: Environment,
}

impl Ci {
    /// Reads the variables of this environment.
    pub fn new(environment: &Environment) -> Self {
        Self { environment: environment.clone() }
    }

    fn read(&self, repository: &Repository) -> Pair {
        let host = same_host(repository.registry());
        self.github(&host).or_else(|| self.gitlab(&host)).unwrap_or_else(|| Pair {
            name: "CI variables".into(),
            lookup: Lookup::Nothing(format!("none are for `{host}`")),
        })
    }

    fn gitlab(&self, host: &str) -> Option<Pair> {
        let (_, user_name, password_name) = VARIABLES.iter().find(|(registry, ..)| {
            let registry = self.environment.get(registry).unwrap_or_default();
            same_host(registry.strip_prefix("https://").unwrap_or(registry)) == host
        })?;
        let pair = Pair::read(&self.environment, user_name, password_name);
        Some(pair.unwrap_or_else(|| Pair {
            name: format!("`{password_name}`"),
            lookup: Lookup::Nothing("it is not set for this job".into()),
        }))
    }

    fn github(&self, host: &str) -> Option<Pair> {
        if host != "ghcr.io" || !self.environment.is_on("GITHUB_ACTIONS") {
            return None;
        }
        let actor = self.environment.get("GITHUB_ACTOR").unwrap_or("github-actions");
        let credential = |password| Credential::Password { username: actor.to_owned(), password };
        let name = "GITHUB_TOKEN";
        Some(Pair::of_token(&self.environment, name, credential).unwrap_or_else(|| Pair {
            name: format!("`{name}`"),
            lookup: Lookup::Nothing("it is not set for this step".into()),
        }))
    }
}

#[async_trait]
impl Keychain for Ci {
    fn name(&self, repository: &Repository) -> String {
        self.read(repository).name
    }

    async fn find(&self, repository: &Repository) -> Lookup {
        self.read(repository).lookup
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::secret::Secret;
    use super::*;

    #[tokio::test]
    async fn each_variable_serves_exactly_its_host() {
        let environment = Environment::of([
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_TOKEN", "gh"),
            ("GITHUB_ACTOR", "octocat"),
            ("CI_REGISTRY", "registry.gitlab.com"),
            ("CI_REGISTRY_USER", "job"),
            ("CI_REGISTRY_PASSWORD", "gl"),
            ("CI_DEPENDENCY_PROXY_SERVER", "gitlab.com:443"),
            ("CI_DEPENDENCY_PROXY_USER", "proxy"),
            ("CI_DEPENDENCY_PROXY_PASSWORD", "dp"),
            ("HARBOR_HOST", "https://harbor.corp"),
            ("HARBOR_USERNAME", "robot$ci"),
            ("HARBOR_PASSWORD", "ha"),
        ]);
        let ci = Ci::new(&environment);
        for (repository, expected) in [
            ("ghcr.io/a", Some(("octocat", "gh"))),
            ("registry.gitlab.com/a", Some(("job", "gl"))),
            ("gitlab.com/a", Some(("proxy", "dp"))),
            ("harbor.corp/a", Some(("robot$ci", "ha"))),
            ("ghcr.io.evil.com/a", None),
            ("evil.com/ghcr.io", None),
            ("notgitlab.com/a", None),
            ("gitlab.com:8443/a", None),
        ] {
            let repository: Repository = repository.parse().unwrap();
            let expected = match expected {
                Some((username, password)) => Lookup::Found(Credential::Password {
                    username: username.into(),
                    password: Secret::new(password),
                }),
                None => Lookup::Nothing(format!("none are for `{}`", repository.registry())),
            };
            assert_eq!(ci.find(&repository).await, expected, "{repository}");
        }
    }

    #[tokio::test]
    async fn half_of_what_a_job_needs_is_named() {
        let ci = Ci::new(&Environment::of([
            ("HARBOR_HOST", "harbor.corp"),
            ("HARBOR_USERNAME", "robot$ci"),
        ]));
        let repository = "harbor.corp/a".parse().unwrap();
        let half = Lookup::Broken("its other half `HARBOR_PASSWORD` is not set".into());
        assert_eq!(
            (ci.name(&repository), ci.find(&repository).await),
            ("`HARBOR_USERNAME`".into(), half)
        );
    }

    #[tokio::test]
    async fn a_github_token_outside_of_github_is_left_alone() {
        let ci = Ci::new(&Environment::of([("GITHUB_TOKEN", "gh")]));
        let nothing = Lookup::Nothing("none are for `ghcr.io`".into());
        assert_eq!(ci.find(&"ghcr.io/a".parse().unwrap()).await, nothing);
        let ci = Ci::new(&Environment::of([("GITHUB_ACTIONS", "true")]));
        let repository = "ghcr.io/a".parse().unwrap();
        let nothing = Lookup::Nothing("it is not set for this step".into());
        assert_eq!(
            (ci.name(&repository), ci.find(&repository).await),
            ("`GITHUB_TOKEN`".into(), nothing)
        );
    }
}
