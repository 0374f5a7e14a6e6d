//! The checker of one platform's guarantees: it observes AWS itself, at every write of every actor and every step of the
//! world.
//!
//! It shares no code with the watcher, and reads no marks, observations or plans: it checks only what must not happen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::budget::Budget;
use crate::coverage::Coverage;
use crate::day::{Day, Severity};
use crate::environment::Actor;
use crate::snapshot::Snapshot;
use jvb_watcher::controller::reconciler::OBSERVATION_VALID_FOR;
use jvb_watcher_rules::plan::StopWhenUnused;
use jvb_watcher_sandbox::api::{Request, Response, ecs, elb, sqs};
use jvb_watcher_sandbox::world::{TargetView, TaskView, World};

mod deletion;
mod messages;
mod scale_up;
mod stop;

pub(crate) use messages::DELETED_WITHIN;
use messages::Messages;
use scale_up::ScaleUps;
use stop::Stops;

/// The longest latency of a write, faults included.
pub const LONGEST_LATENCY: Duration = Duration::from_secs(5);

/// The longest lag of ECS's answers.
pub const LONGEST_LAG: Duration = Duration::from_secs(8);

/// The largest error of the watcher's clock once AWS's answers have corrected it.
const CLOCK_ERROR: Duration = Duration::from_secs(3);

/// The time after its stop for which a task counts as the one at its address: five minutes for the watcher, and the age of
/// its observation.
const ADDRESS_RETENTION: SignedDuration = SignedDuration::from_secs(6 * 60);

/// The beginning of the watcher's own tags, and those that matter here.
const OWN_TAGS: &str = "jvb-watcher:";
const IDLE_SINCE: &str = "jvb-watcher:idle-since";
const HOLD_UNTIL: &str = "jvb-watcher:hold-until";
pub(crate) const STOP_AT: &str = "jvb-watcher:stop-at";
const OPERATION: &str = "jvb-watcher:operation";

/// The guarantees, by their numbers in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// Nothing in use, or used just before, is deleted.
    NothingInUseIsDeleted = 1,
    /// Nothing idle stays.
    NothingIdleStays,
    /// Serving tasks are registered, and stopped ones are not.
    TargetsFollowTasks,
    /// No message is lost.
    NoMessageIsLost,
    /// Nothing outside the platform, or without the owner tag, is written to.
    NothingElseIsTouched,
    /// Nothing in use is stopped.
    NothingInUseIsStopped,
    /// The number of calls is bounded.
    CallsAreBounded,
}

/// A violation of a guarantee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The time.
    pub at: Timestamp,
    /// The guarantee.
    pub guarantee: Guarantee,
    /// The actor, and what it did.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, guarantee, what } = self;
        write!(f, "{at:.3} guarantee {} ({guarantee:?}): {what}", *guarantee as u8)
    }
}

/// The parameters of the guarantees.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The project whose platform it is.
    pub project: String,
    /// The time for which the service must have been idle before a deletion.
    pub idle_grace: Duration,
    /// Whether it must have been idle until just before the end of an hour since the load balancer's creation.
    pub until_paid_hour: bool,
    /// The age of a load balancer that has never served before its deletion.
    pub unused_grace: Duration,
    /// When an unused service is stopped, if it ever is.
    pub stop: Option<StopWhenUnused>,
    /// The flows that a minute must exceed to count as used.
    pub use_threshold: u64,
    /// The time within which an unused service is stopped, on a day on which nothing disturbs that.
    pub stop_within: Option<Duration>,
    /// The time before a deletion in which it may miss a use, since AWS has no conditional delete: the longest age of an
    /// observation, the latency of a call, and the lag of ECS's answers.
    pub window: Duration,
}

impl Bounds {
    /// Returns the bounds of a day's workers.
    pub fn of(day: &Day) -> Self {
        let policy = &day.policy;
        Self {
            stop: policy.usage.stop,
            use_threshold: policy.usage.threshold,
            stop_within: policy.usage.stop.filter(|_| day.severity == Severity::Calm).map(|_| day.stop_bound()),
            project: day.project.clone(),
            idle_grace: policy.idle_grace,
            until_paid_hour: policy.until_paid_hour,
            unused_grace: policy.unused_grace,
            window: OBSERVATION_VALID_FOR + LONGEST_LATENCY + LONGEST_LAG,
        }
    }
}

