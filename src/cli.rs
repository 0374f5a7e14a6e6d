//! The command line: commands and options.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser, Resettable};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::operations::cost::Prices;
use crate::telemetry::log::Level;
use jvb_watcher_rules::plan::{OwnerTag, Teardown};

/// The shortest time that any option takes.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest time that any option takes.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Keeps an on-demand network load balancer true to an ECS service.
///
/// It registers the addresses of the service's running tasks in the target groups behind the load balancer, deregisters
/// those of stopped ones, and tears the load balancer down when the service has scaled to zero.
#[derive(Debug, Parser)]
#[command(
    name = "jvb-watcher",
    version,
    after_help = "A flag goes before its variable, a variable before its default; an empty variable counts as unset. \
                  Durations are written like 90s, 15m or \"1h 30m\".\n\n\
                  Exit status: 0 done, 1 failed, 2 wrong use or configuration, 3 findings (status)."
)]
pub struct Cli {
    /// What to watch, and how to say so.
    #[command(flatten)]
    pub options: Options,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watches: takes events from the queue, and looks by the clock, until told to stop
    Run(RunOptions),
    /// The same as a function on AWS Lambda, called with the queue's messages and by a schedule; the default there
    #[cfg(feature = "lambda")]
    Lambda(WatchOptions),
    /// Looks once, registers and deregisters what is wrong, and exits; never touches the load balancer itself
    Reconcile(ReconcileOptions),
    /// Create the load balancer, scale the service up, and wait until clients can connect
    Up(UpOptions),
    /// Scale the service to zero, delete the load balancer, and print the cost of the run
    Down(DownOptions),
    /// Keep the load balancer from being deleted for a time, or release the hold
    Hold(HoldOptions),
    /// Is it well? Shows service, tasks, targets, load balancer, queue, and what the watcher would do; changes nothing
    Status(StatusOptions),
    /// Is it wired up? Checks credentials, queue, rule, service, load balancer and permissions, one line each
    Doctor(DoctorOptions),
    /// Asks a worker that runs with --listen whether it is healthy; needs no other option
    Health(HealthOptions),
    /// Serves a small AWS on this machine's loopback, to try things out on; needs no account and no other option
    #[cfg(feature = "sandbox")]
    Sandbox(SandboxOptions),
    /// Plays an evening on a small AWS of its own, with the real watcher; needs no account and no other option
    #[cfg(feature = "sandbox")]
    Demo(DemoOptions),
    /// Makes a page of the watcher's own log: each day, and what it all comes to; needs no other option
    #[cfg(feature = "report")]
    Report(ReportOptions),
    /// Prints what completes this program's commands and options in a shell
    #[cfg(feature = "manual")]
    Completions(CompletionsOptions),
    /// Prints the man page
    #[cfg(feature = "manual")]
    Man(ManOptions),
}

/// The options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "What to watch, and how to say so")]
pub struct Options {
    /// The project's name, from which the other names derive [also env: JITSI_PROJECT]
    #[arg(long, global = true, env = "JVB_WATCHER_PROJECT", value_name = "NAME")]
    pub project: Option<String>,
    /// The ECS cluster, by name or ARN [also env: JITSI_CLUSTER] [default: PROJECT-cluster]
    #[arg(long, global = true, env = "JVB_WATCHER_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,
    /// The ECS service [also env: JITSI_SERVICE] [default: PROJECT-service]
    #[arg(long, global = true, env = "JVB_WATCHER_SERVICE", value_name = "NAME")]
    pub service: Option<String>,
    /// The network load balancer [also env: JITSI_NLB] [default: PROJECT-jvb-nlb]
    #[arg(long, global = true, env = "JVB_WATCHER_LOAD_BALANCER", value_name = "NAME")]
    pub load_balancer: Option<String>,
    /// The SQS queue with the ECS Task State Change events [default: PROJECT-jvb-watcher]
    #[arg(long, global = true, env = "JVB_WATCHER_QUEUE", value_name = "NAME or URL")]
    pub queue: Option<String>,
    /// The AWS region [also env: JITSI_AWS_REGION] [default: as for the AWS CLI]
    #[arg(long, global = true, env = "JVB_WATCHER_REGION", value_name = "REGION")]
    pub region: Option<String>,
    /// The profile to take credentials from; SSO profiles work [also env: JITSI_AWS_PROFILE] [default: as for the AWS CLI]
    #[arg(long, global = true, env = "JVB_WATCHER_PROFILE", value_name = "NAME")]
    pub profile: Option<String>,
    /// One endpoint for all AWS services, to work with an emulator [also env: AWS_ENDPOINT_URL]
    #[arg(long, global = true, env = "JVB_WATCHER_ENDPOINT_URL", value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// How the log looks; auto is pretty on a terminal and JSON lines elsewhere
    #[arg(long, global = true, env = "JVB_WATCHER_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
    /// How much is logged; debug adds what the AWS SDK says
    #[arg(long, global = true, env = "JVB_WATCHER_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: Level,
}

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON lines elsewhere
    Auto,
    /// One JSON object a line
    Json,
    /// One sentence a line
    Pretty,
}

