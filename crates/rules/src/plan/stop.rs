//! Scale to zero by use: when the stop of an unused service is announced, withdrawn and made.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{CLOCK_SKEW, Planner, StopWhenUnused};
use crate::current_use::UnknownUse;
use crate::finding::FindingName;
use crate::hold::Hold;
use crate::idle::task_of_target;
use crate::lease::{Lease, LeaseHolder, LeaseReading};
use crate::model::{
    LoadBalancer, LoadBalancerKind, MINUTE, Observation, Phase, STOP_AT_TAG, Service, Target, TargetState, Task,
    minute_of,
};
use crate::policy::Policy;

/// The age from which CloudWatch can be expected to know a minute, from the minute's end on. Elastic Load Balancing sends
/// its metrics each minute; that they can be read one to three minutes later is an assumption (docs/scale-to-zero.md).
pub const CLOUDWATCH_LAG: Duration = Duration::from_secs(3 * 60);

/// How long after its announced time a stop can still follow. After that it must be announced again.
pub const ANNOUNCEMENT_VALID_FOR: Duration = Duration::from_secs(10 * 60);

/// The time for which usage must be unknown to be a finding.
pub const USAGE_UNKNOWN_FOR: Duration = Duration::from_secs(10 * 60);

/// What to do about an unused service.
#[derive(Clone, Debug, PartialEq)]
pub enum StopAction {
    /// Nothing.
    None,
    /// Announce that the service will be scaled to zero.
    Announce {
        /// The ARN of the load balancer that gets the tag.
        load_balancer_arn: String,
        /// The announced time.
        stop_at: Timestamp,
        /// The time since which the load balancer has been unused.
        unused_since: Timestamp,
    },
    /// Withdraw the announcement.
    Withdraw {
        /// The ARN of the load balancer that has the tag.
        load_balancer_arn: String,
        /// Why the service isn't stopped.
        reason: StopObstacle,
    },
    /// Set the service's desired count to zero, if a second observation agrees.
    ScaleToZero {
        /// The announced time.
        stop_at: Timestamp,
        /// The time since which the load balancer has been unused.
        unused_since: Timestamp,
    },
}

/// Why a service isn't stopped for disuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "testing", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StopObstacle {
    /// A hold is in force, or was within the window.
    Held,
    /// An operation is running, or the last one began within the window: `up`, `down`, or a stop whose watcher was killed.
    Operation,
    /// The service has not served, registered and healthy, for the whole window.
    NotServing,
    /// Flows were seen within the window or after it.
    InUse,
    /// No flow has been seen since the newest task began to serve, and the grace for the first call isn't over.
    AwaitingFirstCall,
    /// CloudWatch doesn't show each minute of the window.
    UsageUnknown,
}

impl Planner<'_> {
    /// Returns what to do about an unused service.
    pub(super) fn stop(&mut self) -> StopAction {
        let Some(rule) = self.policy.usage.stop else { return StopAction::None };
        let Some(load_balancer) = stoppable(self.observation, self.policy) else { return StopAction::None };
        if let Some(lease) = self.observation.lease.found().filter(|lease| is_of_running_stop(lease, self.now)) {
            // The watcher that makes the stop ends it, and its announcement; if it was killed, there is a new window.
            self.requeue_by(lease.ends_by());
            return StopAction::None;
        }
        let announced = announced_stop(load_balancer, rule, self.now);
        let load_balancer_arn = load_balancer.arn.clone();
        match unused_since(self.observation, load_balancer, self.policy, rule, self.now) {
            Ok(unused_since) => match announced {
                Some(stop_at) if self.now < stop_at => {
                    self.requeue_by(stop_at.min(self.now + MINUTE));
                    StopAction::None
                }
                Some(stop_at) => StopAction::ScaleToZero { stop_at, unused_since },
                None => {
                    let stop_at = self.now + rule.notice;
                    self.requeue_by(stop_at.min(self.now + MINUTE));
                    StopAction::Announce { load_balancer_arn, stop_at, unused_since }
                }
            },
            // The newest minute can still become known.
            Err(StopObstacle::UsageUnknown) if announced.is_some() => {
                self.requeue_by(self.now + MINUTE);
                StopAction::None
            }
            Err(reason) if load_balancer.tags.contains_key(STOP_AT_TAG) => {
                StopAction::Withdraw { load_balancer_arn, reason }
            }
            Err(_) => StopAction::None,
        }
    }

    /// Finds usage that has been unknown for [`USAGE_UNKNOWN_FOR`].
    pub(super) fn find_unknown_usage(&mut self) {
        let Some((flows, load_balancer)) = self.observation.flows.as_ref().zip(self.observation.load_balancer.as_ref())
        else {
            return;
        };
        let known_until = flows.newest().map(|(start, _)| start + MINUTE);
        let unknown_since = known_until.map_or(load_balancer.created_at, |until| until.max(load_balancer.created_at));
        if unknown_since + USAGE_UNKNOWN_FOR > self.now {
            return;
        }
        let error = flows.problem.as_ref().map(|problem| format!(": {}", problem.reason)).unwrap_or_default();
        let detail = format!("CloudWatch shows no minute after {unknown_since:.0}{error}");
        self.find(FindingName::UsageUnknown, &load_balancer.name, detail);
    }
}

