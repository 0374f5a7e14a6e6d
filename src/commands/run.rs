//! `run`: the worker.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fleet::Watched;
use super::help::{Group, Help, USAGE_ERROR};
use super::options::values::socket_address;
use super::options::{FeedCheck, RecordOptions, WatchOptions};
use super::watch::Watch;
use super::{CommandError, connect_recorded, export, publisher};
use crate::aws::client::{SdkConfig, SqsQueue};
use crate::aws::{ErrorKind, Queue, QueueSettings};
use crate::controller::liveness::Liveness;
use crate::controller::worker::{CONCURRENCY, Lifetime, Timing, Worker, WorkerParts};
use crate::listen::{Listener, ServerState};
use crate::shutdown::{self, Shutdown, ShutdownOrder};
use crate::telemetry::log::{Event, Failure, Form, Log, StopReason};
use crate::telemetry::otlp::Otlp;

/// The options of `run`.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The options that `run` and `lambda` share.
    #[command(flatten)]
    pub watch: WatchOptions,
    /// Serve /healthz, /readyz, /metrics and a status page at / [default: nowhere]
    #[arg(long, env = "JVB_WATCHER_LISTEN", value_name = "ADDRESS:PORT", value_parser = socket_address, help_heading = "Watcher")]
    pub listen: Option<SocketAddr>,
    /// Exit once nothing is left to do
    ///
    /// The queue is empty, and no teardown is under way.
    #[arg(long, env = "JVB_WATCHER_EXIT_WHEN_EMPTY", value_parser = BoolishValueParser::new(), help_heading = "Watcher")]
    pub exit_when_empty: bool,
    /// The recording.
    #[command(flatten)]
    pub record: RecordOptions,
}

/// The help of `run`.
pub const HELP: Help = Help {
    group: Group::Run,
    examples: &[
        ("Run beside the platform \"jitsi\"", "jvb-watcher run --project jitsi --region eu-west-1"),
        ("From cron, at least every 50 minutes", "jvb-watcher run --project jitsi --exit-when-empty"),
        ("Many services", "jvb-watcher run --config /etc/jvb-watcher.toml --queue jvb-watcher"),
    ],
    exit_status: &[
        (0, "stopped by SIGTERM or SIGINT, or done (--exit-when-empty)"),
        (1, "--listen failed, or --exit-when-empty was not done after five minutes"),
        USAGE_ERROR,
    ],
    see_also: &["lambda", "status", "doctor", "health"],
};

/// The time limit for reading the queue's settings before the first reconciliation.
const SETTINGS_TIME: Duration = Duration::from_secs(10);

/// The time limit of a run with `--exit-when-empty`: runs from cron must not pile up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5 * 60);

/// The time limit for publishing the remaining events, and for the last export, after the worker has stopped.
const LAST_EVENTS: Duration = Duration::from_secs(3);

/// Runs the worker until a signal stops it, or, with `--exit-when-empty`, until nothing is left to do.
///
/// # Errors
///
/// Returns an error if the address of `--listen` can't be bound, or if the configuration is wrong: no credentials, no
/// region, or a queue that doesn't exist.
pub async fn run(watched: &Watched, options: &RunOptions, log: &Log) -> Result<(), CommandError> {
    let (order, shutdown) = shutdown::channel();
    order.on_signals()?;
    // Without a list to read again, the signal ends the process as usual.
    let hangups = watched.can_change().then(|| signal(SignalKind::hangup())).transpose()?;
    let recorder = options.record.start("run")?;
    let state = ServerState::new(Liveness::new(options.watch.policy.resync_interval));
    if let Some(address) = options.listen {
        listen(address, &state, log).await?;
    }
    let sdk = connect_recorded(&watched.connection, log, recorder.as_ref()).await?;
    let otlp = export(log)?;
    let run = Run { sdk: &sdk, watched, options, log, otlp: otlp.clone(), state, order, shutdown, hangups };
    let result = run.until_stopped().await;
    // If it failed before it began.
    otlp.stop(LAST_EVENTS).await;
    result
}

/// Starts the server of `--listen`.
async fn listen(address: SocketAddr, state: &ServerState, log: &Log) -> Result<(), CommandError> {
    let listener = Listener::bind(address).await.map_err(|error| {
        CommandError::Failed(match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("--listen: {address} is in use; give another port, or stop the process that uses it")
            }
            _ => format!("--listen: cannot listen on {address}: {error}"),
        })
    })?;
    log.emit(&Event::Listening { address: listener.address().to_string() });
    tokio::spawn(listener.serve(state.clone()));
    Ok(())
}