/// The rules to watch by: of `run`, `lambda` and `status`.
#[derive(Debug, Args)]
pub struct PolicyOptions {
    /// The longest time between two looks, when no event comes
    #[arg(long, env = "JVB_WATCHER_RESYNC_INTERVAL", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub resync_interval: Duration,
    /// How long the service must have been idle before the load balancer is deleted
    #[arg(long, env = "JVB_WATCHER_IDLE_GRACE", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub idle_grace: Duration,
    /// How old a load balancer must be to count as idle when nobody has ever used it
    #[arg(long, env = "JVB_WATCHER_UNUSED_GRACE", value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub unused_grace: Duration,
    /// The tag without which a load balancer is never deleted
    #[arg(long, env = "JVB_WATCHER_OWNER_TAG", value_name = "KEY=VALUE", default_value = "Lifecycle=on-demand", value_parser = owner_tag)]
    pub owner_tag: OwnerTag,
    /// How much of an idle load balancer is deleted
    #[arg(long, env = "JVB_WATCHER_TEARDOWN", value_name = "EXTENT", default_value = "all")]
    pub teardown: TeardownExtent,
}

/// The options of everything that watches: `run` and `lambda`.
#[derive(Debug, Args)]
pub struct WatchOptions {
    /// The rules to watch by.
    #[command(flatten)]
    pub policy: PolicyOptions,
    /// How often to check that events can arrive: that the rule is enabled, matches, and may send to the queue
    #[arg(long, env = "JVB_WATCHER_FEED_CHECK", value_name = "WHEN", default_value = "hourly")]
    pub feed_check: FeedCheck,
    /// Put events for others on this bus of EventBridge, by name or ARN: targets registered and deregistered, load
    /// balancers torn down, findings [default: none]
    #[arg(long, env = "JVB_WATCHER_PUBLISH_EVENTS", value_name = "BUS", value_parser = event_bus)]
    pub publish_events: Option<String>,
    /// Which figures are published.
    #[command(flatten)]
    pub metrics: MetricsOptions,
}

/// How often to check that events can arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FeedCheck {
    /// At the start, and every hour
    Hourly,
    /// Never: for a queue that something other than a rule of the default event bus fills
    Off,
}

/// The options of `run`.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// How to watch.
    #[command(flatten)]
    pub watch: WatchOptions,
    /// Stop, with exit status 0, once the queue is empty and nothing is left to do
    #[arg(long, env = "JVB_WATCHER_EXIT_WHEN_EMPTY", value_parser = BoolishValueParser::new())]
    pub exit_when_empty: bool,
    /// Serve /healthz, /readyz and /metrics over HTTP on this address, like 127.0.0.1:8081 or [::]:8081 [default: nowhere]
    #[arg(long, env = "JVB_WATCHER_LISTEN", value_name = "ADDRESS:PORT", value_parser = socket_address)]
    pub listen: Option<SocketAddr>,
}

