//! Several services of one worker: each has an AWS of its own, and they share the queue.

use std::collections::BTreeSet;

use super::*;

struct Fleet {
    queue: FakeAws,
    clouds: Vec<FakeAws>,
    lines: LogLines,
    order: ShutdownOrder,
    liveness: Liveness,
    changes: mpsc::Sender<ServiceChanges<FakeAws>>,
    setup: Setup,
    worker: JoinHandle<StopReason>,
}

/// The parameters of a fleet.
#[derive(Clone)]
struct Setup {
    services: usize,
    concurrency: usize,
    resync_interval: Duration,
    lifetime: Lifetime,
}

impl Setup {
    fn of(services: usize) -> Self {
        Self {
            services,
            concurrency: CONCURRENCY,
            resync_interval: policy().resync_interval,
            lifetime: Lifetime::UntilStopped,
        }
    }

    fn start(self) -> Fleet {
        self.start_with(|_, _| {})
    }

    /// Starts the fleet after a change to the AWS of each service.
    fn start_with(self, change: impl Fn(usize, &FakeAws)) -> Fleet {
        let lines = LogLines::default();
        let clouds: Vec<_> = (0..self.services).map(|number| FakeAws::new(registered(number))).collect();
        clouds.iter().enumerate().for_each(|(number, cloud)| change(number, cloud));
        let reconcilers: Vec<_> =
            clouds.iter().enumerate().map(|(number, cloud)| reconciler(number, cloud, &lines, &self)).collect();
        let queue = FakeAws::new(quiet());
        let (order, shutdown) = shutdown::channel();
        let (changes, receiver) = mpsc::channel(1);
        let liveness = Liveness::new(self.resync_interval);
        let clock = FakeClock::noon();
        let context = Context::new(scope(0), lines.log(clock.clone()), clock);
        let worker = Worker::new(WorkerParts {
            queue: queue.clone(),
            queue_settings: Some(QueueSettings::default()),
            context: QueueContext::from(&context),
            reconcilers,
            changes: Some(receiver),
            concurrency: self.concurrency,
            lifetime: self.lifetime,
            shutdown,
            liveness: liveness.clone(),
            timing: Timing::default(),
        });
        let worker = tokio::spawn(worker.run());
        Fleet { queue, clouds, lines, order, liveness, changes, setup: self, worker }
    }
}

fn scope(number: usize) -> Scope {
    Scope { cluster: "p-cluster".into(), service: format!("service-{number}") }
}

fn reconciler(number: usize, cloud: &FakeAws, lines: &LogLines, setup: &Setup) -> Reconciler<FakeAws> {
    let clock = FakeClock::noon();
    let context = Context::new(scope(number), lines.log(clock.clone()), clock);
    let policy = jvb_watcher_rules::plan::Policy { resync_interval: setup.resync_interval, ..policy() };
    Reconciler::new(ReconcilerParts::new(cloud.clone(), context, policy))
}

/// A service whose task is registered.
fn registered(number: usize) -> Observation {
    let mut task = running(1);
    task.group = Some(format!("service:service-{number}"));
    observation(counts(1, 1, 0), vec![task], Some(load_balancer(&[1])))
}

fn event_of(number: usize, id: usize) -> Message {
    let task = running(1).id;
    let body = format!(
        r#"{{"source":"aws.ecs","detail-type":"ECS Task State Change","time":"{}","detail":{{
            "clusterArn":"arn:aws:ecs:eu-west-1:111122223333:cluster/p-cluster","group":"service:service-{number}",
            "taskArn":"arn:aws:ecs:eu-west-1:111122223333:task/p-cluster/{task}","version":4}}}}"#,
        noon()
    );
    message(id, &body)
}

impl Fleet {
    /// The number of reconciliations of each service that have read it.
    fn reconciliations(&self) -> Vec<usize> {
        self.clouds.iter().map(|cloud| cloud.count("DescribeServices")).collect()
    }

    fn deleted(&self) -> BTreeSet<String> {
        self.queue.world().deleted.iter().cloned().collect()
    }

    /// Takes the targets of a service away, and sends the event of its task.
    fn needs_registration(&self, number: usize, id: usize) {
        let mut world = self.clouds[number].world();
        let groups = world.observed.load_balancer.iter_mut().flat_map(|load_balancer| &mut load_balancer.target_groups);
        groups.for_each(|group| group.targets.clear());
        drop(world);
        self.queue.send([event_of(number, id)]);
    }

    fn is_registered(&self, number: usize) -> bool {
        let world = self.clouds[number].world();
        let mut groups = world.observed.load_balancer.iter().flat_map(|load_balancer| &load_balancer.target_groups);
        groups.all(|group| !group.targets.is_empty())
    }

