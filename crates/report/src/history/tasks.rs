//! What became of the tasks, as far as their targets show it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::line::{Line, LoggedEvent, LoggedTarget};
use crate::period::{Edge, Life, Period};

/// One task's time, or of a target whose task nobody knows, the address's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskLife {
    /// The task's id, or the address.
    pub name: String,
    /// Its addresses.
    pub addresses: BTreeSet<String>,
    /// From its start, or what is first known of it, to the last deregistration.
    pub life: Life,
    /// What its targets were, one state after the other; between two there may be time in which it had none.
    pub states: Vec<(Period, TargetState)>,
    /// When the first of its targets was registered after it had had none.
    pub registered: Vec<Timestamp>,
    /// When the last of its targets was deregistered.
    pub deregistered: Vec<Timestamp>,
}

/// What a task's targets are, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// It runs, and none is registered.
    Starting,
    /// Registered, and not all healthy yet.
    Registered,
    /// All healthy.
    Healthy,
    /// At least one is unhealthy.
    Unhealthy,
}

/// Follows the tasks through the lines.
pub(super) struct Tasks {
    log: Period,
    tasks: Vec<Task>,
    by_name: BTreeMap<String, usize>,
    /// Which task has which target.
    targets: BTreeMap<TargetAddress, usize>,
    registered_after_ms: Vec<u64>,
    healthy_after_ms: Vec<u64>,
}

/// Where a target is: group, address and port.
type TargetAddress = (String, String, u16);

struct Task {
    name: String,
    addresses: BTreeSet<String>,
    started: Option<Timestamp>,
    began: Edge,
    targets: BTreeMap<TargetAddress, Target>,
    been_healthy: BTreeSet<TargetAddress>,
    /// The state since when, while it has targets.
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
            targets: BTreeMap::new(),
            registered_after_ms: Vec::new(),
            healthy_after_ms: Vec::new(),
        }
    }

    pub fn read(&mut self, line: &Line) {
        match &line.event {
            LoggedEvent::TargetRegistered { target, latency_ms } => {
                let is_new = self.register(target, line.at, Edge::Seen);
                self.registered_after_ms.extend(latency_ms.filter(|_| is_new));
            }
            LoggedEvent::TargetDeregistered { target } => self.deregister(target, line.at),
            LoggedEvent::TargetHealthChanged { target, to, since_start_ms } => {
                self.change_health(target, to, *since_start_ms, line.at);
            }
            LoggedEvent::Reconciled { registered: 0, duration_ms, .. } => {
                // The figure is that of the look, which the registrations that it led to come after.
                let looked = line.at.checked_sub(Duration::from_millis(*duration_ms)).unwrap_or(Timestamp::MIN);
                self.end_all_since_before(looked, line.at);
            }
            LoggedEvent::LoadBalancerDeleted { .. } | LoggedEvent::TeardownCompleted => {
                self.end_all_since_before(line.at, line.at);
            }
            _ => {}
        }
    }

    /// Whether it wasn't registered already: two workers may both have done it.
    fn register(&mut self, target: &LoggedTarget, at: Timestamp, began: Edge) -> bool {
        let index = self.task(target, began);
        let address = target.address();
        match self.targets.insert(address.clone(), index) {
            Some(owner) if owner == index => return false,
            // The address has been given to another task.
            Some(owner) => self.tasks[owner].remove(&address, at),
            None => {}
        }
        self.tasks[index].add(address, at);
        true
    }

    fn deregister(&mut self, target: &LoggedTarget, at: Timestamp) {
        let address = target.address();
        match self.targets.remove(&address) {
            Some(owner) => self.tasks[owner].remove(&address, at),
            None if self.by_name.contains_key(target.owner()) => {}
            None => {
                let from = self.log.from();
                let index = self.task(target, Edge::Unseen);
                self.tasks[index].add(address.clone(), from);
                self.tasks[index].remove(&address, at);
            }
        }
    }

    fn change_health(&mut self, target: &LoggedTarget, to: &str, since_start_ms: Option<u64>, at: Timestamp) {
        let address = target.address();
        let index = match self.targets.get(&address) {
            Some(&index) => index,
            // Those that go, or are gone, say nothing of the task.
            None if to == "draining" || self.by_name.contains_key(target.owner()) => return,
            None => {
                let from = self.log.from();
                self.register(target, from, Edge::Unseen);
                self.task(target, Edge::Unseen)
            }
        };
        let task = &mut self.tasks[index];
        if let Some(since_start_ms) = since_start_ms {
            let started = at.checked_sub(Duration::from_millis(since_start_ms)).unwrap_or(Timestamp::MIN);
            task.started.get_or_insert(started);
            if to == "healthy" && task.been_healthy.insert(address.clone()) {
                self.healthy_after_ms.push(since_start_ms);
            }
        }
        task.set(&address, to, at);
    }

    fn end_all_since_before(&mut self, before: Timestamp, at: Timestamp) {
        let tasks = &mut self.tasks;
        self.targets.retain(|address, owner| {
            let is_ended = tasks[*owner].targets.get(address).is_none_or(|target| target.since < before);
            if is_ended {
                tasks[*owner].remove(address, at);
            }
            !is_ended
        });
    }

    fn task(&mut self, target: &LoggedTarget, began: Edge) -> usize {
        let name = target.owner();
        let index = *self.by_name.entry(name.to_owned()).or_insert_with(|| {
            self.tasks.push(Task::new(name, began));
            self.tasks.len() - 1
        });
        self.tasks[index].addresses.insert(target.ip.clone());
        index
    }

    /// The tasks, how long each took to be registered, and to be healthy.
    pub fn finish(self) -> (Vec<TaskLife>, Vec<u64>, Vec<u64>) {
        let mut tasks: Vec<TaskLife> = self.tasks.into_iter().filter_map(|task| task.finish(self.log)).collect();
        tasks.sort_by_key(|task| task.life.period.from());
        (tasks, self.registered_after_ms, self.healthy_after_ms)
    }
}

