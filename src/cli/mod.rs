//! The edge: arguments become a request, a result or an error becomes output and an exit code.
//!
//! One file per command; only `render` writes to stderr, only `output` to stdout.

mod build;
mod options;
mod output;
mod push;
mod reference;
mod render;
mod schema;

use std::ffi::OsString;
use std::io::IsTerminal as _;

use clap::{Parser, Subcommand};

use crate::error::Result;
use crate::pipeline::Context;
use crate::sys::Environment;
use options::OutputOptions;
pub use reference::reference;

use output::Output;
use render::{Progress, Rendering};

/// Builds the container image of an AI agent without a Docker daemon and pushes it by digest
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
    Build(build::Build),
    Push(push::Push),
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

/// Runs the program and gives its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
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
    let output = Output::new(options.json);
    let edge = Edge {
        context: Context::new(environment, rendering.events()),
        output: output.clone(),
        is_terminal: is_terminal && progress == Progress::Auto,
    };
    let result = run(arguments.command, &edge);
    rendering.stop();
    match result {
        Ok(()) => 0,
        Err(error) => {
            render::show_error(&error);
            output.error(&error);
            error.kind().exit_code()
        }
    }
}

fn run(command: Command, edge: &Edge) -> Result<()> {
    match command {
        Command::Build(build) => build.run(edge),
        Command::Push(push) => push.run(edge),
        Command::Schema(schema) => schema.run(edge),
    }
}
