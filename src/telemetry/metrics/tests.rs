//! Publication of the metrics, and their documentation.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::exposition::exposed_name;
use super::*;
use crate::aws::fake::noon;
use crate::clock::Clock;
use crate::telemetry::log::fake::LogLines;
use crate::telemetry::tests::{assert_generated, read};
use jvb_watcher_rules::model::{Counts, LoadBalancerState};

// ---- documentation ----

/// The header of the table in docs/metrics.md.
const HEADER: &str =
    "| metric | at `/metrics` | unit | kind | published | meaning |\n| --- | --- | --- | --- | --- | --- |\n";

/// Returns the rows of the table in docs/metrics.md: name, name at /metrics, unit, kind, published, meaning.
pub fn documented() -> Vec<[String; 6]> {
    let text = read("metrics.md");
    let row = |line: &str| {
        let cells = line.trim_matches('|').splitn(6, '|').map(|cell| cell.trim().trim_matches('`').to_owned());
        cells.collect::<Vec<_>>().try_into().expect("six cells")
    };
    text.lines().filter(|line| line.starts_with("| `")).map(row).collect()
}

fn row(metric: Metric) -> String {
    let Definition { name, unit, kind, published, help, .. } = metric.definition();
    let kind = match kind {
        Kind::Gauge(_) => "gauge",
        Kind::Counter => "counter",
        Kind::Distribution { .. } => "distribution",
    };
    let published = match published {
        Published::Always => "always",
        Published::InUse => "in use",
        Published::InUseWithValue => "in use, with a value",
    };
    let exposed = exposed_name(metric);
    format!("| `{name}` | `{exposed}` | {unit:?} | {kind} | {published} | {help} |\n")
}

#[test]
fn documents_every_metric() {
    let page = read("metrics.md");
    let (before, table) = page.split_once(HEADER).expect("docs/metrics.md has the table");
    let after = table.trim_start_matches(|c| c != '\n').split_once("\n\n").expect("text after the table").1;
    let rows: String = Metric::ALL.into_iter().map(row).collect();
    assert_generated("metrics.md", &format!("{before}{HEADER}{rows}\n{after}"));
}

// ---- publication ----

/// A clock that the test sets.
#[derive(Clone)]
struct SetClock(Arc<Mutex<Timestamp>>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("not poisoned")
    }
}

struct Bench {
    metrics: Metrics,
    lines: LogLines,
    clock: SetClock,
}

fn scope(service: &str) -> Scope {
    Scope { namespace: "Jitsi/JVB".into(), project: "p".into(), cluster: "c".into(), service: service.into() }
}

fn bench() -> Bench {
    let clock = SetClock(Arc::new(Mutex::new(noon())));
    let lines = LogLines::default();
    let log = lines.log(Arc::new(clock.clone()));
    let scope = scope("p-service");
    Bench { metrics: Metrics::new(scope, log, Arc::new(clock.clone())), lines, clock }
}

impl Bench {
    fn pass(&self, milliseconds: i64) {
        let mut now = self.clock.0.lock().expect("not poisoned");
        *now += SignedDuration::from_millis(milliseconds);
    }

    /// Reconciles successfully, and returns the published lines.
    fn reconcile(&self, snapshot: Snapshot) -> Vec<Value> {
        self.reconcile_with(snapshot, 0, Calls::default())
    }

    fn reconcile_with(&self, snapshot: Snapshot, findings: usize, calls: Calls) -> Vec<Value> {
        let before = self.lines.of("metrics").len();
        self.metrics.observed(snapshot, findings);
        self.metrics.reconciling().succeeded();
        self.metrics.publish_if_due(calls);
        self.lines.of("metrics").split_off(before)
    }

    /// Fails to reconcile, and returns the published lines.
    fn fail(&self) -> Vec<Value> {
        let before = self.lines.of("metrics").len();
        drop(self.metrics.reconciling());
        self.metrics.publish_if_due(Calls::default());
        self.lines.of("metrics").split_off(before)
    }
}

