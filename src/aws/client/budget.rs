//! The budget of calls: a share of the account's API quotas, so that a process that watches many services leaves the rest
//! to others.
//!
//! A process waits for its budget before an observation begins, and never within one: what an observation has read would
//! grow stale. So the calls of an observation, and writes, are counted and never delayed; the next observations wait until
//! they are paid for. Those that wait together begin together, and their reads are coalesced.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
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

/// The share of AWS's default quotas that a process may use: more than 1 where AWS has raised the account's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuotaShare(f64);

impl QuotaShare {
    /// Less would keep a service from ever being observed; more can't be what was meant.
    const RANGE: RangeInclusive<f64> = 0.01..=1_000.0;
}

impl Default for QuotaShare {
    /// Half of each, which leaves as much to the account's other callers.
    fn default() -> Self {
        Self(0.5)
    }
}

impl FromStr for QuotaShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let share = text.parse().ok().filter(|share| Self::RANGE.contains(share));
        share.map(Self).ok_or_else(|| "it must be a number from 0.01 to 1000, e.g. 0.5 for half".to_owned())
    }
}

impl fmt::Display for QuotaShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The longest time for which a resync leaves the budget to urgent observations: half of the default resync interval, so that
/// no service goes unobserved for longer than two intervals.
const PATIENCE: Duration = Duration::from_secs(30);

/// AWS's default quotas for an account in each region: the operations that share it, the burst, and the calls a second.
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
    pub(super) fn new(QuotaShare(share): QuotaShare) -> Self {
        let bucket = |(operations, burst, per_second)| {
            let capacity = burst * share;
            let level = Mutex::new(Level { tokens: capacity, at: Instant::now() });
            Bucket { operations, capacity, per_second: per_second * share, level }
        };
        Self(Arc::new(QUOTAS.into_iter().map(bucket).collect()))
    }

    /// Waits until an observation may begin. An urgent one may begin while as much is owed as a full bucket holds, and so
    /// may one that has waited for [`PATIENCE`]: urgent ones that never cease must not keep it waiting for ever.
    pub(super) async fn ready(&self, urgency: Urgency) {
        let longest = |urgency| self.0.iter().map(|bucket| bucket.wait(urgency)).max().unwrap_or_default();
        let urgent_from = match urgency {
            Urgency::Urgent => Instant::now(),
            Urgency::Resync => Instant::now() + PATIENCE,
        };
        loop {
            let until_urgent = urgent_from.saturating_duration_since(Instant::now());
            let wait = match until_urgent.is_zero() {
                true => longest(Urgency::Urgent),
                false => longest(Urgency::Resync).min(until_urgent),
            };
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
            Urgency::Urgent => 1.0 - self.capacity,
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
        let budget = Budget::new(QuotaShare::default());
        spend(&budget, "DescribeTags", 19);
        assert_eq!(waited(&budget, Urgency::Resync).await, Duration::ZERO);
        spend(&budget, "DescribeTargetHealth", 1);
        // Half of ten calls a second.
        assert_eq!(waited(&budget, Urgency::Resync).await, Duration::from_millis(200));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_urgent_goes_first() {
        let budget = Budget::new(QuotaShare::default());
        spend(&budget, "DescribeTargetHealth", 39);
        assert_eq!(waited(&budget, Urgency::Urgent).await, Duration::ZERO);
        spend(&budget, "DescribeTargetHealth", 1);
        assert_eq!(waited(&budget, Urgency::Urgent).await, Duration::from_millis(200));
        assert_eq!(waited(&budget, Urgency::Resync).await, Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_resync_waits_for_half_a_minute_at_most_while_urgent_ones_never_cease() {
        let budget = Budget::new(QuotaShare::default());
        let urgent = async {
            loop {
                budget.ready(Urgency::Urgent).await;
                spend(&budget, "DescribeTargetHealth", 1);
            }
        };
        let waited = tokio::select! {
            () = urgent => unreachable!("it never ceases"),
            waited = async {
                tokio::time::sleep(Duration::from_secs(60)).await;
                waited(&budget, Urgency::Resync).await
            } => waited,
        };
        assert!((PATIENCE..PATIENCE + Duration::from_secs(1)).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_wait_begin_together() {
        let budget = Budget::new(QuotaShare::default());
        spend(&budget, "ListTasks", 60);
        let all = (0..5).map(|_| waited(&budget, Urgency::Resync));
        let waits = futures_util::future::join_all(all).await;
        assert_eq!(waits, [Duration::from_millis(1_100); 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_night_saves_no_more_than_a_burst() {
        let budget = Budget::new(QuotaShare::default());
        tokio::time::sleep(Duration::from_secs(12 * 60 * 60)).await;
        spend(&budget, "DescribeServices", 50);
        assert!(waited(&budget, Urgency::Resync).await > Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_raised_quota_allows_as_much_more() {
        let budget = Budget::new("20".parse().expect("a share"));
        spend(&budget, "DescribeTargetHealth", 799);
        assert_eq!(waited(&budget, Urgency::Resync).await, Duration::ZERO);
        spend(&budget, "DescribeTargetHealth", 1);
        // 20 times ten calls a second.
        assert_eq!(waited(&budget, Urgency::Resync).await, Duration::from_millis(5));
    }

    #[test]
    fn a_share_is_a_number_within_bounds() {
        assert_eq!("0.01".parse(), Ok(QuotaShare(0.01)));
        assert_eq!("1000".parse(), Ok(QuotaShare(1_000.0)));
        assert_eq!(QuotaShare::default().to_string(), "0.5");
        for wrong in ["", "half", "0", "0.009", "1000.1", "-1", "NaN", "inf"] {
            assert!(wrong.parse::<QuotaShare>().is_err(), "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn writes_are_not_counted() {
        let budget = Budget::new(QuotaShare::default());
        spend(&budget, "RegisterTargets", 1_000);
        spend(&budget, "DeleteLoadBalancer", 1_000);
        assert_eq!(waited(&budget, Urgency::Resync).await, Duration::ZERO);
    }
}