    async fn stop(self) -> Duration {
        let began = Instant::now();
        self.order.stop(StopReason::Sigterm);
        assert_eq!(self.worker.await.expect("no panic"), StopReason::Sigterm);
        began.elapsed()
    }
}

fn ids(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(|number| format!("id-{number}")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_for_hours_delays_no_other() {
    // It fails for an hour and a half: a permanent error is retried every minute.
    let fleet = Setup::of(3).start_with(|number, cloud| {
        if number == 0 {
            cloud.fail("DescribeServices", ErrorKind::AccessDenied, 90);
        }
    });
    tokio::time::sleep(minutes(2)).await;
    let mut sent = Vec::new();
    for round in 0..16 {
        let id = |number| 10 * round + number;
        (0..3).for_each(|number| fleet.needs_registration(number, id(number)));
        sent.extend([id(1), id(2)]);
        tokio::time::sleep(seconds(1)).await;
        assert_eq!([0, 1, 2].map(|number| fleet.is_registered(number)), [false, true, true], "round {round}");
        assert_eq!(fleet.deleted(), ids(sent.clone()), "round {round}: only theirs are deleted");
        tokio::time::sleep(minutes(5)).await;
    }
    let extended: BTreeSet<_> = fleet.queue.world().changed.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(extended, ids((0..16).map(|round| 10 * round)), "only its messages are held");
    tokio::time::sleep(minutes(15)).await;
    assert!(fleet.is_registered(0), "it is retried until it succeeds");
    assert_eq!(fleet.deleted().len(), 48);
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_delays_no_other() {
    let fleet = Setup::of(3).start();
    tokio::time::sleep(minutes(2)).await;
    fleet.clouds[0].delay("DescribeTags", minutes(24 * 60));
    for round in 0..60 {
        (0..3).for_each(|number| fleet.needs_registration(number, 10 * round + number));
        tokio::time::sleep(seconds(1)).await;
        assert_eq!([1, 2].map(|number| fleet.is_registered(number)), [true, true], "round {round}");
        tokio::time::sleep(seconds(14)).await;
    }
    let sent = (0..60).flat_map(|round| [10 * round + 1, 10 * round + 2]);
    assert_eq!(fleet.deleted(), ids(sent));
    let Unhealthy(why) = fleet.liveness.live().expect_err("it hangs for a quarter of an hour");
    assert!(why.contains("reconciling service-0"), "{why}");
    assert_eq!(fleet.stop().await, GRACE);
}

#[tokio::test(start_paused = true)]
async fn services_take_turns() {
    // One at a time, and each takes a second.
    let setup = Setup { concurrency: 1, resync_interval: minutes(60), ..Setup::of(5) };
    let fleet = setup.start_with(|_, cloud| cloud.delay("DescribeServices", seconds(1)));
    tokio::time::sleep(seconds(10)).await;
    let before = fleet.reconciliations();
    for tenth in 0..300 {
        fleet.queue.send([event_of(0, tenth)]);
        if tenth == 50 {
            fleet.queue.send((1..5).map(|number| event_of(number, 1_000 + number)));
        }
        if tenth == 120 {
            // After the one in progress and the first one's next turn.
            assert!(fleet.deleted().is_superset(&ids(1_001..1_005)), "{:?}", fleet.reconciliations());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let more: Vec<_> = fleet.reconciliations().iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(more[1..], [1; 4]);
    assert!((20..=27).contains(&more[0]), "{more:?}");
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_costs_the_calls_of_its_service_alone_among_a_thousand() {
    let setup = Setup { resync_interval: minutes(60), ..Setup::of(1_000) };
    let fleet = setup.start();
    tokio::time::sleep(minutes(60) + seconds(1)).await;
    let calls = |fleet: &Fleet| -> Vec<_> { fleet.clouds.iter().map(|cloud| cloud.world().calls.len()).collect() };
    let before = calls(&fleet);
    assert!(before.iter().all(|calls| *calls > 0), "each has been reconciled");
    fleet.queue.send([event_of(517, 1)]);
    tokio::time::sleep(seconds(1)).await;
    let after = calls(&fleet);
    let changed: Vec<_> = (0..1_000).filter(|number| after[*number] != before[*number]).collect();
    assert_eq!(changed, [517]);
    assert!(after[517] - before[517] <= 9, "{} calls", after[517] - before[517]);
    assert_eq!(fleet.deleted(), ids([1]));
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn spreads_the_resyncs_of_groups_of_ten() {
    let fleet = Setup::of(200).start();
    let mut before = vec![0; 200];
    let mut started = Vec::new();
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..180 {
        let now = fleet.reconciliations();
        started.push((0..200).filter(|number| now[*number] != before[*number]).count());
        before = now;
        tokio::time::sleep(seconds(1)).await;
    }
    for (number, minute) in started.chunks(60).enumerate() {
        assert_eq!(minute.iter().sum::<usize>(), 200, "minute {number}: each once");
        assert!(minute.iter().all(|count| count % 10 == 0), "minute {number}: {minute:?}");
        assert!(minute.iter().all(|count| *count <= 20), "minute {number}: {minute:?}");
        assert!(minute.chunks(10).all(|tenth| tenth.iter().sum::<usize>() <= 50), "minute {number}: {minute:?}");
    }
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn adds_replaces_and_removes_services_while_it_runs() {
    let fleet = Setup { resync_interval: minutes(60), ..Setup::of(2) }.start();
    tokio::time::sleep(minutes(2)).await;
    let before = fleet.reconciliations();
    let (added, replaced) = (FakeAws::new(registered(7)), FakeAws::new(registered(1)));
    let changes = ServiceChanges {
        removed: vec![scope(0), scope(5)],
        added: vec![
            reconciler(7, &added, &fleet.lines, &fleet.setup),
            reconciler(1, &replaced, &fleet.lines, &fleet.setup),
        ],
    };
    assert!(fleet.changes.send(changes).await.is_ok());
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(replaced.count("DescribeServices"), 1, "it is reconciled at once");
    tokio::time::sleep(minutes(57)).await;
    assert_eq!(added.count("DescribeServices"), 0, "it has its first turn with its group");
    fleet.queue.send([event_of(0, 1), event_of(7, 2), event_of(1, 3)]);
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(fleet.deleted(), ids([1, 2, 3]));
    assert_eq!(fleet.reconciliations(), before, "neither the removed one nor the old reconciler is used");
    assert_eq!((added.count("DescribeServices"), replaced.count("DescribeServices")), (1, 2));
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_service_ends_its_reconciliation_and_its_messages_become_foreign() {
    let fleet = Setup::of(2).start();
    tokio::time::sleep(minutes(2)).await;
    fleet.clouds[0].delay("DescribeTags", seconds(5));
    fleet.needs_registration(0, 1);
    tokio::time::sleep(seconds(1)).await;
    fleet.queue.send([event_of(0, 2)]);
    tokio::time::sleep(seconds(1)).await;
    assert!(fleet.changes.send(ServiceChanges { removed: vec![scope(0)], added: Vec::new() }).await.is_ok());
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(fleet.deleted(), ids([2]), "no reconciliation will follow for it");
    tokio::time::sleep(seconds(5)).await;
    assert!(fleet.is_registered(0));
    assert_eq!(fleet.deleted(), ids([1, 2]));
    let before = fleet.reconciliations();
    tokio::time::sleep(minutes(3)).await;
    assert_eq!(fleet.reconciliations()[0], before[0]);
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_removed_and_added_at_once_is_replaced() {
    let fleet = Setup::of(2).start();
    tokio::time::sleep(minutes(2)).await;
    fleet.clouds[0].delay("DescribeTags", seconds(5));
    fleet.needs_registration(0, 1);
    tokio::time::sleep(seconds(1)).await;
    let again = FakeAws::new(registered(0));
    let changes =
        ServiceChanges { removed: vec![scope(0)], added: vec![reconciler(0, &again, &fleet.lines, &fleet.setup)] };
    assert!(fleet.changes.send(changes).await.is_ok());
    fleet.queue.send([event_of(0, 2)]);
    tokio::time::sleep(seconds(10)).await;
    assert_eq!(fleet.deleted(), ids([1, 2]));
    assert!(again.count("DescribeServices") >= 1);
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn keeps_a_bounded_number_of_messages_of_a_failing_service() {
    let fleet = Setup::of(2).start_with(|number, cloud| {
        if number == 0 {
            cloud.fail("DescribeServices", ErrorKind::AccessDenied, 10_000);
        }
    });
    tokio::time::sleep(minutes(2)).await;
    fleet.queue.send((0..3_000).map(|id| event_of(0, id)));
    tokio::time::sleep(seconds(10)).await;
    let deferred =
        |fleet: &Fleet| fleet.queue.world().changed.iter().filter(|(_, timeout)| *timeout == DEFERRED_FOR).count();
    assert_eq!(deferred(&fleet), 960, "two thousand, and those that were being received");
    fleet.needs_registration(1, 5_000);
    tokio::time::sleep(seconds(1)).await;
    assert!(fleet.is_registered(1));
    assert_eq!(fleet.deleted(), ids([5_000]));
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn deletes_the_messages_of_many_services_together() {
    let fleet = Setup::of(50).start();
    tokio::time::sleep(minutes(2)).await;
    for number in 0..50 {
        fleet.queue.send([event_of(number, number)]);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(fleet.deleted(), ids(0..50));
    assert!(fleet.queue.count("DeleteMessageBatch") <= 6, "{}", fleet.queue.count("DeleteMessageBatch"));
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn receives_nothing_while_every_service_fails() {
    let fleet = Setup::of(2).start();
    tokio::time::sleep(minutes(2)).await;
    fleet.clouds.iter().for_each(|cloud| cloud.fail("DescribeServices", ErrorKind::AccessDenied, 3));
    fleet.queue.send([event_of(0, 1), event_of(1, 2)]);
    tokio::time::sleep(seconds(25)).await;
    let received = fleet.queue.count("ReceiveMessage");
    tokio::time::sleep(minutes(2)).await;
    assert_eq!(fleet.queue.count("ReceiveMessage"), received, "other workers may do better");
    tokio::time::sleep(minutes(2)).await;
    assert!(fleet.queue.count("ReceiveMessage") > received);
    assert_eq!(fleet.deleted(), ids([1, 2]));
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn is_ready_once_every_service_was_tried() {
    let fleet = Setup::of(30).start_with(|number, cloud| {
        if number == 3 {
            cloud.fail("DescribeServices", ErrorKind::AccessDenied, 10_000);
        }
    });
    tokio::time::sleep(seconds(1)).await;
    let Unhealthy(why) = fleet.liveness.ready().expect_err("two groups have not had their turn");
    assert_eq!(why, "20 of 30 services have not been reconciled yet: service-10 and others");
    tokio::time::sleep(minutes(1)).await;
    for _ in 0..60 {
        assert_eq!((fleet.liveness.live(), fleet.liveness.ready()), (Ok(()), Ok(())));
        tokio::time::sleep(seconds(7)).await;
    }
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn until_empty_reconciles_every_service_once() {
    let fleet = Setup { lifetime: Lifetime::UntilEmpty, ..Setup::of(40) };
    let fleet = fleet.start_with(|_, cloud| cloud.delay("DescribeServices", seconds(1)));
    fleet.queue.send([event_of(3, 1), event_of(99, 2)]);
    let began = Instant::now();
    assert_eq!(fleet.worker.await.expect("no panic"), StopReason::QueueEmpty);
    assert!(began.elapsed() <= seconds(5), "{:?}", began.elapsed());
    assert!(fleet.clouds.iter().all(|cloud| cloud.count("DescribeServices") >= 1));
    assert_eq!(fleet.queue.world().deleted.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn makes_the_messages_of_waiting_services_visible_at_shutdown_and_finishes_the_others() {
    let fleet = Setup::of(3).start();
    tokio::time::sleep(minutes(2)).await;
    fleet.clouds[0].fail("DescribeServices", ErrorKind::AccessDenied, 10_000);
    fleet.clouds[1].delay("DescribeTags", seconds(3));
    fleet.clouds[2].delay("DescribeTags", minutes(5));
    fleet.queue.send((0..3).map(|number| event_of(number, number)));
    tokio::time::sleep(seconds(1)).await;
    let (queue, took) = (fleet.queue.clone(), fleet.stop().await);
    assert_eq!(took, GRACE);
    assert_eq!(queue.world().deleted, ["id-1"]);
    assert_eq!(queue.world().changed, [("id-0".to_owned(), Duration::ZERO), ("id-2".to_owned(), Duration::ZERO)]);
}

#[tokio::test(start_paused = true)]
async fn is_ready_by_the_longest_resync_interval_of_its_services() {
    let fleet = Setup { resync_interval: minutes(1), ..Setup::of(1) }.start();
    tokio::time::sleep(seconds(1)).await;
    let slow = Setup { resync_interval: minutes(10), ..Setup::of(1) };
    let added = vec![reconciler(0, &fleet.clouds[0], &fleet.lines, &slow)];
    let changes = ServiceChanges { removed: Vec::new(), added };
    assert!(fleet.changes.send(changes).await.is_ok(), "the worker runs");
    tokio::time::sleep(minutes(9)).await;
    assert_eq!(fleet.liveness.ready(), Ok(()));
    let fast = vec![reconciler(0, &fleet.clouds[0], &fleet.lines, &fleet.setup)];
    fleet.clouds[0].fail("DescribeServices", ErrorKind::Throttled, 10_000);
    let changes = ServiceChanges { removed: Vec::new(), added: fast };
    assert!(fleet.changes.send(changes).await.is_ok(), "the worker runs");
    tokio::time::sleep(seconds(1)).await;
    assert!(fleet.liveness.ready().is_err(), "the last success was nine minutes ago");
}
