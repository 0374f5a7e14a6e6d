//! The generated pages of the book, docs/configuration.md and docs/findings.md: each is what the command line's definition
//! and the catalogue of findings give.
//!
//! With `JVB_WATCHER_WRITE_DOCS` set, as `.ci/write-docs` does, the pages are written instead of compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use clap::{Arg, ArgAction, Command};
use jvb_watcher::commands::program;
use jvb_watcher_rules::finding::FindingName;

mod commands;
mod costs;

const WRITE: &str = "JVB_WATCHER_WRITE_DOCS";

/// Compares a page with what it should be, or writes it.
fn check(page: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, expected).expect("the page can be written");
    }
    let actual = std::fs::read_to_string(&path).unwrap_or_default();
    let difference = expected.lines().zip(actual.lines()).find(|(expected, actual)| expected != actual);
    assert!(actual == expected, "docs/{page} is out of date ({difference:?}); .ci/write-docs writes it");
}

/// The text of a table's cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// An option's help, without the notes in brackets that have columns of their own.
struct Help {
    meaning: String,
    variables: Vec<String>,
    default: Option<String>,
}

impl Help {
    fn of(arg: &Arg) -> Self {
        let text = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
        // The variable has a column of its own.
        let text = text.split("\n\n[env: ").next().unwrap_or_default().replace("\n\n", ". ");
        let mut help = Self { meaning: String::new(), variables: Vec::new(), default: None };
        help.variables.extend(arg.get_env().map(|name| name.to_string_lossy().into_owned()));
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('[') {
            let (note, after) = after.split_once(']').expect("a bracket is closed");
            help.meaning += before;
            match note.split_once(": ") {
                Some(("also env", variable)) => help.variables.push(variable.to_owned()),
                Some(("default", default)) => help.default = Some(default.to_owned()),
                _ => write!(help.meaning, "[{note}]").expect("a string takes everything"),
            }
            help.meaning.truncate(help.meaning.trim_end().len());
            rest = after;
        }
        help.meaning += rest;
        help.meaning.truncate(help.meaning.trim_end_matches([' ', '.']).len());
        let defaults = arg.get_default_values();
        if !defaults.is_empty() && arg.get_action().takes_values() {
            let values = defaults.iter().map(|value| value.to_string_lossy().into_owned());
            help.default = Some(format!("`{}`", values.collect::<Vec<_>>().join(" ")));
        }
        let values = arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
        let mut values = values.filter_map(|value| Some((value.get_name().to_owned(), value.get_help()?.to_string())));
        if let Some((name, meaning)) = values.next() {
            write!(help.meaning, ". `{name}`: {meaning}").expect("a string takes everything");
            for (name, meaning) in values {
                write!(help.meaning, "; `{name}`: {meaning}").expect("a string takes everything");
            }
        }
        help
    }
}

/// An option or argument as it is written on the command line.
fn spelling(arg: &Arg) -> String {
    let names = arg.get_value_names().into_iter().flatten();
    let values = names.map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ");
    let is_optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    let values = match (arg.is_require_equals_set(), is_optional) {
        (true, true) => format!("[={values}]"),
        (true, false) => format!("={values}"),
        (false, _) => format!(" {values}"),
    };
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let takes_value = arg.is_positional() || matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let flags = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    let values = if takes_value { values } else { String::new() };
    format!("{flags}{values}").trim().to_owned()
}

fn table(args: &[&Arg]) -> String {
    let mut text = "| option | default | variable | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for arg in args {
        let Help { meaning, variables, default } = Help::of(arg);
        let variables: Vec<_> = variables.iter().map(|variable| format!("`{variable}`")).collect();
        let default = default.unwrap_or_else(|| match arg.is_required_set() {
            true => "required".to_owned(),
            false => String::new(),
        });
        let cells = [format!("`{}`", spelling(arg)), default, variables.join(", "), meaning].map(|text| cell(&text));
        writeln!(text, "| {} |", cells.join(" | ")).expect("a string takes everything");
    }
    text
}

/// A command's options but for `--help`, and those of the others that it shares with the whole program.
fn options(command: &Command) -> Vec<&Arg> {
    let built_in = |arg: &Arg| ["help", "version"].contains(&arg.get_id().as_str());
    command.get_arguments().filter(|arg| !arg.is_hide_set() && !built_in(arg)).collect()
}

fn sentence(text: impl ToString) -> String {
    let text = text.to_string();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{}.", text.trim_end_matches('.'))
}

