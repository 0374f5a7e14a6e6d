//! `down` and `status` while callers use the platform: the sandbox reports their flows to CloudWatch, each minute and late.
//!
//! The platform has already served for half an hour when a test begins, since CloudWatch's minutes can't be made shorter.

use std::time::Duration;

use jiff::Timestamp;
use jvb_watcher_sandbox::api::{Request, ecs, elb};
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::platform::{self, PROJECT, load_balancer};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Incident, Settings, World};
use serde_json::{Value, json};

use crate::wait::eventually;
use crate::watcher::{Finished, Launch};

const MINUTE: Duration = Duration::from_secs(60);

/// The delay of CloudWatch's data points, where a test doesn't care.
const LATE: Duration = Duration::from_secs(120);

/// The ready-made platform with a call of two.
struct Stage {
    sandbox: Sandbox,
}

impl Stage {
    /// A platform whose call began 25 minutes ago and ended at an instant, if at all. CloudWatch shows each minute so long
    /// after its end.
    async fn new(ended_at: Option<Timestamp>, late: Duration) -> Self {
        let now = Timestamp::now();
        let mut settings = Settings::default();
        let (calls, idle_timeout) = (settings.calls.clone(), settings.load_balancers.udp_idle_timeout);
        settings = settings.scaled(200.0);
        settings.calls = calls;
        settings.calls.domain = Some("meet.jitsi.test".to_owned());
        settings.load_balancers.udp_idle_timeout = idle_timeout;
        settings.metrics.interval = MINUTE;
        (settings.metrics.earliest, settings.metrics.latest) = (late, late);
        let mut at = now - 30 * MINUTE;
        let mut world = World::new(settings, 1, at);
        platform::set_up(&mut world, at).expect("the platform can be created");
        load_balancer::create(&mut world, at).expect("the load balancer can be created");
        let mut advance = |world: &mut World, to: Timestamp| {
            at = to;
            world.step(at);
        };
        advance(&mut world, now - 29 * MINUTE);
        scale_to_one(&mut world, now - 29 * MINUTE);
        advance(&mut world, now - 28 * MINUTE);
        register(&mut world, now - 28 * MINUTE);
        advance(&mut world, now - 25 * MINUTE);
        world.inject(Incident::Callers { n: 2 }, now - 25 * MINUTE).expect("callers can join");
        if let Some(ended_at) = ended_at {
            advance(&mut world, ended_at);
            world.inject(Incident::Callers { n: 0 }, ended_at).expect("callers can leave");
        }
        advance(&mut world, Timestamp::now());
        let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
        let stage = Self { sandbox };
        assert_eq!(stage.callers_in_call(), if ended_at.is_some() { 0 } else { 2 });
        stage
    }

    fn launch(&self, command: &str) -> Launch {
        Launch::bare(command)
            .env("AWS_ENDPOINT_URL", self.sandbox.endpoint())
            .env("JITSI_PROJECT", PROJECT)
            .env("JITSI_AWS_REGION", "eu-west-1")
    }

    async fn down(&self, arguments: &[&str]) -> Finished {
        self.launch("down").args(arguments.iter().copied()).finish().await
    }

    async fn status(&self) -> Value {
        let finished = self.launch("status").args(["--stop-when-unused", "10m", "--output", "json"]).finish().await;
        serde_json::from_str(finished.stdout.trim()).unwrap_or_else(|_| panic!("no status: {}", finished.stderr))
    }

    fn callers_in_call(&self) -> usize {
        use jvb_watcher_sandbox::world::CallEvent;
        let callers = self.sandbox.with_world(|world, _| world.callers());
        callers.iter().filter(|caller| caller.state == CallEvent::Joined).count()
    }

    /// Asserts that the program has changed nothing, and that the call goes on.
    fn assert_untouched(&self) {
        let calls = self.sandbox.calls();
        let reads = |call: &&String| ["Describe", "List", "Get", "Test"].iter().any(|verb| call.contains(verb));
        let writes: Vec<_> = calls.keys().filter(|call| !reads(call)).collect();
        assert_eq!(writes, Vec::<&String>::new());
        assert_eq!(self.callers_in_call(), 2);
    }

    fn is_torn_down(&self) -> bool {
        self.sandbox.with_world(|world, _| world.load_balancers().is_empty() && world.groups().is_empty())
    }
}

pub fn scale_to_one(world: &mut World, now: Timestamp) {
    let update = ecs::UpdateServiceInput {
        cluster: Some(format!("{PROJECT}-cluster")),
        service: format!("{PROJECT}-service"),
        desired_count: Some(1),
        ..ecs::UpdateServiceInput::default()
    };
    world.call(Request::Ecs(ecs::Request::UpdateService(update)), now).expect("the service is scaled");
}

