//! Real processes, killed, terminated and suspended at the worst moments: the built program against the sandbox over
//! HTTP.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use fastrand::Rng;
use jiff::Timestamp;
use jvb_watcher::controller::reconciler::OBSERVATION_VALID_FOR;
use jvb_watcher_sandbox::api::{ApiError, Request, Tag, ecs, elb, sqs};
use jvb_watcher_sandbox::faults::{FaultPlan, Faults};
use jvb_watcher_sandbox::platform::{self, PROJECT};
use jvb_watcher_sandbox::scenario::{Scenario, play};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{GroupView, Incident, Settings, TaskView, World};
use serde_json::{Value, json};

use crate::seed::seed;
use crate::wait::eventually;
use crate::watcher::{Launch, Watcher};

/// The number of times that the worker is killed in one evening.
const KILLS: usize = 50;

/// After so many kills a further worker lives until it has reconciled, which measures how fast the machine is.
const KILLS_PER_MEASUREMENT: usize = 10;

/// The longest life of a worker in that evening, in multiples of the time that its start and one reconciliation take on
/// this machine, and the bounds of that.
const LONGEST_LIFE: u32 = 6;
const LONGEST_LIFE_BOUNDS: (Duration, Duration) = (Duration::from_millis(460), Duration::from_millis(1_500));

/// Short enough for a message to reappear several times in an evening.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest `maxReceiveCount` of a redrive policy (see "RedrivePolicy" in the SQS API reference).
const LARGEST_MAX_RECEIVE_COUNT: u32 = 1_000;

/// A task that serves for less may be gone before any of the workers that are killed has observed it: this long, or on a
/// loaded machine as long as so many starts with a reconciliation take.
const UNSEEN: Duration = Duration::from_secs(3);
const UNSEEN_RECONCILIATIONS: u32 = 30;

/// The interval between two samples of the world.
const BETWEEN_SAMPLES: Duration = Duration::from_millis(10);

/// A scale-up, a crash, a Spot notice, another scale-up, and a scale-down to zero.
const EVENING: &str = r#"
title = "An evening with kills"
time-scale = 30

[world]
tasks = { stopping = "12s", deprovisioning = "9s" }
balancers = { provisioning = "30s", initial = "30s", draining = "1m" }

[[step]]
at = "200ms"
create-load-balancer = true
[[step]]
at = "400ms"
scale = 2
[[step]]
at = "3500ms"
act = { act = "crash-task", service = "jitsi-service" }
[[step]]
at = "5s"
act = { act = "spot-notice", service = "jitsi-service" }
[[step]]
at = "6s"
act = { act = "replay", n = 20 }
[[step]]
at = "6s"
scale = 3
[[step]]
at = "9s"
scale = 0
"#;

/// The state of a load balancer of another project, from its name to the addresses in its groups.
type Others = (Vec<(String, Vec<(String, String)>)>, Vec<(String, Vec<(String, String)>, Vec<String>)>);

/// A sandbox with the platform, and with the load balancer of another project.
struct Stage {
    sandbox: Sandbox,
    others: Others,
}

impl Stage {
    async fn new(settings: Settings) -> Self {
        let world = World::new(settings, 1, Timestamp::now());
        let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
        sandbox.with_world(platform::set_up).expect("the platform is made");
        sandbox.with_world(set_queue_attributes).expect("the queue takes the setting");
        sandbox.with_world(create_load_balancer_of_others).expect("another project has a load balancer too");
        let others = sandbox.with_world(|world, _| others(world));
        Self { sandbox, others }
    }

    /// Creates the load balancer and a task, and starts a worker that registers it.
    async fn in_use(settings: Settings, launch: impl FnOnce(Launch) -> Launch) -> (Self, Watcher) {
        let stage = Self::new(settings).await;
        stage.play("[[step]]\nat = \"0s\"\ncreate-load-balancer = true\n[[step]]\nat = \"0s\"\nscale = 1\n").await;
        let watcher = launch(stage.launch()).start();
        eventually("a task is healthy in both groups", async || {
            let groups = stage.sandbox.with_world(|world, now| {
                world.step(now);
                world.groups()
            });
            let healthy = groups.iter().filter(|group| group.targets.iter().any(|target| target.state == "healthy"));
            (healthy.count() == 2).then_some(())
        })
        .await;
        stage.wait_until_queue_empty().await;
        (stage, watcher)
    }

