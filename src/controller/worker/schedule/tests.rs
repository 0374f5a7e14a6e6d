//! The order of reconciliations, and the messages that wait for them.

use super::*;
use crate::controller::message::TaskChange;
use jvb_watcher_rules::plan::samples::running;

const RESYNC: Duration = Duration::from_secs(60);
const VISIBLE_AFTER: Duration = Duration::from_secs(30);

struct Bench {
    schedule: Schedule<&'static str>,
    began: Instant,
    sent: usize,
}

impl Bench {
    /// A schedule of services that have been reconciled once, each in a cluster of its own.
    fn of(names: &[&'static str], most_in_progress: usize) -> Self {
        let began = Instant::now();
        let mut bench = Self { schedule: Schedule::new(most_in_progress, Jitter::NONE), began, sent: 0 };
        for name in names {
            bench.schedule.add(name, name, RESYNC, Some(began), began);
        }
        for _ in names {
            let start = bench.schedule.start(began).expect("it is due");
            bench.succeed(start);
        }
        bench
    }

    fn succeed(&mut self, Start { key, reconciler, .. }: Start<&'static str>) -> Vec<String> {
        let next = (RESYNC, Progress::Settled);
        ids(&self.schedule.succeeded(key, reconciler, next, Instant::now()))
    }

    fn fail(&mut self, Start { key, reconciler, hints }: Start<&'static str>, wait: Duration) -> Vec<String> {
        self.schedule.retry(key);
        ids(&self.schedule.failed(key, reconciler, hints, wait, Instant::now()))
    }

    fn deliver(&mut self, key: Key) -> Result<(), Receipt> {
        self.sent += 1;
        let receipt = Receipt { message_id: self.sent.to_string(), handle: String::new() };
        let hint = Hint::Task(TaskChange { task: running(1).id, version: Some(self.sent as i64), time: None });
        self.schedule.deliver(key, hint, receipt, VISIBLE_AFTER, Instant::now())
    }

    /// Delivers a message, the last one on the queue.
    fn deliver_last(&mut self, key: Key) {
        self.deliver(key).expect("there is room");
        self.schedule.no_messages_follow();
    }

    fn start(&mut self) -> Option<Start<&'static str>> {
        self.schedule.start(Instant::now())
    }

    fn started(&mut self) -> Option<&'static str> {
        self.start().map(|start| start.reconciler)
    }
}

