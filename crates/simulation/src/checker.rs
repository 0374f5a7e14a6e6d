//! The promises, watched by somebody who sees AWS itself: every write of every actor, and every step of the world.
//!
//! It shares no code with the watcher, and knows nothing of marks, looks or plans: only what must not happen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::budget::Budget;
use super::scene::Scene;
use super::stage::Actor;
use super::tally::Tally;
use jvb_watcher_sandbox::api::{ApiError, Request, Response, Service, ecs, elb, sqs};
use jvb_watcher_sandbox::world::{TargetView, TaskView, World};

/// The README's promises, by their numbers there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Nothing that is used, or has just been, is deleted.
    NothingInUseIsDeleted = 1,
    /// Nothing that is idle stays.
    NothingIdleStays,
    /// What serves is registered, and what has stopped isn't.
    TargetsAreTrue,
    /// No message is lost.
    NoMessageIsLost,
    /// Nothing of anybody else's is written to.
    OnlyItsOwnIsWritten,
    /// The calls are bounded.
    CallsAreBounded,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub promise: Promise,
    /// By whom, and how.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, promise, what } = self;
        write!(f, "{at:.3} promise {} ({promise:?}): {what}", *promise as u8)
    }
}

/// What is promised of what.
#[derive(Clone, Debug)]
pub struct Promises {
    /// The project whose platform it is.
    pub project: String,
    /// How long the service must have been idle.
    pub idle_grace: Duration,
    /// How old a balancer must be that nobody has used.
    pub unused_grace: Duration,
    /// A deletion may miss what happened this long before it: AWS has no conditional delete. It is the time for which a
    /// look is good, and what a call may take on its way, and by how much ECS's answers lag.
    pub window: Duration,
}

/// By how much the watcher's clock may still be off once AWS's answers have put it right.
const CLOCK_ERROR: Duration = Duration::from_secs(3);

/// How long after its stop a task still counts as the one behind its address: five minutes for the watcher, and as long
/// as its knowledge may be old.
const ADDRESS_KEPT_FOR: SignedDuration = SignedDuration::from_secs(6 * 60);

/// What a call fails with that must be tried again before the messages behind it are deleted.
const PASSING: [&str; 5] =
    ["AccessDenied", "InternalFailure", "ServiceUnavailable", "Throttling", "ThrottlingException"];

/// What is read of a balancer once DescribeLoadBalancers has shown it.
const OF_THE_BALANCER: [&str; 3] = ["DescribeTags", "DescribeTargetGroups", "DescribeTargetHealth"];

/// How the watcher's own tags begin, and the one that a person sets.
const OWN_TAGS: &str = "jvb-watcher:";
const IDLE_SINCE: &str = "jvb-watcher:idle-since";
const HOLD_UNTIL: &str = "jvb-watcher:hold-until";