fn in_use() -> Snapshot {
    let summary = Summary {
        counts: Counts { desired: 2, running: 2, pending: 0 },
        serving: 2,
        registered: 4,
        healthy: 3,
        unhealthy: 1,
        load_balancer_state: Some(LoadBalancerState::Active),
        ..Summary::default()
    };
    let flows = Some(Flows { newest: 4, minute: noon(), unused_since: None });
    Snapshot { summary, idle_since: None, usage: Usage::InUse, flows }
}

fn idle() -> Snapshot {
    Snapshot { summary: Summary::default(), idle_since: None, usage: Usage::Idle, flows: None }
}

/// Returns the names of the metrics that a line declares; checks that the line has exactly their fields.
fn published(line: &Value) -> BTreeSet<&str> {
    let declared = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().expect("metrics");
    let declared: BTreeSet<_> = declared.iter().map(|metric| metric["Name"].as_str().expect("a name")).collect();
    let all: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.definition().name).collect();
    let fields: BTreeSet<_> = all.into_iter().filter(|name| line.get(name).is_some()).collect();
    assert_eq!(declared, fields);
    declared
}

const ALWAYS: [&str; 3] = ["Findings", "ReconcileFailures", "Reconciles"];

fn is_minimal(line: &Value) -> bool {
    published(line) == ALWAYS.into()
}

#[test]
fn publishes_a_log_event_in_the_embedded_metric_format() {
    let bench = bench();
    bench.metrics.event_received(Some(noon() - SignedDuration::from_millis(2_345)));
    bench.metrics.registered(1_500);
    let line = bench.reconcile(in_use()).remove(0);
    assert_eq!((&line["event"], &line["level"], &line["project"]), (&json!("metrics"), &json!("INFO"), &json!("p")));
    assert_eq!(line["_aws"]["Timestamp"], noon().as_millisecond());
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "Jitsi/JVB");
    assert_eq!(directive["Dimensions"], json!([["Project", "Service"]]));
    assert_eq!((&line["Project"], &line["Service"]), (&json!("p"), &json!("p-service")));
    assert!(
        directive["Metrics"].as_array().expect("metrics").contains(&json!({"Name": "QueueAge", "Unit": "Seconds"}))
    );
    assert_eq!(published(&line).len(), Metric::ALL.len());
    for (name, value) in [
        ("RunningTasks", json!(2)),
        ("ServingTasks", json!(2)),
        ("RegisteredTargets", json!(4)),
        ("HealthyTargets", json!(3)),
        ("UnhealthyTargets", json!(1)),
        ("LoadBalancerUp", json!(1)),
        ("IdleSeconds", json!(0)),
        ("Flows", json!(4)),
        ("UnusedSeconds", json!(0)),
        ("EventsReceived", json!(1)),
        ("EventsForeign", json!(0)),
        ("Reconciles", json!(1)),
        ("RegistrationLatency", json!([1500])),
        ("QueueAge", json!(2.345)),
        ("Findings", json!(0)),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
}

#[test]
fn publishes_once_a_minute_even_when_early_or_late() {
    let bench = bench();
    assert_eq!(bench.reconcile(in_use()).len(), 1, "the first reconciliation");
    for _ in 0..59 {
        bench.pass(1_000);
        assert_eq!(bench.reconcile(in_use()).len(), 0);
    }
    bench.pass(1_000);
    let line = bench.reconcile(in_use()).remove(0);
    assert_eq!(line["Reconciles"], 60);
    assert_eq!(line["ReconcileDuration"].as_array().expect("values").len(), 60);
    bench.pass(30_000);
    for late in [60_005, 59_990, 59_998, 60_012] {
        bench.pass(late);
        assert_eq!(bench.reconcile(in_use()).len(), 1);
    }
}

