//! A reconciliation of a large service with nothing to do.

use jvb_watcher_benchmarks::measure;
use jvb_watcher_benchmarks::stage::Stage;

use super::Bench;
use crate::report::{Bar, Section};

/// The number of tasks, each in two groups.
const TASKS: usize = 1_000;

/// Reconciliations that count.
const COUNTED: u32 = 20;

pub fn run(bench: &Bench, section: &mut Section<'_>) {
    let stage = Stage::with_tasks(TASKS);
    stage.register_tasks();
    let reconciliations = measure::reconciliations(&stage, &bench.program, COUNTED);
    let note = format!("one of {COUNTED} in one process");
    section
        .row("AWS calls of a reconciliation of 1,000 tasks and 2 groups", reconciliations.calls(), "calls")
        .bar(Bar::AtMost(30.0))
        .note(note.clone())
        .calls(&reconciliations.journal);
    let millis = reconciliations.cpu.as_secs_f64() * 1_000.0;
    section
        .row("processor time of that reconciliation", millis, "ms")
        .bar(Bar::AtMost(10.0))
        .note(format!("{note}, with the poll of the queue between two"));
}
