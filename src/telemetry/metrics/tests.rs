//! What is published, when, and what docs/metrics.md says of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::aws::fake::{Lines, noon};
use crate::clock::Clock;
use jvb_watcher_rules::model::{Counts, LoadBalancerState};

// ---- the page ----

/// docs/metrics.md.
pub fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    std::fs::read_to_string(page).expect("docs/metrics.md is there")
}

/// Its rows: name, name at /metrics, unit, kind, published, meaning.
pub fn documented() -> Vec<[String; 6]> {
    let text = page();
    let row = |line: &str| {
        let cells = line.trim_matches('|').splitn(6, '|').map(|cell| cell.trim().trim_matches('`').to_owned());
        cells.collect::<Vec<_>>().try_into().expect("six cells")
    };
    text.lines().filter(|line| line.starts_with("| `")).map(row).collect()
}

#[test]
fn the_page_lists_every_metric_as_it_is_published_and_no_other() {
    let defined = Metric::ALL.map(|metric| {
        let Definition { name, unit, kind, published, meaning } = metric.definition();
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Distribution => "distribution",
        };
        let published = match published {
            Published::Always => "always",
            Published::InUse => "in use",
            Published::InUseWithValue => "in use, with a value",
        };
        [name.to_owned(), format!("{unit:?}"), kind.to_owned(), published.to_owned(), meaning.to_owned()]
    });
    let documented = documented()
        .into_iter()
        .map(|[name, _, unit, kind, published, meaning]| [name, unit, kind, published, meaning]);
    assert_eq!(documented.collect::<Vec<_>>(), defined);
}

#[test]
fn every_metric_is_among_all_and_has_its_own_name() {
    let schema = schemars::schema_for!(Metric).to_value();
    let variants = schema["enum"].as_array().expect("the variants").iter().collect::<Vec<_>>();
    let names = json!(Metric::ALL);
    assert_eq!(names.as_array().expect("names").iter().collect::<Vec<_>>(), variants);
}

// ---- the lines ----

/// A clock that a test sets.
#[derive(Clone)]
struct SetClock(Arc<Mutex<Timestamp>>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("not poisoned")
    }
}

struct Bench {
    metrics: Metrics,
    lines: Lines,
    clock: SetClock,
}

fn bench() -> Bench {
    let clock = SetClock(Arc::new(Mutex::new(noon())));
    let lines = Lines::default();
    let log = lines.log(Arc::new(clock.clone()));
    let address = Address { namespace: "Jitsi/JVB".into(), project: "p".into(), service: "p-service".into() };
    Bench { metrics: Metrics::new(address, log, Arc::new(clock.clone())), lines, clock }
}

impl Bench {
    fn pass(&self, milliseconds: i64) {
        let mut now = self.clock.0.lock().expect("not poisoned");
        *now += SignedDuration::from_millis(milliseconds);
    }

    /// A look that succeeds, and what it publishes.
    fn look(&self, seen: Seen) -> Vec<Value> {
        self.look_with(seen, 0, Calls::default())
    }

    fn look_with(&self, seen: Seen, findings: usize, calls: Calls) -> Vec<Value> {
        let before = self.lines.of("metrics").len();
        self.metrics.looked(seen, findings);
        self.metrics.reconciling().succeeded();
        self.metrics.publish_if_due(calls);
        self.lines.of("metrics").split_off(before)
    }

    /// A look that fails, and what it publishes.
    fn fail(&self) -> Vec<Value> {
        let before = self.lines.of("metrics").len();
        drop(self.metrics.reconciling());
        self.metrics.publish_if_due(Calls::default());
        self.lines.of("metrics").split_off(before)
    }
}

fn in_use() -> Seen {
    let sight = Sight {
        counts: Counts { desired: 2, running: 2, pending: 0 },
        serving: 2,
        registered: 4,
        healthy: 3,
        unhealthy: 1,
        load_balancer_state: Some(LoadBalancerState::Active),
    };
    Seen { sight, idle_since: None, usage: Usage::InUse }
}

