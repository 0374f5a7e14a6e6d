//! The parts of help and man pages beyond the options: groups of commands, examples and exit statuses.

use std::fmt::Write as _;

use clap::Command;
use clap::builder::Styles;

/// The group of a command in the program's help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Commands that run permanently beside the platform.
    Run,
    /// Commands that change the platform.
    Operate,
    /// Commands that show its state, and change nothing.
    Inspect,
    /// Commands that need no AWS account.
    Try,
    /// Commands that support the shell.
    Shell,
}

impl Group {
    const ALL: [(Self, &str); 5] = [
        (Self::Run, "Run"),
        (Self::Operate, "Operate"),
        (Self::Inspect, "Inspect"),
        (Self::Try, "Try, without an AWS account"),
        (Self::Shell, "Shell"),
    ];
}

/// The help of a command beyond its options.
pub struct Help {
    /// The group of the command.
    pub group: Group,
    /// Examples: what each does, and its command line.
    pub examples: &'static [(&'static str, &'static str)],
    /// The exit statuses and their meanings.
    pub exit_status: &'static [(u8, &'static str)],
    /// The names of related commands.
    pub see_also: &'static [&'static str],
}

/// The exit status that every command has for wrong usage.
pub const USAGE_ERROR: (u8, &str) = (2, "wrong usage or configuration; nothing was done");

/// The exit status of a command that was stopped before its end, as shells have it for Ctrl-C.
pub const INTERRUPTED: (u8, &str) = (130, "stopped before its end");

/// The exit statuses that commands have in common.
#[cfg(feature = "manual")]
pub const EXIT_STATUS: &[(u8, &str)] =
    &[(0, "done"), (1, "failed"), USAGE_ERROR, (3, "not well (status), or different (sandbox --replay)"), INTERRUPTED];

/// Adds groups, examples, exit statuses and environment variables to the help of the program and of its commands.
pub fn decorate(mut program: Command, helps: &[(&str, &Help)]) -> Command {
    let template = template(&program, helps);
    for (name, help) in helps {
        program = program.mut_subcommand(name, |command| command.after_long_help(after_help(help)));
    }
    program.help_template(template).mut_subcommands(with_environment_in_long_help)
}

/// Shows a variable's name in `--help` only: `-h` fits a screen.
fn with_environment_in_long_help(command: Command) -> Command {
    command.mut_args(|arg| {
        let Some(variable) = arg.get_env().and_then(|name| name.to_str()).map(str::to_owned) else { return arg };
        let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
        arg.long_help(format!("{help}\n\n[env: {variable}]")).hide_env(true)
    })
}

fn template(program: &Command, helps: &[(&str, &Help)]) -> String {
    let header = *Styles::styled().get_header();
    let literal = *Styles::styled().get_literal();
    let mut template = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    let width = helps.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (group, title) in Group::ALL {
        let of_group: Vec<_> = helps.iter().filter(|(_, help)| help.group == group).collect();
        if of_group.is_empty() {
            continue;
        }
        let _ = write!(template, "\n{header}{title}:{header:#}\n");
        for (name, _) in of_group {
            let about = program.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            let _ = writeln!(template, "  {literal}{name:width$}{literal:#}  {}", about.unwrap_or_default());
        }
    }
    template + &format!("\n{header}Options:{header:#}\n{{options}}{{after-help}}")
}

fn after_help(help: &Help) -> String {
    let header = *Styles::styled().get_header();
    let mut text = format!("{header}Examples:{header:#}\n");
    for (what, line) in help.examples {
        let _ = writeln!(text, "  {what}:\n    {line}");
    }
    let _ = write!(text, "\n{header}Exit status:{header:#}\n");
    for (status, meaning) in help.exit_status {
        let _ = writeln!(text, "  {status:<3}  {meaning}");
    }
    let related: Vec<String> = help.see_also.iter().map(|name| format!("jvb-watcher {name}")).collect();
    let _ = write!(text, "\n{header}See also:{header:#} {}", related.join(", "));
    text
}
