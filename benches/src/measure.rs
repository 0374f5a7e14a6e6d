//! Measurements that both the benchmark and the tests make.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::journal::{Journal, receipt_and_registration};
use crate::process::{Process, Usage};
use crate::stage::{OF_EACH_RECONCILIATION, Stage};
use crate::wait;

/// Far longer than the program's own time between two calls, so that calls side by side overlap.
pub const LATENCY: Duration = Duration::from_millis(100);

/// Reconciliations before a count begins: the first ones log what they find.
const WARM_UP: u64 = 3;

/// A backlog that was drained.
#[derive(Debug)]
pub struct Drained {
    /// From the moment when all messages became visible to the last response to a deletion.
    pub took: Duration,
    /// The calls in that time.
    pub journal: Journal,
    /// What the kernel counted of the process, at the end.
    pub usage: Usage,
    /// Processor time that the drain took.
    pub cpu: Duration,
}

impl Drained {
    /// Returns the rate, in messages a second.
    pub fn rate(&self, messages: usize) -> f64 {
        messages as f64 / self.took.as_secs_f64()
    }
}

/// Makes messages visible at once to a process that waits for them, and measures until they are deleted.
///
/// # Panics
///
/// If the process ends, or deletes nothing.
pub fn drain(stage: &Stage, process: &mut Process, messages: usize) -> Drained {
    let before = process.usage();
    stage.record();
    stage.send_events(messages);
    let visible = Instant::now();
    stage.wait_until_drained();
    process.assert_running();
    let usage = process.usage();
    let journal = stage.journal();
    let deletions = journal.0.iter().filter(|call| call.operation.starts_with("sqs:Delete"));
    let end = deletions.map(|call| call.ended).max().expect("messages were deleted");
    let cpu = usage.cpu.saturating_sub(before.cpu);
    Drained { took: end.saturating_duration_since(visible), journal, usage, cpu }
}

/// Starts the watcher behind healthy targets, and waits until it is at rest.
pub fn start_watcher(stage: &Stage, program: &Path) -> Process {
    // It would observe every few seconds while targets aren't healthy.
    stage.register_tasks();
    let process = Process::start(&mut stage.watcher(program));
    stage.wait_for_reconciliations(1);
    stage.wait_until_at_rest();
    process
}

/// The calls in sequence between the receipt of an event and the registration of its task.
#[derive(Debug)]
pub struct RoundTrips {
    /// The operations.
    pub operations: Vec<String>,
    /// From the response to ReceiveMessage to the request of RegisterTargets.
    pub took: Duration,
}

/// Measures the round trips, with a latency of [`LATENCY`] for every call but the queue's.
///
/// # Panics
///
/// If the program doesn't register the task.
pub fn round_trips(program: &Path) -> RoundTrips {
    const REGISTRATION: &str = "elasticloadbalancing:RegisterTargets";
    let stage = Stage::with_tasks(2);
    let mut process = start_watcher(&stage, program);
    let task = stage.tasks()[0].clone();
    stage.deregister(&task);
    stage.delay_calls(LATENCY);
    let registrations = stage.calls(REGISTRATION);
    stage.record();
    let sent = stage.send_event(&task);
    wait::until("the task is registered in both groups", || {
        process.assert_running();
        (stage.calls(REGISTRATION) >= registrations + 2 && stage.messages() == 0).then_some(())
    });
    let journal = stage.journal();
    let (received, registered) = receipt_and_registration(&journal, sent).expect("both were recorded");
    let operations = journal.longest_sequence(received, registered);
    RoundTrips {
        operations: operations.into_iter().map(|call| call.operation.clone()).collect(),
        took: registered.saturating_duration_since(received),
    }
}

/// Reconciliations in one process, one after the other.
#[derive(Debug)]
pub struct Reconciliations {
    /// Their number.
    pub number: u64,
    /// The calls of all of them, without those of the queue.
    pub journal: Journal,
    /// Processor time of one, with the poll of the queue between two.
    pub cpu: Duration,
}

impl Reconciliations {
    /// Returns the number of calls of one.
    pub fn calls(&self) -> f64 {
        self.journal.0.len() as f64 / self.number as f64
    }
}

/// Measures reconciliations that find everything as it should be.
///
/// # Panics
///
/// If the program ends.
pub fn reconciliations(stage: &Stage, program: &Path, number: u32) -> Reconciliations {
    let mut command = stage.watcher(program);
    // The shortest interval. The hourly check of the event source has calls of its own.
    command.env("JVB_WATCHER_RESYNC_INTERVAL", "1s").env("JVB_WATCHER_FEED_CHECK", "off");
    let mut process = Process::start(&mut command);
    stage.wait_for_reconciliations(WARM_UP);
    let before = process.usage();
    stage.record();
    stage.wait_for_reconciliations(u64::from(number) + 1);
    let cpu = process.usage().cpu.saturating_sub(before.cpu) / (number + 1);
    process.assert_running();
    // Those from the beginning of the first to that of the last, which is still in progress.
    let calls = stage.journal().without_queue();
    let begun: Vec<_> = calls.of(OF_EACH_RECONCILIATION).map(|call| call.began).collect();
    let (first, last) = (*begun.iter().min().expect("several"), *begun.iter().max().expect("several"));
    Reconciliations { number: begun.len() as u64 - 1, journal: calls.between(first, last), cpu }
}
