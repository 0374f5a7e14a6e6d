//! The time from a message's visibility to the registration of its task.

use std::time::{Duration, Instant};

use jvb_watcher_benchmarks::journal::{Journal, percentile};
use jvb_watcher_benchmarks::measure;
use jvb_watcher_benchmarks::process::Process;
use jvb_watcher_benchmarks::stage::{Stage, registered};
use jvb_watcher_benchmarks::wait;

use super::Bench;
use crate::report::Section;

const TASKS: usize = 100;

/// The number of tasks that are registered one after the other.
const EVENTS: usize = 100;

/// The registrations of single tasks.
pub struct Latencies {
    /// Each from the message's visibility to the response to the last RegisterTargets, in milliseconds.
    pub millis: Vec<f64>,
    /// All calls.
    pub journal: Journal,
}

impl Latencies {
    /// Adds the figures to the results.
    pub fn report(&self, section: &mut Section<'_>, who: &str) {
        section
            .row(
                format!("message visible to task registered, {who}"),
                percentile(&self.millis, 0.5).unwrap_or_default(),
                "ms",
            )
            .note(format!("median of {}; the sandbox responds at once", self.millis.len()))
            .detail("99th percentile, ms", percentile(&self.millis, 0.99))
            .detail("calls per event", self.journal.0.len() as f64 / self.millis.len() as f64)
            .calls(&self.journal);
    }
}

/// Takes one task after the other out of its two groups, sends its event, and waits for the registrations.
pub fn measure(stage: &Stage, process: &mut Process, events: usize) -> Latencies {
    stage.record();
    let mut latencies = Latencies { millis: Vec::new(), journal: Journal::default() };
    for task in stage.tasks().iter().cycle().take(events) {
        stage.deregister(task);
        let sent = stage.send_event(task);
        let ended = registration(stage, process, &task.address.to_string(), &mut latencies.journal, sent);
        latencies.millis.push(ended.saturating_duration_since(sent).as_secs_f64() * 1_000.0);
        // The next one begins with the message deleted and the program waiting.
        stage.wait_until_drained();
        wait::until("the program waits for messages", || is_quiet(stage, &mut latencies.journal).then_some(()));
    }
    latencies.journal.0.extend(stage.journal().0);
    latencies
}

/// Waits until the task is registered in both groups, and returns when the second response was sent.
fn registration(stage: &Stage, process: &mut Process, address: &str, journal: &mut Journal, sent: Instant) -> Instant {
    let mut ends = Vec::new();
    wait::until("the task is registered in both groups", || {
        process.assert_running();
        let new = stage.journal();
        let calls =
            registered(&new).into_iter().filter(|(addresses, ended)| addresses.contains(address) && *ended >= sent);
        ends.extend(calls.map(|(_, ended)| ended));
        journal.0.extend(new.0);
        (ends.len() >= 2).then_some(())
    });
    ends.into_iter().max().expect("two registrations")
}

/// The time without a response after which a program waits for a message. Each call before takes less.
const QUIET: Duration = Duration::from_millis(30);

/// Returns whether no call has ended for a while.
fn is_quiet(stage: &Stage, journal: &mut Journal) -> bool {
    journal.0.extend(stage.journal().0);
    journal.0.last().is_some_and(|call| call.ended.elapsed() > QUIET)
}

pub fn run(bench: &Bench, section: &mut Section<'_>) {
    let stage = Stage::with_tasks(TASKS);
    let mut process = measure::start_watcher(&stage, &bench.program);
    measure(&stage, &mut process, EVENTS).report(section, "the watcher");
}
