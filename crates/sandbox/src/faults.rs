//! What goes wrong on the way to the world and back: pure, seeded, and without a clock of its own.
//!
//! A [`FaultPlan`] says what may happen: throttles, each a token bucket for every operation it names, and rules, each an
//! effect for some operations, by chance or for the next few calls. [`Faults`] holds a plan and draws from it.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::api::Service;

mod bucket;
#[cfg(test)]
mod tests;

use bucket::Bucket;

/// What may happen to calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct FaultPlan {
    /// The limits on how fast operations may be called. The first one that names an operation holds for it.
    pub throttles: Vec<Throttle>,
    /// The other effects. The latencies of all that meet a call add up; of the rest, the first holds.
    pub rules: Vec<Rule>,
}

/// A limit on how fast an operation may be called; each operation that it names has a bucket of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Throttle {
    /// The operations that it is for.
    pub on: Pattern,
    /// How many calls may come at once.
    pub capacity: u32,
    /// How many more may come each second.
    pub refill_per_second: f64,
}

/// An effect, and the calls that it is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// The operations that it is for.
    pub on: Pattern,
    /// The share of their calls that it meets, from 0 to 1.
    #[serde(default = "always")]
    pub rate: f64,
    /// How many more calls it meets; without end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens to them.
    pub effect: Effect,
}

fn always() -> f64 {
    1.0
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Effect {
    /// It takes effect later.
    Latency {
        /// By this much at least.
        #[serde(with = "span")]
        least: Duration,
        /// By this much at most; exactly by `least` when absent.
        #[serde(with = "span::optional", default, skip_serializing_if = "Option::is_none")]
        most: Option<Duration>,
    },
    /// It is refused.
    Error {
        /// The error's code.
        code: String,
        /// The HTTP status.
        status: u16,
        /// What is said with it.
        #[serde(default)]
        message: String,
    },
    /// Its connection ends without an answer.
    Drop {
        /// Whether the call has taken effect by then.
        when: Moment,
    },
}

/// When a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// The call never took effect.
    Before,
    /// The call took effect; its caller doesn't know.
    After,
}

/// The operations that something is for: `*`, `ecs:*`, `ecs:Describe*` or `ecs:DescribeTasks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether it names an operation.
    pub fn matches(&self, service: Service, operation: &str) -> bool {
        let (service_part, operation_part) = match self.0.split_once(':') {
            Some(parts) => parts,
            None => return self.0 == "*",
        };
        let operation_fits = match operation_part.strip_suffix('*') {
            Some(start) => operation.starts_with(start),
            None => operation == operation_part,
        };
        operation_fits && (service_part == "*" || service_part == service.prefix())
    }

    fn matches_any(&self) -> bool {
        let names_one_of =
            |service: Service| service.operations().iter().any(|(operation, _)| self.matches(service, operation));
        Service::ALL.into_iter().any(names_one_of)
    }
}

/// What becomes of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How long it waits first.
    pub latency: Duration,
    /// What happens then.
    pub outcome: Outcome,
}

/// What happens to a call in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It takes effect and is answered.
    Pass,
    /// It is refused, without effect.
    Refuse(Refusal),
    /// Its connection ends.
    Drop(Moment),
}

/// An error that stands for AWS's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its code.
    pub code: String,
    /// The HTTP status.
    pub status: u16,
    /// What is said with it.
    pub message: String,
}

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// No operation has such a name.
    #[error("{0:?} names no operation; write it like \"ecs:DescribeTasks\", \"ecs:*\" or \"*\"")]
    Pattern(String),
    /// Not a share.
    #[error("the rate {0} is not from 0 to 1")]
    Rate(f64),
    /// Not a latency.
    #[error("a latency is at least {least:?} and at most {most:?}, which leaves nothing")]
    Latency {
        /// The lower bound.
        least: Duration,
        /// The upper one.
        most: Duration,
    },
    /// Not the status of an error.
    #[error("the status {0} is not from 400 to 599")]
    Status(u16),
    /// Not a bucket.
    #[error("a throttle needs a capacity of at least 1 and a refill that is a number above 0")]
    Bucket,
}

impl FaultPlan {
    fn check(&self) -> Result<(), PlanError> {
        let mut patterns = self.throttles.iter().map(|throttle| &throttle.on).chain(self.rules.iter().map(|r| &r.on));
        if let Some(unknown) = patterns.find(|pattern| !pattern.matches_any()) {
            return Err(PlanError::Pattern(unknown.0.clone()));
        }
        let refills = |throttle: &Throttle| throttle.refill_per_second.is_finite() && throttle.refill_per_second > 0.0;
        if self.throttles.iter().any(|throttle| throttle.capacity == 0 || !refills(throttle)) {
            return Err(PlanError::Bucket);
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

    /// Whether it meets this call; counts it if so.
    fn meets(&mut self, service: Service, operation: &str, rng: &mut Rng) -> bool {
        if self.times == Some(0) || !self.on.matches(service, operation) || rng.f64() >= self.rate {
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}

/// A plan at work.
#[derive(Clone, Debug)]
pub struct Faults {
    plan: FaultPlan,
    buckets: BTreeMap<(Service, String), Bucket>,
    rng: Rng,
}

impl Faults {
    /// No faults; those of later plans are drawn from this seed.
    pub fn new(seed: u64) -> Self {
        Self { plan: FaultPlan::default(), buckets: BTreeMap::new(), rng: Rng::with_seed(seed) }
    }

    /// The plan at work; `times` counts down in it.
    pub fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    /// Puts another plan to work, with full buckets.
    ///
    /// # Errors
    ///
    /// When the plan makes no sense; then the old one stays.
    pub fn set(&mut self, plan: FaultPlan) -> Result<(), PlanError> {
        plan.check()?;
        self.plan = plan;
        self.buckets.clear();
        Ok(())
    }

    /// Ends all faults.
    pub fn clear(&mut self) {
        self.plan = FaultPlan::default();
        self.buckets.clear();
    }

    /// What becomes of a call.
    pub fn decide(&mut self, service: Service, operation: &str, now: Timestamp) -> Verdict {
        let mut verdict = Verdict { latency: Duration::ZERO, outcome: Outcome::Pass };
        if self.is_throttled(service, operation, now) {
            // Throttling comes first at AWS too: such a call costs it nothing.
            verdict.outcome = Outcome::Refuse(throttled(service));
            return verdict;
        }
        for rule in &mut self.plan.rules {
            let is_latency = matches!(rule.effect, Effect::Latency { .. });
            if !is_latency && verdict.outcome != Outcome::Pass || !rule.meets(service, operation, &mut self.rng) {
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
            .or_insert_with(|| Bucket::full(throttle.capacity, throttle.refill_per_second, now));
        !bucket.take(now)
    }
}

/// How each service says that it is called too often.
fn throttled(service: Service) -> Refusal {
    let code = match service {
        Service::Ecs | Service::EventBridge => "ThrottlingException",
        Service::Elb | Service::Sts => "Throttling",
        Service::Sqs => "RequestThrottled",
    };
    Refusal { code: code.to_owned(), status: 400, message: "Rate exceeded".to_owned() }
}

/// Spans of time as people write them: `250ms`, `2s`.
mod span {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*span))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text)
            .map_err(|error| D::Error::custom(format!("{text:?}: {error}; write it like 250ms or 2s")))
    }

    pub mod optional {
        use super::{Deserializer, Duration, Serializer};

        pub fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            match span {
                Some(span) => super::serialize(span, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            super::deserialize(deserializer).map(Some)
        }
    }
}
