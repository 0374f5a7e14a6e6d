//! When there was a load balancer.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::line::{Line, LoggedEvent};
use crate::period::{Edge, Life, Period};

/// A deleted balancer may show for so long. Whoever sees one later sees another.
const SHOWS_AFTER_DELETION: Duration = Duration::from_secs(5 * 60);

/// One balancer's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalancerLife {
    /// From its creation, or the first look that saw it, to its deletion, or the first look that saw it gone.
    pub life: Life,
    /// When it stood for nobody: from its idle mark to the mark's removal, or the end.
    pub idle: Vec<Period>,
}

/// Follows the balancers through the lines.
pub(super) struct Balancers {
    log: Period,
    lives: Vec<BalancerLife>,
    standing: Option<Standing>,
    /// The deletion after which nobody has seen yet that it is gone.
    deleted: Option<Timestamp>,
    deleted_arns: BTreeSet<String>,
    /// Whether a look has told yet if there is a balancer.
    is_known: bool,
}

struct Standing {
    from: Timestamp,
    began: Edge,
    marked: Option<Timestamp>,
    idle: Vec<Period>,
}

impl Balancers {
    pub fn new(log: Period) -> Self {
        Self { log, lives: Vec::new(), standing: None, deleted: None, deleted_arns: BTreeSet::new(), is_known: false }
    }

    pub fn read(&mut self, line: &Line) {
        match &line.event {
            LoggedEvent::Reconciled { load_balancer_state, .. } => {
                match load_balancer_state.as_str() {
                    "absent" => {
                        self.deleted = None;
                        self.end(line.at, Edge::Seen);
                    }
                    state => self.see(state, line.at),
                }
                self.is_known = true;
            }
            LoggedEvent::IdleMarked { .. } => {
                self.see("active", line.at);
                if let Some(standing) = &mut self.standing {
                    standing.marked.get_or_insert(line.at);
                }
            }
            LoggedEvent::IdleUnmarked => {
                if let Some(standing) = &mut self.standing {
                    standing.unmark(line.at);
                }
            }
            LoggedEvent::LoadBalancerDeleted { load_balancer_arn, uptime_seconds } => {
                self.delete(load_balancer_arn, *uptime_seconds, line.at);
            }
            LoggedEvent::TeardownCompleted => {
                self.deleted = None;
                self.end(line.at, Edge::Seen);
            }
            _ => {}
        }
    }

    /// A look saw one in this state.
    fn see(&mut self, state: &str, at: Timestamp) {
        let is_the_deleted_one = self.deleted.is_some_and(|deleted| {
            state != "provisioning" && at.duration_since(deleted).unsigned_abs() < SHOWS_AFTER_DELETION
        });
        if self.standing.is_some() || is_the_deleted_one {
            return;
        }
        self.deleted = None;
        let (from, began) = if self.is_known { (at, Edge::Seen) } else { (self.log.from(), Edge::Unseen) };
        self.standing = Some(Standing { from, began, marked: None, idle: Vec::new() });
    }

    fn delete(&mut self, arn: &str, uptime_seconds: u64, at: Timestamp) {
        if !self.deleted_arns.insert(arn.to_owned()) {
            // Two workers may both have deleted it.
            return;
        }
        let created = at.checked_sub(Duration::from_secs(uptime_seconds)).unwrap_or(Timestamp::MIN);
        let mut standing =
            self.standing.take().unwrap_or(Standing { from: at, began: Edge::Seen, marked: None, idle: Vec::new() });
        // The log shows no more of it than since it begins, or since the last one's end.
        let earliest = self.lives.last().map_or(self.log.from(), |last| last.life.period.to());
        standing.began = if created < self.log.from() { Edge::Unseen } else { Edge::Seen };
        standing.from = created.clamp(earliest.min(at), at);
        self.standing = Some(standing);
        self.end(at, Edge::Seen);
        self.deleted = Some(at);
        self.is_known = true;
    }

    fn end(&mut self, at: Timestamp, ended: Edge) {
        if let Some(mut standing) = self.standing.take() {
            standing.unmark(at);
            let life = Life { period: Period::new(standing.from, at), began: standing.began, ended };
            self.lives.push(BalancerLife { life, idle: standing.idle });
        }
    }

    /// The balancers, and how many of them the watcher deleted.
    pub fn finish(mut self) -> (Vec<BalancerLife>, usize) {
        self.end(self.log.to(), Edge::Unseen);
        (self.lives, self.deleted_arns.len())
    }
}

impl Standing {
    fn unmark(&mut self, at: Timestamp) {
        self.idle.extend(self.marked.take().map(|marked| Period::new(marked, at)));
    }
}
