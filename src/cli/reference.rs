//! The reference of the command line, written from its own definition.

use std::fmt::Write as _;

use clap::{Arg, CommandFactory as _};

use super::Arguments;

/// Every command with its arguments, in Markdown.
pub fn reference() -> String {
    let mut definition = Arguments::command();
    definition.build();
    let mut page = String::new();
    sections(&mut page, &definition, "dockless");
    page
}

/// A section for each command below this one, or for those below them.
fn sections(page: &mut String, parent: &clap::Command, name: &str) {
    for command in parent.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = format!("{name} {}", command.get_name());
        if command.has_subcommands() {
            sections(page, command, &name);
        } else {
            section(page, command, &name);
        }
    }
}

fn section(page: &mut String, command: &clap::Command, name: &str) {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
    let _ = write!(
        page,
        "\n## {name}\n\n{}\n\n```console\n$ {usage}\n```\n",
        about.unwrap_or_default(),
    );
    let mut heading = None;
    for argument in command.get_arguments().filter(|argument| is_shown(argument)) {
        let group = argument.get_help_heading().unwrap_or("Arguments").to_owned();
        if heading.as_ref() != Some(&group) {
            let _ = write!(page, "\n| {group} | variable | what it does |\n|---|---|---|\n");
            heading = Some(group);
        }
        row(page, argument);
    }
}

fn is_shown(argument: &Arg) -> bool {
    !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version")
}

fn row(page: &mut String, argument: &Arg) {
    let value = || {
        let takes_value = argument.get_action().takes_values();
        let names = argument.get_value_names().filter(|_| takes_value)?;
        Some(format!(" {}", names.join(" ")))
    };
    let name = match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => {
            format!("`-{short}`, `--{long}{}`", value().unwrap_or_default())
        }
        (None, Some(long)) => format!("`--{long}{}`", value().unwrap_or_default()),
        _ => format!("`{}`", argument.get_value_names().unwrap_or_default().join(" ")),
    };
    let variable =
        argument.get_env().map_or_else(String::new, |name| format!("`{}`", name.display()));
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string);
    let help = help.unwrap_or_default().replace('\n', " ").replace('|', "\\|");
    let _ = writeln!(page, "| {} | {variable} | {help} |", name.replace('|', "\\|"));
}
