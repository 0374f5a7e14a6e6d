//! The calls of the adapter, counted against the sandbox.

use super::*;
use crate::aws::client::{AwsPlatform, connect_to_sandbox};
use jvb_watcher_sandbox::api::{Request, ecs, elb};
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::platform::{self, PROJECT};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Settings, World};

/// The calls of an hour besides those that reconcile: three polls a minute, the queue's settings, and a check of the event
/// source.
const OTHER_CALLS: u64 = 180 + 1 + 5;

/// The platform after an hour, without its load balancer.
fn world(change: impl FnOnce(&mut dyn FnMut(Request))) -> World {
    let made_at = Timestamp::now() - minutes(60);
    let mut world = World::new(Settings::default(), 1, made_at);
    platform::set_up(&mut world, made_at).expect("a platform");
    let mut call = |request: Request| drop(world.call(request, made_at).expect("an answer"));
    change(&mut call);
    world
}

fn target_group(name: String) -> Request {
    Request::Elb(elb::Request::CreateTargetGroup(elb::CreateTargetGroupInput {
        name,
        protocol: Some("UDP".to_owned()),
        port: Some("10000".to_owned()),
        vpc_id: Some("vpc-0a1b2c3d4e5f60718".to_owned()),
        target_type: Some("ip".to_owned()),
        ..Default::default()
    }))
}

/// A reconciler on a sandbox, and its clock.
async fn reconciler(world: World) -> (Sandbox, Reconciler<AwsPlatform>, Arc<FakeClock>) {
    let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let platform = AwsPlatform::new(&connect_to_sandbox(sandbox.endpoint(), "eu-west-1"));
    let clock = FakeClock::noon();
    let scope = Scope { cluster: format!("{PROJECT}-cluster"), service: format!("{PROJECT}-service") };
    let context = Context::new(scope, LogLines::default().log(clock.clone()), clock.clone());
    let policy =
        Policy { service: format!("{PROJECT}-service"), load_balancer: format!("{PROJECT}-jvb-nlb"), ..policy() };
    (sandbox, Reconciler::new(ReconcilerParts::new(platform, context, policy)), clock)
}

#[tokio::test]
async fn an_idle_hour_takes_fewer_than_three_hundred_calls_whatever_the_account_has() {
    for others in [0, 1_000] {
        let world = world(|call| (0..others).for_each(|number| call(target_group(format!("other-{number}")))));
        let (_sandbox, mut reconciler, clock) = reconciler(world).await;
        let mut hours = Vec::new();
        for _ in 0..2 {
            let before = reconciler.platform.calls().sent;
            for _ in 0..60 {
                reconciler.reconcile(&Hints::default()).await.expect("a reconciliation");
                clock.freeze(minutes(1));
            }
            hours.push(reconciler.platform.calls().sent - before + OTHER_CALLS);
        }
        println!("{others} target groups of others: {hours:?} calls an hour");
        assert!(hours[1] <= 260, "{others} target groups of others: {hours:?}");
        // The first hour has the search, with the tags of twenty groups a call.
        assert!(hours[0] <= 262 + 3 + others / 20, "{others} target groups of others: {hours:?}");
    }
}

#[tokio::test]
async fn an_observation_of_a_thousand_tasks_takes_at_most_thirty_calls() {
    let mut world = world(|call| {
        call(Request::Ecs(ecs::Request::UpdateService(ecs::UpdateServiceInput {
            cluster: Some(format!("{PROJECT}-cluster")),
            service: format!("{PROJECT}-service"),
            desired_count: Some(1_000),
            ..Default::default()
        })));
    });
    platform::load_balancer::create(&mut world, Timestamp::now() - minutes(30)).expect("a load balancer");
    let (_sandbox, reconciler, _) = reconciler(world).await;
    for observation in ["the first", "a further one"] {
        let before = reconciler.platform.calls().sent;
        let observed = reconciler.observe(&Hints::default()).await.expect("an observation").observation;
        let calls = reconciler.platform.calls().sent - before;
        println!("{observation}: {calls} calls");
        assert_eq!(observed.tasks.len(), 1_000);
        assert_eq!(observed.load_balancer.expect("a load balancer").target_groups.len(), 2);
        assert!(calls <= 30, "{observation}: {calls} calls");
    }
}
