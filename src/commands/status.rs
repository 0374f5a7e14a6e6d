//! `status`: observes one service or many and prints their status, once or repeatedly. Changes nothing.

use std::io::{self, Write};

use clap::Args;

use super::fleet::WatchedService;
use super::fleet::view::{View, ViewOptions};
use super::help::{Group, Help, USAGE_ERROR};
use super::options::fleet::{FleetOptions, GivenValues};
use super::options::prices::PriceOptions;
use super::options::values::price;
use super::options::{LogOptions, OutputFormat, OutputOptions, PlatformOptions, PolicyOptions, QueueOptions};
use super::{CommandError, connect};
use crate::aws::AwsError;
use crate::aws::client::{AwsEventSource, AwsPlatform};
use crate::aws::event_source::{EventSource, QueueDescription};
use crate::clock::Clock;
use crate::controller::context::Context;
use crate::controller::message::Hints;
use crate::controller::reconciler::{Reconciler, ReconcilerParts};
use crate::event_source;
use crate::status::fleet::FleetStatus;
use crate::status::{Extent, Snapshot, Status, fleet_text, text};
use crate::telemetry::log::Log;
use crate::text::Style;
use fleet::FleetObserver;
use jvb_watcher_cost::Model;
use jvb_watcher_rules::finding::Finding;

mod fleet;
mod watch;

/// The options of `status`.
#[derive(Debug, Args)]
pub struct StatusOptions {
    /// The options of a service that are given, as they are written. First, because the fields after it take their values
    /// out of the matches.
    #[command(flatten)]
    pub given: GivenValues,
    /// Refresh every five seconds; q ends it
    ///
    /// On a terminal, the status is clipped to the screen. After q, the exit status is that of the last observation. Several
    /// services are observed every thirty seconds.
    #[arg(short, long)]
    pub watch: bool,
    /// List every service of a fleet, not only those that aren't well
    #[arg(short, long)]
    pub all: bool,
    /// The result.
    #[command(flatten)]
    pub output: OutputOptions,
    /// Cost of an hour in which the load balancer exists, in US dollars [default: the sum of its items]
    #[arg(long, env = "JVB_WATCHER_HOURLY_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub hourly_price: Option<f64>,
    /// The unit prices.
    #[command(flatten)]
    pub prices: PriceOptions,
    /// The platform.
    #[command(flatten)]
    pub platform: PlatformOptions,
    /// The queue.
    #[command(flatten)]
    pub queue: QueueOptions,
    /// The fleet.
    #[command(flatten)]
    pub fleet: FleetOptions,
    /// The rules of the watcher.
    #[command(flatten)]
    pub policy: PolicyOptions,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
}

/// The help of `status`.
pub const HELP: Help = Help {
    group: Group::Inspect,
    examples: &[
        ("Show the state of the platform", "jvb-watcher status --project jitsi"),
        ("Follow it during a call", "jvb-watcher status --project jitsi --watch"),
        ("Many services", "jvb-watcher status --config /etc/jvb-watcher.toml --queue jvb-watcher"),
    ],
    exit_status: &[
        (0, "well; a hold in force and an announced stop are well"),
        (1, "a call failed; of many services, one at least could not be observed"),
        USAGE_ERROR,
        (3, "not well: findings, overdue work, unhealthy targets or dead letters"),
        (130, "--watch ended by a signal, e.g. Ctrl-C"),
    ],
    see_also: &["doctor", "report", "run"],
};

impl StatusOptions {
    /// Returns the options that tell which services are shown.
    pub fn view(&self) -> ViewOptions<'_> {
        let Self { given, platform, queue, fleet, policy, .. } = self;
        ViewOptions { given, platform, queue, fleet, policy: Some(policy) }
    }
}

/// Prints the status of the platform, or of many services; with `--watch` again and again.
///
/// # Errors
///
/// Returns an error if something can't be observed, and [`CommandError::NotWell`] if something isn't well.
pub async fn status(
    view: &View,
    options: &StatusOptions,
    log: &Log,
    no_color: Option<&str>,
) -> Result<(), CommandError> {
    let sdk = connect(&view.watched.connection, log).await?;
    let platform = view.watched.connections(&sdk, log.clock());
    let clock = platform.clock();
    let costs = Model { hourly: options.hourly_price, ..options.prices.model(sdk.region().map(AsRef::as_ref)) };
    let event_source = AwsEventSource::new(&sdk);
    let found = view.read(platform.clone()).await;
    let queue = view.watched.queue.clone();
    let observer = match view.only(&found)? {
        Some(service) => {
            let context = Context::new(service.names.scope.clone(), log.clone(), clock.clone());
            let reconciler = Reconciler::new(ReconcilerParts::new(platform, context, service.policy.clone()));
            let service = service.clone();
            Observer::One(Box::new(OneObserver { service, queue, costs, reconciler, event_source }))
        }
        None => {
            let fleet = FleetObserver::new(platform, event_source, queue, costs, log.clone(), clock.clone());
            Observer::Fleet { view, fleet: Box::new(fleet) }
        }
    };
    let format = Formatting {
        output: options.output.output,
        extent: if options.all { Extent::All } else { Extent::NotWell },
        style: Style::of_stdout(no_color),
    };
    if options.watch {
        return watch::watch(&observer, &*clock, format).await;
    }
    // The list has just been read.
    let shown = match &observer {
        Observer::One(one) => Shown::One(Box::new(one.observe(&*clock).await?)),
        Observer::Fleet { fleet, .. } => Shown::Fleet(Box::new(fleet.observe(found).await)),
    };
    format.print(&shown)?;
    shown.verdict()
}

