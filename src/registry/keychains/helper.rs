//! Credential helpers: programs named `docker-credential-…` (docker/docker-credential-helpers).

use std::io;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::super::keychain::Lookup;
use super::super::secret::Secret;
use super::auth_file::credential;
use crate::sys::command::{Command, Commands};

/// What the names of helpers begin with.
pub(super) const PREFIX: &str = "docker-credential-";
/// How long a helper may take: some log in to a cloud first.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most that a helper may print.
const MAX_OUTPUT_BYTES: usize = 64 * 1024;
/// How long what a helper said is used: shorter than the shortest token of a cloud.
const KEEP: Duration = Duration::from_mins(10);
/// What helpers print, by their protocol, when they know nothing.
const NOT_FOUND: &str = "credentials not found";

/// A helper did not do what it was asked; what it printed may be a secret and is not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelperError {
    /// The name could be more than a program's.
    #[error("`{}` is no name of a helper", name.escape_debug())]
    Name {
        /// As written.
        name: String,
    },
    /// There is no such program.
    #[error("`{program}` is not installed")]
    NotInstalled {
        /// Its name.
        program: String,
    },
    /// It cannot be started, or it takes too long.
    #[error("`{program}` does not run: {reason}")]
    DoesNotRun {
        /// Its name.
        program: String,
        /// What the system says.
        reason: String,
    },
    /// It failed.
    #[error("`{program}` ended with {code}")]
    Ended {
        /// Its name.
        program: String,
        /// The exit code.
        code: String,
    },
    /// It has no credentials for the server.
    #[error("`{program}` has no such credentials")]
    NotFound {
        /// Its name.
        program: String,
    },
    /// It printed more than a credential can have.
    #[error("`{program}` printed more than {MAX_OUTPUT_BYTES} bytes")]
    TooLong {
        /// Its name.
        program: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

/// Asks a helper for a server's credentials. What it prints is never shown: it may be a secret.
pub(super) async fn get(commands: &dyn Commands, name: &str, server: &str) -> Lookup {
    let stdout = match run(commands, name, "get", server.as_bytes().to_vec()).await {
        Ok(stdout) => stdout,
        Err(HelperError::NotFound { program }) => {
            return Lookup::Nothing(format!("`{program}` knows nothing about `{server}`"));
        }
        Err(error) => return Lookup::Broken(error.to_string()),
    };
    match serde_json::from_slice::<Answer>(&stdout) {
        Ok(answer) if answer.secret.is_empty() => {
            Lookup::Nothing(format!("`{PREFIX}{name}` has an empty secret for `{server}`"))
        }
        Ok(answer) => lent(credential(answer.username, answer.secret)),
        Err(_) => {
            Lookup::Broken(format!("`{PREFIX}{name}` did not print the JSON of a credential"))
        }
    }
}

/// Hands a password to a helper, through its standard input.
pub(super) async fn store(
    commands: &dyn Commands,
    name: &str,
    server: &str,
    username: &str,
    password: &Secret,
) -> Result<(), HelperError> {
    let entry = json!({"ServerURL": server, "Username": username, "Secret": password.expose()});
    run(commands, name, "store", entry.to_string().into_bytes()).await.map(drop)
}

/// Has a helper forget a server; whether it knew it.
pub(super) async fn erase(
    commands: &dyn Commands,
    name: &str,
    server: &str,
) -> Result<bool, HelperError> {
    match run(commands, name, "get", server.as_bytes().to_vec()).await {
        Ok(_) => {}
        Err(HelperError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(error),
    }
    run(commands, name, "erase", server.as_bytes().to_vec()).await.map(|_| true)
}

/// Helpers of clouds give tokens that run out: they are asked again now and then.
pub(super) fn lent(lookup: Lookup) -> Lookup {
    match lookup {
        Lookup::Found(credential) => Lookup::Lent(credential, KEEP),
        other => other,
    }
}

async fn run(
    commands: &dyn Commands,
    name: &str,
    action: &str,
    input: Vec<u8>,
) -> Result<Vec<u8>, HelperError> {
    if !is_name(name) {
        return Err(HelperError::Name { name: name.to_owned() });
    }
    let program = format!("{PREFIX}{name}");
    let mut command = Command::new(&program, [action]);
    command.input = input;
    command.timeout = TIMEOUT;
    let output = match commands.run(&command).await {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(HelperError::NotInstalled { program });
        }
        Err(error) => return Err(HelperError::DoesNotRun { program, reason: error.to_string() }),
    };
    if !output.is_success {
        let says_not_found =
            |stream: &[u8]| stream.trim_ascii_start().starts_with(NOT_FOUND.as_bytes());
        if says_not_found(&output.stdout) || says_not_found(&output.stderr) {
            return Err(HelperError::NotFound { program });
        }
        let code = output.code.map_or_else(|| "a signal".into(), |code| code.to_string());
        return Err(HelperError::Ended { program, code });
    }
    if output.stdout.len() > MAX_OUTPUT_BYTES {
        return Err(HelperError::TooLong { program });
    }
    Ok(output.stdout)
}

/// `[A-Za-z0-9_.-]+`: what can be part of a program's name and nothing else.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::super::super::keychain::Credential;
    use super::*;
    use crate::sys::command::{CommandOutput, FakeCommands, SystemCommands};

    /// Remembers what it was asked to run, and fails with a secret on both streams.
    #[derive(Debug, Default)]
    struct Talkative(Mutex<Vec<Command>>);

    #[async_trait]
    impl Commands for Talkative {
        async fn run(&self, command: &Command) -> io::Result<CommandOutput> {
            self.0.lock().unwrap().push(command.clone());
            let canary = b"canary".to_vec();
            let (stdout, stderr) = (canary.clone(), canary);
            Ok(CommandOutput { is_success: false, code: Some(1), stdout, stderr })
        }
    }

    #[tokio::test]
    async fn secrets_go_through_standard_input_and_never_into_a_message() {
        let talkative = Talkative::default();
        let ended = "`docker-credential-x` ended with 1";
        assert_eq!(get(&talkative, "x", "r.io").await, Lookup::Broken(ended.into()));
        let password = Secret::new("pass");
        let error = store(&talkative, "x", "r.io", "bob", &password).await.unwrap_err();
        assert_eq!(error.to_string(), ended);
        let command = |action: &str, input: &str| Command {
            input: input.into(),
            timeout: TIMEOUT,
            ..Command::new("docker-credential-x", [action])
        };
        let entry = r#"{"Secret":"pass","ServerURL":"r.io","Username":"bob"}"#;
        let expected = [command("get", "r.io"), command("store", entry)];
        assert_eq!(*talkative.0.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn answers_are_read_and_never_repeated() {
        let commands = FakeCommands::of([
            ("docker-credential-ok get", 0, r#"{"ServerURL":"x","Username":"u","Secret":"s"}"#),
            ("docker-credential-token get", 0, r#"{"Username":"<token>","Secret":"t"}"#),
            ("docker-credential-none get", 1, "credentials not found in native keychain\n"),
            ("docker-credential-sick get", 7, "canary"),
            ("docker-credential-odd get", 0, "canary"),
            ("docker-credential-empty get", 0, r#"{"Username":"","Secret":""}"#),
            ("docker-credential-long get", 0, &" ".repeat(64 * 1024 + 1)),
        ]);
        let broken = |text: &str| Lookup::Broken(text.into());
        let nothing = |text: &str| Lookup::Nothing(text.into());
        let token = Secret::new("t");
        for (name, expected) in [
            ("ok", lent(credential("u".into(), "s".into()))),
            ("token", Lookup::Lent(Credential::Identity { token }, KEEP)),
            ("none", nothing("`docker-credential-none` knows nothing about `r.io`")),
            ("sick", broken("`docker-credential-sick` ended with 7")),
            ("odd", broken("`docker-credential-odd` did not print the JSON of a credential")),
            ("empty", nothing("`docker-credential-empty` has an empty secret for `r.io`")),
            ("long", broken("`docker-credential-long` printed more than 65536 bytes")),
            ("gone", broken("`docker-credential-gone` is not installed")),
            ("../x", broken("`../x` is no name of a helper")),
            ("a b", broken("`a b` is no name of a helper")),
            ("", broken("`` is no name of a helper")),
        ] {
            assert_eq!(get(&commands, name, "r.io").await, expected, "{name}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_does_not_exist_is_not_started_through_a_shell() {
        let lookup = get(&SystemCommands, "dockless-test-that-nobody-has", "$(touch /tmp/x)").await;
        let reason = "`docker-credential-dockless-test-that-nobody-has` is not installed";
        assert_eq!(lookup, Lookup::Broken(reason.into()));
    }
}
