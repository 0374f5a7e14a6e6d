//! What is due, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

/// The instant this long after another; the end of time where there is none.
pub fn after(at: Timestamp, delay: Duration) -> Timestamp {
    at.checked_add(delay).unwrap_or(Timestamp::MAX)
}

/// The instant this long before another; the beginning of time where there is none.
pub fn before(at: Timestamp, delay: Duration) -> Timestamp {
    at.checked_sub(delay).unwrap_or(Timestamp::MIN)
}

/// An entry's place, by which it can be struck out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    at: Timestamp,
    number: u64,
}

/// Entries in the order in which they fall due; of those due at one instant, in the order in which they came.
#[derive(Debug)]
pub struct Agenda<T> {
    entries: BTreeMap<Ticket, T>,
    next_number: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), next_number: 0 }
    }
}

impl<T> Agenda<T> {
    /// Enters something.
    pub fn enter(&mut self, at: Timestamp, entry: T) -> Ticket {
        let ticket = Ticket { at, number: self.next_number };
        self.next_number += 1;
        self.entries.insert(ticket, entry);
        ticket
    }

    /// Strikes something out; nothing happens when it has been done already.
    pub fn strike(&mut self, ticket: Ticket) -> Option<T> {
        self.entries.remove(&ticket)
    }

    /// When the next entry falls due.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.entries.first_key_value().map(|(ticket, _)| ticket.at)
    }

    /// Takes the next entry.
    pub fn pop(&mut self) -> Option<T> {
        self.entries.pop_first().map(|(_, entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_order_of_time_then_of_entry() {
        let mut agenda = Agenda::default();
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        agenda.enter(at(2), "c");
        agenda.enter(at(1), "a");
        agenda.enter(at(1), "b");
        let struck = agenda.enter(at(0), "never");
        assert_eq!(agenda.strike(struck), Some("never"));
        assert_eq!(agenda.next_at(), Some(at(1)));
        let order: Vec<_> = std::iter::from_fn(|| agenda.pop()).collect();
        assert_eq!(order, ["a", "b", "c"]);
    }
}
