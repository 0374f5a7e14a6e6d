//! `completions` and `man`: what a shell and a reader of manuals want to know of the command line.

use std::io::{self, Write};
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use super::CommandError;
use crate::cli::{Cli, CompletionsOptions, ManOptions};

/// What a man page says of where it comes from.
const SOURCE: &str = concat!("jvb-watcher ", env!("CARGO_PKG_VERSION"));

/// Writes the completions for a shell on standard output.
///
/// # Errors
///
/// When they can't be written.
pub fn completions(options: &CompletionsOptions) -> Result<(), CommandError> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    // Into memory first: what generates them panics when a reader goes away.
    let mut script = Vec::new();
    generate(options.shell, &mut command, &name, &mut script);
    if options.shell == Shell::Bash {
        script = with_one_name(&String::from_utf8_lossy(&script), &name).into_bytes();
    }
    Ok(io::stdout().write_all(&script)?)
}

/// Mends bash's completions after a command, which clap_complete 4.6.11 breaks for a program with a hyphen in its name: it
/// writes the hyphen in one way where it sets the state and in another where it asks for it (clap-rs/clap#6421, open).
fn with_one_name(script: &str, name: &str) -> String {
    script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"))
}

/// Writes the program's man page on standard output, or that of every command into a directory.
///
/// # Errors
///
/// When they can't be written.
pub fn man(options: &ManOptions) -> Result<(), CommandError> {
    let command = Cli::command();
    let Some(directory) = &options.all else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        return Ok(io::stdout().write_all(&page)?);
    };
    std::fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))?;
    let mut command = command.disable_help_subcommand(true);
    // Gives the commands the options of all commands, and their whole names.
    command.build();
    let name = command.get_name().to_owned();
    let pages = command.get_subcommands().map(|it| (format!("{name}-{}", it.get_name()), it.clone()));
    for (name, command) in pages.chain([(name.clone(), command.clone())]) {
        write_page(directory, &name, command)?;
    }
    Ok(())
}

fn write_page(directory: &Path, name: &str, command: Command) -> Result<(), CommandError> {
    let mut page = Vec::new();
    // A page has the name by which it is asked for: `man jvb-watcher-run`.
    Man::new(command.display_name(name.to_owned())).title(name).source(SOURCE).render(&mut page)?;
    let path = directory.join(format!("{name}.1"));
    std::fs::write(&path, page).map_err(|error| unwritable(&path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> CommandError {
    CommandError::Failed(format!("--all: {} can't be written: {error}", path.display()))
}
