//! `run`: the worker.

use std::sync::Arc;

use aws_config::SdkConfig;
use tokio::time::Instant;

use super::{CommandError, connect};
use crate::cli::RunOptions;
use crate::clock::SystemClock;
use crate::cloud::aws::{AwsPlatform, SqsQueue};
use crate::cloud::{CloudError, ErrorKind, Queue, QueueSettings};
use crate::config::Settings;
use crate::log::{Event, Failure, Log, StopReason};
use crate::plan::Policy;
use crate::reconcile::Reconciler;
use crate::retry::Retry;
use crate::shutdown::{self, Shutdown};
use crate::worker::{Inbox, Lifetime, Worker};

/// Watches until told to stop.
///
/// # Errors
///
/// When the configuration is wrong: without credentials or a region, or with a queue that doesn't exist.
pub async fn run(settings: &Settings, options: &RunOptions, log: &Log) -> Result<(), CommandError> {
    let began = Instant::now();
    let (order, shutdown) = shutdown::channel();
    order.on_signals()?;
    let sdk = connect(settings, log).await?;
    let stopped = |reason: StopReason| {
        log.emit(&Event::WatcherStopped { reason, uptime_seconds: began.elapsed().as_secs() });
        Ok(())
    };
    let queue = match open_queue(&sdk, &settings.queue, &shutdown, log).await? {
        Opened::Queue(queue) => queue,
        Opened::Stopped(reason) => return stopped(reason),
    };
    log.emit(&started(settings, options, &sdk));
    let clock = Arc::new(SystemClock);
    let policy = Policy {
        service: settings.scope.service.clone(),
        load_balancer: settings.load_balancer.clone(),
        owner_tag: options.owner_tag.clone(),
        teardown: options.teardown.into(),
        idle_grace: options.idle_grace,
        unused_grace: options.unused_grace,
        resync_interval: options.resync_interval,
    };
    let platform = AwsPlatform::new(&sdk);
    let reconciler = Reconciler::new(platform, settings.scope.clone(), policy, log.clone(), clock.clone());
    let inbox = Inbox::new(settings.scope.clone(), log.clone());
    let lifetime = if options.exit_when_empty { Lifetime::UntilEmpty } else { Lifetime::UntilStopped };
    let worker = Worker::new(*queue, reconciler, inbox, lifetime, shutdown, log.clone(), clock);
    stopped(worker.run().await)
}

enum Opened {
    Queue(Box<(SqsQueue, QueueSettings)>),
    Stopped(StopReason),
}

/// Opens the queue, for as long as that takes; only a queue that doesn't exist is a mistake in the configuration.
async fn open_queue(sdk: &SdkConfig, name: &str, shutdown: &Shutdown, log: &Log) -> Result<Opened, CommandError> {
    let mut retry = Retry::default();
    loop {
        let error = match try_open_queue(sdk, name).await {
            Ok(opened) => return Ok(Opened::Queue(Box::new(opened))),
            Err(error) if error.is(ErrorKind::NotFound) => {
                let problem = format!(
                    "--queue: there is no queue {name} in this account and region; create it, or give its name or URL"
                );
                return Err(CommandError::Usage(problem));
            }
            Err(error) => error,
        };
        let (attempt, wait) = retry.failed(error.kind);
        log.emit(&Event::PollFailed { failure: Failure::new(&error, attempt, wait) });
        tokio::select! {
            reason = shutdown.begun() => return Ok(Opened::Stopped(reason)),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn try_open_queue(sdk: &SdkConfig, name: &str) -> Result<(SqsQueue, QueueSettings), CloudError> {
    let queue = SqsQueue::open(sdk, name).await?;
    let settings = queue.settings().await?;
    Ok((queue, settings))
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
