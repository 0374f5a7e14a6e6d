//! CloudWatch's embedded metric format: log lines from which CloudWatch Logs extracts metrics.
//!
//! See "Specification: Embedded metric format" in CloudWatch's user guide. The crates for it
//! (`metrics_cloudwatch_embedded`, `metrique`) own the metrics themselves, in a global recorder or as one entry an
//! operation, and write documents of their own. Here a document is a log event like any other, its metrics depend on what
//! CloudWatch charges for, and the same metrics are also exposed as OpenMetrics.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

/// The dimensions of every metric; each is a member of the document.
pub const DIMENSIONS: [&str; 2] = ["Project", "Service"];

/// The most values that a metric may have in a document (see "Target members" in the specification).
pub const MAX_VALUES: usize = 100;

/// The name of a metric.
pub type Name = Cow<'static, str>;

/// The members that make a log line a document in the embedded metric format.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Document {
    /// The instructions for CloudWatch: the time in milliseconds since 1970, the namespace, the dimensions, and each metric
    /// with its unit
    #[serde(rename = "_aws")]
    pub metadata: Metadata,
    /// The project's name, a dimension; `*` for a process of several services without one
    #[serde(rename = "Project")]
    pub project: String,
    /// The ECS service's name, a dimension; `*` for what several services share
    #[serde(rename = "Service")]
    pub service: String,
    /// The metrics' values by name.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub values: BTreeMap<Name, Value>,
}

/// The instructions for CloudWatch in a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "see the specification")]
pub struct Metadata {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp: i64,
    #[serde(rename = "CloudWatchMetrics")]
    pub directives: Vec<Directive>,
}

/// The metrics of a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "see the specification")]
pub struct Directive {
    pub namespace: String,
    pub dimensions: Vec<Vec<String>>,
    pub metrics: Vec<MetricDefinition>,
}

/// A metric of a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "see the specification")]
pub struct MetricDefinition {
    pub name: Name,
    pub unit: Unit,
}

/// A unit (see MetricDatum in CloudWatch's API reference).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "the names are CloudWatch's")]
pub enum Unit {
    Count,
    Seconds,
    Milliseconds,
    /// A switch: 0 or 1.
    None,
}

/// The value of a metric, or its values.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// An integer.
    Integer(u64),
    /// A number of seconds, with milliseconds.
    Seconds(f64),
    /// Values, [`MAX_VALUES`] at most.
    List(Vec<u64>),
}

/// The namespace of the metrics, and the values of their dimensions.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The namespace.
    pub namespace: String,
    /// The project, the first dimension's value.
    pub project: String,
    /// The cluster, which is no dimension.
    pub cluster: String,
    /// The service, the second dimension's value.
    pub service: String,
}

impl Document {
    /// Creates a document of metrics at one instant.
    pub fn new(scope: &Scope, at: Timestamp, metrics: Vec<(&'static str, Unit, Value)>) -> Self {
        let definitions = metrics.iter().map(|(name, unit, _)| MetricDefinition { name: (*name).into(), unit: *unit });
        let directive = Directive {
            namespace: scope.namespace.clone(),
            dimensions: vec![DIMENSIONS.map(str::to_owned).to_vec()],
            metrics: definitions.collect(),
        };
        Self {
            metadata: Metadata { timestamp: at.as_millisecond(), directives: vec![directive] },
            project: scope.project.clone(),
            service: scope.service.clone(),
            values: metrics.into_iter().map(|(name, _, value)| (name.into(), value)).collect(),
        }
    }
}

impl Value {
    /// Returns at most [`MAX_VALUES`] of the values: of more, as many quantiles, from the minimum to the maximum.
    pub fn list(mut values: Vec<u64>) -> Self {
        if values.len() > MAX_VALUES {
            values.sort_unstable();
            let last = values.len() - 1;
            values = (0..MAX_VALUES).map(|nth| values[nth * last / (MAX_VALUES - 1)]).collect();
        }
        Self::List(values)
    }
}
