//! Tasks that start before the load balancer is active.

use super::*;
use jvb_watcher_rules::model::BRIDGE_ADDRESS_TAG;

/// A platform without a load balancer whose service says what its bridge must know.
fn platform_with(bridge_address: &str) -> Platform {
    let platform = Platform::new(nothing());
    platform.cloud.world().service_tags.insert(BRIDGE_ADDRESS_TAG.to_owned(), bridge_address.to_owned());
    platform
}

fn desired(platform: &Platform) -> i32 {
    match platform.cloud.world().observed.service {
        Service::Found(counts) => counts.desired,
        Service::Missing => panic!("the service is missing"),
    }
}

/// Returns the state of the load balancer when the desired count is first above zero.
async fn state_when_scaled(platform: &Platform) -> (LoadBalancerState, usize) {
    loop {
        if desired(platform) > 0 {
            let load_balancer = platform.cloud.world().observed.load_balancer.clone().expect("a load balancer");
            return (load_balancer.state, load_balancer.target_groups.len());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_start_as_early_as_their_bridge_can() {
    for (bridge_address, expected) in [
        ("fixed", (LoadBalancerState::Provisioning, 0)),
        ("awaited", (LoadBalancerState::Provisioning, 2)),
        ("other", (LoadBalancerState::Active, 2)),
    ] {
        let platform = platform_with(bridge_address);
        let mut up = platform.up("u");
        let (ended, state) = tokio::join!(execute(&mut up), state_when_scaled(&platform));
        let completed = ended.unwrap_or_else(|failure| panic!("{bridge_address}: {failure}"));
        assert_eq!(state, expected, "{bridge_address}");
        let scaled = completed.iter().find(|completed| completed.phase == Phase::ServiceScaled).expect("a phase");
        assert!(!scaled.skipped && scaled.detail.starts_with("desired count from 0 to 1"), "{scaled:?}");
        let says_when = scaled.detail.contains(" at 2026-");
        assert_eq!(says_when, bridge_address != "other", "{scaled:?}");
        platform.assert_up();
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_does_not_become_active_leaves_no_tasks() {
    for bridge_address in ["fixed", "awaited"] {
        for behaviour in [Behaviour::NeverActive, Behaviour::EndsFailed] {
            let platform = platform_with(bridge_address);
            platform.set(behaviour);
            let failure = failed(execute(&mut platform.up("u")).await);
            assert_eq!(failure.phase, Phase::LoadBalancerActive, "{failure}");
            assert_eq!(desired(&platform), 0, "{bridge_address}, {behaviour:?}");
            assert!(failure.state.starts_with("0 desired"), "{failure}");
            assert_eq!(platform.cloud.calls_of(&["UpdateService"]).len(), 2, "{bridge_address}, {behaviour:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_start_leaves_no_tasks_and_a_second_run_completes() {
    for bridge_address in ["fixed", "awaited"] {
        for after in [10, 30, 90] {
            let platform = platform_with(bridge_address);
            let (context, order) = platform.context("u", platform.terraform());
            tokio::spawn(async move {
                tokio::time::sleep(seconds(after)).await;
                order.stop(StopReason::Sigint);
            });
            let failure = failed(execute(&mut Up::new(context, spec(None))).await);
            assert!(matches!(failure.error, OperationError::Interrupted), "{failure}");
            assert_eq!(desired(&platform), 0, "{bridge_address}, after {after} s");
            execute(&mut platform.up("again")).await.unwrap_or_else(|failure| panic!("{failure}"));
            platform.assert_up();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_command_leaves_no_tasks() {
    let platform = platform_with("fixed");
    let command = super::failure::Recorded::new(platform.terraform(), Err("no listeners"));
    let failure = failed(execute(&mut platform.up_with("u", Some(command), None)).await);
    assert_eq!((failure.phase, failure.reason.as_str()), (Phase::LoadBalancerMade, "no listeners"));
    assert_eq!(platform.cloud.calls_of(&["UpdateService"]).len(), 2, "it was raised, and set back");
    assert_eq!(desired(&platform), 0);
}

#[tokio::test(start_paused = true)]
async fn a_later_down_wins_over_an_early_start() {
    for bridge_address in ["fixed", "awaited"] {
        for apart in [0, 6, 20, 60, 120] {
            assert_later_down_wins(&platform_with(bridge_address), apart).await;
        }
    }
}

/// Tasks that clients can have reached stay, however `up` ends.
#[tokio::test(start_paused = true)]
async fn an_interruption_cuts_no_call_off() {
    let platform = Platform::new(observation(Service::Found(Counts::default()), Vec::new(), Some(load_balancer(&[]))));
    let (context, order) = platform.context("u", platform.terraform());
    let cloud = platform.cloud.clone();
    tokio::spawn(async move {
        tokio::time::sleep(seconds(5)).await;
        // It starts faster than any on AWS.
        let mut world = cloud.world();
        for task in &mut world.observed.tasks {
            task.last_status = LastStatus::Running;
        }
        world.observed.service = Service::Found(Counts { desired: 1, running: 1, pending: 0 });
        drop(world);
        order.stop(StopReason::Sigint);
    });
    let failure = failed(execute(&mut Up::new(context, spec(None))).await);
    assert_eq!(failure.phase, Phase::LoadBalancerMade, "{failure}");
    assert_eq!(desired(&platform), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_when_the_tasks_start() {
    for (bridge_address, when, is_before) in [
        ("fixed", "once p-jvb-nlb exists", true),
        ("awaited", "once p-jvb-nlb is complete", true),
        ("", "is active", false),
    ] {
        let steps = platform_with(bridge_address).up("u").dry_run().await.expect("it can succeed");
        let place = |text: &str| steps.iter().position(|step| step.contains(text)).expect("a step");
        let scale = place("set the desired count");
        assert!(steps[scale].ends_with(when), "{steps:?}");
        assert_eq!(scale < place("wait until p-jvb-nlb is active"), is_before, "{steps:?}");
    }
}