/// The options of what publishes figures.
#[derive(Debug, Args)]
pub struct MetricsOptions {
    /// Lines for CloudWatch among the log's, when those are JSON
    #[arg(long, env = "JVB_WATCHER_METRICS", value_name = "FORMAT", default_value = "emf")]
    pub metrics: MetricsFormat,
    /// The CloudWatch namespace of the metrics
    #[arg(long, env = "JVB_WATCHER_METRICS_NAMESPACE", value_name = "NAME", default_value = "jvb-watcher", value_parser = metrics_namespace)]
    pub metrics_namespace: String,
}

/// How figures are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MetricsFormat {
    /// CloudWatch's embedded metric format
    Emf,
    /// Not at all
    Off,
}

/// The options of `health`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 healthy, 1 not healthy or not to be reached within two seconds, 2 wrong use.")]
pub struct HealthOptions {
    /// The address that the worker listens on; one of all addresses is asked on the loopback
    #[arg(long, env = "JVB_WATCHER_LISTEN", value_name = "ADDRESS:PORT", value_parser = socket_address)]
    pub listen: SocketAddr,
}

/// How much of an idle load balancer is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TeardownExtent {
    /// The load balancer, its listeners and its target groups
    All,
    /// The load balancer and its listeners; the target groups stay
    LoadBalancer,
    /// Nothing: an idle load balancer is reported only
    Off,
}

impl TeardownExtent {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::LoadBalancer => "load-balancer",
            Self::Off => "off",
        }
    }
}

impl From<TeardownExtent> for Teardown {
    fn from(extent: TeardownExtent) -> Self {
        match extent {
            TeardownExtent::All => Self::All,
            TeardownExtent::LoadBalancer => Self::LoadBalancer,
            TeardownExtent::Off => Self::Off,
        }
    }
}

/// The options of `reconcile`.
#[derive(Debug, Args)]
pub struct ReconcileOptions {
    /// Print what would be registered and deregistered, and change nothing; goes before --wait-healthy
    #[arg(long, env = "JVB_WATCHER_DRY_RUN", value_parser = BoolishValueParser::new())]
    pub dry_run: bool,
    /// Wait until every desired task serves and is healthy in every target group; fail after this time
    #[arg(long, env = "JVB_WATCHER_WAIT_HEALTHY", value_name = "DURATION", value_parser = duration)]
    pub wait_healthy: Option<Duration>,
}

const UP_EXIT_STATUS: &str = "Exit status: 0 clients can connect, 1 failed, 2 wrong usage or configuration, \
                              130 interrupted.";

const UP_LONG_HELP: &str =
    "A failure says in which phase, why, in which state everything is, and how to continue. The \
                            same command, run again, continues.

Without --balancer-command, the load balancer is created by:
  terraform -chdir=DIR apply -target=module.jvb_nlb -auto-approve

Examples:
  jvb-watcher up --project jitsi --terraform-dir infra
  jvb-watcher up --project jitsi --terraform-dir infra --verify-url https://meet.example.org
  jvb-watcher up --project jitsi --terraform-dir infra --dry-run

Exit status: 0 clients can connect, 1 failed, 2 wrong usage or configuration, 130 interrupted.";

