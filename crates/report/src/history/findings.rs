//! The lifetimes of the findings.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::line::{Line, LoggedEvent};
use crate::period::{Edge, Lifetime, Period};

/// The longest time without a line about an open finding. The watcher repeats one every fifteen minutes (docs/logs.md);
/// after a longer silence the log no longer shows that it is open.
const MAX_SILENCE: Duration = Duration::from_secs(20 * 60);

/// The lifetime of one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingLifetime {
    /// The finding's name.
    pub name: String,
    /// The resource that it is about.
    pub subject: String,
    /// The last observation.
    pub detail: String,
    /// The remedy.
    pub advice: String,
    /// The period in which it was open.
    pub lifetime: Lifetime,
}

/// Follows the findings through the lines.
pub struct Findings {
    log: Period,
    ended: Vec<FindingLifetime>,
    open: BTreeMap<Key, Open>,
    /// The end of each finding's last lifetime.
    last_ends: BTreeMap<Key, (Timestamp, Edge)>,
}

/// A finding's name and subject.
type Key = (String, String);

struct Open {
    from: Timestamp,
    start: Edge,
    last_reported: Timestamp,
    detail: String,
    advice: String,
}

impl Findings {
    pub fn new(log: Period) -> Self {
        Self { log, ended: Vec::new(), open: BTreeMap::new(), last_ends: BTreeMap::new() }
    }

    pub fn follow(&mut self, line: &Line) {
        self.end_silent(line.at);
        match &line.event {
            LoggedEvent::Finding { finding, state, subject, detail, advice } => {
                let key = (finding.clone(), subject.clone());
                let is_cleared = state == "cleared";
                let last_end = self.last_ends.get(&key).copied();
                // Another worker has already cleared it.
                if is_cleared && !self.open.contains_key(&key) && matches!(last_end, Some((_, Edge::Logged))) {
                    return;
                }
                // If the log doesn't show it being raised, it was open since the log's start, or its own last end.
                let earlier = last_end.map_or(self.log.from(), |(at, _)| at);
                let (from, start) = if state == "raised" { (line.at, Edge::Logged) } else { (earlier, Edge::Outside) };
                let open = self.open.entry(key.clone()).or_insert_with(|| Open {
                    from,
                    start,
                    last_reported: line.at,
                    detail: String::new(),
                    advice: String::new(),
                });
                open.last_reported = line.at;
                detail.clone_into(&mut open.detail);
                advice.clone_into(&mut open.advice);
                if is_cleared {
                    self.end(line.at, Edge::Logged, |open| *open == key);
                }
            }
            // No finding is open, of whatever kind.
            LoggedEvent::Reconciled { findings: 0, .. } => self.end(line.at, Edge::Logged, |_| true),
            _ => {}
        }
    }

    /// Ends the findings without a report for too long, at their last report.
    fn end_silent(&mut self, now: Timestamp) {
        let is_silent = |open: &Open| now.duration_since(open.last_reported).unsigned_abs() > MAX_SILENCE;
        for (key, open) in self.open.extract_if(.., |_, open| is_silent(open)) {
            let at = open.last_reported;
            self.last_ends.insert(key.clone(), (at, Edge::Outside));
            self.ended.push(open.end(key, at, Edge::Outside));
        }
    }

    fn end(&mut self, at: Timestamp, end: Edge, is_meant: impl Fn(&Key) -> bool) {
        for (key, open) in self.open.extract_if(.., |key, _| is_meant(key)) {
            self.last_ends.insert(key.clone(), (at, end));
            self.ended.push(open.end(key, at, end));
        }
    }

    pub fn finish(mut self) -> Vec<FindingLifetime> {
        self.end(self.log.to(), Edge::Outside, |_| true);
        self.ended.sort_by_key(|finding| finding.lifetime.period.from());
        self.ended
    }
}

impl Open {
    fn end(self, (name, subject): Key, at: Timestamp, end: Edge) -> FindingLifetime {
        let Self { from, start, detail, advice, .. } = self;
        let lifetime = Lifetime { period: Period::new(from, at), start, end };
        FindingLifetime { name, subject, detail, advice, lifetime }
    }
}
