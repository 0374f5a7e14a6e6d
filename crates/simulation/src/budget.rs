//! The bound on calls of a day, derived from what happened and from the minutes that passed, not from the watcher's code.
//!
//! A worker may reconcile
//!
//! - once when it starts, once for each message it receives, and once every resync interval;
//! - every 5 s while nothing is desired, nothing serves, and a task has not stopped;
//! - every 10 s while a target's first health checks run;
//! - every 30 s while a target that isn't healthy has no task;
//! - while an idle load balancer exists, or a target group of one: every 2 s at first, then at intervals of a tenth of the
//!   elapsed time, and in the same way again after the grace period; each time with two observations, since a deletion
//!   rests on two;
//! - a few times more for each change that others make to the load balancer, its target groups, their targets and tags;
//!   hardly for a change of its own, or a worker could earn reconciliations by writing.
//!
//! - every 30 s while a stop is announced.
//!
//! It may ask CloudWatch once a minute, less the five seconds by which a reconciliation may come early, and once more
//! before each dangerous write: while a stop is announced, and during a teardown, in each reconciliation.
//!
//! It may poll at the end of each poll, and once more for each reconciliation and each message. While AWS fails, each of
//! these may fail as often as the backoff allows, with three attempts for each call; a service that fails for hours is
//! retried once a minute, however rarely it is resynced. A reconciliation takes a dozen calls;
//! a message takes a few more, while ECS's answers lag behind it.
//!
//! Unused allowances accumulate up to a limit: a quiet night doesn't pay for a busy minute.

use std::time::Duration;

use jiff::Timestamp;

use crate::checker::STOP_AT;
use crate::snapshot::Snapshot;
use jvb_watcher_rules::plan::Policy;

/// The seconds between two reconciliations, by their reason.
const NEARLY_IDLE: f64 = 5.0;
const FIRST_HEALTH_CHECKS: f64 = 10.0;
const WITHOUT_TASK: f64 = 30.0;
const TEARDOWN: f64 = 2.0;
const STOP_ANNOUNCED: f64 = 30.0;

/// The seconds between two questions about usage.
const USAGE: f64 = 55.0;

/// The seconds after which a mark that led to no deletion is written again.
const MARK_EXPIRES_AFTER: f64 = 50.0 * 60.0;

/// The requeue interval of a teardown as a share of the time that it has taken.
const TEARDOWN_SHARE: f64 = 0.1;

/// The reconciliations of each worker that a change to the load balancer, a tag or a group can cause, and one to targets.
const RECONCILIATIONS_PER_CHANGE: f64 = 20.0;
const RECONCILIATIONS_PER_TARGET_CHANGE: f64 = 2.0;

/// The reconciliations that a worker's own change can cause: less than the one that it takes.
const RECONCILIATIONS_PER_OWN_CHANGE: f64 = 0.5;

/// The seconds between two retries once the waits between them no longer grow.
const RETRY: f64 = 60.0;

/// The retries within a minute: waits between them double from half a second to a minute.
const RETRIES_PER_FAILURE: f64 = 9.0;

/// The attempts of a call before it counts as failed.
const ATTEMPTS: f64 = 3.0;

/// Two pages of tasks, the tasks, the service; the load balancer, its groups, all tags, two groups' targets; and a write
/// or two for each group.
const CALLS_PER_RECONCILIATION: f64 = 12.0;

/// The tasks again until they are as new as the message says, extending its visibility meanwhile, deleting it.
const CALLS_PER_MESSAGE: f64 = 10.0;

/// The calls of a process's start: its queue's settings.
const CALLS_PER_START: f64 = 30.0;

/// The limits up to which allowances accumulate, for each worker: the first hour of a teardown that AWS refuses.
const MOST_RECONCILIATIONS: f64 = 150.0;
const MOST_POLLS: f64 = 200.0;
const MOST_USAGE: f64 = 10.0;

/// The calls of a stop besides its observations: it takes the lease, verifies it, scales, and releases the lease.
const CALLS_PER_STOP: f64 = 10.0;

