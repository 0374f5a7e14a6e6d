//! Spreads the resyncs of many services over the resync interval.
//!
//! Services of one cluster are resynced in groups of ten, at the same time: the adapter reads ten services in one call of
//! DescribeServices, and has no other occasion to. The groups are spread evenly over the interval, so that a thousand
//! services don't exceed the rates of AWS's APIs at the start and once a minute after it.

use std::time::Duration;

use tokio::time::Instant;

/// The services of a group: as many as DescribeServices takes (see the ECS API reference).
const GROUP: usize = 10;

/// The groups of a worker's services.
#[derive(Debug, Default)]
pub(super) struct Resyncs {
    groups: Vec<Group>,
}

/// Services that are resynced at the same times.
#[derive(Debug)]
struct Group {
    cluster: String,
    interval: Duration,
    /// The first time; each further one is an interval later.
    first: Instant,
    members: usize,
}

/// A service's place in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(usize);

impl Resyncs {
    /// Adds a service to a group. Returns its place, and the time of its first reconciliation: for the first service of all
    /// it is now.
    pub(super) fn join(&mut self, cluster: &str, interval: Duration, now: Instant) -> (Slot, Instant) {
        let has_room = |group: &Group| {
            group.cluster == cluster && group.interval == interval && (1..GROUP).contains(&group.members)
        };
        if let Some(number) = self.groups.iter().position(has_room) {
            let group = &mut self.groups[number];
            group.members += 1;
            return (Slot(number), group.at_or_after(now));
        }
        let number = self.groups.iter().position(|group| group.members == 0).unwrap_or(self.groups.len());
        let first = now + interval.mul_f64(phase(number));
        let group = Group { cluster: cluster.to_owned(), interval, first, members: 1 };
        match self.groups.get_mut(number) {
            Some(free) => *free = group,
            None => self.groups.push(group),
        }
        (Slot(number), first)
    }

    /// Removes a service from its group.
    pub(super) fn leave(&mut self, Slot(number): Slot) {
        self.groups[number].members -= 1;
    }

    /// Returns the group's first time from this one on, if the service shares its group with others. A service alone has
    /// nothing to share a call with, and is resynced an interval after its last reconciliation.
    pub(super) fn next(&self, Slot(number): Slot, from: Instant) -> Option<Instant> {
        let group = &self.groups[number];
        (group.members > 1).then(|| group.at_or_after(from))
    }
}

impl Group {
    fn at_or_after(&self, from: Instant) -> Instant {
        let Some(elapsed) = from.checked_duration_since(self.first) else { return self.first };
        let intervals = elapsed.as_nanos().div_ceil(self.interval.as_nanos().max(1));
        self.first + self.interval * u32::try_from(intervals).unwrap_or(u32::MAX)
    }
}

/// The phase of a group within the interval, as a fraction: 0, 1/2, 1/4, 3/4, 1/8, … (the van der Corput sequence). Any
/// number of groups is spread evenly to within a factor of two, and a further group moves no other.
fn phase(number: usize) -> f64 {
    f64::from((number as u32).reverse_bits()) / 2f64.powi(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn spreads_groups_of_ten_evenly_over_the_interval() {
        let mut resyncs = Resyncs::default();
        let now = Instant::now();
        let firsts: Vec<_> = (0..1_000).map(|_| resyncs.join("a", INTERVAL, now).1 - now).collect();
        for ten in firsts.chunks(10) {
            assert!(ten.iter().all(|first| *first == ten[0]), "{ten:?}");
        }
        assert_eq!(firsts[0], Duration::ZERO);
        for second in (0..60).step_by(6) {
            let within = |first: &&Duration| (second..second + 6).contains(&first.as_secs());
            let count = firsts.iter().filter(within).count();
            assert!((80..=130).contains(&count), "{count} services from second {second}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn groups_services_of_one_cluster_and_one_interval() {
        let mut resyncs = Resyncs::default();
        let now = Instant::now();
        let (a, _) = resyncs.join("a", INTERVAL, now);
        let (b, _) = resyncs.join("b", INTERVAL, now);
        let (slow, _) = resyncs.join("a", 2 * INTERVAL, now);
        let (again, _) = resyncs.join("a", INTERVAL, now);
        assert_eq!(a, again);
        assert!(a != b && a != slow);
        assert_eq!(resyncs.next(b, now), None, "it is alone");
        assert_eq!(resyncs.next(a, now + Duration::from_secs(1)), Some(now + INTERVAL));
        assert_eq!(resyncs.next(a, now + INTERVAL), Some(now + INTERVAL));
        resyncs.leave(again);
        assert_eq!(resyncs.next(a, now), None);
    }

    #[tokio::test(start_paused = true)]
    async fn uses_the_place_of_a_group_that_is_gone() {
        let mut resyncs = Resyncs::default();
        let now = Instant::now();
        let (first, _) = resyncs.join("a", INTERVAL, now);
        resyncs.join("b", INTERVAL, now);
        resyncs.leave(first);
        assert_eq!(resyncs.join("c", INTERVAL, now + INTERVAL), (first, now + INTERVAL));
    }
}
