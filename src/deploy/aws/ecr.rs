//! What the host name of an image in ECR tells: account, region, and which endpoint it is.

use super::Place;
use crate::registry::AmazonRegistry;

/// The host of a private registry of ECR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::deploy) struct EcrHost {
    /// The account that the registry belongs to: twelve digits.
    pub(in crate::deploy) account: String,
    /// The region that it is in.
    pub(in crate::deploy) region: String,
    /// Whether it is an endpoint of FIPS 140.
    pub(in crate::deploy) is_fips: bool,
    /// Whether it is one of both IPv4 and IPv6, under `on.aws`.
    pub(in crate::deploy) is_dual_stack: bool,
}

impl EcrHost {
    /// Reads a host in any partition; nothing when it is no private registry of ECR.
    pub(in crate::deploy) fn parse(host: &str) -> Option<Self> {
        let Some(AmazonRegistry::Private { account, region }) = AmazonRegistry::of(host) else {
            return None;
        };
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let endpoint = &host[account.len() + 1..];
        is_account.then(|| Self {
            account: account.to_owned(),
            region: region.to_owned(),
            is_fips: ["dkr.ecr-fips.", "dkr-ecr-fips."].iter().any(|it| endpoint.starts_with(it)),
            is_dual_stack: endpoint.starts_with("dkr-ecr"),
        })
    }
}

/// The usual host of the registry of an account in a region.
pub(in crate::deploy) fn ecr_host(account: &str, region: &str) -> String {
    let place = Place { region: region.to_owned(), account: account.to_owned() };
    let suffix = match place.partition() {
        "aws-cn" => "amazonaws.com.cn",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    format!("{account}.dkr.ecr.{region}.{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_host_is_that_of_the_partition() {
        for (region, expected) in [
            ("eu-west-1", "1.dkr.ecr.eu-west-1.amazonaws.com"),
            ("us-gov-west-1", "1.dkr.ecr.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "1.dkr.ecr.cn-north-1.amazonaws.com.cn"),
            ("eusc-de-east-1", "1.dkr.ecr.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(ecr_host("1", region), expected);
        }
    }

    #[test]
    fn a_host_tells_account_and_region() {
        let told = |host: &str| {
            let host = EcrHost::parse(host)?;
            Some((host.account, host.region, host.is_fips, host.is_dual_stack))
        };
        let account = || "123456789012".to_owned();
        for (host, expected) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Some(("eu-west-1", false, false))),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                Some(("cn-north-1", false, false)),
            ),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                Some(("us-gov-west-1", true, false)),
            ),
            (
                "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
                Some(("cn-north-1", false, true)),
            ),
            (
                "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
                Some(("eusc-de-east-1", false, false)),
            ),
            ("123456789012.dkr-ecr.us-east-1.on.aws", Some(("us-east-1", false, true))),
            ("123456789012.dkr-ecr-fips.us-east-1.on.aws", Some(("us-east-1", true, true))),
            ("12345.dkr.ecr.eu-west-1.amazonaws.com", None),
            ("123456789012.dkr.ecr.eu-west-1.example.com", None),
            ("public.ecr.aws", None),
            ("ghcr.io", None),
        ] {
            let expected = expected
                .map(|(region, is_fips, is_dual)| (account(), region.to_owned(), is_fips, is_dual));
            assert_eq!(told(host), expected, "{host}");
        }
    }
}
