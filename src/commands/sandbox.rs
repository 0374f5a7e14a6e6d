//! `sandbox`: serves an AWS sandbox on 127.0.0.1, until stopped; or compares a recording with the sandbox.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::CommandError;
use super::help::{Group, Help, USAGE_ERROR};
use super::operation::print;
use super::options::values::time_scale;
use super::options::{OutputFormat, OutputOptions};
use crate::shutdown;
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::fidelity;
use jvb_watcher_sandbox::platform::{self, PROJECT};
use jvb_watcher_sandbox::scenario::{Scenario, Step, play};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Settings, World};

/// The options of `sandbox`.
#[derive(Debug, Args)]
pub struct SandboxOptions {
    /// Port on 127.0.0.1; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 4566)]
    pub port: u16,
    /// Scenario file to play; see fixtures/scenarios
    #[arg(long, value_name = "FILE", conflicts_with = "empty")]
    pub scenario: Option<PathBuf>,
    /// Factor by which everything is faster than on AWS [default: the scenario's, or 1]
    #[arg(long, value_name = "FACTOR", value_parser = time_scale)]
    pub time_scale: Option<f64>,
    /// Start without a platform: no cluster, service, queue or rule
    #[arg(long)]
    pub empty: bool,
    /// Seed of random ids and faults
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Compare the recording in DIR with the sandbox's answers, and exit
    ///
    /// A recording is made with --record of `run`, `up`, `down` and `reconcile`.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["port", "scenario", "time_scale", "empty", "seed"])]
    pub replay: Option<PathBuf>,
    /// The result of --replay.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// The help of `sandbox`.
pub const HELP: Help = Help {
    group: Group::Try,
    examples: &[
        ("Serve a sandbox with a ready-made platform", "jvb-watcher sandbox"),
        (
            "Play an evening in it, ten times as fast",
            "jvb-watcher sandbox --scenario fixtures/scenarios/evening.toml --time-scale 10",
        ),
        ("Compare a recording of AWS with it", "jvb-watcher sandbox --replay recording"),
    ],
    exit_status: &[
        (0, "stopped by SIGTERM or SIGINT; with --replay, no differences"),
        (1, "the port is in use, or the scenario failed"),
        USAGE_ERROR,
        (3, "--replay has found differences"),
    ],
    see_also: &["demo", "run", "up", "down"],
};

/// Serves until a signal stops it, or compares a recording.
///
/// # Errors
///
/// Returns an error if the port can't be bound, a step of the scenario fails, or the recording can't be read or differs.
pub async fn sandbox(options: &SandboxOptions) -> Result<(), CommandError> {
    if let Some(directory) = &options.replay {
        return replay(directory, options.output.output).await;
    }
    let (order, shutdown) = shutdown::channel();
    order.on_signals()?;
    let mut scenario = options.scenario.as_deref().map(Scenario::read).transpose()?;
    if let (Some(scenario), Some(time_scale)) = (&mut scenario, options.time_scale) {
        scenario.time_scale = time_scale;
    }
    let settings = match &scenario {
        Some(scenario) => scenario.scaled_world(),
        None => Settings::default().scaled(options.time_scale.unwrap_or(1.0)),
    };
    let world = World::new(settings, options.seed, Timestamp::now());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let started = Sandbox::start(world, Faults::new(options.seed), address).await;
    let sandbox = started.map_err(|error| cannot_listen(options.port, &error))?;
    let region = sandbox.with_world(|world, _| world.settings().region.clone());
    if !options.empty {
        sandbox
            .with_world(platform::set_up)
            .map_err(|error| CommandError::Failed(format!("the platform can't be set up: {error}")))?;
    }
    // The sandbox keeps serving when standard output is closed.
    let _ = introduce(&mut io::stdout(), sandbox.endpoint(), &region);
    let played = tokio::select! {
        _ = shutdown.begun() => Ok(()),
        played = serve(scenario.as_ref(), &sandbox) => played,
    };
    sandbox.stop().await;
    played
}

/// Compares a recording with the sandbox's answers, and prints what differs.
async fn replay(directory: &Path, output: OutputFormat) -> Result<(), CommandError> {
    let replayed = fidelity::replay(directory).await;
    let comparison = replayed.map_err(|error| CommandError::Usage(format!("--replay: {error}")))?;
    match output {
        OutputFormat::Json => print(&comparison)?,
        OutputFormat::Text => write!(io::stdout(), "{comparison}")?,
    }
    if comparison.is_alike() { Ok(()) } else { Err(CommandError::NotWell) }
}

/// Plays the scenario, if there is one, and keeps serving; returns only when a step fails.
async fn serve(scenario: Option<&Scenario>, sandbox: &Sandbox) -> Result<(), CommandError> {
    if let Some(scenario) = scenario {
        let show = |step: &Step| {
            if let Some(sentence) = &step.say {
                // The sandbox keeps serving when standard output is closed.
                let _ = writeln!(io::stdout(), "# {:5.1} s  {sentence}", step.at.as_secs_f64());
            }
            Ok(())
        };
        play(scenario, sandbox, show).await?;
    }
    std::future::pending().await
}

fn cannot_listen(port: u16, error: &io::Error) -> CommandError {
    CommandError::Failed(match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("--port: port {port} is in use on 127.0.0.1; choose another one, or 0 for any free port")
        }
        _ => format!("--port: port {port} on 127.0.0.1 can't be bound: {error}"),
    })
}

/// Prints how to use the sandbox, as lines that can be pasted into a shell.
pub(super) fn introduce(output: &mut impl Write, endpoint: &str, region: &str) -> io::Result<()> {
    writeln!(output, "# AWS sandbox at {endpoint} until Ctrl-C. In another terminal, paste:")?;
    writeln!(
        output,
        "export AWS_ENDPOINT_URL={endpoint} AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox \
         JITSI_PROJECT={PROJECT} JITSI_AWS_REGION={region}"
    )?;
    writeln!(output, "export AWS_DEFAULT_REGION={region}  # for the AWS CLI and boto3")?;
    // It has SQS endpoints of its own, which no variable changes (aws/aws-cli#8737).
    writeln!(
        output,
        "# Version 1 of the AWS CLI needs the endpoint for SQS: aws sqs --endpoint-url $AWS_ENDPOINT_URL ..."
    )?;
    output.flush()
}
