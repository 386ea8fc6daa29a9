//! What helps at which registry: the hints of a refusal, as a table.

use self::Trouble::{Denied, Full, NoCredentials, OtherTime, Refused};
use super::hints::Login;
use super::keychains::variable_prefix;
use super::service::Service;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It wants credentials and there are none.
    NoCredentials,
    /// It does not accept those we have.
    Refused,
    /// It accepts them, and they do not allow this.
    Denied,
    /// There is no more room for what is pushed (N46).
    Full,
    /// What was signed a moment ago seems to be from another time (N52).
    OtherTime,
}

/// Words that say with a 403 what else than a right is missing, in lower case: those of Harbor's
/// quotas, of Amazon's tokens after 12 hours, of GitLab's token server, of S3.
const WORDS: &[(&str, Trouble)] = &[
    ("quota", Full),
    ("upper limit", Full),
    ("storage limit", Full),
    ("token has expired", Refused),
    ("token is expired", Refused),
    ("http basic: access denied", Refused),
    ("requesttimetooskewed", OtherTime),
    ("request has expired", OtherTime),
];

impl Trouble {
    /// What a 403 is about, by its words.
    pub(super) fn of_denial(detail: &str) -> Self {
        let detail = detail.to_lowercase();
        let said = WORDS.iter().find(|(words, _)| detail.contains(words));
        said.map_or(Denied, |(_, trouble)| *trouble)
    }
}

/// One row: `REGISTRY` in the text stands for the host, `NAME` and the like for what we cannot know.
struct Cure {
    services: &'static [Service],
    troubles: &'static [Trouble],
    text: &'static str,
}

const CURES: &[Cure] = &[
    Cure {
        services: &[Service::Amazon],
        troubles: &[NoCredentials, Refused],
        text: "log in for 12 hours: `aws ecr get-login-password | dockless login --username AWS --password-stdin REGISTRY`",
    },
    Cure {
        services: &[Service::Amazon],
        troubles: &[Denied],
        text: "allow `ecr:BatchGetImage` and `ecr:GetDownloadUrlForLayer` to pull, `ecr:BatchCheckLayerAvailability`, `ecr:InitiateLayerUpload`, `ecr:UploadLayerPart`, `ecr:CompleteLayerUpload` and `ecr:PutImage` to push",
    },
    Cure {
        services: &[Service::AmazonPublic],
        troubles: &[NoCredentials, Refused],
        text: "log in for 12 hours: `aws ecr-public get-login-password --region us-east-1 | dockless login --username AWS --password-stdin REGISTRY`",
    },
    Cure {
        services: &[Service::Azure],
        troubles: &[NoCredentials, Refused],
        text: "log in for 3 hours: `az acr login --name REGISTRY --expose-token --output tsv --query accessToken | dockless login --username 00000000-0000-0000-0000-000000000000 --password-stdin REGISTRY`",
    },
    Cure {
        services: &[Service::Azure],
        troubles: &[Denied],
        text: "give this identity the role `AcrPull` to pull, `AcrPush` to push",
    },
    Cure {
        services: &[Service::GoogleArtifacts, Service::GoogleContainers],
        troubles: &[NoCredentials, Refused],
        text: "let `gcloud` log in for docker's configuration, which is read here too: `gcloud auth configure-docker REGISTRY`",
    },
    Cure {
        services: &[Service::GoogleArtifacts, Service::GoogleContainers],
        troubles: &[Denied],
        text: "give this identity the role `roles/artifactregistry.reader` to pull, `roles/artifactregistry.writer` to push",
    },
    Cure {
        services: &[Service::GitHub],
        troubles: &[NoCredentials],
        text: "in a workflow, set `GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}` in the step's `env`",
    },
    Cure {
        services: &[Service::GitHub],
        troubles: &[Refused],
        text: "it takes tokens only: `GITHUB_TOKEN` in a workflow, elsewhere a classic personal access token with `write:packages`",
    },
    Cure {
        services: &[Service::GitHub],
        troubles: &[Denied],
        text: "a workflow needs `permissions: packages: write` (to pull: `read`), and the package must be linked to its repository",
    },
    Cure {
        services: &[Service::GitLab],
        troubles: &[Denied],
        text: "a job's token may push to the registry of its own project only; elsewhere a deploy token with `write_registry` may",
    },
    Cure {
        services: &[Service::DockerHub],
        troubles: &[Refused],
        text: "with two-factor authentication or single sign-on, Docker Hub takes an access token in place of the password; to push, it must allow writing",
    },
    Cure {
        services: &[Service::DockerHub],
        troubles: &[Denied],
        text: "push below a name or organisation of your own: `docker.io/NAME/…`",
    },
    Cure {
        services: &[Service::Quay],
        troubles: &[Refused],
        text: "a robot's name is `NAME+ROBOT`, and its password is its token",
    },
    Cure {
        services: &[Service::Quay],
        troubles: &[Denied],
        text: "give the robot or user the permission to write to this repository, or to create repositories",
    },
];

