//! The lifetimes of the load balancers.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::line::{Line, LoggedEvent};
use crate::period::{Edge, Lifetime, Period};

/// The longest time for which AWS may still list a deleted load balancer. One that is observed later is another one.
const LISTED_AFTER_DELETION: Duration = Duration::from_secs(5 * 60);

/// The lifetime of one load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancerLifetime {
    /// From its creation, or its first observation, to its deletion, or the first observation without it.
    pub lifetime: Lifetime,
    /// The periods in which it had the idle mark.
    pub idle: Vec<Period>,
}

/// Follows the load balancers through the lines.
pub struct LoadBalancers {
    log: Period,
    ended: Vec<LoadBalancerLifetime>,
    current: Option<Current>,
    /// The last deletion, until an observation confirms it.
    deleted: Option<Timestamp>,
    deleted_arns: BTreeSet<String>,
    /// True once an observation has shown whether there is a load balancer.
    is_known: bool,
}

/// The load balancer that exists at present.
struct Current {
    from: Timestamp,
    start: Edge,
    marked: Option<Timestamp>,
    idle: Vec<Period>,
}

impl LoadBalancers {
    pub fn new(log: Period) -> Self {
        Self { log, ended: Vec::new(), current: None, deleted: None, deleted_arns: BTreeSet::new(), is_known: false }
    }

    pub fn follow(&mut self, line: &Line) {
        match &line.event {
            LoggedEvent::Reconciled { load_balancer_state, .. } => {
                match load_balancer_state.as_str() {
                    "absent" => {
                        self.deleted = None;
                        self.end(line.at, Edge::Logged);
                    }
                    state => self.observe(state, line.at),
                }
                self.is_known = true;
            }
            LoggedEvent::IdleMarked { .. } => {
                self.observe("active", line.at);
                if let Some(current) = &mut self.current {
                    current.marked.get_or_insert(line.at);
                }
            }
            LoggedEvent::IdleUnmarked => {
                if let Some(current) = &mut self.current {
                    current.unmark(line.at);
                }
            }
            LoggedEvent::LoadBalancerDeleted { load_balancer_arn, uptime_seconds } => {
                self.delete(load_balancer_arn, *uptime_seconds, line.at);
            }
            LoggedEvent::TeardownCompleted => {
                self.deleted = None;
                self.end(line.at, Edge::Logged);
            }
            _ => {}
        }
    }

    fn observe(&mut self, state: &str, at: Timestamp) {
        let is_deleted_one = self.deleted.is_some_and(|deleted| {
            state != "provisioning" && at.duration_since(deleted).unsigned_abs() < LISTED_AFTER_DELETION
        });
        if self.current.is_some() || is_deleted_one {
            return;
        }
        self.deleted = None;
        let (from, start) = if self.is_known { (at, Edge::Logged) } else { (self.log.from(), Edge::Outside) };
        self.current = Some(Current { from, start, marked: None, idle: Vec::new() });
    }

    fn delete(&mut self, arn: &str, uptime_seconds: u64, at: Timestamp) {
        // ARNs are unique over time: a later report of the same one is another worker's.
        if !self.deleted_arns.insert(arn.to_owned()) {
            return;
        }
        let created = at.checked_sub(Duration::from_secs(uptime_seconds)).unwrap_or(Timestamp::MIN);
        let mut current =
            self.current.take().unwrap_or(Current { from: at, start: Edge::Logged, marked: None, idle: Vec::new() });
        // The page covers neither the time before the log nor the lifetime of the load balancer before this one.
        let earliest = self.ended.last().map_or(self.log.from(), |last| last.lifetime.period.to());
        current.start = if created < self.log.from() { Edge::Outside } else { Edge::Logged };
        current.from = created.clamp(earliest.min(at), at);
        self.current = Some(current);
        self.end(at, Edge::Logged);
        self.deleted = Some(at);
        self.is_known = true;
    }

    fn end(&mut self, at: Timestamp, end: Edge) {
        if let Some(mut current) = self.current.take() {
            current.unmark(at);
            let lifetime = Lifetime { period: Period::new(current.from, at), start: current.start, end };
            self.ended.push(LoadBalancerLifetime { lifetime, idle: current.idle });
        }
    }

    /// Returns the load balancers, and how many of them the watcher deleted.
    pub fn finish(mut self) -> (Vec<LoadBalancerLifetime>, usize) {
        self.end(self.log.to(), Edge::Outside);
        (self.ended, self.deleted_arns.len())
    }
}

impl Current {
    fn unmark(&mut self, at: Timestamp) {
        self.idle.extend(self.marked.take().map(|marked| Period::new(marked, at)));
    }
}
