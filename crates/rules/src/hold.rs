//! The hold: two tags on a load balancer that keep every watcher from marking and deleting it.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{HELD_BY_TAG, HOLD_UNTIL_TAG, Tags};
use crate::plan::{CLOCK_SKEW, LONGEST_HOLD};
use crate::timestamp::rfc3339_millis;

/// The prefix of [`HELD_BY_TAG`] in a hold of `up`; the operation's id and the hold's end follow.
const UP: &str = "up ";

/// The value of [`HELD_BY_TAG`] in an operator's hold.
const HAND: &str = "hand";

/// The holder of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An operator, who releases the hold by hand.
    Hand,
    /// The `up` operation of this id, which releases the hold at its end.
    Up(String),
}

impl Holder {
    /// Returns the holder's name in the log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Up(_) => "up",
        }
    }
}

/// A hold on a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The end of the hold.
    pub until: Timestamp,
    /// The holder.
    pub holder: Holder,
}

impl Hold {
    /// The keys of the tags of a hold.
    pub const KEYS: [&str; 2] = [HOLD_UNTIL_TAG, HELD_BY_TAG];

    /// Parses the hold among tags, ended or not; returns `None` where there is none or its end can't be parsed.
    pub fn of(tags: &Tags) -> Option<Self> {
        let until = tags.get(HOLD_UNTIL_TAG)?;
        let by_up = tags.get(HELD_BY_TAG).and_then(|by| by.strip_prefix(UP)?.split_once(' '));
        let holder = match by_up {
            Some((id, until_then)) if until_then == until => Holder::Up(id.to_owned()),
            // An operator who has changed the end since is the holder.
            Some(_) | None => Holder::Hand,
        };
        Some(Self { until: until.parse().ok()?, holder })
    }

    /// Makes a hold of this length, at most [`LONGEST_HOLD`] less [`CLOCK_SKEW`]: a watcher whose clock is behind would
    /// take a hold of a whole day for a longer one, and ignore it.
    pub fn for_duration(duration: Duration, now: Timestamp, holder: Holder) -> Self {
        Self { until: now + duration.min(LONGEST_HOLD - CLOCK_SKEW), holder }
    }

    /// Returns whether the hold is in force now.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.until > now && self.until <= now + LONGEST_HOLD
    }

    /// Returns the hold as tags.
    pub fn tags(&self) -> Tags {
        let until = rfc3339_millis(self.until);
        let holder = match &self.holder {
            Holder::Hand => HAND.to_owned(),
            Holder::Up(id) => format!("{UP}{id} {until}"),
        };
        Tags::from([(HOLD_UNTIL_TAG.to_owned(), until), (HELD_BY_TAG.to_owned(), holder)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples::{minutes, noon};

    #[test]
    fn parses_the_tags_that_it_writes() {
        for holder in [Holder::Hand, Holder::Up("1f2e".into())] {
            let hold = Hold::for_duration(minutes(30), noon(), holder);
            assert_eq!(Hold::of(&hold.tags()), Some(hold.clone()));
            assert!(hold.is_in_force(noon()) && !hold.is_in_force(noon() + minutes(30)));
        }
    }

    #[test]
    fn takes_a_hold_without_a_holder_as_placed_by_hand() {
        let tags = Tags::from([(HOLD_UNTIL_TAG.to_owned(), "2026-11-20T13:00:00+01:00".to_owned())]);
        assert_eq!(Hold::of(&tags), Some(Hold { until: noon(), holder: Holder::Hand }));
        assert_eq!(Hold::of(&Tags::new()), None);
        assert_eq!(Hold::of(&Tags::from([(HOLD_UNTIL_TAG.to_owned(), "tomorrow".to_owned())])), None);
    }

    #[test]
    fn takes_a_hold_of_up_with_a_changed_end_as_placed_by_hand() {
        let mut tags = Hold::for_duration(minutes(30), noon(), Holder::Up("1f2e".into())).tags();
        tags.insert(HOLD_UNTIL_TAG.to_owned(), "2026-11-20T18:00:00Z".to_owned());
        assert_eq!(Hold::of(&tags).expect("a hold").holder, Holder::Hand);
    }

    #[test]
    fn names_the_holder_in_the_log_without_the_operations_id() {
        assert_eq!(Holder::Hand.as_str(), "hand");
        assert_eq!(Holder::Up("1f2e".into()).as_str(), "up");
    }

    #[test]
    fn obeys_the_longest_hold_with_a_clock_that_is_behind() {
        let hold = Hold::for_duration(LONGEST_HOLD, noon(), Holder::Hand);
        assert!(hold.is_in_force(noon() - minutes(4)));
    }
}
