//! What the program exports to OpenTelemetry, as oteltest's sink receives it: a server by the OpenTelemetry project, which
//! parses requests with OpenTelemetry's own protobuf messages.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpListener;

#[cfg(feature = "sandbox")]
use crate::fleet;
#[cfg(feature = "lambda")]
use crate::lambda;
use crate::metrics::{sum, values};
use crate::moto;
use crate::platform::{Platform, REGION};
#[cfg(feature = "lambda")]
use crate::runtime_api::RuntimeApi;
#[cfg(feature = "sandbox")]
use crate::stage::Aws;
use crate::wait::eventually;
use crate::watcher::{Launch, Line};

const REQUIREMENTS: &str = include_str!("../requirements-otlp.txt");
const PROGRAM: &str = include_str!("otlp_sink.py");

/// Serves over TLS, and prints the port, then each request.
const HTTPS: &str = include_str!("https_page.py");

/// The services that are called within a reconciliation, by the SDK's name and by that in signatures.
const TRACED: [(&str, &str); 3] =
    [("ECS", "ecs"), ("Elastic Load Balancing v2", "elasticloadbalancing"), ("CloudWatch", "monitoring")];

/// oteltest's sink. It runs until its standard input ends.
struct Sink {
    endpoint: String,
    requests: Arc<Mutex<Vec<Value>>>,
    process: Child,
}

impl Sink {
    async fn start() -> Self {
        tokio::task::spawn_blocking(|| {
            let python = moto::environment("otlp", REQUIREMENTS);
            let mut process = Command::new(python)
                .args(["-c", PROGRAM])
                .env_remove("PYTHONDONTWRITEBYTECODE")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("Python runs");
            let mut lines = BufReader::new(process.stdout.take().expect("the output is piped")).lines();
            let port: u16 = lines.next().expect("a line").expect("text").parse().expect("a port");
            let requests: Arc<Mutex<Vec<Value>>> = Arc::default();
            std::thread::spawn({
                let requests = requests.clone();
                move || {
                    for line in lines.map_while(Result::ok) {
                        let request = serde_json::from_str(&line).expect("a request is JSON");
                        requests.lock().expect("not poisoned").push(request);
                    }
                }
            });
            Self { endpoint: format!("http://127.0.0.1:{port}"), requests, process }
        })
        .await
        .expect("the sink starts")
    }

