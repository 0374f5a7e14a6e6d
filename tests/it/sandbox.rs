//! The sandbox as its clients see it: through the AWS SDK, over HTTP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_sdk_elasticloadbalancingv2::types::{
    LoadBalancerTypeEnum, ProtocolEnum, Tag, TargetDescription, TargetTypeEnum,
};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use jvb_watcher_sandbox::faults::{FaultPlan, Faults};
use jvb_watcher_sandbox::platform;
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Settings, World};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::platform::sdk_config;
use crate::wait::eventually;
use crate::watcher::Launch;

async fn start() -> Sandbox {
    let world = World::new(Settings::default().scaled(1000.0), 1, Timestamp::now());
    Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port")
}

/// The calls of the SDK, each made once.
fn once(endpoint: &str) -> aws_types::SdkConfig {
    let config = sdk_config(endpoint).into_builder();
    config.retry_config(aws_sdk_sqs::config::retry::RetryConfig::disabled()).build()
}

fn sqs(sandbox: &Sandbox) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&once(sandbox.endpoint()))
}

fn elb(sandbox: &Sandbox) -> aws_sdk_elasticloadbalancingv2::Client {
    aws_sdk_elasticloadbalancingv2::Client::new(&once(sandbox.endpoint()))
}

async fn queue(sqs: &aws_sdk_sqs::Client) -> String {
    sqs.create_queue().queue_name("q").send().await.expect("a queue").queue_url.expect("a queue has a URL")
}

fn plan(plan: Value) -> FaultPlan {
    serde_json::from_value(plan).expect("a plan")
}

/// A request as it is written, and what comes back: the status and the body.
pub async fn raw(address: SocketAddr, request: Request<Full<Bytes>>) -> (u16, String) {
    let stream = TcpStream::connect(address).await.expect("the sandbox listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let response = sender.send_request(request).await.expect("an answer");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a whole answer").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn address(sandbox: &Sandbox) -> SocketAddr {
    sandbox.endpoint().trim_start_matches("http://").parse().expect("an endpoint is an address")
}

async fn control(sandbox: &Sandbox, method: &str, path: &str, body: &str) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/_sandbox/{path}"))
        .header("host", "sandbox")
        .body(Full::new(Bytes::from(body.to_owned())))
        .expect("a request");
    let (status, body) = raw(address(sandbox), request).await;
    (status, serde_json::from_str(&body).expect("the control endpoint speaks JSON"))
}

