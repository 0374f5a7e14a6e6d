//! The environment of all actors of a day: AWS, the faults on the way to it, virtual time, and the checker.
//!
//! Time is tokio's, paused. The world is stepped lazily: before each access it processes, in order, everything that has
//! become due since the last one, and the checker observes every step.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use crate::checkers::Checkers;
use crate::coverage::Coverage;
use crate::day::{Day, Options};
use crate::faults::{CallFault, ProcessFault, Side, Victim};
use jvb_watcher_sandbox::api::{ApiError, Request, Response, Service};
use jvb_watcher_sandbox::faults::{Faults, Outcome, Verdict};
use jvb_watcher_sandbox::platform;
use jvb_watcher_sandbox::world::{CallSettings, Settings, World};

/// The platform's domain, by which callers join.
const DOMAIN: &str = "meet.example.org";

/// The maker of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// A worker process, by its number; a restarted one has another number.
    Worker(u32),
    /// A run of `up` or `down`, by its number.
    Command(u32),
    /// An operator, or Terraform.
    Operator,
}

/// The maker of a call, and the platform on which it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The maker.
    pub actor: Actor,
    /// The number of the platform; `None` for one that no worker watches, and for what all platforms share.
    pub platform: Option<usize>,
}

/// The time that calls take while nothing disturbs them.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// The shortest and the longest latency in each direction.
    pub latency: (Duration, Duration),
    /// The time that a process needs to send a write: for signing it, and for finding a connection.
    pub preparation: (Duration, Duration),
}

impl Network {
    /// Calls that take no time.
    pub const INSTANT: Self =
        Self { latency: (Duration::ZERO, Duration::ZERO), preparation: (Duration::ZERO, Duration::ZERO) };
}

impl Default for Network {
    fn default() -> Self {
        Self {
            latency: (Duration::from_millis(4), Duration::from_millis(60)),
            preparation: (Duration::from_millis(1), Duration::from_millis(10)),
        }
    }
}

/// The surroundings of the processes.
pub struct Environment {
    state: Mutex<State>,
    started_at: Instant,
    midnight: Timestamp,
    /// Notified when a write has taken effect: a receive may find a message.
    pub changed: Notify,
    /// Notified when a guarantee is broken.
    pub broken: Notify,
}

/// The state of an [`Environment`].
pub struct State {
    /// AWS.
    pub world: World,
    /// The faults of calls.
    pub faults: Faults,
    /// Further faults of the calls to CloudWatch.
    pub usage_faults: Faults,
    /// Further faults of the calls about each platform.
    pub platform_faults: Vec<Faults>,
    /// The checkers of the guarantees.
    pub checkers: Checkers,
    /// The day's coverage.
    pub coverage: Coverage,
    /// The faults that wait for a call; the first that matches it occurs.
    pub call_faults: Vec<CallFault>,
    /// The time that calls take.
    pub network: Network,
    /// The history, line by line, if it is recorded.
    pub history: Option<Vec<String>>,
    /// The log of all processes, if it is recorded.
    pub log: Option<String>,
    /// The randomness of latencies.
    random: Rng,
    /// The channel that announces process faults at calls.
    process_faults: UnboundedSender<(Actor, ProcessFault)>,
}

impl Environment {
    /// Creates the environment of a day at its midnight, with the platform's service and queue; and the receiver of the
    /// process faults that occur at calls.
    pub fn new(day: &Day, options: Options) -> (Self, UnboundedReceiver<(Actor, ProcessFault)>) {
        Self::of_platforms(std::slice::from_ref(day), options)
    }

    /// Creates the environment of several platforms' days. What they share (the seed, the processes, AWS's times) is that of
    /// the first one, and so is the queue.
    ///
    /// # Panics
    ///
    /// If there is no platform.
    pub fn of_platforms(days: &[Day], options: Options) -> (Self, UnboundedReceiver<(Actor, ProcessFault)>) {
        let day = days.first().expect("a platform");
        let midnight: Timestamp = "2026-11-20T00:00:00Z".parse().expect("an instant");
        let mut settings = Settings::default();
        settings.tasks.stopping = day.stopping;
        settings.load_balancers.deleted_visible = day.deleted_visible;
        settings.metrics = day.metrics.clone();
        if days.iter().any(Day::has_stops) {
            settings.calls = CallSettings {
                domain: Some(DOMAIN.to_owned()),
                // Each attempt is a step of the world, which costs time.
                resolve_interval: Duration::from_secs(20),
                check_interval: Duration::from_secs(30),
                ..settings.calls
            };
        }
        let mut world = World::new(settings, day.seed, midnight);
        platform::set_up(&mut world, midnight).expect("a platform");
        for further in days.iter().skip(1) {
            platform::add_service(&mut world, &further.project, midnight).expect("a further platform");
        }
        let (process_faults, receiver) = unbounded_channel();
        let state = State {
            world,
            faults: Faults::new(day.seed),
            usage_faults: Faults::new(day.seed),
            platform_faults: days.iter().map(|_| Faults::new(day.seed)).collect(),
            checkers: Checkers::new(days, midnight),
            coverage: Coverage { days: 1, ..Coverage::default() },
            call_faults: Vec::new(),
            network: Network::default(),
            history: options.history.then(Vec::new),
            log: options.log.then(String::new),
            random: Rng::with_seed(day.seed),
            process_faults,
        };
        let environment = Self {
            state: Mutex::new(state),
            started_at: Instant::now(),
            midnight,
            changed: Notify::new(),
            broken: Notify::new(),
        };
        (environment, receiver)
    }

    /// Returns AWS's time.
    pub fn now(&self) -> Timestamp {
        self.midnight + self.started_at.elapsed()
    }