    /// Does the same with a worker that next reconciles at a message: it has found the targets healthy, and its resync
    /// interval is longer than a test.
    async fn in_use_at_rest(settings: Settings) -> (Self, Watcher) {
        let (stage, watcher) = Self::in_use(settings, |launch| launch.args(["--resync-interval", "10m"])).await;
        eventually("the worker has found both targets healthy", async || {
            let healthy = watcher.events("target_health_changed");
            (healthy.iter().filter(|line| line.text("to") == "healthy").count() == 2).then_some(())
        })
        .await;
        stage.wait_until_queue_empty().await;
        (stage, watcher)
    }

    fn launch(&self) -> Launch {
        Launch::bare("run")
            .env("JITSI_PROJECT", PROJECT)
            .env("JITSI_AWS_REGION", "eu-west-1")
            .env("AWS_ENDPOINT_URL", self.sandbox.endpoint())
            .env("JVB_WATCHER_RESYNC_INTERVAL", "1s")
            .env("JVB_WATCHER_IDLE_GRACE", "1s")
            .env("JVB_WATCHER_UNUSED_GRACE", "1m")
    }

    /// Returns how long a worker takes on this machine to start and to reconcile once.
    async fn time_of_first_reconciliation(&self) -> Duration {
        let began = Instant::now();
        let watcher = self.launch().start();
        watcher.wait_for("reconciled").await;
        let time = began.elapsed();
        terminate(watcher, AT_ONCE).await;
        time
    }

    async fn play(&self, steps: &str) {
        let scenario = Scenario::parse("steps", &format!("title = \"Steps\"\n{steps}")).expect("a scenario");
        play(&scenario, &self.sandbox, |_| Ok(())).await.expect("the sandbox accepts every step");
    }

    fn scale(&self, tasks: i32) {
        let input = ecs::UpdateServiceInput {
            cluster: Some(format!("{PROJECT}-cluster")),
            service: format!("{PROJECT}-service"),
            desired_count: Some(tasks),
            ..ecs::UpdateServiceInput::default()
        };
        let request = Request::Ecs(ecs::Request::UpdateService(input));
        self.sandbox.with_world(|world, now| world.call(request, now)).expect("the service is there");
    }

    fn replay_three_events(&self) {
        self.sandbox.with_world(|world, now| world.inject(Incident::Replay { n: 3 }, now)).expect("there were events");
    }

    fn fault(&self, rules: Value) {
        let plan: FaultPlan = serde_json::from_value(json!({ "rules": rules })).expect("a plan");
        self.sandbox.faults(|faults| faults.set(plan)).expect("a valid plan");
    }

    /// The numbers of the queue's messages that are visible, and that are in flight.
    fn queue(&self) -> (usize, usize) {
        self.sandbox.with_world(|world, now| {
            world.step(now);
            let queues = world.queues();
            let queue = queues.iter().find(|queue| queue.name == format!("{PROJECT}-jvb-watcher"));
            queue.map(|queue| (queue.visible, queue.in_flight)).expect("the queue is there")
        })
    }

    fn calls(&self, operation: &str) -> u64 {
        self.sandbox.calls().get(operation).copied().unwrap_or_default()
    }

    async fn wait_until_queue_empty(&self) {
        eventually("the queue is empty", async || (self.queue() == (0, 0)).then_some(())).await;
    }

    /// The load balancer and its groups are gone, no message is left in any queue, and the other project is as it was.
    async fn wait_until_nothing_is_left(&self, observer: &mut Observer) {
        let is_ours = |name: &str| name.starts_with(&format!("{PROJECT}-"));
        eventually("the load balancer and its groups are gone", async || {
            self.sandbox.with_world(|world, now| {
                world.step(now);
                observer.sample(world);
                let load_balancer = world.load_balancers().iter().any(|load_balancer| is_ours(&load_balancer.name));
                let group = world.groups().iter().any(|group| is_ours(&group.name));
                (!load_balancer && !group).then_some(())
            })
        })
        .await;
        self.wait_until_queue_empty().await;
        // Nothing takes a message out of the dead-letter queue.
        let left = self.sandbox.with_world(|world, _| {
            let queues = world.queues().into_iter();
            queues
                .map(|queue| (queue.name, queue.visible + queue.in_flight))
                .filter(|(_, left)| *left > 0)
                .collect::<Vec<_>>()
        });
        assert_eq!(left, [], "messages are left");
        self.assert_others_untouched();
    }

    fn assert_others_untouched(&self) {
        assert_eq!(self.sandbox.with_world(|world, _| others(world)), self.others, "the other project has changed");
    }
}

