//! Running other programs: `git`, credential helpers, a local engine.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The most that is kept of what a program prints.
const MAX_OUTPUT_BYTES: u64 = 1024 * 1024;

/// A program, its arguments, and how to run it. No shell is involved.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// The program's name or path.
    pub program: String,
    /// Its arguments; never a secret, since every process can read them.
    pub arguments: Vec<String>,
    /// The folder it runs in; ours when absent.
    pub directory: Option<PathBuf>,
    /// Variables that it gets in place of ours; without a value they are taken away.
    pub environment: Vec<(String, Option<String>)>,
    /// What it reads from standard input; may be a secret.
    pub input: Vec<u8>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What a program left.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// Whether it exited with 0.
    pub is_success: bool,
    /// The exit code, absent when a signal ended it.
    pub code: Option<i32>,
    /// Standard output, at most 1 MiB.
    pub stdout: Vec<u8>,
    /// Standard error, at most 1 MiB.
    pub stderr: Vec<u8>,
}

/// Runs programs.
#[async_trait]
pub trait Commands: fmt::Debug + Send + Sync {
    /// Runs the command to its end. An error means it could not be started or took too long.
    async fn run(&self, command: &Command) -> io::Result<CommandOutput>;
}

impl Command {
    /// A command with these arguments that may take ten seconds.
    pub fn new<const N: usize>(program: &str, arguments: [&str; N]) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            directory: None,
            environment: Vec::new(),
            input: Vec::new(),
            timeout: Duration::from_secs(10),
        }
    }
}

impl fmt::Debug for Command {
    /// Leaves out the input: it may be a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.program, self.arguments.join(" "))
    }
}

impl fmt::Debug for CommandOutput {
    /// Leaves out what was printed: it may be a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CommandOutput {{ code: {:?} }}", self.code)
    }
}

/// Runs real programs.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemCommands;

#[async_trait]
impl Commands for SystemCommands {
    async fn run(&self, command: &Command) -> io::Result<CommandOutput> {
        #[expect(clippy::disallowed_methods, reason = "this is what everybody uses instead")]
        let mut process = tokio::process::Command::new(&command.program);
        process
            .args(&command.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(directory) = &command.directory {
            process.current_dir(directory);
        }
        for (name, value) in &command.environment {
            match value {
                Some(value) => process.env(name, value),
                None => process.env_remove(name),
            };
        }
        let mut child = process.spawn()?;
        let mut stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("it was piped");
        let stderr = child.stderr.take().expect("it was piped");
        let write = async {
            if let Some(stdin) = stdin.as_mut() {
                // A program that does not read its input closes it: that is its right.
                let _ = stdin.write_all(&command.input).await;
            }
            drop(stdin);
        };
        let read = |mut stream: Box<dyn tokio::io::AsyncRead + Send + Unpin>| async move {
            let mut bytes = Vec::new();
            (&mut stream).take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes).await?;
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
            io::Result::Ok(bytes)
        };
        let run = async {
            let ((), stdout, stderr) =
                tokio::join!(write, read(Box::new(stdout)), read(Box::new(stderr)));
            let status = child.wait().await?;
            io::Result::Ok(CommandOutput {
                is_success: status.success(),
                code: status.code(),
                stdout: stdout?,
                stderr: stderr?,
            })
        };
        tokio::time::timeout(command.timeout, run).await.map_err(|_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("`{}` took longer than {:?}", command.program, command.timeout),
            )
        })?
    }
}

/// Answers from a table; what is not in it is not installed.
#[derive(Debug, Clone, Default)]
pub struct FakeCommands(pub BTreeMap<String, CommandOutput>);

impl FakeCommands {
    /// Programs with their arguments, and what each prints before it exits with the code.
    pub fn of<const N: usize>(answers: [(&str, i32, &str); N]) -> Self {
        let output = |code: i32, stdout: &str| CommandOutput {
            is_success: code == 0,
            code: Some(code),
            stdout: stdout.as_bytes().to_vec(),
            stderr: Vec::new(),
        };
        Self(
            answers
                .iter()
                .map(|(line, code, text)| ((*line).into(), output(*code, text)))
                .collect(),
        )
    }
}

#[async_trait]
impl Commands for FakeCommands {
    async fn run(&self, command: &Command) -> io::Result<CommandOutput> {
        self.0
            .get(&format!("{command:?}"))
            .cloned()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn feeds_input_and_reads_both_streams() {
        let mut command = Command::new("sh", ["-c", "cat; echo oops >&2; exit 3"]);
        command.input = b"hello".to_vec();
        let output = SystemCommands.run(&command).await.unwrap();
        assert_eq!(
            (output.is_success, output.code, output.stdout, output.stderr),
            (false, Some(3), b"hello".to_vec(), b"oops\n".to_vec())
        );
    }

    #[tokio::test]
    async fn variables_are_set_and_taken_away() {
        let mut command = Command::new("sh", ["-c", "echo ${SET-unset} ${HOME-unset}"]);
        command.environment = vec![("SET".into(), Some("x".into())), ("HOME".into(), None)];
        let output = SystemCommands.run(&command).await.unwrap();
        assert_eq!(output.stdout, b"x unset\n");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_stopped() {
        let mut command = Command::new("sh", ["-c", "exec cat /dev/zero >/dev/null"]);
        command.timeout = Duration::from_millis(50);
        let error = SystemCommands.run(&command).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