/// Checks the guarantees.
pub struct Checker {
    bounds: Bounds,
    /// The violations, in order.
    pub violations: Vec<Violation>,
    /// The bound on calls.
    pub budget: Budget,
    /// The time since which tasks are desired.
    desired_since: Option<Timestamp>,
    /// The time since which the service is missing.
    missing_since: Option<Timestamp>,
    /// The time since which a target of another owner is healthy.
    others_since: Option<Timestamp>,
    /// The time since which each load balancer of the platform has lacked the owner tag.
    not_owned_since: BTreeMap<String, Timestamp>,
    /// The time since which a task of the service has served at each address.
    serving_since: BTreeMap<String, Timestamp>,
    scale_ups: ScaleUps,
    stops: Stops,
    /// The actor that marked each load balancer last.
    marked_by: BTreeMap<String, Actor>,
    messages: Messages,
    /// The writable state at the last observation.
    written: Written,
}

/// The part of the world that actors write: the tags of the load balancers and target groups, and the targets.
#[derive(Default, PartialEq, Eq)]
struct Written {
    tags: BTreeMap<String, Vec<(String, String)>>,
    targets: BTreeSet<(String, String, u16)>,
}

impl Checker {
    /// A checker that has found no violation.
    pub fn new(bounds: Bounds, budget: Budget) -> Self {
        Self {
            messages: Messages::new(format!("service:{}-service", bounds.project)),
            bounds,
            violations: Vec::new(),
            budget,
            desired_since: None,
            missing_since: None,
            others_since: None,
            not_owned_since: BTreeMap::new(),
            serving_since: BTreeMap::new(),
            scale_ups: ScaleUps::default(),
            stops: Stops::default(),
            marked_by: BTreeMap::new(),
            written: Written::default(),
        }
    }

    /// Records a violation that was found elsewhere.
    pub fn fail(&mut self, guarantee: Guarantee, at: Timestamp, what: String) {
        self.violations.push(Violation { at, guarantee, what });
    }

    fn violate(&mut self, guarantee: Guarantee, now: Timestamp, actor: Actor, what: impl fmt::Display) {
        self.fail(guarantee, now, format!("{actor:?} {what}"));
    }

    /// Returns the project whose platform is checked.
    pub fn project(&self) -> &str {
        &self.bounds.project
    }

    /// Returns whether a load balancer or target group of this name is the platform's.
    fn is_of_the_platform(&self, name: &str) -> bool {
        name.strip_prefix(self.bounds.project.as_str()).is_some_and(|rest| rest.starts_with('-'))
    }

    fn load_balancer_name(&self) -> String {
        format!("{}-jvb-nlb", self.bounds.project)
    }

    fn service(&self) -> String {
        format!("{}-service", self.bounds.project)
    }

    fn group(&self) -> String {
        format!("service:{}", self.service())
    }

    /// Returns whether something that began at that instant should be known to the watcher by now.
    fn is_due(&self, since: Option<Timestamp>, now: Timestamp) -> bool {
        since.is_some_and(|since| since + self.bounds.window <= now)
    }

    /// Observes a change of the world, by an actor's call or by itself.
    pub fn observe(&mut self, snapshot: &Snapshot, world: &World, now: Timestamp, by: Option<Actor>) {
        self.observe_writes(snapshot, now, by);
        let service = self.service();
        self.budget.observe(snapshot, (&service, &self.group(), &self.bounds.project), now);
        let ours = snapshot.services.iter().find(|found| found.name == service && found.status == "ACTIVE");
        self.missing_since = ours.is_none().then(|| self.missing_since.unwrap_or(now));
        let desired = ours.is_some_and(|service| service.desired > 0);
        self.desired_since = desired.then(|| self.desired_since.unwrap_or(now));
        self.observe_serving(snapshot, now);
        self.observe_stops(snapshot, world, now);
        let others = self.is_used_by_others(snapshot, now);
        self.others_since = others.then(|| self.others_since.unwrap_or(now));
        let name = self.load_balancer_name();
        let mut not_owned = BTreeMap::new();
        for load_balancer in &snapshot.load_balancers {
            let owned = load_balancer.tags.iter().any(|(key, value)| key == "Lifecycle" && value == "on-demand");
            if load_balancer.name == name && !owned {
                let since = self.not_owned_since.get(&load_balancer.arn).copied().unwrap_or(now);
                not_owned.insert(load_balancer.arn.clone(), since);
            }
        }
        self.not_owned_since = not_owned;
    }