/// The options of `up`.
#[derive(Debug, Args)]
#[command(after_help = UP_EXIT_STATUS, after_long_help = UP_LONG_HELP)]
pub struct UpOptions {
    /// The service's desired count; a higher one stays
    #[arg(long, env = "JVB_WATCHER_DESIRED", value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=5000))]
    pub desired: i32,
    /// The terraform configuration whose module jvb_nlb creates the load balancer, unless it exists
    #[arg(long, env = "JVB_WATCHER_TERRAFORM_DIR", value_name = "DIR")]
    pub terraform_dir: Option<PathBuf>,
    /// A shell command that creates the load balancer, in place of --terraform-dir
    #[arg(long, env = "JVB_WATCHER_UP_COMMAND", value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    pub balancer_command: Option<String>,
    /// A URL (https or http) that must answer with a status below 400 in the end
    #[arg(long, env = "JVB_WATCHER_VERIFY_URL", value_name = "URL", value_parser = url)]
    pub verify_url: Option<http::Uri>,
    /// Limit for creating the load balancer
    #[arg(long, env = "JVB_WATCHER_MAKE_TIMEOUT", value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub make_timeout: Duration,
    /// Limit until the load balancer is active
    #[arg(long, env = "JVB_WATCHER_ACTIVE_TIMEOUT", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub active_timeout: Duration,
    /// Limit until the desired number of tasks serve
    #[arg(long, env = "JVB_WATCHER_SERVING_TIMEOUT", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub serving_timeout: Duration,
    /// Limit until every serving task is registered
    #[arg(long, env = "JVB_WATCHER_REGISTERED_TIMEOUT", value_name = "DURATION", default_value = "3m", value_parser = duration)]
    pub registered_timeout: Duration,
    /// Limit until every target is healthy
    #[arg(long, env = "JVB_WATCHER_HEALTHY_TIMEOUT", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub healthy_timeout: Duration,
    /// Limit until the URL of --verify-url answers
    #[arg(long, env = "JVB_WATCHER_ANSWER_TIMEOUT", value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub answer_timeout: Duration,
    /// The tag without which a load balancer is neither held nor deleted
    #[arg(long, env = "JVB_WATCHER_OWNER_TAG", value_name = "KEY=VALUE", default_value = "Lifecycle=on-demand", value_parser = owner_tag)]
    pub owner_tag: OwnerTag,
    /// Output and dry run.
    #[command(flatten)]
    pub result: ResultOptions,
}

const DOWN_EXIT_STATUS: &str = "Exit status: 0 everything is deleted, 1 failed, 2 wrong usage or configuration, \
                                130 interrupted.";

const DOWN_LONG_HELP: &str = "A failure says in which phase, why, in which state everything is, and how to continue. \
                              The same command, run again, continues.

Examples:
  jvb-watcher down --project jitsi
  jvb-watcher down --project jitsi --force
  jvb-watcher down --project jitsi --balancer-command 'terraform -chdir=infra destroy -target=module.jvb_nlb -auto-approve'

Exit status: 0 everything is deleted, 1 failed, 2 wrong usage or configuration, 130 interrupted.";

/// The options of `down`.
#[derive(Debug, Args)]
#[command(after_help = DOWN_EXIT_STATUS, after_long_help = DOWN_LONG_HELP)]
pub struct DownOptions {
    /// A shell command that destroys the load balancer [default: delete it by AWS's API]
    #[arg(long, env = "JVB_WATCHER_DOWN_COMMAND", value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    pub balancer_command: Option<String>,
    /// How much of the load balancer is deleted
    #[arg(long, env = "JVB_WATCHER_TEARDOWN", value_name = "EXTENT", default_value = "all")]
    pub teardown: TeardownExtent,
    /// Delete the load balancer even if an operator holds it
    #[arg(long)]
    pub force: bool,
    /// Limit until every task has stopped
    #[arg(long, env = "JVB_WATCHER_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub drain_timeout: Duration,
    /// Limit until the load balancer is deleted
    #[arg(long, env = "JVB_WATCHER_TEARDOWN_TIMEOUT", value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub teardown_timeout: Duration,
    /// The tag without which a load balancer is never deleted
    #[arg(long, env = "JVB_WATCHER_OWNER_TAG", value_name = "KEY=VALUE", default_value = "Lifecycle=on-demand", value_parser = owner_tag)]
    pub owner_tag: OwnerTag,
    /// The cost of an hour with the load balancer, in US dollars
    #[arg(long, env = "JVB_WATCHER_HOURLY_PRICE", value_name = "DOLLARS", default_value_t = Prices::default().hourly, value_parser = price)]
    pub hourly_price: f64,
    /// The cost of an idle month without the load balancer, in US dollars
    #[arg(long, env = "JVB_WATCHER_IDLE_MONTHLY_PRICE", value_name = "DOLLARS", default_value_t = Prices::default().idle_monthly, value_parser = price)]
    pub idle_monthly_price: f64,
    /// The cost of an idle month with the load balancer, in US dollars
    #[arg(long, env = "JVB_WATCHER_KEPT_MONTHLY_PRICE", value_name = "DOLLARS", default_value_t = Prices::default().kept_monthly, value_parser = price)]
    pub kept_monthly_price: f64,
    /// Output and dry run.
    #[command(flatten)]
    pub result: ResultOptions,
}