fn configuration() -> String {
    let program = program();
    let mut page = "<!-- Generated from the options in src/commands/ by .ci/write-docs; don't edit. -->\n\n\
        # Configuration\n\n\
        Every option can be given as a flag; most can be given as an environment variable, too: `--idle-grace` is\n\
        `JVB_WATCHER_IDLE_GRACE`. A flag takes precedence over its variable, `JVB_WATCHER_…` over `JITSI_…`, and a variable\n\
        over the default. An empty variable counts as unset. Switches take `true` and `false` as values of their variables.\n\
        Durations are from 1s to 24h, written like `90s`, `15m` or `1h 30m`.\n\n\
        [Operations](operations.md#exit-status) lists the exit statuses. On AWS Lambda, `lambda` is the default command.\n"
        .to_owned();
    // Options under a heading of their own belong to several commands, and are listed once.
    let mut shared: BTreeMap<String, BTreeMap<String, &Arg>> = BTreeMap::new();
    let commands: Vec<&Command> = program.get_subcommands().filter(|command| command.get_name() != "help").collect();
    for command in std::iter::once(&program).chain(commands.iter().copied()) {
        for arg in options(command) {
            if let Some(heading) = arg.get_help_heading() {
                shared.entry(heading.to_owned()).or_default().entry(arg.get_id().to_string()).or_insert(arg);
            }
        }
    }
    for (heading, args) in &shared {
        let mut in_order: Vec<&Arg> = Vec::new();
        for command in std::iter::once(&program).chain(commands.iter().copied()) {
            let of_heading = options(command).into_iter().filter(|arg| arg.get_help_heading() == Some(heading));
            in_order.extend(of_heading.filter(|arg| args.contains_key(arg.get_id().as_str())));
        }
        let mut seen = BTreeSet::new();
        in_order.retain(|arg| seen.insert(arg.get_id().clone()));
        writeln!(page, "\n## {heading}\n\n{}", table(&in_order).trim_end()).expect("a string takes everything");
    }
    for command in &commands {
        let name = command.get_name();
        writeln!(page, "\n## `{name}`\n").expect("a string takes everything");
        writeln!(page, "{}", sentence(command.get_about().expect("a command says what it does"))).expect("a string");
        let (own, of_headings): (Vec<&Arg>, Vec<&Arg>) =
            options(command).into_iter().partition(|arg| arg.get_help_heading().is_none());
        let mut taken: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for arg in of_headings {
            let heading = arg.get_help_heading().expect("it has one");
            taken.entry(heading).or_default().push(format!("`--{}`", arg.get_long().unwrap_or_default()));
        }
        for (heading, names) in taken {
            let all = names.len() == shared[heading].len();
            let which = if all { "all".to_owned() } else { names.join(", ") };
            writeln!(page, "\nFrom \"{heading}\": {which}.").expect("a string takes everything");
        }
        if !own.is_empty() {
            writeln!(page, "\n{}", table(&own).trim_end()).expect("a string takes everything");
        }
    }
    page
}

fn findings() -> String {
    let mut page = "<!-- Generated from crates/rules/src/finding/catalogue.rs by .ci/write-docs; don't edit. -->\n\n\
        # Findings\n\n\
        A finding is a condition that an operator should know of and that the watcher cannot, or must not, change. It is\n\
        logged as the event [`finding`](logs.md#finding) when it is raised, when its detail changes, when it is cleared, and\n\
        otherwise every fifteen minutes; `status` shows the current ones, and the metric `Findings` counts those that\n\
        need action, which are all but `hold_active`.\n\n\
        While a finding marked with * is current, `reconcile` exits with status 1, because it keeps tasks from being\n\
        registered.\n\n\
        | finding | meaning | what to do |\n\
        | --- | --- | --- |\n"
        .to_owned();
    for finding in FindingName::ALL {
        let mark = if finding.hinders_registration() { "*" } else { "" };
        let (meaning, advice) = (cell(finding.meaning()), cell(finding.advice()));
        writeln!(page, "| `{finding}`{mark} | {meaning} | {advice} |").expect("a string takes everything");
    }
    page
}

#[test]
fn the_configuration_page_is_what_the_command_line_gives() {
    check("configuration.md", &configuration());
}

#[test]
fn the_findings_page_is_what_the_catalogue_gives() {
    check("findings.md", &findings());
}

#[test]
fn the_readme_lists_every_command() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README");
    let program = program();
    for command in program.get_subcommands().map(Command::get_name).filter(|name| *name != "help") {
        assert!(readme.contains(&format!("| `{command}` |")), "{command} is not in README.md");
    }
    let lines = readme.lines().count();
    assert!(lines <= 150, "README.md has {lines} lines; it may have 150");
}
