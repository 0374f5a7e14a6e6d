//! Tests of the server over plain HTTP: the control API, long polls, and HTTP itself.
//!
//! The root package tests the same server through the AWS SDK, boto3 and the AWS CLI.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use jvb_watcher_sandbox::api::{self, ecs};
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::platform::{self, load_balancer};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Settings, World};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Generous for a busy machine; a test that passes never waits this long.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Wait time of a long poll that a test expects to end earlier.
const LONG: u64 = 20;

async fn start() -> Sandbox {
    let world = World::new(Settings::default().scaled(1000.0), 1, Timestamp::now());
    Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port")
}

/// A client that opens a connection for each request.
#[derive(Clone, Copy)]
struct Client {
    address: SocketAddr,
}

impl Client {
    fn of(sandbox: &Sandbox) -> Self {
        Self { address: sandbox.endpoint().trim_start_matches("http://").parse().expect("an endpoint is an address") }
    }

    /// Sends a request; returns the status and the body of the response, or nothing when the connection closes.
    async fn send(self, request: Request<Full<Bytes>>) -> Option<(u16, String)> {
        let stream = TcpStream::connect(self.address).await.expect("the sandbox listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a whole response").to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Calls an operation of SQS.
    async fn sqs(self, operation: &str, members: Value) -> Option<(u16, Value)> {
        let request = Request::post("/")
            .header("host", "sandbox")
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .body(Full::new(Bytes::from(members.to_string())));
        let (status, body) = self.send(request.expect("a request")).await?;
        Some((status, serde_json::from_str(&body).expect("SQS responds with JSON")))
    }

    /// Calls an operation of SQS that succeeds.
    async fn sqs_ok(self, operation: &str, members: Value) -> Value {
        let (status, body) = self.sqs(operation, members).await.expect("a response");
        assert_eq!(status, 200, "{operation} gives {body}");
        body
    }

    /// Creates a queue and returns its URL.
    async fn create_queue(self) -> String {
        let created = self.sqs_ok("CreateQueue", json!({ "QueueName": "q" })).await;
        created["QueueUrl"].as_str().expect("a URL").to_owned()
    }

    /// Receives messages, with a wait time in seconds.
    async fn receive(self, url: &str, wait: u64) -> Vec<Value> {
        let members = json!({ "QueueUrl": url, "WaitTimeSeconds": wait });
        messages(&self.sqs_ok("ReceiveMessage", members).await)
    }

    /// Starts a long poll in the background.
    fn start_poll(self, url: &str) -> tokio::task::JoinHandle<Vec<Value>> {
        let url = url.to_owned();
        tokio::spawn(async move { self.receive(&url, LONG).await })
    }

    async fn send_message(self, url: &str, body: &str) {
        self.sqs_ok("SendMessage", json!({ "QueueUrl": url, "MessageBody": body })).await;
    }

    /// Sends a request to the control API.
    async fn control(self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/_sandbox/{path}"))
            .header("host", "sandbox")
            .body(Full::new(Bytes::from(body.to_owned())));
        let (status, body) = self.send(request.expect("a request")).await.expect("a response");
        (status, serde_json::from_str(&body).expect("the control API responds with JSON"))
    }

    /// Sends bytes as they are, and returns all that the server sends until it closes the connection.
    async fn send_bytes(self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("the sandbox listens");
        stream.write_all(bytes).await.expect("the sandbox reads");
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.expect("the sandbox responds");
        String::from_utf8_lossy(&received).into_owned()
    }
}

fn messages(received: &Value) -> Vec<Value> {
    received["Messages"].as_array().cloned().unwrap_or_default()
}

/// Waits until a number of ReceiveMessage requests have reached the sandbox.
async fn wait_for_polls(sandbox: &Sandbox, number: u64) {
    let start = Instant::now();
    while sandbox.calls().get("sqs:ReceiveMessage").copied().unwrap_or(0) < number {
        assert!(start.elapsed() < TIMEOUT, "the polls did not arrive");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_long_poll_returns_a_message_that_arrives_while_it_waits() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    let url = client.create_queue().await;
    let began = Instant::now();
    let polls: Vec<_> = (0..3).map(|_| client.start_poll(&url)).collect();
    wait_for_polls(&sandbox, 3).await;
    for _ in 0..3 {
        client.send_message(&url, "x").await;
    }
    for poll in polls {
        assert_eq!(poll.await.expect("no panic").len(), 1);
    }
    assert!(began.elapsed() < Duration::from_secs(LONG), "the polls waited for {:?}", began.elapsed());
}

#[tokio::test]
async fn a_long_poll_of_an_empty_queue_ends_after_its_wait_time() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    let url = client.create_queue().await;
    let began = Instant::now();
    assert!(client.receive(&url, 1).await.is_empty());
    assert!(began.elapsed() >= Duration::from_millis(950), "it ended after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_poll_without_wait_time_uses_the_queues() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    let attributes = json!({ "ReceiveMessageWaitTimeSeconds": "1" });
    let created = client.sqs_ok("CreateQueue", json!({ "QueueName": "q", "Attributes": attributes })).await;
    let began = Instant::now();
    client.sqs_ok("ReceiveMessage", json!({ "QueueUrl": created["QueueUrl"] })).await;
    assert!(began.elapsed() >= Duration::from_millis(950), "it ended after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_poll_whose_client_disconnects_takes_no_message() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    let url = client.create_queue().await;
    let members = json!({ "QueueUrl": url, "WaitTimeSeconds": LONG }).to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: s\r\nx-amz-target: AmazonSQS.ReceiveMessage\r\ncontent-length: {}\r\n\r\n{members}",
        members.len()
    );
    let mut stream = TcpStream::connect(client.address).await.expect("the sandbox listens");
    stream.write_all(request.as_bytes()).await.expect("the sandbox reads");
    wait_for_polls(&sandbox, 1).await;
    // Closes the sending half. The server drops the request and then closes its half, which the read waits for.
    stream.shutdown().await.expect("the connection can be closed");
    let mut received = Vec::new();
    let closed = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut received)).await;
    closed.expect("the sandbox notices that the client is gone").expect("the connection ends");
    assert!(received.is_empty(), "{}", String::from_utf8_lossy(&received));
    client.send_message(&url, "x").await;
    assert_eq!(client.receive(&url, 0).await.len(), 1, "the cancelled poll has the message");
}