/// What is shown: the status of one service, or of several.
enum Shown {
    One(Box<Status>),
    Fleet(Box<FleetStatus>),
}

impl Shown {
    fn at(&self) -> jiff::Timestamp {
        match self {
            Self::One(status) => status.at,
            Self::Fleet(status) => status.at,
        }
    }

    fn verdict(&self) -> Result<(), CommandError> {
        let is_well = match self {
            Self::One(status) => status.well,
            Self::Fleet(status) if status.has_failures() => {
                return Err(CommandError::Failed("not everything could be observed".to_owned()));
            }
            Self::Fleet(status) => status.well,
        };
        if is_well { Ok(()) } else { Err(CommandError::NotWell) }
    }
}

/// The format of what is shown.
#[derive(Clone, Copy)]
struct Formatting {
    output: OutputFormat,
    extent: Extent,
    style: Style,
}

impl Formatting {
    fn text(self, shown: &Shown) -> String {
        match shown {
            Shown::One(status) => text(status, self.style),
            Shown::Fleet(status) => fleet_text(status, self.extent, self.style),
        }
    }

    fn print(self, shown: &Shown) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        match self.output {
            OutputFormat::Text => stdout.write_all(self.text(shown).as_bytes())?,
            OutputFormat::Json => {
                match shown {
                    Shown::One(status) => serde_json::to_writer(&mut stdout, status)?,
                    Shown::Fleet(status) => serde_json::to_writer(&mut stdout, status)?,
                }
                writeln!(stdout)?;
            }
        }
        stdout.flush()
    }
}

/// Observes what is shown.
enum Observer<'a> {
    One(Box<OneObserver>),
    Fleet { view: &'a View, fleet: Box<FleetObserver<AwsPlatform, AwsEventSource>> },
}

impl Observer<'_> {
    async fn observe(&self, clock: &dyn Clock) -> Result<Shown, AwsError> {
        match self {
            Self::One(one) => Ok(Shown::One(Box::new(one.observe(clock).await?))),
            Self::Fleet { view, fleet } => {
                let found = view.read(fleet.platform()).await;
                Ok(Shown::Fleet(Box::new(fleet.observe(found).await)))
            }
        }
    }
}

/// Observes one service and its event source.
struct OneObserver {
    service: WatchedService,
    queue: String,
    costs: Model,
    reconciler: Reconciler<AwsPlatform>,
    event_source: AwsEventSource,
}

/// The part of the event source that could be read.
#[derive(Default)]
struct EventSourceReading {
    queue: Option<QueueDescription>,
    dead_letter_queue: Option<QueueDescription>,
    findings: Vec<Finding>,
    unread: Vec<String>,
}

impl OneObserver {
    async fn observe(&self, clock: &dyn Clock) -> Result<Status, AwsError> {
        let hints = Hints::default();
        let (observed, reading) = tokio::join!(self.reconciler.observe(&hints), self.read_event_source());
        let observed = observed?;
        Ok(Status::new(&Snapshot {
            scope: &self.service.names.scope,
            policy: &self.service.policy,
            observation: &observed.observation,
            plan: &observed.plan,
            queue: reading.queue.as_ref(),
            dead_letter_queue: reading.dead_letter_queue.as_ref(),
            event_source_findings: &reading.findings,
            unread: &reading.unread,
            costs: &self.costs,
            now: clock.now(),
        }))
    }

    /// Reads the event source as far as the credentials allow: an operator who may read the service may lack the
    /// permissions for its queue and rule.
    async fn read_event_source(&self) -> EventSourceReading {
        let (scope, queue) = (&self.service.names.scope, &self.queue);
        let mut reading = EventSourceReading::default();
        match event_source::read(&self.event_source, scope, queue).await {
            Ok(state) => {
                reading.findings = event_source::findings(&state, queue);
                reading.queue = state.queue().cloned();
            }
            Err(error) => {
                reading.unread.push(error.with_remedy());
                // Reading the queue alone takes fewer permissions.
                match self.event_source.queue(queue).await {
                    Ok(queue) => reading.queue = queue,
                    Err(error) => reading.unread.push(error.with_remedy()),
                }
            }
        }
        let redrive_policy = reading.queue.as_ref().and_then(|queue| queue.redrive_policy.as_ref());
        if let Some(redrive_policy) = redrive_policy {
            match self.event_source.queue(redrive_policy.dead_letter_queue_name()).await {
                Ok(queue) => reading.dead_letter_queue = queue,
                Err(error) => reading.unread.push(error.with_remedy()),
            }
        }
        reading.unread.dedup();
        reading
    }
}
