//! The legend of a service's charts.

use std::collections::BTreeSet;

use crate::chart::{BarKind, Chart, MarkKind};

/// What at least one chart contains.
pub struct Legend {
    pub bars: BTreeSet<BarKind>,
    pub marks: BTreeSet<MarkKind>,
    /// True if a chart draws the use.
    pub has_use: bool,
}

impl Legend {
    /// Collects what the charts contain.
    pub fn of<'a>(charts: impl Iterator<Item = &'a Chart> + Clone) -> Self {
        let lanes = charts.flat_map(|chart| &chart.lanes);
        Self {
            bars: lanes.clone().flat_map(|lane| &lane.bars).map(|bar| bar.kind).collect(),
            marks: lanes.clone().flat_map(|lane| &lane.marks).map(|mark| mark.kind).collect(),
            has_use: lanes.into_iter().any(|lane| !lane.strokes.is_empty()),
        }
    }

    /// Returns whether the charts contain nothing.
    pub fn is_empty(&self) -> bool {
        self.bars.is_empty() && self.marks.is_empty() && !self.has_use
    }
}

impl BarKind {
    /// Returns the text of the legend.
    pub fn legend(self) -> &'static str {
        match self {
            Self::Up => "load balancer up",
            Self::Idle => "marked idle",
            Self::Starting => "task started",
            Self::Registered => "registered",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Finding => "finding open",
        }
    }
}

impl MarkKind {
    /// Returns the text of the legend.
    pub fn legend(self) -> &'static str {
        match self {
            Self::Registered => "registration",
            Self::Healthy => "first healthy",
            Self::Deregistered => "deregistration",
            Self::Stopped => "stopped, unused",
            Self::Deleted => "load balancer deleted",
            Self::Failure => "failure",
            Self::StartsEarlier => "started earlier",
            Self::Continues => "continues",
        }
    }
}
