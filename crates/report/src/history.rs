//! Follows the load balancer, the tasks, the findings and the failures of one service through its lines.

use crate::acts::without_repetitions;
use crate::line::{Line, LoggedEvent};
use crate::period::Period;
use findings::Findings;
use load_balancer::LoadBalancers;
use tasks::Tasks;

mod entries;
mod failures;
mod findings;
mod load_balancer;
mod tasks;

pub use entries::{Entry, EntryKind};
pub use failures::Failure;
pub use findings::FindingLifetime;
pub use load_balancer::LoadBalancerLifetime;
pub use tasks::{TargetState, TaskLifetime};

/// The history of one service.
#[derive(Debug, PartialEq)]
pub struct History {
    /// The period from the first line to the last.
    pub period: Period,
    /// The region of the watcher that started last.
    pub region: Option<String>,
    /// The load balancers, in the order of their creation.
    pub load_balancers: Vec<LoadBalancerLifetime>,
    /// The tasks, in the order of their start.
    pub tasks: Vec<TaskLifetime>,
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
        let (mut aws_calls, mut region): (u64, _) = (0, None);
        for line in &lines {
            load_balancers.follow(line);
            tasks.follow(line);
            findings.follow(line);
            match &line.event {
                LoggedEvent::Reconciled { aws_calls: calls, .. } => aws_calls = aws_calls.saturating_add(*calls),
                LoggedEvent::WatcherStarted { region: Some(named) } => region = Some(named.clone()),
                _ => {}
            }
        }
        let (load_balancers, teardowns) = load_balancers.finish();
        let (tasks, registration_latencies_ms, times_to_healthy_ms) = tasks.finish();
        Some(Self {
            period,
            region,
            load_balancers,
            tasks,
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
