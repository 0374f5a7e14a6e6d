//! The sandbox through the AWS SDK. Its tests over plain HTTP are in `crates/sandbox/tests`.

use std::time::{Duration, Instant};

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use aws_sdk_elasticloadbalancingv2::types::{
    LoadBalancerTypeEnum, ProtocolEnum, Tag, TargetDescription, TargetTypeEnum,
};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use jiff::Timestamp;
use jvb_watcher_sandbox::faults::{FaultPlan, Faults};
use jvb_watcher_sandbox::platform::{self, load_balancer};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Settings, World};
use serde_json::{Value, json};

use crate::platform::sdk_config;
use crate::wait::eventually;
use crate::watcher::Launch;

async fn start() -> Sandbox {
    let mut settings = Settings::default().scaled(1000.0);
    // CloudWatch's minutes keep their length when the rest is scaled; here a data point comes each second, at once.
    settings.metrics.interval = Duration::from_secs(1);
    (settings.metrics.earliest, settings.metrics.latest) = (Duration::ZERO, Duration::ZERO);
    let world = World::new(settings, 1, Timestamp::now());
    Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port")
}

/// Returns a configuration of the SDK without retries.
fn without_retries(endpoint: &str) -> aws_types::SdkConfig {
    let config = sdk_config(endpoint).into_builder();
    config.retry_config(aws_sdk_sqs::config::retry::RetryConfig::disabled()).build()
}

fn sqs(sandbox: &Sandbox) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&without_retries(sandbox.endpoint()))
}

fn elb(sandbox: &Sandbox) -> aws_sdk_elasticloadbalancingv2::Client {
    aws_sdk_elasticloadbalancingv2::Client::new(&without_retries(sandbox.endpoint()))
}

fn cloudwatch(sandbox: &Sandbox) -> aws_sdk_cloudwatch::Client {
    aws_sdk_cloudwatch::Client::new(&without_retries(sandbox.endpoint()))
}

async fn create_queue(sqs: &aws_sdk_sqs::Client) -> String {
    sqs.create_queue().queue_name("q").send().await.expect("a queue").queue_url.expect("a queue has a URL")
}

fn plan(plan: Value) -> FaultPlan {
    serde_json::from_value(plan).expect("a plan")
}

