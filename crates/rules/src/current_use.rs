//! The present use of a load balancer: what `down` must know before it ends calls.
//!
//! It differs from the rule that stops an unused service ([`crate::plan::StopWhenUnused`]): an operator has decided to scale
//! down, so a short time without use is enough, and neither a hold nor a first call is waited for.

use jiff::Timestamp;

use crate::model::{FlowHistory, LoadBalancer, LoadBalancerState, MINUTE, Observation, Service, minute_of};
use crate::plan::CLOUDWATCH_LAG;
use crate::policy::UsagePolicy;

/// The number of known minutes in a row without use after which the load balancer is unused. A load balancer forgets a
/// flow after two minutes of silence, so a caller who reconnects shows in one of them.
pub const UNUSED_MINUTES: u32 = 3;

/// The present use of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CurrentUse {
    /// There can be no call.
    NoCall(NoCall),
    /// It has been unused for [`UNUSED_MINUTES`], the last of which is as recent as CloudWatch's delay allows.
    Unused {
        /// The start of the first known minute in a row without use.
        since: Timestamp,
    },
    /// It is used, or was until a moment ago.
    InUse(RecentUse),
    /// CloudWatch doesn't show whether it is used. This counts as in use.
    Unknown(UnknownUse),
}

/// Why there can be no call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCall {
    /// There is no load balancer.
    NoLoadBalancer,
    /// The load balancer is being created, or its creation failed.
    LoadBalancerNotActive,
    /// No target is registered.
    NoTarget,
    /// No task serves.
    NoServingTask,
    /// The desired count is zero: ECS is stopping the tasks.
    ScaledToZero,
}

impl NoCall {
    /// Returns the reason as a clause.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoLoadBalancer => "there is no load balancer",
            Self::LoadBalancerNotActive => "the load balancer isn't active",
            Self::NoTarget => "no target is registered",
            Self::NoServingTask => "no task serves",
            Self::ScaledToZero => "the desired count is 0",
        }
    }
}

/// The newest use that CloudWatch shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentUse {
    /// The start of the newest minute with use.
    pub minute: Timestamp,
    /// The flows in that minute.
    pub flows: u64,
    /// The start of the first minute with use; the use has continued since, as far as CloudWatch shows it.
    pub since: Timestamp,
}

/// Why the use is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownUse {
    /// CloudWatch isn't asked.
    NotAsked,
    /// CloudWatch could not be asked.
    NotRead {
        /// The error, with its remedy.
        reason: String,
        /// Whether the error persists until an operator acts.
        is_permanent: bool,
    },
    /// CloudWatch shows no minute.
    NoMinute,
    /// CloudWatch shows none of the minutes that it should know by now.
    Late {
        /// The end of the newest known minute.
        known_until: Timestamp,
    },
    /// CloudWatch shows too few minutes in a row.
    TooFewMinutes {
        /// The end of the newest known minute.
        known_until: Timestamp,
    },
    /// The service has served for too short a time.
    JustBegun {
        /// The time at which its first task began to serve.
        serving_since: Timestamp,
    },
}

impl UnknownUse {
    /// Returns whether waiting changes nothing: an operator must act first.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::NotAsked | Self::NotRead { is_permanent: true, .. })
    }
}

impl std::fmt::Display for UnknownUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAsked => f.write_str("CloudWatch isn't asked (--no-usage)"),
            Self::NotRead { reason, .. } => f.write_str(reason),
            Self::NoMinute => f.write_str("CloudWatch has no data point"),
            Self::Late { known_until } => write!(f, "CloudWatch shows no minute after {known_until:.0}"),
            Self::TooFewMinutes { known_until } => {
                write!(f, "CloudWatch doesn't show {UNUSED_MINUTES} minutes in a row up to {known_until:.0}")
            }
            Self::JustBegun { serving_since } => {
                write!(f, "the service has served only since {serving_since:.0}, and CloudWatch's data points are late")
            }
        }
    }
}

impl UnknownUse {
    /// Returns why a history doesn't show the present use, if so.
    pub fn of(flows: &FlowHistory, now: Timestamp) -> Option<Self> {
        if let Some(problem) = &flows.problem {
            return Some(Self::NotRead { reason: problem.reason.clone(), is_permanent: problem.is_permanent });
        }
        let Some((newest, _)) = flows.newest() else { return Some(Self::NoMinute) };
        let known_until = newest + MINUTE;
        (known_until < minute_of(now - CLOUDWATCH_LAG)).then_some(Self::Late { known_until })
    }
}

