//! The decision, by the real rules: from the answers of an observation to the writes that follow.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jvb_watcher_rules::hold;
use jvb_watcher_rules::lease::{self, LeaseHolder, LeaseReading, LeaseState};
use jvb_watcher_rules::model::{
    self as rules, AddressFamily, DesiredStatus, FlowHistory, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LastStatus,
    LoadBalancerKind, LoadBalancerState, MINUTE, MinuteFlows, Observation, Protocol, STOP_AT_TAG, Service, Startup,
    Tags, Target, TargetKey, TargetState, TargetType, TaskId,
};
use jvb_watcher_rules::plan::{
    CLOUDWATCH_LAG, LifecycleAction, OwnerTag, Plan, Policy, StopAction, StopWhenUnused, Teardown, UsagePolicy,
};

use crate::aws::{Aws, Group, HeldBy, Holder, Lease, LoadBalancer, Mark, Status, TASKS, Task};
use crate::bug::Bug;
use crate::reading::Answers;
use crate::time::{BEGINNING, GRACE, Instant, STOP_NOTICE, UNUSED_GRACE, instant, length, stale_timestamp, timestamp};
use crate::write::{Effect, Registration};

const LOAD_BALANCER_NAME: &str = "p-jvb-nlb";
const GROUP_ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/p-jvb-udp/1a2b3c4d5e6f7081";
const FOREIGN_GROUP_ARN: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/q-jvb-udp/2a2b3c4d5e6f7081";
const FOREIGN_LOAD_BALANCER_ARN: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/q-jvb-nlb/1a1b3c4d5e6f7081";
const PORT: u16 = 10000;
const OTHERS_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 99));
/// The window of the stop of an unused service: longer than any scenario, so that what a scenario does is within it.
const STOP_WINDOW: Duration = Duration::from_secs(15 * 60);

/// Who decides: it determines the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Decider {
    /// A watcher.
    Watcher,
    /// A watcher with `--stop-when-unused`.
    StoppingWatcher,
    /// The command `down`, which doesn't wait for the grace period.
    Down,
}

/// What a reconciler remembers of earlier observations: since when each target has been without a task.
pub type Unmatched = [Option<Instant>; TASKS];

/// A decision, as far as it changes anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The writes, in the product's order.
    pub writes: Vec<Effect>,
    /// True if the stop of the unused service is due.
    pub stops: bool,
    /// The targets without a task.
    pub unmatched: Unmatched,
}

impl Decision {
    /// Returns whether it deletes the load balancer.
    pub fn deletes(&self) -> bool {
        self.writes.iter().any(|write| matches!(write, Effect::DeleteLoadBalancer { .. }))
    }
}

/// The inputs of a decision that AWS doesn't show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    /// Who decides.
    pub decider: Decider,
    /// The time.
    pub now: Instant,
    /// What it remembers.
    pub unmatched: Unmatched,
    /// The lease, which DescribeServices shows with the service's tags.
    pub lease: Option<Lease>,
    /// True if a marked target group of another platform exists.
    pub has_foreign_group: bool,
    /// The deliberate bug, if any.
    pub bug: Option<Bug>,
}

impl Context {
    /// Returns the context of a decision in a state of AWS.
    pub fn of(decider: Decider, aws: &Aws, now: Instant, unmatched: Unmatched, bug: Option<Bug>) -> Self {
        Self { decider, now, unmatched, lease: aws.lease, has_foreign_group: aws.has_foreign_group, bug }
    }
}

/// The most decisions that a thread keeps.
const MOST_KEPT: usize = 1_000_000;

thread_local! {
    /// The decisions so far: the rules are functions, and the same inputs come again in many states.
    static DECISIONS: RefCell<HashMap<(Answers, Context), Decision>> = RefCell::default();
}

/// Decides by the rules.
pub fn decide(answers: &Answers, context: &Context) -> Decision {
    DECISIONS.with_borrow_mut(|kept| {
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.entry((*answers, *context)).or_insert_with(|| decision(answers, context)).clone()
    })
}

