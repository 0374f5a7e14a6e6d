//! Operations over an AWS in memory and on virtual time: the failure of every phase, interruptions at every point, and
//! several operations at once.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::callers::CallPolicy;
use super::command::LoadBalancerCommand;
use super::context::Context;
use super::down::{Down, Extent, HoldPolicy};
use super::engine::{Operation, execute, poll_interval};
use super::failure::{Failure, OperationError};
use super::phase::CompletedPhase;
use super::progress::LoggedProgress;
use super::up::{Probe, Up};
use super::*;
use crate::aws::ErrorKind;
use crate::aws::fake::{FakeAws, FakeClock, World};
use crate::controller::context::Context as ControllerContext;
use crate::controller::message::Hints;
use crate::controller::reconciler::{Reconciler, ReconcilerParts};
use crate::controller::scope::Scope;
use crate::retry::Jitter;
use crate::shutdown::{self, ShutdownOrder};
use crate::telemetry::log::{Phase, StopReason, Verb, rfc3339_millis};
use jvb_watcher_cost::Model;
use jvb_watcher_rules::hold::{Hold, Holder};
use jvb_watcher_rules::lease::{Lease, LeaseHolder, LeaseState};
use jvb_watcher_rules::model::{
    Counts, DesiredStatus, HOLD_UNTIL_TAG, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LastStatus, LoadBalancerKind,
    LoadBalancerState, OPERATION_TAG, Observation, Protocol, SchedulerMessage, Service, Tags, TargetGroup, Task,
};
use jvb_watcher_rules::plan::samples::{LOAD_BALANCER, load_balancer, minutes, observation, policy, seconds, task};
use jvb_watcher_rules::plan::{Policy, Teardown, UsagePolicy};

mod callers;
mod concurrency;
mod destroy;
mod failure;
mod hold;
mod start;
mod success;
mod watcher;

/// The times for which a load balancer is provisioned, a task starts and stops, and a target is in its first health checks.
const PROVISIONING: Duration = Duration::from_secs(120);
const STARTING: Duration = Duration::from_secs(40);
const STOPPING: Duration = Duration::from_secs(30);
const FIRST_CHECKS: Duration = Duration::from_secs(60);

/// The behaviour of the simulated AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Good,
    NeverActive,
    EndsFailed,
    TasksCrash,
    TasksNeverStart,
    TasksNeverPlaced,
    TargetsUnhealthy,
    TasksNeverStop,
}

/// A simulated AWS: tasks start and stop as the service desires, and each transition takes its time.
struct Platform {
    cloud: FakeAws,
    clock: Arc<FakeClock>,
    log: crate::telemetry::log::fake::LogLines,
    behaviour: Arc<Mutex<Behaviour>>,
    next_task: Arc<Mutex<u8>>,
}

/// A service without tasks or load balancer.
fn nothing() -> Observation {
    observation(Service::Found(Counts::default()), Vec::new(), None)
}