#[tokio::test]
async fn records_the_calls_of_the_apis_on_request() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    let url = client.create_queue().await;
    assert!(sandbox.take_recorded_calls().is_empty(), "nothing is recorded before it is asked for");

    sandbox.record_calls();
    let began = Instant::now();
    client.send_message(&url, "x").await;
    client.control("GET", "state", "").await;
    client.receive(&url, 1).await;
    client.receive(&url, 1).await;
    let calls = sandbox.take_recorded_calls();
    let operations: Vec<&str> = calls.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(operations, ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:ReceiveMessage"]);
    assert!(calls.iter().all(|call| began <= call.began && call.began <= call.ended));
    assert!(calls[2].ended - calls[2].began >= Duration::from_millis(950), "the wait of a poll is its time");
    let request: Value = serde_json::from_slice(&calls[0].request).expect("the whole body");
    assert_eq!(request["MessageBody"], "x");
    assert!(calls[1].response_bytes > calls[2].response_bytes, "one response has a message");

    client.send_message(&url, "y").await;
    assert_eq!(sandbox.take_recorded_calls().len(), 1, "what was taken is forgotten");
}

#[tokio::test]
async fn stopping_ends_the_polls_and_frees_the_port() {
    // Another process can take the port before the test binds it again, so one of several attempts must succeed.
    for _ in 0..5 {
        let sandbox = start().await;
        let client = Client::of(&sandbox);
        let url = client.create_queue().await;
        let poll = client.start_poll(&url);
        wait_for_polls(&sandbox, 1).await;
        let began = Instant::now();
        sandbox.stop().await;
        assert!(poll.await.expect("no panic").is_empty());
        assert!(began.elapsed() < Duration::from_secs(LONG), "stopping took {:?}", began.elapsed());
        if TcpListener::bind(client.address).await.is_ok() {
            return;
        }
    }
    panic!("the sandbox doesn't free its port");
}

