//! Fault plans: the configuration of injected faults, as JSON and TOML carry it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::Service;
use crate::duration;

/// Configuration of injected faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct FaultPlan {
    /// Rate limits. The first one that matches an operation applies to it.
    pub throttles: Vec<Throttle>,
    /// Other faults. The latencies of all matching rules add up; of the other effects, the first one applies.
    pub rules: Vec<Rule>,
}

/// A rate limit. Each operation that it matches has a token bucket of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Throttle {
    /// Operations that the limit applies to.
    pub on: Pattern,
    /// Capacity of the bucket: the number of requests in a burst.
    pub capacity: u32,
    /// Number of requests a second at a steady rate.
    pub refill_per_second: f64,
}

/// An effect on requests that match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// Operations that the rule applies to.
    pub on: Pattern,
    /// Share of requests that the rule affects, from 0 to 1.
    #[serde(default = "always")]
    pub rate: f64,
    /// Number of requests that the rule still affects; unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Effect on an affected request.
    pub effect: Effect,
}

fn always() -> f64 {
    1.0
}

/// Effect on a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Effect {
    /// Delays the request before it takes effect.
    Latency {
        /// Shortest delay.
        #[serde(with = "duration")]
        least: Duration,
        /// Longest delay; the same as `least` when absent.
        #[serde(with = "duration::optional", default, skip_serializing_if = "Option::is_none")]
        most: Option<Duration>,
    },
    /// Refuses the request with an error response.
    Error {
        /// Error code.
        code: String,
        /// HTTP status.
        status: u16,
        /// Error message.
        #[serde(default)]
        message: String,
    },
    /// Closes the connection without a response.
    Drop {
        /// Moment at which the connection closes.
        when: Moment,
    },
}

/// Point in the life of a request at which its connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before the request takes effect.
    Before,
    /// After the request has taken effect, which the client doesn't learn.
    After,
}

/// Pattern that matches operations: `*`, `ecs:*`, `ecs:Describe*` or `ecs:DescribeTasks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

impl Pattern {
    /// Returns whether the pattern matches an operation.
    pub fn matches(&self, service: Service, operation: &str) -> bool {
        let (service_part, operation_part) = match self.0.split_once(':') {
            Some(parts) => parts,
            None => return self.0 == "*",
        };
        let operation_matches = match operation_part.strip_suffix('*') {
            Some(prefix) => operation.starts_with(prefix),
            None => operation == operation_part,
        };
        operation_matches && (service_part == "*" || service_part == service.prefix())
    }

    fn matches_any(&self) -> bool {
        let matches_one_of =
            |service: Service| service.operations().iter().any(|(operation, _)| self.matches(service, operation));
        Service::ALL.into_iter().any(matches_one_of)
    }
}

/// Error in a fault plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A pattern matches no operation.
    #[error("{0:?} names no operation; write it like \"ecs:DescribeTasks\", \"ecs:*\" or \"*\"")]
    Pattern(String),
    /// A rate is out of range.
    #[error("the rate {0} is not from 0 to 1")]
    Rate(f64),
    /// The range of a latency is empty.
    #[error("the latency is empty: `least` is {least:?} and `most` is {most:?}; set `most` to at least `least`")]
    Latency {
        /// Lower bound.
        least: Duration,
        /// Upper bound.
        most: Duration,
    },
    /// A status is not that of an error.
    #[error("the status {0} is not from 400 to 599")]
    Status(u16),
    /// A throttle lets no request through.
    #[error("a throttle needs a capacity of at least 1 and a refill above 0")]
    Throttle,
}

impl FaultPlan {
    /// Checks the whole plan.
    ///
    /// # Errors
    ///
    /// Returns the first error in the plan.
    pub fn check(&self) -> Result<(), PlanError> {
        let mut patterns =
            self.throttles.iter().map(|throttle| &throttle.on).chain(self.rules.iter().map(|rule| &rule.on));
        if let Some(unknown) = patterns.find(|pattern| !pattern.matches_any()) {
            return Err(PlanError::Pattern(unknown.0.clone()));
        }
        let refills = |throttle: &Throttle| throttle.refill_per_second.is_finite() && throttle.refill_per_second > 0.0;
        if self.throttles.iter().any(|throttle| throttle.capacity == 0 || !refills(throttle)) {
            return Err(PlanError::Throttle);
        }
        self.rules.iter().try_for_each(Rule::check)
    }
}

impl Rule {
    fn check(&self) -> Result<(), PlanError> {
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(PlanError::Rate(self.rate));
        }
        match self.effect {
            Effect::Latency { least, most: Some(most) } if most < least => Err(PlanError::Latency { least, most }),
            Effect::Error { status, .. } if !(400..=599).contains(&status) => Err(PlanError::Status(status)),
            _ => Ok(()),
        }
    }
}