impl Platform {
    fn new(seen: Observation) -> Self {
        let platform = Self {
            cloud: FakeAws::new(seen),
            clock: FakeClock::noon(),
            log: crate::telemetry::log::fake::LogLines::default(),
            behaviour: Arc::new(Mutex::new(Behaviour::Good)),
            next_task: Arc::new(Mutex::new(1)),
        };
        let (cloud, clock) = (platform.cloud.clone(), platform.clock.clone());
        let (behaviour, next_task) = (platform.behaviour.clone(), platform.next_task.clone());
        tokio::spawn(async move {
            let mut since = std::collections::BTreeMap::new();
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let now = crate::clock::Clock::now(&*clock);
                let behaviour = *behaviour.lock().expect("not poisoned");
                advance(&mut cloud.world(), now, behaviour, &mut next_task.lock().expect("not poisoned"), &mut since);
            }
        });
        platform
    }

    fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().expect("not poisoned") = behaviour;
    }

    fn context(&self, id: &str, command: Option<Arc<dyn LoadBalancerCommand>>) -> (Context<FakeAws>, ShutdownOrder) {
        let (order, shutdown) = shutdown::channel();
        let log = self.log.log(self.clock.clone());
        let context = Context {
            platform: self.cloud.clone(),
            scope: Scope { cluster: "p-cluster".into(), service: "p-service".into() },
            project: "p".into(),
            load_balancer: "p-jvb-nlb".into(),
            owner_tag: policy().owner_tag,
            allow_several_bridges: false,
            command,
            progress: Arc::new(LoggedProgress { verb: Verb::Up, log: log.clone() }),
            log,
            clock: self.clock.clone(),
            shutdown,
            id: id.to_owned(),
            jitter: Jitter::default(),
        };
        (context, order)
    }

    fn terraform(&self) -> Option<Arc<dyn LoadBalancerCommand>> {
        Some(Arc::new(Terraform { cloud: self.cloud.clone(), clock: self.clock.clone(), failures: Mutex::default() }))
    }

    fn up(&self, id: &str) -> Up<FakeAws> {
        self.up_with(id, self.terraform(), None)
    }

    fn up_with(
        &self,
        id: &str,
        command: Option<Arc<dyn LoadBalancerCommand>>,
        probe: Option<Arc<dyn Probe>>,
    ) -> Up<FakeAws> {
        Up::new(self.context(id, command).0, spec(probe))
    }

    fn down(&self, id: &str) -> Down<FakeAws> {
        self.down_with(id, None, HoldPolicy::Respect)
    }

    /// Returns a `down` that cuts no call off.
    fn careful_down(&self, id: &str, call_policy: CallPolicy) -> Down<FakeAws> {
        let usage = UsagePolicy { observe: true, ..UsagePolicy::OFF };
        Down::new(self.context(id, None).0, down::Spec { call_policy, usage, ..down_spec(HoldPolicy::Respect) })
    }

    fn down_with(
        &self,
        id: &str,
        command: Option<Arc<dyn LoadBalancerCommand>>,
        hold_policy: HoldPolicy,
    ) -> Down<FakeAws> {
        Down::new(self.context(id, command).0, down_spec(hold_policy))
    }

    async fn bring_up(&self) {
        execute(&mut self.up("first")).await.unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Returns a watcher with the default settings.
    fn watcher(&self) -> Reconciler<FakeAws> {
        let scope = Scope { cluster: "p-cluster".into(), service: "p-service".into() };
        let policy = Policy { teardown: Teardown::All, ..policy() };
        let context = ControllerContext::new(scope, self.log.log(self.clock.clone()), self.clock.clone());
        Reconciler::new(ReconcilerParts::new(self.cloud.clone(), context, policy))
    }

    fn tags(&self) -> Tags {
        self.cloud.world().observed.load_balancer.as_ref().expect("a load balancer").tags.clone()
    }

    /// Asserts that clients can connect, and that neither hold nor mark nor lease remains.
    fn assert_up(&self) {
        let world = self.cloud.world();
        let readiness = world.observed.readiness();
        assert!(readiness.is_complete() && readiness.desired == 1, "{readiness:?}");
        let tags = &world.observed.load_balancer.as_ref().expect("a load balancer").tags;
        assert!(!tags.contains_key(HOLD_UNTIL_TAG), "{tags:?}");
        assert!(!tags.contains_key(IDLE_SINCE_TAG), "{tags:?}");
        assert_ended(&world.service_tags);
    }

    /// Asserts that nothing remains.
    fn assert_down(&self) {
        let world = self.cloud.world();
        assert_eq!(world.observed.service, Service::Found(Counts::default()));
        assert_eq!(world.observed.load_balancer, None);
        assert_eq!(world.observed.orphaned_target_groups, []);
        assert_ended(&world.service_tags);
    }
}

/// Asserts that no operation is running.
fn assert_over(service_tags: &Tags) {
    let lease = Lease::of(service_tags);
    assert!(lease.as_ref().is_none_or(|lease| lease.state != LeaseState::Active), "{lease:?}");
}

/// Asserts that no operation is running, and that none has failed in its command.
fn assert_ended(service_tags: &Tags) {
    let lease = service_tags.get(OPERATION_TAG).map(|text| Lease::parse(text).expect("a lease"));
    assert!(lease.as_ref().is_none_or(|lease| lease.state == LeaseState::Ended), "{lease:?}");
}