/// Returns the load balancer of a service that the watcher may stop: an owned one, of a service that is up.
fn stoppable<'a>(observation: &'a Observation, policy: &Policy) -> Option<&'a LoadBalancer> {
    let Service::Found(counts) = observation.service else { return None };
    let load_balancer = observation.load_balancer.as_ref()?;
    let is_owned = load_balancer.kind == LoadBalancerKind::Network && policy.owner_tag.is_among(&load_balancer.tags);
    (counts.desired > 0 && is_owned).then_some(load_balancer)
}

fn is_of_running_stop(lease: &Lease, now: Timestamp) -> bool {
    lease.holder == LeaseHolder::Stop && lease.is_running(now)
}

/// Returns the time at which the service is announced to stop, if the announcement is valid.
fn announced_stop(load_balancer: &LoadBalancer, rule: StopWhenUnused, now: Timestamp) -> Option<Timestamp> {
    let stop_at: Timestamp = load_balancer.tags.get(STOP_AT_TAG)?.parse().ok()?;
    // The watcher writes milliseconds, and its process's id below them.
    let stop_at = Timestamp::from_millisecond(stop_at.as_millisecond()).ok()?;
    let is_valid = stop_at <= now + rule.notice + CLOCK_SKEW && now < stop_at + ANNOUNCEMENT_VALID_FOR;
    is_valid.then_some(stop_at)
}

/// Returns the time since which the load balancer has been unused, if that is long enough to stop the service.
fn unused_since(
    observation: &Observation,
    load_balancer: &LoadBalancer,
    policy: &Policy,
    rule: StopWhenUnused,
    now: Timestamp,
) -> Result<Timestamp, StopObstacle> {
    let end = minute_of(now - CLOUDWATCH_LAG);
    let start = minute_of(end - rule.after);
    let limits = WindowLimits::of(observation, load_balancer, now)?;
    if let Some((_, obstacle)) = limits.all().find(|(at, _)| *at > start) {
        return Err(obstacle);
    }
    let threshold = policy.usage.threshold;
    let flows = observation.flows.as_ref().ok_or(StopObstacle::UsageUnknown)?;
    if flows.last_used_from(start, threshold).is_some() {
        return Err(StopObstacle::InUse);
    }
    // What an earlier answer showed doesn't tell whether the minutes since then were used.
    if flows.problem.is_some() {
        return Err(StopObstacle::UsageUnknown);
    }
    let had_call = flows.last_used_from(minute_of(limits.newest_task_started_at), threshold).is_some();
    if !had_call && now < limits.newest_task_started_at + rule.first_call_grace {
        return Err(StopObstacle::AwaitingFirstCall);
    }
    let window: Vec<_> = flows.minutes.range(start..end).map(|(_, minute)| minute.healthy).collect();
    if window.contains(&Some(0)) {
        return Err(StopObstacle::NotServing);
    }
    let is_known = window.len() as u64 == minutes_between(start, end) && !window.contains(&None);
    if !is_known {
        return Err(StopObstacle::UsageUnknown);
    }
    if observation.lease == LeaseReading::NotRead {
        return Err(StopObstacle::Operation);
    }
    flows.unused_before(end, threshold).ok_or(StopObstacle::UsageUnknown)
}

fn minutes_between(start: Timestamp, end: Timestamp) -> u64 {
    Duration::try_from(end.duration_since(start)).unwrap_or_default().as_secs() / MINUTE.as_secs()
}

/// The times before which the window can't start.
struct WindowLimits {
    load_balancer_created_at: Timestamp,
    newest_task_started_at: Timestamp,
    held_until: Option<Timestamp>,
    operation_begun_by: Option<Timestamp>,
}

