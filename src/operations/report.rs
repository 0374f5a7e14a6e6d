//! The results of `up` and `down`, as `--output json` prints them.

use serde::Serialize;

use super::cost::Cost;
use super::phase::CompletedPhase;
use crate::telemetry::log::Verb;

/// The result of `up`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are AWS's names")]
pub struct UpReport {
    pub operation: Verb,
    pub project: String,
    pub cluster: String,
    pub service: String,
    pub load_balancer: String,
    pub load_balancer_arn: String,
    pub dns_name: String,
    pub target_groups: Vec<GroupReport>,
    pub tasks: Vec<TaskReport>,
    pub phases: Vec<CompletedPhase>,
}

/// A target group in [`UpReport`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "see UpReport")]
pub struct GroupReport {
    pub name: String,
    pub arn: String,
}

/// A task in [`UpReport`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "see UpReport")]
pub struct TaskReport {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<String>,
}

/// The result of `down`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "see UpReport")]
pub struct DownReport {
    pub operation: Verb,
    pub project: String,
    pub cluster: String,
    pub service: String,
    pub load_balancer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer_arn: Option<String>,
    pub target_groups: Vec<String>,
    #[serde(flatten)]
    pub cost: Cost,
    pub phases: Vec<CompletedPhase>,
}
