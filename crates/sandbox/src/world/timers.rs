//! Timers, which make everything happen that no request causes at once.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

/// Returns the timestamp after a delay; the latest possible one on overflow.
pub fn after(at: Timestamp, delay: Duration) -> Timestamp {
    at.checked_add(delay).unwrap_or(Timestamp::MAX)
}

/// Returns the timestamp before a delay; the earliest possible one on overflow.
pub fn before(at: Timestamp, delay: Duration) -> Timestamp {
    at.checked_sub(delay).unwrap_or(Timestamp::MIN)
}

/// Handle of a timer, by which it can be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId {
    at: Timestamp,
    number: u64,
}

/// Pending timers, in the order in which they fire. Timers that fire at the same time keep the order of their creation.
#[derive(Debug)]
pub struct Timers<T> {
    pending: BTreeMap<TimerId, T>,
    next_number: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { pending: BTreeMap::new(), next_number: 0 }
    }
}

impl<T> Timers<T> {
    /// Starts a timer.
    pub fn start(&mut self, at: Timestamp, timer: T) -> TimerId {
        let id = TimerId { at, number: self.next_number };
        self.next_number += 1;
        self.pending.insert(id, timer);
        id
    }

    /// Cancels a timer; does nothing when it has fired already.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        self.pending.remove(&id)
    }

    /// Returns when the next timer fires.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.pending.first_key_value().map(|(id, _)| id.at)
    }

    /// Removes and returns the next timer.
    pub fn pop(&mut self) -> Option<T> {
        self.pending.pop_first().map(|(_, timer)| timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_of_time_then_of_creation() {
        let mut timers = Timers::default();
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        timers.start(at(2), "c");
        timers.start(at(1), "a");
        timers.start(at(1), "b");
        let cancelled = timers.start(at(0), "never");
        assert_eq!(timers.cancel(cancelled), Some("never"));
        assert_eq!(timers.next_at(), Some(at(1)));
        let order: Vec<_> = std::iter::from_fn(|| timers.pop()).collect();
        assert_eq!(order, ["a", "b", "c"]);
    }
}