#[tokio::test]
async fn a_balancer_is_made_used_and_deleted_through_the_sdk() {
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
        .expect("a balancer");
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
        .expect("a group");
    let group = group.target_groups()[0].target_group_arn().expect("an ARN").to_owned();
    let target = TargetDescription::builder().id("10.0.0.1").build();
    elb.register_targets().target_group_arn(&group).targets(target).send().await.expect("a target");
    let health = elb.describe_target_health().target_group_arn(&group).send().await.expect("its health");
    let target = health.target_health_descriptions()[0].target().expect("a target");
    assert_eq!((target.id(), target.port()), (Some("10.0.0.1"), Some(10000)));
    let tags = elb.describe_tags().resource_arns(&arn).send().await.expect("tags");
    assert_eq!(tags.tag_descriptions()[0].tags()[0].value(), Some("on-demand"));
    elb.delete_load_balancer().load_balancer_arn(&arn).send().await.expect("it is deleted");
    let error = elb.describe_load_balancers().names("b").send().await.expect_err("it is gone");
    assert!(error.into_service_error().is_load_balancer_not_found_exception());
    assert_eq!(sandbox.calls()["elasticloadbalancing:RegisterTargets"], 1);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_message_goes_through_a_queue() {
    let sandbox = start().await;
    let sqs = sqs(&sandbox);
    let url = queue(&sqs).await;
    assert!(url.starts_with(sandbox.endpoint()), "{url} does not lead to the sandbox");
    let body = "any text: <&> \"ü\" \n";
    sqs.send_message().queue_url(&url).message_body(body).send().await.expect("it is sent");
    let received = sqs.receive_message().queue_url(&url).send().await.expect("it is received");
    assert_eq!(received.messages()[0].body(), Some(body));
    let handle = received.messages()[0].receipt_handle().expect("a handle");
    sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.expect("it is deleted");
    let error = sqs.get_queue_url().queue_name("none").send().await.expect_err("there is no such queue");
    assert_eq!(error.code(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    assert!(error.into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn a_long_poll_waits_for_a_message_and_keeps_nobody_else_waiting() {
    let sandbox = start().await;
    let sqs = sqs(&sandbox);
    let url = queue(&sqs).await;
    let began = Instant::now();
    let polls: Vec<_> =
        (0..3).map(|_| tokio::spawn(sqs.receive_message().queue_url(&url).wait_time_seconds(20).send())).collect();
    eventually("the polls wait", async || (sandbox.calls().get("sqs:ReceiveMessage") == Some(&3)).then_some(())).await;
    for _ in 0..3 {
        sqs.send_message().queue_url(&url).message_body("x").send().await.expect("it is sent");
    }
    for poll in polls {
        assert_eq!(poll.await.expect("no panic").expect("an answer").messages().len(), 1);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "the polls slept on for {:?}", began.elapsed());
}

#[tokio::test]
async fn an_empty_poll_ends_when_its_time_is_up() {
    let sandbox = start().await;
    let sqs = sqs(&sandbox);
    let url = queue(&sqs).await;
    let began = Instant::now();
    let received = sqs.receive_message().queue_url(&url).wait_time_seconds(1).send().await.expect("an answer");
    assert!(received.messages().is_empty());
    assert!((Duration::from_millis(950)..Duration::from_secs(5)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_queues_own_waiting_time_holds_for_polls_that_name_none() {
    let sandbox = start().await;
    let sqs = sqs(&sandbox);
    let create = sqs.create_queue().queue_name("q");
    let name = aws_sdk_sqs::types::QueueAttributeName::ReceiveMessageWaitTimeSeconds;
    let url = create.attributes(name, "1").send().await.expect("a queue").queue_url.expect("a URL");
    let began = Instant::now();
    sqs.receive_message().queue_url(&url).send().await.expect("an answer");
    assert!(began.elapsed() >= Duration::from_millis(950), "it came back after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_poll_whose_client_goes_away_takes_no_message() {
    let sandbox = start().await;
    let sqs = sqs(&sandbox);
    let url = queue(&sqs).await;
    let poll = tokio::spawn(sqs.receive_message().queue_url(&url).wait_time_seconds(20).send());
    eventually("the poll waits", async || sandbox.calls().contains_key("sqs:ReceiveMessage").then_some(())).await;
    poll.abort();
    let _ = poll.await;
    // The server must have seen the end of the connection: a moment, on the loopback.
    tokio::time::sleep(Duration::from_millis(200)).await;
    sqs.send_message().queue_url(&url).message_body("x").send().await.expect("it is sent");
    let received = sqs.receive_message().queue_url(&url).send().await.expect("an answer");
    assert_eq!(received.messages().len(), 1, "the poll that was given up has it");
}

#[tokio::test]
async fn stopping_answers_the_polls_and_frees_the_port() {
    let sandbox = start().await;
    let sqs = sqs(&sandbox);
    let url = queue(&sqs).await;
    let address = address(&sandbox);
    let poll = tokio::spawn(sqs.receive_message().queue_url(&url).wait_time_seconds(20).send());
    eventually("the poll waits", async || sandbox.calls().contains_key("sqs:ReceiveMessage").then_some(())).await;
    let began = Instant::now();
    sandbox.stop().await;
    assert!(poll.await.expect("no panic").expect("an answer").messages().is_empty());
    assert!(began.elapsed() < Duration::from_secs(5), "stopping took {:?}", began.elapsed());
    drop(tokio::net::TcpListener::bind(address).await.expect("the port is free"));
}

#[tokio::test]
async fn each_service_throttles_with_its_own_code() {
    let sandbox = start().await;
    let throttle = plan(json!({ "throttles": [{ "on": "*", "capacity": 1, "refill-per-second": 0.001 }] }));
    sandbox.faults(|faults| faults.set(throttle)).expect("a plan that makes sense");
    let config = once(sandbox.endpoint());
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
    sandbox.faults(Faults::clear);
    sqs.list_queues().send().await.expect("no longer throttled");
}

#[tokio::test]
async fn calls_fail_are_late_and_lose_their_connections_as_planned() {
    let sandbox = start().await;
    let sqs = sqs(&sandbox);
    let url = queue(&sqs).await;
    let send = || sqs.send_message().queue_url(&url).message_body("x").send();
    let set = |effect: Value| {
        let rules = plan(json!({ "rules": [{ "on": "sqs:SendMessage", "times": 1, "effect": effect }] }));
        sandbox.faults(|faults| faults.set(rules)).expect("a plan that makes sense");
    };
    let depth = async || {
        let received = sqs.receive_message().queue_url(&url).visibility_timeout(0).max_number_of_messages(10).send();
        received.await.expect("an answer").messages().len()
    };
    set(json!({ "kind": "error", "code": "AccessDenied", "status": 403, "message": "no" }));
    let error = send().await.expect_err("it is refused");
    assert_eq!((error.code(), error.message()), (Some("AccessDenied"), Some("no")));
    set(json!({ "kind": "error", "code": "ServiceUnavailable", "status": 503 }));
    let error = send().await.expect_err("it is refused");
    assert!(matches!(&error, SdkError::ServiceError(error) if error.raw().status().as_u16() == 503));
    set(json!({ "kind": "drop", "when": "before" }));
    assert!(matches!(send().await.expect_err("no answer"), SdkError::DispatchFailure(_)));
    assert_eq!(depth().await, 0);
    set(json!({ "kind": "drop", "when": "after" }));
    assert!(matches!(send().await.expect_err("no answer"), SdkError::DispatchFailure(_)));
    assert_eq!(depth().await, 1);
    set(json!({ "kind": "latency", "least": "300ms" }));
    let began = Instant::now();
    send().await.expect("it is sent");
    assert!(began.elapsed() >= Duration::from_millis(300), "it took {:?}", began.elapsed());
}

#[tokio::test]
async fn the_control_endpoint_shows_and_changes_what_is() {
    let sandbox = start().await;
    sqs(&sandbox).list_queues().send().await.expect("an answer");
    let (status, state) = control(&sandbox, "GET", "state", "").await;
    assert_eq!((status, &state["calls"]["sqs:ListQueues"]), (200, &json!(1)));

    sandbox.with_world(platform::set_up).expect("the platform is made");
    let message = json!({ "act": "malformed-message", "queue": "jitsi-jvb-watcher", "body": "x" });
    assert_eq!(control(&sandbox, "POST", "act", &message.to_string()).await.0, 200);
    let world = control(&sandbox, "GET", "state", "").await.1["world"].take();
    assert_eq!(world["services"][0]["name"], "jitsi-service");
    let queues = world["queues"].as_array().expect("queues");
    let visible = |name: &str| queues.iter().find(|queue| queue["name"] == name).map(|queue| queue["visible"].clone());
    assert_eq!((visible("jitsi-jvb-watcher"), visible("jitsi-jvb-watcher-dlq")), (Some(json!(1)), Some(json!(0))));

    let faults = json!({ "rules": [{ "on": "sqs:*", "rate": 1.0, "effect": { "kind": "drop", "when": "before" } }] });
    assert_eq!(control(&sandbox, "PUT", "faults", &faults.to_string()).await.0, 200);
    assert_eq!(control(&sandbox, "GET", "faults", "").await.1["rules"], faults["rules"]);
    sqs(&sandbox).list_queues().send().await.expect_err("its connection is dropped");
    assert_eq!(control(&sandbox, "DELETE", "faults", "").await.0, 200);
    sqs(&sandbox).list_queues().send().await.expect("an answer again");

    let (status, settings) = control(&sandbox, "PATCH", "settings", r#"{"region": "eu-north-1"}"#).await;
    assert_eq!((status, &settings["region"]), (200, &json!("eu-north-1")));
    assert_eq!(settings["endpoint"], sandbox.endpoint(), "what wasn't named has stayed");
}

#[tokio::test]
async fn the_control_endpoint_says_what_is_wrong() {
    let sandbox = start().await;
    let cases = [
        ("PUT", "faults", "{", 400, "cannot be read"),
        (
            "PUT",
            "faults",
            r#"{"rules": [{"on": "x", "effect": {"kind": "drop", "when": "after"}}]}"#,
            400,
            "no operation",
        ),
        ("POST", "act", r#"{"act": "nonsense"}"#, 400, "cannot be read"),
        ("PATCH", "settings", r#"{"nonsense": 1}"#, 400, "nonsense"),
        ("PATCH", "settings", "[]", 400, "[] is no JSON object"),
        ("PATCH", "settings", r#"{"tasks": []}"#, 400, "[] is no JSON object"),
        ("POST", "state", "", 405, "does not take POST"),
        ("GET", "nonsense", "", 404, "there are state, act, faults and settings"),
    ];
    for (method, path, body, wanted, says) in cases {
        let (status, answer) = control(&sandbox, method, path, body).await;
        assert_eq!(status, wanted, "{method} {path} {body}");
        let message = answer["error"].as_str().expect("a sentence");
        assert!(message.contains(says), "{method} {path} {body} gives {message:?}");
    }
}

#[tokio::test]
async fn what_the_sandbox_does_not_model_it_names() {
    let sandbox = start().await;
    let post = |target: Option<&str>, body: String| {
        let mut request = Request::post("/").header("host", "sandbox");
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        raw(address(&sandbox), request.body(Full::new(Bytes::from(body))).expect("a request"))
    };
    let (status, body) = post(Some("AmazonSQS.AddPermission"), "{}".to_owned()).await;
    assert!(status == 400 && body.contains("The sandbox does not model sqs:AddPermission"), "{status} {body}");
    assert!(body.contains("Of sqs it models CreateQueue, "), "{body}");
    let (status, body) = post(None, "Action=AssumeRole&Version=2011-06-15".to_owned()).await;
    assert!(status == 400 && body.contains("<Code>InvalidAction</Code>"), "{status} {body}");
    let calls = sandbox.calls();
    assert!(calls.is_empty(), "what is counted are the sandbox's operations, not any text: {calls:?}");
}

/// Sends bytes as they are, and returns the head and the body of what comes back until the server has nothing to say.
async fn talk(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the sandbox listens");
    stream.write_all(bytes).await.expect("the sandbox reads");
    let mut said = Vec::new();
    // The server ends the connection, since every request here asks it to.
    stream.read_to_end(&mut said).await.expect("the sandbox answers");
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn requests_may_come_in_any_form_that_http_has() {
    let sandbox = start().await;
    let address = address(&sandbox);
    let head = "x-amz-target: AmazonSQS.CreateQueue\r\nconnection: close\r\n";
    let body = r#"{"QueueName": "q"}"#;
    let chunked = format!(
        "POST / HTTP/1.1\r\nhost: s\r\n{head}transfer-encoding: chunked\r\n\r\n5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        &body[..5],
        body.len() - 5,
        &body[5..]
    );
    let said = talk(address, chunked.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("/111122223333/q"), "{said}");
    let length = body.len();
    let expecting =
        format!("POST / HTTP/1.1\r\nhost: s\r\n{head}expect: 100-continue\r\ncontent-length: {length}\r\n\r\n{body}");
    let said = talk(address, expecting.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 100") && said.contains("HTTP/1.1 200"), "{said}");
    let form = "GET /?Action=GetCallerIdentity&Version=2011-06-15 HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n";
    let said = talk(address, form.as_bytes()).await;
    assert!(said.contains("<Account>111122223333</Account>") && said.contains("https://sts.amazonaws.com/"), "{said}");
    for method in ["GET", "HEAD"] {
        let request = format!("{method} / HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n");
        let said = talk(address, request.as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 400"), "{method} gives {said}");
        assert_eq!(said.contains("<Code>MissingAction</Code>"), method == "GET", "{method} gives {said}");
    }
    let cut = format!("POST / HTTP/1.1\r\nhost: s\r\n{head}content-length: 1000\r\n\r\n{{");
    let mut stream = TcpStream::connect(address).await.expect("the sandbox listens");
    stream.write_all(cut.as_bytes()).await.expect("the sandbox reads");
    drop(stream);
    sqs(&sandbox).list_queues().send().await.expect("the sandbox goes on");
}

#[tokio::test]
async fn the_largest_message_goes_through_however_it_is_escaped() {
    let sandbox = start().await;
    let sqs = sqs(&sandbox);
    let url = queue(&sqs).await;
    // Every quotation mark takes two bytes in JSON.
    let body = "\"".repeat(1024 * 1024);
    sqs.send_message().queue_url(&url).message_body(&body).send().await.expect("it is sent");
    let received = sqs.receive_message().queue_url(&url).send().await.expect("it is received");
    assert_eq!(received.messages()[0].body().map(str::len), Some(body.len()));
    let error = sqs.send_message().queue_url(&url).message_body(format!("{body}x")).send().await.expect_err("too long");
    assert_eq!(error.code(), Some("InvalidParameterValue"));
    // What is larger than any call is refused by its head alone.
    let request = "POST / HTTP/1.1\r\nhost: s\r\nx-amz-target: AmazonSQS.SendMessage\r\nconnection: close\r\n\
                   content-length: 99999999\r\n\r\n";
    let said = talk(address(&sandbox), request.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 413") && said.contains("larger than 8388608 bytes"), "{said}");
}

#[tokio::test]
async fn hundreds_of_idle_connections_keep_nobody_waiting() {
    let sandbox = start().await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(address(&sandbox)).await.expect("the sandbox listens");
        stream.write_all(b"POST / HT").await.expect("the sandbox reads");
        idle.push(stream);
    }
    let began = Instant::now();
    sqs(&sandbox).list_queues().send().await.expect("an answer");
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    sandbox.stop().await;
}

#[tokio::test]
async fn a_panic_beside_a_call_leaves_the_sandbox_serving() {
    let sandbox = std::sync::Arc::new(start().await);
    let broken = std::sync::Arc::clone(&sandbox);
    let panicked = std::thread::spawn(move || broken.with_world(|_, _| -> () { panic!("on purpose") })).join();
    assert!(panicked.is_err());
    let sqs = sqs(&sandbox);
    let url = queue(&sqs).await;
    sqs.send_message().queue_url(&url).message_body("x").delay_seconds(1).send().await.expect("it is sent");
    // The world goes on by itself, too.
    let received = sqs.receive_message().queue_url(&url).wait_time_seconds(10).send().await.expect("an answer");
    assert_eq!(received.messages().len(), 1);
}

#[tokio::test]
async fn the_ready_made_platform_takes_a_tasks_events_to_its_queue() {
    let sandbox = start().await;
    sandbox.with_world(platform::set_up).expect("the platform is made");
    let config = once(sandbox.endpoint());
    let (ecs, sqs) = (aws_sdk_ecs::Client::new(&config), sqs(&sandbox));
    let update = ecs.update_service().cluster("jitsi-cluster").service("jitsi-service").desired_count(1);
    update.send().await.expect("the service takes a count");
    let url = sqs.get_queue_url().queue_name("jitsi-jvb-watcher").send().await.expect("the queue is there");
    let url = url.queue_url.expect("a URL");
    eventually("the event of a running task", async || {
        let received = sqs.receive_message().queue_url(&url).wait_time_seconds(2).max_number_of_messages(10).send();
        let received = received.await.expect("an answer");
        let bodies = received.messages().iter().filter_map(|message| message.body());
        let mut events = bodies.filter_map(|body| serde_json::from_str::<Value>(body).ok());
        events.find(|event| event["detail"]["lastStatus"] == "RUNNING")
    })
    .await;
}

#[tokio::test]
async fn the_command_says_when_its_port_is_taken() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let finished = Launch::bare("sandbox").args(["--port", &port]).finish().await;
    assert_eq!(finished.code, Some(1));
    let says =
        format!("error: --port: port {port} is in use on 127.0.0.1; give another one, or 0 for any that is free\n");
    assert_eq!(finished.stderr, says);
    assert_eq!(finished.stdout, "");
}
