//! `up`: creates the load balancer, scales the service up, and waits until clients can connect.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tokio::time::Instant;

use super::help::{Group, Help, INTERRUPTED, USAGE_ERROR};
use super::operation::{Request, print};
use super::options::values::{duration, url};
use super::options::{
    BridgeOptions, DryRunOptions, LogOptions, OutputFormat, OutputOptions, OwnerTagOptions, PlatformOptions,
    RecordOptions,
};
use super::probe::HttpProbe;
use super::settings::Settings;
use super::{CommandError, Console, connect_recorded};
use crate::operations::command::{LoadBalancerCommand, Process};
use crate::operations::up::{Probe, Spec, Up};
use crate::telemetry::log::Verb;

/// The options of `up`.
#[derive(Debug, Args)]
pub struct UpOptions {
    /// Number of tasks to serve; a service with more keeps them
    ///
    /// More than one needs --allow-several-bridges.
    #[arg(long, env = "JVB_WATCHER_DESIRED", value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=5000))]
    pub desired: i32,
    /// Terraform configuration that creates a missing load balancer
    ///
    /// The command is `terraform -chdir=DIR apply -auto-approve`. It applies the whole configuration; --terraform-arg can
    /// limit it.
    #[arg(long, env = "JVB_WATCHER_TERRAFORM_DIR", value_name = "DIR")]
    pub terraform_dir: Option<PathBuf>,
    /// Further argument of `terraform apply`, e.g. -var=NAME=VALUE; repeatable
    ///
    /// Where one configuration contains the whole platform, limit the command to the load balancer:
    /// `--terraform-arg=-target=module.jvb_nlb`.
    #[arg(long = "terraform-arg", value_name = "ARGUMENT", requires = "terraform_dir", allow_hyphen_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub terraform_args: Vec<String>,
    /// Shell command that creates a missing load balancer; overrides --terraform-dir
    #[arg(long, env = "JVB_WATCHER_UP_COMMAND", value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    pub balancer_command: Option<String>,
    /// HTTP or HTTPS address that must answer at the end, with a status below 400
    #[arg(long, env = "JVB_WATCHER_VERIFY_URL", value_name = "URL", value_parser = url)]
    pub verify_url: Option<http::Uri>,
    /// The owner tag.
    #[command(flatten)]
    pub owner: OwnerTagOptions,
    /// The bridges.
    #[command(flatten)]
    pub bridges: BridgeOptions,
    /// The result.
    #[command(flatten)]
    pub output: OutputOptions,
    /// Dry run or real run.
    #[command(flatten)]
    pub dry_run: DryRunOptions,
    /// Limit of the command that creates the load balancer
    #[arg(long, env = "JVB_WATCHER_MAKE_TIMEOUT", value_name = "DURATION", default_value = "15m", value_parser = duration, help_heading = "Time limits", hide_short_help = true)]
    pub make_timeout: Duration,
    /// Limit until the load balancer is active
    #[arg(long, env = "JVB_WATCHER_ACTIVE_TIMEOUT", value_name = "DURATION", default_value = "10m", value_parser = duration, help_heading = "Time limits", hide_short_help = true)]
    pub active_timeout: Duration,
    /// Limit until as many tasks serve as are desired
    #[arg(long, env = "JVB_WATCHER_SERVING_TIMEOUT", value_name = "DURATION", default_value = "10m", value_parser = duration, help_heading = "Time limits", hide_short_help = true)]
    pub serving_timeout: Duration,
    /// Limit until all tasks are registered
    #[arg(long, env = "JVB_WATCHER_REGISTERED_TIMEOUT", value_name = "DURATION", default_value = "3m", value_parser = duration, help_heading = "Time limits", hide_short_help = true)]
    pub registered_timeout: Duration,
    /// Limit until all targets are healthy
    #[arg(long, env = "JVB_WATCHER_HEALTHY_TIMEOUT", value_name = "DURATION", default_value = "10m", value_parser = duration, help_heading = "Time limits", hide_short_help = true)]
    pub healthy_timeout: Duration,
    /// Limit until the address of --verify-url answers
    #[arg(long, env = "JVB_WATCHER_ANSWER_TIMEOUT", value_name = "DURATION", default_value = "5m", value_parser = duration, help_heading = "Time limits", hide_short_help = true)]
    pub answer_timeout: Duration,
    /// The platform.
    #[command(flatten)]
    pub platform: PlatformOptions,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
    /// The recording.
    #[command(flatten)]
    pub record: RecordOptions,
}

