//! Stretches of time.

use jiff::Timestamp;

/// A stretch of time; it ends no earlier than it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    from: Timestamp,
    to: Timestamp,
}

/// Whether the log shows an end of something, or it lies beyond the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// It is in the log.
    Seen,
    /// It isn't: something had begun before the log, or wasn't over when the log ended.
    Unseen,
}

/// From when to when something was there, and what of that the log shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The time, within the log's.
    pub period: Period,
    /// Whether its beginning is in the log.
    pub began: Edge,
    /// Whether its end is.
    pub ended: Edge,
}

impl Period {
    /// From the one to the other; nothing at all, where the other is earlier.
    pub fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to: to.max(from) }
    }

    /// When it begins.
    pub fn from(self) -> Timestamp {
        self.from
    }

    /// When it ends.
    pub fn to(self) -> Timestamp {
        self.to
    }

    /// How long it is, in seconds.
    pub fn seconds(self) -> f64 {
        self.to.duration_since(self.from).as_secs_f64()
    }

    /// How long it is, in hours.
    pub fn hours(self) -> f64 {
        self.seconds() / 3600.0
    }

    /// What of it lies in the other, if they touch.
    pub fn within(self, other: Self) -> Option<Self> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from <= to).then_some(Self { from, to })
    }

    /// Whether the instant lies in it. It is in one only of two that follow each other.
    pub fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// The shortest that covers both.
    #[must_use]
    pub fn cover(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }
}

impl Life {
    /// The two ends that belong to what of it lies in the other period.
    pub fn within(self, other: Period) -> Option<Self> {
        let period = self.period.within(other)?;
        let edge = |edge, is_cut: bool| if is_cut { Edge::Unseen } else { edge };
        Some(Self {
            period,
            began: edge(self.began, self.period.from < other.from),
            ended: edge(self.ended, self.period.to > other.to),
        })
    }
}
