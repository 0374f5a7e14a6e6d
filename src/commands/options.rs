//! Options that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use jvb_watcher_rules::plan::{OwnerTag, Teardown};

use crate::aws::client::{RecordError, Recorder};
use crate::telemetry::log::Level;

pub mod fleet;
#[cfg(feature = "report")]
pub mod logs;
pub mod prices;
pub mod usage;
pub mod values;

use fleet::{FleetOptions, GivenValues};
use usage::UsageOptions;
use values::{duration, event_bus, idle_grace, metrics_namespace, owner_tag};

/// The names of a service and of its load balancer.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Platform")]
pub struct ServiceOptions {
    /// Project name, from which the other names derive
    ///
    /// [also env: JITSI_PROJECT]
    #[arg(long, env = "JVB_WATCHER_PROJECT", value_name = "NAME")]
    pub project: Option<String>,
    /// ECS cluster [default: PROJECT-cluster]
    ///
    /// A name or an ARN. [also env: JITSI_CLUSTER]
    #[arg(long, env = "JVB_WATCHER_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,
    /// ECS service [default: PROJECT-service]
    ///
    /// [also env: JITSI_SERVICE]
    #[arg(long, env = "JVB_WATCHER_SERVICE", value_name = "NAME")]
    pub service: Option<String>,
    /// Load balancer [default: PROJECT-jvb-nlb]
    ///
    /// [also env: JITSI_NLB]
    #[arg(long, env = "JVB_WATCHER_LOAD_BALANCER", value_name = "NAME")]
    pub load_balancer: Option<String>,
}

/// How to reach AWS.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Platform")]
pub struct ConnectionOptions {
    /// AWS region [default: as for the AWS CLI]
    ///
    /// [also env: JITSI_AWS_REGION]
    #[arg(long, env = "JVB_WATCHER_REGION", value_name = "REGION")]
    pub region: Option<String>,
    /// AWS profile [default: as for the AWS CLI]
    ///
    /// Profiles of IAM Identity Center (SSO) work after `aws sso login`. [also env: JITSI_AWS_PROFILE]
    #[arg(long, env = "JVB_WATCHER_PROFILE", value_name = "NAME")]
    pub profile: Option<String>,
    /// Endpoint of all AWS services, for an emulator
    ///
    /// [also env: AWS_ENDPOINT_URL]
    #[arg(long, env = "JVB_WATCHER_ENDPOINT_URL", value_name = "URL", hide_short_help = true)]
    pub endpoint_url: Option<String>,
}

/// The platform to work on, and how to reach AWS.
#[derive(Clone, Debug, Default, Args)]
pub struct PlatformOptions {
    /// The service and its load balancer.
    #[command(flatten)]
    pub service: ServiceOptions,
    /// The connection.
    #[command(flatten)]
    pub connection: ConnectionOptions,
}

/// The queue that EventBridge fills.
#[derive(Clone, Debug, Default, Args)]
pub struct QueueOptions {
    /// SQS queue [default: PROJECT-jvb-watcher]
    ///
    /// A name or a URL. An EventBridge rule fills it with the service's ECS Task State Change events.
    #[arg(long, env = "JVB_WATCHER_QUEUE", value_name = "QUEUE", help_heading = "Platform")]
    pub queue: Option<String>,
}

/// The format and the level of the log.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Log")]
pub struct LogOptions {
    /// Log format
    #[arg(long, env = "JVB_WATCHER_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
    /// Log level
    #[arg(long, env = "JVB_WATCHER_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: Level,
    /// Log errors only
    #[arg(short, long)]
    pub quiet: bool,
}

impl LogOptions {
    /// Returns the level, `--quiet` considered.
    pub fn level(&self) -> Level {
        if self.quiet { Level::Error } else { self.log_level }
    }
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON lines elsewhere
    Auto,
    /// One JSON object a line
    Json,
    /// One sentence a line
    Pretty,
}

/// The format of a result on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Text for people
    #[value(alias = "table")]
    Text,
    /// One JSON object
    Json,
}

/// The format of a result.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputOptions {
    /// Format of the result on standard output
    #[arg(short, long, env = "JVB_WATCHER_OUTPUT", value_name = "FORMAT", default_value = "text")]
    pub output: OutputFormat,
}

/// The switch between a dry run and a real run.
#[derive(Clone, Copy, Debug, Args)]
pub struct DryRunOptions {
    /// Print what would be done, and change nothing
    #[arg(short = 'n', long, env = "JVB_WATCHER_DRY_RUN", value_parser = BoolishValueParser::new())]
    pub dry_run: bool,
}

/// Whether the calls of AWS are recorded.
#[derive(Clone, Debug, Default, Args)]
pub struct RecordOptions {
    /// Record every AWS call in a file in DIR [default: none]
    ///
    /// With its answer and its times. Account ids, public addresses, tokens and all text that the watcher doesn't read are
    /// masked. `sandbox --replay DIR` compares the recording with the sandbox.
    #[arg(long, env = "JVB_WATCHER_RECORD", value_name = "DIR", help_heading = "Log", hide_short_help = true)]
    pub record: Option<PathBuf>,
}

impl RecordOptions {
    /// Begins the recording, if one is wanted. It ends when the recorder is dropped.
    ///
    /// # Errors
    ///
    /// The directory or the file can't be written.
    pub fn start(&self, command: &str) -> Result<Option<Recorder>, RecordError> {
        self.record.as_deref().map(|directory| Recorder::start(directory, command)).transpose()
    }
}

