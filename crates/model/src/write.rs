//! Writes: sent, and in effect at any later instant until their deadline.

use crate::aws::{Aws, Group, Hold, Holder, Lease, LoadBalancer, Mark, Released, TASKS};
use crate::time::Instant;

/// A write that was sent and has not taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Write {
    /// What it does.
    pub effect: Effect,
    /// The instant at which it can't take effect any more.
    pub deadline: Instant,
    /// Who has sent it.
    pub by: Author,
}

/// Who has sent a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Author {
    /// A watcher.
    Watcher,
    /// The command `up`.
    Up,
    /// The command `down`.
    Down,
    /// An operator, by hand or by Terraform.
    Hand,
}

/// The effect of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// AddTags: the idle mark.
    Mark {
        /// The load balancer.
        load_balancer: u8,
        /// The instant that the mark names.
        since: Instant,
        /// Whether the target group is marked in the same call.
        with_group: bool,
    },
    /// RemoveTags: the idle mark.
    Unmark {
        /// The load balancer, if it is among the resources.
        load_balancer: Option<u8>,
        /// Whether the target group is among them.
        with_group: bool,
    },
    /// DeleteLoadBalancer.
    DeleteLoadBalancer {
        /// The load balancer.
        load_balancer: u8,
    },
    /// DeleteTargetGroup.
    DeleteGroup {
        /// True for that of another platform.
        is_foreign: bool,
    },
    /// RegisterTargets or DeregisterTargets.
    Target {
        /// Which of the two.
        registration: Registration,
        /// The task whose address it is.
        task: usize,
    },
    /// AddTags or RemoveTags: the announcement of a stop.
    Announce {
        /// The load balancer.
        load_balancer: u8,
        /// The announced time; `None` to withdraw it.
        stop_at: Option<Instant>,
    },
    /// AddTags: a hold.
    Hold {
        /// The load balancer.
        load_balancer: u8,
        /// The hold.
        hold: Hold,
    },
    /// RemoveTags: the hold, and the mark from before it.
    Release {
        /// The load balancer.
        load_balancer: u8,
    },
    /// TagResource: the lease on the service.
    Lease(Lease),
    /// UntagResource: the lease on the service.
    ReleaseLease,
    /// UpdateService: the desired count.
    Scale(bool),
    /// CreateTargetGroup.
    CreateGroup,
    /// CreateLoadBalancer.
    CreateLoadBalancer,
    /// CreateListener.
    CreateListener,
    /// RemoveTags: those of the target group that Terraform doesn't know.
    ResetGroup,
    /// RemoveTags: those of the load balancer that Terraform doesn't know.
    ResetLoadBalancer,
    /// DeleteLoadBalancer by hand.
    DeleteByHand {
        /// The load balancer.
        load_balancer: u8,
    },
    /// RemoveTags: the owner tag.
    Disown,
    /// DeleteService.
    DeleteService,
    /// RegisterTargets: another owner's target, which becomes healthy.
    RegisterOthers,
}

/// Registers or deregisters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Registration {
    /// RegisterTargets.
    Register,
    /// DeregisterTargets.
    Deregister,
}

