//! The bugs of the decision: wrappers around the rules, which stay as they are.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::Bug;
use jvb_watcher::controller::reconciler::Planner;
use jvb_watcher_rules::hold::Hold;
use jvb_watcher_rules::lease::{LeaseHolder, LeaseReading};
use jvb_watcher_rules::model::{
    Counts, DesiredStatus, FlowHistory, HOLD_UNTIL_TAG, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LastStatus, LoadBalancer,
    MINUTE, Observation, Phase, Service, Tags, Target, TargetGroup, TargetState, Task, minute_of,
};
use jvb_watcher_rules::plan::{
    self, CLOUDWATCH_LAG, LONGEST_HOLD, LifecycleAction, MarkReason, NEARLY_IDLE_REQUEUE, Plan, Policy, StopAction,
    TargetChange, TargetReason, Teardown,
};

/// The time that the rules look back, at least.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Returns the planner of a worker with a bug, or without one.
pub fn planner(bug: Option<Bug>) -> Planner {
    let Some(bug) = bug else { return Arc::new(plan::plan) };
    match bug {
        Bug::DeleteAfterOneObservation => {
            repeating(|plan| matches!(plan.lifecycle, LifecycleAction::DeleteLoadBalancer { .. }))
        }

        Bug::DeregisterAfterOneObservation => observing(Part::All, |observation, now| {
            let long_ago = now - LONGEST_HOLD;
            let keys = observation.target_groups().flat_map(|group| {
                let key = move |target: &Target| group.key(target.ip, target.port);
                group.targets.iter().map(key)
            });
            observation.unmatched_since = keys.map(|key| (key, long_ago)).collect();
        }),
        Bug::RegisterBesideServing => observing(Part::Registrations, |observation, _| {
            for task in observation.tasks.iter_mut().filter(|task| task.phase() == Phase::Starting) {
                (task.last_status, task.desired_status) = (LastStatus::Running, DesiredStatus::Running);
            }
        }),
        Bug::TreatMissingAsIdle => observing(Part::Lifecycle, |observation, _| {
            if observation.service == Service::Missing {
                observation.service = Service::Found(Counts { desired: 0, running: 0, pending: 0 });
            }
        }),
        Bug::IgnoreDesiredCount => observing(Part::All, |observation, _| {
            if let Service::Found(counts) = &mut observation.service {
                counts.desired = 0;
            }
        }),
        Bug::IgnoreStoppingTasks => observing(Part::All, |observation, _| {
            for task in observation.tasks.iter_mut().filter(|task| task.phase() == Phase::Stopping) {
                task.last_status = LastStatus::Stopped;
            }
        }),
        Bug::IgnoreTargetsOfOthers => observing(Part::Lifecycle, |observation, now| {
            let others: Vec<_> = plan::targets_of_others(observation, now).map(|(_, target)| target.ip).collect();
            for group in target_groups_mut(observation) {
                group.healthy_others = 0;
                for target in group.targets.iter_mut().filter(|target| others.contains(&target.ip)) {
                    target.state = TargetState::Unhealthy;
                }
            }
        }),
        Bug::IgnoreOtherTargetTypes => observing(Part::All, |observation, _| {
            for group in target_groups_mut(observation) {
                group.healthy_others = 0;
            }
        }),
        Bug::IgnoreAddressReuse => observing(Part::All, |observation, _| {
            for task in observation.tasks.iter_mut() {
                task.stopped_at = None;
            }
        }),

        Bug::IgnoreOwnerTag => observing_and_deciding(Part::All, |observation, policy, _| {
            if let Some(load_balancer) = &mut observation.load_balancer {
                load_balancer.tags.insert(policy.owner_tag.key.clone(), policy.owner_tag.value.clone());
            }
        }),
        Bug::IgnoreHold => observing(Part::All, |observation, _| {
            if let Some(load_balancer) = &mut observation.load_balancer {
                load_balancer.tags.remove(HOLD_UNTIL_TAG);
            }
        }),
        Bug::KeepMarkAcrossHold => observing(Part::Lifecycle, |observation, now| {
            if let Some(load_balancer) = &mut observation.load_balancer
                && Hold::of(&load_balancer.tags).is_some_and(|hold| hold.until <= now)
            {
                load_balancer.tags.remove(HOLD_UNTIL_TAG);
            }
        }),
        Bug::CountEarlierTasksAsUse => observing(Part::All, |observation, _| {
            let Some(LoadBalancer { created_at, .. }) = observation.load_balancer else { return };
            let addresses: Vec<_> = observation.targets().map(|(_, target)| target.ip).collect();
            let is_target = |task: &Task| addresses.iter().any(|address| task.has_address(*address));
            let just_after = created_at + Duration::from_millis(1);
            for task in observation.tasks.iter_mut().filter(|task| is_target(task)) {
                task.stopping_at = task.stopping_at.map(|at| at.max(just_after));
            }
        }),
        Bug::RenewMarkForever => observing(Part::All, |observation, _| {
            if let Some(load_balancer) = &mut observation.load_balancer {
                load_balancer.tags.remove(IDLE_SINCE_TAG);
            }
        }),
        Bug::TrustCopiedMark => observing(Part::All, |observation, _| {
            let Some(load_balancer) = &mut observation.load_balancer else { return };
            let arn = load_balancer.arn.clone();
            let groups = load_balancer.target_groups.iter_mut().map(|group| &mut group.tags);
            for tags in std::iter::once(&mut load_balancer.tags).chain(groups) {
                tags.entry(LOAD_BALANCER_TAG.to_owned()).and_modify(|named| named.clone_from(&arn));
            }
        }),
        Bug::TrustOutdatedMark => observing(Part::All, |observation, now| {
            let Some(marked_at) = plan::marked_since(observation, now) else { return };
            for task in observation.tasks.iter_mut() {
                for at in [&mut task.started_at, &mut task.stopping_at, &mut task.stopped_at] {
                    *at = at.map(|at| at.min(marked_at));
                }
            }
        }),
        Bug::DeleteOrphansOfOthers => observing_and_deciding(Part::All, |observation, policy, _| {
            for group in &mut observation.orphaned_target_groups {
                rename_load_balancer(&mut group.tags, &policy.load_balancer);
            }
        }),

        Bug::NoUnusedGrace => deciding(|policy| policy.unused_grace = Duration::ZERO),
        Bug::NoIdleGrace => deciding(|policy| policy.idle_grace = Duration::ZERO),
        Bug::IgnorePaidHour => deciding(|policy| policy.until_paid_hour = false),
        Bug::NoResync => deciding(|policy| policy.resync_interval = LONGEST_HOLD),
        Bug::KeepTargetGroups => deciding(|policy| policy.teardown = Teardown::LoadBalancer),

        Bug::KeepStoppingTargets => changing(|plan, _, _| {
            for change in &mut plan.registrations {
                change.deregister.retain(|target| target.reason != TargetReason::TaskStopping);
            }
            plan.registrations.retain(|change| !change.register.is_empty() || !change.deregister.is_empty());
        }),
        Bug::KeepTargetsThatNeverRan => changing(|plan, observation, _| {
            let has_run = |target: &TargetChange| {
                let task = observation.tasks.iter().find(|task| Some(&task.id) == target.task.as_ref());
                task.is_none_or(|task| task.started_at.is_some())
            };
            for change in &mut plan.registrations {
                change.deregister.retain(has_run);
            }
            plan.registrations.retain(|change| !change.register.is_empty() || !change.deregister.is_empty());
        }),
        Bug::KeepMarkInUse => changing(|plan, _, _| {
            if let LifecycleAction::Unmark { .. } = plan.lifecycle {
                plan.lifecycle = LifecycleAction::Keep;
            }
        }),
        Bug::RestoreLostMark => changing(|plan, observation, now| {
            if let LifecycleAction::Mark { idle_since, reason: MarkReason::Incomplete, .. } = &mut plan.lifecycle {
                *idle_since = plan::marked_since(observation, now).unwrap_or(*idle_since);
            }
        }),
        Bug::IgnoreRequeue => changing(|plan, _, now| plan.requeue_at = now),
        Bug::HurryForTargetsOfOthers => changing(|plan, observation, now| {
            let is_used_by_others = plan::targets_of_others(observation, now).next().is_some();
            if let Service::Found(Counts { desired: 0, .. }) = observation.service
                && is_used_by_others
                && observation.serving().next().is_none()
            {
                plan.requeue_at = plan.requeue_at.min(now + NEARLY_IDLE_REQUEUE);
            }
        }),

        Bug::TreatUnknownUsageAsUnused => observing(Part::Stop, |observation, now| {
            let Some(flows) = &mut observation.flows else { return };
            fill_unknown(flows, now - HOUR, now);
            if observation.lease == LeaseReading::NotRead {
                observation.lease = LeaseReading::Read(None);
            }
        }),
        Bug::ExtendWindowToNow => observing(Part::Stop, |observation, now| {
            let Some(flows) = &mut observation.flows else { return };
            fill_unknown(flows, now - CLOUDWATCH_LAG, now);
            // The window ends at the minute before the lag.
            let minutes = std::mem::take(&mut flows.minutes);
            flows.minutes = minutes.into_iter().map(|(start, minute)| (start - CLOUDWATCH_LAG, minute)).collect();
        }),
        Bug::ForgetInterruptedStop => observing(Part::Stop, |observation, _| {
            if observation.lease.found().is_some_and(|lease| lease.holder == LeaseHolder::Stop) {
                observation.lease = LeaseReading::Read(None);
            }
        }),
        Bug::RaiseUseThreshold => deciding(|policy| policy.usage.threshold += 1),
        Bug::IgnoreStopNotice => deciding(|policy| {
            if let Some(stop) = &mut policy.usage.stop {
                stop.notice = Duration::ZERO;
            }
        }),
        Bug::StopAfterOneObservation => repeating(|plan| matches!(plan.stop, StopAction::ScaleToZero { .. })),

        Bug::DeleteWithoutWaiting
        | Bug::IgnoreDeadlines
        | Bug::IgnoreLease
        | Bug::DeleteMessagesBeforeReconciling
        | Bug::DeleteMalformedMessages
        | Bug::IgnoreFailedWrites
        | Bug::KeepForeignMessages
        | Bug::TrustMachineClock
        | Bug::StopAfterFailure
        | Bug::DeleteMessagesOfOtherServices
        | Bug::ReconcileOneAtATime
        | Bug::TrustSearchOfOtherServices
        | Bug::ReadFirstPageOnly => Arc::new(plan::plan),
    }
}

