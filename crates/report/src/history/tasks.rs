//! The lifetimes of the tasks, as far as their targets show them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::line::{Line, LoggedEvent, LoggedTarget, TargetAddress};
use crate::period::{Edge, Lifetime, Period};

/// The lifetime of one task; of an address, where the log doesn't name the target's task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskLifetime {
    /// The task's ID, or the address.
    pub name: String,
    /// The task's addresses.
    pub addresses: BTreeSet<String>,
    /// From the task's start, or its first observation, to the deregistration of its last target.
    pub lifetime: Lifetime,
    /// The states of its targets, one after the other. In the gaps it had no target.
    pub states: Vec<(Period, TargetState)>,
    /// The times at which it got its first target.
    pub registered: Vec<Timestamp>,
    /// The times at which it lost its last target.
    pub deregistered: Vec<Timestamp>,
}

/// The state of a task's targets taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// The task runs without a target.
    Starting,
    /// The targets are registered, and at least one isn't healthy yet.
    Registered,
    /// All targets are healthy.
    Healthy,
    /// At least one target is unhealthy.
    Unhealthy,
}

/// Follows the tasks through the lines.
pub struct Tasks {
    log: Period,
    tasks: Vec<Task>,
    by_name: BTreeMap<String, usize>,
    /// The index of the task that owns each target.
    owners: BTreeMap<TargetAddress, usize>,
    registration_latencies_ms: Vec<u64>,
    times_to_healthy_ms: Vec<u64>,
}

struct Task {
    name: String,
    addresses: BTreeSet<String>,
    started: Option<Timestamp>,
    first_seen: Edge,
    targets: BTreeMap<TargetAddress, Target>,
    healthy_once: BTreeSet<TargetAddress>,
    /// The current state and its start, while the task has targets.
    current: Option<(Timestamp, TargetState)>,
    states: Vec<(Period, TargetState)>,
    registered: Vec<Timestamp>,
    deregistered: Vec<Timestamp>,
}

struct Target {
    since: Timestamp,
    state: String,
}

impl Tasks {
    pub fn new(log: Period) -> Self {
        Self {
            log,
            tasks: Vec::new(),
            by_name: BTreeMap::new(),
            owners: BTreeMap::new(),
            registration_latencies_ms: Vec::new(),
            times_to_healthy_ms: Vec::new(),
        }
    }

    pub fn follow(&mut self, line: &Line) {
        match &line.event {
            LoggedEvent::TargetRegistered { target, latency_ms } => {
                let is_new = self.register(target, line.at, Edge::Logged);
                self.registration_latencies_ms.extend(latency_ms.filter(|_| is_new));
            }
            LoggedEvent::TargetDeregistered { target } => self.deregister(target, line.at),
            LoggedEvent::TargetHealthChanged { target, to, since_start_ms } => {
                self.change_health(target, to, *since_start_ms, line.at);
            }
            LoggedEvent::Reconciled { registered: 0, duration_ms, .. } => {
                // The figure may be that of the observation, made before the registrations of the same reconciliation.
                let began = line.at.checked_sub(Duration::from_millis(*duration_ms)).unwrap_or(Timestamp::MIN);
                self.remove_targets_older_than(began, line.at);
            }
            LoggedEvent::LoadBalancerDeleted { .. } | LoggedEvent::TeardownCompleted => {
                self.remove_targets_older_than(line.at, line.at);
            }
            _ => {}
        }
    }

    /// Returns false if the target is registered already, by another worker.
    fn register(&mut self, target: &LoggedTarget, at: Timestamp, first_seen: Edge) -> bool {
        let index = self.task(target, first_seen);
        let address = target.address();
        match self.owners.insert(address.clone(), index) {
            Some(owner) if owner == index => return false,
            // The address now belongs to another task.
            Some(owner) => self.tasks[owner].remove(&address, at),
            None => {}
        }
        self.tasks[index].add(address, at);
        true
    }

    fn deregister(&mut self, target: &LoggedTarget, at: Timestamp) {
        let address = target.address();
        match self.owners.remove(&address) {
            Some(owner) => self.tasks[owner].remove(&address, at),
            None if self.by_name.contains_key(target.owner()) => {}
            None => {
                let from = self.log.from();
                let index = self.task(target, Edge::Outside);
                self.tasks[index].add(address.clone(), from);
                self.tasks[index].remove(&address, at);
            }
        }
    }

    fn change_health(&mut self, target: &LoggedTarget, to: &str, since_start_ms: Option<u64>, at: Timestamp) {
        let address = target.address();
        let index = match self.owners.get(&address) {
            Some(&index) => index,
            // The target of a task that has ended, or is ending, adds nothing.
            None if to == "draining" || self.by_name.contains_key(target.owner()) => return,
            None => {
                let from = self.log.from();
                self.register(target, from, Edge::Outside);
                self.task(target, Edge::Outside)
            }
        };
        let task = &mut self.tasks[index];
        if let Some(since_start_ms) = since_start_ms {
            let started = at.checked_sub(Duration::from_millis(since_start_ms)).unwrap_or(Timestamp::MIN);
            task.started.get_or_insert(started);
            if to == "healthy" && task.healthy_once.insert(address.clone()) {
                self.times_to_healthy_ms.push(since_start_ms);
            }
        }
        task.set(&address, to, at);
    }