/// The help of `up`.
pub const HELP: Help = Help {
    group: Group::Operate,
    examples: &[
        ("Show the steps", "jvb-watcher up --project jitsi --terraform-dir calls --dry-run"),
        (
            "Scale up, verify that the platform answers, and print the load balancer's DNS name",
            "jvb-watcher up --project jitsi --terraform-dir calls --verify-url https://meet.example.org",
        ),
        (
            "Apply only the load balancer of a configuration that contains the whole platform",
            "jvb-watcher up --project jitsi --terraform-dir infra --terraform-arg=-target=module.jvb_nlb",
        ),
    ],
    exit_status: &[
        (0, "the targets are healthy"),
        (1, "failed; the message names the phase, the state and the command to continue with"),
        USAGE_ERROR,
        INTERRUPTED,
    ],
    see_also: &["down", "hold", "status"],
};

/// Runs `up`, and prints the load balancer's DNS name.
///
/// # Errors
///
/// The phase that failed, the reason, the state that it leaves, and how to continue.
pub async fn up(settings: &Settings, options: &UpOptions, console: &Console) -> Result<(), CommandError> {
    let command = command(options)?;
    let recorder = options.record.start("up")?;
    let sdk = connect_recorded(&settings.connection, console.log(), recorder.as_ref()).await?;
    let output = options.output.output;
    let owner_tag = &options.owner.owner_tag;
    let allow_several_bridges = options.bridges.allow_several_bridges;
    let request = Request { settings, console, verb: Verb::Up, owner_tag, allow_several_bridges, command, output };
    let probe = options.verify_url.clone().map(|url| Arc::new(HttpProbe::new(url)) as Arc<dyn Probe>);
    let spec = Spec {
        desired: options.desired,
        probe,
        create_limit: options.make_timeout,
        active_limit: options.active_timeout,
        serving_limit: options.serving_timeout,
        registered_limit: options.registered_timeout,
        healthy_limit: options.healthy_timeout,
        answer_limit: options.answer_timeout,
    };
    let mut up = Up::new(request.context(&sdk)?, spec);
    if options.dry_run.dry_run {
        let began = Instant::now();
        return request.print_steps(up.dry_run().await, began);
    }
    let phases = request.execute(&mut up).await?;
    let report = up.report(phases);
    match output {
        OutputFormat::Json => print(&report),
        OutputFormat::Text => Ok(writeln!(std::io::stdout(), "{}", report.dns_name)?),
    }
}

fn command(options: &UpOptions) -> Result<Option<Arc<dyn LoadBalancerCommand>>, CommandError> {
    let process = match (&options.balancer_command, &options.terraform_dir) {
        (Some(line), _) => Process::shell(line),
        (None, Some(directory)) => {
            validate_terraform_dir(directory)
                .map_err(|reason| CommandError::Usage(format!("--terraform-dir: {reason}")))?;
            Process::terraform_apply(directory, &options.terraform_args)
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(Arc::new(process)))
}

/// Terraform itself would notice only after the operation has begun, and a dry run doesn't call it.
fn validate_terraform_dir(directory: &Path) -> Result<(), String> {
    let entries = std::fs::read_dir(directory)
        .map_err(|error| format!("{} can't be read: {error}; correct the path", directory.display()))?;
    let is_terraform = |name: &str| name.ends_with(".tf") || name.ends_with(".tf.json");
    let has_configuration = entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(is_terraform));
    match has_configuration {
        true => Ok(()),
        false => Err(format!(
            "{} has no terraform files (*.tf, *.tf.json); give the directory of the configuration that creates the load balancer",
            directory.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terraform_directory_has_terraform_files() {
        let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
        let missing = validate_terraform_dir(&directory.path().join("infra")).expect_err("it doesn't exist");
        assert!(missing.contains("infra can't be read"), "{missing}");
        std::fs::write(directory.path().join("terraform.tfstate"), "").expect("the directory is writable");
        let empty = validate_terraform_dir(directory.path()).expect_err("it has a state only");
        assert!(empty.contains("has no terraform files"), "{empty}");
        for name in ["main.tf", "main.tf.json"] {
            let file = directory.path().join(name);
            std::fs::write(&file, "").expect("the directory is writable");
            assert_eq!(validate_terraform_dir(directory.path()), Ok(()), "{name}");
            std::fs::remove_file(&file).expect("the file is there");
        }
    }
}
