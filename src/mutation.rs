//! Deliberate bugs, for the tests alone: a test suite is worth what it catches.
//!
//! Each is a place in the code where [`mutated!`] asks whether it is switched on; outside the tests the answer is a
//! constant `false`. One at a time is switched on: for one thread, on which a simulated day is played, or by the
//! environment variable [`VARIABLE`], for a test process of its own; see `simulation::mutants`.

/// Whether a deliberate bug is switched on.
#[cfg(test)]
macro_rules! mutated {
    ($name:ident) => {
        $crate::mutation::is_on($crate::mutation::Mutation::$name)
    };
}

/// Outside the tests there are no deliberate bugs.
#[cfg(not(test))]
macro_rules! mutated {
    ($name:ident) => {
        false
    };
}

pub(crate) use mutated;

/// The environment variable that switches one on, by its name.
#[cfg(test)]
pub const VARIABLE: &str = "JVB_WATCHER_MUTATION";

#[cfg(test)]
macro_rules! mutations {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// A deliberate bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutation {
            $($(#[doc = $doc])* $name,)*
        }

        /// All of them, with their names.
        pub const ALL: &[(Mutation, &str)] = &[$((Mutation::$name, stringify!($name)),)*];
    };
}

#[cfg(test)]
mutations! {
    /// The deletion rests on one look.
    DeleteWithoutLookingAgain,
    /// A look is good for ever.
    NoDeadline,
    /// Messages are deleted before the look.
    DeleteMessagesFirst,
    /// A message that nobody can read is deleted.
    DeleteMalformed,
    /// A look counts as successful although a write failed.
    IgnoreFailedWrites,
    /// A message of somebody else's stays.
    KeepForeign,
    /// A target goes when one look finds no task with its address.
    DeregisterOnOneLook,
    /// A task that is about to run is registered.
    RegisterWhatIsComing,
    /// A task that was told to stop is registered all the same.
    KeepStoppingTargets,
    /// A service that is missing counts as idle.
    MissingIsIdle,
    /// Tasks that are desired don't count.
    IgnoreDesired,
    /// Tasks that are stopping don't count.
    IgnoreStopping,
    /// Somebody else's healthy targets don't count.
    IgnoreTargetsOfOthers,
    /// The owner tag doesn't count.
    IgnoreOwnerTag,
    /// A hold doesn't count.
    IgnoreHold,
    /// A hold that has ended leaves an earlier mark standing.
    ForgetHold,
    /// A target that answers where a task stopped long ago counts as the task's.
    IgnoreReusedAddress,
    /// A target left over from before the balancer counts as its use.
    LeftoversHaveServed,
    /// What answers in a group that doesn't take addresses doesn't count.
    IgnoreOtherGroups,
    /// The mark is written anew at each look.
    MarkAnew,
    /// The mark stays when the service is used again.
    KeepMark,
    /// The mark that a group has lost is written back, and the grace goes on.
    WriteOldMarkBack,
    /// A mark is believed that another balancer had.
    BelieveAnothersMark,
    /// A mark is believed although tasks ran after it.
    BelieveOldMark,
    /// A balancer that nobody has used yet is idle at once.
    NoUnusedGrace,
    /// Idle is torn down at once.
    NoIdleGrace,
    /// The groups aren't marked, and stay.
    ForgetGroups,
    /// Every orphaned group is deleted, whosever it was.
    DeleteOthersOrphans,
    /// Nobody looks by the clock.
    NoResync,
    /// The machine's clock is taken for AWS's.
    BelieveTheMachinesClock,
    /// A call that failed is not tried again.
    GiveUpAfterFailure,
    /// The next look follows at once, whatever the plan says.
    LookWithoutWaiting,
    /// While somebody else's target keeps the balancer, it is looked at as if it were nearly idle.
    HurryForTargetsOfOthers,
    /// Of a list in pages only the first is read.
    ReadOnePage,
}

#[cfg(test)]
thread_local! {
    /// The one that is switched on for this thread.
    static ON_THIS_THREAD: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// Does something with a deliberate bug switched on, on this thread.
#[cfg(all(test, feature = "sandbox"))]
pub fn with<T>(mutation: Mutation, act: impl FnOnce() -> T) -> T {
    ON_THIS_THREAD.set(Some(mutation));
    let outcome = act();
    ON_THIS_THREAD.set(None);
    outcome
}

/// Whether it is switched on.
#[cfg(test)]
pub fn is_on(mutation: Mutation) -> bool {
    use std::sync::OnceLock;

    static ON: OnceLock<Option<Mutation>> = OnceLock::new();
    let on = ON.get_or_init(|| {
        let wanted = std::env::var(VARIABLE).ok()?;
        let known = ALL.iter().find(|(_, name)| *name == wanted);
        Some(known.unwrap_or_else(|| panic!("{VARIABLE} is {wanted:?}, which is no mutation")).0)
    });
    on.or_else(|| ON_THIS_THREAD.get()) == Some(mutation)
}
