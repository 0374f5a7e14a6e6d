//! `demo`: plays an evening with the real watcher on an AWS sandbox, and verifies the result against the sandbox.
//!
//! - `record`: the evening, as the sandbox's state shows it.
//! - `summary`: the evening's figures.
//! - `stage`: the output of sentences and log lines: a stream, or the live view.
//! - `usage`: the use of the platform, as the watcher's log shows it.
//! - `view` and `screen`: the live view, and its terminal.

use std::cell::Cell;
use std::convert::Infallible;
use std::io::{self, IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::{Instant, MissedTickBehavior};

use super::CommandError;
use super::fleet::Watched;
use super::help::{Group, Help, INTERRUPTED, USAGE_ERROR};
use super::options::fleet::{FleetOptions, GivenValues};
use super::options::usage::{UsageOptions, UseOptions};
use super::options::{
    BridgeOptions, ConnectionOptions, FeedCheck, IdleGrace, LogFormat, LogOptions, MetricsFormat, MetricsOptions,
    OutputFormat, OwnerTagOptions, PlatformOptions, PolicyOptions, QueueOptions, RecordOptions, ServiceOptions,
    TeardownExtent, WatchOptions,
};
use super::run::Run;
use super::run::RunOptions;
use super::sandbox::introduce;
use crate::aws::client;
use crate::clock::Clock;
use crate::controller::liveness::Liveness;
use crate::listen::ServerState;
use crate::shutdown;
use crate::telemetry::log::{Colour, Format, Level, StopReason, diagnostics};
use crate::telemetry::otlp::Otlp;
use jvb_watcher_rules::plan::OwnerTag;
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::platform::{self, PROJECT};
use jvb_watcher_sandbox::scenario::{Scenario, Step, play};
use jvb_watcher_sandbox::wire::{self, Sandbox};
use jvb_watcher_sandbox::world::World;

mod record;
mod screen;
mod stage;
mod summary;
mod usage;
mod view;

use record::{Record, what_is_left};
use screen::Screen;
use stage::Stage;
use summary::Summary;
use usage::UsageLog;

/// The options of `demo`.
#[derive(Debug, Args)]
pub struct DemoOptions {
    /// Scenario file to play instead; see fixtures/scenarios
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// The format of the summary; with json, everything else goes to standard error
    #[arg(short, long, env = "JVB_WATCHER_OUTPUT", value_name = "FORMAT", default_value = "text")]
    pub output: OutputFormat,
    /// The former spelling of `--output json`
    #[arg(long, hide = true, conflicts_with = "output")]
    pub json: bool,
    /// Keep the sandbox running afterwards, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// Seed of random ids and faults
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Format of the watcher's log; json is what `report` reads
    #[arg(long, value_name = "FORMAT", default_value = "pretty")]
    pub log_format: LogFormat,
    /// Log level; debug adds the AWS SDK's own messages
    #[arg(long, env = "JVB_WATCHER_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: Level,
}

impl DemoOptions {
    fn is_json(&self) -> bool {
        self.json || self.output == OutputFormat::Json
    }

    fn logs_json(&self) -> bool {
        match self.log_format {
            LogFormat::Json => true,
            LogFormat::Pretty => false,
            LogFormat::Auto => !io::stdout().is_terminal(),
        }
    }
}

/// The help of `demo`.
pub const HELP: Help = Help {
    group: Group::Try,
    examples: &[
        ("Play an evening", "jvb-watcher demo"),
        (
            "Play another evening, and keep the sandbox",
            "jvb-watcher demo --scenario fixtures/scenarios/evening.toml --keep",
        ),
        ("Make a page of its log", "jvb-watcher demo --log-format json | jvb-watcher report --out report.html"),
    ],
    exit_status: &[
        (0, "the sandbox shows that the watcher did its whole job"),
        (1, "it did not"),
        USAGE_ERROR,
        INTERRUPTED,
    ],
    see_also: &["sandbox", "run", "report"],
};

/// The interval at which the sandbox's state is sampled, and so the resolution of registration times.
const BETWEEN_SAMPLES: Duration = Duration::from_millis(10);

/// The interval of checks whether anything is left.
const BETWEEN_CHECKS: Duration = Duration::from_millis(100);

/// The time that the watcher gets after the last step, beyond its grace periods.
const REST: Duration = Duration::from_secs(20);

/// The time that a stopped watcher gets to finish.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

/// The sandbox's clock, which is the demo's machine's: it also counts the minutes that the scenario lets pass at once.
struct SandboxClock(Arc<wire::Clock>);

impl Clock for SandboxClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// The end of an evening.
enum Ending {
    /// The last step is done; these resources are left.
    Over(Vec<String>),
    /// The user stopped it.
    Interrupted,
}

/// Plays the evening, and verifies it.
///
/// # Errors
///
/// A wrong scenario, a watcher that has not done its whole job, or a signal.
pub async fn demo(options: &DemoOptions) -> Result<(), CommandError> {
    let scenario = options.scenario.as_deref().map_or_else(Scenario::demo, Scenario::read)?;
    let (order, shutdown) = shutdown::channel();
    order.on_signals()?;
    let sandbox = start(&scenario, options.seed).await?;
    let began = Instant::now();
    let mut record = Record::default();
    let usage = UsageLog::default();
    let stage = Stage::new(options.is_json(), options.logs_json());
    let mut screen = match &stage {
        Stage::Live(_) => Some(Screen::open()?),
        Stage::Output | Stage::Error => None,
    };
    let ending = tokio::select! {
        ending = evening(&scenario, &sandbox, &mut record, &usage, &stage, options) => ending,
        _ = shutdown.begun() => Ok(Ending::Interrupted),
        closed = keep_showing(screen.as_mut(), &scenario.title, &stage, &sandbox, &usage) => closed.map(|()| Ending::Interrupted).map_err(CommandError::from),
    };
    // Restores the terminal.
    drop(screen);
    let Ending::Over(left) = ending? else {
        sandbox.stop().await;
        return Err(CommandError::Interrupted);
    };
    let summary = Summary::new(&scenario, &sandbox, &record, usage.get().stopped(), left, began.elapsed());
    summary.print(options.is_json())?;
    if options.keep {
        let region = sandbox.with_world(|world, _| world.settings().region.clone());
        let mut output: Box<dyn Write> =
            if options.is_json() { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
        // The sandbox keeps serving when standard output is closed.
        let _ = introduce(&mut output, sandbox.endpoint(), &region);
        shutdown.begun().await;
    }
    sandbox.stop().await;
    summary.verdict().map_err(CommandError::Failed)
}

/// Shows the live view, if there is one, until the user quits it.
async fn keep_showing(
    screen: Option<&mut Screen>,
    title: &str,
    stage: &Stage,
    sandbox: &Sandbox,
    usage: &UsageLog,
) -> io::Result<()> {
    match (screen, stage) {
        (Some(screen), Stage::Live(board)) => screen.keep_showing(title, board, sandbox, usage).await,
        _ => std::future::pending().await,
    }
}

async fn start(scenario: &Scenario, seed: u64) -> Result<Sandbox, CommandError> {
    let world = World::new(scenario.scaled_world(), seed, Timestamp::now());
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let sandbox = Sandbox::start(world, Faults::new(seed), any_port).await?;
    sandbox
        .with_world(platform::set_up)
        .map_err(|error| CommandError::Failed(format!("the platform can't be set up: {error}")))?;
    Ok(sandbox)
}

/// Plays the scenario beside the watcher, until nothing is left or the time is up.
async fn evening(
    scenario: &Scenario,
    sandbox: &Sandbox,
    record: &mut Record,
    usage: &UsageLog,
    stage: &Stage,
    options: &DemoOptions,
) -> Result<Ending, CommandError> {
    let region = sandbox.with_world(|world, _| world.settings().region.clone());
    let sdk = client::connect_to_sandbox(sandbox.endpoint(), &region);
    let run_options = run_options(scenario, &region, options.log_level);
    let watched = Watched::new(&run_options.watch, |_| None)?;
    let format = match options.logs_json() {
        true => Format::Json,
        false => Format::Pretty { colour: Colour::Off, time_zone: TimeZone::system() },
    };
    let clock = Arc::new(SandboxClock(sandbox.clock()));
    let log = stage.log(watched.identity.clone(), format, options.log_level, clock);
    log.subscribe(Arc::new(usage.clone()));
    diagnostics::install(&log);
    let (order, shutdown) = shutdown::channel();
    let state = ServerState::new(Liveness::new(run_options.watch.policy.resync_interval));
    let run = Run {
        sdk: &sdk,
        watched: &watched,
        options: &run_options,
        log: &log,
        otlp: Otlp::off(),
        state,
        order: order.clone(),
        shutdown,
        hangups: None,
    };
    let watcher = run.until_stopped();
    tokio::pin!(watcher);
    let left = tokio::select! {
        ended = &mut watcher => {
            ended?;
            return Err(CommandError::Failed("the watcher stopped before the end of the evening".to_owned()));
        }
        never = keep_recording(sandbox, record) => match never {},
        closed = keep_counting_down(sandbox, usage, stage) => match closed? {},
        left = play_out(scenario, sandbox, stage) => left?,
    };
    order.stop(StopReason::Sigterm);
    // What it doesn't finish in time doesn't change the verdict.
    let _ = tokio::time::timeout(SHUTDOWN_LIMIT, watcher).await;
    Ok(Ending::Over(left))
}

async fn keep_recording(sandbox: &Sandbox, record: &mut Record) -> Infallible {
    let mut ticks = tokio::time::interval(BETWEEN_SAMPLES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let advanced = sandbox.clock().advanced();
        sandbox.with_world(|world, now| record.sample(world, now, advanced));
    }
}

/// Writes the use and the time that is left, each minute, while a stop is announced.
async fn keep_counting_down(sandbox: &Sandbox, usage: &UsageLog, stage: &Stage) -> io::Result<Infallible> {
    let began = Instant::now();
    let clock = sandbox.clock();
    let mut written = None;
    loop {
        tokio::time::sleep(BETWEEN_CHECKS).await;
        let (known, advanced) = (usage.get(), clock.advanced());
        if known.is_stop_announced() && written.is_none_or(|written| written != advanced) {
            stage.say(began.elapsed(), &known.text(clock.now()))?;
            written = Some(advanced);
        }
    }
}

/// Plays the scenario, then waits until nothing is left; returns what is left when the time is up. Minutes of the last step
/// that are still to pass don't matter once nothing is left.
async fn play_out(scenario: &Scenario, sandbox: &Sandbox, stage: &Stage) -> Result<Vec<String>, CommandError> {
    let begun = Cell::new(0);
    let show = |step: &Step| {
        begun.set(begun.get() + 1);
        stage.show(step)
    };
    let nothing_is_left = async {
        while begun.get() < scenario.steps.len() || !sandbox.with_world(|world, _| what_is_left(world)).is_empty() {
            tokio::time::sleep(BETWEEN_CHECKS).await;
        }
    };
    tokio::select! {
        played = play(scenario, sandbox, show) => played?,
        () = nothing_is_left => {}
    }
    let deadline = Instant::now() + scenario.watcher.idle_grace + scenario.watcher.unused_grace + REST;
    loop {
        let left = sandbox.with_world(|world, _| what_is_left(world));
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left);
        }
        tokio::time::sleep(BETWEEN_CHECKS).await;
    }
}