impl WindowLimits {
    /// Returns the limits, or what forbids a stop now whatever the flows.
    fn of(observation: &Observation, load_balancer: &LoadBalancer, now: Timestamp) -> Result<Self, StopObstacle> {
        // The end of an invalid hold lies further ahead than any valid one; it is ignored, as for a teardown.
        let hold = Hold::of(&load_balancer.tags).filter(|hold| hold.until <= now || hold.is_in_force(now));
        if hold.as_ref().is_some_and(|hold| hold.is_in_force(now)) {
            return Err(StopObstacle::Held);
        }
        let lease = observation.lease.found().filter(|lease| lease.has_begun(now));
        if lease.is_some_and(|lease| lease.is_running(now)) {
            return Err(StopObstacle::Operation);
        }
        Ok(Self {
            load_balancer_created_at: load_balancer.created_at,
            newest_task_started_at: newest_task_started_at(observation, now).ok_or(StopObstacle::NotServing)?,
            held_until: hold.map(|hold| hold.until),
            operation_begun_by: lease.map(Lease::last_operation_begun_by),
        })
    }

    /// Returns the limits, each with what it stands for.
    fn all(&self) -> impl Iterator<Item = (Timestamp, StopObstacle)> {
        let Self { load_balancer_created_at, newest_task_started_at, held_until, operation_begun_by } = *self;
        [
            (Some(load_balancer_created_at), StopObstacle::NotServing),
            (Some(newest_task_started_at), StopObstacle::NotServing),
            (held_until, StopObstacle::Held),
            (operation_begun_by, StopObstacle::Operation),
        ]
        .into_iter()
        .filter_map(|(at, obstacle)| Some((at?, obstacle)))
    }
}

/// Returns when the newest serving task reached RUNNING, if the service serves: no task is starting, and one is healthy
/// behind the load balancer.
fn newest_task_started_at(observation: &Observation, now: Timestamp) -> Option<Timestamp> {
    let tasks = observation.tasks_by_address();
    let serves = |target: &Target| task_of_target(&tasks, target, now).map(Task::phase) == Some(Phase::Serving);
    let is_starting = |task: &Task| task.phase() == Phase::Starting;
    let mut healthy = observation.targets().filter(|(_, target)| target.state == TargetState::Healthy);
    if observation.tasks.iter().any(is_starting) || !healthy.any(|(_, target)| serves(target)) {
        return None;
    }
    let started_at: Option<Vec<_>> = observation.serving().map(|task| task.started_at).collect();
    started_at?.into_iter().max()
}

/// Returns the time since which the stop of a service has been due: since then it has been unused, and nothing has forbidden
/// the stop. `None` where it isn't to be stopped now.
pub fn stop_due_since(observation: &Observation, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
    let rule = policy.usage.stop?;
    let load_balancer = stoppable(observation, policy)?;
    let unused_since = unused_since(observation, load_balancer, policy, rule, now).ok()?;
    let limits = WindowLimits::of(observation, load_balancer, now).ok()?;
    let flows = observation.flows.as_ref()?;
    let healthy_since = flows.healthy_before(minute_of(now - CLOUDWATCH_LAG))?;
    let had_call = flows.last_used_from(minute_of(limits.newest_task_started_at), policy.usage.threshold).is_some();
    // The grace for the first call ends as a window would that began then.
    let first_call_window = limits.newest_task_started_at + rule.first_call_grace - rule.after - CLOUDWATCH_LAG;
    let since = [Some(unused_since), Some(healthy_since), (!had_call).then_some(first_call_window)];
    since.into_iter().flatten().chain(limits.all().map(|(at, _)| at)).max()
}

/// Returns the time at which the service is announced to stop, if the announcement is valid.
pub fn stop_announced_for(observation: &Observation, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
    announced_stop(stoppable(observation, policy)?, policy.usage.stop?, now)
}

/// Returns when the service is stopped if it stays unused from the last known use on; `None` where it isn't stopped, and while
/// its use is unknown.
pub fn expected_stop(observation: &Observation, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
    let rule = policy.usage.stop?;
    let load_balancer = stoppable(observation, policy)?;
    if let Some(stop_at) = announced_stop(load_balancer, rule, now) {
        return Some(stop_at);
    }
    let flows = observation.flows.as_ref().filter(|flows| UnknownUse::of(flows, now).is_none())?;
    let limits = WindowLimits::of(observation, load_balancer, now).ok()?;
    let last_used = flows.last_used_from(Timestamp::MIN, policy.usage.threshold);
    let had_call = last_used.is_some_and(|at| at >= minute_of(limits.newest_task_started_at));
    let unused_since = limits.all().map(|(at, _)| at).chain(last_used.map(|at| at + MINUTE)).max()?;
    // The window has full minutes, and CloudWatch knows its last one.
    let announced_at = minute_of(unused_since) + MINUTE + rule.after + CLOUDWATCH_LAG;
    let first_call_by = limits.newest_task_started_at + rule.first_call_grace;
    Some(if had_call { announced_at } else { announced_at.max(first_call_by) }.max(now) + rule.notice)
}