/// Registers the service's task in every target group, as a watcher does.
pub fn register(world: &mut World, now: Timestamp) {
    let id = world.tasks()[0].address.expect("a running task").to_string();
    for group in world.groups() {
        let target = elb::TargetDescription { id: id.clone(), ..elb::TargetDescription::default() };
        let targets = std::iter::once(target).collect();
        let input = elb::TargetsInput { target_group_arn: group.arn, targets };
        world.call(Request::Elb(elb::Request::RegisterTargets(input)), now).expect("the task is registered");
    }
}

/// Returns the last line of the log, which must be the failure of a phase, for a reason.
fn assert_failed(finished: &Finished, phase: &str, reason: &str) {
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    let last: Value = serde_json::from_str(finished.stderr.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&last["event"], &last["phase"]), (&json!("operation_failed"), &json!(phase)), "{last}");
    assert!(last["error"].as_str().is_some_and(|error| error.contains(reason)), "{reason}: {last}");
}

#[tokio::test]
async fn down_is_refused_while_callers_talk_unless_they_are_cut_off() {
    let stage = Stage::new(None, LATE).await;
    for arguments in [&[][..], &["--dry-run"], &["--force"]] {
        let finished = stage.down(arguments).await;
        assert_failed(&finished, "load_balancer_unused", "2 flow(s) in the minute ");
        assert!(finished.stderr.contains("jvb-watcher down --now"), "{}", finished.stderr);
    }
    let usage = stage.status().await["usage"].clone();
    assert_eq!((&usage["flows"], &usage["unused_since"], &usage["unknown"]), (&json!(2), &Value::Null, &Value::Null));
    let finished = stage.down(&["--when-unused=3s"]).await;
    assert_failed(&finished, "load_balancer_unused", "timed out after 3s: load balancer jitsi-jvb-nlb is in use");
    let finished = stage.down(&["--when-unused", "--no-usage"]).await;
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert_failed(&stage.down(&["--no-usage"]).await, "load_balancer_unused", "--no-usage");
    stage.assert_untouched();

    let finished = stage.down(&["--now"]).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(stage.is_torn_down());
    eventually("the call is cut off", async || (stage.callers_in_call() == 0).then_some(())).await;
}

#[tokio::test]
async fn down_fails_without_the_permission_to_ask() {
    let stage = Stage::new(None, LATE).await;
    let denied = json!({ "rules": [{
        "on": "cloudwatch:GetMetricData",
        "effect": { "kind": "error", "code": "AccessDenied", "status": 403, "message": "no" },
    }] });
    let plan = serde_json::from_value(denied).expect("a plan");
    stage.sandbox.faults(|faults| faults.set(plan)).expect("a valid plan");
    for arguments in [&[][..], &["--when-unused"]] {
        assert_failed(&stage.down(arguments).await, "load_balancer_unused", "cloudwatch:GetMetricData");
    }
    let status = stage.status().await;
    let unknown = status["usage"]["unknown"].as_str().expect("a reason");
    assert!(unknown.contains("cloudwatch:GetMetricData"), "{status}");
    stage.assert_untouched();
}

#[tokio::test]
async fn down_waits_until_cloudwatch_shows_that_all_have_left() {
    // The third minute without a flow ended at the edge of a minute, two to three minutes ago. CloudWatch shows it in a
    // moment. The load balancer remembers the flows for two minutes after the callers have left.
    let now = Timestamp::now();
    let edge = Timestamp::from_second(now.as_second().div_euclid(60) * 60).expect("an instant") - 2 * MINUTE;
    let late = Duration::try_from((now + Duration::from_secs(15)).duration_since(edge)).expect("it is later");
    let left_at = edge - 3 * MINUTE - LATE - Duration::from_secs(2);
    let stage = Stage::new(Some(left_at), late).await;
    let finished = stage.down(&["--when-unused=10m", "--output", "json"]).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(stage.is_torn_down());
    let lines = finished.stderr.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let of_phase: Vec<_> = lines.filter(|line| line["phase"] == "load_balancer_unused").collect();
    let events: Vec<_> = of_phase.iter().map(|line| line["event"].as_str().expect("an event")).collect();
    assert_eq!((events.first(), events.last()), (Some(&"phase_started"), Some(&"phase_completed")), "{events:?}");
    assert!(events.contains(&"phase_waiting"), "{events:?}");
    let since = format!("unused since {:.0}", edge - 3 * MINUTE);
    let result: Value = serde_json::from_str(finished.stdout.trim()).expect("one JSON object");
    let detail = result["phases"][0]["detail"].as_str().expect("a detail");
    assert!(detail.contains(&since), "{detail}");
}