fn decision(answers: &Answers, context: &Context) -> Decision {
    let plan = plan(answers, context);
    let mut writes = Vec::new();
    for change in &plan.registrations {
        let registrations =
            [(Registration::Register, &change.register), (Registration::Deregister, &change.deregister)];
        for (registration, targets) in registrations {
            writes.extend(
                targets
                    .iter()
                    .filter_map(|target| place(&target.key))
                    .map(|task| Effect::Target { registration, task }),
            );
        }
    }
    // An observation that no earlier one confirms only begins the wait for one that is confirmed.
    let is_deletion =
        |effect: &Effect| matches!(effect, Effect::DeleteLoadBalancer { .. } | Effect::DeleteGroup { .. });
    let lifecycle = lifecycle_writes(&plan.lifecycle);
    writes.extend(lifecycle.into_iter().filter(|effect| answers.is_confirmed || !is_deletion(effect)));
    let stops = match &plan.stop {
        StopAction::None => false,
        StopAction::Announce { stop_at, .. } => {
            let load_balancer = answers.load_balancer.map_or(0, |found| found.number);
            writes.push(Effect::Announce { load_balancer, stop_at: Some(instant(*stop_at)) });
            false
        }
        StopAction::Withdraw { .. } => {
            let load_balancer = answers.load_balancer.map_or(0, |found| found.number);
            writes.push(Effect::Announce { load_balancer, stop_at: None });
            false
        }
        StopAction::ScaleToZero { .. } => true,
    };
    let mut unmatched = Unmatched::default();
    for task in plan.unmatched.iter().filter_map(place) {
        unmatched[task] = Some(context.unmatched[task].unwrap_or(context.now));
    }
    Decision { writes, stops, unmatched }
}

/// Returns whether the service is idle, as `up` and `down` ask.
pub fn is_idle(answers: &Answers, context: &Context) -> bool {
    jvb_watcher_rules::plan::is_idle(&observation(answers, context), timestamp(context.now))
}

fn plan(answers: &Answers, context: &Context) -> Plan {
    let (observation, policy) = (observation(answers, context), policy(context.decider));
    let now = timestamp(context.now);
    match context.bug {
        Some(bug) => bug.plan(&observation, &policy, now),
        None => jvb_watcher_rules::plan::plan(&observation, &policy, now),
    }
}

fn lifecycle_writes(action: &LifecycleAction) -> Vec<Effect> {
    match action {
        LifecycleAction::Keep => Vec::new(),
        LifecycleAction::Mark { load_balancer_arn, idle_since, resources, .. } => vec![Effect::Mark {
            load_balancer: number(load_balancer_arn),
            since: instant(*idle_since),
            with_group: resources.iter().any(|arn| arn == GROUP_ARN),
        }],
        LifecycleAction::Unmark { resources, .. } => vec![Effect::Unmark {
            load_balancer: resources.iter().find(|arn| *arn != GROUP_ARN).map(|arn| number(arn)),
            with_group: resources.iter().any(|arn| arn == GROUP_ARN),
        }],
        LifecycleAction::DeleteLoadBalancer { load_balancer_arn, .. } => {
            vec![Effect::DeleteLoadBalancer { load_balancer: number(load_balancer_arn) }]
        }
        LifecycleAction::DeleteTargetGroups { target_groups } => {
            let is_foreign = |arn: &str| arn == FOREIGN_GROUP_ARN;
            target_groups.iter().map(|group| Effect::DeleteGroup { is_foreign: is_foreign(&group.arn) }).collect()
        }
    }
}

fn policy(decider: Decider) -> Policy {
    let (idle_grace, unused_grace) = match decider {
        Decider::Watcher | Decider::StoppingWatcher => (length(GRACE), length(UNUSED_GRACE)),
        Decider::Down => (Duration::ZERO, Duration::ZERO),
    };
    let stop = StopWhenUnused { after: STOP_WINDOW, notice: length(STOP_NOTICE), first_call_grace: Duration::ZERO };
    let usage = match decider {
        Decider::StoppingWatcher => UsagePolicy { observe: true, stop: Some(stop), ..UsagePolicy::OFF },
        Decider::Watcher | Decider::Down => UsagePolicy::OFF,
    };
    Policy {
        service: "p-service".to_owned(),
        load_balancer: LOAD_BALANCER_NAME.to_owned(),
        owner_tag: OwnerTag { key: "Lifecycle".to_owned(), value: "on-demand".to_owned() },
        teardown: Teardown::All,
        idle_grace,
        until_paid_hour: false,
        unused_grace,
        resync_interval: Duration::from_secs(60),
        allow_several_bridges: false,
        usage,
    }
}

