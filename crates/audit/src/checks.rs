//! The checks: each judges a claim by the lines of one service.

use crate::service::Service;
use crate::verdict::Verdict;

mod calls;
mod deletions;
mod deregistrations;
mod findings;
mod idle;
mod marks;
mod registrations;
mod stops;
mod teardowns;
#[cfg(test)]
mod tests;

/// The time by which two workers' clocks differ at most once AWS's answers have corrected them, in seconds.
const CLOCK: f64 = 3.0;

/// The error of a machine's clock, in seconds, at most (docs/guarantees.md).
const MACHINE_CLOCK: f64 = 60.0;

/// The window in which an observation can miss what happened just before, in seconds: the ten for which it is valid, and the
/// lag of ECS's answers (docs/guarantees.md, "Windows").
const WINDOW: f64 = 20.0;

/// The time that a registration, a deregistration or a call takes beyond the resync interval, in seconds
/// (docs/guarantees.md).
const REGISTRATION_ALLOWANCE: f64 = 90.0;

/// The time that a teardown takes beyond the resync interval and the grace period, in seconds (docs/guarantees.md).
const TEARDOWN_ALLOWANCE: f64 = 120.0;

/// Judges every claim by the lines of a service.
pub fn judge(service: &Service<'_>, verdict: &mut Verdict) {
    verdict.gaps.extend(service.gaps());
    marks::judge(service, verdict);
    deletions::judge(service, verdict);
    idle::judge(service, verdict);
    teardowns::judge(service, verdict);
    registrations::judge(service, verdict);
    deregistrations::judge(service, verdict);
    stops::judge(service, verdict);
    calls::judge(service, verdict);
    findings::judge(service, verdict);
}
