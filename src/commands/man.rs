//! `man`: the man pages, made from the command line's definition and its help.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::CommandError;
use super::help::{EXIT_STATUS, Group, Help, USAGE_ERROR};

/// The options of `man`.
#[derive(Debug, Args)]
pub struct ManOptions {
    /// Write the page of every command into this directory, instead of the program's on standard output
    #[arg(long, value_name = "DIRECTORY")]
    pub all: Option<PathBuf>,

    /// Leave out a command, which another build of the program lacks; can be repeated
    #[arg(long, value_name = "COMMAND", hide = true)]
    pub without: Vec<String>,
}

/// The help of `man`.
pub const HELP: Help = Help {
    group: Group::Shell,
    examples: &[
        ("Read the program's page", "jvb-watcher man | man -l -"),
        ("Install the pages of all commands", "jvb-watcher man --all ~/.local/share/man/man1"),
    ],
    exit_status: &[(0, "written"), (1, "a page can't be written"), USAGE_ERROR],
    see_also: &["completions"],
};

/// The source in the pages' footers.
const SOURCE: &str = concat!("jvb-watcher ", env!("CARGO_PKG_VERSION"));

/// Writes the program's man page on standard output, or those of all commands into a directory. `helps` has
/// the help of each command by its name.
///
/// # Errors
///
/// Returns an error if they can't be written.
pub fn man(options: &ManOptions, program: Command, helps: &[(&str, &Help)]) -> Result<(), CommandError> {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let Some(directory) = &options.all else {
        return Ok(io::stdout().write_all(&page(&program, None, helps)?)?);
    };
    std::fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))?;
    write(directory, "jvb-watcher", &page(&program, None, helps)?)?;
    for (name, help) in helps {
        let command = program.find_subcommand(name).cloned().unwrap_or_default();
        let name = format!("jvb-watcher-{name}");
        write(directory, &name, &page(&command.display_name(name.clone()), Some(help), helps)?)?;
    }
    Ok(())
}

/// Renders a page: what clap_mangen makes of the options, and the sections that it doesn't know.
fn page(command: &Command, help: Option<&Help>, helps: &[(&str, &Help)]) -> io::Result<Vec<u8>> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let command = command.clone().after_help(None).after_long_help(None).help_template("");
    let man = Man::new(command.clone()).title(name).source(SOURCE);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut roff = Roff::default();
    if let Some(help) = help {
        roff.control("SH", ["EXAMPLES"]);
        for (what, line) in help.examples {
            roff.control("TP", []).text([roman(format!("{what}:"))]).text([bold(*line)]);
        }
    }
    let variables = variables(&command);
    if !variables.is_empty() {
        roff.control("SH", ["ENVIRONMENT"]);
        for (variable, option) in variables {
            roff.control("TP", []).text([bold(variable)]).text([roman(format!("Same as --{option}."))]);
        }
    }
    let statuses = help.map_or(EXIT_STATUS, |help| help.exit_status);
    roff.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in statuses {
        roff.control("TP", []).text([bold(status.to_string())]).text([roman(*meaning)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    let others: Vec<String> = match help {
        Some(help) => {
            let related = help.see_also.iter().filter(|other| helps.iter().any(|(name, _)| name == *other));
            let related = related.map(|other| format!("jvb-watcher-{other}(1)"));
            std::iter::once("jvb-watcher(1)".to_owned()).chain(related).collect()
        }
        None => helps.iter().map(|(other, _)| format!("jvb-watcher-{other}(1)")).collect(),
    };
    roff.text([roman(others.join(", "))]);
    page.extend(roff.to_roff().into_bytes());
    if help.is_none() {
        man.render_version_section(&mut page)?;
    }
    Ok(page)
}

/// The environment variables of a command's options.
fn variables(command: &Command) -> BTreeMap<String, String> {
    let options = command.get_arguments().filter_map(|arg| {
        let variable = arg.get_env()?.to_str()?.to_owned();
        Some((variable, arg.get_long()?.to_owned()))
    });
    options.collect()
}

fn write(directory: &Path, name: &str, page: &[u8]) -> Result<(), CommandError> {
    let path = directory.join(format!("{name}.1"));
    std::fs::write(&path, page).map_err(|error| unwritable(&path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> CommandError {
    CommandError::Failed(format!("--all: {} can't be written: {error}", path.display()))
}
