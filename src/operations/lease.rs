//! Of several operations on one service the latest wins: each signs a tag on the ECS service, and an earlier one that
//! finds another's signature there stops.
//!
//! AWS has no conditional writes, but the last of several writers of a tag stays; so all agree on who that is.

use std::fmt;

use jiff::Timestamp;

use crate::telemetry::log::{Verb, rfc3339_millis};
use jvb_watcher_rules::model::{OPERATION_TAG, Tags};

/// An operation's signature: `up 2026-11-24T18:00:00.000Z 1f2e3d4c`, and ` ended` once it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which way it goes.
    pub verb: Verb,
    /// When it began.
    pub begun_at: Timestamp,
    /// What tells it from any other.
    pub id: String,
    /// Whether it is over.
    pub state: LeaseState,
}

/// Whether an operation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// It goes on, or was killed.
    UnderWay,
    /// It is over.
    Ended,
}

impl Lease {
    /// The signature on a service of these tags, if there is one.
    pub fn of(tags: &Tags) -> Option<Self> {
        Self::parse(tags.get(OPERATION_TAG)?)
    }

    /// The signature as it stands in the tag; `None` for what no operation wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let verb = match words.next()? {
            "up" => Verb::Up,
            "down" => Verb::Down,
            _ => return None,
        };
        let begun_at = words.next()?.parse().ok()?;
        let id = words.next().filter(|id| !id.is_empty())?.to_owned();
        let state = match words.next() {
            None => LeaseState::UnderWay,
            Some("ended") => LeaseState::Ended,
            Some(_) => return None,
        };
        words.next().is_none().then_some(Self { verb, begun_at, id, state })
    }

    /// The same, over.
    pub fn ended(&self) -> Self {
        Self { state: LeaseState::Ended, ..self.clone() }
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = match self.state {
            LeaseState::UnderWay => "",
            LeaseState::Ended => " ended",
        };
        write!(f, "{} {} {}{ended}", self.verb.as_str(), rfc3339_millis(self.begun_at), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_as_it_is_written() {
        let begun_at = "2026-11-24T18:00:00.123Z".parse().expect("an instant");
        let lease = Lease { verb: Verb::Up, begun_at, id: "1f2e".into(), state: LeaseState::UnderWay };
        assert_eq!(lease.to_string(), "up 2026-11-24T18:00:00.123Z 1f2e");
        assert_eq!(Lease::parse(&lease.to_string()), Some(lease.clone()));
        assert_eq!(Lease::parse(&lease.ended().to_string()), Some(lease.ended()));
    }

    #[test]
    fn what_no_operation_wrote_is_no_signature() {
        for text in [
            "",
            "up",
            "up now 1",
            "sideways 2026-11-24T18:00:00Z 1",
            "up 2026-11-24T18:00:00Z ",
            "up 2026-11-24T18:00:00Z 1 ended twice",
            "down 2026-11-24T18:00:00Z 1 over",
        ] {
            assert_eq!(Lease::parse(text), None, "{text:?}");
        }
    }
}
