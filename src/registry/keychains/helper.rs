//! Credential helpers: programs named `docker-credential-…` (docker/docker-credential-helpers).

use std::io;
use std::time::Duration;

use serde::Deserialize;

use super::super::keychain::Lookup;
use super::auth_file::credential;
use crate::sys::command::{Command, Commands};

/// How long a helper may take: some log in to a cloud first.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most that a helper may print.
const MAX_OUTPUT_BYTES: usize = 64 * 1024;
/// What helpers print, by their protocol, when they know nothing.
const NOT_FOUND: &str = "credentials not found";

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
    if !is_name(name) {
        return Lookup::Broken(format!("`{}` is no name of a helper", name.escape_debug()));
    }
    let program = format!("docker-credential-{name}");
    let mut command = Command::new(&program, ["get"]);
    command.input = server.as_bytes().to_vec();
    command.timeout = TIMEOUT;
    let output = match commands.run(&command).await {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Lookup::Broken(format!("`{program}` is not installed"));
        }
        Err(error) => return Lookup::Broken(format!("`{program}` does not run: {error}")),
    };
    if !output.is_success {
        let says_not_found =
            |stream: &[u8]| stream.trim_ascii_start().starts_with(NOT_FOUND.as_bytes());
        if says_not_found(&output.stdout) || says_not_found(&output.stderr) {
            return Lookup::Nothing(format!("`{program}` knows nothing about `{server}`"));
        }
        let code = output.code.map_or_else(|| "a signal".into(), |code| code.to_string());
        return Lookup::Broken(format!("`{program}` ended with {code}"));
    }
    if output.stdout.len() > MAX_OUTPUT_BYTES {
        return Lookup::Broken(format!("`{program}` printed more than {MAX_OUTPUT_BYTES} bytes"));
    }
    match serde_json::from_slice::<Answer>(&output.stdout) {
        Ok(answer) if answer.secret.is_empty() => {
            Lookup::Nothing(format!("`{program}` has an empty secret for `{server}`"))
        }
        Ok(answer) => credential(answer.username, answer.secret),
        Err(_) => Lookup::Broken(format!("`{program}` did not print the JSON of a credential")),
    }
}

/// `[A-Za-z0-9_.-]+`: what can be part of a program's name and nothing else.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::super::super::keychain::Credential;
    use super::super::super::secret::Secret;
    use super::*;
    use crate::sys::command::{FakeCommands, SystemCommands};

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
            ("ok", credential("u".into(), "s".into())),
            ("token", Lookup::Found(Credential::Identity { token })),
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