fn observation(answers: &Answers, context: &Context) -> Observation {
    let counts = answers.counts;
    let service = match counts.exists {
        true => Service::Found(rules::Counts {
            desired: counts.desired.into(),
            running: counts.running.into(),
            pending: counts.pending.into(),
        }),
        false => Service::Missing,
    };
    let is_stopping = context.decider == Decider::StoppingWatcher;
    let flows = (is_stopping && answers.load_balancer.is_some()).then(|| unused_flows(context.now));
    let places = answers.tasks.iter().enumerate();
    // The observer drops the tasks of a service that is missing.
    let tasks = places.filter(|_| counts.exists).filter_map(|(place, task)| Some(rules_task(place, task.as_ref()?)));
    let mut unmatched_since = BTreeMap::new();
    for (place, since) in context.unmatched.iter().enumerate() {
        if let Some(since) = since {
            unmatched_since.insert(key(place), stale_timestamp(*since, context.now));
        }
    }
    Observation {
        tasks: tasks.collect(),
        load_balancer: answers.load_balancer.map(|found| rules_load_balancer(&found, answers)),
        lease: if flows.is_some() {
            LeaseReading::Read(context.lease.map(|lease| rules_lease(lease, context.now)))
        } else {
            LeaseReading::NotRead
        },
        flows,
        orphaned_target_groups: if answers.load_balancer.is_some() { Vec::new() } else { orphans(answers, context) },
        unmatched_since,
        ..Observation::of_service(service, Startup::default())
    }
}

/// Returns minutes without use, as far back as any rule asks, up to those that CloudWatch doesn't know yet.
fn unused_flows(now: Instant) -> FlowHistory {
    let end = rules::minute_of(timestamp(now) - CLOUDWATCH_LAG);
    let count = STOP_WINDOW.as_secs() / MINUTE.as_secs() + 1;
    let unused = MinuteFlows { flows: 0, healthy: Some(1) };
    let minutes = (1..=count).map(|ago| (end - Duration::from_secs(ago * MINUTE.as_secs()), unused));
    FlowHistory { minutes: minutes.collect(), problem: None }
}

fn rules_task(place: usize, task: &Task) -> rules::Task {
    let (last_status, desired_status) = match task.status {
        Status::Starting => (LastStatus::Starting, DesiredStatus::Running),
        Status::Running => (LastStatus::Running, DesiredStatus::Running),
        Status::Stopping => (LastStatus::Stopping, DesiredStatus::Stopped),
        Status::Stopped => (LastStatus::Stopped, DesiredStatus::Stopped),
    };
    let arn = format!("arn:aws:ecs:eu-west-1:111122223333:task/p-cluster/{place:032x}");
    rules::Task {
        id: TaskId::from_arn(&arn).unwrap_or_else(|| unreachable!("{arn} is a task's ARN")),
        group: Some("service:p-service".to_owned()),
        started_by: None,
        task_definition: None,
        last_status,
        desired_status,
        version: None,
        ipv4: Some(address(place)),
        ipv6: None,
        started_at: task.started_at.map(timestamp),
        stopping_at: task.stopping_at.map(timestamp),
        stopped_at: task.stopped_at.map(timestamp),
        stop_code: None,
        stopped_reason: None,
    }
}

fn rules_load_balancer(found: &LoadBalancer, answers: &Answers) -> rules::LoadBalancer {
    let mut tags = Tags::new();
    if found.not_owned_since.is_none() {
        tags.extend(owner_tags());
    }
    tags.extend(mark_tags(found.mark));
    if let Some(held) = found.hold {
        let holder = match held.by {
            HeldBy::Hand => hold::Holder::Hand,
            HeldBy::Up => hold::Holder::Up("up".to_owned()),
        };
        tags.extend(hold::Hold { until: timestamp(held.until), holder }.tags());
    }
    if let Some(stop_at) = found.stop_at {
        tags.insert(STOP_AT_TAG.to_owned(), timestamp(stop_at).to_string());
    }
    let group = answers.group.filter(|_| found.is_complete);
    rules::LoadBalancer {
        arn: load_balancer_arn(found.number),
        name: LOAD_BALANCER_NAME.to_owned(),
        kind: LoadBalancerKind::Network,
        state: LoadBalancerState::Active,
        created_at: timestamp(found.created_at),
        tags,
        target_groups: group.iter().map(|group| rules_group(group, answers)).collect(),
    }
}