/// Watches the promises.
pub struct Checker {
    promises: Promises,
    /// What was broken, and when.
    pub violations: Vec<Violation>,
    /// How many calls are left.
    pub budget: Budget,
    /// Since when tasks are desired.
    desired_since: Option<Timestamp>,
    /// Since when the service is missing.
    missing_since: Option<Timestamp>,
    /// Since when a target of somebody else's is healthy.
    others_since: Option<Timestamp>,
    /// When a scale-up last touched a group, or took marks away.
    touched_at: Option<Timestamp>,
    /// The balancer from which alone marks were last taken away, and when. That is gone with it: its groups still have
    /// theirs, and follow it.
    unmarked: Option<(String, Timestamp)>,
    /// When a scale-up last made a balancer, or a listener of it.
    made_at: Option<Timestamp>,
    /// The hold that was set last, unless it was taken away.
    hold: Option<HoldSet>,
    /// When a hold was last taken away.
    released_at: Option<Timestamp>,
    /// What there was to be written to when the world was last looked at.
    seen: Resources,
    /// Which operations of each actor's last look have failed.
    failed: BTreeMap<Actor, BTreeSet<&'static str>>,
    /// Since when each balancer of the platform has lacked the owner tag.
    disowned_since: BTreeMap<String, Timestamp>,
    /// Since when a task of the service serves with the address.
    serving_since: BTreeMap<String, Timestamp>,
    /// What was received, by receipt handle.
    received: BTreeMap<String, Received>,
    /// Who marked each balancer last.
    marked_by: BTreeMap<String, Actor>,
    /// When AWS gave each actor the latest answer of a kind that came to it.
    reads: BTreeMap<(Actor, &'static str), Timestamp>,
}

/// A hold. It is a tag on its balancer, and gone with that.
struct HoldSet {
    by: Actor,
    load_balancer_arn: String,
    set_at: Timestamp,
    until: Timestamp,
}

/// The balancers and the groups with their tags, and the groups' targets: what changes when somebody writes.
#[derive(Default, PartialEq, Eq)]
struct Resources {
    tags: BTreeMap<String, Vec<(String, String)>>,
    targets: BTreeSet<(String, String, u16)>,
}

/// As much of an event as tells whose it is.
#[derive(Deserialize)]
struct Envelope {
    source: String,
    #[serde(default)]
    detail: Detail,
}

#[derive(Default, Deserialize)]
struct Detail {
    group: Option<String>,
}

struct Received {
    sent_at: Timestamp,
    kind: MessageKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MessageKind {
    Relevant,
    Foreign,
    Malformed,
}

impl Checker {
    /// Nothing is broken yet.
    pub fn new(promises: Promises, budget: Budget) -> Self {
        Self {
            promises,
            violations: Vec::new(),
            budget,
            desired_since: None,
            missing_since: None,
            others_since: None,
            touched_at: None,
            unmarked: None,
            made_at: None,
            hold: None,
            released_at: None,
            seen: Resources::default(),
            failed: BTreeMap::new(),
            disowned_since: BTreeMap::new(),
            serving_since: BTreeMap::new(),
            received: BTreeMap::new(),
            marked_by: BTreeMap::new(),
            reads: BTreeMap::new(),
        }
    }

    /// Something else has found a promise broken.
    pub fn fail(&mut self, promise: Promise, at: Timestamp, what: String) {
        self.violations.push(Violation { at, promise, what });
    }

    fn broken(&mut self, promise: Promise, now: Timestamp, actor: Actor, what: String) {
        self.fail(promise, now, format!("{actor:?} {what}"));
    }

    /// A call is sent, whether or not it gets to AWS.
    pub fn sent(&mut self, actor: Actor, operation: &str, now: Timestamp) {
        if let Actor::Watcher(_) = actor
            && let Err(what) = self.budget.sent(operation, now)
        {
            self.broken(Promise::CallsAreBounded, now, actor, format!("calls {operation}: {what}"));
        }
    }

    fn balancer_name(&self) -> String {
        format!("{}-jvb-nlb", self.promises.project)
    }

    fn group(&self) -> String {
        format!("service:{}-service", self.promises.project)
    }