    /// Returns the URL of the platform's queue.
    pub fn queue_url(&self) -> String {
        let state = self.lock();
        let settings = state.world.settings();
        format!("{}/{}/{}-jvb-watcher", settings.endpoint, settings.account, platform::PROJECT)
    }

    /// Returns the number of a project's platform; `None` if no worker watches it.
    pub fn platform(&self, project: &str) -> Option<usize> {
        self.lock().checkers.platform(project)
    }

    /// Accesses the state as it is now.
    pub fn with<T>(&self, access: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let now = self.now();
        let mut state = self.lock();
        state.catch_up(now);
        let outcome = access(&mut state, now);
        if state.checkers.has_violations() {
            self.broken.notify_one();
        }
        outcome
    }

    /// Lets a call take effect.
    ///
    /// # Errors
    ///
    /// The response of AWS.
    pub fn perform(&self, sender: Sender, request: &Request) -> Result<Response, ApiError> {
        let is_read = is_read(request.operation());
        let answer = self.with(|state, now| {
            if !is_read {
                state.checkers.before(sender, request, &state.world, now, &mut state.coverage);
            }
            let answer = state.world.call(request.clone(), now);
            state.checkers.after(sender, request, &answer, now);
            if !is_read {
                let Sender { actor, platform } = sender;
                state.checkers.observe(&state.world, now, Some(actor));
                let on = state.checkers.label(platform);
                state.note(now, || {
                    let outcome = answer.as_ref().err().map_or_else(|| "done".to_owned(), ToString::to_string);
                    format!("{actor:?} calls {}{on}: {outcome}", request.operation())
                });
            }
            answer
        });
        if !is_read {
            self.changed.notify_waiters();
        }
        answer
    }

    /// Decides the fault of a call, and how long it travels there and back without one.
    pub fn send(&self, sender: Sender, request: &Request) -> (Verdict, Duration, Duration) {
        self.with(|state, now| {
            let (least, most) = state.network.latency;
            state.coverage.calls += 1;
            state.checkers.sent(sender, request, now);
            let verdict = state.decide(sender, request, now);
            let spread = most.saturating_sub(least);
            let (there, back) = (state.random.f64(), state.random.f64());
            (verdict, least + spread.mul_f64(there), least + spread.mul_f64(back))
        })
    }

    /// Lets the process fault that waits for this call occur, if there is one.
    pub async fn fail_process_at(&self, actor: Actor, operation: &str, side: Side) {
        let victim = match actor {
            Actor::Worker(_) => Victim::Worker,
            Actor::Command(_) => Victim::Command,
            Actor::Operator => return,
        };
        let occurs = {
            let mut state = self.lock();
            !state.call_faults.is_empty() && state.fail_process((actor, victim), operation, side, self.now())
        };
        if occurs {
            // The fault takes effect during this wait.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Draws the time that a process needs to send a write.
    pub fn preparation(&self) -> Duration {
        let (least, most) = self.lock().network.preparation;
        self.between(least, most)
    }

    /// Draws a duration.
    pub fn between(&self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.lock().random.f64())
    }

    /// Returns whether a queue has a message to receive, and the time until the world's next step.
    pub fn before_receiving(&self, queue_url: &str) -> (bool, Option<Duration>) {
        self.with(|state, now| {
            let has_message = state.world.has_message(queue_url);
            let next = state.world.next_step_at();
            (has_message, next.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default()))
        })
    }

    /// Adds a line to the history, if it is recorded.
    pub fn note(&self, text: impl FnOnce() -> String) {
        let now = self.now();
        self.lock().note(now, text);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn catch_up(&mut self, now: Timestamp) {
        while let Some(at) = self.world.next_step_at().filter(|at| *at <= now) {
            self.world.step(at);
            self.checkers.observe(&self.world, at, None);
        }
    }

    /// Decides the fault of a call. A platform's own faults are not those of the queue, which all platforms share.
    fn decide(&mut self, sender: Sender, request: &Request, now: Timestamp) -> Verdict {
        let (service, operation) = (request.service(), request.operation());
        let mut verdict = self.faults.decide(service, operation, now);
        if service == Service::CloudWatch && verdict.outcome == Outcome::Pass {
            verdict = self.usage_faults.decide(service, operation, now);
        }
        let faults = sender.platform.and_then(|number| self.platform_faults.get_mut(number));
        if let Some(faults) = faults.filter(|_| service != Service::Sqs && verdict.outcome == Outcome::Pass) {
            let Verdict { latency, outcome } = faults.decide(service, operation, now);
            verdict = Verdict { latency: verdict.latency + latency, outcome };
        }
        verdict
    }

    /// Announces the fault that waits for this call; returns whether there is one.
    fn fail_process(&mut self, (actor, victim): (Actor, Victim), operation: &str, side: Side, now: Timestamp) -> bool {
        let matches = |fault: &CallFault| (fault.victim, fault.operation, fault.side) == (victim, operation, side);
        let Some(index) = self.call_faults.iter().position(matches) else { return false };
        let call_fault = self.call_faults.remove(index);
        let CallFault { fault, operation, .. } = call_fault;
        self.note(now, || format!("{actor:?} {side:?} {operation}: {fault:?}"));
        self.coverage.moment(&call_fault.moment());
        self.process_faults.send((actor, fault)).is_ok()
    }

    /// Adds a line to the history, if it is recorded.
    pub fn note(&mut self, now: Timestamp, text: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            history.push(format!("{now:.3} {}", text()));
        }
    }
}

/// Returns whether an operation changes nothing.
fn is_read(operation: &str) -> bool {
    ["Describe", "List", "Get", "ReceiveMessage"].iter().any(|start| operation.starts_with(start))
}
