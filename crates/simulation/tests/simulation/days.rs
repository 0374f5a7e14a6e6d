//! The days that are played, what they must cover, and how to replay one.
//!
//! - `JVB_WATCHER_SIMULATION_DAYS=200000 cargo test --release -p jvb-watcher-simulation no_guarantee_is_broken --
//!   --nocapture` plays more days, from the seed `JVB_WATCHER_SIMULATION_FIRST` on.
//! - `JVB_WATCHER_SIMULATION_REPLAY="17" cargo test -p jvb-watcher-simulation replay -- --nocapture` plays one day and
//!   prints its history; `"17 keep 3 8 9"` only with those actions of its schedule.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use jvb_watcher_simulation::coverage::Coverage;
use jvb_watcher_simulation::day::{Day, Options, Report};

/// The number of days, from seed 1 on.
const DAYS: u64 = 500;

/// The moments and log lines that the days must reach: without them they prove little.
const REQUIRED: &[&str] = &[
    "a worker was killed just before DeleteLoadBalancer",
    "a worker was killed just after DeleteLoadBalancer",
    "a worker was killed just before AddTags",
    "a worker was killed just after AddTags",
    "a worker was killed just after DeleteTargetGroup",
    "a worker was killed just before DeleteMessageBatch",
    "a worker was suspended just before DeleteLoadBalancer",
    "a worker was suspended just before AddTags",
    "a worker was suspended just before RemoveTags",
    "a worker was suspended just before DeregisterTargets",
    "a worker was suspended just after DescribeServices",
    "a worker was terminated just before DeleteLoadBalancer",
    "a command was killed just after UpdateService",
    "a command was killed just after AddTags",
    "a command was suspended just before UpdateService",
    "a command was suspended just before DeleteLoadBalancer",
    "Terraform failed, and was run again",
    "a deletion found nothing to delete",
    "a load balancer was deleted just before the end of its paid hour",
    "a deletion took effect within the window that AWS leaves",
    "idle_marked idle",
    "idle_marked unused",
    "idle_marked incomplete",
    "a worker marked what another had just marked",
    "a worker removed a mark",
    "a write was not sent after its deadline",
    "a call timed out",
    "idle_unmarked in_use",
    "idle_unmarked held",
    "idle_unmarked service_missing",
    "teardown_started",
    "teardown_started resumed",
    "teardown_completed",
    "target_registered task_running",
    "target_registered task_starting",
    "a task was registered before it ran",
    "target_deregistered task_stopping",
    "target_deregistered no_task",
    "message_rejected",
    "task_version_behind",
    "poll_failed",
    "reconcile_failed",
    "finding deletion_protected",
    "finding load_balancer_not_owned",
    "finding load_balancer_missing",
    "finding service_missing",
    "finding target_of_others",
    "finding hold_active",
    "finding load_balancer_failed",
    "finding mark_expired",
    "finding usage_unknown",
    "stop_announced",
    "stop_withdrawn held",
    "stop_withdrawn in_use",
    "stop_withdrawn operation",
    "service_stopped",
    "a stop ended a call that CloudWatch could not show yet",
    "a stop ended a call that did not exceed the threshold",
    "a worker was killed just after UpdateService",
    "a worker was suspended just before UpdateService",
    "a worker was killed just after TagResource",
    "a command was killed",
    "up succeeded",
    "up was superseded",
    "up refused",
    "up failed",
    "down succeeded",
    "down was superseded",
    "down refused",
    "down failed",
];

const WITH_HISTORY: Options = Options { history: true, bug: None };

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, not a number")),
        Err(_) => default,
    }
}

/// Plays days on all cores, until one breaks a guarantee.
fn play(seeds: Range<u64>) -> Result<Coverage, Box<Day>> {
    let next = AtomicU64::new(seeds.start);
    let outcome = Mutex::new((Coverage::default(), None::<Day>));
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let day = Day::draw(seed);
                    let report = day.play(Options::default());
                    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    outcome.0.add(&report.coverage);
                    if !report.violations.is_empty() {
                        next.store(seeds.end, Ordering::Relaxed);
                        // The lowest seed, so that a failing run names the same day again.
                        if outcome.1.as_ref().is_none_or(|day| day.seed > seed) {
                            outcome.1 = Some(day);
                        }
                    }
                }
            });
        }
    });
    let (coverage, broken) = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    broken.map_or(Ok(coverage), |day| Err(Box::new(day)))
}

