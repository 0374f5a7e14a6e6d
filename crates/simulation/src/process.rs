//! The watcher's processes: the real worker, which can be started, killed, terminated and suspended, and has a clock of its
//! own.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use crate::bugs::{self, Bug, BugInterceptor};
use crate::connection::Connection;
use crate::day::Day;
use crate::environment::{Actor, Environment};
use crate::intercept::Intercepted;
use crate::recorder::LogRecorder;
use jvb_watcher::clock::{AwsClock, Clock, SharedClock};
use jvb_watcher::controller::context::Context as ControllerContext;
use jvb_watcher::controller::liveness::Liveness;
use jvb_watcher::controller::reconciler::{Reconciler, ReconcilerParts};
use jvb_watcher::controller::scope::Scope;
use jvb_watcher::controller::teardown::ProcessId;
use jvb_watcher::controller::worker::{self, Timing, WorkerParts};
use jvb_watcher::retry::Jitter;
use jvb_watcher::shutdown::{self, ShutdownOrder};
use jvb_watcher::telemetry::log::{Format, Identity, Level, Log, LogConfig, Output, StopReason};
use jvb_watcher_rules::plan::Policy;
use jvb_watcher_sandbox::platform;

/// The longest time from SIGTERM to a worker's end, as documented.
const STOPS_WITHIN: Duration = Duration::from_secs(21);

/// The parameters of every process.
#[derive(Clone)]
pub struct Setup {
    /// The environment.
    pub environment: Arc<Environment>,
    /// The service.
    pub scope: Scope,
    /// The policy.
    pub policy: Policy,
    /// The queue.
    pub queue_url: String,
    /// The time that a poll waits for messages.
    pub longest_poll: Duration,
    /// The deliberate bug in every worker.
    pub bug: Option<Bug>,
}

impl Setup {
    /// The parameters of a day's processes.
    pub fn new(environment: Arc<Environment>, day: &Day, bug: Option<Bug>) -> Self {
        let scope = Scope { cluster: format!("{}-cluster", platform::PROJECT), service: day.policy.service.clone() };
        Self {
            queue_url: environment.queue_url(),
            environment,
            scope,
            policy: day.policy.clone(),
            longest_poll: day.longest_poll,
            bug,
        }
    }
}

/// The tools of a process.
pub struct Tools {
    /// Its clock, corrected by AWS's answers.
    pub clock: Arc<AwsClock>,
    /// Its connection to AWS.
    pub connection: Connection,
    /// Its log.
    pub log: Log,
}

impl Tools {
    /// The tools of an actor on a machine whose clock is wrong.
    pub fn new(setup: &Setup, actor: Actor, clock_error: SignedDuration) -> Self {
        let Setup { environment, scope, queue_url, .. } = setup;
        let machine: SharedClock = Arc::new(SkewedClock { environment: environment.clone(), error: clock_error });
        let clock = Arc::new(AwsClock::new(machine.clone()));
        let identity =
            Identity { project: String::new(), cluster: scope.cluster.clone(), service: scope.service.clone() };
        let log = Log::new(LogConfig {
            identity,
            format: Format::Json,
            level: Level::Info,
            clock: machine,
            output: Output::discarded(),
        });
        log.subscribe(Arc::new(LogRecorder { environment: environment.clone(), actor }));
        let connection = Connection::new(environment.clone(), actor, clock.clone(), queue_url.clone());
        Self { clock, connection, log }
    }
}

/// A machine's clock with a constant error.
struct SkewedClock {
    environment: Arc<Environment>,
    error: SignedDuration,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        self.environment.now() + self.error
    }
}

/// A worker process.
pub struct Worker {
    handle: JoinHandle<()>,
    suspension: Arc<Suspension>,
    order: ShutdownOrder,
}

impl Worker {
    /// Starts a worker on a machine whose clock is wrong.
    pub fn start(setup: &Setup, number: u32, clock_error: SignedDuration) -> Self {
        let Tools { clock, connection, log } = Tools::new(setup, Actor::Worker(number), clock_error);
        let Setup { scope, policy, longest_poll, bug, environment, .. } = setup.clone();
        let clock: SharedClock = match bug {
            Some(Bug::TrustMachineClock) => Arc::new(SkewedClock { environment, error: clock_error }),
            _ => clock,
        };
        let liveness = Liveness::new(policy.resync_interval);
        let cloud = Intercepted::new(connection, BugInterceptor::new(bug, &scope.service, clock.clone()));
        let context = ControllerContext::new(scope, log, clock);
        let reconciler = Reconciler::new(ReconcilerParts {
            planner: bugs::planner(bug),
            process: ProcessId::new(number),
            ..ReconcilerParts::new(cloud.clone(), context, policy)
        });
        let (order, shutdown) = shutdown::channel();
        let worker = worker::Worker::new(WorkerParts {
            timing: Timing { longest_poll, jitter: Jitter::NONE },
            ..WorkerParts::new(cloud, reconciler, shutdown, liveness)
        });
        let (work, suspension) = Suspendable::new(worker.run());
        let handle = tokio::spawn(async move {
            let _: StopReason = work.await;
        });
        Self { handle, suspension, order }
    }

    /// Returns whether the worker has ended.
    pub fn has_ended(&self) -> bool {
        self.handle.is_finished()
    }

    /// Kills the worker.
    pub fn kill(self) {
        self.handle.abort();
    }

    /// Terminates the worker, and waits for its end.
    ///
    /// # Errors
    ///
    /// The reason why it did not end in time.
    pub async fn terminate(self) -> Result<(), String> {
        self.order.stop(StopReason::Sigterm);
        let resumes_at = self.suspension.until().unwrap_or_else(Instant::now).max(Instant::now());
        match tokio::time::timeout_at(resumes_at + STOPS_WITHIN, self.handle).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("it still runs {STOPS_WITHIN:?} after SIGTERM")),
        }
    }

    /// Suspends the worker for a while. Calls that it has sent continue without it.
    pub fn suspend(&self, time: Duration) {
        self.suspension.suspend(time);
    }
}

/// The suspension of a process.
#[derive(Default)]
pub struct Suspension {
    until: Mutex<Option<Instant>>,
}

impl Suspension {
    /// Suspends the process for a while.
    pub fn suspend(&self, time: Duration) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }

    fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that makes no progress while it is suspended.
pub struct Suspendable<F> {
    work: Pin<Box<F>>,
    suspension: Arc<Suspension>,
    resumption: Option<Pin<Box<Sleep>>>,
}

impl<F> Suspendable<F> {
    /// Wraps a process; returns what suspends it, too.
    pub fn new(work: F) -> (Self, Arc<Suspension>) {
        let suspension = Arc::new(Suspension::default());
        (Self { work: Box::pin(work), suspension: suspension.clone(), resumption: None }, suspension)
    }
}

impl<F: Future> Future for Suspendable<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(until) = self.suspension.until().filter(|until| *until > Instant::now()) {
            let mut resumption = Box::pin(tokio::time::sleep_until(until));
            if resumption.as_mut().poll(context).is_pending() {
                self.resumption = Some(resumption);
                return Poll::Pending;
            }
        }
        self.resumption = None;
        self.work.as_mut().poll(context)
    }
}