fn ids(receipts: &[Receipt]) -> Vec<String> {
    receipts.iter().map(|receipt| receipt.message_id.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn starts_services_in_the_order_in_which_they_became_due() {
    let mut bench = Bench::of(&["a", "b", "c"], 8);
    for key in [2, 0, 2, 1, 0] {
        bench.deliver_last(key);
    }
    let started: Vec<_> = std::iter::from_fn(|| bench.started()).collect();
    assert_eq!(started, ["c", "a", "b"], "each once");
}

#[tokio::test(start_paused = true)]
async fn starts_no_more_than_may_be_in_progress() {
    let mut bench = Bench::of(&["a", "b", "c"], 2);
    (0..3).for_each(|key| bench.deliver_last(key));
    let first = bench.start().expect("the first");
    assert_eq!((bench.started(), bench.started()), (Some("b"), None));
    assert_eq!(bench.succeed(first), ["1"]);
    assert_eq!((bench.started(), bench.started()), (Some("c"), None));
}

#[tokio::test(start_paused = true)]
async fn never_starts_a_service_that_is_in_progress() {
    let mut bench = Bench::of(&["a"], 8);
    bench.deliver_last(0);
    let first = bench.start().expect("the first");
    bench.deliver_last(0);
    assert_eq!(bench.started(), None);
    tokio::time::advance(2 * RESYNC).await;
    assert_eq!(bench.started(), None);
    assert_eq!(bench.succeed(first), ["1"], "the later message arrived after its beginning");
    let second = bench.start().expect("a reconciliation for the later message");
    assert_eq!(second.hints.tasks.len(), 1);
    assert_eq!(bench.succeed(second), ["2"]);
}

#[tokio::test(start_paused = true)]
async fn holds_messages_while_more_follow() {
    let mut bench = Bench::of(&["a"], 8);
    assert!(bench.deliver(0).is_ok());
    bench.schedule.more_messages_follow();
    assert_eq!(bench.started(), None);
    assert_eq!(bench.schedule.wakes_at(), Some(bench.began + HOLD));
    tokio::time::advance(HOLD / 2).await;
    assert!(bench.deliver(0).is_ok());
    assert_eq!(bench.schedule.wakes_at(), Some(bench.began + HOLD), "the first message doesn't wait longer");
    tokio::time::advance(HOLD / 2).await;
    let start = bench.start().expect("it is due");
    // During the reconciliation the backlog goes on.
    assert!(bench.deliver(0).is_ok());
    tokio::time::advance(HOLD / 2).await;
    assert_eq!(bench.succeed(start), ["1", "2"]);
    assert_eq!(bench.started(), None);
    bench.schedule.no_messages_follow();
    assert_eq!(bench.started(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn reconciles_a_full_batch_at_once() {
    let mut bench = Bench::of(&["a", "b"], 8);
    for _ in 1..BATCH_MESSAGES {
        assert!(bench.deliver(0).is_ok());
        bench.schedule.more_messages_follow();
    }
    assert_eq!((bench.started(), bench.schedule.pauses_receiving(Instant::now())), (None, None));
    assert!(bench.deliver(0).is_ok());
    let pause = bench.schedule.pauses_receiving(Instant::now());
    assert_eq!(pause, Some(Pause::Until(bench.began + LONGEST_PAUSE)));
    assert_eq!(bench.started(), Some("a"));
    assert_eq!(bench.schedule.pauses_receiving(Instant::now()), None, "there is room again");
}

#[tokio::test(start_paused = true)]
async fn accepts_no_more_than_a_full_batch_of_a_service_that_hangs() {
    let mut bench = Bench::of(&["a", "b"], 8);
    bench.deliver_last(0);
    bench.start().expect("it hangs");
    for _ in 0..MOST_WAITING {
        assert!(bench.deliver(0).is_ok());
    }
    assert!(bench.deliver(0).is_err());
    assert!(bench.deliver(1).is_ok());
    assert!(bench.schedule.pauses_receiving(Instant::now()).is_some());
    tokio::time::advance(LONGEST_PAUSE).await;
    assert_eq!(bench.schedule.pauses_receiving(Instant::now()), None, "the other's messages don't wait for it");
}

#[tokio::test(start_paused = true)]
async fn a_failed_service_keeps_its_messages_and_waits() {
    let mut bench = Bench::of(&["a", "b"], 8);
    bench.deliver_last(0);
    let start = bench.start().expect("it is due");
    bench.deliver_last(0);
    assert_eq!(bench.fail(start, Duration::from_secs(8)), [""; 0]);
    assert_eq!(bench.schedule.counts().failing, 1);
    bench.deliver_last(0);
    bench.deliver_last(1);
    assert_eq!((bench.started(), bench.started()), (Some("b"), None), "its messages don't shorten its wait");
    tokio::time::advance(Duration::from_secs(8)).await;
    let start = bench.start().expect("it is due");
    assert_eq!(start.hints.tasks.values().next().expect("a task").version, Some(3), "with all that was said");
    assert_eq!(bench.succeed(start), ["1", "2", "3"]);
    assert_eq!(bench.schedule.counts().failing, 0);
}

#[tokio::test(start_paused = true)]
async fn extends_the_messages_of_every_service_that_keeps_any() {
    let mut bench = Bench::of(&["a", "b"], 8);
    bench.deliver_last(0);
    let start = bench.start().expect("it is due");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(bench.deliver(0).is_ok());
    assert!(bench.deliver(1).is_ok());
    assert_eq!(bench.schedule.take_due_extensions(Instant::now()), []);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(
        ids(&bench.schedule.take_due_extensions(Instant::now())),
        ["1", "2"],
        "half of the queue's timeout is over"
    );
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(ids(&bench.schedule.take_due_extensions(Instant::now())), ["3"]);
    bench.succeed(start);
    tokio::time::advance(INVISIBLE_FOR / 2).await;
    assert_eq!(ids(&bench.schedule.take_due_extensions(Instant::now())), ["2", "3"], "the first one is being deleted");
}

#[tokio::test(start_paused = true)]
async fn removes_a_service_that_waits_with_its_messages() {
    let mut bench = Bench::of(&["a", "b"], 8);
    bench.deliver_last(0);
    bench.deliver_last(1);
    assert_eq!(ids(&bench.schedule.remove(0)), ["1"]);
    assert_eq!((bench.started(), bench.started()), (Some("b"), None));
    assert_eq!((bench.schedule.counts().all, bench.schedule.remove(0)), (1, Vec::new()));
    tokio::time::advance(2 * RESYNC).await;
    assert_eq!(bench.started(), None, "it has no timer left");
}

#[tokio::test(start_paused = true)]
async fn a_service_removed_in_progress_ends_whatever_the_result() {
    for fails in [false, true] {
        let mut bench = Bench::of(&["a"], 8);
        bench.deliver_last(0);
        let start = bench.start().expect("it is due");
        bench.deliver_last(0);
        assert_eq!(ids(&bench.schedule.remove(0)), ["2"]);
        let receipts = if fails { bench.fail(start, RESYNC) } else { bench.succeed(start) };
        assert_eq!(receipts, ["1"]);
        assert_eq!(bench.schedule.counts(), Counts::default());
        assert_eq!((bench.started(), bench.schedule.wakes_at()), (None, None));
    }
}

#[tokio::test(start_paused = true)]
async fn replaces_a_reconciler_after_the_reconciliation_in_progress() {
    let mut bench = Bench::of(&["a", "b"], 8);
    let now = Instant::now();
    bench.deliver_last(0);
    let start = bench.start().expect("it is due");
    bench.schedule.replace(0, "new a", "a", RESYNC, now);
    bench.schedule.replace(1, "new b", "b", RESYNC, now);
    assert_eq!((bench.started(), bench.started()), (Some("new b"), None));
    assert_eq!(bench.succeed(start), ["1"]);
    assert_eq!(bench.started(), Some("new a"));
}

#[tokio::test(start_paused = true)]
async fn receives_nothing_while_every_service_fails() {
    let mut bench = Bench::of(&["a", "b"], 8);
    (0..2).for_each(|key| bench.deliver_last(key));
    let (a, b) = (bench.start().expect("a"), bench.start().expect("b"));
    bench.fail(a, RESYNC);
    assert_eq!(bench.schedule.pauses_receiving(Instant::now()), None);
    bench.fail(b, RESYNC);
    assert_eq!(bench.schedule.pauses_receiving(Instant::now()), Some(Pause::UntilReconciled));
    assert!(!bench.schedule.is_settled());
}

#[tokio::test(start_paused = true)]
async fn resyncs_the_services_of_a_group_together() {
    let began = Instant::now();
    let mut schedule = Schedule::new(8, Jitter::NONE);
    schedule.add("a", "cluster", RESYNC, None, began);
    schedule.add("b", "cluster", RESYNC, None, began);
    let run = |schedule: &mut Schedule<&'static str>| {
        let mut started = Vec::new();
        while let Some(Start { key, reconciler, .. }) = schedule.start(Instant::now()) {
            started.push(reconciler);
            schedule.succeeded(key, reconciler, (RESYNC, Progress::Settled), Instant::now());
        }
        started
    };
    assert_eq!(run(&mut schedule), ["a", "b"]);
    tokio::time::advance(RESYNC / 2).await;
    let hint = Hint::Task(TaskChange { task: running(1).id, version: None, time: None });
    let receipt = Receipt { message_id: String::new(), handle: String::new() };
    schedule.deliver(1, hint, receipt, VISIBLE_AFTER, Instant::now()).expect("there is room");
    schedule.no_messages_follow();
    assert_eq!(run(&mut schedule), ["b"]);
    tokio::time::advance(RESYNC / 2).await;
    assert_eq!(run(&mut schedule), ["a", "b"], "its own reconciliation doesn't separate it from the group");
}
