//! The hold on a load balancer: two tags that keep every watcher from marking it and tearing it down.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{HELD_BY_TAG, HOLD_UNTIL_TAG, Tags};
use crate::plan::{CLOCK_SKEW, LONGEST_HOLD};
use crate::timestamp::rfc3339_millis;

/// What [`HELD_BY_TAG`] begins with where `up` holds; its id follows, and until when.
const UP: &str = "up ";

/// What [`HELD_BY_TAG`] says where a person holds.
const HAND: &str = "hand";

/// Who holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A person: lets go by hand, or when its time is over.
    Hand,
    /// The `up` of this id: lets go at its end.
    Up(String),
}

impl Holder {
    /// For the log and for people.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Up(_) => "up",
        }
    }
}

/// A hold that a balancer's tags tell of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Until when.
    pub until: Timestamp,
    /// By whom.
    pub holder: Holder,
}

impl Hold {
    /// The hold of these tags, past or not; `None` where there is none, or one that can't be read.
    pub fn of(tags: &Tags) -> Option<Self> {
        let until = tags.get(HOLD_UNTIL_TAG)?;
        let by_up = tags.get(HELD_BY_TAG).and_then(|by| by.strip_prefix(UP)?.split_once(' '));
        let holder = match by_up {
            Some((id, until_then)) if until_then == until => Holder::Up(id.to_owned()),
            // Whoever has set another time since holds from then on.
            Some(_) | None => Holder::Hand,
        };
        Some(Self { until: until.parse().ok()?, holder })
    }

    /// The hold for so long from now. One of a whole day ends a little sooner: a watcher whose clock is behind would take
    /// it for longer than a day, and not obey it.
    pub fn for_the_next(time: Duration, now: Timestamp, holder: Holder) -> Self {
        Self { until: now + time.min(LONGEST_HOLD - CLOCK_SKEW), holder }
    }

    /// Whether watchers obey it now.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.until > now && self.until <= now + LONGEST_HOLD
    }

    /// As tags.
    pub fn tags(&self) -> Tags {
        let until = rfc3339_millis(self.until);
        let holder = match &self.holder {
            Holder::Hand => HAND.to_owned(),
            Holder::Up(id) => format!("{UP}{id} {until}"),
        };
        Tags::from([(HOLD_UNTIL_TAG.to_owned(), until), (HELD_BY_TAG.to_owned(), holder)])
    }

    /// The keys of those tags.
    pub const KEYS: [&str; 2] = [HOLD_UNTIL_TAG, HELD_BY_TAG];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples::{minutes, noon};

    #[test]
    fn a_hold_is_read_as_it_is_written() {
        for holder in [Holder::Hand, Holder::Up("1f2e".into())] {
            let hold = Hold::for_the_next(minutes(30), noon(), holder);
            assert_eq!(Hold::of(&hold.tags()), Some(hold.clone()));
            assert!(hold.is_in_force(noon()) && !hold.is_in_force(noon() + minutes(30)));
        }
    }

    #[test]
    fn a_hold_without_a_holder_was_written_by_hand() {
        let tags = Tags::from([(HOLD_UNTIL_TAG.to_owned(), "2026-11-20T13:00:00+01:00".to_owned())]);
        assert_eq!(Hold::of(&tags), Some(Hold { until: noon(), holder: Holder::Hand }));
        assert_eq!(Hold::of(&Tags::new()), None);
        assert_eq!(Hold::of(&Tags::from([(HOLD_UNTIL_TAG.to_owned(), "tomorrow".to_owned())])), None);
    }

    #[test]
    fn a_hold_of_up_that_somebody_has_changed_is_held_by_hand() {
        let mut tags = Hold::for_the_next(minutes(30), noon(), Holder::Up("1f2e".into())).tags();
        tags.insert(HOLD_UNTIL_TAG.to_owned(), "2026-11-20T18:00:00Z".to_owned());
        assert_eq!(Hold::of(&tags).expect("a hold").holder, Holder::Hand);
    }

    #[test]
    fn the_longest_hold_is_obeyed_by_a_watcher_whose_clock_is_behind() {
        let hold = Hold::for_the_next(LONGEST_HOLD, noon(), Holder::Hand);
        assert!(hold.is_in_force(noon() - minutes(4)));
    }
}
