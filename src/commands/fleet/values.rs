//! The options of a service outside of the command line: in a configuration file, and in tags.
//!
//! The command line's own definition parses them, so that an option has one definition.

use std::error::Error as _;
use std::fmt;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Args, Command, FromArgMatches};

use super::super::options::fleet::{OneServiceOptions, Values};
use super::super::run::RunOptions;

/// The kind of value that an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text, or a number.
    Value,
    /// `true` or `false`.
    Switch,
}

/// Why a service has no option of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoOption {
    /// The process has it.
    OfProcess(String),
    /// There is none.
    Unknown {
        /// The name.
        option: String,
        /// A similar name, which may be meant.
        similar: Option<String>,
    },
}

impl fmt::Display for NoOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfProcess(option) => {
                write!(f, "{option} is an option of the process, not of a service; give it on the command line")
            }
            Self::Unknown { option, similar } => {
                let tip = similar.as_ref().map(|similar| format!("; did you mean {similar}?")).unwrap_or_default();
                write!(f, "a service has no option {option:?}{tip}")
            }
        }
    }
}

/// Parses options of a service.
pub struct OptionParser {
    command: Command,
}

impl OptionParser {
    /// Creates a parser.
    pub fn new() -> Self {
        let command = Command::new("service").no_binary_name(true).disable_help_flag(true);
        // The environment gives values through the command line, below all others.
        let command = OneServiceOptions::augment_args(command).mut_args(|arg| arg.env(Resettable::Reset));
        Self { command }
    }

    /// Returns the kind of value that an option takes.
    ///
    /// # Errors
    ///
    /// A service has no such option.
    pub fn kind(&mut self, option: &str) -> Result<Kind, NoOption> {
        if let Some(arg) = self.command.get_arguments().find(|arg| arg.get_long() == Some(option)) {
            let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
            return Ok(if is_switch { Kind::Switch } else { Kind::Value });
        }
        let of_process = RunOptions::augment_args(Command::new("process"));
        if of_process.get_arguments().any(|arg: &Arg| arg.get_long() == Some(option)) {
            return Err(NoOption::OfProcess(option.to_owned()));
        }
        let error = self.command.try_get_matches_from_mut([format!("--{option}")]).err();
        let similar = error.and_then(|error| match error.get(ContextKind::SuggestedArg) {
            Some(ContextValue::String(similar)) => Some(similar.trim_start_matches('-').to_owned()),
            _ => None,
        });
        Err(NoOption::Unknown { option: option.to_owned(), similar })
    }

    /// Checks the value of an option.
    ///
    /// # Errors
    ///
    /// What a good value looks like.
    pub fn check(&mut self, option: &str, value: &str) -> Result<(), String> {
        let argument = argument(&self.command, option, value);
        match self.command.try_get_matches_from_mut(argument) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{value:?}: {}", problem(&error))),
        }
    }

    /// Parses the options of one service: those of each layer override those of the layers before it.
    ///
    /// # Errors
    ///
    /// A value that [`Self::check`] refuses.
    pub fn parse(&mut self, layers: &[&Values]) -> Result<OneServiceOptions, String> {
        let mut values = Values::new();
        for layer in layers {
            values.extend(layer.iter().map(|(option, value)| (option.clone(), value.clone())));
        }
        let arguments: Vec<_> =
            values.iter().filter_map(|(option, value)| argument(&self.command, option, value)).collect();
        let matches = self.command.try_get_matches_from_mut(arguments);
        matches.and_then(|matches| OneServiceOptions::from_arg_matches(&matches)).map_err(|error| problem(&error))
    }
}

/// Returns the argument that gives a value to an option; none for a switch that is off.
fn argument(command: &Command, option: &str, value: &str) -> Option<String> {
    let is_switch = command
        .get_arguments()
        .any(|arg| arg.get_long() == Some(option) && matches!(arg.get_action(), ArgAction::SetTrue));
    match (is_switch, value) {
        (true, "true") => Some(format!("--{option}")),
        (true, "false") => None,
        _ => Some(format!("--{option}={value}")),
    }
}

/// Returns the problem that clap reports, without its notes about the command line.
fn problem(error: &clap::Error) -> String {
    if let Some(source) = error.source() {
        return source.to_string();
    }
    if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue) {
        return format!("it must be one of {}", values.join(", "));
    }
    error.kind().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::options::{IdleGrace, TeardownExtent};
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(option, value)| ((*option).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_layer_overrides_those_before_it() {
        let given = values(&[("idle-grace", "2m"), ("allow-several-bridges", "true"), ("teardown", "off")]);
        let defaults = values(&[("idle-grace", "3m"), ("project", "p")]);
        let own = values(&[("project", "q"), ("allow-several-bridges", "false")]);
        let options = OptionParser::new().parse(&[&given, &defaults, &own]).expect("good values");
        assert_eq!(options.policy.idle_grace, IdleGrace::For(Duration::from_secs(180)));
        assert_eq!(options.policy.teardown, TeardownExtent::Off);
        assert_eq!(options.policy.resync_interval, Duration::from_secs(60), "the default");
        assert!(!options.policy.bridges.allow_several_bridges);
        assert_eq!(options.service.project.as_deref(), Some("q"));
    }

    #[test]
    fn says_what_a_good_value_looks_like() {
        let mut parser = OptionParser::new();
        for (option, value, says) in [
            ("idle-grace", "soon", "until-paid-hour"),
            ("resync-interval", "0s", "from 1s to 24h"),
            ("teardown", "some", "one of all, load-balancer, off"),
            ("owner-tag", "Lifecycle", "KEY=VALUE"),
            ("use-threshold", "many", "invalid digit"),
        ] {
            let problem = parser.check(option, value).expect_err(option);
            assert!(problem.starts_with(&format!("{value:?}: ")) && problem.contains(says), "{problem}");
        }
        assert_eq!(parser.check("idle-grace", "90s"), Ok(()));
        assert_eq!(parser.check("load-balancer", "-x"), Ok(()), "checked with the other names");
    }

    #[test]
    fn knows_the_options_of_a_service() {
        let mut parser = OptionParser::new();
        for switch in ["allow-several-bridges", "no-usage"] {
            assert_eq!(parser.kind(switch), Ok(Kind::Switch), "{switch}");
        }
        for option in ["project", "cluster", "service", "load-balancer", "idle-grace", "use-threshold"] {
            assert_eq!(parser.kind(option), Ok(Kind::Value), "{option}");
        }
        for option in ["region", "queue", "log-level", "metrics", "publish-events", "feed-check", "config", "discover"]
        {
            let problem = parser.kind(option).expect_err(option).to_string();
            assert!(problem.contains("of the process"), "{option}: {problem}");
        }
        let problem = parser.kind("idle-grac").expect_err("unknown").to_string();
        assert_eq!(problem, "a service has no option \"idle-grac\"; did you mean idle-grace?");
        assert_eq!(parser.kind("x=y z").expect_err("unknown").to_string(), "a service has no option \"x=y z\"");
    }
}
