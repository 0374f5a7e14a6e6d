//! `status`: observes the platform and prints its status, once or repeatedly. Changes nothing.

use std::io::{self, Write};

use clap::Args;

use super::help::{Group, Help, USAGE_ERROR};
use super::options::prices::PriceOptions;
use super::options::values::price;
use super::options::{LogOptions, OutputFormat, OutputOptions, PlatformOptions, PolicyOptions, QueueOptions};
use super::settings::Settings;
use super::{CommandError, connect, policy};
use crate::aws::AwsError;
use crate::aws::client::{AwsEventSource, AwsPlatform};
use crate::aws::event_source::{EventSource, QueueDescription};
use crate::clock::Clock;
use crate::controller::context::Context;
use crate::controller::message::Hints;
use crate::controller::reconciler::{Reconciler, ReconcilerParts};
use crate::event_source;
use crate::status::{Snapshot, Status, text};
use crate::telemetry::log::Log;
use crate::text::Style;
use jvb_watcher_cost::Model;
use jvb_watcher_rules::finding::Finding;
use jvb_watcher_rules::plan::Policy;

mod watch;

/// The options of `status`.
#[derive(Debug, Args)]
pub struct StatusOptions {
    /// Refresh every five seconds; q ends it
    ///
    /// On a terminal, the status is clipped to the screen. After q, the exit status is that of the last observation.
    #[arg(short, long)]
    pub watch: bool,
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
        ("List the findings", "jvb-watcher status --project jitsi -o json | jq -r '.findings[].finding'"),
    ],
    exit_status: &[
        (0, "well; a hold in force and an announced stop are well"),
        (1, "a call failed"),
        USAGE_ERROR,
        (3, "not well: findings, overdue work, unhealthy targets or dead letters"),
        (130, "--watch ended by a signal, e.g. Ctrl-C"),
    ],
    see_also: &["doctor", "report", "run"],
};

/// Prints the status of the platform; with `--watch` again and again.
///
/// # Errors
///
/// Returns an error if the platform can't be observed, and [`CommandError::NotWell`] if it isn't well.
pub async fn status(
    settings: &Settings,
    options: &StatusOptions,
    log: &Log,
    no_color: Option<&str>,
) -> Result<(), CommandError> {
    let sdk = connect(&settings.connection, log).await?;
    let platform = AwsPlatform::new(&sdk);
    let clock = platform.clock();
    let policy = policy(&settings.scope, &settings.load_balancer, &options.policy)?;
    let context = Context::new(settings.scope.clone(), log.clone(), clock.clone());
    let reconciler = Reconciler::new(ReconcilerParts::new(platform, context, policy.clone()));
    let costs = Model { hourly: options.hourly_price, ..options.prices.model(sdk.region().map(AsRef::as_ref)) };
    let observer = Observer { settings, policy, costs, reconciler, event_source: AwsEventSource::new(&sdk) };
    let style = Style::of_stdout(no_color);
    if options.watch {
        return watch::watch(&observer, &*clock, options.output.output, style).await;
    }
    let status = observer.observe(&*clock).await?;
    print(&status, options.output.output, style)?;
    verdict(&status)
}

fn verdict(status: &Status) -> Result<(), CommandError> {
    if status.well { Ok(()) } else { Err(CommandError::NotWell) }
}

/// Observes the platform and its event source.
struct Observer<'a> {
    settings: &'a Settings,
    policy: Policy,
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

impl Observer<'_> {
    async fn observe(&self, clock: &dyn Clock) -> Result<Status, AwsError> {
        let hints = Hints::default();
        let (observed, reading) = tokio::join!(self.reconciler.observe(&hints), self.read_event_source());
        let observed = observed?;
        Ok(Status::new(&Snapshot {
            scope: &self.settings.scope,
            policy: &self.policy,
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
        let Settings { scope, queue, .. } = self.settings;
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

fn print(status: &Status, output: OutputFormat, style: Style) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match output {
        OutputFormat::Text => stdout.write_all(text(status, style).as_bytes())?,
        OutputFormat::Json => {
            serde_json::to_writer(&mut stdout, status)?;
            writeln!(stdout)?;
        }
    }
    stdout.flush()
}