/// The worker over one connection to AWS.
pub(super) struct Run<'a> {
    /// The connection.
    pub(super) sdk: &'a SdkConfig,
    /// The services.
    pub(super) watched: &'a Watched,
    /// The options of `run`.
    pub(super) options: &'a RunOptions,
    /// The log.
    pub(super) log: &'a Log,
    /// The export to OpenTelemetry.
    pub(super) otlp: Otlp,
    /// The state that `--listen` serves.
    pub(super) state: ServerState,
    /// The order to stop, for the time limit of `--exit-when-empty`.
    pub(super) order: ShutdownOrder,
    /// The order to stop.
    pub(super) shutdown: Shutdown,
    /// The signals to read the list of the services again, if it can be.
    pub(super) hangups: Option<Signal>,
}

impl Run<'_> {
    /// Works until the shutdown is ordered.
    pub(super) async fn until_stopped(self) -> Result<(), CommandError> {
        let Self { sdk, watched, options, log, otlp, state, order, shutdown, hangups } = self;
        let began = Instant::now();
        let queue = SqsQueue::new(sdk, &watched.queue);
        let queue_settings = queue_settings(&queue, &watched.queue, &shutdown, log).await?;
        let publisher = publisher(sdk, &options.watch, log);
        // A run from cron ends before a check of the event source reports anything; its user has `doctor`.
        let feed_check = if options.exit_when_empty { FeedCheck::Off } else { options.watch.feed_check };
        let mut watch = Watch::new(sdk, watched, &options.watch, feed_check, log, &otlp);
        if options.listen.is_some() {
            state.show(watch.status_page(state.liveness().clone()));
        }
        if options.exit_when_empty {
            tokio::spawn(async move {
                tokio::time::sleep(GIVE_UP_AFTER).await;
                order.stop(StopReason::GaveUp);
            });
        }
        tokio::select! {
            // Without services the worker stops at once, too.
            _ = shutdown.begun() => {}
            () = watch.discover(state.liveness()) => {}
        }
        let reconcilers = watch.start(Form::Run);
        let context = watch.queue_context(&reconcilers);
        let (changes, changed) = mpsc::channel(1);
        let worker = Worker::new(WorkerParts {
            queue,
            queue_settings,
            context: context.clone(),
            reconcilers,
            changes: Some(changed),
            concurrency: CONCURRENCY,
            lifetime: if options.exit_when_empty { Lifetime::UntilEmpty } else { Lifetime::UntilStopped },
            shutdown,
            liveness: state.with_metrics(context.metrics.clone()),
            timing: Timing::default(),
        });
        let reason = tokio::select! {
            reason = worker.run() => reason,
            never = watch.keep(hangups, changes) => match never {},
        };
        let (counts, aws_calls) = watch.finish(&context);
        let publish = async {
            if let Some(publisher) = publisher {
                publisher.flush(LAST_EVENTS).await;
            }
        };
        tokio::join!(publish, otlp.stop(LAST_EVENTS));
        log.emit(&Event::WatcherStopped {
            reason,
            uptime_seconds: began.elapsed().as_secs(),
            messages: counts.messages,
            foreign: context.totals.get().foreign,
            reconciliations: counts.reconciliations,
            aws_calls,
        });
        match reason {
            StopReason::GaveUp => {
                let limit = humantime::format_duration(GIVE_UP_AFTER);
                Err(CommandError::Failed(format!(
                    "the queue is not empty, or a teardown is not complete, after {limit}; see poll_failed, \
                     reconcile_failed and discovery_failed in the log"
                )))
            }
            StopReason::Sigterm | StopReason::Sigint | StopReason::QueueEmpty => Ok(()),
        }
    }
}

/// Reads the queue's settings once. Only a queue that doesn't exist is a wrong configuration; without an answer the worker
/// reads them again between its reconciliations.
async fn queue_settings(
    queue: &SqsQueue,
    name: &str,
    shutdown: &Shutdown,
    log: &Log,
) -> Result<Option<QueueSettings>, CommandError> {
    let answer = tokio::select! {
        _ = shutdown.begun() => return Ok(None),
        answer = tokio::time::timeout(SETTINGS_TIME, queue.settings()) => answer,
    };
    match answer {
        Ok(Ok(settings)) => Ok(Some(settings)),
        Ok(Err(error)) if error.is(ErrorKind::NotFound) => Err(CommandError::Usage(format!(
            "--queue: there is no queue {name} in this account and region; create it, or give its name or URL"
        ))),
        Ok(Err(error)) => {
            log.emit(&Event::PollFailed { failure: Failure::new(&error, 1, Duration::ZERO) });
            Ok(None)
        }
        Err(_) => Ok(None),
    }
}
