//! How fast a backlog is drained, and by how many calls.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jvb_watcher_benchmarks::journal::{Journal, percentile};
use jvb_watcher_benchmarks::process::{Process, Usage};
use jvb_watcher_benchmarks::stage::Stage;

use super::Bench;
use crate::consumer;
use crate::report::{Bar, Section};

/// The number of events.
const EVENTS: usize = 10_000;

/// The number of tasks that the events are about.
const TASKS: usize = 100;

/// A backlog that was drained.
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
    /// The rate, in messages a second.
    pub fn rate(&self, messages: usize) -> f64 {
        messages as f64 / self.took.as_secs_f64()
    }
}

/// Makes messages visible at once to a process that waits for them, and measures until they are deleted.
pub fn drain(stage: &Stage, process: &mut Process, messages: usize) -> Drained {
    let before = process.usage();
    stage.record();
    stage.send_events(messages);
    let visible = std::time::Instant::now();
    stage.wait_until_drained();
    process.assert_running();
    let usage = process.usage();
    let journal = stage.journal();
    let deletions = journal.0.iter().filter(|call| call.operation.starts_with("sqs:Delete"));
    let end = deletions.map(|call| call.ended).max().expect("messages were deleted");
    let cpu = usage.cpu.saturating_sub(before.cpu);
    Drained { took: end.saturating_duration_since(visible), journal, usage, cpu }
}

/// Starts the watcher, and waits until it has registered all tasks and waits for messages.
pub fn start_watcher(stage: &Stage, program: &Path) -> Process {
    let process = Process::start(&mut stage.watcher(program));
    stage.wait_for_reconciliations(1);
    process
}

fn watcher(program: &Path) -> Drained {
    let stage = Stage::with_tasks(TASKS);
    drain(&stage, &mut start_watcher(&stage, program), EVENTS)
}

fn bare_consumer(connections: usize) -> Drained {
    let stage = Stage::with_tasks(TASKS);
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args([consumer::COMMAND, &stage.queue_url(), &EVENTS.to_string(), &connections.to_string()]);
    let mut process = Process::start(&mut command);
    let polls = || stage.calls("sqs:ReceiveMessage");
    jvb_watcher_benchmarks::wait::until("the consumer polls", || (polls() == connections as u64).then_some(()));
    drain(&stage, &mut process, EVENTS)
}

/// The watcher beside bare consumers with one connection and with four, in turn.
pub fn rate(bench: &Bench, section: &mut Section<'_>) {
    let mut all: [Vec<Drained>; 3] = Default::default();
    for _ in 0..bench.rounds {
        all[0].push(watcher(&bench.program));
        all[1].push(bare_consumer(1));
        all[2].push(bare_consumer(4));
    }
    let names = ["the watcher", "a bare consumer, one connection", "a bare consumer, four connections"];
    let mut medians = Vec::new();
    for (name, rounds) in names.into_iter().zip(&all) {
        let rates: Vec<f64> = rounds.iter().map(|drained| drained.rate(EVENTS)).collect();
        let median = |values: &[f64]| percentile(values, 0.5).unwrap_or_default();
        let cpu: Vec<f64> = rounds.iter().map(|drained| drained.cpu.as_secs_f64() * 1e6 / EVENTS as f64).collect();
        let peak: Vec<f64> = rounds.iter().map(|drained| drained.usage.peak as f64 / 1024.0).collect();
        let anonymous: Vec<f64> = rounds.iter().map(|drained| drained.usage.anonymous as f64 / 1024.0).collect();
        medians.push(median(&rates));
        section
            .row(format!("10,000 events, {name}"), median(&rates), "events/s")
            .detail("rounds", &rates)
            .detail("processor time per event, µs", median(&cpu))
            .detail("peak memory, MiB", median(&peak))
            .detail("of it its own at the end, MiB", median(&anonymous));
    }
    let note = format!("medians of {} rounds, in turn", bench.rounds);
    let ratio = section.row("its rate beside one connection's", medians[0] / medians[1], "");
    ratio.bar(Bar::AtLeast(0.95)).note(note.clone());
    let ratio = section.row("its rate beside four connections'", medians[0] / medians[2], "");
    ratio.bar(Bar::AtLeast(0.8)).note(note);
}

/// The calls of one drain.
pub fn calls(bench: &Bench, section: &mut Section<'_>) {
    let drained = watcher(&bench.program);
    let row = section.row("AWS calls for 10,000 events", drained.journal.0.len() as f64, "calls");
    row.bar(Bar::AtMost(2_100.0)).calls(&drained.journal);
}
