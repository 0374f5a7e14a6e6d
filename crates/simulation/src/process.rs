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

use crate::bugs::{self, Bug, BugInterceptors};
use crate::connection::Connection;
use crate::day::Day;
use crate::environment::{Actor, Environment, Sender};
use crate::intercept::Intercepted;
use crate::recorder::LogRecorder;
use jvb_watcher::clock::{AwsClock, Clock, SharedClock};
use jvb_watcher::controller::context::{Context as ControllerContext, QueueContext};
use jvb_watcher::controller::liveness::Liveness;
use jvb_watcher::controller::orphans::OrphanIndex;
use jvb_watcher::controller::reconciler::{Reconciler, ReconcilerParts};
use jvb_watcher::controller::scope::Scope;
use jvb_watcher::controller::teardown::ProcessId;
use jvb_watcher::controller::worker::{self, Lifetime, Timing, WorkerParts};
use jvb_watcher::retry::Jitter;
use jvb_watcher::shutdown::{self, ShutdownOrder};
use jvb_watcher::telemetry::log::{
    Event, Form, Format, Identity, Level, Log, LogConfig, Output, ServiceFields, StopReason,
};
use jvb_watcher_rules::plan::Policy;

/// The longest time from SIGTERM to a worker's end, as documented.
const STOPS_WITHIN: Duration = Duration::from_secs(21);

/// The parameters of every process, as far as they concern one platform.
#[derive(Clone)]
pub struct Setup {
    /// The environment.
    pub environment: Arc<Environment>,
    /// The project.
    pub project: String,
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
    /// The parameters of the processes of a platform's day.
    pub fn new(environment: Arc<Environment>, day: &Day, bug: Option<Bug>) -> Self {
        let scope = Scope { cluster: format!("{}-cluster", day.project), service: day.policy.service.clone() };
        Self {
            queue_url: environment.queue_url(),
            environment,
            project: day.project.clone(),
            scope,
            policy: day.policy.clone(),
            longest_poll: day.longest_poll,
            bug,
        }
    }

    /// Returns the sender of an actor's calls about the platform.
    fn sender(&self, actor: Actor) -> Sender {
        Sender { actor, platform: self.environment.platform(&self.project) }
    }

    /// Returns what distinguishes the service in a process's log.
    fn identity(&self) -> Identity {
        let Scope { cluster, service } = self.scope.clone();
        Identity { project: String::new(), cluster, service }
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
        let Setup { environment, queue_url, .. } = setup;
        let machine: SharedClock = Arc::new(SkewedClock { environment: environment.clone(), error: clock_error });
        let clock = Arc::new(AwsClock::new(machine.clone()));
        let log = Log::new(LogConfig {
            identity: setup.identity(),
            format: Format::Json,
            level: Level::Info,
            clock: machine,
            output: Output::discarded(),
        });
        log.subscribe(Arc::new(LogRecorder { environment: environment.clone(), actor }));
        let connection = Connection::new(environment.clone(), setup.sender(actor), clock.clone(), queue_url.clone());
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
    /// Starts a worker that watches the services of these platforms, on a machine whose clock is wrong. As in the product, its
    /// reconcilers share the clock and the search for orphaned target groups.
    ///
    /// # Panics
    ///
    /// If there is no platform.
    pub fn start(platforms: &[Setup], number: u32, clock_error: SignedDuration) -> Self {
        let actor = Actor::Worker(number);
        let first = platforms.first().expect("a platform");
        let Tools { clock, connection, log } = Tools::new(first, actor, clock_error);
        let Setup { longest_poll, bug, environment, .. } = first.clone();
        let clock: SharedClock = match bug {
            Some(Bug::TrustMachineClock) => Arc::new(SkewedClock { environment, error: clock_error }),
            _ => clock,
        };
        log_start(platforms, &log);
        let interceptors = BugInterceptors::new(bug, clock.clone());
        let orphan_index = OrphanIndex::default();
        let reconcilers: Vec<_> = platforms
            .iter()
            .map(|setup| {
                let Setup { scope, policy, .. } = setup.clone();
                let connection = connection.about(setup.sender(actor).platform);
                let cloud = Intercepted::new(connection, interceptors.of(&scope.service));
                let context = ControllerContext::new(scope, log.about(setup.identity()), clock.clone());
                let parts = ReconcilerParts::new(cloud, context, policy);
                Reconciler::new(ReconcilerParts {
                    planner: bugs::planner(bug),
                    process: ProcessId::new(number),
                    orphan_index: orphan_index.clone(),
                    ecs_lag: bugs::ecs_lag(bug, parts.ecs_lag),
                    ..parts
                })
            })
            .collect();
        let queue = Intercepted::new(connection.about(None), interceptors.of(&first.scope.service));
        let resync_intervals = platforms.iter().map(|setup| setup.policy.resync_interval);
        let (order, shutdown) = shutdown::channel();
        let worker = worker::Worker::new(WorkerParts {
            queue,
            queue_settings: None,
            context: QueueContext::from(&ControllerContext::new(first.scope.clone(), log, clock)),
            reconcilers,
            changes: None,
            concurrency: if bug == Some(Bug::ReconcileOneAtATime) { 1 } else { worker::CONCURRENCY },
            lifetime: Lifetime::UntilStopped,
            shutdown,
            liveness: Liveness::new(resync_intervals.max().unwrap_or_default()),
            timing: Timing { longest_poll, jitter: Jitter::NONE },
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

/// Logs the start of a worker, as `run` does.
fn log_start(platforms: &[Setup], log: &Log) {
    let only = platforms.first().filter(|_| platforms.len() == 1);
    log.emit(&Event::WatcherStarted {
        version: "simulated".to_owned(),
        form: Form::Run,
        region: "simulated".to_owned(),
        queue: platforms.first().map(|setup| setup.queue_url.clone()).unwrap_or_default(),
        services: platforms.len(),
        settings: only.map(|setup| ServiceFields::new(&setup.policy)),
    });
    if only.is_none() {
        for setup in platforms {
            let settings = ServiceFields::new(&setup.policy);
            log.about(setup.identity()).emit(&Event::ServiceAdded { settings });
        }
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