/// The calls that a day may still make.
#[derive(Debug)]
pub struct Budget {
    resync_interval: f64,
    idle_grace: f64,
    longest_poll: f64,
    workers: f64,
    situation: Situation,
    /// The instant up to which time has been credited.
    credited_until: Timestamp,
    /// The instant since which the requeue interval of a teardown grows.
    teardown_since: Timestamp,
    is_aws_failing: bool,
    is_platform_failing: bool,
    is_usage_failing: bool,
    reconciliations: Allowance,
    usage: Allowance,
    polls: Allowance,
    calls: Allowance,
}

/// A number that grows with time and events, up to a limit.
#[derive(Debug)]
struct Allowance {
    left: f64,
    most: f64,
    least_left: f64,
}

impl Allowance {
    fn new(most: f64) -> Self {
        Self { left: most, most, least_left: most }
    }

    fn add(&mut self, more: f64) {
        self.left = (self.left + more).min(self.most);
    }

    /// Takes one; returns whether one was left.
    fn take(&mut self) -> bool {
        self.left -= 1.0;
        self.least_left = self.least_left.min(self.left);
        self.left >= 0.0
    }
}

/// The conditions under which a worker reconciles before the resync interval is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Situation {
    is_nearly_idle: bool,
    is_first_checked: bool,
    is_without_task: bool,
    is_idle: bool,
    is_stop_announced: bool,
}

impl Budget {
    /// The budget of a day's midnight.
    pub fn new(policy: &Policy, longest_poll: Duration, workers: usize, midnight: Timestamp) -> Self {
        let workers = workers as f64;
        Self {
            resync_interval: policy.resync_interval.as_secs_f64(),
            idle_grace: policy.idle_grace.as_secs_f64(),
            longest_poll: longest_poll.as_secs_f64(),
            workers,
            situation: Situation::default(),
            credited_until: midnight,
            teardown_since: midnight,
            is_aws_failing: false,
            is_platform_failing: false,
            is_usage_failing: false,
            usage: Allowance::new(MOST_USAGE * workers),
            reconciliations: Allowance::new(MOST_RECONCILIATIONS * workers),
            polls: Allowance::new(MOST_POLLS * workers),
            calls: Allowance::new(MOST_RECONCILIATIONS * CALLS_PER_RECONCILIATION * workers),
        }
    }

    /// Notes a change of the world.
    pub fn observe(&mut self, snapshot: &Snapshot, (service, group, project): (&str, &str, &str), now: Timestamp) {
        self.credit_until(now);
        let Snapshot { services, tasks, load_balancers, groups } = snapshot;
        let ours = || tasks.iter().filter(|task| task.group == group);
        let desired = services.iter().any(|s| s.name == service && s.status == "ACTIVE" && s.desired > 0);
        let serves = ours().any(|task| task.last_status == "RUNNING" && task.desired_status == "RUNNING");
        let has_live_task = ours().any(|task| task.last_status != "STOPPED");
        let has_task = |id: &str| ours().any(|task| task.address.is_some_and(|address| address.to_string() == id));
        let is_ours = |name: &str| name.strip_prefix(project).is_some_and(|rest| rest.starts_with('-'));
        let targets = || groups.iter().filter(|group| is_ours(&group.name)).flat_map(|group| &group.targets);
        let exists = load_balancers.iter().any(|load_balancer| is_ours(&load_balancer.name));
        let situation = Situation {
            is_nearly_idle: !desired && !serves && has_live_task,
            is_first_checked: targets().any(|target| target.state == "initial"),
            is_without_task: targets()
                .any(|target| !["healthy", "draining"].contains(&target.state) && !has_task(&target.id)),
            is_stop_announced: desired
                && load_balancers.iter().any(|load_balancer| {
                    is_ours(&load_balancer.name) && load_balancer.tags.iter().any(|(key, _)| key == STOP_AT)
                }),
            is_idle: !desired && !has_live_task && (exists || groups.iter().any(|group| is_ours(&group.name))),
        };
        if situation != self.situation {
            self.situation = situation;
            self.teardown_since = now;
            // A worker may act on what it observed just before the change.
            self.allow(RECONCILIATIONS_PER_TARGET_CHANGE * self.workers);
        }
    }

    /// Notes that AWS begins to fail, or works again.
    pub fn set_aws_failing(&mut self, fails: bool, now: Timestamp) {
        self.before_failing(now);
        self.is_aws_failing = fails;
    }

