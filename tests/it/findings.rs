//! Findings about what the service runs, and ECS's events that explain them.

#[cfg(feature = "sandbox")]
use std::time::Duration;

use serde_json::{Value, json};

use crate::platform::{LoadBalancer, Platform};
use crate::stage::{Aws, on_moto_and_sandbox};
#[cfg(feature = "sandbox")]
use crate::wait::eventually;
#[cfg(feature = "sandbox")]
use crate::watcher::Watcher;
use crate::watcher::{Launch, Line};

on_moto_and_sandbox!(
    reports_several_bridges_until_one_is_left,
    reports_no_several_bridges_where_they_are_allowed,
    reports_a_pinned_address_that_the_load_balancer_does_not_have,
    reports_no_pinned_address_while_the_load_balancers_are_unknown,
    registers_without_permission_to_read_task_definitions,
    reconciles_for_an_event_about_the_service_and_for_no_others,
    status_shows_the_findings,
);

/// An address that no load balancer of a test has (TEST-NET-3, RFC 5737).
const PINNED: &str = "203.0.113.9";

/// The load balancer's address, as the proxy shows it.
const ADDRESS: &str = "203.0.113.1";

async fn two_tasks(platform: &Platform) -> (LoadBalancer, Vec<crate::platform::Started>) {
    let load_balancer = platform.create_load_balancer().await;
    platform.set_desired(2).await;
    (load_balancer, platform.run_tasks(2).await)
}

async fn reports_several_bridges_until_one_is_left(aws: Aws) {
    let platform = Platform::on(aws).await;
    let (load_balancer, tasks) = two_tasks(&platform).await;
    let watcher = Launch::quick(&platform).start();
    let finding = watcher.wait_for_finding("several_bridges", "raised").await;
    assert_eq!(finding.text("subject"), format!("{}-jvb-udp", platform.project));
    assert!(finding.text("detail").starts_with("2 tasks serve behind its UDP listener"), "{finding:?}");
    assert!(finding.text("advice").contains("--allow-several-bridges"), "{finding:?}");
    platform.wait_for_targets(&load_balancer, &[&tasks[0].ip, &tasks[1].ip]).await;
    platform.scale_down_to(1, &[&tasks[0]]).await;
    watcher.wait_for_finding("several_bridges", "cleared").await;
    let of_group = watcher.events("finding").into_iter().filter(|line| line.text("finding") == "several_bridges");
    assert_eq!(of_group.count(), 2, "the TCP group may have several targets");
    watcher.assert_no_trouble();
}

async fn reports_no_several_bridges_where_they_are_allowed(aws: Aws) {
    let platform = Platform::on(aws).await;
    let (load_balancer, tasks) = two_tasks(&platform).await;
    let watcher = Launch::quick(&platform).env("JVB_WATCHER_ALLOW_SEVERAL_BRIDGES", "true").start();
    platform.wait_for_targets(&load_balancer, &[&tasks[0].ip, &tasks[1].ip]).await;
    let reconciled = watcher.wait_for_that("reconciled", |line| line.number("serving") == 2).await;
    assert_eq!(reconciled.number("findings"), 0);
    let finished = Launch::new(&platform, "reconcile").args(["--allow-several-bridges"]).finish().await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(!finished.stderr.contains("several_bridges"), "{finished:#?}");
}

/// Shows the load balancer's address in DescribeLoadBalancers, as AWS does for an Elastic IP address.
fn show_address(platform: &Platform) {
    let address = format!(
        "<AvailabilityZones><member><ZoneName>eu-central-1a</ZoneName><LoadBalancerAddresses><member><IpAddress>\
         {ADDRESS}</IpAddress></member></LoadBalancerAddresses></member></AvailabilityZones>"
    );
    platform.proxy.on("elasticloadbalancing:DescribeLoadBalancers").rewrite(move |_, text| {
        let zones = text.split_once("<AvailabilityZones>").zip(text.split_once("</AvailabilityZones>"));
        match zones {
            Some(((before, _), (_, after))) => format!("{before}{address}{after}"),
            // An answer without a load balancer.
            None => text,
        }
    });
}

async fn reports_a_pinned_address_that_the_load_balancer_does_not_have(aws: Aws) {
    let pinned = format!("{ADDRESS}#10000,{PINNED}#10000");
    let platform = Platform::advertising(aws, &pinned).await;
    show_address(&platform);
    platform.create_load_balancer().await;
    platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    let finding = watcher.wait_for_finding("advertised_address_mismatched", "raised").await;
    assert_eq!(finding.text("subject"), format!("{}-jvb:1", platform.project));
    assert_eq!(
        finding.text("detail"),
        format!(
            "JVB_ADVERTISE_IPS of its container jvb has {PINNED}; load balancer {} has {ADDRESS}",
            platform.load_balancer_name()
        )
    );
    platform.proxy.wait_for_calls("ecs:DescribeServices", 4).await;
    assert_eq!(platform.proxy.count("ecs:DescribeTaskDefinition"), 1, "a revision never changes");
    watcher.assert_no_trouble();
}

