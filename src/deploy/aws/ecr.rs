//! What the host name of an image in ECR tells: account and region.

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
        let (account, rest) = host.split_once('.')?;
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (is_fips, is_dual_stack, rest) = [
            ("dkr.ecr.", false, false),
            ("dkr.ecr-fips.", true, false),
            ("dkr-ecr.", false, true),
            ("dkr-ecr-fips.", true, true),
        ]
        .into_iter()
        .find_map(|(prefix, is_fips, is_dual_stack)| {
            Some((is_fips, is_dual_stack, rest.strip_prefix(prefix)?))
        })?;
        let (region, suffix) = rest.split_once('.')?;
        let is_known = if is_dual_stack {
            ["on.aws", "on.amazonwebservices.com.cn"].contains(&suffix)
        } else {
            suffix == "amazonaws.com" || suffix == "amazonaws.com.cn"
        };
        (is_known && !region.is_empty()).then(|| Self {
            account: account.to_owned(),
            region: region.to_owned(),
            is_fips,
            is_dual_stack,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
