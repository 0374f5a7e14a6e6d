//! What something looked like at any instant: an API that lags shows an older state.

use jiff::Timestamp;

/// The states of something, each with the instant since which it holds. There is always a newest one.
#[derive(Clone, Debug)]
pub struct History<T> {
    earlier: Vec<(Timestamp, T)>,
    newest: (Timestamp, T),
}

impl<T> History<T> {
    /// The history of something that begins to exist.
    pub fn new(at: Timestamp, state: T) -> Self {
        Self { earlier: Vec::new(), newest: (at, state) }
    }

    /// The state now.
    pub fn newest(&self) -> &T {
        &self.newest.1
    }

    /// The state at an instant; `None` before the beginning.
    pub fn at(&self, at: Timestamp) -> Option<&T> {
        if self.newest.0 <= at {
            return Some(&self.newest.1);
        }
        self.earlier.iter().rev().find(|(since, _)| *since <= at).map(|(_, state)| state)
    }

    /// Records a new state. One that was recorded at the same instant was never to be seen, and is forgotten.
    pub fn record(&mut self, at: Timestamp, state: T) {
        let before = std::mem::replace(&mut self.newest, (at, state));
        if before.0 != at {
            self.earlier.push(before);
        }
    }

    /// Forgets what held only before an instant.
    pub fn forget_before(&mut self, at: Timestamp) {
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
        let seen: Vec<_> = [9, 10, 19, 20, 31].map(|second| history.at(at(second)).copied()).into();
        assert_eq!(seen, [None, Some('a'), Some('a'), Some('b'), Some('c')]);
        history.forget_before(at(25));
        assert_eq!(history.at(at(19)), None);
        assert_eq!(history.at(at(25)), Some(&'b'));
        assert_eq!(history.newest(), &'c');
    }
}
