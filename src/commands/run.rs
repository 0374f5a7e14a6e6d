//! `run`: the worker.

use std::time::Duration;

use aws_config::SdkConfig;
use tokio::time::Instant;

use super::{CommandError, connect};
use crate::cli::RunOptions;
use crate::cloud::aws::{AwsPlatform, SqsQueue};
use crate::cloud::{ErrorKind, Queue, QueueSettings};
use crate::config::Settings;
use crate::log::{Event, Failure, Log, StopReason};
use crate::plan::Policy;
use crate::reconcile::Reconciler;
use crate::shutdown::{self, Shutdown, ShutdownOrder};
use crate::worker::{Inbox, Lifetime, Worker};

/// The first answer of the queue is waited for this long; then the looks begin.
const FIRST_POLL: Duration = Duration::from_secs(10);

/// With `--exit-when-empty`, for cron: a run that hasn't come to its end by then fails, lest runs pile up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5 * 60);

/// Watches until told to stop.
///
/// # Errors
///
/// When the configuration is wrong: without credentials or a region, or with a queue that doesn't exist.
pub async fn run(settings: &Settings, options: &RunOptions, log: &Log) -> Result<(), CommandError> {
    let (order, shutdown) = shutdown::channel();
    order.on_signals()?;
    let sdk = connect(settings, log).await?;
    watch(&sdk, settings, options, log, (order, shutdown)).await
}

/// Watches over a connection until the shutdown is ordered.
pub(super) async fn watch(
    sdk: &SdkConfig,
    settings: &Settings,
    options: &RunOptions,
    log: &Log,
    (order, shutdown): (ShutdownOrder, Shutdown),
) -> Result<(), CommandError> {
    let began = Instant::now();
    let queue = SqsQueue::new(sdk, &settings.queue);
    let queue_settings = first_poll(&queue, &settings.queue, &shutdown, log).await?;
    log.emit(&started(settings, options, sdk));
    let platform = AwsPlatform::new(sdk);
    let clock = platform.clock();
    let policy = Policy {
        service: settings.scope.service.clone(),
        load_balancer: settings.load_balancer.clone(),
        owner_tag: options.owner_tag.clone(),
        teardown: options.teardown.into(),
        idle_grace: options.idle_grace,
        unused_grace: options.unused_grace,
        resync_interval: options.resync_interval,
    };
    let reconciler = Reconciler::new(platform, settings.scope.clone(), policy, log.clone(), clock.clone());
    let inbox = Inbox::new(settings.scope.clone(), log.clone());
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
    let worker = Worker::new((queue, queue_settings), reconciler, inbox, lifetime, shutdown, log.clone(), clock);
    let reason = worker.run().await;
    log.emit(&Event::WatcherStopped { reason, uptime_seconds: began.elapsed().as_secs() });
    match reason {
        StopReason::GaveUp => {
            let limit = humantime::format_duration(GIVE_UP_AFTER);
            Err(CommandError::Failed(format!("the queue could not be emptied, or the work done, within {limit}")))
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

fn started(settings: &Settings, options: &RunOptions, sdk: &SdkConfig) -> Event {
    Event::WatcherStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        region: sdk.region().map(ToString::to_string).unwrap_or_default(),
        queue: settings.queue.clone(),
        load_balancer: settings.load_balancer.clone(),
        owner_tag: format!("{}={}", options.owner_tag.key, options.owner_tag.value),
        teardown: options.teardown.as_str().to_owned(),
        resync_interval_seconds: options.resync_interval.as_secs_f64(),
        idle_grace_seconds: options.idle_grace.as_secs_f64(),
        unused_grace_seconds: options.unused_grace.as_secs_f64(),
    }
}