impl CurrentUse {
    /// Returns the use that an observation shows.
    pub fn of(observation: &Observation, policy: &UsagePolicy, now: Timestamp) -> Self {
        let (load_balancer, serving_since) = match callable(observation) {
            Ok(callable) => callable,
            Err(no_call) => return Self::NoCall(no_call),
        };
        let Some(flows) = observation.flows.as_ref().filter(|_| policy.observe) else {
            return Self::Unknown(UnknownUse::NotAsked);
        };
        // CloudWatch can be expected to know the minutes up to here. A later one counts where it is known.
        let due = minute_of(now - CLOUDWATCH_LAG);
        let oldest = minute_of(serving_since.max(load_balancer.created_at));
        // A failed read leaves the minutes of the one before: there may have been use since.
        let unused_since = unused_since(flows, due, oldest, policy.threshold).filter(|_| flows.problem.is_none());
        match (unused_since, recent_use(flows, due, policy.threshold)) {
            (Some(since), _) => Self::Unused { since },
            (None, Some(recent)) => Self::InUse(recent),
            (None, None) => Self::Unknown(unknown(flows, oldest, policy.threshold, now)),
        }
    }
}

/// Returns the load balancer and the time since which a task has served, or why there can be no call.
fn callable(observation: &Observation) -> Result<(&LoadBalancer, Timestamp), NoCall> {
    let load_balancer = observation.load_balancer.as_ref().ok_or(NoCall::NoLoadBalancer)?;
    if matches!(observation.service, Service::Found(counts) if counts.desired == 0) {
        return Err(NoCall::ScaledToZero);
    }
    // A task whose start ECS doesn't show may have served for long.
    let started_at = observation.serving().map(|task| task.started_at.unwrap_or(load_balancer.created_at));
    let serving_since = started_at.min().ok_or(NoCall::NoServingTask)?;
    if matches!(load_balancer.state, LoadBalancerState::Provisioning | LoadBalancerState::Failed) {
        return Err(NoCall::LoadBalancerNotActive);
    }
    if observation.targets().next().is_none() {
        return Err(NoCall::NoTarget);
    }
    Ok((load_balancer, serving_since))
}

/// Returns the start of the newest run of known minutes without use, if it is long enough, recent enough, and no use
/// follows it. Minutes before `oldest`, in which there could be no call, don't count.
fn unused_since(flows: &FlowHistory, due: Timestamp, oldest: Timestamp, threshold: u64) -> Option<Timestamp> {
    let ends = flows.minutes.range(due - MINUTE..).rev().map(|(start, _)| *start + MINUTE);
    for end in ends {
        let since = flows.unused_before(end, threshold).map(|since| since.max(oldest));
        if let Some(since) = since.filter(|since| *since + UNUSED_MINUTES * MINUTE <= end) {
            return flows.last_used_from(end, threshold).is_none().then_some(since);
        }
    }
    None
}

/// Returns the newest use, if it is recent enough to matter.
fn recent_use(flows: &FlowHistory, due: Timestamp, threshold: u64) -> Option<RecentUse> {
    let minute = flows.last_used_from(due - UNUSED_MINUTES * MINUTE, threshold)?;
    let flows_then = flows.minutes.get(&minute)?.flows;
    let before = flows.minutes.range(..minute).rev();
    // An unknown minute doesn't end the use.
    let used = before.take_while(|(_, earlier)| earlier.flows > threshold).last();
    Some(RecentUse { minute, flows: flows_then, since: used.map_or(minute, |(start, _)| *start) })
}

