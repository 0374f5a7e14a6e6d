//! `up`: makes the load balancer, scales the service up, and waits until calls can come.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::help::{Group, Help, INTERRUPTED, USAGE_ERROR};
use super::options::values::{duration, url};
use super::options::{DryRunOptions, LogOptions, OutputFormat, OutputOptions, OwnerTagOptions, PlatformOptions};
use super::settings::Settings;
use std::io::Write;
use std::sync::Arc;

use super::operation::{Console, performed, print, print_steps, setting};
use super::probe::HttpProbe;
use super::{CommandError, connect};
use crate::operations::command::{BalancerCommand, Process};
use crate::operations::up::{Aim, Probe, Up};
use crate::telemetry::log::Verb;

/// The options of `up`.
#[derive(Debug, Args)]
pub struct UpOptions {
    /// The platform.
    #[command(flatten)]
    pub platform: PlatformOptions,
    /// Number of tasks to serve; a service with more keeps them
    #[arg(long, env = "JVB_WATCHER_DESIRED", value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=5000))]
    pub desired: i32,
    /// Terraform configuration with the module jvb_nlb, which creates a missing load balancer
    ///
    /// The command is `terraform -chdir=DIR apply -target=module.jvb_nlb -auto-approve`.
    #[arg(long, env = "JVB_WATCHER_TERRAFORM_DIR", value_name = "DIR")]
    pub terraform_dir: Option<PathBuf>,
    /// Shell command that creates a missing load balancer; overrides --terraform-dir
    #[arg(long, env = "JVB_WATCHER_UP_COMMAND", value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    pub balancer_command: Option<String>,
    /// HTTP or HTTPS address that must answer at the end, with a status below 400
    #[arg(long, env = "JVB_WATCHER_VERIFY_URL", value_name = "URL", value_parser = url)]
    pub verify_url: Option<http::Uri>,
    /// The owner tag.
    #[command(flatten)]
    pub owner: OwnerTagOptions,
    /// The result.
    #[command(flatten)]
    pub output: OutputOptions,
    /// Whether to change anything.
    #[command(flatten)]
    pub dry_run: DryRunOptions,
    /// Limit of the command that creates the load balancer
    #[arg(long, env = "JVB_WATCHER_MAKE_TIMEOUT", value_name = "DURATION", default_value = "15m", value_parser = duration, help_heading = "Time limits")]
    pub make_timeout: Duration,
    /// Limit until the load balancer is active
    #[arg(long, env = "JVB_WATCHER_ACTIVE_TIMEOUT", value_name = "DURATION", default_value = "10m", value_parser = duration, help_heading = "Time limits")]
    pub active_timeout: Duration,
    /// Limit until as many tasks serve as are desired
    #[arg(long, env = "JVB_WATCHER_SERVING_TIMEOUT", value_name = "DURATION", default_value = "10m", value_parser = duration, help_heading = "Time limits")]
    pub serving_timeout: Duration,
    /// Limit until all tasks are registered
    #[arg(long, env = "JVB_WATCHER_REGISTERED_TIMEOUT", value_name = "DURATION", default_value = "3m", value_parser = duration, help_heading = "Time limits")]
    pub registered_timeout: Duration,
    /// Limit until all targets are healthy
    #[arg(long, env = "JVB_WATCHER_HEALTHY_TIMEOUT", value_name = "DURATION", default_value = "10m", value_parser = duration, help_heading = "Time limits")]
    pub healthy_timeout: Duration,
    /// Limit until the address of --verify-url answers
    #[arg(long, env = "JVB_WATCHER_ANSWER_TIMEOUT", value_name = "DURATION", default_value = "5m", value_parser = duration, help_heading = "Time limits")]
    pub answer_timeout: Duration,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
}

/// The help of `up`.
pub const HELP: Help = Help {
    group: Group::Operate,
    examples: &[
        ("Show the steps", "jvb-watcher up --project jitsi --terraform-dir infra --dry-run"),
        ("Scale up, and print the load balancer's DNS name", "jvb-watcher up --project jitsi --terraform-dir infra"),
        (
            "Verify at the end that the platform answers",
            "jvb-watcher up --project jitsi --terraform-dir infra --verify-url https://meet.example.org",
        ),
    ],
    exit_status: &[
        (0, "calls can be made"),
        (1, "failed; the message names the phase, the state and the command to continue with"),
        USAGE_ERROR,
        INTERRUPTED,
    ],
    see_also: &["down", "hold", "status"],
};

/// Goes up, phase by phase, and prints the load balancer's DNS name.
///
/// # Errors
///
/// The phase that failed, why, how everything stands, and what goes on from there.
pub async fn up(settings: &Settings, options: &UpOptions, console: &Console) -> Result<(), CommandError> {
    if let Some(directory) = options.terraform_dir.as_ref().filter(|_| options.balancer_command.is_none())
        && !directory.is_dir()
    {
        let why = format!("--terraform-dir: there is no directory {}", directory.display());
        return Err(CommandError::Usage(why));
    }
    let sdk = connect(settings, console.log()).await?;
    let setting = setting(&sdk, settings, console, Verb::Up, &options.owner.owner_tag, command(options))?;
    let probe = options.verify_url.clone().map(|url| Arc::new(HttpProbe::new(url)) as Arc<dyn Probe>);
    let mut up = Up::new(
        setting,
        Aim {
            desired: options.desired,
            probe,
            make_limit: options.make_timeout,
            active_limit: options.active_timeout,
            serving_limit: options.serving_timeout,
            registered_limit: options.registered_timeout,
            healthy_limit: options.healthy_timeout,
            answer_limit: options.answer_timeout,
        },
    );
    let output = options.output.output;
    if options.dry_run.dry_run {
        return print_steps(Verb::Up, up.dry_run().await, output);
    }
    let phases = performed(&mut up, Verb::Up, console, output).await?;
    let report = up.report(phases);
    match output {
        OutputFormat::Json => print(&report),
        OutputFormat::Text => Ok(writeln!(std::io::stdout(), "{}", report.dns_name)?),
    }
}

fn command(options: &UpOptions) -> Option<Arc<dyn BalancerCommand>> {
    let process = match (&options.balancer_command, &options.terraform_dir) {
        (Some(line), _) => Process::shell(line),
        (None, Some(directory)) => Process::terraform_apply(directory),
        (None, None) => return None,
    };
    Some(Arc::new(process))
}