/// The output options of `up` and `down`.
#[derive(Debug, Args)]
pub struct ResultOptions {
    /// The format of the result on standard output; progress goes to standard error
    #[arg(short, long, env = "JVB_WATCHER_OUTPUT", value_name = "FORMAT", default_value = "text")]
    pub output: ResultFormat,
    /// Print the steps, and change nothing
    #[arg(short = 'n', long, env = "JVB_WATCHER_DRY_RUN", value_parser = BoolishValueParser::new())]
    pub dry_run: bool,
}

/// The format of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResultFormat {
    /// Text
    #[value(alias = "table")]
    Text,
    /// One JSON object
    Json,
}

/// The options of `status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 well, 1 failed, 2 wrong use, 3 not well (findings, or work that is overdue); a hold in \
                        force is well. With --watch: that of the last status after q, 130 after Ctrl-C."
)]
pub struct StatusOptions {
    /// The rules that the watcher goes by.
    #[command(flatten)]
    pub policy: PolicyOptions,
    /// How it looks
    #[arg(long, env = "JVB_WATCHER_OUTPUT", value_name = "FORMAT", default_value = "table")]
    pub output: OutputFormat,
    /// Refresh every five seconds, until q or Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// What the platform costs an hour while its load balancer is there, in US dollars
    #[arg(long, env = "JVB_WATCHER_HOURLY_PRICE", value_name = "DOLLARS", default_value = "0.19", value_parser = price)]
    pub hourly_price: f64,
}

/// The options of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 nothing failed, 1 a check failed, 2 wrong use.")]
pub struct DoctorOptions {
    /// The tag without which a load balancer is never deleted
    #[arg(long, env = "JVB_WATCHER_OWNER_TAG", value_name = "KEY=VALUE", default_value = "Lifecycle=on-demand", value_parser = owner_tag)]
    pub owner_tag: OwnerTag,
    /// How it looks
    #[arg(long, env = "JVB_WATCHER_OUTPUT", value_name = "FORMAT", default_value = "table")]
    pub output: OutputFormat,
}

/// How an answer looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Tables for a person, 80 columns wide
    #[value(alias = "text")]
    Table,
    /// One JSON object
    Json,
}

const HOLD_EXIT_STATUS: &str =
    "Exit status: 0 the load balancer is held, or released; 1 failed; 2 wrong usage or configuration.";

const HOLD_LONG_HELP: &str = "A longer hold stays: to shorten one, first release it.

Examples:
  jvb-watcher hold --project jitsi 2h
  jvb-watcher hold --project jitsi --release

Exit status: 0 the load balancer is held, or released; 1 failed; 2 wrong usage or configuration.";

/// The options of `hold`.
#[derive(Debug, Args)]
#[command(after_help = HOLD_EXIT_STATUS, after_long_help = HOLD_LONG_HELP)]
pub struct HoldOptions {
    /// How long from now, e.g. 2h; a day at most
    #[arg(value_name = "DURATION", value_parser = duration, required_unless_present = "release", conflicts_with = "release")]
    pub time: Option<Duration>,
    /// Release the hold, whoever placed it
    #[arg(long)]
    pub release: bool,
    /// The tag without which a load balancer is never deleted
    #[arg(long, env = "JVB_WATCHER_OWNER_TAG", value_name = "KEY=VALUE", default_value = "Lifecycle=on-demand", value_parser = owner_tag)]
    pub owner_tag: OwnerTag,
}

/// The options of `sandbox`.
#[cfg(feature = "sandbox")]
#[derive(Debug, Args)]
pub struct SandboxOptions {
    /// The port on 127.0.0.1; 0 is any free one
    #[arg(long, value_name = "PORT", default_value_t = 4566)]
    pub port: u16,
    /// A file that says what happens when; see fixtures/scenarios
    #[arg(long, value_name = "FILE", conflicts_with = "empty")]
    pub scenario: Option<PathBuf>,
    /// How many times faster than on AWS everything goes that takes its time there [default: the scenario's, or 1]
    #[arg(long, value_name = "FACTOR", value_parser = time_scale)]
    pub time_scale: Option<f64>,
    /// Begin with nothing; else a cluster, a service with no tasks, a queue and an event rule are there
    #[arg(long)]
    pub empty: bool,
    /// What the randomness begins from: with the same seed, the same ids and faults
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
}

