//! What only the sandbox can show: a service that lives by itself, its events on their own way to the queue, and the
//! worker that follows them. Nobody here starts a task, stops one or sends a message.

use std::time::Duration;

use jvb_watcher_sandbox::world::{Incident, Settings, TaskView};

use crate::platform::{LoadBalancer, Platform, Started};
use crate::stage::Aws;
use crate::wait::eventually;
use crate::watcher::{Launch, Watcher};

/// Longer than any test takes: what comes about before is due to an event.
const NO_RESYNC: [&str; 2] = ["--resync-interval", "10m"];

/// A platform whose events come by themselves, with a balancer.
async fn alive() -> (Platform, LoadBalancer) {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    let balancer = platform.create_load_balancer().await;
    (platform, balancer)
}

/// A worker that looks when an event says so, and hardly ever else.
async fn led_by_events(platform: &Platform) -> Watcher {
    let watcher = Launch::run(platform).args(NO_RESYNC).args(["--idle-grace", "2s"]).start();
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;
    watcher
}

fn set(platform: &Platform, change: impl FnOnce(&mut Settings)) {
    platform.sandbox().with_world(|world, _| change(world.settings_mut()));
}

fn act(platform: &Platform, act: Incident) {
    platform.sandbox().with_world(|world, now| world.inject(act, now)).expect("there is such a task");
}

fn task(platform: &Platform, id: &str) -> TaskView {
    let tasks = platform.sandbox().with_world(|world, _| world.tasks());
    tasks.into_iter().find(|task| task.id == id).expect("the task is there")
}

/// Two tasks, registered.
async fn two_serving(platform: &Platform, balancer: &LoadBalancer) -> Vec<Started> {
    platform.set_desired(2).await;
    let tasks = platform.run_tasks(2).await;
    platform.wait_for_targets(balancer, &[&tasks[0].ip, &tasks[1].ip]).await;
    tasks
}

#[tokio::test]
async fn a_service_is_followed_up_and_down_by_its_events_alone() {
    let (platform, balancer) = alive().await;
    let watcher = led_by_events(&platform).await;
    let tasks = two_serving(&platform, &balancer).await;
    for group in &balancer.groups {
        for task in &tasks {
            let is_it = |line: &crate::watcher::Line| {
                line.text("task_id") == task.id && line.text("target_group") == group.name
            };
            assert!(watcher.wait_for_that("target_registered", is_it).await.number("latency_ms") >= 0);
        }
    }

    platform.set_desired(0).await;
    platform.wait_until_torn_down(&balancer).await;
    watcher.wait_for("teardown_completed").await;
    platform.wait_until_queue_empty().await;
    assert_eq!(platform.dead_letters().await, 0);
    watcher.assert_no_trouble();
    assert_eq!(watcher.stop().await, Some(0));
}

#[tokio::test]
async fn a_task_that_crashes_is_replaced_in_the_groups() {
    let (platform, balancer) = alive().await;
    let watcher = led_by_events(&platform).await;
    let tasks = two_serving(&platform, &balancer).await;
    act(
        &platform,
        Incident::CrashTask { service: platform.service(), task: Some(tasks[0].id.clone()), exit_code: 137 },
    );
    let replacement = platform.run_task().await;
    platform.wait_for_targets(&balancer, &[&tasks[1].ip, &replacement.ip]).await;
    watcher.assert_no_trouble();
}

#[tokio::test]
async fn a_spot_notice_takes_the_task_out_while_it_still_runs() {
    let (platform, balancer) = alive().await;
    set(&platform, |settings| {
        settings.tasks.capacity_provider = "FARGATE_SPOT".to_owned();
        settings.tasks.spot_notice = Duration::from_secs(120);
    });
    let watcher = led_by_events(&platform).await;
    let tasks = two_serving(&platform, &balancer).await;
    act(&platform, Incident::SpotNotice { service: platform.service(), task: Some(tasks[0].id.clone()) });
    let deregistered = watcher.wait_for("target_deregistered").await;
    assert_eq!(deregistered.text("task_id"), tasks[0].id);
    assert_eq!(deregistered.text("reason"), "task_stopping");
    assert_eq!(task(&platform, &tasks[0].id).last_status, "RUNNING", "its calls go on for two minutes");
    eventually("the other one alone is left of the two", async || {
        let targets = platform.targets(&balancer.groups[1]).await;
        let has = |task: &Started| targets.contains(&(task.ip.clone(), balancer.groups[1].port));
        (!has(&tasks[0]) && has(&tasks[1])).then_some(())
    })
    .await;
    watcher.assert_no_trouble();
}

#[tokio::test]
async fn a_draining_target_is_left_to_drain_and_keeps_no_balancer() {
    let (platform, balancer) = alive().await;
    set(&platform, |settings| settings.load_balancers.draining = Duration::from_secs(3600));
    let watcher = Launch::quick(&platform).start();
    let tasks = two_serving(&platform, &balancer).await;
    platform.scale_down_to(1, &[&tasks[0]]).await;
    platform.wait_for_targets(&balancer, &[&tasks[1].ip]).await;
    let is_draining = || {
        let groups = platform.sandbox().with_world(|world, _| world.groups());
        groups.iter().all(|group| group.targets.iter().any(|it| it.id == tasks[0].ip && it.state == "draining"))
    };
    assert!(is_draining());
    watcher.wait_for_looks(&platform.proxy, 3).await;
    assert!(is_draining());
    let deregistrations = platform.proxy.count("elasticloadbalancing:DeregisterTargets");
    assert_eq!(deregistrations, balancer.groups.len(), "once is enough");

    platform.set_desired(0).await;
    platform.wait_until_torn_down(&balancer).await;
    watcher.assert_no_trouble();
}

#[tokio::test]
async fn an_ecs_that_lags_behind_its_events_is_waited_for() {
    let (platform, balancer) = alive().await;
    set(&platform, |settings| settings.ecs_lag = Duration::from_secs(2));
    let watcher = led_by_events(&platform).await;
    platform.set_desired(1).await;
    let started = platform.run_task().await;
    platform.wait_for_targets(&balancer, &[&started.ip]).await;
    watcher.assert_no_trouble();
}

#[tokio::test]
async fn when_no_event_arrives_the_next_look_finds_what_happened() {
    let (platform, balancer) = alive().await;
    set(&platform, |settings| settings.events.lost = 1.0);
    let watcher = Launch::quick(&platform).start();
    two_serving(&platform, &balancer).await;
    platform.set_desired(0).await;
    platform.wait_until_torn_down(&balancer).await;
    assert_eq!(platform.proxy.count("sqs:DeleteMessageBatch"), 0, "there was no message");
    watcher.assert_no_trouble();
}
