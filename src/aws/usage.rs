//! The port to CloudWatch: how much a load balancer is used.

use std::collections::BTreeMap;
use std::future::Future;

use jiff::Timestamp;
use jvb_watcher_rules::model::{FlowProtocols, MinuteFlows};

use super::AwsError;

/// Reads the use of a load balancer.
pub trait Usage: Send + Sync {
    /// Reads the minutes that CloudWatch shows, by their start; a minute that it doesn't show is left out.
    fn flows(
        &self,
        query: &FlowQuery,
    ) -> impl Future<Output = Result<BTreeMap<Timestamp, MinuteFlows>, AwsError>> + Send;
}

/// The minutes to read.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowQuery {
    /// The load balancer's ARN.
    pub load_balancer_arn: String,
    /// The ARNs of the target groups whose healthy targets count.
    pub target_group_arns: Vec<String>,
    /// The protocols whose flows count.
    pub protocols: FlowProtocols,
    /// The start of the first minute.
    pub from: Timestamp,
    /// The end of the last minute.
    pub until: Timestamp,
}
