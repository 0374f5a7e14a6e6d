//! How fast a backlog is drained, and by how many calls.

use std::path::Path;
use std::process::Command;

use jvb_watcher_benchmarks::journal::percentile;
use jvb_watcher_benchmarks::measure::{Drained, drain, start_watcher};
use jvb_watcher_benchmarks::process::Process;
use jvb_watcher_benchmarks::stage::Stage;
use jvb_watcher_benchmarks::wait;

use super::Bench;
use crate::consumer;
use crate::report::{Bar, Section};

/// The number of events.
const EVENTS: usize = 10_000;

/// The number of tasks that the events are about.
const TASKS: usize = 100;

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
    wait::until("the consumer polls", || (polls() == connections as u64).then_some(()));
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
        let median = |value: fn(&Drained) -> f64| {
            percentile(&rounds.iter().map(value).collect::<Vec<_>>(), 0.5).unwrap_or_default()
        };
        let rate = median(|drained| drained.rate(EVENTS));
        medians.push(rate);
        section
            .row(format!("10,000 events, {name}"), rate, "events/s")
            .detail("rounds", rounds.iter().map(|drained| drained.rate(EVENTS).round()).collect::<Vec<_>>())
            .detail("processor time per event, µs", median(|drained| drained.cpu.as_secs_f64() * 1e6 / EVENTS as f64))
            .detail("peak memory, MiB", median(|drained| drained.usage.peak as f64 / 1024.0))
            .detail("its own memory at the end, MiB", median(|drained| drained.usage.anonymous as f64 / 1024.0));
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
