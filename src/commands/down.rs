//! `down`: scales the service to zero, waits until its tasks have stopped, and deletes the load balancer.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tokio::time::Instant;

use super::help::{Group, Help, INTERRUPTED, USAGE_ERROR};
use super::operation::{Request, print};
use super::options::prices::PriceOptions;
use super::options::usage::UseOptions;
use super::options::values::{duration, price};
use super::options::{
    DryRunOptions, LogOptions, OutputFormat, OutputOptions, OwnerTagOptions, PlatformOptions, RecordOptions,
    TeardownExtent,
};
use super::settings::Settings;
use super::{CommandError, Console, connect_recorded};
use crate::operations::callers::CallPolicy;
use crate::operations::command::{LoadBalancerCommand, Process};
use crate::operations::down::{Down, Extent, HoldPolicy, Spec};
use crate::telemetry::log::Verb;
use jvb_watcher_cost::Model;

/// The options of `down`.
#[derive(Debug, Args)]
pub struct DownOptions {
    /// Shell command that destroys the load balancer [default: the watcher's own teardown]
    #[arg(long, env = "JVB_WATCHER_DOWN_COMMAND", value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    pub balancer_command: Option<String>,
    /// Extent of the deletion
    #[arg(long, env = "JVB_WATCHER_TEARDOWN", value_name = "EXTENT", default_value = "all")]
    pub teardown: TeardownExtent,
    /// Cut off calls; don't ask whether there are any
    #[arg(long, conflicts_with = "when_unused")]
    pub now: bool,
    /// Wait until there are no calls, for 12h or =TIMEOUT at most
    ///
    /// No call is left when CloudWatch shows three minutes in a row without use, up to three minutes ago. Without this option
    /// and --now, down fails at once while there are calls, or may be. An `up` that starts meanwhile ends the wait.
    #[arg(long, value_name = "TIMEOUT", num_args = 0..=1, require_equals = true, default_missing_value = "12h", value_parser = duration)]
    pub when_unused: Option<Duration>,
    /// Break a hold that an operator placed; calls are respected all the same
    #[arg(long)]
    pub force: bool,
    /// The owner tag.
    #[command(flatten)]
    pub owner: OwnerTagOptions,
    /// The result.
    #[command(flatten)]
    pub output: OutputOptions,
    /// Dry run or real run.
    #[command(flatten)]
    pub dry_run: DryRunOptions,
    /// Limit until every task has stopped
    #[arg(long, env = "JVB_WATCHER_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "10m", value_parser = duration, help_heading = "Time limits", hide_short_help = true)]
    pub drain_timeout: Duration,
    /// Limit until the load balancer is gone
    #[arg(long, env = "JVB_WATCHER_TEARDOWN_TIMEOUT", value_name = "DURATION", default_value = "15m", value_parser = duration, help_heading = "Time limits", hide_short_help = true)]
    pub teardown_timeout: Duration,
    /// Cost of an hour in which the load balancer exists, in US dollars [default: the sum of its items]
    #[arg(long, env = "JVB_WATCHER_HOURLY_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub hourly_price: Option<f64>,
    /// Cost of a month in which nothing runs, in US dollars [default: the sum of its items]
    #[arg(long, env = "JVB_WATCHER_IDLE_MONTHLY_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub idle_monthly_price: Option<f64>,
    /// The same with a load balancer that is kept, in US dollars [default: the sum of its items]
    #[arg(long, env = "JVB_WATCHER_KEPT_MONTHLY_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub kept_monthly_price: Option<f64>,
    /// The unit prices.
    #[command(flatten)]
    pub prices: PriceOptions,
    /// What counts as use.
    #[command(flatten)]
    pub counting: UseOptions,
    /// The platform.
    #[command(flatten)]
    pub platform: PlatformOptions,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
    /// The recording.
    #[command(flatten)]
    pub record: RecordOptions,
}

/// The help of `down`.
pub const HELP: Help = Help {
    group: Group::Operate,
    examples: &[
        ("Show the steps", "jvb-watcher down --project jitsi --dry-run"),
        (
            "Once all have left, scale to zero, delete the load balancer, print what the run cost",
            "jvb-watcher down --project jitsi --when-unused",
        ),
        ("The same at once, although there are calls", "jvb-watcher down --project jitsi --now"),
    ],
    exit_status: &[
        (0, "nothing is left"),
        (
            1,
            "in use, or it isn't known: nothing is changed; or failed: the message names the phase, the state and the command to continue with",
        ),
        USAGE_ERROR,
        INTERRUPTED,
    ],
    see_also: &["up", "hold", "status"],
};

