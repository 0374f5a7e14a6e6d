//! A reconciliation of a large service with nothing to do.

use jvb_watcher_benchmarks::process::Process;
use jvb_watcher_benchmarks::stage::Stage;

use super::Bench;
use crate::report::{Bar, Section};

/// The number of tasks, each in two groups.
const TASKS: usize = 1_000;

/// Reconciliations before the count begins: the first ones log what they find.
const WARM_UP: u64 = 3;

/// Reconciliations that count.
const COUNTED: u64 = 20;

pub fn run(bench: &Bench, section: &mut Section<'_>) {
    let stage = Stage::with_tasks(TASKS);
    stage.register_tasks();
    let mut command = stage.watcher(&bench.program);
    // The shortest interval. The hourly check of the event source has calls of its own.
    command.env("JVB_WATCHER_RESYNC_INTERVAL", "1s").env("JVB_WATCHER_FEED_CHECK", "off");
    let mut process = Process::start(&mut command);
    stage.wait_for_reconciliations(WARM_UP);
    let before = process.usage();
    stage.record();
    stage.wait_for_reconciliations(COUNTED);
    let cpu = process.usage().cpu.saturating_sub(before.cpu);
    let journal = stage.journal();
    process.assert_running();
    let each = |total: f64| total / COUNTED as f64;
    let without_queue = journal.without_queue();
    section
        .row("AWS calls of a reconciliation of 1,000 tasks and 2 groups", each(without_queue.0.len() as f64), "calls")
        .bar(Bar::AtMost(30.0))
        .note(format!("{COUNTED} reconciliations in one process"))
        .calls(&without_queue);
    section
        .row("processor time of that reconciliation", each(cpu.as_secs_f64() * 1_000.0), "ms")
        .bar(Bar::AtMost(10.0))
        .note("with the poll of the queue between two of them");
}