    /// Notes that the calls about this platform begin to fail, or work again.
    pub fn set_platform_failing(&mut self, fails: bool, now: Timestamp) {
        self.before_failing(now);
        self.is_platform_failing = fails;
    }

    fn before_failing(&mut self, now: Timestamp) {
        self.credit_until(now);
        // The last wait of the backoff follows.
        self.allow(self.workers);
    }

    /// Notes that the calls to CloudWatch begin to fail, or work again.
    pub fn set_usage_failing(&mut self, fails: bool, now: Timestamp) {
        self.credit_until(now);
        self.is_usage_failing = fails;
    }

    /// Notes that a worker takes the lease to stop the service.
    pub fn stops(&mut self) {
        self.calls.add(CALLS_PER_STOP);
    }

    /// Notes that a process starts, or resumes after a suspension.
    pub fn started(&mut self, now: Timestamp) {
        self.credit_until(now);
        self.teardown_since = now;
        self.calls.add(CALLS_PER_START);
        self.usage.add(ATTEMPTS);
        self.allow(RECONCILIATIONS_PER_CHANGE);
    }

    /// Notes a change to the load balancer, a group or a tag.
    pub fn changed(&mut self, now: Timestamp) {
        self.credit_until(now);
        self.teardown_since = now;
        self.allow(RECONCILIATIONS_PER_CHANGE * self.workers);
    }

    /// Notes that targets were registered or deregistered.
    pub fn targets_changed(&mut self) {
        self.allow(RECONCILIATIONS_PER_TARGET_CHANGE * self.workers);
    }

    /// Notes a change by a worker.
    pub fn changed_by_a_worker(&mut self, now: Timestamp) {
        self.credit_until(now);
        self.allow(RECONCILIATIONS_PER_OWN_CHANGE);
        // A mark that has expired is written again, and another teardown follows.
        if now.duration_since(self.teardown_since).as_secs_f64() > MARK_EXPIRES_AFTER {
            self.teardown_since = now;
            self.reconciliations.add(MOST_RECONCILIATIONS * self.workers);
            self.polls.add(MOST_RECONCILIATIONS * self.workers);
            self.calls.add(MOST_RECONCILIATIONS * CALLS_PER_RECONCILIATION * self.workers);
        }
    }

    /// Notes a deletion by a worker: the requeue interval of the teardown starts over.
    pub fn deleted_by_a_worker(&mut self, now: Timestamp) {
        self.credit_until(now);
        self.teardown_since = now;
        self.allow(RECONCILIATIONS_PER_OWN_CHANGE);
    }

    /// Notes that a worker has received messages.
    pub fn received(&mut self, messages: usize) {
        self.allow(messages as f64);
        self.polls.add(messages as f64);
        self.calls.add(CALLS_PER_MESSAGE * messages as f64);
    }

    /// Returns how many calls of an operation the budget still has.
    pub fn left(&mut self, operation: &str, now: Timestamp) -> f64 {
        self.credit_until(now);
        let of_operation = match operation {
            "ReceiveMessage" => self.polls.left,
            _ => f64::INFINITY,
        };
        of_operation.min(self.calls.left)
    }

    /// Takes a worker's call from the budget.
    ///
    /// # Errors
    ///
    /// The situation in which the call exceeds the budget.
    pub fn sent(&mut self, operation: &str, now: Timestamp) -> Result<(), String> {
        self.credit_until(now);
        let enough = self.calls.take()
            && match operation {
                // One in each observation, also in one of a service at rest.
                "DescribeLoadBalancers" => self.reconciliations.take(),
                "ReceiveMessage" => self.polls.take(),
                "GetMetricData" => self.usage.take(),
                _ => true,
            };
        match enough {
            true => Ok(()),
            false => Err(format!("more calls than the events and the minutes so far allow, in {:?}", self.situation)),
        }
    }

    /// Returns the largest share of the budget that was used; 1 is the bound.
    pub fn used(&self) -> f64 {
        let of = |allowance: &Allowance| 1.0 - allowance.least_left / allowance.most;
        of(&self.reconciliations).max(of(&self.polls)).max(of(&self.calls)).max(of(&self.usage))
    }