/// The options of `demo`.
#[cfg(feature = "sandbox")]
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 when the small AWS itself shows that the watcher did its whole job, 1 when not, \
                        2 wrong use or a bad scenario, 130 when stopped before the end (Ctrl-C, SIGTERM or q)."
)]
pub struct DemoOptions {
    /// Play what this file says instead; see fixtures/scenarios
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Print the summary as one JSON object on standard output, and everything else on standard error
    #[arg(long)]
    pub json: bool,
    /// Leave the small AWS running afterwards, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// What the randomness begins from: with the same seed, the same ids and faults
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
}

/// The options of `report`.
#[cfg(feature = "report")]
#[derive(Debug, Args)]
#[command(after_help = "Other programs' lines among the watcher's do no harm; they are counted on the page.\n\n\
                        Exit status: 0 done, 1 no line of a watcher's, or a broken log, 2 wrong use.")]
pub struct ReportOptions {
    /// The watcher's logs, as JSON lines, plain or compressed by gzip; - is standard input, as is none
    #[arg(value_name = "LOGFILE")]
    pub logs: Vec<PathBuf>,
    /// Where to write the page [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What an hour costs in which a balancer is up, with all else that is then, in US dollars
    #[arg(long, value_name = "DOLLARS", default_value = "0.19", value_parser = price)]
    pub hourly_price: f64,
    /// What a month costs in which nothing is up, in US dollars
    #[arg(long, value_name = "DOLLARS", default_value = "0.73", value_parser = price)]
    pub idle_monthly_price: f64,
    /// Price of a month of always-on operation, in US dollars
    /// [default: 730 hours at the hourly price, plus the idle month]
    #[arg(long, value_name = "DOLLARS", value_parser = price)]
    pub always_on_monthly_price: Option<f64>,
}

/// The options of `completions`.
#[cfg(feature = "manual")]
#[derive(Debug, Args)]
#[command(
    after_help = "For bash: jvb-watcher completions bash > ~/.local/share/bash-completion/completions/jvb-watcher"
)]
pub struct CompletionsOptions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// The options of `man`.
#[cfg(feature = "manual")]
#[derive(Debug, Args)]
#[command(after_help = "To read it: jvb-watcher man | man -l -")]
pub struct ManOptions {
    /// Write the page of every command into this directory, in place of the program's alone on standard output
    #[arg(long, value_name = "DIRECTORY")]
    pub all: Option<PathBuf>,
}

impl Cli {
    /// Reads a command line, with the environment behind it. Where AWS Lambda has started the program, it is a function
    /// unless told otherwise.
    ///
    /// # Errors
    ///
    /// What is wrong with it; also a call for help, or for the version.
    pub fn read(
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl Fn(&str) -> Option<String> + Copy,
    ) -> Result<Self, clap::Error> {
        let command = with_environment(Self::command(), environment);
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let matches = match command.clone().try_get_matches_from(&arguments) {
            Err(error) if lacks_command(&error) && is_on_lambda(environment) => {
                command.try_get_matches_from(arguments.into_iter().chain(["lambda".into()]))
            }
            matches => matches,
        };
        Self::from_arg_matches(&matches?)
    }
}

/// Lambda gives it to every function; nobody else has it.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// Whether AWS Lambda has started the program, and it can be a function.
fn is_on_lambda(environment: impl Fn(&str) -> Option<String>) -> bool {
    cfg!(feature = "lambda") && environment(RUNTIME_API).is_some_and(|address| !address.is_empty())
}

fn lacks_command(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)
}

