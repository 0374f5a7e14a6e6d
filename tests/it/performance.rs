//! The counts among the bars of docs/performance.md, by the measurements that the benchmarks make. Rates and times are
//! not asserted: they depend on the machine.

use std::path::Path;
use std::time::Duration;

use jvb_watcher_benchmarks::measure;
use jvb_watcher_benchmarks::stage::Stage;

/// The time in which the events are handled, unless the machine is overloaded.
const USUAL_TIME: Duration = Duration::from_secs(10);

/// The program, as the other tests run it.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_jvb-watcher"))
}

#[test]
fn makes_five_percent_more_calls_for_ten_thousand_events_than_receiving_and_deleting_take() {
    const EVENTS: usize = 10_000;
    let stage = Stage::with_tasks(100);
    let mut process = measure::start_watcher(&stage, program());
    let drained = measure::drain(&stage, &mut process, EVENTS);
    // Ten messages a call, received and deleted.
    let least = 2 * EVENTS / 10;
    // On an overloaded machine receiving takes longer, and a reconciliation of nine calls comes in between each half second.
    // Messages that wait for long are kept invisible by a call for ten.
    let overtime = drained.took.saturating_sub(USUAL_TIME).as_secs();
    let most = least + least / 20 + 20 * usize::try_from(overtime).expect("a small number");
    let calls = drained.journal.0.len();
    assert!(calls <= most, "{calls} calls of {most} in {:?}: {:?}", drained.took, drained.journal.counts());
}

#[test]
fn makes_at_most_thirty_calls_for_a_reconciliation_of_a_thousand_tasks() {
    let stage = Stage::with_tasks(1_000);
    stage.register_tasks();
    let reconciliations = measure::reconciliations(&stage, program(), 3);
    assert!(
        reconciliations.calls() <= 30.0,
        "{} calls: {:?}",
        reconciliations.calls(),
        reconciliations.journal.counts()
    );
}