fn idle() -> Seen {
    let sight = Sight {
        counts: Counts::default(),
        serving: 0,
        registered: 0,
        healthy: 0,
        unhealthy: 0,
        load_balancer_state: None,
    };
    Seen { sight, idle_since: None, usage: Usage::Idle }
}

/// The names that a line declares as metrics; each must be a field of it, and no field of a metric's name undeclared.
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
fn a_line_is_a_log_event_that_tells_cloudwatch_what_its_figures_are() {
    let bench = bench();
    bench.metrics.event_received(Some(noon() - SignedDuration::from_millis(2_345)));
    bench.metrics.registered(1_500);
    let line = bench.look(in_use()).remove(0);
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
fn looks_a_minute_apart_have_a_line_each_however_early_or_late_and_those_between_have_none() {
    let bench = bench();
    assert_eq!(bench.look(in_use()).len(), 1, "the first look");
    for _ in 0..59 {
        bench.pass(1_000);
        assert_eq!(bench.look(in_use()).len(), 0);
    }
    bench.pass(1_000);
    let line = bench.look(in_use()).remove(0);
    assert_eq!(line["Reconciles"], 60);
    assert_eq!(line["ReconcileDuration"].as_array().expect("values").len(), 60);
    bench.pass(30_000);
    for late in [60_005, 59_990, 59_998, 60_012] {
        bench.pass(late);
        assert_eq!(bench.look(in_use()).len(), 1);
    }
}

#[test]
fn each_change_has_a_line_at_once() {
    let bench = bench();
    bench.look(in_use());
    let with = |change: fn(&mut Sight)| {
        let mut seen = in_use();
        change(&mut seen.sight);
        seen
    };
    for changed in [
        with(|sight| sight.counts.desired = 3),
        with(|sight| sight.counts.pending = 1),
        with(|sight| sight.serving = 1),
        with(|sight| sight.registered = 2),
        with(|sight| sight.healthy = 4),
        with(|sight| sight.unhealthy = 0),
        with(|sight| sight.load_balancer_state = Some(LoadBalancerState::ActiveImpaired)),
        with(|sight| sight.load_balancer_state = None),
    ] {
        assert_eq!(bench.look(changed).len(), 1, "{changed:?}");
        assert_eq!(bench.look(changed).len(), 0, "no longer news: {changed:?}");
    }
    bench.look(in_use());
    assert_eq!(bench.look_with(in_use(), 1, Calls::default()).remove(0)["Findings"], 1);
    assert_eq!(bench.look_with(in_use(), 1, Calls::default()).len(), 0);
    bench.metrics.teardown_completed();
    assert_eq!(bench.look_with(in_use(), 1, Calls::default()).remove(0)["Teardowns"], 1);
    assert_eq!(bench.look_with(in_use(), 1, Calls::default()).len(), 0);
}

#[test]
fn messages_alone_are_no_change() {
    let bench = bench();
    bench.look(in_use());
    bench.metrics.event_received(None);
    bench.metrics.event_foreign(None);
    bench.metrics.message_rejected();
    assert_eq!(bench.look(in_use()).len(), 0);
    bench.pass(60_000);
    let line = bench.look(in_use()).remove(0);
    assert_eq!([&line["EventsReceived"], &line["EventsForeign"], &line["MessagesRejected"]], [1, 1, 1]);
}

#[test]
fn a_counter_tells_what_was_added_since_the_last_line() {
    let bench = bench();
    let calls = |sent, throttled| Calls { sent, throttled };
    let line = bench.look_with(in_use(), 0, calls(100, 2)).remove(0);
    assert_eq!((&line["AwsCalls"], &line["Throttles"]), (&json!(100), &json!(2)));
    bench.look_with(in_use(), 0, calls(108, 3));
    bench.pass(60_000);
    let line = bench.look_with(in_use(), 0, calls(116, 3)).remove(0);
    assert_eq!((&line["AwsCalls"], &line["Throttles"], &line["Reconciles"]), (&json!(16), &json!(1), &json!(2)));
    bench.pass(60_000);
    let line = bench.look_with(in_use(), 0, calls(116, 3)).remove(0);
    assert_eq!((&line["AwsCalls"], &line["Throttles"], &line["Reconciles"]), (&json!(0), &json!(0), &json!(1)));
}

#[test]
fn what_has_no_value_is_left_out() {
    let bench = bench();
    let line = bench.look(in_use()).remove(0);
    let names = published(&line);
    assert!(names.contains("ReconcileDuration"));
    assert!(!names.contains("RegistrationLatency") && !names.contains("QueueAge"), "{names:?}");
    // And what was told is told once.
    bench.metrics.registered(3);
    bench.metrics.event_foreign(Some(noon()));
    bench.pass(60_000);
    assert_eq!(published(&bench.look(in_use())[0]).len(), Metric::ALL.len());
    bench.pass(60_000);
    assert_eq!(published(&bench.look(in_use())[0]), names);
}

#[test]
fn the_age_is_that_of_the_oldest_message_and_none_is_younger_than_nothing() {
    let bench = bench();
    for seconds in [3, 40, -5] {
        bench.metrics.event_received(Some(noon() - SignedDuration::from_secs(seconds)));
    }
    bench.metrics.event_received(None);
    assert_eq!(bench.look(in_use())[0]["QueueAge"], 40.0);
    bench.metrics.event_received(Some(noon() + SignedDuration::from_secs(5)));
    bench.metrics.teardown_completed();
    assert_eq!(bench.look(in_use())[0]["QueueAge"], 0.0);
}

#[test]
fn a_line_has_a_hundred_values_at_most_and_the_extremes_are_among_them() {
    let bench = bench();
    (1..=250).rev().for_each(|latency| bench.metrics.registered(latency));
    let line = bench.look(in_use()).remove(0);
    let values: Vec<u64> = serde_json::from_value(line["RegistrationLatency"].clone()).expect("numbers");
    assert_eq!(values.len(), 100);
    assert_eq!((values.iter().min(), values.iter().max()), (Some(&1), Some(&250)));
    let average = values.iter().sum::<u64>() / 100;
    assert!((124..=127).contains(&average), "{average}");
}

// ---- what it costs ----

#[test]
fn idle_from_the_start_only_three_are_published() {
    let bench = bench();
    for _ in 0..5 {
        bench.metrics.event_foreign(Some(noon()));
        bench.metrics.message_rejected();
        let line = bench.look(idle()).remove(0);
        assert!(is_minimal(&line), "{line}");
        bench.pass(60_000);
    }
}

#[test]
fn when_the_use_ends_all_are_published_once_more() {
    let bench = bench();
    bench.look(in_use());
    bench.metrics.teardown_completed();
    bench.pass(2_000);
    let line = bench.look(idle()).remove(0);
    for (name, value) in
        [("LoadBalancerUp", 0), ("RunningTasks", 0), ("RegisteredTargets", 0), ("IdleSeconds", 0), ("Teardowns", 1)]
    {
        assert_eq!(line[name], value, "{name}");
    }
    for _ in 0..3 {
        bench.pass(60_000);
        assert!(is_minimal(&bench.look(idle())[0]));
    }
}

#[test]
fn what_was_counted_while_idle_is_not_heaped_on_the_first_line_in_use() {
    let bench = bench();
    bench.look_with(idle(), 0, Calls { sent: 10, throttled: 0 });
    for minute in 1..=60 {
        bench.pass(60_000);
        bench.metrics.event_foreign(None);
        bench.look_with(idle(), 0, Calls { sent: 10 + 8 * minute, throttled: 0 });
    }
    bench.metrics.event_received(None);
    let line = bench.look_with(in_use(), 0, Calls { sent: 505, throttled: 0 }).remove(0);
    assert_eq!([&line["AwsCalls"], &line["EventsForeign"], &line["EventsReceived"]], [15, 0, 1]);
}

#[test]
fn a_finding_has_its_line_while_idle_too() {
    let bench = bench();
    bench.look(idle());
    let line = bench.look_with(idle(), 1, Calls::default()).remove(0);
    assert!(is_minimal(&line));
    assert_eq!(line["Findings"], 1);
}

// ---- failures ----

#[tokio::test(start_paused = true)]
async fn a_reconcile_counts_by_its_end_and_as_failed_when_it_is_cut_short() {
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
    bench.metrics.looked(in_use(), 0);
    bench.metrics.publish_if_due(Calls::default());
    let line = bench.lines.of("metrics").remove(0);
    assert_eq!([&line["Reconciles"], &line["ReconcileFailures"]], [1, 2]);
    assert_eq!(line["ReconcileDuration"], json!([120]));
}

#[test]
fn while_looks_fail_what_they_would_show_is_left_out() {
    let bench = bench();
    bench.look_with(in_use(), 2, Calls::default());
    for _ in 0..3 {
        assert_eq!(bench.fail().len(), 0, "a failure is no change");
    }
    bench.pass(60_000);
    let line = bench.fail().remove(0);
    assert_eq!([&line["ReconcileFailures"], &line["Reconciles"], &line["Findings"]], [4, 0, 2]);
    assert!(line.get("AwsCalls").is_some(), "what is counted goes on");
    for name in ["RunningTasks", "HealthyTargets", "LoadBalancerUp", "IdleSeconds", "ReconcileDuration"] {
        assert_eq!(line.get(name), None, "{name}");
    }
    bench.pass(60_000);
    assert_eq!(bench.look(in_use())[0]["RunningTasks"], 2);
}

#[test]
fn a_process_whose_looks_all_fail_says_so_and_nothing_else() {
    let bench = bench();
    let line = bench.fail().remove(0);
    assert!(is_minimal(&line), "{line}");
    assert_eq!(line["ReconcileFailures"], 1);
}

// ---- the end ----

#[test]
fn what_is_counted_last_is_told_at_the_end() {
    let bench = bench();
    bench.metrics.finish();
    assert_eq!(bench.lines.of("metrics").len(), 0, "nothing has happened");
    bench.look(in_use());
    bench.metrics.finish();
    assert_eq!(bench.lines.of("metrics").len(), 1, "all has been told");
    bench.look(in_use());
    bench.metrics.event_received(None);
    bench.metrics.finish();
    let line = bench.lines.of("metrics").remove(1);
    assert_eq!([&line["Reconciles"], &line["EventsReceived"]], [1, 1]);
    bench.metrics.finish();
    assert_eq!(bench.lines.of("metrics").len(), 2);
}

#[test]
fn switched_off_nothing_is_published() {
    let metrics = Metrics::off();
    metrics.event_received(None);
    metrics.looked(in_use(), 1);
    metrics.publish_if_due(Calls::default());
    metrics.finish();
    assert!(metrics.inner.is_none());
}

#[test]
fn the_time_idle_counts_to_the_line() {
    let bench = bench();
    let seen = Seen { idle_since: Some(noon() - SignedDuration::from_secs(90)), ..in_use() };
    bench.pass(1_900);
    assert_eq!(bench.look(seen)[0]["IdleSeconds"], 91);
    let ahead = Seen { idle_since: Some(noon() + SignedDuration::from_secs(90)), ..in_use() };
    bench.pass(60_000);
    assert_eq!(bench.look(ahead)[0]["IdleSeconds"], 0, "the clock of whoever marked it is ahead");
}

#[test]
fn a_total_counts_since_the_process_started() {
    let bench = bench();
    for _ in 0..2 {
        bench.metrics.event_received(None);
        bench.look_with(in_use(), 0, Calls { sent: 9, throttled: 0 });
        bench.pass(60_000);
    }
    assert_eq!(bench.metrics.total(Metric::EventsReceived), 2);
    assert_eq!(bench.metrics.total(Metric::AwsCalls), 9);
    assert_eq!(bench.metrics.total(Metric::EventsForeign), 0);
    assert_eq!(Metrics::off().total(Metric::EventsReceived), 0);
}
