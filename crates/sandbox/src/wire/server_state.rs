//! State that all connections share: the world, the faults and the request counts.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::clock::Clock;
use super::recording::{RecordedCall, Recording};
use crate::api::{ApiError, Request, Response, Service, sqs};
use crate::faults::{Faults, Verdict};
use crate::world::World;

/// State that all connections share. A lock is held for one call of the world or the faults, and never across an await.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) endpoint: String,
    world: Mutex<World>,
    faults: Mutex<Faults>,
    request_counts: Mutex<BTreeMap<String, u64>>,
    recording: Recording,
    responses: AtomicU64,
    pub(super) clock: Arc<Clock>,
    /// Notifies long polls of a change in the world.
    pub(super) changed: Notify,
    /// Notifies the stepping task that the world's next step may have moved.
    rescheduled: Notify,
    stopping: watch::Receiver<bool>,
}

impl ServerState {
    pub(super) fn new(world: World, faults: Faults, endpoint: String, stopping: watch::Receiver<bool>) -> Self {
        Self {
            endpoint,
            world: Mutex::new(world),
            faults: Mutex::new(faults),
            request_counts: Mutex::default(),
            recording: Recording::default(),
            responses: AtomicU64::new(0),
            clock: Arc::new(Clock::start()),
            changed: Notify::new(),
            rescheduled: Notify::new(),
            stopping,
        }
    }

    /// Passes a request to the world.
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
        // A poll brings no new messages, unless the call first fired timers that were due. If polls woke each other, two
        // of them would never sleep.
        if !is_poll || before.is_some_and(|due| due <= now) {
            self.changed.notify_waiters();
        }
        response
    }

    /// Reads the world as it is now, with all due timers fired.
    pub(super) fn read_world<T>(&self, read: impl FnOnce(&World, Timestamp) -> T) -> T {
        self.with_world(|world, now| {
            world.step(now);
            read(world, now)
        })
    }

    pub(super) fn with_world<T>(&self, work: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let result = work(&mut lock(&self.world), self.now());
        self.rescheduled.notify_one();
        self.changed.notify_waiters();
        result
    }

    pub(super) fn with_faults<T>(&self, work: impl FnOnce(&mut Faults) -> T) -> T {
        work(&mut lock(&self.faults))
    }

    pub(super) fn decide(&self, service: Service, operation: &str) -> Verdict {
        let now = self.now();
        self.with_faults(|faults| faults.decide(service, operation, now))
    }

    pub(super) fn count_request(&self, service: Service, operation: &str) {
        let name = format!("{}:{operation}", service.prefix());
        *lock(&self.request_counts).entry(name).or_default() += 1;
    }

    pub(super) fn request_counts(&self) -> BTreeMap<String, u64> {
        lock(&self.request_counts).clone()
    }

    pub(super) fn record_calls(&self) {
        self.recording.start();
    }

    pub(super) fn take_recorded_calls(&self) -> Vec<RecordedCall> {
        self.recording.take()
    }

    /// Records a call that arrived at the given time and is answered now, if calls are recorded.
    pub(super) fn record_call(&self, call: impl FnOnce() -> RecordedCall) {
        self.recording.add(call);
    }

    /// Returns a request id in AWS's format. Ids are sequential, so that two runs have the same ones.
    pub(super) fn request_id(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.responses.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass at once: everything that is due within it happens, in order.
    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.with_world(World::step);
    }

    pub(super) fn next_step_at(&self) -> Option<Timestamp> {
        lock(&self.world).next_step_at()
    }

    /// Advances the world whenever something is due.
    pub(super) async fn keep_stepping(&self) {
        loop {
            tokio::select! {
                () = self.rescheduled.notified() => {}
                // After a panic of one timer the others still fire; the panic's message is on standard error.
                () = self.step_is_due() => {
                    drop(catch_unwind(AssertUnwindSafe(|| self.with_world(World::step))));
                }
            }
        }
    }

    async fn step_is_due(&self) {
        match self.next_step_at() {
            // At least a millisecond, so that a world that is always late doesn't occupy a core.
            Some(at) => tokio::time::sleep(self.clock.until(at).max(Duration::from_millis(1))).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    pub(super) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // An error means that the sender is gone, which stops the sandbox as well.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

/// Locks a mutex, even after a panic of another holder: one failed request must not end all others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
