//! The counts among the bars of docs/performance.md, by the measurements that the benchmarks make. Rates and times are
//! not asserted: they depend on the machine.

use std::path::Path;

use jvb_watcher_benchmarks::measure;
use jvb_watcher_benchmarks::stage::Stage;

/// The program, as the other tests run it.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_jvb-watcher"))
}

/// Receiving and deleting take two calls for ten messages. What comes on top belongs to the reconciliations in between, of
/// which one begins each half second at most, however many events arrive. So 10,000 events, of which the deployed program
/// handles some thousands a second, stay within 5% of the 2,000 calls.
#[test]
fn makes_no_call_for_an_event_besides_receiving_and_deleting_it() {
    const EVENTS: usize = 2_000;
    /// With a batch that is kept invisible meanwhile, for each ten messages that are in progress.
    const OF_A_RECONCILIATION: usize = 10;
    let stage = Stage::with_tasks(100);
    let mut process = measure::start_watcher(&stage, program());
    let drained = measure::drain(&stage, &mut process, EVENTS);
    let counts = drained.journal.counts();
    let queue = counts["sqs:ReceiveMessage"] + counts["sqs:DeleteMessageBatch"];
    let least = 2 * EVENTS / 10;
    assert!(queue <= least + least / 100, "{queue} calls to receive and delete {EVENTS} messages: {counts:?}");
    let reconciliations = 2 + usize::try_from(drained.took.as_millis() / 500).expect("a small number");
    let others = drained.journal.0.len() - queue;
    assert!(others <= reconciliations * OF_A_RECONCILIATION, "{others} others in {:?}: {counts:?}", drained.took);
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
