//! `dockless login`.

use std::io::IsTerminal as _;

use clap::Args;

use super::Edge;
use super::network::NetworkOptions;
use super::options::{MAX_PASSWORD_BYTES, read_password};
use crate::error::{Classified, ErrorKind, Result};
use crate::oci::Repository;
use crate::pipeline::{self, Credentials, LoginRequest, Secret};
use crate::sys::terminal;

/// The password is not where it should be.
#[derive(Debug, thiserror::Error)]
enum LoginError {
    #[error("a password on the command line can be read by every process of this machine")]
    PasswordInArguments,
    #[error("there is no password: it is read from standard input")]
    NoPassword,
    #[error("there is no user name")]
    NoUsername,
}

impl Classified for LoginError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![format!("pipe it in: `printf %s \"$TOKEN\" | {EXAMPLE}`")]
    }
}

const EXAMPLE: &str = "dockless login HOST --username NAME --password-stdin";

/// Log in to a registry: check the credentials there, then keep them where docker keeps them
///
/// They go into docker's `config.json`, or to the credential helper that is named in it; docker and
/// other tools read them too. Nothing is written when the registry does not accept them.
#[derive(Debug, Args)]
pub(super) struct Login {
    /// The registry: `HOST` or `HOST:PORT`; `docker.io` is Docker Hub
    #[arg(value_name = "HOST", value_parser = parse_registry)]
    registry: String,
    /// The user name; without it, a person at a terminal is asked
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Read the password or access token from standard input; without it, a person at a terminal is
    /// asked. It is never read from the command line
    #[arg(long)]
    password_stdin: bool,
    /// Refused, with a better message than that it is unknown; what it holds is dropped.
    #[arg(short, long, hide = true, value_parser = |_: &str| Ok::<_, String>(()))]
    password: Option<()>,
    #[command(flatten)]
    network: NetworkOptions,
}

impl Login {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        if self.password.is_some() {
            return Err(LoginError::PasswordInArguments.into());
        }
        let username = match self.username {
            Some(username) => username,
            None => ask_username(&self.registry)?,
        };
        let password = if self.password_stdin {
            read_password(EXAMPLE)?
        } else {
            ask_password(&self.registry, &username)?
        };
        let request = LoginRequest {
            registry: self.registry,
            credentials: Credentials { username, password },
            network: self.network.request(),
        };
        let change = pipeline::login(&request, &edge.context)?;
        edge.output.result(&change.document(), [change.line().as_str()])
    }
}

/// Asks for the user name where a person can answer.
fn ask_username(registry: &str) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return Err(LoginError::NoUsername.into());
    }
    match terminal::ask(&format!("User name at {registry}: "), MAX_PASSWORD_BYTES) {
        Ok(answer) if !answer.trim().is_empty() => Ok(answer.trim().to_owned()),
        Ok(_) | Err(_) => Err(LoginError::NoUsername.into()),
    }
}

/// Asks for the password where a person can answer.
fn ask_password(registry: &str, username: &str) -> Result<Secret> {
    if !std::io::stdin().is_terminal() {
        return Err(LoginError::NoPassword.into());
    }
    let user = username.escape_debug();
    let question = format!("Password or token of `{user}` at {registry}: ");
    match terminal::ask_secret(&question, MAX_PASSWORD_BYTES) {
        Ok(answer) if !answer.trim_end().is_empty() => {
            Ok(Secret::new(answer.trim_end_matches(['\r', '\n'])))
        }
        Ok(_) | Err(_) => Err(LoginError::NoPassword.into()),
    }
}

/// Reads a registry as people write it to `docker login`: also with `https://` before and `/v2/`
/// behind it.
pub(super) fn parse_registry(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or(text.strip_prefix("http://")).unwrap_or(text);
    let host = ["/v1/", "/v2/", "/"].iter().find_map(|end| host.strip_suffix(end)).unwrap_or(host);
    let repository: Option<Repository> = format!("{host}/a/b").parse().ok();
    repository
        .filter(|repository| repository.path() == "a/b" && !host.is_empty())
        .map(|repository| repository.registry().to_owned())
        .ok_or_else(|| "expected HOST or HOST:PORT as in references, without a path".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_read_as_docker_reads_it() {
        for (text, expected) in [
            ("r.io", Some("r.io")),
            ("R.io:5000", Some("r.io:5000")),
            ("https://r.io/", Some("r.io")),
            ("https://index.docker.io/v1/", Some("docker.io")),
            ("docker.io", Some("docker.io")),
            ("localhost", Some("localhost")),
            ("r.io/team", None),
            ("https://user@r.io", None),
            ("acme", None),
            ("", None),
        ] {
            assert_eq!(parse_registry(text).ok().as_deref(), expected, "{text}");
        }
    }
}
