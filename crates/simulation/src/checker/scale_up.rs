//! The signs of use that scale-ups and holds leave, besides tasks.

use jiff::Timestamp;

use super::{CLOCK_ERROR, Checker, HOLD_UNTIL, OWN_TAGS, exists};
use crate::environment::Actor;
use jvb_watcher_sandbox::api::elb;
use jvb_watcher_sandbox::world::World;

/// The last scale-ups and holds, as far as they were written to load balancers and target groups.
#[derive(Default)]
pub(super) struct ScaleUps {
    /// The last time that a scale-up touched a target group, or removed marks.
    touched_at: Option<Timestamp>,
    /// The load balancer from which alone marks were last removed, and when. That is forgotten with the load balancer: its
    /// target groups keep their marks, and are deleted after it.
    unmarked: Option<(String, Timestamp)>,
    /// The last time that a scale-up created a load balancer or a listener.
    created_at: Option<Timestamp>,
    /// The hold that was placed last, unless it was released.
    pub hold: Option<Hold>,
    /// The last time that a hold ended by a release.
    pub released_at: Option<Timestamp>,
}

/// A hold. It is a tag, and is gone with its load balancer.
pub(super) struct Hold {
    by: Actor,
    pub load_balancer_arn: String,
    pub placed_at: Timestamp,
    pub until: Timestamp,
}

impl ScaleUps {
    /// Returns whether an operator holds one of these load balancers.
    pub fn is_held_by_operator(&self, arns: &[String]) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.by == Actor::Operator && arns.contains(&hold.load_balancer_arn))
    }

    /// Returns when a scale-up last touched what there is.
    pub fn touched_at(&self, world: &World) -> Option<Timestamp> {
        let unmarked = self.unmarked.as_ref().filter(|(arn, _)| exists(world, arn));
        self.touched_at.max(self.created_at).max(unmarked.map(|(_, at)| *at))
    }

    /// Records a write of `up` or `down`.
    pub fn command_wrote(&mut self, actor: Actor, request: &elb::Request, now: Timestamp) {
        self.note_hold(actor, request, now);
        // `down` undoes the scale-up that created the load balancer.
        if let elb::Request::DeleteLoadBalancer(_) = request {
            self.created_at = None;
        }
    }

    /// Records a write of an operator.
    pub fn operator_wrote(&mut self, request: &elb::Request, answer: &elb::Response, now: Timestamp) {
        // AWS answers the creation of a load balancer that exists as if it had created it.
        let is_new = |found: &elb::LoadBalancer| found.created_time.is_some_and(|at| at + CLOCK_ERROR > now);
        if let elb::Response::CreateLoadBalancer(output) = answer
            && !output.load_balancers.member.iter().any(is_new)
        {
            return;
        }
        self.note_hold(Actor::Operator, request, now);
        match request {
            // Terraform removes the watcher's marks; so does the release of a hold.
            elb::Request::RemoveTags(input)
                if input.tag_keys.member.iter().any(|key| key.starts_with(OWN_TAGS) && key != HOLD_UNTIL) =>
            {
                match input.resource_arns.member.as_slice() {
                    [arn] if arn.contains(":loadbalancer/") => self.unmarked = Some((arn.clone(), now)),
                    _ => self.touched_at = Some(now),
                }
            }
            elb::Request::CreateLoadBalancer(_) | elb::Request::CreateListener(_) => self.created_at = Some(now),
            // After a deletion by hand, nothing in AWS shows the creation.
            elb::Request::DeleteLoadBalancer(_) => self.created_at = None,
            elb::Request::CreateTargetGroup(_) => self.touched_at = Some(now),
            _ => {}
        }
    }

    fn note_hold(&mut self, actor: Actor, request: &elb::Request, now: Timestamp) {
        match request {
            elb::Request::AddTags(input) => {
                let tag = input.tags.member.iter().find(|tag| tag.key == HOLD_UNTIL);
                if let (Some(tag), [arn]) = (tag, input.resource_arns.member.as_slice()) {
                    let hold = |until| Hold { by: actor, load_balancer_arn: arn.clone(), placed_at: now, until };
                    self.hold = tag.value.parse().ok().map(hold);
                }
            }
            elb::Request::RemoveTags(input) if input.tag_keys.member.iter().any(|key| key == HOLD_UNTIL) => {
                let released = self.hold.take_if(|hold| input.resource_arns.member.contains(&hold.load_balancer_arn));
                // A hold that was over has had its grace period from then on.
                self.released_at = released.map(|hold| hold.until.min(now)).or(self.released_at);
            }
            _ => {}
        }
    }
}

impl Checker {
    /// Returns whether a hold is in force that should be known to the watcher by now.
    pub(super) fn is_held(&self, world: &World, now: Timestamp) -> bool {
        self.scale_ups.hold.as_ref().is_some_and(|hold| {
            self.is_due(Some(hold.placed_at), now)
                && now + CLOCK_ERROR < hold.until
                && exists(world, &hold.load_balancer_arn)
        })
    }
}
