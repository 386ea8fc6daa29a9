//! A user name and a password in two variables.

use super::super::keychain::{Credential, Lookup};
use super::super::secret::Secret;
use crate::sys::Environment;

/// Reads `<prefix>_USERNAME` and `<prefix>_PASSWORD`, with the name of the first that is set; `None`
/// when neither is. Half a pair is a mistake: often the other half is a CI secret that this job
/// does not get.
pub(super) fn pair(environment: &Environment, prefix: &str) -> Option<(String, Lookup)> {
    let user_name = format!("{prefix}_USERNAME");
    let password_name = format!("{prefix}_PASSWORD");
    let half =
        |set: &str, missing: &str| Lookup::Broken(format!("`{set}` is set, `{missing}` is not"));
    match (environment.get(&user_name), environment.get(&password_name)) {
        (None, None) => None,
        (Some(username), Some(password)) => {
            let (username, password) = (username.to_owned(), Secret::new(password));
            Some((user_name, Lookup::Found(Credential::Password { username, password })))
        }
        (Some(_), None) => {
            let lookup = half(&user_name, &password_name);
            Some((user_name, lookup))
        }
        (None, Some(_)) => {
            let lookup = half(&password_name, &user_name);
            Some((password_name, lookup))
        }
    }
}