#[test]
fn publishes_each_change_immediately() {
    let bench = bench();
    bench.reconcile(in_use());
    let with = |change: fn(&mut Summary)| {
        let mut snapshot = in_use();
        change(&mut snapshot.summary);
        snapshot
    };
    for changed in [
        with(|summary| summary.counts.desired = 3),
        with(|summary| summary.counts.pending = 1),
        with(|summary| summary.serving = 1),
        with(|summary| summary.registered = 2),
        with(|summary| summary.healthy = 4),
        with(|summary| summary.unhealthy = 0),
        with(|summary| summary.load_balancer_state = Some(LoadBalancerState::ActiveImpaired)),
        with(|summary| summary.load_balancer_state = None),
    ] {
        assert_eq!(bench.reconcile(changed).len(), 1, "{changed:?}");
        assert_eq!(bench.reconcile(changed).len(), 0, "no change since: {changed:?}");
    }
    bench.reconcile(in_use());
    assert_eq!(bench.reconcile_with(in_use(), 1, Calls::default()).remove(0)["Findings"], 1);
    assert_eq!(bench.reconcile_with(in_use(), 1, Calls::default()).len(), 0);
    bench.metrics.teardown_completed();
    assert_eq!(bench.reconcile_with(in_use(), 1, Calls::default()).remove(0)["Teardowns"], 1);
    assert_eq!(bench.reconcile_with(in_use(), 1, Calls::default()).len(), 0);
}

#[test]
fn does_not_publish_because_of_messages_alone() {
    let bench = bench();
    bench.reconcile(in_use());
    bench.metrics.event_received(None);
    bench.metrics.event_foreign(None);
    bench.metrics.message_rejected();
    assert_eq!(bench.reconcile(in_use()).len(), 0);
    bench.pass(60_000);
    let line = bench.reconcile(in_use()).remove(0);
    assert_eq!([&line["EventsReceived"], &line["EventsForeign"], &line["MessagesRejected"]], [1, 1, 1]);
}

#[test]
fn publishes_counter_increments() {
    let bench = bench();
    let calls = |sent, throttled| Calls { sent, throttled };
    let line = bench.reconcile_with(in_use(), 0, calls(100, 2)).remove(0);
    assert_eq!((&line["AwsCalls"], &line["Throttles"]), (&json!(100), &json!(2)));
    bench.reconcile_with(in_use(), 0, calls(108, 3));
    bench.pass(60_000);
    let line = bench.reconcile_with(in_use(), 0, calls(116, 3)).remove(0);
    assert_eq!((&line["AwsCalls"], &line["Throttles"], &line["Reconciles"]), (&json!(16), &json!(1), &json!(2)));
    bench.pass(60_000);
    let line = bench.reconcile_with(in_use(), 0, calls(116, 3)).remove(0);
    assert_eq!((&line["AwsCalls"], &line["Throttles"], &line["Reconciles"]), (&json!(0), &json!(0), &json!(1)));
}

#[test]
fn omits_metrics_without_a_value() {
    let bench = bench();
    let line = bench.reconcile(in_use()).remove(0);
    let names = published(&line);
    assert!(names.contains("ReconcileDuration"));
    assert!(!names.contains("RegistrationLatency") && !names.contains("QueueAge"), "{names:?}");
    // A value is published once.
    bench.metrics.registered(3);
    bench.metrics.event_foreign(Some(noon()));
    bench.pass(60_000);
    assert_eq!(published(&bench.reconcile(in_use())[0]).len(), Metric::ALL.len());
    bench.pass(60_000);
    assert_eq!(published(&bench.reconcile(in_use())[0]), names);
}

#[test]
fn queue_age_is_that_of_the_oldest_message_and_never_negative() {
    let bench = bench();
    for seconds in [3, 40, -5] {
        bench.metrics.event_received(Some(noon() - SignedDuration::from_secs(seconds)));
    }
    bench.metrics.event_received(None);
    assert_eq!(bench.reconcile(in_use())[0]["QueueAge"], 40.0);
    bench.metrics.event_received(Some(noon() + SignedDuration::from_secs(5)));
    bench.metrics.teardown_completed();
    assert_eq!(bench.reconcile(in_use())[0]["QueueAge"], 0.0);
}

#[test]
fn publishes_at_most_100_values_including_the_extremes() {
    let bench = bench();
    (1..=250).rev().for_each(|latency| bench.metrics.registered(latency));
    let line = bench.reconcile(in_use()).remove(0);
    let values: Vec<u64> = serde_json::from_value(line["RegistrationLatency"].clone()).expect("numbers");
    assert_eq!(values.len(), 100);
    assert_eq!((values.iter().min(), values.iter().max()), (Some(&1), Some(&250)));
    let average = values.iter().sum::<u64>() / 100;
    assert!((124..=127).contains(&average), "{average}");
}

