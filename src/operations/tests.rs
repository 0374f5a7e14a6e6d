//! Operations over an AWS in memory and on virtual time: every phase's failure, every point at which one can be cut off,
//! and several at once.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::bill::Prices;
use super::down::{Down, Extent, HoldByHand};
use super::up::{Probe, Up};
use super::*;
use crate::aws::ErrorKind;
use crate::aws::fake::{FakeAws, FakeClock, World};
use crate::controller::context::Context;
use crate::controller::message::Hints;
use crate::controller::reconciler::{Reconciler, ReconcilerParts};
use crate::retry::Jitter;
use crate::shutdown::{self, ShutdownOrder};
use jvb_watcher_rules::model::{
    Counts, DesiredStatus, HOLD_UNTIL_TAG, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LastStatus, LoadBalancerKind,
    LoadBalancerState, TargetGroup, Task,
};
use jvb_watcher_rules::plan::samples::{BALANCER, balancer, minutes, observation, policy, seconds, task};
use jvb_watcher_rules::plan::{Policy, Teardown};

/// How long a balancer is provisioned, a task starts, stops, and a target's first health checks take.
const PROVISIONING: Duration = Duration::from_secs(120);
const STARTING: Duration = Duration::from_secs(40);
const STOPPING: Duration = Duration::from_secs(30);
const FIRST_CHECKS: Duration = Duration::from_secs(60);

/// How the platform behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Good,
    NeverActive,
    EndsFailed,
    TasksCrash,
    TasksNeverStart,
    TargetsUnhealthy,
    TasksNeverStop,
}

/// A platform that lives: tasks start and stop as the service desires, and all takes its time.
struct Platform {
    cloud: FakeAws,
    clock: Arc<FakeClock>,
    log: crate::aws::fake::Lines,
    manner: Arc<Mutex<Manner>>,
    next_task: Arc<Mutex<u8>>,
}

fn gone() -> Observation {
    observation(Service::Found(Counts::default()), Vec::new(), None)
}

impl Platform {
    fn new(seen: Observation) -> Self {
        let platform = Self {
            cloud: FakeAws::new(seen),
            clock: FakeClock::noon(),
            log: crate::aws::fake::Lines::default(),
            manner: Arc::new(Mutex::new(Manner::Good)),
            next_task: Arc::new(Mutex::new(1)),
        };
        let (cloud, clock) = (platform.cloud.clone(), platform.clock.clone());
        let (manner, next_task) = (platform.manner.clone(), platform.next_task.clone());
        tokio::spawn(async move {
            let mut since = std::collections::BTreeMap::new();
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let now = crate::clock::Clock::now(&*clock);
                let manner = *manner.lock().expect("not poisoned");
                live(&mut cloud.world(), now, manner, &mut next_task.lock().expect("not poisoned"), &mut since);
            }
        });
        platform
    }

    fn set(&self, manner: Manner) {
        *self.manner.lock().expect("not poisoned") = manner;
    }

    fn setting(&self, id: &str, command: Option<Arc<dyn BalancerCommand>>) -> (Setting<FakeAws>, ShutdownOrder) {
        let (order, shutdown) = shutdown::channel();
        let log = self.log.log(self.clock.clone());
        let setting = Setting {
            platform: self.cloud.clone(),
            scope: Scope { cluster: "p-cluster".into(), service: "p-service".into() },
            project: "p".into(),
            load_balancer: "p-jvb-nlb".into(),
            owner_tag: policy().owner_tag,
            command,
            progress: Arc::new(progress::Lines { verb: Verb::Up, log: log.clone() }),
            log,
            clock: self.clock.clone(),
            shutdown,
            id: id.to_owned(),
            jitter: Jitter::default(),
        };
        (setting, order)
    }

    fn terraform(&self) -> Option<Arc<dyn BalancerCommand>> {
        Some(Arc::new(Terraform { cloud: self.cloud.clone(), clock: self.clock.clone(), failures: Mutex::default() }))
    }

    fn way_up(&self, id: &str) -> Up<FakeAws> {
        self.way_up_with(id, self.terraform(), None)
    }

    fn way_up_with(
        &self,
        id: &str,
        command: Option<Arc<dyn BalancerCommand>>,
        probe: Option<Arc<dyn Probe>>,
    ) -> Up<FakeAws> {
        Up::new(self.setting(id, command).0, aim(probe))
    }

    fn way_down(&self, id: &str) -> Down<FakeAws> {
        self.way_down_with(id, None, HoldByHand::Obey)
    }

    fn way_down_with(&self, id: &str, command: Option<Arc<dyn BalancerCommand>>, hold: HoldByHand) -> Down<FakeAws> {
        let aim = down::Aim {
            extent: Extent::All,
            hold,
            prices: Prices::default(),
            drain_limit: minutes(5),
            teardown_limit: minutes(5),
        };
        Down::new(self.setting(id, command).0, aim)
    }

    async fn up(&self) {
        perform(&mut self.way_up("first")).await.unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// A watcher beside, with the default settings.
    fn watcher(&self) -> Reconciler<FakeAws> {
        let scope = Scope { cluster: "p-cluster".into(), service: "p-service".into() };
        let policy = Policy { teardown: Teardown::All, ..policy() };
        let context = Context::new(scope, self.log.log(self.clock.clone()), self.clock.clone());
        Reconciler::new(ReconcilerParts::new(self.cloud.clone(), context, policy))
    }

    fn tags(&self) -> Tags {
        self.cloud.world().seen.load_balancer.as_ref().expect("there is a balancer").tags.clone()
    }

    /// Calls can come, and nothing of the way is left.
    fn assert_up(&self) {
        let world = self.cloud.world();
        let readiness = world.seen.readiness();
        assert!(readiness.is_complete() && readiness.desired == 1, "{readiness:?}");
        let tags = &world.seen.load_balancer.as_ref().expect("there is a balancer").tags;
        assert!(!tags.contains_key(HOLD_UNTIL_TAG), "{tags:?}");
        assert!(!tags.contains_key(IDLE_SINCE_TAG), "{tags:?}");
        assert_ended(&world.service_tags);
    }

    /// Nothing is left.
    fn assert_down(&self) {
        let world = self.cloud.world();
        assert_eq!(world.seen.service, Service::Found(Counts::default()));
        assert_eq!(world.seen.load_balancer, None);
        assert_eq!(world.seen.orphaned_target_groups, []);
        assert_ended(&world.service_tags);
    }
}

