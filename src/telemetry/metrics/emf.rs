//! CloudWatch's embedded metric format: a line of the log that CloudWatch Logs makes metrics of.
//!
//! See "Specification: Embedded metric format" in CloudWatch's user guide. Written here, with serde, and not by a crate:
//! those that there are (`metrics_cloudwatch_embedded`, `metrique`) keep the figures themselves, behind a global recorder
//! or one entry an operation, and write whole documents of their own. Here a document is a log event like any other,
//! which figures it has depends on what AWS charges for them, and the same figures must serve another format too.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::catalogue::{Metric, Unit};

/// The dimensions of every metric; each is a member of the document with its value.
pub const DIMENSIONS: [&str; 2] = ["Project", "Service"];

/// An array of values has at most so many members (see "Target members" in the specification).
pub const VALUES_PER_METRIC: usize = 100;

/// A document, as it stands in a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[allow(missing_docs, reason = "docs/logs.md is the documentation of these fields")]
pub struct Document {
    #[serde(rename = "_aws")]
    pub metadata: Metadata,
    #[serde(rename = "Project")]
    pub project: String,
    #[serde(rename = "Service")]
    pub service: String,
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub figures: BTreeMap<Metric, Figure>,
}

/// What CloudWatch is to make of a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "see the specification")]
pub struct Metadata {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    #[serde(rename = "CloudWatchMetrics")]
    pub directives: Vec<Directive>,
}

/// Which members of a document are metrics.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "see the specification")]
pub struct Directive {
    pub namespace: String,
    pub dimensions: Vec<Vec<String>>,
    pub metrics: Vec<MetricDefinition>,
}

/// One member that is a metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "see the specification")]
pub struct MetricDefinition {
    pub name: Metric,
    pub unit: Unit,
}

/// A metric's value, or values.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(untagged)]
pub enum Figure {
    /// A whole number.
    Number(u64),
    /// Seconds, to the millisecond.
    Seconds(f64),
    /// Values, [`VALUES_PER_METRIC`] at most.
    Values(Vec<u64>),
}

/// The name under which figures are published.
#[derive(Clone, Debug)]
pub struct Address {
    /// The namespace.
    pub namespace: String,
    /// The project, the first dimension's value.
    pub project: String,
    /// The service, the second dimension's value.
    pub service: String,
}

impl Document {
    /// The figures of one instant.
    pub fn new(address: &Address, at: Timestamp, figures: BTreeMap<Metric, Figure>) -> Self {
        let metrics = figures.keys().map(|metric| MetricDefinition { name: *metric, unit: metric.definition().unit });
        let directive = Directive {
            namespace: address.namespace.clone(),
            dimensions: vec![DIMENSIONS.map(str::to_owned).to_vec()],
            metrics: metrics.collect(),
        };
        Self {
            metadata: Metadata { timestamp: at.as_millisecond(), directives: vec![directive] },
            project: address.project.clone(),
            service: address.service.clone(),
            figures,
        }
    }
}

impl Figure {
    /// At most [`VALUES_PER_METRIC`] of the values: of more, as many quantiles, from the smallest to the largest.
    pub fn values(mut values: Vec<u64>) -> Self {
        if values.len() > VALUES_PER_METRIC {
            values.sort_unstable();
            let last = values.len() - 1;
            values = (0..VALUES_PER_METRIC).map(|nth| values[nth * last / (VALUES_PER_METRIC - 1)]).collect();
        }
        Self::Values(values)
    }
}
