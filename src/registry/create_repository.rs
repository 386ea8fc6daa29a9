//! How a repository is made that a push cannot make by itself, for the registries that want it.

use super::service::Service;
use crate::oci::Repository;

/// What to do when a registry does not know the repository that is pushed to, and says this.
pub(super) fn hint(repository: &Repository, detail: &str) -> String {
    let (host, path) = (repository.registry(), repository.path());
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let Some((service, parts)) = Service::of(host) else { return general(path, detail) };
    match (service, &parts[..]) {
        (Service::Amazon, [_, region]) => format!(
            "create it: `aws ecr create-repository --repository-name {path} --region {region}`, or have pushes do it: `create_repository: true` in `dockless.yaml`"
        ),
        (Service::AmazonPublic, _) => {
            let name = if rest.is_empty() { path } else { rest };
            format!(
                "create it: `aws ecr-public create-repository --repository-name {name} --region us-east-1`"
            )
        }
        (Service::GoogleArtifacts, [location]) => {
            let name = rest.split('/').next().filter(|name| !name.is_empty());
            let name = name.unwrap_or("REPOSITORY");
            format!(
                "create it: `gcloud artifacts repositories create {name} --repository-format=docker --location={location} --project={first}`, or have pushes do it: `create_repository: true` in `dockless.yaml`"
            )
        }
        (Service::DockerHub, _) => {
            format!("check the name: is `{first}` your user or organisation?")
        }
        (Service::Quay, _) => format!(
            "create `{path}` at https://quay.io/new/, or give the robot the right to create repositories in `{first}`"
        ),
        (Service::GitLab, _) => format!(
            "check that the project exists on gitlab.com and has its container registry switched on: a repository is called like its project, `{path}` or a part of it"
        ),
        (Service::DigitalOcean, _) => {
            format!("create the registry: `doctl registry create {first}`")
        }
        (Service::Oracle, _) => format!(
            "create it: `oci artifacts container repository create --display-name {}`",
            if rest.is_empty() { path } else { rest }
        ),
        _ => general(path, detail),
    }
}

/// Where the host tells nothing, the words may: "… does not exist in the registry with id '…'" is
/// Amazon's behind another name, "project … not found" a Harbor's.
fn general(path: &str, detail: &str) -> String {
    let first = path.split('/').next().unwrap_or(path);
    let detail = detail.to_lowercase();
    if detail.contains("in the registry with id") {
        return format!("create it: `aws ecr create-repository --repository-name {path}`");
    }
    if detail.contains("project") {
        return format!("check the name; the project `{first}` has to be created first");
    }
    if first == path {
        return format!("check the name; the registry may want `{path}` to be created first");
    }
    format!(
        "check the name; the registry may want `{path}`, or `{first}` above it, to be created first"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_of_hosts_has_its_own_way() {
        let general =
            "check the name; the registry may want `a/b`, or `a` above it, to be created first";
        for (repository, expected) in [
            (
                "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a/b",
                "create it: `aws ecr create-repository --repository-name a/b --region eu-central-1`, or have pushes do it: `create_repository: true` in `dockless.yaml`",
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a",
                "create it: `aws ecr create-repository --repository-name a --region cn-north-1`, or have pushes do it: `create_repository: true` in `dockless.yaml`",
            ),
            (
                "123456789012.dkr-ecr.eu-west-1.on.aws/a",
                "create it: `aws ecr create-repository --repository-name a --region eu-west-1`, or have pushes do it: `create_repository: true` in `dockless.yaml`",
            ),
            ("r.io/a", "check the name; the registry may want `a` to be created first"),
            (
                "public.ecr.aws/alias/a/b",
                "create it: `aws ecr-public create-repository --repository-name a/b --region us-east-1`",
            ),
            (
                "europe-west1-docker.pkg.dev/project/a/b",
                "create it: `gcloud artifacts repositories create a --repository-format=docker --location=europe-west1 --project=project`, or have pushes do it: `create_repository: true` in `dockless.yaml`",
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
            ("x.docker.pkg.dev/a/b", general),
            ("evil-quay.io/a/b", general),
        ] {
            assert_eq!(hint(&repository.parse().unwrap(), ""), expected, "{repository}");
        }
    }

    #[test]
    fn words_tell_what_the_host_does_not() {
        let repository = "ecr.corp/a/b".parse().unwrap();
        for (detail, expected) in [
            (
                "NAME_UNKNOWN: The repository with name 'a/b' does not exist in the registry with id '1'",
                "create it: `aws ecr create-repository --repository-name a/b`",
            ),
            (
                "NOT_FOUND: project a not found",
                "check the name; the project `a` has to be created first",
            ),
        ] {
            assert_eq!(hint(&repository, detail), expected);
        }
    }
}