async fn reports_no_pinned_address_while_the_load_balancers_are_unknown(aws: Aws) {
    let platform = Platform::advertising(aws, PINNED).await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    // The emulators' load balancers show no address, and their DNS names don't resolve.
    let watcher = Launch::quick(&platform).start();
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    platform.proxy.wait_for_calls("ecs:DescribeTaskDefinition", 1).await;
    platform.proxy.wait_for_calls("ecs:DescribeServices", 4).await;
    assert!(watcher.events("finding").is_empty(), "{:?}", watcher.events("finding"));
    watcher.assert_no_trouble();
}

async fn registers_without_permission_to_read_task_definitions(aws: Aws) {
    let platform = Platform::advertising(aws, PINNED).await;
    show_address(&platform);
    platform.proxy.on("ecs:DescribeTaskDefinition").error(400, "AccessDeniedException", "no");
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    let failed = watcher.wait_for("finding_check_failed").await;
    assert_eq!((failed.text("finding"), failed.text("level")), ("advertised_address_mismatched", "WARN"));
    assert!(failed.text("error").contains("allow the action ecs:DescribeTaskDefinition on it"), "{failed:?}");
    platform.proxy.wait_for_calls("ecs:DescribeServices", 5).await;
    // Moto answers GetMetricData in XML, so the usage can't be read there.
    let is_of_this = |line: &&Line| line.text("finding") == "advertised_address_mismatched";
    assert_eq!(watcher.events("finding_check_failed").iter().filter(is_of_this).count(), 1, "it is logged once");
    assert!(watcher.events("finding").is_empty(), "{:?}", watcher.events("finding"));
    watcher.assert_no_trouble();
}

/// Returns an event about a service, as ECS sends it.
fn service_event(platform: &Platform, service_arn: &str, name: &str) -> Value {
    let mut event: Value =
        serde_json::from_str(include_str!("../../fixtures/events/service-task-placement-failure.json")).expect("JSON");
    event["time"] = json!(jiff::Timestamp::now().to_string());
    event["resources"] = json!([service_arn]);
    event["detail"]["clusterArn"] = json!(platform.cluster_arn());
    event["detail"]["eventName"] = json!(name);
    event
}

async fn reconciles_for_an_event_about_the_service_and_for_no_others(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.create_load_balancer().await;
    let watcher = Launch::run(&platform).args(["--resync-interval", "10m"]).start();
    watcher.wait_for("reconciled").await;
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;
    let before = platform.proxy.count("ecs:DescribeServices");
    let (own, other) = (platform.service_arn(), format!("{}-2", platform.service_arn()));
    for (service, name) in [(&other, "SERVICE_TASK_PLACEMENT_FAILURE"), (&own, "SERVICE_STEADY_STATE")] {
        platform.send(&service_event(&platform, service, name)).await;
    }
    platform.wait_until_queue_empty().await;
    assert_eq!(platform.proxy.count("ecs:DescribeServices"), before, "they are foreign");
    platform.send(&service_event(&platform, &own, "SERVICE_TASK_PLACEMENT_FAILURE")).await;
    platform.proxy.wait_for_calls("ecs:DescribeServices", before + 1).await;
    platform.wait_until_queue_empty().await;
    // Nothing is desired, so the event has nothing to explain.
    assert!(watcher.events("finding").is_empty(), "{:?}", watcher.events("finding"));
    watcher.assert_no_trouble();
}

async fn status_shows_the_findings(aws: Aws) {
    let platform = Platform::advertising(aws, PINNED).await;
    show_address(&platform);
    two_tasks(&platform).await;
    let finished = Launch::new(&platform, "status").args(["--output", "json"]).finish().await;
    assert_eq!(finished.code, Some(3), "not well: {finished:#?}");
    let status: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let names: Vec<_> = status["findings"].as_array().expect("findings").iter().map(|of| &of["finding"]).collect();
    assert_eq!(names[..2], ["several_bridges", "advertised_address_mismatched"], "{status:#}");
}

/// A service in the sandbox, whose events reach the watcher.
#[cfg(feature = "sandbox")]
async fn watched(incident: jvb_watcher_sandbox::world::Incident) -> (Platform, Watcher) {
    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    platform.create_load_balancer().await;
    // As on AWS, so that a failure that lasts isn't over before the watcher has seen it.
    platform.sandbox().with_world(|world, now| {
        world.settings_mut().services.placement_retry = Duration::from_secs(3600);
        world.inject(incident, now).expect("the incident can happen");
    });
    let watcher = Launch::run(&platform).args(["--resync-interval", "2s"]).start();
    watcher.wait_for("reconciled").await;
    platform.set_desired(1).await;
    (platform, watcher)
}

/// Waits until the finding that tasks don't start quotes an event.
#[cfg(feature = "sandbox")]
async fn explained(watcher: &Watcher, event: &str) -> Line {
    watcher
        .wait_for_that("finding", |line| {
            line.text("finding") == "tasks_not_starting" && line.text("detail").contains(event)
        })
        .await
}

