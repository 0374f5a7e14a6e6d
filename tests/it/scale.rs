//! Many tasks and many more events: one reconciliation for a whole batch.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;

use crate::platform::{MARK_LOAD_BALANCER, MARK_SINCE, Platform, REGION, TargetGroupSpec, udp};
use crate::proxy::Call;
use crate::seed::seed;
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::wait::eventually;
use crate::watcher::Launch;

on_moto_and_sandbox!(
    makes_fewer_than_three_hundred_calls_for_a_thousand_messages_about_a_hundred_tasks,
    describes_and_registers_many_tasks_in_batches,
    describes_the_tags_of_twenty_resources_a_call,
    reads_a_service_at_rest_with_one_call_a_reconciliation_and_the_service_with_every_fifth,
);

/// The operations by which the watcher observes.
const READS: [&str; 7] = [
    "ecs:ListTasks",
    "ecs:DescribeTasks",
    "ecs:DescribeServices",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetHealth",
];

/// The time in which the messages are handled, unless the machine is overloaded.
const USUAL_TIME: Duration = Duration::from_secs(20);

async fn makes_fewer_than_three_hundred_calls_for_a_thousand_messages_about_a_hundred_tasks(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    platform.set_desired(100).await;
    let tasks = platform.run_tasks(100).await;
    let (stopped, serving) = tasks.split_at(40);

    // The events that ECS would have sent about each task; the last one is its present state.
    let mut bodies = Vec::new();
    for task in &tasks {
        let running = platform.event_for(task).await;
        let mut add = |version: i64, last: &str, desired: &str| {
            let mut event = running.clone();
            event["detail"]["version"] = json!(version);
            event["detail"]["lastStatus"] = json!(last);
            event["detail"]["desiredStatus"] = json!(desired);
            bodies.push(event.to_string());
        };
        add(1, "PROVISIONING", "RUNNING");
        add(2, "PENDING", "RUNNING");
        add(3, "RUNNING", "RUNNING");
        if stopped.iter().any(|other| other.id == task.id) {
            add(4, "DEACTIVATING", "STOPPED");
            add(6, "STOPPED", "STOPPED");
        } else {
            add(4, "RUNNING", "RUNNING");
            add(5, "RUNNING", "RUNNING");
        }
    }
    platform.scale_down_to(60, &stopped.iter().collect::<Vec<_>>()).await;
    assert_eq!(bodies.len(), 500);
    bodies.extend(bodies.clone());
    Rng::with_seed(seed()).shuffle(&mut bodies);
    platform.send_all(&bodies).await;

    // Some of the stopped tasks are still registered.
    for task in &stopped[..5] {
        platform.register(&load_balancer, &task.ip).await;
    }

    let began = Instant::now();
    let watcher = Launch::run(&platform).start();
    eventually("the queue is empty", async || (platform.queue_depth().await == 0).then_some(())).await;
    for group in &load_balancer.groups {
        let wanted: BTreeSet<_> = serving.iter().map(|task| (task.ip.clone(), group.port)).collect();
        eventually("exactly the serving tasks are registered", async || {
            (platform.targets(group).await == wanted).then_some(())
        })
        .await;
    }
    let calls = platform.proxy.calls().len();
    // On an overloaded machine receiving takes longer, and a reconciliation of nine calls comes in between each half second.
    let overtime = began.elapsed().saturating_sub(USUAL_TIME);
    let allowed = 300 + 20 * usize::try_from(overtime.as_secs()).expect("a small number");
    println!("{calls} calls");
    assert!(calls < allowed, "{calls} calls of {allowed}:\n{}", platform.proxy.summary());
    watcher.assert_no_trouble();
    assert_eq!(watcher.stop().await, Some(0));
}

async fn describes_and_registers_many_tasks_in_batches(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    platform.set_desired(205).await;
    let tasks = platform.run_tasks(205).await;
    let watcher = Launch::run(&platform).start();
    for group in &load_balancer.groups {
        let wanted: BTreeSet<_> = tasks.iter().map(|task| (task.ip.clone(), group.port)).collect();
        eventually("every task is registered", async || (platform.targets(group).await == wanted).then_some(())).await;
    }
    // ECS accepts a hundred tasks a call; two hundred targets a call is a size that is known to work.
    for call in platform.proxy.calls_of("ecs:DescribeTasks") {
        let body: serde_json::Value = serde_json::from_str(&call.body).expect("ECS speaks JSON");
        assert!(body["tasks"].as_array().is_some_and(|tasks| tasks.len() <= 100));
    }
    for call in platform.proxy.calls_of("elasticloadbalancing:RegisterTargets") {
        let targets = call.text().matches(".Id=").count();
        assert!((1..=200).contains(&targets), "{targets} targets in a call");
    }
    watcher.assert_no_trouble();
}

