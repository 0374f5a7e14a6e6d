//! The world, the faults and the counts, for all connections.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};

use crate::api::{ApiError, Request, Response, Service, sqs};
use crate::faults::{Faults, Verdict};
use crate::world::World;

/// What all connections share. Its locks are held for one call of the world or the faults, and never across a wait.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) endpoint: String,
    world: Mutex<World>,
    faults: Mutex<Faults>,
    calls: Mutex<BTreeMap<String, u64>>,
    answers: AtomicU64,
    clock: Clock,
    /// Something changed for those who wait for messages.
    pub(super) arrived: Notify,
    /// The world has something else to do next.
    rescheduled: Notify,
    /// Whether it is over.
    pub(super) stopping: watch::Receiver<bool>,
}

impl Shared {
    pub(super) fn new(world: World, faults: Faults, endpoint: String, stopping: watch::Receiver<bool>) -> Self {
        Self {
            endpoint,
            world: Mutex::new(world),
            faults: Mutex::new(faults),
            calls: Mutex::default(),
            answers: AtomicU64::new(0),
            clock: Clock::started(),
            arrived: Notify::new(),
            rescheduled: Notify::new(),
            stopping,
        }
    }

    /// Has the world answer a call.
    pub(super) fn call(&self, request: Request) -> Result<Response, ApiError> {
        let is_poll = matches!(request, Request::Sqs(sqs::Request::ReceiveMessage(_)));
        let now = self.now();
        let (before, response, after) = {
            let mut world = lock(&self.world);
            let before = world.next_step_at();
            let response = world.call(request, now);
            (before, response, world.next_step_at())
        };
        if before != after {
            self.rescheduled.notify_one();
        }
        // A poll brings no messages, unless the world did on the way what was due. If polls woke each other, two of them
        // would never sleep.
        if !is_poll || before.is_some_and(|due| due <= now) {
            self.arrived.notify_waiters();
        }
        response
    }

    /// Looks at the world as it is, with all done that is due.
    pub(super) fn look<T>(&self, look: impl FnOnce(&World, Timestamp) -> T) -> T {
        self.with_world(|world, now| {
            world.step(now);
            look(world, now)
        })
    }

    pub(super) fn with_world<T>(&self, act: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let result = act(&mut lock(&self.world), self.now());
        self.rescheduled.notify_one();
        self.arrived.notify_waiters();
        result
    }

    pub(super) fn with_faults<T>(&self, act: impl FnOnce(&mut Faults) -> T) -> T {
        act(&mut lock(&self.faults))
    }

    pub(super) fn decide(&self, service: Service, operation: &str) -> Verdict {
        let now = self.now();
        self.with_faults(|faults| faults.decide(service, operation, now))
    }

    pub(super) fn count(&self, service: Service, operation: &str) {
        let name = format!("{}:{operation}", service.prefix());
        *lock(&self.calls).entry(name).or_default() += 1;
    }

    pub(super) fn calls(&self) -> BTreeMap<String, u64> {
        lock(&self.calls).clone()
    }

    /// Ids in the shape of AWS's, counted up so that two runs have the same ones.
    pub(super) fn request_id(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.answers.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn next_step_at(&self) -> Option<Timestamp> {
        lock(&self.world).next_step_at()
    }

    /// Has the world do what is due, when it is due.
    pub(super) async fn keep_stepping(&self) {
        loop {
            tokio::select! {
                () = self.rescheduled.notified() => {}
                // If what was due has a bug, the rest is still to be done; its message is on standard error.
                () = self.due() => drop(catch_unwind(AssertUnwindSafe(|| self.with_world(World::step)))),
            }
        }
    }

    async fn due(&self) {
        match self.next_step_at() {
            // A millisecond at least: a world that is always late must not keep a core busy.
            Some(at) => tokio::time::sleep(self.clock.until(at).max(Duration::from_millis(1))).await,
            None => std::future::pending().await,
        }
    }

    pub(super) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // Without anybody left to say so, it is over as well.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

/// A panic while a lock was held is a failed test's; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of day that never goes back.
#[derive(Debug)]
struct Clock {
    started_at: Timestamp,
    started: Instant,
}

impl Clock {
    fn started() -> Self {
        Self { started_at: Timestamp::now(), started: Instant::now() }
    }

    fn now(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        self.started_at.checked_add(since).unwrap_or(Timestamp::MAX)
    }

    fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.now())).unwrap_or(Duration::ZERO)
    }
}