    /// The requests so far that have this signal.
    fn requests(&self, signal: &str) -> Vec<Value> {
        let requests = self.requests.lock().expect("not poisoned");
        let of_signal = requests.iter().filter(|request| request["signal"] == signal);
        of_signal.map(|request| request["request"].clone()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for request in self.requests("traces") {
            for resource in array(&request["resourceSpans"]) {
                assert_eq!(attributes(&resource["resource"])["service.name"], "jvb-watcher");
                for scope in array(&resource["scopeSpans"]) {
                    spans.extend(array(&scope["spans"]).iter().cloned().map(Span));
                }
            }
        }
        spans
    }

    /// The last export of the metrics: their resource, and each by its name.
    fn metrics(&self) -> (BTreeMap<String, String>, BTreeMap<String, Value>) {
        let requests = self.requests("metrics");
        let last = &requests.last().expect("metrics were exported")["resourceMetrics"][0];
        let metrics = array(&last["scopeMetrics"][0]["metrics"]).iter();
        let metrics = metrics.map(|metric| (metric["name"].as_str().expect("a name").to_owned(), metric.clone()));
        (attributes(&last["resource"]), metrics.collect())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A span in protobuf's JSON form.
struct Span(Value);

impl Span {
    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    fn attributes(&self) -> BTreeMap<String, String> {
        attributes(&self.0)
    }

    /// An attribute; empty if there is none.
    fn attribute(&self, name: &str) -> String {
        self.attributes().remove(name).unwrap_or_default()
    }

    fn is_call(&self) -> bool {
        self.text("kind") == "SPAN_KIND_CLIENT"
    }

    fn is_error(&self) -> bool {
        self.0["status"]["code"] == "STATUS_CODE_ERROR"
    }

    /// The requests of a call.
    fn attempts(&self) -> usize {
        1 + self.attribute("http.request.resend_count").parse::<usize>().unwrap_or(0)
    }

    /// The error types of its failed attempts.
    fn failed_attempts(&self) -> Vec<String> {
        let events = array(&self.0["events"]).iter();
        events
            .map(|event| {
                assert_eq!(event["name"], "attempt_failed");
                attributes(event)["error.type"].clone()
            })
            .collect()
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The attributes of a message, as text.
fn attributes(message: &Value) -> BTreeMap<String, String> {
    let attributes = array(&message["attributes"]).iter();
    attributes
        .map(|attribute| {
            let value = attribute["value"].as_object().and_then(|value| value.values().next()).expect("a value");
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (attribute["key"].as_str().expect("a key").to_owned(), text)
        })
        .collect()
}

/// The names of the metrics by docs/metrics.md, by the names at `/metrics`: Prometheus adds the unit and the kind.
fn documented() -> BTreeMap<String, String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).expect("a page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `jvb_watcher_"));
    let name = |exposed: &str| {
        let stem = exposed.strip_suffix("_total").unwrap_or(exposed);
        format!("jvb_watcher.{}", stem.strip_suffix("_seconds").unwrap_or(stem))
    };
    rows.map(|(metric, rest)| (metric.to_owned(), name(rest.split('`').next().expect("a name")))).collect()
}

#[tokio::test]
async fn a_collector_receives_the_traces_and_metrics_of_an_evening() {
    let (platform, sink) = tokio::join!(Platform::new(), Sink::start());
    platform.route_events().await;
    let load_balancer = platform.create_load_balancer().await;
    platform.proxy.on("elasticloadbalancing:DescribeLoadBalancers").times(1).throttle();
    let mut watcher = Launch::quick(&platform)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint)
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .start();
    // A resync that finds the task before the event arrives would register it without a latency.
    let hidden = platform.proxy.on("ecs:ListTasks").rewrite_json(|listed| listed["taskArns"] = json!([]));
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    hidden.lift();
    // All attempts of the SDK fail.
    platform.proxy.on("ecs:DescribeServices").times(3).error(500, "ServerException", "not now");
    watcher.wait_for("reconcile_failed").await;
    platform.scale_to_zero(&[&task]).await;
    platform.send_event_for(&task).await;
    watcher.wait_for("teardown_completed").await;
    platform.proxy.wait_for_waiting_poll().await;
    watcher.signal("TERM");
    assert_eq!(watcher.wait_exit().await.code(), Some(0));
    assert!(watcher.events("export_failed").is_empty());

    let lines = watcher.events("metrics");
    let spans = sink.spans();
    assert_traces(&platform, &spans, &lines);
    assert_eq!(
        spans.iter().filter(|span| span.attribute("jvb_watcher.result") == "failed").count(),
        watcher.events("reconcile_failed").len()
    );
    let (resource, metrics) = sink.metrics();
    assert_eq!(resource["deployment.environment.name"], "test");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert!(!resource["service.instance.id"].is_empty());
    assert_metrics(&platform, &metrics, &lines);
    let latencies = &metrics["jvb_watcher.registration_latency"]["histogram"]["dataPoints"][0];
    assert_eq!(latencies["count"], load_balancer.groups.len().to_string());
}

fn assert_traces(platform: &Platform, spans: &[Span], lines: &[Line]) {
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.text("spanId"), span)).collect();
    assert_eq!(by_id.len(), spans.len(), "each span is exported once");
    let parent = |span: &Span| by_id.get(span.text("parentSpanId")).copied();
    let root = |span: &Span| {
        let mut at = parent(span).unwrap_or_else(|| panic!("no parent of {}", span.0));
        while let Some(next) = parent(at) {
            at = next;
        }
        assert_eq!((at.text("name"), at.text("traceId")), ("reconcile", span.text("traceId")));
        at.text("spanId").to_owned()
    };

    let roots: Vec<&Span> = spans.iter().filter(|span| span.text("parentSpanId").is_empty()).collect();
    for root in &roots {
        let attributes = root.attributes();
        assert_eq!(attributes["jvb_watcher.project"], platform.project);
        assert_eq!(attributes["jvb_watcher.cluster"], format!("{}-cluster", platform.project));
        assert_eq!(attributes["jvb_watcher.service"], platform.service());
        assert_eq!(root.is_error(), attributes["jvb_watcher.result"] != "succeeded", "{}", root.0);
    }
    let count = |name: &str, value: &str| roots.iter().filter(|root| root.attribute(name) == value).count();
    let succeeded = i64::try_from(count("jvb_watcher.result", "succeeded")).expect("a count");
    assert_eq!(succeeded, sum(lines, "Reconciles"), "a trace for each reconciliation");
    assert!(count("jvb_watcher.trigger", "messages") >= 1 && count("jvb_watcher.trigger", "timer") >= 1);

    let calls: Vec<&Span> = spans.iter().filter(|span| span.is_call()).collect();
    let with_calls: BTreeSet<String> = calls.iter().map(|call| root(call)).collect();
    assert_eq!(with_calls.len(), roots.len(), "each reconciliation has its calls");
    for call in &calls {
        let attributes = call.attributes();
        assert_eq!(call.text("name"), format!("{}.{}", attributes["rpc.service"], attributes["rpc.method"]));
        assert_eq!([&*attributes["rpc.system"], &*attributes["cloud.region"]], ["aws-api", REGION]);
        let phase = parent(call).expect("a phase").text("name");
        assert_eq!(phase == "execute", is_write(&attributes["rpc.method"]), "{} in {phase}", call.text("name"));
    }
    assert_all_calls(platform, &calls);

    let throttled: Vec<&&Span> = calls.iter().filter(|call| call.attempts() == 2).collect();
    let [throttled] = &throttled[..] else { panic!("one call was throttled") };
    assert_eq!(throttled.text("name"), "Elastic Load Balancing v2.DescribeLoadBalancers");
    assert_eq!((throttled.failed_attempts(), throttled.is_error()), (vec!["ThrottlingException".to_owned()], false));
    assert_eq!(throttled.attribute("http.response.status_code"), "200");

    let failed: Vec<&&Span> = calls.iter().filter(|call| call.attempts() == 3).collect();
    let [failed] = &failed[..] else { panic!("one call failed") };
    assert_eq!((failed.text("name"), failed.is_error()), ("ECS.DescribeServices", true));
    assert_eq!(failed.attribute("error.type"), "ServerException");
    assert_eq!(failed.attribute("http.response.status_code"), "500");
    assert_eq!(failed.0["status"]["message"], "not now");
    assert_eq!(failed.failed_attempts(), ["ServerException"; 3]);
    assert!(!failed.attribute("aws.request_id").is_empty(), "{}", failed.0);
    let failed_root = by_id[root(failed).as_str()];
    assert_eq!(failed_root.attribute("jvb_watcher.result"), "failed");
    assert_eq!(failed_root.attribute("error.type"), "ServerException");
}

