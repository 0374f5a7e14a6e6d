//! The options of a watcher for many services: where its services are listed, and the options of each of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::{PolicyOptions, ServiceOptions};
use crate::aws::client::QuotaShare;

/// The group of the options that list the services, of which one can be given.
const LIST: &str = "list";

/// The list of the services to watch, for more than one.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Fleet")]
#[group(skip)]
pub struct FleetOptions {
    /// File that lists the services to watch
    ///
    /// TOML: a table `defaults` and a list `service`, with the options of a service as keys. `run` reads it again at SIGHUP.
    #[arg(long, env = "JVB_WATCHER_CONFIG", value_name = "FILE", group = LIST)]
    pub config: Option<PathBuf>,
    /// The text of such a file, for AWS Lambda
    #[arg(long, env = "JVB_WATCHER_CONFIG_TEXT", value_name = "TOML", group = LIST, hide_short_help = true)]
    pub config_text: Option<String>,
    /// Watch an ECS cluster's tagged services; repeatable
    ///
    /// Those with the tag jvb-watcher:load-balancer=NAME. Tags jvb-watcher:OPTION=VALUE are further options of a service. The
    /// clusters are read again at the resync interval. The variable takes a list with commas.
    #[arg(long, env = "JVB_WATCHER_DISCOVER", value_name = "CLUSTER", group = LIST, value_delimiter = ',')]
    pub discover: Vec<String>,
    /// Share of AWS's default API quotas that the process may use
    ///
    /// Observations wait for it. More than 1 if AWS has raised the account's quotas.
    #[arg(
        long,
        env = "JVB_WATCHER_QUOTA_SHARE",
        value_name = "SHARE",
        requires = LIST,
        default_value_t,
        hide_short_help = true
    )]
    pub quota_share: QuotaShare,
}

impl FleetOptions {
    /// Returns the option that lists the services, if one does.
    pub fn name(&self) -> Option<&'static str> {
        if self.config.is_some() {
            Some("config")
        } else if self.config_text.is_some() {
            Some("config-text")
        } else {
            (!self.discover.is_empty()).then_some("discover")
        }
    }
}

/// The options of one service: those that a configuration file and tags can set. All others belong to the process.
#[derive(Clone, Debug, Args)]
pub struct OneServiceOptions {
    /// The service and its load balancer.
    #[command(flatten)]
    pub service: ServiceOptions,
    /// The rules.
    #[command(flatten)]
    pub policy: PolicyOptions,
}

/// Values of options as they are written, by the options' names. A switch has the value `true` or `false`.
pub type Values = BTreeMap<String, String>;

/// The options of a service that the command line and the environment give.
///
/// It defines no options; it reads the values of those that others define, defaults excepted.
#[derive(Clone, Debug, Default)]
pub struct GivenValues(pub Values);

impl FromArgMatches for GivenValues {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        use clap::parser::ValueSource::{CommandLine, EnvVariable};
        let command = OneServiceOptions::augment_args(Command::new("service"));
        let value = |arg: &clap::Arg| {
            let (id, name) = (arg.get_id().as_str(), arg.get_long()?);
            // A command may lack the option.
            matches.try_contains_id(id).ok().filter(|is_present| *is_present)?;
            matches.value_source(id).filter(|source| [CommandLine, EnvVariable].contains(source))?;
            let value = if arg.get_action().takes_values() {
                matches.get_raw(id)?.next()?.to_string_lossy().into_owned()
            } else {
                matches.get_flag(id).to_string()
            };
            Some((name.to_owned(), value))
        };
        Ok(Self(command.get_arguments().filter_map(value).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for GivenValues {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
