//! The calls that must follow each other before a task is registered.

use jvb_watcher_benchmarks::measure;

use super::Bench;
use crate::report::{Bar, Section};

pub fn run(bench: &Bench, section: &mut Section<'_>) {
    let round_trips = measure::round_trips(&bench.program);
    let number = round_trips.operations.len() as f64;
    section
        .row("round trips from ReceiveMessage's response to RegisterTargets", number, "")
        .bar(Bar::AtMost(3.0))
        .note(format!("every call but the queue's took {} ms", measure::LATENCY.as_millis()))
        .detail("in sequence", &round_trips.operations)
        .detail("time, ms", round_trips.took.as_millis());
}
