//! Problems that aren't findings: overdue work, unhealthy targets, messages in the dead-letter queue.

use jiff::Timestamp;

use super::seconds_between;
use crate::aws::event_source::QueueDescription;
use crate::text::span;
use jvb_watcher_rules::bounds::{Overdue, Work};
use jvb_watcher_rules::model::{Observation, TargetState};

/// Returns one sentence for each problem.
pub(super) fn remarks(
    observation: &Observation,
    overdue: &[Overdue],
    dead_letter_queue: Option<&QueueDescription>,
    now: Timestamp,
) -> Vec<String> {
    let mut remarks: Vec<_> = overdue.iter().map(|overdue| remark(overdue, now)).collect();
    let unhealthy = observation.targets().filter(|(_, target)| target.state == TargetState::Unhealthy).count();
    if unhealthy > 0 {
        remarks.push(format!("{unhealthy} target(s) fail their health checks"));
    }
    remarks.extend(dead_letters(dead_letter_queue));
    remarks
}

/// Returns one sentence for each problem of a queue that several services share.
pub(super) fn of_queue(
    overdue: Option<&Overdue>,
    dead_letter_queue: Option<&QueueDescription>,
    now: Timestamp,
) -> Vec<String> {
    overdue.map(|overdue| remark(overdue, now)).into_iter().chain(dead_letters(dead_letter_queue)).collect()
}

fn dead_letters(dead_letter_queue: Option<&QueueDescription>) -> Option<String> {
    let queue = dead_letter_queue.filter(|queue| queue.depth() > 0)?;
    Some(format!("{} message(s) in the dead-letter queue {}", queue.depth(), queue.name()))
}

fn remark(Overdue { work, subject, count, since, bound }: &Overdue, now: Timestamp) -> String {
    let (age, bound) = (span(seconds_between(*since, now)), span(bound.as_secs()));
    let problem = match work {
        Work::Registration => format!("{count} serving task(s) not registered in {subject} for {age}"),
        Work::Deregistration => format!("{count} stopped task(s) still registered in {subject} after {age}"),
        Work::Teardown => format!("{subject} idle for {age} and not deleted"),
        Work::Messages => format!("{count} message(s) on {subject} for at least {age}"),
        Work::Stop => format!("{subject} unused for {age} and not scaled to zero"),
    };
    format!("{problem} (bound: {bound}); check that a watcher is running, and read its log")
}
