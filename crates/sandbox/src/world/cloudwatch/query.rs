//! GetMetricData.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::{CloudWatch, DataPoint, MetricKey, metrics};
use crate::api::ApiError;
use crate::api::cloudwatch::{GetMetricDataInput, GetMetricDataOutput, Metric, MetricDataQuery, MetricDataResult};
use crate::world::timers::before;

/// Namespace of the metrics of network load balancers.
const NAMESPACE: &str = "AWS/NetworkELB";

/// Maximum number of queries of a request.
const MAX_QUERIES: usize = 500;

/// Maximum number of data points of a response, and the default.
const MAX_DATA_POINTS: usize = 100_800;

/// Maximum number of dimensions of a metric.
const MAX_DIMENSIONS: usize = 30;

/// Periods below a minute, for metrics of high resolution.
const SHORT_PERIODS: [i32; 5] = [1, 5, 10, 20, 30];

/// The smallest unit of a time's rounding, by its age (GetMetricData, StartTime).
const ROUNDING: [(Duration, i64); 3] = [
    (Duration::from_secs(63 * 24 * 60 * 60), 3600),
    (Duration::from_secs(15 * 24 * 60 * 60), 300),
    (Duration::ZERO, 60),
];

/// A statistic.
#[derive(Clone, Copy, Debug)]
enum Statistic {
    Average,
    Maximum,
    Minimum,
    SampleCount,
    Sum,
}

/// A query that has passed validation.
struct Query<'a> {
    query: &'a MetricDataQuery,
    metric: &'a Metric,
    period: i64,
    statistic: Statistic,
    /// The unit, if the query names one.
    unit: Option<&'a str>,
}

impl CloudWatch {
    pub(super) fn get_metric_data(
        &self,
        input: &GetMetricDataInput,
        now: Timestamp,
    ) -> Result<GetMetricDataOutput, ApiError> {
        let queries = queries(&input.metric_data_queries)?;
        let (Some(start), Some(end)) = (input.start_time, input.end_time) else {
            return Err(invalid("The parameters StartTime and EndTime must be timestamps"));
        };
        if end == start {
            return Err(invalid("The parameter StartTime must not equal parameter EndTime."));
        }
        if end < start {
            return Err(invalid("The parameter EndTime must be greater than StartTime."));
        }
        let is_ascending = match input.scan_by.as_deref() {
            None | Some("TimestampDescending") => false,
            Some("TimestampAscending") => true,
            Some(other) => {
                return Err(invalid(format!(
                    "The value {other} for parameter ScanBy must be one of TimestampAscending, TimestampDescending"
                )));
            }
        };
        let limit = match input.max_datapoints {
            None => MAX_DATA_POINTS,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=MAX_DATA_POINTS).contains(limit))
                .ok_or_else(|| invalid(format!("MaxDatapoints must be from 1 to {MAX_DATA_POINTS}")))?,
        };
        let mut skip = match &input.next_token {
            None => 0,
            Some(token) => token
                .parse::<usize>()
                .map_err(|_| ApiError::new("InvalidNextToken", "The next token specified is invalid."))?,
        };
        let page_begins = skip;
        let mut left = limit;
        let mut is_partial = false;
        let mut results = Vec::new();
        for query in queries.iter().filter(|query| query.query.return_data != Some(false)) {
            let mut points = self.points(query, rounded(start, query.period, now), end, now);
            if !is_ascending {
                points.reverse();
            }
            let skipped = skip.min(points.len());
            skip -= skipped;
            let returned: Vec<(Timestamp, f64)> = points[skipped..].iter().take(left).copied().collect();
            left -= returned.len();
            let is_complete = skipped + returned.len() == points.len();
            is_partial |= !is_complete;
            let (timestamps, values) = returned.into_iter().unzip();
            results.push(MetricDataResult {
                id: query.query.id.clone(),
                label: query.query.label.clone().unwrap_or_else(|| query.metric.metric_name.clone()),
                timestamps,
                values,
                status_code: if is_complete { "Complete" } else { "PartialData" },
            });
        }
        let next_token = is_partial.then(|| page_begins.saturating_add(limit).to_string());
        Ok(GetMetricDataOutput { metric_data_results: results, next_token })
    }

    /// Returns the values of a query, oldest first.
    fn points(&self, query: &Query<'_>, start: Timestamp, end: Timestamp, now: Timestamp) -> Vec<(Timestamp, f64)> {
        let series = key(query.metric).and_then(|key| self.series.get(&key));
        let has_unit = query.unit.is_none_or(|unit| unit == metrics::unit(&query.metric.metric_name));
        let points = series
            .into_iter()
            .flatten()
            .filter(|point| has_unit && point.visible_at <= now && start <= point.at && point.at < end);
        let mut periods: Vec<(Timestamp, Vec<&DataPoint>)> = Vec::new();
        for point in points {
            // Periods are counted from the start time.
            let seconds = point.at.duration_since(start).as_secs();
            let begins = Timestamp::from_second(start.as_second() + seconds - seconds % query.period);
            let Ok(begins) = begins else { continue };
            match periods.last_mut() {
                Some((last, points)) if *last == begins => points.push(point),
                _ => periods.push((begins, vec![point])),
            }
        }
        periods.into_iter().map(|(at, points)| (at, query.statistic.of(&points))).collect()
    }
}