/// Runs `down`, and prints the cost of the run.
///
/// # Errors
///
/// The phase that failed, the reason, the state that it leaves, and how to continue.
pub async fn down(settings: &Settings, options: &DownOptions, console: &Console) -> Result<(), CommandError> {
    let extent = match (options.teardown, &options.balancer_command) {
        (TeardownExtent::LoadBalancer, _) => Extent::LoadBalancer,
        (TeardownExtent::All, _) | (TeardownExtent::Off, Some(_)) => Extent::All,
        (TeardownExtent::Off, None) => {
            let reason = "--teardown off forbids down to delete the load balancer; give all or load-balancer, or a \
                          --balancer-command that destroys it";
            return Err(CommandError::Usage(reason.to_owned()));
        }
    };
    if options.when_unused.is_some() && options.counting.no_usage {
        let reason = "--when-unused needs the usage; give one of --when-unused and --no-usage";
        return Err(CommandError::Usage(reason.to_owned()));
    }
    let recorder = options.record.start("down")?;
    let sdk = connect_recorded(&settings.connection, console.log(), recorder.as_ref()).await?;
    let spec = Spec {
        extent,
        hold_policy: if options.force { HoldPolicy::Release } else { HoldPolicy::Respect },
        call_policy: call_policy(options),
        usage: options.counting.policy(),
        costs: Model {
            hourly: options.hourly_price,
            idle_monthly: options.idle_monthly_price,
            kept_monthly: options.kept_monthly_price,
            ..options.prices.model(sdk.region().map(AsRef::as_ref))
        },
        drain_limit: options.drain_timeout,
        teardown_limit: options.teardown_timeout,
    };
    let command = options.balancer_command.as_ref();
    let command = command.map(|line| Arc::new(Process::shell(line)) as Arc<dyn LoadBalancerCommand>);
    let output = options.output.output;
    let owner_tag = &options.owner.owner_tag;
    // The tasks are about to stop, so their number is nothing to report.
    let allow_several_bridges = true;
    let request = Request { settings, console, verb: Verb::Down, owner_tag, allow_several_bridges, command, output };
    let mut down = Down::new(request.context(&sdk)?, spec);
    if options.dry_run.dry_run {
        let began = Instant::now();
        return request.print_steps(down.dry_run().await, began);
    }
    let phases = request.execute(&mut down).await?;
    let report = down.report(phases);
    match output {
        OutputFormat::Json => print(&report),
        OutputFormat::Text => Ok(writeln!(std::io::stdout(), "{}", report.cost.lines().join("\n"))?),
    }
}

fn call_policy(options: &DownOptions) -> CallPolicy {
    match (options.now, options.when_unused) {
        (true, _) => CallPolicy::CutOff,
        (false, Some(limit)) => CallPolicy::AwaitEnd(limit),
        (false, None) => CallPolicy::Respect,
    }
}

#[cfg(test)]
mod tests {
    use super::super::command_line::{Command, parse};
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<CallPolicy, clap::Error> {
        let words = ["jvb-watcher", "down"].iter().chain(arguments);
        match parse(words.map(Into::into), |_| None)? {
            Command::Down(options) => Ok(call_policy(&options)),
            other => panic!("another command: {other:?}"),
        }
    }

    #[test]
    fn the_options_choose_the_response_to_callers() {
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        for (arguments, expected) in [
            (&[][..], CallPolicy::Respect),
            (&["--force"], CallPolicy::Respect),
            (&["--now"], CallPolicy::CutOff),
            (&["--when-unused"], CallPolicy::AwaitEnd(hours(12))),
            (&["--when-unused=2h"], CallPolicy::AwaitEnd(hours(2))),
            (&["--when-unused", "--dry-run"], CallPolicy::AwaitEnd(hours(12))),
        ] {
            assert_eq!(parsed(arguments).expect("valid options"), expected, "{arguments:?}");
        }
        for wrong in [&["--now", "--when-unused"][..], &["--when-unused", "2h"], &["--when-unused=0s"]] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }
}
