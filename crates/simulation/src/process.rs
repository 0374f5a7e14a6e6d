//! The watcher's processes: the real worker, started, killed, told to stop, frozen, and with a clock of its own.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use super::cloud::Cloud;
use super::stage::{Actor, Stage};
use jvb_watcher::clock::{AwsClock, Clock, SharedClock};
use jvb_watcher::controller::context::Context as ControllerContext;
use jvb_watcher::controller::liveness::Liveness;
use jvb_watcher::controller::reconciler::{Reconciler, ReconcilerParts};
use jvb_watcher::controller::scope::Scope;
use jvb_watcher::controller::teardown::ProcessId;
use jvb_watcher::controller::worker::{Lifetime, Timing, Worker, WorkerParts};
use jvb_watcher::retry::Jitter;
use jvb_watcher::shutdown::{self, ShutdownOrder};
use jvb_watcher::telemetry::log::{Event, Format, Identity, Level, Log, StopReason, Subscriber};
use jvb_watcher_rules::plan::Policy;

/// How long a worker may take from SIGTERM to its end, as the README has it.
const STOPS_WITHIN: Duration = Duration::from_secs(21);

/// What every process is started with.
#[derive(Clone)]
pub struct Setup {
    /// Where.
    pub stage: Arc<Stage>,
    /// What it watches.
    pub scope: Scope,
    /// By which rules.
    pub policy: Policy,
    /// Its queue.
    pub queue_url: String,
    /// How long its polls wait: a simulated day has better things to do than thousands that nothing comes of.
    pub longest_poll: Duration,
}

/// A machine's clock, off by a constant.
pub struct OffClock {
    stage: Arc<Stage>,
    off: SignedDuration,
}

impl OffClock {
    /// A machine's clock.
    pub fn new(stage: Arc<Stage>, off: SignedDuration) -> Self {
        Self { stage, off }
    }
}

impl Clock for OffClock {
    fn now(&self) -> Timestamp {
        self.stage.now() + self.off
    }
}

/// A process.
pub struct Process {
    handle: JoinHandle<()>,
    gate: Arc<Gate>,
    order: ShutdownOrder,
}

impl Process {
    /// Starts one, on a machine whose clock is off.
    pub fn start(setup: &Setup, number: u32, off: SignedDuration) -> Self {
        let Setup { stage, scope, policy, queue_url, longest_poll } = setup.clone();
        let liveness = Liveness::new(policy.resync_interval);
        let machine: SharedClock = Arc::new(OffClock::new(stage.clone(), off));
        let clock = Arc::new(AwsClock::new(machine.clone()));
        let actor = Actor::Watcher(number);
        let identity =
            Identity { project: String::new(), cluster: scope.cluster.clone(), service: scope.service.clone() };
        let ear = stage.clone();
        let log = Log::without_lines(identity, Level::Info, machine);
        log.subscribe(Arc::new(Ear { stage: ear, actor }));
        let cloud = Cloud::new(stage, actor, clock.clone(), queue_url);
        let context = ControllerContext::new(scope, log, clock);
        let reconciler = Reconciler::new(ReconcilerParts {
            process: ProcessId::new(number),
            ..ReconcilerParts::new(cloud.clone(), context, policy)
        });
        let (order, shutdown) = shutdown::channel();
        let worker = Worker::new(WorkerParts {
            queue: cloud,
            queue_settings: None,
            reconciler,
            lifetime: Lifetime::UntilStopped,
            shutdown,
            liveness,
            timing: Timing { longest_poll, jitter: Jitter::NONE },
        });
        let (work, gate) = Freezable::new(worker.run());
        let handle = tokio::spawn(async move {
            let _: StopReason = work.await;
        });
        Self { handle, gate, order }
    }

    /// Whether it has ended though nobody killed it or told it to.
    pub fn has_ended(&self) -> bool {
        self.handle.is_finished()
    }

    /// Kills it, wherever it is.
    pub fn kill(self) {
        self.handle.abort();
    }

    /// Tells it to stop, and waits until it has; comes to `Err` when it doesn't, or ends otherwise.
    pub async fn terminate(self) -> Result<(), String> {
        self.order.stop(StopReason::Sigterm);
        let frozen_until = self.gate.until().unwrap_or_else(Instant::now).max(Instant::now());
        match tokio::time::timeout_at(frozen_until + STOPS_WITHIN, self.handle).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("still there {STOPS_WITHIN:?} after SIGTERM")),
        }
    }

    /// Freezes it for so long; what it has sent goes on without it.
    pub fn freeze(&self, time: Duration) {
        self.gate.close(time);
    }
}

/// What stands between a process and its time on a processor.
#[derive(Default)]
pub struct Gate {
    until: Mutex<Option<Instant>>,
}

impl Gate {
    /// Closes it for so long.
    pub fn close(&self, time: Duration) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }

    fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that does nothing while it is frozen.
pub struct Freezable<F> {
    work: Pin<Box<F>>,
    gate: Arc<Gate>,
    thaw: Option<Pin<Box<Sleep>>>,
}

impl<F> Freezable<F> {
    /// A process that does this, and what freezes it.
    pub fn new(work: F) -> (Self, Arc<Gate>) {
        let gate = Arc::new(Gate::default());
        (Self { work: Box::pin(work), gate: gate.clone(), thaw: None }, gate)
    }
}

impl<F: Future> Future for Freezable<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(until) = self.gate.until().filter(|until| *until > Instant::now()) {
            let mut thaw = Box::pin(tokio::time::sleep_until(until));
            if thaw.as_mut().poll(context).is_pending() {
                self.thaw = Some(thaw);
                return Poll::Pending;
            }
        }
        self.thaw = None;
        self.work.as_mut().poll(context)
    }
}

/// Records what a process logs.
pub struct Ear {
    /// Where it is recorded.
    pub stage: Arc<Stage>,
    /// Whose log it is.
    pub actor: Actor,
}

impl Subscriber for Ear {
    fn receive(&self, event: &Event, _: Timestamp, _: &dyn Fn() -> Map<String, Value>) {
        if event.is_wanted(Format::Json, Level::Info) {
            hear(&self.stage, self.actor, event);
        }
    }
}

fn hear(stage: &Stage, actor: Actor, event: &Event) {
    stage.with(|inner, now| {
        inner.tally.event(&name(event));
        if !matches!(event, Event::Reconciled { .. }) {
            inner.note(now, || format!("{actor:?} says {}", event.message()));
        }
    });
}

/// An event's name in the tally, with the field that tells its kinds apart.
fn name(event: &Event) -> Cow<'static, str> {
    match event {
        // Nearly all of them.
        Event::Reconciled { .. } => "reconciled".into(),
        Event::TargetRegistered { reason, .. } => format!("target_registered {}", word(reason)).into(),
        Event::TargetDeregistered { reason, .. } => format!("target_deregistered {}", word(reason)).into(),
        Event::IdleMarked { reason, .. } => format!("idle_marked {}", word(reason)).into(),
        Event::IdleUnmarked { reason, .. } => format!("idle_unmarked {}", word(reason)).into(),
        Event::Finding { finding, .. } => format!("finding {}", word(finding)).into(),
        Event::TeardownStarted { resumed: true, .. } => "teardown_started resumed".into(),
        other => serde_json::to_value(other)
            .ok()
            .and_then(|fields| fields.get("event")?.as_str().map(str::to_owned))
            .unwrap_or_default()
            .into(),
    }
}

/// A field's value as the log writes it.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}