impl Statistic {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "Average" => Self::Average,
            "Maximum" => Self::Maximum,
            "Minimum" => Self::Minimum,
            "SampleCount" => Self::SampleCount,
            "Sum" => Self::Sum,
            _ => return None,
        })
    }

    /// Returns the statistic of the data points in a period, of which there is at least one.
    fn of(self, points: &[&DataPoint]) -> f64 {
        let values = points.iter().map(|point| point.value);
        let sum: f64 = values.clone().map(|value| value.average).sum();
        match self {
            Self::Average => sum / points.len() as f64,
            Self::Maximum => values.map(|value| value.maximum).fold(f64::NEG_INFINITY, f64::max),
            Self::Minimum => values.map(|value| value.minimum).fold(f64::INFINITY, f64::min),
            Self::SampleCount => points.len() as f64,
            Self::Sum => sum,
        }
    }
}

/// Validates the queries.
fn queries(queries: &[MetricDataQuery]) -> Result<Vec<Query<'_>>, ApiError> {
    if queries.is_empty() {
        return Err(required("MetricDataQueries"));
    }
    if queries.len() > MAX_QUERIES {
        let message = format!("The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}.");
        return Err(invalid(message));
    }
    let mut ids = BTreeSet::new();
    let mut valid = Vec::with_capacity(queries.len());
    for (index, query) in queries.iter().enumerate() {
        let member = format!("MetricDataQueries.member.{}", index + 1);
        if query.id.is_empty() {
            return Err(required(&format!("{member}.Id")));
        }
        let is_id = query.id.starts_with(|c: char| c.is_ascii_lowercase())
            && query.id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_id || query.id.len() > 255 {
            let message = format!(
                "The value {} for parameter {member}.Id is not matched to the pattern [a-z][a-zA-Z0-9_]*",
                query.id
            );
            return Err(invalid(message));
        }
        if !ids.insert(&query.id) {
            return Err(invalid("The values for parameter id in MetricDataQueries are not unique"));
        }
        valid.push(check(query, &member)?);
    }
    Ok(valid)
}

fn check<'a>(query: &'a MetricDataQuery, member: &str) -> Result<Query<'a>, ApiError> {
    let stat = match (&query.metric_stat, &query.expression) {
        (Some(_), Some(_)) => {
            let message = format!("The parameters {member}.MetricStat and {member}.Expression exclude each other.");
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
        (None, Some(_)) => {
            let message = format!(
                "The sandbox evaluates no expressions: replace {member}.Expression by a MetricStat for each metric."
            );
            return Err(invalid(message));
        }
        (None, None) => return Err(required(&format!("{member}.MetricStat"))),
        (Some(stat), None) => stat,
    };
    let metric = &stat.metric;
    for (name, value) in [("Metric.Namespace", &metric.namespace), ("Metric.MetricName", &metric.metric_name)] {
        if value.is_empty() {
            return Err(required(&format!("{member}.MetricStat.{name}")));
        }
    }
    if metric.dimensions.len() > MAX_DIMENSIONS {
        let message = format!(
            "The collection {member}.MetricStat.Metric.Dimensions must not have a size greater than {MAX_DIMENSIONS}."
        );
        return Err(invalid(message));
    }
    for (index, dimension) in metric.dimensions.iter().enumerate() {
        for (name, value) in [("Name", &dimension.name), ("Value", &dimension.value)] {
            if value.is_empty() {
                let index = index + 1;
                return Err(required(&format!("{member}.MetricStat.Metric.Dimensions.member.{index}.{name}")));
            }
        }
    }
    let period = stat.period.ok_or_else(|| required(&format!("{member}.MetricStat.Period")))?;
    if !SHORT_PERIODS.contains(&period) && (period < 60 || period % 60 != 0) {
        let message = format!(
            "The value {period} for parameter {member}.MetricStat.Period must be 1, 5, 10, 20, 30 or a multiple of 60"
        );
        return Err(invalid(message));
    }
    if stat.stat.is_empty() {
        return Err(required(&format!("{member}.MetricStat.Stat")));
    }
    let statistic = Statistic::parse(&stat.stat).ok_or_else(|| {
        invalid(format!(
            "The sandbox has no statistic {} ({member}.MetricStat.Stat): it has Average, Maximum, Minimum, SampleCount \
             and Sum.",
            stat.stat
        ))
    })?;
    Ok(Query { query, metric, period: i64::from(period), statistic, unit: stat.unit.as_deref() })
}

/// Returns the key of a metric that the sandbox has. Any other metric exists as little as on AWS, and has no data points.
fn key(metric: &Metric) -> Option<MetricKey> {
    if metric.namespace != NAMESPACE {
        return None;
    }
    let value = |name: &str| metric.dimensions.iter().find(|dimension| dimension.name == name);
    let load_balancer = value("LoadBalancer")?.value.clone();
    let target_group = value("TargetGroup").map(|dimension| dimension.value.clone());
    let is_whole = metric.dimensions.len() == 1 + usize::from(target_group.is_some());
    is_whole.then_some(MetricKey { name: metrics::named(&metric.metric_name)?, load_balancer, target_group })
}

/// Rounds a start time down, the more the older it is.
pub(super) fn rounded(start: Timestamp, period: i64, now: Timestamp) -> Timestamp {
    let unit = if period < 60 {
        period
    } else {
        ROUNDING.iter().find(|(age, _)| start <= before(now, *age)).map_or(60, |(_, unit)| *unit)
    };
    let seconds = start.as_second();
    Timestamp::from_second(seconds - seconds.rem_euclid(unit)).unwrap_or(start)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// Returns AWS's error for a missing parameter, with its trailing line break.
fn required(parameter: &str) -> ApiError {
    invalid(format!("The parameter {parameter} is required.\n"))
}
