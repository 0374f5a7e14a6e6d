//! The lease on a service: of several operations at once, the latest wins.
//!
//! Each operation writes its lease to a tag on the ECS service. An operation that finds another one's lease there stops.
//! AWS has no conditional writes, but the last of several writers of a tag stays, so all agree on the lease holder. The
//! watcher takes a lease, too, before it scales an unused service to zero.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{OPERATION_TAG, Tags};
use crate::plan::CLOCK_SKEW;
use crate::timestamp::rfc3339_millis;

/// What can hold a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseHolder {
    /// The command `up`.
    Up,
    /// The command `down`.
    Down,
    /// The watcher, while it scales an unused service to zero.
    Stop,
}

impl LeaseHolder {
    /// Returns the holder's word in the tag.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Stop => "stop",
        }
    }
}

/// An operation's lease. In the tag: `up 2026-11-24T18:00:00.000Z 1f2e3d4c`, followed by the state unless it is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The operation.
    pub holder: LeaseHolder,
    /// The time at which the operation began.
    pub begun_at: Timestamp,
    /// The operation's unique id.
    pub id: String,
    /// The state of the operation.
    pub state: LeaseState,
}

/// Whether the lease was read, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LeaseReading {
    /// It was not read.
    #[default]
    NotRead,
    /// It was read; `None` if there is none.
    Read(Option<Lease>),
}

impl LeaseReading {
    /// Returns the lease, if one was found.
    pub fn found(&self) -> Option<&Lease> {
        match self {
            Self::NotRead => None,
            Self::Read(lease) => lease.as_ref(),
        }
    }
}

/// The age from which an `up` or `down` that holds the lease counts as killed. The time limits of `up` add up to 53 minutes.
const OPERATION_RUNS_AT_MOST: Duration = Duration::from_secs(60 * 60);

/// The age from which the stop of a watcher that holds the lease counts as killed. A stop is over within the ten seconds for
/// which its observation is valid.
const STOP_RUNS_AT_MOST: Duration = Duration::from_secs(30);

/// How long after its operation began a lease can still be written, and so replace that of a later operation: the deadline
/// of every write.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

/// The state of the operation that holds a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// The operation runs, or was killed.
    Active,
    /// The operation is over.
    Ended,
    /// The operation is over, and its load balancer command did not complete: the load balancer may exist in part.
    Failed,
}

impl LeaseState {
    /// The word in the tag; an active lease has none.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Active => None,
            Self::Ended => Some("ended"),
            Self::Failed => Some("failed"),
        }
    }
}

impl Lease {
    /// Returns the lease in a service's tags, if there is one.
    pub fn of(tags: &Tags) -> Option<Self> {
        Self::parse(tags.get(OPERATION_TAG)?)
    }