#[tokio::test]
async fn the_control_api_reads_and_changes_the_sandbox() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    client.sqs_ok("ListQueues", json!({})).await;
    let (status, state) = client.control("GET", "state", "").await;
    assert_eq!((status, &state["calls"]["sqs:ListQueues"]), (200, &json!(1)));

    sandbox.with_world(platform::set_up).expect("the platform is created");
    let message = json!({ "act": "malformed-message", "queue": "jitsi-jvb-watcher", "body": "x" });
    assert_eq!(client.control("POST", "act", &message.to_string()).await.0, 200);
    let world = client.control("GET", "state", "").await.1["world"].take();
    assert_eq!(world["services"][0]["name"], "jitsi-service");
    let queues = world["queues"].as_array().expect("queues");
    let visible = |name: &str| queues.iter().find(|queue| queue["name"] == name).map(|queue| queue["visible"].clone());
    assert_eq!((visible("jitsi-jvb-watcher"), visible("jitsi-jvb-watcher-dlq")), (Some(json!(1)), Some(json!(0))));

    let faults = json!({ "rules": [{ "on": "sqs:*", "rate": 1.0, "effect": { "kind": "drop", "when": "before" } }] });
    assert_eq!(client.control("PUT", "faults", &faults.to_string()).await.0, 200);
    assert_eq!(client.control("GET", "faults", "").await.1["rules"], faults["rules"]);
    assert_eq!(client.sqs("ListQueues", json!({})).await, None, "the connection closes");
    assert_eq!(client.control("DELETE", "faults", "").await.0, 200);
    client.sqs_ok("ListQueues", json!({})).await;

    let (status, settings) = client.control("PATCH", "settings", r#"{"region": "eu-north-1"}"#).await;
    assert_eq!((status, &settings["region"]), (200, &json!("eu-north-1")));
    assert_eq!(settings["endpoint"], sandbox.endpoint(), "other settings keep their values");
}

