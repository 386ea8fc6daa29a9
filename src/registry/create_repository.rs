//! How a repository is made that a push cannot make by itself, for the registries that want it.

use crate::oci::Repository;

/// What to do when a registry does not know the repository that is pushed to.
pub(super) fn hint(repository: &Repository) -> String {
    let (host, path) = (repository.registry(), repository.path());
    let labels: Vec<&str> = host.split('.').collect();
    let mut parts = path.split('/');
    let first = parts.next().unwrap_or_default();
    let second = parts.next();
    match labels[..] {
        [_, "dkr", "ecr" | "ecr-fips", region, "amazonaws", "com"]
        | [_, "dkr", "ecr", region, "amazonaws", "com", "cn"]
        | [_, "dkr-ecr", region, "on", "aws"] => format!(
            "create it: `aws ecr create-repository --repository-name {path} --region {region}`"
        ),
        ["public", "ecr", "aws"] => {
            let name = path.split_once('/').map_or(path, |(_, name)| name);
            format!(
                "create it: `aws ecr-public create-repository --repository-name {name} --region us-east-1`"
            )
        }
        [location, "pkg", "dev"] if location.ends_with("-docker") => {
            let location = location.trim_end_matches("-docker");
            let name = second.unwrap_or("REPOSITORY");
            format!(
                "create it: `gcloud artifacts repositories create {name} --repository-format=docker --location={location} --project={first}`"
            )
        }
        ["docker", "io"] => format!("check the name: is `{first}` your user or organisation?"),
        ["quay", "io"] => format!(
            "create `{path}` at https://quay.io/new/, or give the robot the right to create repositories in `{first}`"
        ),
        ["registry", "gitlab", "com"] => format!(
            "check that the project exists on gitlab.com and has its container registry switched on: a repository is called like its project, `{path}` or a part of it"
        ),
        ["registry", "digitalocean", "com"] => {
            format!("create the registry: `doctl registry create {first}`")
        }
        [.., "ocir", "io"] => format!(
            "create it: `oci artifacts container repository create --display-name {}`",
            path.split_once('/').map_or(path, |(_, name)| name)
        ),
        _ => format!(
            "check the name; some registries want `{first}` to be created first: the project of a Harbor or GitLab, the organisation of a Quay"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_of_hosts_has_its_own_way() {
        let general = "check the name; some registries want `a` to be created first: the project of a Harbor or GitLab, the organisation of a Quay";
        for (repository, expected) in [
            (
                "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a/b",
                "create it: `aws ecr create-repository --repository-name a/b --region eu-central-1`",
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a",
                "create it: `aws ecr create-repository --repository-name a --region cn-north-1`",
            ),
            (
                "public.ecr.aws/alias/a/b",
                "create it: `aws ecr-public create-repository --repository-name a/b --region us-east-1`",
            ),
            (
                "europe-west1-docker.pkg.dev/project/a/b",
                "create it: `gcloud artifacts repositories create a --repository-format=docker --location=europe-west1 --project=project`",
            ),
            ("docker.io/acme/agent", "check the name: is `acme` your user or organisation?"),
            (
                "quay.io/acme/agent",
                "create `acme/agent` at https://quay.io/new/, or give the robot the right to create repositories in `acme`",
            ),
            ("registry.digitalocean.com/a/b", "create the registry: `doctl registry create a`"),
            (
                "fra.ocir.io/tenancy/a/b",
                "create it: `oci artifacts container repository create --display-name a/b`",
            ),
            ("harbor.example/a/b", general),
            // The name of a host counts from both ends.
            ("1.dkr.ecr.eu-central-1.amazonaws.com.evil.com/a/b", general),
            ("evil.com/a/amazonaws.com", general),
            ("x.docker.pkg.dev/a/b", general),
            ("evil-quay.io/a/b", general),
        ] {
            assert_eq!(hint(&repository.parse().unwrap()), expected, "{repository}");
        }
    }
}
