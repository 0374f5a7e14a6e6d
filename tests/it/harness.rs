//! Tests of the test tools themselves, on moto and without the program.

use std::time::{Duration, Instant};

use aws_sdk_sqs::error::ProvideErrorMetadata;

use crate::platform::{MARK_SINCE, Platform, Queue, REGION};
use crate::proxy::Proxy;
use crate::stage::Aws;
use crate::wait::eventually;

#[tokio::test]
async fn a_platform_gets_all_its_resources() {
    let platform = Platform::new().await;
    let load_balancer = platform.create_load_balancer().await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_eq!(platform.tags(&load_balancer.arn).await["Lifecycle"], "on-demand");

    let task = platform.scale_to_one().await;
    platform.register(&load_balancer, &task.ip).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;

    platform.add_tag(&load_balancer.arns(), MARK_SINCE, "2026-01-01T00:00:00Z").await;
    for arn in load_balancer.arns() {
        assert!(platform.tags(arn).await.contains_key(MARK_SINCE));
    }
    platform.delete_load_balancer(&load_balancer).await;
    assert!(!platform.load_balancer_exists().await);
    assert!(!platform.is_torn_down(&load_balancer).await, "the target groups still exist");
}

#[tokio::test]
async fn a_task_runs_until_it_is_stopped() {
    let platform = Platform::new().await;
    let task = platform.scale_to_one().await;
    for _ in 0..3 {
        let event = platform.event_for(&task).await;
        assert_eq!(event["detail"]["lastStatus"], "RUNNING");
        assert_eq!(event["detail"]["desiredStatus"], "RUNNING");
    }
    platform.stop_task(&task).await;
    let event = platform.event_for(&task).await;
    assert_eq!(event["detail"]["lastStatus"], "STOPPED");
    assert_eq!(event["detail"]["group"], format!("service:{}", platform.service()));
}

#[tokio::test]
async fn the_rule_delivers_an_event_to_the_queue() {
    let platform = Platform::new().await;
    platform.route_events().await;
    let task = platform.scale_to_one().await;
    let event = platform.event_for(&task).await;
    platform.put_event(&event).await;
    assert_eq!(platform.queue_depth().await, 1);
    let received = platform.sqs.receive_message().queue_url(&platform.queue_url).send().await.expect("a response");
    let body: serde_json::Value =
        serde_json::from_str(received.messages()[0].body().expect("a body")).expect("the body is JSON");
    assert_eq!(body["detail"]["taskArn"], task.arn.as_str());
    assert_eq!(body["detail-type"], "ECS Task State Change");
}

#[tokio::test]
async fn accounts_are_isolated_from_each_other() {
    let one = Platform::new().await;
    let other = Platform::new().await;
    one.create_load_balancer().await;
    assert!(one.load_balancer_exists().await);
    let everything = other.elb.describe_load_balancers().send().await.expect("a response");
    assert!(everything.load_balancers().is_empty());
}

/// Returns an SQS client that calls AWS through the proxy under test.
fn client(proxy: &Proxy) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(aws_sdk_sqs::config::Region::new(REGION))
        .credentials_provider(aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "tests"))
        .endpoint_url(proxy.endpoint())
        .retry_config(aws_sdk_sqs::config::retry::RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    aws_sdk_sqs::Client::from_conf(config)
}

#[tokio::test]
async fn the_proxy_records_calls_and_injects_faults() {
    let platform = Platform::new().await;
    let sqs = client(&platform.proxy);
    let get = || sqs.get_queue_url().queue_name(platform.queue_name()).send();

    let fault = platform.proxy.on("sqs:GetQueueUrl").times(1).error(403, "AccessDenied", "no");
    let error = get().await.expect_err("the call is denied");
    assert_eq!(error.code(), Some("AccessDenied"));
    assert_eq!(fault.hits(), 1);

    let url = get().await.expect("the fault has ended").queue_url.expect("a URL");
    assert!(url.starts_with(&platform.proxy.endpoint()), "{url} doesn't lead through the proxy");

    platform.proxy.on("sqs:*").times(1).drop_before();
    get().await.expect_err("the connection is dropped");

    let fault = platform.proxy.on("sqs:GetQueueUrl").rewrite(|_, text| text.replace("http://", "https://"));
    assert!(get().await.expect("a response").queue_url.expect("a URL").starts_with("https://"));
    fault.lift();

    platform.proxy.go_down().await;
    get().await.expect_err("the proxy is down");
    platform.proxy.come_back().await;
    get().await.expect("the proxy is back");

    assert_eq!(platform.proxy.count("sqs:GetQueueUrl"), 5);
    assert!(platform.proxy.writes().is_empty());
}

#[tokio::test]
async fn a_call_dropped_after_forwarding_has_taken_effect() {
    let platform = Platform::new().await;
    let sqs = client(&platform.proxy);
    platform.proxy.on("sqs:SendMessage").drop_after();
    let sent = sqs.send_message().queue_url(&platform.queue_url).message_body("there").send();
    // The queue URL doesn't lead through this proxy, but the client's endpoint takes precedence.
    sent.await.expect_err("the connection is dropped");
    assert_eq!(platform.queue_depth().await, 1);
}

#[tokio::test]
async fn a_long_poll_waits() {
    let platform = Platform::new().await;
    let sqs = client(&platform.proxy);
    let start = Instant::now();
    let poll = sqs.receive_message().queue_url(&platform.queue_url).wait_time_seconds(3).send();
    assert!(poll.await.expect("a response").messages().is_empty());
    assert!(start.elapsed() >= Duration::from_secs(2), "the poll ended after {:?}", start.elapsed());
}

#[tokio::test]
async fn an_abandoned_long_poll_loses_no_message() {
    // moto may continue the poll for a moment; the message is visible again after this time if the poll takes it.
    let queue = Queue { visibility_seconds: 1, ..Queue::default() };
    let platform = Platform::with_queue(Aws::Moto, queue).await;
    let sqs = client(&platform.proxy);
    let poll = |seconds| sqs.receive_message().queue_url(&platform.queue_url).wait_time_seconds(seconds).send();

    tokio::time::timeout(Duration::from_millis(500), poll(20)).await.expect_err("there is no message");
    platform.send_text("late").await;
    let received = eventually("a poll receives the message", async || {
        let received = poll(5).await.expect("a response");
        (!received.messages().is_empty()).then_some(received)
    });
    assert_eq!(received.await.messages()[0].body(), Some("late"));
}

#[tokio::test]
async fn injected_errors_of_the_query_protocol_have_its_format() {
    let platform = Platform::new().await;
    let config = aws_sdk_elasticloadbalancingv2::Config::builder()
        .behavior_version(aws_sdk_elasticloadbalancingv2::config::BehaviorVersion::latest())
        .region(aws_sdk_elasticloadbalancingv2::config::Region::new(REGION))
        .credentials_provider(aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "tests"))
        .endpoint_url(platform.proxy.endpoint())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let elb = aws_sdk_elasticloadbalancingv2::Client::from_conf(config);
    platform.proxy.on("elasticloadbalancing:DescribeLoadBalancers").error(400, "LoadBalancerNotFound", "none");
    let error = elb.describe_load_balancers().names("x").send().await.expect_err("an error");
    assert!(error.into_service_error().is_load_balancer_not_found_exception());
}
