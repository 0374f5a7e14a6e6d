//! The lanes of a day's chart.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{BarKind, Canvas, Lane, Mark, MarkKind};
use crate::format;
use crate::history::{Failure, FindingLifetime, LoadBalancerLifetime, TargetState, TaskLifetime};
use crate::period::Edge;

/// The distance in percent below which two marks would cover each other.
const MIN_MARK_DISTANCE: f64 = 1.0;

impl Canvas<'_> {
    pub(super) fn load_balancers(&self, load_balancers: &[LoadBalancerLifetime], stops: &[Timestamp]) -> Option<Lane> {
        let shown = self.shown();
        let mut lane = Lane::new("Load balancer");
        let mut seconds = 0.0;
        for LoadBalancerLifetime { lifetime, idle } in load_balancers {
            let Some(visible) = lifetime.within(shown) else { continue };
            seconds += visible.period.seconds();
            let title = format!("load balancer up {}", format::lifetime(*lifetime));
            lane.bars.push(self.bar(visible.period, BarKind::Up, title));
            for idle in idle.iter().filter_map(|idle| idle.within(shown)) {
                lane.bars.push(self.bar(idle, BarKind::Idle, format!("marked idle: {}", format::period(idle))));
            }
            lane.marks.extend(self.open_ends(visible));
            if visible.end == Edge::Logged {
                lane.marks.push(self.instant(visible.period.to(), MarkKind::Deleted, "load balancer deleted"));
            }
        }
        let stops = stops.iter().filter(|at| shown.from() <= **at && **at <= shown.to());
        lane.marks.extend(stops.map(|at| self.instant(*at, MarkKind::Stopped, "scaled to zero because it was unused")));
        lane.detail = format!("up {}", format::duration(seconds));
        (!lane.bars.is_empty()).then_some(lane)
    }

    pub(super) fn task(&self, task: &TaskLifetime) -> Option<Lane> {
        let shown = self.shown();
        let visible = task.lifetime.within(shown)?;
        let mut lane = Lane::new(&format!("Task {}", format::short_id(&task.name)));
        if task.addresses.contains(&task.name) {
            lane.label = format!("Target {}", task.name);
        }
        lane.detail = task.addresses.iter().cloned().collect::<Vec<_>>().join(", ");
        for (period, state) in &task.states {
            let Some(visible) = period.within(shown) else { continue };
            let title = format!("{} {}: {}", task.name, state.description(), format::period(*period));
            lane.bars.push(self.bar(visible, bar_kind(*state), title));
        }
        lane.marks.extend(self.open_ends(visible));
        let first_healthy = task.states.iter().find(|(_, state)| *state == TargetState::Healthy);
        let first_healthy = first_healthy.map(|(period, _)| period.from());
        // The bar shows it as well, where it changes its kind.
        let covers_registration = |healthy: &Timestamp| {
            let place = |at: Timestamp| self.axis.percent(self.day, at);
            task.registered.first().is_some_and(|at| (place(*healthy) - place(*at)).abs() < MIN_MARK_DISTANCE)
        };
        let first_healthy: Vec<Timestamp> = first_healthy.filter(|at| !covers_registration(at)).into_iter().collect();
        for (instants, kind, text) in [
            (&task.registered, MarkKind::Registered, "registered"),
            (&first_healthy, MarkKind::Healthy, "healthy"),
            (&task.deregistered, MarkKind::Deregistered, "deregistered"),
        ] {
            let visible = instants.iter().filter(|at| shown.from() <= **at && **at <= shown.to());
            lane.marks.extend(visible.map(|at| self.instant(*at, kind, text)));
        }
        Some(lane)
    }

    /// Returns a lane for each kind of finding.
    pub(super) fn findings(&self, findings: &[FindingLifetime]) -> Vec<Lane> {
        let mut lanes: BTreeMap<&str, Lane> = BTreeMap::new();
        for finding in findings {
            let Some(visible) = finding.lifetime.within(self.shown()) else { continue };
            let lane = lanes.entry(&finding.name).or_insert_with(|| Lane::new("Finding"));
            lane.detail = format::spaced(&finding.name);
            let title = format!("{} on {}: open {}", lane.detail, finding.subject, format::lifetime(finding.lifetime));
            lane.bars.push(self.bar(visible.period, BarKind::Finding, title));
            lane.marks.extend(self.open_ends(visible));
        }
        lanes.into_values().collect()
    }

    pub(super) fn failures(&self, failures: &[Failure]) -> Option<Lane> {
        let failures: Vec<&Failure> = failures.iter().filter(|it| self.day.period.contains(it.at)).collect();
        let mut groups: Vec<(f64, Vec<&Failure>)> = Vec::new();
        for failure in &failures {
            let x = self.axis.percent(self.day, failure.at);
            match groups.last_mut() {
                Some((start, group)) if x - *start < MIN_MARK_DISTANCE => group.push(failure),
                _ => groups.push((x, vec![failure])),
            }
        }
        let mut lane = Lane::new("Failures");
        lane.marks = groups.into_iter().filter_map(|(_, group)| self.failure_mark(&group)).collect();
        lane.detail = failures.len().to_string();
        (!failures.is_empty()).then_some(lane)
    }

    /// Returns a mark whose tooltip is the text and the time.
    fn instant(&self, at: Timestamp, kind: MarkKind, text: &str) -> Mark {
        self.mark(at, kind, format!("{text} at {}", format::time(at)))
    }

    fn failure_mark(&self, group: &[&Failure]) -> Option<Mark> {
        let first = group.first()?;
        let others = match group.len() {
            1 => String::new(),
            all => format!(", and {} more", all - 1),
        };
        Some(self.instant(first.at, MarkKind::Failure, &format!("{}{others}", first.what)))
    }
}

fn bar_kind(state: TargetState) -> BarKind {
    match state {
        TargetState::Starting => BarKind::Starting,
        TargetState::Registered => BarKind::Registered,
        TargetState::Healthy => BarKind::Healthy,
        TargetState::Unhealthy => BarKind::Unhealthy,
    }
}
