//! Periods of time, and what of their ends the log shows.

use jiff::Timestamp;

/// A period of time. Its end is never before its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    from: Timestamp,
    to: Timestamp,
}

/// The start or the end of something, as far as the log shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The log contains it.
    Logged,
    /// The log doesn't contain it: it lies before the first line, after the last, or between two logs.
    Outside,
}

/// The period in which something existed, as far as the log shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The part that lies within the log.
    pub period: Period,
    /// The start, as far as the log shows it.
    pub start: Edge,
    /// The end, as far as the log shows it.
    pub end: Edge,
}

impl Period {
    /// Creates a period, which is empty if `to` is before `from`.
    pub fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to: to.max(from) }
    }

    /// Returns the start.
    pub fn from(self) -> Timestamp {
        self.from
    }

    /// Returns the end.
    pub fn to(self) -> Timestamp {
        self.to
    }

    /// Returns the length in seconds.
    pub fn seconds(self) -> f64 {
        self.to.duration_since(self.from).as_secs_f64()
    }

    /// Returns the length in hours.
    pub fn hours(self) -> f64 {
        self.seconds() / 3600.0
    }

    /// Returns the part that lies within the other period, if they touch.
    pub fn within(self, other: Self) -> Option<Self> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from <= to).then_some(Self { from, to })
    }

    /// Returns whether the period contains the instant. Of two adjacent periods, only the later contains their border.
    pub fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// Returns the shortest period that covers both.
    #[must_use]
    pub fn cover(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }
}

impl Lifetime {
    /// Returns the part that lies within the period. A cut end is outside.
    pub fn within(self, window: Period) -> Option<Self> {
        let period = self.period.within(window)?;
        let edge = |edge, is_cut: bool| if is_cut { Edge::Outside } else { edge };
        Some(Self {
            period,
            start: edge(self.start, self.period.from < window.from),
            end: edge(self.end, self.period.to > window.to),
        })
    }
}
