//! `status`: is it well?

use std::io::{self, Write};
use std::time::Duration;

use tokio::time::sleep;

use super::{CommandError, connect, policy};
use crate::aws::AwsError;
use crate::aws::client::{AwsEventSource, AwsPlatform};
use crate::aws::event_source::{EventSource, QueueDescription};
use crate::cli::{OutputFormat, StatusOptions};
use crate::clock::Clock;
use crate::config::Settings;
use crate::controller::context::Context;
use crate::controller::message::Hints;
use crate::controller::reconciler::{Reconciler, ReconcilerParts};
use crate::event_source;
use crate::shutdown;
use crate::status::{Sight, Status, text};
use crate::telemetry::log::Log;
use crate::text::Style;
use jvb_watcher_rules::finding::Finding;
use jvb_watcher_rules::plan::Policy;

/// With `--watch`, the time between two looks.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// Clears a terminal, and goes to its first line.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows how the platform does; once, or again and again.
///
/// # Errors
///
/// When a look fails, and [`CommandError::NotWell`] when it isn't.
pub async fn status(
    settings: &Settings,
    options: &StatusOptions,
    log: &Log,
    no_color: Option<&str>,
) -> Result<(), CommandError> {
    let sdk = connect(settings, log).await?;
    let platform = AwsPlatform::new(&sdk);
    let clock = platform.clock();
    let policy = policy(settings, &options.policy);
    let context = Context::new(settings.scope.clone(), log.clone(), clock.clone());
    let reconciler = Reconciler::new(ReconcilerParts::new(platform, context, policy.clone()));
    let onlooker = Onlooker { settings, options, policy, reconciler, event_source: AwsEventSource::new(&sdk) };
    let style = Style::of_stdout(no_color);
    if !options.watch {
        let status = onlooker.look(&*clock).await?;
        show(&status, options.output, style)?;
        return if status.well { Ok(()) } else { Err(CommandError::NotWell) };
    }
    let (order, shutdown) = shutdown::channel();
    order.on_signals()?;
    let watching = async {
        loop {
            match onlooker.look(&*clock).await {
                Ok(status) => show_again(&status, options.output, style)?,
                // The next look may succeed.
                Err(error) => writeln!(io::stderr(), "error: {error}")?,
            }
            sleep(WATCH_INTERVAL).await;
        }
    };
    tokio::select! {
        _ = shutdown.begun() => Err(CommandError::Interrupted),
        watched = watching => watched,
    }
}

/// Looks, and changes nothing.
struct Onlooker<'a> {
    settings: &'a Settings,
    options: &'a StatusOptions,
    policy: Policy,
    reconciler: Reconciler<AwsPlatform>,
    event_source: AwsEventSource,
}

/// What was read of the feed.
#[derive(Default)]
struct FeedSight {
    queue: Option<QueueDescription>,
    dead_letter_queue: Option<QueueDescription>,
    findings: Vec<Finding>,
    unread: Vec<String>,
}

impl Onlooker<'_> {
    async fn look(&self, clock: &dyn Clock) -> Result<Status, AwsError> {
        let hints = Hints::default();
        let (look, feed) = tokio::join!(self.reconciler.observe(&hints), self.feed());
        let look = look?;
        Ok(Status::new(&Sight {
            scope: &self.settings.scope,
            policy: &self.policy,
            observation: &look.observation,
            plan: &look.plan,
            queue: feed.queue.as_ref(),
            dead_letter_queue: feed.dead_letter_queue.as_ref(),
            feed_findings: &feed.findings,
            unread: &feed.unread,
            hourly_price_usd: self.options.hourly_price,
            now: clock.now(),
        }))
    }

    /// Reads the feed as far as these credentials allow: whoever may look at the service may not be allowed to look at
    /// the queue and its rule, and still wants to know of the service.
    async fn feed(&self) -> FeedSight {
        let Settings { scope, queue, .. } = self.settings;
        let mut sight = FeedSight::default();
        match event_source::read(&self.event_source, scope, queue).await {
            Ok(feed) => {
                sight.findings = event_source::findings(&feed, queue);
                sight.queue = feed.queue().cloned();
            }
            Err(error) => {
                sight.unread.push(error.with_remedy());
                // Without the rule there is still the queue.
                match self.event_source.queue(queue).await {
                    Ok(queue) => sight.queue = queue,
                    Err(error) => sight.unread.push(error.with_remedy()),
                }
            }
        }
        let dead_letters = sight.queue.as_ref().and_then(|queue| queue.redrive_policy.as_ref());
        if let Some(dead_letters) = dead_letters {
            match self.event_source.queue(dead_letters.dead_letter_queue_name()).await {
                Ok(queue) => sight.dead_letter_queue = queue,
                Err(error) => sight.unread.push(error.with_remedy()),
            }
        }
        sight.unread.dedup();
        sight
    }
}

fn show(status: &Status, output: OutputFormat, style: Style) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match output {
        OutputFormat::Table => stdout.write_all(text(status, style).as_bytes())?,
        OutputFormat::Json => {
            serde_json::to_writer(&mut stdout, status)?;
            writeln!(stdout)?;
        }
    }
    stdout.flush()
}

/// On a terminal in the place of the one before; elsewhere beneath it.
fn show_again(status: &Status, output: OutputFormat, style: Style) -> io::Result<()> {
    match (output, style) {
        (OutputFormat::Json, _) => {}
        (OutputFormat::Table, Style::Plain) => writeln!(io::stdout(), "\n{}", status.at)?,
        (OutputFormat::Table, Style::Symbols | Style::Coloured) => {
            write!(io::stdout(), "{CLEAR}{}, again every {} s\n\n", status.at, WATCH_INTERVAL.as_secs())?;
        }
    }
    show(status, output, style)
}
