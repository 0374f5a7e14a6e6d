//! CloudWatch: the metrics that network load balancers report about their flows and their targets.
//!
//! - `metrics`: the data points of each minute, when they become visible, and which are missing.
//! - `query`: GetMetricData.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::elb::Elb;
use super::flows::Flows;
use super::random::Random;
use super::settings::Settings;
use crate::api::ApiError;
use crate::api::cloudwatch::{Request, Response};

mod metrics;
mod query;
#[cfg(test)]
mod tests;

/// Makes the random choices independent of those of the rest of the world, which began with the same seed.
const STREAM: u64 = 0x636c_6f75_6477_6174;

/// State of CloudWatch.
#[derive(Debug)]
pub struct CloudWatch {
    random: Random,
    /// Beginning of the first minute without data points.
    unreported: Timestamp,
    /// The present hour, and whether it has no data points.
    hour: Option<(i64, bool)>,
    /// Time until which minutes end without data points.
    gap_until: Option<Timestamp>,
    series: BTreeMap<MetricKey, VecDeque<DataPoint>>,
}

/// Identity of a metric: its name and its dimensions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct MetricKey {
    name: &'static str,
    /// Dimension `LoadBalancer`: `net/NAME/ID`.
    load_balancer: String,
    /// Dimension `TargetGroup`: `targetgroup/NAME/ID`.
    target_group: Option<String>,
}

/// Data point of a minute. It counts as one sample.
#[derive(Clone, Debug)]
pub struct DataPoint {
    /// Beginning of the minute.
    pub at: Timestamp,
    /// Time from which queries return the point.
    pub visible_at: Timestamp,
    value: Value,
}

/// Statistics of a data point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Value {
    average: f64,
    minimum: f64,
    maximum: f64,
}

impl MetricKey {
    /// Returns the key of a metric by the ARNs of its dimensions.
    fn new(name: &'static str, load_balancer: &str, group: Option<&str>) -> Self {
        Self {
            name,
            load_balancer: load_balancer.split_once(":loadbalancer/").map_or("", |(_, id)| id).to_owned(),
            target_group: group.and_then(|arn| arn.rsplit_once(':')).map(|(_, id)| id.to_owned()),
        }
    }
}

impl DataPoint {
    /// Returns the average of the values.
    pub fn average(&self) -> f64 {
        self.value.average
    }
}

impl Value {
    /// Returns the statistics of a single report.
    fn of(value: f64) -> Self {
        Self { average: value, minimum: value, maximum: value }
    }
}

impl CloudWatch {
    /// Creates a CloudWatch without data points.
    pub fn new(seed: u64, now: Timestamp) -> Self {
        Self {
            random: Random::new(seed ^ STREAM),
            unreported: now,
            hour: None,
            gap_until: None,
            series: BTreeMap::new(),
        }
    }

    /// Returns the data points of a metric of a load balancer, or of one of its target groups, oldest first.
    pub fn data_points(
        &self,
        name: &str,
        load_balancer: &str,
        group: Option<&str>,
    ) -> impl Iterator<Item = &DataPoint> {
        let key = metrics::named(name).map(|name| MetricKey::new(name, load_balancer, group));
        key.and_then(|key| self.series.get(&key)).into_iter().flatten()
    }

    /// Handles a request.
    ///
    /// # Errors
    ///
    /// Returns AWS's error for a request that it would refuse.
    pub fn call(&self, request: &Request, now: Timestamp) -> Result<Response, ApiError> {
        match request {
            Request::GetMetricData(input) => self.get_metric_data(input, now).map(Response::GetMetricData),
        }
    }
}
