//! `--stop-when-unused`, end to end: the built program against the sandbox, whose clock is set ahead minute by minute.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jvb_watcher_sandbox::api::{Request, Response, ecs};
use jvb_watcher_sandbox::faults::{FaultPlan, Faults};
use jvb_watcher_sandbox::platform::{self, PROJECT, load_balancer};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{CallEvent, Incident, Settings, World};
use serde_json::{Value, json};

use crate::callers::{register, scale_to_one};
use crate::wait::{PATIENCE, eventually};
use crate::watcher::{Launch, Line, Watcher};

const MINUTE: Duration = Duration::from_secs(60);

/// More minutes than any evening here takes after its last call.
const LAST_MINUTE: usize = 60;

/// The time without a call after which the watcher rests.
const REST: Duration = Duration::from_millis(100);

/// The factor by which everything but CloudWatch is faster than on AWS.
const TIME_SCALE: f64 = 200.0;

/// Every call of a stop for disuse and of the teardown after it: first the reads of an observation.
const CALLS: [&str; 11] = [
    "cloudwatch:GetMetricData",
    "elasticloadbalancing:AddTags",
    "cloudwatch:GetMetricData",
    "ecs:TagResource",
    "ecs:UpdateService",
    "ecs:UntagResource",
    "elasticloadbalancing:DeregisterTargets",
    "elasticloadbalancing:AddTags",
    "elasticloadbalancing:DeleteLoadBalancer",
    "elasticloadbalancing:DeleteTargetGroup",
    "elasticloadbalancing:DescribeLoadBalancers",
];

/// The ready-made platform on the sandbox.
struct Stage {
    sandbox: Sandbox,
}

impl Stage {
    /// A platform at zero tasks, with CloudWatch as late as on AWS.
    async fn new() -> Self {
        Self::with(settings(), Timestamp::now(), |_, _| {}).await
    }

    /// A platform that has served for half an hour, and whose callers left a quarter of an hour ago.
    async fn unused() -> Self {
        let mut settings = settings();
        settings.metrics.latest = settings.metrics.earliest;
        let now = Timestamp::now();
        let ago = |minutes: u32| now - minutes * MINUTE;
        Self::with(settings, ago(30), |world, at| {
            load_balancer::create(world, at).expect("the load balancer can be created");
            world.step(ago(29));
            scale_to_one(world, ago(29));
            world.step(ago(28));
            register(world, ago(28));
            world.inject(Incident::Callers { n: 2 }, ago(25)).expect("callers can join");
            world.inject(Incident::Callers { n: 0 }, ago(15)).expect("callers can leave");
            world.step(Timestamp::now());
        })
        .await
    }

    async fn with(settings: Settings, at: Timestamp, begin: impl FnOnce(&mut World, Timestamp)) -> Self {
        let mut world = World::new(settings, 1, at);
        platform::set_up(&mut world, at).expect("the platform can be created");
        begin(&mut world, at);
        let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
        Self { sandbox }
    }

    fn launch(&self, command: &str) -> Launch {
        Launch::bare(command)
            .env("AWS_ENDPOINT_URL", self.sandbox.endpoint())
            .env("JITSI_PROJECT", PROJECT)
            .env("JITSI_AWS_REGION", "eu-west-1")
    }

    fn watcher(&self) -> Watcher {
        self.launch("run").args(["--stop-when-unused", "5m", "--resync-interval", "1s", "--ecs-lag", "0s"]).start()
    }

    fn set_callers(&self, n: usize) {
        self.sandbox.with_world(|world, now| world.inject(Incident::Callers { n }, now)).expect("callers come and go");
    }

    fn callers_in_call(&self) -> usize {
        let callers = self.sandbox.with_world(|world, _| world.callers());
        callers.iter().filter(|caller| caller.state == CallEvent::Joined).count()
    }

    async fn wait_for_call(&self, callers: usize) {
        let what = format!("{callers} callers are in the call");
        eventually(&what, async || (self.callers_in_call() == callers).then_some(())).await;
    }

    fn calls(&self, operation: &str) -> u64 {
        self.sandbox.calls().get(operation).copied().unwrap_or_default()
    }

    /// Lets calls of an operation wait until the process that made them is gone.
    fn stall(&self, operation: &str) {
        self.set_faults(json!({ "rules": [{ "on": operation, "effect": { "kind": "latency", "least": "10m" } }] }));
    }

    fn set_faults(&self, plan: Value) {
        let plan: FaultPlan = serde_json::from_value(plan).expect("a plan");
        self.sandbox.faults(|faults| faults.set(plan)).expect("a valid plan");
    }

