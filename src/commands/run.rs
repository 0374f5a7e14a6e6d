//! `run`: the worker.

use clap::Args;
use clap::builder::BoolishValueParser;

use super::help::{Group, Help, USAGE_ERROR};
use super::options::values::socket_address;
use super::options::{FeedCheck, WatchOptions};
use super::settings::Settings;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::time::Instant;

use super::{CommandError, connect, metrics, monitor_config, policy, publisher, started};
use crate::aws::client::{AwsEventSource, AwsPlatform, SqsQueue};
use crate::aws::{ErrorKind, Queue, QueueSettings};
use crate::controller::liveness::Liveness;
use crate::controller::reconcile::Reconciler;
use crate::controller::worker::{Inbox, Lifetime, Timing, Worker, WorkerParts};
use crate::event_source::monitor::EventSourceMonitor;
use crate::listen::{Listener, Shown};
use crate::shutdown::{self, Shutdown, ShutdownOrder};
use crate::telemetry::log::{Event, Failure, Form, Log, StopReason};
use crate::telemetry::metrics::Metric;
use jvb_watcher_rules::finding::StandingFindings;

/// The options of `run`.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// What and how to watch.
    #[command(flatten)]
    pub watch: WatchOptions,
    /// Serve /healthz, /readyz and /metrics on this address [default: nowhere]
    #[arg(long, env = "JVB_WATCHER_LISTEN", value_name = "ADDRESS:PORT", value_parser = socket_address, help_heading = "Watcher")]
    pub listen: Option<SocketAddr>,
    /// Exit once the queue is empty and nothing is left to do at once
    #[arg(long, env = "JVB_WATCHER_EXIT_WHEN_EMPTY", value_parser = BoolishValueParser::new(), help_heading = "Watcher")]
    pub exit_when_empty: bool,
}

/// The help of `run`.
pub const HELP: Help = Help {
    group: Group::Run,
    examples: &[
        ("Run beside the platform \"jitsi\"", "jvb-watcher run --project jitsi --region eu-west-1"),
        ("Serve probes and Prometheus metrics", "jvb-watcher run --project jitsi --listen 0.0.0.0:8081"),
        ("From cron, at least every 50 minutes", "jvb-watcher run --project jitsi --exit-when-empty"),
    ],
    exit_status: &[
        (0, "stopped by SIGTERM or SIGINT, or done (--exit-when-empty)"),
        (1, "--listen failed, or --exit-when-empty was not done after five minutes"),
        USAGE_ERROR,
    ],
    see_also: &["lambda", "status", "doctor", "health"],
};

/// The first answer of the queue is waited for this long; then the looks begin.
const FIRST_POLL: Duration = Duration::from_secs(10);

/// With `--exit-when-empty`, for cron: a run that hasn't come to its end by then fails, lest runs pile up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5 * 60);

/// Events that still wait for their bus when the worker has stopped get this long.
const LAST_EVENTS: Duration = Duration::from_secs(3);

/// Watches until told to stop.
///
/// # Errors
///
/// When the address of `--listen` can't be had, or when the configuration is wrong: without credentials or a region, or with a queue that doesn't exist.
pub async fn run(settings: &Settings, options: &RunOptions, log: &Log) -> Result<(), CommandError> {
    let (order, shutdown) = shutdown::channel();
    order.on_signals()?;
    let shown = Shown::new(Liveness::new(options.watch.policy.resync_interval));
    if let Some(address) = options.listen {
        listen(address, &shown, log).await?;
    }
    let sdk = connect(settings, log).await?;
    watch(&sdk, settings, options, log, shown, (order, shutdown)).await
}

/// Serves what `--listen` asks for, from now on and beside everything else.
async fn listen(address: SocketAddr, shown: &Shown, log: &Log) -> Result<(), CommandError> {
    let listener = Listener::bind(address).await.map_err(|error| {
        CommandError::Failed(match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("--listen: {address} is in use; give another port, or stop what listens there")
            }
            _ => format!("--listen: {address} can't be listened on: {error}"),
        })
    })?;
    log.emit(&Event::Listening { address: listener.address().to_string() });
    tokio::spawn(listener.serve(shown.clone()));
    Ok(())
}