/// What to do about it, the most particular first.
pub(super) fn cures(trouble: Trouble, login: &Login) -> Vec<String> {
    let Login { registry, path, username, is_push, .. } = login;
    let mut cures = Vec::new();
    if *is_push
        && matches!(trouble, Refused | Denied)
        && registry == "docker.io"
        && let Some(name) = path.strip_prefix("library/")
    {
        cures.push(format!(
            "only Docker may push to its official images: push to `docker.io/NAME/{name}`"
        ));
    }
    let service = Service::of(registry).map(|(service, _)| service);
    let rows = CURES.iter().filter(|cure| {
        let is_there = service.is_some_and(|service| cure.services.contains(&service));
        is_there && cure.troubles.contains(&trouble)
    });
    cures.extend(rows.map(|cure| cure.text.replace("REGISTRY", registry)));
    if cures.is_empty() || (trouble == NoCredentials && registry == "ghcr.io") {
        cures.push(general(trouble, registry));
    }
    // One more thing that it may be, never instead of the others.
    if trouble == Refused && username.as_deref().is_some_and(may_have_lost_its_end) {
        cures.push(
            "shells and GitLab's variables replace what follows a `$`, as in a robot's name: quote it with `'`, write `$$` in `.gitlab-ci.yml`, or turn off \"Expand variable reference\" for the variable"
                .into(),
        );
    }
    cures
}

fn general(trouble: Trouble, registry: &str) -> String {
    match trouble {
        NoCredentials => {
            let prefix = variable_prefix(registry);
            format!(
                "log in to `{registry}`: `dockless login {registry} --username NAME --password-stdin`; or set `{prefix}_USERNAME` and `{prefix}_PASSWORD`"
            )
        }
        Refused => format!(
            "check the user name and the password or token; a token may have expired: `dockless login {registry}` asks for another"
        ),
        Denied => "give this identity the right to push to, or pull from, the repository".into(),
        Full => {
            "delete images that nobody needs, or ask whoever runs the registry for more room".into()
        }
        OtherTime => {
            "compare the clock of this machine with that of the registry: one of them is wrong"
                .into()
        }
    }
}

