//! Buffering, sending and dropping of events.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::aws::event_bus::{EventBus, RejectedEntry, SOURCE};
use crate::aws::fake::noon;
use crate::aws::{AwsError, ErrorKind};
use crate::telemetry::log::fake::LogLines;
use crate::telemetry::log::tests::documentation::line;
use crate::telemetry::log::tests::examples::examples;
use crate::telemetry::log::tests::name_of;
use crate::telemetry::log::{Format, Identity, Level, Log, LogConfig, Output, TargetFields};
use crate::telemetry::tests::{assert_generated, read};
use jvb_watcher_rules::finding::{FindingName, FindingState};
use jvb_watcher_rules::plan::{TargetReason, UnmarkReason};

/// The outcome of a call.
#[derive(Clone)]
enum Outcome {
    Succeeds,
    Fails(ErrorKind),
    Rejects(Vec<(usize, ErrorKind)>),
    Hangs,
}

/// A bus whose first calls have these outcomes, and whose further calls succeed.
#[derive(Clone, Default)]
struct Bus {
    outcomes: Arc<Mutex<VecDeque<Outcome>>>,
    calls: Arc<Mutex<Vec<Vec<Entry>>>>,
}

impl Bus {
    fn with(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        Self { outcomes: Arc::new(Mutex::new(outcomes.into_iter().collect())), ..Self::default() }
    }

    fn calls(&self) -> Vec<Vec<Entry>> {
        self.calls.lock().expect("not poisoned").clone()
    }

    /// Returns the IDs of the events of each call.
    fn ids(&self) -> Vec<Vec<String>> {
        let ids = |entries: &Vec<Entry>| entries.iter().map(|entry| text(entry, "id")).collect();
        self.calls().iter().map(ids).collect()
    }
}

fn text(entry: &Entry, field: &str) -> String {
    let detail: Value = serde_json::from_str(&entry.detail).expect("JSON");
    detail[field].as_str().expect("a text").to_owned()
}

fn error(kind: ErrorKind) -> AwsError {
    let (service, operation, resource) = ("events", "PutEvents", "bus".to_owned());
    AwsError { kind, service, operation, resource, code: None, message: "no".to_owned(), request_id: None }
}

impl EventBus for Bus {
    async fn put(&self, entries: &[Entry]) -> Result<Vec<RejectedEntry>, AwsError> {
        self.calls.lock().expect("not poisoned").push(entries.to_vec());
        let outcome = self.outcomes.lock().expect("not poisoned").pop_front().unwrap_or(Outcome::Succeeds);
        match outcome {
            Outcome::Succeeds => Ok(Vec::new()),
            Outcome::Fails(kind) => Err(error(kind)),
            Outcome::Rejects(which) => {
                Ok(which.into_iter().map(|(index, kind)| RejectedEntry { index, error: error(kind) }).collect())
            }
            Outcome::Hangs => std::future::pending().await,
        }
    }
}

fn log() -> (Log, LogLines) {
    struct Noon;
    impl crate::clock::Clock for Noon {
        fn now(&self) -> Timestamp {
            noon()
        }
    }
    let lines = LogLines::default();
    (lines.log(Arc::new(Noon)), lines)
}

/// Returns a log whose events are published on the bus, its lines, and its publisher.
fn publishing(bus: &Bus) -> (Log, LogLines, Publisher) {
    let (log, lines) = log();
    let publisher = Publisher::default();
    log.subscribe(Arc::new(publisher.clone()));
    tokio::spawn(publisher.clone().keep_sending(bus.clone(), log.clone()));
    (log, lines, publisher)
}

fn registered() -> Event {
    let target =
        TargetFields { task_id: None, ip: "10.0.1.10".into(), port: 10_000, target_group: "jitsi-jvb-udp".into() };
    Event::TargetRegistered {
        target,
        reason: TargetReason::TaskRunning,
        latency_ms: Some(280),
        since_start_ms: None,
        observation: "o".into(),
    }
}