#[tokio::test]
async fn the_state_has_the_callers_and_what_keeps_them_out() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    assert_eq!(client.control("PATCH", "settings", r#"{"calls": {"domain": "meet.test"}}"#).await.0, 200);
    sandbox.with_world(platform::set_up).expect("the platform is created");
    sandbox.with_world(load_balancer::create).expect("the load balancer is created");
    sandbox.with_world(|world, now| {
        let update = ecs::UpdateServiceInput {
            cluster: Some("jitsi-cluster".to_owned()),
            service: "jitsi-service".to_owned(),
            desired_count: Some(1),
            ..ecs::UpdateServiceInput::default()
        };
        world.call(api::Request::Ecs(ecs::Request::UpdateService(update)), now).expect("the service scales");
    });
    assert_eq!(client.control("POST", "act", r#"{"act": "callers", "n": 1}"#).await.0, 200);
    let began = Instant::now();
    let world = loop {
        let world = client.control("GET", "state", "").await.1["world"].take();
        let bridge = world["tasks"][0]["advertises"].as_array().is_some_and(|addresses| !addresses.is_empty());
        if bridge && world["calls"]["callers"][0]["reason"] == "no healthy web target" {
            break world;
        }
        assert!(began.elapsed() < TIMEOUT, "the bridge does not start: {world}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let load_balancer = &world["balancers"][0];
    assert_eq!(world["tasks"][0]["advertises"], load_balancer["addresses"]);
    let record =
        json!({ "name": "meet.test", "target": load_balancer["dns-name"], "addresses": load_balancer["addresses"] });
    assert_eq!(world["records"], json!([record]));
    let listeners = world["listeners"].as_array().expect("listeners").iter();
    let listeners: Vec<_> = listeners.map(|listener| (&listener["protocol"], &listener["port"])).collect();
    assert_eq!(listeners, [(&json!("TLS"), &json!(443)), (&json!("UDP"), &json!(10_000))]);
    let calls = &world["calls"];
    assert_eq!([&calls["joined"], &calls["no-media"], &calls["dropped"]], [0, 0, 0]);
    assert_eq!(calls["callers"][0]["state"], "no-sign-in");
    let reasons: Vec<_> =
        calls["history"].as_array().expect("a history").iter().map(|change| &change["reason"]).collect();
    assert_eq!(reasons.last(), Some(&&json!("no healthy web target")), "{calls}");

    assert_eq!(client.control("POST", "act", r#"{"act": "delete-record", "name": "meet.test"}"#).await.0, 200);
    let (status, refused) = client.control("POST", "act", r#"{"act": "delete-record", "name": "meet.test"}"#).await;
    assert!(status == 400 && refused["error"].as_str().is_some_and(|error| error.contains("meet.test")), "{refused}");
}

#[tokio::test]
async fn callers_join_and_leave_by_the_control_api() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    assert_eq!(client.control("PATCH", "settings", r#"{"calls": {"domain": "meet.test"}}"#).await.0, 200);
    sandbox.with_world(load_balancer::create).expect("the load balancer is created");
    let act = async |incident: Value| client.control("POST", "act", &incident.to_string()).await;
    for incident in [
        json!({ "act": "join", "n": 2 }),
        json!({ "act": "join", "n": 3, "after": "1h", "stay": "2h" }),
        json!({ "act": "port-scan", "n": 2 }),
        json!({ "act": "metrics-gap", "lasts": "1h" }),
        json!({ "act": "leave", "caller": 1, "silently": true }),
    ] {
        assert_eq!(act(incident.clone()).await.0, 200, "{incident}");
    }
    let world = client.control("GET", "state", "").await.1["world"].take();
    let callers = world["calls"]["callers"].as_array().expect("callers");
    assert_eq!(callers.iter().map(|caller| &caller["number"]).collect::<Vec<_>>(), [2]);
    assert_eq!(world["calls"]["connections"], json!([]), "no task runs");
    assert_eq!(world["balancers"][0]["flows"], json!({ "TCP": 0, "TLS": 0, "UDP": 0 }));
    for (incident, expected) in [
        (json!({ "act": "leave", "caller": 1 }), "no caller 1"),
        (json!({ "act": "join", "n": 101 }), "at most 100"),
        (json!({ "act": "port-scan", "n": 1001 }), "at most 1000"),
        (json!({ "act": "join", "n": 1, "stay": "long" }), "is not a duration"),
    ] {
        let (status, refused) = act(incident).await;
        assert_eq!(status, 400);
        assert!(refused["error"].as_str().is_some_and(|error| error.contains(expected)), "{refused}");
    }
}

#[tokio::test]
async fn the_clock_can_be_set_ahead() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    sandbox.with_world(platform::set_up).expect("the platform is created");
    let before = sandbox.clock().now();
    let (status, answer) = client.control("POST", "advance", r#"{"by": "1h"}"#).await;
    let now: Timestamp = answer["now"].as_str().expect("a time").parse().expect("a time");
    let hour = Duration::from_secs(3600);
    assert_eq!((status, sandbox.clock().advanced()), (200, hour));
    assert!(now >= before + hour, "{now} is not an hour after {before}");
    assert!(sandbox.with_world(|_, now| now) >= before + hour);
}

#[tokio::test]
async fn the_control_api_refuses_invalid_requests_with_a_message() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    let no_operation = r#"{"rules": [{"on": "x", "effect": {"kind": "drop", "when": "after"}}]}"#;
    let cases = [
        ("PUT", "faults", "{", 400, "cannot be read"),
        ("PUT", "faults", no_operation, 400, "no operation"),
        ("POST", "act", r#"{"act": "nonsense"}"#, 400, "cannot be read"),
        ("POST", "advance", r#"{"by": "long"}"#, 400, "is not a duration"),
        ("PATCH", "settings", r#"{"nonsense": 1}"#, 400, "nonsense"),
        ("PATCH", "settings", "[]", 400, "expected a JSON object of settings, got []"),
        ("PATCH", "settings", r#"{"tasks": []}"#, 400, "expected a JSON object of settings, got []"),
        ("POST", "state", "", 405, "does not accept POST"),
        ("GET", "nonsense", "", 404, "use state, act, advance, faults or settings"),
    ];
    for (method, path, body, expected_status, expected) in cases {
        let (status, response) = client.control(method, path, body).await;
        assert_eq!(status, expected_status, "{method} {path} {body}");
        let message = response["error"].as_str().expect("a message");
        assert!(message.contains(expected), "{method} {path} {body} gives {message:?}");
    }
}

#[tokio::test]
async fn unmodelled_operations_are_named_and_not_counted() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    let (status, body) = client.sqs("AddPermission", json!({})).await.expect("a response");
    let message = body["message"].as_str().expect("a message");
    assert!(status == 400 && message.contains("The sandbox does not model sqs:AddPermission"), "{status} {message}");
    assert!(message.contains("Of sqs it models CreateQueue, "), "{message}");
    let form = Request::post("/")
        .header("host", "sandbox")
        .body(Full::new(Bytes::from_static(b"Action=AssumeRole&Version=2011-06-15")));
    let (status, body) = client.send(form.expect("a request")).await.expect("a response");
    assert!(status == 400 && body.contains("<Code>InvalidAction</Code>"), "{status} {body}");
    let calls = sandbox.calls();
    assert!(calls.is_empty(), "only modelled operations count: {calls:?}");
}

#[tokio::test]
async fn requests_arrive_in_every_form_of_http() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    let head = "x-amz-target: AmazonSQS.CreateQueue\r\nconnection: close\r\n";
    let body = r#"{"QueueName": "q"}"#;
    let chunked = format!(
        "POST / HTTP/1.1\r\nhost: s\r\n{head}transfer-encoding: chunked\r\n\r\n5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        &body[..5],
        body.len() - 5,
        &body[5..]
    );
    let received = client.send_bytes(chunked.as_bytes()).await;
    assert!(received.starts_with("HTTP/1.1 200") && received.contains("/111122223333/q"), "{received}");
    let length = body.len();
    let expecting =
        format!("POST / HTTP/1.1\r\nhost: s\r\n{head}expect: 100-continue\r\ncontent-length: {length}\r\n\r\n{body}");
    let received = client.send_bytes(expecting.as_bytes()).await;
    assert!(received.starts_with("HTTP/1.1 100") && received.contains("HTTP/1.1 200"), "{received}");
    let form = "GET /?Action=GetCallerIdentity&Version=2011-06-15 HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n";
    let received = client.send_bytes(form.as_bytes()).await;
    assert!(received.contains("<Account>111122223333</Account>"), "{received}");
    assert!(received.contains("https://sts.amazonaws.com/"), "{received}");
    for method in ["GET", "HEAD"] {
        let request = format!("{method} / HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n");
        let received = client.send_bytes(request.as_bytes()).await;
        assert!(received.starts_with("HTTP/1.1 400"), "{method} gives {received}");
        assert_eq!(received.contains("<Code>MissingAction</Code>"), method == "GET", "{method} gives {received}");
    }
    let truncated = format!("POST / HTTP/1.1\r\nhost: s\r\n{head}content-length: 1000\r\n\r\n{{");
    let mut stream = TcpStream::connect(client.address).await.expect("the sandbox listens");
    stream.write_all(truncated.as_bytes()).await.expect("the sandbox reads");
    drop(stream);
    client.sqs_ok("ListQueues", json!({})).await;
}

#[tokio::test]
async fn the_largest_message_is_accepted_and_larger_requests_are_refused() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    let url = client.create_queue().await;
    // Each quotation mark takes two bytes in JSON.
    let body = "\"".repeat(1024 * 1024);
    client.send_message(&url, &body).await;
    let received = client.receive(&url, 0).await;
    assert_eq!(received[0]["Body"].as_str().map(str::len), Some(body.len()));
    let members = json!({ "QueueUrl": url, "MessageBody": format!("{body}x") });
    let (status, error) = client.sqs("SendMessage", members).await.expect("a response");
    let code = error["__type"].as_str().expect("a code");
    assert!(status == 400 && code.ends_with("#InvalidParameterValueException"), "{status} {code}");
    // The announced length alone is enough for a refusal.
    let request = "POST / HTTP/1.1\r\nhost: s\r\nx-amz-target: AmazonSQS.SendMessage\r\nconnection: close\r\n\
                   content-length: 99999999\r\n\r\n";
    let received = client.send_bytes(request.as_bytes()).await;
    assert!(received.starts_with("HTTP/1.1 413") && received.contains("larger than 8388608 bytes"), "{received}");
}

#[tokio::test]
async fn idle_connections_do_not_delay_other_clients() {
    let sandbox = start().await;
    let client = Client::of(&sandbox);
    let mut idle = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(client.address).await.expect("the sandbox listens");
        stream.write_all(b"POST / HT").await.expect("the sandbox reads");
        idle.push(stream);
    }
    let response = tokio::time::timeout(TIMEOUT, client.sqs_ok("ListQueues", json!({}))).await;
    response.expect("the idle connections block the sandbox");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_panic_in_one_caller_does_not_stop_the_sandbox() {
    let sandbox = Arc::new(start().await);
    let shared = Arc::clone(&sandbox);
    let panicked = std::thread::spawn(move || shared.with_world(|_, _| -> () { panic!("on purpose") })).join();
    assert!(panicked.is_err());
    let client = Client::of(&sandbox);
    let url = client.create_queue().await;
    client.sqs_ok("SendMessage", json!({ "QueueUrl": url, "MessageBody": "x", "DelaySeconds": 1 })).await;
    // Timers fire as well: the delayed message becomes visible.
    assert_eq!(client.receive(&url, LONG).await.len(), 1);
}