/// AWS's own settings, sped up by a factor.
fn faster(factor: f64) -> Settings {
    Settings::default().scaled(factor)
}

/// Shortens the visibility timeout, so that the messages of a killed worker return soon; and allows more receives than
/// there are kills. With fewer, SQS would move messages that only killed workers have received to the dead-letter queue.
fn set_queue_attributes(world: &mut World, now: Timestamp) -> Result<(), ApiError> {
    let Settings { endpoint, account, region, .. } = world.settings().clone();
    let redrive_policy = json!({
        "deadLetterTargetArn": format!("arn:aws:sqs:{region}:{account}:{PROJECT}-jvb-watcher-dlq"),
        "maxReceiveCount": LARGEST_MAX_RECEIVE_COUNT,
    });
    let input = sqs::SetQueueAttributesInput {
        queue_url: format!("{endpoint}/{account}/{PROJECT}-jvb-watcher"),
        attributes: [
            ("VisibilityTimeout".to_owned(), VISIBILITY_TIMEOUT.as_secs().to_string()),
            ("RedrivePolicy".to_owned(), redrive_policy.to_string()),
        ]
        .into(),
    };
    world.call(Request::Sqs(sqs::Request::SetQueueAttributes(input)), now).map(|_| ())
}

/// A load balancer that carries the owner tag, with a group and a target, and no user.
fn create_load_balancer_of_others(world: &mut World, now: Timestamp) -> Result<(), ApiError> {
    let tags = || [Tag { key: "Lifecycle".to_owned(), value: "on-demand".to_owned() }].into_iter().collect();
    let load_balancer = elb::CreateLoadBalancerInput {
        name: "others-jvb-nlb".to_owned(),
        r#type: Some("network".to_owned()),
        subnets: ["subnet-0a1b2c3d4e5f60718".to_owned()].into_iter().collect(),
        tags: tags(),
        ..elb::CreateLoadBalancerInput::default()
    };
    world.call(Request::Elb(elb::Request::CreateLoadBalancer(load_balancer)), now)?;
    let group = elb::CreateTargetGroupInput {
        name: "others-jvb-udp".to_owned(),
        protocol: Some("UDP".to_owned()),
        port: Some("10000".to_owned()),
        vpc_id: Some("vpc-0a1b2c3d".to_owned()),
        target_type: Some("ip".to_owned()),
        tags: tags(),
        ..elb::CreateTargetGroupInput::default()
    };
    world.call(Request::Elb(elb::Request::CreateTargetGroup(group)), now)?;
    let group = world.groups().into_iter().map(|group| group.arn).next().unwrap_or_default();
    let target = elb::TargetDescription { id: "10.9.9.9".to_owned(), ..elb::TargetDescription::default() };
    let input = elb::TargetsInput { target_group_arn: group, targets: [target].into_iter().collect() };
    world.call(Request::Elb(elb::Request::RegisterTargets(input)), now).map(|_| ())
}

fn others(world: &World) -> Others {
    let load_balancers =
        world.load_balancers().into_iter().filter(|load_balancer| load_balancer.name.starts_with("others-"));
    let groups = world.groups().into_iter().filter(|group| group.name.starts_with("others-"));
    let addresses = |group: &GroupView| group.targets.iter().map(|target| target.id.clone()).collect();
    (
        load_balancers.map(|load_balancer| (load_balancer.name, load_balancer.tags)).collect(),
        groups.map(|group| (group.name.clone(), group.tags.clone(), addresses(&group))).collect(),
    )
}

/// Samples the world while the workers run, and records violations.
#[derive(Default)]
struct Observer {
    tasks: BTreeMap<String, Served>,
    had_load_balancer: bool,
    /// The violations.
    violations: BTreeSet<String>,
}

/// A task that served.
struct Served {
    registered: bool,
    since: Instant,
    until: Instant,
}

impl Served {
    fn now() -> Self {
        Self { registered: false, since: Instant::now(), until: Instant::now() }
    }
}

