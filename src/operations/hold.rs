//! Placing and releasing a hold on a load balancer.

use jvb_watcher_rules::hold::{Hold, Holder};
use jvb_watcher_rules::model::{IDLE_SINCE_TAG, LOAD_BALANCER_TAG};
use jvb_watcher_rules::timestamp::rfc3339_millis;

use crate::aws::{AwsError, Deadline, Platform};
use crate::telemetry::log::{Event, Log};

/// Writes a hold on the balancer of that name and ARN, and says so.
///
/// # Errors
///
/// When the tags can't be written.
pub async fn place(
    platform: &impl Platform,
    log: &Log,
    (name, arn): (&str, &str),
    hold: &Hold,
    deadline: &Deadline,
) -> Result<(), AwsError> {
    platform.add_tags(&[arn.to_owned()], &hold.tags(), deadline).await?;
    log.emit(&Event::HoldPlaced {
        load_balancer: name.to_owned(),
        hold_until: rfc3339_millis(hold.until),
        held_by: hold.holder.as_str().to_owned(),
    });
    Ok(())
}

/// Takes a hold away from the balancer of that name and ARN, and says so. A mark from before the hold goes with it: the
/// grace begins now.
///
/// # Errors
///
/// When the tags can't be removed.
pub async fn release(
    platform: &impl Platform,
    log: &Log,
    (name, arn): (&str, &str),
    holder: &Holder,
    deadline: &Deadline,
) -> Result<(), AwsError> {
    let [until, by] = Hold::KEYS;
    let keys = [until, by, IDLE_SINCE_TAG, LOAD_BALANCER_TAG];
    platform.remove_tags(&[arn.to_owned()], &keys, deadline).await?;
    log.emit(&Event::HoldReleased { load_balancer: name.to_owned(), held_by: holder.as_str().to_owned() });
    Ok(())
}
