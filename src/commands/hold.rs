//! `hold`: keeps watchers from deleting the load balancer for a time, or releases the hold.

use std::io::Write;
use std::time::Duration;

use clap::Args;

use super::help::{Group, Help, USAGE_ERROR};
use super::options::values::duration;
use super::options::{LogOptions, OwnerTagOptions, PlatformOptions};
use super::settings::Settings;
use super::{CommandError, Console, connect};
use crate::aws::client::AwsPlatform;
use crate::operations::failure::OperationError;
use crate::operations::hold::{OperatorHold, Placed, Released};
use crate::telemetry::log::rfc3339_millis;

/// The options of `hold`.
#[derive(Debug, Args)]
pub struct HoldOptions {
    /// Length of the hold from now on, at most a day
    #[arg(value_name = "DURATION", value_parser = duration, required_unless_present = "release", conflicts_with = "release")]
    pub time: Option<Duration>,
    /// Release the hold, also one that up placed
    #[arg(long)]
    pub release: bool,
    /// The owner tag.
    #[command(flatten)]
    pub owner: OwnerTagOptions,
    /// The platform.
    #[command(flatten)]
    pub platform: PlatformOptions,
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,
}

/// The help of `hold`.
pub const HELP: Help = Help {
    group: Group::Operate,
    examples: &[
        ("Keep the load balancer for two hours", "jvb-watcher hold 2h --project jitsi"),
        ("Release the hold", "jvb-watcher hold --release --project jitsi"),
    ],
    exit_status: &[(0, "held, or released"), (1, "there is no load balancer to hold, or a call failed"), USAGE_ERROR],
    see_also: &["up", "down", "status"],
};

/// Places or releases the hold, and prints until when the load balancer is held.
///
/// # Errors
///
/// Returns an error if a call fails, or if there is no load balancer that a watcher could delete.
pub async fn hold(settings: &Settings, options: &HoldOptions, console: &Console) -> Result<(), CommandError> {
    let sdk = connect(&settings.connection, console.log()).await?;
    let platform = AwsPlatform::new(&sdk);
    let name = &settings.load_balancer;
    let hold = OperatorHold {
        clock: platform.clock(),
        platform,
        log: console.log().clone(),
        load_balancer: name.clone(),
        owner_tag: options.owner.owner_tag.clone(),
    };
    let text = match options.time {
        Some(time) => match hold.place(time).await? {
            Placed::New(hold) => format!("{name} is held until {}", rfc3339_millis(hold.until)),
            Placed::KeptLonger(hold) => format!(
                "{name} is already held until {}, which is longer; to shorten the hold, first release it (jvb-watcher \
                 hold --release)",
                rfc3339_millis(hold.until)
            ),
        },
        None => match hold.release().await? {
            Released::Released => format!("{name} is no longer held"),
            Released::NotHeld => format!("{name} is not held"),
            Released::NoLoadBalancer => format!("load balancer {name} doesn't exist, and is not held"),
        },
    };
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

impl From<OperationError> for CommandError {
    fn from(error: OperationError) -> Self {
        Self::Failed(error.reason())
    }
}
