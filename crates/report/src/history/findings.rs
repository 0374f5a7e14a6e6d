//! How long each finding stood.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::line::{Line, LoggedEvent};
use crate::period::{Edge, Life, Period};

/// A finding that stands is said again every fifteen minutes (src/finding.rs). Who has heard nothing of it for so long
/// can't say that it stands.
const SILENCE: Duration = Duration::from_secs(20 * 60);

/// One finding's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingLife {
    /// Which finding it is.
    pub name: String,
    /// The resource that it is about.
    pub subject: String,
    /// What was seen at last.
    pub detail: String,
    /// What to do.
    pub advice: String,
    /// From when to when it stood.
    pub life: Life,
}

/// Follows the findings through the lines.
pub(super) struct Findings {
    log: Period,
    ended: Vec<FindingLife>,
    /// By name and subject.
    standing: BTreeMap<(String, String), Standing>,
}

struct Standing {
    from: Timestamp,
    began: Edge,
    heard: Timestamp,
    detail: String,
    advice: String,
}

impl Findings {
    pub fn new(log: Period) -> Self {
        Self { log, ended: Vec::new(), standing: BTreeMap::new() }
    }

    pub fn read(&mut self, line: &Line) {
        self.forget(line.at);
        match &line.event {
            LoggedEvent::Finding { finding, state, subject, detail, advice } => {
                let key = (finding.clone(), subject.clone());
                let (from, began) =
                    if state == "raised" { (line.at, Edge::Seen) } else { (self.log.from(), Edge::Unseen) };
                let standing = self.standing.entry(key).or_insert_with(|| Standing {
                    from,
                    began,
                    heard: line.at,
                    detail: String::new(),
                    advice: String::new(),
                });
                standing.heard = line.at;
                detail.clone_into(&mut standing.detail);
                advice.clone_into(&mut standing.advice);
                if state == "cleared" {
                    self.end(line.at, Edge::Seen, |name, about| (name, about) == (finding, subject));
                }
            }
            // None stands, whoever was to say so.
            LoggedEvent::Reconciled { findings: 0, .. } => self.end(line.at, Edge::Seen, |_, _| true),
            _ => {}
        }
    }

    /// Ends those of which nothing has been heard for too long, with what was heard last.
    fn forget(&mut self, now: Timestamp) {
        let is_silent = |standing: &Standing| now.duration_since(standing.heard).unsigned_abs() > SILENCE;
        for (key, standing) in self.standing.extract_if(.., |_, standing| is_silent(standing)) {
            let heard = standing.heard;
            self.ended.push(standing.end(key, heard, Edge::Unseen));
        }
    }

    fn end(&mut self, at: Timestamp, edge: Edge, is_meant: impl Fn(&String, &String) -> bool) {
        for (key, standing) in self.standing.extract_if(.., |(name, subject), _| is_meant(name, subject)) {
            self.ended.push(standing.end(key, at, edge));
        }
    }

    pub fn finish(mut self) -> Vec<FindingLife> {
        self.end(self.log.to(), Edge::Unseen, |_, _| true);
        self.ended.sort_by_key(|finding| finding.life.period.from());
        self.ended
    }
}

impl Standing {
    fn end(self, (name, subject): (String, String), at: Timestamp, ended: Edge) -> FindingLife {
        let Self { from, began, detail, advice, .. } = self;
        let life = Life { period: Period::new(from, at), began, ended };
        FindingLife { name, subject, detail, advice, life }
    }
}
