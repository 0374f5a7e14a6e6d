//! Past states of a resource, for APIs that return stale data.

use jiff::Timestamp;

/// The states of a resource, each with the time since which it holds. There is always a current one.
#[derive(Clone, Debug)]
pub struct History<T> {
    earlier: Vec<(Timestamp, T)>,
    current: (Timestamp, T),
}

impl<T> History<T> {
    /// Creates the history of a new resource.
    pub fn new(at: Timestamp, state: T) -> Self {
        Self { earlier: Vec::new(), current: (at, state) }
    }

    /// Returns the current state.
    pub fn current(&self) -> &T {
        &self.current.1
    }

    /// Returns the state at a given time; `None` before the resource existed.
    pub fn at(&self, at: Timestamp) -> Option<&T> {
        if self.current.0 <= at {
            return Some(&self.current.1);
        }
        self.earlier.iter().rev().find(|(since, _)| *since <= at).map(|(_, state)| state)
    }

    /// Records a new state. It replaces a state that was recorded at the same time, which no reader has seen.
    pub fn record(&mut self, at: Timestamp, state: T) {
        let before = std::mem::replace(&mut self.current, (at, state));
        if before.0 != at {
            self.earlier.push(before);
        }
    }

    /// Discards states that ended before a given time.
    pub fn discard_before(&mut self, at: Timestamp) {
        let needed = self.earlier.iter().rposition(|(since, _)| *since <= at).unwrap_or(0);
        self.earlier.drain(..needed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_state_holds_until_the_next() {
        let mut history = History::new(at(10), 'a');
        history.record(at(20), 'x');
        history.record(at(20), 'b');
        history.record(at(30), 'c');
        let states: Vec<_> = [9, 10, 19, 20, 31].map(|second| history.at(at(second)).copied()).into();
        assert_eq!(states, [None, Some('a'), Some('a'), Some('b'), Some('c')]);
        history.discard_before(at(25));
        assert_eq!(history.at(at(19)), None);
        assert_eq!(history.at(at(25)), Some(&'b'));
        assert_eq!(history.current(), &'c');
    }
}
