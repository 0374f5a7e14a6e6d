//! Sequences of calls by hand, or by Terraform.

use super::Move;
use crate::aws::{Aws, HeldBy, Hold};
use crate::time::{DEADLINE, HOLD, Instant};
use crate::write::Effect;

/// A call, or what can happen instead of a sequence's next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// `terraform apply`: create the target group, or remove the tags that Terraform doesn't know.
    ApplyGroup,
    /// `terraform apply`: create the load balancer, or remove the tags that Terraform doesn't know.
    ApplyLoadBalancer,
    /// `terraform apply` that ignores the watcher's tags (`ignore_tags`): create the load balancer, if there is none.
    ApplyLoadBalancerAlone,
    /// `terraform apply`: create the listener.
    ApplyListener,
    /// Set the desired count to 1.
    ScaleUp,
    /// Set the desired count to 0.
    ScaleDown,
    /// `jvb-watcher hold`.
    Hold,
    /// `jvb-watcher hold`: verify that the load balancer exists, if it was marked.
    VerifyHold,
    /// `jvb-watcher hold --release`.
    Release,
    /// Delete the load balancer.
    Delete,
    /// Remove the owner tag.
    Disown,
    /// Delete the service.
    DeleteService,
    /// Register a healthy target of another owner.
    RegisterOthers,
}

/// A sequence of calls, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hand {
    /// The number of calls that have been made.
    pub made: u8,
    /// The time at which a hold on a marked load balancer was placed, and the load balancer.
    pub placed: Option<(Instant, u8)>,
}

impl Default for Hand {
    fn default() -> Self {
        Self::new()
    }
}

impl Hand {
    /// A sequence that has not begun.
    pub fn new() -> Self {
        Self { made: 0, placed: None }
    }

    /// Returns the possible next calls.
    pub fn moves(&self, calls: &[Call], aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        let Some(call) = calls.get(usize::from(self.made)) else { return Vec::new() };
        let next = Self { made: self.made + 1, ..self.clone() };
        let found = aws.load_balancer;
        vec![match (call, found) {
            (Call::ApplyGroup, _) if aws.group.is_some() => {
                Move::write("Terraform removes the unknown tags of the target group", next, Effect::ResetGroup)
            }
            (Call::ApplyGroup, _) => Move::write("Terraform creates the target group", next, Effect::CreateGroup),
            (Call::ApplyLoadBalancer, Some(_)) => {
                Move::write("Terraform removes the unknown tags of the load balancer", next, Effect::ResetLoadBalancer)
            }
            (Call::ApplyLoadBalancer | Call::ApplyLoadBalancerAlone, None) => {
                Move::write("Terraform creates the load balancer", next, Effect::CreateLoadBalancer)
            }
            (Call::ApplyLoadBalancerAlone, Some(_)) => Move::read("Terraform finds the load balancer", next),
            (Call::ApplyListener, _) => Move::write("Terraform creates the listener", next, Effect::CreateListener),
            (Call::ScaleUp, _) => Move::write("the operator sets the desired count to 1", next, Effect::Scale(true)),
            (Call::ScaleDown, _) => Move::write("the operator sets the desired count to 0", next, Effect::Scale(false)),
            (Call::Hold, Some(found)) => {
                let hold = Hold { until: now + HOLD, by: HeldBy::Hand, placed_at: now };
                let placed = found.mark.map(|_| (now, found.number));
                let effect = Effect::Hold { load_balancer: found.number, hold };
                Move::write("the operator places a hold", Self { placed, ..next }, effect)
            }
            (Call::Hold, None) => {
                let over = Self { made: u8::try_from(calls.len()).unwrap_or(u8::MAX), ..next };
                Move::read("the hold is refused: there is no load balancer", over)
            }
            (Call::VerifyHold, _) => match self.placed {
                Some((placed_at, _)) if now < placed_at + DEADLINE => return Vec::new(),
                Some((_, number)) if found.is_none_or(|found| found.number != number) => {
                    let over = Self { made: u8::try_from(calls.len()).unwrap_or(u8::MAX), placed: None };
                    Move::read("`hold` fails: the load balancer was deleted just before", over)
                }
                _ => Move::read("`hold` succeeds", Self { placed: None, ..next }),
            },
            (Call::Release, Some(found)) if found.hold.is_some() => {
                let effect = Effect::Release { load_balancer: found.number };
                Move::write("the operator releases the hold", next, effect)
            }
            (Call::Release, _) => Move::read("there is no hold to release", next),
            (Call::Delete, Some(found)) => {
                let effect = Effect::DeleteByHand { load_balancer: found.number };
                Move::write("the operator deletes the load balancer by hand", next, effect)
            }
            (Call::Delete, None) => Move::read("the operator finds no load balancer", next),
            (Call::Disown, _) => Move::write("the operator removes the owner tag", next, Effect::Disown),
            (Call::DeleteService, _) => Move::write("the operator deletes the service", next, Effect::DeleteService),
            (Call::RegisterOthers, _) => {
                Move::write("another owner's target becomes healthy", next, Effect::RegisterOthers)
            }
        }]
    }
}