fn rules_group(group: &Group, answers: &Answers) -> rules::TargetGroup {
    let mut tags = owner_tags();
    tags.extend(mark_tags(group.mark));
    let target = |ip, is_healthy| {
        let state = if is_healthy { TargetState::Healthy } else { TargetState::Unhealthy };
        Target { ip, port: PORT, state, reason: None }
    };
    let own = answers.health.targets.iter().enumerate();
    let own = own.filter_map(|(place, healthy)| Some(target(IpAddr::V4(address(place)), (*healthy)?)));
    let others = answers.health.others.then(|| target(OTHERS_ADDRESS, true));
    target_group(GROUP_ARN, tags, own.chain(others).collect())
}

fn target_group(arn: &str, tags: Tags, targets: Vec<Target>) -> rules::TargetGroup {
    rules::TargetGroup {
        arn: arn.to_owned(),
        name: arn.split('/').nth(1).unwrap_or_default().to_owned(),
        protocol: Protocol::Udp,
        target_type: TargetType::Ip { family: AddressFamily::Ipv4, port: PORT },
        tags,
        targets,
        healthy_others: 0,
    }
}

/// Returns the marked target groups without a load balancer, as the observer's search finds them.
fn orphans(answers: &Answers, context: &Context) -> Vec<rules::TargetGroup> {
    let own = answers.group.filter(|group| group.mark.is_some());
    let own = own.map(|group| {
        let mut tags = owner_tags();
        tags.extend(mark_tags(group.mark));
        target_group(GROUP_ARN, tags, Vec::new())
    });
    let foreign = context.has_foreign_group.then(|| {
        let mut tags = owner_tags();
        tags.insert(IDLE_SINCE_TAG.to_owned(), timestamp(BEGINNING).to_string());
        tags.insert(LOAD_BALANCER_TAG.to_owned(), FOREIGN_LOAD_BALANCER_ARN.to_owned());
        target_group(FOREIGN_GROUP_ARN, tags, Vec::new())
    });
    own.into_iter().chain(foreign).collect()
}

fn rules_lease(lease: Lease, now: Instant) -> lease::Lease {
    let holder = match lease.holder {
        Holder::Up => LeaseHolder::Up,
        Holder::Down => LeaseHolder::Down,
        Holder::Stop => LeaseHolder::Stop,
    };
    let state = if lease.is_active { LeaseState::Active } else { LeaseState::Ended };
    let begun_at = lease.begun_at.unwrap_or(BEGINNING);
    let is_stop = lease.holder == Holder::Stop;
    lease::Lease {
        holder,
        begun_at: if is_stop { stale_timestamp(begun_at, now) } else { timestamp(begun_at) },
        id: holder.as_str().to_owned(),
        state,
    }
}

fn owner_tags() -> Tags {
    Tags::from([("Lifecycle".to_owned(), "on-demand".to_owned())])
}

fn mark_tags(mark: Option<Mark>) -> Tags {
    let Some(mark) = mark else { return Tags::new() };
    Tags::from([
        (IDLE_SINCE_TAG.to_owned(), timestamp(mark.since).to_string()),
        (LOAD_BALANCER_TAG.to_owned(), load_balancer_arn(mark.load_balancer)),
    ])
}

fn load_balancer_arn(number: u8) -> String {
    format!("arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/{LOAD_BALANCER_NAME}/{number:016x}")
}

/// Returns the number of the load balancer with an ARN.
fn number(arn: &str) -> u8 {
    arn.rsplit('/').next().and_then(|id| u8::from_str_radix(id, 16).ok()).unwrap_or(u8::MAX)
}

fn address(place: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, u8::try_from(place).unwrap_or(u8::MAX))
}

fn key(place: usize) -> TargetKey {
    TargetKey { target_group_arn: GROUP_ARN.to_owned(), ip: IpAddr::V4(address(place)), port: PORT }
}

/// Returns the place of the task at a target's address.
fn place(key: &TargetKey) -> Option<usize> {
    (0..TASKS).find(|place| key.ip == IpAddr::V4(address(*place)))
}