    /// Parses the tag's value; returns `None` for one that no operation wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let word = words.next()?;
        let holders = [LeaseHolder::Up, LeaseHolder::Down, LeaseHolder::Stop];
        let holder = holders.into_iter().find(|holder| holder.as_str() == word)?;
        let begun_at = words.next()?.parse().ok()?;
        let id = words.next().filter(|id| !id.is_empty())?.to_owned();
        let word = words.next();
        let states = [LeaseState::Active, LeaseState::Ended, LeaseState::Failed];
        let state = states.into_iter().find(|state| state.word() == word)?;
        words.next().is_none().then_some(Self { holder, begun_at, id, state })
    }

    /// Returns whether the operation is running, as far as the lease shows.
    pub fn is_running(&self, now: Timestamp) -> bool {
        self.state == LeaseState::Active && self.has_begun(now) && now < self.ends_by()
    }

    /// Returns whether the operation began before now, as far as clocks agree: a tag that was edited by hand could forbid a
    /// stop forever.
    pub fn has_begun(&self, now: Timestamp) -> bool {
        self.begun_at <= now + CLOCK_SKEW
    }

    /// Returns the time from which an active operation counts as killed.
    pub fn ends_by(&self) -> Timestamp {
        self.begun_at
            + match self.holder {
                LeaseHolder::Up | LeaseHolder::Down => OPERATION_RUNS_AT_MOST,
                LeaseHolder::Stop => STOP_RUNS_AT_MOST,
            }
    }

    /// Returns the latest time at which an operation began, this one or one whose lease it has replaced late: AWS can make
    /// the write of a process that was killed after that of the next one.
    pub fn last_operation_begun_by(&self) -> Timestamp {
        self.begun_at + WRITTEN_WITHIN
    }

    /// Returns the same lease in another state.
    pub fn with_state(&self, state: LeaseState) -> Self {
        Self { state, ..self.clone() }
    }

    /// Returns true if the load balancer may exist in part: a running or killed `up`, or a failed command, left it.
    pub fn leaves_incomplete(&self) -> bool {
        match self.state {
            LeaseState::Active => self.holder == LeaseHolder::Up,
            LeaseState::Ended => false,
            LeaseState::Failed => true,
        }
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.holder.as_str(), rfc3339_millis(self.begun_at), self.id)?;
        match self.state.word() {
            Some(word) => write!(f, " {word}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_parsed_as_it_is_written() {
        let begun_at = "2026-11-24T18:00:00.123Z".parse().expect("an instant");
        let lease = Lease { holder: LeaseHolder::Up, begun_at, id: "1f2e".into(), state: LeaseState::Active };
        assert_eq!(lease.to_string(), "up 2026-11-24T18:00:00.123Z 1f2e");
        assert_eq!(lease.with_state(LeaseState::Failed).to_string(), "up 2026-11-24T18:00:00.123Z 1f2e failed");
        for holder in [LeaseHolder::Up, LeaseHolder::Down, LeaseHolder::Stop] {
            for state in [LeaseState::Active, LeaseState::Ended, LeaseState::Failed] {
                let lease = Lease { holder, ..lease.with_state(state) };
                assert_eq!(Lease::parse(&lease.to_string()), Some(lease));
            }
        }
    }

    #[test]
    fn the_lease_is_found_among_the_tags_of_a_service() {
        let tags = |value: &str| Tags::from([(OPERATION_TAG.to_owned(), value.to_owned())]);
        let found = Lease::of(&tags("down 2026-11-24T18:00:00Z 1f2e")).expect("a lease");
        assert_eq!((found.holder, found.state), (LeaseHolder::Down, LeaseState::Active));
        assert_eq!(LeaseReading::Read(Some(found.clone())).found(), Some(&found));
        assert_eq!(Lease::of(&tags("elsewhere")), None);
        assert_eq!(Lease::of(&Tags::new()), None);
        assert_eq!((LeaseReading::Read(None).found(), LeaseReading::NotRead.found()), (None, None));
    }

    #[test]
    fn the_load_balancer_may_exist_in_part_after_an_up_that_was_killed_or_a_command_that_failed() {
        use LeaseHolder::{Down, Stop, Up};
        use LeaseState::{Active, Ended, Failed};
        let all = [Up, Down, Stop].into_iter().flat_map(|holder| [Active, Ended, Failed].map(|state| (holder, state)));
        let begun_at = "2026-11-24T18:00:00Z".parse().expect("an instant");
        let lease = |holder, state| Lease { holder, begun_at, id: "1f2e".into(), state };
        let incomplete: Vec<_> = all.filter(|(holder, state)| lease(*holder, *state).leaves_incomplete()).collect();
        assert_eq!(incomplete, [(Up, Active), (Up, Failed), (Down, Failed), (Stop, Failed)]);
    }

    #[test]
    fn an_operation_counts_as_killed_after_an_hour_and_a_stop_after_half_a_minute() {
        let begun_at: Timestamp = "2026-11-24T18:00:00Z".parse().expect("an instant");
        let lease = |holder, state| Lease { holder, begun_at, id: "1f2e".into(), state };
        for (holder, seconds) in [(LeaseHolder::Up, 3600), (LeaseHolder::Down, 3600), (LeaseHolder::Stop, 30)] {
            let active = lease(holder, LeaseState::Active);
            let end = begun_at + Duration::from_secs(seconds);
            assert_eq!(active.ends_by(), end);
            assert!(active.is_running(end - Duration::from_millis(1)));
            assert!(!active.is_running(end));
            assert!(!lease(holder, LeaseState::Ended).is_running(begun_at));
            assert!(active.is_running(begun_at - CLOCK_SKEW), "by another clock");
            assert!(!active.is_running(begun_at - CLOCK_SKEW - Duration::from_millis(1)));
        }
    }

    #[test]
    fn a_value_that_no_operation_wrote_is_not_a_lease() {
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
