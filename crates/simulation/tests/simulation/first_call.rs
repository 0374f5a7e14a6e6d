//! The time from `up` to the first call, in the sandbox's seconds (docs/performance.md). Calls take no time here, so that
//! only AWS's own times count.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use tokio::sync::oneshot;
use tokio::time::Instant;

use jvb_watcher::operations::command::LoadBalancerCommand;
use jvb_watcher::operations::engine::execute;
use jvb_watcher::operations::up::{Spec, Up};
use jvb_watcher::telemetry::log::Verb;
use jvb_watcher_rules::model::BRIDGE_ADDRESS_TAG;
use jvb_watcher_rules::plan::samples::minutes;
use jvb_watcher_sandbox::api::{LowercaseTag, Request, ecs};
use jvb_watcher_sandbox::platform::PROJECT;
use jvb_watcher_simulation::command::{Terraform, context};
use jvb_watcher_simulation::day::{Day, Options, on_virtual_time};
use jvb_watcher_simulation::environment::{Actor, Environment, Network, Sender, State};
use jvb_watcher_simulation::operator::Operator;
use jvb_watcher_simulation::process::{Setup, Worker};

/// The interval at which the world is sampled.
const BETWEEN_SAMPLES: Duration = Duration::from_millis(20);

/// A run of `up`.
#[derive(Clone, Copy)]
struct Start {
    /// Whether the load balancer is active before.
    standing: bool,
    /// The load balancer command.
    command: Creation,
    /// The tag on the service that says what the bridge must know.
    bridge_address: &'static str,
    /// Whether a watcher runs beside `up`.
    watched: bool,
}

/// How the load balancer command creates the load balancer.
#[derive(Clone, Copy)]
enum Creation {
    /// It ends while the load balancer is provisioning.
    AtOnce,
    /// It creates the listeners when the load balancer is active, as Terraform does.
    Terraform,
}

/// The seconds from the start of `up` until something is so.
#[derive(Debug, PartialEq, Eq)]
struct Seconds {
    scaled: u64,
    registered: u64,
    active: u64,
    healthy: u64,
}

struct AtOnce(Operator);

impl LoadBalancerCommand for AtOnce {
    fn text(&self) -> String {
        "create".to_owned()
    }

    fn run<'a>(&'a self, _: &'a (dyn Fn(&str) + Sync), _: oneshot::Receiver<()>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { self.0.create_all().map_err(|error| error.to_string()) })
    }
}

impl Start {
    /// A start without a load balancer, as the sandbox's platform has it.
    const WITHOUT: Self = Self { standing: false, command: Creation::AtOnce, bridge_address: "awaited", watched: true };

    fn time(self) -> Seconds {
        on_virtual_time(async {
            let day = Day::quiet();
            let (environment, _process_faults) = Environment::new(&day, Options::default());
            let environment = Arc::new(environment);
            environment.with(|state, _| state.network = Network::INSTANT);
            let operator = Operator::new(environment.clone(), PROJECT);
            self.tag(&environment);
            if self.standing {
                operator.create_all().expect("nothing exists");
                tokio::time::sleep(minutes(5)).await;
            }
            let setup = Setup::new(environment.clone(), &day, None);
            let watcher = self.watched.then(|| Worker::start(std::slice::from_ref(&setup), 1, SignedDuration::ZERO));
            let command: Arc<dyn LoadBalancerCommand> = match self.command {
                Creation::AtOnce => Arc::new(AtOnce(operator)),
                Creation::Terraform => Arc::new(Terraform { operator, pace: Duration::ZERO }),
            };
            let spec = Spec {
                desired: 1,
                probe: None,
                create_limit: minutes(10),
                active_limit: minutes(10),
                serving_limit: minutes(10),
                registered_limit: minutes(10),
                healthy_limit: minutes(10),
                answer_limit: minutes(1),
            };
            let mut up = Up::new(context(&setup, 2, SignedDuration::ZERO, Verb::Up, Some(command)), spec);
            let (seconds, ended) = tokio::join!(observe(&environment), execute(&mut up));
            ended.expect("nothing fails");
            if let Some(watcher) = watcher {
                watcher.kill();
            }
            let violations = environment.with(|state, _| state.checkers.violations());
            assert_eq!(violations, []);
            seconds
        })
    }

