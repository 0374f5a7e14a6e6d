//! The tests' own tools, tried on moto without the program.

use std::time::{Duration, Instant};

use aws_sdk_sqs::error::ProvideErrorMetadata;

use crate::platform::{MARK_SINCE, Platform, REGION};
use crate::proxy::Proxy;
use crate::wait::eventually;

#[tokio::test]
async fn a_platform_is_made_whole() {
    let platform = Platform::new().await;
    let balancer = platform.create_balancer().await;
    assert!(platform.is_whole(&balancer).await);
    assert_eq!(platform.tags(&balancer.arn).await["Lifecycle"], "on-demand");

    let task = platform.scale_to_one().await;
    platform.register(&balancer, &task.ip).await;
    platform.wait_for_targets(&balancer, &[&task.ip]).await;

    platform.add_tag(&balancer.arns(), MARK_SINCE, "2026-01-01T00:00:00Z").await;
    for arn in balancer.arns() {
        assert!(platform.tags(arn).await.contains_key(MARK_SINCE));
    }
    platform.delete_balancer(&balancer).await;
    assert!(!platform.balancer_exists().await);
    assert!(!platform.is_torn_down(&balancer).await, "the groups are still there");
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
async fn the_rule_takes_an_event_to_the_queue() {
    let platform = Platform::new().await;
    platform.route_events().await;
    let task = platform.scale_to_one().await;
    let event = platform.event_for(&task).await;
    platform.put_event(&event).await;
    assert_eq!(platform.queue_depth().await, 1);
    let received = platform.sqs.receive_message().queue_url(&platform.queue_url).send().await.expect("an answer");
    let body: serde_json::Value =
        serde_json::from_str(received.messages()[0].body().expect("a body")).expect("the body is JSON");
    assert_eq!(body["detail"]["taskArn"], task.arn.as_str());
    assert_eq!(body["detail-type"], "ECS Task State Change");
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let one = Platform::new().await;
    let other = Platform::new().await;
    one.create_balancer().await;
    assert!(one.balancer_exists().await);
    let everything = other.elb.describe_load_balancers().send().await.expect("an answer");
    assert!(everything.load_balancers().is_empty());
}

/// A client of a platform's queue that goes through the proxy under test.
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
async fn the_proxy_names_calls_and_makes_them_fail() {
    let platform = Platform::new().await;
    let sqs = client(&platform.proxy);
    let get = || sqs.get_queue_url().queue_name(platform.queue_name()).send();

    let fault = platform.proxy.on("sqs:GetQueueUrl").times(1).error(403, "AccessDenied", "no");
    let error = get().await.expect_err("the call is refused");
    assert_eq!(error.code(), Some("AccessDenied"));
    assert_eq!(fault.hits(), 1);

    let url = get().await.expect("the fault is used up").queue_url.expect("a URL");
    assert!(url.starts_with(&platform.proxy.endpoint()), "{url} does not lead through the proxy");

    platform.proxy.on("sqs:*").times(1).drop_before();
    get().await.expect_err("the connection is dropped");

    let fault = platform.proxy.on("sqs:GetQueueUrl").rewrite(|_, text| text.replace("http://", "https://"));
    assert!(get().await.expect("an answer").queue_url.expect("a URL").starts_with("https://"));
    fault.lift();

    platform.proxy.go_down().await;
    get().await.expect_err("nobody listens");
    platform.proxy.come_back().await;
    get().await.expect("somebody listens again");

    assert_eq!(platform.proxy.count("sqs:GetQueueUrl"), 5);
    assert!(platform.proxy.writes().is_empty());
}

#[tokio::test]
async fn a_call_dropped_afterwards_has_taken_effect() {
    let platform = Platform::new().await;
    let sqs = client(&platform.proxy);
    platform.proxy.on("sqs:SendMessage").drop_after();
    let sent = sqs.send_message().queue_url(&platform.queue_url).message_body("there").send();
    // The URL of the queue is the one for the tests' own calls; the endpoint decides where the call goes.
    sent.await.expect_err("the connection is dropped");
    assert_eq!(platform.queue_depth().await, 1);
}

#[tokio::test]
async fn a_long_poll_waits_and_leaves_nothing_behind_when_it_is_given_up() {
    let platform = Platform::new().await;
    let sqs = client(&platform.proxy);
    let poll = |seconds| sqs.receive_message().queue_url(&platform.queue_url).wait_time_seconds(seconds).send();

    let start = Instant::now();
    assert!(poll(3).await.expect("an answer").messages().is_empty());
    assert!(start.elapsed() >= Duration::from_secs(2), "the poll came back after {:?}", start.elapsed());

    // A poll that is given up, and a message that comes afterwards.
    tokio::time::timeout(Duration::from_millis(500), poll(20)).await.expect_err("there is no message");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    platform.send_text("late").await;
    let got = eventually("a message", async || poll(5).await.ok()).await;
    assert_eq!(got.messages().len(), 1);
}

#[tokio::test]
async fn errors_of_the_query_protocol_have_its_shape() {
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
