//! The checks of the credentials and the clock.

use std::time::Duration;

use jiff::SignedDuration;

use super::Check;
use crate::aws::AwsError;
use crate::aws::diagnostics::Caller;

/// A clock that differs by more distorts ages and grace periods where AWS's answers don't correct it.
const CLOCK_WARNING: Duration = Duration::from_secs(30);

/// AWS rejects requests whose signature is more than five minutes old (see "Create a signed AWS API request" in the IAM
/// user guide).
const CLOCK_FAILURE: Duration = Duration::from_secs(5 * 60);

pub fn credentials(caller: &Result<Caller, AwsError>) -> Check {
    const CHECK: &str = "credentials";
    match caller {
        Ok(Caller { arn, .. }) => Check::ok(CHECK, format!("of {arn}")),
        Err(error) => Check::call_failed(CHECK, error),
    }
}

pub fn clock(ahead: Option<SignedDuration>) -> Check {
    const CHECK: &str = "clock";
    let Some(ahead) = ahead else {
        return Check::skipped(CHECK, "no answer from AWS to compare it with");
    };
    let difference = Duration::from_secs(ahead.unsigned_abs().as_secs());
    let direction = if ahead.is_negative() { "ahead of" } else { "behind" };
    let detail = format!("this machine's is {} {direction} AWS's", humantime::format_duration(difference));
    let advice = "Synchronize it by NTP.";
    if difference >= CLOCK_FAILURE {
        Check::failed(CHECK, detail, advice)
    } else if difference >= CLOCK_WARNING {
        Check::warning(CHECK, detail, advice)
    } else {
        Check::ok(CHECK, "this machine's agrees with AWS's")
    }
}