fn finding(state: FindingState) -> Event {
    let finding = FindingName::LoadBalancerMissing;
    Event::Finding { finding, state, subject: "s".into(), detail: "d".into(), advice: "a".into(), observation: None }
}

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn publishes_events_with_a_detail_type() {
    let bus = Bus::default();
    let (log, _, publisher) = publishing(&bus);
    log.emit(&registered());
    log.emit(&Event::Listening { address: "a".into() });
    log.emit(&finding(FindingState::Raised));
    log.emit(&finding(FindingState::Repeated));
    log.emit(&finding(FindingState::Cleared));
    log.emit(&Event::IdleUnmarked {
        load_balancer: "b".into(),
        idle_since: None,
        reason: UnmarkReason::InUse,
        observation: "o".into(),
    });
    publisher.flush(SOON).await;
    let calls = bus.calls();
    let kinds: Vec<_> = calls.iter().flatten().map(|entry| entry.detail_type).collect();
    assert_eq!(kinds, ["Target Registered", "Finding Raised", "Finding Cleared", "Teardown Cancelled"]);
    let first = &calls[0][0];
    assert_eq!(first.time, noon());
    assert_eq!((text(first, "service"), text(first, "ip")), ("p-service".to_owned(), "10.0.1.10".to_owned()));
    let ids: BTreeSet<_> = bus.ids().concat().into_iter().collect();
    assert_eq!(ids.len(), 4, "each event has its own ID");
}

#[tokio::test(start_paused = true)]
async fn publishes_events_below_the_log_level() {
    let bus = Bus::default();
    let identity = Identity { project: "p".into(), cluster: "c".into(), service: "s".into() };
    let clock = Arc::new(crate::clock::SystemClock);
    let output = Output::direct(Box::new(std::io::sink()));
    let log = Log::new(LogConfig { identity, format: Format::Json, level: Level::Error, clock, output });
    let publisher = Publisher::default();
    log.subscribe(Arc::new(publisher.clone()));
    tokio::spawn(publisher.clone().keep_sending(bus.clone(), log.clone()));
    log.emit(&registered());
    publisher.flush(SOON).await;
    assert_eq!(bus.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn sends_ten_events_in_a_call_in_order() {
    let bus = Bus::default();
    let (log, _, publisher) = publishing(&bus);
    for _ in 0..23 {
        log.emit(&registered());
    }
    publisher.flush(SOON).await;
    assert_eq!(bus.calls().iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 3]);
    let numbers: Vec<u64> =
        bus.ids().concat().iter().map(|id| id.split_once('-').expect("a number").1.parse().expect("one")).collect();
    assert!(numbers.is_sorted());
}

#[test]
fn limits_the_size_of_a_call() {
    let entry = |bytes: usize| Entry { detail_type: "Finding Raised", time: noon(), detail: "x".repeat(bytes) };
    let mut buffer = Buffer::default();
    buffer.entries.extend([100_000, 100_000, 100_000, 300_000, 10].map(entry));
    let taken: Vec<usize> = std::iter::from_fn(|| Some(buffer.take().len()).filter(|count| *count > 0)).collect();
    assert_eq!(taken, [2, 1, 1, 1], "an oversized event is sent alone, and doesn't block the others");
}

#[tokio::test(start_paused = true)]
async fn retries_rejected_events_with_the_same_id() {
    let bus = Bus::with([Outcome::Rejects(vec![(1, ErrorKind::Throttled)])]);
    let (log, lines, publisher) = publishing(&bus);
    for _ in 0..3 {
        log.emit(&registered());
    }
    publisher.flush(SOON).await;
    let ids = bus.ids();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[1], [ids[0][1].clone()]);
    let failed = lines.of("publish_failed");
    assert_eq!(failed.len(), 1);
    assert_eq!((&failed[0]["waiting"], &failed[0]["dropped"]), (&json!(1), &json!(0)));
}

#[tokio::test(start_paused = true)]
async fn drops_permanently_rejected_events() {
    let bus = Bus::with([Outcome::Rejects(vec![(0, ErrorKind::Rejected)])]);
    let (log, lines, publisher) = publishing(&bus);
    log.emit(&registered());
    publisher.flush(SOON).await;
    log.emit(&registered());
    publisher.flush(SOON).await;
    let ids = bus.ids();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(lines.of("publish_failed")[0]["dropped"], 1);
}