    fn observe_serving(&mut self, snapshot: &Snapshot, now: Timestamp) {
        let group = self.group();
        let mut serving = BTreeMap::new();
        for task in &snapshot.tasks {
            if task.group == group
                && task.last_status == "RUNNING"
                && task.desired_status == "RUNNING"
                && let Some(address) = task.address
            {
                let address = address.to_string();
                let since = self.serving_since.get(&address).copied().unwrap_or(now);
                serving.insert(address, since);
            }
        }
        self.serving_since = serving;
    }

    /// Adds the calls to the budget that a write allows the workers.
    fn observe_writes(&mut self, snapshot: &Snapshot, now: Timestamp, by: Option<Actor>) {
        let mut written = Written::default();
        for load_balancer in snapshot.load_balancers.iter().filter(|found| self.is_of_the_platform(&found.name)) {
            written.tags.insert(load_balancer.arn.clone(), load_balancer.tags.clone());
        }
        for group in snapshot.groups.iter().filter(|group| self.is_of_the_platform(&group.name)) {
            let key = |target: &TargetView| (group.arn.clone(), target.id.clone(), target.port);
            written.targets.extend(group.targets.iter().map(key));
            written.tags.insert(group.arn.clone(), group.tags.clone());
        }
        let before = std::mem::replace(&mut self.written, written);
        let written = &self.written;
        match by {
            _ if before == *written => {}
            Some(Actor::Worker(_)) if written.tags.len() < before.tags.len() => self.budget.deleted_by_a_worker(now),
            Some(Actor::Worker(_)) => self.budget.changed_by_a_worker(now),
            _ if before.tags != written.tags => self.budget.changed(now),
            _ => self.budget.targets_changed(),
        }
    }

    /// Returns whether a target behind the platform's load balancer is healthy that is no task's of the service.
    fn is_used_by_others(&self, Snapshot { tasks, groups, .. }: &Snapshot, now: Timestamp) -> bool {
        let group = self.group();
        let keeps_address =
            |task: &TaskView| task.stopped_at.is_none_or(|at| now.duration_since(at) <= ADDRESS_RETENTION);
        let is_ours = |id: &str| {
            let has_address = |task: &TaskView| task.address.is_some_and(|own| own.to_string() == id);
            tasks.iter().any(|task| task.group == group && has_address(task) && keeps_address(task))
        };
        let mut attached =
            groups.iter().filter(|group| self.is_of_the_platform(&group.name) && !group.load_balancers.is_empty());
        attached.any(|group| group.targets.iter().any(|target| target.state == "healthy" && !is_ours(&target.id)))
    }

    /// Records that a process sends a call, and takes it from the budget, whether or not it arrives.
    pub fn sent(&mut self, actor: Actor, operation: &str, now: Timestamp) {
        self.messages.sent(actor, operation);
        if let Actor::Worker(_) = actor
            && let Err(what) = self.budget.sent(operation, now)
        {
            self.violate(Guarantee::CallsAreBounded, now, actor, format!("calls {operation}: {what}"));
        }
    }

    /// Records that a call was not made after all, or that its process stopped waiting for the answer.
    pub fn call_failed(&mut self, actor: Actor, operation: &'static str) {
        self.messages.call_failed(actor, operation);
    }

    /// Records that an answer has arrived at its process: `Err` with the error's code, and the time of the answer at AWS.
    pub fn answered(
        &mut self,
        actor: Actor,
        request: &Request,
        code: Result<(), Option<&str>>,
        answered_at: Timestamp,
    ) {
        self.messages.answered(actor, request, code, answered_at);
    }

    /// Checks a write that is about to take effect.
    pub fn before(&mut self, actor: Actor, request: &Request, world: &World, now: Timestamp, coverage: &mut Coverage) {
        if actor == Actor::Operator {
            return;
        }
        match request {
            Request::Elb(elb) => self.before_elb(actor, elb, request.operation(), world, now, coverage),
            Request::Sqs(sqs::Request::ChangeMessageVisibilityBatch(_)) => {}
            Request::Ecs(
                ecs::Request::UpdateService(_) | ecs::Request::TagResource(_) | ecs::Request::UntagResource(_),
            ) if matches!(actor, Actor::Command(_)) => {}
            Request::Ecs(request) => self.before_ecs(actor, request, world, now, coverage),
            other => self.violate(Guarantee::NothingElseIsTouched, now, actor, format!("calls {}", other.operation())),
        }
    }

    /// Checks the deletion of a message that is about to take effect.
    pub fn before_deleting_message(&mut self, actor: Actor, handle: &str, now: Timestamp) {
        if let Err(what) = self.messages.check_deletion(actor, handle) {
            self.violate(Guarantee::NoMessageIsLost, now, actor, what);
        }
    }