// ---- cost ----

#[test]
fn publishes_only_three_metrics_while_idle() {
    let bench = bench();
    for _ in 0..5 {
        bench.metrics.event_foreign(Some(noon()));
        bench.metrics.message_rejected();
        let line = bench.reconcile(idle()).remove(0);
        assert!(is_minimal(&line), "{line}");
        bench.pass(60_000);
    }
}

#[test]
fn publishes_all_metrics_once_more_when_the_use_ends() {
    let bench = bench();
    bench.reconcile(in_use());
    bench.metrics.teardown_completed();
    bench.pass(2_000);
    let line = bench.reconcile(idle()).remove(0);
    for (name, value) in
        [("LoadBalancerUp", 0), ("RunningTasks", 0), ("RegisteredTargets", 0), ("IdleSeconds", 0), ("Teardowns", 1)]
    {
        assert_eq!(line[name], value, "{name}");
    }
    for _ in 0..3 {
        bench.pass(60_000);
        assert!(is_minimal(&bench.reconcile(idle())[0]));
    }
}

#[test]
fn does_not_publish_counts_of_the_idle_time_when_the_use_begins() {
    let bench = bench();
    bench.reconcile_with(idle(), 0, Calls { sent: 10, throttled: 0 });
    for minute in 1..=60 {
        bench.pass(60_000);
        bench.metrics.event_foreign(None);
        bench.reconcile_with(idle(), 0, Calls { sent: 10 + 8 * minute, throttled: 0 });
    }
    bench.metrics.event_received(None);
    let line = bench.reconcile_with(in_use(), 0, Calls { sent: 505, throttled: 0 }).remove(0);
    assert_eq!([&line["AwsCalls"], &line["EventsForeign"], &line["EventsReceived"]], [15, 0, 1]);
}

#[test]
fn publishes_a_finding_while_idle() {
    let bench = bench();
    bench.reconcile(idle());
    let line = bench.reconcile_with(idle(), 1, Calls::default()).remove(0);
    assert!(is_minimal(&line));
    assert_eq!(line["Findings"], 1);
}

// ---- failures ----

#[tokio::test(start_paused = true)]
async fn counts_an_interrupted_reconciliation_as_failed() {
    let bench = bench();
    let reconcile = async |succeeds: bool| {
        let reconciling = bench.metrics.reconciling();
        tokio::time::sleep(Duration::from_millis(120)).await;
        if succeeds {
            reconciling.succeeded();
        }
    };
    reconcile(true).await;
    reconcile(false).await;
    assert!(tokio::time::timeout(Duration::from_millis(50), reconcile(true)).await.is_err());
    bench.metrics.observed(in_use(), 0);
    bench.metrics.publish_if_due(Calls::default());
    let line = bench.lines.of("metrics").remove(0);
    assert_eq!([&line["Reconciles"], &line["ReconcileFailures"]], [1, 2]);
    assert_eq!(line["ReconcileDuration"], json!([120]));
}

#[test]
fn omits_gauges_while_reconciliations_fail() {
    let bench = bench();
    bench.reconcile_with(in_use(), 2, Calls::default());
    for _ in 0..3 {
        assert_eq!(bench.fail().len(), 0, "a failure is no change");
    }
    bench.pass(60_000);
    let line = bench.fail().remove(0);
    assert_eq!([&line["ReconcileFailures"], &line["Reconciles"], &line["Findings"]], [4, 0, 2]);
    assert!(line.get("AwsCalls").is_some(), "counters are published");
    for name in ["RunningTasks", "HealthyTargets", "LoadBalancerUp", "IdleSeconds", "ReconcileDuration"] {
        assert_eq!(line.get(name), None, "{name}");
    }
    bench.pass(60_000);
    assert_eq!(bench.reconcile(in_use())[0]["RunningTasks"], 2);
}

#[test]
fn publishes_only_failures_before_the_first_success() {
    let bench = bench();
    let line = bench.fail().remove(0);
    assert!(is_minimal(&line), "{line}");
    assert_eq!(line["ReconcileFailures"], 1);
}

// ---- the end ----

