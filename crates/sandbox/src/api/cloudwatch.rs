//! Requests and responses of Amazon CloudWatch, API version 2010-08-01 (Smithy RPC v2 CBOR, as the AWS SDK for Rust sends
//! it, and JSON 1.0, as boto3 and the AWS CLI do).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{operations, time};

operations! {
    GetMetricData(GetMetricDataInput) -> GetMetricDataOutput, requires "MetricDataQueries" "StartTime" "EndTime";
}

/// Request of `GetMetricData`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct GetMetricDataInput {
    pub metric_data_queries: Vec<MetricDataQuery>,
    #[serde(with = "time::optional_seconds")]
    pub start_time: Option<Timestamp>,
    #[serde(with = "time::optional_seconds")]
    pub end_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_datapoints: Option<i32>,
}

/// Query of `GetMetricData`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct MetricDataQuery {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_stat: Option<MetricStat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_data: Option<bool>,
}

/// Metric and statistic of a query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct MetricStat {
    pub metric: Metric,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<i32>,
    pub stat: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// A metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Metric {
    pub namespace: String,
    pub metric_name: String,
    pub dimensions: Vec<Dimension>,
}

/// Dimension of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Dimension {
    pub name: String,
    pub value: String,
}

/// Response of `GetMetricData`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct GetMetricDataOutput {
    pub metric_data_results: Vec<MetricDataResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Result of a query.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct MetricDataResult {
    pub id: String,
    pub label: String,
    #[serde(serialize_with = "time::seconds::serialize")]
    pub timestamps: Vec<Timestamp>,
    pub values: Vec<f64>,
    pub status_code: &'static str,
}
