//! `demo`: an evening on a small AWS of its own, with the real watcher, held against that AWS afterwards.
//!
//! - `record`: what the world itself shows of the evening.
//! - `summary`: the evening in figures.
//! - `stage`: where sentences and log lines go: to a stream of lines, or to the live view.
//! - `view` and `screen`: the live view, and the terminal that it is on.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior};

use super::CommandError;
use super::run::Run;
use super::sandbox::introduce;
use crate::aws::client;
use crate::cli::{
    DemoOptions, FeedCheck, LogFormat, MetricsFormat, MetricsOptions, Options, PolicyOptions, RunOptions,
    TeardownExtent, WatchOptions,
};
use crate::config::Settings;
use crate::controller::liveness::Liveness;
use crate::listen::Shown;
use crate::shutdown;
use crate::telemetry::log::{Level, StopReason, diagnostics};
use jvb_watcher_rules::plan::OwnerTag;
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::platform::{self, PROJECT};
use jvb_watcher_sandbox::scenario::{Scenario, Step, play};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::World;

mod record;
mod screen;
mod stage;
mod summary;
mod view;

use record::{Record, what_is_left};
use screen::Screen;
use stage::Stage;
use summary::Summary;

/// How often the world is looked at for the record: as exactly is known how long a registration took.
const BETWEEN_SAMPLES: Duration = Duration::from_millis(10);

/// How often to ask whether nothing is left.
const BETWEEN_CHECKS: Duration = Duration::from_millis(100);

/// Beyond its graces, the watcher may take this long for the rest of its job after the last step.
const REST: Duration = Duration::from_secs(20);

/// A watcher that is told to stop in the middle gets this long to let go of what it has in hand.
const LETTING_GO: Duration = Duration::from_secs(2);

/// How the evening ended.
enum Ending {
    /// Its last step is done, and this is left.
    Over(Vec<String>),
    /// Somebody stopped it.
    Interrupted,
}