#[cfg(feature = "sandbox")]
#[tokio::test]
async fn reports_tasks_that_fail_to_start_until_one_has_run_for_a_minute() {
    let (platform, watcher) = watched(jvb_watcher_sandbox::world::Incident::FailToStart { n: 4 }).await;
    let finding = explained(&watcher, "ECS reports SERVICE_TASK_START_IMPAIRED").await;
    assert_eq!(finding.text("subject"), platform.service());
    assert!(finding.text("detail").contains("the last one stopped: CannotPullContainerError"), "{finding:?}");
    let raised = watcher.wait_for_finding("tasks_not_starting", "raised").await;
    assert!(raised.text("detail").starts_with("1 task(s) are desired, and the last ones stopped"), "{raised:?}");
    // The fifth one starts.
    watcher.wait_for("target_registered").await;
    watcher.assert_no_trouble();
}

#[cfg(feature = "sandbox")]
#[tokio::test]
async fn reports_a_task_that_cannot_be_placed_with_the_reason_of_the_event() {
    let (platform, watcher) = watched(jvb_watcher_sandbox::world::Incident::NoCapacity { n: 1000 }).await;
    let finding = explained(&watcher, "ECS reports SERVICE_TASK_PLACEMENT_FAILURE: RESOURCE:FARGATE").await;
    assert!(finding.text("detail").starts_with("1 task(s) are desired, and ECS can't start them"), "{finding:?}");
    assert!(finding.text("detail").contains("Capacity is unavailable at this time"), "{finding:?}");
    // Nothing is missing any more.
    platform.set_desired(0).await;
    watcher.wait_for_finding("tasks_not_starting", "cleared").await;
    watcher.assert_no_trouble();
}

#[cfg(feature = "sandbox")]
#[tokio::test]
async fn reports_a_deployment_that_ecs_has_given_up() {
    use aws_sdk_ecs::types::{DeploymentCircuitBreaker, DeploymentConfiguration};
    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    platform.create_load_balancer().await;
    let breaker = DeploymentCircuitBreaker::builder().enable(true).rollback(false).build();
    let configuration = DeploymentConfiguration::builder().deployment_circuit_breaker(breaker).build();
    let watcher = Launch::run(&platform).args(["--resync-interval", "2s"]).start();
    watcher.wait_for("reconciled").await;
    platform.sandbox().with_world(|world, now| {
        let incident = jvb_watcher_sandbox::world::Incident::FailToStart { n: 1000 };
        world.inject(incident, now).expect("the incident can happen");
    });
    let update = platform.ecs.update_service().cluster(platform.cluster()).service(platform.service());
    let update = update.desired_count(1).force_new_deployment(true).deployment_configuration(configuration);
    update.send().await.expect("the service is updated");
    let finding = explained(&watcher, "ECS reports SERVICE_DEPLOYMENT_FAILED: ECS deployment circuit breaker").await;
    assert!(finding.text("detail").contains("ECS has given up the deployment"), "{finding:?}");
    eventually("ECS launches no more tasks", async || {
        let tasks = platform.sandbox().with_world(|world, _| world.tasks());
        (tasks.len() == 3 && tasks.iter().all(|task| task.last_status == "STOPPED")).then_some(())
    })
    .await;
    watcher.assert_no_trouble();
}

#[cfg(feature = "sandbox")]
#[tokio::test]
async fn a_rule_without_events_about_the_service_is_well() {
    let platform = Platform::on(Aws::Sandbox).await;
    let pattern = json!({
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": { "clusterArn": [platform.cluster_arn()] },
    });
    platform.route_by(&pattern.to_string()).await;
    platform.create_load_balancer().await;
    let finished = Launch::new(&platform, "doctor").args(["--output", "json"]).finish().await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let diagnosis: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let checks = diagnosis["checks"].as_array().expect("checks");
    let pattern = checks.iter().find(|check| check["check"] == "event pattern").expect("the check");
    assert_eq!(pattern["result"], "warning", "{pattern}");
    assert!(pattern["detail"].as_str().expect("a detail").contains("a deployment that failed"), "{pattern}");
    let asked = platform.proxy.count("events:TestEventPattern");
    let watcher =
        Launch::run(&platform).without_env("JVB_WATCHER_FEED_CHECK").args(["--resync-interval", "2s"]).start();
    // Once for each of the four kinds of events.
    platform.proxy.wait_for_calls("events:TestEventPattern", asked + 4).await;
    watcher.wait_for("reconciled").await;
    // It is found, without the event.
    platform.sandbox().with_world(|world, now| {
        let incident = jvb_watcher_sandbox::world::Incident::FailToStart { n: 4 };
        world.inject(incident, now).expect("the incident can happen");
    });
    platform.set_desired(1).await;
    let finding = watcher.wait_for_finding("tasks_not_starting", "raised").await;
    assert!(!finding.text("detail").contains("ECS reports"), "{finding:?}");
    let names: Vec<_> = watcher.events("finding").iter().map(|line| line.text("finding").to_owned()).collect();
    assert!(!names.iter().any(|name| name == "rule_mismatched"), "{names:?}");
    watcher.assert_no_trouble();
}
