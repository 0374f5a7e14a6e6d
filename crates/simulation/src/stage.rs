//! What all actors share: the world, what goes wrong on the way to it, and the eyes of the checker.
//!
//! Time is tokio's, paused. Nobody steps the world by the clock: whoever comes next has it do, in order, all that fell
//! due in between, and the checker sees every step.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::checker::Checker;
use super::tally::Tally;
use jvb_watcher_sandbox::api::{ApiError, Request, Response};
use jvb_watcher_sandbox::faults::{Faults, Verdict};
use jvb_watcher_sandbox::world::World;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// A process of the watcher, by its number; a restarted one is another.
    Watcher(u32),
    /// A run of `up` or `down`, by its number.
    Command(u32),
    /// Somebody who scales, runs terraform or does things by hand.
    Operator,
}

/// Where everything happens.
pub struct Stage {
    inner: Mutex<Inner>,
    began: Instant,
    midnight: Timestamp,
    /// Something has changed for those who wait for messages.
    pub changed: Notify,
    /// A promise was broken.
    pub broken: Notify,
}

/// What is behind the lock.
pub struct Inner {
    /// AWS.
    pub world: World,
    /// What goes wrong on the way to it.
    pub faults: Faults,
    /// Chances that are nobody else's.
    pub random: Rng,
    /// The promises, watched.
    pub checker: Checker,
    /// What was visited.
    pub tally: Tally,
    /// What befalls the next call of an operation, in turn.
    pub traps: Vec<Trap>,
    /// Tells the day's course of the traps that were sprung.
    pub sprung: UnboundedSender<(Actor, Blow)>,
    /// What happened, line by line, when somebody wants to know.
    pub history: Option<Vec<String>>,
}

/// Who steps into a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// A worker.
    Watcher,
    /// A run of `up` or `down`.
    Command,
}

/// Waits for a process to make a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trap {
    /// Who is waited for.
    pub victim: Victim,
    /// The operation.
    pub operation: &'static str,
    /// Before the call goes out, or when its answer has come.
    pub when: When,
    /// What befalls the process then.
    pub blow: Blow,
}

/// When a trap is sprung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// All is decided, and nothing is sent.
    Before,
    /// AWS has done it; the process doesn't know yet.
    After,
}

/// What befalls a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Blow {
    /// It is killed, and started again after a while.
    Kill {
        /// How long nobody is there.
        down: Duration,
    },
    /// It is told to stop, and started again after a while.
    Terminate {
        /// How long nobody is there.
        down: Duration,
    },
    /// It stands still for a while.
    Freeze {
        /// How long.
        time: Duration,
    },
}

impl Stage {
    /// The stage at midnight.
    pub fn new(inner: Inner, midnight: Timestamp) -> Self {
        Self {
            inner: Mutex::new(inner),
            began: Instant::now(),
            midnight,
            changed: Notify::new(),
            broken: Notify::new(),
        }
    }

    /// AWS's time.
    pub fn now(&self) -> Timestamp {
        self.midnight + self.began.elapsed()
    }

    /// Everything as it is now.
    pub fn with<T>(&self, act: impl FnOnce(&mut Inner, Timestamp) -> T) -> T {
        let now = self.now();
        let mut inner = self.lock();
        inner.catch_up(now);
        let outcome = act(&mut inner, now);
        if !inner.checker.violations.is_empty() {
            self.broken.notify_one();
        }
        outcome
    }

    /// A call takes effect.
    pub fn perform(&self, actor: Actor, request: &Request) -> Result<Response, ApiError> {
        let is_read = is_read(request.operation());
        let answer = self.with(|inner, now| {
            if !is_read {
                inner.checker.before(actor, request, &inner.world, now, &mut inner.tally);
            }
            let answer = inner.world.call(request.clone(), now);
            inner.checker.after(actor, request, &answer, now);
            if !is_read {
                inner.checker.observe(&inner.world, now, Some(actor));
                inner.note(now, || {
                    let outcome = answer.as_ref().err().map_or_else(|| "done".to_owned(), ToString::to_string);
                    format!("{actor:?} calls {}: {outcome}", request.operation())
                });
            }
            answer
        });
        if !is_read {
            self.changed.notify_waiters();
        }
        answer
    }

    /// What becomes of a call on its way, and how long it takes there and back when nothing is wrong.
    pub fn way(
        &self,
        actor: Actor,
        request: &Request,
        (least, most): (Duration, Duration),
    ) -> (Verdict, Duration, Duration) {
        self.with(|inner, now| {
            inner.tally.calls += 1;
            inner.checker.sent(actor, request.operation(), now);
            let verdict = inner.faults.decide(request.service(), request.operation(), now);
            let spread = most.saturating_sub(least);
            let (there, back) = (inner.random.f64(), inner.random.f64());
            (verdict, least + spread.mul_f64(there), least + spread.mul_f64(back))
        })
    }

    /// Springs a trap, if there is one for this call.
    pub async fn trap(&self, actor: Actor, operation: &str, when: When) {
        let victim = match actor {
            Actor::Watcher(_) => Victim::Watcher,
            Actor::Command(_) => Victim::Command,
            Actor::Operator => return,
        };
        let sprung = {
            let mut inner = self.lock();
            !inner.traps.is_empty() && inner.spring((actor, victim), operation, when, self.now()).is_some()
        };
        if sprung {
            // The blow falls while this waits.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// A duration by chance.
    pub fn between(&self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.lock().random.f64())
    }

    /// Whether a message waits for a receive, and when, from now, the world has something to do by itself.
    pub fn before_receiving(&self, queue_url: &str) -> (bool, Option<Duration>) {
        self.with(|inner, now| {
            let has_message = inner.world.has_message(queue_url);
            let next = inner.world.next_step_at();
            (has_message, next.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default()))
        })
    }

    /// Adds to the history.
    pub fn note(&self, text: impl FnOnce() -> String) {
        let now = self.now();
        self.lock().note(now, text);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn catch_up(&mut self, now: Timestamp) {
        while let Some(at) = self.world.next_step_at().filter(|at| *at <= now) {
            self.world.step(at);
            self.checker.observe(&self.world, at, None);
        }
    }

    fn spring(&mut self, (actor, victim): (Actor, Victim), operation: &str, when: When, now: Timestamp) -> Option<()> {
        let fits = |trap: &Trap| (trap.victim, trap.operation, trap.when) == (victim, operation, when);
        let index = self.traps.iter().position(fits)?;
        let Trap { blow, operation, .. } = self.traps.remove(index);
        self.note(now, || format!("{actor:?} {when:?} {operation}: {blow:?}"));
        let who = match victim {
            Victim::Watcher => "a worker",
            Victim::Command => "a command",
        };
        let what = match blow {
            Blow::Kill { .. } => "killed",
            Blow::Terminate { .. } => "told to stop",
            Blow::Freeze { .. } => "frozen",
        };
        let when = match when {
            When::Before => "before",
            When::After => "after",
        };
        self.tally.moment(&format!("{who} was {what} just {when} {operation}"));
        self.sprung.send((actor, blow)).ok()
    }

    /// Adds to the history.
    pub fn note(&mut self, now: Timestamp, text: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            history.push(format!("{now:.3} {}", text()));
        }
    }
}

/// Whether an operation changes nothing.
pub fn is_read(operation: &str) -> bool {
    ["Describe", "List", "Get", "ReceiveMessage"].iter().any(|start| operation.starts_with(start))
}
