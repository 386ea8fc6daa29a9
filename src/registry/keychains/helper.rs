//! Credential helpers: programs named `docker-credential-…` (docker/docker-credential-helpers).

use std::io;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::super::keychain::Lookup;
use super::super::secret::Secret;
use super::auth_file::credential;
use super::last_words::last_words;
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

/// A helper did not do what it was asked. What it printed on stdout may be a secret and is not told.
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
    /// It takes too long.
    #[error("`{program}` did not answer within {}s", TIMEOUT.as_secs())]
    TimedOut {
        /// Its name.
        program: String,
    },
    /// It cannot be started.
    #[error("`{program}` does not run: {reason}")]
    DoesNotRun {
        /// Its name.
        program: String,
        /// What the system says.
        reason: String,
    },
    /// It failed.
    #[error("`{program}` ended with {code}{}", after_colon(said.as_deref()))]
    Ended {
        /// Its name.
        program: String,
        /// The exit code.
        code: String,
        /// The last line of its stderr, without secrets.
        said: Option<String>,
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

/// What is asked of a helper.
struct Question<'a> {
    name: &'a str,
    action: &'static str,
    input: Vec<u8>,
    /// The password in the input, which the helper may repeat.
    password: Option<&'a Secret>,
}

impl<'a> Question<'a> {
    fn about(server: &str, name: &'a str, action: &'static str) -> Self {
        Self { name, action, input: server.as_bytes().to_vec(), password: None }
    }

    /// Whether a text repeats the password, as it is or as it stands in the input.
    fn is_repeated_in(&self, text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text);
        self.password.is_some_and(|password| {
            let quoted = json!(password.expose()).to_string();
            text.contains(password.expose()) || text.contains(quoted.trim_matches('"'))
        })
    }
}

fn after_colon(said: Option<&str>) -> String {
    said.map_or_else(String::new, |said| format!(": {said}"))
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
    let stdout = match run(commands, Question::about(server, name, "get")).await {
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
    let input = entry.to_string().into_bytes();
    let question = Question { name, action: "store", input, password: Some(password) };
    run(commands, question).await.map(drop)
}

/// Has a helper forget a server; whether it knew it.
pub(super) async fn erase(
    commands: &dyn Commands,
    name: &str,
    server: &str,
) -> Result<bool, HelperError> {
    match run(commands, Question::about(server, name, "get")).await {
        Ok(_) => {}
        Err(HelperError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(error),
    }
    run(commands, Question::about(server, name, "erase")).await.map(|_| true)
}

/// Helpers of clouds give tokens that run out: they are asked again now and then.
pub(super) fn lent(lookup: Lookup) -> Lookup {
    match lookup {
        Lookup::Found(credential) => Lookup::Lent(credential, KEEP),
        other => other,
    }
}

async fn run(commands: &dyn Commands, question: Question<'_>) -> Result<Vec<u8>, HelperError> {
    let Question { name, action, ref input, .. } = question;
    if !is_name(name) {
        return Err(HelperError::Name { name: name.to_owned() });
    }
    let program = format!("{PREFIX}{name}");
    let mut command = Command::new(&program, [action]);
    command.input.clone_from(input);
    command.timeout = TIMEOUT;
    let output = match commands.run(&command).await {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(HelperError::NotInstalled { program });
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            return Err(HelperError::TimedOut { program });
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
        let is_secret = question.is_repeated_in(&output.stderr);
        let said = if is_secret { None } else { last_words(&output.stderr) };
        return Err(HelperError::Ended { program, code, said });
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

    /// Remembers what it was asked to run, and fails: a secret on stdout, what it read on stderr.
    #[derive(Debug, Default)]
    struct Talkative(Mutex<Vec<Command>>);

    #[async_trait]
    impl Commands for Talkative {
        async fn run(&self, command: &Command) -> io::Result<CommandOutput> {
            self.0.lock().unwrap().push(command.clone());
            let (stdout, stderr) = (b"canary".to_vec(), command.input.clone());
            let stderr = [b"cannot handle ".to_vec(), stderr].concat();
            Ok(CommandOutput { is_success: false, code: Some(1), stdout, stderr })
        }
    }

    #[tokio::test]
    async fn secrets_go_through_standard_input_and_never_into_a_message() {
        let talkative = Talkative::default();
        let ended = "`docker-credential-x` ended with 1";
        let told = format!("{ended}: cannot handle r.io");
        assert_eq!(get(&talkative, "x", "r.io").await, Lookup::Broken(told));
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

    /// Does not come to an end.
    #[derive(Debug)]
    struct Hanging;

    #[async_trait]
    impl Commands for Hanging {
        async fn run(&self, _: &Command) -> io::Result<CommandOutput> {
            Err(io::ErrorKind::TimedOut.into())
        }
    }

    #[tokio::test]
    async fn a_helper_that_hangs_is_told_from_one_that_cannot_be_started() {
        let text = "`docker-credential-x` did not answer within 30s";
        assert_eq!(get(&Hanging, "x", "r.io").await, Lookup::Broken(text.into()));
    }

    #[tokio::test]
    async fn a_helper_that_does_not_exist_is_not_started_through_a_shell() {
        let lookup = get(&SystemCommands, "dockless-test-that-nobody-has", "$(touch /tmp/x)").await;
        let reason = "`docker-credential-dockless-test-that-nobody-has` is not installed";
        assert_eq!(lookup, Lookup::Broken(reason.into()));
    }
}