/// A `down` that doesn't ask for callers.
fn down_spec(hold_policy: HoldPolicy) -> down::Spec {
    down::Spec {
        extent: Extent::All,
        hold_policy,
        call_policy: CallPolicy::CutOff,
        usage: UsagePolicy::OFF,
        costs: Model::default(),
        drain_limit: minutes(5),
        teardown_limit: minutes(5),
    }
}

fn spec(probe: Option<Arc<dyn Probe>>) -> up::Spec {
    up::Spec {
        desired: 1,
        probe,
        create_limit: minutes(5),
        active_limit: minutes(5),
        serving_limit: minutes(5),
        registered_limit: minutes(1),
        healthy_limit: minutes(5),
        answer_limit: minutes(1),
    }
}

/// Simulates a second.
fn advance(
    world: &mut World,
    now: Timestamp,
    behaviour: Behaviour,
    next_task: &mut u8,
    since: &mut std::collections::BTreeMap<(String, u8), Timestamp>,
) {
    let Service::Found(counts) = world.observed.service else { return };
    let age = |at: Option<Timestamp>| Duration::try_from(now.duration_since(at.unwrap_or(now))).unwrap_or_default();
    for task in &mut world.observed.tasks {
        let created = *since.entry((task.id.to_string(), 0)).or_insert(now);
        match task.last_status {
            LastStatus::Starting if task.desired_status == DesiredStatus::Stopped => {
                task.last_status = LastStatus::Stopping
            }
            LastStatus::Starting
                if behaviour == Behaviour::TasksCrash && age(Some(created)) > Duration::from_secs(10) =>
            {
                task.last_status = LastStatus::Stopped;
                task.desired_status = DesiredStatus::Stopped;
                task.stopped_reason = Some("Essential container in task exited".to_owned());
                (task.stopping_at, task.stopped_at) = (Some(now), Some(now));
            }
            LastStatus::Starting if behaviour == Behaviour::TasksNeverStart => {}
            LastStatus::Starting if age(Some(created)) >= STARTING => {
                (task.last_status, task.started_at) = (LastStatus::Running, Some(now));
            }
            LastStatus::Running if task.desired_status == DesiredStatus::Stopped => {
                (task.last_status, task.stopping_at) = (LastStatus::Stopping, Some(now));
            }
            LastStatus::Stopping if behaviour == Behaviour::TasksNeverStop => {}
            LastStatus::Stopping if task.stopping_at.is_none() || age(task.stopping_at) >= STOPPING => {
                task.stopping_at.get_or_insert(now);
                (task.last_status, task.stopped_at) = (LastStatus::Stopped, Some(now));
            }
            _ => {}
        }
    }
    let wanted = |task: &&mut Task| task.desired_status == DesiredStatus::Running;
    let desired = usize::try_from(counts.desired).expect("not negative");
    let live = world.observed.tasks.iter_mut().filter(wanted).count();
    world.observed.tasks.iter_mut().filter(wanted).skip(desired).for_each(|task| {
        task.desired_status = DesiredStatus::Stopped;
    });
    let placed = if behaviour == Behaviour::TasksNeverPlaced { live } else { desired };
    for _ in live..placed {
        let mut new = task(*next_task, LastStatus::Starting, DesiredStatus::Running);
        (new.started_at, *next_task) = (None, next_task.wrapping_add(1).max(1));
        world.observed.tasks.push(new);
    }
    let count = |status| {
        let of = |task: &&Task| task.last_status == status && task.desired_status == DesiredStatus::Running;
        i32::try_from(world.observed.tasks.iter().filter(of).count()).expect("few")
    };
    let (running, pending) = (count(LastStatus::Running), count(LastStatus::Starting));
    world.observed.service = Service::Found(Counts { desired: counts.desired, running, pending });
    let running: Vec<_> = world.observed.serving().filter_map(|task| task.ipv4).collect();
    let Some(load_balancer) = &mut world.observed.load_balancer else { return };
    if load_balancer.state == LoadBalancerState::Provisioning && age(Some(load_balancer.created_at)) >= PROVISIONING {
        load_balancer.state = match behaviour {
            Behaviour::NeverActive => LoadBalancerState::Provisioning,
            Behaviour::EndsFailed => LoadBalancerState::Failed,
            _ => LoadBalancerState::Active,
        };
    }
    let name = load_balancer.arn.clone();
    for group in &mut load_balancer.target_groups {
        for target in &mut group.targets {
            let std::net::IpAddr::V4(ip) = target.ip else { continue };
            let registered = *since.entry((format!("{name} {}", group.name), ip.octets()[3])).or_insert(now);
            let answers = running.contains(&ip);
            target.state = match target.state {
                jvb_watcher_rules::model::TargetState::Initial if age(Some(registered)) < FIRST_CHECKS => continue,
                _ if !answers || behaviour == Behaviour::TargetsUnhealthy => {
                    target.reason = Some("Target.FailedHealthChecks".to_owned());
                    jvb_watcher_rules::model::TargetState::Unhealthy
                }
                _ => {
                    target.reason = None;
                    jvb_watcher_rules::model::TargetState::Healthy
                }
            };
        }
    }
}

