//! What waits, what is sent, and what is lost.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::aws::event_bus::{EventBus, RejectedEntry, SOURCE};
use crate::aws::fake::{Lines, noon};
use crate::aws::{AwsError, ErrorKind};
use crate::telemetry::log::{Format, Identity, Level, Log, LogConfig, Output, TargetFields};
use jvb_watcher_rules::finding::FindingName;
use jvb_watcher_rules::plan::{TargetReason, UnmarkReason};

/// What a bus makes of a call.
#[derive(Clone)]
enum Says {
    Takes,
    Fails(ErrorKind),
    Refuses(Vec<(usize, ErrorKind)>),
    Hangs,
}

/// A bus that says in turn what it is told to, and then takes everything.
#[derive(Clone, Default)]
struct Bus {
    says: Arc<Mutex<VecDeque<Says>>>,
    calls: Arc<Mutex<Vec<Vec<Entry>>>>,
}

impl Bus {
    fn that(says: impl IntoIterator<Item = Says>) -> Self {
        Self { says: Arc::new(Mutex::new(says.into_iter().collect())), ..Self::default() }
    }

    fn calls(&self) -> Vec<Vec<Entry>> {
        self.calls.lock().expect("not poisoned").clone()
    }

    /// The ids of what each call brought.
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
        let says = self.says.lock().expect("not poisoned").pop_front().unwrap_or(Says::Takes);
        match says {
            Says::Takes => Ok(Vec::new()),
            Says::Fails(kind) => Err(error(kind)),
            Says::Refuses(which) => {
                Ok(which.into_iter().map(|(index, kind)| RejectedEntry { index, error: error(kind) }).collect())
            }
            Says::Hangs => std::future::pending().await,
        }
    }
}

fn log() -> (Log, Lines) {
    struct Noon;
    impl crate::clock::Clock for Noon {
        fn now(&self) -> Timestamp {
            noon()
        }
    }
    let lines = Lines::default();
    (lines.log(Arc::new(Noon)), lines)
}

/// A log whose events go to this bus, and what publishes them.
fn publishing(bus: &Bus) -> (Log, Lines, Publisher) {
    let (log, lines) = log();
    let publisher = Publisher::default();
    log.subscribe(Arc::new(publisher.clone()));
    tokio::spawn(publisher.clone().keep_sending(bus.clone(), log.clone()));
    (log, lines, publisher)
}

fn registered() -> Event {
    let target =
        TargetFields { task_id: None, ip: "10.0.1.10".into(), port: 10_000, target_group: "jitsi-jvb-udp".into() };
    Event::TargetRegistered { target, reason: TargetReason::TaskRunning, latency_ms: Some(280) }
}

fn finding(state: FindingState) -> Event {
    let finding = FindingName::LoadBalancerMissing;
    Event::Finding { finding, state, subject: "s".into(), detail: "d".into(), advice: "a".into() }
}

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn what_others_want_to_know_is_published_and_nothing_else() {
    let bus = Bus::default();
    let (log, _, publisher) = publishing(&bus);
    log.emit(&registered());
    log.emit(&Event::Listening { address: "a".into() });
    log.emit(&finding(FindingState::Raised));
    log.emit(&finding(FindingState::Repeated));
    log.emit(&finding(FindingState::Cleared));
    log.emit(&Event::IdleUnmarked { load_balancer: "b".into(), idle_since: None, reason: UnmarkReason::InUse });
    publisher.flush(SOON).await;
    let calls = bus.calls();
    let kinds: Vec<_> = calls.iter().flatten().map(|entry| entry.detail_type).collect();
    assert_eq!(kinds, ["Target Registered", "Finding Raised", "Finding Cleared", "Teardown Cancelled"]);
    let first = &calls[0][0];
    assert_eq!(first.time, noon());
    assert_eq!((text(first, "service"), text(first, "ip")), ("p-service".to_owned(), "10.0.1.10".to_owned()));
    let ids: BTreeSet<_> = bus.ids().concat().into_iter().collect();
    assert_eq!(ids.len(), 4, "each has its own id");
}