/// Asserts that each request within a reconciliation that has arrived is an attempt of a call's span, and each attempt one.
fn assert_all_calls(platform: &Platform, calls: &[&Span]) {
    let mut attempts: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        let (service, operation) = (call.attribute("rpc.service"), call.attribute("rpc.method"));
        let signed = TRACED.iter().find(|(name, _)| *name == service).expect("a known service").1;
        *attempts.entry(format!("{signed}:{operation}")).or_default() += call.attempts();
    }
    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    for call in platform.proxy.calls() {
        if TRACED.iter().any(|(_, signed)| call.name.split(':').next() == Some(*signed)) {
            *arrived.entry(call.name).or_default() += 1;
        }
    }
    assert_eq!(attempts, arrived);
}

fn is_write(operation: &str) -> bool {
    ["Register", "Deregister", "Add", "Remove", "Delete"].iter().any(|verb| operation.starts_with(verb))
}

fn assert_metrics(platform: &Platform, metrics: &BTreeMap<String, Value>, lines: &[Line]) {
    let documented = documented();
    // moto's CloudWatch doesn't speak the protocol of the SDK, so that the flows stay unknown.
    let known = documented.iter().filter(|(metric, _)| !["Flows", "UnusedSeconds"].contains(&metric.as_str()));
    let mut expected: BTreeSet<String> = known.map(|(_, name)| name.clone()).collect();
    expected.insert("jvb_watcher.last_look_timestamp".to_owned());
    let exported: BTreeSet<String> = metrics.keys().cloned().collect();
    assert_eq!(exported, expected, "all metrics, and the time of the last observation");

    let identity = BTreeMap::from([
        ("project".to_owned(), platform.project.clone()),
        ("cluster".to_owned(), format!("{}-cluster", platform.project)),
        ("service".to_owned(), platform.service()),
    ]);
    let mut counters = 0;
    for (metric, name) in &documented {
        let Some(exported) = metrics.get(name) else { continue };
        let kind = ["sum", "gauge", "histogram"].into_iter().find(|kind| exported.get(kind).is_some());
        let data = &exported[kind.expect("a kind")];
        let [point] = array(&data["dataPoints"]) else { panic!("one series of {name}: {exported}") };
        assert_eq!(attributes(point), identity, "{name}");
        let is_time = ["Seconds", "Duration", "Latency", "Age"].iter().any(|suffix| metric.ends_with(suffix));
        assert_eq!(exported["unit"].as_str().unwrap_or_default(), if is_time { "s" } else { "" }, "{name}");
        if kind != Some("gauge") {
            assert_eq!(data["aggregationTemporality"], "AGGREGATION_TEMPORALITY_CUMULATIVE", "{name}");
        }
        match kind {
            Some("sum") => {
                counters += 1;
                assert_eq!(data["isMonotonic"], true, "{name}");
                assert_eq!(point["asInt"], sum(lines, metric).to_string(), "{name}");
            }
            Some("histogram") => assert_eq!(point["count"], values(lines, metric).to_string(), "{name}"),
            _ => {}
        }
    }
    assert_eq!(counters, 9);
    let gauge = |name: &str| metrics[name]["gauge"]["dataPoints"][0]["asDouble"].as_f64();
    for name in ["running_tasks", "healthy_targets", "load_balancer_up", "findings"] {
        assert_eq!(gauge(&format!("jvb_watcher.{name}")), Some(0.0), "{name}");
    }
}