    /// Sets the tag of the service.
    fn tag(self, environment: &Environment) {
        let resource_arn = environment.with(|state, _| {
            let settings = state.world.settings();
            format!("arn:aws:ecs:{}:{}:service/{PROJECT}-cluster/{PROJECT}-service", settings.region, settings.account)
        });
        let tag = LowercaseTag { key: BRIDGE_ADDRESS_TAG.to_owned(), value: self.bridge_address.to_owned() };
        let input = ecs::TagResourceInput { resource_arn, tags: vec![tag] };
        let request = Request::Ecs(ecs::Request::TagResource(input));
        let sender = Sender { actor: Actor::Operator, platform: environment.platform(PROJECT) };
        environment.perform(sender, &request).expect("the service exists");
    }
}

/// Samples the world until a target is healthy in every group.
async fn observe(environment: &Environment) -> Seconds {
    let began = Instant::now();
    let desires = |state: &mut State| state.world.services().iter().any(|service| service.desired > 0);
    let scaled = until(environment, began, desires).await;
    let has_target = |state: &mut State| state.world.groups().iter().any(|group| !group.targets.is_empty());
    let registered = until(environment, began, has_target);
    let is_active = |state: &mut State| state.world.load_balancers().iter().any(|found| found.state == "active");
    let active = until(environment, began, is_active);
    let is_healthy = |state: &mut State| {
        let groups = state.world.groups();
        let has_healthy = |targets: &[&str]| targets.contains(&"healthy");
        let states = groups.iter().map(|group| group.targets.iter().map(|target| target.state).collect::<Vec<_>>());
        !groups.is_empty() && states.into_iter().all(|states| has_healthy(&states))
    };
    let healthy = until(environment, began, is_healthy);
    let (registered, active, healthy) = tokio::join!(registered, active, healthy);
    Seconds { scaled, registered, active, healthy }
}

/// Waits until something is so; returns the whole seconds since then.
async fn until(environment: &Environment, began: Instant, is_so: impl Fn(&mut State) -> bool) -> u64 {
    while !environment.with(|state, _| is_so(state)) {
        tokio::time::sleep(BETWEEN_SAMPLES).await;
    }
    began.elapsed().as_secs()
}

/// The bars: 300 s without a load balancer, 195 s with one standing. They were 346 s, and 236 s.
#[test]
fn a_target_is_healthy_within_the_bars() {
    for watched in [true, false] {
        let without = Start { watched, ..Start::WITHOUT }.time();
        assert!(without.healthy <= 300, "{without:?}");
        let standing = Start { watched, standing: true, ..Start::WITHOUT }.time();
        assert!(standing.healthy <= 195, "{standing:?}");
    }
}

/// The first step by itself: the tasks start while the load balancer is provisioned.
#[test]
fn the_tasks_start_while_the_load_balancer_is_provisioned() {
    for bridge_address in ["awaited", "fixed"] {
        let seconds = Start { bridge_address, ..Start::WITHOUT }.time();
        assert_eq!(seconds, Seconds { scaled: 0, registered: 14, active: 120, healthy: 300 });
    }
    let seconds = Start { bridge_address: "", ..Start::WITHOUT }.time();
    assert!(seconds.scaled >= 120, "the bridge may need the address: {seconds:?}");
}

/// Terraform makes the record of the platform's name when the load balancer is active: only a bridge that needs no name
/// starts before.
#[test]
fn only_tasks_that_need_no_name_start_beside_terraform() {
    let start = Start { command: Creation::Terraform, ..Start::WITHOUT };
    let fixed = Start { bridge_address: "fixed", ..start }.time();
    assert!(fixed.scaled <= 2 && fixed.healthy <= 300 + 2, "{fixed:?}");
    let awaited = start.time();
    assert!(awaited.scaled >= 120 && awaited.healthy <= 314 + 2, "{awaited:?}");
}

/// The second step by itself: a task is registered 14 s after the desired count was set, when it has its address, instead of
/// 46 s after it, when it serves.
#[test]
fn a_starting_task_is_registered_when_it_has_its_address() {
    let seconds = Start { bridge_address: "", ..Start::WITHOUT }.time();
    assert_eq!(seconds.registered - seconds.scaled, 14, "{seconds:?}");
    assert_eq!(seconds.healthy - seconds.registered, 180, "{seconds:?}");
}

/// The third step by itself: the tasks start while `up` waits for observations from before its hold to become stale.
#[test]
fn the_tasks_of_a_standing_load_balancer_start_at_once() {
    for bridge_address in ["awaited", "fixed", ""] {
        let seconds = Start { standing: true, bridge_address, ..Start::WITHOUT }.time();
        assert_eq!((seconds.scaled, seconds.registered, seconds.healthy), (0, 14, 194), "{seconds:?}");
    }
}