#[tokio::test]
async fn a_load_balancer_is_created_used_and_deleted() {
    let sandbox = start().await;
    let elb = elb(&sandbox);
    let created = elb
        .create_load_balancer()
        .name("b")
        .r#type(LoadBalancerTypeEnum::Network)
        .subnets("subnet-0a1b2c3d")
        .tags(Tag::builder().key("Lifecycle").value("on-demand").build())
        .send()
        .await
        .expect("a load balancer");
    let arn = created.load_balancers()[0].load_balancer_arn().expect("an ARN").to_owned();
    let group = elb
        .create_target_group()
        .name("g")
        .protocol(ProtocolEnum::Udp)
        .port(10000)
        .vpc_id("vpc-0a1b2c3d")
        .target_type(TargetTypeEnum::Ip)
        .send()
        .await
        .expect("a target group");
    let group = group.target_groups()[0].target_group_arn().expect("an ARN").to_owned();
    let target = TargetDescription::builder().id("10.0.0.1").build();
    elb.register_targets().target_group_arn(&group).targets(target).send().await.expect("a target");
    let health = elb.describe_target_health().target_group_arn(&group).send().await.expect("health");
    let target = health.target_health_descriptions()[0].target().expect("a target");
    assert_eq!((target.id(), target.port()), (Some("10.0.0.1"), Some(10000)));
    let tags = elb.describe_tags().resource_arns(&arn).send().await.expect("tags");
    assert_eq!(tags.tag_descriptions()[0].tags()[0].value(), Some("on-demand"));
    elb.delete_load_balancer().load_balancer_arn(&arn).send().await.expect("the deletion succeeds");
    let error = elb.describe_load_balancers().names("b").send().await.expect_err("a deleted load balancer");
    assert!(error.into_service_error().is_load_balancer_not_found_exception());
    assert_eq!(sandbox.calls()["elasticloadbalancing:RegisterTargets"], 1);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let sandbox = start().await;
    let sqs = sqs(&sandbox);
    let url = create_queue(&sqs).await;
    assert!(url.starts_with(sandbox.endpoint()), "{url} doesn't point to the sandbox");
    let body = "any text: <&> \"ü\" \n";
    sqs.send_message().queue_url(&url).message_body(body).send().await.expect("the message is sent");
    let received = sqs.receive_message().queue_url(&url).send().await.expect("the message is received");
    assert_eq!(received.messages()[0].body(), Some(body));
    let handle = received.messages()[0].receipt_handle().expect("a handle");
    sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.expect("the deletion succeeds");
    let error = sqs.get_queue_url().queue_name("none").send().await.expect_err("an unknown queue");
    assert_eq!(error.code(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    assert!(error.into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn each_service_has_its_own_throttling_error() {
    let sandbox = start().await;
    let throttle = plan(json!({ "throttles": [{ "on": "*", "capacity": 1, "refill-per-second": 0.001 }] }));
    sandbox.faults(|faults| faults.set(throttle)).expect("a valid plan");
    let config = without_retries(sandbox.endpoint());
    let ecs = aws_sdk_ecs::Client::new(&config);
    let events = aws_sdk_eventbridge::Client::new(&config);
    let (elb, sqs) = (elb(&sandbox), sqs(&sandbox));
    let _ = ecs.list_clusters().send().await;
    assert_eq!(ecs.list_clusters().send().await.expect_err("throttled").code(), Some("ThrottlingException"));
    let _ = events.list_rules().send().await;
    assert_eq!(events.list_rules().send().await.expect_err("throttled").code(), Some("ThrottlingException"));
    let _ = elb.describe_load_balancers().send().await;
    assert_eq!(elb.describe_load_balancers().send().await.expect_err("throttled").code(), Some("Throttling"));
    let _ = sqs.list_queues().send().await;
    assert_eq!(sqs.list_queues().send().await.expect_err("throttled").code(), Some("RequestThrottled"));
    let cloudwatch = cloudwatch(&sandbox);
    let _ = cloudwatch.get_metric_data().send().await;
    assert_eq!(cloudwatch.get_metric_data().send().await.expect_err("throttled").code(), Some("Throttling"));
    sandbox.faults(Faults::clear);
    sqs.list_queues().send().await.expect("no throttling");
}

#[tokio::test]
async fn requests_fail_are_delayed_and_lose_their_connections_according_to_the_plan() {
    let sandbox = start().await;
    let sqs = sqs(&sandbox);
    let url = create_queue(&sqs).await;
    let send = || sqs.send_message().queue_url(&url).message_body("x").send();
    let set = |effect: Value| {
        let rules = plan(json!({ "rules": [{ "on": "sqs:SendMessage", "times": 1, "effect": effect }] }));
        sandbox.faults(|faults| faults.set(rules)).expect("a valid plan");
    };
    let depth = async || {
        let received = sqs.receive_message().queue_url(&url).visibility_timeout(0).max_number_of_messages(10).send();
        received.await.expect("a response").messages().len()
    };
    set(json!({ "kind": "error", "code": "AccessDenied", "status": 403, "message": "no" }));
    let error = send().await.expect_err("a refusal");
    assert_eq!((error.code(), error.message()), (Some("AccessDenied"), Some("no")));
    set(json!({ "kind": "error", "code": "ServiceUnavailable", "status": 503 }));
    let error = send().await.expect_err("a refusal");
    assert!(matches!(&error, SdkError::ServiceError(error) if error.raw().status().as_u16() == 503));
    set(json!({ "kind": "drop", "when": "before" }));
    assert!(matches!(send().await.expect_err("no response"), SdkError::DispatchFailure(_)));
    assert_eq!(depth().await, 0);
    set(json!({ "kind": "drop", "when": "after" }));
    assert!(matches!(send().await.expect_err("no response"), SdkError::DispatchFailure(_)));
    assert_eq!(depth().await, 1);
    set(json!({ "kind": "latency", "least": "300ms" }));
    let began = Instant::now();
    send().await.expect("the message is sent");
    assert!(began.elapsed() >= Duration::from_millis(300), "it took {:?}", began.elapsed());
}

#[tokio::test]
async fn the_platform_routes_task_events_to_its_queue() {
    let sandbox = start().await;
    sandbox.with_world(platform::set_up).expect("the platform is created");
    let config = without_retries(sandbox.endpoint());
    let (ecs, sqs) = (aws_sdk_ecs::Client::new(&config), sqs(&sandbox));
    let update = ecs.update_service().cluster("jitsi-cluster").service("jitsi-service").desired_count(1);
    update.send().await.expect("the service scales");
    let url = sqs.get_queue_url().queue_name("jitsi-jvb-watcher").send().await.expect("the queue exists");
    let url = url.queue_url.expect("a URL");
    eventually("the event of a running task", async || {
        let received = sqs.receive_message().queue_url(&url).wait_time_seconds(2).max_number_of_messages(10).send();
        let received = received.await.expect("a response");
        let bodies = received.messages().iter().filter_map(|message| message.body());
        let mut events = bodies.filter_map(|body| serde_json::from_str::<Value>(body).ok());
        events.find(|event| event["detail"]["lastStatus"] == "RUNNING")
    })
    .await;
}

#[tokio::test]
async fn the_metrics_of_a_load_balancer_are_read_page_by_page() {
    let sandbox = start().await;
    sandbox.with_world(load_balancer::create).expect("a load balancer");
    let arn = sandbox.with_world(|world, _| world.load_balancers()[0].arn.clone());
    let name = arn.split_once(":loadbalancer/").expect("an ARN of a load balancer").1;
    let query = |id: &str, metric: &str| {
        let dimension = Dimension::builder().name("LoadBalancer").value(name).build();
        let metric = Metric::builder().namespace("AWS/NetworkELB").metric_name(metric).dimensions(dimension).build();
        // In this world a minute is a second long.
        let stat = MetricStat::builder().metric(metric).period(1).stat("Maximum").build();
        MetricDataQuery::builder().id(id).metric_stat(stat).build()
    };
    let start = DateTime::from_secs(Timestamp::now().as_second() - 60);
    let cloudwatch = cloudwatch(&sandbox);
    let get = || {
        let request = cloudwatch.get_metric_data().scan_by(ScanBy::TimestampAscending);
        let request = request.metric_data_queries(query("all", "ActiveFlowCount"));
        let request = request.metric_data_queries(query("media", "ActiveFlowCount_UDP"));
        request.start_time(start).end_time(DateTime::from_secs(Timestamp::now().as_second() + 60))
    };
    let results = eventually("three data points", async || {
        let results = get().send().await.expect("a response").metric_data_results.unwrap_or_default();
        (results[0].values().len() >= 3).then_some(results)
    })
    .await;
    assert_eq!((results[0].id(), results[0].label()), (Some("all"), Some("ActiveFlowCount")));
    assert_eq!((results[0].status_code(), results[0].values()[0]), (Some(&StatusCode::Complete), 0.0));
    let times: Vec<i64> = results[0].timestamps().iter().map(DateTime::secs).collect();
    assert!(times.len() == results[0].values().len() && times.is_sorted(), "{times:?}");
    assert_eq!((results[1].id(), results[1].values()), (Some("media"), &[][..]), "no caller");
    let end = DateTime::from_secs(times[2] + 1);
    let pages = get().end_time(end).max_datapoints(1).into_paginator().send();
    let pages = pages.collect::<Result<Vec<_>, _>>().await.expect("all pages");
    let paged = pages.iter().flat_map(|page| page.metric_data_results()[0].timestamps()).map(DateTime::secs);
    assert_eq!((pages.len(), paged.collect::<Vec<_>>().as_slice()), (3, &times[..3]));
}

#[tokio::test]
async fn refused_queries_of_metrics_have_awss_error_codes() {
    let sandbox = start().await;
    let cloudwatch = cloudwatch(&sandbox);
    let now = Timestamp::now().as_second();
    let query = MetricDataQuery::builder().id("e").expression("m * 2").build();
    let get = || {
        let request = cloudwatch.get_metric_data().metric_data_queries(query.clone());
        request.start_time(DateTime::from_secs(now - 60)).end_time(DateTime::from_secs(now))
    };
    let error = get().send().await.expect_err("an expression");
    assert_eq!(error.code(), Some("ValidationError"));
    assert!(error.message().is_some_and(|message| message.contains("evaluates no expressions")), "{error:?}");
    let denial = json!({ "kind": "error", "code": "AccessDenied", "status": 403, "message": "no" });
    let rules = plan(json!({ "rules": [{ "on": "cloudwatch:GetMetricData", "effect": denial }] }));
    sandbox.faults(|faults| faults.set(rules)).expect("a valid plan");
    let error = get().send().await.expect_err("a refusal");
    assert_eq!((error.code(), error.message()), (Some("AccessDenied"), Some("no")));
    sandbox.faults(Faults::clear);
    let query = MetricStat::builder().metric(Metric::builder().namespace("n").metric_name("m").build()).period(60);
    let query = MetricDataQuery::builder().id("m").metric_stat(query.stat("Sum").build()).build();
    let error = get().set_metric_data_queries(Some(vec![query])).next_token("none").send().await;
    assert!(error.expect_err("an invalid token").into_service_error().is_invalid_next_token());
}

#[tokio::test]
async fn the_command_refuses_a_port_in_use() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let finished = Launch::bare("sandbox").args(["--port", &port]).finish().await;
    assert_eq!(finished.code, Some(1));
    let expected =
        format!("error: --port: port {port} is in use on 127.0.0.1; choose another one, or 0 for any free port\n");
    assert_eq!(finished.stderr, expected);
    assert_eq!(finished.stdout, "");
}