    /// The world has changed, by itself or by somebody's call.
    pub fn observe(&mut self, world: &World, now: Timestamp, by: Option<Actor>) {
        let scene = Scene::of(world);
        self.note_changes(&scene, now, by);
        let service = format!("{}-service", self.promises.project);
        self.budget.observe(&scene, (&service, &self.group(), &self.promises.project), now);
        let ours = scene.services.iter().find(|s| s.name == service && s.status == "ACTIVE");
        self.missing_since = ours.is_none().then(|| self.missing_since.unwrap_or(now));
        let desired = ours.is_some_and(|service| service.desired > 0);
        self.desired_since = desired.then(|| self.desired_since.unwrap_or(now));
        let group = self.group();
        let mut serving = BTreeMap::new();
        for task in &scene.tasks {
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
        let others = self.is_used_by_others(&scene, now);
        self.others_since = others.then(|| self.others_since.unwrap_or(now));
        let name = self.balancer_name();
        let mut disowned = BTreeMap::new();
        for balancer in scene.balancers {
            let owned = balancer.tags.iter().any(|(key, value)| key == "Lifecycle" && value == "on-demand");
            if balancer.name == name && !owned {
                let since = self.disowned_since.get(&balancer.arn).copied().unwrap_or(now);
                disowned.insert(balancer.arn, since);
            }
        }
        self.disowned_since = disowned;
    }

    /// What changes allows the workers some more calls.
    fn note_changes(&mut self, scene: &Scene, now: Timestamp, by: Option<Actor>) {
        let mut seen = Resources::default();
        for balancer in &scene.balancers {
            seen.tags.insert(balancer.arn.clone(), balancer.tags.clone());
        }
        for group in &scene.groups {
            let key = |target: &TargetView| (group.arn.clone(), target.id.clone(), target.port);
            seen.targets.extend(group.targets.iter().map(key));
            seen.tags.insert(group.arn.clone(), group.tags.clone());
        }
        let before = std::mem::replace(&mut self.seen, seen);
        match by {
            _ if before == self.seen => {}
            Some(Actor::Watcher(_)) if self.seen.tags.len() < before.tags.len() => self.budget.deleted_by_a_worker(now),
            Some(Actor::Watcher(_)) => self.budget.changed_by_a_worker(),
            _ if before.tags != self.seen.tags => self.budget.changed(now),
            _ => self.budget.targets_changed(),
        }
    }

    /// Whether something answers behind the platform's balancer that is no task's of the service.
    fn is_used_by_others(&self, Scene { tasks, groups, .. }: &Scene, now: Timestamp) -> bool {
        let (group, prefix) = (self.group(), format!("{}-", self.promises.project));
        let keeps_address =
            |task: &TaskView| task.stopped_at.is_none_or(|at| now.duration_since(at) <= ADDRESS_KEPT_FOR);
        let is_of_ours = |id: &str| {
            let has_address = |task: &TaskView| task.address.is_some_and(|own| own.to_string() == id);
            tasks.iter().any(|task| task.group == group && has_address(task) && keeps_address(task))
        };
        let mut targets =
            groups.iter().filter(|group| group.name.starts_with(&prefix) && !group.load_balancers.is_empty());
        targets.any(|group| group.targets.iter().any(|target| target.state == "healthy" && !is_of_ours(&target.id)))
    }

    /// A write is about to take effect.
    pub fn before(&mut self, actor: Actor, request: &Request, world: &World, now: Timestamp, tally: &mut Tally) {
        if actor == Actor::Operator {
            return;
        }
        match request {
            Request::Elb(elb::Request::DeleteLoadBalancer(input)) => {
                let arn = &input.load_balancer_arn;
                self.deletion(actor, arn, world, now, tally);
                let exists = world.load_balancers().iter().any(|balancer| balancer.arn == *arn);
                if exists && self.lasts(self.disowned_since.get(arn).copied(), now) {
                    self.broken(
                        Promise::OnlyItsOwnIsWritten,
                        now,
                        actor,
                        format!("deletes {arn}, which lacks the owner tag"),
                    );
                }
            }
            Request::Elb(elb::Request::DeleteTargetGroup(input)) => {
                self.deletion(actor, &input.target_group_arn, world, now, tally);
            }
            Request::Elb(elb::Request::DeregisterTargets(input)) => {
                self.ours(actor, [input.target_group_arn.as_str()], now);
                for target in &input.targets.member {
                    let since = self.serving_since.get(&target.id).copied();
                    if self.lasts(since, now) {
                        self.broken(
                            Promise::TargetsAreTrue,
                            now,
                            actor,
                            format!("deregisters {}, which serves", target.id),
                        );
                    } else if since.is_some() {
                        tally.moment("deregistered an address that had just got a new task");
                    }
                }
            }
            Request::Elb(elb::Request::RegisterTargets(input)) => {
                self.ours(actor, [input.target_group_arn.as_str()], now);
                let (group, tasks) = (self.group(), world.tasks());
                let has_run = |id: &str| {
                    let address = |task: &TaskView| task.address.is_some_and(|address| address.to_string() == id);
                    tasks.iter().any(|task| task.group == group && task.started_at.is_some() && address(task))
                };
                for target in input.targets.member.iter().filter(|target| !has_run(&target.id)) {
                    let what = format!("registers {}, where no task of the service has come to run", target.id);
                    self.broken(Promise::TargetsAreTrue, now, actor, what);
                }
            }
            Request::Elb(elb::Request::AddTags(input)) => {
                let is_mark = input.tags.member.iter().any(|tag| tag.key == IDLE_SINCE);
                self.mark(actor, &input.resource_arns.member, world, tally);
                self.ours(actor, input.resource_arns.member.iter().map(String::as_str), now);
                self.tags_of_the_owner(actor, &input.resource_arns.member, now);
                if input.tags.member.iter().any(|tag| !tag.key.starts_with(OWN_TAGS)) {
                    self.broken(Promise::OnlyItsOwnIsWritten, now, actor, "writes a tag that isn't its own".to_owned());
                }
                if is_mark && self.is_held(world, now) {
                    self.broken(Promise::NothingInUseIsDeleted, now, actor, "marks a balancer that is held".to_owned());
                }
            }
            Request::Elb(elb::Request::RemoveTags(input)) => {
                if let Actor::Watcher(_) = actor {
                    tally.moment("a teardown was called off by a worker");
                }
                self.ours(actor, input.resource_arns.member.iter().map(String::as_str), now);
                let by_hand = |hold: &HoldSet| {
                    hold.by == Actor::Operator
                        && input.resource_arns.member.contains(&hold.load_balancer_arn)
                        && input.tag_keys.member.iter().any(|key| key == HOLD_UNTIL)
                };
                if self.hold.as_ref().is_some_and(by_hand) && self.is_held(world, now) {
                    let what = "takes away a hold that somebody placed by hand".to_owned();
                    self.broken(Promise::NothingInUseIsDeleted, now, actor, what);
                }
                // What it has placed there itself, it may take away, whatever became of the balancer.
                let own_hold =
                    matches!(actor, Actor::Command(_)) && input.tag_keys.member.contains(&HOLD_UNTIL.to_owned());
                if !own_hold {
                    self.tags_of_the_owner(actor, &input.resource_arns.member, now);
                }
                if input.tag_keys.member.iter().any(|key| !key.starts_with(OWN_TAGS)) {
                    self.broken(
                        Promise::OnlyItsOwnIsWritten,
                        now,
                        actor,
                        "removes a tag that isn't its own".to_owned(),
                    );
                }
            }
            Request::Sqs(sqs::Request::DeleteMessageBatch(input)) => {
                for entry in &input.entries {
                    self.message_deletion(actor, &entry.receipt_handle, now);
                }
            }
            Request::Sqs(sqs::Request::ChangeMessageVisibilityBatch(_)) => {}
            // Only somebody who runs `up` or `down` scales.
            Request::Ecs(
                ecs::Request::UpdateService(_) | ecs::Request::TagResource(_) | ecs::Request::UntagResource(_),
            ) if matches!(actor, Actor::Command(_)) => {}
            other => self.broken(Promise::OnlyItsOwnIsWritten, now, actor, format!("calls {}", other.operation())),
        }
    }

    /// Something has taken effect, or was refused.
    pub fn after(&mut self, actor: Actor, request: &Request, answer: &Result<Response, ApiError>, now: Timestamp) {
        let Ok(answer) = answer else { return };
        match (actor, request, answer) {
            (Actor::Command(_), Request::Elb(request), _) => {
                self.note_hold(actor, request, now);
                // Whoever runs `down` undoes the scale-up that made it, as by hand.
                if let elb::Request::DeleteLoadBalancer(_) = request {
                    self.made_at = None;
                }
            }
            (Actor::Operator, Request::Elb(request), Response::Elb(answer)) => {
                self.operator_writes(request, answer, now);
            }
            (_, _, Response::Sqs(sqs::Response::ReceiveMessage(output))) => {
                let messages = output.messages.as_deref().unwrap_or_default();
                self.budget.received(messages.len());
                for message in messages {
                    self.note_received(message);
                }
            }
            _ => {}
        }
    }

    /// A call was not made after all, or nobody waits for its answer any more.
    pub fn gave_up(&mut self, actor: Actor, operation: &'static str) {
        if Service::Sqs.operations().iter().any(|(of_queue, _)| *of_queue == operation) {
            return;
        }
        self.failed.entry(actor).or_default().insert(operation);
    }

    /// An answer has come to whoever asked; with an error's code, and when AWS gave it.
    pub fn heard(&mut self, actor: Actor, request: &Request, code: Result<(), Option<&str>>, answered_at: Timestamp) {
        let operation = request.operation();
        if code.is_err_and(|code| code.is_none_or(|code| PASSING.contains(&code))) {
            self.gave_up(actor, operation);
        } else if let Some(failed) = self.failed.get_mut(&actor) {
            failed.remove(operation);
            match operation {
                // With this a look begins, which does all that is needed anew.
                "ListTasks" => failed.clear(),
                // With this what belongs to the balancer is read anew; where it has gone meanwhile, there is no more of
                // it to read, and nothing to miss in the reads that were broken off.
                "DescribeLoadBalancers" => failed.retain(|operation| !OF_THE_BALANCER.contains(operation)),
                _ => {}
            }
        }
        // That there is no such thing is an answer too.
        if code.is_err_and(|code| code.is_none_or(|code| !code.contains("NotFound"))) {
            return;
        }
        let what = match request {
            Request::Ecs(ecs::Request::ListTasks(_)) => "tasks",
            Request::Ecs(ecs::Request::DescribeServices(_)) => "service",
            Request::Elb(elb::Request::DescribeLoadBalancers(_)) => "balancer",
            _ => return,
        };
        let read_at = self.reads.entry((actor, what)).or_insert(answered_at);
        *read_at = answered_at.max(*read_at);
    }

    /// Notes who marks what, and whose mark is there already.
    fn mark(&mut self, actor: Actor, arns: &[String], world: &World, tally: &mut Tally) {
        let is_marked = |tags: &[(String, String)]| tags.iter().any(|(key, _)| key == IDLE_SINCE);
        for balancer in world.load_balancers().iter().filter(|balancer| arns.contains(&balancer.arn)) {
            let before = self.marked_by.insert(balancer.arn.clone(), actor);
            if is_marked(&balancer.tags) && before.is_some_and(|before| before != actor) {
                tally.moment("marked what another worker had marked meanwhile");
            }
        }
    }

    /// Somebody other than a watcher holds, and lets go.
    fn note_hold(&mut self, actor: Actor, request: &elb::Request, now: Timestamp) {
        match request {
            elb::Request::AddTags(input) => {
                let hold = input.tags.member.iter().find(|tag| tag.key == HOLD_UNTIL);
                if let (Some(tag), [arn]) = (hold, input.resource_arns.member.as_slice()) {
                    let hold = |until| HoldSet { by: actor, load_balancer_arn: arn.clone(), set_at: now, until };
                    self.hold = tag.value.parse().ok().map(hold);
                }
            }
            elb::Request::RemoveTags(input) if input.tag_keys.member.iter().any(|key| key == HOLD_UNTIL) => {
                let released = self.hold.take_if(|hold| input.resource_arns.member.contains(&hold.load_balancer_arn));
                // One that was over had its grace already.
                self.released_at = released.map(|hold| hold.until.min(now)).or(self.released_at);
            }
            _ => {}
        }
    }

    fn operator_writes(&mut self, request: &elb::Request, answer: &elb::Response, now: Timestamp) {
        // What is there already is answered as if it had been made.
        let made_now = |balancer: &elb::LoadBalancer| balancer.created_time.is_some_and(|at| at + CLOCK_ERROR > now);
        if let elb::Response::CreateLoadBalancer(output) = answer
            && !output.load_balancers.member.iter().any(made_now)
        {
            return;
        }
        self.note_hold(Actor::Operator, request, now);
        match request {
            // Terraform takes the watcher's marks away, and whoever lets go of a hold.
            elb::Request::RemoveTags(input)
                if input.tag_keys.member.iter().any(|key| key.starts_with(OWN_TAGS) && key != HOLD_UNTIL) =>
            {
                match input.resource_arns.member.as_slice() {
                    [arn] if arn.contains(":loadbalancer/") => self.unmarked = Some((arn.clone(), now)),
                    _ => self.touched_at = Some(now),
                }
            }
            elb::Request::CreateLoadBalancer(_) | elb::Request::CreateListener(_) => self.made_at = Some(now),
            // Whoever deletes it by hand undoes that; nothing is left in AWS that would tell of it.
            elb::Request::DeleteLoadBalancer(_) => self.made_at = None,
            elb::Request::CreateTargetGroup(_) => self.touched_at = Some(now),
            _ => {}
        }
    }

    /// Whether a hold is in force that should have been heeded by now.
    fn is_held(&self, world: &World, now: Timestamp) -> bool {
        self.hold.as_ref().is_some_and(|hold| {
            self.lasts(Some(hold.set_at), now)
                && now + CLOCK_ERROR < hold.until
                && stands(world, &hold.load_balancer_arn)
        })
    }

    /// Whether something that began then should have been heeded by now.
    fn lasts(&self, since: Option<Timestamp>, now: Timestamp) -> bool {
        since.is_some_and(|since| since + self.promises.window <= now)
    }

    /// Measures how long before a deletion something began that it did not heed.
    fn missed(since: Option<Timestamp>, now: Timestamp, tally: &mut Tally) {
        if let Some(since) = since {
            tally.moment("deleted within the window that AWS leaves open");
            let ago = Duration::try_from(now.duration_since(since)).unwrap_or_default();
            tally.longest_window = tally.longest_window.max(ago);
        }
    }

    fn deletion(&mut self, actor: Actor, arn: &str, world: &World, now: Timestamp, tally: &mut Tally) {
        self.ours(actor, [arn], now);
        let exists = stands(world, arn) || world.groups().iter().any(|group| group.arn == arn);
        if !exists {
            // Another was faster: nothing happens.
            tally.moment("deleted what was gone already");
            return;
        }
        if self.lasts(self.missing_since, now) {
            let what = format!("deletes {arn}, though the service is missing since {:?}", self.missing_since);
            self.broken(Promise::NothingInUseIsDeleted, now, actor, what);
        }
        if self.lasts(self.others_since, now) {
            let what = format!("deletes {arn}, where somebody else's target answers since {:?}", self.others_since);
            self.broken(Promise::NothingInUseIsDeleted, now, actor, what);
        }
        if self.lasts(self.desired_since, now) {
            self.broken(
                Promise::NothingInUseIsDeleted,
                now,
                actor,
                format!("deletes {arn} while tasks are desired since {:?}", self.desired_since),
            );
        } else {
            Self::missed(self.desired_since, now, tally);
        }
        // Whoever runs `down` has said that nobody calls any more; and `up` finishes a teardown that was begun.
        let grace = match actor {
            Actor::Command(_) => Duration::ZERO,
            Actor::Watcher(_) | Actor::Operator => self.promises.idle_grace.saturating_sub(CLOCK_ERROR),
        };
        let grace = SignedDuration::try_from(grace).unwrap_or_default();
        let group = self.group();
        for task in world.tasks().iter().filter(|task| task.group == group && task.started_at.is_some()) {
            match (task.last_status, task.stopped_at) {
                ("STOPPED", Some(at)) if now.duration_since(at) >= grace => {}
                ("STOPPED", _) => {
                    self.broken(
                        Promise::NothingInUseIsDeleted,
                        now,
                        actor,
                        format!("deletes {arn} within the grace: {} stopped {:?}", task.id, task.stopped_at),
                    );
                }
                (status, _) if self.lasts(task.started_at, now) => {
                    self.broken(
                        Promise::NothingInUseIsDeleted,
                        now,
                        actor,
                        format!("deletes {arn} while task {} is {status}", task.id),
                    );
                }
                _ => tally.moment("deleted although a task had just come to run"),
            }
        }
        let grace = grace - SignedDuration::try_from(self.promises.window).unwrap_or_default();
        // Who runs `down` doesn't wait for a scale-up that others have begun; by a lease and a hold they would be heeded.
        let unmarked_at = self.unmarked.as_ref().filter(|(arn, _)| stands(world, arn)).map(|(_, at)| *at);
        let touched_at =
            self.touched_at.max(self.made_at).max(unmarked_at).filter(|_| matches!(actor, Actor::Watcher(_)));
        if let Some(touched_at) = touched_at {
            if self.lasts(Some(touched_at), now) && now.duration_since(touched_at) < grace {
                self.broken(
                    Promise::NothingInUseIsDeleted,
                    now,
                    actor,
                    format!("deletes {arn} within the grace after a scale-up touched it at {touched_at}"),
                );
            } else if !self.lasts(Some(touched_at), now) {
                Self::missed(Some(touched_at), now, tally);
            }
        }
        if self.is_held(world, now) {
            self.broken(Promise::NothingInUseIsDeleted, now, actor, format!("deletes {arn}, which is held"));
        }
        if let Actor::Watcher(_) = actor {
            self.deletion_after_hold(arn, world, now, actor);
            self.deletion_of_unused(arn, world, now, actor);
        }
    }

    /// The grace begins when a hold ends.
    fn deletion_after_hold(&mut self, arn: &str, world: &World, now: Timestamp, actor: Actor) {
        let grace = SignedDuration::try_from(self.promises.idle_grace.saturating_sub(CLOCK_ERROR)).unwrap_or_default();
        let standing = self.hold.as_ref().filter(|hold| stands(world, &hold.load_balancer_arn));
        let over = standing.filter(|hold| self.lasts(Some(hold.set_at), now));
        let ended_at = over.map(|hold| hold.until).filter(|until| *until <= now).max(self.released_at);
        if let Some(ended_at) = ended_at.filter(|at| now.duration_since(*at) < grace && self.lasts(Some(*at), now)) {
            let what = format!("deletes {arn} within the grace after its hold ended at {ended_at}");
            self.broken(Promise::NothingInUseIsDeleted, now, actor, what);
        }
    }

    /// A balancer that no task has used yet may belong to a scale-up in progress; unless somebody has run `down`.
    fn deletion_of_unused(&mut self, arn: &str, world: &World, now: Timestamp, actor: Actor) {
        if let Some(Actor::Command(_)) = self.marked_by.get(arn) {
            return;
        }
        let grace =
            SignedDuration::try_from(self.promises.unused_grace.saturating_sub(CLOCK_ERROR)).unwrap_or_default();
        let Some(balancer) = world.load_balancers().into_iter().find(|balancer| balancer.arn == arn) else { return };
        let group = self.group();
        let was_used =
            |task: &TaskView| task.group == group && task.stopped_at.is_some_and(|at| at > balancer.created_at);
        if !world.tasks().iter().any(was_used) && now.duration_since(balancer.created_at) < grace {
            let what = format!("deletes {arn} of {}, which nobody has used yet", balancer.created_at);
            self.broken(Promise::NothingInUseIsDeleted, now, actor, what);
        }
    }

    /// Nothing of another project is touched.
    fn ours<'a>(&mut self, actor: Actor, arns: impl IntoIterator<Item = &'a str>, now: Timestamp) {
        let starts = ["loadbalancer/net/", "targetgroup/"].map(|kind| format!(":{kind}{}-", self.promises.project));
        for arn in arns {
            if !starts.iter().any(|start| arn.contains(start.as_str())) {
                self.broken(
                    Promise::OnlyItsOwnIsWritten,
                    now,
                    actor,
                    format!("writes to {arn}, which is another project's"),
                );
            }
        }
    }

