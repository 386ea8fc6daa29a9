//! What AWS denies, and the smallest statement of a policy that allows it.

use serde_json::json;

/// What a message says of a denial: `User: X is not authorized to perform: A on resource: R because …`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Denial<'a> {
    /// Who asked.
    pub(super) user: Option<&'a str>,
    /// What for: `ecs:CreateExpressGatewayService`.
    pub(super) action: Option<&'a str>,
    /// On what.
    pub(super) resource: Option<&'a str>,
    /// Who forbids it whatever else is allowed: `a service control policy`.
    pub(super) forbidden_by: Option<&'a str>,
    /// What would have to allow it and does not: `resource-based policy`.
    pub(super) lacking: Option<&'a str>,
}

impl<'a> Denial<'a> {
    /// Finds what a message says.
    pub(super) fn read(message: &'a str) -> Self {
        let word = |before: &str| {
            let (_, rest) = message.split_once(before)?;
            let word = rest.split_whitespace().next()?.trim_matches(['"', '\'', '`', ',', ';']);
            let word = word.strip_suffix('.').unwrap_or(word);
            Some(word).filter(|word| word.contains(':') && word.is_ascii())
        };
        let forbidden_by = message.split_once("explicit deny in ").map(|(_, rest)| {
            rest.split([':', '(', ',']).next().unwrap_or(rest).trim().trim_end_matches('.')
        });
        let lacking =
            message.split_once("because no ").and_then(|(_, rest)| rest.split_once(" allows"));
        Self {
            user: word("User: "),
            action: word("to perform: ").or_else(|| word("to perform ")),
            resource: word("on resource: "),
            forbidden_by,
            lacking: lacking.map(|(what, _)| what),
        }
    }

    /// What would allow it; `usual` is the action when the message names none.
    pub(super) fn hints(&self, usual: &str) -> Vec<String> {
        if let Some(whose) = self.forbidden_by {
            return vec![format!(
                "it is forbidden by {whose}, so that nothing can allow it beside that: ask whoever is responsible for it, or take another account or identity"
            )];
        }
        let action = self.action.unwrap_or(usual);
        let resource = self.resource.unwrap_or("*");
        let whom =
            self.user.map_or_else(|| "whoever deploys".to_owned(), |user| format!("`{user}`"));
        let statement = json!({"Effect": "Allow", "Action": action, "Resource": resource});
        let allow = match self.lacking {
            Some(lacking @ "resource-based policy") => {
                let mut statement = json!({
                    "Effect": "Allow",
                    "Action": action,
                    "Principal": {"AWS": self.user.unwrap_or("ARN")},
                });
                // Policies of repositories are about these alone, and may not say so.
                if !action.starts_with("ecr:") {
                    statement["Resource"] = "*".into();
                }
                format!(
                    "allow it to {whom} with this statement in the {lacking} of `{resource}`: {statement}"
                )
            }
            None | Some("identity-based policy") => {
                format!("allow it to {whom} with this statement in a policy: {statement}")
            }
            Some(lacking) => format!(
                "what {whom} may do is limited by a {lacking}, which must have this statement, too: {statement}"
            ),
        };
        if action == "iam:PassRole" {
            let what = format!(
                "to hand the role `{resource}` to a service needs a permission of its own, `iam:PassRole`"
            );
            return vec![what, allow];
        }
        vec![allow]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_understood() {
        for (message, expected) in [
            (
                "User: arn:aws:sts::1:assumed-role/ci/x is not authorized to perform: ecs:CreateExpressGatewayService on resource: arn:aws:ecs:eu-west-1:1:service/default/a because no identity-based policy allows the ecs:CreateExpressGatewayService action",
                Denial {
                    user: Some("arn:aws:sts::1:assumed-role/ci/x"),
                    action: Some("ecs:CreateExpressGatewayService"),
                    resource: Some("arn:aws:ecs:eu-west-1:1:service/default/a"),
                    forbidden_by: None,
                    lacking: Some("identity-based policy"),
                },
            ),
            (
                "User: arn:aws:iam::1:user/a is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/r with an explicit deny in a service control policy: arn:x",
                Denial {
                    user: Some("arn:aws:iam::1:user/a"),
                    action: Some("iam:PassRole"),
                    resource: Some("arn:aws:iam::1:role/r"),
                    forbidden_by: Some("a service control policy"),
                    lacking: None,
                },
            ),
            ("Access Denied", Denial::default()),
            ("", Denial::default()),
        ] {
            assert_eq!(Denial::read(message), expected, "{message}");
        }
    }

    #[test]
    fn what_is_denied_comes_with_what_would_allow_it() {
        let denial = |action, forbidden_by| Denial {
            user: Some("arn:u"),
            action: Some(action),
            resource: Some("arn:r"),
            forbidden_by,
            lacking: None,
        };
        for (denial, expected) in [
            (
                denial("ecs:A", None),
                &[
                    r#"allow it to `arn:u` with this statement in a policy: {"Action":"ecs:A","Effect":"Allow","Resource":"arn:r"}"#,
                ][..],
            ),
            (
                denial("iam:PassRole", None),
                &[
                    "to hand the role `arn:r` to a service needs a permission of its own, `iam:PassRole`",
                    r#"allow it to `arn:u` with this statement in a policy: {"Action":"iam:PassRole","Effect":"Allow","Resource":"arn:r"}"#,
                ],
            ),
            (
                denial("ecs:A", Some("a permissions boundary")),
                &[
                    "it is forbidden by a permissions boundary, so that nothing can allow it beside that: ask whoever is responsible for it, or take another account or identity",
                ],
            ),
            (
                Denial::default(),
                &[
                    r#"allow it to whoever deploys with this statement in a policy: {"Action":"ecr:X","Effect":"Allow","Resource":"*"}"#,
                ],
            ),
        ] {
            assert_eq!(denial.hints("ecr:X"), expected);
        }
    }
}