/// Creates the load balancer as terraform does: first the load balancer, then its target groups, and resets its tags.
struct Terraform {
    cloud: FakeAws,
    clock: Arc<FakeClock>,
    failures: Mutex<VecDeque<&'static str>>,
}

impl Terraform {
    fn failing(platform: &Platform, failures: &[&'static str]) -> Option<Arc<dyn LoadBalancerCommand>> {
        let (cloud, clock) = (platform.cloud.clone(), platform.clock.clone());
        Some(Arc::new(Self { cloud, clock, failures: Mutex::new(failures.iter().copied().collect()) }))
    }
}

impl LoadBalancerCommand for Terraform {
    fn text(&self) -> String {
        "terraform apply".to_owned()
    }

    fn run<'a>(
        &'a self,
        on_line: &'a (dyn Fn(&str) + Sync),
        interrupted: oneshot::Receiver<()>,
    ) -> BoxFuture<'a, Result<(), String>> {
        let work = async move {
            on_line("Creating...");
            tokio::time::sleep(Duration::from_secs(5)).await;
            if let Some(failure) = self.failures.lock().expect("not poisoned").pop_front() {
                return Err(failure.to_owned());
            }
            let groups = {
                let mut world = self.cloud.world();
                if world.observed.load_balancer.is_none() {
                    let mut created = load_balancer(&[]);
                    created.arn = format!("{LOAD_BALANCER}-{}", crate::clock::Clock::now(&*self.clock).as_second());
                    created.created_at = crate::clock::Clock::now(&*self.clock);
                    created.state = LoadBalancerState::Provisioning;
                    let groups = std::mem::take(&mut created.target_groups);
                    let old: Vec<TargetGroup> = std::mem::take(&mut world.observed.orphaned_target_groups);
                    world.observed.load_balancer = Some(created);
                    if old.is_empty() { groups } else { old }
                } else {
                    load_balancer(&[]).target_groups
                }
            };
            tokio::time::sleep(Duration::from_secs(30)).await;
            let mut world = self.cloud.world();
            let owner = policy().owner_tag;
            if let Some(load_balancer) = &mut world.observed.load_balancer {
                if load_balancer.target_groups.is_empty() {
                    load_balancer.target_groups = groups;
                }
                load_balancer.tags = Tags::from([(owner.key, owner.value)]);
            }
            Ok(())
        };
        Box::pin(async move {
            tokio::select! {
                result = work => result,
                Ok(()) = interrupted => Err("interrupted".to_owned()),
            }
        })
    }
}

/// Runs `up`, and `down` so many seconds after it has begun, which must win.
async fn assert_later_down_wins(platform: &Platform, apart: u64) {
    let (mut up, mut down) = (platform.up("u"), platform.down("d"));
    let later = async {
        tokio::time::sleep(seconds(apart) + Duration::from_millis(1)).await;
        execute(&mut down).await
    };
    let (up, down) = tokio::join!(execute(&mut up), later);
    let failure = failed(up);
    assert!(matches!(failure.error, OperationError::Superseded(_)), "{apart} s apart: {failure}");
    down.unwrap_or_else(|failure| panic!("{apart} s apart: {failure}"));
    platform.assert_down();
}

fn failed(result: Result<Vec<CompletedPhase>, Failure>) -> Failure {
    match result {
        Ok(completed) => panic!("it completed: {completed:?}"),
        Err(failure) => failure,
    }
}
