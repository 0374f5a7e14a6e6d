//! Counts and sequences of recorded calls.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jvb_watcher_sandbox::wire::RecordedCall;

/// Recorded calls, in the order of their responses.
#[derive(Clone, Debug, Default)]
pub struct Journal(pub Vec<RecordedCall>);

impl Journal {
    /// Returns the number of calls of each operation.
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        self.0.iter().fold(BTreeMap::new(), |mut counts, call| {
            *counts.entry(call.operation.as_str()).or_default() += 1;
            counts
        })
    }

    /// Returns the number of calls of one operation.
    pub fn count(&self, operation: &str) -> usize {
        self.of(operation).count()
    }

    /// Returns the calls of one operation.
    pub fn of<'a>(&'a self, operation: &'a str) -> impl Iterator<Item = &'a RecordedCall> {
        self.0.iter().filter(move |call| call.operation == operation)
    }

    /// Returns the calls that began at a time or later, and before another.
    #[must_use]
    pub fn between(&self, from: Instant, to: Instant) -> Self {
        Self(self.0.iter().filter(|call| (from..to).contains(&call.began)).cloned().collect())
    }

    /// Returns the calls of all services but the queue's.
    #[must_use]
    pub fn without_queue(&self) -> Self {
        Self(self.0.iter().filter(|call| !call.operation.starts_with("sqs:")).cloned().collect())
    }

    /// Returns the lengths of all requests' and of all responses' bodies.
    pub fn bytes(&self) -> (usize, usize) {
        self.0.iter().fold((0, 0), |(sent, received), call| (sent + call.request.len(), received + call.response_bytes))
    }

    /// Returns the time from the beginning of the first call of an operation to the end of the last one of another.
    pub fn span(&self, first: &str, last: &str) -> Option<Duration> {
        let began = self.of(first).map(|call| call.began).min()?;
        let ended = self.of(last).map(|call| call.ended).max()?;
        Some(ended.saturating_duration_since(began))
    }

    /// Returns the longest sequence of calls within a time of which each began after the one before had its response:
    /// the round trips that can't have been made side by side.
    ///
    /// Calls that the program sends side by side can still reach the sandbox one after the other. A latency in the fault
    /// plan that is long beside the program's own time makes them overlap.
    pub fn longest_sequence(&self, from: Instant, to: Instant) -> Vec<&RecordedCall> {
        let mut within: Vec<_> = self.0.iter().filter(|call| call.began >= from && call.ended <= to).collect();
        // Taking the call that ends first leaves the most room for those after it.
        within.sort_by_key(|call| call.ended);
        let mut sequence: Vec<&RecordedCall> = Vec::new();
        for call in within {
            if sequence.last().is_none_or(|last| call.began >= last.ended) {
                sequence.push(call);
            }
        }
        sequence
    }
}

/// Returns when the response to ReceiveMessage that brought the first message after a time had been sent, and when the
/// first call of RegisterTargets after it arrived.
pub fn receipt_and_registration(journal: &Journal, sent: Instant) -> Option<(Instant, Instant)> {
    let receipts = journal.of("sqs:ReceiveMessage").map(|call| call.ended);
    let received = receipts.filter(|ended| *ended >= sent).min()?;
    let registrations = journal.of("elasticloadbalancing:RegisterTargets").map(|call| call.began);
    Some((received, registrations.filter(|began| *began >= received).min()?))
}

/// Returns the value below which a share of the values lies, from 0 to 1; none of no values.
pub fn percentile<T: Copy + PartialOrd>(values: &[T], share: f64) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let index = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(origin: Instant, operation: &str, began: u64, ended: u64) -> RecordedCall {
        let at = |millis| origin + Duration::from_millis(millis);
        let (request, response_bytes) = (b"12345".as_slice().into(), 7);
        RecordedCall { operation: operation.to_owned(), began: at(began), ended: at(ended), request, response_bytes }
    }

    #[test]
    fn a_sequence_has_no_two_calls_that_overlap() {
        let origin = Instant::now();
        let at = |millis| origin + Duration::from_millis(millis);
        let journal = Journal(vec![
            call(origin, "sqs:ReceiveMessage", 0, 10),
            call(origin, "ecs:ListTasks", 11, 20),
            call(origin, "elasticloadbalancing:DescribeLoadBalancers", 11, 40),
            call(origin, "ecs:DescribeTasks", 21, 30),
            call(origin, "ecs:DescribeServices", 31, 39),
            call(origin, "elasticloadbalancing:DescribeTags", 41, 50),
            call(origin, "elasticloadbalancing:RegisterTargets", 51, 60),
        ]);
        let names: Vec<_> =
            journal.longest_sequence(at(10), at(51)).iter().map(|call| call.operation.as_str()).collect();
        assert_eq!(
            names,
            ["ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeServices", "elasticloadbalancing:DescribeTags"]
        );
        assert_eq!(journal.bytes(), (35, 49));
        assert_eq!(journal.without_queue().0.len(), 6);
        assert_eq!(journal.between(at(11), at(31)).0.len(), 3);
        let span = journal.span("sqs:ReceiveMessage", "elasticloadbalancing:RegisterTargets");
        assert_eq!(span, Some(Duration::from_millis(60)));
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        assert_eq!(percentile::<f64>(&[], 0.5), None);
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(percentile(&[1, 2, 3, 4], 0.99), Some(4));
        assert_eq!(percentile(&[1, 2, 3, 4], 0.0), Some(1));
    }
}