/// Whether a name may be what is left of Harbor's `robot$ci` and `robot$project+ci`.
fn may_have_lost_its_end(username: &str) -> bool {
    username == "robot" || username.starts_with("robot+") || username.contains('$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(trouble: Trouble, registry: &str, path: &str, username: &str) -> String {
        let login = Login {
            registry: registry.into(),
            path: path.into(),
            username: Some(username.into()),
            is_push: true,
            tried: Vec::new(),
        };
        cures(trouble, &login).remove(0)
    }

    #[test]
    fn each_registry_has_its_own_cure() {
        let amazon = "1.dkr.ecr.eu-west-1.amazonaws.com";
        for (trouble, registry, username, beginning) in [
            (NoCredentials, amazon, "u", "log in for 12 hours: `aws ecr get-login-password"),
            (Denied, amazon, "u", "allow `ecr:BatchGetImage`"),
            (
                Refused,
                "acme.azurecr.io",
                "u",
                "log in for 3 hours: `az acr login --name acme.azurecr.io",
            ),
            (Refused, "acme.azurecr.io.evil.com", "u", "check the user name"),
            (NoCredentials, "europe-docker.pkg.dev", "u", "let `gcloud` log in"),
            (NoCredentials, "ghcr.io", "u", "in a workflow, set `GITHUB_TOKEN"),
            (Refused, "ghcr.io", "u", "it takes tokens only"),
            (Denied, "ghcr.io", "u", "a workflow needs `permissions: packages: write`"),
            (Denied, "registry.gitlab.com", "u", "a job's token may push"),
            (Refused, "docker.io", "u", "with two-factor authentication"),
            (Denied, "docker.io", "u", "push below a name"),
            (Refused, "quay.io", "u", "a robot's name is `NAME+ROBOT`"),
            (Refused, "harbor.corp", "robot$ci", "check the user name"),
            (Denied, "harbor.corp", "robot", "give this identity the right"),
            (
                NoCredentials,
                "r.io:5000",
                "u",
                "log in to `r.io:5000`: `dockless login r.io:5000 --username NAME --password-stdin`; or set `DOCKLESS_REGISTRY_R_IO_5000_USERNAME` and `DOCKLESS_REGISTRY_R_IO_5000_PASSWORD`",
            ),
        ] {
            let cure = first(trouble, registry, "team/app", username);
            assert!(cure.starts_with(beginning), "{trouble:?} {registry}: {cure}");
        }
    }

    #[test]
    fn a_robots_name_may_have_lost_its_end_besides() {
        for (username, is_robot) in
            [("robot", true), ("robot+ci", true), ("robot$ci", true), ("robotics", false)]
        {
            let login = Login {
                registry: "harbor.corp".into(),
                path: "team/app".into(),
                username: Some(username.into()),
                is_push: true,
                tried: Vec::new(),
            };
            let cures = cures(Refused, &login);
            assert!(cures[0].starts_with("check the user name"), "{cures:?}");
            let hint = cures.get(1).map(|cure| cure.starts_with("shells and GitLab's variables"));
            assert_eq!(hint, is_robot.then_some(true), "{username}");
        }
    }

    #[test]
    fn the_words_of_a_403_tell_what_it_is_about() {
        for (detail, expected) in [
            ("DENIED: Quota exceeded when processing the request of adding 1 GiB", Full),
            ("DENIED: adding 20.0 MiB will exceed the configured upper limit of 5 GiB.", Full),
            (
                "DENIED: Your authorization token has expired. Reauthenticate and try again.",
                Refused,
            ),
            ("UNAUTHORIZED: HTTP Basic: Access denied. The provided password is wrong", Refused),
            ("DENIED: permission_denied: write_package", Denied),
            ("DENIED: requested access to the resource is denied", Denied),
            ("RequestTimeTooSkewed: The difference between the times is too large", OtherTime),
            ("", Denied),
        ] {
            assert_eq!(Trouble::of_denial(detail), expected, "{detail}");
        }
        let amazon = first(Refused, "1.dkr-ecr.eu-west-1.on.aws", "a", "AWS");
        assert!(amazon.starts_with("log in for 12 hours"), "{amazon}");
        let full = first(Full, "ghcr.io", "a", "u");
        assert!(full.starts_with("delete images"), "{full}");
        let skewed = first(OtherTime, "ghcr.io", "a", "u");
        assert!(skewed.starts_with("compare the clock"), "{skewed}");
    }

    #[test]
    fn nobody_pushes_to_official_images() {
        let expected =
            "only Docker may push to its official images: push to `docker.io/NAME/agent`";
        for trouble in [Refused, Denied] {
            assert_eq!(first(trouble, "docker.io", "library/agent", "bob"), expected);
        }
    }
}
