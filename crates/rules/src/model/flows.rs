//! The flows over a load balancer, minute by minute, as CloudWatch shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

/// The length of one data point.
pub const MINUTE: Duration = Duration::from_secs(60);

/// The minutes of a load balancer that CloudWatch shows, by their start. A minute that isn't among them is unknown, and
/// unknown counts as in use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowHistory {
    /// The known minutes, by their start.
    pub minutes: BTreeMap<Timestamp, MinuteFlows>,
    /// Why the latest minutes could not be read, if so.
    pub problem: Option<FlowProblem>,
}

/// Why the latest minutes could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowProblem {
    /// The error, with its remedy.
    pub reason: String,
    /// Whether the error persists until an operator acts.
    pub is_permanent: bool,
}

/// The protocols of listeners whose flows count as use; none stands for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowProtocols {
    /// UDP: media.
    pub udp: bool,
    /// TCP.
    pub tcp: bool,
    /// TLS.
    pub tls: bool,
}

impl FlowProtocols {
    /// UDP alone.
    pub const MEDIA: Self = Self { udp: true, tcp: false, tls: false };

    /// Returns whether the flows of all protocols count.
    pub fn are_all(self) -> bool {
        self == Self::default()
    }
}

/// What is known of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MinuteFlows {
    /// The flows of the listeners that count as use, over all nodes of the load balancer.
    pub flows: u64,
    /// The number of healthy targets; `None` where CloudWatch doesn't show it.
    pub healthy: Option<u64>,
}

/// Returns the start of the minute that an instant lies in.
pub fn minute_of(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    let minute = i64::try_from(MINUTE.as_secs()).unwrap_or(60);
    Timestamp::from_second(second - second.rem_euclid(minute)).unwrap_or(at)
}

impl FlowHistory {
    /// Returns the newest known minute, with its start.
    pub fn newest(&self) -> Option<(Timestamp, MinuteFlows)> {
        self.minutes.last_key_value().map(|(start, minute)| (*start, *minute))
    }

    /// Returns the start of the run of minutes without use that ends with the newest known one, if that one is without
    /// use. An unknown minute ends the run, too.
    pub fn unused_since(&self, threshold: u64) -> Option<Timestamp> {
        let (newest, _) = self.newest()?;
        self.unused_before(newest + MINUTE, threshold)
    }

    /// Returns the start of the run of minutes without use that ends at this start of a minute.
    pub fn unused_before(&self, end: Timestamp, threshold: u64) -> Option<Timestamp> {
        let mut since = None;
        let mut expected = end - MINUTE;
        for (start, minute) in self.minutes.range(..end).rev() {
            if *start != expected || minute.flows > threshold {
                break;
            }
            since = Some(*start);
            expected -= MINUTE;
        }
        since
    }

    /// Returns the start of the run of minutes with a healthy target that ends at this start of a minute.
    pub fn healthy_before(&self, end: Timestamp) -> Option<Timestamp> {
        let is_healthy = |start: &Timestamp| {
            let minute = self.minutes.get(start);
            minute.and_then(|minute| minute.healthy).is_some_and(|healthy| healthy > 0)
        };
        let earlier = std::iter::successors(Some(end - MINUTE), |start| Some(*start - MINUTE));
        earlier.take_while(is_healthy).last()
    }

    /// Returns the start of the newest known minute with use, from an instant on.
    pub fn last_used_from(&self, from: Timestamp, threshold: u64) -> Option<Timestamp> {
        let mut used = self.minutes.range(from..).filter(|(_, minute)| minute.flows > threshold);
        used.next_back().map(|(start, _)| *start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples::{minutes, noon};

    /// The flows in each minute before noon, the newest last; `None` for an unknown one.
    fn history(flows: &[Option<u64>]) -> FlowHistory {
        let ages = (1..=flows.len()).rev();
        let known = ages.zip(flows).filter_map(|(age, flows)| {
            let start = noon() - minutes(i64::try_from(age).expect("a short history"));
            Some((start, MinuteFlows { flows: (*flows)?, healthy: None }))
        });
        FlowHistory { minutes: known.collect(), problem: None }
    }

    #[test]
    fn the_time_without_use_begins_after_use_and_after_an_unknown_minute() {
        for (flows, unused_for) in [
            (vec![Some(2), Some(1), Some(0)], Some(2)),
            (vec![Some(0), None, Some(0)], Some(1)),
            (vec![Some(0), Some(0), Some(2)], None),
            (vec![Some(0), Some(0)], Some(2)),
            (vec![], None),
        ] {
            let since = unused_for.map(|minutes_ago| noon() - minutes(minutes_ago));
            assert_eq!(history(&flows).unused_since(1), since, "{flows:?}");
        }
        let before = |flows: &[_]| history(flows).unused_before(noon() - minutes(1), 1);
        assert_eq!(before(&[Some(0), Some(0), Some(9)]), Some(noon() - minutes(3)));
        assert_eq!(before(&[Some(0), None, Some(0)]), None);
    }

    #[test]
    fn the_newest_minute_is_the_newest_known_one() {
        let newest = history(&[Some(4), Some(3), None]).newest();
        assert_eq!(newest, Some((noon() - minutes(2), MinuteFlows { flows: 3, healthy: None })));
    }

    #[test]
    fn the_last_use_is_the_newest_minute_above_the_threshold() {
        let history = history(&[Some(3), Some(2), Some(1), None]);
        assert_eq!(history.last_used_from(noon() - minutes(9), 1), Some(noon() - minutes(3)));
        assert_eq!(history.last_used_from(noon() - minutes(9), 2), Some(noon() - minutes(4)));
        assert_eq!(history.last_used_from(noon() - minutes(2), 1), None);
    }

    #[test]
    fn no_protocol_stands_for_all() {
        assert!(FlowProtocols::default().are_all() && !FlowProtocols::MEDIA.are_all());
    }
}