/// The part of a plan that a changed observation affects.
#[derive(Clone, Copy)]
enum Part {
    All,
    Lifecycle,
    Registrations,
    Stop,
}

/// Plans by a changed observation.
fn observing(part: Part, change: impl Fn(&mut Observation, Timestamp) + Send + Sync + 'static) -> Planner {
    observing_and_deciding(part, move |observation, _, now| change(observation, now))
}

/// Plans by an observation that is changed according to the policy.
fn observing_and_deciding(
    part: Part,
    change: impl Fn(&mut Observation, &Policy, Timestamp) + Send + Sync + 'static,
) -> Planner {
    Arc::new(move |observation, policy, now| {
        let mut changed = observation.clone();
        change(&mut changed, policy, now);
        let buggy = plan::plan(&changed, policy, now);
        let right = plan::plan(observation, policy, now);
        match part {
            Part::All => buggy,
            Part::Lifecycle => Plan { lifecycle: buggy.lifecycle, requeue_at: buggy.requeue_at, ..right },
            Part::Registrations => Plan { registrations: buggy.registrations, ..right },
            Part::Stop => Plan { stop: buggy.stop, requeue_at: buggy.requeue_at.min(right.requeue_at), ..right },
        }
    })
}

/// Plans by a changed policy.
fn deciding(change: impl Fn(&mut Policy) + Send + Sync + 'static) -> Planner {
    Arc::new(move |observation, policy, now| {
        let mut policy = policy.clone();
        change(&mut policy);
        plan::plan(observation, &policy, now)
    })
}

