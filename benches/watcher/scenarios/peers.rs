//! Other programs for the same purpose, from benches/peers/.

use std::path::Path;
use std::time::Instant;

use jvb_watcher_benchmarks::measure;
use jvb_watcher_benchmarks::process::Process;
use jvb_watcher_benchmarks::stage::Stage;
use jvb_watcher_benchmarks::wait;
use jvb_watcher_sandbox::platform::PROJECT;

use super::{Bench, latency};
use crate::moto;
use crate::report::Section;

/// Fewer than the watcher's: each event takes calls of its own, and the rate doesn't depend on their number.
const EVENTS: usize = 1_000;

const TASKS: usize = 100;

/// Registrations of single tasks.
const LATENCIES: usize = 30;

/// A program in benches/peers/.
fn peer(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name).to_string_lossy().into_owned()
}

pub fn run(_: &Bench, section: &mut Section<'_>) {
    let python = moto::installed_python();
    boto3(&python, section);
    script(&python.with_file_name("aws"), section);
}

/// The consumer in Python.
fn boto3(python: &Path, section: &mut Section<'_>) {
    let stage = Stage::with_tasks(TASKS);
    let groups = stage.sandbox().with_world(|world, _| world.groups());
    let arns: Vec<String> = groups.into_iter().map(|group| group.arn).collect();
    let mut command = stage.command(python);
    command.arg(peer("consumer.py")).env("QUEUE_URL", stage.queue_url()).env("TARGET_GROUP_ARNS", arns.join(","));
    let mut process = Process::start(&mut command);
    wait::until("the consumer polls", || {
        process.assert_running();
        (stage.calls("sqs:ReceiveMessage") > 0).then_some(())
    });
    let drained = measure::drain(&stage, &mut process, EVENTS);
    section
        .row("1,000 events of 100 tasks, a boto3 consumer", drained.rate(EVENTS), "events/s")
        .detail("processor time per event, µs", drained.cpu.as_secs_f64() * 1e6 / EVENTS as f64)
        .detail("peak memory, MiB", drained.usage.peak as f64 / 1024.0)
        .detail("of it its own at the end, MiB", drained.usage.anonymous as f64 / 1024.0)
        .detail("calls per event", drained.journal.0.len() as f64 / EVENTS as f64)
        .calls(&drained.journal);
    latency::measure(&stage, &mut process, LATENCIES).report(section, "a boto3 consumer");
}

/// The script, which reads no queue: one run registers all tasks.
fn script(aws: &Path, section: &mut Section<'_>) {
    let stage = Stage::with_tasks(TASKS);
    let mut command = stage.command(Path::new("perl"));
    let directory = aws.parent().expect("a program is in a directory").to_string_lossy().into_owned();
    let path = std::env::var("PATH").unwrap_or_default();
    command.arg(peer("register-targets.pl")).env("JITSI_PROJECT", PROJECT).env("PATH", format!("{directory}:{path}"));
    stage.record();
    let began = Instant::now();
    let mut process = Process::start(&mut command);
    let mut peak = 0;
    wait::until("the script ends", || {
        peak = peak.max(process.peak_of_family());
        (!process.is_running()).then_some(())
    });
    let took = began.elapsed();
    assert_eq!(process.wait_exit(), Some(0), "the script failed: {}", process.stderr());
    let journal = stage.journal();
    section
        .row("one run for 100 tasks, the script with the AWS CLI", took.as_secs_f64(), "s")
        .note("it reads no queue; an operator or cron starts it")
        .detail("peak memory of its largest process, MiB", peak as f64 / 1024.0)
        .calls(&journal);
}
