//! Progress (guarantee 2): from every reachable state, a working watcher can bring the teardown to its end.
//!
//! The graph of all states is explored once more, and then followed backwards from the ends, along the steps that need
//! neither an operator nor a crash. A state from which no end is reached would stay idle forever.

use std::collections::HashMap;

use stateright::Model;

use crate::model::{Change, State, TeardownModel};

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
    let mut places: HashMap<State, usize> = HashMap::new();
    let (mut states, mut earlier): (Vec<State>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
    let mut find = |state: State, states: &mut Vec<State>, earlier: &mut Vec<Vec<usize>>| {
        let next = states.len();
        let place = *places.entry(state.clone()).or_insert(next);
        if place == next {
            states.push(state);
            earlier.push(Vec::new());
        }
        place
    };
    for state in model.init_states() {
        find(state, &mut states, &mut earlier);
    }
    let mut at = 0;
    let mut actions = Vec::new();
    while at < states.len() {
        model.actions(&states[at], &mut actions);
        for action in actions.drain(..) {
            let needs_no_operator =
                !matches!(action.change, Change::Up(_) | Change::Down(_) | Change::Hand(_) | Change::Crash(_));
            let Some(next) = model.next_state(&states[at], action) else { continue };
            let next = find(next, &mut states, &mut earlier);
            if needs_no_operator {
                earlier[next].push(at);
            }
        }
        at += 1;
    }
    let mut reaches_end: Vec<bool> = states.iter().map(is_end).collect();
    let mut open: Vec<usize> = (0..states.len()).filter(|place| reaches_end[*place]).collect();
    let ends = open.len();
    while let Some(place) = open.pop() {
        for before in &earlier[place] {
            if !reaches_end[*before] {
                reaches_end[*before] = true;
                open.push(*before);
            }
        }
    }
    let stuck = reaches_end.iter().filter(|reaches| !**reaches).count();
    let example = reaches_end.iter().position(|reaches| !reaches).map(|place| states[place].clone());
    Progress { states: states.len(), ends, stuck, example }
}

/// Returns whether nothing of the load balancer is left, or something forbids its deletion that only an operator ends.
fn is_end(state: &State) -> bool {
    let aws = &state.aws;
    let is_left = aws.load_balancer.is_some() || aws.group.is_some();
    let is_owned = aws.load_balancer.is_none_or(|found| found.not_owned_since.is_none());
    // A target group without a mark is not the watcher's to delete, once its load balancer has gone.
    let is_unmarked = aws.load_balancer.is_none() && aws.group.is_some_and(|group| group.mark.is_none());
    let is_lost = aws.deleted_by_hand || aws.group.is_some_and(|group| group.is_lost);
    !is_left || !is_owned || is_unmarked && is_lost || !aws.ecs.exists || aws.ecs.desired || aws.others_since.is_some()
}
