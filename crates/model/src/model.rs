//! The model: its states, its steps, and its properties.

use stateright::{Model, Property};

use crate::aws::{Aws, Status, Task};
use crate::bug::Bug;
use crate::decision::Decider;
use crate::guarantees::{Event, Violation, Window, judge};
use crate::operator::down::Down;
use crate::operator::hand::Hand;
use crate::operator::up::{Step as UpStep, Up};
use crate::operator::{Move, Outcome, Pending};
use crate::reading::{Answers, Listing, Reading};
use crate::reconciler::{Reconciler, Stop};
use crate::scenario::Scenario;
use crate::time::{BEGINNING, DEADLINE, FIRST_OBSERVATION, GRACE, Instant};
use crate::write::{Author, Effect, Write};

/// A scenario, with a deliberate bug or without one.
#[derive(Clone, Debug)]
pub struct TeardownModel {
    /// The scenario.
    pub scenario: Scenario,
    /// The watchers' bug.
    pub bug: Option<Bug>,
}

/// A state of AWS and of all processes that act on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    /// The time.
    pub now: Instant,
    /// AWS.
    pub aws: Aws,
    /// The watchers.
    pub watchers: Vec<Reconciler>,
    /// The writes of processes that have crashed.
    pub adrift: Vec<Write>,
    /// The command `up`.
    pub up: Option<Up>,
    /// The command `down`.
    pub down: Option<Down>,
    /// The operator's sequence of calls.
    pub hand: Hand,
    /// The number of crashes that can still come.
    pub crashes: u8,
    /// What the last step has shown.
    pub event: Option<Event>,
}

/// A step, and the calls of unfinished observations that come right before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// What each reconciler has read of what the step changes, by the reconcilers' order.
    pub readings: Vec<Reading>,
    /// The step.
    pub change: Change,
}

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A unit of time passes.
    Tick,
    /// ECS starts the task in this place.
    TaskStarts(usize),
    /// The task in this place goes on to its next status.
    TaskProceeds(usize),
    /// A write takes effect.
    Effect {
        /// The reconciler that has sent it.
        reconciler: usize,
        /// Its place among that reconciler's writes.
        write: usize,
    },
    /// A write of a process that has crashed takes effect.
    Adrift(usize),
    /// A reconciler makes the remaining calls of its observation, and decides.
    Finish(usize, Box<Answers>),
    /// A reconciler makes the next call of a stop.
    Stop {
        /// The reconciler.
        reconciler: usize,
        /// The stop after it.
        next: Option<Stop>,
        /// The call's effect.
        effect: Option<Effect>,
    },
    /// A process crashes, and a watcher restarts.
    Crash(Process),
    /// `up` makes its next call.
    Up(Move<Up>),
    /// `down` makes its next call.
    Down(Move<Down>),
    /// The operator makes the next call.
    Hand(Move<Hand>),
}

/// A process that can crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// A watcher.
    Watcher(usize),
    /// `up`.
    Up,
    /// `down`.
    Down,
}

impl State {
    /// Returns the reconcilers: the watchers, and the one of `down`.
    pub fn reconcilers(&self) -> impl Iterator<Item = &Reconciler> {
        self.watchers.iter().chain(self.down.as_ref().map(|down| &down.teardown))
    }

    fn reconciler_mut(&mut self, place: usize) -> Option<&mut Reconciler> {
        let teardown = self.down.as_mut().map(|down| &mut down.teardown);
        self.watchers.iter_mut().chain(teardown).nth(place)
    }

    fn is_of_down(&self, place: usize) -> bool {
        place >= self.watchers.len()
    }

    fn observes(&self, place: usize) -> bool {
        let reconciles = || !self.is_of_down(place) || self.down.as_ref().is_some_and(Down::reconciles);
        self.reconcilers().nth(place).is_some_and(Reconciler::observes) && reconciles()
    }