#[tokio::test(start_paused = true)]
async fn a_level_that_silences_the_log_silences_no_event() {
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
async fn ten_go_in_a_call_in_their_order() {
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
fn no_call_is_larger_than_it_may_be() {
    let entry = |bytes: usize| Entry { detail_type: "Finding Raised", time: noon(), detail: "x".repeat(bytes) };
    let mut waiting = Waiting::default();
    waiting.entries.extend([100_000, 100_000, 100_000, 300_000, 10].map(entry));
    let taken: Vec<usize> = std::iter::from_fn(|| Some(waiting.take().len()).filter(|count| *count > 0)).collect();
    assert_eq!(taken, [2, 1, 1, 1], "one that is too large goes alone, and nothing is stuck behind it");
}

#[tokio::test(start_paused = true)]
async fn only_what_was_refused_goes_again_with_the_same_id() {
    let bus = Bus::that([Says::Refuses(vec![(1, ErrorKind::Throttled)])]);
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
async fn what_the_bus_never_takes_keeps_nothing_else_waiting() {
    let bus = Bus::that([Says::Refuses(vec![(0, ErrorKind::Rejected)])]);
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
async fn a_call_that_fails_is_tried_again_until_it_goes() {
    let began = Instant::now();
    let bus = Bus::that([Says::Fails(ErrorKind::Unavailable), Says::Fails(ErrorKind::AccessDenied)]);
    let (log, lines, _) = publishing(&bus);
    log.emit(&registered());
    while bus.calls().len() < 3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() >= Duration::from_secs(60), "what a person must mend is tried seldom");
    assert_eq!(bus.ids()[0], bus.ids()[2]);
    let failed = lines.of("publish_failed");
    assert_eq!(failed.iter().map(|line| &line["level"]).collect::<Vec<_>>(), ["WARN", "ERROR"]);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_a_wait_between_two_tries_is_cut_short() {
    let bus = Bus::that([Says::Fails(ErrorKind::AccessDenied)]);
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
async fn a_bus_that_hangs_is_waited_for_no_longer_than_allowed_and_the_oldest_make_room() {
    let bus = Bus::that([Says::Hangs]);
    let (log, _, publisher) = publishing(&bus);
    for _ in 0..LONGEST_QUEUE + 30 {
        log.emit(&registered());
        tokio::task::yield_now().await;
    }
    let before = Instant::now();
    publisher.flush(SOON).await;
    assert_eq!(before.elapsed(), SOON);
    let queue = publisher.lock();
    assert_eq!((queue.entries.len(), queue.in_hand), (LONGEST_QUEUE, 1));
    assert_eq!(queue.dropped, 29);
    assert!(
        queue.entries.back().expect("one").detail.contains(&format!("-{}\"", LONGEST_QUEUE + 30)),
        "the newest stay"
    );
}

#[test]
fn the_page_has_an_example_of_each_kind_as_it_is_published() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md");
    let page = std::fs::read_to_string(page).expect("docs/events.md is there");
    let examples: Vec<Value> = page
        .split("```json\n")
        .skip(1)
        .filter_map(|block| serde_json::from_str::<Value>(block.split("```").next()?).ok())
        .filter(|example| example["detail"].is_object() && example["detail-type"].is_string())
        .collect();
    let kinds: Vec<_> = examples.iter().map(|example| example["detail-type"].as_str().expect("a kind")).collect();
    assert_eq!(
        kinds,
        [
            "Target Registered",
            "Target Deregistered",
            "Load Balancer Torn Down",
            "Teardown Cancelled",
            "Finding Raised",
            "Finding Cleared"
        ]
    );
    for example in &examples {
        assert_eq!(example["source"], SOURCE);
        let detail = example["detail"].as_object().expect("an object");
        // The log's own documentation holds what a line has; this is one, with an id.
        let common = ["timestamp", "level", "message", "project", "cluster", "service", "id"];
        for field in common {
            assert!(detail.contains_key(field), "{field} in {example}");
        }
        let own = detail.iter().filter(|(name, _)| !common.contains(&name.as_str()));
        let own: Map<_, _> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        let event: Event = serde_json::from_value(Value::Object(own.clone())).expect("an event of the log");
        assert_eq!(detail_type(&event), example["detail-type"].as_str(), "{example}");
        assert_eq!(serde_json::to_value(&event).expect("JSON"), Value::Object(own));
        assert_eq!(detail["message"], event.message());
    }
}