fn platform_options(region: &str) -> PlatformOptions {
    PlatformOptions {
        service: ServiceOptions { project: Some(PROJECT.to_owned()), ..ServiceOptions::default() },
        connection: ConnectionOptions { region: Some(region.to_owned()), ..ConnectionOptions::default() },
    }
}

fn run_options(scenario: &Scenario, region: &str, level: Level) -> RunOptions {
    RunOptions {
        watch: WatchOptions {
            // The sandbox's minutes pass in a second, so a wait of seconds would take many of them.
            ecs_lag: Duration::ZERO,
            given: GivenValues::default(),
            platform: platform_options(region),
            queue: QueueOptions::default(),
            fleet: FleetOptions::default(),
            log: LogOptions { log_format: LogFormat::Pretty, log_level: level, quiet: false },
            policy: PolicyOptions {
                resync_interval: scenario.watcher.resync_interval,
                idle_grace: IdleGrace::For(scenario.watcher.idle_grace),
                unused_grace: scenario.watcher.unused_grace,
                owner: OwnerTagOptions {
                    owner_tag: OwnerTag { key: "Lifecycle".to_owned(), value: "on-demand".to_owned() },
                },
                teardown: TeardownExtent::All,
                // A scenario may run several tasks, to show their registrations.
                bridges: BridgeOptions { allow_several_bridges: true },
                usage: UsageOptions {
                    stop_when_unused: scenario.watcher.stop_when_unused,
                    stop_notice: scenario.watcher.stop_notice,
                    first_call_grace: scenario.watcher.first_call_grace,
                    counting: UseOptions { use_threshold: 1, use_protocols: None, no_usage: false },
                },
            },
            feed_check: FeedCheck::Hourly,
            publish_events: None,
            metrics: MetricsOptions { metrics: MetricsFormat::Off, metrics_namespace: String::new() },
        },
        exit_when_empty: false,
        record: RecordOptions::default(),
        listen: None,
    }
}