    fn apply(&mut self, effect: &Effect, by: Author) {
        self.event = judge(effect, by, &self.aws, self.now);
        let has_succeeded = |up: &Up| up.step == UpStep::Ended(Outcome::Succeeded);
        if (*effect, by) == (Effect::Scale(false), Author::Watcher)
            && self.event.is_none()
            && self.aws.ecs.desired
            && self.up.as_ref().is_some_and(has_succeeded)
        {
            self.event = Some(Event::Violation(Violation::StoppedAfterUp));
        }
        // A deletion within a window goes on with the target group. One from before the listener leaves it: nothing shows that
        // the group belongs to that load balancer.
        let leaves_group = self.aws.load_balancer.is_some_and(|found| !found.is_complete);
        effect.apply(&mut self.aws, self.now);
        let is_window = matches!(self.event, Some(Event::Window(_)));
        if let (Effect::DeleteLoadBalancer { .. }, Some(group)) = (effect, &mut self.aws.group) {
            let is_gone = self.aws.load_balancer.is_none();
            group.is_lost |= is_gone && is_window;
            group.is_left |= is_gone && leaves_group;
        }
    }

    fn tick(&mut self, bug: Option<Bug>) {
        self.now += 1;
        let now = self.now;
        self.aws.catch_up(now);
        let is_on_its_way = |write: &Write| now < write.deadline;
        self.adrift.retain(is_on_its_way);
        for watcher in &mut self.watchers {
            watcher.writes.retain(is_on_its_way);
            if !bug.is_some_and(Bug::ignores_age) {
                watcher.expire(now);
            }
        }
        if let Some(down) = &mut self.down {
            down.teardown.writes.retain(is_on_its_way);
            down.teardown.expire(now);
        }
    }

    fn task_proceeds(&mut self, place: usize) {
        let now = self.now;
        self.aws.change_ecs(now, |ecs| {
            let desired = ecs.desired;
            if let Some(task) = &mut ecs.tasks[place] {
                *task = proceed(*task, desired, now);
            }
        });
    }

    fn crash(&mut self, process: Process) {
        self.crashes -= 1;
        let (pending, by) = match process {
            Process::Watcher(place) => {
                let watcher = &mut self.watchers[place];
                self.adrift.append(&mut watcher.writes);
                let pending = watcher.stop.and_then(|stop| {
                    let (_, effect) = watcher.next_of_stop(&self.aws, self.now, None)?;
                    Some(Write { effect: effect?, deadline: stop.deadline, by: Author::Watcher })
                });
                self.adrift.extend(pending);
                watcher.restart();
                return;
            }
            Process::Up => (self.up.as_mut().and_then(Up::kill), Author::Up),
            Process::Down => {
                let pending = self.down.as_mut().and_then(Down::kill);
                if let Some(down) = &mut self.down {
                    self.adrift.append(&mut down.teardown.writes);
                }
                (pending, Author::Down)
            }
        };
        let now = self.now;
        let write = |pending: Pending| Write { effect: pending.effect, deadline: pending.deadline(), by };
        self.adrift.extend(pending.map(write).filter(|write| now < write.deadline));
    }

    /// Takes a step, without the readings before it.
    fn take(&mut self, change: &Change, model: &TeardownModel) {
        match change {
            Change::Tick => self.tick(model.bug),
            Change::TaskStarts(place) => {
                let now = self.now;
                self.aws.change_ecs(now, |ecs| ecs.tasks[*place] = Some(Task::new(now)));
            }
            Change::TaskProceeds(place) => self.task_proceeds(*place),
            Change::Effect { reconciler, write } => {
                if let Some(write) = self.reconciler_mut(*reconciler).map(|reconciler| reconciler.writes.remove(*write))
                {
                    self.apply(&write.effect, write.by);
                }
            }
            Change::Adrift(place) => {
                let write = self.adrift.remove(*place);
                self.apply(&write.effect, write.by);
            }
            Change::Finish(place, answers) => {
                let (aws, now) = (self.aws.clone(), self.now);
                let is_of_down = self.is_of_down(*place);
                let decider = if is_of_down { Decider::Down } else { model.scenario.decider };
                let Some(reconciler) = self.reconciler_mut(*place) else { return };
                reconciler.finish(answers, decider, &aws, now, model.bug);
                if !model.scenario.registers {
                    reconciler.writes.retain(|write| !matches!(write.effect, Effect::Target { .. }));
                }
                if let Some(down) = self.down.as_mut().filter(|_| is_of_down) {
                    down.reconciled(answers, &aws, now);
                }
            }
            Change::Stop { reconciler, next, effect } => {
                if let Some(reconciler) = self.reconciler_mut(*reconciler) {
                    reconciler.stop = *next;
                }
                if let Some(effect) = effect {
                    self.apply(effect, Author::Watcher);
                }
            }
            Change::Crash(process) => self.crash(*process),
            Change::Up(Move { next, effect, .. }) => {
                self.up = Some(next.clone());
                if let Some(effect) = effect {
                    self.apply(effect, Author::Up);
                }
            }
            Change::Down(Move { next, effect, .. }) => {
                self.down = Some(next.clone());
                if let Some(effect) = effect {
                    self.apply(effect, Author::Down);
                }
            }
            Change::Hand(Move { next, effect, .. }) => {
                self.hand = next.clone();
                if let Some(effect) = effect {
                    self.apply(effect, Author::Hand);
                }
            }
        }
    }
}