impl Effect {
    /// Takes effect. A write to what doesn't exist any more fails, and has none.
    pub fn apply(&self, aws: &mut Aws, now: Instant) {
        match *self {
            Self::Mark { load_balancer, since, with_group } => {
                let has_group = aws.group.is_some();
                let Some(found) = aws.load_balancer.as_mut().filter(|found| found.number == load_balancer) else {
                    return;
                };
                if with_group && !has_group {
                    return;
                }
                let mark = Some(Mark { since, load_balancer });
                found.mark = mark;
                if let Some(group) = aws.group.as_mut().filter(|_| with_group) {
                    (group.mark, group.is_left) = (mark, false);
                }
            }
            Self::Unmark { load_balancer, with_group } => {
                let is_found = |number| aws.load_balancer.is_some_and(|found| found.number == number);
                if !load_balancer.is_none_or(is_found) || with_group && aws.group.is_none() {
                    return;
                }
                if let Some(found) = aws.load_balancer.as_mut().filter(|_| load_balancer.is_some()) {
                    found.mark = None;
                }
                if let Some(group) = aws.group.as_mut().filter(|_| with_group) {
                    (group.mark, group.is_left) = (None, true);
                }
            }
            Self::DeleteLoadBalancer { load_balancer } => {
                aws.load_balancer = aws.load_balancer.filter(|found| found.number != load_balancer);
            }
            Self::DeleteGroup { is_foreign: true } => aws.has_foreign_group = false,
            // ResourceInUse while a listener refers to it.
            Self::DeleteGroup { is_foreign: false } => aws.group = aws.group.filter(|_| aws.is_attached()),
            Self::Target { registration, task } => {
                if let Some(group) = aws.group.as_mut().filter(|_| task < TASKS) {
                    group.targets[task] = registration == Registration::Register;
                }
            }
            Self::Announce { load_balancer, stop_at } => {
                if let Some(found) = aws.load_balancer.as_mut().filter(|found| found.number == load_balancer) {
                    found.stop_at = stop_at;
                }
            }
            Self::Hold { load_balancer, hold } => {
                if let Some(found) = aws.load_balancer.as_mut().filter(|found| found.number == load_balancer) {
                    found.hold = Some(Hold { placed_at: now, ..hold });
                }
            }
            Self::Release { load_balancer } => {
                if let Some(found) = aws.load_balancer.as_mut().filter(|found| found.number == load_balancer) {
                    let released = |hold: Hold| Released { placed_at: hold.placed_at, ended_at: hold.until.min(now) };
                    found.released = found.hold.map(released).or(found.released);
                    (found.hold, found.mark) = (None, None);
                }
            }
            // That of a stop is compared as it was written.
            Self::Lease(lease) if lease.holder == Holder::Stop => aws.lease = Some(lease),
            Self::Lease(lease) => aws.lease = Some(Lease { begun_at: Some(now), ..lease }),
            Self::ReleaseLease => aws.lease = None,
            Self::Scale(desired) => aws.scale(desired, now),
            Self::CreateGroup => {
                let new = Group {
                    mark: None,
                    targets: [false; TASKS],
                    is_lost: false,
                    is_left: false,
                    touched_at: Some(now),
                };
                aws.group.get_or_insert(new);
            }
            Self::CreateLoadBalancer => create_load_balancer(aws, now),
            Self::CreateListener => {
                if let (Some(found), Some(group)) = (&mut aws.load_balancer, &mut aws.group)
                    && !found.is_complete
                {
                    found.is_complete = true;
                    group.touched_at = Some(now);
                }
            }
            Self::ResetGroup => {
                // It writes only if there are any.
                if let Some(group) = aws.group.as_mut().filter(|group| group.mark.is_some()) {
                    (group.mark, group.touched_at) = (None, Some(now));
                    (group.is_lost, group.is_left) = (false, false);
                }
            }
            Self::ResetLoadBalancer => reset_load_balancer(aws, now),
            Self::DeleteByHand { load_balancer } => {
                if aws.load_balancer.is_some_and(|found| found.number == load_balancer) {
                    (aws.load_balancer, aws.deleted_by_hand) = (None, true);
                }
            }
            Self::Disown => {
                if let Some(found) = &mut aws.load_balancer {
                    found.not_owned_since.get_or_insert(now);
                }
            }
            Self::DeleteService => {
                aws.change_ecs(now, |ecs| (ecs.exists, ecs.desired) = (false, false));
                (aws.desired_since, aws.missing_since) = (None, Some(now));
            }
            Self::RegisterOthers => {
                if aws.is_attached() {
                    aws.others_since.get_or_insert(now);
                }
            }
        }
        // A target is healthy only behind a load balancer.
        if !aws.is_attached() {
            aws.others_since = None;
        }
    }
}

fn create_load_balancer(aws: &mut Aws, now: Instant) {
    if aws.load_balancer.is_some() {
        return;
    }
    aws.created += 1;
    if let Some(group) = &mut aws.group {
        group.touched_at = Some(now);
        (group.is_lost, group.is_left) = (false, false);
    }
    aws.load_balancer = Some(LoadBalancer {
        number: aws.created,
        created_at: now,
        is_complete: false,
        not_owned_since: None,
        mark: None,
        hold: None,
        released: None,
        stop_at: None,
        touched_at: Some(now),
    });
}

/// Removes all tags but the owner tag. That ends a hold, too.
fn reset_load_balancer(aws: &mut Aws, now: Instant) {
    let Some(found) = &mut aws.load_balancer else { return };
    if found.mark.is_none() && found.hold.is_none() && found.stop_at.is_none() {
        return;
    }
    let released = |hold: Hold| Released { placed_at: hold.placed_at, ended_at: hold.until.min(now) };
    found.released = found.hold.map(released).or(found.released);
    (found.mark, found.hold, found.stop_at, found.touched_at) = (None, None, None, Some(now));
}
