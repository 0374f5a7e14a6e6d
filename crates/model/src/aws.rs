//! AWS, as far as the teardown protocol can tell its states apart.

use crate::time::{DEADLINE, Instant, LAG};

/// The number of tasks that a scenario can have: one from before, and one that a scale-up starts.
pub const TASKS: usize = 2;

/// The state of AWS.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Aws {
    /// What ECS will show in the end.
    pub ecs: Ecs,
    /// What ECS may still show instead, and since when it is outdated.
    pub outdated: Option<(Ecs, Instant)>,
    /// The lease on the service, a tag that doesn't lag.
    pub lease: Option<Lease>,
    /// The load balancer.
    pub load_balancer: Option<LoadBalancer>,
    /// The target group of the platform.
    pub group: Option<Group>,
    /// The number of load balancers that have been created so far.
    pub created: u8,
    /// True while a marked target group of another platform's load balancer exists.
    pub has_foreign_group: bool,
    /// The time since which tasks are desired.
    pub desired_since: Option<Instant>,
    /// The time since which the service is missing.
    pub missing_since: Option<Instant>,
    /// The time since which a target of another owner is healthy in the group.
    pub others_since: Option<Instant>,
    /// True if an operator has deleted a load balancer by hand.
    pub deleted_by_hand: bool,
}

/// The part of AWS that ECS's answers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ecs {
    /// True unless the service is missing.
    pub exists: bool,
    /// True if a task is desired.
    pub desired: bool,
    /// The tasks, `None` before their start.
    pub tasks: [Option<Task>; TASKS],
}

/// A task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Task {
    /// The status.
    pub status: Status,
    /// The time at which ECS created it, while it starts.
    pub created_at: Option<Instant>,
    /// The time at which it reached RUNNING.
    pub started_at: Option<Instant>,
    /// The time at which ECS began to stop it.
    pub stopping_at: Option<Instant>,
    /// The time at which it had stopped.
    pub stopped_at: Option<Instant>,
}

/// The status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// It starts; it is to run.
    Starting,
    /// It serves.
    Running,
    /// It is to stop, and its containers still run.
    Stopping,
    /// It has stopped.
    Stopped,
}

impl Task {
    /// A task that starts.
    pub fn new(now: Instant) -> Self {
        let status = Status::Starting;
        Self { status, created_at: Some(now), started_at: None, stopping_at: None, stopped_at: None }
    }

    /// Returns whether it can have reached RUNNING: no task takes less than ten seconds.
    pub fn can_run(&self, now: Instant) -> bool {
        self.created_at.is_none_or(|at| now >= at + DEADLINE)
    }

    /// Returns whether ECS counts it, and lists it as a task that is to run.
    pub fn is_wanted(&self) -> bool {
        matches!(self.status, Status::Starting | Status::Running)
    }
}

/// The load balancer. Its listener refers to the target group as soon as it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoadBalancer {
    /// Its number among those that were created, which stands for its ARN.
    pub number: u8,
    /// The time of its creation.
    pub created_at: Instant,
    /// True once the target group is behind it.
    pub is_complete: bool,
    /// The time since which it lacks the owner tag.
    pub not_owned_since: Option<Instant>,
    /// The idle mark.
    pub mark: Option<Mark>,
    /// The hold.
    pub hold: Option<Hold>,
    /// The last hold that was released.
    pub released: Option<Released>,
    /// The announced stop.
    pub stop_at: Option<Instant>,
    /// The time at which a scale-up touched it last.
    pub touched_at: Option<Instant>,
}

/// The target group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group {
    /// The idle mark.
    pub mark: Option<Mark>,
    /// The tasks whose addresses are registered.
    pub targets: [bool; TASKS],
    /// True if its load balancer was deleted within a window.
    pub is_lost: bool,
    /// True if its mark was removed, or its load balancer was deleted before it had a listener: it is left when that is gone.
    pub is_left: bool,
    /// The time at which a scale-up touched it last.
    pub touched_at: Option<Instant>,
}

/// An idle mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    /// The instant that it names.
    pub since: Instant,
    /// The load balancer that it names.
    pub load_balancer: u8,
}

/// A hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hold {
    /// Its end.
    pub until: Instant,
    /// Who holds.
    pub by: HeldBy,
    /// The time at which it was placed.
    pub placed_at: Instant,
}

/// A hold that has been released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Released {
    /// The time at which it was placed.
    pub placed_at: Instant,
    /// The time at which it ended.
    pub ended_at: Instant,
}

/// Who holds a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeldBy {
    /// An operator.
    Hand,
    /// The command `up`.
    Up,
}

/// The lease on the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease {
    /// The holder.
    pub holder: Holder,
    /// The time at which it was taken; `None` if that is a while ago.
    pub begun_at: Option<Instant>,
    /// True until the holder has ended.
    pub is_active: bool,
}

/// What holds a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// The command `up`.
    Up,
    /// The command `down`.
    Down,
    /// A watcher that stops an unused service.
    Stop,
}

impl Aws {
    /// Changes what ECS shows; its answers may lag behind.
    pub fn change_ecs(&mut self, now: Instant, change: impl FnOnce(&mut Ecs)) {
        let before = self.ecs;
        change(&mut self.ecs);
        if self.ecs != before {
            self.outdated = Some((before, now));
        }
    }

    /// Sets the desired count.
    pub fn scale(&mut self, desired: bool, now: Instant) {
        if !self.ecs.exists {
            return;
        }
        self.change_ecs(now, |ecs| ecs.desired = desired);
        self.desired_since = desired.then(|| self.desired_since.unwrap_or(now));
    }

    /// Lets ECS's answers catch up with what is old enough.
    pub fn catch_up(&mut self, now: Instant) {
        self.outdated = self.outdated.filter(|(_, since)| now < since + LAG);
    }

    /// Returns the states of ECS that an answer can show.
    pub fn visible(&self) -> impl Iterator<Item = Ecs> + '_ {
        std::iter::once(self.ecs).chain(self.outdated.map(|(before, _)| before))
    }

    /// Returns whether the target group is behind the load balancer.
    pub fn is_attached(&self) -> bool {
        self.group.is_some() && self.load_balancer.is_some_and(|found| found.is_complete)
    }
}