    /// Waits until a watcher has reconciled so many times and rests, or until the condition holds; returns whether it does.
    async fn reconciled_or(&self, times: usize, condition: &impl Fn() -> bool) -> bool {
        let began = Instant::now();
        for _ in 0..times {
            let observations = || self.calls("ecs:ListTasks");
            let (before, mut total, mut resting_since) = (observations(), 0, Instant::now());
            while observations() == before || resting_since.elapsed() < REST {
                if condition() {
                    return true;
                }
                assert!(began.elapsed() < PATIENCE, "nothing has reconciled");
                tokio::time::sleep(Duration::from_millis(10)).await;
                let calls = self.sandbox.calls().values().sum::<u64>();
                if calls != total {
                    (total, resting_since) = (calls, Instant::now());
                }
            }
        }
        condition()
    }

    /// Lets minutes pass until a condition holds, while a watcher works.
    async fn pass_until(&self, what: &str, condition: impl Fn() -> bool) {
        for _ in 0..LAST_MINUTE {
            // The first reconciliation after a minute passed at once still begins with the clock before it, and writes
            // nothing: its observation is a minute old.
            if self.reconciled_or(2, &condition).await {
                return;
            }
            self.sandbox.advance(MINUTE);
        }
        panic!("{LAST_MINUTE} minutes have passed before {what}");
    }

    /// Lets minutes pass while a watcher works.
    async fn pass(&self, minutes: usize) {
        for _ in 0..minutes {
            self.sandbox.advance(MINUTE);
            self.reconciled_or(1, &|| false).await;
        }
    }

    fn desired(&self) -> i32 {
        self.sandbox.with_world(|world, _| world.services()[0].desired)
    }

    /// Returns what is left that should be gone after the evening.
    fn left(&self) -> Vec<String> {
        self.sandbox.with_world(|world, now| {
            world.step(now);
            let load_balancers = world.load_balancers().into_iter().map(|load_balancer| load_balancer.name);
            let groups = world.groups().into_iter().map(|group| group.name);
            let services = world.services().into_iter();
            let services = services.filter(|service| (service.desired, service.running, service.pending) != (0, 0, 0));
            let queues = world.queues().into_iter().filter(|queue| queue.visible + queue.in_flight + queue.delayed > 0);
            let services = services.map(|service| service.name);
            load_balancers.chain(groups).chain(services).chain(queues.map(|queue| queue.name)).collect()
        })
    }

    async fn pass_until_nothing_is_left(&self) {
        self.pass_until("nothing is left", || self.left().is_empty()).await;
    }

    /// Returns the tags of the service that operations write.
    fn service_tags(&self) -> Vec<String> {
        let list = ecs::ResourceInput {
            resource_arn: format!("arn:aws:ecs:eu-west-1:111122223333:service/{PROJECT}-cluster/{PROJECT}-service"),
        };
        let request = Request::Ecs(ecs::Request::ListTagsForResource(list));
        let response = self.sandbox.with_world(|world, now| world.call(request, now)).expect("the service is there");
        let Response::Ecs(ecs::Response::ListTagsForResource(output)) = response else { panic!("{response:?}") };
        output.tags.into_iter().map(|tag| tag.key).filter(|key| key.starts_with("jvb-watcher:")).collect()
    }
}

/// AWS's settings, sped up, with a domain by which callers join. A stopped task is visible for an hour, as on AWS: the
/// minutes that pass at once are whole ones.
fn settings() -> Settings {
    let aws = Settings::default();
    let mut settings = aws.clone().scaled(TIME_SCALE);
    settings.tasks.stopped_visible = aws.tasks.stopped_visible;
    settings.calls.domain = Some("meet.jitsi.test".to_owned());
    settings
}

fn time(line: &Line, field: &str) -> Timestamp {
    line.text(field).parse().unwrap_or_else(|_| panic!("{field} is no time in {}", line.0))
}

async fn kill(mut watcher: Watcher) {
    watcher.signal("KILL");
    watcher.wait_exit().await;
}