impl Observer {
    fn sample(&mut self, world: &World) {
        let serving = serving(world);
        let name = format!("{PROJECT}-jvb-nlb");
        let has_load_balancer = world.load_balancers().iter().any(|load_balancer| load_balancer.name == name);
        let in_use = !serving.is_empty() || world.services().iter().any(|service| service.desired > 0);
        if self.had_load_balancer && !has_load_balancer && in_use {
            self.violations.insert("the load balancer was deleted while the service was in use".to_owned());
        }
        self.had_load_balancer = has_load_balancer;
        let groups: Vec<GroupView> =
            world.groups().into_iter().filter(|group| !group.load_balancers.is_empty()).collect();
        for (id, address) in serving {
            let address = address.to_string();
            let holds = |group: &GroupView| {
                group.targets.iter().any(|target| target.id == address && target.state != "draining")
            };
            let task = self.tasks.entry(id.clone()).or_insert_with(Served::now);
            task.until = Instant::now();
            let registered = !groups.is_empty() && groups.iter().all(holds);
            if task.registered && !registered {
                self.violations.insert(format!("task {id} was deregistered while it served"));
            }
            task.registered |= registered;
        }
    }

    async fn keep_sampling(&mut self, stage: &Stage) -> std::convert::Infallible {
        loop {
            stage.sandbox.with_world(|world, _| self.sample(world));
            tokio::time::sleep(BETWEEN_SAMPLES).await;
        }
    }

    fn assert_no_deletion(&self) {
        assert!(self.had_load_balancer, "the load balancer is gone");
    }

    /// Checks that there was no violation, and that each task was registered that served for longer than this.
    fn assert_no_violation(&self, unseen: Duration) {
        assert_eq!(self.violations, BTreeSet::new());
        let too_long = |task: &Served| !task.registered && task.until - task.since > unseen;
        let missed: Vec<&String> = self.tasks.iter().filter(|(_, task)| too_long(task)).map(|(id, _)| id).collect();
        assert!(missed.is_empty(), "served and were never registered: {missed:?}");
    }
}

/// The service's tasks that serve, with their addresses.
fn serving(world: &World) -> BTreeMap<String, Ipv4Addr> {
    let serves = |task: &TaskView| {
        (task.last_status, task.desired_status.as_str()) == ("RUNNING", "RUNNING")
            && task.group == format!("service:{PROJECT}-service")
    };
    let tasks = world.tasks().into_iter().filter(serves);
    tasks.filter_map(|task| task.address.map(|address| (task.id, address))).collect()
}

/// The addresses in the groups behind the load balancer, each group's.
fn registered(world: &World) -> Vec<BTreeSet<String>> {
    let groups = world.groups().into_iter().filter(|group| !group.load_balancers.is_empty());
    let addresses = |group: GroupView| {
        let targets = group.targets.into_iter().filter(|target| target.state != "draining");
        targets.map(|target| target.id).collect()
    };
    groups.map(addresses).collect()
}

/// Terminates a worker, and checks its exit status, the end of its log, and standard error.
async fn terminate(mut watcher: Watcher, bound: Duration) {
    watcher.signal("TERM");
    let status = watcher.wait_exit_within(bound).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(watcher.stderr(), "");
    assert_eq!(watcher.lines().iter().filter(|line| line.event() == "watcher_stopped").count(), 1);
}

/// Less than a long poll of twenty seconds, which the worker doesn't wait for.
const AT_ONCE: Duration = Duration::from_secs(19);

/// Less than the minute that a delayed reconciliation takes: the worker waits ten seconds for it, and up to ten more for
/// returning its messages.
const WITHIN_ITS_GRACE: Duration = Duration::from_secs(59);

#[tokio::test]
async fn does_its_whole_job_in_an_evening_of_fifty_kills() {
    let mut rng = Rng::with_seed(seed());
    let scenario = Scenario::parse("evening", EVENING).expect("a scenario");
    let stage = Stage::new(scenario.scaled_world()).await;
    let mut observer = Observer::default();
    // The load of the machine may change during the evening: so does the measure of how fast it is.
    let first_reconciliation = Cell::new(stage.time_of_first_reconciliation().await);

    let lives = async {
        for number in 0..KILLS {
            if number % KILLS_PER_MEASUREMENT == 0 {
                let began = Instant::now();
                let mut watcher = stage.launch().start();
                watcher.wait_for("reconciled").await;
                first_reconciliation.set(first_reconciliation.get().max(began.elapsed()));
                watcher.signal("KILL");
                watcher.wait_exit().await;
            }
            let longest_life = first_reconciliation.get() * LONGEST_LIFE;
            let longest_life = longest_life.clamp(LONGEST_LIFE_BOUNDS.0, LONGEST_LIFE_BOUNDS.1);
            let mut watcher = stage.launch().start();
            tokio::time::sleep(longest_life.mul_f64(rng.f64())).await;
            watcher.signal("KILL");
            watcher.wait_exit().await;
            watcher.assert_no_trouble();
            assert_eq!(watcher.stderr(), "");
        }
    };
    tokio::select! {
        (played, ()) = async { tokio::join!(play(&scenario, &stage.sandbox, |_| Ok(())), lives) } => {
            played.expect("the sandbox accepts every step");
        }
        never = observer.keep_sampling(&stage) => match never {},
    }
    let last = stage.launch().start();
    last.wait_for("watcher_started").await;
    stage.wait_until_nothing_is_left(&mut observer).await;
    observer.assert_no_violation(UNSEEN.max(first_reconciliation.get() * UNSEEN_RECONCILIATIONS));
    assert!(observer.tasks.len() >= 4, "{} tasks served", observer.tasks.len());
    last.assert_no_trouble();
    terminate(last, AT_ONCE).await;
}