/// Takes empty variables for unset, as all of AWS's tools do; and shows the variables' names, not their values, in the
/// help.
fn with_environment(command: clap::Command, environment: impl Fn(&str) -> Option<String> + Copy) -> clap::Command {
    let is_empty = move |arg: &clap::Arg| {
        let variable = arg.get_env().and_then(|name| name.to_str());
        variable.and_then(environment).is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg.hide_env_values(true) })
        .mut_subcommands(|subcommand| with_environment(subcommand, environment))
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 90s or 15m"))?;
    if !(SHORTEST..=LONGEST).contains(&duration) {
        return Err("it must be from 1s to 24h".to_owned());
    }
    Ok(duration)
}

fn url(text: &str) -> Result<http::Uri, String> {
    let url: http::Uri = text.parse().map_err(|error| format!("{error}; write it like https://meet.example.org"))?;
    match (url.scheme_str(), url.host()) {
        (Some("https" | "http"), Some(_)) => Ok(url),
        _ => Err("write it like https://meet.example.org".to_owned()),
    }
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write it as an IP address and a port, like 127.0.0.1:8081 or [::1]:8081".to_owned())
}

fn price(text: &str) -> Result<f64, String> {
    let price: f64 = text.parse().map_err(|_| "write it as a number, like 0.19".to_owned())?;
    // NaN is in no range.
    if !(0.0..=1e6).contains(&price) {
        return Err("it must be from 0 to 1000000".to_owned());
    }
    Ok(price)
}

#[cfg(feature = "sandbox")]
fn time_scale(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| "write it as a number, like 10 or 0.5".to_owned())?;
    // A year within a third of a second, or a second within a quarter of an hour: beyond that lie only mistakes.
    if !(0.001..=1e8).contains(&factor) {
        return Err("it must be from 0.001 to 100000000".to_owned());
    }
    Ok(factor)
}

/// Tags take keys of up to 128 characters and values of up to 256 (see AWS's tagging reference).
fn owner_tag(text: &str) -> Result<OwnerTag, String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE, like Lifecycle=on-demand")?;
    match (key.chars().count(), value.chars().count()) {
        (0, _) => Err("the key is empty; write it as KEY=VALUE, like Lifecycle=on-demand".to_owned()),
        (1..=128, 0..=256) => Ok(OwnerTag { key: key.to_owned(), value: value.to_owned() }),
        _ => Err("a tag's key has at most 128 characters and its value at most 256".to_owned()),
    }
}

/// CloudWatch takes namespaces of up to 255 characters of a few kinds, and keeps those that begin with `AWS/` for itself
/// (see "Namespaces" in its user guide).
fn metrics_namespace(text: &str) -> Result<String, String> {
    let made_well = text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_/#:".contains(c));
    if !made_well || !(1..=255).contains(&text.len()) {
        return Err("it must be made of 1 to 255 letters, digits and the characters . - _ / # :".to_owned());
    }
    if text.starts_with("AWS/") || text.starts_with(':') {
        return Err("it must not begin with AWS/, which is AWS's own, nor with a colon".to_owned());
    }
    Ok(text.to_owned())
}