/// Returns the task in its next status.
fn proceed(task: Task, desired: bool, now: Instant) -> Task {
    match task.status {
        Status::Starting if desired => {
            Task { status: Status::Running, created_at: None, started_at: Some(now), ..task }
        }
        Status::Starting | Status::Running => {
            Task { status: Status::Stopping, created_at: None, stopping_at: Some(now), ..task }
        }
        Status::Stopping | Status::Stopped => Task { status: Status::Stopped, stopped_at: Some(now), ..task },
    }
}

impl TeardownModel {
    fn listing(&self, now: Instant) -> Listing {
        let least_age = match self.bug {
            Some(Bug::DeleteWithoutWaiting) => 0,
            _ => *FIRST_OBSERVATION.start(),
        };
        Listing { now, least_age }
    }

    /// Returns the steps that are possible, whatever the reconcilers have read.
    fn changes(&self, state: &State) -> Vec<Change> {
        let mut changes = Vec::new();
        let ecs = &state.aws.ecs;
        changes.push(Change::Tick);
        let is_live = |task: &&Task| task.is_wanted();
        if ecs.exists && ecs.desired && ecs.tasks.iter().flatten().find(is_live).is_none() {
            changes.extend(ecs.tasks.iter().position(Option::is_none).map(Change::TaskStarts));
        }
        for (place, task) in ecs.tasks.iter().enumerate() {
            let proceeds = task.is_some_and(|task| match task.status {
                Status::Starting => !ecs.desired || task.can_run(state.now),
                Status::Stopping => true,
                Status::Running => !ecs.desired,
                Status::Stopped => false,
            });
            if proceeds {
                changes.push(Change::TaskProceeds(place));
            }
        }
        for (place, reconciler) in state.reconcilers().enumerate() {
            let writes = 0..reconciler.writes.len();
            changes.extend(writes.map(|write| Change::Effect { reconciler: place, write }));
            if state.observes(place) {
                let finished = reconciler.reading.finished(&state.aws, self.listing(state.now));
                changes.extend(finished.into_iter().map(|answers| Change::Finish(place, Box::new(answers))));
            }
            if let Some((next, effect)) = reconciler.next_of_stop(&state.aws, state.now, self.bug) {
                changes.push(Change::Stop { reconciler: place, next, effect });
            }
        }
        changes.extend((0..state.adrift.len()).map(Change::Adrift));
        if state.crashes > 0 {
            let loses = |watcher: &Reconciler| !watcher.writes.is_empty() || watcher.stop.is_some();
            let watchers = state.watchers.iter().enumerate().filter(|(_, watcher)| loses(watcher));
            changes.extend(watchers.map(|(place, _)| Change::Crash(Process::Watcher(place))));
            if state.up.as_ref().is_some_and(Up::is_running) {
                changes.push(Change::Crash(Process::Up));
            }
            if state.down.as_ref().is_some_and(Down::is_running) {
                changes.push(Change::Crash(Process::Down));
            }
        }
        if let Some(up) = &state.up {
            changes.extend(up.moves(&state.aws, state.now).into_iter().map(Change::Up));
        }
        if let Some(down) = &state.down {
            changes.extend(down.moves(&state.aws, state.now).into_iter().map(Change::Down));
        }
        changes.extend(state.hand.moves(self.scenario.calls, &state.aws, state.now).into_iter().map(Change::Hand));
        changes
    }