impl Task {
    fn new(name: &str, began: Edge) -> Self {
        Self {
            name: name.to_owned(),
            addresses: BTreeSet::new(),
            started: None,
            began,
            targets: BTreeMap::new(),
            been_healthy: BTreeSet::new(),
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
        self.settle(at);
    }

    fn set(&mut self, address: &TargetAddress, state: &str, at: Timestamp) {
        if let Some(target) = self.targets.get_mut(address) {
            state.clone_into(&mut target.state);
        }
        self.settle(at);
    }

    fn remove(&mut self, address: &TargetAddress, at: Timestamp) {
        if self.targets.remove(address).is_some() && self.targets.is_empty() {
            self.deregistered.push(at);
        }
        self.settle(at);
    }

    /// Ends the state that was, if another is now.
    fn settle(&mut self, at: Timestamp) {
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

    fn finish(mut self, log: Period) -> Option<TaskLife> {
        let ended = if self.targets.is_empty() { Edge::Seen } else { Edge::Unseen };
        if let Some((since, state)) = self.current.take() {
            self.states.push((Period::new(since, log.to()), state));
        }
        let first = self.states.first()?.0.from();
        let last = self.states.last()?.0.to();
        let (mut from, mut began) = (first, self.began);
        if let Some(started) = self.started {
            began = if started < log.from() { Edge::Unseen } else { Edge::Seen };
            from = started.clamp(log.from(), log.to());
        }
        if from < first {
            self.states.insert(0, (Period::new(from, first), TargetState::Starting));
        } else if let Some((first, _)) = self.states.first_mut() {
            // What was only supposed to have been there since the log began is known better.
            *first = Period::new(first.from().max(from), first.to());
        }
        if began == Edge::Unseen {
            self.registered.retain(|at| *at > log.from());
        }
        let life = Life { period: Period::new(from.min(last), last), began, ended };
        let Self { name, addresses, states, registered, deregistered, .. } = self;
        Some(TaskLife { name, addresses, life, states, registered, deregistered })
    }
}

impl LoggedTarget {
    fn address(&self) -> TargetAddress {
        (self.target_group.clone(), self.ip.clone(), self.port)
    }
}

impl TargetState {
    /// The state in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Starting => "started, not registered",
            Self::Registered => "registered, not healthy",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}