#[tokio::test]
async fn loses_and_reverts_nothing_when_suspended_with_a_batch_in_flight() {
    let (stage, suspended) = Stage::in_use(faster(100.0), |launch| launch).await;
    let mut observer = Observer::default();
    // Slow enough to be suspended in the middle of a reconciliation with a batch in flight.
    stage.fault(json!([{ "on": "ecs:Describe*", "effect": { "kind": "latency", "least": "3s" } }]));
    stage.scale(2);
    eventually("a batch is in flight", async || (stage.queue().1 > 0).then_some(())).await;
    suspended.signal("STOP");
    let suspended_at = Instant::now();
    stage.fault(json!([]));

    // Meanwhile the platform changes, and another worker reconciles it.
    eventually("the batch is visible again", async || (stage.queue().0 > 0).then_some(())).await;
    stage.play("[[step]]\nat = \"0s\"\nact = { act = \"crash-task\", service = \"jitsi-service\" }\n").await;
    let other = stage.launch().start();
    let is_right = |world: &World| {
        let addresses: BTreeSet<String> = serving(world).values().map(Ipv4Addr::to_string).collect();
        addresses.len() == 2 && registered(world).iter().all(|group| *group == addresses)
    };
    let all_is_right = async |observer: &mut Observer| {
        eventually("two tasks serve, and they alone are registered", async || {
            stage.sandbox.with_world(|world, _| {
                observer.sample(world);
                is_right(world).then_some(())
            })
        })
        .await;
        stage.wait_until_queue_empty().await;
    };
    all_is_right(&mut observer).await;
    // Until the other worker has reconciled, nothing registers a task.
    let unseen = UNSEEN + suspended_at.elapsed();

    let before = stage.calls("ecs:DescribeServices");
    suspended.signal("CONT");
    terminate(other, AT_ONCE).await;
    eventually("the worker that was suspended has reconciled again", async || {
        stage.sandbox.with_world(|world, _| observer.sample(world));
        (stage.calls("ecs:DescribeServices") >= before + 3).then_some(())
    })
    .await;
    all_is_right(&mut observer).await;
    stage.scale(0);
    stage.wait_until_nothing_is_left(&mut observer).await;
    observer.assert_no_violation(unseen);
    stage.assert_others_untouched();
    terminate(suspended, AT_ONCE).await;
}

#[tokio::test]
async fn does_not_delete_after_a_suspension_before_the_deletion() {
    // Reconciles only when something is due.
    let quiet = |launch: Launch| launch.args(["--resync-interval", "10m", "--idle-grace", "15s"]);
    let (stage, suspended) = Stage::in_use(faster(100.0), quiet).await;
    let mut observer = Observer::default();
    stage.scale(0);
    suspended.wait_for("idle_marked").await;
    stage.wait_until_queue_empty().await;
    let before = stage.calls("ecs:DescribeServices");
    stage.fault(json!([{ "on": "elasticloadbalancing:Describe*", "effect": { "kind": "latency", "least": "2s" } }]));
    // The observation that finds the teardown due; then the second one, in the middle of its reads.
    eventually("the second observation is under way", async || {
        (stage.calls("ecs:DescribeServices") >= before + 2).then_some(())
    })
    .await;
    suspended.signal("STOP");
    let suspended_at = Instant::now();
    assert_eq!(stage.calls("elasticloadbalancing:DeleteLoadBalancer"), 0, "it was suspended too late");
    stage.fault(json!([]));

    stage.scale(1);
    eventually("a task serves", async || {
        stage.sandbox.with_world(|world, _| (!serving(world).is_empty()).then_some(()))
    })
    .await;
    // Until then an observation is valid, as docs/guarantees.md says.
    tokio::time::sleep((OBSERVATION_VALID_FOR + Duration::from_millis(100)).saturating_sub(suspended_at.elapsed()))
        .await;
    suspended.signal("CONT");
    eventually("the task is registered", async || {
        stage.sandbox.with_world(|world, _| observer.sample(world));
        observer.assert_no_deletion();
        observer.tasks.values().any(|task| task.registered).then_some(())
    })
    .await;
    assert_eq!(stage.calls("elasticloadbalancing:DeleteLoadBalancer"), 0);

    stage.scale(0);
    stage.wait_until_nothing_is_left(&mut observer).await;
    observer.assert_no_violation(UNSEEN);
    terminate(suspended, AT_ONCE).await;
}

