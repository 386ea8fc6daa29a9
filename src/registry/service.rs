//! The registries that have ways of their own, told apart by their host: the one table.

use super::host_pattern::HostPattern;

/// Whose registry it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Amazon ECR; the parts of its host are the account and the region.
    Amazon,
    AmazonPublic,
    Azure,
    DigitalOcean,
    DockerHub,
    GitHub,
    GitLab,
    /// Google Artifact Registry; the part of its host is the location.
    GoogleArtifacts,
    /// Google's older hosts.
    GoogleContainers,
    Oracle,
    Quay,
}

const HOSTS: &[(HostPattern, Service)] = &[
    (HostPattern("*.dkr.ecr.*.amazonaws.com"), Service::Amazon),
    (HostPattern("*.dkr.ecr-fips.*.amazonaws.com"), Service::Amazon),
    (HostPattern("*.dkr.ecr.*.amazonaws.com.cn"), Service::Amazon),
    (HostPattern("*.dkr.ecr.*.amazonaws.eu"), Service::Amazon),
    (HostPattern("*.dkr-ecr.*.on.aws"), Service::Amazon),
    (HostPattern("*.dkr-ecr-fips.*.on.aws"), Service::Amazon),
    (HostPattern("*.dkr-ecr.*.on.amazonwebservices.com.cn"), Service::Amazon),
    (HostPattern("public.ecr.aws"), Service::AmazonPublic),
    (HostPattern("*.azurecr.io"), Service::Azure),
    (HostPattern("*.azurecr.cn"), Service::Azure),
    (HostPattern("*.azurecr.us"), Service::Azure),
    (HostPattern("registry.digitalocean.com"), Service::DigitalOcean),
    (HostPattern("docker.io"), Service::DockerHub),
    (HostPattern("ghcr.io"), Service::GitHub),
    (HostPattern("registry.gitlab.com"), Service::GitLab),
    (HostPattern("*-docker.pkg.dev"), Service::GoogleArtifacts),
    (HostPattern("gcr.io"), Service::GoogleContainers),
    (HostPattern("*.gcr.io"), Service::GoogleContainers),
    (HostPattern("*.ocir.io"), Service::Oracle),
    (HostPattern("quay.io"), Service::Quay),
];

/// Which registry of Amazon's a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AmazonRegistry<'a> {
    /// That of an account in a region.
    Private {
        /// The account.
        account: &'a str,
        /// The region.
        region: &'a str,
    },
    /// The one that everybody may read.
    Public,
}

impl<'a> AmazonRegistry<'a> {
    /// The registry of this host, if it is one of Amazon's.
    pub(crate) fn of(registry: &'a str) -> Option<Self> {
        match Service::of(registry)? {
            (Service::Amazon, parts) => match parts[..] {
                [account, region] => Some(Self::Private { account, region }),
                _ => None,
            },
            (Service::AmazonPublic, _) => Some(Self::Public),
            _ => None,
        }
    }
}

impl Service {
    /// Whose registry this is, with the parts of the host that vary; `None` where that is not known.
    pub(super) fn of(registry: &str) -> Option<(Self, Vec<&str>)> {
        HOSTS.iter().find_map(|(pattern, service)| Some((*service, pattern.parts(registry)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_is_known_with_its_parts() {
        for (registry, expected) in [
            ("1.dkr.ecr.eu-west-1.amazonaws.com", Some((Service::Amazon, vec!["1", "eu-west-1"]))),
            (
                "1.dkr.ecr-fips.us-east-1.amazonaws.com",
                Some((Service::Amazon, vec!["1", "us-east-1"])),
            ),
            ("1.dkr-ecr.eu-west-1.on.aws", Some((Service::Amazon, vec!["1", "eu-west-1"]))),
            ("1.dkr-ecr-fips.us-east-1.on.aws", Some((Service::Amazon, vec!["1", "us-east-1"]))),
            (
                "1.dkr.ecr.cn-north-1.amazonaws.com.cn",
                Some((Service::Amazon, vec!["1", "cn-north-1"])),
            ),
            (
                "1.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
                Some((Service::Amazon, vec!["1", "cn-north-1"])),
            ),
            (
                "1.dkr.ecr.eusc-de-east-1.amazonaws.eu",
                Some((Service::Amazon, vec!["1", "eusc-de-east-1"])),
            ),
            ("public.ecr.aws", Some((Service::AmazonPublic, vec![]))),
            ("europe-west1-docker.pkg.dev", Some((Service::GoogleArtifacts, vec!["europe-west1"]))),
            ("eu.gcr.io", Some((Service::GoogleContainers, vec!["eu"]))),
            ("docker.io", Some((Service::DockerHub, vec![]))),
            ("acme.azurecr.io:443", Some((Service::Azure, vec!["acme"]))),
            // The name of a host counts from both ends.
            ("1.dkr.ecr.eu-west-1.amazonaws.com.evil.com", None),
            ("1.dkr-ecr.eu-west-1.on.aws.evil.com", None),
            ("1.dkr.ecr.eu-west-1.on.aws", None),
            ("dkr.ecr.eu-west-1.amazonaws.com", None),
            ("evil.public.ecr.aws", None),
            ("x.docker.pkg.dev", None),
            ("evil-quay.io", None),
            ("quay.io:5000", None),
            ("harbor.corp", None),
        ] {
            assert_eq!(Service::of(registry), expected, "{registry}");
        }
    }
}