#[test]
fn publishes_the_remaining_counts_at_the_end() {
    let bench = bench();
    bench.metrics.finish();
    assert_eq!(bench.lines.of("metrics").len(), 0, "nothing was counted");
    bench.reconcile(in_use());
    bench.metrics.finish();
    assert_eq!(bench.lines.of("metrics").len(), 1, "everything is published");
    bench.reconcile(in_use());
    bench.metrics.event_received(None);
    bench.metrics.finish();
    let line = bench.lines.of("metrics").remove(1);
    assert_eq!([&line["Reconciles"], &line["EventsReceived"]], [1, 1]);
    bench.metrics.finish();
    assert_eq!(bench.lines.of("metrics").len(), 2);
}

#[test]
fn publishes_nothing_when_off() {
    let metrics = Metrics::off();
    metrics.event_received(None);
    metrics.observed(in_use(), 1);
    metrics.publish_if_due(Calls::default());
    metrics.finish();
    assert!(metrics.inner.is_none());
}

#[test]
fn idle_seconds_run_until_the_publication() {
    let bench = bench();
    let snapshot = Snapshot { idle_since: Some(noon() - SignedDuration::from_secs(90)), ..in_use() };
    bench.pass(1_900);
    assert_eq!(bench.reconcile(snapshot)[0]["IdleSeconds"], 91);
    let ahead = Snapshot { idle_since: Some(noon() + SignedDuration::from_secs(90)), ..in_use() };
    bench.pass(60_000);
    assert_eq!(bench.reconcile(ahead)[0]["IdleSeconds"], 0, "the clock of the worker that marked it is ahead");
}

// ---- several services ----

/// Returns the metrics of a process, and those of two of its services.
fn fleet(bench: &Bench) -> (Metrics, [Metrics; 2]) {
    let log = bench.lines.log(Arc::new(bench.clock.clone()));
    let process = Scope { cluster: "*".into(), ..scope("*") };
    let process = Metrics::of_process(process, Some(log.clone()), Arc::new(bench.clock.clone()));
    let services = ["one", "two"].map(|name| process.of_service(scope(name), &log));
    (process, services)
}

/// Returns the sum of a metric over the lines of a service.
fn sum_of(lines: &[Value], service: &str, metric: &str) -> u64 {
    lines.iter().filter(|line| line["Service"] == service).filter_map(|line| line[metric].as_u64()).sum()
}

#[test]
fn what_services_share_is_published_once_for_the_process() {
    let bench = bench();
    let (process, [one, two]) = fleet(&bench);
    process.event_foreign(None);
    process.message_rejected();
    process.set_queue_calls(Calls { sent: 3, throttled: 1 });
    let sent_at = Some(noon() - SignedDuration::from_secs(2));
    one.event_received(sent_at);
    for (round, service) in [&one, &two, &one, &two].into_iter().enumerate() {
        service.observed(in_use(), 0);
        service.reconciling().succeeded();
        // The services share the connection: each has seen the calls of all.
        service.publish_if_due(Calls { sent: 10 * (round as u64 + 1), throttled: 0 });
        bench.pass(31_000);
    }
    process.finish();
    let lines = bench.lines.of("metrics");
    let of_process: BTreeSet<_> = ["AwsCalls", "EventsForeign", "MessagesRejected", "QueueAge", "Throttles"].into();
    for line in &lines {
        let published = published(line);
        match line["Service"].as_str() {
            Some("*") => assert!(published.is_subset(&of_process), "{line}"),
            _ => assert!(published.is_disjoint(&of_process) && published.contains("Reconciles"), "{line}"),
        }
    }
    assert_eq!(sum_of(&lines, "*", "AwsCalls"), 43);
    assert_eq!(sum_of(&lines, "*", "Throttles"), 1);
    assert_eq!((sum_of(&lines, "*", "EventsForeign"), sum_of(&lines, "*", "MessagesRejected")), (1, 1));
    assert_eq!((sum_of(&lines, "one", "EventsReceived"), sum_of(&lines, "two", "EventsReceived")), (1, 0));
    assert_eq!((sum_of(&lines, "one", "Reconciles"), sum_of(&lines, "two", "Reconciles")), (2, 2));
    assert_eq!(lines.iter().filter_map(|line| line["QueueAge"].as_f64()).collect::<Vec<_>>(), [2.0]);
    let documents = |service: &str| lines.iter().filter(|line| line["Service"] == service).count();
    // At 0, 31, 62 and 93 seconds, and at the end: one in each minute.
    assert_eq!((documents("one"), documents("two")), (2, 2), "each service has its own interval");
    assert!((2..=4).contains(&documents("*")), "{}", documents("*"));
    assert!(lines.iter().all(|line| line["Project"] == "p"));
}