fn unknown(flows: &FlowHistory, oldest: Timestamp, threshold: u64, now: Timestamp) -> UnknownUse {
    if let Some(unknown) = UnknownUse::of(flows, now) {
        return unknown;
    }
    let known_until = flows.newest().map_or(oldest, |(start, _)| start + MINUTE);
    let is_young = flows.unused_before(known_until, threshold).is_some_and(|since| since <= oldest);
    if is_young { UnknownUse::JustBegun { serving_since: oldest } } else { UnknownUse::TooFewMinutes { known_until } }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{DesiredStatus, FlowProblem, LastStatus, MinuteFlows, Task};
    use crate::plan::samples::{counts, load_balancer, minutes, noon, observation, running, seconds, stopped, task};

    const POLICY: UsagePolicy = UsagePolicy { observe: true, ..UsagePolicy::OFF };

    fn at(minutes_ago: i64) -> Timestamp {
        noon() - minutes(minutes_ago)
    }

    /// A history that ends some minutes before noon, oldest minute first; `None` for an unknown minute.
    fn ending(minutes_ago: i64, flows: &[Option<u64>]) -> FlowHistory {
        let count = i64::try_from(flows.len()).expect("few");
        let starts = (0..count).map(|index| at(minutes_ago + count - index));
        let known = starts.zip(flows).filter_map(|(start, flows)| Some((start, (*flows)?)));
        let minutes = known.map(|(start, flows)| (start, MinuteFlows { flows, healthy: Some(1) }));
        FlowHistory { minutes: minutes.collect(), problem: None }
    }

    fn serving(flows: FlowHistory) -> Observation {
        let observed = observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1])));
        Observation { flows: Some(flows), ..observed }
    }

    fn current(observed: &Observation) -> CurrentUse {
        CurrentUse::of(observed, &POLICY, noon())
    }

    fn of(minutes_ago: i64, flows: &[Option<u64>]) -> CurrentUse {
        current(&serving(ending(minutes_ago, flows)))
    }

    fn in_use(minute: i64, flows: u64, since: i64) -> CurrentUse {
        CurrentUse::InUse(RecentUse { minute: at(minute), flows, since: at(since) })
    }

    fn too_few(known_until: i64) -> CurrentUse {
        CurrentUse::Unknown(UnknownUse::TooFewMinutes { known_until: at(known_until) })
    }

    fn late(known_until: i64) -> CurrentUse {
        CurrentUse::Unknown(UnknownUse::Late { known_until: at(known_until) })
    }

    #[test]
    fn three_minutes_in_a_row_without_use_are_unused() {
        assert_eq!(of(3, &[Some(4), Some(0), Some(0), Some(0)]), CurrentUse::Unused { since: at(6) });
        assert_eq!(of(3, &[Some(0); 5]), CurrentUse::Unused { since: at(8) });
        assert_eq!(of(3, &[Some(4), Some(0), Some(0)]), in_use(6, 4, 6));
        assert_eq!(of(3, &[Some(0), Some(0)]), too_few(3));
        assert_eq!(of(3, &[Some(0), None, Some(0), Some(0)]), too_few(3), "an unknown minute is in use");
    }

    #[test]
    fn the_newest_of_them_is_as_recent_as_cloudwatch_allows() {
        assert_eq!(of(4, &[Some(0); 5]), late(4), "CloudWatch should know the minute after it");
        for minutes_ago in [0, 1, 2] {
            let since = at(minutes_ago + 3);
            assert_eq!(of(minutes_ago, &[Some(4), Some(0), Some(0), Some(0)]), CurrentUse::Unused { since });
        }
        // The minutes at 11:54, 11:55 and 11:56 are enough, although one after them isn't known.
        assert_eq!(of(1, &[Some(0), Some(0), Some(0), None, Some(0)]), CurrentUse::Unused { since: at(6) });
    }

    #[test]
    fn use_in_a_later_minute_counts() {
        assert_eq!(of(2, &[Some(0), Some(0), Some(0), Some(2)]), in_use(3, 2, 3));
        assert_eq!(of(1, &[Some(0), Some(0), Some(0), None, Some(2)]), in_use(2, 2, 2));
    }

    #[test]
    fn use_goes_back_to_the_first_minute_with_it() {
        assert_eq!(of(2, &[Some(9), Some(0), Some(2), Some(3), Some(4)]), in_use(3, 4, 5));
        assert_eq!(of(2, &[Some(0), Some(2), None, Some(3), Some(4)]), in_use(3, 4, 6), "the unknown minute too");
        assert_eq!(of(2, &[Some(4), Some(4), Some(0), Some(0)]), in_use(5, 4, 6), "it has ended a moment ago");
        assert_eq!(
            of(2, &[Some(9), Some(1), Some(2), Some(3)]),
            in_use(3, 3, 4),
            "one flow is the threshold, and no use"
        );
    }

    #[test]
    fn use_long_ago_says_nothing_about_now() {
        assert_eq!(of(9, &[Some(4), Some(4)]), late(9));
    }

    #[test]
    fn flows_up_to_the_threshold_are_no_use() {
        let policy = UsagePolicy { threshold: 4, ..POLICY };
        let of = |flows| CurrentUse::of(&serving(ending(3, &[Some(flows); 3])), &policy, noon());
        assert_eq!(of(4), CurrentUse::Unused { since: at(6) });
        assert_eq!(of(5), in_use(4, 5, 6));
    }

    #[test]
    fn minutes_before_the_service_served_do_not_count() {
        let since = |started_ago: Duration| {
            let mut observed = serving(ending(2, &[Some(0); 20]));
            observed.tasks[0].started_at = Some(noon() - started_ago);
            current(&observed)
        };
        assert_eq!(since(minutes(5)), CurrentUse::Unused { since: at(5) });
        let just_begun = CurrentUse::Unknown(UnknownUse::JustBegun { serving_since: at(4) });
        assert_eq!(since(minutes(5) - seconds(1)), CurrentUse::Unused { since: at(5) }, "within that minute");
        assert_eq!(since(minutes(4)), just_begun);
        let mut observed = serving(ending(2, &[Some(0); 20]));
        observed.tasks.push(Task { started_at: Some(at(1)), ..running(2) });
        assert_eq!(current(&observed), CurrentUse::Unused { since: at(22) }, "another task has served for longer");
        observed.load_balancer.as_mut().expect("a load balancer").created_at = at(4);
        assert_eq!(current(&observed), just_begun, "the load balancer is new");
    }

    #[test]
    fn usage_that_is_not_read_is_unknown() {
        let problem = |is_permanent| FlowProblem { reason: "denied; allow it".to_owned(), is_permanent };
        for is_permanent in [true, false] {
            for known_until in [9, 2] {
                let flows = FlowHistory { problem: Some(problem(is_permanent)), ..ending(known_until, &[Some(0); 5]) };
                let CurrentUse::Unknown(unknown) = current(&serving(flows)) else { panic!("it is known") };
                assert_eq!((unknown.is_permanent(), unknown.to_string().as_str()), (is_permanent, "denied; allow it"));
            }
        }
        let used = FlowHistory { problem: Some(problem(true)), ..ending(4, &[Some(2)]) };
        assert_eq!(current(&serving(used)), in_use(5, 2, 5), "what was read before counts");
        let none = FlowHistory::default();
        assert_eq!(current(&serving(none)), CurrentUse::Unknown(UnknownUse::NoMinute));
        let not_asked = Observation { flows: None, ..serving(FlowHistory::default()) };
        assert_eq!(current(&not_asked), CurrentUse::Unknown(UnknownUse::NotAsked));
        assert!(UnknownUse::NotAsked.is_permanent() && !UnknownUse::NoMinute.is_permanent());
    }

    #[test]
    fn each_reason_is_a_clause() {
        use NoCall::{LoadBalancerNotActive, NoLoadBalancer, NoServingTask, NoTarget, ScaledToZero};
        let texts = [NoLoadBalancer, LoadBalancerNotActive, NoTarget, NoServingTask, ScaledToZero].map(NoCall::as_str);
        let expected = [
            "there is no load balancer",
            "the load balancer isn't active",
            "no target is registered",
            "no task serves",
            "the desired count is 0",
        ];
        assert_eq!(texts, expected);
        let known_until = noon();
        for (unknown, expected) in [
            (UnknownUse::NotAsked, "CloudWatch isn't asked (--no-usage)"),
            (UnknownUse::NoMinute, "CloudWatch has no data point"),
            (UnknownUse::Late { known_until }, "CloudWatch shows no minute after 2026-11-20T12:00:00Z"),
            (
                UnknownUse::TooFewMinutes { known_until },
                "CloudWatch doesn't show 3 minutes in a row up to 2026-11-20T12:00:00Z",
            ),
            (
                UnknownUse::JustBegun { serving_since: noon() },
                "the service has served only since 2026-11-20T12:00:00Z, and CloudWatch's data points are late",
            ),
        ] {
            assert_eq!(unknown.to_string(), expected);
        }
    }

    #[test]
    fn without_a_way_into_the_service_there_is_no_call() {
        let busy = || serving(ending(2, &[Some(4); 9]));
        let mut gone = busy();
        gone.load_balancer = None;
        let mut provisioning = busy();
        provisioning.load_balancer.as_mut().expect("a load balancer").state = LoadBalancerState::Provisioning;
        let starting = task(1, LastStatus::Starting, DesiredStatus::Running);
        for (observed, reason) in [
            (gone, NoCall::NoLoadBalancer),
            (provisioning, NoCall::LoadBalancerNotActive),
            (Observation { load_balancer: Some(load_balancer(&[])), ..busy() }, NoCall::NoTarget),
            (Observation { tasks: vec![starting, stopped(2)], ..busy() }, NoCall::NoServingTask),
            (Observation { service: counts(0, 1, 0), ..busy() }, NoCall::ScaledToZero),
        ] {
            assert_eq!(current(&observed), CurrentUse::NoCall(reason));
        }
    }
}