#[tokio::test]
async fn stops_at_once_on_sigterm_while_it_polls() {
    let stage = Stage::new(faster(100.0)).await;
    let watcher = stage.launch().env("JVB_WATCHER_RESYNC_INTERVAL", "1m").start();
    watcher.wait_for("watcher_started").await;
    eventually("it waits for messages", async || (stage.calls("sqs:ReceiveMessage") > 0).then_some(())).await;
    terminate(watcher, AT_ONCE).await;
    stage.assert_others_untouched();
}

#[tokio::test]
async fn finishes_a_slow_reconciliation_on_sigterm_and_deletes_its_messages() {
    let (stage, watcher) = Stage::in_use(faster(100.0), |launch| launch).await;
    stage.fault(json!([{ "on": "ecs:DescribeServices", "effect": { "kind": "latency", "least": "1s" } }]));
    stage.replay_three_events();
    eventually("a batch is in flight", async || (stage.queue().1 > 0).then_some(())).await;
    terminate(watcher, WITHIN_ITS_GRACE).await;
    assert_eq!(stage.queue(), (0, 0), "the reconciliation succeeded, and its messages are deleted");
    stage.assert_others_untouched();
}

#[tokio::test]
async fn makes_the_messages_of_a_long_reconciliation_visible_on_sigterm() {
    let (stage, watcher) = Stage::in_use_at_rest(faster(100.0)).await;
    stage.fault(json!([{ "on": "ecs:DescribeServices", "effect": { "kind": "latency", "least": "1m" } }]));
    let before = stage.calls("ecs:DescribeServices");
    stage.replay_three_events();
    // Until the answer of a receive has arrived, the worker has no receipts to return.
    eventually("a batch is in flight, and its reconciliation has begun", async || {
        let (visible, in_flight) = stage.queue();
        let begun = stage.calls("ecs:DescribeServices") > before;
        (in_flight > 0 && visible + in_flight == 3 && begun).then_some(())
    })
    .await;
    terminate(watcher, WITHIN_ITS_GRACE).await;
    assert_eq!(stage.queue(), (3, 0), "the next worker can receive them at once");
    stage.assert_others_untouched();
}

#[tokio::test]
async fn makes_the_messages_visible_at_once_on_sigterm_while_aws_fails() {
    let (stage, watcher) = Stage::in_use_at_rest(faster(100.0)).await;
    let error = json!({ "kind": "error", "code": "InternalFailure", "status": 500 });
    stage.fault(json!([{ "on": "ecs:*", "effect": error }]));
    stage.replay_three_events();
    watcher.wait_for("reconcile_failed").await;
    eventually("a batch is in flight", async || {
        let (visible, in_flight) = stage.queue();
        (in_flight > 0 && visible + in_flight == 3).then_some(())
    })
    .await;
    terminate(watcher, AT_ONCE).await;
    assert_eq!(stage.queue(), (3, 0), "the next worker can receive them at once");
    stage.assert_others_untouched();
}

#[tokio::test]
async fn leaves_the_rest_of_a_teardown_to_the_next_worker_on_sigterm() {
    let (stage, watcher) = Stage::in_use(faster(100.0), |launch| launch).await;
    stage.fault(
        json!([{ "on": "elasticloadbalancing:DeleteLoadBalancer", "effect": { "kind": "latency", "least": "1s" } }]),
    );
    stage.scale(0);
    eventually("the deletion is sent", async || {
        (stage.calls("elasticloadbalancing:DeleteLoadBalancer") > 0).then_some(())
    })
    .await;
    terminate(watcher, WITHIN_ITS_GRACE).await;
    assert_eq!(stage.queue().1, 0, "no message is left in flight");

    let next = stage.launch().start();
    next.wait_for("watcher_started").await;
    stage.wait_until_nothing_is_left(&mut Observer::default()).await;
    next.assert_no_trouble();
    terminate(next, AT_ONCE).await;
}