    /// Adds what the time that has passed allows.
    fn credit_until(&mut self, now: Timestamp) {
        let seconds = now.duration_since(self.credited_until).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        let Situation { is_nearly_idle, is_first_checked, is_without_task, is_idle, is_stop_announced } =
            self.situation;
        let mut reconciliations = seconds / self.resync_interval;
        let situations = [
            (is_nearly_idle, NEARLY_IDLE),
            (is_first_checked, FIRST_HEALTH_CHECKS),
            (is_without_task, WITHOUT_TASK),
            (is_stop_announced, STOP_ANNOUNCED),
        ];
        reconciliations += situations.iter().filter(|(is_so, _)| *is_so).map(|(_, every)| seconds / every).sum::<f64>();
        if is_idle {
            let from = self.credited_until.duration_since(self.teardown_since).as_secs_f64();
            for from in [from, from - self.idle_grace] {
                reconciliations += 2.0 * (teardown_reconciliations(from + seconds) - teardown_reconciliations(from));
            }
        }
        self.credited_until = now;
        let polls = self.factor() * self.workers * seconds / self.longest_poll;
        self.polls.add(polls);
        self.calls.add(polls);
        let attempts = if self.is_usage_failing || self.is_failing() { ATTEMPTS } else { 1.0 };
        let asked = attempts * self.workers * seconds / USAGE;
        self.usage.add(asked);
        self.calls.add(asked);
        if self.is_platform_failing {
            let retries = self.workers * seconds / RETRY;
            self.reconciliations.add(retries * ATTEMPTS);
            self.calls.add(retries * ATTEMPTS * CALLS_PER_RECONCILIATION);
        }
        self.allow(reconciliations * self.workers);
    }

    fn allow(&mut self, reconciliations: f64) {
        let reconciliations = reconciliations * self.factor();
        if self.situation.is_stop_announced || self.situation.is_idle {
            let attempts = if self.is_usage_failing { ATTEMPTS } else { 1.0 };
            self.usage.add(reconciliations * attempts);
        }
        self.reconciliations.add(reconciliations);
        self.polls.add(reconciliations);
        self.calls.add(reconciliations * (CALLS_PER_RECONCILIATION + 1.0));
    }

    /// Returns the factor by which failures multiply calls.
    fn factor(&self) -> f64 {
        if self.is_failing() { RETRIES_PER_FAILURE * ATTEMPTS } else { 1.0 }
    }

    /// Returns whether calls fail.
    pub fn is_failing(&self) -> bool {
        self.is_aws_failing || self.is_platform_failing
    }
}

/// Returns the number of reconciliations of a teardown in its first seconds.
fn teardown_reconciliations(seconds: f64) -> f64 {
    let seconds = seconds.max(0.0);
    let growing_from = TEARDOWN / TEARDOWN_SHARE;
    if seconds <= growing_from {
        return seconds / TEARDOWN;
    }
    growing_from / TEARDOWN + (seconds / growing_from).ln() / TEARDOWN_SHARE
}

#[cfg(test)]
mod tests {
    use super::*;
    use jvb_watcher_rules::plan::samples::{noon, policy, seconds};

    /// Returns how many reconciliations, at an interval, one worker may make of this many.
    fn allowed(every: Duration, of: u32) -> u32 {
        let mut budget = Budget::new(&policy(), seconds(20), 1, noon());
        budget.started(noon());
        let is_within = |number: &u32| budget.sent("DescribeLoadBalancers", noon() + every * (number + 1)).is_ok();
        u32::try_from((0..of).take_while(is_within).count()).expect("a count")
    }

    #[test]
    fn allows_a_reconciliation_every_resync_interval() {
        assert_eq!(allowed(policy().resync_interval, 1_440), 1_440);
    }

    #[test]
    fn refuses_a_reconciliation_every_five_seconds_without_a_reason() {
        let allowed = allowed(seconds(5), 1_440);
        assert!((100..300).contains(&allowed), "{allowed}");
    }

    #[test]
    fn limits_what_a_quiet_night_accumulates() {
        let mut budget = Budget::new(&policy(), seconds(20), 1, noon());
        let morning = noon() + seconds(12 * 60 * 60);
        let taken = (0..1_000).take_while(|_| budget.sent("DescribeLoadBalancers", morning).is_ok()).count();
        assert!(taken <= 150, "{taken}");
    }
}
