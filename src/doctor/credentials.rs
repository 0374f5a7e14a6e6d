//! Who asks, and by which clock.

use std::time::Duration;

use jiff::SignedDuration;

use super::Check;
use crate::aws::AwsError;
use crate::aws::event_source::Caller;

/// A clock that is off by more makes ages and graces wrong, where AWS's answers don't put it right.
const CLOCK_OFF: Duration = Duration::from_secs(30);

/// AWS refuses requests that are signed more than five minutes off (see "Signing AWS API requests" in its IAM guide).
const CLOCK_REFUSED: Duration = Duration::from_secs(5 * 60);

pub fn credentials(caller: &Result<Caller, AwsError>) -> Check {
    const CHECK: &str = "credentials";
    match caller {
        Ok(Caller { arn, .. }) => Check::ok(CHECK, format!("of {arn}")),
        Err(error) => Check::call_failed(CHECK, error),
    }
}

pub fn clock(ahead: SignedDuration) -> Check {
    const CHECK: &str = "clock";
    let off = Duration::from_secs(ahead.unsigned_abs().as_secs());
    let side = if ahead.is_negative() { "ahead of" } else { "behind" };
    let detail = format!("this machine's is {} {side} AWS's", humantime::format_duration(off));
    let advice = "Set it by NTP.";
    if off >= CLOCK_REFUSED {
        Check::failed(CHECK, detail, advice)
    } else if off >= CLOCK_OFF {
        Check::warning(CHECK, detail, advice)
    } else {
        Check::ok(CHECK, "this machine's agrees with AWS's")
    }
}
