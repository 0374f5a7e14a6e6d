//! Deliberate bugs of the protocol, one at a time, which show what the model catches.
//!
//! They have the names and the meaning of those in the simulation (`crates/simulation/src/bugs.rs`). Most are a wrapper
//! around the planner: the rules stay as they are. The others are in the model's watcher.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jvb_watcher_rules::hold::Hold;
use jvb_watcher_rules::lease::{LeaseHolder, LeaseReading};
use jvb_watcher_rules::model::{
    Counts, HOLD_UNTIL_TAG, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LastStatus, Observation, Phase, Service, Tags,
    TargetState,
};
use jvb_watcher_rules::plan::{self, LifecycleAction, MarkReason, Plan, Policy, Teardown};

macro_rules! bugs {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// A deliberate bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Bug {
            $($(#[doc = $doc])* $name,)*
        }

        impl Bug {
            /// All bugs.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns what the bug does, in a sentence.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc,)*).trim_ascii(),)*
                }
            }
        }
    };
}

bugs! {
    /// The load balancer is deleted after a single observation.
    DeleteAfterOneObservation,
    /// The second observation follows the first one at once.
    DeleteWithoutWaiting,
    /// An observation never becomes stale.
    IgnoreDeadlines,
    /// A missing service counts as idle.
    TreatMissingAsIdle,
    /// The desired count is ignored.
    IgnoreDesiredCount,
    /// Stopping tasks are ignored.
    IgnoreStoppingTasks,
    /// Healthy targets of other owners are ignored.
    IgnoreTargetsOfOthers,
    /// The owner tag is ignored.
    IgnoreOwnerTag,
    /// A hold is ignored.
    IgnoreHold,
    /// A mark that is older than the end of a hold stays valid.
    KeepMarkAcrossHold,
    /// The mark is written again in each reconciliation.
    RenewMarkForever,
    /// A mark that a target group has lost is restored, and the grace period does not restart.
    RestoreLostMark,
    /// A mark is valid although tasks have run since.
    TrustOutdatedMark,
    /// There is no unused grace.
    NoUnusedGrace,
    /// There is no grace period.
    NoIdleGrace,
    /// The target groups are not marked, and stay.
    KeepTargetGroups,
    /// The orphaned target groups of every load balancer are deleted.
    DeleteOrphansOfOthers,
    /// An unused service is stopped after a single observation.
    StopAfterOneObservation,
    /// A stop ignores the lease of `up` and `down`.
    IgnoreLease,
    /// A stop that a watcher was killed in the middle of doesn't restart the window.
    ForgetInterruptedStop,
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Bug {
    /// Returns the name of the smallest scenario that shows it.
    pub fn scenario(self) -> &'static str {
        match self {
            Self::DeleteAfterOneObservation | Self::IgnoreDeadlines | Self::TreatMissingAsIdle => "missing",
            Self::DeleteWithoutWaiting
            | Self::IgnoreDesiredCount
            | Self::IgnoreStoppingTasks
            | Self::TrustOutdatedMark
            | Self::NoIdleGrace
            | Self::RenewMarkForever
            | Self::KeepTargetGroups => "scale",
            Self::IgnoreTargetsOfOthers => "others",
            Self::IgnoreOwnerTag => "disowned",
            Self::IgnoreHold | Self::KeepMarkAcrossHold => "hold",
            Self::RestoreLostMark => "apply",
            Self::NoUnusedGrace | Self::DeleteOrphansOfOthers => "by-hand",
            Self::StopAfterOneObservation => "stop-hold",
            Self::IgnoreLease => "stop",
            Self::ForgetInterruptedStop => "stop-crash",
        }
    }

    /// Returns whether writes can follow from an observation however old it is.
    pub fn ignores_age(self) -> bool {
        matches!(self, Self::IgnoreDeadlines | Self::DeleteAfterOneObservation | Self::StopAfterOneObservation)
    }

    /// Plans with the bug.
    pub fn plan(self, observation: &Observation, policy: &Policy, now: Timestamp) -> Plan {
        let (mut observation, mut policy) = (observation.clone(), policy.clone());
        match self {
            Self::TreatMissingAsIdle | Self::IgnoreTargetsOfOthers | Self::KeepMarkAcrossHold => {
                // They concern the load balancer alone.
                let right = plan::plan(&observation, &policy, now);
                self.change_observation(&mut observation, &policy, now);
                return Plan { lifecycle: plan::plan(&observation, &policy, now).lifecycle, ..right };
            }
            Self::NoUnusedGrace => policy.unused_grace = Duration::ZERO,
            Self::NoIdleGrace => policy.idle_grace = Duration::ZERO,
            Self::KeepTargetGroups => policy.teardown = Teardown::LoadBalancer,
            _ => self.change_observation(&mut observation, &policy, now),
        }
        let mut plan = plan::plan(&observation, &policy, now);
        if self == Self::RestoreLostMark
            && let LifecycleAction::Mark { idle_since, reason: MarkReason::Incomplete, .. } = &mut plan.lifecycle
        {
            *idle_since = plan::marked_since(&observation, now).unwrap_or(*idle_since);
        }
        plan
    }

    fn change_observation(self, observation: &mut Observation, policy: &Policy, now: Timestamp) {
        match self {
            Self::TreatMissingAsIdle => {
                if observation.service == Service::Missing {
                    observation.service = Service::Found(Counts::default());
                }
            }
            Self::IgnoreDesiredCount => {
                if let Service::Found(counts) = &mut observation.service {
                    counts.desired = 0;
                }
            }
            Self::IgnoreStoppingTasks => {
                for task in observation.tasks.iter_mut().filter(|task| task.phase() == Phase::Stopping) {
                    task.last_status = LastStatus::Stopped;
                }
            }
            Self::IgnoreTargetsOfOthers => {
                let others: Vec<_> = plan::targets_of_others(observation, now).map(|(_, target)| target.ip).collect();
                let groups = observation.load_balancer.iter_mut().flat_map(|found| &mut found.target_groups);
                for target in groups.flat_map(|group| &mut group.targets).filter(|target| others.contains(&target.ip)) {
                    target.state = TargetState::Unhealthy;
                }
            }
            Self::IgnoreOwnerTag => {
                if let Some(load_balancer) = &mut observation.load_balancer {
                    load_balancer.tags.insert(policy.owner_tag.key.clone(), policy.owner_tag.value.clone());
                }
            }
            Self::IgnoreHold => {
                if let Some(load_balancer) = &mut observation.load_balancer {
                    load_balancer.tags.remove(HOLD_UNTIL_TAG);
                }
            }
            Self::KeepMarkAcrossHold => {
                if let Some(load_balancer) = &mut observation.load_balancer
                    && Hold::of(&load_balancer.tags).is_some_and(|hold| hold.until <= now)
                {
                    load_balancer.tags.remove(HOLD_UNTIL_TAG);
                }
            }
            Self::RenewMarkForever => {
                if let Some(load_balancer) = &mut observation.load_balancer {
                    load_balancer.tags.remove(IDLE_SINCE_TAG);
                }
            }
            Self::TrustOutdatedMark => {
                let Some(marked_at) = plan::marked_since(observation, now) else { return };
                for task in &mut observation.tasks {
                    for at in [&mut task.started_at, &mut task.stopping_at, &mut task.stopped_at] {
                        *at = at.map(|at| at.min(marked_at));
                    }
                }
            }
            Self::DeleteOrphansOfOthers => {
                for group in &mut observation.orphaned_target_groups {
                    rename_load_balancer(&mut group.tags, &policy.load_balancer);
                }
            }
            Self::IgnoreLease => {
                if let LeaseReading::Read(lease) = &mut observation.lease {
                    *lease = None;
                }
            }
            Self::ForgetInterruptedStop => {
                if observation.lease.found().is_some_and(|lease| lease.holder == LeaseHolder::Stop) {
                    observation.lease = LeaseReading::Read(None);
                }
            }
            Self::DeleteAfterOneObservation
            | Self::DeleteWithoutWaiting
            | Self::IgnoreDeadlines
            | Self::RestoreLostMark
            | Self::NoUnusedGrace
            | Self::NoIdleGrace
            | Self::KeepTargetGroups
            | Self::StopAfterOneObservation => {}
        }
    }
}

/// Replaces the load balancer's name in the ARN that a mark names.
fn rename_load_balancer(tags: &mut Tags, name: &str) {
    let Some(arn) = tags.get_mut(LOAD_BALANCER_TAG) else { return };
    let parts: Vec<_> = arn.split('/').collect();
    if let [start, kind, _, id] = parts.as_slice() {
        *arn = format!("{start}/{kind}/{name}/{id}");
    }
}
