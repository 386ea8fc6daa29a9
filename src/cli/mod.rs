//! The edge: arguments become a request, a result or an error becomes output and an exit code.
//!
//! One file per command; only `render` writes to stderr, only `output` to stdout.

mod blame;
mod build;
mod cache;
mod check;
mod check_base;
mod deploy;
mod destroy;
mod diff;
mod environment;
mod init;
mod inspect;
mod lock;
mod login;
mod logout;
mod logs;
mod network;
mod next_step;
mod options;
mod output;
mod push;
mod reference;
mod render;
mod rollback;
mod schema;
mod status;
mod verify;

use std::ffi::OsString;
use std::io::IsTerminal as _;

use clap::error::ErrorKind as ArgumentErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::error::Result;
use crate::pipeline::{Context, OptionNames};
use crate::sys::Environment;
use options::OutputOptions;
pub use reference::reference;

use output::Output;
use render::{Progress, Rendering};

/// Builds the container image of an AI agent without a Docker daemon, pushes it, and deploys it by digest
#[derive(Debug, Parser)]
#[command(name = "dockless", version, max_term_width = 100, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Build(build::Build),
    Push(push::Push),
    Deploy(deploy::Deploy),
    Status(status::Status),
    Logs(logs::Logs),
    Rollback(rollback::Rollback),
    Destroy(destroy::Destroy),
    Check(check::Check),
    Verify(verify::Verify),
    Lock(lock::Lock),
    CheckBase(check_base::CheckBase),
    Inspect(inspect::Inspect),
    Diff(diff::Diff),
    Login(login::Login),
    Logout(logout::Logout),
    Cache(cache::Cache),
    Schema(schema::Schema),
}

/// What a command has at hand at the edge.
#[derive(Debug)]
struct Edge {
    /// What the stages need of the machine.
    context: Context,
    /// Takes the result.
    output: Output,
    /// Whether a person reads stderr.
    is_terminal: bool,
}

impl Edge {
    /// Tells a person at a terminal what comes next.
    fn suggest(&self, command: Option<String>) {
        if let Some(command) = command.filter(|_| self.is_terminal) {
            self.context.events.note(format!("next: {command}"));
        }
    }
}

/// Reads the command line. Between `-v` and `-q`, the one that is written there beats a variable.
fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(Arguments, OptionNames), clap::Error> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let mut definition = Arguments::command();
    let matches = definition
        .try_get_matches_from_mut(&arguments)
        .map_err(|error| blame::blame(error, &definition, &arguments))?;
    let names = blame::option_names(&definition, &matches);
    let mut arguments = Arguments::from_arg_matches(&matches)?;
    let is_written = |name: &str, matches: &ArgMatches| {
        matches.value_source(name) == Some(ValueSource::CommandLine)
    };
    let options = &mut arguments.output;
    match (is_written("verbose", &matches), is_written("quiet", &matches)) {
        (true, true) => {
            return Err(definition.error(
                ArgumentErrorKind::ArgumentConflict,
                "the argument '--verbose' cannot be used with '--quiet'",
            ));
        }
        (true, false) => options.quiet = false,
        (false, true) => options.verbose = 0,
        (false, false) => {}
    }
    Ok((arguments, names))
}

/// Runs the program and gives its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let (arguments, option_names) = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version go to stdout, a mistake to stderr; a closed pipe changes nothing.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let options = &arguments.output;
    let environment = Environment::of_process();
    let is_terminal = std::io::stderr().is_terminal()
        && environment.get("TERM") != Some("dumb")
        && environment.get("CI").is_none();
    let progress = if options.quiet { Progress::None } else { options.progress };
    let rendering = Rendering::start(progress, options.verbose, is_terminal);
    let edge = Edge {
        context: Context { option_names, ..Context::new(environment, rendering.events()) },
        output: Output::new(options.json),
        is_terminal: is_terminal && progress == Progress::Auto,
    };
    let result = run(arguments.command, &edge);
    let Edge { context, output, .. } = edge;
    // The renderer waits for whoever may still send.
    drop(context);
    rendering.stop();
    match result {
        Ok(()) => 0,
        Err(error) => {
            render::show_error(&error, progress);
            output.error(&error);
            error.kind().exit_code()
        }
    }
}

fn run(command: Command, edge: &Edge) -> Result<()> {
    match command {
        Command::Init(init) => init.run(edge),
        Command::Build(build) => build.run(edge),
        Command::Push(push) => push.run(edge),
        Command::Deploy(deploy) => deploy.run(edge),
        Command::Status(status) => status.run(edge),
        Command::Logs(logs) => logs.run(edge),
        Command::Rollback(rollback) => rollback.run(edge),
        Command::Destroy(destroy) => destroy.run(edge),
        Command::Check(check) => check.run(edge),
        Command::Verify(verify) => verify.run(edge),
        Command::Lock(lock) => lock.run(edge),
        Command::CheckBase(check_base) => check_base.run(edge),
        Command::Inspect(inspect) => inspect.run(edge),
        Command::Diff(diff) => diff.run(edge),
        Command::Login(login) => login.run(edge),
        Command::Logout(logout) => logout.run(edge),
        Command::Cache(cache) => cache.run(edge),
        Command::Schema(schema) => schema.run(edge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_on_the_command_line_is_not_both() {
        let parse = |words: &[&str]| {
            let words = ["dockless", "build"].iter().chain(words).map(OsString::from);
            parse(words).map(|(arguments, _)| (arguments.output.verbose, arguments.output.quiet))
        };
        assert_eq!(parse(&["-v"]).unwrap(), (1, false));
        assert_eq!(parse(&["-vv"]).unwrap(), (2, false));
        assert_eq!(parse(&["-q"]).unwrap(), (0, true));
        assert_eq!(parse(&["-q", "-v"]).unwrap_err().exit_code(), 2);
    }
}
