//! Asking the person at the terminal.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};

/// Asks for a line that is not shown while it is typed, at most `limit` bytes. Question and answer
/// go through the terminal itself, wherever the standard streams lead.
///
/// # Errors
///
/// There is no terminal, or this system has none that we know how to silence.
pub fn ask_secret(question: &str, limit: u64) -> io::Result<String> {
    let terminal = open()?;
    let _silence = Silence::of(&terminal)?;
    answer(terminal, question, limit)
}

/// Asks for a line, at most `limit` bytes, as [`ask_secret`] does, but lets it be seen.
///
/// # Errors
///
/// There is no terminal.
pub fn ask(question: &str, limit: u64) -> io::Result<String> {
    answer(open()?, question, limit)
}

/// How many columns the terminal has that standard error goes to; `None` when it goes elsewhere.
pub fn columns() -> Option<u16> {
    #[cfg(unix)]
    {
        let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
        Some(size.ws_col).filter(|columns| *columns > 0)
    }
    #[cfg(not(unix))]
    None
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

fn answer(mut terminal: File, question: &str, limit: u64) -> io::Result<String> {
    terminal.write_all(question.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(terminal).take(limit).read_line(&mut answer)?;
    Ok(answer)
}

/// While it lives, the terminal does not show what is typed.
#[cfg(unix)]
struct Silence {
    terminal: File,
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl Silence {
    fn of(terminal: &File) -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown, or what comes next stands behind the question.
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Now, &silent)?;
        Ok(Self { terminal: terminal.try_clone()?, before })
    }
}

#[cfg(unix)]
impl Drop for Silence {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};

        // A terminal that has gone away needs no echo.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(not(unix))]
struct Silence;

#[cfg(not(unix))]
impl Silence {
    fn of(_: &File) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
