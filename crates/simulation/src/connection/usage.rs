//! The use of the load balancer.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Connection;
use jvb_watcher::aws::AwsError;
use jvb_watcher::aws::usage::{FlowQuery, Usage};
use jvb_watcher_rules::model::MinuteFlows;

impl Usage for Connection {
    /// Knows no minute.
    async fn flows(&self, _: &FlowQuery) -> Result<BTreeMap<Timestamp, MinuteFlows>, AwsError> {
        Ok(BTreeMap::new())
    }
}