    /// Returns the readings with which a step can be taken: one combination for each choice of the reconcilers.
    fn readings(&self, state: &State, change: &Change) -> Vec<Vec<Reading>> {
        let current = || state.reconcilers().map(|reconciler| reconciler.reading).collect::<Vec<_>>();
        if let Change::Finish(..) | Change::Crash(_) = change {
            return vec![current()];
        }
        let mut after = state.clone();
        after.take(change, self);
        if after.aws == state.aws {
            return vec![current()];
        }
        let mut combinations = vec![Vec::new()];
        for (place, reconciler) in state.reconcilers().enumerate() {
            let options = match state.observes(place) {
                true => reconciler.reading.before_step(&state.aws, &after.aws, self.listing(state.now)),
                false => vec![reconciler.reading],
            };
            let with = |readings: &Vec<Reading>, option| readings.iter().copied().chain([option]).collect::<Vec<_>>();
            combinations = combinations
                .iter()
                .flat_map(|readings| options.iter().map(move |option| with(readings, *option)))
                .collect();
        }
        combinations
    }
}

impl Model for TeardownModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let scenario = &self.scenario;
        vec![State {
            now: BEGINNING,
            aws: scenario.aws.clone(),
            watchers: (1..=scenario.watchers).map(Reconciler::new).collect(),
            adrift: Vec::new(),
            up: scenario.has_up.then(Up::new),
            down: scenario.has_down.then(Down::new),
            hand: Hand::new(),
            crashes: scenario.crashes,
            event: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if let Some(Event::Violation(_)) = state.event {
            return;
        }
        for change in self.changes(state) {
            let readings = self.readings(state, &change);
            actions.extend(readings.into_iter().map(|readings| Action { readings, change: change.clone() }));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = State { event: None, ..state.clone() };
        let now = state.now;
        let mut readings = action.readings.into_iter();
        for watcher in &mut next.watchers {
            watcher.read(readings.next().unwrap_or(watcher.reading), now);
        }
        if let (Some(down), Some(reading)) = (&mut next.down, readings.next()) {
            down.teardown.read(reading, now);
        }
        match action.change {
            // The command goes on with the readings of its teardown.
            Change::Down(mut step) => {
                if let Some(down) = &next.down {
                    step.next.teardown.read(down.teardown.reading, now);
                }
                next.take(&Change::Down(step), self);
            }
            change => next.take(&change, self),
        }
        if self.scenario.decider != Decider::StoppingWatcher
            && let Some(lease) = &mut next.aws.lease
        {
            // Only the stop of an unused service depends on it.
            lease.begun_at = None;
        }
        next.normalize(self.scenario.decider == Decider::StoppingWatcher);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(GUARANTEES, |_, state: &State| !matches!(state.event, Some(Event::Violation(_)))),
            Property::sometimes(BEFORE_DELETION, |_, state: &State| {
                state.event == Some(Event::Window(Window::BetweenObservationAndDeletion(DEADLINE - 1)))
            }),
            Property::sometimes(BEFORE_MARK, |_, state: &State| {
                state.event == Some(Event::Window(Window::BetweenObservationAndMark(DEADLINE - 1)))
            }),
            Property::sometimes(BY_HAND, |_, state: &State| {
                state.event == Some(Event::Window(Window::AfterDeletionByHand))
            }),
        ]
    }
}

/// The property that no guarantee is broken.
pub const GUARANTEES: &str = "no guarantee is broken";
/// The property that the window between the second observation and the deletion is reached, at its full length.
pub const BEFORE_DELETION: &str = "the window between the second observation and the deletion";
/// The property that the window between an observation and its mark is reached, at its full length.
pub const BEFORE_MARK: &str = "the window between an observation and the mark that follows from it";
/// The property that the window after a deletion by hand is reached.
pub const BY_HAND: &str = "the window after a deletion by hand";

const _: () = assert!(GRACE > DEADLINE);
