//! The budget of calls: a share of the account's API quotas, so that a process that watches many services leaves the rest
//! to others.
//!
//! A process waits for its budget before an observation begins, and never within one: what an observation has read would
//! grow stale. So the calls of an observation, and writes, are counted and never delayed; the next observations wait until
//! they are paid for. Those that wait together begin together, and their reads are coalesced.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use tokio::time::Instant;

use crate::aws::Urgency;

/// The share of each quota that a process may use.
const SHARE: f64 = 0.5;

/// The account's quotas in each region: the operations that share it, the burst, and the calls a second.
///
/// "Request throttling for the Amazon ECS API" in the ECS API reference has the burst and the sustained rate of each kind
/// of actions; "Request throttling for the ELB API" in the user guide of Elastic Load Balancing has the bucket and the
/// refill rate that all non-mutating actions share.
const QUOTAS: [(&[&str], f64, f64); 4] = [
    (&["DescribeServices"], 100.0, 20.0),
    (&["ListTasks", "DescribeTasks"], 100.0, 20.0),
    (&["DescribeTaskDefinition"], 50.0, 20.0),
    (&["DescribeLoadBalancers", "DescribeTargetGroups", "DescribeTargetHealth", "DescribeTags"], 40.0, 10.0),
];

/// The calls that a process may still make. Clones share them.
#[derive(Clone)]
pub(super) struct Budget(Arc<Vec<Bucket>>);

/// A token bucket. It can be in debt: calls are counted, not refused.
struct Bucket {
    operations: &'static [&'static str],
    capacity: f64,
    per_second: f64,
    level: Mutex<Level>,
}

struct Level {
    tokens: f64,
    at: Instant,
}

impl Budget {
    /// A full budget.
    pub(super) fn new() -> Self {
        let bucket = |(operations, burst, per_second)| {
            let capacity = burst * SHARE;
            let level = Mutex::new(Level { tokens: capacity, at: Instant::now() });
            Bucket { operations, capacity, per_second: per_second * SHARE, level }
        };
        Self(Arc::new(QUOTAS.into_iter().map(bucket).collect()))
    }

    /// Waits until an observation may begin. One that an event has announced may begin while as much is owed as a full
    /// bucket holds.
    pub(super) async fn ready(&self, urgency: Urgency) {
        loop {
            let wait = self.0.iter().map(|bucket| bucket.wait(urgency)).max().unwrap_or_default();
            if wait.is_zero() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Counts a call.
    fn spend(&self, operation: &str) {
        for bucket in self.0.iter().filter(|bucket| bucket.operations.contains(&operation)) {
            bucket.with_level(|level| level.tokens -= 1.0);
        }
    }
}

impl Bucket {
    /// Returns the time until the bucket has what an observation needs to begin.
    fn wait(&self, urgency: Urgency) -> Duration {
        let needed = match urgency {
            Urgency::Event => 1.0 - self.capacity,
            Urgency::Resync => 1.0,
        };
        let missing = self.with_level(|level| needed - level.tokens).max(0.0);
        // Rounded up to the resolution of timers, or the wait would be followed by another.
        Duration::from_millis((missing / self.per_second * 1_000.0).ceil() as u64)
    }

    fn with_level<T>(&self, act: impl FnOnce(&mut Level) -> T) -> T {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let refill = now.duration_since(level.at).as_secs_f64() * self.per_second;
        level.tokens = (level.tokens + refill).min(self.capacity);
        level.at = now;
        act(&mut level)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Budget")
    }
}

#[dyn_dispatch_hint]
impl Intercept for Budget {
    fn name(&self) -> &'static str {
        "Budget"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(metadata) = config.load::<Metadata>() {
            self.spend(metadata.name());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn waited(budget: &Budget, urgency: Urgency) -> Duration {
        let began = Instant::now();
        budget.ready(urgency).await;
        began.elapsed()
    }

    fn spend(budget: &Budget, operation: &str, calls: usize) {
        (0..calls).for_each(|_| budget.spend(operation));
    }

    #[tokio::test(start_paused = true)]
    async fn observations_wait_once_half_of_the_burst_is_spent() {
        let budget = Budget::new();
        spend(&budget, "DescribeTags", 19);
        assert_eq!(waited(&budget, Urgency::Resync).await, Duration::ZERO);
        spend(&budget, "DescribeTargetHealth", 1);
        // Half of ten calls a second.
        assert_eq!(waited(&budget, Urgency::Resync).await, Duration::from_millis(200));
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_goes_first() {
        let budget = Budget::new();
        spend(&budget, "DescribeTargetHealth", 39);
        assert_eq!(waited(&budget, Urgency::Event).await, Duration::ZERO);
        spend(&budget, "DescribeTargetHealth", 1);
        assert_eq!(waited(&budget, Urgency::Event).await, Duration::from_millis(200));
        assert_eq!(waited(&budget, Urgency::Resync).await, Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_wait_begin_together() {
        let budget = Budget::new();
        spend(&budget, "ListTasks", 60);
        let all = (0..5).map(|_| waited(&budget, Urgency::Resync));
        let waits = futures_util::future::join_all(all).await;
        assert_eq!(waits, [Duration::from_millis(1_100); 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_night_saves_no_more_than_a_burst() {
        let budget = Budget::new();
        tokio::time::sleep(Duration::from_secs(12 * 60 * 60)).await;
        spend(&budget, "DescribeServices", 50);
        assert!(waited(&budget, Urgency::Resync).await > Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn writes_are_not_counted() {
        let budget = Budget::new();
        spend(&budget, "RegisterTargets", 1_000);
        spend(&budget, "DeleteLoadBalancer", 1_000);
        assert_eq!(waited(&budget, Urgency::Resync).await, Duration::ZERO);
    }
}