    /// Records that a message was deleted.
    pub fn deleted_message(&mut self, handle: &str, now: Timestamp) {
        if let Err(what) = self.messages.deleted(handle, now) {
            self.fail(Guarantee::NoMessageIsLost, now, what);
        }
    }

    /// Records that messages were received.
    pub fn received(&mut self, messages: &[&sqs::Message]) {
        self.budget.received(messages.len());
        self.messages.received(messages);
    }

    /// Expects that from now on each message about the service is deleted soon after it was sent.
    pub fn expect_promptness(&mut self, now: Timestamp) {
        self.messages.expect_promptness(now);
    }

    /// Returns when the received messages about the service were sent that should have been deleted by now.
    pub fn late_messages(&self, now: Timestamp) -> Vec<Timestamp> {
        self.messages.late(now)
    }

    /// Returns the number of received messages about the service that were sent so long ago and are not deleted.
    pub fn messages_waiting_for(&self, time: Duration, now: Timestamp) -> usize {
        self.messages.waiting_for(time, now)
    }

    /// Returns whether a message is about the platform's service.
    pub fn is_about_service(&self, body: &str) -> bool {
        self.messages.is_about_service(body)
    }

    /// Returns whether a message was received with this receipt handle.
    pub fn has_received(&self, handle: &str) -> bool {
        self.messages.has_received(handle)
    }

    fn before_elb(
        &mut self,
        actor: Actor,
        request: &elb::Request,
        operation: &str,
        world: &World,
        now: Timestamp,
        coverage: &mut Coverage,
    ) {
        match request {
            elb::Request::DeleteLoadBalancer(input) => {
                let arn = &input.load_balancer_arn;
                self.check_deletion(actor, arn, world, now, coverage);
                if exists(world, arn) && self.is_due(self.not_owned_since.get(arn).copied(), now) {
                    let what = format!("deletes {arn}, which lacks the owner tag");
                    self.violate(Guarantee::NothingElseIsTouched, now, actor, what);
                }
            }
            elb::Request::DeleteTargetGroup(input) => {
                self.check_deletion(actor, &input.target_group_arn, world, now, coverage);
            }
            elb::Request::DeregisterTargets(input) => self.check_deregistration(actor, input, now, coverage),
            elb::Request::RegisterTargets(input) => {
                self.check_registration(actor, input, world, now, coverage);
            }
            elb::Request::AddTags(input) => {
                let arns = &input.resource_arns.member;
                if input.tags.member.iter().any(|tag| tag.key != STOP_AT) {
                    self.note_mark(actor, arns, world, coverage);
                }
                self.check_project(actor, arns.iter().map(String::as_str), now);
                self.check_owner(actor, arns, now);
                if input.tags.member.iter().any(|tag| !tag.key.starts_with(OWN_TAGS)) {
                    self.violate(Guarantee::NothingElseIsTouched, now, actor, "writes a tag that isn't the watcher's");
                }
                let marks = input.tags.member.iter().any(|tag| tag.key == IDLE_SINCE);
                if marks && self.is_held(world, now) {
                    self.violate(Guarantee::NothingInUseIsDeleted, now, actor, "marks a load balancer that is held");
                }
            }
            elb::Request::RemoveTags(input) => self.check_tag_removal(actor, input, world, now, coverage),
            _ => self.violate(Guarantee::NothingElseIsTouched, now, actor, format!("calls {operation}")),
        }
    }

    fn check_deregistration(
        &mut self,
        actor: Actor,
        input: &elb::TargetsInput,
        now: Timestamp,
        coverage: &mut Coverage,
    ) {
        self.check_project(actor, [input.target_group_arn.as_str()], now);
        for target in &input.targets.member {
            let since = self.serving_since.get(&target.id).copied();
            if self.is_due(since, now) {
                let what = format!("deregisters {}, which serves", target.id);
                self.violate(Guarantee::TargetsFollowTasks, now, actor, what);
            } else if since.is_some() {
                coverage.moment("an address was deregistered that had just got a new task");
            }
        }
    }

