//! Resident memory of an idle worker.

use jvb_watcher_benchmarks::process::Process;
use jvb_watcher_benchmarks::stage::Stage;

use super::{Bench, fleet};
use crate::report::{Bar, Section};

/// Reconciliations after which memory no longer grows.
const RECONCILIATIONS: u64 = 10;

pub fn run(bench: &Bench, section: &mut Section<'_>) {
    let stage = Stage::new();
    let mut command = stage.watcher(&bench.program);
    command.env("JVB_WATCHER_RESYNC_INTERVAL", "1s");
    let process = Process::start(&mut command);
    stage.wait_for_reconciliations(RECONCILIATIONS);
    let mebibytes = |kibibytes: u64| kibibytes as f64 / 1024.0;
    let usage = process.usage();
    section
        .row("resident memory, one service idle", mebibytes(usage.resident), "MiB")
        .bar(Bar::AtMost(12.0))
        .note("plain HTTP, no load balancer")
        .detail("peak, MiB", mebibytes(usage.peak))
        .detail("of the resident memory its own, not the program's file, MiB", mebibytes(usage.anonymous));
    drop(process);
    let what = "resident memory, 1,000 services idle";
    let Some(fleet) = fleet::Fleet::start(bench) else {
        section.not_measured(what, "MiB", fleet::NO_CONFIG).bar(Bar::AtMost(32.0));
        return;
    };
    fleet.wait_until_at_rest();
    let usage = fleet.process.usage();
    section
        .row(what, mebibytes(usage.resident), "MiB")
        .bar(Bar::AtMost(32.0))
        .note("plain HTTP; each service with a task, a load balancer and a group")
        .detail("peak, MiB", mebibytes(usage.peak))
        .detail("of the resident memory its own, not the program's file, MiB", mebibytes(usage.anonymous));
}
