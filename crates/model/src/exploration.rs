//! Explores a model to closure, by stateright, breadth first.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stateright::report::{ReportData, ReportDiscovery, Reporter};
use stateright::{Checker, HasDiscoveries, Model};

use crate::model::{GUARANTEES, TeardownModel};
use crate::story::tell;

/// The result of an exploration.
#[derive(Clone, Debug)]
pub struct Exploration {
    /// Whether no state is left to explore.
    pub is_closed: bool,
    /// The number of states.
    pub states: usize,
    /// The number of steps to the state that is farthest from the beginning.
    pub depth: usize,
    /// The time that it took.
    pub took: Duration,
    /// How a guarantee is broken, if one is.
    pub violation: Option<String>,
    /// The documented windows that are reached, each with its story.
    pub windows: Vec<(&'static str, String)>,
}

/// Explores all states of a model; one with a bug only until a guarantee is broken.
pub fn explore(model: TeardownModel) -> Exploration {
    explore_for(model, Duration::MAX)
}

/// Explores a model for so long, at most; prints how far it is.
pub fn explore_for(model: TeardownModel, limit: Duration) -> Exploration {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    let finish = if model.bug.is_some() { HasDiscoveries::AnyFailures } else { HasDiscoveries::All };
    let builder = model.checker().threads(threads).finish_when(finish);
    let builder = if limit == Duration::MAX { builder } else { builder.timeout(limit) };
    let checker = builder.spawn_bfs().join_and_report(&mut Progress { last: None });
    let (states, depth, took) = (checker.unique_state_count(), checker.max_depth(), began.elapsed());
    let (mut violation, mut windows) = (None, Vec::new());
    for (name, path) in checker.discoveries() {
        match name {
            GUARANTEES => violation = Some(tell(path)),
            window => windows.push((window, tell(path))),
        }
    }
    windows.sort();
    Exploration { is_closed: took < limit, states, depth, took, violation, windows }
}

/// Prints how far an exploration is, as long as it runs.
struct Progress {
    last: Option<Instant>,
}

/// The time between two lines about the progress.
pub const LINE_EVERY: Duration = Duration::from_secs(30);

impl<M: Model> Reporter<M> for Progress {
    fn report_checking(&mut self, data: ReportData) {
        let last = *self.last.get_or_insert_with(Instant::now);
        if !data.done && last.elapsed() >= LINE_EVERY {
            self.last = Some(Instant::now());
            let seconds = data.duration.as_secs();
            eprintln!("  {} states, depth {}, {seconds} s", data.unique_states, data.max_depth);
        }
    }

    fn report_discoveries(&mut self, _: &M, _: BTreeMap<&'static str, ReportDiscovery<M>>) {}

    // The exploration's end is awaited that long, too.
    fn delay(&self) -> Duration {
        Duration::from_millis(20)
    }
}