/// Watches over a connection until the shutdown is ordered.
pub(super) async fn watch(
    sdk: &SdkConfig,
    settings: &Settings,
    options: &RunOptions,
    log: &Log,
    shown: Shown,
    (order, shutdown): (ShutdownOrder, Shutdown),
) -> Result<(), CommandError> {
    let began = Instant::now();
    let queue = SqsQueue::new(sdk, &settings.queue);
    let queue_settings = first_poll(&queue, &settings.queue, &shutdown, log).await?;
    log.emit(&started(Form::Run, settings, &options.watch, sdk));
    let publisher = publisher(sdk, &options.watch, log);
    let (platform, policy) = (AwsPlatform::new(sdk), policy(settings, &options.watch.policy));
    let clock = platform.clock();
    let metrics = metrics(settings, &options.watch.metrics, log, clock.clone());
    let liveness = shown.with_metrics(metrics.clone());
    let mut reconciler = Reconciler::new(platform, settings.scope.clone(), policy, log.clone(), clock.clone())
        .with_metrics(metrics.clone());
    // A run from cron is over before a check says anything; `doctor` is for its user.
    if options.watch.feed_check == FeedCheck::Hourly && !options.exit_when_empty {
        let standing = StandingFindings::default();
        reconciler = reconciler.with_feed(standing.clone());
        let config = monitor_config(settings, standing, log, clock.clone());
        tokio::spawn(EventSourceMonitor::new(AwsEventSource::new(sdk), config).run());
    }
    let inbox = Inbox::new(settings.scope.clone(), log.clone()).with_metrics(metrics.clone());
    let lifetime = if options.exit_when_empty {
        let order = order.clone();
        tokio::spawn(async move {
            tokio::time::sleep(GIVE_UP_AFTER).await;
            order.stop(StopReason::GaveUp);
        });
        Lifetime::UntilEmpty
    } else {
        Lifetime::UntilStopped
    };
    let queue = (queue, queue_settings);
    let worker = {
        let (queue, queue_settings) = queue;
        Worker::new(WorkerParts {
            queue,
            queue_settings,
            reconciler,
            inbox,
            lifetime,
            shutdown,
            log: log.clone(),
            clock,
            liveness,
            timing: Timing::default(),
        })
    };
    let reason = worker.run().await;
    metrics.finish();
    if let Some(publisher) = publisher {
        publisher.flush(LAST_EVENTS).await;
    }
    log.emit(&Event::WatcherStopped {
        reason,
        uptime_seconds: began.elapsed().as_secs(),
        messages: metrics.total(Metric::EventsReceived),
        foreign: metrics.total(Metric::EventsForeign),
        reconciliations: metrics.total(Metric::Reconciles),
        aws_calls: metrics.total(Metric::AwsCalls),
    });
    match reason {
        StopReason::GaveUp => {
            let limit = humantime::format_duration(GIVE_UP_AFTER);
            Err(CommandError::Failed(format!(
                "the queue could not be emptied, or the work done, within {limit}; what failed is in the log (poll_failed, \
                 reconcile_failed)"
            )))
        }
        StopReason::Sigterm | StopReason::Sigint | StopReason::QueueEmpty => Ok(()),
    }
}

/// Asks for the queue's settings once. Only a queue that doesn't exist is a mistake in the configuration; one that
/// doesn't answer is the worker's to ask again, beside its looks.
async fn first_poll(
    queue: &SqsQueue,
    name: &str,
    shutdown: &Shutdown,
    log: &Log,
) -> Result<Option<QueueSettings>, CommandError> {
    let answer = tokio::select! {
        _ = shutdown.begun() => return Ok(None),
        answer = tokio::time::timeout(FIRST_POLL, queue.settings()) => answer,
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
