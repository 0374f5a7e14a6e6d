//! Deliberate bugs, which show what the tests catch.
//!
//! None is in the product. A bug is a wrapper around a part of the worker: around its planner (it changes the observation
//! or the policy before the decision, or the plan after it), its platform, its queue, or its clock; or it is a setting of its
//! loop. A bug that no wrapper can
//! express is a patch file in `bugs/`, applied to a copy of the sources. Each must be caught: by a simulated day, or, if no
//! day shows it, by an example or by the product's own tests. The table of all of them is in the README of this crate.

use std::fmt;
use std::time::Duration;

mod interceptor;
mod planner;

pub use interceptor::{BugInterceptor, BugInterceptors};
pub use planner::planner;

/// The part of the worker that a bug is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// The observation before the decision.
    Observation,
    /// The policy before the decision.
    Policy,
    /// The plan after the decision.
    Plan,
    /// The platform.
    Platform,
    /// The queue.
    Queue,
    /// The clock.
    Clock,
    /// The worker's loop.
    Loop,
    /// The sources, by a patch file.
    Patch,
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observation => "observation",
            Self::Policy => "policy",
            Self::Plan => "plan",
            Self::Platform => "platform",
            Self::Queue => "queue",
            Self::Clock => "clock",
            Self::Loop => "loop",
            Self::Patch => "sources",
        })
    }
}

/// Returns the time that a deletion waits between its two observations.
pub fn ecs_lag(bug: Option<Bug>, lag: Duration) -> Duration {
    if bug == Some(Bug::DeleteWithoutWaiting) { Duration::ZERO } else { lag }
}

macro_rules! bugs {
    ($($(#[doc = $doc:literal])* $name:ident: $injection:ident,)*) => {
        /// A deliberate bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Bug {
            $($(#[doc = $doc])* $name,)*
        }

        impl Bug {
            /// All bugs.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns what the bug does, in a sentence.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc,)*).trim(),)*
                }
            }

            /// Returns the part of the worker that the bug is in.
            pub fn injection(self) -> Injection {
                match self {
                    $(Self::$name => Injection::$injection,)*
                }
            }
        }
    };
}

bugs! {
    /// The load balancer is deleted after a single observation.
    DeleteAfterOneObservation: Plan,
    /// The second observation of a deletion follows the first one at once.
    DeleteWithoutWaiting: Loop,
    /// An observation never becomes stale.
    IgnoreDeadlines: Platform,
    /// Messages are deleted before the reconciliation.
    DeleteMessagesBeforeReconciling: Queue,
    /// Malformed messages are deleted.
    DeleteMalformedMessages: Queue,
    /// A reconciliation succeeds although a write failed.
    IgnoreFailedWrites: Platform,
    /// Messages about other services are not deleted.
    KeepForeignMessages: Queue,
    /// A target without a task is deregistered after a single observation.
    DeregisterAfterOneObservation: Observation,
    /// A task that starts is registered beside one that serves.
    RegisterBesideServing: Observation,
    /// The target of a task that was registered while it started, and never ran, is not deregistered.
    KeepTargetsThatNeverRan: Plan,
    /// The target of a stopping task is not deregistered.
    KeepStoppingTargets: Plan,
    /// A missing service counts as idle.
    TreatMissingAsIdle: Observation,
    /// The desired count is ignored.
    IgnoreDesiredCount: Observation,
    /// Stopping tasks are ignored.
    IgnoreStoppingTasks: Observation,
    /// Healthy targets of other owners are ignored.
    IgnoreTargetsOfOthers: Observation,
    /// The owner tag is ignored.
    IgnoreOwnerTag: Observation,
    /// A hold is ignored.
    IgnoreHold: Observation,
    /// A mark that is older than the end of a hold stays valid.
    KeepMarkAcrossHold: Observation,
    /// A healthy target counts as the task's that had its address long ago.
    IgnoreAddressReuse: Observation,
    /// A task that stopped before the load balancer's creation counts as its use.
    CountEarlierTasksAsUse: Observation,
    /// Healthy targets in groups of other target types are ignored.
    IgnoreOtherTargetTypes: Observation,
    /// The mark is written again in each reconciliation.
    RenewMarkForever: Observation,
    /// The mark stays when the service is used again.
    KeepMarkInUse: Plan,
    /// A mark that a target group has lost is restored, and the grace period does not restart.
    RestoreLostMark: Plan,
    /// The mark of another load balancer is valid.
    TrustCopiedMark: Observation,
    /// A mark is valid although tasks have run since.
    TrustOutdatedMark: Observation,
    /// There is no unused grace.
    NoUnusedGrace: Policy,
    /// There is no grace period.
    NoIdleGrace: Policy,
    /// The grace period ends before the paid hour nearly does.
    IgnorePaidHour: Policy,
    /// The target groups are not marked, and stay.
    KeepTargetGroups: Policy,
    /// The orphaned target groups of every load balancer are deleted.
    DeleteOrphansOfOthers: Observation,
    /// Only messages cause reconciliations, not the clock.
    NoResync: Policy,
    /// The machine's clock is taken for AWS's.
    TrustMachineClock: Clock,
    /// After a failed call the worker makes no further call.
    StopAfterFailure: Platform,
    /// The next reconciliation follows at once, whatever the plan says.
    IgnoreRequeue: Plan,
    /// While another owner's target keeps the load balancer, reconciliations follow as if the service were nearly idle.
    HurryForTargetsOfOthers: Plan,
    /// A minute that CloudWatch doesn't show counts as unused.
    TreatUnknownUsageAsUnused: Observation,
    /// The window ends now, and what CloudWatch doesn't know yet counts as unused.
    ExtendWindowToNow: Observation,
    /// A minute needs one flow more to count as used.
    RaiseUseThreshold: Policy,
    /// An unused service is stopped as soon as it is announced.
    IgnoreStopNotice: Policy,
    /// An unused service is stopped after a single observation.
    StopAfterOneObservation: Plan,
    /// A stop ignores the lease of `up` and `down`.
    IgnoreLease: Platform,
    /// A stop that a watcher was killed in the middle of doesn't restart the window.
    ForgetInterruptedStop: Observation,
    /// When the messages of one service are deleted, so are those of the others.
    DeleteMessagesOfOtherServices: Queue,
    /// Services are reconciled one at a time.
    ReconcileOneAtATime: Loop,
    /// A search for orphaned target groups takes the list of another service's, however old it is.
    TrustSearchOfOtherServices: Platform,
    /// Of a list in pages only the first page is read.
    ReadFirstPageOnly: Patch,
}
