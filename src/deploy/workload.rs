//! What runs, whatever the target: the part of a deployment that all of them share.

use std::collections::BTreeMap;

use crate::config::Position;
use crate::registry::Secret;

/// The environment of a config that names none: nobody has to choose it.
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// What runs, and what it needs of its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The project's name, fit for names and tags of clouds: small letters, digits and dashes.
    pub project: String,
    /// The name of the environment: `production`.
    pub environment: String,
    /// What the service is called where the target's settings name it not.
    pub name: String,
    /// The port that the container listens on.
    pub port: u16,
    /// What to ask over HTTP whether it is well: `/health`.
    pub health_path: String,
    /// Variables that it gets, in the order of their names.
    pub env: BTreeMap<String, Variable>,
    /// Variables whose values are kept by the platform as secrets.
    pub secrets: BTreeMap<String, SecretValue>,
    /// How the platform pulls the image, where it needs to be told.
    pub pull: Option<Pull>,
    /// Whether roles that a target needs may be created.
    pub creates_roles: bool,
    /// Where all this stands in the config.
    pub places: Places,
}

/// Where the parts of a workload stand, for those who find something wrong with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Of variables and secrets, by their names.
    pub variables: BTreeMap<String, Position>,
    /// Of `pull`.
    pub pull: Option<Position>,
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// It stands in the config.
    Plain(String),
    /// It was taken from the caller's environment: sent, never shown.
    Hidden(Secret),
}

/// Where a secret's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretValue {
    /// The caller has it; the platform is to keep it.
    Given(Secret),
    /// The caller's, and not known here: by commands that send no values.
    Unset,
    /// The platform has it already: an ARN, a resource name, a URL of a vault.
    Kept(String),
}

/// How a platform pulls an image from a registry that is not its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pull {
    /// With a user name and a password.
    Password {
        /// The user name.
        username: String,
        /// The password or token; one that lasts.
        password: Secret,
    },
    /// With what the platform keeps under this name: an ARN of Secrets Manager, a managed identity.
    Kept(String),
}

impl Workload {
    /// A command of ours for its environment, as it is typed: `dockless deploy -e production`.
    pub fn command(&self, command: &str) -> String {
        match self.environment.as_str() {
            DEFAULT_ENVIRONMENT => format!("dockless {command}"),
            environment => format!("dockless {command} -e {environment}"),
        }
    }
}

impl Variable {
    /// The value: only for what is sent, and for comparing with what is there.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Hidden(secret) => secret.expose(),
        }
    }

    /// As it may be shown.
    pub fn shown(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Hidden(_) => "(hidden)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::aws::testing;
    use super::*;

    #[test]
    fn a_command_names_the_environment_unless_nobody_has_to() {
        for (environment, expected) in
            [("production", "dockless status -e production"), ("default", "dockless status")]
        {
            let workload = Workload { environment: environment.to_owned(), ..testing::workload() };
            assert_eq!(workload.command("status"), expected);
        }
    }
}