    fn tags_of_the_owner(&mut self, actor: Actor, arns: &[String], now: Timestamp) {
        for arn in arns {
            if self.lasts(self.disowned_since.get(arn).copied(), now) {
                self.broken(Promise::OnlyItsOwnIsWritten, now, actor, format!("tags {arn}, which lacks the owner tag"));
            }
        }
    }

    fn note_received(&mut self, message: &sqs::Message) {
        let attributes = message.attributes.clone().unwrap_or_default();
        let sent_at = attributes.get("SentTimestamp").and_then(|at| Timestamp::from_millisecond(at.parse().ok()?).ok());
        let kind = self.kind(&message.body);
        let received = Received { sent_at: sent_at.unwrap_or_default(), kind };
        self.received.insert(message.receipt_handle.clone(), received);
    }

    fn kind(&self, body: &str) -> MessageKind {
        let Ok(event) = serde_json::from_str::<Envelope>(body) else { return MessageKind::Malformed };
        let ours = event.source == "aws.ecs" && event.detail.group.is_some_and(|group| group == self.group());
        if ours { MessageKind::Relevant } else { MessageKind::Foreign }
    }

    fn message_deletion(&mut self, actor: Actor, handle: &str, now: Timestamp) {
        let Some(Received { sent_at, kind }) = self.received.get(handle) else {
            return self.broken(
                Promise::NoMessageIsLost,
                now,
                actor,
                "deletes a message that nobody received".to_owned(),
            );
        };
        let (sent_at, kind) = (*sent_at, *kind);
        if kind == MessageKind::Malformed {
            return self.broken(
                Promise::NoMessageIsLost,
                now,
                actor,
                "deletes a message that nobody can read".to_owned(),
            );
        }
        if kind == MessageKind::Relevant
            && let Some(failed) = self.failed.get(&actor).filter(|failed| !failed.is_empty())
        {
            let what = format!("deletes a message of {sent_at} though {failed:?} failed");
            self.broken(Promise::NoMessageIsLost, now, actor, what);
        }
        let unread = |what: &'static str| self.reads.get(&(actor, what)).is_none_or(|at| *at < sent_at);
        if kind == MessageKind::Relevant && ["tasks", "service", "balancer"].into_iter().any(unread) {
            self.broken(
                Promise::NoMessageIsLost,
                now,
                actor,
                format!("deletes a message of {sent_at} without a look since"),
            );
        }
    }
}

/// Whether there is a balancer of that ARN.
fn stands(world: &World, arn: &str) -> bool {
    world.load_balancers().iter().any(|balancer| balancer.arn == arn)
}