#[tokio::test(start_paused = true)]
async fn retries_a_failed_call_until_it_succeeds() {
    let began = Instant::now();
    let bus = Bus::with([Outcome::Fails(ErrorKind::Unavailable), Outcome::Fails(ErrorKind::AccessDenied)]);
    let (log, lines, _) = publishing(&bus);
    log.emit(&registered());
    while bus.calls().len() < 3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() >= Duration::from_secs(60), "a permanent error is retried slowly");
    assert_eq!(bus.ids()[0], bus.ids()[2]);
    let failed = lines.of("publish_failed");
    assert_eq!(failed.iter().map(|line| &line["level"]).collect::<Vec<_>>(), ["WARN", "ERROR"]);
}

#[tokio::test(start_paused = true)]
async fn retries_at_once_when_the_process_ends() {
    let bus = Bus::with([Outcome::Fails(ErrorKind::AccessDenied)]);
    let (log, lines, publisher) = publishing(&bus);
    log.emit(&registered());
    while lines.of("publish_failed").is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let before = Instant::now();
    publisher.flush(SOON).await;
    assert_eq!(bus.calls().len(), 2);
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn gives_up_on_an_unresponsive_bus_and_drops_the_oldest_events() {
    let bus = Bus::with([Outcome::Hangs]);
    let (log, _, publisher) = publishing(&bus);
    for _ in 0..MAX_BUFFERED + 30 {
        log.emit(&registered());
        tokio::task::yield_now().await;
    }
    let before = Instant::now();
    publisher.flush(SOON).await;
    assert_eq!(before.elapsed(), SOON);
    let buffer = publisher.lock();
    assert_eq!((buffer.entries.len(), buffer.in_flight), (MAX_BUFFERED, 1));
    assert_eq!(buffer.dropped, 29);
    assert!(
        buffer.entries.back().expect("one").detail.contains(&format!("-{}\"", MAX_BUFFERED + 30)),
        "the newest events stay"
    );
}

/// The line of docs/events.md below which everything is generated.
const MARKER: &str =
    "<!-- Generated from src/telemetry/log/tests/examples.rs by .ci/write-docs; don't edit below this line. -->\n";

/// An event as a consumer receives it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Envelope {
    version: &'static str,
    id: String,
    detail_type: &'static str,
    source: &'static str,
    account: &'static str,
    time: &'static str,
    region: &'static str,
    resources: [&'static str; 0],
    detail: Detail,
}

/// A line of the log with an ID, in the line's order.
struct Detail {
    line: String,
    id: String,
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields: Map<String, Value> = serde_json::from_str(&self.line).expect("a line is JSON");
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_by_key(|(name, _)| self.line.find(&format!("\"{name}\":")));
        fields.push(("id".to_owned(), self.id.clone().into()));
        serializer.collect_map(fields)
    }
}

#[test]
fn documents_an_example_of_each_detail_type() {
    let page = read("events.md");
    let (before, _) = page.split_once(MARKER).expect("docs/events.md has the marker");
    let published: Vec<_> = examples().into_iter().filter_map(|event| Some((event.detail_type()?, event))).collect();
    let mut generated = format!("{before}{MARKER}");
    for (number, (detail_type, event)) in published.iter().enumerate() {
        let envelope = Envelope {
            version: "0",
            id: format!("5fea7756-0ea4-451a-a703-a558b933e27{number}"),
            detail_type,
            source: SOURCE,
            account: "111122223333",
            time: "2026-11-20T18:00:54Z",
            region: "eu-west-1",
            resources: [],
            detail: Detail { line: line(event), id: format!("7c1d0f6b2a9e4853-{}", number + 1) },
        };
        let example = serde_json::to_string_pretty(&envelope).expect("JSON");
        generated += &format!("\n## {detail_type}\n\n```json\n{example}\n```\n");
        assert!(before.contains(&format!("| `{detail_type}` | `{}`", name_of(event))), "no row for {detail_type}");
    }
    let rows = before.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, published.len(), "a row for each detail type");
    assert_generated("events.md", &generated);
}
