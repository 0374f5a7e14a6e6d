//! Follows the load balancer, the tasks, the findings and the failures of one service through its lines.

use std::time::Duration;

use crate::acts::without_repetitions;
use crate::line::{Line, LoggedEvent};
use crate::period::Period;
use findings::Findings;
use load_balancer::LoadBalancers;
use tasks::Tasks;
use usage::UsageFollower;

mod entries;
mod failures;
mod findings;
mod load_balancer;
mod tasks;
mod usage;

pub use entries::{Entry, EntryKind};
pub use failures::Failure;
pub use findings::FindingLifetime;
pub use load_balancer::LoadBalancerLifetime;
pub use tasks::{TargetState, TaskLifetime};
pub use usage::{Usage, minute_of, start_of};

/// The default of `--idle-grace`.
const DEFAULT_IDLE_GRACE: Duration = Duration::from_secs(60);

/// The history of one service.
#[derive(Debug, PartialEq)]
pub struct History {
    /// The period from the first line to the last.
    pub period: Period,
    /// The region of the watcher that started last.
    pub region: Option<String>,
    /// The idle grace of the watcher that started last; the default if no line has it.
    pub idle_grace: Duration,
    /// Whether that watcher keeps an idle load balancer until the end of its paid hour.
    pub keeps_until_paid_hour: bool,
    /// The load balancers, in the order of their creation.
    pub load_balancers: Vec<LoadBalancerLifetime>,
    /// The tasks, in the order of their start.
    pub tasks: Vec<TaskLifetime>,
    /// The use of the load balancers.
    pub usage: Usage,
    /// The findings, in the order in which they were raised.
    pub findings: Vec<FindingLifetime>,
    /// The failed calls and rejected messages, in the order of time.
    pub failures: Vec<Failure>,
    /// The entries of the event list, in the order of time.
    pub entries: Vec<Entry>,
    /// The number of load balancers that the watcher deleted.
    pub teardowns: usize,
    /// The number of requests to AWS.
    pub aws_calls: u64,
    /// For each target that an event led to: the milliseconds from the event to the registration.
    pub registration_latencies_ms: Vec<u64>,
    /// For each target that became healthy: the milliseconds from the task's start to the first time.
    pub times_to_healthy_ms: Vec<u64>,
    /// The number of lines that report an act that another worker had already reported.
    pub repeated_reports: usize,
}

impl History {
    /// Builds the history from lines in the order of their time. Returns nothing if there are none.
    pub fn of(lines: &[Line]) -> Option<Self> {
        let period = Period::new(lines.first()?.at, lines.last()?.at);
        let (lines, repeated_reports) = without_repetitions(lines);
        let mut load_balancers = LoadBalancers::new(period);
        let mut tasks = Tasks::new(period);
        let mut findings = Findings::new(period);
        let mut usage = UsageFollower::new();
        let (mut aws_calls, mut region): (u64, _) = (0, None);
        let (mut idle_grace, mut keeps_until_paid_hour) = (DEFAULT_IDLE_GRACE, false);
        for line in &lines {
            load_balancers.follow(line);
            tasks.follow(line);
            findings.follow(line);
            usage.follow(line);
            if let LoggedEvent::Reconciled { aws_calls: calls, .. } = &line.event {
                aws_calls = aws_calls.saturating_add(*calls);
            }
            if let LoggedEvent::WatcherStarted { region: Some(named), .. } = &line.event {
                region = Some(named.clone());
            }
            if let LoggedEvent::WatcherStarted { settings, .. }
            | LoggedEvent::ServiceAdded { settings }
            | LoggedEvent::ServiceReplaced { settings } = &line.event
            {
                let grace = settings.idle_grace_seconds;
                idle_grace = grace.and_then(|grace| Duration::try_from_secs_f64(grace).ok()).unwrap_or(idle_grace);
                keeps_until_paid_hour = settings.idle_grace_until_paid_hour.unwrap_or(keeps_until_paid_hour);
            }
        }
        let (load_balancers, teardowns) = load_balancers.finish();
        let (tasks, registration_latencies_ms, times_to_healthy_ms) = tasks.finish();
        Some(Self {
            period,
            region,
            idle_grace,
            keeps_until_paid_hour,
            load_balancers,
            tasks,
            usage: usage.finish(),
            findings: findings.finish(),
            failures: lines.iter().filter_map(|line| Failure::of(line)).collect(),
            entries: lines.iter().filter_map(|line| Entry::of(line)).collect(),
            teardowns,
            aws_calls,
            registration_latencies_ms,
            times_to_healthy_ms,
            repeated_reports,
        })
    }
}

#[cfg(test)]
mod tests;
