//! The sizes of Karpenter's interruption benchmark, `BenchmarkNotification5000` and `BenchmarkNotification15000` of
//! pkg/controllers/interruption/interruption_benchmark_test.go in aws/karpenter-provider-aws (commit
//! 046f9bf20d0fb75e2f5b0c480891b2bd98ca62fb). It reports messages a second from the start of the controller until it has
//! acted on each message, against SQS itself. The project has published no results: neither that file nor
//! designs/interruption-handling.md (commit 198dda89d8db18f46b23358709243f9f3014a546) has a figure.

use jvb_watcher_benchmarks::journal::percentile;
use jvb_watcher_benchmarks::measure;
use jvb_watcher_benchmarks::stage::Stage;

use super::Bench;
use crate::report::Section;

const TASKS: usize = 5_000;

/// Each takes some seconds to set up.
const ROUNDS: usize = 3;

pub fn run(bench: &Bench, section: &mut Section<'_>) {
    for messages in [5_000, 15_000] {
        let mut rates = Vec::new();
        let mut last = None;
        for _ in 0..bench.rounds.min(ROUNDS) {
            let stage = Stage::with_tasks(TASKS);
            stage.register_tasks();
            let drained = measure::drain(&stage, &mut measure::start_watcher(&stage, &bench.program), messages);
            rates.push(drained.rate(messages));
            last = Some(drained);
        }
        let drained = last.expect("there is a round");
        section
            .row(
                format!("{messages} messages about 5,000 tasks"),
                percentile(&rates, 0.5).unwrap_or_default(),
                "messages/s",
            )
            .note("Karpenter has published no figures of its benchmark of these sizes")
            .detail("rounds", &rates)
            .detail("seconds", drained.took.as_secs_f64())
            .detail("peak memory, MiB", drained.usage.peak as f64 / 1024.0)
            .calls(&drained.journal);
    }
}