/// Removes actions from the schedule of a day that breaks a guarantee, as long as it still does.
fn shorten(day: &Day) -> (Vec<usize>, Report) {
    let mut kept: Vec<usize> = (0..day.schedule.len()).collect();
    let mut report = day.play(WITH_HISTORY);
    let mut part = kept.len().div_ceil(2).max(1);
    loop {
        let mut begin = 0;
        while begin < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(begin..(begin + part).min(kept.len()));
            let shorter = day.with_only(&fewer).play(WITH_HISTORY);
            if shorter.violations.is_empty() {
                begin += part;
            } else {
                (kept, report) = (fewer, shorter);
            }
        }
        if part == 1 {
            return (kept, report);
        }
        part = part.div_ceil(2);
    }
}

fn violations(report: &Report) -> String {
    report.violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn history(day: &Day, kept: &[usize], report: &Report) -> String {
    let keep: String = kept.iter().map(|index| format!(" {index}")).collect();
    format!(
        "{}\n\n{}\n\nReplay it:\nJVB_WATCHER_SIMULATION_REPLAY=\"{} keep{keep}\" cargo test -p jvb-watcher-simulation \
         replay -- --nocapture",
        report.history.join("\n"),
        violations(report),
        day.seed
    )
}

#[test]
fn no_guarantee_is_broken() {
    let days = number("JVB_WATCHER_SIMULATION_DAYS", DAYS);
    let first = number("JVB_WATCHER_SIMULATION_FIRST", 1);
    let coverage = match play(first..first + days) {
        Ok(coverage) => coverage,
        Err(day) => {
            let (kept, report) = shorten(&day);
            let history = history(&day, &kept, &report);
            panic!("seed {} ({:?}) breaks a guarantee\n{history}", day.seed, day.severity);
        }
    };
    println!("{coverage}");
    let missed: Vec<_> = REQUIRED.iter().filter(|name| !coverage.includes(name)).collect();
    // Of as few days, not all reach every rare moment; those that run by default do.
    assert!(first > 1 || days < DAYS || missed.is_empty(), "not covered: {missed:?}");
}

/// Three days that the checker once reported by mistake. In the first a load balancer is deleted during an observation: its
/// tags, read at that moment, are neither awaited nor missing. In the second a hold is released within the window before the
/// deletion: the target groups, which still have their marks, are deleted after the load balancer. In the third `down`
/// deletes a load balancer that was just created, and a worker completes the teardown of the one before it.
#[test]
fn a_deletion_in_the_window_breaks_no_guarantee() {
    for seed in [123_028, 152_656, 109_281] {
        assert_eq!(violations(&Day::draw(seed).play(WITH_HISTORY)), "", "seed {seed}");
    }
}

#[test]
fn a_seed_gives_the_same_day_to_the_byte() {
    for seed in [3, 4, 5] {
        let (first, second) = (Day::draw(seed).play(WITH_HISTORY), Day::draw(seed).play(WITH_HISTORY));
        assert!(first.history.len() > 100, "hardly anything happened: {} lines", first.history.len());
        assert_eq!(first.history, second.history);
        assert_eq!(first.coverage, second.coverage);
    }
}

#[test]
fn replay() {
    let text = std::env::var("JVB_WATCHER_SIMULATION_REPLAY").unwrap_or_else(|_| "1".to_owned());
    let (seed, keep) = text.split_once("keep").map_or((text.as_str(), None), |(seed, keep)| (seed, Some(keep)));
    let day = Day::draw(seed.trim().parse().expect("a seed, and optionally `keep` and the numbers of actions"));
    let all: Vec<usize> = (0..day.schedule.len()).collect();
    let kept = keep.map_or(all, |keep| keep.split_whitespace().map(|n| n.parse().expect("a number")).collect());
    let report = day.with_only(&kept).play(WITH_HISTORY);
    println!("{}", history(&day, &kept, &report));
    assert!(report.violations.is_empty(), "{}", violations(&report));
}