fn assert_ended(service_tags: &Tags) {
    let lease = service_tags.get(OPERATION_TAG).map(|text| Lease::parse(text).expect("a signature"));
    assert!(lease.as_ref().is_none_or(|lease| lease.state == LeaseState::Ended), "{lease:?}");
}

fn aim(probe: Option<Arc<dyn Probe>>) -> up::Aim {
    up::Aim {
        desired: 1,
        probe,
        make_limit: minutes(5),
        active_limit: minutes(5),
        serving_limit: minutes(5),
        registered_limit: minutes(1),
        healthy_limit: minutes(5),
        answer_limit: minutes(1),
    }
}

/// A second of the platform's life.
fn live(
    world: &mut World,
    now: Timestamp,
    manner: Manner,
    next_task: &mut u8,
    since: &mut std::collections::BTreeMap<(String, u8), Timestamp>,
) {
    let Service::Found(counts) = world.seen.service else { return };
    let age = |at: Option<Timestamp>| Duration::try_from(now.duration_since(at.unwrap_or(now))).unwrap_or_default();
    for task in &mut world.seen.tasks {
        let created = *since.entry((task.id.to_string(), 0)).or_insert(now);
        match task.last_status {
            LastStatus::Starting if task.desired_status == DesiredStatus::Stopped => {
                task.last_status = LastStatus::Stopping
            }
            LastStatus::Starting if manner == Manner::TasksCrash && age(Some(created)) > Duration::from_secs(10) => {
                task.last_status = LastStatus::Stopped;
                task.desired_status = DesiredStatus::Stopped;
                task.stopped_reason = Some("Essential container in task exited".to_owned());
                (task.stopping_at, task.stopped_at) = (Some(now), Some(now));
            }
            LastStatus::Starting if manner == Manner::TasksNeverStart => {}
            LastStatus::Starting if age(Some(created)) >= STARTING => {
                (task.last_status, task.started_at) = (LastStatus::Running, Some(now));
            }
            LastStatus::Running if task.desired_status == DesiredStatus::Stopped => {
                (task.last_status, task.stopping_at) = (LastStatus::Stopping, Some(now));
            }
            LastStatus::Stopping if manner == Manner::TasksNeverStop => {}
            LastStatus::Stopping if task.stopping_at.is_none() || age(task.stopping_at) >= STOPPING => {
                task.stopping_at.get_or_insert(now);
                (task.last_status, task.stopped_at) = (LastStatus::Stopped, Some(now));
            }
            _ => {}
        }
    }
    let wanted = |task: &&mut Task| task.desired_status == DesiredStatus::Running;
    let desired = usize::try_from(counts.desired).expect("not negative");
    let live = world.seen.tasks.iter_mut().filter(wanted).count();
    world.seen.tasks.iter_mut().filter(wanted).skip(desired).for_each(|task| {
        task.desired_status = DesiredStatus::Stopped;
    });
    for _ in live..desired {
        let mut new = task(*next_task, LastStatus::Starting, DesiredStatus::Running);
        (new.started_at, *next_task) = (None, next_task.wrapping_add(1).max(1));
        world.seen.tasks.push(new);
    }
    let count = |status| {
        let of = |task: &&Task| task.last_status == status && task.desired_status == DesiredStatus::Running;
        i32::try_from(world.seen.tasks.iter().filter(of).count()).expect("few")
    };
    let (running, pending) = (count(LastStatus::Running), count(LastStatus::Starting));
    world.seen.service = Service::Found(Counts { desired: counts.desired, running, pending });
    let running: Vec<_> = world.seen.serving().filter_map(|task| task.ipv4).collect();
    let Some(balancer) = &mut world.seen.load_balancer else { return };
    if balancer.state == LoadBalancerState::Provisioning && age(Some(balancer.created_at)) >= PROVISIONING {
        balancer.state = match manner {
            Manner::NeverActive => LoadBalancerState::Provisioning,
            Manner::EndsFailed => LoadBalancerState::Failed,
            _ => LoadBalancerState::Active,
        };
    }
    let name = balancer.arn.clone();
    for group in &mut balancer.target_groups {
        for target in &mut group.targets {
            let std::net::IpAddr::V4(ip) = target.ip else { continue };
            let registered = *since.entry((format!("{name} {}", group.name), ip.octets()[3])).or_insert(now);
            let answers = running.contains(&ip);
            target.state = match target.state {
                jvb_watcher_rules::model::TargetState::Initial if age(Some(registered)) < FIRST_CHECKS => continue,
                _ if !answers || manner == Manner::TargetsUnhealthy => {
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

/// Makes the balancer as terraform does: the balancer first, then the groups behind it, its tags put back.
struct Terraform {
    cloud: FakeAws,
    clock: Arc<FakeClock>,
    failures: Mutex<VecDeque<&'static str>>,
}

impl Terraform {
    fn failing(platform: &Platform, failures: &[&'static str]) -> Option<Arc<dyn BalancerCommand>> {
        let (cloud, clock) = (platform.cloud.clone(), platform.clock.clone());
        Some(Arc::new(Self { cloud, clock, failures: Mutex::new(failures.iter().copied().collect()) }))
    }
}

impl BalancerCommand for Terraform {
    fn text(&self) -> String {
        "terraform apply".to_owned()
    }

    fn run<'a>(
        &'a self,
        tell: &'a (dyn Fn(&str) + Sync),
        interrupted: oneshot::Receiver<()>,
    ) -> BoxFuture<'a, Result<(), String>> {
        let work = async move {
            tell("Creating...");
            tokio::time::sleep(Duration::from_secs(5)).await;
            if let Some(failure) = self.failures.lock().expect("not poisoned").pop_front() {
                return Err(failure.to_owned());
            }
            let groups = {
                let mut world = self.cloud.world();
                if world.seen.load_balancer.is_none() {
                    let mut made = balancer(&[]);
                    made.arn = format!("{BALANCER}-{}", crate::clock::Clock::now(&*self.clock).as_second());
                    made.created_at = crate::clock::Clock::now(&*self.clock);
                    made.state = LoadBalancerState::Provisioning;
                    let groups = std::mem::take(&mut made.target_groups);
                    let old: Vec<TargetGroup> = std::mem::take(&mut world.seen.orphaned_target_groups);
                    world.seen.load_balancer = Some(made);
                    if old.is_empty() { groups } else { old }
                } else {
                    balancer(&[]).target_groups
                }
            };
            tokio::time::sleep(Duration::from_secs(30)).await;
            let mut world = self.cloud.world();
            let owner = policy().owner_tag;
            if let Some(balancer) = &mut world.seen.load_balancer {
                if balancer.target_groups.is_empty() {
                    balancer.target_groups = groups;
                }
                balancer.tags = Tags::from([(owner.key, owner.value)]);
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

fn failed(result: Result<Vec<Completed>, Failure>) -> Failure {
    match result {
        Ok(completed) => panic!("it came to its end: {completed:?}"),
        Err(failure) => failure,
    }
}

// ---- an evening ----

#[tokio::test(start_paused = true)]
async fn an_evening_leaves_what_was_before() {
    let platform = Platform::new(gone());
    let mut up = platform.way_up("u");
    let completed = perform(&mut up).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_up();
    assert_eq!(platform.cloud.world().service_tags, Tags::new(), "nobody has to find the signature");
    let phases: Vec<_> = completed.iter().map(|completed| completed.phase).collect();
    assert_eq!(phases, up.phases().iter().map(|bounded| bounded.phase).collect::<Vec<_>>());
    let report = up.report(completed);
    assert_eq!(report.dns_name, "p-jvb-nlb.elb.example");
    assert_eq!((report.tasks.len(), report.target_groups.len()), (1, 2));

    tokio::time::sleep(minutes(60)).await;
    let mut down = platform.way_down("d");
    let completed = perform(&mut down).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
    let bill = down.report(completed).bill;
    let hours = bill.hours_up.expect("it was seen");
    assert!((1.0..1.2).contains(&hours), "{hours}");
}

#[tokio::test(start_paused = true)]
async fn again_is_done_at_once_and_changes_nothing() {
    let platform = Platform::new(gone());
    platform.up().await;
    let writes = ["UpdateService", "RegisterTargets", "DeregisterTargets", "DeleteLoadBalancer"];
    let before = platform.cloud.calls_of(&writes).len();
    let began = Instant::now();
    let completed = perform(&mut platform.way_up("again")).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(began.elapsed() < seconds(5), "{:?}", began.elapsed());
    assert!(completed.iter().any(|completed| completed.phase == Phase::ServiceScaled && completed.skipped));
    platform.assert_up();
    assert_eq!(platform.cloud.calls_of(&writes).len(), before);

    perform(&mut platform.way_down("d")).await.unwrap_or_else(|failure| panic!("{failure}"));
    let completed = perform(&mut platform.way_down("e")).await.unwrap_or_else(|failure| panic!("{failure}"));
    let gone = completed.iter().find(|completed| completed.phase == Phase::LoadBalancerGone).expect("a phase");
    assert!(gone.skipped, "{gone:?}");
    platform.assert_down();
}

#[tokio::test(start_paused = true)]
async fn a_service_that_has_more_tasks_keeps_them() {
    let platform = Platform::new(gone());
    platform.up().await;
    platform.cloud.world().seen.service = Service::Found(Counts { desired: 3, running: 1, pending: 0 });
    perform(&mut platform.way_up("again")).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(platform.cloud.world().seen.readiness().desired, 3);
    assert_eq!(platform.cloud.world().seen.readiness().serving, 3, "it waits for all of them");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_writes_nothing_and_names_every_step() {
    let platform = Platform::new(gone());
    let steps = platform.way_up("u").dry_run().await.expect("nothing is in the way").join("\n");
    for step in ["run `terraform apply`", "desired count from 0 to 1", "healthy", "release the hold"] {
        assert!(steps.contains(step), "{steps}");
    }
    platform.up().await;
    let writes = ["UpdateService", "TagResource", "AddTags", "RemoveTags", "DeleteLoadBalancer"];
    let before = platform.cloud.calls_of(&writes).len();
    let steps = platform.way_down("d").dry_run().await.expect("nothing is in the way").join("\n");
    for step in ["desired count from 1 to 0", "delete p-jvb-nlb", "p-jvb-udp"] {
        assert!(steps.contains(step), "{steps}");
    }
    assert_eq!(platform.cloud.calls_of(&writes).len(), before);
}

// ---- failures ----

#[tokio::test(start_paused = true)]
async fn each_phase_that_fails_says_why_and_a_second_run_goes_on() {
    let cases = [
        (Manner::NeverActive, Phase::LoadBalancerActive, "p-jvb-nlb is provisioning"),
        (Manner::TasksCrash, Phase::TasksServing, "Essential container in task exited"),
        (Manner::TasksNeverStart, Phase::TasksServing, "0 of 1 task(s) serve"),
        (Manner::TargetsUnhealthy, Phase::TargetsHealthy, "unhealthy (Target.FailedHealthChecks)"),
    ];
    for (manner, phase, why) in cases {
        let platform = Platform::new(gone());
        platform.set(manner);
        let failure = failed(perform(&mut platform.way_up("u")).await);
        assert_eq!(failure.phase, phase, "{failure}");
        assert!(failure.why.contains(why), "{manner:?}: {failure}");
        assert!(
            failure.state.contains("load balancer p-jvb-nlb") && failure.advice.contains("jvb-watcher up"),
            "{failure}"
        );
        assert!(!platform.tags().contains_key(HOLD_UNTIL_TAG), "{manner:?}: a watcher may take it away");
        assert_ended(&platform.cloud.world().service_tags);
        platform.set(Manner::Good);
        perform(&mut platform.way_up("again")).await.unwrap_or_else(|failure| panic!("{manner:?}: {failure}"));
        platform.assert_up();
    }
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_ends_failed_is_taken_away_and_made_anew() {
    let platform = Platform::new(gone());
    platform.set(Manner::EndsFailed);
    let failure = failed(perform(&mut platform.way_up("u")).await);
    assert_eq!(failure.phase, Phase::LoadBalancerActive);
    assert!(failure.why.contains("jvb-watcher down"), "{failure}");
    platform.set(Manner::Good);
    perform(&mut platform.way_down("d")).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
    platform.up().await;
    platform.assert_up();
}

#[tokio::test(start_paused = true)]
async fn a_balancer_command_that_fails_is_told_with_its_words() {
    let platform = Platform::new(gone());
    let command = Terraform::failing(&platform, &["no subnets"]);
    let mut up = platform.way_up_with("u", command.clone(), None);
    let failure = failed(perform(&mut up).await);
    assert_eq!((failure.phase, failure.why.as_str()), (Phase::LoadBalancerMade, "no subnets"));
    let mut up = platform.way_up_with("again", command, None);
    perform(&mut up).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_up();
}

#[tokio::test(start_paused = true)]
async fn a_command_that_makes_another_balancer_is_told_from_one_that_works() {
    struct Nothing;
    impl BalancerCommand for Nothing {
        fn text(&self) -> String {
            "true".to_owned()
        }
        fn run<'a>(
            &'a self,
            _: &'a (dyn Fn(&str) + Sync),
            _: oneshot::Receiver<()>,
        ) -> BoxFuture<'a, Result<(), String>> {
            Box::pin(async { Ok(()) })
        }
    }
    let platform = Platform::new(gone());
    let failure = failed(perform(&mut platform.way_up_with("u", Some(Arc::new(Nothing)), None)).await);
    assert!(failure.why.contains("`true` succeeded, but there is no load balancer p-jvb-nlb"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_work_is_refused_before_anything_is_written() {
    let without_service = Observation { service: Service::Missing, ..gone() };
    let mut application = balancer(&[]);
    application.kind = LoadBalancerKind::Other("application".to_owned());
    let with_application = observation(Service::Found(Counts::default()), Vec::new(), Some(application));
    let cases = [
        (without_service, true, "no service p-service"),
        (gone(), false, "nothing to make it with"),
        (with_application, true, "type application"),
    ];
    for (seen, with_command, why) in cases {
        let platform = Platform::new(seen);
        let command = platform.terraform().filter(|_| with_command);
        let failure = failed(perform(&mut platform.way_up_with("u", command, None)).await);
        assert_eq!(failure.phase, Phase::Claimed);
        assert!(failure.why.contains(why), "{failure}");
        assert_eq!(platform.cloud.count("TagResource") + platform.cloud.count("AddTags"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn down_refuses_what_is_not_to_be_deleted_before_it_scales() {
    let mut foreign = balancer(&[]);
    foreign.tags.clear();
    let mut held = balancer(&[]);
    held.tags.insert(HOLD_UNTIL_TAG.into(), "2026-11-20T13:00:00Z".into());
    for (balancer, why) in [(foreign, "no tag Lifecycle=on-demand"), (held, "--force")] {
        let counts = Counts { desired: 1, running: 0, pending: 0 };
        let platform = Platform::new(observation(Service::Found(counts), Vec::new(), Some(balancer)));
        let failure = failed(perform(&mut platform.way_down("d")).await);
        assert_eq!(failure.phase, Phase::Claimed);
        assert!(failure.why.contains(why), "{failure}");
        assert_eq!(platform.cloud.count("UpdateService") + platform.cloud.count("TagResource"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn down_waits_for_tasks_that_do_not_stop_and_says_which() {
    let platform = Platform::new(gone());
    platform.up().await;
    platform.set(Manner::TasksNeverStop);
    let before = platform.cloud.count("ListTasks");
    let failure = failed(perform(&mut platform.way_down("d")).await);
    assert_eq!(failure.phase, Phase::TasksDrained);
    assert!(failure.why.contains("not stopped yet: 0000"), "{failure}");
    let looks = platform.cloud.count("ListTasks") - before;
    assert!((30..60).contains(&looks), "a wait of five minutes that grows rarer: {looks}");
    assert_eq!(platform.cloud.count("DeleteLoadBalancer"), 0, "a call may go on");
    platform.set(Manner::Good);
    perform(&mut platform.way_down("again")).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
}

#[test]
fn the_longer_a_wait_the_rarer_the_looks() {
    assert_eq!([0, 20, 50, 100, 600].map(|waited| pause_after(seconds(waited))), [2, 2, 5, 10, 10].map(seconds));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_aws_refuses_is_told_at_once() {
    let platform = Platform::new(gone());
    platform.up().await;
    platform.cloud.fail("DeleteLoadBalancer", ErrorKind::OperationNotPermitted, 1);
    let failure = failed(perform(&mut platform.way_down("d")).await);
    assert_eq!(failure.phase, Phase::LoadBalancerGone);
    assert!(failure.why.contains("deletion_protection"), "{failure}");
    perform(&mut platform.way_down("again")).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
}

#[tokio::test(start_paused = true)]
async fn throttling_and_an_aws_that_is_gone_for_a_minute_are_waited_out() {
    const OPERATIONS: [&str; 12] = [
        "DescribeServices",
        "ListTasks",
        "DescribeTasks",
        "DescribeLoadBalancers",
        "DescribeTargetGroups",
        "DescribeTags",
        "DescribeTargetHealth",
        "UpdateService",
        "TagResource",
        "AddTags",
        "RegisterTargets",
        "RemoveTags",
    ];
    for kind in [ErrorKind::Throttled, ErrorKind::Unavailable] {
        let platform = Platform::new(gone());
        for operation in OPERATIONS {
            platform.cloud.fail(operation, kind, 3);
        }
        platform.up().await;
        platform.assert_up();
        for operation in OPERATIONS.iter().chain(&["DeleteLoadBalancer", "DeleteTargetGroup", "UntagResource"]) {
            platform.cloud.fail(operation, kind, 3);
        }
        perform(&mut platform.way_down("d")).await.unwrap_or_else(|failure| panic!("{failure}"));
        platform.assert_down();
    }
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_missing_ends_it_and_is_named() {
    let platform = Platform::new(gone());
    platform.cloud.fail("UpdateService", ErrorKind::AccessDenied, 1);
    let failure = failed(perform(&mut platform.way_up("u")).await);
    assert_eq!(failure.phase, Phase::ServiceScaled);
    assert!(failure.why.contains("allow the action fake:UpdateService"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_does_not_answer_is_waited_for() {
    struct Page(Mutex<VecDeque<Result<String, String>>>);
    impl Probe for Page {
        fn url(&self) -> &str {
            "https://meet.example"
        }
        fn ask(&self) -> BoxFuture<'_, Result<String, String>> {
            let next = self.0.lock().expect("not poisoned").pop_front();
            Box::pin(async { next.unwrap_or_else(|| Err("it answers 503".to_owned())) })
        }
    }
    let platform = Platform::new(gone());
    let answers = VecDeque::from([Err("it answers 503".to_owned()), Ok("200".to_owned())]);
    let page: Arc<dyn Probe> = Arc::new(Page(Mutex::new(answers)));
    let mut up = platform.way_up_with("u", platform.terraform(), Some(page.clone()));
    let completed = perform(&mut up).await.unwrap_or_else(|failure| panic!("{failure}"));
    let last = completed.last().expect("phases");
    assert_eq!((last.phase, last.detail.as_str()), (Phase::UrlAnswering, "https://meet.example answers 200"));
    let failure = failed(perform(&mut platform.way_up_with("again", None, Some(page))).await);
    assert!(failure.why.contains("https://meet.example: it answers 503"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_balancer_deleted_under_up_is_told_and_made_anew_before_anything_depends_on_it() {
    let platform = Platform::new(gone());
    // Just after terraform has come to its end.
    let cloud = platform.cloud.clone();
    tokio::spawn(async move {
        tokio::time::sleep(seconds(60)).await;
        let mut world = cloud.world();
        world.seen.load_balancer = None;
    });
    platform.up().await;
    platform.assert_up();

    let cloud = platform.cloud.clone();
    platform.set(Manner::TasksNeverStart);
    cloud.world().seen.service = Service::Found(Counts { desired: 2, running: 1, pending: 0 });
    tokio::spawn(async move {
        tokio::time::sleep(seconds(60)).await;
        cloud.world().seen.load_balancer = None;
    });
    let failure = failed(perform(&mut platform.way_up("again")).await);
    assert!(failure.why.contains("deleted meanwhile"), "{failure}");
}

// ---- holds ----

#[tokio::test(start_paused = true)]
async fn the_balancer_is_held_as_soon_as_it_exists_and_again_after_terraform_has_wiped_the_tags() {
    let platform = Platform::new(gone());
    let mut up = platform.way_up("u");
    perform(&mut up).await.unwrap_or_else(|failure| panic!("{failure}"));
    let placed = platform.log.of("hold_placed");
    assert_eq!(placed.len(), 2, "once while terraform ran, once after it had reset the tags: {placed:?}");
    assert_eq!(placed[0]["held_by"], "up");
    assert_eq!(platform.log.of("hold_released").len(), 1);
    platform.assert_up();
}

#[tokio::test(start_paused = true)]
async fn a_hold_by_hand_is_left_to_the_hand() {
    let platform = Platform::new(gone());
    platform.up().await;
    let until = "2026-11-20T20:00:00.000Z".to_owned();
    let hold = |world: &mut World| {
        let balancer = world.seen.load_balancer.as_mut().expect("there is a balancer");
        balancer.tags.insert(HOLD_UNTIL_TAG.into(), until.clone());
    };
    hold(&mut platform.cloud.world());
    perform(&mut platform.way_up("again")).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(platform.tags().get(HOLD_UNTIL_TAG), Some(&until));

    let failure = failed(perform(&mut platform.way_down("d")).await);
    assert!(failure.why.contains("held by hand until 2026-11-20T20:00:00.000Z"), "{failure}");
    let mut forced = platform.way_down_with("f", None, HoldByHand::Break);
    perform(&mut forced).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_up_left_behind_is_taken_away_by_down() {
    let platform = Platform::new(gone());
    // Killed while it waits for the tasks.
    let killed = tokio::time::timeout(seconds(180), async { perform(&mut platform.way_up("u")).await }).await;
    assert!(killed.is_err(), "it was under way");
    assert!(platform.tags().contains_key(HOLD_UNTIL_TAG));
    let completed = perform(&mut platform.way_down("d")).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(completed[0].detail.contains("taking over from the `up`"), "{completed:?}");
    platform.assert_down();
}

#[tokio::test(start_paused = true)]
async fn a_foreign_balancer_is_used_but_never_tagged() {
    let mut foreign = balancer(&[]);
    foreign.tags.clear();
    let platform = Platform::new(observation(Service::Found(Counts::default()), Vec::new(), Some(foreign)));
    platform.up().await;
    assert_eq!(platform.tags(), Tags::new());
    assert_eq!(platform.cloud.count("AddTags"), 0);
}

// ---- beside a watcher ----

/// Runs a watcher beside, a look each five seconds.
async fn beside_a_watcher<T>(platform: &Platform, work: impl Future<Output = T>) -> T {
    let mut watcher = platform.watcher();
    let watch = async {
        loop {
            let _ = watcher.reconcile(&Hints::default()).await;
            tokio::time::sleep(seconds(5)).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = watch => unreachable!("it watches for ever"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_evening_beside_a_watcher() {
    let platform = Platform::new(gone());
    beside_a_watcher(&platform, async {
        platform.up().await;
        platform.assert_up();
        tokio::time::sleep(minutes(30)).await;
        platform.assert_up();
        perform(&mut platform.way_down("d")).await.unwrap_or_else(|failure| panic!("{failure}"));
        platform.assert_down();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_teardown_that_is_due_at_any_moment_is_held_off_or_gone_through_before_up_goes_on() {
    // The mark's grace ends somewhere within the first half minute of `up`.
    for due_in in (0..30).step_by(2) {
        let platform = Platform::new(gone());
        platform.up().await;
        platform.cloud.world().seen.service = Service::Found(Counts::default());
        tokio::time::sleep(minutes(2)).await;
        let marked_at = crate::clock::Clock::now(&*platform.clock) - seconds(60) + seconds(due_in);
        {
            let mut world = platform.cloud.world();
            let balancer = world.seen.load_balancer.as_mut().expect("there is a balancer");
            let mark = Tags::from([
                (IDLE_SINCE_TAG.to_owned(), rfc3339_millis(marked_at)),
                (LOAD_BALANCER_TAG.to_owned(), balancer.arn.clone()),
            ]);
            balancer.tags.extend(mark.clone());
            balancer.target_groups.iter_mut().for_each(|group| group.tags.extend(mark.clone()));
        }
        // A deletion is on its way for as long as a look is good.
        platform.cloud.delay("DeleteLoadBalancer", seconds(8));
        beside_a_watcher(&platform, async {
            perform(&mut platform.way_up("u")).await.unwrap_or_else(|failure| panic!("due in {due_in}: {failure}"));
            platform.assert_up();
            tokio::time::sleep(minutes(10)).await;
            platform.assert_up();
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_ends_lets_the_watcher_go_on() {
    let platform = Platform::new(gone());
    platform.up().await;
    {
        let mut world = platform.cloud.world();
        world.seen.service = Service::Found(Counts::default());
        let hold =
            Hold::for_duration(minutes(20), crate::clock::Clock::now(&*platform.clock), Holder::Up("dead".into()));
        world.seen.load_balancer.as_mut().expect("there is a balancer").tags.extend(hold.tags());
    }
    beside_a_watcher(&platform, async {
        tokio::time::sleep(minutes(19)).await;
        assert!(platform.cloud.world().seen.load_balancer.is_some(), "it is held");
        tokio::time::sleep(minutes(3)).await;
        assert!(platform.cloud.world().seen.load_balancer.is_none(), "the hold has ended, and the grace");
    })
    .await;
}

// ---- several at once, and cut off ----

#[tokio::test(start_paused = true)]
async fn of_two_ups_the_later_wins_and_the_earlier_says_so() {
    for apart in [0, 3, 20, 60, 150, 200] {
        let platform = Platform::new(gone());
        let (mut first, mut second) = (platform.way_up("first"), platform.way_up("second"));
        let later = async {
            tokio::time::sleep(seconds(apart) + Duration::from_millis(1)).await;
            perform(&mut second).await
        };
        let (first, second) = tokio::join!(perform(&mut first), later);
        second.unwrap_or_else(|failure| panic!("{apart} s apart: {failure}"));
        let failure = failed(first);
        assert!(matches!(failure.stop, Stop::Superseded(_)), "{apart} s apart: {failure}");
        assert!(failure.why.contains("superseded by another `up`"), "{failure}");
        platform.assert_up();
    }
}

#[tokio::test(start_paused = true)]
async fn of_up_and_down_the_later_wins() {
    for apart in [0, 3, 6, 20, 60, 150, 200] {
        let platform = Platform::new(gone());
        let (mut up, mut down) = (platform.way_up("u"), platform.way_down("d"));
        let later = async {
            tokio::time::sleep(seconds(apart) + Duration::from_millis(1)).await;
            perform(&mut down).await
        };
        let (up, down) = tokio::join!(perform(&mut up), later);
        let failure = failed(up);
        assert!(matches!(failure.stop, Stop::Superseded(_)), "{apart} s apart: {failure}");
        down.unwrap_or_else(|failure| panic!("{apart} s apart: {failure}"));
        platform.assert_down();
    }
    for apart in [0, 3, 10, 30, 34, 36, 40] {
        let platform = Platform::new(gone());
        platform.up().await;
        let (mut up, mut down) = (platform.way_up("u"), platform.way_down("d"));
        let later = async {
            tokio::time::sleep(seconds(apart) + Duration::from_millis(1)).await;
            perform(&mut up).await
        };
        let (down, up) = tokio::join!(perform(&mut down), later);
        up.unwrap_or_else(|failure| panic!("{apart} s apart: {failure}"));
        platform.assert_up();
        // It may have come to its end before.
        if let Err(failure) = down {
            assert!(matches!(failure.stop, Stop::Superseded(_)), "{apart} s apart: {failure}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_who_scales_by_hand_meanwhile_is_not_fought() {
    let platform = Platform::new(gone());
    platform.up().await;
    let by_hand = |desired: i32, after: u64| {
        let cloud = platform.cloud.clone();
        tokio::spawn(async move {
            tokio::time::sleep(seconds(after)).await;
            let mut world = cloud.world();
            if let Service::Found(counts) = &mut world.seen.service {
                counts.desired = desired;
            }
        });
    };
    by_hand(2, 10);
    let failure = failed(perform(&mut platform.way_down("d")).await);
    assert!(failure.why.contains("set the desired count to 2"), "{failure}");
    assert_eq!(platform.cloud.count("DeleteLoadBalancer"), 0);
    platform.set(Manner::TasksNeverStart);
    by_hand(0, 20);
    platform.cloud.world().seen.service = Service::Found(Counts { desired: 3, running: 2, pending: 0 });
    let failure = failed(perform(&mut platform.way_up("u")).await);
    assert!(failure.why.contains("set the desired count to 0"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_terraform_wipes_is_written_again() {
    let platform = Platform::new(gone());
    let cloud = platform.cloud.clone();
    tokio::spawn(async move {
        for _ in 0..30 {
            tokio::time::sleep(seconds(7)).await;
            cloud.world().service_tags.clear();
        }
    });
    platform.up().await;
    platform.assert_up();
    assert!(platform.cloud.count("TagResource") > 10);
}

#[tokio::test(start_paused = true)]
async fn up_cut_off_at_any_call_can_be_run_again_or_taken_down() {
    let calls = {
        let platform = Platform::new(gone());
        platform.up().await;
        platform.cloud.world().calls.len()
    };
    assert!(calls > 200, "{calls}");
    // In turn the one and the other: each kind of call comes by many times.
    for (cut, onward) in (1..calls).step_by(5).zip([Verb::Up, Verb::Down].into_iter().cycle()) {
        let platform = Platform::new(gone());
        cut_off(&platform, perform(&mut platform.way_up("cut")), cut).await;
        match onward {
            Verb::Up => {
                perform(&mut platform.way_up("b")).await.unwrap_or_else(|failure| panic!("{cut}: {failure}"));
                platform.assert_up();
            }
            Verb::Down => {
                let mut down = platform.way_down("b");
                let ended = perform(&mut down).await;
                // Groups that terraform has made without their balancer are nobody's to delete.
                ended.unwrap_or_else(|failure| panic!("{cut}: {failure}"));
                platform.assert_down();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn down_cut_off_at_any_call_can_be_run_again_or_turned_round() {
    let calls = {
        let platform = Platform::new(gone());
        platform.up().await;
        let before = platform.cloud.world().calls.len();
        perform(&mut platform.way_down("d")).await.unwrap_or_else(|failure| panic!("{failure}"));
        platform.cloud.world().calls.len() - before
    };
    assert!(calls > 50, "{calls}");
    for (cut, onward) in (1..calls).step_by(3).zip([Verb::Up, Verb::Down].into_iter().cycle()) {
        let platform = Platform::new(gone());
        platform.up().await;
        cut_off(&platform, perform(&mut platform.way_down("cut")), cut).await;
        match onward {
            Verb::Up => {
                perform(&mut platform.way_up("b")).await.unwrap_or_else(|failure| panic!("{cut}: {failure}"));
                platform.assert_up();
            }
            Verb::Down => {
                perform(&mut platform.way_down("b")).await.unwrap_or_else(|failure| panic!("{cut}: {failure}"));
                platform.assert_down();
            }
        }
    }
}

/// Drops the work before its n-th call from now, as SIGKILL would.
async fn cut_off<T>(platform: &Platform, work: impl Future<Output = T>, nth: usize) {
    let reached = Arc::new(tokio::sync::Notify::new());
    {
        let mut world = platform.cloud.world();
        let calls = world.calls.len() + nth;
        world.silent_after = Some((calls, reached.clone()));
    }
    tokio::select! {
        () = reached.notified() => {}
        _ = work => {}
    }
    platform.cloud.world().silent_after = None;
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_what_can_be_taken_over_and_stops_terraform_first() {
    for after in [1, 8, 30, 60, 180] {
        let platform = Platform::new(gone());
        let (setting, order) = platform.setting("u", platform.terraform());
        let mut up = Up::new(setting, aim(None));
        tokio::spawn(async move {
            tokio::time::sleep(seconds(after)).await;
            order.stop(crate::telemetry::log::StopReason::Sigint);
        });
        let failure = failed(perform(&mut up).await);
        assert!(matches!(failure.stop, Stop::Interrupted), "{failure}");
        assert!(!failure.advice.contains("mend"), "nothing is broken: {}", failure.advice);
        if failure.phase != Phase::LoadBalancerMade {
            assert_ended(&platform.cloud.world().service_tags);
        }
        if let Some(balancer) = &platform.cloud.world().seen.load_balancer {
            assert!(!balancer.tags.contains_key(HOLD_UNTIL_TAG), "after {after} s");
        }
        perform(&mut platform.way_up("again")).await.unwrap_or_else(|failure| panic!("after {after} s: {failure}"));
        platform.assert_up();
    }
}

// ---- terraform takes it away ----

struct Destroy {
    cloud: FakeAws,
    leaves: Vec<TargetGroup>,
}

impl BalancerCommand for Destroy {
    fn text(&self) -> String {
        "terraform destroy".to_owned()
    }

    fn run<'a>(&'a self, _: &'a (dyn Fn(&str) + Sync), _: oneshot::Receiver<()>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async {
            tokio::time::sleep(seconds(20)).await;
            let mut world = self.cloud.world();
            world.seen.load_balancer = None;
            world.seen.orphaned_target_groups.clone_from(&self.leaves);
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_destroys_it_runs_once_every_task_has_stopped() {
    let platform = Platform::new(gone());
    platform.up().await;
    let command = Arc::new(Destroy { cloud: platform.cloud.clone(), leaves: Vec::new() });
    let mut down = platform.way_down_with("d", Some(command), HoldByHand::Obey);
    perform(&mut down).await.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
    assert_eq!(platform.cloud.count("DeleteLoadBalancer"), 0);
    assert!(platform.log.of("target_deregistered").len() >= 2, "targets go as their task stops");
}

#[tokio::test(start_paused = true)]
async fn what_a_command_leaves_behind_is_named() {
    let platform = Platform::new(gone());
    platform.up().await;
    let left = platform.cloud.world().seen.load_balancer.as_ref().expect("a balancer").target_groups[0].clone();
    let command = Arc::new(Destroy { cloud: platform.cloud.clone(), leaves: vec![left] });
    let failure = failed(perform(&mut platform.way_down_with("d", Some(command), HoldByHand::Obey)).await);
    assert_eq!(failure.phase, Phase::NothingLeft);
    assert!(failure.why.contains("target group(s) p-jvb-udp"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn phases_are_told_as_log_lines() {
    let platform = Platform::new(gone());
    platform.up().await;
    let names =
        |event: &str| -> Vec<Value> { platform.log.of(event).iter().map(|line| line["phase"].clone()).collect() };
    assert_eq!(names("phase_started"), names("phase_completed"));
    assert_eq!(names("phase_started")[1], "load_balancer_made");
    assert_eq!(platform.log.of("command_output")[0]["text"], "Creating...");
    assert!(!platform.log.of("phase_waiting").is_empty());
}
