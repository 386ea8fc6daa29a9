//! Which options came from variables of the environment, so that messages name what a person has to
//! change.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use crate::oci::without_password;
use crate::pipeline::OptionNames;

/// The options of the command that was chosen whose values are a variable's.
pub(super) fn option_names(definition: &Command, matches: &ArgMatches) -> OptionNames {
    let Some((name, matches)) = matches.subcommand() else { return OptionNames::default() };
    let Some(command) = definition.find_subcommand(name) else { return OptionNames::default() };
    if matches.subcommand().is_some() {
        return option_names(command, matches);
    }
    let arguments = command.get_arguments();
    let is_from_variable = |argument: &Arg| {
        matches.value_source(argument.get_id().as_str()) == Some(ValueSource::EnvVariable)
    };
    arguments
        .filter(|argument| is_from_variable(argument))
        .filter_map(|argument| Some((format!("--{}", argument.get_long()?), variable(argument)?)))
        .collect()
}

/// The error with the variable in place of the option that nobody wrote, and without a password that
/// the value may hold.
pub(super) fn blame(
    mut error: clap::Error,
    definition: &Command,
    words: &[OsString],
) -> clap::Error {
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) {
        let value = ContextValue::String(without_password(value));
        error.insert(ContextKind::InvalidValue, value);
    }
    if let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) {
        let words: Vec<_> = words.iter().filter_map(|word| word.to_str()).collect();
        let below =
            |command, word: &&str| Command::find_subcommand(command, word).unwrap_or(command);
        let arguments = words.iter().fold(definition, below).get_arguments();
        let argument = arguments.into_iter().find(|argument| argument.to_string() == *option);
        if let Some(argument) = argument.filter(|argument| !is_written(argument, &words))
            && let Some(variable) = variable(argument)
        {
            error.insert(ContextKind::InvalidArg, ContextValue::String(variable));
        }
    }
    error
}

/// Whether an option stands on the command line. A positional one that is wrong was written.
fn is_written(argument: &Arg, words: &[&str]) -> bool {
    let Some(long) = argument.get_long() else { return true };
    let long = format!("--{long}");
    let is_long = |word: &&str| {
        word.strip_prefix(&long).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    let is_short = |word: &&str| {
        let letters = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        letters.zip(argument.get_short()).is_some_and(|(letters, short)| letters.contains(short))
    };
    words.iter().any(|word| is_long(word) || is_short(word))
}

fn variable(argument: &Arg) -> Option<String> {
    argument.get_env()?.to_str().map(str::to_owned)
}
