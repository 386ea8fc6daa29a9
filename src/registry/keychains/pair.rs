//! A user name and a password in two variables.

use super::super::keychain::{Credential, Lookup};
use super::super::secret::Secret;
use crate::sys::Environment;

/// Why a secret that is there is none.
const EMPTY: &str = "it is set, but empty (secrets are empty in pull requests from forks)";

/// What a pair of variables holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// The variable that a person looks at: the user name's, or the one that is alone.
    pub(super) name: String,
    /// What comes of both.
    pub(super) lookup: Lookup,
}

/// The secret in one variable.
enum Value {
    Unset,
    Empty,
    /// And whether its last line had an end, which is no part of it.
    Set(Secret, bool),
}

impl Pair {
    /// Reads `<prefix>_USERNAME` and `<prefix>_PASSWORD`; `None` when nothing is set.
    pub(super) fn of_prefix(environment: &Environment, prefix: &str) -> Option<Self> {
        Self::read(environment, &format!("{prefix}_USERNAME"), &format!("{prefix}_PASSWORD"))
    }

    /// Reads two variables; `None` when nothing is set. Half a pair is a mistake: often the other
    /// half is a CI secret that this job does not get.
    pub(super) fn read(
        environment: &Environment,
        user_name: &str,
        password_name: &str,
    ) -> Option<Self> {
        let half = |missing: &str| Lookup::Broken(format!("its other half `{missing}` is not set"));
        let (name, lookup) = match (environment.get(user_name), value(environment, password_name)) {
            (None, Value::Unset) => return None,
            (None, Value::Empty) => (quoted(password_name), Lookup::Nothing(EMPTY.into())),
            (Some(_), Value::Empty) => (quoted(password_name), Lookup::Broken(EMPTY.into())),
            (Some(_), Value::Unset) => (quoted(user_name), half(password_name)),
            (None, Value::Set(..)) => (quoted(password_name), half(user_name)),
            (Some(username), Value::Set(password, has_line_end)) => {
                let credential = Credential::Password { username: username.into(), password };
                let name = with_remark(user_name, password_name, has_line_end);
                (name, Lookup::Found(credential))
            }
        };
        Some(Self { name, lookup })
    }

    /// Reads a token that stands alone; `None` when it is not set.
    pub(super) fn of_token(
        environment: &Environment,
        name: &str,
        credential: impl Fn(Secret) -> Credential,
    ) -> Option<Self> {
        let (name, lookup) = match value(environment, name) {
            Value::Unset => return None,
            Value::Empty => (quoted(name), Lookup::Nothing(EMPTY.into())),
            Value::Set(token, has_line_end) => {
                (with_remark(name, name, has_line_end), Lookup::Found(credential(token)))
            }
        };
        Some(Self { name, lookup })
    }
}

/// The value without the end of its line, which `echo` and files give to many a secret.
fn value(environment: &Environment, name: &str) -> Value {
    let Some(raw) = environment.get_raw(name) else { return Value::Unset };
    let line = raw.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    match line.unwrap_or(raw) {
        "" => Value::Empty,
        text => Value::Set(Secret::new(text), line.is_some()),
    }
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}

fn with_remark(name: &str, secret_name: &str, has_line_end: bool) -> String {
    if has_line_end {
        format!("`{name}` (without the newline at the end of `{secret_name}`)")
    } else {
        quoted(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_two_halves_and_no_line_ends() {
        let found = |password: &str| {
            Lookup::Found(Credential::Password {
                username: "u".into(),
                password: Secret::new(password),
            })
        };
        let broken = |text: &str| Lookup::Broken(text.into());
        let remark = "`X_USERNAME` (without the newline at the end of `X_PASSWORD`)";
        for (username, password, expected) in [
            (None, None, None),
            (Some(""), None, None),
            (Some("u"), Some("p"), Some(("`X_USERNAME`", found("p")))),
            (Some("u"), Some("p\n"), Some((remark, found("p")))),
            (Some("u"), Some("p\r\n"), Some((remark, found("p")))),
            (Some("u"), Some("p\n\n"), Some((remark, found("p\n")))),
            (Some("u"), Some(""), Some(("`X_PASSWORD`", broken(EMPTY)))),
            (Some("u"), Some("\n"), Some(("`X_PASSWORD`", broken(EMPTY)))),
            (Some(""), Some(""), Some(("`X_PASSWORD`", Lookup::Nothing(EMPTY.into())))),
            (
                Some("u"),
                None,
                Some(("`X_USERNAME`", broken("its other half `X_PASSWORD` is not set"))),
            ),
            (
                None,
                Some("p"),
                Some(("`X_PASSWORD`", broken("its other half `X_USERNAME` is not set"))),
            ),
        ] {
            let environment = match (username, password) {
                (None, None) => Environment::of([]),
                (Some(username), None) => Environment::of([("X_USERNAME", username)]),
                (None, Some(password)) => Environment::of([("X_PASSWORD", password)]),
                (Some(username), Some(password)) => {
                    Environment::of([("X_USERNAME", username), ("X_PASSWORD", password)])
                }
            };
            let pair = Pair::of_prefix(&environment, "X").map(|pair| (pair.name, pair.lookup));
            let expected = expected.map(|(name, lookup)| (name.to_owned(), lookup));
            assert_eq!(pair, expected, "{username:?} {password:?}");
        }
    }
}