    fn check_registration(
        &mut self,
        actor: Actor,
        input: &elb::TargetsInput,
        world: &World,
        now: Timestamp,
        coverage: &mut Coverage,
    ) {
        self.check_project(actor, [input.target_group_arn.as_str()], now);
        let (group, tasks) = (self.group(), world.tasks());
        let serving_since = self.serving_since.values().min().copied();
        for target in &input.targets.member {
            let has_address = |task: &TaskView| task.address.is_some_and(|address| address.to_string() == target.id);
            let mut own = tasks.iter().filter(|task| task.group == group && has_address(task)).peekable();
            if own.peek().is_none() {
                let what = format!("registers {}, which no task of the service has had", target.id);
                self.violate(Guarantee::TargetsFollowTasks, now, actor, what);
            } else if own.any(|task| task.started_at.is_some()) {
                // It serves, or did at the observation.
            } else if self.is_due(serving_since, now) || self.is_due(self.others_since, now) {
                let what = format!("registers {}, whose task has not run, beside a target in use", target.id);
                self.violate(Guarantee::TargetsFollowTasks, now, actor, what);
            } else {
                coverage.moment("a task was registered before it ran");
            }
        }
    }

    fn check_tag_removal(
        &mut self,
        actor: Actor,
        input: &elb::RemoveTagsInput,
        world: &World,
        now: Timestamp,
        coverage: &mut Coverage,
    ) {
        let (arns, keys) = (&input.resource_arns.member, &input.tag_keys.member);
        if let Actor::Worker(_) = actor
            && keys.iter().any(|key| key == IDLE_SINCE)
        {
            coverage.moment("a worker removed a mark");
        }
        self.check_project(actor, arns.iter().map(String::as_str), now);
        let releases = keys.iter().any(|key| key == HOLD_UNTIL);
        if releases && self.scale_ups.is_held_by_operator(arns) && self.is_held(world, now) {
            let what = "removes a hold that an operator placed";
            self.violate(Guarantee::NothingInUseIsDeleted, now, actor, what);
        }
        // A command may remove its own hold, whether or not the load balancer still has the owner tag.
        if !(releases && matches!(actor, Actor::Command(_))) {
            self.check_owner(actor, arns, now);
        }
        if keys.iter().any(|key| !key.starts_with(OWN_TAGS)) {
            self.violate(Guarantee::NothingElseIsTouched, now, actor, "removes a tag that isn't the watcher's");
        }
    }

    /// Records a call that took effect.
    pub fn after(&mut self, actor: Actor, request: &Request, answer: &Response, now: Timestamp) {
        match (actor, request, answer) {
            (Actor::Command(_), Request::Ecs(request), _) => self.stops.command_wrote(request, now),
            (Actor::Command(_), Request::Elb(request), _) => self.scale_ups.command_wrote(actor, request, now),
            (Actor::Operator, Request::Elb(request), Response::Elb(answer)) => {
                self.scale_ups.operator_wrote(request, answer, now);
            }
            _ => {}
        }
    }

    /// Notes the actor that marks a load balancer.
    fn note_mark(&mut self, actor: Actor, arns: &[String], world: &World, coverage: &mut Coverage) {
        let is_marked = |tags: &[(String, String)]| tags.iter().any(|(key, _)| key == IDLE_SINCE);
        for load_balancer in world.load_balancers().iter().filter(|found| arns.contains(&found.arn)) {
            let before = self.marked_by.insert(load_balancer.arn.clone(), actor);
            if is_marked(&load_balancer.tags) && before.is_some_and(|before| before != actor) {
                coverage.moment("a worker marked what another had just marked");
            }
        }
    }

    /// Checks that a write is to the platform.
    fn check_project<'a>(&mut self, actor: Actor, arns: impl IntoIterator<Item = &'a str>, now: Timestamp) {
        let starts = ["loadbalancer/net/", "targetgroup/"].map(|kind| format!(":{kind}{}-", self.bounds.project));
        for arn in arns {
            if !starts.iter().any(|start| arn.contains(start.as_str())) {
                let what = format!("writes to {arn} of another project");
                self.violate(Guarantee::NothingElseIsTouched, now, actor, what);
            }
        }
    }

    /// Checks that tags are written only where the owner tag is.
    fn check_owner(&mut self, actor: Actor, arns: &[String], now: Timestamp) {
        for arn in arns {
            if self.is_due(self.not_owned_since.get(arn).copied(), now) {
                let what = format!("writes tags of {arn}, which lacks the owner tag");
                self.violate(Guarantee::NothingElseIsTouched, now, actor, what);
            }
        }
    }
}

/// Returns whether the load balancer exists.
fn exists(world: &World, arn: &str) -> bool {
    world.load_balancers().iter().any(|load_balancer| load_balancer.arn == arn)
}