/// A bus by its name or its ARN (see EventBusName of PutEvents in EventBridge's API reference).
fn event_bus(text: &str) -> Result<String, String> {
    let name = match text.strip_prefix("arn:") {
        Some(arn) => arn.split_once(":event-bus/").map(|(_, name)| name).unwrap_or_default(),
        None => text,
    };
    let made_well = name.chars().all(|c| c.is_ascii_alphanumeric() || "/.-_".contains(c));
    if made_well && (1..=256).contains(&name.len()) {
        Ok(text.to_owned())
    } else {
        Err("it must be the name of an event bus (letters, digits and the characters / . - _) or its ARN".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::read(arguments.iter().map(Into::into), |_| None)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_may_stand_before_and_after_the_command() {
        for arguments in [["jvb-watcher", "--project", "p", "run"], ["jvb-watcher", "run", "--project", "p"]] {
            let cli = read(&arguments).expect("a good command line");
            assert_eq!(cli.options.project.as_deref(), Some("p"));
        }
    }

    #[test]
    fn durations_have_bounds_and_say_so() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        for (wrong, says) in [("0s", "from 1s to 24h"), ("2days", "from 1s to 24h"), ("90", "90s"), ("", "90s")] {
            let message = duration(wrong).expect_err(wrong);
            assert!(message.contains(says), "{wrong:?} gives {message:?}");
        }
    }

    #[test]
    fn a_price_is_a_number_of_dollars() {
        assert_eq!(price("0.0225"), Ok(0.0225));
        for wrong in ["$1", "", "-0.1", "NaN", "inf", "1e7"] {
            assert!(price(wrong).is_err(), "{wrong}");
        }
    }

    #[cfg(feature = "sandbox")]
    #[test]
    fn the_sandbox_runs_without_any_option() {
        let Command::Sandbox(options) = read(&["jvb-watcher", "sandbox"]).expect("a good command line").command else {
            panic!("another command")
        };
        assert_eq!((options.port, options.time_scale, options.empty), (4566, None, false));
        assert_eq!(time_scale("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "inf", "NaN", "1e9", "fast", ""] {
            assert!(time_scale(wrong).is_err(), "{wrong}");
        }
    }

    #[cfg(feature = "lambda")]
    #[test]
    fn on_lambda_it_is_a_function_unless_told_otherwise() {
        let on_lambda = |name: &str| (name == RUNTIME_API).then(|| "127.0.0.1:9001".to_owned());
        for arguments in [vec!["bootstrap"], vec!["bootstrap", "--project", "p"]] {
            let arguments = || arguments.iter().map(Into::into);
            let cli = Cli::read(arguments(), on_lambda).expect("a good command line");
            assert!(matches!(cli.command, Command::Lambda(_)));
            assert!(Cli::read(arguments(), |_| None).is_err(), "elsewhere a command is needed");
        }
        let told = Cli::read(["jvb-watcher", "reconcile"].map(Into::into), on_lambda).expect("a good command line");
        assert!(matches!(told.command, Command::Reconcile(_)));
    }

    #[test]
    fn an_address_to_listen_on_has_a_port() {
        for address in ["127.0.0.1:8081", "[::]:8081", "0.0.0.0:0"] {
            assert!(socket_address(address).is_ok(), "{address}");
        }
        for wrong in ["8081", ":8081", "localhost:8081", "127.0.0.1", "::1:8081x", "127.0.0.1:65536"] {
            let message = socket_address(wrong).expect_err(wrong);
            assert!(message.contains("127.0.0.1:8081"), "{message}");
        }
    }

    #[cfg(not(feature = "sandbox"))]
    #[test]
    fn without_its_feature_there_is_no_sandbox() {
        for command in ["sandbox", "demo"] {
            let error = read(&["jvb-watcher", command]).expect_err("an unknown command");
            assert_eq!(error.kind(), clap::error::ErrorKind::InvalidSubcommand);
        }
    }

    #[test]
    fn a_namespace_is_one_that_cloudwatch_takes() {
        let longest = "n".repeat(255);
        for good in ["jvb-watcher", "Jitsi/JVB", "a.b_c#d:e", &longest] {
            assert_eq!(metrics_namespace(good).as_deref(), Ok(good));
        }
        for wrong in ["", "AWS/ECS", ":a", "a b", "jvb–watcher", &"n".repeat(256)] {
            assert!(metrics_namespace(wrong).is_err(), "{wrong}");
        }
        assert_eq!(metrics_namespace("AWSome").as_deref(), Ok("AWSome"));
    }

    #[test]
    fn an_owner_tag_is_a_key_and_a_value() {
        let tag = |key: &str, value: &str| OwnerTag { key: key.into(), value: value.into() };
        assert_eq!(owner_tag("Lifecycle=on-demand"), Ok(tag("Lifecycle", "on-demand")));
        assert_eq!(owner_tag("a=b=c"), Ok(tag("a", "b=c")));
        assert_eq!(owner_tag("a="), Ok(tag("a", "")));
        for wrong in ["Lifecycle", "=x", &format!("{}=x", "k".repeat(129)), &format!("k={}", "v".repeat(257))] {
            assert!(owner_tag(wrong).is_err(), "{wrong}");
        }
    }
}