#[test]
fn services_whose_process_publishes_nothing_publish_nothing() {
    let bench = bench();
    let log = bench.lines.log(Arc::new(bench.clock.clone()));
    let process = Metrics::of_process(scope("*"), None, Arc::new(bench.clock.clone()));
    let one = process.of_service(scope("one"), &log);
    one.observed(in_use(), 0);
    one.publish_if_due(Calls::default());
    assert_eq!(bench.lines.of("metrics"), Vec::<Value>::new());
    assert!(process.exposition().contains("jvb_watcher_running_tasks{project=\"p\",cluster=\"c\",service=\"one\"} 2"));
}

#[test]
fn the_exposition_of_several_services_has_each_family_once() {
    let bench = bench();
    let (process, [one, two]) = fleet(&bench);
    one.observed(in_use(), 1);
    two.observed(idle(), 0);
    two.publish_if_due(Calls { sent: 7, throttled: 0 });
    let text = process.exposition();
    for kind in ["# HELP ", "# TYPE "] {
        let families: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(kind)?.split(' ').next()).collect();
        let unique: BTreeSet<_> = families.iter().collect();
        assert!(families.len() > 15 && families.len() == unique.len(), "{families:?}");
    }
    let value = |sample: &str| {
        let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == sample));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    assert_eq!(value(r#"jvb_watcher_running_tasks{project="p",cluster="c",service="one"}"#), Some(2.0));
    assert_eq!(value(r#"jvb_watcher_running_tasks{project="p",cluster="c",service="two"}"#), Some(0.0));
    assert_eq!(value(r#"jvb_watcher_findings{project="p",cluster="c",service="one"}"#), Some(1.0));
    assert_eq!(value(r#"jvb_watcher_aws_calls_total{project="p"}"#), Some(7.0));
    assert_eq!(text.matches("jvb_watcher_aws_calls_total").count(), 1, "no service has the calls of all");
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);

    drop(two);
    let again = process.of_service(scope("one"), &bench.lines.log(Arc::new(bench.clock.clone())));
    again.observed(idle(), 0);
    let text = process.exposition();
    assert!(!text.contains("service=\"two\""), "a service that is removed is no longer exposed");
    let running = |line: &&str| line.starts_with("jvb_watcher_running_tasks{");
    assert_eq!(text.lines().filter(running).count(), 1, "one that is added again is exposed once");
}

#[test]
fn the_exposition_of_a_thousand_services_has_the_documented_size() {
    let bench = bench();
    let log = bench.lines.log(Arc::new(bench.clock.clone()));
    let process = Metrics::of_process(scope("*"), None, Arc::new(bench.clock.clone()));
    let services: Vec<_> = (0..1_000)
        .map(|number| {
            let service = process.of_service(scope(&format!("meet-{number:04}")), &log);
            service.observed(in_use(), 0);
            service
        })
        .collect();
    let text = process.exposition();
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    let megabytes = text.len() as f64 / 1e6;
    println!("{series} series of {} services, {megabytes:.1} MB", services.len());
    let documented = format!("{} series and {megabytes:.1} MB", crate::text::grouped(series / 100 * 100));
    assert!(read("metrics.md").contains(&documented), "docs/metrics.md doesn't say {documented}");
}

#[test]
fn documents_the_metrics_of_a_process() {
    let of_process = Metric::ALL.into_iter().map(Metric::definition).filter(|of| of.subject == Subject::Process);
    let names: Vec<_> = of_process.map(|definition| format!("`{}`", definition.name)).collect();
    let (last, others) = names.split_last().expect("some");
    let listed = format!("{} and {last}", others.join(", "));
    let page = read("metrics.md").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains(&listed), "docs/metrics.md doesn't list {listed}");
}
