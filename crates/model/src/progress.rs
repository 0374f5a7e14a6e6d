//! Progress (guarantee 2): from every reachable state, a working watcher can bring the teardown to its end.
//!
//! The graph of all states is explored once more, and then followed backwards from the ends, along the steps that need
//! neither an operator nor a crash. A state from which no end is reached would stay idle forever.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use stateright::Model;

use crate::aws::{HeldBy, Hold};
use crate::exploration::LINE_EVERY;
use crate::model::{Change, State, TeardownModel};
use crate::operator::hand::Call;
use crate::operator::up::{Step, Up};

/// The result.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The number of states.
    pub states: usize,
    /// The number of states at an end: nothing is left, or something must stay.
    pub ends: usize,
    /// The number of states from which no end can be reached.
    pub stuck: usize,
    /// One of these.
    pub example: Option<State>,
}

/// Checks that an end can be reached from every reachable state.
pub fn check(model: &TeardownModel) -> Progress {
    let Graph { steps, mut reaches_end } = Graph::of(model);
    let ends = reaches_end.iter().filter(|reaches| **reaches).count();
    // From the later states to the earlier ones, until nothing changes.
    let mut changes = true;
    while changes {
        changes = false;
        for (from, to) in steps.iter().rev() {
            if reaches_end[*to as usize] && !reaches_end[*from as usize] {
                reaches_end[*from as usize] = true;
                changes = true;
            }
        }
    }
    let stuck = reaches_end.iter().filter(|reaches| !**reaches).count();
    let example = reaches_end.iter().position(|reaches| !reaches).and_then(|place| Search::new(model).nth(place));
    Progress { states: reaches_end.len(), ends, stuck, example }
}

/// The graph of all states, each by its place in the order of the search.
struct Graph {
    /// The steps that need neither an operator nor a crash.
    steps: Vec<(u32, u32)>,
    /// Whether each state is at an end.
    reaches_end: Vec<bool>,
}

impl Graph {
    fn of(model: &TeardownModel) -> Self {
        let mut search = Search::new(model);
        let mut reaches_end = Vec::new();
        let (began, mut line_at) = (Instant::now(), Instant::now());
        while let Some(state) = search.next() {
            reaches_end.push(is_end(&state, model.scenario.calls));
            if line_at.elapsed() >= LINE_EVERY {
                line_at = Instant::now();
                let (states, seconds) = (reaches_end.len(), began.elapsed().as_secs());
                eprintln!("  {states} states explored, {} known, {seconds} s", search.places.len());
            }
        }
        Self { steps: search.steps, reaches_end }
    }
}

/// A breadth-first search, which yields each state once and keeps none.
struct Search<'a> {
    model: &'a TeardownModel,
    /// By the state's hash, of which two are equal as rarely as for stateright.
    places: HashMap<u64, u32>,
    hashes: RandomState,
    open: VecDeque<State>,
    next: u32,
    steps: Vec<(u32, u32)>,
}

impl<'a> Search<'a> {
    fn new(model: &'a TeardownModel) -> Self {
        let mut search = Self {
            model,
            places: HashMap::new(),
            hashes: RandomState::new(),
            open: VecDeque::new(),
            next: 0,
            steps: Vec::new(),
        };
        for state in model.init_states() {
            search.find(state);
        }
        search
    }

    fn find(&mut self, state: State) -> u32 {
        let new = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let place = *self.places.entry(self.hashes.hash_one(&state)).or_insert(new);
        if place == new {
            self.open.push_back(state);
        }
        place
    }
}

impl Iterator for Search<'_> {
    type Item = State;

    fn next(&mut self) -> Option<State> {
        let state = self.open.pop_front()?;
        let mut actions = Vec::new();
        self.model.actions(&state, &mut actions);
        for action in actions {
            let needs_no_operator =
                !matches!(action.change, Change::Up(_) | Change::Down(_) | Change::Hand(_) | Change::Crash(_));
            let Some(next) = self.model.next_state(&state, action) else { continue };
            let to = self.find(next);
            if needs_no_operator && to != self.next {
                self.steps.push((self.next, to));
            }
        }
        self.next += 1;
        Some(state)
    }
}

fn is_of_up(hold: Hold) -> bool {
    hold.by == HeldBy::Up
}

/// Returns whether nothing of the load balancer is left, or something forbids its deletion that only an operator ends.
fn is_end(state: &State, calls: &[Call]) -> bool {
    let aws = &state.aws;
    let is_left = aws.load_balancer.is_some() || aws.group.is_some();
    let is_owned = aws.load_balancer.is_none_or(|found| found.not_owned_since.is_none());
    // A target group without a mark is not the watcher's to delete, once its load balancer has gone.
    let is_unmarked = aws.load_balancer.is_none() && aws.group.is_some_and(|group| group.mark.is_none());
    // Terraform has it, and creates its load balancer next.
    let is_applying = calls.get(usize::from(state.hand.made)) == Some(&Call::ApplyLoadBalancer)
        || state.up.as_ref().is_some_and(|up| up.step == Step::CreateLoadBalancer);
    let is_lost = aws.deleted_by_hand || aws.group.is_some_and(|group| group.is_lost || group.is_left);
    // A command that runs renews its hold.
    let holds = |up: &Up| up.is_running() && aws.load_balancer.and_then(|found| found.hold).is_some_and(is_of_up);
    let is_held = state.up.as_ref().is_some_and(holds);
    !is_left
        || !is_owned
        || is_held
        || is_unmarked && (is_lost || is_applying)
        || !aws.ecs.exists
        || aws.ecs.desired
        || aws.others_since.is_some()
}
