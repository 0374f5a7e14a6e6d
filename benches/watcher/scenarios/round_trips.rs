//! The calls that must follow each other before a task is registered.

use std::time::Duration;

use jvb_watcher_benchmarks::stage::Stage;
use jvb_watcher_benchmarks::{journal, wait};

use super::{Bench, drain};
use crate::report::{Bar, Section};

/// Far longer than the program's own time between two calls, so that calls side by side overlap.
const LATENCY: Duration = Duration::from_millis(100);

pub fn run(bench: &Bench, section: &mut Section<'_>) {
    let stage = Stage::with_tasks(2);
    let mut process = drain::start_watcher(&stage, &bench.program);
    let task = stage.tasks()[0].clone();
    stage.deregister(&task);
    stage.delay_calls(LATENCY);
    let registrations = stage.calls("elasticloadbalancing:RegisterTargets");
    stage.record();
    let sent = stage.send_event(&task);
    wait::until("the task is registered in both groups", || {
        process.assert_running();
        (stage.calls("elasticloadbalancing:RegisterTargets") >= registrations + 2 && stage.messages() == 0)
            .then_some(())
    });
    let journal = stage.journal();
    let (received, registered) = journal::receipt_and_registration(&journal, sent).expect("both were recorded");
    let sequence = journal.longest_sequence(received, registered);
    let names: Vec<_> = sequence.iter().map(|call| call.operation.as_str()).collect();
    section
        .row("round trips from ReceiveMessage's response to RegisterTargets", names.len() as f64, "")
        .bar(Bar::AtMost(3.0))
        .note(format!("every call of ECS and the load balancers took {} ms", LATENCY.as_millis()))
        .detail("in sequence", &names)
        .detail("time, ms", registered.saturating_duration_since(received).as_millis());
}