#[tokio::test]
async fn an_evening_from_up_to_nothing_left_needs_no_other_command() {
    let stage = Stage::new().await;
    let watcher = stage.watcher();
    watcher.wait_for("reconciled").await;
    let started = watcher.wait_for("watcher_started").await;
    assert_eq!((&started["stop_when_unused_seconds"], &started["use_threshold"]), (&json!(300.0), &json!(1)));

    // The operator's command: terraform creates the load balancer.
    let desk = tempfile::tempdir().expect("the directory for temporary files is writable");
    let [wanted, created] = ["wanted", "created"].map(|name| desk.path().join(name));
    let command = format!("touch {}; until test -e {}; do sleep 0.05; done", wanted.display(), created.display());
    let up = stage.launch("up").args(["--balancer-command", &command]).finish();
    let create = async {
        eventually("up wants a load balancer", async || wanted.exists().then_some(())).await;
        stage.sandbox.with_world(load_balancer::create).expect("the load balancer can be created");
        std::fs::write(&created, "").expect("the directory is writable");
    };
    let (up, ()) = tokio::join!(up, create);
    assert_eq!(up.code, Some(0), "{}", up.stderr);

    // Callers come and go.
    stage.set_callers(3);
    stage.wait_for_call(3).await;
    stage.pass(5).await;
    stage.set_callers(0);
    stage.pass(7).await;
    stage.set_callers(2);
    stage.wait_for_call(2).await;
    stage.pass(8).await;
    assert_eq!(stage.callers_in_call(), 2);
    assert_eq!(watcher.events("service_stopped").len(), 0);
    let used = watcher.wait_for_that("reconciled", |line| line["flows"] == json!(2)).await;
    assert_eq!(used["unused_since"], Value::Null);

    // Everybody leaves.
    let left_at = stage.sandbox.clock().now();
    stage.set_callers(0);
    stage.pass_until_nothing_is_left().await;
    watcher.wait_for("teardown_completed").await;
    let order = watcher.order_of(&["stop_announced", "stop_withdrawn", "service_stopped", "teardown_completed"]);
    assert_eq!(order, ["stop_announced", "service_stopped", "teardown_completed"]);
    let (announced, stopped) = (watcher.wait_for("stop_announced").await, watcher.wait_for("service_stopped").await);
    assert!(time(&announced, "unused_since") >= left_at - MINUTE, "left at {left_at}: {}", announced.0);
    assert_eq!(stopped.number("desired_before"), 1);
    let unused = watcher.events("reconciled").into_iter().filter(|line| line["unused_since"].is_string());
    assert!(unused.count() > 3, "the log shows the time without use");
    assert_eq!(stage.sandbox.with_world(|world, _| world.call_counts().dropped), 0, "no call is cut off");
    assert_eq!(stage.service_tags(), Vec::<String>::new());
    assert_eq!(watcher.stop().await, Some(0));
}

#[tokio::test]
async fn a_hold_is_placed_and_released_on_a_machine_whose_clock_is_behind() {
    let stage = Stage::unused().await;
    stage.sandbox.advance(Duration::from_secs(40));
    for (arguments, answer) in [(["1h"].as_slice(), "is held until"), (&["--release"], "is no longer held")] {
        let finished = stage.launch("hold").args(arguments.iter().copied()).finish().await;
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert!(finished.stdout.contains(answer), "{}", finished.stdout);
    }
    assert_eq!(stage.calls("elasticloadbalancing:DescribeLoadBalancers"), 2, "each command observes once");
}

#[tokio::test]
async fn a_stop_converges_when_the_watcher_is_killed_at_each_of_its_calls() {
    let stage = Stage::unused().await;
    for operation in CALLS {
        let before = stage.calls(operation);
        stage.stall(operation);
        let watcher = stage.watcher();
        stage.pass_until(&format!("the watcher calls {operation}"), || stage.calls(operation) > before).await;
        kill(watcher).await;
        stage.set_faults(json!({}));
    }
    let last = stage.watcher();
    stage.pass_until_nothing_is_left().await;
    // A lease whose release was killed stays, and counts for nothing.
    assert_eq!(stage.service_tags(), ["jvb-watcher:operation"]);
    assert_eq!(stage.launch("up").args(["--balancer-command", "true", "--dry-run"]).finish().await.code, Some(0));
    assert_eq!(last.stop().await, Some(0));
}

#[tokio::test]
async fn a_stop_that_never_gets_an_answer_is_not_well() {
    let stage = Stage::unused().await;
    stage.stall("ecs:UpdateService");
    let watcher = stage.watcher();
    // Each attempt leaves its lease, so that the next one comes a window later.
    for attempts in [2, 3] {
        let attempt = || stage.calls("ecs:UpdateService") >= attempts;
        stage.pass_until(&format!("the watcher has tried {attempts} times to stop"), attempt).await;
    }
    let status = stage.launch("status").args(["--stop-when-unused", "5m"]).finish().await;
    assert_eq!(status.code, Some(3), "{}{}", status.stdout, status.stderr);
    assert!(status.stdout.contains("and not scaled to zero"), "{}", status.stdout);
    kill(watcher).await;
}

#[tokio::test]
async fn a_stop_whose_watcher_was_killed_is_withdrawn_when_callers_have_come() {
    for operation in ["ecs:TagResource", "ecs:UpdateService"] {
        let stage = Stage::unused().await;
        stage.stall(operation);
        let killed = stage.watcher();
        stage.pass_until(&format!("the watcher calls {operation}"), || stage.calls(operation) > 0).await;
        assert_eq!(killed.order_of(&["stop_announced", "service_stopped"]), ["stop_announced"]);
        kill(killed).await;
        stage.set_faults(json!({}));

        stage.set_callers(2);
        stage.wait_for_call(2).await;
        stage.sandbox.advance(5 * MINUTE);
        let next = stage.watcher();
        stage.pass(3).await;
        next.wait_for("stop_withdrawn").await;
        assert_eq!((stage.desired(), stage.callers_in_call()), (1, 2), "after a kill at {operation}");
        assert_eq!(stage.sandbox.with_world(|world, _| world.call_counts().dropped), 0);

        stage.set_callers(0);
        stage.pass_until_nothing_is_left().await;
        assert_eq!(next.stop().await, Some(0));
    }
}