/// A collector that answers or doesn't.
struct Collector {
    endpoint: String,
    requests: Arc<AtomicUsize>,
    answers: Arc<AtomicBool>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let (requests, answers): (Arc<AtomicUsize>, Arc<AtomicBool>) = Default::default();
        let collector = Self { endpoint, requests: requests.clone(), answers: answers.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (requests, answers) = (requests.clone(), answers.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (requests, answers) = (requests.clone(), answers.clone());
                    async move {
                        let _ = request.into_body().collect().await;
                        requests.fetch_add(1, Ordering::SeqCst);
                        if !answers.load(Ordering::SeqCst) {
                            std::future::pending::<()>().await;
                        }
                        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        collector
    }

    /// Waits for so many further requests.
    async fn wait_for_requests(&self, more: usize) {
        let until = self.requests.load(Ordering::SeqCst) + more;
        eventually("the collector has the requests", async || {
            (self.requests.load(Ordering::SeqCst) >= until).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_collector_that_hangs_delays_nothing_and_is_reported_once() {
    let (platform, collector) = tokio::join!(Platform::new(), Collector::start());
    let load_balancer = platform.create_load_balancer().await;
    let mut watcher = Launch::quick(&platform)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "50")
        .start();
    collector.wait_for_requests(1).await;
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    let both = |event: &'static str| {
        let watcher = &watcher;
        async move {
            for signal in ["traces", "metrics"] {
                watcher.wait_for_that(event, |line| line.text("signal") == signal).await;
            }
        }
    };
    both("export_failed").await;
    collector.wait_for_requests(8).await;
    let failures = watcher.events("export_failed");
    assert_eq!(failures.len(), 2, "one for each signal");
    assert!(failures.iter().all(|line| line.text("error").contains("deadline has elapsed")), "{failures:?}");

    collector.answers.store(true, Ordering::SeqCst);
    both("export_recovered").await;
    collector.answers.store(false, Ordering::SeqCst);
    collector.wait_for_requests(8).await;
    watcher.wait_for_reconciliations(&platform.proxy, 1).await;
    watcher.signal("TERM");
    // The last export has three seconds.
    assert_eq!(watcher.wait_exit_within(Duration::from_secs(30)).await.code(), Some(0));
    assert_eq!(watcher.events("export_failed").len(), 2, "a further failure within an hour is not reported");
    assert!(watcher.events("diagnostic").is_empty(), "OpenTelemetry's crates log nothing by themselves");
    assert!(watcher.events("reconcile_failed").is_empty());
}

#[tokio::test]
async fn exports_over_tls_with_a_token() {
    let platform = Platform::new().await;
    let python = tokio::task::spawn_blocking(moto::installed_python).await.expect("Python is installed");
    let home = tempfile::tempdir().expect("the directory for temporary files is writable");
    let mut page = tokio::process::Command::new(python)
        .args(["-c", HTTPS])
        .current_dir(home.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python runs");
    let mut accepted = tokio::io::BufReader::new(page.stdout.take().expect("the output is piped")).lines();
    let port = accepted.next_line().await.expect("text").expect("a port");
    let launch = || {
        Launch::quick(&platform)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("https://localhost:{port}"))
            .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t0ken")
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
            .env("OTEL_METRICS_EXPORTER", "none")
    };
    let watcher = launch().env("SSL_CERT_FILE", home.path().join("authority.pem").to_str().expect("Unicode")).start();
    // The first request is answered with 503, and repeated.
    assert_eq!(accepted.next_line().await.expect("text").as_deref(), Some("/v1/traces Bearer t0ken"));
    assert!(watcher.events("export_failed").is_empty());
    drop(watcher);
    // The authority is none of the system's.
    let failed = launch().start().wait_for("export_failed").await;
    assert!(failed.text("error").contains("invalid peer certificate"), "{}", failed.0);
    drop(page.kill().await);
}

#[cfg(feature = "sandbox")]
#[tokio::test]
async fn each_service_of_a_fleet_has_its_traces_and_series() {
    let (platform, sink) = tokio::join!(Platform::on(Aws::Sandbox), Sink::start());
    platform.route_events().await;
    let own = platform.create_load_balancer().await;
    let meet = fleet::create_meet_load_balancer(&platform).await;
    platform.create_service_as(fleet::MEET, 1, &[]).await;
    fleet::scale(&platform, &platform.service(), 1).await;
    let services = format!("{}{}", fleet::own(&platform), fleet::meet(&platform));
    let file = fleet::ConfigFile::new(&(fleet::defaults(&platform, "resync-interval = \"1s\"\n") + &services));
    let mut watcher = fleet::with_config(&platform, &file).env("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint).start();
    fleet::wait_until_registered(&platform, &platform.service(), &own).await;
    fleet::wait_until_registered(&platform, fleet::MEET, &meet).await;
    platform.wait_until_queue_empty().await;
    platform.proxy.wait_for_waiting_poll().await;
    watcher.signal("TERM");
    assert_eq!(watcher.wait_exit().await.code(), Some(0));

    let spans = sink.spans();
    let roots: BTreeMap<&str, String> = spans
        .iter()
        .filter(|span| span.text("parentSpanId").is_empty())
        .map(|span| (span.text("traceId"), span.attribute("jvb_watcher.service")))
        .collect();
    let calls: Vec<&Span> = spans.iter().filter(|span| span.is_call()).collect();
    assert!(calls.iter().all(|call| roots.contains_key(call.text("traceId"))), "a shared read is in a trace, too");
    assert_all_calls(&platform, &calls);
    let with_registration = calls.iter().filter(|call| call.attribute("rpc.method") == "RegisterTargets");
    let services: BTreeSet<&str> = with_registration.map(|call| roots[call.text("traceId")].as_str()).collect();
    let both = BTreeSet::from([fleet::MEET.to_owned(), platform.service()]);
    assert_eq!(services, both.iter().map(String::as_str).collect());

    let (_, metrics) = sink.metrics();
    let series = |name: &str, kind: &str| {
        let points = array(&metrics[name][kind]["dataPoints"]).iter();
        points.map(|point| attributes(point).remove("service")).collect::<BTreeSet<_>>()
    };
    let both: BTreeSet<_> = both.into_iter().map(Some).collect();
    for (name, kind) in [("reconciles", "sum"), ("healthy_targets", "gauge"), ("reconcile_duration", "histogram")] {
        assert_eq!(series(&format!("jvb_watcher.{name}"), kind), both, "{name}");
    }
    assert_eq!(series("jvb_watcher.aws_calls", "sum"), BTreeSet::from([None]), "all services share the calls");
    let sent =
        array(&metrics["jvb_watcher.aws_calls"]["sum"]["dataPoints"])[0]["asInt"].as_str().map(str::parse::<i64>);
    let lines: Vec<Line> = watcher.events("metrics").into_iter().filter(|line| line.text("Service") == "*").collect();
    assert_eq!(sent, Some(Ok(sum(&lines, "AwsCalls"))));
}

#[cfg(feature = "lambda")]
#[tokio::test]
async fn an_invocation_exports_before_it_responds() {
    const NEVER: &str = "86400000";
    let (platform, sink, api) = tokio::join!(Platform::new(), Sink::start(), RuntimeApi::start());
    let watcher = lambda::launch(&platform, &api)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint)
        .env("OTEL_BSP_SCHEDULE_DELAY", NEVER)
        .env("OTEL_METRIC_EXPORT_INTERVAL", NEVER)
        .start();
    for invocations in 1..=2 {
        api.invoke(&lambda::tick(), Duration::from_secs(60)).await;
        // A flush that isn't complete in time goes on.
        let roots = eventually("the trace has arrived", async || {
            let spans = sink.spans();
            let roots = spans.iter().filter(|span| span.text("name") == "reconcile").count();
            (roots >= invocations && sink.requests("metrics").len() >= invocations).then_some(roots)
        })
        .await;
        assert_eq!(roots, invocations);
    }
    let (_, metrics) = sink.metrics();
    assert_eq!(metrics["jvb_watcher.reconciles"]["sum"]["dataPoints"][0]["asInt"], "2");
    drop(watcher);
}

#[tokio::test]
async fn a_wrong_configuration_is_an_error_of_usage() {
    let platform = Platform::new().await;
    let run = |variables: &[(&str, &str)]| {
        let launch = Launch::run(&platform).args(["--exit-when-empty"]);
        variables.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).finish()
    };
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
    let (grpc, nonsense, off, no_queue) = tokio::join!(
        run(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]),
        run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[collector")]),
        run(&[endpoint, ("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]),
        run(&[endpoint, ("JVB_WATCHER_QUEUE", "none")]),
    );
    assert_eq!(grpc.code, Some(2));
    assert!(grpc.stderr.contains("error: OTEL_EXPORTER_OTLP_PROTOCOL: \"grpc\" is not supported"), "{}", grpc.stderr);
    assert_eq!(nonsense.code, Some(2));
    assert!(nonsense.stderr.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{}", nonsense.stderr);
    assert_eq!(off.code, Some(0), "{}", off.stderr);
    assert_eq!(no_queue.code, Some(2), "an export that has begun doesn't hinder the exit: {}", no_queue.stderr);
}