/// Changes the plan.
fn changing(change: impl Fn(&mut Plan, &Observation, Timestamp) + Send + Sync + 'static) -> Planner {
    Arc::new(move |observation, policy, now| {
        let mut plan = plan::plan(observation, policy, now);
        change(&mut plan, observation, now);
        plan
    })
}

/// Repeats a plan with a dangerous write instead of planning by the second observation.
fn repeating(is_dangerous: impl Fn(&Plan) -> bool + Send + Sync + 'static) -> Planner {
    let dangerous = Mutex::new(None::<Plan>);
    Arc::new(move |observation, policy, now| {
        let mut dangerous = dangerous.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = dangerous.take() {
            return plan;
        }
        let plan = plan::plan(observation, policy, now);
        if is_dangerous(&plan) {
            *dangerous = Some(plan.clone());
        }
        plan
    })
}

/// Adds the minutes that CloudWatch doesn't show, as unused ones with a healthy target.
fn fill_unknown(flows: &mut FlowHistory, from: Timestamp, until: Timestamp) {
    let mut minute = minute_of(from);
    while minute < until {
        flows.minutes.entry(minute).or_default().healthy.get_or_insert(1);
        minute += MINUTE;
    }
    flows.problem = None;
}

fn target_groups_mut(observation: &mut Observation) -> impl Iterator<Item = &mut TargetGroup> {
    observation.load_balancer.iter_mut().flat_map(|load_balancer| &mut load_balancer.target_groups)
}

/// Replaces the load balancer's name in the ARN that a mark names.
fn rename_load_balancer(tags: &mut Tags, name: &str) {
    let Some(arn) = tags.get_mut(LOAD_BALANCER_TAG) else { return };
    let parts: Vec<_> = arn.split('/').collect();
    if let [start, kind, _, id] = parts.as_slice() {
        *arn = format!("{start}/{kind}/{name}/{id}");
    }
}
