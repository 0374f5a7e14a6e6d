//! Fault injection between clients and the world: throttling, latency, errors and lost connections.
//!
//! A [`FaultPlan`] configures the faults. [`Faults`] holds a plan and decides for each request what happens to it. It is
//! pure: it draws from a seed and takes the time as an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use crate::api::Service;

mod plan;
#[cfg(test)]
mod tests;
mod token_bucket;

pub use plan::{Effect, FaultPlan, Moment, Pattern, PlanError, Rule, Throttle};
use token_bucket::TokenBucket;

/// Decision about one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Delay before the outcome.
    pub latency: Duration,
    /// Outcome after the delay.
    pub outcome: Outcome,
}

/// Outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request takes effect and receives its response.
    Pass,
    /// The request is refused and has no effect.
    Refuse(Refusal),
    /// The connection closes without a response.
    Drop(Moment),
}

/// An injected error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Error code.
    pub code: String,
    /// HTTP status.
    pub status: u16,
    /// Error message.
    pub message: String,
}

/// Fault injector: the active plan, its token buckets and its source of randomness.
#[derive(Clone, Debug)]
pub struct Faults {
    plan: FaultPlan,
    buckets: BTreeMap<(Service, String), TokenBucket>,
    rng: Rng,
}

impl Faults {
    /// Creates an injector without faults. The seed determines the decisions under later plans.
    pub fn new(seed: u64) -> Self {
        Self { plan: FaultPlan::default(), buckets: BTreeMap::new(), rng: Rng::with_seed(seed) }
    }

    /// Returns the active plan. The `times` of its rules count down.
    pub fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    /// Replaces the active plan; all token buckets are full again.
    ///
    /// # Errors
    ///
    /// Returns an error when the plan is invalid. The active plan then stays in place.
    pub fn set(&mut self, plan: FaultPlan) -> Result<(), PlanError> {
        plan.check()?;
        self.plan = plan;
        self.buckets.clear();
        Ok(())
    }

    /// Removes all faults.
    pub fn clear(&mut self) {
        self.plan = FaultPlan::default();
        self.buckets.clear();
    }

    /// Decides what happens to a request.
    pub fn decide(&mut self, service: Service, operation: &str, now: Timestamp) -> Verdict {
        let mut verdict = Verdict { latency: Duration::ZERO, outcome: Outcome::Pass };
        if self.is_throttled(service, operation, now) {
            // Throttling comes first, as on AWS: a throttled request is neither delayed nor counted by a rule.
            verdict.outcome = Outcome::Refuse(throttled(service));
            return verdict;
        }
        for rule in &mut self.plan.rules {
            let is_latency = matches!(rule.effect, Effect::Latency { .. });
            if !is_latency && verdict.outcome != Outcome::Pass || !affects(rule, service, operation, &mut self.rng) {
                continue;
            }
            match &rule.effect {
                Effect::Latency { least, most } => {
                    let spread = most.unwrap_or(*least).saturating_sub(*least);
                    let latency = least.saturating_add(spread.mul_f64(self.rng.f64()));
                    verdict.latency = verdict.latency.saturating_add(latency);
                }
                Effect::Error { code, status, message } => {
                    let refusal = Refusal { code: code.clone(), status: *status, message: message.clone() };
                    verdict.outcome = Outcome::Refuse(refusal);
                }
                Effect::Drop { when } => verdict.outcome = Outcome::Drop(*when),
            }
        }
        verdict
    }

    fn is_throttled(&mut self, service: Service, operation: &str, now: Timestamp) -> bool {
        let Some(throttle) = self.plan.throttles.iter().find(|throttle| throttle.on.matches(service, operation)) else {
            return false;
        };
        let bucket = self
            .buckets
            .entry((service, operation.to_owned()))
            .or_insert_with(|| TokenBucket::full(throttle.capacity, throttle.refill_per_second, now));
        !bucket.take(now)
    }
}

/// Returns whether a rule affects a request, and counts the request if so.
fn affects(rule: &mut Rule, service: Service, operation: &str, rng: &mut Rng) -> bool {
    if rule.times == Some(0) || !rule.on.matches(service, operation) || rng.f64() >= rule.rate {
        return false;
    }
    rule.times = rule.times.map(|times| times - 1);
    true
}

/// Returns the throttling error of a service.
fn throttled(service: Service) -> Refusal {
    let code = match service {
        Service::Ecs | Service::EventBridge => "ThrottlingException",
        Service::CloudWatch | Service::Elb | Service::Sts => "Throttling",
        Service::Sqs => "RequestThrottled",
    };
    Refusal { code: code.to_owned(), status: 400, message: "Rate exceeded".to_owned() }
}
