//! Calls: Jitsi's containers in the tasks, and the callers who join by name.
//!
//! - `containers`: the ports on which a task listens, and the addresses that its bridge advertises.
//! - `bots`: port scans.
//! - `callers`: who wants to join, who is in the call, and what keeps the others out.
//!
//! A task is taken to run a whole conference: the web front end, the conference server and the bridge named `jvb`. A caller
//! signs in through the TLS listener on port 443. The conference server then assigns the bridge of its own task, and the
//! bridge names the addresses to which the caller sends media.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::elb::{Elb, HealthCheck};
use super::names::Names;
use super::timers::TimerId;
use super::{Context, Effect, MAX_CALLERS, Timer as WorldTimer, ecs};
use crate::api::ecs::ContainerDefinition;

mod bots;
mod callers;
mod containers;
#[cfg(test)]
mod tests;

pub use callers::{CallChange, CallCounts, CallEvent, Callers, Connection};
pub use containers::Advertised;

use containers::Containers;

/// The running containers, the records and the callers.
#[derive(Debug, Default)]
pub struct Calls {
    /// Names, which bridges and callers resolve.
    pub names: Names,
    /// Callers.
    pub callers: Callers,
    /// Running containers by the private address of their task.
    tasks: BTreeMap<Ipv4Addr, Containers>,
    check: Option<TimerId>,
}

/// A timer of the calls.
#[derive(Debug)]
pub enum Timer {
    /// A starting bridge resolves its domain once more.
    ResolveDomain {
        /// Private address of the task.
        address: Ipv4Addr,
        /// Id of the task.
        task: String,
    },
    /// All callers check their call, or try to join.
    CheckCallers,
    /// Callers come.
    Join {
        /// Number of callers.
        callers: usize,
        /// Time for which they stay.
        stay: Option<Duration>,
    },
    /// A caller leaves, if still there.
    Leave {
        /// Number of the caller.
        caller: u32,
    },
}

impl Calls {
    /// Starts the containers of a task.
    pub fn start_containers(
        &mut self,
        task: String,
        address: Ipv4Addr,
        definitions: &[ContainerDefinition],
        elb: &Elb,
        context: &mut Context<'_>,
    ) {
        let mut containers = Containers::new(task, definitions, context);
        if !containers.resolve(&self.names, elb) {
            self.retry_later(address, &containers.task, context);
        }
        self.tasks.insert(address, containers);
    }

    /// Stops the containers of the task with an address.
    pub fn stop_containers(&mut self, address: Ipv4Addr) {
        self.tasks.remove(&address);
    }

    /// Returns whether the task with an address answers a health check at a port. Only its containers are asked.
    pub fn answers(&self, address: Ipv4Addr, check: &HealthCheck, port: u16) -> bool {
        self.tasks.get(&address).is_none_or(|containers| containers.answers(check, port))
    }

    /// Returns what the bridge of the task with an address advertises; `None` without a bridge.
    pub fn advertised(&self, address: Ipv4Addr) -> Option<&Advertised> {
        self.tasks.get(&address)?.advertised()
    }

    /// Sets the number of callers.
    pub fn set_callers(&mut self, number: usize, elb: &Elb, context: &mut Context<'_>) {
        self.with_callers(|callers, calls| callers.set(number, calls, elb, context));
        if let Some(timer) = self.check.take() {
            context.timers.cancel(timer);
        }
        if number > 0 {
            self.check_later(context);
        }
    }

    /// Adds callers, as many as there is room for. They leave after a time, if one is given. Returns their numbers.
    pub fn join(&mut self, callers: usize, stay: Option<Duration>, elb: &Elb, context: &mut Context<'_>) -> Vec<u32> {
        let callers = callers.min(MAX_CALLERS.saturating_sub(self.callers.len()));
        let numbers = self.with_callers(|all, calls| all.join(callers, calls, elb, context));
        if let Some(stay) = stay {
            for caller in numbers.iter().copied() {
                context.start_timer(stay, WorldTimer::Calls(Timer::Leave { caller }));
            }
        }
        if self.check.is_none() && self.callers.len() > 0 {
            self.check_later(context);
        }
        numbers
    }

    /// Adds callers after a time.
    pub fn join_later(&self, callers: usize, delay: Duration, stay: Option<Duration>, context: &mut Context<'_>) {
        context.start_timer(delay, WorldTimer::Calls(Timer::Join { callers, stay }));
    }

    /// Lets a caller leave, with or without closing the connections. Returns whether there is such a caller.
    pub fn leave(&mut self, caller: u32, silently: bool, context: &mut Context<'_>) -> bool {
        let is_found = self.callers.leave(caller, silently, context);
        if self.callers.len() == 0
            && let Some(timer) = self.check.take()
        {
            context.timers.cancel(timer);
        }
        is_found
    }

    /// Lets bots scan the ports of every load balancer.
    pub fn scan(&self, bots: usize, elb: &Elb, context: &mut Context<'_>) {
        bots::scan(bots, elb, context);
    }

    /// Handles a timer. Returns the task whose bridge gave up: its container exits.
    pub fn fire(&mut self, timer: Timer, elb: &Elb, context: &mut Context<'_>) -> Option<String> {
        match timer {
            Timer::CheckCallers => {
                self.with_callers(|callers, calls| callers.check(calls, elb, context));
                self.check_later(context);
                None
            }
            Timer::Join { callers, stay } => {
                self.join(callers, stay, elb, context);
                None
            }
            Timer::Leave { caller } => {
                self.leave(caller, false, context);
                None
            }
            Timer::ResolveDomain { address, task } => {
                // Another task can have taken the address.
                let containers = self.tasks.get_mut(&address).filter(|containers| containers.task == task)?;
                if containers.resolve(&self.names, elb) {
                    context.effects.extend(ecs::addresses_of(address).map(Effect::AddressChanged));
                    None
                } else if containers.has_given_up(context.now) {
                    Some(task)
                } else {
                    self.retry_later(address, &task, context);
                    None
                }
            }
        }
    }

    /// Lends out the callers, who look at everything else.
    fn with_callers<T>(&mut self, work: impl FnOnce(&mut Callers, &Self) -> T) -> T {
        let mut callers = std::mem::take(&mut self.callers);
        let result = work(&mut callers, self);
        self.callers = callers;
        result
    }

    fn retry_later(&self, address: Ipv4Addr, task: &str, context: &mut Context<'_>) {
        let timer = Timer::ResolveDomain { address, task: task.to_owned() };
        context.start_timer(context.settings.calls.resolve_interval, WorldTimer::Calls(timer));
    }

    fn check_later(&mut self, context: &mut Context<'_>) {
        let interval = context.settings.calls.check_interval;
        self.check = Some(context.start_timer(interval, WorldTimer::Calls(Timer::CheckCallers)));
    }
}