/// Plays the evening, and checks it.
///
/// # Errors
///
/// When the scenario is wrong, when the watcher hasn't done its whole job, or when somebody stops it.
pub async fn demo(options: &DemoOptions, level: Level) -> Result<(), CommandError> {
    let scenario = options.scenario.as_deref().map_or_else(Scenario::evening, Scenario::read)?;
    let (order, shutdown) = shutdown::channel();
    order.on_signals()?;
    let sandbox = start(&scenario, options.seed).await?;
    let began = Instant::now();
    let mut record = Record::default();
    let stage = Stage::new(options.json);
    let mut screen = match &stage {
        Stage::Live(_) => Some(Screen::open()?),
        Stage::Output | Stage::Error => None,
    };
    let ending = tokio::select! {
        ending = evening(&scenario, &sandbox, &mut record, &stage, level) => ending,
        _ = shutdown.begun() => Ok(Ending::Interrupted),
        closed = keep_showing(screen.as_mut(), &scenario.title, &stage, &sandbox) => closed.map(|()| Ending::Interrupted).map_err(CommandError::from),
    };
    // From here on the terminal is as it was.
    drop(screen);
    let Ending::Over(left) = ending? else {
        sandbox.stop().await;
        return Err(CommandError::Interrupted);
    };
    let summary = Summary::new(&scenario, &sandbox, &record, left, began.elapsed());
    summary.print(options.json)?;
    if options.keep {
        let region = sandbox.with_world(|world, _| world.settings_mut().region.clone());
        let mut output: Box<dyn Write> = if options.json { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
        // Nobody reads it: that is no reason to stop serving.
        let _ = introduce(&mut output, sandbox.endpoint(), &region);
        shutdown.begun().await;
    }
    sandbox.stop().await;
    summary.verdict().map_err(CommandError::Failed)
}

/// Shows the live view, if there is one, until somebody closes it.
async fn keep_showing(screen: Option<&mut Screen>, title: &str, stage: &Stage, sandbox: &Sandbox) -> io::Result<()> {
    match (screen, stage) {
        (Some(screen), Stage::Live(board)) => screen.keep_showing(title, board, sandbox).await,
        _ => std::future::pending().await,
    }
}

async fn start(scenario: &Scenario, seed: u64) -> Result<Sandbox, CommandError> {
    let world = World::new(scenario.scaled_world(), seed, Timestamp::now());
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let sandbox = Sandbox::start(world, Faults::new(seed), any_port).await?;
    sandbox
        .with_world(platform::set_up)
        .map_err(|error| CommandError::Failed(format!("the ready-made platform can't be made: {error}")))?;
    Ok(sandbox)
}

/// Has the scenario played and the watcher watch, until nothing is left or it has taken too long.
async fn evening(
    scenario: &Scenario,
    sandbox: &Sandbox,
    record: &mut Record,
    stage: &Stage,
    level: Level,
) -> Result<Ending, CommandError> {
    let region = sandbox.with_world(|world, _| world.settings_mut().region.clone());
    let sdk = client::connect_to_sandbox(sandbox.endpoint(), &region);
    let settings = Settings::new(&watchers_options(&region, level), |_| None)?;
    let log = stage.log(settings.identity.clone(), level);
    diagnostics::install(&log);
    let run_options = run_options(scenario);
    let (order, shutdown) = shutdown::channel();
    let shown = Shown::new(Liveness::new(run_options.watch.policy.resync_interval));
    let options = &run_options;
    let run = Run { sdk: &sdk, settings: &settings, options, log: &log, shown, order: order.clone(), shutdown };
    let watcher = run.until_stopped();
    tokio::pin!(watcher);
    let left = tokio::select! {
        ended = &mut watcher => {
            ended?;
            return Err(CommandError::Failed("the watcher stopped by itself".to_owned()));
        }
        never = keep_recording(sandbox, record) => match never {},
        left = play_out(scenario, sandbox, stage) => left?,
    };
    order.stop(StopReason::Sigterm);
    // What it can't let go of in time has no part in the evening any more.
    let _ = tokio::time::timeout(LETTING_GO, watcher).await;
    Ok(Ending::Over(left))
}

async fn keep_recording(sandbox: &Sandbox, record: &mut Record) -> std::convert::Infallible {
    let mut ticks = tokio::time::interval(BETWEEN_SAMPLES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sandbox.with_world(|world, now| record.sample(world, now));
    }
}

/// Plays the scenario, then waits until the world shows that nothing is left; says what is, when that takes too long.
async fn play_out(scenario: &Scenario, sandbox: &Sandbox, stage: &Stage) -> Result<Vec<String>, CommandError> {
    play(scenario, sandbox, |step: &Step| stage.tell(step)).await?;
    let deadline = Instant::now() + scenario.watcher.idle_grace + scenario.watcher.unused_grace + REST;
    loop {
        let left = sandbox.with_world(|world, _| what_is_left(world));
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left);
        }
        tokio::time::sleep(BETWEEN_CHECKS).await;
    }
}

/// What `run` would be told on its command line.
fn watchers_options(region: &str, level: Level) -> Options {
    Options {
        project: Some(PROJECT.to_owned()),
        cluster: None,
        service: None,
        load_balancer: None,
        queue: None,
        region: Some(region.to_owned()),
        profile: None,
        endpoint_url: None,
        log_format: LogFormat::Pretty,
        log_level: level,
    }
}

fn run_options(scenario: &Scenario) -> RunOptions {
    RunOptions {
        watch: WatchOptions {
            policy: PolicyOptions {
                resync_interval: scenario.watcher.resync_interval,
                idle_grace: scenario.watcher.idle_grace,
                unused_grace: scenario.watcher.unused_grace,
                owner_tag: OwnerTag { key: "Lifecycle".to_owned(), value: "on-demand".to_owned() },
                teardown: TeardownExtent::All,
            },
            feed_check: FeedCheck::Hourly,
            publish_events: None,
            metrics: MetricsOptions { metrics: MetricsFormat::Off, metrics_namespace: String::new() },
        },
        exit_when_empty: false,
        listen: None,
    }
}
