//! `completions`: what completes commands and options in a shell.

use std::io::{self, Write};

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use super::CommandError;
use super::help::{Group, Help, USAGE_ERROR};

/// The options of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsOptions {
    /// Shell
    pub shell: Shell,

    /// Leave out a command, which another build of the program lacks; can be repeated
    #[arg(long, value_name = "COMMAND", hide = true)]
    pub without: Vec<String>,
}

/// The help of `completions`.
pub const HELP: Help = Help {
    group: Group::Shell,
    examples: &[
        ("For bash", "jvb-watcher completions bash > ~/.local/share/bash-completion/completions/jvb-watcher"),
        ("For fish", "jvb-watcher completions fish > ~/.config/fish/completions/jvb-watcher.fish"),
    ],
    exit_status: &[(0, "written"), (1, "standard output can't be written"), USAGE_ERROR],
    see_also: &["man"],
};

/// Writes the completions of a program for a shell on standard output.
///
/// # Errors
///
/// Returns an error if they can't be written.
pub fn completions(options: &CompletionsOptions, mut program: Command) -> Result<(), CommandError> {
    let name = program.get_name().to_owned();
    // Into memory first: the generator panics when a reader closes the pipe.
    let mut script = Vec::new();
    generate(options.shell, &mut program, &name, &mut script);
    if options.shell == Shell::Bash {
        script = with_one_name(&String::from_utf8_lossy(&script), &name).into_bytes();
    }
    Ok(io::stdout().write_all(&script)?)
}

/// Repairs bash's completions after a command, which clap_complete 4.6.11 breaks for a program with a hyphen in its name:
/// it writes the hyphen in one way where it sets the state and in another where it reads it (clap-rs/clap#6421, open).
fn with_one_name(script: &str, name: &str) -> String {
    script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"))
}
