//! `hold`: keeps watchers from deleting the load balancer for a time, or releases the hold.

use std::io::Write;

use super::{CommandError, Console, connect};
use crate::aws::client::AwsPlatform;
use crate::cli::HoldOptions;
use crate::config::Settings;
use crate::operations::failure::OperationError;
use crate::operations::hold::{OperatorHold, Placed, Released};
use crate::telemetry::log::rfc3339_millis;

/// Places or releases the hold, and prints until when the load balancer is held.
///
/// # Errors
///
/// When a call fails, and when there is no load balancer that a watcher could delete.
pub async fn hold(settings: &Settings, options: &HoldOptions, console: &Console) -> Result<(), CommandError> {
    let sdk = connect(settings, console.log()).await?;
    let platform = AwsPlatform::new(&sdk);
    let name = &settings.load_balancer;
    let hold = OperatorHold {
        clock: platform.clock(),
        platform,
        log: console.log().clone(),
        load_balancer: name.clone(),
        owner_tag: options.owner_tag.clone(),
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
