//! `hold`: keeps every watcher from tearing the load balancer down for a time; or lets go of it.

use std::io::Write;
use std::time::Duration;

use super::operation::Console;
use super::{CommandError, connect};
use crate::aws::client::AwsPlatform;
use crate::aws::{Deadline, Platform};
use crate::cli::HoldOptions;
use crate::clock::{Clock, Moment};
use crate::config::Settings;
use crate::controller::reconciler::OBSERVATION_VALID_FOR;
use crate::operations::hold;
use crate::telemetry::log::rfc3339_millis;
use jvb_watcher_rules::hold::{Hold, Holder};
use jvb_watcher_rules::model::IDLE_SINCE_TAG;

/// Holds, or lets go, and prints until when.
///
/// # Errors
///
/// When there is nothing that could be held, or when a call fails.
pub async fn hold(settings: &Settings, options: &HoldOptions, console: &Console) -> Result<(), CommandError> {
    let sdk = connect(settings, console.log()).await?;
    let platform = AwsPlatform::new(&sdk);
    let clock = platform.clock();
    let name = &settings.load_balancer;
    let Some(balancer) = platform.load_balancer(name).await? else {
        return match options.time {
            Some(_) => Err(CommandError::Failed(format!(
                "there is no load balancer {name} to hold; make it first (jvb-watcher up), or check --load-balancer"
            ))),
            None => Ok(writeln!(std::io::stdout(), "there is no load balancer {name}, and no hold")?),
        };
    };
    let deadline = Deadline::new(Moment::now(&*clock), OBSERVATION_VALID_FOR, clock.clone());
    let tags = platform.tags(std::slice::from_ref(&balancer.arn)).await?.remove(&balancer.arn).unwrap_or_default();
    let Some(time) = options.time else {
        if !Hold::KEYS.iter().any(|key| tags.contains_key(*key)) {
            return Ok(writeln!(std::io::stdout(), "{name} is not held")?);
        }
        let holder = Hold::of(&tags).map_or(Holder::Hand, |hold| hold.holder);
        hold::release(&platform, console.log(), (name, &balancer.arn), &holder, &deadline).await?;
        return Ok(writeln!(std::io::stdout(), "{name} is no longer held")?);
    };
    let owner_tag = &options.owner_tag;
    if !owner_tag.is_among(&tags) {
        return Err(CommandError::Failed(format!(
            "load balancer {name} has no tag {owner_tag}, so no watcher deletes it: there is nothing to hold; or give \
             its tag as --owner-tag"
        )));
    }
    let hold = Hold::for_duration(time, clock.now(), Holder::Hand);
    hold::place(&platform, console.log(), (name, &balancer.arn), &hold, &deadline).await?;
    let hold_until = rfc3339_millis(hold.until);
    if tags.contains_key(IDLE_SINCE_TAG) {
        // A watcher that looked just before may still delete it.
        tokio::time::sleep(OBSERVATION_VALID_FOR + Duration::from_secs(2)).await;
        let still = platform.load_balancer(name).await?;
        if still.is_none_or(|still| still.arn != balancer.arn) {
            return Err(CommandError::Failed(format!(
                "too late: load balancer {name} was being torn down already; make it anew with jvb-watcher up"
            )));
        }
    }
    Ok(writeln!(std::io::stdout(), "{name} is held until {hold_until}")?)
}
