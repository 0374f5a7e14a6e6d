//! The calls to AWS: bounded by the minutes that pass, the changes, the messages and the failures.
//!
//! Each process has an allowance that grows with these, up to a limit, and that its calls use up. The bound is a coarse one:
//! the simulation has the exact one, which needs the state of AWS.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::entry::{Entry, seconds_between};
use crate::service::Service;
use crate::verdict::{Claim, Verdict};

/// The calls of a reconciliation: two pages of tasks, the tasks, the service, the load balancer, its groups, all tags, the
/// targets of two groups, the use, and a write or two for each group.
const RECONCILIATION: f64 = 13.0;

/// The polls of the queue and the questions about the use in a minute.
const POLLS: f64 = 5.0;

/// The reconciliations in a minute of a load balancer that is about to be torn down, first checked or stopped, and what each
/// change adds.
const BUSY: f64 = 30.0;
const PER_CHANGE: f64 = 20.0;

/// The calls for a message: the tasks again until they are as new as it says, extending its visibility, deleting it.
const MESSAGE: f64 = 10.0;

/// The calls that a failure causes: the retries of a reconciliation.
const FAILURE: f64 = 3.0 * RECONCILIATION + POLLS;

/// The calls that may accumulate.
const MOST: f64 = 60.0 * RECONCILIATION;

pub fn judge(service: &Service<'_>, verdict: &mut Verdict) {
    let check = verdict.check(Claim::Calls);
    let is_of_fleet = !service.of("service_added").is_empty();
    let mut failures = 0_u32;
    // Of each process, the time of its last line, the calls left, and the failures that they count.
    let mut processes: BTreeMap<u32, (Timestamp, f64, u32)> = BTreeMap::new();
    for entry in &service.entries {
        if entry.event.ends_with("_failed") {
            failures = failures.saturating_add(1);
        }
        let (true, Some(calls)) = (entry.is("reconciled"), entry.seconds("aws_calls")) else { continue };
        let Some(observation) = entry.observation.as_ref() else {
            check.unknown("a line doesn't tell which process made the calls", entry);
            continue;
        };
        if observation.is_of_command() {
            continue;
        }
        if is_of_fleet {
            check.unknown("a watcher of several services counts the calls of all of them", entry);
            continue;
        }
        let resync = service.settings_at(entry.seen_at).resync().max(0.05);
        let (last, left, counted) = processes.entry(observation.process).or_insert((entry.seen_at, MOST, failures));
        *left += f64::from(failures - *counted) * FAILURE;
        *counted = failures;
        let minutes = seconds_between(*last, entry.seen_at).max(0.0) / 60.0;
        let reconciliations = 60.0 / resync + if is_busy(entry) { BUSY } else { 0.0 };
        let count = |field: &str| entry.seconds(field).unwrap_or_default();
        let allowed = minutes * (POLLS + reconciliations * RECONCILIATION)
            + count("changes") * PER_CHANGE * RECONCILIATION
            + (count("messages") + count("foreign")) * (MESSAGE + RECONCILIATION);
        *left = (*left + allowed).min(MOST.max(allowed)) - calls;
        *last = entry.seen_at;
        if *left < 0.0 {
            let what =
                format!("{:.0} calls to AWS more than the minutes, changes, messages and failures allow", -*left);
            check.breach(&service.name, what, &[entry]);
            *left = MOST;
        } else {
            check.hold();
        }
    }
}

/// Returns whether a line tells of a state in which reconciliations follow in seconds.
fn is_busy(entry: &Entry) -> bool {
    let count = |field: &str| entry.integer(field).unwrap_or_default();
    let is_nearly_idle = count("desired") == 0 && count("running") + count("pending") > 0;
    let is_first_checked = count("registered") > count("healthy");
    let is_idle = count("desired") == 0 && count("running") == 0 && !entry.has("load_balancer_state", "absent");
    let is_unused = entry.text("unused_since").is_some();
    (is_nearly_idle || is_first_checked || is_idle || is_unused) && !(is_idle && count("healthy") > 0)
}