/// The tag that makes a load balancer the watcher's to delete.
#[derive(Clone, Debug, Args)]
pub struct OwnerTagOptions {
    /// Tag of load balancers to manage
    ///
    /// A load balancer without it is never held, marked or deleted.
    #[arg(long, env = "JVB_WATCHER_OWNER_TAG", value_name = "KEY=VALUE", default_value = "Lifecycle=on-demand", value_parser = owner_tag)]
    pub owner_tag: OwnerTag,
}

/// Whether a service may have several bridges behind one UDP listener.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct BridgeOptions {
    /// Allow several tasks behind one UDP listener
    ///
    /// One UDP listener can serve one bridge. Right only where each bridge advertises an address of its own.
    #[arg(long, env = "JVB_WATCHER_ALLOW_SEVERAL_BRIDGES", value_parser = BoolishValueParser::new(), hide_short_help = true)]
    pub allow_several_bridges: bool,
}

/// The rules by which the watcher decides: of `run`, `lambda` and `status`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Rules")]
pub struct PolicyOptions {
    /// Longest time between two reconciliations
    #[arg(long, env = "JVB_WATCHER_RESYNC_INTERVAL", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub resync_interval: Duration,
    /// Idle time before the load balancer is deleted, or until-paid-hour
    ///
    /// until-paid-hour: at least 60s, and then until three minutes before the end of an hour since the load balancer's
    /// creation. AWS bills an hour that has begun in full, so this costs only the load balancer's public address.
    #[arg(long, env = "JVB_WATCHER_IDLE_GRACE", value_name = "DURATION", default_value = "60s", value_parser = idle_grace)]
    pub idle_grace: IdleGrace,
    /// Age from which an unused load balancer is idle
    #[arg(long, env = "JVB_WATCHER_UNUSED_GRACE", value_name = "DURATION", default_value = "15m", value_parser = duration, hide_short_help = true)]
    pub unused_grace: Duration,
    /// The owner tag.
    #[command(flatten)]
    pub owner: OwnerTagOptions,
    /// Extent of the teardown
    ///
    /// The part of an idle load balancer that is deleted.
    #[arg(long, env = "JVB_WATCHER_TEARDOWN", value_name = "EXTENT", default_value = "all")]
    pub teardown: TeardownExtent,
    /// The bridges.
    #[command(flatten)]
    pub bridges: BridgeOptions,
    /// The usage.
    #[command(flatten)]
    pub usage: UsageOptions,
}

/// How long an idle load balancer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleGrace {
    /// For this long.
    For(Duration),
    /// For the default grace period, and then for the rest of the hour that is paid.
    UntilPaidHour,
}

impl IdleGrace {
    /// The default.
    pub const DEFAULT: Duration = Duration::from_secs(60);

    /// Returns the time that the load balancer is kept for at least.
    pub fn at_least(self) -> Duration {
        match self {
            Self::For(duration) => duration,
            Self::UntilPaidHour => Self::DEFAULT,
        }
    }
}

/// The extent of a teardown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TeardownExtent {
    /// The load balancer, its listeners and its target groups
    All,
    /// The load balancer and its listeners; the target groups stay
    LoadBalancer,
    /// Nothing: an idle load balancer is only reported
    Off,
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

/// The options of `run` and `lambda` for everything but reconciling.
#[derive(Clone, Debug, Args)]
pub struct WatchOptions {
    /// The options of a service that are given, as they are written. First, because the fields after it take their values
    /// out of the matches.
    #[command(flatten)]
    pub given: GivenValues,
    /// The platform.
    #[command(flatten)]
    pub platform: PlatformOptions,
    /// The queue.
    #[command(flatten)]
    pub queue: QueueOptions,
    /// The fleet.
    #[command(flatten)]
    pub fleet: FleetOptions,
    /// The rules.
    #[command(flatten)]
    pub policy: PolicyOptions,
    /// Queue checks
    ///
    /// The schedule of the checks of the queue, the rule that fills it, and its access policy.
    #[arg(
        long,
        env = "JVB_WATCHER_FEED_CHECK",
        value_name = "WHEN",
        default_value = "hourly",
        help_heading = "Watcher"
    )]
    pub feed_check: FeedCheck,
    /// The longest time by which an answer of ECS is assumed to lag. Hidden: the default is right on AWS, and 0s in a
    /// sandbox whose minutes pass in a second.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration, hide = true)]
    pub ecs_lag: Duration,
    /// EventBridge bus for events [default: none]
    ///
    /// A name or an ARN.
    #[arg(long, env = "JVB_WATCHER_PUBLISH_EVENTS", value_name = "BUS", value_parser = event_bus, help_heading = "Watcher")]
    pub publish_events: Option<String>,
    /// The metrics.
    #[command(flatten)]
    pub metrics: MetricsOptions,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
}

/// The schedule of the checks of the queue, its rule and its access policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FeedCheck {
    /// At the start, and every hour
    Hourly,
    /// Never: for a queue that is not filled by a rule of the default event bus
    Off,
}

/// The options for publishing metrics.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Watcher")]
pub struct MetricsOptions {
    /// Metrics in a JSON log
    #[arg(long, env = "JVB_WATCHER_METRICS", value_name = "FORMAT", default_value = "emf")]
    pub metrics: MetricsFormat,
    /// CloudWatch namespace of the metrics
    #[arg(long, env = "JVB_WATCHER_METRICS_NAMESPACE", value_name = "NAME", default_value = "jvb-watcher", value_parser = metrics_namespace, hide_short_help = true)]
    pub metrics_namespace: String,
}

/// The format of metrics in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MetricsFormat {
    /// CloudWatch's embedded metric format
    Emf,
    /// None
    Off,
}
