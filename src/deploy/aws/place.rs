//! Where things are at AWS: partition, region and account, and the ARNs made of them.

use crate::cloud::CallError;
use crate::deploy::Session;

/// An account in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::deploy) struct Place {
    /// The region: `eu-west-1`.
    pub(in crate::deploy) region: String,
    /// The account: twelve digits.
    pub(in crate::deploy) account: String,
}

impl Place {
    /// The caller's account in a region.
    ///
    /// # Errors
    /// Nobody knows who the caller is.
    pub(in crate::deploy) async fn of_caller(
        session: &Session,
        region: &str,
    ) -> Result<Self, CallError> {
        let account = session.api.account().await?;
        Ok(Self { region: region.to_owned(), account })
    }

    /// The partition of the region: `aws`, `aws-cn`, `aws-us-gov`.
    pub(in crate::deploy) fn partition(&self) -> &'static str {
        partition(&self.region)
    }

    /// The ARN of something in this region: `service/default/agent` of `ecs`.
    pub(in crate::deploy) fn arn(&self, service: &str, resource: &str) -> String {
        let (partition, region, account) = (self.partition(), &self.region, &self.account);
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }

    /// The ARN of a role of the account.
    pub(in crate::deploy) fn role_arn(&self, name: &str) -> String {
        format!("arn:{}:iam::{}:role/{name}", self.partition(), self.account)
    }

    /// The ARN of a policy that AWS itself manages: `service-role/AmazonECSTaskExecutionRolePolicy`.
    pub(in crate::deploy) fn managed_policy_arn(&self, path: &str) -> String {
        format!("arn:{}:iam::aws:policy/{path}", self.partition())
    }
}

/// The partition that a region is in; regions of partitions that are closed to the public included.
fn partition(region: &str) -> &'static str {
    match region.split('-').collect::<Vec<_>>()[..] {
        ["cn", ..] => "aws-cn",
        ["us", "gov", ..] => "aws-us-gov",
        ["us", "iso", ..] => "aws-iso",
        ["us", "isob", ..] => "aws-iso-b",
        ["eusc", ..] => "aws-eusc",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_of_the_regions_partition() {
        for (region, expected) in [
            ("eu-west-1", "arn:aws:ecs:eu-west-1:123456789012:service/default/agent"),
            ("cn-north-1", "arn:aws-cn:ecs:cn-north-1:123456789012:service/default/agent"),
            (
                "us-gov-west-1",
                "arn:aws-us-gov:ecs:us-gov-west-1:123456789012:service/default/agent",
            ),
        ] {
            let place = Place { region: region.into(), account: "123456789012".into() };
            assert_eq!(place.arn("ecs", "service/default/agent"), expected);
        }
        let china = Place { region: "cn-north-1".into(), account: "1".into() };
        assert_eq!(china.role_arn("a"), "arn:aws-cn:iam::1:role/a");
        assert_eq!(
            china.managed_policy_arn("service-role/A"),
            "arn:aws-cn:iam::aws:policy/service-role/A"
        );
    }
}