async fn describes_the_tags_of_twenty_resources_a_call(aws: Aws) {
    const SUFFIXES: [&str; 24] = [
        "g00", "g01", "g02", "g03", "g04", "g05", "g06", "g07", "g08", "g09", "g10", "g11", "g12", "g13", "g14", "g15",
        "g16", "g17", "g18", "g19", "g20", "g21", "g22", "g23",
    ];
    let platform = Platform::on(aws).await;
    let arn = format!(
        "arn:aws:elasticloadbalancing:{REGION}:{}:loadbalancer/net/{}/50dc6c495c0c9188",
        platform.account,
        platform.load_balancer_name()
    );
    let since = (jiff::Timestamp::now() - jiff::SignedDuration::from_mins(3)).to_string();
    let mut last = None;
    for suffix in SUFFIXES {
        let group = platform.create_unused_target_group(TargetGroupSpec { suffix, ..udp() }).await;
        last = Some(group);
    }
    let last = last.expect("there are groups");
    platform.add_tag(&[&last.arn], MARK_SINCE, &since).await;
    platform.add_tag(&[&last.arn], MARK_LOAD_BALANCER, &arn).await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for("teardown_completed").await;
    assert!(!platform.target_group_exists(&last).await);
    for call in platform.proxy.calls_of("elasticloadbalancing:DescribeTags") {
        assert!(call.text().matches("ResourceArns.member.").count() <= 20, "AWS accepts twenty");
    }
    watcher.assert_no_trouble();
}

async fn reads_a_service_at_rest_with_one_call_a_reconciliation_and_the_service_with_every_fifth(aws: Aws) {
    let platform = Platform::on(aws).await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_reconciliations(&platform.proxy, 3).await;
    let first = platform.proxy.calls().len();
    watcher.wait_for_reconciliations(&platform.proxy, 11).await;
    let calls = platform.proxy.calls().split_off(first);
    let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).filter(|name| READS.contains(name)).collect();
    let of = |operation: &str| names.iter().filter(|name| **name == operation).count();
    let (load_balancers, services) = (of("elasticloadbalancing:DescribeLoadBalancers"), of("ecs:DescribeServices"));
    assert_eq!(load_balancers + services, names.len(), "{}", platform.proxy.summary());
    // At sixty reconciliations an hour these are 72 calls; 180 polls and 6 checks of the queue and the rule are besides.
    assert!(services <= load_balancers.div_ceil(5) + 1, "{services} of {load_balancers}");
    assert_eq!(platform.proxy.count("elasticloadbalancing:DescribeTargetGroups"), 1, "a process searches at its start");
    watcher.assert_no_trouble();
}

/// On moto only: the sandbox's ECS sends the task's events by itself, before the proxy delays anything.
#[tokio::test]
async fn registers_a_task_two_round_trips_after_its_event() {
    let platform = Platform::new().await;
    platform.create_load_balancer().await;
    platform.set_desired(1).await;
    let watcher = Launch::run(&platform).args(["--resync-interval", "10m"]).start();
    watcher.wait_for("reconciled").await;
    let task = platform.run_tasks(1).await.remove(0);
    // Reads side by side begin before the first of them is answered.
    for operation in READS {
        platform.proxy.on(operation).delay(Duration::from_millis(400));
    }
    let first = platform.proxy.calls().len();
    platform.send_event_for(&task).await;
    platform.proxy.wait_for_calls("elasticloadbalancing:RegisterTargets", 1).await;
    let calls = platform.proxy.calls().split_off(first);
    let is_read = |call: &&Call| READS.contains(&call.name.as_str());
    let mut reads: Vec<(&Call, usize)> = Vec::new();
    let after = |reads: &[(&Call, usize)], at: Instant| {
        reads
            .iter()
            .filter(|(read, _)| read.answered.is_some_and(|answered| answered <= at))
            .map(|(_, trips)| *trips)
            .max()
    };
    for call in calls.iter().filter(is_read) {
        let trips = after(&reads, call.at).unwrap_or_default() + 1;
        reads.push((call, trips));
    }
    let registered = calls.iter().find(|call| call.name == "elasticloadbalancing:RegisterTargets").expect("a call");
    assert_eq!(after(&reads, registered.at), Some(2), "{}", platform.proxy.summary());
    watcher.assert_no_trouble();
}

/// On moto only: it has no pages, so the proxy makes them, with tokens that the sandbox would reject. The sandbox has
/// pages of a hundred tasks: see `describes_and_registers_many_tasks_in_batches`.
#[tokio::test]
async fn reads_every_page_of_an_answer() {
    let platform = Platform::new().await;
    let load_balancer = platform.create_load_balancer().await;
    platform.set_desired(4).await;
    let tasks = platform.run_tasks(4).await;
    // Two tasks on the first and the rest on the second; no groups on the first and all on the
    // second.
    platform.proxy.on("ecs:ListTasks").rewrite(|request, text| {
        let mut answer: serde_json::Value = serde_json::from_str(&text).expect("ECS speaks JSON");
        let all = answer["taskArns"].as_array().expect("a list").clone();
        let (first, second) = all.split_at(all.len().min(2));
        if request.contains("nextToken") {
            answer["taskArns"] = json!(second);
        } else {
            answer["taskArns"] = json!(first);
            answer["nextToken"] = json!("more");
        }
        answer.to_string()
    });
    platform.proxy.on("elasticloadbalancing:DescribeTargetGroups").rewrite(|request, text| {
        if request.contains("Marker=more") {
            return text;
        }
        let (before, rest) = text.split_once("<TargetGroups>").expect("groups");
        let (_, after) = rest.rsplit_once("</TargetGroups>").expect("groups");
        format!("{before}<TargetGroups/><NextMarker>more</NextMarker>{after}")
    });
    let watcher = Launch::run(&platform).start();
    let addresses: Vec<&str> = tasks.iter().map(|task| task.ip.as_str()).collect();
    platform.wait_for_targets(&load_balancer, &addresses).await;
    watcher.assert_no_trouble();
}