    /// Removes the targets whose deregistration the log lacks.
    fn remove_targets_older_than(&mut self, before: Timestamp, at: Timestamp) {
        let tasks = &mut self.tasks;
        self.owners.retain(|address, owner| {
            let is_ended = tasks[*owner].targets.get(address).is_none_or(|target| target.since < before);
            if is_ended {
                tasks[*owner].remove(address, at);
            }
            !is_ended
        });
    }

    fn task(&mut self, target: &LoggedTarget, first_seen: Edge) -> usize {
        let name = target.owner();
        let index = *self.by_name.entry(name.to_owned()).or_insert_with(|| {
            self.tasks.push(Task::new(name, first_seen));
            self.tasks.len() - 1
        });
        self.tasks[index].addresses.insert(target.ip.clone());
        index
    }

    /// Returns the tasks, the latencies of the registrations, and the times to healthy.
    pub fn finish(self) -> (Vec<TaskLifetime>, Vec<u64>, Vec<u64>) {
        let mut tasks: Vec<TaskLifetime> = self.tasks.into_iter().filter_map(|task| task.finish(self.log)).collect();
        tasks.sort_by_key(|task| task.lifetime.period.from());
        (tasks, self.registration_latencies_ms, self.times_to_healthy_ms)
    }
}

impl Task {
    fn new(name: &str, first_seen: Edge) -> Self {
        Self {
            name: name.to_owned(),
            addresses: BTreeSet::new(),
            started: None,
            first_seen,
            targets: BTreeMap::new(),
            healthy_once: BTreeSet::new(),
            current: None,
            states: Vec::new(),
            registered: Vec::new(),
            deregistered: Vec::new(),
        }
    }

    fn add(&mut self, address: TargetAddress, at: Timestamp) {
        if self.targets.is_empty() {
            self.registered.push(at);
        }
        self.targets.insert(address, Target { since: at, state: "initial".to_owned() });
        self.update_state(at);
    }

    fn set(&mut self, address: &TargetAddress, state: &str, at: Timestamp) {
        if let Some(target) = self.targets.get_mut(address) {
            state.clone_into(&mut target.state);
        }
        self.update_state(at);
    }

    fn remove(&mut self, address: &TargetAddress, at: Timestamp) {
        if self.targets.remove(address).is_some() && self.targets.is_empty() {
            self.deregistered.push(at);
        }
        self.update_state(at);
    }

    /// Ends the current state if another one begins.
    fn update_state(&mut self, at: Timestamp) {
        let state = self.state();
        if self.current.map(|(_, state)| state) == state {
            return;
        }
        if let Some((since, state)) = self.current.take() {
            self.states.push((Period::new(since, at), state));
        }
        self.current = state.map(|state| (at, state));
    }

    fn state(&self) -> Option<TargetState> {
        let mut states = self.targets.values().map(|target| target.state.as_str()).peekable();
        states.peek()?;
        if self.targets.values().any(|target| target.state == "unhealthy") {
            return Some(TargetState::Unhealthy);
        }
        Some(if states.all(|state| state == "healthy") { TargetState::Healthy } else { TargetState::Registered })
    }

    fn finish(mut self, log: Period) -> Option<TaskLifetime> {
        let end = if self.targets.is_empty() { Edge::Logged } else { Edge::Outside };
        if let Some((since, state)) = self.current.take() {
            self.states.push((Period::new(since, log.to()), state));
        }
        let first = self.states.first()?.0.from();
        let last = self.states.last()?.0.to();
        let (mut from, mut start) = (first, self.first_seen);
        if let Some(started) = self.started {
            start = if started < log.from() { Edge::Outside } else { Edge::Logged };
            from = started.clamp(log.from(), log.to());
        }
        if from < first {
            self.states.insert(0, (Period::new(from, first), TargetState::Starting));
        } else if let Some((first, _)) = self.states.first_mut() {
            // The state was assumed to begin with the log, and the task's start is now known.
            *first = Period::new(first.from().max(from), first.to());
        }
        if start == Edge::Outside {
            self.registered.retain(|at| *at > log.from());
        }
        let lifetime = Lifetime { period: Period::new(from.min(last), last), start, end };
        let Self { name, addresses, states, registered, deregistered, .. } = self;
        Some(TaskLifetime { name, addresses, lifetime, states, registered, deregistered })
    }
}

impl TargetState {
    /// Returns the state's description.
    pub fn description(self) -> &'static str {
        match self {
            Self::Starting => "started, not registered",
            Self::Registered => "registered, not healthy",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}
