//! A worker that follows a service through its events. The sandbox's scheduler starts and stops the tasks, and its rule
//! routes their events to the queue; the tests send no messages.

use std::time::Duration;

use jvb_watcher_sandbox::world::{Incident, Settings, TaskView};

use crate::platform::{LoadBalancer, Platform, Started};
use crate::stage::Aws;
use crate::wait::eventually;
use crate::watcher::{Launch, Watcher};

/// A resync interval longer than any test: changes within it are due to events.
const NO_RESYNC: [&str; 2] = ["--resync-interval", "10m"];

/// Returns a platform with a load balancer, whose events are routed to the queue.
async fn platform_with_events() -> (Platform, LoadBalancer) {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    let load_balancer = platform.create_load_balancer().await;
    (platform, load_balancer)
}

/// Starts a worker that reconciles on events only.
async fn start_event_driven(platform: &Platform) -> Watcher {
    let watcher = Launch::run(platform).args(NO_RESYNC).args(["--idle-grace", "2s"]).start();
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;
    watcher
}

fn set(platform: &Platform, change: impl FnOnce(&mut Settings)) {
    platform.sandbox().with_world(|world, _| change(world.settings_mut()));
}

fn inject(platform: &Platform, incident: Incident) {
    platform.sandbox().with_world(|world, now| world.inject(incident, now)).expect("the task exists");
}

fn task(platform: &Platform, id: &str) -> TaskView {
    let tasks = platform.sandbox().with_world(|world, _| world.tasks());
    tasks.into_iter().find(|task| task.id == id).expect("the task exists")
}

/// Scales to two tasks and waits until they are registered.
async fn scale_to_two(platform: &Platform, load_balancer: &LoadBalancer) -> Vec<Started> {
    platform.set_desired(2).await;
    let tasks = platform.run_tasks(2).await;
    platform.wait_for_targets(load_balancer, &[&tasks[0].ip, &tasks[1].ip]).await;
    tasks
}

#[tokio::test]
async fn events_alone_drive_registration_and_teardown() {
    let (platform, load_balancer) = platform_with_events().await;
    let watcher = start_event_driven(&platform).await;
    let tasks = scale_to_two(&platform, &load_balancer).await;
    for group in &load_balancer.groups {
        for task in &tasks {
            let is_it = |line: &crate::watcher::Line| {
                line.text("task_id") == task.id && line.text("target_group") == group.name
            };
            assert!(watcher.wait_for_that("target_registered", is_it).await.number("latency_ms") >= 0);
        }
    }

    platform.set_desired(0).await;
    platform.wait_until_torn_down(&load_balancer).await;
    watcher.wait_for("teardown_completed").await;
    platform.wait_until_queue_empty().await;
    assert_eq!(platform.dead_letters().await, 0);
    watcher.assert_no_trouble();
    assert_eq!(watcher.stop().await, Some(0));
}

#[tokio::test]
async fn the_replacement_of_a_crashed_task_is_registered() {
    let (platform, load_balancer) = platform_with_events().await;
    let watcher = start_event_driven(&platform).await;
    let tasks = scale_to_two(&platform, &load_balancer).await;
    inject(
        &platform,
        Incident::CrashTask { service: platform.service(), task: Some(tasks[0].id.clone()), exit_code: 137 },
    );
    let replacement = platform.run_task().await;
    platform.wait_for_targets(&load_balancer, &[&tasks[1].ip, &replacement.ip]).await;
    watcher.assert_no_trouble();
}

#[tokio::test]
async fn a_task_with_a_spot_notice_is_deregistered_while_it_runs() {
    let (platform, load_balancer) = platform_with_events().await;
    set(&platform, |settings| {
        settings.tasks.capacity_provider = "FARGATE_SPOT".to_owned();
        settings.tasks.spot_notice = Duration::from_secs(120);
    });
    let watcher = start_event_driven(&platform).await;
    let tasks = scale_to_two(&platform, &load_balancer).await;
    inject(&platform, Incident::SpotNotice { service: platform.service(), task: Some(tasks[0].id.clone()) });
    let deregistered = watcher.wait_for("target_deregistered").await;
    assert_eq!(deregistered.text("task_id"), tasks[0].id);
    assert_eq!(deregistered.text("reason"), "task_stopping");
    assert_eq!(task(&platform, &tasks[0].id).last_status, "RUNNING", "it runs for two more minutes");
    eventually("only the other task is registered", async || {
        let targets = platform.targets(&load_balancer.groups[1]).await;
        let has = |task: &Started| targets.contains(&(task.ip.clone(), load_balancer.groups[1].port));
        (!has(&tasks[0]) && has(&tasks[1])).then_some(())
    })
    .await;
    watcher.assert_no_trouble();
}

#[tokio::test]
async fn a_draining_target_is_not_deregistered_again_and_does_not_delay_the_teardown() {
    let (platform, load_balancer) = platform_with_events().await;
    set(&platform, |settings| settings.load_balancers.draining = Duration::from_secs(3600));
    let watcher = Launch::quick(&platform).start();
    let tasks = scale_to_two(&platform, &load_balancer).await;
    platform.scale_down_to(1, &[&tasks[0]]).await;
    platform.wait_for_targets(&load_balancer, &[&tasks[1].ip]).await;
    let is_draining = || {
        let groups = platform.sandbox().with_world(|world, _| world.groups());
        groups.iter().all(|group| group.targets.iter().any(|it| it.id == tasks[0].ip && it.state == "draining"))
    };
    assert!(is_draining());
    watcher.wait_for_reconciliations(&platform.proxy, 3).await;
    assert!(is_draining());
    let deregistrations = platform.proxy.count("elasticloadbalancing:DeregisterTargets");
    assert_eq!(deregistrations, load_balancer.groups.len(), "one request for each group");

    platform.set_desired(0).await;
    platform.wait_until_torn_down(&load_balancer).await;
    watcher.assert_no_trouble();
}

#[tokio::test]
async fn a_lagging_ecs_delays_registration_without_errors() {
    let (platform, load_balancer) = platform_with_events().await;
    set(&platform, |settings| settings.ecs_lag = Duration::from_secs(2));
    let watcher = start_event_driven(&platform).await;
    platform.set_desired(1).await;
    let started = platform.run_task().await;
    platform.wait_for_targets(&load_balancer, &[&started.ip]).await;
    watcher.assert_no_trouble();
}

#[tokio::test]
async fn resyncs_replace_lost_events() {
    let (platform, load_balancer) = platform_with_events().await;
    set(&platform, |settings| settings.events.lost = 1.0);
    let watcher = Launch::quick(&platform).start();
    scale_to_two(&platform, &load_balancer).await;
    platform.set_desired(0).await;
    platform.wait_until_torn_down(&load_balancer).await;
    assert_eq!(platform.proxy.count("sqs:DeleteMessageBatch"), 0, "no message arrived");
    watcher.assert_no_trouble();
}
