//! AWS calls of a worker that has nothing to do, an hour.

use std::time::Instant;

use jvb_watcher_benchmarks::journal::Journal;
use jvb_watcher_benchmarks::process::Process;
use jvb_watcher_benchmarks::stage::{OF_EACH_RECONCILIATION, Stage};
use jvb_watcher_benchmarks::wait;

use super::Bench;
use crate::report::{Bar, Section};

/// Resync intervals that count: as many as a service at rest has from one reading of the service itself to the next. They are
/// the real time's: the worker's own intervals can't be scaled.
const INTERVALS: usize = 5;

/// The number of target groups of others.
const GROUPS: usize = 1_000;

/// The operation that each reconciliation makes once, so that the times between are whole intervals.
const ONCE_EACH: &str = OF_EACH_RECONCILIATION;

pub fn run(bench: &Bench, section: &mut Section<'_>) {
    let (alone, among_others) = (Stage::new(), Stage::new());
    among_others.add_groups_of_others(GROUPS);
    // Both at once: they are idle.
    let processes = [&alone, &among_others].map(|stage| {
        stage.record();
        (stage, Process::start(&mut stage.watcher(&bench.program)))
    });
    for ((stage, mut process), account) in
        processes.into_iter().zip(["no other target group", "1,000 target groups of others"])
    {
        let wanted = INTERVALS as u64 + 2;
        for number in 1..=wanted {
            wait::until("the worker reconciles", || (stage.calls(ONCE_EACH) >= number).then_some(()));
        }
        process.assert_running();
        let journal = stage.journal();
        // What the start adds comes before the second reconciliation.
        let begins: Vec<Instant> = journal.of(ONCE_EACH).map(|call| call.began).collect();
        let (from, to) = (begins[1], begins[1 + INTERVALS]);
        let counted = journal.between(from, to);
        let hours = to.saturating_duration_since(from).as_secs_f64() / 3_600.0;
        let each_hour = counted.0.len() as f64 / hours;
        let hourly = hourly_check(&journal);
        section
            .row(format!("AWS calls an hour, one service without a load balancer, {account}"), each_hour + hourly, "calls")
            .bar(Bar::AtMost(300.0))
            .note(format!(
                "counted over {INTERVALS} resync intervals of real time, {:.0} s, and multiplied; with the hourly check \
                 of the event source",
                hours * 3_600.0
            ))
            .detail("of them the hourly check", hourly)
            .calls(&counted);
    }
}

/// The calls of the check of the event source, which runs at the start and once an hour.
fn hourly_check(journal: &Journal) -> f64 {
    let check = |operation: &str| operation.starts_with("events:") || operation == "sqs:GetQueueAttributes";
    journal.0.iter().filter(|call| check(&call.operation)).count() as f64
}
